# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The losses of PPO for a Gaussian policy together with their gradients, written out.

The same as differentiating :mod:`rsl_rl.core.losses`, without recording some forty small operations.

Legend: B samples (any leading dimensions), A actions.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch

_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


class Rollout(NamedTuple):
    """What a mini-batch remembers of the policy that acted."""

    actions: torch.Tensor
    """[B, A]."""
    log_prob: torch.Tensor
    """[B]."""
    advantages: torch.Tensor
    """[B]."""
    values: torch.Tensor
    """[B, 1]."""
    returns: torch.Tensor
    """[B, 1]."""
    mean: torch.Tensor
    """[B, A]."""
    scale: torch.Tensor
    """[B, A]."""


Scalar = Any
"""A float, or a scalar tensor, of which a compiled function takes other values without being compiled anew."""


class Coefficients(NamedTuple):
    """Options of PPO."""

    clip: Scalar
    value_clip: Scalar
    """None for no clipping."""
    value: Scalar
    entropy: Scalar


@torch.no_grad()
def losses_and_gradients(
    mean: torch.Tensor, scale: torch.Tensor, value: torch.Tensor, rollout: Rollout, coefficients: Coefficients
) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Return the losses, and the gradients of their sum.

    Args:
        mean: [B, A], of the policy that is learned.
        scale: [B, A], or [A] if it is the same for all samples.
        value: [B, 1].
        rollout: What the gradients depend on otherwise.
        coefficients: Options of PPO.

    Returns:
        [6]: the sum, the KL divergence, the share of clipped samples, the losses of value and surrogate, the entropy;
        and the gradients of the sum with respect to ``mean``, ``scale`` and ``value``.
    """
    inverse, num_samples = scale.reciprocal(), value.numel()
    deviation = (rollout.actions - mean).mul_(inverse)
    square = deviation.square()
    entropy = (scale.log().add_(_HALF_LOG_TWO_PI)).sum(dim=-1)
    log_ratio = square.sum(dim=-1).mul_(-0.5).sub_(entropy).sub_(rollout.log_prob)
    ratio = log_ratio.exp()
    surrogate = -rollout.advantages * ratio
    clipped = -rollout.advantages * ratio.clamp(1.0 - coefficients.clip, 1.0 + coefficients.clip)
    # Where the clipped one is larger, the ratio has left the range, and nothing pulls at it.
    to_log_prob = torch.where(surrogate >= clipped, surrogate, 0.0).div_(num_samples).unsqueeze(-1)
    to_mean = deviation.mul_(inverse).mul_(to_log_prob)
    to_scale = square.sub_(1.0).mul_(inverse).mul_(to_log_prob)
    per_sample = scale.ndim == mean.ndim
    if per_sample:
        to_scale = _less(to_scale, inverse, coefficients.entropy / num_samples)
    else:
        to_scale = _less(to_scale.flatten(0, -2).sum(dim=0), inverse, coefficients.entropy)

    error = value - rollout.returns
    error_square = error.square()
    to_value = error.mul(2.0 * coefficients.value / num_samples)
    if coefficients.value_clip is not None:
        limit = coefficients.value_clip
        change = value - rollout.values
        clipped_square = (rollout.values + change.clamp(-limit, limit)).sub_(rollout.returns).square_()
        keeps = (error_square >= clipped_square).logical_or_(change.abs_() <= limit)
        to_value = torch.where(keeps, to_value, 0.0)
        error_square = torch.maximum(error_square, clipped_square)

    surrogate_loss = torch.maximum(surrogate, clipped).mean()
    value_loss, mean_entropy = error_square.mean(), entropy.mean() + 0.5 * mean.shape[-1]
    total = surrogate_loss + coefficients.value * value_loss - coefficients.entropy * mean_entropy
    # Divided, not multiplied by the inverse: policies that are equal must not differ by rounding, or the rate rises.
    variance_ratio = (rollout.scale / scale).square_()
    shift = (rollout.mean - mean).div_(scale).square_()
    kl = (shift.add_(variance_ratio).sub_(1.0).sub_(variance_ratio.log())).sum(dim=-1).mean() * 0.5
    is_clipped = (ratio.sub_(1.0).abs_() > coefficients.clip).float().mean()
    numbers = torch.stack([total, kl, is_clipped, value_loss, surrogate_loss, mean_entropy])
    return numbers, (to_mean, to_scale, to_value)


def _less(x: torch.Tensor, y: torch.Tensor, factor: Scalar) -> torch.Tensor:
    """Return x - factor * y, written over x."""
    return x.sub_(y * factor) if isinstance(factor, torch.Tensor) else x.sub_(y, alpha=factor)
