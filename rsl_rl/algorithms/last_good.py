# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The parameters to go back to when learning has gone wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import nn


class LastGood:
    """Keeps a copy of models and optimizers from before the last update that went well.

    A state counts as good when a whole update started from it without trouble; so two copies are kept, the older one
    proven, the newer one on trial.
    """

    def __init__(self, modules: Iterable[nn.Module], optimizers: Iterable[torch.optim.Optimizer]) -> None:
        """Remember whose state to keep; the first copy is made by :meth:`begin`."""
        self._modules = list(modules)
        self._optimizers = list(optimizers)
        self._proven: list[torch.Tensor] | None = None
        self._trial: list[torch.Tensor] | None = None

    def begin(self) -> None:
        """Copy the state that the first update starts from."""
        if self._proven is None:
            self._proven = self._copied(None)

    def keep(self) -> None:
        """Copy the state after an update without trouble, which proves the state it started from."""
        if self._trial is not None:
            self._proven, self._trial = self._trial, self._proven
        self._trial = self._copied(self._trial)

    def forget(self) -> None:
        """Drop the copies: a checkpoint was loaded."""
        self._proven = self._trial = None

    def restore(self) -> None:
        """Put the proven state back."""
        assert self._proven is not None
        current = list(self._tensors())
        for index, tensor in enumerate(current):
            # What the optimizer has allocated since then started at zero.
            if index < len(self._proven):
                tensor.copy_(self._proven[index])
            else:
                tensor.zero_()
        self._trial = None

    def is_finite(self) -> torch.Tensor:
        """Return whether everything is finite, a scalar on the device."""
        tensors = [tensor for tensor in self._tensors() if tensor.is_floating_point() and tensor.numel() > 0]
        detached = [tensor.detach() for tensor in tensors]
        norms = torch._foreach_norm(detached)  # type: ignore[reportPrivateImportUsage]
        return torch.isfinite(torch.stack([norm.to(tensors[0].device, torch.float32) for norm in norms])).all()

    @torch.no_grad()
    def _copied(self, into: list[torch.Tensor] | None) -> list[torch.Tensor]:
        tensors = [tensor.detach() for tensor in self._tensors()]
        if into is None or len(into) != len(tensors):
            return [tensor.clone() for tensor in tensors]
        for target, tensor in zip(into, tensors, strict=True):
            target.copy_(tensor)
        return into

    def _tensors(self) -> Iterator[torch.Tensor]:
        seen: set[int] = set()
        for module in self._modules:
            for tensor in (*module.parameters(), *module.buffers()):
                if id(tensor) not in seen:
                    seen.add(id(tensor))
                    yield tensor.data
        # Last: an optimizer allocates its state in its first step.
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    yield from (
                        value
                        for value in optimizer.state.get(parameter, {}).values()
                        if isinstance(value, torch.Tensor)
                    )
