# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Symmetry beyond the reference case: the check at start, the mirror loss, logging only."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tensordict import TensorDict
from torch import nn

from rsl_rl.algorithms import PPO
from rsl_rl.extensions import Symmetry
from rsl_rl.storage import RolloutStorage
from tests.envs import PointEnv, point_config


def mirror(env: Any, obs: TensorDict | None, actions: torch.Tensor | None) -> tuple[Any, Any]:
    """The point's left and right."""
    signs = {"policy": torch.tensor([-1.0, -1.0]), "privileged": torch.tensor([-1.0, -1.0, 1.0])}
    mirrored = None
    if obs is not None:
        mirrored = TensorDict(
            {key: torch.cat([value, value * signs[key]]) for key, value in obs.items()}, [2 * len(obs)]
        )
    return mirrored, None if actions is None else torch.cat([actions, -actions])


def wrong_entry(env: Any, obs: Any, actions: Any) -> tuple[Any, Any]:
    obs, actions = mirror(env, obs, actions)
    if obs is not None:
        obs["privileged"][len(obs) // 2 :, 1] *= 2.0
    return obs, actions


def mirror_first(env: Any, obs: Any, actions: Any) -> tuple[Any, Any]:
    obs, actions = mirror(env, obs, actions)
    return obs, actions.flip(0)


def one_group_only(env: Any, obs: Any, actions: Any) -> tuple[Any, Any]:
    obs, actions = mirror(env, obs, actions)
    return obs.select("policy"), actions


def nothing_appended(env: Any, obs: Any, actions: Any) -> tuple[Any, Any]:
    return obs, actions


def of_2x(env: Any, obs: Any, actions: Any, obs_type: str = "policy") -> tuple[Any, Any]:
    """A mirror for one tensor of observations at a time."""
    mirrored = obs.clone()
    mirrored[:, :2] *= -1.0
    return torch.cat([obs, mirrored]), torch.cat([actions, -actions])


def in_place(env: Any, obs: Any, actions: Any) -> tuple[Any, Any]:
    """A correct mirror that works in the tensors it was given."""
    obs, actions = mirror(env, obs, actions)
    return obs, actions


def build(function: Any = mirror, **options: Any) -> PPO:
    torch.manual_seed(0)
    env = PointEnv()
    config = point_config(symmetry_cfg={"data_augmentation_func": function, **options})
    alg = PPO.construct_algorithm(env.get_observations(), env, config, "cpu")
    alg.train_mode()
    with torch.inference_mode():
        obs = env.get_observations()
        for _ in range(8):
            obs, rewards, dones, extras = env.step(alg.act(obs))
            alg.process_env_step(obs, rewards, dones, extras)
        alg.compute_returns(obs)
    return alg


def test_a_right_mirror_passes_in_silence() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build()
        build("tests.extensions.test_symmetry:mirror")


def test_a_wrong_entry_is_named() -> None:
    with pytest.warns(
        UserWarning, match=r"'wrong_entry' applied twice.*\n  observation group 'privileged': entries 1$"
    ):
        build(wrong_entry)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (mirror_first, "must return the original actions first"),
        (one_group_only, "returned no observation group 'privileged'"),
        (lambda env, obs, actions: None, r"must return the pair .observations, actions., not .NoneType."),
        (lambda env, obs, actions: (obs, None), r"must return the pair .observations, actions., not .TensorDict, None"),
        (of_2x, r"takes 'obs_type', as functions for rsl_rl 2.x do.*'obs' is a TensorDict"),
        (nothing_appended, r"observation group 'policy' of shape \[4, 2\].*\[8, ...\]"),
    ],
)
def test_groups_shapes_and_order_are_checked(function: Callable, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(function)


def test_the_check_does_not_move_the_random_state() -> None:
    symmetry, obs = Symmetry(PointEnv(), mirror), PointEnv().get_observations()
    torch.manual_seed(3)
    state = torch.get_rng_state()
    symmetry.check(obs, 1)
    assert torch.equal(torch.get_rng_state(), state)


def test_logging_only_changes_nothing_but_the_log() -> None:
    logged, plain = build(), PPO.construct_algorithm(PointEnv().get_observations(), PointEnv(), point_config(), "cpu")
    plain.actor.load_state_dict(copy.deepcopy(logged.actor.state_dict()))
    plain.critic.load_state_dict(copy.deepcopy(logged.critic.state_dict()))
    plain.storage = copy.deepcopy(logged.storage)
    plain.train_mode()
    results = []
    for alg in (logged, plain):
        torch.manual_seed(7)
        results.append(alg.update())
    assert results[0].pop("symmetry") > 0
    assert results[0] == results[1]
    for key, value in logged.actor.state_dict().items():
        assert torch.equal(value, plain.actor.state_dict()[key])


def test_mirror_loss_by_hand() -> None:
    class Actor(nn.Module):
        def forward(self, obs: TensorDict) -> torch.Tensor:
            return obs["policy"][:, :1] + 1.0

    obs = TensorDict({"policy": torch.tensor([[1.0, 0.0], [2.0, 0.0]]), "privileged": torch.zeros(2, 3)}, [2])
    batch = RolloutStorage.Batch(observations=obs)
    # Acting in the mirror: 0, -1. Mirrored acting: -2, -3. Every difference is 2.
    assert Symmetry(PointEnv(), mirror).compute_loss(Actor(), batch, 2).item() == pytest.approx(4.0)


@pytest.mark.parametrize("augment", [True, False])
def test_the_mirror_loss_makes_the_policy_symmetric(augment: bool) -> None:
    def asymmetry(alg: PPO) -> float:
        obs, _ = mirror(None, PointEnv(64, seed=4).get_observations(), None)
        actions = alg.actor(obs)
        return (actions[64:] + actions[:64]).abs().mean().item()

    alg = build(use_mirror_loss=True, mirror_loss_coeff=50.0, use_data_augmentation=augment)
    before = asymmetry(alg)
    rollout = copy.deepcopy(alg.storage)
    for _ in range(30):
        alg.storage = copy.deepcopy(rollout)
        alg.update()
    assert asymmetry(alg) < 0.5 * before


def test_recurrent_models_are_refused() -> None:
    env, config = PointEnv(), point_config(symmetry_cfg={"data_augmentation_func": mirror})
    config["actor"] |= {"class_name": "RNNModel"}
    with pytest.raises(ValueError, match="symmetry_cfg needs feed-forward models"):
        PPO.construct_algorithm(env.get_observations(), env, config, "cpu")
    with pytest.raises(ValueError, match="lacks the option 'data_augmentation_func'"):
        PPO.construct_algorithm(env.get_observations(), env, point_config(symmetry_cfg={}), "cpu")
