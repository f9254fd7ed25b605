# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The losses of PPO (Schulman et al., "Proximal Policy Optimization Algorithms", 2017).

Legend: B samples.
"""

from __future__ import annotations

import torch


def surrogate_loss(
    log_prob_B: torch.Tensor, old_log_prob_B: torch.Tensor, advantage_B: torch.Tensor, clip: float
) -> torch.Tensor:
    """Return the clipped surrogate objective as a loss.

    Args:
        log_prob_B: [B], log-probability of the actions under the policy that is being learned.
        old_log_prob_B: [B], the same under the policy that acted.
        advantage_B: [B].
        clip: The probability ratio earns nothing beyond 1 +- clip.
    """
    ratio = torch.exp(log_prob_B - old_log_prob_B)
    surrogate = -advantage_B * ratio
    surrogate_clipped = -advantage_B * ratio.clamp(1.0 - clip, 1.0 + clip)
    return torch.max(surrogate, surrogate_clipped).mean()


def value_loss(
    value_B: torch.Tensor, old_value_B: torch.Tensor, return_B: torch.Tensor, clip: float | None
) -> torch.Tensor:
    """Return the squared error of the value, [B] each, the larger of the clipped and the unclipped one.

    Args:
        value_B: [B], value under the critic that is being learned.
        old_value_B: [B], value when the action was chosen.
        return_B: [B], target.
        clip: The value may move this far from the old one; None for no clipping.
    """
    error = (value_B - return_B).square()
    if clip is None:
        return error.mean()
    value_clipped = old_value_B + (value_B - old_value_B).clamp(-clip, clip)
    return torch.max(error, (value_clipped - return_B).square()).mean()
