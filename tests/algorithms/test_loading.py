# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Taking over parts of a checkpoint, and saying which."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from rsl_rl.algorithms import PPO
from rsl_rl.algorithms.state import asked_for_by
from rsl_rl.runners import OnPolicyRunner
from tests.envs import PointEnv, point_config


def build(critic_groups: tuple[str, ...] = ("policy", "privileged"), warm_up: int = 0, **model: Any) -> PPO:
    env, config = PointEnv(), point_config(critic_warmup_iterations=warm_up)
    config["obs_groups"]["critic"] = list(critic_groups)
    config["critic"] = {**config["critic"], **model}
    return PPO.construct_algorithm(env.get_observations(), env, config, "cpu")


def trained() -> dict[str, Any]:
    torch.manual_seed(1)
    runner = OnPolicyRunner(PointEnv(), point_config())
    runner.learn(2)
    return copy.deepcopy(runner.alg.save())


def equal(state: dict[str, torch.Tensor], other: dict[str, torch.Tensor], key: str) -> bool:
    return torch.equal(state[key], other[key])


def test_everything_is_taken_by_default() -> None:
    saved, alg = trained(), build()
    alg.load(saved)
    assert alg.load_report == ["actor: taken", "critic: taken", "optimizer: taken"]


def test_chosen_parts_are_taken_and_the_others_are_named() -> None:
    saved, alg = trained(), build()
    before = copy.deepcopy(alg.critic.state_dict())
    assert alg.load(saved, {"actor": True}) is False
    assert alg.load_report == ["actor: taken", "critic: not taken", "optimizer: not taken", "iteration: not taken"]
    assert equal(alg.actor.state_dict(), saved["actor_state_dict"], "mlp.0.weight")
    assert all(equal(alg.critic.state_dict(), before, key) for key in before)


@pytest.mark.parametrize("load_cfg", ["actor", ["actor"], []])
def test_parts_must_be_a_dictionary(load_cfg: Any) -> None:
    with pytest.raises(TypeError, match="load_cfg must be a dictionary such as {'actor': True}"):
        build().load(trained(), load_cfg)


def test_a_checkpoint_without_a_part_says_how_to_take_the_others() -> None:
    saved, alg = trained(), build()
    del saved["critic_state_dict"]
    with pytest.raises(ValueError, match=r"no 'critic_state_dict'.*To take these parts only: load_cfg={'actor': True}"):
        alg.load(saved)
    assert not equal(alg.actor.state_dict(), saved["actor_state_dict"], "mlp.0.weight")


def test_what_does_not_fit_is_skipped_and_named_where_that_is_wanted() -> None:
    saved, alg = trained(), build(("policy",))
    before = copy.deepcopy(alg.critic.state_dict())
    with pytest.raises(ValueError, match=r"mlp.0.weight: the checkpoint has \[16, 5\], the critic needs \[16, 2\]"):
        alg.load(saved)
    assert all(equal(alg.critic.state_dict(), before, key) for key in before)
    alg.load(saved, strict=False)
    actor, critic, optimizer = alg.load_report
    assert actor == "actor: taken"
    assert critic.startswith("critic: taken, except obs_normalizer._mean (kept as it is), ")
    assert "mlp.0.weight (kept as it is)" in critic
    assert "mlp.2.weight" not in critic
    assert optimizer == "optimizer: starts anew, it does not fit"
    assert equal(alg.critic.state_dict(), before, "mlp.0.weight")
    assert equal(alg.critic.state_dict(), saved["critic_state_dict"], "mlp.2.weight")


@pytest.mark.parametrize(
    ("saved", "critic", "load_cfg", "left"),
    [
        ({"numbers": {"critic_warmup_left": 1}}, {}, None, 1),
        ({}, {}, None, 3),  # Trained without a warm-up, and now one is wanted.
        ({"numbers": {"critic_warmup_left": 0}}, {"hidden_dims": [9]}, None, 3),
        ({"numbers": {"critic_warmup_left": 0}}, {}, {"actor": True, "iteration": True}, 3),
    ],
)
def test_only_a_critic_that_was_warmed_up_goes_without_warm_up(
    saved: dict, critic: dict, load_cfg: dict | None, left: int
) -> None:
    alg = build(warm_up=3, **critic)
    alg.load(trained() | saved, load_cfg, strict=False)
    assert alg.critic_warmup_left == left


def test_a_part_belongs_to_the_name_that_fits_best() -> None:
    names = ("actor", "actor_target", "optimizer")
    for part, name in (
        ("actor", "actor"),
        ("actor_optimizer", "actor"),
        ("actor_target", "actor_target"),
        ("actors", "iteration"),
        ("optimizer", "optimizer"),
    ):
        assert asked_for_by(f"{part}_state_dict", names) == name


def test_tensors_of_other_models_are_named() -> None:
    saved, alg = trained(), build(obs_normalization=False)
    alg.load(saved, strict=False)
    assert alg.load_report[1].count("(not a part of this critic)") == 4


def test_the_runner_prints_what_was_left_out(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    runner = OnPolicyRunner(PointEnv(), point_config(), str(tmp_path))
    runner.learn(1)
    capsys.readouterr()
    runner.load(str(tmp_path / "model_0.pt"))
    assert capsys.readouterr().out == ""
    runner.load(str(tmp_path / "model_0.pt"), load_cfg={"actor": True, "iteration": True})
    assert "actor: taken\n  critic: not taken" in capsys.readouterr().out


def test_shared_encoders_are_one_set_of_parameters() -> None:
    env, config = PointEnv(), point_config(share_cnn_encoders=True)
    groups = env.get_observations()
    groups["camera"] = torch.rand(4, 1, 8, 8)
    model = {"class_name": "CNNModel", "cnn_cfg": {"output_channels": [2], "kernel_size": 3}}
    config["obs_groups"] = {"actor": ["policy", "camera"], "critic": ["policy", "camera"]}
    config["actor"], config["critic"] = {**config["actor"], **model}, {**config["critic"], **model}
    alg = PPO.construct_algorithm(groups, env, config, "cpu")
    assert alg.actor.cnns is alg.critic.cnns  # type: ignore[attr-defined]
    optimized = [id(parameter) for group in alg.optimizer.param_groups for parameter in group["params"]]
    assert len(optimized) == len(set(optimized)) == len({*alg.actor.parameters(), *alg.critic.parameters()})
    # Saved once: both state dicts hold the same memory. The optimizer's list repeats it, as release 5.5.1 expects.
    saved = alg.save()
    key = "cnns.camera.0.weight"
    assert saved["actor_state_dict"][key].data_ptr() == saved["critic_state_dict"][key].data_ptr()
    positions = saved["optimizer_state_dict"]["param_groups"][0]["params"]
    assert len(positions) == len(optimized) + 2
    other = PPO.construct_algorithm(groups, env, config, "cpu")
    other.load(copy.deepcopy(saved))
    assert torch.equal(other.actor.state_dict()[key], saved["actor_state_dict"][key])
