# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The parameters to go back to when learning has gone wrong."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn


class LastGoodState:
    """Keeps copies of models and optimizers: what the update in progress started from, and the last good update.

    A state counts as good when a whole update started from it without trouble.
    """

    def __init__(self, modules: Iterable[nn.Module], optimizers: Iterable[torch.optim.Optimizer]) -> None:
        """Remember whose state to keep; the first copy is made by :meth:`begin`."""
        self._modules, self._optimizers = list(modules), list(optimizers)
        self.forget()

    def forget(self) -> None:
        """Drop the copies: a checkpoint was loaded."""
        self.newest: dict[Any, torch.Tensor] = {}
        """What the update in progress or the next one starts from; empty before the first."""
        self._proven: dict[Any, torch.Tensor] = {}

    def begin(self) -> None:
        """Copy the state that the first update starts from."""
        self.newest = self._copied({})

    def keep(self, proves: bool) -> None:
        """Copy the state after an update; one without trouble proves the state that it started from."""
        if proves:
            self._proven, self.newest = self.newest, self._proven
        self.newest = self._copied(self.newest)

    def restore(self) -> None:
        """Put the proven state back; before the first good update, the one that it started from."""
        self._put_back(self._proven or self.newest)

    def undo(self) -> None:
        """Put back what the update in progress started from."""
        self._put_back(self.newest)

    def _put_back(self, copies: dict[Any, torch.Tensor]) -> None:
        for key, tensor in self.tensors().items():
            if key in copies:
                tensor.copy_(copies[key])
        known = {key[1] for key in copies if key[0] == "optimizer"}
        for optimizer in self._optimizers:
            # What was allocated since then starts anew.
            for parameter in [p for p in optimizer.state if id(p) not in known]:
                del optimizer.state[parameter]

    def is_finite(self) -> torch.Tensor:
        """Return whether everything is finite, a scalar on the device."""
        # Some optimizers count their steps on the host.
        devices: dict[torch.device, list[torch.Tensor]] = {}
        for tensor in self.tensors().values():
            if tensor.is_floating_point() and tensor.numel() > 0:
                devices.setdefault(tensor.device, []).append(tensor)
        largest = [torch.stack(torch._foreach_norm(each, math.inf)).max() for each in devices.values()]  # type: ignore[attr-defined]
        device = next((device for device in devices if device.type != "cpu"), largest[0].device)
        return torch.isfinite(torch.stack([each.to(device, non_blocking=True) for each in largest])).all()

    @torch.no_grad()
    def _copied(self, into: dict[Any, torch.Tensor]) -> dict[Any, torch.Tensor]:
        """Return copies of all tensors, in the memory of earlier ones where there are any."""
        now = self.tensors()
        copies = {key: into[key] if key in into else torch.empty_like(tensor) for key, tensor in now.items()}
        torch._foreach_copy_(list(copies.values()), list(now.values()))  # type: ignore[attr-defined]
        return copies

    def tensors(self) -> dict[Any, torch.Tensor]:
        """Return every tensor under a key that it keeps, whenever an optimizer allocates its state."""
        found: dict[Any, torch.Tensor] = {}
        for index, module in enumerate(self._modules):
            named = (*module.named_parameters(), *module.named_buffers())
            # The shape is part of the key: a program may put another tensor in the place of one.
            found |= {("module", index, name, tensor.shape): tensor.data for name, tensor in named}
        for optimizer in self._optimizers:
            for parameter, state in optimizer.state.items():
                tensors = {name: value for name, value in state.items() if torch.is_tensor(value)}
                found |= {("optimizer", id(parameter), name, value.shape): value for name, value in tensors.items()}
        return found
