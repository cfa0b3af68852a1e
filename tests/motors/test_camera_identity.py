"""Which camera a node is, and what `lr find-cameras` says of it, on folders made like those of the kernel and udev."""

from __future__ import annotations

import errno
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lerobot_core.errors import DeviceError
from lerobot_motors.cameras import finding, identity, v4l
from lerobot_motors.cameras.configs import OpencvConfig
from lerobot_motors.cameras.finding import Found, spelled
from lerobot_motors.cameras.v4l import Mode

opencv = pytest.importorskip("lerobot_motors.cameras.opencv")


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """Two cameras: the wrist's at video0, the front's at video2."""
    links, nodes = tmp_path / "v4l", tmp_path / "nodes"
    for index, serial, port in ((0, "WRIST1", "1.1"), (2, "FRONT2", "1.2")):
        (tmp_path / f"video{index}").touch()
        (nodes / f"video{index}" / "device").mkdir(parents=True)
        (nodes / f"video{index}" / "device" / "serial").write_text(serial + "\n")
        for kind, name in (("by-id", f"usb-Maker_{serial}-video-index0"), ("by-path", f"pci-usb-0:{port}")):
            (links / kind).mkdir(parents=True, exist_ok=True)
            (links / kind / name).symlink_to(tmp_path / f"video{index}")
    monkeypatch.setattr(identity.names_of, "__defaults__", (links, nodes))
    monkeypatch.setattr(identity.place_of, "__defaults__", (links,))
    monkeypatch.setattr(identity, "device_of", lambda source: tmp_path / f"video{source}")
    return tmp_path


def swap(desk: Path) -> None:
    """What a restart does: each camera gets the other's index."""
    for link in desk.glob("v4l/*/*"):
        other = desk / ("video2" if link.resolve().name == "video0" else "video0")
        link.unlink()
        link.symlink_to(other)
    serials = [desk / "nodes" / f"video{index}" / "device" / "serial" for index in (0, 2)]
    first, second = (path.read_text() for path in serials)
    serials[0].write_text(second)
    serials[1].write_text(first)


def test_a_camera_has_names_by_serial_number_and_socket(desk):
    names = identity.names_of(desk / "video0")
    assert [Path(name).name for name in names] == ["usb-Maker_WRIST1-video-index0", "pci-usb-0:1.1", "WRIST1"]
    for name in names:
        assert identity.is_named(name, names)
        assert identity.is_named(Path(name).name, names)
    assert not identity.is_named("FRONT2", names)


@pytest.mark.parametrize("wanted", ["WRIST1", "usb-Maker_WRIST1-video-index0", "pci-usb-0:1.1"])
def test_another_camera_at_the_same_index_is_refused(desk, wanted):
    camera = opencv.OpencvCamera(OpencvConfig(index_or_path=0, identity=wanted))
    camera._identify()
    swap(desk)
    with pytest.raises(DeviceError, match=f"'0' should be '{wanted}', found .*FRONT2") as refused:
        camera.connect()
    assert not camera.is_connected
    assert ("video2" in refused.value.hint) == (wanted != "WRIST1"), "a bare serial number has no link to follow"


def test_a_camera_that_is_not_there_has_no_name(desk):
    camera = opencv.OpencvCamera(OpencvConfig(index_or_path=7, identity="WRIST1"))
    with pytest.raises(DeviceError, match="found no name at all"):
        camera.connect()


def test_a_camera_that_changes_places_or_goes_is_noticed(desk):
    camera = opencv.OpencvCamera(OpencvConfig(index_or_path=0))
    camera._identify()
    assert camera._lost() == ""
    swap(desk)
    assert "WRIST1" in camera._lost()
    assert "cameras changed places" in camera._lost()
    (desk / "video0").unlink()
    assert "it was unplugged" in camera._lost()


