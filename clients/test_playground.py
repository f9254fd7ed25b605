# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""MuJoCo Playground 0.2.0, unmodified, on JAX: its environments, its wrapper for torch, its agent configurations."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import jax.numpy as jp
import pytest
import torch
from mujoco_playground import registry, wrapper_torch
from mujoco_playground._src.dm_control_suite.cartpole import Balance
from mujoco_playground.config import locomotion_params, manipulation_params

from rsl_rl.runners import OnPolicyRunner

NUM_ENVS, EPISODE, TASK = 8, 10, "Go1JoystickFlatTerrain"


class Asymmetric(Balance):
    """The cart-pole with two groups, as the locomotion tasks have them, whose meshes are not in the package."""

    @property
    def observation_size(self) -> dict[str, tuple[int, ...]]:
        return {"state": (5,), "privileged_state": (7,)}

    def _get_obs(self, data: Any, info: dict[str, Any]) -> dict[str, jax.Array]:
        obs = super()._get_obs(data, info)
        return {"state": obs, "privileged_state": jp.concatenate([obs, data.qpos])}


def environment(two_groups: bool) -> wrapper_torch.RSLRLBraxWrapper:
    cfg = registry.get_default_config("CartpoleBalance")
    cfg.impl = "jax"
    own = {"swing_up": False, "sparse": False, "config": cfg}
    env = wrapper_torch.RSLRLBraxWrapper(
        Asymmetric(**own) if two_groups else registry.load("CartpoleBalance", config=cfg), NUM_ENVS, 1, EPISODE, 1
    )
    env.device = "cpu"  # It names only GPUs.
    return env


@pytest.fixture(scope="module")
def env() -> wrapper_torch.RSLRLBraxWrapper:
    return environment(two_groups=True)


def configuration(env: wrapper_torch.RSLRLBraxWrapper, task: str, params: Any = locomotion_params) -> dict[str, Any]:
    """Return a configuration as the package's own training program makes it."""
    cfg = params.rsl_rl_config(task)
    critic = "privileged_state" if env.asymmetric_obs else "state"
    cfg.obs_groups = {"policy": ["state"], "critic": [critic]}
    cfg.seed, cfg.run_name, cfg.resume, cfg.load_run, cfg.checkpoint = 1, f"{task}-test", False, "-1", -1
    return cfg.to_dict()


@pytest.mark.timeout(900)  # JAX compiles three programs.
def test_the_steps_of_its_program(env: wrapper_torch.RSLRLBraxWrapper, tmp_path: Path) -> None:
    root = tmp_path / "logs"
    runner = OnPolicyRunner(env, configuration(env, TASK), str(root / "run"), device="cpu")
    before = {name: value.clone() for name, value in runner.alg.actor.state_dict().items()}
    runner.learn(num_learning_iterations=2, init_at_random_ep_len=False)
    after = runner.alg.actor.state_dict()
    assert not torch.equal(before["mlp.0.weight"], after["mlp.0.weight"])
    assert all(value.isfinite().all() for value in after.values())
    assert runner.alg.critic.obs_groups == ["privileged_state"]
    assert runner.alg.actor.obs_normalization  # from empirical_normalization
    assert set(runner.logger.lenbuffer) == {EPISODE}

    path = wrapper_torch.get_load_path(str(root))
    assert Path(path).name == "model_1.pt"
    player = OnPolicyRunner(env, configuration(env, TASK), None, device="cpu")
    player.load(path)
    policy = player.get_inference_policy(device="cpu")
    obs = env.get_observations()
    with torch.no_grad():
        # As its program asks the policy: with a plain dict.
        assert torch.equal(policy({"state": obs["state"]}), runner.alg.actor(obs))


@pytest.mark.parametrize(
    ("params", "task"),
    [(locomotion_params, task) for task in registry.locomotion.ALL_ENVS]
    + [(manipulation_params, task) for task in registry.manipulation.ALL_ENVS],
)
def test_every_shipped_configuration_is_taken(env: wrapper_torch.RSLRLBraxWrapper, params: Any, task: str) -> None:
    runner = OnPolicyRunner(env, configuration(env, task, params), None, device="cpu")
    assert runner.alg.actor.distribution is not None
    assert runner.alg.actor(env.get_observations()).shape == (NUM_ENVS, 1)


def test_one_group_serves_both_models() -> None:
    env = environment(two_groups=False)
    runner = OnPolicyRunner(env, configuration(env, TASK), None, device="cpu")
    assert runner.alg.actor.obs_groups == runner.alg.critic.obs_groups == ["state"]
