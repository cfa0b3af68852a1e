"""Gathers the observations that several clients wait on, and asks the policy once for all of them.

Nobody is kept waiting for company: whatever arrived while the policy was busy is the next batch. Knows no sockets.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

import attrs
import numpy as np

from lerobot_core.errors import LeRobotError
from lerobot_core.roles import ActionChunk, Policy
from lerobot_serve.messages import Chunk, Refused

log = logging.getLogger(__name__)


@attrs.frozen(kw_only=True)
class _Waiting:
    session: Any
    task: str
    observation: Mapping[str, np.ndarray]
    step: int
    since: float
    answer: Future[Chunk]


class Batcher:
    """One thread that owns the policy while it infers."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        #: held while the policy or a session is touched
        self.lock = threading.Lock()
        self._waiting: dict[int, _Waiting] = {}
        self._running: list[_Waiting] = []
        self._news = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="lr-infer", daemon=True)
        self._thread.start()

    def submit(self, session: Any, observation: Mapping[str, np.ndarray], *, step: int, task: str) -> Future[Chunk]:
        """Queue an observation. One of the same session that still waits is given up: the newest wins."""
        waiting = _Waiting(
            session=session, task=task, observation=observation, step=step, since=time.perf_counter(), answer=Future()
        )
        with self._news:
            if self._closed:
                raise Refused("stopping", "the server is stopping")
            older = self._waiting.pop(id(session), None)
            self._waiting[id(session)] = waiting
            self._news.notify()
        if older is not None:
            older.answer.set_exception(Refused("superseded", "a newer observation of this session came"))
        return waiting.answer

    def close(self) -> None:
        """Refuse what waits or runs; an inference that does not end soon is left to itself."""
        with self._news:
            self._closed = True
            left = [*self._waiting.values(), *self._running]
            self._waiting, self._running = {}, []
            self._news.notify()
        for waiting in left:
            waiting.answer.set_exception(Refused("stopping", "the server is stopping"))
        self._thread.join(timeout=0.5)

    def _work(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
                self._running, self._waiting = list(self._waiting.values()), {}
                batch = self._running
            try:
                answers: list[Chunk] | Exception = self._infer(batch)
            except Exception as failure:  # becomes the answer of every client in this batch
                if not isinstance(failure, LeRobotError):
                    log.exception("the policy failed")
                answers = failure
            with self._news:
                done, self._running = self._running, []  # empty when the server closed meanwhile
            for index, waiting in enumerate(done):
                if isinstance(answers, Exception):
                    waiting.answer.set_exception(answers)
                else:
                    waiting.answer.set_result(answers[index])

    def _infer(self, batch: list[_Waiting]) -> list[Chunk]:
        with self.lock:
            start = time.perf_counter()
            for waiting in batch:
                waiting.session.task = waiting.task
            chunks = self._policy.infer(
                [waiting.session for waiting in batch],
                [waiting.observation for waiting in batch],
                [waiting.step for waiting in batch],
            )
            infer_ms = (time.perf_counter() - start) * 1e3
        return [
            _chunk(chunk, waited_ms=(start - waiting.since) * 1e3, infer_ms=infer_ms, batch=len(batch))
            for waiting, chunk in zip(batch, chunks, strict=True)
        ]


def _chunk(chunk: ActionChunk, **timings: Any) -> Chunk:
    actions = np.asarray(chunk.actions, dtype=np.float32)
    return Chunk(step=int(chunk.step), observed=int(chunk.observed), actions=actions, **timings)
