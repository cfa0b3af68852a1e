"""The demo's plan: its options, where its files go, and the `lr` command lines it is made of. *Pure.*"""

from __future__ import annotations

import json
from pathlib import Path

import attrs

TASK = "Move the tool tip to the red mark"
FPS = 30
#: Width and height of the policy's picture [px]: the goal is 24 cm of board away at most, so a pixel is about 4 mm.
PICTURE = (64, 48)
#: Longest an episode or a reset may take [s]; both end by themselves much earlier.
EPISODE_S, RESET_S = 10.0, 6.0

#: A small ACT. Learned from scratch in a few hundred steps: no pretrained weights to fetch, no VAE as the leader is of one
#: mind, one second of actions per chunk.
POLICY = {
    "type": "act",
    "device": "cpu",
    "push_to_hub": False,
    "pretrained_backbone_weights": None,
    "dim_model": 128,
    "n_heads": 4,
    "dim_feedforward": 256,
    "n_encoder_layers": 2,
    "use_vae": False,
    "dropout": 0.0,
    "chunk_size": 30,
    "n_action_steps": 30,
}

#: Learning rate at its peak: one for the whole network, as the backbone starts from scratch too; a cosine down to 0 gives
#: the last millimetres, which a constant rate does not reach.
RATE, WARMUP = 2e-4, 30


@attrs.frozen(kw_only=True)
class DemoConfig:
    """Options of `lr demo`.

    Attributes:
        output_dir: folder for everything the demo makes; steps that lie there complete are not done again.
        seed: of starts, goals and weights.
        episodes: episodes to record.
        steps: training steps.
        batch_size: samples per training step.
        runs: tries of the trained policy.
        baseline_runs: tries of the untrained policy, and of the replay.
    """

    output_dir: Path = Path("outputs/demo")
    seed: int = 0
    episodes: int = 48
    steps: int = 360
    batch_size: int = 32
    runs: int = 30
    baseline_runs: int = 10

    def __attrs_post_init__(self) -> None:
        for field in ("episodes", "steps", "batch_size", "runs", "baseline_runs"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} is 1 or more, got {getattr(self, field)}")


@attrs.frozen
class Plan:
    """Files and command lines of one demo.

    Args:
        config: its options.
        arm: name of the emulated arm.
    """

    config: DemoConfig
    arm: str

    @property
    def dataset(self) -> Path:
        return self.config.output_dir / "dataset"

    @property
    def training(self) -> Path:
        return self.config.output_dir / "train"

    @property
    def untrained(self) -> Path:
        return self.config.output_dir / "untrained"

    @property
    def report(self) -> Path:
        return self.config.output_dir / "report.html"

    @property
    def port(self) -> str:
        return f"emulated://so101?name={self.arm}"

    def file(self, name: str) -> Path:
        """A file of results, by name."""
        return self.config.output_dir / "results" / name

    def robot(self) -> list[str]:
        width, height = PICTURE
        camera = {"type": "emulated", "name": self.arm, "width": width, "height": height, "fps": FPS}
        return [
            "--robot.type=so101_follower",
            f"--robot.port={self.port}",
            f"--robot.cameras={json.dumps({'front': camera})}",
        ]

    def leader(self, **options: str) -> list[str]:
        given = {"type": "scripted_leader", "name": self.arm, "seed": str(self.config.seed), **options}
        return [f"--teleop.{key}={value}" for key, value in given.items()]

    def source(self) -> list[str]:
        return ["--dataset.repo_id=demo/reach", f"--dataset.root={self.dataset}"]

    def record(self) -> list[str]:
        return [
            "record",
            *self.robot(),
            *self.leader(),
            *self.source(),
            f"--dataset.single_task={TASK}",
            f"--dataset.fps={FPS}",
            "--dataset.encoder.crf=15",
            f"--dataset.num_episodes={self.config.episodes}",
            f"--dataset.episode_time_s={EPISODE_S:g}",
            f"--dataset.reset_time_s={RESET_S:g}",
            f"--output_file={self.file('record.json')}",
        ]

    def train(self, steps: int, rate: float, output: Path) -> list[str]:
        return [
            "train",
            *self.source(),
            *(f"--policy.{key}={_text(value)}" for key, value in POLICY.items()),
            f"--output_dir={output}",
            f"--steps={steps}",
            f"--batch_size={self.config.batch_size}",
            "--save_freq=0",
            "--use_policy_training_preset=false",
            "--optimizer.type=adamw",
            f"--optimizer.lr={rate:g}",
            "--optimizer.weight_decay=1e-4",
            "--scheduler.type=cosine_annealing_with_warmup",
            f"--scheduler.num_warmup_steps={WARMUP}",
            "--log_freq=10",
            f"--seed={self.config.seed + 1}",
        ]

    def serve(self, checkpoint: Path, address: str) -> list[str]:
        return ["serve", f"--policy.path={checkpoint}", f"--address={address}", f"--fps={FPS}", "--until_eof"]

    def run(self, address: str, count: int, limit: float, results: Path) -> list[str]:
        return [
            "run",
            *self.robot(),
            *self.leader(drives="resets", unseen="true"),
            f"--server={address}",
            f"--fps={FPS}",
            f"--num_episodes={count}",
            f"--episode_time_s={limit:g}",
            f"--reset_time_s={RESET_S:g}",
            f"--output_file={results}",
        ]

    def replay(self, episode: int) -> list[str]:
        return [
            "replay",
            *self.robot(),
            *self.source(),
            f"--dataset.episode={episode}",
            "--guard.ramp_speed=90",
            f"--output_file={self.file('replay_loop.json')}",
        ]


def checkpoint(run: Path) -> Path:
    """The newest policy of a training run."""
    return run / "checkpoints" / "last" / "pretrained_model"


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
