# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""PPO's loss and learning-rate schedule, against hand calculation."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tensordict import TensorDict
from torch import nn

from rsl_rl.algorithms import PPO
from rsl_rl.storage import RolloutStorage
from tests.envs import PointEnv, point_config


def build(**algorithm: Any) -> PPO:
    env = PointEnv()
    return PPO.construct_algorithm(env.get_observations(), env, point_config(**algorithm), "cpu")


def loss_of(alg: PPO, ratios: Any, advantages: list[float], values: Any) -> Any:
    """Return the loss of samples by what decides it; ``values`` are those of now, of the rollout, and the returns."""
    old, (value, old_value, returns) = torch.full((len(ratios), 1), -0.7), torch.as_tensor(values).unsqueeze(-1)
    policy = SimpleNamespace(
        log_prob=lambda actions: old.squeeze(-1) + torch.as_tensor(ratios).log(),
        entropy=torch.tensor([1.5] * len(ratios)),
        params=(torch.zeros(len(ratios), 1), torch.ones(len(ratios), 1)),
    )

    class Actor(nn.Module):
        get_kl_divergence = staticmethod(lambda old, new: torch.arange(float(len(ratios))))
        output_distribution = staticmethod(lambda observations, masks, hidden_state: policy)

    class Critic(nn.Module):
        def forward(self, observations: Any, masks: Any, hidden_state: Any) -> torch.Tensor:
            return value

    alg.actor, alg.critic = Actor(), Critic()  # type: ignore[assignment]
    return alg.loss(
        RolloutStorage.Batch(
            observations=TensorDict({}, [len(ratios)]),
            actions=torch.zeros(len(ratios), 1),
            values=old_value,
            returns=returns,
            advantages=torch.tensor(advantages).unsqueeze(-1),
            old_actions_log_prob=old,
            old_distribution_params=(torch.zeros(len(ratios), 1), torch.ones(len(ratios), 1)),
        )
    )


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
    _, metrics = loss_of(build(clip_param=0.2), [ratio], [advantage], [[0.0], [0.0], [0.0]])
    assert metrics["surrogate"].item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("is_clipped", "expected"), [(True, (3.24 + 0.81) / 2), (False, 0.81 / 2)])
def test_value_loss_takes_the_larger_of_clipped_and_unclipped_error(is_clipped: bool, expected: float) -> None:
    # First: unclipped 0, clipped (1.2 - 3)^2 = 3.24. Second: within the range, 0.81.
    values = [[3.0, 0.9], [1.0, 1.0], [3.0, 0.0]]
    alg = build(clip_param=0.2, use_clipped_value_loss=is_clipped)
    _, metrics = loss_of(alg, [1.0, 1.0], [0.0, 0.0], values)
    assert metrics["value"].item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.usefixtures("derivative_of_clamp_at_its_bounds")
@pytest.mark.parametrize("clip_param", [0.0, 0.5])
def test_a_value_at_its_bound_and_a_ratio_without_leeway_have_the_gradient_of_the_unclipped_loss(
    clip_param: float,
) -> None:
    ratios = torch.ones(2, requires_grad=True)
    values = torch.tensor([[1.0 + clip_param, 2.0 - clip_param], [1.0, 2.0], [4.0, 0.0]], requires_grad=True)
    total, _ = loss_of(build(clip_param=clip_param, value_loss_coef=1.0), ratios, [2.0, -3.0], values)
    total.backward()
    assert ratios.grad is not None
    assert values.grad is not None
    assert ratios.grad.tolist() == pytest.approx([-1.0, 1.5])  # -advantage, a mean of two
    assert values.grad[0].tolist() == pytest.approx([clip_param - 3.0, 2.0 - clip_param])  # value - return


def test_the_loss_is_the_weighted_sum_and_what_is_logged_are_means() -> None:
    alg = build(value_loss_coef=0.5, entropy_coef=0.01, use_clipped_value_loss=False)
    total, metrics = loss_of(alg, [1.1, 1.5], [2.0, 2.0], [[3.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
    # Surrogate (-2.2 - 2.4) / 2, value error (4 + 0) / 2, entropy 1.5.
    assert total.item() == pytest.approx(-2.3 + 0.5 * 2.0 - 0.01 * 1.5, rel=1e-6)
    assert metrics["entropy"].item() == 1.5
    assert metrics["Update/kl"].item() == 0.5  # of 0 and 1
    assert metrics["Update/clipped"].item() == 0.5


RATES = [
    (1e-3, 0.021, 1e-3 / 1.5),
    (1e-3, 0.02, 1e-3),
    (1e-3, 0.005, 1e-3),
    (1e-3, 0.0049, 1e-3 * 1.5),
    (1e-3, 0.0, 1e-3),
    (1e-3, math.nan, 1e-3),
    (1.2e-5, 0.5, 1e-5),
    (9e-3, 0.001, 1e-2),
]


@pytest.mark.parametrize(("rate", "kl", "expected"), RATES)
def test_learning_rate_follows_the_kl_divergence(rate: float, kl: float, expected: float) -> None:
    metrics = {"Update/kl": torch.tensor(kl)}
    adapted = build(desired_kl=0.01).adapt_learning_rate(torch.tensor(rate, dtype=torch.float64), metrics)
    assert adapted.item() == expected


@pytest.mark.parametrize("options", [{"schedule": "fixed"}, {"critic_warmup_iterations": 1}])
def test_learning_rate_stays_where_nothing_is_to_move_it(options: dict[str, Any]) -> None:
    rate = torch.tensor(1e-3, dtype=torch.float64)
    assert build(**options).adapt_learning_rate(rate, {"Update/kl": torch.tensor(1.0)}) is rate
