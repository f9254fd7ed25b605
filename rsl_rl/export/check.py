# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Does an exported file act like the model it was made from?"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from tensordict import TensorDict

TOLERANCE = 1e-4
"""Largest accepted difference of an action, absolute or relative to the largest action, whichever is more lenient."""
_BATCH_SIZES = (1, 64)
_SCALES = (0.1, 1.0, 10.0)


@dataclass(frozen=True)
class ExportReport:
    """Outcome of an export that was checked."""

    path: str
    max_difference: float | None
    """Largest difference of an action between file and model; None where the file could not be run."""
    num_samples: int
    """Random observations it was measured on."""


def check_export(model: Any, act: Callable[[torch.Tensor], torch.Tensor], path: str) -> ExportReport:
    """Compare an exported policy with its model on random observations, one by one and in batches.

    Args:
        model: The model; it is not changed, nor is the global random state.
        act: The exported policy: concatenated observation [B, obs_dim] -> actions [B, A].
        path: The file's name in the report.

    Raises:
        RuntimeError: An action differs by more than 1e-4.
    """
    reference = copy.deepcopy(model).cpu().eval()
    generator = torch.Generator().manual_seed(0)
    mean, std = _observation_scale(reference)
    worst, num_samples = 0.0, 0
    for batch_size in _BATCH_SIZES:
        for scale in _SCALES:
            obs = mean + scale * std * torch.randn(batch_size, reference.obs_dim, generator=generator)
            groups = obs.split(list(reference.obs_group_dims.values()), dim=-1)
            observations = TensorDict(dict(zip(reference.obs_group_dims, groups, strict=True)), [batch_size])
            with torch.no_grad():
                expected = reference(observations)
                actual = act(obs).to(expected.dtype)
            if actual.shape != expected.shape:
                raise RuntimeError(
                    f"The exported policy '{path}' gives actions of shape {list(actual.shape)}, the model "
                    f"{list(expected.shape)}."
                )
            difference = (actual - expected).abs().max().item()
            if not difference <= TOLERANCE * max(1.0, expected.abs().max().item()):
                raise RuntimeError(
                    f"The exported policy '{path}' does not act like the model: its actions differ by up to "
                    f"{difference:.2e} on random observations (accepted: {TOLERANCE:.0e}). The file was not kept."
                )
            worst, num_samples = max(worst, difference), num_samples + batch_size
    return ExportReport(path, worst, num_samples)


def _observation_scale(model: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation [1, obs_dim] of what the model has seen, where it knows them."""
    normalizer = model.obs_normalizer
    if hasattr(normalizer, "_mean"):
        return normalizer._mean, normalizer._std + normalizer.eps
    return torch.zeros(1, model.obs_dim), torch.ones(1, model.obs_dim)
