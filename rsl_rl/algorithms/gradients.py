# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""All gradients of an update in one flat tensor: averaging, norms, check and clipping are one pass each."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from rsl_rl.distributed import World


class GradientBuffer:
    """The gradients of several groups of parameters, with a few numbers that travel with them."""

    def __init__(self, groups: Sequence[Sequence[nn.Parameter]], num_numbers: int = 0) -> None:
        """Allocate the buffer.

        Args:
            groups: Parameters whose gradients have a norm of their own, e.g. those of the actor. One that belongs to
                several groups is kept once.
            num_numbers: Scalars that are averaged over the processes together with the gradients.
        """
        self.parameters = list(dict.fromkeys(p for group in groups for p in group))
        self.overlaps = sum(len(group) for group in groups) > len(self.parameters)
        """Whether a parameter belongs to several groups."""
        sizes = [p.numel() for p in self.parameters]
        first = self.parameters[0] if self.parameters else torch.zeros(())
        dtype = torch.float32
        for parameter in self.parameters:
            dtype = torch.promote_types(dtype, parameter.dtype)
        self._flat = torch.zeros(sum(sizes) + num_numbers, dtype=dtype, device=first.device)
        self._allocated: list[torch.Tensor | None] = []
        self.numbers = self._flat[sum(sizes) :]
        parts = self._flat[: sum(sizes)].split(sizes)
        self._views = [part.view_as(p) for part, p in zip(parts, self.parameters, strict=True)]
        # Optimizers pair the memory of a parameter with that of its gradient.
        self._fits = [p.dtype == dtype and p.is_contiguous() for p in self.parameters]
        starts = dict(zip(self.parameters, (int(part.storage_offset()) for part in parts), strict=True))
        self._segments = [_merged([(starts[p], p.numel()) for p in group]) for group in groups]

    def collect(self) -> None:
        """Take in the gradients of a backward pass; from then on they are views of the buffer, where that fits."""
        # What the backward pass has allocated stays until the next: freed at once, the allocator of the C library gives
        # memory back to the system and has to fetch it anew, at 70,000 page faults an update.
        self._allocated = [parameter.grad for parameter in self.parameters]
        reached = [
            (view, gradient)
            for view, gradient in zip(self._views, self._allocated, strict=True)
            if gradient is not None
        ]
        if len(reached) < len(self._views):
            self._flat.zero_()
        views, gradients = zip(*reached, strict=True) if reached else ((), ())
        torch._foreach_copy_(views, gradients)  # type: ignore[attr-defined]
        for parameter, view, fits in zip(self.parameters, self._views, self._fits, strict=True):
            # No gradient is not one of zero: a parameter that the loss does not reach must not be stepped.
            if fits and parameter.grad is not None:
                parameter.grad = view

    def hand_out(self) -> None:
        """Give what the buffer holds now to the parameters whose gradients are no views of it."""
        if all(self._fits):
            return
        for parameter, view, fits in zip(self.parameters, self._views, self._fits, strict=True):
            if not fits and parameter.grad is not None:
                parameter.grad.copy_(view)

    def average(self, world: World) -> None:
        """Average gradients and numbers over all processes, in one call."""
        world.average_(self._flat)

    def norms(self) -> list[torch.Tensor]:
        """Return the norm of every group, scalars. Not finite if a gradient is not."""
        return [torch.linalg.vector_norm(torch.cat(parts) if len(parts) > 1 else parts[0]) for parts in self._parts()]

    def clip(self, index: int, norm: torch.Tensor, max_norm: float) -> None:
        """Scale the gradients of one group, whose norm is given, down to ``max_norm``."""
        factor = (max_norm / (norm + 1e-6)).clamp(max=1.0)
        for part in self._parts()[index]:
            part.mul_(factor)

    def _parts(self) -> list[list[torch.Tensor]]:
        return [[self._flat[a:b] for a, b in segments] or [self._flat[:0]] for segments in self._segments]


def _merged(places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return neighbouring (start, length) as (start, end)."""
    merged: list[tuple[int, int]] = []
    for start, length in places:
        if merged and merged[-1][1] == start:
            merged[-1] = (merged[-1][0], start + length)
        else:
            merged.append((start, start + length))
    return merged
