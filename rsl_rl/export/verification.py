# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Does an exported file act like the model it was made from?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from tensordict import TensorDict

from rsl_rl.export.frozen import OWN_FORWARD_HINT
from rsl_rl.export.metadata import PolicyMetadata, random_observations
from rsl_rl.export.program import Program

TOLERANCE = 1e-4
"""Largest accepted difference of an action, in units of the action.

Where the largest action of an observation exceeds 1, it is relative to that action: float32 rounding grows with it.
"""
BATCH_SIZES = (1, 64)
EPISODE_LENGTH = 20
"""Steps over which recurrent policies are compared."""
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
    """``"onnx"``, ``"torchscript"`` or ``"pt2"``."""


def check_export(
    reference: Any,
    program: Program,
    metadata: PolicyMetadata,
    path: str,
    file_format: str,
    batch_sizes: Sequence[int] = BATCH_SIZES,
) -> ExportReport:
    """Compare an exported policy with its model on random observations, one by one and in batches.

    Recurrent policies are compared step by step over episodes of 20 steps, each carrying its own hidden state. The
    observations lie around what the model's normalizer has seen, close by and far outside. The global random
    state is neither used nor moved.

    Args:
        reference: The model on the CPU in evaluation mode.
        program: The exported policy.
        metadata: What its file says about it.
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
            reference.reset()
            program.reset()
            for _ in range(EPISODE_LENGTH if reference.is_recurrent else 1):
                observations = random_observations(reference, batch_size, scale, generator)
                worst = max(worst, _difference(reference, program, metadata.inputs, observations, path))
                num_samples += batch_size
    return ExportReport(path, worst, num_samples, file_format)


def _difference(reference: Any, program: Program, inputs: Any, obs: TensorDict, path: str) -> float:
    """Return the largest absolute difference of an action; an unacceptable one raises."""
    with torch.no_grad():
        expected = reference(obs)
    if not expected.isfinite().all():
        raise RuntimeError(f"'{path}' was not written: the model itself gives NaN or infinite actions.")
    try:
        actual = program(*inputs(obs)).to(expected.dtype)
    except Exception as error:
        raise RuntimeError(
            f"The exported policy '{path}' cannot be run with a batch of {len(obs)}: {error} The file was not kept. "
            f"{OWN_FORWARD_HINT}"
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
            f"exceed 1). The file was not kept. {OWN_FORWARD_HINT}"
        )
    return difference.max().item()
