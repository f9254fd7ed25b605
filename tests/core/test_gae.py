# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Generalized advantage estimation."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rsl_rl.core import clamped, generalized_advantages, larger, normalized


def advantages_by_definition(rewards, values, dones, last_values, gamma, lam):
    """The direct sum of discounted temporal-difference errors, up to the end of the episode."""
    steps, envs, _ = rewards.shape
    next_values = torch.cat([values[1:], last_values[None]])
    advantages = torch.zeros(steps, envs, 1, dtype=torch.float64)
    for env in range(envs):
        for start in range(steps):
            weight = 1.0
            for step in range(start, steps):
                done = bool(dones[step, env])
                bootstrap = 0.0 if done else gamma * next_values[step, env]
                advantages[start, env] += weight * (rewards[step, env] + bootstrap - values[step, env])
                if done:
                    break
                weight *= gamma * lam
    return advantages


@given(
    steps=st.integers(1, 12),
    envs=st.integers(1, 4),
    gamma=st.floats(0.0, 1.0),
    lam=st.floats(0.0, 1.0),
    seed=st.integers(0, 10_000),
)
def test_recursion_equals_the_direct_sum(steps: int, envs: int, gamma: float, lam: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    rewards, values = (torch.randn(steps, envs, 1, generator=generator, dtype=torch.float64) for _ in range(2))
    last_values = torch.randn(envs, 1, generator=generator, dtype=torch.float64)
    dones = (torch.rand(steps, envs, 1, generator=generator) < 0.3).to(torch.uint8)
    expected = advantages_by_definition(rewards, values, dones, last_values, gamma, lam)
    out = torch.full_like(rewards, torch.nan)
    actual = generalized_advantages(rewards, values, dones, last_values, gamma, lam, out=out)
    assert actual is out
    torch.testing.assert_close(actual, expected)


def test_two_steps_by_hand() -> None:
    rewards = torch.tensor([1.0, 2.0]).view(2, 1, 1)
    values = torch.tensor([0.5, 0.25]).view(2, 1, 1)
    advantages = generalized_advantages(rewards, values, torch.zeros(2, 1, 1), torch.tensor([[4.0]]), 0.5, 0.5)
    # delta_1 = 2 + 0.5 * 4 - 0.25 = 3.75; delta_0 = 1 + 0.5 * 0.25 - 0.5 = 0.625; A_0 = 0.625 + 0.25 * 3.75.
    assert advantages.flatten().tolist() == [1.5625, 3.75]


def test_normalized_advantages_have_mean_0_and_unbiased_std_1() -> None:
    advantages = normalized(torch.tensor([[1.0], [3.0]]))
    # Mean 2, unbiased std sqrt(2).
    assert advantages.flatten().tolist() == pytest.approx([-(0.5**0.5), 0.5**0.5])


@pytest.mark.usefixtures("derivative_of_clamp_at_its_bounds")
def test_what_stands_at_a_bound_has_a_gradient_and_what_is_beyond_has_none() -> None:
    x = torch.tensor([-2.0, -1.0, 0.5, 3.0, 4.0, torch.inf], requires_grad=True)
    result = clamped(x, -1.0, 3.0)
    result.sum().backward()
    assert result.tolist() == [-1.0, -1.0, 0.5, 3.0, 3.0, 3.0]
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 1.0, 1.0, 1.0, 0.0, 0.0]
    with torch.no_grad():
        assert clamped(x, -1.0, 3.0).equal(result)
    assert clamped(torch.tensor([torch.nan]), -1.0, 3.0).isnan().all()


def test_of_two_equal_numbers_the_first_has_the_derivative() -> None:
    x = torch.tensor([1.0, 2.0, 3.0, torch.inf], requires_grad=True)
    y = torch.tensor([2.0, 2.0, 1.0, 1.0], requires_grad=True)
    result = larger(x, y)
    result.sum().backward()
    assert result.tolist() == [2.0, 2.0, 3.0, torch.inf]
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 1.0, 1.0, 1.0]
    assert y.grad is not None
    assert y.grad.tolist() == [1.0, 0.0, 0.0, 0.0]
    assert larger(torch.tensor([torch.nan, 1.0]), torch.tensor([torch.nan, torch.nan])).isnan().all()
