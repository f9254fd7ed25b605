# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Distillation beyond the reference cases."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from rsl_rl.algorithms import PPO, Distillation
from rsl_rl.runners import DistillationRunner, OnPolicyRunner
from tests.distributed.equivalence import negate
from tests.envs import PointEnv, point_config


def distillation_config(student: dict[str, Any] | None = None, **algorithm: Any) -> dict[str, Any]:
    config = point_config()
    teacher = config.pop("actor")
    del config["critic"]
    return config | {
        "obs_groups": {"student": ["policy"], "teacher": ["policy", "privileged"]},
        "algorithm": {"class_name": "Distillation", "gradient_length": 3, **algorithm},
        "teacher": teacher,
        "student": {**teacher, **(student or {})},
    }


def teacher_checkpoint(folder: Path, groups: list[str] | None = None, **algorithm: Any) -> str:
    config = point_config(**algorithm)
    config["obs_groups"]["actor"] = groups or ["policy", "privileged"]
    torch.manual_seed(5)
    runner = OnPolicyRunner(PointEnv(), config)
    runner.learn(3)
    runner.save(str(folder / "teacher.pt"))
    return str(folder / "teacher.pt")


GROUPS_OF_TEACHER = {"actor": ["policy", "privileged"], "critic": ["policy", "privileged"]}
MIRROR = {"data_augmentation_func": negate, "use_mirror_loss": True}
GRU = {"class_name": "RNNModel", "rnn_type": "gru", "rnn_hidden_dim": 16}


@pytest.mark.parametrize(("groups", "student"), [(["policy", "privileged"], {}), (["policy"], GRU)])
def test_the_student_comes_to_act_like_the_teacher(tmp_path: Path, groups: list[str], student: dict[str, Any]) -> None:
    torch.manual_seed(0)
    config = distillation_config(student, learning_rate=1e-2) | {"teacher_checkpoint": teacher_checkpoint(tmp_path)}
    # What only the teacher sees is the time left in the episode; the recurrent student can count.
    config["obs_groups"]["student"] = groups
    runner = DistillationRunner(PointEnv(16), config)
    alg, losses = runner.alg, []
    update = alg.update
    alg.update = lambda: losses.append(update()["behavior"]) or {"behavior": losses[-1]}
    runner.learn(40)
    assert losses[-1] < 0.2 * losses[0]
    assert runner.get_inference_policy() is alg.student


@pytest.mark.parametrize("student", [{}, GRU])
def test_a_symmetric_teacher_stays_so_and_its_student_is(tmp_path: Path, student: dict[str, Any]) -> None:
    exact = {"symmetry_cfg": {"data_augmentation_func": negate, "equivariant": True}}
    path = teacher_checkpoint(tmp_path, **exact)
    trained = OnPolicyRunner(PointEnv(), point_config(**exact) | {"obs_groups": GROUPS_OF_TEACHER})
    trained.load(path)
    config = distillation_config(student, learning_rate=1e-2, **exact) | {"teacher_checkpoint": path}
    runner = DistillationRunner(PointEnv(16), config)
    runner.learn(20)
    obs = PointEnv(16, seed=3).get_observations()
    torch.testing.assert_close(runner.alg.teacher(obs), trained.alg.actor(obs))
    policy = runner.get_inference_policy()
    actions = policy(obs)
    runner.alg.student.reset()
    torch.testing.assert_close(policy(negate(None, obs, None)[0][16:]), -actions)
    without = distillation_config(student) | {"teacher_checkpoint": path}
    with pytest.warns(UserWarning, match="teacher was trained with a symmetry_cfg that made it symmetric"):
        DistillationRunner(PointEnv(16), without)


def test_the_remainder_shorter_than_the_gradient_length_is_learned_from() -> None:
    env, steps = PointEnv(), []
    alg = Distillation.construct_algorithm(env.get_observations(), env, distillation_config(), "cpu")
    step = alg.optimizer.step
    alg.optimizer.step = lambda *_: steps.append(step())  # type: ignore[method-assign]
    fill(alg, env)
    alg.update()
    # 8 steps in pieces of 3: two whole ones and a rest of two.
    assert len(steps) == 3


