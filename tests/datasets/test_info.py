"""`lr dataset info`, the plugin's components, and what importing costs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from lerobot_core.config import structure
from lerobot_core.registry import resolve
from lerobot_datasets import plugin
from lerobot_datasets.commands.info import info
from lerobot_datasets.config import EncoderConfig, LeRobotBackendConfig


def test_text(fixtures: Path) -> None:
    result = CliRunner().invoke(info, [str(fixtures / "datasets" / "video2")], catch_exceptions=False)
    assert result.exit_code == 0
    for part in ("so101_follower", "30 fps", "episodes  3", "frames    98", "stack the blocks", "[96, 128, 3]   av1"):
        assert part in result.output


def test_json(fixtures: Path) -> None:
    result = CliRunner().invoke(info, [str(fixtures / "datasets" / "state_only"), "--json"], catch_exceptions=False)
    found = json.loads(result.output)
    assert (found["episodes"], found["frames"], found["fps"]) == (3, 72, 30)
    assert found["features"]["observation.tactile"]["shape"] == [4, 3]
    assert found["episode_seconds"]["max"] == pytest.approx(35 / 30)


def test_targets_exist() -> None:
    components = {component.name: component for component in plugin.lr_dataset_backends()}
    assert resolve(components["lerobot"].config) is LeRobotBackendConfig
    for component in components.values():
        assert resolve(component.config)
        assert callable(resolve(component.build))
    for command in plugin.lr_commands():
        assert resolve(command.target).name


def test_options_are_checked() -> None:
    config = structure({"repo_id": "a/b", "vcodec": "h264", "encoder": {"g": 10}}, LeRobotBackendConfig)
    assert config.encoding == EncoderConfig(vcodec="h264", g=10)
    for wrong in ({"g": 0}, {"queue_size": 0}, {"fast_decode": 3}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            EncoderConfig(**wrong)


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import lerobot_datasets", ("numpy", "pyarrow", "av", "torch", "attrs")),
        ("import lerobot_datasets.config", ("numpy", "pyarrow", "av", "torch")),
        ("import lerobot_datasets.backend, lerobot_datasets.commands.info, lerobot_datasets.meta", ("torch",)),
    ],
)
def test_imports_are_light(statement: str, absent: tuple[str, ...]) -> None:
    code = f"import sys; {statement}; print(*[name for name in {absent!r} if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == ""
