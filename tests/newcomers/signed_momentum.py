# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch


class SignedMomentum(torch.optim.Optimizer):
    """Steps along the sign of the averaged gradient, shorter at first; counts its steps in a plain number."""

    def __init__(self, params: Iterable[torch.Tensor], lr: float = 1e-3) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for parameter in (each for each in group["params"] if each.grad is not None):
                state = self.state[parameter]
                state.setdefault("momentum", torch.ones_like(parameter))
                state["step"] = state.get("step", 0) + 1
                state["momentum"].lerp_(parameter.grad, 0.1)
                length = group["lr"] * (1.0 - 0.5 ** state["step"])
                parameter.sub_(length * state["momentum"].sign())
