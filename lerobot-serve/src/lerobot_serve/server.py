"""A policy for several robots at once, over pynng (request/reply).

Each client has its own session; one policy serves them all, in batches. Loopback unless told otherwise, and beyond it only
with a token. Whatever a client sends costs that client its own request at most. Knows no torch and no robot.
"""

from __future__ import annotations

import hmac
import logging
import threading
import time
from types import TracebackType
from typing import Any

import attrs
import numpy as np
import pynng

from lerobot_core.errors import FeatureError, LeRobotError, WireError
from lerobot_core.features import ACTION, PolicyFeature, match, rename
from lerobot_core.roles import Policy
from lerobot_serve import messages, wire
from lerobot_serve.addresses import is_local
from lerobot_serve.batcher import Batcher
from lerobot_serve.messages import Bye, Fault, Hello, Message, Observe, Refused, Reset, Welcome

log = logging.getLogger(__name__)

#: Requests worked on at once; more wait in their sockets.
_WORKERS = 16
_MAX_SESSIONS = 64
#: How often a worker looks whether the server is closing; how long it keeps an answer nobody fetches [ms].
_SLICE_MS, _SEND_MS = 100, 1000
#: A session this long silent may give way to a new one [s].
_IDLE_S = 60.0


@attrs.define
class _Session:
    """One client: the policy's state for it, and when it was last heard of (monotonic [s])."""

    state: Any
    heard: float


