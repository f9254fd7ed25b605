# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Vision model: images through CNNs, vectors through normalization, both into an MLP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from tensordict import TensorDict
from torch import nn

from rsl_rl.compat.names import names_of
from rsl_rl.config.options import check_options
from rsl_rl.core.trajectories import unpad_trajectories
from rsl_rl.export.inference import VisionOnnxPolicy, VisionTorchPolicy
from rsl_rl.models.mlp_model import MLPModel, Observations
from rsl_rl.modules import CNN, HiddenState
from rsl_rl.utils import listed, takes_plain_options


class CNNModel(MLPModel):
    """An image encoder per image group of one observation set, next to its 1D groups, before the head.

    Images are [N, C, H, W]; those of type uint8 are divided by 255. Images are not normalized otherwise.
    """

    @takes_plain_options
    def __init__(
        self,
        obs: TensorDict,
        obs_groups: dict[str, list[str]],
        obs_set: str,
        output_dim: int,
        hidden_dims: Sequence[int] = (256, 256, 256),
        activation: str = "elu",
        obs_normalization: bool = False,
        distribution_cfg: dict[str, Any] | None = None,
        cnn_cfg: dict[str, Any] | None = None,
        cnns: nn.ModuleDict | dict[str, nn.Module] | None = None,
    ) -> None:
        """Build the model; arguments that are not listed are those of :class:`MLPModel`.

        Args:
            cnn_cfg: Options of :class:`rsl_rl.modules.CNN` for all image groups, or a dict of them by group.
            cnns: Ready encoders by group, to share them with another model; ``cnn_cfg`` is not used then.
        """
        self._get_obs_dim(obs, obs_groups, obs_set)
        if cnns is not None and not (
            isinstance(cnns, (Mapping, nn.ModuleDict)) and all(isinstance(cnn, nn.Module) for cnn in cnns.values())
        ):
            raise TypeError(f"'cnns' must be ready encoders by image group, got {cnns!r}. Options belong in cnn_cfg.")
        encoders: dict[str, Any] = self._make_encoders(cnn_cfg) if cnns is None else dict(cnns.items())
        if sorted(encoders) != sorted(self.obs_groups_2d):
            raise ValueError(
                f"The observation set '{obs_set}' has the image groups {listed(self.obs_groups_2d)}, but there are "
                f"encoders for {listed(encoders)}. Models that share encoders must see the same images."
            )
        for group, encoder in encoders.items():
            if encoder.output_channels is not None:
                raise ValueError(f"The CNN of '{group}' must give vectors: remove flatten=False.")
        self.cnn_latent_dim = sum(encoder.output_dim for encoder in encoders.values())
        super().__init__(
            obs, obs_groups, obs_set, output_dim, hidden_dims, activation, obs_normalization, distribution_cfg
        )
        self.cnns = cnns if isinstance(cnns, nn.ModuleDict) else nn.ModuleDict(encoders)

    def get_latent(
        self, obs: Observations, masks: torch.Tensor | None = None, hidden_state: HiddenState = None
    ) -> torch.Tensor:
        """Return the normalized vectors followed by the codes of the images, [B, latent_dim]."""
        parts = [super().get_latent(obs, masks, hidden_state)] if self.obs_groups else []
        for group in self.obs_groups_2d:
            images = obs[group] if masks is None else unpad_trajectories(obs[group], masks)
            pixels = images.flatten(0, -4).float()
            codes = self.cnns[group](pixels / 255.0 if images.dtype == torch.uint8 else pixels)
            parts.append(codes.unflatten(0, images.shape[:-3]))
        return torch.cat(parts, dim=-1)

    def as_jit(self) -> nn.Module:
        """Return the deterministic policy for TorchScript: ``forward(obs_1d, [image, ...])``, ``reset()``."""
        return VisionTorchPolicy(self)

    def as_onnx(self, verbose: bool = False) -> nn.Module:
        """Return the deterministic policy for ONNX: the input ``obs`` and one input per image group by its name."""
        return VisionOnnxPolicy(self, verbose)

    def _make_encoders(self, cnn_cfg: dict[str, Any] | None) -> dict[str, nn.Module]:
        if not cnn_cfg:
            raise ValueError("CNNModel needs a cnn_cfg with at least output_channels and kernel_size.")
        by_group = all(isinstance(value, Mapping) for value in cnn_cfg.values())
        options = dict(cnn_cfg) if by_group else dict.fromkeys(self.obs_groups_2d, cnn_cfg)
        if sorted(options) != sorted(self.obs_groups_2d):
            raise ValueError(
                f"cnn_cfg has options for {listed(options)}, but the image groups are {listed(self.obs_groups_2d)}."
            )
        for group, values in options.items():
            where = f"cnn_cfg.{group}" if by_group else "cnn_cfg"
            options[group] = values = check_options(CNN, values, where)
            if missing := [name for name in ("output_channels", "kernel_size") if name not in values]:
                raise ValueError(f"'{where}' lacks {listed(missing)}. It has: {listed(values)}.")
        shapes = zip(self.obs_groups_2d, self.obs_dims_2d, self.obs_channels_2d, strict=True)
        return {group: CNN(size, channels, **options[group]) for group, size, channels in shapes}

    def _get_obs_dim(self, obs: TensorDict, obs_groups: dict[str, list[str]], obs_set: str) -> tuple[list[str], int]:
        """Return the 1D groups and the sum of their sizes, and take note of the image groups."""
        groups = self._groups_of(obs, obs_groups, obs_set)
        images = [group for group in groups if obs[group].ndim == 4]
        if not images:
            shapes = {group: list(obs[group].shape[1:]) for group in groups}
            raise ValueError(
                f"CNNModel needs images of shape [num_envs, channels, height, width], but the observation set "
                f"'{obs_set}' has {shapes}. Without images use an MLPModel."
            )
        self.obs_groups_2d = images
        self.obs_dims_2d = [tuple(obs[group].shape[2:4]) for group in images]
        self.obs_channels_2d = [obs[group].shape[1] for group in images]
        return self._vectors_of(obs, [group for group in groups if group not in images], obs_set)

    def _get_latent_dim(self) -> int:
        return self.obs_dim + self.cnn_latent_dim


__getattr__ = names_of(__name__)
