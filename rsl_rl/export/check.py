# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Does an exported file act like the model it was made from?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from tensordict import TensorDict

TOLERANCE = 1e-4
"""Largest accepted difference of an action, in units of the action.

Where the largest action of an observation exceeds 1, it is relative to that action: float32 rounding grows with it.
"""
BATCH_SIZES = (1, 64)
_SCALES = (0.1, 1.0, 10.0)


@dataclass(frozen=True)
class ExportReport:
    """Outcome of an export."""

    path: str
    max_difference: float | None
    """Largest absolute difference of an action between file and model; None where the file could not be run."""
    num_samples: int
    """Random observations it was measured on."""
    format: str
    """``"onnx"`` or ``"torchscript"``."""


def check_export(
    reference: Any,
    act: Callable[[torch.Tensor], torch.Tensor],
    path: str,
    file_format: str,
    batch_sizes: Sequence[int] = BATCH_SIZES,
) -> ExportReport:
    """Compare an exported policy with its model on random observations, one by one and in batches.

    The observations lie around what the model's normalizer has seen, close by and far outside. The global random
    state is neither used nor moved.

    Args:
        reference: The model on the CPU in evaluation mode.
        act: The exported policy: concatenated observation [B, obs_dim] -> actions [B, A].
        path: The file's name in the report and in errors.
        file_format: The file's format in the report.
        batch_sizes: Batch sizes B that the file takes.

    Raises:
        RuntimeError: An action differs by more than the tolerance, or the file cannot be run.
    """
    generator = torch.Generator().manual_seed(0)
    worst, num_samples = 0.0, 0
    for batch_size in batch_sizes:
        for scale in _SCALES:
            observations = random_observations(reference, batch_size, scale, generator)
            worst = max(worst, _difference(reference, act, observations, path))
            num_samples += batch_size
    return ExportReport(path, worst, num_samples, file_format)


def random_observations(model: Any, batch_size: int, scale: float, generator: torch.Generator) -> TensorDict:
    """Return random observation groups, each [batch_size, d].

    Args:
        model: A model on the CPU.
        batch_size: Number of observations.
        scale: Distance from the mean in standard deviations of what the model's normalizer has seen.
        generator: Source of the random numbers.
    """
    mean, std = _observation_scale(model)
    obs = mean + scale * std * torch.randn(batch_size, model.obs_dim, generator=generator)
    groups = obs.split(list(model.obs_group_dims.values()), dim=-1)
    return TensorDict(dict(zip(model.obs_group_dims, groups, strict=True)), [batch_size])


def _difference(reference: Any, act: Callable[[torch.Tensor], torch.Tensor], obs: TensorDict, path: str) -> float:
    """Return the largest absolute difference of an action; an unacceptable one raises."""
    with torch.no_grad():
        expected = reference(obs)
    if not expected.isfinite().all():
        raise RuntimeError(f"'{path}' was not written: the model itself gives NaN or infinite actions.")
    try:
        actual = act(torch.cat([obs[group] for group in reference.obs_group_dims], dim=-1)).to(expected.dtype)
    except Exception as error:
        raise RuntimeError(
            f"The exported policy '{path}' cannot be run with a batch of {len(obs)}: {error} The file was not kept."
        ) from error
    if actual.shape != expected.shape:
        raise RuntimeError(
            f"The exported policy '{path}' gives actions of shape {list(actual.shape)}, the model "
            f"{list(expected.shape)}. The file was not kept."
        )
    difference = (actual - expected).abs()
    accepted = TOLERANCE * expected.abs().amax(dim=-1, keepdim=True).clamp(min=1.0)
    # Not `difference > accepted`: a NaN has to fail.
    if not (difference <= accepted).all():
        raise RuntimeError(
            f"The exported policy '{path}' does not act like the model: its actions differ by up to "
            f"{difference.max().item():.2e} on random observations (accepted: {TOLERANCE:.0e}, relative where actions "
            f"exceed 1). The file was not kept. A model with a forward() or get_latent() of its own needs an as_jit() "
            "and as_onnx() that match."
        )
    return difference.max().item()


def _observation_scale(model: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation [1, obs_dim] of what the model has seen, where it knows them."""
    normalizer = model.obs_normalizer
    if hasattr(normalizer, "_mean"):
        # A constant entry has no spread; eps, in units of the input, stands for its sensor noise.
        return normalizer._mean, normalizer._std + normalizer.eps
    return torch.zeros(1, model.obs_dim), torch.ones(1, model.obs_dim)
