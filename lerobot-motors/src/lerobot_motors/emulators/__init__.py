"""Servo chains without servos: a process on a pty that answers byte for byte, in the time the wire would take.

Wherever a serial port is accepted, `emulated://<chain>?<options>` is one too:

    emulated://so101                          a follower's chain: six STS3215 that move towards their goals
    emulated://koch?name=left&seed=3          one of Dynamixel servos, starting in another pose
    emulated://so101-leader?motion=sine       a leader that moves by itself
    emulated://so101?faults=drop:rate=0.01    one that loses a reply in a hundred

Chains are rows of `profiles`, servos are `feetech` and `dynamixel`, their protocols `wires`, and what goes wrong `faults`, whose
docstring has the grammar. Torque is off at first, as after power-on.
Options: `name` identifies an emulator on this machine: if one with this name runs, it is attached to (its other options then
stay as they are), else it is started and ends with the process that started it, or when that process closes it. `seed` picks
the starting pose, the phases of `motion=sine`, which moves every joint whose torque is off, and what faults leave to chance.
`gravity=1` makes joints weigh; `pace=0` answers at once. `faults=…` and `script=FILE` say what goes wrong; `drop=N`, `corrupt=N` and
`late=N` (every Nth reply) and `dead=ID,ID` are short for some of it.

What an emulator is doing can be seen and changed by any process of the same user through `state(name)`:

    state = emulators.state("so101")
    state.positions                # ticks (N,), at most 5 ms old
    state.hand[:] = 2047           # move the joints whose torque is off, as a hand would; NaN lets go
    state.inject("dead:id=3")      # let something go wrong from now on
    state.scene[:3] = 0.1, 0, 0.2  # 16 numbers for whatever a camera, a leader or a demo wants to tell each other
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lerobot_motors.emulators.address import OpenEmulator, open_port, parse
    from lerobot_motors.emulators.view import EmulatorState, state

__all__ = ["EmulatorState", "OpenEmulator", "is_emulated", "open_port", "parse", "state"]

_MODULES = {
    "OpenEmulator": "address",
    "open_port": "address",
    "parse": "address",
    "EmulatorState": "view",
    "state": "view",
}


def is_emulated(port: str) -> bool:
    """Whether a port is an address of an emulator."""
    return port.startswith("emulated://")


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
