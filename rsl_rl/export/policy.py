# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Policies read from files: inputs or observation groups in, actions out."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import torch
from tensordict import TensorDict

from rsl_rl.export.metadata import PolicyMetadata
from rsl_rl.utils.recognition import found_instead


def check_file(path: str | os.PathLike[str], kind: str, meaning: str | None = None) -> None:
    """Raise FileNotFoundError for a file that is not there, ValueError for one that is something else.

    ``kind`` is what it should be, and ``meaning`` the words of :func:`found_instead` for that.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no exported policy '{path}'.")
    if (other := found_instead(path)) not in (None, meaning):
        raise ValueError(f"'{path}' is not {kind}, or it is damaged: {other}.")


class Program:
    """A policy read from a file, which takes the hidden state as inputs and returns the next one after the actions."""

    def __init__(
        self, run: Callable[[list[torch.Tensor]], Sequence[torch.Tensor]], state_shapes: Iterable = ()
    ) -> None:
        """Take a function of inputs on the CPU, and layers and size of every part of the hidden state."""
        self._run, self._shapes = run, list(state_shapes)
        self._state: list[torch.Tensor] = []

    @torch.no_grad()
    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Return the actions [B, A], on the device of the inputs.

        These are the concatenated 1D groups [B, obs_dim], where the policy sees any, then the images of every group,
        [B, C, H, W]. Another batch size than in the call before starts all episodes anew.
        """
        batch_size = len(inputs[0])
        if not self._state or self._state[0].shape[1] != batch_size:
            self._state = [torch.zeros(layers, batch_size, size) for layers, size in self._shapes]
        actions, *self._state = self._run([*(value.detach().cpu() for value in inputs), *self._state])
        return actions.to(inputs[0].device)

    def reset(self, dones: torch.Tensor | None = None) -> None:
        """Start a new episode where ``dones`` [B] is set, or everywhere."""
        if dones is None:
            self._state = []
        else:
            keep = (dones.cpu() == 0).view(1, -1, 1)
            self._state = [torch.where(keep, state, 0.0) for state in self._state]


class ExportedPolicy:
    """A policy read from a file, called like the model it was made from."""

    def __init__(self, program: Program, metadata: PolicyMetadata) -> None:
        """Put the groups that ``metadata`` names before a program."""
        self.metadata, self._program = metadata, program

    def __call__(self, obs: TensorDict | Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the actions [B, A] for groups [B, ...], on their device; a recurrent policy remembers them.

        Groups that the policy does not use are passed over; one missing or of another shape raises ValueError.
        """
        return self._program(*self.metadata.inputs(obs))

    def reset(self, dones: torch.Tensor | None = None) -> None:
        """Start a new episode where ``dones`` [B] is set, or everywhere."""
        self._program.reset(dones)
