"""What client and server say to each other, and how it becomes bytes. *Pure.*

A client asks, the server answers: Hello → Welcome, Observe → Chunk, Reset → Reset, Bye → Bye; anything may be answered by a
Fault. A session is named by its client with 128 random bits; whoever knows the name owns the session.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
import numpy as np
from attrs.validators import and_, deep_iterable, deep_mapping, instance_of, max_len, optional

from lerobot_core.errors import WireError
from lerobot_core.features import PolicyFeature
from lerobot_serve import wire

_ARRAYS = "arrays"


def _is_number(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if type(value) not in (int, float):
        raise TypeError(f"'{attribute.name}' is a number")


def _is_count(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if type(value) is not int or not 0 <= value < 2**53:
        raise TypeError(f"'{attribute.name}' is a whole number from 0")


def _is_text(limit: int) -> Any:
    return and_(instance_of(str), max_len(limit))


_is_name = _is_text(200)
_is_names = deep_iterable(_is_name, and_(instance_of(list), max_len(1000)))
_is_array = instance_of(np.ndarray)


def _is_features(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, dict) or not all(isinstance(feature, PolicyFeature) for feature in value.values()):
        raise TypeError(f"'{attribute.name}' maps names to features")


def _features(value: Any) -> Any:
    """Features from their JSON form; anything else stays as it is for the validator."""
    if not isinstance(value, dict):
        return value
    return {key: _feature(entry) if isinstance(entry, dict) else entry for key, entry in value.items()}


def _feature(entry: dict[str, Any]) -> Any:
    kind, shape = entry.get("type"), entry.get("shape")
    if not isinstance(kind, str) or not isinstance(shape, list) or not all(type(n) is int for n in shape):
        return entry
    return PolicyFeature(type=kind, shape=shape)


@attrs.frozen(kw_only=True)
class Hello:
    """A client presents itself.

    Attributes:
        session: name the client chose for its session.
        token: what the server was started with; empty for none.
        features: what the client's observations hold, in dataset names.
        action_names: what the robot takes, in its order.
        rename: client's name → policy's name, where they differ.
        fps: the client's control rate [Hz].
        seed: of the session's random numbers.
    """

    KIND: ClassVar[str] = "hello"
    session: str = attrs.field(validator=_is_name)
    token: str = attrs.field(default="", validator=_is_name)
    features: dict[str, PolicyFeature] = attrs.field(converter=_features, validator=_is_features)
    action_names: list[str] = attrs.field(validator=_is_names)
    rename: dict[str, str] = attrs.field(factory=dict, validator=deep_mapping(_is_name, _is_name, instance_of(dict)))
    fps: float = attrs.field(validator=_is_number)
    seed: int = attrs.field(default=0, validator=_is_count)


@attrs.frozen(kw_only=True)
class Welcome:
    """The client was let in.

    Attributes:
        policy: type name of the policy.
        chunk_size: most actions in a chunk; None when the policy does not say.
        inputs: policy's name → client's name of every array to send.
        action_names: the robot's names in the order of the chunk's columns.
        max_bytes: longest message the server takes.
    """

    KIND: ClassVar[str] = "welcome"
    policy: str = attrs.field(validator=_is_name)
    chunk_size: int | None = attrs.field(validator=optional(_is_count))
    inputs: dict[str, str] = attrs.field(validator=deep_mapping(_is_name, _is_name, instance_of(dict)))
    action_names: list[str] = attrs.field(validator=_is_names)
    max_bytes: int = attrs.field(validator=_is_count)


@attrs.frozen(kw_only=True)
class Observe:
    """An observation that wants a chunk.

    Attributes:
        session: whose.
        step: control step it was made at: as many actions were executed before it.
        task: what the robot is to do.
        observation: policy's name → array.
    """

    KIND: ClassVar[str] = "observe"
    session: str = attrs.field(validator=_is_name)
    step: int = attrs.field(validator=_is_count)
    task: str = attrs.field(default="", validator=_is_text(10_000))
    observation: Mapping[str, np.ndarray] = attrs.field(
        metadata={_ARRAYS: True}, validator=deep_mapping(_is_name, _is_array, instance_of(dict))
    )


@attrs.frozen(kw_only=True)
class Chunk:
    """The actions for an observation.

    Attributes:
        step: control step of the first action.
        observed: control step of the observation they were made from.
        waited_ms: how long the observation waited for its turn.
        infer_ms: how long the policy took.
        batch: how many sessions it inferred for at once.
        actions: (T, A) float32, robot units.
    """

    KIND: ClassVar[str] = "chunk"
    step: int = attrs.field(validator=_is_count)
    observed: int = attrs.field(validator=_is_count)
    waited_ms: float = attrs.field(validator=_is_number)
    infer_ms: float = attrs.field(validator=_is_number)
    batch: int = attrs.field(validator=_is_count)
    actions: np.ndarray = attrs.field(
        eq=attrs.cmp_using(np.array_equal), metadata={_ARRAYS: False}, validator=_is_array
    )


@attrs.frozen(kw_only=True)
class Reset:
    """A new episode begins: the session forgets what it saw. The answer is the same message."""

    KIND: ClassVar[str] = "reset"
    session: str = attrs.field(validator=_is_name)


@attrs.frozen(kw_only=True)
class Bye:
    """The session ends. The answer is the same message."""

    KIND: ClassVar[str] = "bye"
    session: str = attrs.field(validator=_is_name)


@attrs.frozen(kw_only=True)
class Fault:
    """A request was refused or failed.

    Attributes:
        code: `message`, `token`, `features`, `fps`, `session` (unknown: say Hello again), `full`, `superseded`,
            `stopping` or `policy`.
        message: what was asked and what was found.
        hint: what to do.
    """

    KIND: ClassVar[str] = "fault"
    code: str = attrs.field(validator=_is_name)
    message: str = attrs.field(validator=_is_text(20_000))
    hint: str = attrs.field(default="", validator=_is_text(2_000))


Message = Hello | Welcome | Observe | Chunk | Reset | Bye | Fault
_KINDS: dict[str, type[Message]] = {kind.KIND: kind for kind in (Hello, Welcome, Observe, Chunk, Reset, Bye, Fault)}


class Refused(WireError):
    """A Fault, as an exception on either side."""

    def __init__(self, code: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


def pack(message: Message) -> bytes:
    """The bytes of a message.

    Raises:
        WireError: it holds what cannot be sent.
    """
    fields: dict[str, Any] = {"kind": message.KIND}
    arrays: dict[str, np.ndarray] = {}
    for field in attrs.fields(type(message)):
        value = getattr(message, field.name)
        if _ARRAYS in field.metadata:
            arrays.update(value if field.metadata[_ARRAYS] else {field.name: value})
        elif field.type == "dict[str, PolicyFeature]":
            fields[field.name] = {key: {"type": of.type, "shape": list(of.shape)} for key, of in value.items()}
        else:
            fields[field.name] = value
    return wire.encode(fields, arrays)


def unpack(data: bytes) -> Message:
    """The message in these bytes.

    Raises:
        WireError: they are none.
    """
    fields, arrays = wire.decode(data)
    name = fields.pop("kind", None)
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise WireError(f"bad message: its kind is {name!r:.40} (known: {', '.join(_KINDS)})")
    for field in attrs.fields(kind):
        if _ARRAYS in field.metadata:
            fields[field.name] = arrays if field.metadata[_ARRAYS] else arrays.pop(field.name, None)
            arrays = arrays if not field.metadata[_ARRAYS] else {}
    if arrays:
        raise WireError(f"bad message: {kind.KIND} carries no arrays {', '.join(map(repr, arrays)):.100}")
    try:
        return kind(**fields)
    except (TypeError, ValueError) as failure:
        raise WireError(f"bad message: {kind.KIND}: {failure!s:.200}") from failure
