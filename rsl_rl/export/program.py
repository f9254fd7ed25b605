# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Policies read from files, as functions of their inputs that remember what a recurrent policy has to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch

STATE_INPUTS = ("h_in", "c_in")
"""Names of the inputs that take the hidden state."""


class Program(Protocol):
    """A policy read from a file."""

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Return the actions [B, A], on the device of the inputs.

        Args:
            *inputs: The concatenated 1D groups [B, obs_dim] where the policy sees any, then the images of every image
                group [B, C, H, W]. Another batch size than in the call before starts all episodes anew.
        """
        ...

    def reset(self, dones: torch.Tensor | None = None) -> None:
        """Start a new episode where ``dones`` [B] is set, or everywhere."""
        ...


class FunctionalProgram:
    """A file that takes the hidden state as inputs and returns the next one after the actions."""

    def __init__(
        self,
        run: Callable[[list[torch.Tensor]], Sequence[torch.Tensor]],
        state_shapes: Mapping[str, Sequence[int]],
    ) -> None:
        """Start with an empty state.

        Args:
            run: Inputs on the CPU -> outputs.
            state_shapes: Layers and size of every part of the hidden state.
        """
        self._run = run
        self._shapes = list(state_shapes.values())
        self._state: list[torch.Tensor] = []

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """See :class:`Program`."""
        batch_size = len(inputs[0])
        if not self._state or self._state[0].shape[1] != batch_size:
            self._state = [torch.zeros(layers, batch_size, size) for layers, size in self._shapes]
        actions, *self._state = self._run([*(value.detach().cpu() for value in inputs), *self._state])
        return actions.to(inputs[0].device)

    def reset(self, dones: torch.Tensor | None = None) -> None:
        """See :class:`Program`."""
        if dones is None:
            self._state = []
        else:
            keep = (dones.cpu() == 0).view(1, -1, 1)
            self._state = [torch.where(keep, state, 0.0) for state in self._state]


class ScriptProgram:
    """A TorchScript file, which keeps its hidden state inside."""

    def __init__(self, script: Any, has_vectors: bool, has_images: bool) -> None:
        """Wrap a loaded script.

        Args:
            script: The script.
            has_vectors: Whether the policy sees 1D groups.
            has_images: Whether the policy sees images.
        """
        self._script = script
        self._has_vectors = has_vectors
        self._has_images = has_images

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """See :class:`Program`."""
        on_cpu = [value.detach().cpu() for value in inputs]
        with torch.no_grad():
            if not self._has_images:
                return self._script(on_cpu[0]).to(inputs[0].device)
            vectors = on_cpu.pop(0) if self._has_vectors else torch.zeros(len(on_cpu[0]), 0)
            return self._script(vectors, on_cpu).to(inputs[0].device)

    def reset(self, dones: torch.Tensor | None = None) -> None:
        """See :class:`Program`."""
        if dones is None:
            self._script.reset()
            return
        for name, state in self._script.named_buffers():
            if name in ("core.h", "core.c"):
                state[:, dones.cpu() != 0] = 0.0
