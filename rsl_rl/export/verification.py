# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The file that an export writes, and keeps only if it acts like the model it was made from."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tensordict import TensorDict

from rsl_rl.export.frozen import frozen_copy
from rsl_rl.export.metadata import PolicyMetadata, random_observations
from rsl_rl.export.policy import Program
from rsl_rl.utils.atomic_files import replaced_when_complete

TOLERANCE = 1e-4
"""Largest accepted difference of an action, in units of the action.

Where the largest action of an observation exceeds 1, it is relative to that action: float32 rounding grows with it.
"""
BATCH_SIZES = (1, 64)
EPISODE_LENGTH = 20
"""Steps over which recurrent policies are compared."""
_SCALES = (0.1, 1.0, 10.0)
# Appended to errors.
OWN_FORWARD_HINT = "A model with a forward() or get_latent() of its own needs an as_jit() and as_onnx() that match."


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


def write_checked(
    model: Any,
    path: str | os.PathLike[str],
    file_format: str,
    write: Callable[[Any, str], tuple[PolicyMetadata, Sequence[int]]],
    load: Callable[[str], tuple[Program, PolicyMetadata | None]],
) -> ExportReport:
    """Write a policy, load it back and compare it with the model on random observations.

    The observations are given one at a time and in batches, and range from close to what the model's normalizer has
    seen to far outside of it. Recurrent policies are compared step by step over episodes of 20 steps, each carrying its
    own hidden state. The global random state is neither used nor moved. ``write`` takes a frozen copy of the model;
    after an ImportError of ``load`` the file is kept unchecked, with a warning. Otherwise as :func:`export_onnx`.
    """
    if Path(path).is_dir():
        raise IsADirectoryError(f"'{path}' is a folder: an export needs a file name, e.g. '{Path(path) / 'policy'}'.")
    with contextlib.ExitStack() as stack:
        try:
            partial = stack.enter_context(replaced_when_complete(path))
        except OSError as error:
            reason = error.strerror or str(error)
            # With an errno, Python picks the fitting subclass.
            raise OSError(error.errno, f"Cannot write the exported policy: {reason}", str(path)) from error
        stack.enter_context(_cpu_by_default())
        reference = frozen_copy(model)
        metadata, batch_sizes = write(reference, partial)
        try:
            program, _ = load(partial)
        except ImportError as error:
            warnings.warn(f"'{path}' was written but not checked: {error}", stacklevel=3)
            return ExportReport(str(path), None, 0, file_format)

        generator = torch.Generator().manual_seed(0)
        worst, num_samples = 0.0, 0
        for batch_size in batch_sizes:
            for scale in _SCALES:
                reference.reset()
                program.reset()
                for _ in range(EPISODE_LENGTH if reference.is_recurrent else 1):
                    obs = random_observations(reference, batch_size, scale, generator)
                    worst = max(worst, _difference(reference, program, metadata, obs, path))
                    num_samples += batch_size
        return ExportReport(str(path), worst, num_samples, file_format)


def _difference(
    reference: Any, program: Program, metadata: PolicyMetadata, obs: TensorDict, path: str | os.PathLike[str]
) -> float:
    """Return the largest absolute difference of an action; an unacceptable one raises."""
    with torch.no_grad():
        expected = reference(obs)
    if not expected.isfinite().all():
        raise RuntimeError(f"'{path}' was not written: the model itself gives NaN or infinite actions.")
    try:
        actual = program(*metadata.inputs(obs)).to(expected.dtype)
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


@contextlib.contextmanager
def _cpu_by_default() -> Iterator[None]:
    """Create new tensors on the CPU; simulators such as Genesis set another default device for the whole process."""
    # torch.get_default_device() fails in torch 2.8 once a default has been taken back.
    previous = torch.empty(0).device
    if previous.type == "cpu":
        yield
        return
    torch.set_default_device(None)
    try:
        yield
    finally:
        torch.set_default_device(previous)
