# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The reference training cases replay: rollout, returns, losses and every learned tensor."""

from __future__ import annotations

import copy
import shutil

import pytest
import torch

from rsl_rl.storage import RolloutStorage
from rsl_rl.utils import resolve_class
from tests.golden.replay import CASES as CASES_FOLDER
from tests.golden.replay import ScriptedEnv, assert_agrees, load_case, negate, part

CASES = sorted(path.name for path in CASES_FOLDER.iterdir() if path.name.startswith(("ppo", "distillation")))


@pytest.mark.parametrize("name", CASES)
def test_training_case_replays(name: str) -> None:
    replay_training_case(name)


@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler")
def test_training_case_replays_when_compiled() -> None:
    replay_training_case("ppo_mlp", compile_mode="default")


def replay_training_case(name: str, compile_mode: str | None = None) -> None:
    case, tensors = load_case(name)
    env = ScriptedEnv(case, tensors)
    symmetry = case["cfg"]["algorithm"].get("symmetry_cfg")
    if symmetry:
        assert symmetry["data_augmentation_func"] == "negate"
        symmetry["data_augmentation_func"] = negate
    if case["cfg"]["algorithm"].get("share_cnn_encoders"):
        # The release entered shared encoders twice into clipping and optimizer; without this they count once.
        case["cfg"]["algorithm"]["shared_encoders_twice"] = True
    untouched = copy.deepcopy(case["cfg"])
    algorithm_class, _ = resolve_class(case["cfg"]["algorithm"])
    alg = algorithm_class.construct_algorithm(env.get_observations(), env, case["cfg"], "cpu")
    assert case["cfg"] == untouched
    alg.compile(compile_mode)
    names = [name for name in ("actor", "critic", "rnd", "student", "teacher") if getattr(alg, name, None) is not None]
    models = {name: getattr(alg, name) for name in names}
    alg.teacher_loaded = True
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
        for key, value in stored_rollout(alg.storage).items():
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


def stored_rollout(storage: RolloutStorage) -> dict[str, torch.Tensor]:
    if storage.training_type == "distillation":
        return {"privileged_actions": storage.privileged_actions}
    assert storage.distribution_params is not None
    return {
        "values": storage.values,
        "stored_rewards": storage.rewards,
        "returns": storage.returns,
        "actions_log_prob": storage.actions_log_prob,
        "advantages": storage.advantages,
        "distribution_params_0": storage.distribution_params[0],
        "distribution_params_1": storage.distribution_params[1],
    }
