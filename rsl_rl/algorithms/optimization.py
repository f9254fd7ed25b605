# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Optimizers whose learning rate lives on the device, and whose saved state any release can read."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from rsl_rl.utils import PORTABLE_SWITCHES, check_optimizer_state, resolve_optimizer, step_unless


class Optimizer:
    """A torch optimizer together with its learning rate, a float64 scalar on the device.

    Reading a learning rate from the device for every mini-batch would make the host wait for it; so the schedule and
    the optimizer share one tensor. float64 makes the schedule's arithmetic equal to Python's.
    """

    def __init__(self, name: str, parameters: Iterable[nn.Parameter], learning_rate: float) -> None:
        """Create the optimizer.

        Args:
            name: adam, adamw, sgd or rmsprop.
            parameters: What it optimizes. One that stands there twice, since two models share it, is optimized once.
            learning_rate: Initial learning rate.

        Raises:
            ValueError: The name is unknown or the learning rate is negative.
        """
        optimizer_class = resolve_optimizer(name)
        if learning_rate < 0:
            raise ValueError(f"learning_rate must not be negative, got {learning_rate}.")
        given = list(parameters)
        parameters = list(dict.fromkeys(given))
        positions = {parameter: index for index, parameter in enumerate(parameters)}
        # Release 5.5.1 keeps shared parameters twice and compares the lengths.
        self._saved_positions = [positions[parameter] for parameter in given]
        device = parameters[0].device
        self.learning_rate = torch.tensor(learning_rate, dtype=torch.float64, device=device)
        # CUDA kernels read the rate as float32.
        self._applied_rate = self.learning_rate if device.type == "cpu" else self.learning_rate.float()
        if optimizer_class is torch.optim.RMSprop:
            self._switches: dict[str, Any] = {"capturable": device.type == "cuda"}
        else:
            self._switches = {"fused": True}
        self.torch_optimizer = optimizer_class(parameters, lr=learning_rate, **self._switches)  # type: ignore[call-arg]
        self.adopt()

    def adopt(self) -> None:
        """Take over a learning rate that was written into the torch optimizer from outside."""
        for group in self.torch_optimizer.param_groups:
            if group["lr"] is not self._applied_rate:
                self.set_learning_rate(float(group["lr"]))
                group["lr"] = self._applied_rate

    def set_learning_rate(self, learning_rate: float | torch.Tensor) -> None:
        """Set the learning rate, from the host or (without waiting for it) from the device."""
        if isinstance(learning_rate, torch.Tensor):
            self.learning_rate.copy_(learning_rate)
        else:
            self.learning_rate.fill_(learning_rate)
        if self._applied_rate is not self.learning_rate:
            self._applied_rate.copy_(self.learning_rate)

    def applied_rates(self) -> list[torch.Tensor]:
        """Return the tensors that the torch optimizer reads its rate from."""
        return [] if self._applied_rate is self.learning_rate else [self._applied_rate]

    def step_unless(self, is_bad: torch.Tensor) -> None:
        """Step, but change nothing where ``is_bad`` (a scalar, bool) is true. Does not wait for the device."""
        step_unless(self.torch_optimizer, is_bad)

    def state_dict(self) -> dict[str, Any]:
        """Return the state with the learning rate as a plain number and without device-specific switches."""
        state = self.torch_optimizer.state_dict()
        for group in state["param_groups"]:
            group["lr"] = float(self.learning_rate)
            group.update({switch: value for switch, value in PORTABLE_SWITCHES.items() if switch in group})
            group["params"] = list(self._saved_positions)
        return state

    def check_state(self, state: dict[str, Any]) -> None:
        """Raise ValueError if a saved state does not fit this optimizer."""
        check_optimizer_state(self.torch_optimizer, state, "optimizer")

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state, its learning rate included."""
        self.check_state(state)
        state = {"state": state["state"], "param_groups": [dict(group) for group in state["param_groups"]]}
        learning_rate = float(state["param_groups"][0]["lr"])
        for group in state["param_groups"]:
            group.update(self._switches)
            group["params"] = list(dict.fromkeys(group["params"]))
        # The optimizer would otherwise share its tensors with the caller's document.
        self.torch_optimizer.load_state_dict(copy.deepcopy(state))
        self.set_learning_rate(learning_rate)
        for group in self.torch_optimizer.param_groups:
            group["lr"] = self._applied_rate
