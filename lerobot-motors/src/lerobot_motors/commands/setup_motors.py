"""`lr setup-motors`: give the servos of a new arm their ids and baud rate, one after the other."""

from __future__ import annotations

import attrs
import click

from lerobot_core.cli import config_command
from lerobot_core.errors import DeviceError
from lerobot_core.registry import Choice
from lerobot_core.roles import Robot, Teleoperator
from lerobot_motors.buses import scanning
from lerobot_motors.buses.scanning import Found
from lerobot_motors.buses.serial_bus import SerialBus
from lerobot_motors.commands import servos
from lerobot_motors.commands.scan import progress
from lerobot_motors.prompt import ConsolePrompt, Prompt

SKIP, QUIT = "s", "q"


@attrs.frozen(kw_only=True)
class SetupMotorsConfig:
    """Options of `lr setup-motors`.

    Attributes:
        robot: the robot whose servos are set up.
        teleop: the teleoperator whose servos are set up.
        motor: name of the only servo to set up, as after replacing one; empty: all.
    """

    robot: Choice[Robot] | None = None
    teleop: Choice[Teleoperator] | None = None
    motor: str | None = None

    def __attrs_post_init__(self) -> None:
        servos.check_one("the servos", self.robot, self.teleop)


@config_command(SetupMotorsConfig)
def setup_motors(config: SetupMotorsConfig) -> None:
    """Give servos their ids and baud rate: connect one, press ENTER, connect the next.

    A servo that is set up already is recognised, so that you can stop and go on another day. Nothing is written while several
    servos answer, or one of another model.

    \b
    lr setup-motors --robot.type=so101_follower --robot.port=/dev/ttyACM0
    lr setup-motors --teleop.type=koch_leader --teleop.port=/dev/ttyUSB0 --motor=gripper
    """
    choice = config.robot or config.teleop
    if choice is None:
        return
    bus = servos.bus_of(choice)
    names = servos.motors_of(bus, config.motor)
    done = run(bus, names[::-1], ConsolePrompt())
    click.echo(
        f"{len(done)} of {len(names)} servos of '{choice.type}' are set up" + (f": {', '.join(done)}" if done else "")
    )


def run(bus: SerialBus, names: list[str], prompt: Prompt) -> list[str]:
    """Set up one motor after the other; a person connects them. Returns those that are set up.

    Raises:
        DeviceError: there is no terminal to ask at.
    """
    done = []
    for name in names:
        motor = bus.motors[name]
        question = f"Connect only '{name}' (will be id {motor.id}) and press ENTER; {SKIP} skips it, {QUIT} ends"
        while (answer := prompt.ask(question).lower()) not in (SKIP, QUIT):
            try:
                click.echo(set_up(bus, name))
            except DeviceError as failure:
                click.echo(f"{failure}\n{failure.hint}", err=True)
                continue
            done.append(name)
            break
        if answer == QUIT:
            break
    return done


def set_up(bus: SerialBus, name: str) -> str:
    """Give the only servo on the port the id of a motor and the rate of the bus; returns what was done, in words.

    Raises:
        DeviceError: none answers, or several, or one of another model; or it did not take what was written.
    """
    motor, port, baudrate = bus.motors[name], bus.config.port, bus.config.baudrate
    with progress(len(bus.family.scan_bauds)) as step:
        servo = scanning.alone(port, bus.family, step)
    _check_model(bus, name, servo)
    if (servo.id, servo.baudrate) == (motor.id, baudrate):
        return f"'{name}' is set up already: id {motor.id}, {baudrate} baud"
    scanning.assign(port, bus.family, servo, motor.id, baudrate)
    return f"'{name}' was id {servo.id} at {servo.baudrate} baud, is now id {motor.id} at {baudrate} baud"


def _check_model(bus: SerialBus, name: str, servo: Found) -> None:
    motor = bus.motors[name]
    wanted = bus.family.models[motor.model].number
    if wanted is not None and servo.number != wanted:
        what = servo.model or f"model {servo.number}"
        raise DeviceError(
            f"the servo on '{bus.config.port}' is of model {what}, '{name}' is of model {motor.model}",
            device=name,
            hint="take the right servo; the models are printed on them",
        )
