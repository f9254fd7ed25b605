# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Gradients that are written out equal those of the losses by automatic differentiation."""

from __future__ import annotations

import itertools

import pytest
import torch

from rsl_rl.core import surrogate_loss, value_loss
from rsl_rl.core.gaussian_ppo import Coefficients, Rollout, losses_and_gradients
from rsl_rl.modules.distribution_values import DiagGaussian

A, CLIP, VALUE, ENTROPY = 5, 0.2, 0.7, 0.01


@pytest.mark.parametrize(
    ("shape", "is_per_sample", "value_clip"),
    list(itertools.product([(300,), (6, 50), (1,)], [False, True], [CLIP, None])),
)
def test_losses_and_gradients(shape: tuple[int, ...], is_per_sample: bool, value_clip: float | None) -> None:
    torch.manual_seed(0)

    def normal(*size: int) -> torch.Tensor:
        return torch.randn(*size, dtype=torch.double)

    mean, value = normal(*shape, A).requires_grad_(), normal(*shape, 1).requires_grad_()
    scale = (torch.rand(*(shape if is_per_sample else ()), A, dtype=torch.double) + 0.5).requires_grad_()
    policy = DiagGaussian(mean, scale)
    actions = mean.detach() + 0.3 * normal(*shape, A)
    rollout = Rollout(
        actions,
        policy.log_prob(actions).detach() + 0.3 * normal(*shape),
        normal(*shape),
        value.detach() + 0.3 * normal(*shape, 1),
        normal(*shape, 1),
        mean.detach() + 0.1,
        1.1 * scale.detach().expand_as(mean),
    )
    log_prob = policy.log_prob(actions)
    surrogate = surrogate_loss(log_prob, rollout.log_prob, rollout.advantages, CLIP)
    value_error = value_loss(value, rollout.values, rollout.returns, value_clip)
    entropy = policy.entropy.mean()
    total = surrogate + VALUE * value_error - ENTROPY * entropy
    kl = policy.kl_from(DiagGaussian(rollout.mean, rollout.scale)).mean()
    clipped = ((log_prob - rollout.log_prob).expm1().abs() > CLIP).double().mean()
    expected = torch.autograd.grad(total, [mean, scale, value])

    numbers, gradients = losses_and_gradients(
        mean, scale, value, rollout, Coefficients(CLIP, value_clip, VALUE, ENTROPY)
    )
    torch.testing.assert_close(gradients, expected)
    torch.testing.assert_close(
        numbers, torch.stack([part.detach() for part in (total, kl, clipped, value_error, surrogate, entropy)])
    )


def test_samples_that_were_clipped_pull_at_nothing() -> None:
    # The ratio is e, far above 1.2; with a positive advantage the objective is flat there, with a negative it is not.
    mean, scale, value = torch.zeros(2, 1), torch.ones(1), torch.zeros(2, 1)
    actions, advantages = torch.ones(2, 1), torch.tensor([1.0, -1.0])
    log_prob = DiagGaussian(mean, scale).log_prob(actions) - 1.0
    rollout = Rollout(actions, log_prob, advantages, value, value, mean, scale.expand(2, 1))
    numbers, (to_mean, _, _) = losses_and_gradients(mean, scale, value, rollout, Coefficients(0.2, 0.2, 1.0, 0.0))
    # d(-A ratio)/d mean = -A ratio (action - mean) / scale^2 = e, halved by the mean over two samples.
    torch.testing.assert_close(to_mean, torch.tensor([[0.0], [torch.e / 2]]))
    assert numbers[2] == 1.0


def test_equal_policies_have_no_divergence() -> None:
    # A positive rounding error would raise the adaptive learning rate.
    mean, scale = torch.randn(50, 3), torch.rand(3) + 0.1
    zeros = torch.zeros(50, 1)
    rollout = Rollout(mean, zeros[:, 0], zeros[:, 0], zeros, zeros, mean, scale.expand_as(mean))
    numbers, _ = losses_and_gradients(mean, scale, zeros, rollout, Coefficients(0.2, 0.2, 1.0, 0.0))
    assert numbers[1] == 0.0
