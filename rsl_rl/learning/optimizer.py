# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Optimizers that step on a condition, with a learning rate on the device and a saved state that any release reads."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from rsl_rl.utils import check_optimizer_state, resolve_optimizer

# How a release that knows nothing of this one expects the switches of a saved optimizer.
_PORTABLE_SWITCHES = {"fused": None, "foreach": None, "capturable": False}


class Optimizer:
    """A torch optimizer together with its learning rate, a float64 scalar on the device.

    Reading a learning rate from the device for every mini-batch would make the host wait for it; so a schedule and the
    optimizer share one tensor. float64 makes the schedule's arithmetic equal to Python's. Groups with rates of their
    own keep them until a rate is set for all.
    """

    def __init__(self, torch_optimizer: torch.optim.Optimizer, listed: Iterable[nn.Parameter] | None = None) -> None:
        """Take over a torch optimizer.

        Args:
            torch_optimizer: The optimizer.
            listed: Its parameters as release 5.5.1 lists them when it saves: shared ones more than once.
        """
        self.torch_optimizer = torch_optimizer
        group = torch_optimizer.param_groups[0]
        positions = {parameter: index for index, parameter in enumerate(group["params"])}
        self._saved_positions = [positions[parameter] for parameter in listed or group["params"]]
        device = group["params"][0].device
        self.learning_rate = torch.tensor(float(group["lr"]), dtype=torch.float64, device=device)
        # What each group's kernel reads; those of CUDA read float32.
        self._applied = [self.learning_rate if device.type == "cpu" else self.learning_rate.float()]
        self.rates = [self.learning_rate, *(rate for rate in self._applied if rate is not self.learning_rate)]
        """Every tensor that holds a learning rate."""
        self._read: tuple[int, int, float] | None = None
        # Fused and capturable kernels read their rate from a tensor; others take a number, which costs a wait on a GPU.
        self._switches = {switch: True for switch in ("fused", "capturable") if group.get(switch)}
        self.adopt_rate()

    @classmethod
    def of(cls, name: str, parameters: Iterable[nn.Parameter], learning_rate: float) -> Optimizer:
        """Create a torch optimizer in the form that suits the device best.

        Args:
            name: Name of the torch optimizer, see :func:`rsl_rl.utils.resolve_optimizer`.
            parameters: What it optimizes. One that is listed twice, because two models share it, is optimized once.
            learning_rate: Initial learning rate.

        Raises:
            ValueError: The name is unknown or the learning rate is negative.
        """
        optimizer_class = resolve_optimizer(name)
        if learning_rate < 0:
            raise ValueError(f"learning_rate must not be negative, got {learning_rate}.")
        listed = list(parameters)
        options = inspect.signature(optimizer_class).parameters
        wanted = {"fused": True, "capturable": listed[0].device.type not in ("cpu", "mps")}
        switches = {switch: True for switch, on in wanted.items() if on and switch in options}
        unique = list(dict.fromkeys(listed))
        return cls(optimizer_class(unique, lr=learning_rate, **switches), listed)  # type: ignore[call-arg]

    def adopt_rate(self) -> None:
        """Take over the learning rates that a program has written into the torch optimizer."""
        groups = self.torch_optimizer.param_groups
        added = [torch.empty_like(self._applied[0]) for _ in groups[len(self._applied) :]]
        self._applied += added
        self.rates += added
        for group, applied in zip(groups, self._applied, strict=False):
            if group["lr"] is not applied:
                for rate in (self.learning_rate, applied) if group is groups[0] else (applied,):
                    rate.fill_(float(group["lr"]))
                group["lr"] = applied

    def rate_was(self, number: float) -> None:
        """Remember the learning rate, which somebody has fetched from the device together with other numbers."""
        self._read = id(self.learning_rate), self.learning_rate._version, number

    def rate_as_number(self) -> float:
        """Return the learning rate; waits for the device where it is not known."""
        if self._read is None or self._read[:2] != (id(self.learning_rate), self.learning_rate._version):
            self.rate_was(float(self.learning_rate))
        assert self._read is not None
        return self._read[2]

    def set_rate(self, learning_rate: float | torch.Tensor) -> None:
        """Set the learning rate of all groups, from the host or (without waiting for it) from the device."""
        for rate in self.rates:
            rate.fill_(learning_rate)

    @torch.no_grad()
    def step_unless(self, is_bad: torch.Tensor) -> None:
        """Step, but change neither parameters nor state where ``is_bad`` (a scalar, bool) holds."""
        optimizer: Any = self.torch_optimizer
        if getattr(optimizer, "_step_supports_amp_scaling", False):
            # The way in which torch's gradient scaler skips a step; it costs nothing and does not wait for the device.
            optimizer.grad_scale, optimizer.found_inf = None, is_bad.float()
            try:
                optimizer.step()
            finally:
                del optimizer.grad_scale, optimizer.found_inf
            return
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        allocates = any(parameter.grad is not None and parameter not in optimizer.state for parameter in parameters)
        if not self._switches or allocates:
            # A rate as a number makes the host wait anyway; what a state starts with only the optimizer knows.
            if not bool(is_bad):
                applied = list(zip(optimizer.param_groups, self._applied, strict=False))
                for group, rate in applied:
                    group["lr"] = rate if self._switches else float(rate)
                optimizer.step()
                for group, rate in applied:
                    group["lr"] = rate
            return
        states = [value for parameter in parameters for value in optimizer.state.get(parameter, {}).values()]
        before = [(tensor, tensor.clone()) for tensor in (*parameters, *states) if torch.is_tensor(tensor)]
        optimizer.step()
        for tensor, old in before:
            tensor.copy_(torch.where(is_bad, old, tensor))

    def state_dict(self) -> dict[str, Any]:
        """Return the state with the learning rate as a plain number and without device-specific switches."""
        state = self.torch_optimizer.state_dict()
        for group, rate in zip(state["param_groups"], [self.learning_rate, *self._applied[1:]], strict=False):
            portable = {switch: value for switch, value in _PORTABLE_SWITCHES.items() if switch in group}
            group.update(portable, lr=float(rate))
        state["param_groups"][0]["params"] = list(self._saved_positions)
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state, its learning rate included; ValueError if it does not fit."""
        check_optimizer_state(self.torch_optimizer, state, "optimizer")
        groups = [
            {**group, **self._switches, "params": list(dict.fromkeys(group["params"]))}
            for group in state["param_groups"]
        ]
        # The optimizer would otherwise share its tensors with the caller's document.
        self.torch_optimizer.load_state_dict(copy.deepcopy({"state": state["state"], "param_groups": groups}))
        self.adopt_rate()
