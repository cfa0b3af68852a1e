"""Which servos are on a serial port, at whatever rate, and giving one of them its id. Knows no names and no prompts."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from lerobot_core.errors import DeviceError, NotConnected
from lerobot_motors import emulators
from lerobot_motors.buses.choose import FAMILIES, family_named
from lerobot_motors.buses.family import BROADCAST, MAX_ID, Codec, Family, Model, Register
from lerobot_motors.buses.health import BusHealth
from lerobot_motors.buses.wire import BITS, Corrupt, Lost, Wire

#: How often a servo is asked for something that two servos would hardly say alike.
PROBES = 3
#: Slack of a scan beyond the silence of a protocol [s]: frames of the adapter.
MARGIN = 0.02
#: Replies to a broadcast ping that are waited for at least, whatever the rate.
REPLIES = 32
#: Slack of a single question, on a serial port and on an emulated one, whose bytes wait for the CPU [ms].
SLACK, EMULATED_SLACK = 5.0, 60.0
#: Pause of a servo while it stores what was written, before it is asked again [s].
STORE = 0.05


#: Told what is tried next.
Step = Callable[[str], None]


class Found(NamedTuple):
    """A servo that answered.

    Attributes:
        family: of its maker.
        protocol: it speaks.
        baudrate: it is set to.
        id: its number on the bus.
        number: its model's number; None if it did not say.
        model: its model; empty for one that no table has.
        firmware: its version.
        voltage: of its supply [V].
        temperature: inside [°C].
        clash: its replies were damaged or double: two servos have this id, or the line is bad.
    """

    family: str
    protocol: int
    baudrate: int
    id: int
    number: int | None = None
    model: str = ""
    firmware: str = ""
    voltage: float | None = None
    temperature: float | None = None
    clash: bool = False


class Heard(NamedTuple):
    """What came in answer to a question that anybody may answer: the ids in order, and whether anything was damaged."""

    ids: list[int]
    damaged: bool


def families(name: str | None = None) -> list[Family]:
    """Every family of servos, or the one of that name."""
    return [family_named(each) for each in ([name] if name else FAMILIES)]


def rates(known: Sequence[Family]) -> list[int]:
    """The baud rates of these families, the likeliest first."""
    order = {rate: family.scan_bauds.index(rate) for family in reversed(known) for rate in family.scan_bauds}
    return sorted(order, key=lambda rate: order[rate])


def scan(
    port: str,
    known: Sequence[Family],
    bauds: Iterable[int],
    *,
    every_id: bool = False,
    step: Step = lambda text: None,
) -> Iterator[Found]:
    """The servos on a port, as they are found.

    Args:
        port: serial or emulated port.
        known: families that may be there.
        bauds: rates to try.
        every_id: also ask each id by itself, which finds servos that do not answer a broadcast and servos with the same id.
        step: told what is tried next, once per rate and family.

    Raises:
        NotConnected: the port does not open.
    """
    with _powered(port):
        for baud in bauds:
            with contextlib.closing(_open(port, baud)) as wire:
                for family in known:
                    step(f"{family.name} at {baud} baud")
                    if baud in family.scan_bauds:
                        yield from _at(wire, family, baud, every_id)


def alone(port: str, family: Family, step: Step = lambda text: None) -> Found:
    """The one servo on a port.

    Raises:
        DeviceError: there is none, or more than one.
        NotConnected: the port does not open.
    """
    found = list(scan(port, [family], family.scan_bauds, step=step))
    if not found and not all(codec.groups for codec in family.codecs.values()):
        found = list(scan(port, [family], family.scan_bauds[:1], every_id=True, step=step))
    if not found:
        raise DeviceError(
            f"no {family.name} servo answers on '{port}'",
            device=port,
            hint="connect the servo to the board, and the board to its power supply",
        )
    if len(found) > 1 or found[0].clash:
        ids = ", ".join(f"{servo.id} at {servo.baudrate} baud" for servo in found)
        more = "more than one servo answers" if len(found) == 1 else f"{len(found)} servos answer"
        raise DeviceError(
            f"{more} on '{port}': id {ids}", device=port, hint="connect only the one that gets its id now"
        )
    return found[0]


def assign(port: str, family: Family, servo: Found, id: int, baudrate: int) -> None:
    """Give the only servo on a port its id and baud rate, and read both back at the new rate.

    Raises:
        DeviceError: it did not take them.
    """
    registers = _model(family, servo).registers
    codec = family.codecs[servo.protocol]
    with _powered(port):
        with contextlib.closing(_open(port, servo.baudrate)) as wire:
            for register in family.torque:
                _write(wire, codec, servo.id, registers[register], 0)
            _write(wire, codec, servo.id, registers["ID"], id)
            _write(wire, codec, id, registers["Baud_Rate"], family.baud_codes[baudrate])
        with contextlib.closing(_open(port, baudrate)) as wire:
            wanted = {"ID": id, "Baud_Rate": family.baud_codes[baudrate]}
            held = {name: _value(wire, codec, id, registers[name]) for name in wanted}
            if held != wanted:
                raise DeviceError(
                    f"the servo on '{port}' was given id {id} and {baudrate} baud, but does not answer to them",
                    device=port,
                    hint="`lr scan` tells where it is now; try again, and let nothing move the cables meanwhile",
                )
            if "Lock" in family.torque:
                _write(wire, codec, id, registers["Lock"], 1)


# --- one rate ---------------------------------------------------------------------------------------------------------


def _at(wire: Wire, family: Family, baud: int, every_id: bool) -> Iterator[Found]:
    codec = next(codec for codec in family.codecs.values() if codec.groups)
    window = codec.silence + MARGIN + REPLIES * (codec.overhead + 3) * BITS / baud
    heard = _listen(wire, codec, codec.ping(BROADCAST), window)
    ids = set(heard.ids)
    if every_id or heard.damaged:
        ids |= {servo for servo in range(MAX_ID + 1) if _is_there(wire, codec, servo)}
    for servo in sorted(ids):
        yield _describe(wire, family, Found(family.name, min(family.codecs), baud, servo))


def _is_there(wire: Wire, codec: Codec, servo: int) -> bool:
    try:
        return wire.ping(codec, servo, min(wire.slack, MARGIN)).id == servo
    except Corrupt:
        return True
    except Lost:
        return False


def _describe(wire: Wire, family: Family, servo: Found) -> Found:
    """Ask a servo what it is. Both protocols of a family are tried: they differ in how a number is read."""
    for protocol, codec in family.codecs.items():
        places = next(model.registers for model in family.models.values() if model.protocol == protocol)
        number = _value(wire, codec, servo.id, places["Model_Number"])
        known = [
            n for n, m in family.models.items() if number is not None and (m.protocol, m.number) == (protocol, number)
        ]
        if servo.number is None or known:
            servo = servo._replace(protocol=protocol, number=number, model=known[0] if known else "")
        if known:
            break
    codec, model = family.codecs[servo.protocol], _model(family, servo)
    registers = model.registers
    versions = [_value(wire, codec, servo.id, registers[name]) for name in registers if name.startswith("Firmware")]
    volts = next(name for name in ("Present_Voltage", "Present_Input_Voltage") if name in registers)
    return servo._replace(
        firmware=".".join(str(version) for version in versions if version is not None),
        voltage=_measured(wire, codec, servo.id, model, volts),
        temperature=_measured(wire, codec, servo.id, model, "Present_Temperature"),
        clash=_clashes(wire, codec, servo.id, registers["Present_Position"]),
    )


def _clashes(wire: Wire, codec: Codec, servo: int, place: Register) -> bool:
    question = codec.read(servo, place.address, place.size)
    replies = [_listen(wire, codec, question, wire.slack + wire.seconds(codec, [servo], 64, 0)) for _ in range(PROBES)]
    return any(heard.damaged or len(heard.ids) > 1 for heard in replies)


def _listen(wire: Wire, codec: Codec, question: bytes, window: float) -> Heard:
    """Everything that comes within a time [s], not only the first reply."""
    wire.port.drain()
    wire.port.send(question)
    received, deadline = bytearray(), time.monotonic() + window
    while chunk := wire.port.receive(deadline):
        received += chunk
    if received.startswith(question):
        del received[: len(question)]
    statuses = list(codec.split(received))
    return Heard([status.id for status in statuses if status], None in statuses or bool(received))


# --- one register -----------------------------------------------------------------------------------------------------


def _model(family: Family, servo: Found) -> Model:
    """The table of a servo; of a model that is not known, that of the first with its protocol."""
    same = (model for model in family.models.values() if model.protocol == servo.protocol)
    return family.models[servo.model] if servo.model else next(same)


def _value(wire: Wire, codec: Codec, servo: int, place: Register) -> int | None:
    for _ in range(PROBES):
        with contextlib.suppress(Lost, Corrupt):
            data = wire.read(codec, servo, place.address, place.size).data
            return int.from_bytes(data[: place.size], codec.order)
    return None


def _measured(wire: Wire, codec: Codec, servo: int, model: Model, register: str) -> float | None:
    value = _value(wire, codec, servo, model.registers[register])
    return None if value is None else value * model.quantities[register].scale


def _write(wire: Wire, codec: Codec, servo: int, place: Register, value: int) -> None:
    """Write without insisting on the acknowledgement, which may come under the new id or at the new rate."""
    with contextlib.suppress(Lost, Corrupt):
        wire.write(codec, servo, place.address, value.to_bytes(place.size, codec.order))
    time.sleep(STORE)


@contextlib.contextmanager
def _powered(port: str) -> Iterator[None]:
    """Keep an emulated chain running while its port is opened at one rate after another."""
    held = emulators.open_port(port) if emulators.is_emulated(port) else None
    try:
        yield
    finally:
        if held:
            held.close()


def _open(port: str, baud: int) -> Wire:
    try:
        return Wire(port, baud, EMULATED_SLACK if emulators.is_emulated(port) else SLACK, BusHealth())
    except ValueError as failure:  # the adapter does not do this rate
        raise NotConnected(f"'{port}' cannot do {baud} baud: {failure}", device=port, hint="leave it out") from failure
