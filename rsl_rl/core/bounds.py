# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Bounds, and what their derivative is where they begin to hold."""

from __future__ import annotations

import torch


def clamped(x: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """Return x within its bounds, with derivative 1 at these, where that of torch's clamp depends on the release."""
    inside = x.detach().clamp(low, high)
    return torch.where(x == inside, x, inside) if torch.is_grad_enabled() else inside


def larger(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the larger of each two numbers; of equal ones x, with its derivative.

    torch's maximum gives equal ones half of the derivative each, which takes a device ten operators to find out.
    """
    return torch.where(y > x, y, x)
