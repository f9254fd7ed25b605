# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What docs/showcase.md shows, in seconds: the options of the presets reach the algorithm and do what they are for."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from tensordict import TensorDict

from examples import student_and_teacher
from examples.showcase import COMPARISONS, changed_task, draw, run
from rsl_rl.cli.train import make_runner
from rsl_rl.config.task import load_task, write_task
from rsl_rl.env import VecEnv, make_env
from rsl_rl.models import CNNModel, MLPModel, RNNModel
from rsl_rl.runners import OnPolicyRunner


class CueEnv(VecEnv):
    """Rewards repeating, through the episode, a number that is shown at its start: as a value or as a bright column."""

    def __init__(self, num_envs: int = 32, steps: int = 5, as_image: bool = False) -> None:
        self.num_envs, self.num_actions, self.max_episode_length = num_envs, 1, steps
        self.device, self.cfg, self.as_image = "cpu", {}, as_image
        self._generator = torch.Generator().manual_seed(0)
        self._steps = 0
        self._cue = self._new_cue()

    @property
    def episode_length_buf(self) -> torch.Tensor:  # type: ignore[override]
        return torch.full((self.num_envs,), self._steps)

    def _new_cue(self) -> torch.Tensor:
        return torch.randint(0, 12, (self.num_envs,), generator=self._generator)

    def get_observations(self) -> TensorDict:
        if self.as_image:
            image = torch.zeros(self.num_envs, 1, 12, 12, dtype=torch.uint8)
            image[torch.arange(self.num_envs), 0, :, self._cue] = 255
            return TensorDict({"policy": image}, [self.num_envs])
        shown = self._target() if self._steps == 0 else torch.zeros(self.num_envs)
        return TensorDict({"policy": shown.unsqueeze(1)}, [self.num_envs])

    def _target(self) -> torch.Tensor:
        return self._cue / 5.5 - 1.0

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        rewards = -(actions[:, 0] - self._target()).abs()
        self._steps += 1
        dones = torch.full((self.num_envs,), self._steps == self.max_episode_length)
        if dones[0]:
            self._steps, self._cue = 0, self._new_cue()
        elif self.as_image:
            self._cue = self._new_cue()
        return self.get_observations(), rewards, dones, {"time_outs": torch.zeros_like(dones)}


def learned_error(actor: dict[str, Any], critic: dict[str, Any], as_image: bool, iterations: int) -> float:
    """Return the mean error of a policy's action after training on the cue; guessing 0 makes an error of 0.55."""
    torch.manual_seed(0)
    env = CueEnv(as_image=as_image)
    distribution = {"class_name": "GaussianDistribution", "init_std": 0.3}
    config = {
        "num_steps_per_env": 20,
        "save_interval": 100,
        "obs_groups": {"actor": ["policy"], "critic": ["policy"]},
        "algorithm": {"class_name": "PPO", "entropy_coef": 0.0, "gamma": 0.5, "learning_rate": 3e-3},
        "actor": {"hidden_dims": [32], **actor, "distribution_cfg": distribution},
        "critic": {"hidden_dims": [32], **critic},
    }
    runner = OnPolicyRunner(env, config)
    runner.learn(iterations)
    policy = runner.get_inference_policy()
    policy.reset()
    obs, total, count = env.get_observations(), 0.0, 0
    with torch.inference_mode():
        for _ in range(50):
            obs, rewards, dones, _ = env.step(policy(obs))
            policy.reset(dones)
            total, count = total - rewards.mean().item(), count + 1
    return total / count


@pytest.mark.parametrize("rnn_type", ["lstm", "gru"])
def test_recurrent_policies_remember_what_a_feed_forward_policy_cannot_know(rnn_type: str) -> None:
    critic = {"class_name": "MLPModel"}
    remembering = {"class_name": "RNNModel", "rnn_type": rnn_type, "rnn_hidden_dim": 32}
    forgetful = learned_error({"class_name": "MLPModel"}, critic, as_image=False, iterations=30)
    assert forgetful > 0.35  # right at the first of five steps only
    assert learned_error(remembering, critic, as_image=False, iterations=20) < 0.2


def test_a_convolutional_policy_learns_what_an_image_shows() -> None:
    cnn = {"class_name": "CNNModel", "cnn_cfg": {"output_channels": [8], "kernel_size": 3, "stride": 2}}
    assert learned_error(cnn, cnn, as_image=True, iterations=30) < 0.2


def small_runner(comparison: str, variant: str, **changes: Any) -> OnPolicyRunner:
    task = dataclasses.replace(changed_task(COMPARISONS[comparison], variant, seed=1), **changes)
    env = make_env(task.env, num_envs=task.num_envs, seed=1, **task.env_options)
    return make_runner(task, env, None)


