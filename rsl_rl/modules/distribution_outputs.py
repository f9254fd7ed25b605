# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Deterministic outputs of distributions, as modules that can be exported."""

import torch
from torch import nn
from torch.nn import functional


class FirstRow(nn.Module):
    """[B, 2, A] -> [B, A]."""

    def forward(self, mlp_output: torch.Tensor) -> torch.Tensor:  # noqa: D102
        return mlp_output[..., 0, :]


class BetaMean(nn.Module):
    """Raw alpha and beta [B, 2, A] -> mean [B, A]."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.scale = low, high - low

    def forward(self, mlp_output: torch.Tensor) -> torch.Tensor:  # noqa: D102
        shape = functional.softplus(mlp_output) + 1.0
        return self.low + self.scale * shape[..., 0, :] / (shape[..., 0, :] + shape[..., 1, :])
