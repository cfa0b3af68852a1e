"""What all policies share: processors, sessions, inference in robot units, and the checkpoint folder.

A policy class says how to build its network, its loss and its chunks; everything that lives between two inferences is in
a `Session`, so that one model serves many clients. Knows nothing of datasets, training or robots.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import attrs
import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from lerobot_core import artifacts
from lerobot_core import config as core
from lerobot_core.errors import CheckpointError, ConfigError, FeatureError
from lerobot_core.features import ACTION, Feature, PolicyFeature, match
from lerobot_core.roles import ActionChunk
from lerobot_policies.config import PolicyConfig, to_json
from lerobot_policies.processors.defaults import POST, PRE, make_pre_post_processors
from lerobot_policies.processors.normalize import Scaling, Stats
from lerobot_policies.processors.pipeline import Pipeline
from lerobot_policies.tensors import read_tensors

logger = logging.getLogger(__name__)

CONFIG, WEIGHTS = "config.json", "model.safetensors"

#: names of the action's elements; a file of its own because readers of the others refuse keys they do not know
NAMES = "action_names.json"


@attrs.define
class Session:
    """What lives between two inferences of one client.

    Attributes:
        task: what the robot is told to do.
        generator: random numbers of this client.
        queue: actions (B, A) of `select_action` that are still to be given out.
        memory: what the policy itself keeps, as the running average of a temporal ensemble.
        step: control step of the last inference; None before the first.
    """

    generator: torch.Generator
    task: str = ""
    queue: deque[Tensor] = attrs.Factory(deque)
    memory: Any = None
    step: int | None = None

    def reset(self) -> None:
        """Forget the episode; the generator goes on."""
        self.queue.clear()
        self.memory = self.step = None


class Policy(nn.Module):
    """A model with its pre- and post-processor.

    A subclass sets `config_class` and has `build`, `forward` and `chunk`.

    Args:
        config: its config, with input and output features.
        dataset_stats: statistics to scale by: feature → statistic → array.
        pretrained_parts: fetch the published weights of parts of the model, as an ImageNet backbone.

    Raises:
        ConfigError: no features, or a device that is not there.
        CheckpointError: published weights that cannot be fetched.
    """

    config_class: ClassVar[type[PolicyConfig]]

    def __init__(
        self, config: PolicyConfig, dataset_stats: Stats | None = None, *, pretrained_parts: bool = True
    ) -> None:
        super().__init__()
        if not config.input_features or config.action_feature is None:
            raise ConfigError(
                f"policy '{config.type}' needs input_features and an output feature of type ACTION",
                hint="they come with the dataset in training; set both to build a policy by hand",
            )
        self.config = attrs.evolve(config, device=usable_device(config.device))
        self.action_names: Sequence[str] | None = None
        self.build()
        if pretrained_parts:
            self.load_pretrained_parts()
        self.to(self.config.device)
        self.preprocessor, self.postprocessor = self.make_processors(dataset_stats)
        self._own = self.session()

    # --- what a policy says about itself --------------------------------------------------------------------------

    def build(self) -> None:
        """Make the network from `self.config`."""
        raise TypeError(f"{type(self).__name__} does not say how it is built")

    def load_pretrained_parts(self) -> None:
        """Fill parts of a new network with published weights; most policies have none."""

    def forward(self, batch: Mapping[str, Any]) -> tuple[Tensor, dict[str, float]]:
        """Loss and its parts for a training batch that went through the pre-processor."""
        raise TypeError(f"{type(self).__name__} has no training loss")

    def chunk(self, batch: Mapping[str, Any], generators: Sequence[torch.Generator]) -> Tensor:
        """Actions (B, T, A) in the model's units; row i draws from generator i."""
        raise TypeError(f"{type(self).__name__} predicts no chunks")

    def refine(self, session: Session, chunk: Tensor, steps: int) -> Tensor:
        """A chunk (1, T, A) in the light of the session's earlier ones, `steps` control steps after the last."""
        return chunk

    def optimizer_groups(self) -> list[dict[str, Any]]:
        """Parameter groups of the optimiser the policy is trained with."""
        return [{"params": [p for p in self.parameters() if p.requires_grad]}]

    def make_processors(self, dataset_stats: Stats | None) -> tuple[Pipeline, Pipeline]:
        return make_pre_post_processors(self.config, dataset_stats=dataset_stats)

    # --- features -------------------------------------------------------------------------------------------------

    @property
    def input_features(self) -> Mapping[str, PolicyFeature]:
        return self.config.input_features

    @property
    def output_features(self) -> Mapping[str, PolicyFeature]:
        return self.config.output_features

    # --- inference ------------------------------------------------------------------------------------------------

    def session(self, seed: int = 0) -> Session:
        """State of a new client."""
        return Session(torch.Generator().manual_seed(seed))

    def supports_rtc(self) -> bool:
        """Whether a new chunk can be made to go on from the rest of the last one."""
        return False

    @torch.no_grad()
    def predict_action_chunk(
        self,
        batch: Mapping[str, Any],
        *,
        generators: Sequence[torch.Generator] | None = None,
        inference_delay: int | None = None,
        prev_chunk_left_over: Tensor | None = None,
    ) -> Tensor:
        """Actions (B, T, A) in the model's units for a batch that went through the pre-processor.

        Args:
            batch: observations (B, …).
            generators: one per row; the policy's own by default.
            inference_delay: control steps that pass before the chunk can be used; for policies that support it.
            prev_chunk_left_over: (B, K, A) the rest of the last chunk; for policies that support it.

        Raises:
            ConfigError: the last two are given to a policy that does not support them.
        """
        if (inference_delay is not None or prev_chunk_left_over is not None) and not self.supports_rtc():
            raise ConfigError(f"policy '{self.config.type}' does not continue an earlier chunk")
        self.eval()
        size = len(batch[next(iter(self.config.input_features))])
        return self.chunk(batch, generators or [self._own.generator] * size)

    def select_action(self, batch: Mapping[str, Any]) -> Tensor:
        """The next action (B, A) in the model's units; predicts a chunk whenever the last one is used up."""
        own, steps = self._own, self.config.n_action_steps
        if not own.queue:
            chunk = self.refine(own, self.predict_action_chunk(batch), steps)
            own.queue.extend(chunk[:, :steps].transpose(0, 1))
        return own.queue.popleft()

    def reset(self) -> None:
        """Begin a new episode of `select_action`."""
        self._own.reset()

    def infer(
        self,
        sessions: Sequence[Session],
        observations: Sequence[Mapping[str, Any]],
        executed_steps: Sequence[int],
    ) -> list[ActionChunk]:
        """One chunk per session, in robot units.

        Args:
            sessions: the clients' sessions, each at most once.
            observations: dataset name → float32 vector, uint8 picture (H, W, C) or text; may hold `task`.
            executed_steps: control step of each observation.

        Raises:
            FeatureError: an observation lacks what the policy needs, or it has another shape.
        """
        rows = [self._row(session, item) for session, item in zip(sessions, observations, strict=True)]
        if not rows:
            return []
        batch = {key: self._stacked([row[key] for row in rows]) for key in rows[0]}
        batch = self.preprocessor(batch)
        predicted = self.predict_action_chunk(batch, generators=[session.generator for session in sessions])
        chunks = []
        for session, row, step in zip(sessions, predicted, executed_steps, strict=True):
            since = 1 if session.step is None else max(1, step - session.step)
            chunks.append(self.refine(session, row[None], since))
            session.step = step
        actions = self.postprocessor({ACTION: torch.cat(chunks)})[ACTION].float().numpy()  # (B, T, A)
        return [
            ActionChunk(actions=one, step=step, observed=step)
            for one, step in zip(actions, executed_steps, strict=True)
        ]

    def _row(self, session: Session, observation: Mapping[str, Any]) -> dict[str, Any]:
        """What the policy needs of one observation, under the observation's names; pictures become (C, H, W)."""
        arrays = {key: np.asarray(value) for key, value in observation.items() if key.startswith("observation.")}
        rename = self.preprocessor.find("rename_observations_processor")
        names = {old: new for old, new in (rename.rename_map if rename else {}).items() if old in arrays}
        found = match(
            {key: _offered(value) for key, value in arrays.items()}, self.config.input_features, names,
            what=f"observation for policy '{self.config.type}'",
        )  # fmt: skip
        row: dict[str, Any] = {}
        for key in found.values():
            picture = arrays[key].ndim == 3
            row[key] = arrays[key].transpose(2, 0, 1) if picture else arrays[key].astype(np.float32, copy=False)
        row["task"] = observation.get("task") or session.task
        return row

    def _stacked(self, values: Sequence[Any]) -> Any:
        if isinstance(values[0], str):
            return list(values)
        tensor = torch.from_numpy(np.stack(values)).to(self.config.device)
        return tensor.float() / 255 if tensor.dtype == torch.uint8 else tensor

    # --- checkpoint -----------------------------------------------------------------------------------------------

    def save_pretrained(self, directory: str | Path) -> None:
        """Write `config.json`, `model.safetensors` and the processors, as `from_pretrained` reads them."""
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG).write_text(json.dumps(to_json(self.config), indent=4))
        state = {key: value.detach().cpu().contiguous() for key, value in self.state_dict().items()}
        save_file(state, folder / WEIGHTS, metadata={"format": "pt"})
        if self.action_names is not None:
            (folder / NAMES).write_text(json.dumps(list(self.action_names)))
        self.preprocessor.save(folder)
        self.postprocessor.save(folder)

    @classmethod
    def from_pretrained(
        cls,
        path_or_repo: str | Path,
        config: PolicyConfig | None = None,
        *,
        dataset_stats: Stats | None = None,
        revision: str | None = None,
    ) -> Self:
        """Read a checkpoint folder, or download it from the Hub.

        Args:
            path_or_repo: a folder, or owner/name.
            config: options that replace those stored.
            dataset_stats: statistics that replace those stored, to fine-tune on other data.
            revision: branch, tag or commit on the Hub.

        Raises:
            CheckpointError: a file is missing or broken, or the weights are not those of the config.
        """
        folder = artifacts.resolve(path_or_repo, revision, ["*.json", "*.safetensors"])
        config = config or read_config(folder, cls.config_class)
        config = attrs.evolve(config, device=stored_device(config.device))
        policy = cls(config, dataset_stats, pretrained_parts=False)
        policy._load_weights(folder / WEIGHTS)
        if (folder / NAMES).is_file():
            policy.action_names = json.loads((folder / NAMES).read_text())
        if dataset_stats is None:
            device = {"device_processor": {"device": policy.config.device}}
            policy.preprocessor = Pipeline.load(folder, PRE, device)
            policy.postprocessor = Pipeline.load(folder, POST)
            for pipeline in (policy.preprocessor, policy.postprocessor):
                _check_scaled(pipeline, folder)
        return policy.eval()

    def _load_weights(self, file: Path) -> None:
        found, wanted = read_tensors(file), self.state_dict()
        problems = {
            "missing": [key for key in wanted if key not in found],
            "unexpected": [key for key in found if key not in wanted],
            "of another shape": [k for k, v in wanted.items() if k in found and found[k].shape != v.shape],
        }
        told = [
            f"{len(keys)} {what} ({', '.join(keys[:4])}{', …' * (len(keys) > 4)})"
            for what, keys in problems.items()
            if keys
        ]
        if told:
            raise CheckpointError(
                f"'{file}' does not fit policy '{self.config.type}': {'; '.join(told)}",
                path=file,
                hint="the options that shape the network must be those it was trained with",
            )
        self.load_state_dict(found)