def test_the_loss_is_the_mean_over_all_steps() -> None:
    env = PointEnv()
    alg = Distillation.construct_algorithm(env.get_observations(), env, distillation_config(learning_rate=0.0), "cpu")
    fill(alg, env)
    with torch.no_grad():
        actions = torch.stack([alg.student(alg.storage.observations[step]) for step in range(8)])
    expected = (actions - alg.storage.privileged_actions).square().mean().item()
    assert alg.update() == {"behavior": pytest.approx(expected, rel=1e-5)}


def test_the_teacher_and_its_statistics_stay_as_they_are(tmp_path: Path) -> None:
    config = distillation_config() | {"teacher_checkpoint": teacher_checkpoint(tmp_path)}
    runner = DistillationRunner(PointEnv(), config)
    before = copy.deepcopy(runner.alg.teacher.state_dict())
    runner.learn(2)
    assert all(torch.equal(value, runner.alg.teacher.state_dict()[key]) for key, value in before.items())


@pytest.mark.parametrize("runner_class", [DistillationRunner, OnPolicyRunner])  # Up to 2.x there was only one.
def test_learning_without_a_teacher_is_refused(tmp_path: Path, runner_class: type[OnPolicyRunner]) -> None:
    runner = runner_class(PointEnv(), distillation_config())
    with pytest.raises(ValueError, match="The teacher has no weights.*teacher_checkpoint"):
        runner.learn(1)
    checkpoint = teacher_checkpoint(tmp_path)
    runner_class(PointEnv(), distillation_config() | {"teacher_checkpoint": checkpoint}).learn(1)
    runner.load(checkpoint)
    runner.learn(1)


def test_a_teacher_of_other_sizes_is_shown_with_its_differences(tmp_path: Path) -> None:
    checkpoint = teacher_checkpoint(tmp_path, ["policy"])
    with pytest.raises(ValueError, match=r"mlp.0.weight: the checkpoint has \[16, 2\], the teacher needs \[16, 5\]"):
        DistillationRunner(PointEnv(), distillation_config() | {"teacher_checkpoint": checkpoint})


def test_a_teacher_of_unknown_groups_is_refused() -> None:
    config = distillation_config()
    config["obs_groups"]["teacher"] = ["privileged", "hidden"]
    with pytest.raises(ValueError, match="'hidden'"):
        DistillationRunner(PointEnv(), config)


def test_a_resumed_distillation_has_its_teacher_and_goes_on(tmp_path: Path) -> None:
    runner = DistillationRunner(
        PointEnv(), distillation_config() | {"teacher_checkpoint": teacher_checkpoint(tmp_path)}, str(tmp_path)
    )
    runner.learn(2)
    resumed = DistillationRunner(PointEnv(), distillation_config())
    resumed.load(str(tmp_path / "model_1.pt"))
    resumed.learn(1)
    assert resumed.current_learning_iteration == 2


def test_a_student_is_trained_further_with_ppo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runner = DistillationRunner(
        PointEnv(), distillation_config() | {"teacher_checkpoint": teacher_checkpoint(tmp_path)}, str(tmp_path)
    )
    runner.learn(1)
    config = point_config(critic_warmup_iterations=2)
    tuned = OnPolicyRunner(PointEnv(), config)
    capsys.readouterr()
    tuned.load(str(tmp_path / "model_0.pt"))
    assert "critic: not taken" in capsys.readouterr().out
    student = copy.deepcopy(runner.alg.student.state_dict())
    critic = copy.deepcopy(tuned.alg.critic.state_dict())
    tuned.learn(2)
    # The warm-up leaves the actor untouched, bit for bit, and trains the critic.
    assert all(torch.equal(value, tuned.alg.actor.state_dict()[key]) for key, value in student.items())
    assert not torch.equal(critic["mlp.0.weight"], tuned.alg.critic.state_dict()["mlp.0.weight"])
    tuned.learn(1)
    assert not torch.equal(student["mlp.0.weight"], tuned.alg.actor.state_dict()["mlp.0.weight"])


