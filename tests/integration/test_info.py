"""`lr info` with everything installed: the report a user sends with a question."""

from __future__ import annotations

import json

from click.testing import CliRunner

from lerobot_core.cli.info import info, probe


def test_the_report_names_versions_plugins_codecs_and_devices() -> None:
    done = CliRunner().invoke(info, ["--json"], catch_exceptions=False)
    report = json.loads(done.stdout)
    assert {row["name"] for row in report["plugins"]} >= {"core", "motors", "datasets", "policies", "serve"}
    assert all(row["state"] == "ok" for row in report["plugins"])
    found = report["findings"]
    assert found["core"]["python"].startswith("3.")
    assert "pyav" in found["datasets"]["decoders"]
    assert "libsvtav1" in found["datasets"]["encoders"]
    assert isinstance(found["motors"]["serial ports"], list)


def test_a_probe_that_crashes_natively_costs_one_line() -> None:
    assert probe("os:abort")["error"] == "crashed natively by signal 6 (Aborted)"
