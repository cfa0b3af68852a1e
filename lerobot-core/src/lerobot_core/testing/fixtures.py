"""pytest fixtures that keep tests off the developer's machine. Use them with `pytest_plugins = ["lerobot_core.testing.fixtures"]`.

Two are automatic: a temporary home, and a check that no thread outlives its test.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from lerobot_core import plugins
from lerobot_core.components import Command, Component, hookimpl
from lerobot_core.plugins import Host, PluginStatus
from lerobot_core.testing.clocks import FakeClock

_GRACE_SECONDS = 2.0


class PrivateHost(Host):
    """A plugin host that knows only what a test gives it."""

    def discover(self) -> None:
        """Refused: a test must not depend on what happens to be installed.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError("a private host does not discover plugins; use add() or add_file()")

    def add(
        self, module: object, name: str = "test", distribution: str = "test-dist", version: str = "1"
    ) -> PluginStatus:
        """Register a module, or any object with hook functions, as a plugin of that distribution."""
        return self._load(name, distribution, version, lambda: module)

    def offer(
        self, hook: str, *items: Component | Command | str, name: str = "test", distribution: str = "test-dist"
    ) -> None:
        """Register a plugin whose one hook returns these items."""
        module = ModuleType(name)
        setattr(module, hook, hookimpl(lambda: list(items)))
        self.add(module, name, distribution)


@pytest.fixture
def host() -> Iterator[PrivateHost]:
    """The process's plugin host for this test: empty, and it refuses discovery."""
    private = PrivateHost()
    former = plugins.use(private)
    yield private
    plugins.use(former)


@pytest.fixture
def clock() -> FakeClock:
    """A clock that does not wait."""
    return FakeClock()


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary home folder, without the developer's settings of `lr` and without a network for the Hub."""
    folder = tmp_path_factory.mktemp("home")
    for name in [name for name in os.environ if name.startswith("LR_") and name != "LR_FIXTURES"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / ".config"))
    monkeypatch.setenv("HF_HOME", str(folder / "hf"))
    monkeypatch.setenv("HF_LEROBOT_HOME", str(folder / "hf" / "lerobot"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return folder


@pytest.fixture(autouse=True)
def no_leaked_threads() -> Iterator[None]:
    """Fails a test that leaves a thread running: on a robot that thread would go on driving a device."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + _GRACE_SECONDS
    while (left := _running(before)) and time.monotonic() < deadline:
        time.sleep(0.01)
    if left:
        pytest.fail(f"threads left running: {', '.join(thread.name for thread in left)}")


def _running(before: set[threading.Thread]) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread not in before and thread.is_alive()]


@pytest.fixture(autouse=True)
def one_torch_thread() -> None:
    """Torch with one thread, where it is in use: results repeat and tests do not fight for cores."""
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)