def test_warm_up_is_not_repeated_after_a_resume() -> None:
    env = PointEnv()
    build = lambda: PPO.construct_algorithm(  # noqa: E731
        env.get_observations(), env, point_config(critic_warmup_iterations=3), "cpu"
    )
    alg, resumed = build(), build()
    for _ in range(2):
        fill(alg, env)
        alg.update()
    resumed.load(alg.save())
    assert resumed.critic_warmup_left == 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"loss_type": "l1"}, TypeError, "'algorithm.loss_type' must be 'mse' or 'huber'"),
        ({"gradient_length": 0}, ValueError, "at least 1"),
        ({"rnd_cfg": {"weight": 1.0}}, ValueError, "Distillation takes no 'rnd_cfg'"),
        ({"symmetry_cfg": {}}, ValueError, "'algorithm.symmetry_cfg' lacks the option 'data_augmentation_func'"),
        ({"symmetry_cfg": MIRROR}, ValueError, "distillation needs equivariant or half_cycle"),
    ],
)
def test_wrong_options_are_named(options: dict, error: type[Exception], message: str) -> None:
    env = PointEnv()
    with pytest.raises(error, match=message):
        Distillation.construct_algorithm(env.get_observations(), env, distillation_config(**options), "cpu")


def test_options_of_others_are_ignored_and_misspelled_ones_mentioned() -> None:
    env = PointEnv()
    Distillation.construct_algorithm(env.get_observations(), env, distillation_config(clip_param=0.2), "cpu")
    with pytest.warns(UserWarning, match="ignores the option 'gradient_lenght'.*'gradient_length'"):
        Distillation.construct_algorithm(env.get_observations(), env, distillation_config(gradient_lenght=2), "cpu")


def fill(alg: Any, env: PointEnv) -> None:
    alg.train_mode()
    with torch.inference_mode():
        obs = env.get_observations()
        for _ in range(alg.storage.num_transitions_per_env):
            obs, rewards, dones, extras = env.step(alg.act(obs))
            alg.process_env_step(obs, rewards, dones, extras)
        alg.compute_returns(obs)


def asked(teacher: dict[str, Any], read: bool = False, **algorithm: Any) -> tuple[Any, list[int]]:
    """Collect 8 steps of 8 environments; return the algorithm and how many samples the teacher was asked for."""
    torch.manual_seed(0)
    cfg = distillation_config(**algorithm)
    cfg["teacher"] |= teacher
    runner = DistillationRunner(PointEnv(8), cfg | {"num_steps_per_env": 8})
    alg, obs, sizes = runner.alg, runner.env.get_observations(), list[int]()
    alg.teacher.register_forward_hook(lambda module, args, output: sizes.append(len(output)))
    with torch.inference_mode():
        for _ in range(8):
            actions = alg.act(obs)
            if read:
                assert alg.transition.privileged_actions.shape == (8, 1)
            obs, rewards, dones, extras = runner.env.step(actions)
            alg.process_env_step(obs, rewards, dones, extras)
    return alg, sizes


def test_the_teacher_is_asked_for_as_many_steps_as_are_learned_from_at_once() -> None:
    alg, sizes = asked({}, gradient_length=3)
    assert sizes == []
    assert alg.storage.privileged_actions.shape == (8, 8, 1)
    assert sizes == [24, 24, 16]
    at_each_step, sizes = asked({}, read=True, gradient_length=3)
    assert sizes == [8] * 8
    torch.testing.assert_close(at_each_step.storage.privileged_actions, alg.storage.privileged_actions)
    with torch.no_grad():
        expected = alg.teacher(alg.storage.observations.flatten(0, 1)).view(8, 8, 1)
    torch.testing.assert_close(alg.storage.privileged_actions, expected)


def test_a_second_action_forgets_what_the_teacher_said_of_the_first() -> None:
    alg, _ = asked({})
    obs, other = PointEnv(8).get_observations(), PointEnv(8, seed=3).get_observations()
    alg.storage.clear()
    with torch.inference_mode():
        alg.act(obs)
        assert alg.transition.privileged_actions.equal(alg.teacher(obs))
        alg.act(other)
        alg.process_env_step(other, torch.zeros(8), torch.zeros(8), {})
    torch.testing.assert_close(alg.storage.privileged_actions[0], alg.teacher(other))


def test_a_teacher_that_remembers_is_asked_at_every_step() -> None:
    assert asked({"class_name": "RNNModel", "rnn_hidden_dim": 4})[1] == [8] * 8


def test_a_subclass_that_acts_in_its_own_way_has_the_teachers_actions_at_every_step() -> None:
    class Mixing(Distillation):
        def act(self, obs: Any) -> torch.Tensor:
            super().act(obs)
            self.transition.actions = 0.5 * (self.transition.actions + self.transition.privileged_actions)
            return self.transition.actions

    assert asked({}, class_name=Mixing)[1] == [8] * 8
