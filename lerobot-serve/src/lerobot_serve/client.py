"""The robot's end: a Source that takes its actions from a policy server.

The loop's thread queues and pops actions and never waits for the network; a second thread exchanges the newest observation
for a chunk whenever the queue runs low. When the queue is empty there is no action and the robot stays where it is. Knows no
torch, no policy and no robot: features in, named actions out.
"""

from __future__ import annotations

import secrets
import select
import threading
import time
from array import array
from collections.abc import Callable, Mapping
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

import attrs
import numpy as np
import pynng

from lerobot_core import features
from lerobot_core.errors import FeatureError, WireError
from lerobot_core.roles import Action, ActionChunk, Aggregator, Observation
from lerobot_serve import messages
from lerobot_serve.messages import Bye, Chunk, Hello, Message, Observe, Refused, Reset, Welcome
from lerobot_serve.queue import ActionQueue

#: No wait is longer than this, so that Ctrl-C, which pynng hides, and a server that went away are noticed [s].
_SLICE_S = 0.1
#: Longest answer taken from a server.
_MAX_REPLY = 16 << 20
#: Longest inference waited for while the server is there [s].
_PATIENCE_S = 60.0


class Connection:
    """Questions and answers with one server. One thread at a time.

    Args:
        address: `tcp://host:port` or `ipc://path`.
        timeout_s: how long a server may take to appear, or to come back after it was lost [s].
    """

    def __init__(self, address: str, *, timeout_s: float = 5.0) -> None:
        self.address = address
        self.max_bytes: int | None = None
        self._timeout_s = timeout_s
        self._closing = threading.Event()
        self._socket = pynng.Req0(send_timeout=int(_SLICE_S * 1e3), recv_max_size=_MAX_REPLY, reconnect_time_min=50)
        try:
            self._socket.dial(address, block=False)
        except (pynng.NNGException, ValueError) as failure:
            self._socket.close()
            raise WireError(
                f"'{address}' is no address: {failure}", hint="write tcp://host:port or ipc://path"
            ) from failure

    def ask(self, request: Message | bytes, patience_s: float = _PATIENCE_S) -> Message:
        """The answer to a message; a request whose server was lost is sent again to the one that comes back.

        Raises:
            Refused: the answer is a Fault.
            WireError: none came in time, it is no message, or the request is longer than the server takes.
        """
        data = request if isinstance(request, bytes) else messages.pack(request)
        if self.max_bytes is not None and len(data) > self.max_bytes:
            raise WireError(
                f"an observation of {len(data)} bytes, the server at '{self.address}' takes {self.max_bytes}",
                hint="use fewer or smaller pictures",
            )
        self._patiently(lambda: self._socket.send(data), patience_s)
        answer = messages.unpack(self._patiently(self._receive, patience_s))
        if isinstance(answer, messages.Fault):
            raise Refused(answer.code, answer.message, hint=answer.hint)
        return answer

    def cancel(self) -> None:
        """End a running `ask`, from another thread."""
        self._closing.set()

    def close(self) -> None:
        self.cancel()
        self._socket.close()

    def _receive(self) -> bytes:
        # a receive that times out would abandon the request, so it is begun only when there is an answer
        select.select([self._socket.recv_fd], [], [], _SLICE_S)
        return bytes(self._socket.recv(block=False))

    def _patiently(self, call: Callable[[], Any], patience_s: float) -> Any:
        """The result of a socket call, tried again until the server was away for too long."""
        start = seen = time.monotonic()
        while not self._closing.is_set():
            try:
                return call()
            except (pynng.Timeout, pynng.TryAgain):
                now = time.monotonic()
                seen = now if self._socket.pipes else seen
                if now - seen > self._timeout_s or now - start > patience_s:
                    break
            except pynng.NNGException as failure:
                raise WireError(f"the connection to '{self.address}' failed: {failure}") from failure
        raise WireError(
            f"no answer from a policy server at '{self.address}'",
            hint="start one with `lr serve --policy.path=… --address=…`, or look why it stopped",
        )


