# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Whole programs of earlier releases: environment, configuration and checkpoint together."""

from __future__ import annotations

import json
import warnings
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from rsl_rl.algorithms import Distillation
from rsl_rl.runners import DistillationRunner, OnPolicyRunner
from tests.compat.test_configurations import legged_gym, with_policy
from tests.compat.test_releases import HERE as RELEASES
from tests.compat.test_releases import ScriptedEnv
from tests.env.layouts import Point1x, Point2x
from tests.envs import PointEnv, point_config

pytestmark = pytest.mark.filterwarnings("ignore:The configuration is in the layout")


def trained(runner: OnPolicyRunner, iterations: int = 2) -> dict[str, torch.Tensor]:
    """Return the policy after a short training, from a fixed seed."""
    runner.learn(iterations)
    return runner.alg.get_policy().state_dict()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("has_privileged", [True, False])
def test_a_program_of_1x_learns_what_its_translation_learns(has_privileged: bool) -> None:
    torch.manual_seed(1)
    old = OnPolicyRunner(Point1x(has_privileged=has_privileged), legged_gym())  # type: ignore[arg-type]
    policy = trained(old)
    config = point_config(num_learning_epochs=1, schedule="fixed")
    model = {"class_name": "MLPModel", "activation": "elu"}
    config["actor"] = {**model, "hidden_dims": [16]}
    config["actor"]["distribution_cfg"] = {"class_name": "GaussianDistribution", "init_std": 0.8}
    config["critic"] = {**model, "hidden_dims": [12, 8]}
    config["obs_groups"] = {"actor": ["policy"], "critic": ["privileged" if has_privileged else "policy"]}
    torch.manual_seed(1)
    assert same(policy, trained(OnPolicyRunner(PointEnv(), config)))


def test_a_program_of_2x_learns_what_its_translation_learns() -> None:
    policy = {"class_name": "ActorCriticRecurrent", "rnn_type": "gru", "rnn_hidden_size": 8, "rnn_num_layers": 1}
    policy |= {"actor_hidden_dims": [16], "critic_hidden_dims": [12]}
    config = with_policy(policy, empirical_normalization=True)
    torch.manual_seed(1)
    old = trained(OnPolicyRunner(Point2x(), config))
    model = {"class_name": "RNNModel", "rnn_type": "gru", "rnn_hidden_dim": 8, "obs_normalization": True}
    new = point_config(num_learning_epochs=1, num_mini_batches=1)
    new["actor"] = {**model, "hidden_dims": [16], "distribution_cfg": {"class_name": "GaussianDistribution"}}
    new["critic"] = {**model, "hidden_dims": [12]}
    new["obs_groups"] = {"actor": ["policy"], "critic": ["privileged"]}
    torch.manual_seed(1)
    assert same(old, trained(OnPolicyRunner(PointEnv(), new)))


def student_config(recurrent: bool, **policy: Any) -> dict[str, Any]:
    """A distillation in the layout of 3.x."""
    name = "StudentTeacherRecurrent" if recurrent else "StudentTeacher"
    policy = {"class_name": name, "student_hidden_dims": [8], "teacher_hidden_dims": [32, 16], **policy}
    if recurrent:
        policy |= {"rnn_type": "gru", "rnn_hidden_dim": 6, "rnn_num_layers": 1}
    config = with_policy(policy, obs_groups={"policy": ["privileged"], "teacher": ["policy"]})
    config["algorithm"] = {"class_name": "Distillation", "gradient_length": 4}
    return config


def scripted(name: str) -> tuple[ScriptedEnv, dict[str, torch.Tensor]]:
    tensors = load_file(RELEASES / name / "tensors.safetensors")
    return ScriptedEnv(json.loads((RELEASES / name / "case.json").read_text()), tensors), tensors


@pytest.mark.parametrize("name", ["v2.3.3_mlp", "v3.3.0_mlp", "v4.0.1_mlp"])
def test_an_old_ppo_checkpoint_fills_the_teacher(name: str) -> None:
    env, tensors = scripted(name)
    runner = DistillationRunner(env, student_config(False, teacher_obs_normalization=True))
    runner.load(str(RELEASES / name / "model_1.pt"))
    actions = runner.alg.teacher(env.steps[1])
    torch.testing.assert_close(actions, tensors["expected/1/actions"], rtol=0, atol=1e-5)
    runner.learn(1)


def as_3x(document: dict[str, Any]) -> dict[str, Any]:
    """Write what a distillation saved in the layout of 3.x: one model, an optimizer over all of it."""
    old: dict[str, torch.Tensor] = {}
    moments: list[Any] = []
    names = [key for key in document["student_state_dict"] if "normalizer" not in key]
    order = {"distribution.std_param": "std", "rnn.": "memory_s.", "mlp.": "student."}
    for beginning, own in order.items():  # In 3.x the memory came before the head.
        for key in names:
            if key.startswith(beginning):
                old[key.replace(beginning, own, 1)] = document["student_state_dict"][key]
                moments.append(document["optimizer_state_dict"]["state"][names.index(key)])
    for part in ("student", "teacher"):
        for key, value in document[f"{part}_state_dict"].items():
            if "normalizer" in key:
                old[f"{part}_{key}"] = value
            elif part == "teacher":
                old[key.replace("mlp.", "teacher.", 1)] = value
    count = len([key for key in old if "normalizer" not in key])
    group = document["optimizer_state_dict"]["param_groups"][0] | {"params": list(range(count))}
    optimizer = {"state": dict(enumerate(moments)), "param_groups": [group]}
    return {"model_state_dict": old, "optimizer_state_dict": optimizer, "iter": 2, "infos": None}


@pytest.mark.parametrize("recurrent", [False, True])
def test_a_student_of_3x_goes_on_where_it_was(recurrent: bool, tmp_path: Any) -> None:
    env, _ = scripted("v3.3.0_mlp")
    config = student_config(recurrent, teacher_obs_normalization=True, student_obs_normalization=True)
    source = DistillationRunner(env, config)
    source.load(str(RELEASES / "v3.3.0_mlp" / "model_1.pt"))
    source.learn(2)
    # The noise of a student does not learn, but Adam has an entry for what had a gradient only.
    state = source.alg.optimizer.state_dict()["state"]
    document = source.alg.save()
    for index in range(len(list(source.alg.student.parameters()))):
        document["optimizer_state_dict"]["state"].setdefault(index, {})
    torch.save(as_3x(document), tmp_path / "model_2.pt")

    target = DistillationRunner(scripted("v3.3.0_mlp")[0], config)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        target.load(str(tmp_path / "model_2.pt"))
    assert isinstance(target.alg, Distillation)
    assert target.alg.teacher_loaded
    assert target.current_learning_iteration == 2
    assert same(target.alg.student.state_dict(), source.alg.student.state_dict())
    assert same(target.alg.teacher.state_dict(), source.alg.teacher.state_dict())
    loaded = target.alg.optimizer.state_dict()["state"]
    for index, entry in state.items():
        for key, value in entry.items():
            assert torch.equal(torch.as_tensor(loaded[index][key]), torch.as_tensor(value)), (index, key)
    target.learn(1)
