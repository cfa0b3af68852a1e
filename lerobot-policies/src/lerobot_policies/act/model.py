"""ACT: a conditional VAE whose decoder is a DETR-like transformer from observation tokens to a chunk of actions.

Source: Zhao et al., arXiv 2304.13705 ("the paper"); the KL term is eq. 10 of arXiv 1312.6114, appendix B. Knows nothing
of normalisation: batches come in the processors' units. Attribute names are the checkpoint's tensor names.

    actions, state ─► VAE encoder ─► z ─┐        (training only; z = 0 otherwise)
    state, environment state ───────────┼─► encoder ─► decoder ◄─ one query per action of the chunk
    cameras ─► ResNet ─► cells ─────────┘                 └─► actions (B, T, A)

Axes: B batch, T steps in a chunk, A action size, S state size, D width, N observation tokens, C H W.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lerobot_core.features import ACTION, STATE
from lerobot_policies.act.config import ActConfig
from lerobot_policies.act.ensemble import TemporalEnsemble
from lerobot_policies.nn.attention import MultiheadAttention
from lerobot_policies.nn.backbones import load_backbone
from lerobot_policies.nn.positions import sinusoid, sinusoid_2d
from lerobot_policies.nn.resnet import ResNet
from lerobot_policies.policy import Policy, Session

ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu}


class Act(Policy):
    """ACT as a policy: loss, chunks and the temporal ensemble."""

    config: ActConfig
    config_class = ActConfig

    def build(self) -> None:
        self.model = ActModel(self.config)

    def load_pretrained_parts(self) -> None:
        weights = self.config.pretrained_backbone_weights
        if self.config.image_features and weights is not None:
            load_backbone(self.model.backbone, self.config.vision_backbone, weights)

    def forward(self, batch: Mapping[str, Any]) -> tuple[Tensor, dict[str, float]]:
        """L1 error over the steps that are not padding, plus the weighted KL term while training with the VAE."""
        actions, mu, log_var = self.model(batch)
        valid = ~batch["action_is_pad"][..., None]  # (B, T, 1)
        error = (batch[ACTION] - actions).abs() * valid
        l1 = error.sum() / (valid.sum() * actions.shape[-1]).clamp(min=1)
        parts = {"l1_loss": l1.item()}
        if mu is None:
            return l1, parts
        kld = (-0.5 * (1 + log_var - mu.square() - log_var.exp())).sum(-1).mean()  # arXiv 1312.6114, eq. 10
        parts["kld_loss"] = kld.item()
        return l1 + self.config.kl_weight * kld, parts

    def chunk(self, batch: Mapping[str, Any], generators: Sequence[torch.Generator]) -> Tensor:
        return self.model(batch)[0]

    def refine(self, session: Session, chunk: Tensor, steps: int) -> Tensor:
        coefficient = self.config.temporal_ensemble_coeff
        if coefficient is None:
            return chunk
        if session.memory is None:
            session.memory = TemporalEnsemble(coefficient, self.config.chunk_size)
        return session.memory.update(chunk, steps)

    def optimizer_groups(self) -> list[dict[str, Any]]:
        """The backbone has a learning rate of its own. Its group exists, empty, without cameras: saved states hold it."""
        named = [(name, p) for name, p in self.named_parameters() if p.requires_grad]
        return [
            {"params": [p for name, p in named if not name.startswith("model.backbone")]},
            {
                "params": [p for name, p in named if name.startswith("model.backbone")],
                "lr": self.config.optimizer_lr_backbone,
            },
        ]


class ActModel(nn.Module):
    """The network. `forward` gives (actions, mu, log_var), the last two None outside of VAE training."""

    def __init__(self, config: ActConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.dim_model
        state, env, action = config.robot_state_feature, config.env_state_feature, config.action_feature
        if config.use_vae:
            self._build_vae(config)
        if config.image_features:
            self.backbone = ResNet(config.vision_backbone, dilate_last=bool(config.replace_final_stride_with_dilation))
        self.encoder = Encoder(config, config.n_encoder_layers)
        self.decoder = Decoder(config)
        if state:
            self.encoder_robot_state_input_proj = nn.Linear(state.shape[0], dim)
        if env:
            self.encoder_env_state_input_proj = nn.Linear(env.shape[0], dim)
        self.encoder_latent_input_proj = nn.Linear(config.latent_dim, dim)
        if config.image_features:
            self.encoder_img_feat_input_proj = nn.Conv2d(self.backbone.channels, dim, 1)
        self.encoder_1d_feature_pos_embed = nn.Embedding(1 + bool(state) + bool(env), dim)
        self.decoder_pos_embed = nn.Embedding(config.chunk_size, dim)
        self.action_head = nn.Linear(dim, action.shape[0])
        for parameter in (*self.encoder.parameters(), *self.decoder.parameters()):
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def _build_vae(self, config: ActConfig) -> None:
        dim, state = config.dim_model, config.robot_state_feature
        self.vae_encoder = Encoder(config, config.n_vae_encoder_layers)
        self.vae_encoder_cls_embed = nn.Embedding(1, dim)
        if state:
            self.vae_encoder_robot_state_input_proj = nn.Linear(state.shape[0], dim)
        self.vae_encoder_action_input_proj = nn.Linear(config.action_feature.shape[0], dim)
        self.vae_encoder_latent_output_proj = nn.Linear(dim, 2 * config.latent_dim)
        tokens = 1 + bool(state) + config.chunk_size
        self.register_buffer("vae_encoder_pos_enc", sinusoid(tokens, dim)[None])  # (1, T + 2, D)

    def forward(self, batch: Mapping[str, Any]) -> tuple[Tensor, Tensor | None, Tensor | None]:
        mu = log_var = None
        if self.training and self.config.use_vae:
            mu, log_var = self.encode_actions(batch)  # (B, L) each
            latent = mu + (log_var / 2).exp() * torch.randn_like(mu)
        else:
            first = batch[next(iter(self.config.input_features))]
            latent = torch.zeros(first.shape[0], self.config.latent_dim, device=first.device)
        tokens, positions = self.observation_tokens(batch, latent)  # (B, N, D), (N, D)
        memory = self.encoder(tokens, positions)  # (B, N, D)
        decoded = self.decoder(memory, positions, self.decoder_pos_embed.weight)  # (B, T, D)
        return self.action_head(decoded), mu, log_var  # (B, T, A)

    def encode_actions(self, batch: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (B, L) of the latent that explains the chunk; padded steps are not looked at."""
        actions, padded = batch[ACTION], batch["action_is_pad"]
        size = actions.shape[0]
        tokens = [self.vae_encoder_cls_embed.weight.expand(size, 1, -1)]  # (B, 1, D)
        if self.config.robot_state_feature:
            tokens.append(self.vae_encoder_robot_state_input_proj(batch[STATE])[:, None])  # (B, 1, D)
        seen = torch.ones(size, len(tokens), dtype=torch.bool, device=padded.device)
        tokens.append(self.vae_encoder_action_input_proj(actions))  # (B, T, D)
        x = self.vae_encoder(torch.cat(tokens, 1), self.vae_encoder_pos_enc[0], torch.cat((seen, ~padded), 1))
        mu, log_var = self.vae_encoder_latent_output_proj(x[:, 0]).chunk(2, dim=-1)
        return mu, log_var

    def observation_tokens(self, batch: Mapping[str, Any], latent: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, N, D) and their positions (N, D): latent, state, environment state, then each camera's cells."""
        config = self.config
        vectors = [self.encoder_latent_input_proj(latent)]
        if config.robot_state_feature:
            vectors.append(self.encoder_robot_state_input_proj(batch[STATE]))
        if config.env_state_feature:
            vectors.append(self.encoder_env_state_input_proj(batch[config.env_state_key]))
        tokens = [torch.stack(vectors, 1)]  # (B, 1 to 3, D)
        positions = [self.encoder_1d_feature_pos_embed.weight]
        for cells in self.camera_features([batch[key] for key in config.image_features]):
            height, width = cells.shape[-2:]
            tokens.append(cells.flatten(2).transpose(1, 2))  # (B, H·W, D)
            positions.append(sinusoid_2d(height, width, config.dim_model, cells.device).to(cells.dtype))
        return torch.cat(tokens, 1), torch.cat(positions)

    def camera_features(self, pictures: Sequence[Tensor]) -> list[Tensor]:
        """Cells (B, D, H/32, W/32) of each camera's pictures (B, C, H, W); cameras of one size go through together."""
        if len({picture.shape for picture in pictures}) == 1:
            cells = self.encoder_img_feat_input_proj(self.backbone(torch.cat(list(pictures))))
            return list(cells.chunk(len(pictures)))
        return [self.encoder_img_feat_input_proj(self.backbone(picture)) for picture in pictures]


