# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Optimizers that step on a condition, with a learning rate on the device and a saved state that any release reads."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import nn

from rsl_rl.utils import check_optimizer_state, resolve_optimizer

# How a release that knows nothing of this one expects the switches of a saved optimizer.
_PORTABLE_SWITCHES = {"fused": None, "foreach": None, "capturable": False}


class Optimizer:
    """A torch optimizer together with its learning rate, a float64 scalar on the device.

    Reading a learning rate from the device for every mini-batch would make the host wait for it; so a schedule and the
    optimizer share one tensor. float64 makes the schedule's arithmetic equal to Python's.
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
        self._host_rate: float | None = float(group["lr"])
        self.learning_rate = torch.tensor(float(group["lr"]), dtype=torch.float64, device=device)
        # CUDA kernels read the rate as float32.
        self._applied_rate = self.learning_rate if device.type == "cpu" else self.learning_rate.float()
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
        wanted = {"fused": True, "capturable": listed[0].device.type == "cuda"}
        switches = {switch: True for switch, on in wanted.items() if on and switch in options}
        unique = list(dict.fromkeys(listed))
        return cls(optimizer_class(unique, lr=learning_rate, **switches), listed)  # type: ignore[call-arg]

    @property
    def host_rate(self) -> float:
        """The learning rate as a number; waits for the device if it was changed there and not read since."""
        if self._host_rate is None:
            self._host_rate = float(self.learning_rate)
        return self._host_rate

    @host_rate.setter
    def host_rate(self, learning_rate: float) -> None:
        self._host_rate = learning_rate

    def adopt_rate(self) -> None:
        """Take over a learning rate that a program has written into the torch optimizer."""
        for group in self.torch_optimizer.param_groups:
            if group["lr"] is not self._applied_rate:
                self.set_rate(float(group["lr"]))
                group["lr"] = self._applied_rate

    def set_rate(self, learning_rate: float | torch.Tensor) -> None:
        """Set the learning rate, from the host or (without waiting for it) from the device."""
        if isinstance(learning_rate, torch.Tensor):
            self._host_rate = None
            self.learning_rate.copy_(learning_rate)
        else:
            self._host_rate = learning_rate
            self.learning_rate.fill_(learning_rate)
        if self._applied_rate is not self.learning_rate:
            self._applied_rate.copy_(self.learning_rate)

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
        if not self._switches or self._will_allocate():
            # A rate as a number makes the host wait anyway; what a state starts with only the optimizer knows.
            if not bool(is_bad):
                for group in optimizer.param_groups:
                    group["lr"] = self._applied_rate if self._switches else float(self._applied_rate)
                optimizer.step()
                for group in optimizer.param_groups:
                    group["lr"] = self._applied_rate
            return
        before = [(tensor, tensor.clone()) for tensor in self._tensors()]
        optimizer.step()
        for tensor, old in before:
            tensor.copy_(torch.where(is_bad, old, tensor))

    def rates(self) -> list[torch.Tensor]:
        """Return the tensors that hold the learning rate."""
        return list(dict.fromkeys((self.learning_rate, self._applied_rate)))

    def state_dict(self) -> dict[str, Any]:
        """Return the state with the learning rate as a plain number and without device-specific switches."""
        state = self.torch_optimizer.state_dict()
        for group in state["param_groups"]:
            group["lr"] = float(self.learning_rate)
            group.update({switch: value for switch, value in _PORTABLE_SWITCHES.items() if switch in group})
            group["params"] = list(self._saved_positions)
        return state

    def check_state(self, state: dict[str, Any], name: str = "optimizer") -> None:
        """Raise ValueError if a saved state does not fit; the message calls the optimizer by ``name``."""
        check_optimizer_state(self.torch_optimizer, state, name)

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
        self.set_rate(learning_rate)
        for group in self.torch_optimizer.param_groups:
            group["lr"] = self._applied_rate

    def _will_allocate(self) -> bool:
        """Return whether a parameter that has a gradient has no state yet."""
        state, groups = self.torch_optimizer.state, self.torch_optimizer.param_groups
        return any(p.grad is not None and p not in state for group in groups for p in group["params"])

    def _tensors(self) -> Iterator[torch.Tensor]:
        for group in self.torch_optimizer.param_groups:
            for parameter in group["params"]:
                yield parameter
                state = self.torch_optimizer.state.get(parameter, {})
                yield from (value for value in state.values() if torch.is_tensor(value))
