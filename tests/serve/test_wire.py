"""Bytes of messages: round trips, and that nothing received can do more than raise WireError."""

from __future__ import annotations

import json
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from lerobot_core.errors import WireError
from lerobot_core.features import PolicyFeature
from lerobot_serve import messages, wire

names = st.text(min_size=1, max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
arrays = st.sampled_from(sorted(wire.DTYPES)).flatmap(
    lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=0, max_dims=4, max_side=5))
)
good = st.tuples(st.dictionaries(names, json_values, max_size=4), st.dictionaries(names, arrays, max_size=4))

CHUNK = messages.Chunk(
    step=3, observed=3, waited_ms=0.1, infer_ms=2.0, batch=2, actions=np.ones((5, 6), dtype=np.float32)
)
HELLO = messages.Hello(
    session="a" * 32,
    features={"observation.state": PolicyFeature(type="STATE", shape=(6,))},
    action_names=["a.pos"],
    rename={"x": "y"},
    fps=30,
)
OBSERVE = messages.Observe(session="s", step=7, task="pick", observation={"observation.state": np.ones(6, np.float32)})


@given(good)
def test_what_is_encoded_comes_back(content):
    fields, sent = content
    got_fields, got = wire.decode(wire.encode(fields, sent))
    assert got_fields == fields
    assert got.keys() == sent.keys()
    for name, array in sent.items():
        assert got[name].dtype == array.dtype
        assert got[name].shape == array.shape
        assert got[name].tobytes() == array.tobytes()


def test_arrays_are_views_of_what_was_received():
    data = wire.encode({}, {"picture": np.zeros((480, 640, 3), np.uint8)})
    _, arrays = wire.decode(data)
    assert np.shares_memory(arrays["picture"], np.frombuffer(data, np.uint8))
    assert not arrays["picture"].flags.writeable


def test_a_strided_array_is_sent_by_its_values():
    picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)[::2, ::-1]
    assert (wire.decode(wire.encode({}, {"p": picture}))[1]["p"] == picture).all()


@settings(max_examples=400)
@given(st.binary(max_size=400))
def test_noise_is_refused(data):
    with pytest.raises(WireError):
        messages.unpack(data)


@settings(max_examples=600)
@given(
    st.sampled_from([messages.pack(CHUNK), messages.pack(HELLO), messages.pack(OBSERVE)]),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, 10_000),
)
def test_damage_raises_nothing_but_wire_errors(data, flips, cut):
    damaged = bytearray(data)
    for position, value in flips:
        damaged[position % len(damaged)] = value
    for received in (bytes(damaged), bytes(damaged[: cut % len(damaged)])):
        try:
            messages.unpack(received)
        except WireError:
            continue


def _raw(metadata: bytes, body: bytes = b"", *, version: int = wire.VERSION, announced: int | None = None) -> bytes:
    metadata += b" " * (-len(metadata) % 8)
    length = len(body) if announced is None else announced
    return struct.pack("<4sHHII", b"LRSV", version, 0, len(metadata), length) + metadata + body


def _described(*entries) -> bytes:
    return json.dumps({"fields": {}, "arrays": list(entries)}).encode()


@pytest.mark.parametrize(
    "data",
    [
        _raw(_described(["x", "object", [1]]), bytes(8)),
        _raw(_described(["x", "O", [1]]), bytes(8)),
        _raw(_described(["x", "bool", [8]]), bytes(8)),
        _raw(_described(["x", "<f4", [2]]), bytes(8)),
        _raw(_described(["x", ["float32"], [2]]), bytes(8)),
        _raw(_described(["x", "float32", [2**31, 2**31]]), bytes(8)),
        _raw(_described(["x", "float32", [3]]), bytes(8)),
        _raw(_described(["x", "float64", [2**20, 2**20]]), bytes(8)),
        _raw(_described(["x", "float32", [-2]]), bytes(8)),
        _raw(_described(["x", "float32", [True, 2]]), bytes(8)),
        _raw(_described(["x", "float32", [2.0]]), bytes(8)),
        _raw(_described(["x", "float32", [0]]), b""),
        _raw(_described(["x", "uint8", [1] * 9]), bytes(8)),
        _raw(_described(["x", "uint8", [8]], ["x", "uint8", [8]]), bytes(16)),
        _raw(_described(["x", "uint8", [8]]), bytes(16)),
        _raw(_described(*[["x", "uint8", [1]]] * 65), bytes(8 * 65)),
        _raw(b"[" * 100_000),
        _raw(b'{"fields": {}, "arrays": [], "more": 1}'),
        _raw(b'{"fields": {"a": NaN}, "arrays": []}'),
        _raw('{"fields": {}, "arrays": []}'.encode("utf-16")),
        _raw(b'{"fields": {"a": ' + b"9" * 5000 + b'}, "arrays": []}'),
        _raw(b" " * (wire.MAX_METADATA + 8)),
        _raw(_described(), announced=2**32 - 8),
        b"",
        b"LRSV",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_impossible_messages_are_refused_without_making_anything_large(data):
    tracemalloc.start()
    with pytest.raises(WireError):
        wire.decode(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_another_version_is_named():
    with pytest.raises(WireError, match=r"speaks version 9 .* version 1"):
        wire.decode(_raw(_described(), version=9))


@pytest.mark.parametrize(
    "array", [np.array(["text"]), np.array([None]), np.zeros((0, 3), np.float32), np.array([True]), np.zeros((1,) * 9)]
)
def test_arrays_that_are_no_numbers_are_not_sent(array):
    with pytest.raises(WireError, match="cannot be sent"):
        wire.encode({}, {"x": array})


def test_caps_hold_on_the_sending_side_too():
    with pytest.raises(WireError, match="too large"):
        wire.encode({"text": "x" * wire.MAX_METADATA})
    with pytest.raises(WireError, match="no JSON"):
        wire.encode({"number": float("nan")})


@pytest.mark.parametrize(
    "message",
    [
        HELLO,
        CHUNK,
        messages.Welcome(policy="act", chunk_size=None, inputs={"a": "b"}, action_names=["j"], max_bytes=100),
        messages.Reset(session="s"),
        messages.Bye(session="s"),
        messages.Fault(code="token", message="no", hint="yes"),
    ],
)
def test_messages_round_trip(message):
    assert messages.unpack(messages.pack(message)) == message


def test_an_observation_round_trips():
    got = messages.unpack(messages.pack(OBSERVE))
    assert (got.session, got.step, got.task) == ("s", 7, "pick")
    assert (got.observation["observation.state"] == 1).all()


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"kind": "observe", "session": "s", "step": -1}, "whole number"),
        ({"kind": "observe", "session": "s", "step": True}, "whole number"),
        ({"kind": "observe", "session": 3, "step": 1}, "session"),
        ({"kind": "observe", "session": "s" * 300, "step": 1}, "session"),
        ({"kind": "observe", "session": "s"}, "step"),
        ({"kind": "observe", "session": "s", "step": 1, "shell": "rm"}, "shell"),
        ({"kind": "chunk", "step": 1, "observed": 1, "waited_ms": 0, "infer_ms": 0, "batch": 1}, "actions"),
        ({"kind": "hello", "session": "s", "features": {"a": {"type": 1}}, "action_names": [], "fps": 1}, "features"),
        ({"kind": "explode"}, "kind"),
        ({"kind": ["hello"]}, "kind"),
        ({}, "kind"),
    ],
)
def test_messages_that_are_none_are_refused(fields, problem):
    with pytest.raises(WireError, match=problem):
        messages.unpack(wire.encode(fields))
