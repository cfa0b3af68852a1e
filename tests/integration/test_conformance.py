"""What this repository offers passes the suites that third parties use."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from lerobot_core import plugin as core_plugin
from lerobot_core import roles
from lerobot_core.config import choose
from lerobot_core.errors import DeviceTimeout
from lerobot_core.testing import (
    AggregatorSuite,
    CameraSuite,
    CommandSuite,
    MotorBusSuite,
    PolicySuite,
    RobotSuite,
    TeleoperatorSuite,
)
from lerobot_datasets import plugin as datasets_plugin
from lerobot_motors import emulators, plugin, so_arm
from lerobot_motors.cameras.pattern import decode, draw
from lerobot_policies import plugin as policies_plugin
from lerobot_serve import plugin as serve_plugin


@pytest.fixture(autouse=True)
def _ours(host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what this repository offers, and emulators in a folder of their own."""
    host.add(plugin, "motors", "lerobot-motors")
    host.add(serve_plugin, "serve", "lerobot-serve")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


class TestSo101Follower(RobotSuite):
    limits: ClassVar[dict[str, tuple[float, float]]] = {"gripper.pos": (0.0, 100.0), "elbow_flex.pos": (-180.0, 180.0)}

    @pytest.fixture(params=[True, False], ids=["release", "hold"])
    def robot(self, request: pytest.FixtureRequest) -> Iterator[Any]:
        pattern = choose(roles.Camera, "pattern", fps=60.0, width=64, height=48)
        robot = choose(
            roles.Robot,
            "so101_follower",
            port="emulated://so101",
            cameras={"front": pattern},
            disable_torque_on_disconnect=request.param,
        ).build()
        keeper = emulators.open_port("emulated://so101")  # the servos stay powered when the robot lets go of the port
        yield robot
        robot.disconnect()
        keeper.close()

    def torque(self, robot: Any) -> bool:
        state = emulators.state("so101")
        try:
            return bool(state.torque.any())
        finally:
            state.close()

    def devices(self, robot: Any) -> list[Any]:
        return [robot.bus, *robot.cameras.values()]


class TestSo101Leader(TeleoperatorSuite):
    moves = True

    @pytest.fixture
    def teleoperator(self) -> Any:
        return choose(roles.Teleoperator, "so101_leader", port="emulated://so101-leader?motion=sine").build()


class TestPatternCamera(CameraSuite):
    changes = True

    def looks_right(self, picture: Any) -> bool:
        """As it is drawn: red grows along the columns, green down the rows, but for the moving bar."""
        return bool(abs(picture - draw(decode(picture), *picture.shape[1::-1]).astype(int)).max() == 0)

    @pytest.fixture
    def camera(self) -> Any:
        return choose(roles.Camera, "pattern", fps=60.0, width=64, height=48).build()


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of two seconds."""
    cv2 = pytest.importorskip("cv2")
    path = tmp_path_factory.mktemp("film") / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 50, (160, 96))
    for number in range(100):
        writer.write(draw(number, 160, 96))
    writer.release()
    return path


class TestOpencvCamera(CameraSuite):
    changes = True

    def looks_right(self, picture: Any) -> bool:
        """The film's pictures, which OpenCV took for BGR, up to what their coding loses."""
        return bool(abs(picture[..., ::-1] - draw(decode(picture), *picture.shape[1::-1]).astype(int)).mean() < 12)

    @pytest.fixture
    def camera(self, film: Path) -> Any:
        return choose(
            roles.Camera, "opencv", index_or_path=str(film), warmup_s=0.0, width=160, height=96, fps=50.0
        ).build()


class TestEmulatedCamera(CameraSuite):
    on_demand = True

    @pytest.fixture
    def camera(self) -> Iterator[Any]:
        keeper = emulators.open_port("emulated://so101")
        yield choose(roles.Camera, "emulated", name="so101", width=160, height=120).build()
        keeper.close()


class Spoiler:
    """A serial port of which the next reply can be spoilt, and which remembers what was sent."""

    def __init__(self, port: Any) -> None:
        self._port = port
        self.fault = ""
        self.written = bytearray()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    def write(self, data: bytes) -> int:
        self.written += data
        return self._port.write(data)

    def read(self, size: int) -> bytes:
        data = self._port.read(size)
        if not data or not self.fault:
            return data
        fault, self.fault = self.fault, ""
        if fault == "a flipped bit":
            data += self._port.read(32)
            return data[:5] + bytes([data[5] ^ 0x10]) + data[6:]
        if fault == "half a reply":
            data += self._port.read(32)
            return data[:4]
        return {"noise in front": b"\x00\xff\x13", "an echo": bytes(self.written[-8:])}[fault] + data


