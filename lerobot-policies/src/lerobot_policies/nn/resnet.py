"""ResNet-18 to -152 without the classifier, with torchvision's parameter names, so that published weights load.

Residual networks: He et al., arXiv 1512.03385; the 3x3 convolution of a bottleneck carries the stride ("v1.5").
Batch norms are frozen: they hold statistics and never update them.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FrozenBatchNorm(nn.Module):
    """Batch norm of fixed statistics: buffers only, no `num_batches_tracked`."""

    EPS = 1e-5

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def affine(self) -> tuple[Tensor, Tensor]:
        """Scale and shift (C,) that the norm amounts to."""
        scale = self.weight * (self.running_var + self.EPS).rsqrt()
        return scale, self.bias - self.running_mean * scale


def _conv(inputs: int, outputs: int, size: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    padding = dilation * (size // 2)
    return nn.Conv2d(inputs, outputs, size, stride, padding, dilation=dilation, bias=False)


def _conv_norm(x: Tensor, conv: nn.Conv2d, norm: FrozenBatchNorm) -> Tensor:
    """Convolution and frozen norm in one: the norm is folded into the filters, which are far smaller than the maps."""
    scale, shift = norm.affine()
    return F.conv2d(x, conv.weight * scale[:, None, None, None], shift, conv.stride, conv.padding, conv.dilation)


class Downsample(nn.Sequential):
    """Shortcut of a block that changes the shape: `0` is the convolution, `1` its norm."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(_conv(inputs, outputs, 1, stride), FrozenBatchNorm(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return _conv_norm(x, self[0], self[1])


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    EXPANSION = 1

    def __init__(self, inputs: int, width: int, stride: int, dilation: int, downsample: nn.Module | None) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, width, 3, stride, dilation)
        self.bn1 = FrozenBatchNorm(width)
        self.conv2 = _conv(width, width, 3)
        self.bn2 = FrozenBatchNorm(width)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu_(_conv_norm(x, self.conv1, self.bn1))
        y = _conv_norm(y, self.conv2, self.bn2)
        return F.relu_(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions and a shortcut."""

    EXPANSION = 4

    def __init__(self, inputs: int, width: int, stride: int, dilation: int, downsample: nn.Module | None) -> None:
        super().__init__()
        outputs = width * self.EXPANSION
        self.conv1 = _conv(inputs, width, 1)
        self.bn1 = FrozenBatchNorm(width)
        self.conv2 = _conv(width, width, 3, stride, dilation)
        self.bn2 = FrozenBatchNorm(width)
        self.conv3 = _conv(width, outputs, 1)
        self.bn3 = FrozenBatchNorm(outputs)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu_(_conv_norm(x, self.conv1, self.bn1))
        y = F.relu_(_conv_norm(y, self.conv2, self.bn2))
        y = _conv_norm(y, self.conv3, self.bn3)
        return F.relu_(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """Pictures (B, 3, H, W) to feature maps (B, channels, H/32, W/32).

    Args:
        name: resnet18, resnet34, resnet50, resnet101 or resnet152.
        dilate_last: the last stage keeps its resolution (stride 16) and dilates its 3x3 convolutions instead.
    """

    VARIANTS: ClassVar[dict[str, tuple[type[nn.Module], tuple[int, int, int, int]]]] = {
        "resnet18": (BasicBlock, (2, 2, 2, 2)),
        "resnet34": (BasicBlock, (3, 4, 6, 3)),
        "resnet50": (Bottleneck, (3, 4, 6, 3)),
        "resnet101": (Bottleneck, (3, 4, 23, 3)),
        "resnet152": (Bottleneck, (3, 8, 36, 3)),
    }

    def __init__(self, name: str, *, dilate_last: bool = False) -> None:
        super().__init__()
        block, depths = self.VARIANTS[name]
        self.conv1 = _conv(3, 64, 7, stride=2)
        self.bn1 = FrozenBatchNorm(64)
        self.channels = 64
        for i, depth in enumerate(depths):
            dilate = dilate_last and i == 3
            stride = 1 if i == 0 or dilate else 2
            stage = self._stage(block, 64 * 2**i, depth, stride, dilation=2 if dilate else 1)
            setattr(self, f"layer{i + 1}", stage)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def _stage(self, block: type[nn.Module], width: int, depth: int, stride: int, dilation: int) -> nn.Sequential:
        outputs = width * block.EXPANSION
        change = stride != 1 or self.channels != outputs
        shortcut = Downsample(self.channels, outputs, stride) if change else None
        # the first block of a dilated stage keeps the dilation of the stage before it, as torchvision has it
        blocks = [block(self.channels, width, stride, 1, shortcut)]
        blocks += [block(outputs, width, 1, dilation, None) for _ in range(1, depth)]
        self.channels = outputs
        return nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)  # the convolutions' fast layout
        x = F.relu_(_conv_norm(x, self.conv1, self.bn1))  # (B, 64, H/2, W/2)
        x = F.max_pool2d(x, 3, stride=2, padding=1)  # (B, 64, H/4, W/4)
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))  # (B, channels, H/32, W/32)
