# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Acting with an exported policy: observation groups in, actions out."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from tensordict import TensorDict

from rsl_rl.export.metadata import PolicyMetadata
from rsl_rl.export.onnx import load_onnx
from rsl_rl.export.torchscript import load_torchscript
from rsl_rl.utils import listed

_LOADERS = {".onnx": load_onnx, ".pt": load_torchscript}


class ExportedPolicy:
    """A policy read from a file, called like the model it was made from."""

    def __init__(self, act: Callable[[torch.Tensor], torch.Tensor], metadata: PolicyMetadata) -> None:
        """Put the order of groups in ``metadata`` before ``act``, concatenated observation -> actions."""
        self.metadata = metadata
        self._act = act

    def __call__(self, obs: TensorDict | Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the actions [B, A], on the device of the observations.

        Args:
            obs: Observation groups, each [B, d]; groups that the policy does not use are passed over.

        Raises:
            ValueError: A group is missing or has another size.
        """
        return self._act(torch.cat([self._group(obs, name) for name in self.metadata.obs_groups], dim=-1))

    def _group(self, obs: TensorDict | Mapping[str, torch.Tensor], name: str) -> torch.Tensor:
        available = [str(group) for group in obs.keys()]  # noqa: SIM118 (a TensorDict iterates over its batch)
        if name not in available:
            raise ValueError(f"The policy needs the observation group '{name}', not one of {listed(available)}.")
        size = self.metadata.obs_groups[name]
        if obs[name].shape[1:] != (size,):
            raise ValueError(
                f"The policy needs the observation group '{name}' with the shape [B, {size}], got "
                f"{list(obs[name].shape)}."
            )
        return obs[name]


def load_policy(path: str | os.PathLike[str]) -> ExportedPolicy:
    """Read a policy that :func:`export_onnx` (``.onnx``) or :func:`export_torchscript` (``.pt``) wrote.

    Raises:
        ImportError: onnxruntime is needed and not installed.
        FileNotFoundError: There is no such file.
        ValueError: It is of another kind, damaged, or does not say which observation groups it needs.
    """
    suffix = Path(path).suffix
    if suffix not in _LOADERS:
        raise ValueError(f"'{path}' is not an exported policy: known are files ending in {listed(_LOADERS)}.")
    act, metadata = _LOADERS[suffix](path)
    if metadata is None:
        raise ValueError(f"'{path}' does not say which observation groups it needs: it was not exported by rsl-rl.")
    return ExportedPolicy(act, metadata)
