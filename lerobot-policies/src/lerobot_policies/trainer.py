"""Training: a dataset's batches through a policy's loss, with checkpoints from which a run goes on as if never stopped.

The dataset is reached through core's `DatasetBackend` alone. On the CPU a run that was killed and resumed gives the same
weights, bit by bit, as one that was not: the order of the samples is a function of seed and step, the generators are part
of a checkpoint, and nothing but the model draws from them.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Self

import attrs
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from lerobot_core import plugins
from lerobot_core.errors import ConfigError, LeRobotError
from lerobot_policies import checkpoint
from lerobot_policies.assembly import build_policy, named, open_dataset, torch_arguments, worker_count
from lerobot_policies.optim import build_optimizer, build_scheduler, clip_gradients
from lerobot_policies.progress import Progress
from lerobot_policies.tensors import read_tensors
from lerobot_policies.train_config import TrainConfig, to_json


class Stop:
    """Ctrl-C and SIGTERM between steps: the first asks, the second Ctrl-C interrupts."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> Self:
        try:
            self._before = {number: signal.signal(number, self._ask) for number in self.SIGNALS}
        except ValueError:  # not the main thread: signals are somebody else's
            self._before = {}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True


class Window:
    """Means of the numbers since the last line."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._count = 0
        self._seconds = {"data_s": 0.0, "update_s": 0.0}
        self.rate = 0.0

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self._seconds[name] += time.perf_counter() - started

    def add(self, numbers: Mapping[str, float]) -> None:
        self._count += 1
        for name, value in numbers.items():
            self._sums[name] = self._sums.get(name, 0.0) + value

    def numbers(self, batch_size: int) -> dict[str, float]:
        means = {name: value / self._count for name, value in self._sums.items()}
        seconds = {name: value / self._count for name, value in self._seconds.items()}
        head = {"loss": means.pop("loss"), "grad_norm": means.pop("grad_norm"), "lr": self.rate}
        return {**head, **seconds, "samples_per_s": batch_size / sum(seconds.values()), **means}


class Trainer:
    """A training run.

    Args:
        config: its options.

    Raises:
        ConfigError: an output folder that is in use, or a device that is not there.
        FeatureError: the dataset does not have what the policy needs.
        CheckpointError: a checkpoint that cannot be read.
        DataError: a dataset that cannot be read.
    """

    def __init__(self, config: TrainConfig) -> None:
        config = self.config = named(config)
        self.run = Path(config.output_dir)
        if not config.resume and (self.run / "checkpoints").exists():
            raise ConfigError(
                f"output_dir '{self.run}' exists and holds the checkpoints of a run",
                hint="choose another --output_dir, or --resume=true",
            )
        torch.backends.cudnn.benchmark = not config.cudnn_deterministic
        torch.backends.cudnn.deterministic = config.cudnn_deterministic
        torch.backends.cuda.matmul.allow_tf32 = True
        checkpoint.seed_everything(config.seed)
        reader = open_dataset(config)
        self.policy = build_policy(config, reader)
        options = self.policy.config
        self._prepare_optimizer()
        self.config = attrs.evolve(
            self.config,
            policy=attrs.evolve(config.policy, config=options),
            num_workers=worker_count(config, options),
        )
        self.dataset = reader.torch(*torch_arguments(config, options, reader))
        self.sampler = self._sampler(options.drop_last_frames)
        if config.batch_size > len(self.sampler):
            raise ConfigError(
                f"batch_size {config.batch_size} is more than the dataset's {len(self.sampler)} frames to train on",
                hint=f"--batch_size={len(self.sampler)} at most",
            )
        self.step, self._random = 0, None
        if config.resume:
            self._resume(Path(config.checkpoint_path))

    def _sampler(self, drop_last: int) -> Any:
        """The order of the samples; of an iterable dataset it is that dataset in the order wanted."""
        config, order = self.config, {"shuffle": True, "drop_last": drop_last}
        if isinstance(self.dataset, IterableDataset):
            return self.dataset.sampler(seed=config.seed, batch_size=config.batch_size, **order)
        return self.dataset.sampler(seed=config.seed, **order)

    def _prepare_optimizer(self) -> None:
        """The policy's preset and its groups, unless the run has its own; both end up in the stored config."""
        config, policy = self.config, self.policy
        optimizer, scheduler = config.optimizer, config.scheduler
        if config.use_policy_training_preset:
            optimizer, scheduler = policy.config.optimizer_preset(), policy.config.scheduler_preset()
            groups = policy.optimizer_groups()
        else:
            groups = [{"params": list(policy.parameters())}]
        self.config = attrs.evolve(config, optimizer=optimizer, scheduler=scheduler)
        self.clip = optimizer.to_json()["grad_clip_norm"]
        self.optimizer = build_optimizer(optimizer, groups)
        self.scheduler = build_scheduler(scheduler, self.optimizer, config.steps) if scheduler else None

    def _resume(self, folder: Path) -> None:
        state = folder / checkpoint.STATE
        counts = checkpoint.load_training_state(state, self.optimizer, self.scheduler)
        self.step, self._random = counts.step, read_tensors(state / "rng_state.safetensors")
        before = counts.batch_size or self.config.batch_size  # this run's may be another
        per_epoch = math.ceil(math.ceil(len(self.sampler) / before) / counts.processes)
        epoch, batches = divmod(self.step, per_epoch)
        self.sampler.load_state_dict({"epoch": epoch, "start_index": batches * before * counts.processes})

    # --- the run --------------------------------------------------------------------------------------------------

    def train(self) -> bool:
        """Train until the last step; gives whether it was reached, or the run was asked to stop before."""
        config = self.config
        self.run.mkdir(parents=True, exist_ok=True)
        batches = self._batches()
        self.policy.train()
        with Stop() as stop, Progress(self.run / "metrics.jsonl", config.steps, self.step) as progress:
            if self._random is not None:
                checkpoint.restore_random_state(self._random)
            window = Window()
            while self.step < config.steps and not stop.asked:
                with window.timed("data_s"):
                    batch = next(batches)
                with window.timed("update_s"):
                    loss = self._update(batch, window)
                self.step += 1
                progress.advance(loss)
                if self.step % config.log_freq == 0 or self.step == config.steps:
                    progress.log(self._numbers(window))
                    window = Window()
                if self._due():
                    self.save(progress)
            if stop.asked and config.save_checkpoint and not self._due():
                self.save(progress)
        return self.step >= config.steps

    def _due(self) -> bool:
        every = self.config.save_freq
        last = self.step == self.config.steps
        return self.config.save_checkpoint and (last or (every > 0 and self.step % every == 0))

    def _batches(self) -> Iterator[dict[str, Any]]:
        config, device = self.config, self.policy.config.device
        workers = config.num_workers
        parallel: dict[str, Any] = {}
        if workers:
            parallel = {
                "num_workers": workers,
                "multiprocessing_context": config.dataloader_multiprocessing_context,
                "prefetch_factor": config.prefetch_factor,
                "persistent_workers": config.persistent_workers,
            }
        iterable = isinstance(self.sampler, IterableDataset)
        source = {"dataset": self.sampler} if iterable else {"dataset": self.dataset, "sampler": self.sampler}
        loader = DataLoader(
            **source,
            batch_size=config.batch_size,
            collate_fn=self.dataset.collate,
            pin_memory=device.startswith("cuda"),
            generator=torch.Generator(),  # its draws must not shift the model's
            **parallel,
        )
        while True:
            state = self.sampler.state_dict()
            if state["start_index"] == 0:
                # the ecosystem's loader takes this draw at the start of an epoch; with it a seed gives the same run
                torch.empty((), dtype=torch.int64).random_()
            yield from loader
            if iterable:  # its copies in workers do not tell that the epoch is over
                self.sampler.set_epoch(state["epoch"] + 1)

    def _update(self, batch: Mapping[str, Any], window: Window) -> float:
        batch = self.policy.preprocessor(on_device(batch, self.policy.config.device))
        loss, parts = self.policy(batch)
        loss.backward()
        norm = clip_gradients(self.policy, self.clip)
        window.rate = self.optimizer.param_groups[0]["lr"]
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.scheduler is not None:
            self.scheduler.step()
        value = loss.item()
        if not math.isfinite(value):
            raise LeRobotError(
                f"the loss of step {self.step + 1} is {value}",
                hint="try a smaller learning rate, and look for broken values with `lr dataset info`",
            )
        window.add({"loss": value, "grad_norm": norm.item(), **parts})
        return value

    def _numbers(self, window: Window) -> dict[str, float]:
        samples = self.step * self.config.batch_size
        counts = {"step": self.step, "samples": samples, "epoch": samples / len(self.sampler)}
        return {**counts, **window.numbers(self.config.batch_size)}

    def save(self, progress: Progress) -> Path:
        """Write a checkpoint of the present step."""
        name = checkpoint.step_name(self.step, self.config.steps)
        folder = checkpoint.publish(self.run, name, self._write)
        progress.say(f"checkpoint {folder}")
        plugins.host().notify("lr_checkpoint_saved", path=folder, step=self.step)
        return folder

    def _write(self, folder: Path) -> None:
        self.policy.save_pretrained(folder / checkpoint.MODEL)
        checkpoint.write_json(folder / checkpoint.MODEL / "train_config.json", to_json(self.config))
        checkpoint.save_training_state(
            folder / checkpoint.STATE, self.step, self.config.batch_size, self.optimizer, self.scheduler
        )


def on_device(batch: Mapping[str, Any], device: str) -> dict[str, Any]:
    """A batch on the device; pictures of bytes become floating point from 0 to 1 there."""
    return {key: _moved(value, device) if isinstance(value, Tensor) else value for key, value in batch.items()}


def _moved(value: Tensor, device: str) -> Tensor:
    value = value.to(device, non_blocking=True)
    return value.float() / 255 if value.dtype == torch.uint8 and value.dim() >= 4 else value