def driver(name: bytes, formats, *, stepwise=False, capture=True):
    """An ioctl that answers as a camera with these formats: code → [(width, height, [fps])]."""

    def ioctl(request, buffer):
        (index,) = struct.unpack_from("I", buffer)
        try:
            if request == v4l.QUERYCAP:
                caps = v4l.CAPTURE if capture else 1 << 23
                buffer[:] = struct.pack("16s32s32sIII12x", b"uvcvideo", name, b"usb", 1, v4l.DEVICE_CAPS, caps)
            elif request == v4l.ENUM_FMT:
                buffer[44:48] = list(formats)[index]
            elif request == v4l.ENUM_FRAMESIZES:
                width, height, _ = formats[bytes(buffer[4:8])][index]
                ends = (2, 64, width, 8, 48, height, 8) if stepwise else (1, width, height)
                struct.pack_into(f"{len(ends)}I", buffer, 8, *ends)
            elif request == v4l.ENUM_FRAMEINTERVALS:
                size = struct.unpack_from("II", buffer, 8)
                rates = next(rates for *known, rates in formats[bytes(buffer[4:8])] if tuple(known) == size)
                struct.pack_into("III", buffer, 16, 1, 1, rates[index])
        except (IndexError, StopIteration):
            raise OSError(errno.EINVAL, "no more") from None

    return ioctl


sizes = st.lists(
    st.tuples(
        st.integers(16, 4096), st.integers(16, 4096), st.lists(st.integers(1, 120), min_size=1, max_size=3, unique=True)
    ),
    max_size=4,
    unique_by=lambda entry: entry[:2],
)


@given(st.dictionaries(st.sampled_from([b"MJPG", b"YUYV", b"H264"]), sizes))
def test_every_mode_the_driver_has_is_listed_best_first(formats):
    known = v4l.described(driver(b"Webcam\0rubbish", formats))
    wanted = {
        Mode(code.decode(), width, height, float(fps))
        for code, entries in formats.items()
        for width, height, rates in entries
        for fps in rates
    }
    assert known.name == "Webcam"
    assert set(known.modes) == wanted
    pixels = [mode.width * mode.height for mode in known.modes]
    assert pixels == sorted(pixels, reverse=True)


def test_a_range_of_sizes_is_told_by_its_largest():
    known = v4l.described(driver(b"Any", {b"YUYV": [(1920, 1080, [30])]}, stepwise=True))
    assert known.modes == [Mode("YUYV", 1920, 1080, 30.0)]


def test_a_node_without_pictures_has_no_modes():
    assert v4l.described(driver(b"Metadata", {b"YUYV": [(64, 48, [30])]}, capture=False)).modes == []


def test_a_file_is_no_camera(tmp_path):
    with pytest.raises(OSError):
        v4l.describe(tmp_path / "video9")


def test_what_is_proposed_is_stable_and_usual():
    modes = [Mode("MJPG", 1920, 1080, 30.0), Mode("YUYV", 640, 480, 30.0), Mode("MJPG", 640, 480, 30.0)]
    camera = Found(type="opencv", place="/dev/video0", identities=["/dev/v4l/by-id/x", "S1"], modes=modes)
    text = spelled(camera.options)
    assert text == "{type: opencv, index_or_path: /dev/v4l/by-id/x, width: 640, height: 480, fps: 30, fourcc: MJPG}"
    assert spelled(Found(type="opencv", place="3").options) == "{type: opencv, index_or_path: 3}"


def test_find_cameras_works_with_none(commands, monkeypatch, capsys):
    monkeypatch.setattr(finding, "found", list)
    commands("find-cameras")
    assert "no camera is plugged in" in capsys.readouterr().out


def test_find_cameras_saves_a_picture_and_says_what_to_type(commands, monkeypatch, capsys, tmp_path):
    import cv2

    film = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter.fourcc(*"MJPG"), 50, (160, 96))
    for shade in range(10):
        writer.write(np.full((96, 160, 3), shade * 20, np.uint8))
    writer.release()
    there = Found(type="opencv", place=str(film), name="Webcam")
    gone = Found(type="opencv", place="/dev/video9", name="Other", trouble="Permission denied")
    dead = Found(type="opencv", place="/dev/video8", name="Dead")
    monkeypatch.setattr(finding, "found", lambda: [there, gone, dead])
    commands("find-cameras", "--output_dir", "seen")
    said = capsys.readouterr().out
    assert f"--robot.cameras='{{front: {{type: opencv, index_or_path: {film}}}}}'" in said
    assert "cannot be asked: Permission denied" in said
    assert "picture: none: camera '/dev/video8' cannot be opened" in said
    assert cv2.imread("seen/0-film.avi.png").shape == (96, 160, 3)


def test_what_is_plugged_in_here_can_be_listed():
    assert all(camera.place for camera in finding.found())
