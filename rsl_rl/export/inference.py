# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The deterministic policy as a module of its own, for every export format.

A model is only asked for its parts (normalizer, head, distribution), never imported.
"""

from __future__ import annotations

import inspect
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


def batched_examples(module: Any, examples: tuple[torch.Tensor, ...]) -> tuple[tuple[torch.Tensor, ...], tuple]:
    """Return example inputs with a batch of 2, and where torch.export finds the dimension that counts the batch.

    An example with a batch of 1 would fix the batch size to 1.

    Args:
        module: Module for export; ``batch_dims`` names the dimension of every input where it is not the first.
        examples: Its example inputs with a batch of 1.
    """
    dims = getattr(module, "batch_dims", [0] * len(examples))
    pairs = tuple(torch.cat([example, example], dim=dim) for example, dim in zip(examples, dims, strict=True))
    batch = torch.export.Dim("batch", min=1, max=2**20)
    shapes: tuple = tuple({dim: batch} for dim in dims)
    parameters = inspect.signature(module.forward).parameters.values()
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        shapes = (shapes,)
    return pairs, shapes
