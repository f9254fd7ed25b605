# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Policies that see images, as modules for export."""

from typing import Any

import torch
from torch import nn

from rsl_rl.export.frozen import frozen_copy
from rsl_rl.export.inference import ForOnnx, TorchPolicy


class _Encoder(nn.Module):
    """A CNN; images of any type become float32, and bytes are scaled, as the model does it."""

    def __init__(self, cnn: nn.Module, scaled: bool) -> None:
        super().__init__()
        self.cnn = cnn
        self.scaled = scaled

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        images = images.float()
        if self.scaled:
            images = images / 255.0
        return self.cnn(images)


class VisionTorchPolicy(TorchPolicy):
    """Normalizer, image encoders, head and output transform."""

    def __init__(self, model: Any) -> None:
        """Copy what inference needs out of ``model``."""
        super().__init__(model)
        self.has_vectors = bool(model.obs_groups)
        self.encoders = nn.ModuleList(
            _Encoder(frozen_copy(model.cnns[group]), dtype == torch.uint8)
            for group, dtype in zip(model.obs_groups_2d, model.obs_dtypes_2d, strict=True)
        )
        self.eval()

    def forward(self, obs_1d: torch.Tensor, obs_2d: list[torch.Tensor]) -> torch.Tensor:  # type: ignore[override]
        """Return the actions [B, A].

        Args:
            obs_1d: Concatenated 1D groups, [B, obs_dim]; [B, 0] for a policy that sees images only.
            obs_2d: One batch of images per group, each [B, C, H, W].
        """
        parts: list[torch.Tensor] = []
        if self.has_vectors:
            parts.append(self.obs_normalizer(obs_1d))
        for index, encoder in enumerate(self.encoders):
            parts.append(encoder(obs_2d[index]))
        return self.output(self.mlp(torch.cat(parts, dim=-1)))


class VisionOnnxPolicy(ForOnnx, VisionTorchPolicy):
    """The same policy with one input per image group, and what an exporter has to know."""

    def __init__(self, model: Any, verbose: bool = False) -> None:
        """Copy what inference needs out of ``model``."""
        super().__init__(model)
        shapes = zip(model.obs_channels_2d, model.obs_dims_2d, model.obs_dtypes_2d, strict=True)
        images = [torch.zeros(1, channels, *size, dtype=dtype, device="cpu") for channels, size, dtype in shapes]
        vectors = {"obs": torch.zeros(1, int(model.obs_dim), device="cpu")} if self.has_vectors else {}
        self._describe(model, verbose, vectors | dict(zip(model.obs_groups_2d, images, strict=True)), ["actions"])

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """Return the actions [B, A] for the inputs in the order of :attr:`input_names`."""
        obs_1d = inputs[0] if self.has_vectors else inputs[0].new_zeros(0)
        return super().forward(obs_1d, list(inputs[1:] if self.has_vectors else inputs))
