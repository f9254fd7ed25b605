# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Stepping a torch optimizer on a condition that only the device knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

_FUSED = {torch.optim.Adam: torch._fused_adam_, torch.optim.AdamW: torch._fused_adamw_}  # type: ignore[attr-defined]
PORTABLE_SWITCHES = {"fused": None, "foreach": None, "capturable": False}
"""How a release that knows nothing of this one expects the switches of a saved optimizer."""


@torch.no_grad()
def step_unless(optimizer: Any, is_bad: torch.Tensor) -> None:
    """Step, but change neither parameters nor state where a condition holds; does not wait for the device.

    Args:
        optimizer: A torch optimizer; the fused ones cost nothing extra.
        is_bad: Scalar, bool.
    """
    if _step_in_one_call(optimizer, is_bad):
        return
    if getattr(optimizer, "_step_supports_amp_scaling", False):
        # The way in which torch's gradient scaler skips a step.
        optimizer.grad_scale, optimizer.found_inf = None, is_bad.float()
        try:
            optimizer.step()
        finally:
            del optimizer.grad_scale, optimizer.found_inf
        return
    before = {id(tensor): tensor.clone() for tensor in _tensors(optimizer)}
    optimizer.step()
    for tensor in _tensors(optimizer):
        # State that was allocated in this step starts at zero.
        old = before.get(id(tensor))
        tensor.copy_(torch.where(is_bad, torch.zeros_like(tensor) if old is None else old, tensor))


def _tensors(optimizer: torch.optim.Optimizer) -> Iterator[torch.Tensor]:
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            yield parameter
            yield from (value for value in optimizer.state.get(parameter, {}).values() if torch.is_tensor(value))


def _step_in_one_call(optimizer: Any, is_bad: torch.Tensor) -> bool:
    """Step as torch's fused Adam does, without what surrounds it, which takes longer than the arithmetic.

    Returns:
        False, with nothing done, where more than this arithmetic is asked for.
    """
    fused = _FUSED.get(type(optimizer))
    if fused is None:
        return False
    is_watched = (
        "step" in vars(optimizer)  # Learning rate schedulers and wrappers replace it.
        or optimizer._optimizer_step_pre_hooks
        or optimizer._optimizer_step_post_hooks
        or _global_optimizer_pre_hooks
        or _global_optimizer_post_hooks
    )
    if is_watched:
        return False
    work = []
    for group in optimizer.param_groups:
        parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
        states = [optimizer.state[parameter] for parameter in parameters]
        if not (group["fused"] and isinstance(group["lr"], torch.Tensor) and all(states)) or group["amsgrad"]:
            return False
        if parameters:
            work.append((group, parameters, states))
    found_inf = is_bad.float()
    for group, parameters, states in work:
        _counters(states).add_(1.0 - found_inf)
        fused(
            parameters,
            [parameter.grad for parameter in parameters],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            lr=group["lr"],
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=group["maximize"],
            found_inf=found_inf,
        )
    return True


def _counters(states: list[dict[str, torch.Tensor]]) -> torch.Tensor:
    """Return the step counters of all parameters, [number of parameters], of which their own become views."""
    counters = states[0]["step"]._base
    if counters is None or len(counters) != len(states) or any(state["step"]._base is not counters for state in states):
        with torch.inference_mode(False):
            counters = torch.stack([state["step"] for state in states])
        for state, counter in zip(states, counters.unbind(), strict=True):
            state["step"] = counter
    return counters
