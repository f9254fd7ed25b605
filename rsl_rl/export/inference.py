# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The deterministic policy as a module of its own, for every export format.

A model is only asked for its parts (normalizer, head, distribution), never imported.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from rsl_rl.export.frozen import frozen_copy


class TorchPolicy(nn.Module):
    """Normalizer, head and output transform of a feed-forward model in one module, on the CPU, in evaluation mode."""

    def __init__(self, model: Any) -> None:
        """Copy what inference needs out of ``model``; the model itself stays as it is."""
        super().__init__()
        self.obs_normalizer = frozen_copy(model.obs_normalizer)
        self.mlp = frozen_copy(model.mlp)
        distribution = model.distribution
        self.output: nn.Module = (
            nn.Identity() if distribution is None else frozen_copy(distribution.as_deterministic_output_module())
        )
        self.eval()

    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        """Return the actions [B, A] for the concatenated observation [B, obs_dim]."""
        return self.output(self.mlp(self.obs_normalizer(obs)))

    @torch.jit.export
    def reset(self) -> None:
        """Start a new episode; a feed-forward policy remembers nothing."""


class OnnxPolicy(TorchPolicy):
    """The same policy with what an ONNX exporter has to know."""

    def __init__(self, model: Any, verbose: bool = False) -> None:
        """Copy what inference needs out of ``model``."""
        super().__init__(model)
        self.verbose = verbose
        self.input_size = int(model.obs_dim)

    def get_dummy_inputs(self) -> tuple[torch.Tensor, ...]:
        """Return example inputs, batch size 1."""
        return (torch.zeros(1, self.input_size, device="cpu"),)

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs."""
        return ["obs"]

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs."""
        return ["actions"]