class Encoder(nn.Module):
    """Transformer encoder; positions are added to queries and keys of every layer (DETR)."""

    def __init__(self, config: ActConfig, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(layers))
        self.norm = nn.LayerNorm(config.dim_model) if config.pre_norm else nn.Identity()

    def forward(self, x: Tensor, position: Tensor, mask: Tensor | None = None) -> Tensor:
        for layer in self.layers:
            x = layer(x, position, mask)
        return self.norm(x)


def feed_forward(layer: EncoderLayer | DecoderLayer, x: Tensor) -> Tensor:
    """The two linear layers that encoder and decoder layers end with."""
    return layer.linear2(layer.dropout(layer.activation(layer.linear1(x))))


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward block, each with dropout, shortcut and norm (before it or after it)."""

    def __init__(self, config: ActConfig) -> None:
        super().__init__()
        dim = config.dim_model
        self.self_attn = MultiheadAttention(dim, config.n_heads, config.dropout)
        self.linear1 = nn.Linear(dim, config.dim_feedforward)
        self.linear2 = nn.Linear(config.dim_feedforward, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.dropout, self.pre_norm = nn.Dropout(config.dropout), config.pre_norm
        self.activation = ACTIVATIONS[config.feedforward_activation]

    def forward(self, x: Tensor, position: Tensor, mask: Tensor | None = None) -> Tensor:
        y = self.norm1(x) if self.pre_norm else x
        q = y + position
        x = x + self.dropout(self.self_attn(q, q, y, mask))
        if self.pre_norm:
            return x + self.dropout(feed_forward(self, self.norm2(x)))
        x = self.norm1(x)
        return self.norm2(x + self.dropout(feed_forward(self, x)))


class Decoder(nn.Module):
    """Transformer decoder. Its norm follows the last layer in both modes, as checkpoints expect."""

    def __init__(self, config: ActConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.n_decoder_layers))
        self.norm = nn.LayerNorm(config.dim_model)

    def forward(self, memory: Tensor, memory_position: Tensor, query_position: Tensor) -> Tensor:
        """Chunk features (B, T, D) from the encoder's output (B, N, D), its positions (N, D) and queries (T, D)."""
        x = memory.new_zeros(memory.shape[0], *query_position.shape)  # (B, T, D)
        key = memory + memory_position
        for layer in self.layers:
            x = layer(x, query_position, key, memory)
        return self.norm(x)


