"""The packets of an MP4 file from its sample tables: `moov` and, of a file in fragments, each `moof`. No picture is read.

Knows boxes, no codecs. Numbers of a file are held against its size before memory is taken for them. Source: ISO/IEC
14496-12:2015, 8.6 (times and key frames), 8.7 (sizes and places), 8.8 (fragments); edits as FFmpeg takes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

#: Gives `size` bytes from an offset; fewer where the file ends.
Read = Callable[[int, int], bytes]

#: Most bytes of a `moov` or `moof`, and most packets: hundred hours of video at 60 Hz have 22 million.
_BOX, _PACKETS = 1 << 30, 1 << 25

#: Ticks and places from here on are nonsense, and would overflow.
_FAR = 1 << 60

_TFHD = ((0x1, 8), (0x2, 4), (0x8, 4), (0x10, 4), (0x20, 4))  # flags and bytes of what may follow the track's number
_BASE, _DURATION, _SIZE, _FLAGS = 0x1, 0x8, 0x10, 0x20
_OWN_BASE = 0x20000

#: Flags of a sample that is no place to begin: it is not in sync, or depends on others.
_LEANS = 0x10000 | 0x1000000


class Unusual(Exception):
    """The boxes say it in a way that is not read here, or are broken."""


class Samples(NamedTuple):
    """Packets in decode order: place and size [bytes], when each is shown [ticks], whether decoding can begin there (N,)."""

    pos: np.ndarray
    size: np.ndarray
    pts: np.ndarray
    is_key: np.ndarray


class _Box(NamedTuple):
    """A box within bytes: its kind, and what is in it."""

    kind: bytes
    data: memoryview


class _Track(NamedTuple):
    """The video track of a `moov`.

    Attributes:
        number: of the track.
        shown: ticks [from, up to) of what is to be shown.
        shift: what is added to a packet's tick to have when it is shown.
        defaults: ticks, size and flags of a fragment's packets where nothing else is said.
        samples: the packets that `moov` speaks of.
        end: tick at which they end.
    """

    number: int
    shown: tuple[float, float]
    shift: int
    defaults: tuple[int, int, int]
    samples: Samples
    end: int


def packets(read: Read, size: int) -> tuple[dict[str, np.ndarray], int]:
    """The packets of the first video track: `pos`, `size`, `pts`, `is_key` and `is_shown`, as `PacketTable` has them.

    Args:
        read: gives the file's bytes.
        size: of the file [bytes].

    Returns:
        and how many bytes from the beginning on hold `moov` and a packet that `moov` does not speak of; else all.

    Raises:
        Unusual: what is needed is not there, or is said in a way that is not read here.
    """
    track, found, count = None, list[Samples](), 0
    end, head = 0, size
    for kind, start, data in _top(read, size):
        if kind == b"moov":
            track = _track(data, size)
            found, end = [track.samples], track.end
        elif track is None:
            raise Unusual("fragments come before what they are fragments of")
        else:
            part, end = _fragment(data, start, track, end, size)
            found.append(part)
            head = min([head, *(part.pos + part.size)[:1].tolist()])
        count += len(found[-1].pos)
        _require(count <= _PACKETS, f"more than {_PACKETS} packets")
    if track is None:
        raise Unusual("there is no 'moov'")
    pos, sizes, pts, is_key = (np.concatenate(parts) for parts in zip(*found, strict=True))
    _require(bool((pos >= 0).all()), "packets before the file begins")
    first, stop = track.shown
    is_shown = (pts >= first) & (pts < stop)
    return {"pos": pos, "size": sizes, "pts": pts + track.shift, "is_key": is_key, "is_shown": is_shown}, head


def _require(fine: bool, said: str) -> None:
    if not fine:
        raise Unusual(said)


# --- boxes ------------------------------------------------------------------------------------------------------------


def _top(read: Read, size: int) -> Iterator[tuple[bytes, int, memoryview]]:
    """Every whole `moov` and `moof` of a file with its place; of all other boxes only the heads are read."""
    at = 0
    while at + 8 <= size:
        head = read(at, min(16, size - at))
        length, kind, skip = int.from_bytes(head[:4], "big"), head[4:8], 8
        if length == 1:
            length, skip = int.from_bytes(head[8:16], "big"), 16
        elif length == 0:
            length = size - at
        _require(length >= skip, f"a box of {length} bytes at {at}")
        if at + length > size and kind != b"mdat":
            return  # cut off while it was written
        if kind in (b"moov", b"moof"):
            _require(length <= _BOX, f"a '{kind.decode()}' of {length} bytes")
            yield kind, at, memoryview(read(at + skip, length - skip))
        at += length


def _boxes(data: memoryview) -> Iterator[_Box]:
    at = 0
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        _require(8 <= length <= len(data) - at, f"a box of {length} bytes within {len(data) - at}")
        yield _Box(bytes(data[at + 4 : at + 8]), data[at + 8 : at + length])
        at += length


def _inside(data: memoryview, *path: bytes) -> memoryview | None:
    """What is in the first box of each kind, one in the other; None where there is none."""
    for kind in path:
        found = next((box.data for box in _boxes(data) if box.kind == kind), None)
        if found is None:
            return None
        data = found
    return data


def _needed(data: memoryview, *path: bytes) -> memoryview:
    found = _inside(data, *path)
    if found is None:
        raise Unusual(f"there is no '{b'/'.join(path).decode()}'")
    return found


def _number(data: memoryview, at: int, size: int = 4) -> int:
    _require(at + size <= len(data), "a box ends early")
    return int.from_bytes(data[at : at + size], "big")


def _is_wide(data: memoryview) -> bool:
    """Whether the version of a box is the one with times of 64 bits."""
    return _number(data, 0, 1) == 1


def _tick(value: int) -> int:
    """A tick, or a place in a file, that can be reckoned with."""
    _require(abs(value) < _FAR, f"a number of {value}")
    return value


def _numbers(data: memoryview, at: int, columns: int = 1, kind: str = ">u4") -> np.ndarray:
    """A table (rows, columns) int64 whose number of rows is at an offset, and which follows it."""
    rows, width = _number(data, at), columns * np.dtype(kind).itemsize
    _require(at + 4 + rows * width <= len(data), f"a table of {rows} rows in {len(data)} bytes")
    return np.frombuffer(data, kind, rows * columns, at + 4).astype(np.int64).reshape(rows, columns)


# --- moov -------------------------------------------------------------------------------------------------------------


def _track(moov: memoryview, size: int) -> _Track:
    for box in _boxes(moov):
        if box.kind == b"trak" and _needed(box.data, b"mdia", b"hdlr")[8:12] == b"vide":
            break
    else:
        raise Unusual("there is no video track")
    head, media, movie = _needed(box.data, b"tkhd"), _needed(box.data, b"mdia", b"mdhd"), _needed(moov, b"mvhd")
    number = _number(head, 20 if _is_wide(head) else 12)
    rates = [_number(data, 20 if _is_wide(data) else 12) for data in (media, movie)]
    _require(min(rates) > 0, "no ticks in a second")
    samples, end = _samples(_needed(box.data, b"mdia", b"minf", b"stbl"), size)
    defaults = (0, 0, 0)
    for extends in _boxes(_inside(moov, b"mvex") or memoryview(b"")):
        if extends.kind == b"trex" and _number(extends.data, 4) == number:
            defaults = (_number(extends.data, 12), _number(extends.data, 16), _number(extends.data, 20))
    shown, shift = _edit(_inside(box.data, b"edts", b"elst"), *rates)
    return _Track(number, shown, shift, defaults, samples, end)


def _edit(elst: memoryview | None, rate: int, movie_rate: int) -> tuple[tuple[float, float], int]:
    """Which ticks are shown, and what is added to them: one cut at most, after a pause at most."""
    shown = (-np.inf, np.inf)
    if elst is None:
        return shown, 0
    if _is_wide(elst):
        parts = _numbers(elst, 4, 5, ">i4")
        rows = parts[:, [0, 2]] << 32 | parts[:, [1, 3]] & 0xFFFFFFFF  # duration and start
    else:
        rows = _numbers(elst, 4, 3, ">i4")[:, :2]
        rows[:, 0] &= 0xFFFFFFFF
    pause = 0
    if len(rows) and rows[0, 1] == -1:
        pause, rows = round(_tick(int(rows[0, 0])) * rate / movie_rate), rows[1:]
    _require(len(rows) <= 1, "a video put together of several parts of itself")
    if not len(rows):
        return shown, _tick(pause)
    duration, start = rows[0].tolist()
    stop = start + round(_tick(duration) * rate / movie_rate) if duration else np.inf
    return (start, stop), _tick(pause - start)


def _samples(stbl: memoryview, size: int) -> tuple[Samples, int]:
    """The packets of a sample table, and the tick at which they end."""
    stsz = _needed(stbl, b"stsz")
    same, count = _number(stsz, 4), _number(stsz, 8)
    _require(count <= min(_PACKETS, size), f"{count} packets in a file of {size} bytes")
    sizes = np.full(count, same, np.int64) if same else _numbers(stsz, 8)[:, 0]
    durations = _spread(_numbers(_needed(stbl, b"stts"), 4, 2), count, "times")
    dts = np.cumsum(durations) - durations
    later = _inside(stbl, b"ctts")
    pts = dts if later is None else dts + _spread(_numbers(later, 4, 2, ">i4"), count, "times of showing")
    is_key = np.ones(count, bool)
    if (keys := _inside(stbl, b"stss")) is not None:
        numbers = _numbers(keys, 4)[:, 0] - 1
        _require(bool(((numbers >= 0) & (numbers < count)).all()), "key frames that are not there")
        is_key = np.zeros(count, bool)
        is_key[numbers] = True
    end = int(durations.sum())
    return Samples(_places(stbl, sizes), sizes, pts, is_key), end


def _spread(rows: np.ndarray, count: int, what: str) -> np.ndarray:
    """Values (count,) of runs (rows, 2), each of a number of packets and a value."""
    total = rows[:, 0].sum()
    _require(bool((rows[:, 0] >= 0).all()) and total == count, f"{what} of {total} of {count} packets")
    return np.repeat(rows[:, 1], rows[:, 0])


def _places(stbl: memoryview, sizes: np.ndarray) -> np.ndarray:
    """First byte of each packet (N,): packets lie in chunks, runs of chunks have equally many."""
    wide = _inside(stbl, b"co64")
    chunks = _numbers(_needed(stbl, b"stco"), 4)[:, 0] if wide is None else _numbers(wide, 4, 1, ">u8")[:, 0]
    runs = _numbers(_needed(stbl, b"stsc"), 4, 3)
    firsts = np.append(runs[:, 0] - 1, len(chunks))
    _require(bool((np.diff(firsts) >= 0).all()) and firsts[0] == 0, "chunks out of order")
    held = np.repeat(runs[:, 1], np.diff(firsts))  # packets of each chunk
    _require(int(held.sum()) == len(sizes), f"chunks of {held.sum()} of {len(sizes)} packets")
    ends = np.cumsum(sizes)
    starts = np.append(0, ends)[np.cumsum(held) - held]  # bytes before each chunk
    return (ends - sizes) + np.repeat(chunks - starts, held)


# --- moof -------------------------------------------------------------------------------------------------------------


def _fragment(moof: memoryview, start: int, track: _Track, end: int, size: int) -> tuple[Samples, int]:
    """The packets of a fragment that are in the file, and the tick at which it ends.

    Args:
        moof: what is in the box.
        start: its place in the file.
        track: what it goes on with.
        end: the tick at which what came before ends.
        size: of the file.
    """
    parts = [Samples(*(np.empty(0, kind) for kind in (np.int64, np.int64, np.int64, bool)))]
    for order, traf in enumerate(box.data for box in _boxes(moof) if box.kind == b"traf"):
        head = _needed(traf, b"tfhd")
        if _number(head, 4) != track.number:
            continue
        flags, at, given = _number(head, 1, 3), 8, dict[int, int]()
        for flag, width in _TFHD:
            if flags & flag:
                given[flag] = _number(head, at, width)
                at += width
        _require(order == 0 or bool(flags & (_BASE | _OWN_BASE)), "a fragment that begins where another track's ends")
        base = place = given.get(_BASE, start)
        names = (_DURATION, _SIZE, _FLAGS)
        defaults = [given.get(name, usual) for name, usual in zip(names, track.defaults, strict=True)]
        if (when := _inside(traf, b"tfdt")) is not None:
            end = _number(when, 4, 8 if _is_wide(when) else 4)
        for run in (box.data for box in _boxes(traf) if box.kind == b"trun"):
            found, place, end = _run(run, base, place, end, defaults, size)
            parts.append(found)
    return Samples(*(np.concatenate(values) for values in zip(*parts, strict=True))), end


def _run(
    trun: memoryview, base: int, place: int, tick: int, defaults: list[int], size: int
) -> tuple[Samples, int, int]:
    """The packets of a run that are in the file, the place after its last, and the tick at which it ends."""
    flags, count, at = _number(trun, 1, 3), _number(trun, 4), 8
    if flags & 0x1:
        place, at = base + int.from_bytes(trun[at : at + 4], "big", signed=True), at + 4
    first = _number(trun, at) if flags & 0x4 else None
    at += 4 * (first is not None)
    names = [flag for flag in (0x100, 0x200, 0x400, 0x800) if flags & flag]
    _require(count <= min(_PACKETS, size), f"{count} packets in a file of {size} bytes")
    _require(at + 4 * count * len(names) <= len(trun), f"a run of {count} packets in {len(trun)} bytes")
    rows = np.frombuffer(trun, ">u4", count * len(names), at).reshape(count, len(names))
    told = {name: rows[:, i].astype(np.int64) for i, name in enumerate(names)}
    durations, sizes, marks = (
        told.get(name, np.full(count, usual, np.int64))
        for name, usual in zip((0x100, 0x200, 0x400), defaults, strict=True)
    )
    if first is not None and count and 0x400 not in told:
        marks[0] = first
    dts = _tick(tick) + np.cumsum(durations) - durations
    later = told.get(0x800, np.zeros(count, np.int64)).astype(np.int32)
    pos = _tick(place) + np.cumsum(sizes) - sizes
    here = pos + sizes <= size  # the last may be cut off
    found = Samples(pos[here], sizes[here], (dts + later)[here], (marks[here] & _LEANS) == 0)
    return found, place + int(sizes.sum()), tick + int(durations.sum())
