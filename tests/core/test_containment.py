"""Time limits and the state of the process around strangers' code."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import pytest

from lerobot_core import containment
from lerobot_core.containment import Overrun, contained, limited


def patient() -> None:
    """Waits in a frame of its own, as a library would."""
    time.sleep(10)


def stubborn() -> None:
    end = time.monotonic() + 8  # so that this test can fail
    while time.monotonic() < end:
        try:
            patient()
        except BaseException:
            continue


def yielding() -> None:
    try:
        patient()
    except BaseException:
        return


@pytest.mark.parametrize("wait", [patient, stubborn, yielding])
def test_nothing_outlasts_its_time(wait) -> None:
    tracer, start = sys.gettrace(), time.monotonic()
    with pytest.raises(Overrun), limited(0.05):
        wait()
    assert time.monotonic() - start < 5
    assert sys.gettrace() is tracer


def test_what_is_quick_is_let_be() -> None:
    with limited(5):
        done = True
    assert done


def test_a_timer_of_somebody_else_goes_on() -> None:
    rung = []
    handler = signal.signal(signal.SIGALRM, lambda *_: rung.append(1))
    former = signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with limited(5):
            time.sleep(0.05)
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] < 0.2
        with pytest.raises(Overrun), limited(0.01):
            time.sleep(10)
        deadline = time.monotonic() + 5
        while not rung and time.monotonic() < deadline:
            time.sleep(0.01)
        assert rung == [1]
    finally:
        signal.setitimer(signal.ITIMER_REAL, *former)
        signal.signal(signal.SIGALRM, handler)


def test_another_thread_has_no_limit_and_no_trouble() -> None:
    ended, remarks = [], []

    def work() -> None:
        with contained(remarks, 0.01):
            time.sleep(0.05)
        ended.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert (ended, remarks) == ([True], [])


def test_ctrl_c_passes_and_the_process_is_as_before() -> None:
    folder, remarks = os.getcwd(), []

    def interrupted() -> None:
        os.chdir("/")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), contained(remarks, 5):
        interrupted()
    assert os.getcwd() == folder
    assert remarks == ["changed the working folder; undone"]


def test_what_is_printed_is_told_and_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    remarks: list[str] = []
    with contained(remarks, 5):
        os.write(1, b"native ")
        os.system("echo child")
    assert capfd.readouterr().out == ""
    assert remarks == ["printed 'native child\\n'"]


def test_a_thread_that_keeps_the_process_alive_is_known() -> None:
    stop, remarks = threading.Event(), []
    try:
        with contained(remarks, 5):
            threading.Thread(target=stop.wait, name="endless").start()
            threading.Thread(target=stop.wait, name="daemon", daemon=True).start()
        assert sorted(remarks) == ["started the thread 'daemon'", "started the thread 'endless'"]
        assert [thread.name for thread in containment.strays] == ["endless"]
    finally:
        stop.set()
        containment.strays.clear()