class DecoderLayer(nn.Module):
    """Self-attention, attention to the encoder's output and feed-forward block."""

    def __init__(self, config: ActConfig) -> None:
        super().__init__()
        dim = config.dim_model
        self.self_attn = MultiheadAttention(dim, config.n_heads, config.dropout)
        self.multihead_attn = MultiheadAttention(dim, config.n_heads, config.dropout)
        self.linear1 = nn.Linear(dim, config.dim_feedforward)
        self.linear2 = nn.Linear(config.dim_feedforward, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.dropout, self.pre_norm = nn.Dropout(config.dropout), config.pre_norm
        self.activation = ACTIVATIONS[config.feedforward_activation]

    def forward(self, x: Tensor, position: Tensor, key: Tensor, memory: Tensor) -> Tensor:
        y = self.norm1(x) if self.pre_norm else x
        q = y + position
        x = x + self.dropout(self.self_attn(q, q, y))
        if not self.pre_norm:
            x = self.norm1(x)
        y = self.norm2(x) if self.pre_norm else x
        x = x + self.dropout(self.multihead_attn(y + position, key, memory))
        if self.pre_norm:
            return x + self.dropout(feed_forward(self, self.norm3(x)))
        x = self.norm2(x)
        return self.norm3(x + self.dropout(feed_forward(self, x)))
