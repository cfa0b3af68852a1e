"""ImageNet weights for ResNet backbones, as safetensors only: a local file, or the Hub's copies of torchvision's."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from lerobot_core import artifacts
from lerobot_core.errors import CheckpointError, did_you_mean
from lerobot_policies.tensors import read_tensors

#: torchvision's name → Hub repository with the same tensors under the same names
PUBLISHED = {
    "ResNet18_Weights.IMAGENET1K_V1": "timm/resnet18.tv_in1k",
    "ResNet34_Weights.IMAGENET1K_V1": "timm/resnet34.tv_in1k",
    "ResNet50_Weights.IMAGENET1K_V1": "timm/resnet50.tv_in1k",
    "ResNet50_Weights.IMAGENET1K_V2": "timm/resnet50.tv2_in1k",
    "ResNet101_Weights.IMAGENET1K_V1": "timm/resnet101.tv_in1k",
    "ResNet101_Weights.IMAGENET1K_V2": "timm/resnet101.tv2_in1k",
    "ResNet152_Weights.IMAGENET1K_V1": "timm/resnet152.tv_in1k",
    "ResNet152_Weights.IMAGENET1K_V2": "timm/resnet152.tv2_in1k",
}

_HINT = "give a .safetensors file with torchvision's tensor names, or --policy.pretrained_backbone_weights=null"


def load_backbone(backbone: nn.Module, name: str, weights: str) -> None:
    """Fill a backbone with published weights; the classifier and batch counters in the file are left out.

    Args:
        backbone: the network.
        name: its variant, as resnet18.
        weights: torchvision's name of the weights, or a path of a .safetensors file.

    Raises:
        CheckpointError: the weights cannot be found, or belong to another network.
    """
    file = Path(weights).expanduser()
    if file.suffix != ".safetensors":
        file = _published(name, weights)
    found = {
        key: value
        for key, value in read_tensors(file).items()
        if not key.startswith("fc.") and not key.endswith("num_batches_tracked")
    }
    wanted = backbone.state_dict()
    wrong = [key for key in wanted.keys() | found.keys() if key not in found or key not in wanted]
    wrong += [key for key in wanted.keys() & found.keys() if wanted[key].shape != found[key].shape]
    if wrong:
        raise CheckpointError(
            f"'{file}' does not hold the weights of {name}: {len(wrong)} tensors differ, as {sorted(wrong)[0]}",
            path=file,
            hint=_HINT,
        )
    backbone.load_state_dict(found)


def _published(name: str, weights: str) -> Path:
    if weights not in PUBLISHED:
        raise CheckpointError(
            f"unknown backbone weights '{weights}'{did_you_mean(weights, PUBLISHED)} (known: {', '.join(PUBLISHED)})",
            hint=_HINT,
        )
    if not weights.lower().startswith(f"{name}_"):
        raise CheckpointError(f"'{weights}' are not the weights of {name}", hint=_HINT)
    try:
        folder = artifacts.resolve(PUBLISHED[weights], patterns=["model.safetensors"])
    except CheckpointError as failure:
        raise CheckpointError(failure.message, path=failure.path, hint=_HINT) from failure
    return folder / "model.safetensors"
