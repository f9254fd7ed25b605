# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Advantages of any rollout, against the sum that defines them."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from rsl_rl.core import generalized_advantages
from tests.properties.strategies import dones, tensors

SHARES = st.sampled_from([0.0, 1.0]) | st.floats(0.0, 1.0)


@given(data=st.data(), num_steps=st.integers(1, 10), num_envs=st.integers(1, 4), gamma=SHARES, lam=SHARES)
def test_advantages_are_the_sum_of_the_discounted_errors_up_to_the_end_of_the_episode(
    data: st.DataObject, num_steps: int, num_envs: int, gamma: float, lam: float
) -> None:
    rewards = data.draw(tensors((num_steps, num_envs, 1), -10.0, 10.0), "rewards")
    values = data.draw(tensors((num_steps + 1, num_envs, 1), -10.0, 10.0), "values")
    ended = data.draw(dones(num_steps, num_envs), "dones").unsqueeze(-1)
    out = data.draw(st.none() | st.builds(torch.full_like, st.just(rewards), st.just(torch.nan)), "out")
    advantages = generalized_advantages(rewards, values[:-1], ended, values[-1], gamma, lam, out)
    assert out is None or advantages is out

    # A_t = sum over k >= t of (gamma * lam)^(k - t) * product of (1 - done_j) for t <= j < k * delta_k
    expected = torch.zeros_like(rewards)
    for env in range(num_envs):
        for start in range(num_steps):
            alive = 1.0
            for step in range(start, num_steps):
                goes_on = 1.0 - float(ended[step, env])
                delta = rewards[step, env] + gamma * goes_on * values[step + 1, env] - values[step, env]
                expected[start, env] += (gamma * lam) ** (step - start) * alive * delta
                alive *= goes_on
    torch.testing.assert_close(advantages, expected, rtol=1e-12, atol=1e-12)