def read_config(folder: Path, kind: type[PolicyConfig]) -> Any:
    """The config of a checkpoint folder.

    Raises:
        CheckpointError: it is missing or of another type.
        ConfigError: it holds options that cannot be right.
    """
    file = folder / CONFIG
    try:
        data = json.loads(file.read_text())
    except (OSError, ValueError) as failure:
        raise CheckpointError(f"'{file}' cannot be read: {failure}", path=file) from failure
    if data.pop("type", None) != kind.type:
        raise CheckpointError(f"'{file}' is not of a policy of type '{kind.type}'", path=file)
    return core.structure(data, kind)


def _check_scaled(pipeline: Pipeline, folder: Path) -> None:
    """An arm driven by actions that nobody scaled back would flail."""
    for step in pipeline.steps:
        if isinstance(step, Scaling) and (keys := step.unknown()):
            raise CheckpointError(
                f"'{folder}' has no statistics of {', '.join(keys)}, which '{step.registry_name}' scales by",
                path=folder,
                hint="copy the whole checkpoint folder, or load it with dataset_stats=…",
            )


def usable_device(name: str | None) -> str:
    """The device of that name, or the best there is when None.

    Raises:
        ConfigError: it is not on this machine.
    """
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name is None:
        return next(kind for kind in ("cuda", "mps", "cpu") if available[kind])
    kind = name.partition(":")[0]
    if not available.get(kind, False):
        there = ", ".join(kind for kind, found in available.items() if found)
        what = "is not on this machine" if kind in available else f"is none of {', '.join(available)}"
        raise ConfigError(f"device '{name}' {what} (found: {there})", hint="--policy.device=cpu")
    return name


def stored_device(name: str | None) -> str:
    """The device a checkpoint names, or the best there is, with a warning, where it was made on another machine."""
    try:
        return usable_device(name)
    except ConfigError as failure:
        best = usable_device(None)
        logger.warning("%s; the checkpoint is loaded on '%s'", failure.message, best)
        return best


def _offered(value: np.ndarray) -> Feature | PolicyFeature:
    if value.ndim != 3:
        return Feature(dtype=str(value.dtype), shape=value.shape)
    if value.dtype != np.uint8:
        raise FeatureError(f"a picture is {value.dtype}, expected uint8 (H, W, C)")
    return PolicyFeature(type="VISUAL", shape=(value.shape[2], *value.shape[:2]))
