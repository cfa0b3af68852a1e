"""Decoders that are fed packets, and the frames they gave last: shared by all that a process reads, under one cap of bytes.

A decoder stays where it stands, so that going on decodes every packet once. One that is needed for another place of the
same stream, or for another stream of the same kind, goes there without being opened again. Knows tables of packets and
where bytes come from, no files and no times.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

import av
import numpy as np

from lerobot_core.errors import DataError
from lerobot_datasets.video.packets import PacketTable, Run

#: What decoders and recent frames of a process may take unless told otherwise [bytes].
CAP = 128 << 20

#: Pictures of its size that an open decoder holds (those it refers to and its own tables), as measured for AV1 and H.264.
_PICTURES_HELD = 6

#: Packets within this many bytes are read together, also when it takes reading over small gaps.
_READ = 1 << 20
_GAP = 4096

#: Frames decoded beyond those asked for, at most, where one question goes on from the other.
_READ_AHEAD = 16

#: Packets that a decoder may hold back before it gives a frame: H.264 and HEVC reorder no further.
_AHEAD = 16

#: Gives `size` bytes from an offset: `read(offset, size)`; fewer only where the file ends.
Read = Callable[[int, int], bytes]

_numbers = itertools.count()


class Source:
    """One video to decode: its packets and where their bytes come from.

    Args:
        table: of the packets.
        read: gives the file's bytes; called by several threads.
    """

    def __init__(self, table: PacketTable, read: Read) -> None:
        self.table, self.read = table, read
        self.number = next(_numbers)
        #: Position in `table.shown` of the last frame asked for, and how many questions went on from the one before.
        self.last, self.streak = -2, 0

    def goes_on(self, first: int, last: int) -> bool:
        """Whether a question for frames at the positions `first` to `last` goes on from the one before, rather than jumps."""
        ahead = 0 <= first - self.last <= 1
        self.last, self.streak = last, min(self.streak + 1, _READ_AHEAD) if ahead else 0
        return ahead

    def packets(self, first: int, last: int) -> Iterator[av.Packet]:
        """The packets from `first` to `last`, read together where they lie together.

        Raises:
            DataError: the file ends within them.
        """
        table = self.table
        while first <= last:
            begin, stop, low = first, first, int(table.pos[first])
            high = low
            while (
                stop <= last
                and 0 <= table.pos[stop] - high <= _GAP
                and table.pos[stop] + table.size[stop] - low <= _READ
            ):
                high = int(table.pos[stop] + table.size[stop])
                stop += 1
            if stop == first:  # larger than what is read together
                high, stop = low + int(table.size[first]), first + 1
            data = memoryview(self.read(low, high - low))
            if len(data) < high - low:
                raise DataError(f"the file ends before byte {high}")
            for i in range(begin, stop):
                at = int(table.pos[i]) - low
                packet = av.Packet(data[at : at + int(table.size[i])])
                packet.pts = packet.dts = int(table.pts[i])
                yield packet
            first = stop


class PacketDecoder:
    """One decoder of FFmpeg, on one thread.

    Attributes:
        kind: what streams it can decode.
        bytes: about what it takes.
        source: number of the source it was fed from last.
    """

    def __init__(self, table: PacketTable) -> None:
        context = self._context = av.CodecContext.create(table.codec, "r")
        context.extradata = table.extradata or None
        context.thread_count = 1
        context.width, context.height = table.width, table.height
        if table.pixel_format:
            context.pix_fmt = table.pixel_format
        context.color_range, context.colorspace, context.color_primaries, context.color_trc = table.colours
        context.open()
        self.kind = table.kind
        self.bytes = held(table.height, table.width)
        self.source = -1
        self._begin = self._next = 0  # it was fed the packets [begin, next)
        self._inside: dict[int, int] = {}  # stamp → packet of those whose frames have not come out

    def stands_for(self, source: Source, run: Run) -> bool:
        """Whether a run can be gone on with from here; otherwise it begins at its key packet."""
        table, wanted = source.table, run.wanted
        if self.source != source.number or not self._begin <= run.begin <= self._next:
            return False
        return all(int(table.pts[packet]) in self._inside for packet in wanted[wanted < self._next])

    def frames(self, source: Source, run: Run, ahead: bool = False) -> Iterator[tuple[int, av.VideoFrame]]:
        """The frames of a run with the numbers of their packets, as they come out.

        Args:
            source: the video.
            run: what of it.
            ahead: the next run will go on from there: rather than empty a decoder that delays, feed it packets past the run
                until the last frame comes out. Later frames that come out on the way are given too.

        Raises:
            DataError: a frame does not come out, or the file ends early.
            FFmpegError: a packet is broken.
        """
        table = source.table
        if not self.stands_for(source, run):
            if table.delays:
                self._context.flush_buffers()
            self._inside.clear()
            self.source, self._begin, self._next = source.number, run.begin, run.begin
        wanted, last = set(run.wanted.tolist()), int(run.wanted[-1])
        newest = int(table.pts[run.wanted].max()) if ahead else 0
        for packet in source.packets(self._next, min(last + _AHEAD * (ahead and table.delays), len(table) - 1)):
            self._inside[packet.pts] = self._next
            self._next += 1
            for frame in self._context.decode(packet):
                number = self._inside.pop(frame.pts, -1)
                if number in wanted or (ahead and frame.pts > newest):
                    wanted.discard(number)
                    yield number, frame
            if not wanted:
                return
        if table.delays:
            for frame in self._context.decode(None):
                number = self._inside.pop(frame.pts, -1)
                if number in wanted or (ahead and frame.pts > newest):
                    wanted.discard(number)
                    yield number, frame
            self._context.flush_buffers()
            self._inside.clear()
            self._begin, self._next = 1, 0  # it stands nowhere
        if wanted:
            raise DataError(f"no frame comes out of packet {min(wanted)}")


class Decoders:
    """The decoders of a process and the frames that came out of them last.

    Args:
        cap: what both together may take [bytes]; decoders that are at work are not closed for it.
        count: decoders kept open.
    """

    def __init__(self, cap: int = CAP, count: int = 100) -> None:
        self.cap, self.count = cap, count
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[PacketDecoder] = []  # the one used last at the end
        self._open = self._held = self._bytes = 0
        self._recent: dict[int, dict[int, av.VideoFrame]] = {}  # source → packet → frame; the one used last at the end

    @property
    def bytes(self) -> int:
        """What decoders and frames take."""
        return self._bytes + self._held

    def frames(self, source: Source, runs: Sequence[Run], ahead: bool = False) -> Iterator[tuple[int, av.VideoFrame]]:
        """The frames of some runs with the numbers of their packets, in any order; others may come along.

        `ahead` says that calls go on where the last one ended. Only then are frames kept, those of the last call: windows
        overlap with them. Anywhere else they would not be met again, and new memory for each costs a tenth of the speed.

        Raises:
            DataError: a frame does not come out, or the file ends early.
            FFmpegError: a packet is broken.
        """
        recent = self._recent.get(source.number, {})
        most = self.most(source)
        newest = source.table.pts[np.concatenate([run.wanted for run in runs])].max() if recent else 0
        kept = {packet: frame for packet, frame in recent.items() if source.table.pts[packet] > newest}
        for run in runs:
            known = [packet for packet in run.wanted.tolist() if packet in recent] if recent else []
            for packet in known:
                kept[packet] = recent[packet]
                yield packet, recent[packet]
            if len(known) < len(run.wanted):
                rest = run
                if known:
                    missing = np.setdiff1d(run.wanted, known)
                    rest = Run(int(source.table.begins[missing].min()), missing)
                for packet, frame in self._decoded(source, rest, ahead and run is runs[-1]):
                    if ahead:
                        kept[packet] = frame
                        if len(kept) > most:
                            del kept[next(iter(kept))]
                    yield packet, frame
        if ahead:
            self._keep(source, kept)

    def most(self, source: Source) -> int:
        """How many frames of a source are kept at most."""
        return self.cap // 4 // _picture(source.table.height, source.table.width)

    def has(self, source: Source, packets: np.ndarray) -> bool:
        """Whether all frames of some packets are among those kept."""
        recent = self._recent.get(source.number, {})
        return all(packet in recent for packet in packets.tolist())

    def _decoded(self, source: Source, run: Run, ahead: bool) -> Iterator[tuple[int, av.VideoFrame]]:
        decoder, whole = self._take(source, run), False
        try:
            yield from decoder.frames(source, run, ahead)
            whole = True
        finally:
            self._give(decoder, whole)

    def _take(self, source: Source, run: Run) -> PacketDecoder:
        """A decoder for a run: one that stands there, one of that source, a new one while there is room, the oldest."""
        kind, size = source.table.kind, held(source.table.height, source.table.width)
        with self._lock:
            alike = [decoder for decoder in self._idle if decoder.kind == kind]
            found = next((d for d in alike if d.stands_for(source, run)), None)
            found = found or next((d for d in alike if d.source == source.number), None)
            if found is None and alike and not self._room(size):
                found = alike[0]
            if found is not None:
                self._idle.remove(found)
                return found
            while self._idle and not self._room(size):
                self._close(self._idle.pop(0))
            self._open, self._bytes = self._open + 1, self._bytes + size
        return PacketDecoder(source.table)

    def _room(self, size: int) -> bool:
        """A quarter of the cap is left to frames."""
        return self._open < self.count and self._bytes + size <= self.cap - self.cap // 4

    def _give(self, decoder: PacketDecoder, whole: bool) -> None:
        with self._lock:
            if whole:
                self._idle.append(decoder)
            else:
                self._close(decoder)
            self._trim()

    def _close(self, decoder: PacketDecoder) -> None:
        self._open, self._bytes = self._open - 1, self._bytes - decoder.bytes

    def _keep(self, source: Source, frames: dict[int, av.VideoFrame]) -> None:
        with self._lock:
            self._drop(source.number)
            self._recent[source.number] = frames
            self._held += _bytes(frames)
            self._trim()

    def _drop(self, number: int) -> None:
        self._held -= _bytes(self._recent.pop(number, {}))

    def _trim(self) -> None:
        while self._recent and self._bytes + self._held > self.cap:
            self._drop(next(iter(self._recent)))


def _bytes(frames: Mapping[int, av.VideoFrame]) -> int:
    size = next((sum(plane.buffer_size for plane in frame.planes) for frame in frames.values()), 0)
    return size * len(frames)


def held(height: int, width: int) -> int:
    """About what a decoder of such pictures takes [bytes]."""
    return _PICTURES_HELD * _picture(height, width)


def _picture(height: int, width: int) -> int:
    return height * width * 3 // 2 + 1


#: Those of this process. A forked one begins with none: it must not touch its parent's.
process = Decoders()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=process._forget)
