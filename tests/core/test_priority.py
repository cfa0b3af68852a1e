"""Priority of the loop's thread: granted or not, it is as before afterwards."""

from __future__ import annotations

import os
import threading

import pytest

from lerobot_core.priority import real_time

pytestmark = pytest.mark.skipif(not hasattr(os, "SCHED_RESET_ON_FORK"), reason="this system has no such scheduler")


def policy() -> int:
    return os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK


def test_the_block_runs_first_and_its_threads_do_not():
    before, seen = policy(), []
    with real_time() as granted:
        assert (policy() == os.SCHED_RR) == granted
        thread = threading.Thread(target=lambda: seen.append(policy()))
        thread.start()
        thread.join()
    assert seen == [os.SCHED_OTHER]
    assert policy() == before


def test_a_refusal_changes_nothing(monkeypatch):
    def refuse(*_):
        raise PermissionError("not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    with real_time() as granted:
        assert not granted
