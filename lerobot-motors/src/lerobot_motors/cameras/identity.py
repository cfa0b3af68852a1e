"""Which camera a device node is: the names udev gives it by its serial number and by the socket it is plugged into.

Indices are given in the order of plugging in, so that two cameras can change places after a restart; these names do not.
Linux only: elsewhere no camera has any. Source: Linux kernel, V4L2 device naming; udev's 60-persistent-v4l rules.
"""

from __future__ import annotations

from pathlib import Path

#: Where udev links the names to the nodes, and where the kernel describes the nodes.
LINKS, NODES = Path("/dev/v4l"), Path("/sys/class/video4linux")


def device_of(source: int | str) -> Path | None:
    """The device node behind an index or path; None for a file, a URL, or what is not there."""
    path = Path(f"/dev/video{source}") if str(source).isdecimal() else Path(source)
    try:
        return path.resolve(strict=True) if path.is_char_device() else None
    except OSError:
        return None


def names_of(device: Path, links: Path = LINKS, nodes: Path = NODES) -> list[str]:
    """The names of a device that keep their meaning: links by serial number, then by socket, then the bare serial number."""
    found = [
        str(link)
        for kind in ("by-id", "by-path")
        for link in sorted((links / kind).glob("*"))
        if link.resolve() == device
    ]
    return found + ([number] if (number := serial_of(device, nodes)) else [])


def serial_of(device: Path, nodes: Path = NODES) -> str:
    """The USB serial number of a device; empty where it has none."""
    interface = nodes / device.name / "device"
    for place in (interface, interface / ".."):  # the number is the USB device's, one above its video interface
        try:
            return (place / "serial").read_text().strip()
        except OSError:
            continue
    return ""


def is_named(identity: str, names: list[str]) -> bool:
    """Whether a person's name for a camera, whole or without its folder, is one of these."""
    return any(identity in (name, Path(name).name) for name in names)


def place_of(identity: str, links: Path = LINKS) -> Path | None:
    """Where the camera of that name is now; None when it is not plugged in."""
    for link in sorted(links.glob("by-*/*")):
        if identity in (str(link), link.name):
            return link.resolve()
    return None
