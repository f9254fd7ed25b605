# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Stepping a torch optimizer on a condition that only the device knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

PORTABLE_SWITCHES = {"fused": None, "foreach": None, "capturable": False}
"""How a release that knows nothing of this one expects the switches of a saved optimizer."""


@torch.no_grad()
def step_unless(optimizer: Any, is_bad: torch.Tensor) -> None:
    """Step, but change neither parameters nor state where a condition holds; does not wait for the device.

    Args:
        optimizer: A torch optimizer; the fused ones cost nothing extra.
        is_bad: Scalar, bool.
    """
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
