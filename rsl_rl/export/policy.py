# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Acting with an exported policy: observation groups in, actions out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from tensordict import TensorDict

from rsl_rl.export.metadata import PolicyMetadata
from rsl_rl.export.onnx import load_onnx
from rsl_rl.export.program import Program
from rsl_rl.export.pt2 import load_pt2
from rsl_rl.export.torchscript import load_torchscript
from rsl_rl.utils import listed

_LOADERS = {".onnx": load_onnx, ".pt": load_torchscript, ".pt2": load_pt2}


class ExportedPolicy:
    """A policy read from a file, called like the model it was made from."""

    def __init__(self, program: Program, metadata: PolicyMetadata) -> None:
        """Put the groups that ``metadata`` names before a program."""
        self.metadata = metadata
        self._program = program

    def __call__(self, obs: TensorDict | Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the actions [B, A], on the device of the observations; a recurrent policy remembers them.

        Args:
            obs: Observation groups, each [B, ...]; groups that the policy does not use are passed over.

        Raises:
            ValueError: A group is missing or has another shape.
        """
        return self._program(*self.metadata.inputs(obs))

    def reset(self, dones: torch.Tensor | None = None) -> None:
        """Start a new episode where ``dones`` [B] is set, or everywhere."""
        self._program.reset(dones)


def load_policy(path: str | os.PathLike[str]) -> ExportedPolicy:
    """Read a policy that this package exported: ``.onnx``, ``.pt`` (TorchScript) or ``.pt2``.

    Raises:
        ImportError: onnxruntime is needed and not installed.
        FileNotFoundError: There is no such file.
        ValueError: It is of another kind, damaged, or does not say which observation groups it needs.
    """
    suffix = Path(path).suffix
    if suffix not in _LOADERS:
        raise ValueError(f"'{path}' is not an exported policy: known are files ending in {listed(_LOADERS)}.")
    program, metadata = _LOADERS[suffix](path)
    if metadata is None:
        raise ValueError(f"'{path}' does not say which observation groups it needs: it was not exported by rsl-rl.")
    return ExportedPolicy(program, metadata)
