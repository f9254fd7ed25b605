# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Learning-rate schedules as tensor expressions, so that they run on the device."""

from __future__ import annotations

import torch

_FACTOR = 1.5
_LOWEST, _HIGHEST = 1e-5, 1e-2


def adapt_learning_rate(learning_rate: torch.Tensor, kl: torch.Tensor, desired_kl: float) -> torch.Tensor:
    """Return the learning rate after a mini-batch whose policy moved by ``kl``.

    A divergence above twice the desired one lowers the rate, one below half of it raises it.

    Args:
        learning_rate: Scalar, float64 so that the arithmetic equals Python's.
        kl: Scalar, mean KL divergence from the policy that acted, in nats. NaN and 0 change nothing.
        desired_kl: In nats.
    """
    lower = (learning_rate / _FACTOR).clamp(min=_LOWEST)
    higher = (learning_rate * _FACTOR).clamp(max=_HIGHEST)
    raised = torch.where((kl > 0.0) & (kl < desired_kl / 2.0), higher, learning_rate)
    return torch.where(kl > desired_kl * 2.0, lower, raised)
