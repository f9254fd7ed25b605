# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The deterministic policy as a module of its own, for every export format.

A model is only asked for its parts (normalizer, head, distribution), never imported.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
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


class ForOnnx:
    """What an ONNX exporter has to know about a policy, beside the policy itself."""

    verbose: bool
    input_size: int
    _examples: dict[str, torch.Tensor]
    _output_names: list[str]

    def _describe(self, model: Any, verbose: bool, examples: dict[str, torch.Tensor], outputs: Sequence[str]) -> None:
        """Keep examples of the inputs, with a batch of 1, by their names, and the names of the outputs."""
        self.verbose, self.input_size = verbose, int(model.obs_dim)
        self._examples, self._output_names = examples, list(outputs)

    def get_dummy_inputs(self) -> tuple[torch.Tensor, ...]:
        """Return example inputs, batch size 1."""
        return tuple(example.clone() for example in self._examples.values())

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs."""
        return list(self._examples)

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs."""
        return self._output_names


class OnnxPolicy(ForOnnx, TorchPolicy):
    """The same policy with what an ONNX exporter has to know."""

    def __init__(self, model: Any, verbose: bool = False) -> None:
        """Copy what inference needs out of ``model``."""
        super().__init__(model)
        self._describe(model, verbose, {"obs": torch.zeros(1, int(model.obs_dim), device="cpu")}, ["actions"])


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
