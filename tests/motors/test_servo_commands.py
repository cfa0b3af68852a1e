"""`lr scan`, `lr setup-motors` and `lr motor`: on emulated chains, and on single servos that come as from a shop."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from lerobot_core.cli.explaining import explain
from lerobot_core.errors import BadReply, ConfigError, DeviceError
from lerobot_motors import emulators
from lerobot_motors.buses import scanning
from lerobot_motors.buses.choose import bus_for
from lerobot_motors.buses.dynamixel.codec import WRITE, Protocol2
from lerobot_motors.buses.serial_bus import SerialBus
from lerobot_motors.calibration import Motor
from lerobot_motors.commands import setup_motors
from motors.dynamixel_chain import FakeChain, FakeServo, chain

ARM = ("--robot.type=so101_follower", "--robot.port=emulated://so101?name=bench")
Run = Callable[..., None]


@pytest.fixture
def powered(emulator_folder: Path) -> Iterator[None]:
    """The arm stays powered from one command to the next."""
    port = emulators.open_port(ARM[1].partition("=")[2])
    yield
    port.close()


@pytest.fixture
def workbench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[SerialBus, FakeChain]]]:
    """The bus of an arm with one joint and a gripper, and the servos that are on its port now."""
    monkeypatch.setattr(scanning, "SLACK", 60.0)
    monkeypatch.setattr(scanning, "REPLIES", 1)
    monkeypatch.setattr(scanning, "STORE", 0.0)
    monkeypatch.setattr(Protocol2, "silence", 0.05)
    with ExitStack() as stack:

        def made(*servos: FakeServo) -> tuple[SerialBus, FakeChain]:
            wire = stack.enter_context(chain(*servos))
            motors = {"pan": Motor(id=1, model="xl430-w250"), "gripper": Motor(id=6, model="xl330-m288")}
            return bus_for(wire.path, motors), wire

        yield made


class Person:
    """Answers from a list, and does something before each."""

    def __init__(self, answers: Sequence[str], acts: Callable[[int], None] = lambda number: None) -> None:
        self.asked: list[str] = []
        self._answers, self._acts = list(answers), acts

    def ask(self, text: str) -> str:
        self.asked.append(text)
        self._acts(len(self.asked))
        return self._answers.pop(0)

    def watch(self, text: str) -> None: ...
    def show(self, lines: Sequence[str]) -> None: ...
    def done(self) -> bool:
        return True


# --- lr setup-motors --------------------------------------------------------------------------------------------------


def test_a_new_servo_gets_its_id_and_rate(workbench) -> None:
    bus, wire = workbench(FakeServo(1, baud=57_600))
    assert setup_motors.set_up(bus, "gripper") == ("'gripper' was id 1 at 57600 baud, is now id 6 at 1000000 baud")
    assert (wire.servos[0].get("ID"), wire.servos[0].baud) == (6, 1_000_000)
    wire.heard.clear()
    assert setup_motors.set_up(bus, "gripper") == "'gripper' is set up already: id 6, 1000000 baud"
    assert WRITE not in wire.heard, "nothing is written a second time"


def test_a_servo_that_holds_its_joint_lets_go_first(workbench) -> None:
    bus, wire = workbench(FakeServo(9))
    wire.servos[0].put("Torque_Enable", 1)
    setup_motors.set_up(bus, "gripper")
    assert (wire.servos[0].get("ID"), wire.servos[0].get("Torque_Enable")) == (6, 0)


@pytest.mark.parametrize(
    ("servos", "said"),
    [
        ((), "no dynamixel servo answers"),
        ((FakeServo(1), FakeServo(2, baud=57_600)), "2 servos answer on .*: id 1 at 1000000 baud, 2 at 57600 baud"),
        ((FakeServo(1), FakeServo(1)), "more than one servo answers on .*: id 1 at 1000000 baud"),
        ((FakeServo(1, model="xl430-w250"),), "is of model xl430-w250, 'gripper' is of model xl330-m288"),
    ],
    ids=["none", "two", "two with one id", "another model"],
)
def test_nothing_is_written_unless_it_is_the_right_servo_alone(workbench, servos, said: str) -> None:
    bus, wire = workbench(*servos)
    with pytest.raises(DeviceError, match=said):
        setup_motors.set_up(bus, "gripper")
    assert WRITE not in wire.heard


def test_a_servo_that_does_not_take_its_id_is_noticed(workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    bus, _ = workbench(FakeServo(1))
    monkeypatch.setattr(FakeServo, "write", lambda self, address, data: 0)
    with pytest.raises(DeviceError, match="given id 6 and 1000000 baud, but does not answer to them"):
        setup_motors.set_up(bus, "gripper")


def test_a_person_is_led_from_servo_to_servo(workbench, capsys: pytest.CaptureFixture[str]) -> None:
    bus, wire = workbench(FakeServo(1), FakeServo(2))

    def connect(number: int) -> None:
        if number == 2:
            wire.servos[1].silent = True  # unplugged after the complaint

    person = Person(["", "", "s"], connect)
    assert setup_motors.run(bus, ["gripper", "pan"], person) == ["gripper"]
    assert ["'gripper' (will be id 6)" in text for text in person.asked] == [True, True, False]
    assert "2 servos answer" in capsys.readouterr().err
    assert setup_motors.run(bus, ["gripper", "pan"], Person(["q"])) == []


# --- lr scan ----------------------------------------------------------------------------------------------------------


def test_scan_lists_what_is_there(commands: Run, capsys: pytest.CaptureFixture[str]) -> None:
    commands("scan", "--port=emulated://koch", "--family=dynamixel", "--baudrate=1000000", "--output_file=scan.json")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["id", "model", "firmware", "baud", "voltage", "temperature", "family"]
    assert [line.split()[:2] for line in lines[1:3]] == [["1", "xl430-w250"], ["2", "xl430-w250"]]
    found = json.loads(Path("scan.json").read_text())["servos"]
    assert [servo["id"] for servo in found] == [1, 2, 3, 4, 5, 6]
    assert {servo["clash"] for servo in found} == {False}


def test_scan_tells_two_servos_with_one_id_from_one(commands: Run, capsys: pytest.CaptureFixture[str]) -> None:
    commands("scan", "--port=emulated://so101?faults=collision:id=3", "--family=feetech", "--baudrate=1000000")
    out = capsys.readouterr().out
    assert "id 3 at 1000000 baud: damaged or double replies. Two servos have this id" in out
    assert out.count("damaged or double") == 1


def test_scan_finds_servos_at_different_rates(commands: Run, capsys: pytest.CaptureFixture[str]) -> None:
    found = scanning.scan(
        "emulated://so101?faults=baud:id=2:value=500000", scanning.families("feetech"), [1_000_000, 500_000]
    )
    assert {servo.id: servo.baudrate for servo in found} == {**dict.fromkeys((1, 3, 4, 5, 6), 1_000_000), 2: 500_000}


def test_scan_finds_a_servo_whose_every_reply_is_damaged(workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "MAX_ID", 5)
    bus, wire = workbench(FakeServo(4))
    wire.servos[0].spoilt = True
    (found,) = scanning.scan(bus.config.port, scanning.families("dynamixel"), [1_000_000])
    assert (found.id, found.number, found.clash) == (4, None, True)


def test_scan_says_what_to_do_when_nothing_answers(commands: Run) -> None:
    with pytest.raises(DeviceError, match="no servo answers on 'emulated://koch'") as failure:
        commands("scan", "--port=emulated://koch", "--family=dynamixel", "--baudrate=57600")
    assert "power supply" in failure.value.hint
    with pytest.raises(ConfigError, match="no servo can be set to 1234 baud"):
        commands("scan", "--port=emulated://koch", "--baudrate=1234")


@pytest.mark.nightly
def test_servos_that_answer_no_broadcast_are_found_one_by_one(emulator_folder: Path) -> None:
    found = list(scanning.scan("emulated://hope_jr_hand", scanning.families("feetech"), [1_000_000], every_id=True))
    assert [servo.id for servo in found] == list(range(1, 17))
    assert {(servo.model, servo.protocol) for servo in found} == {("scs0009", 1)}


# --- lr motor ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("powered")
def test_registers_are_shown_raw_and_in_units(commands: Run, capsys: pytest.CaptureFixture[str]) -> None:
    commands("motor", "get", "Present_Voltage,Present_Position", "--motor=gripper", *ARM)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[1] == ["gripper", "Present_Voltage", "74", "7.4", "V"]
    assert rows[2] == ["gripper", "Present_Position", "2560", "225.0", "deg"]
    commands("motor", "get", "all", *ARM)
    out = capsys.readouterr().out
    assert out.count("shoulder_pan") > 50
    assert "1000000 baud" in out


@pytest.mark.usefixtures("powered")
def test_a_register_is_written_and_read_back(commands: Run, capsys: pytest.CaptureFixture[str]) -> None:
    commands("motor", "set", "Homing_Offset", "-50", "--motor=gripper", *ARM)
    row = capsys.readouterr().out.splitlines()[1].split()
    assert row == ["gripper", "Homing_Offset", "-77", "-6.8", "deg", "-50", "-4.4", "deg"]
    with pytest.raises(BadReply, match="'Model_Number' of gripper is not 5"):
        commands("motor", "set", "Model_Number", "5", "--motor=gripper", *ARM)


@pytest.mark.usefixtures("powered")
def test_the_eeprom_is_not_written_while_the_torque_is_on(commands: Run) -> None:
    commands("motor", "set", "Torque_Enable", "1", "--motor=gripper", *ARM)
    with pytest.raises(DeviceError, match=r"in the EEPROM, and the torque of gripper is on"):
        commands("motor", "set", "Homing_Offset", "0", *ARM)
    commands("motor", "set", "Goal_Velocity", "100", *ARM)
    commands("motor", "set", "Torque_Enable", "0", *ARM)
    commands("motor", "set", "Homing_Offset", "0", *ARM)


@pytest.mark.usefixtures("powered")
def test_watching_writes_a_file(commands: Run) -> None:
    commands("motor", "watch", "Present_Temperature,Moving", "--fps=50", "--duration_s=0.3", "--output=out/w.csv", *ARM)
    with Path("out/w.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows[0][:3] == [
        "time [s]",
        "shoulder_pan.Present_Temperature [°C]",
        "shoulder_lift.Present_Temperature [°C]",
    ]
    assert len(rows[0]) == 13
    assert len(rows) > 2
    assert float(rows[1][1]) == 31
    assert float(rows[-1][0]) > float(rows[1][0])


def test_watching_leaves_a_cell_empty_where_a_reply_is_missing(commands: Run) -> None:
    port = "--robot.port=emulated://so101?name=deaf&faults=deaf:id=2:at=0.5:for=0.5"
    commands("motor", "watch", "Present_Temperature", "--fps=50", "--duration_s=1.5", "--output=w.csv", ARM[0], port)
    with Path("w.csv").open() as file:
        cells = [row[2] for row in csv.reader(file)][1:]
    assert "" in cells
    assert {cell for cell in cells if cell} == {"32"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("get", "Present_Temp"), "no register 'Present_Temp' in sts3215; did you mean 'Present_Temperature'"),
        (("get", "Present_Load", "--motor=griper"), "no motor 'griper'; did you mean 'gripper'"),
        (("get", "Present_Load", "Moving"), "'get' takes register, got Present_Load, Moving"),
        (("get",), "register: missing"),
        (("set", "ID", "3"), "written by `lr setup-motors`"),
        (("set", "Goal_Position", "fast"), "value: expected"),
    ],
)
def test_wrong_words_are_explained(commands: Run, words: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        commands("motor", *words, *ARM)


def test_one_device_is_asked_for(commands: Run) -> None:
    with pytest.raises(ConfigError, match=r"'Moving' of which device\? give one of .*, got neither"):
        commands("motor", "get", "Moving")
    with pytest.raises(ConfigError, match="'set' takes register and value, got Moving"):
        commands("motor", "set", "Moving")
    with pytest.raises(ConfigError, match="'toy_arm' has no servos on one serial port"):
        commands("motor", "get", "Moving", "--robot.type=toy_arm")


def test_help_names_the_words(commands: Run, capsys: pytest.CaptureFixture[str]) -> None:
    commands("motor", "set", "--help")
    out = capsys.readouterr().out
    assert "lr motor set REGISTER VALUE" in out
    assert "lr motor set P_Coefficient 16" in out


@pytest.mark.usefixtures("commands")
def test_what_was_given_as_words_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    explain.main(["motor", "get", "Moving", *ARM], standalone_mode=False)
    assert 'register = "Moving"' in capsys.readouterr().out