class PolicyServer:
    """Serves a policy from `start()` to `close()`.

    Args:
        policy: any Policy.
        address: `tcp://host:port` (port 0 picks a free one) or `ipc://path`.
        token: what clients must know; required for an address other machines can reach.
        fps: control rate the policy was made for; clients at another rate are refused [Hz].
        name: the policy's type name, told to clients.
        max_bytes: longest message taken.
    """

    def __init__(
        self,
        policy: Policy,
        address: str = "tcp://127.0.0.1:8080",
        *,
        token: str = "",
        fps: float | None = None,
        name: str = "",
        max_bytes: int = wire.MAX_BYTES,
    ) -> None:
        if not token and not is_local(address):
            raise WireError(
                f"'{address}' can be reached by other machines, and no token protects it",
                hint="add --token=…, or use tcp://127.0.0.1:… and a tunnel",
            )
        self.address = address
        self._policy = policy
        self._token = token
        self._fps = fps
        self._name = name or type(policy).__name__.lower()
        self._max_bytes = max_bytes
        self._sessions: dict[str, _Session] = {}
        self._door = threading.Lock()
        self._closing = threading.Event()

    def start(self) -> None:
        """Listen and answer from threads; `address` then holds the real port.

        Raises:
            WireError: nobody can listen at this address.
        """
        self._socket = pynng.Rep0(recv_max_size=self._max_bytes, recv_timeout=_SLICE_MS, send_timeout=_SEND_MS)
        try:
            self.address = self._socket.listen(self.address).url
        except (pynng.NNGException, ValueError) as failure:
            self._socket.close()
            raise WireError(
                f"cannot listen at '{self.address}': {failure}",
                hint="tcp://host:port or ipc://path, not in use by another",
            ) from failure
        self._batcher = Batcher(self._policy)
        self._threads = [threading.Thread(target=self._work, name="lr-serve", daemon=True) for _ in range(_WORKERS)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop listening; clients that wait get a Fault."""
        self._closing.set()
        self._batcher.close()
        # the socket goes last: libnng aborts the process when a socket is closed under a worker that sends
        for thread in self._threads:
            thread.join()
        self._socket.close()

    def __enter__(self) -> PolicyServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- one request --------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        with self._socket.new_context() as context:
            while not self._closing.is_set():
                try:
                    data = context.recv()
                    context.send(self._answer(data))
                except pynng.Timeout:
                    continue  # nobody asks at present, or does not fetch the answer
                except pynng.NNGException as failure:  # this client is gone; the next one is not
                    log.info("a client was lost: %s", failure)

    def _answer(self, data: bytes) -> bytes:
        try:
            return messages.pack(self._reply(messages.unpack(data)))
        except Refused as refusal:
            fault = Fault(code=refusal.code, message=refusal.message, hint=refusal.hint)
        except LeRobotError as failure:
            code = "features" if isinstance(failure, FeatureError) else "message"
            fault = Fault(code=code, message=failure.message[:20_000], hint=failure.hint[:2_000])
        except Exception as failure:  # a bug, here or in the policy: the client gets its name, the log the trace
            log.exception("a request failed")
            fault = Fault(code="policy", message=f"the server failed: {type(failure).__name__}: {failure!s:.1000}")
        return messages.pack(fault)

    def _reply(self, request: Message) -> Message:
        match request:
            case Hello():
                return self._greet(request)
            case Observe():
                session = self._session(request.session)
                self._check(request)
                return self._batcher.submit(
                    session.state, request.observation, step=request.step, task=request.task
                ).result()
            case Reset():
                session = self._session(request.session)
                with self._batcher.lock:
                    session.state.reset()
                return request
            case Bye():
                with self._door:
                    self._sessions.pop(request.session, None)
                return request
        raise Refused("message", f"a server does not take '{request.KIND}'")

    # --- the door -----------------------------------------------------------------------------------------------------

    def _greet(self, hello: Hello) -> Welcome:
        if not hmac.compare_digest(hello.token.encode(), self._token.encode()):
            raise Refused(
                "token",
                "the server's token is another" if hello.token else "the server wants a token",
                hint="give the --token the server was started with",
            )
        if self._fps is not None and hello.fps != self._fps:
            raise Refused(
                "fps",
                f"the policy runs at {self._fps:g} Hz, the robot at {hello.fps:g} Hz",
                hint=f"--fps={self._fps:g}",
            )
        inputs = self._inputs(hello)
        names = self._action_names(hello)
        with self._batcher.lock:
            state = self._policy.session(hello.seed)
        self._admit(hello.session, state)
        size = getattr(self._policy.config, "chunk_size", None)
        return Welcome(
            policy=self._name,
            chunk_size=size if isinstance(size, int) else None,
            inputs=inputs,
            action_names=names,
            max_bytes=self._max_bytes,
        )

    def _inputs(self, hello: Hello) -> dict[str, str]:
        known = {client: policy for client, policy in hello.rename.items() if client not in hello.action_names}
        return match(hello.features, self._policy.input_features, known, what="the robot's observation")

    def _action_names(self, hello: Hello) -> list[str]:
        """The robot's names in the policy's order."""
        need = {key: feature for key, feature in self._policy.output_features.items() if key == ACTION}
        have = {ACTION: PolicyFeature(type="ACTION", shape=(len(hello.action_names),))}
        match(have, need, what=f"the robot's action ({', '.join(hello.action_names)})")
        if self._policy.action_names is None:
            return hello.action_names
        ours = rename({name: name for name in hello.action_names}, hello.rename)
        missing = [name for name in self._policy.action_names if name not in ours]
        if missing:
            raise FeatureError(
                f"the policy moves {', '.join(missing)}, the robot has {', '.join(ours)}",
                hint="use --rename_map={robot's name: policy's name}, or a policy trained on this robot",
            )
        return [ours[name] for name in self._policy.action_names]

    def _admit(self, name: str, state: Any) -> None:
        now = time.monotonic()
        with self._door:
            if name not in self._sessions and len(self._sessions) >= _MAX_SESSIONS:
                oldest = min(self._sessions, key=lambda known: self._sessions[known].heard)
                if now - self._sessions[oldest].heard < _IDLE_S:
                    raise Refused(
                        "full", f"the server has {_MAX_SESSIONS} clients already", hint="start another server"
                    )
                del self._sessions[oldest]
            self._sessions[name] = _Session(state=state, heard=now)

    def _session(self, name: str) -> _Session:
        with self._door:
            session = self._sessions.get(name)
            if session is None:
                raise Refused("session", "the server does not know this session", hint="connect again")
            session.heard = time.monotonic()
            return session

    def _check(self, request: Observe) -> None:
        """Arrays are what Hello promised: the policy sees nothing else."""
        for key, feature in self._policy.input_features.items():
            array = request.observation.get(key)
            shape = (*feature.shape[1:], feature.shape[0]) if feature.type == "VISUAL" else feature.shape
            if array is None or array.shape != tuple(shape) or not _is_dtype(array, feature):
                found = "nothing" if array is None else f"{array.dtype.name}{list(array.shape)}"
                raise Refused("features", f"'{key}' is {feature}, the observation holds {found}")


def _is_dtype(array: np.ndarray, feature: PolicyFeature) -> bool:
    """Pictures are uint8, depth uint16 [mm]; everything else is float32."""
    if feature.type != "VISUAL":
        return array.dtype == np.float32
    return array.dtype == np.uint8 or (array.dtype == np.uint16 and feature.shape[0] == 1)
