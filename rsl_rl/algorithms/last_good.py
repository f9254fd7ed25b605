# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The parameters to go back to when learning has gone wrong."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

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
        self._proven: dict[Any, torch.Tensor] | None = None
        self._trial: dict[Any, torch.Tensor] | None = None

    def begin(self) -> None:
        """Copy the state that the first update starts from."""
        if self._proven is None:
            self._proven = self._copied({})

    def keep(self) -> None:
        """Copy the state after an update without trouble, which proves the state it started from."""
        if self._trial is not None:
            self._proven, self._trial = self._trial, self._proven
        self._trial = self._copied(self._trial or {})

    def forget(self) -> None:
        """Drop the copies: a checkpoint was loaded."""
        self._proven = self._trial = None

    def restore(self) -> None:
        """Put the proven state back."""
        assert self._proven is not None
        for key, tensor in self._tensors().items():
            # What an optimizer has allocated since then started at zero.
            if key in self._proven:
                tensor.copy_(self._proven[key])
            elif key[0] == "optimizer":
                tensor.zero_()
        self._trial = None

    def is_finite(self) -> torch.Tensor:
        """Return whether everything is finite, a scalar on the device."""
        tensors = [tensor for tensor in self._tensors().values() if tensor.is_floating_point() and tensor.numel() > 0]
        # A sum is finite when its terms are; float64 cannot overflow on float32 terms.
        sums = [tensor.sum(dtype=torch.float64) for tensor in tensors]
        if len({total.device for total in sums}) > 1:
            sums = [total.to(tensors[0].device) for total in sums]
        return torch.isfinite(torch.stack(sums)).all()

    @torch.no_grad()
    def _copied(self, into: dict[Any, torch.Tensor]) -> dict[Any, torch.Tensor]:
        copies, targets, sources = {}, [], []
        for key, tensor in self._tensors().items():
            target = into.get(key)
            if target is None or target.shape != tensor.shape:
                copies[key] = tensor.clone()
            else:
                copies[key] = target
                targets.append(target)
                sources.append(tensor)
        if targets:
            torch._foreach_copy_(targets, sources)  # type: ignore[attr-defined]
        return copies

    def tensors(self) -> list[torch.Tensor]:
        """Return every tensor of models and optimizers."""
        return list(self._tensors().values())

    def _tensors(self) -> dict[Any, torch.Tensor]:
        """Return every tensor under a key that it keeps, whenever an optimizer allocates its state."""
        found: dict[Any, torch.Tensor] = {}
        for index, module in enumerate(self._modules):
            named = (*module.named_parameters(), *module.named_buffers())
            found |= {("module", index, name): tensor.data for name, tensor in named}
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    state = optimizer.state.get(parameter, {})
                    found |= {
                        ("optimizer", id(parameter), name): value
                        for name, value in state.items()
                        if torch.is_tensor(value)
                    }
        return found
