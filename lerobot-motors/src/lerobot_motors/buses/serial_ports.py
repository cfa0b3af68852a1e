"""Serial ports of this machine and what to say when one cannot be opened. Knows no protocol."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from serial.tools import list_ports

from lerobot_core.errors import NotConnected


def found() -> list[str]:
    """Paths of the serial ports that have a device, USB adapters first."""
    ports = sorted(list_ports.comports(), key=lambda port: (port.vid is None, port.device))
    return [port.device for port in ports]


def cannot_open(path: str, failure: OSError) -> NotConnected:
    """The error for a port that did not open: what was asked, what there is, what to do."""
    number, place = failure.errno, Path(path)
    hint = "`lr find-port` tells which port is which arm"
    if "://" in path and number == errno.ENOENT:
        reason, hint = "unknown kind of address", "an emulated arm is emulated://so101"
    elif re.fullmatch(r"COM\d+", path, re.IGNORECASE) and number == errno.ENOENT:
        reason, hint = "that is a name of Windows", f"here it is one like /dev/ttyACM0; {hint}"
    elif place.is_dir() or place.is_file():
        reason = f"it is a {'folder' if place.is_dir() else 'file'}, no serial port"
    elif number == errno.ENOENT:
        reason = "there is no such port"
    elif number in (errno.EBUSY, errno.EAGAIN):
        reason, hint = "it is in use", "close the other program that has it open"
    else:
        reason = str(failure)
    if number == errno.EACCES:
        reason, hint = "permission denied", "add yourself to the group that owns it: sudo usermod -aG dialout $USER"
    names = ", ".join(found()) or "none"
    return NotConnected(f"cannot open serial port '{path}': {reason} (found: {names})", device=path, hint=hint)
