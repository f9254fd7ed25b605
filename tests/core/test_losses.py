# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""PPO's losses and learning-rate schedule, against hand calculation."""

from __future__ import annotations

import math

import pytest
import torch

from rsl_rl.core import adapt_learning_rate, surrogate_loss, value_loss


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected"),
    [
        (1.1, 2.0, -2.2),  # within the clipping range
        (1.5, 2.0, -2.4),  # beyond it: earns no more than 1.2
        (0.5, 2.0, -1.0),  # a loss is not clipped away
        (0.5, -2.0, 1.6),  # below it: earns no more than 0.8
        (1.5, -2.0, 3.0),
    ],
)
def test_surrogate_is_the_pessimistic_one(ratio: float, advantage: float, expected: float) -> None:
    old = torch.tensor([-0.7])
    loss = surrogate_loss(old + math.log(ratio), old, torch.tensor([advantage]), 0.2)
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_value_loss_takes_the_larger_of_clipped_and_unclipped_error() -> None:
    value, old, target = torch.tensor([3.0, 0.9]), torch.tensor([1.0, 1.0]), torch.tensor([3.0, 0.0])
    # First: unclipped 0, clipped (1.2 - 3)^2 = 3.24. Second: within the range, 0.81.
    assert value_loss(value, old, target, 0.2).item() == pytest.approx((3.24 + 0.81) / 2, rel=1e-6)
    assert value_loss(value, old, target, None).item() == pytest.approx(0.81 / 2, rel=1e-6)


@pytest.mark.parametrize(
    ("rate", "kl", "expected"),
    [
        (1e-3, 0.021, 1e-3 / 1.5),
        (1e-3, 0.02, 1e-3),
        (1e-3, 0.005, 1e-3),
        (1e-3, 0.0049, 1e-3 * 1.5),
        (1e-3, 0.0, 1e-3),
        (1e-3, math.nan, 1e-3),
        (1.2e-5, 0.5, 1e-5),
        (9e-3, 0.001, 1e-2),
    ],
)
def test_learning_rate_follows_the_kl_divergence(rate: float, kl: float, expected: float) -> None:
    adapted = adapt_learning_rate(torch.tensor(rate, dtype=torch.float64), torch.tensor(kl), 0.01)
    assert adapted.item() == expected