class TestPresets:
    @pytest.mark.envpool
    def test_the_actor_of_the_memory_task_sees_positions_only(self) -> None:
        for variant, model, kind in (("LSTM", RNNModel, torch.nn.LSTM), ("GRU", RNNModel, torch.nn.GRU)):
            runner = small_runner("memory", variant, num_envs=4)
            assert type(runner.alg.actor) is model
            assert type(runner.alg.actor.rnn.rnn) is kind
            assert (runner.alg.actor.obs_groups, runner.alg.critic.obs_dim) == (["position"], 8)
        assert type(small_runner("memory", "MLP", num_envs=4).alg.actor) is MLPModel
        seeing = small_runner("memory", "MLP that sees velocities", num_envs=4)
        assert seeing.alg.actor.obs_groups == ["position", "velocity"]

    @pytest.mark.envpool
    def test_the_pixel_task_learns_from_bytes_with_one_encoder_for_actor_and_critic(self) -> None:
        runner = small_runner("pixels", "CNN", num_envs=4)
        images = runner.alg.storage.observations["policy"]
        assert (tuple(images.shape[2:]), images.dtype) == ((3, 96, 96), torch.uint8)
        assert isinstance(runner.alg.actor, CNNModel)
        weight = next(iter(runner.alg.actor.cnns["policy"].parameters()))
        assert weight is next(iter(runner.alg.critic.cnns["policy"].parameters()))
        before = weight.detach().clone()
        runner.learn(1)
        assert not torch.equal(before, weight)

    @pytest.mark.envpool
    def test_curiosity_finds_the_reward_that_ppo_alone_does_not(self, tmp_path: Path) -> None:
        comparison = COMPARISONS["sparse"]
        rewards = {
            variant: run(
                changed_task(comparison, variant, seed=1, iterations=24), tmp_path / variant, played_steps=1
            ).reward
            for variant in comparison.variants
        }
        assert rewards["PPO + RND"] > 50  # 100 at the top, less the effort
        assert rewards["PPO"] < 1

    def test_the_mirror_loss_lets_the_robot_act_like_its_mirror_image(self, tmp_path: Path) -> None:
        comparison = COMPARISONS["symmetry"]
        outcomes = {}
        for variant in comparison.variants:
            task = dataclasses.replace(changed_task(comparison, variant, seed=1, iterations=6), num_envs=16)
            outcomes[variant] = run(task, tmp_path / variant, comparison.mirror, played_steps=40)
        mirror_loss, none = (outcomes[variant] for variant in ("mirror loss", "none of these"))
        # It is measured, and changes nothing, without the loss.
        assert mirror_loss.metrics["Loss/symmetry"][-1] < 0.7 * none.metrics["Loss/symmetry"][-1]
        assert mirror_loss.asymmetry < 0.8 * none.asymmetry  # type: ignore[operator]
        assert outcomes["equivariant"].asymmetry == pytest.approx(0.0, abs=1e-5)
        assert outcomes["half cycle"].asymmetry < 0.1 * none.asymmetry  # type: ignore[operator]
        draw(comparison, {variant: [outcome] for variant, outcome in outcomes.items()}, tmp_path / "figure.png")
        assert (tmp_path / "figure.png").is_file()

    def test_students_are_compared_with_their_teachers(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        teacher = dataclasses.replace(load_task("go1-teacher"), num_envs=4)
        env = make_env(teacher.env, num_envs=4, seed=1, **teacher.env_options)
        make_runner(teacher, env, str(tmp_path / "teacher")).learn(1)
        student = dataclasses.replace(load_task("go1-student"), num_envs=4)
        runner = dataclasses.replace(student.runner, teacher_checkpoint=str(tmp_path / "teacher" / "model_0.pt"))
        # They are played as policies are judged: in episodes of 30 steps here.
        student = dataclasses.replace(student, runner=runner, eval_env_options={"episode_seconds": 0.6})
        env = make_env(student.env, num_envs=4, seed=1, **student.env_options)
        make_runner(student, env, str(tmp_path / "student")).learn(30)
        write_task(student, tmp_path / "student" / "config.yaml")
        arguments = student_and_teacher.Arguments((str(tmp_path / "student"),), 4, tmp_path / "figure.png")
        student_and_teacher.main(arguments)
        row = [float(cell.strip(" %")) for cell in capsys.readouterr().out.splitlines()[-3].strip("|").split("|")]
        assert row[2] == pytest.approx(100 * row[1] / row[0], abs=1)
        assert row[3] == 30
        assert 20 < row[4] < 100  # of the variance of the teacher's actions; untaught it explains less than nothing
        assert (tmp_path / "figure.png").is_file()
