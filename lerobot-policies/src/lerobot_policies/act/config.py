"""Options of ACT, in the order its `config.json` lists them."""

from __future__ import annotations

from typing import ClassVar, Literal

import attrs

from lerobot_policies.config import NormMode, PolicyConfig
from lerobot_policies.presets import OptimizerConfig


@attrs.frozen(kw_only=True)
class ActConfig(PolicyConfig):
    """ACT (arXiv 2304.13705).

    Attributes:
        chunk_size: actions predicted at once
        n_action_steps: actions executed before the next prediction
        normalization_mapping: how features are scaled, by feature type; a type left out is not scaled
        vision_backbone: ResNet that sees the cameras
        pretrained_backbone_weights: ImageNet weights to start the backbone from, or a .safetensors file; null for none
        replace_final_stride_with_dilation: keep the last ResNet stage at stride 16 (ResNet-50 and larger)
        pre_norm: normalise before each block of the transformer instead of after it
        dim_model: width of the transformer
        n_heads: attention heads
        dim_feedforward: width of the feed-forward blocks
        feedforward_activation: activation of the feed-forward blocks
        n_encoder_layers: encoder layers
        n_decoder_layers: decoder layers
        use_vae: train with a variational encoder of the action chunk
        latent_dim: size of the variational latent
        n_vae_encoder_layers: layers of the variational encoder
        temporal_ensemble_coeff: weight decay of the average over overlapping chunks (0.01 in the paper); null for none
        dropout: dropout in the transformer
        kl_weight: weight of the KL term of the loss
        optimizer_lr: learning rate
        optimizer_weight_decay: weight decay
        optimizer_lr_backbone: learning rate of the backbone
    """

    type: ClassVar[str] = "act"

    chunk_size: int = 100
    n_action_steps: int = 100
    normalization_mapping: dict[str, NormMode] = attrs.Factory(
        lambda: {"VISUAL": "MEAN_STD", "STATE": "MEAN_STD", "ACTION": "MEAN_STD"}
    )
    vision_backbone: Literal["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"] = "resnet18"
    pretrained_backbone_weights: str | None = "ResNet18_Weights.IMAGENET1K_V1"
    # checkpoints of the ecosystem hold this one as 0 or false
    replace_final_stride_with_dilation: bool | int = False
    pre_norm: bool = False
    dim_model: int = 512
    n_heads: int = 8
    dim_feedforward: int = 3200
    feedforward_activation: Literal["relu", "gelu"] = "relu"
    n_encoder_layers: int = 4
    n_decoder_layers: int = 1
    use_vae: bool = True
    latent_dim: int = 32
    n_vae_encoder_layers: int = 4
    temporal_ensemble_coeff: float | None = None
    dropout: float = 0.1
    kl_weight: float = 10.0
    optimizer_lr: float = 1e-5
    optimizer_weight_decay: float = 1e-4
    optimizer_lr_backbone: float = 1e-5

    def __attrs_post_init__(self) -> None:
        if self.n_obs_steps != 1:
            raise ValueError(f"n_obs_steps is {self.n_obs_steps}, ACT sees one observation")
        if self.n_action_steps > self.chunk_size:
            raise ValueError(f"n_action_steps {self.n_action_steps} is more than chunk_size {self.chunk_size}")
        if self.temporal_ensemble_coeff is not None and self.n_action_steps != 1:
            raise ValueError(f"temporal_ensemble_coeff needs n_action_steps 1, it is {self.n_action_steps}")
        if self.dim_model % self.n_heads:
            raise ValueError(f"dim_model {self.dim_model} is no multiple of n_heads {self.n_heads}")
        if self.replace_final_stride_with_dilation and self.vision_backbone in ("resnet18", "resnet34"):
            raise ValueError(f"replace_final_stride_with_dilation needs resnet50 or larger, not {self.vision_backbone}")
        if self.input_features and not (self.image_features or self.env_state_feature):
            raise ValueError("input_features hold neither a camera nor an environment state")

    @property
    def action_delta_indices(self) -> list[int]:
        return list(range(self.chunk_size))

    def optimizer_preset(self) -> OptimizerConfig:
        return OptimizerConfig(type="adamw", lr=self.optimizer_lr, weight_decay=self.optimizer_weight_decay)

    def scheduler_preset(self) -> None:
        return None
