# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The reference training cases replay: rollout, returns, losses and every learned tensor."""

from __future__ import annotations

import copy
import shutil

import pytest
import torch

from rsl_rl.algorithms import PPO
from tests.golden.replay import ScriptedEnv, assert_agrees, load_case, part

CASES = ["ppo_mlp", "ppo_mlp_log_std_fixed_schedule"]


@pytest.mark.parametrize("name", CASES)
def test_training_case_replays(name: str) -> None:
    replay_training_case(name)


@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler")
def test_training_case_replays_when_compiled() -> None:
    replay_training_case("ppo_mlp", compile_mode="default")


def replay_training_case(name: str, compile_mode: str | None = None) -> PPO:
    case, tensors = load_case(name)
    env = ScriptedEnv(case, tensors)
    untouched = copy.deepcopy(case["cfg"])
    alg = PPO.construct_algorithm(env.get_observations(), env, case["cfg"], "cpu")
    assert case["cfg"] == untouched
    alg.compile(compile_mode)
    models = {"actor": alg.actor, "critic": alg.critic}
    for model_name, model in models.items():
        model.load_state_dict(part(tensors, f"init/{model_name}/"))
    alg.train_mode()

    for iteration in range(case["iterations"]):
        expected = part(tensors, f"it{iteration}/expected/")
        env.start(iteration)
        torch.manual_seed(case["seed"] + 1000 + iteration)
        with torch.inference_mode():
            obs = env.get_observations()
            for step in range(case["num_steps_per_env"]):
                actions = alg.act(obs)
                assert_agrees(actions, expected["actions"][step], f"actions of step {step}")
                obs, rewards, dones, extras = env.step(actions)
                alg.process_env_step(obs, rewards, dones, extras)
            alg.compute_returns(obs)
        storage = alg.storage
        assert storage.distribution_params is not None
        rollout = {
            "values": storage.values,
            "stored_rewards": storage.rewards,
            "returns": storage.returns,
            "actions_log_prob": storage.actions_log_prob,
            "advantages": storage.advantages,
            "distribution_params_0": storage.distribution_params[0],
            "distribution_params_1": storage.distribution_params[1],
        }
        for key, value in rollout.items():
            assert_agrees(value, expected[key], f"{key} of iteration {iteration}")

        torch.manual_seed(case["seed"] + 2000 + iteration)
        losses = alg.update()
        results = case["results"][iteration]
        assert losses == pytest.approx(results["losses"], rel=1e-3)
        assert alg.learning_rate == pytest.approx(results["learning_rate"], rel=1e-12)
        assert alg.optimizer.param_groups[0]["lr"] == pytest.approx(results["learning_rate"], rel=1e-6)
        for model_name, model in models.items():
            for key, value in model.state_dict().items():
                assert_agrees(value, expected[f"after_update/{model_name}/{key}"], f"{model_name}.{key}")
    return alg