@attrs.frozen(kw_only=True)
class ClientOptions:
    """How a client runs.

    Attributes:
        fps: control rate [Hz].
        task: what the robot is to do.
        token: what the server was started with.
        chunk_size_threshold: part of the longest chunk seen at which the next one is asked for, 0 to 1.
        actions_per_chunk: actions used of each chunk; all when None.
        rename_map: robot's dataset or action name → policy's name, where they differ.
        timeout_s: how long the server may be away before the run ends [s].
        seed: of the session's random numbers.
    """

    fps: float = 30.0
    task: str = ""
    token: str = ""
    chunk_size_threshold: float = 0.5
    actions_per_chunk: int | None = None
    rename_map: dict[str, str] = attrs.field(factory=dict)
    timeout_s: float = 5.0
    seed: int = 0

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.chunk_size_threshold <= 1:
            raise ValueError(f"chunk_size_threshold is between 0 and 1, got {self.chunk_size_threshold}")
        if self.actions_per_chunk is not None and self.actions_per_chunk < 1:
            raise ValueError(f"actions_per_chunk is at least 1, got {self.actions_per_chunk}")


class PolicyClient:
    """A Source fed by a policy server.

    Args:
        address: of the server.
        observation: the robot's `observation_features`.
        action: the robot's `action_features`.
        aggregator: merges chunks that overlap.
        options: how to run.
    """

    name = "policy client"

    def __init__(
        self,
        address: str,
        observation: Mapping[str, Any],
        action: Mapping[str, Any],
        aggregator: Aggregator,
        options: ClientOptions | None = None,
    ) -> None:
        self.options = options or ClientOptions()
        self._address = address
        self._observed = features.observation_features(observation)
        self._action_names = list(action)
        self._session = secrets.token_hex(16)
        self._queue = ActionQueue(aggregator)
        self._lock = threading.Lock()  # queue, step, longest chunk
        self._wire = threading.Lock()  # the connection
        self._jobs: SimpleQueue[tuple[int, bytes] | None] = SimpleQueue()
        self._busy = False
        self._episode = 0
        self._step = 0
        self._longest = 0
        self._round_trips = array("d")
        self._failure: Exception | None = None
        self._connection: Connection | None = None
        self._thread: threading.Thread | None = None

    # --- life ---------------------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Present the robot to the server.

        Raises:
            WireError: nobody answers, or the server refuses.
            FeatureError: robot and policy do not fit.
        """
        self._connection = Connection(self._address, timeout_s=self.options.timeout_s)
        try:
            self._greet()
        except BaseException:
            self._connection.close()
            self._connection = None
            raise
        self._thread = threading.Thread(target=self._work, name="lr-client", daemon=True)
        self._thread.start()

    def disconnect(self) -> None:
        """Leave the server. Idempotent; a server that is gone is not waited for."""
        if self._connection is None:
            return
        connection, self._connection = self._connection, None
        self._jobs.put(None)
        if self._busy:
            connection.cancel()
        if self._thread is not None:
            self._thread.join()
        if self._failure is None and not self._busy:
            with suppress(WireError):  # a server that does not hear it forgets silent sessions by itself
                connection.ask(Bye(session=self._session), patience_s=0.3)
        connection.close()

    def reset(self) -> None:
        """Begin a new episode: the session forgets, the queue is emptied, step and latencies start over.

        Raises:
            WireError: the server does not answer.
        """
        with self._wire:
            self._raise_failure()
            self._ask(messages.pack(Reset(session=self._session)))
            with self._lock:
                self._episode += 1
                self._queue.clear()
                self._step = 0
                self._round_trips = array("d")

    # --- the loop's thread --------------------------------------------------------------------------------------------

    def act(self, observation: Observation) -> tuple[Action | None, Mapping[str, Any]]:
        """The queued action of this control step, or None while there is none.

        Raises:
            WireError: the server is gone for longer than the time-out, or refused an observation.
        """
        self._raise_failure()
        with self._lock:
            step = self._step
            vector = self._queue.pop(step)
            if vector is not None:
                self._step += 1
            queued = len(self._queue)
            wanted = not self._busy and queued <= self.options.chunk_size_threshold * self._longest
        if wanted:
            self._busy = True
            self._jobs.put((self._episode, self._observe(observation, step)))
        info = {"step": step, "queued": queued, "idle": vector is None}
        return None if vector is None else features.scatter(vector, self._welcome.action_names), info

    def health(self) -> dict[str, float | int | None]:
        """Executed steps, chunks received and round-trip times [ms] since the last reset."""
        with self._lock:
            times = np.asarray(self._round_trips) * 1e3
            p50, p99 = np.percentile(times, [50, 99]) if len(times) else (None, None)
            return {
                "executed": self._step,
                "chunks": len(times),
                "latency_p50_ms": None if p50 is None else float(p50),
                "latency_p99_ms": None if p99 is None else float(p99),
            }

    def _observe(self, observation: Observation, step: int) -> bytes:
        # packed here, not in the other thread: a camera may write its next picture over this one
        frame = features.frame(observation, self._observed)
        arrays = {need: frame[have] for need, have in self._welcome.inputs.items()}
        return messages.pack(Observe(session=self._session, step=step, task=self.options.task, observation=arrays))

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    # --- the other thread ---------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            episode, data = job
            try:
                with self._wire:
                    if episode == self._episode:  # not an observation left over from before a reset
                        self._exchange(data)
            except Exception as failure:  # raised in the loop's thread by the next act
                self._failure = failure
                return
            self._busy = False

    def _exchange(self, data: bytes) -> None:
        start = time.perf_counter()
        answer = self._ask(data)
        if not isinstance(answer, Chunk) or answer.actions.ndim != 2:
            raise WireError(f"the server at '{self._address}' answered '{answer.KIND}' to an observation")
        if answer.actions.shape[1] != len(self._welcome.action_names):
            raise FeatureError(
                f"a chunk of {answer.actions.shape[1]} values per action for {', '.join(self._welcome.action_names)}"
            )
        chunk = ActionChunk(
            actions=answer.actions[: self.options.actions_per_chunk], step=answer.step, observed=answer.observed
        )
        with self._lock:
            self._round_trips.append(time.perf_counter() - start)
            self._longest = max(self._longest, len(chunk.actions))
            try:
                self._queue.merge(chunk, self._step)
            except ValueError as failure:
                raise WireError(f"a chunk that cannot be executed: {failure}") from failure

    def _ask(self, data: bytes) -> Message:
        """Ask. A server that is stopping may be about to be started anew; one that was is greeted again first."""
        connection = self._present()
        deadline = time.monotonic() + self.options.timeout_s
        unknown = False
        while True:
            try:
                if unknown:
                    self._greet()
                return connection.ask(data)
            except Refused as refusal:
                if refusal.code not in ("session", "stopping") or time.monotonic() > deadline:
                    raise
                unknown = refusal.code == "session"
                time.sleep(0.0 if unknown else _SLICE_S)

    def _greet(self) -> None:
        connection = self._present()
        hello = Hello(
            session=self._session,
            token=self.options.token,
            features=features.policy_features(self._observed),
            action_names=self._action_names,
            rename=self.options.rename_map,
            fps=self.options.fps,
            seed=self.options.seed,
        )
        try:
            answer = connection.ask(hello)
        except Refused as refusal:
            if refusal.code == "features":
                raise FeatureError(refusal.message, hint=refusal.hint) from None
            raise
        if not isinstance(answer, Welcome):
            raise WireError(f"the server at '{self._address}' answered '{answer.KIND}' to a greeting")
        self._welcome = answer
        connection.max_bytes = answer.max_bytes

    def _present(self) -> Connection:
        if self._connection is None:
            raise WireError("the policy client is not connected", hint="call connect() first")
        return self._connection
