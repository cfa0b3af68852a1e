"""What a tracker must do: keep the numbers of a run, and never stop it."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest

from lerobot_core.errors import LeRobotError
from lerobot_core.roles import Tracker
from lerobot_core.testing.suite import Suite, median_seconds, needs, new_threads, open_files


class TrackerSuite(Suite):
    """Subclass it and give the fixture `tracker`: a new one for each check, with nothing logged."""

    role: ClassVar[type] = Tracker

    @pytest.fixture
    def tracker(self) -> Any:
        tracker = self.part()
        yield tracker
        tracker.close()

    def logged(self, tracker: Any) -> Sequence[tuple[int, Mapping[str, float]]] | None:
        """What was kept so far, (step, values) in order; None: it cannot be read back."""
        return None

    def check_kept(self, tracker: Any, wanted: list[tuple[int, dict[str, float]]]) -> None:
        found = self.logged(tracker)
        needs(found is not None, "logged()")
        assert [step for step, _ in found] == [step for step, _ in wanted]
        for (step, values), (_, given) in zip(found, wanted, strict=True):
            assert set(values) == set(given), f"names at step {step}"
            for key, value in given.items():
                np.testing.assert_equal(float(values[key]), float(value), err_msg=f"'{key}' at step {step}")

    def test_it_has_the_role(self, tracker: Any) -> None:
        """Training uses both methods. Fix: add the one that isinstance(tracker, Tracker) misses."""
        assert isinstance(tracker, Tracker)

    def test_numbers_are_kept_with_their_steps(self, tracker: Any) -> None:
        """A curve is drawn from them. Fix: keep each value under its own step, unrounded."""
        rows = [(step, {"loss": 1 / (step + 1), "lr": 1e-5}) for step in (0, 1, 10, 200)]
        for step, values in rows:
            tracker.log(values, step=step)
        self.check_kept(tracker, rows)

    def test_names_may_come_and_go(self, tracker: Any) -> None:
        """Evaluation logs other names than training. Fix: no columns fixed by the first row."""
        rows = [(1, {"train/loss": 0.5}), (2, {"eval/success": 0.25, "eval.length": 12.0}), (3, {"train/loss": 0.25})]
        for step, values in rows:
            tracker.log(values, step=step)
        self.check_kept(tracker, rows)

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_a_diverging_run_is_logged(self, tracker: Any, value: float) -> None:
        """The moment a loss becomes NaN is the one to see. Fix: keep it; do not raise, drop or write zero."""
        tracker.log({"loss": value}, step=1)
        self.check_kept(tracker, [(1, {"loss": value})])

    def test_numbers_of_numpy_are_taken(self, tracker: Any) -> None:
        """Losses are float32 more often than not. Fix: convert with `float`."""
        tracker.log({"loss": np.float32(0.5), "count": np.int64(3)}, step=np.int64(7))
        self.check_kept(tracker, [(7, {"loss": 0.5, "count": 3.0})])

    def test_the_caller_may_use_its_dict_again(self, tracker: Any) -> None:
        """Trainers fill one dict step by step. Fix: copy the values before `log` returns."""
        values = {"loss": 1.0}
        tracker.log(values, step=1)
        values["loss"] = 2.0
        values["more"] = 3.0
        tracker.log(values, step=2)
        self.check_kept(tracker, [(1, {"loss": 1.0}), (2, {"loss": 2.0, "more": 3.0})])

    def test_the_callers_dict_is_left_alone(self, tracker: Any) -> None:
        """It goes to the terminal as well. Fix: add the step and the time to a copy."""
        values = {"loss": 1.0}
        tracker.log(values, step=1)
        assert values == {"loss": 1.0}

    def test_a_step_may_come_twice(self, tracker: Any) -> None:
        """A resumed run repeats its last steps. Fix: accept any order of steps."""
        for step in (5, 5, 3):
            tracker.log({"loss": float(step)}, step=step)

    def test_logging_is_quick(self, tracker: Any) -> None:
        """A tracker that waits for a server slows every step of training. Fix: send from a thread, drop when offline."""
        seconds = median_seconds(lambda: tracker.log({"loss": 1.0}, step=1))
        assert seconds < 0.02, f"a row takes {seconds * 1e3:.0f} ms"

    def test_close_can_be_called_at_any_time(self, tracker: Any) -> None:
        """Clean-up runs after failures too, also with nothing logged. Fix: return when it is closed."""
        tracker.close()
        tracker.close()

    def test_a_closed_run_takes_no_more(self, tracker: Any) -> None:
        """A row that vanishes is looked for. Fix: raise a LeRobotError from `log`."""
        tracker.log({"loss": 1.0}, step=1)
        tracker.close()
        with pytest.raises(LeRobotError):
            tracker.log({"loss": 2.0}, step=2)

    def test_nothing_outlives_close(self, tracker: Any) -> None:
        """A thread that goes on sending keeps the process alive. Fix: flush, join and close."""
        before, files = set(threading.enumerate()), open_files()
        tracker.log({"loss": 1.0}, step=1)
        tracker.close()
        assert not new_threads(before, 0.5)
        left = open_files()
        assert left is None or left <= files, "files are left open"
