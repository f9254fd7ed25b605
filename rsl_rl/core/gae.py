# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Advantages (Schulman et al., "High-Dimensional Continuous Control Using GAE", 2016), and bounds with a derivative.

Legend: T steps, N environments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def generalized_advantages(
    rewards_TN1: torch.Tensor,
    values_TN1: torch.Tensor,
    dones_TN1: torch.Tensor,
    last_values_N1: torch.Tensor,
    gamma: float,
    lam: float,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the advantage of every step of a rollout, [T, N, 1].

    ``A_t = delta_t + gamma * lam * (1 - done_t) * A_{t+1}`` with
    ``delta_t = r_t + gamma * (1 - done_t) * V_{t+1} - V_t``; a done cuts the recursion.

    Args:
        rewards_TN1: [T, N, 1], rewards (bootstrapped already where an episode timed out).
        values_TN1: [T, N, 1], value of the observation at the start of each step.
        dones_TN1: [T, N, 1], any dtype, non-zero where an episode ended in the step.
        last_values_N1: [N, 1], value of the observation after the last step.
        gamma: Discount per step.
        lam: Lambda.
        out: [T, N, 1], where to write the advantages; None to allocate.
    """
    advantages_TN1 = torch.empty_like(rewards_TN1) if out is None else out
    discount_TN1 = gamma * (1.0 - dones_TN1.to(rewards_TN1.dtype))
    next_values_TN1 = torch.cat([values_TN1[1:], last_values_N1.unsqueeze(0)])
    delta_TN1 = torch.addcmul(rewards_TN1 - values_TN1, discount_TN1, next_values_TN1)
    decay_TN1 = discount_TN1 * lam
    steps = zip(delta_TN1.unbind(0), decay_TN1.unbind(0), advantages_TN1.unbind(0), strict=True)
    following_N1 = torch.zeros_like(last_values_N1)
    for delta_N1, decay_N1, advantage_N1 in reversed(list(steps)):
        following_N1 = torch.addcmul(delta_N1, decay_N1, following_N1, out=advantage_N1)
    return advantages_TN1


def normalized(advantages: torch.Tensor, pooled: Callable[..., tuple[Any, Any, Any]] | None = None) -> torch.Tensor:
    """Return advantages of any shape with mean 0 and (unbiased) standard deviation 1; a single one becomes 0.

    ``pooled`` turns mean, biased variance and number into those of all processes; None normalizes these alone.
    """
    if pooled is not None:
        var, mean = torch.var_mean(advantages, correction=0)
        mean, var, count = pooled(mean, var, advantages.numel())
        return (advantages - mean) / ((var * count / (count - 1)).sqrt() + 1e-8)
    if advantages.numel() < 2:  # It has no standard deviation.
        return torch.zeros_like(advantages)
    return (advantages - advantages.mean()) / (advantages.std() + 1e-8)


def clamped(x: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """Return x within its bounds, with derivative 1 at these, where that of torch's clamp depends on the release."""
    inside = x.detach().clamp(low, high)
    return torch.where(x == inside, x, inside) if torch.is_grad_enabled() else inside


def larger(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the larger of each two numbers; of equal ones x, where torch's maximum halves the derivative."""
    return torch.where(x >= y, x, y)