class TestFeetechBus(MotorBusSuite):
    """Packets are the examples of the STS protocol manual: header, id, length, instruction, parameters, checksum."""

    roundtrips: ClassVar[dict[str, tuple[int, ...]]] = {
        "Goal_Position": (0, 4095, 2048),
        "Homing_Offset": (-2047, 2047, 1),
        "Max_Torque_Limit": (500, 1000),
    }
    too_large: ClassVar[dict[str, tuple[int, ...]]] = {"Goal_Position": (1 << 16,), "Max_Torque_Limit": (1 << 16, -1)}
    calibrated = "Homing_Offset"
    torque_register = "Torque_Enable"
    faults = ("a flipped bit", "half a reply", "noise in front", "an echo")
    packets = (
        (lambda bus: bus.ping("shoulder_pan"), bytes.fromhex("ffff0104020302f3")),
        (lambda bus: bus.read("Present_Position", "shoulder_pan", normalize=False), bytes.fromhex("ffff0104023802be")),
        (
            lambda bus: bus.write("Goal_Position", "shoulder_pan", 2048, normalize=False),
            bytes.fromhex("ffff0105032a0008c4"),
        ),
        (
            lambda bus: bus.sync_write("Goal_Position", {"shoulder_pan": 2048, "shoulder_lift": 2048}, normalize=False),
            bytes.fromhex("fffffe0a832a0201000802000835"),
        ),
    )

    @pytest.fixture
    def bus(self) -> Iterator[Any]:
        keeper = emulators.open_port("emulated://so101")
        motors = so_arm.motors(use_degrees=True)
        bus = choose(roles.MotorBus, "feetech", port="emulated://so101", motors=motors).build()
        yield bus
        bus.disconnect(disable_torque=False)
        keeper.close()

    @pytest.fixture
    def connected(self, bus: Any) -> Any:
        """Torque off, which opens the EEPROM for writing."""
        bus.connect()
        bus.disable_torque()
        return bus

    def silence(self, bus: Any, motor: str) -> bool:
        with contextlib.suppress(DeviceTimeout):  # it acknowledges under its new id
            bus.write("ID", motor, 99, normalize=False)
        return True

    def spoiler(self, bus: Any) -> Spoiler:
        port = bus._wire._port
        if not isinstance(port.ser, Spoiler):
            port.ser = Spoiler(port.ser)
        return port.ser

    def spoil(self, bus: Any, fault: str) -> None:
        self.spoiler(bus).fault = fault

    def sent(self, bus: Any) -> bytes:
        spoiler = self.spoiler(bus)
        sent = bytes(spoiler.written)
        spoiler.written.clear()
        return sent


@pytest.mark.parametrize("kind", ["weighted_average", "latest_only", "average", "conservative"])
class TestAggregators(AggregatorSuite):
    @pytest.fixture
    def aggregator(self, kind: str) -> Any:
        return choose(roles.Aggregator, kind).build()


class TestHold(PolicySuite):
    trains = saves = False

    @pytest.fixture
    def policy(self) -> Any:
        return choose(roles.Policy, "hold").build()


@pytest.mark.needs_torch
class TestAct(PolicySuite):
    checkpoint = "act_vae_env"

    @pytest.fixture
    def policy(self, fixtures: Path) -> Any:
        return self.load(fixtures / "policies" / self.checkpoint)

    def load(self, path: Path) -> Any:
        from lerobot_policies.act.model import Act

        return Act.from_pretrained(path)

    @pytest.fixture
    def batch(self, policy: Any) -> dict[str, Any]:
        import torch

        draw = torch.Generator().manual_seed(0)
        batch = {key: torch.randn(4, *f.shape, generator=draw) for key, f in policy.input_features.items()}
        steps, size = policy.config.chunk_size, policy.output_features["action"].shape[0]
        pad = torch.zeros(4, steps, dtype=torch.bool)
        pad[1, steps // 2 :] = True
        return {**batch, "action": torch.randn(4, steps, size, generator=draw), "action_is_pad": pad}


class TestActEnsemble(TestAct):
    """Without the variational part its latent is zero, so the projection of the latent learns nothing."""

    checkpoint = "act_novae_env_ensemble"
    untrained = ("model.encoder_latent_input_proj.weight",)


COMMANDS = [
    command
    for offering in (core_plugin, plugin, datasets_plugin, policies_plugin, serve_plugin)
    for command in getattr(offering, "lr_commands", list)()
    if not command.summary.startswith("The same as")  # another name, with the help of the first
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
class TestCommands(CommandSuite):
    works_on = ("pyarrow", "av")  # `lr dataset …`
