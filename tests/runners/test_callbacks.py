# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What a program brings into the training loop: parts, schedules, optimizers, whole algorithms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from rsl_rl.checkpoint import read_checkpoint
from rsl_rl.models import MLPModel
from rsl_rl.runners import Callback, OnPolicyRunner
from tests.envs import PointEnv, point_config
from tests.runners.test_on_policy_runner import files, parameters


def runner_of(log_dir: Path | None = None, **options: Any) -> OnPolicyRunner:
    torch.manual_seed(0)
    cfg = point_config(**options) | {"logger": None, "save_interval": 1}
    return OnPolicyRunner(PointEnv(), cfg, log_dir=None if log_dir is None else str(log_dir))


class Counter(Callback):
    """Counts iterations, and notes the checkpoints that it finds."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count, self.found, self.logged = folder, 0, list[list[str]](), list[int]()

    def on_update_end(self, runner: OnPolicyRunner) -> None:
        runner.logger.metrics["Own/count"] = float(self.count)

    def on_iteration_end(self, runner: OnPolicyRunner) -> None:
        self.count += 1
        self.found.append(files(self.folder))
        self.logged.append(len((self.folder / "metrics.csv").read_text().splitlines()) - 1)

    def state_dict(self) -> dict[str, int]:
        return {"count": self.count}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.count = state["count"]


def test_a_part_of_the_programs_own_acts_before_the_checkpoint_that_holds_its_state(tmp_path: Path) -> None:
    runner, part = runner_of(tmp_path), Counter(tmp_path)
    runner.add_callback(part)
    runner.learn(2)
    assert part.found == [[], ["model_0.pt"]]
    assert part.logged == [1, 2]
    assert "Own/count" in (tmp_path / "metrics.csv").read_text()
    assert read_checkpoint(tmp_path / "model_1.pt")["callbacks"] == {"0 Counter": {"count": 2}}


def test_a_part_of_the_programs_own_is_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runner = runner_of(tmp_path)
    runner.add_callback(Counter(tmp_path))
    runner.learn(2)
    again, part = runner_of(tmp_path), Counter(tmp_path)
    again.add_callback(part)
    again.load(str(tmp_path))
    assert part.count == 2
    # Without the part, and with another one in its place, the checkpoint loads as well, and what it lacks is said.
    for others in ([], [lambda runner: None]):
        again = runner_of(tmp_path)
        for other in others:
            again.add_callback(other)
        capsys.readouterr()
        again.load(str(tmp_path))
        assert "holds the state of callbacks that this runner does not have: 0 Counter." in capsys.readouterr().out


def test_a_function_is_called_after_every_update() -> None:
    runner, seen = runner_of(), []
    runner.add_callback(lambda runner: seen.append((runner.current_learning_iteration, *runner.losses)))
    runner.learn(2)
    assert seen == [(0, "value", "surrogate", "entropy"), (1, "value", "surrogate", "entropy")]


def fade(runner: OnPolicyRunner) -> None:
    runner.alg.entropy_coef *= 0.5


def test_numbers_that_change_are_resumed_and_others_are_those_of_the_configuration(tmp_path: Path) -> None:
    runner = runner_of(tmp_path, entropy_coef=0.08, clip_param=0.2)
    runner.add_callback(fade)
    runner.learn(3)
    assert read_checkpoint(tmp_path / "model_2.pt")["numbers"] == {"entropy_coef": 0.01}
    again = runner_of(tmp_path, entropy_coef=0.08, clip_param=0.1)
    again.load(str(tmp_path))
    assert (again.alg.entropy_coef, again.alg.clip_param) == (0.01, 0.1)
    only_actor = runner_of(entropy_coef=0.08)
    only_actor.load(str(tmp_path), load_cfg={"actor": True})
    assert only_actor.alg.entropy_coef == 0.08


def annealed(log_dir: Path | None = None, *, anneal: dict[str, float], **options: Any) -> OnPolicyRunner:
    torch.manual_seed(0)
    cfg = point_config(**options) | {"logger": None, "save_interval": 1, "anneal": anneal}
    return OnPolicyRunner(PointEnv(), cfg, log_dir=None if log_dir is None else str(log_dir))


class Noted(Callback):
    """Notes the numbers with which every update is made."""

    def __init__(self, *names: str) -> None:
        self.names, self.seen = names, list[list[float]]()

    def on_rollout_end(self, runner: OnPolicyRunner, obs: Any) -> bool:
        self.seen.append([getattr(runner.alg, name) for name in self.names])
        return True


def test_numbers_that_are_annealed_change_linearly_up_to_the_last_iteration() -> None:
    # A whole number is a number, too.
    runner = annealed(anneal={"desired_kl": 0.005, "entropy_coef": 0.2}, desired_kl=0.02, entropy_coef=0)
    noted = Noted("desired_kl", "entropy_coef", "clip_param")
    runner.add_callback(noted)
    runner.learn(4)
    rows = ([0.02, 0.0, 0.2], [0.015, 0.2 / 3, 0.2], [0.01, 0.4 / 3, 0.2], [0.005, 0.2, 0.2])
    assert noted.seen == [pytest.approx(row) for row in rows]
    once = annealed(anneal={"entropy_coef": 0.2}, entropy_coef=0.1)
    once.add_callback(noted)
    once.learn(1)  # the first iteration is the last one
    assert once.alg.entropy_coef == pytest.approx(0.2)


def test_a_run_that_anneals_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    anneal, options = {"entropy_coef": 0.0, "desired_kl": 0.005}, {"entropy_coef": 0.08, "desired_kl": 0.02}
    whole, noted = annealed(anneal=anneal, **options), Noted(*anneal)
    whole.add_callback(noted)
    whole.learn(6)
    stopped = annealed(tmp_path, anneal=anneal, **options)
    stopped.add_callback(lambda runner: runner.request_stop() if runner.current_learning_iteration == 2 else None)
    stopped.learn(6)
    assert stopped.current_learning_iteration == 2
    again, noted_again = annealed(tmp_path, anneal=anneal, **options), Noted(*anneal)
    again.load(str(tmp_path))
    again.add_callback(noted_again)
    again.learn(3)
    assert noted_again.seen == noted.seen[3:]
    assert torch.equal(parameters(again), parameters(whole))


def test_a_learning_rate_is_annealed_where_nothing_else_changes_it() -> None:
    runner = annealed(anneal={"learning_rate": 1e-4}, learning_rate=1e-3, schedule="fixed")
    noted = Noted("learning_rate")
    runner.add_callback(noted)
    runner.learn(4)
    assert [rate for (rate,) in noted.seen] == pytest.approx([1e-3, 7e-4, 4e-4, 1e-4])
    assert runner.alg.optimizer.param_groups[0]["lr"] == pytest.approx(1e-4)
    with pytest.raises(ValueError, match="'anneal': PPO has no number 'learning_rate' to change"):
        annealed(anneal={"learning_rate": 1e-4}, schedule="adaptive")


@pytest.mark.parametrize("name", ["entropy_coeff", "num_learning_epochs", "gpu_world_size", "schedule"])
def test_what_cannot_be_annealed_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"'anneal': PPO has no number '{name}' to change") as error:
        annealed(anneal={name: 0.5})
    assert "entropy_coef" in str(error.value)
    assert ("Did you mean 'entropy_coef'?" in str(error.value)) == (name == "entropy_coeff")


class Ramp:
    """A schedule that remembers how far it is."""

    def __init__(self) -> None:
        self.step = 0

    def state_dict(self) -> dict[str, int]:
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.step = state["step"]


def test_a_run_that_begins_with_the_models_of_another_does_not_go_on_with_its_schedules(tmp_path: Path) -> None:
    def with_ramp(**options: Any) -> OnPolicyRunner:
        runner = runner_of(tmp_path, entropy_coef=0.08, **options)
        runner.alg.ramp = Ramp()  # type: ignore[attr-defined]
        return runner

    runner = with_ramp(critic_warmup_iterations=1)
    runner.add_callback(fade)
    runner.alg.ramp.step = 5  # type: ignore[attr-defined]
    runner.learn(2)
    again = with_ramp(critic_warmup_iterations=1)
    again.load(str(tmp_path))
    assert (again.alg.entropy_coef, again.alg.ramp.step) == (0.02, 5)  # type: ignore[attr-defined]
    again.forget_progress()
    assert (again.alg.entropy_coef, again.alg.ramp.step) == (0.08, 0)  # type: ignore[attr-defined]
    assert again.alg.critic_warmup_left == 0  # type: ignore[attr-defined] (the critic that was taken over is warm)
    assert torch.equal(parameters(again), parameters(runner))


def test_a_run_with_a_schedule_goes_on_as_if_it_had_not_been_interrupted(tmp_path: Path) -> None:
    whole = runner_of()
    whole.add_callback(fade)
    whole.learn(4)
    first = runner_of(tmp_path)
    first.add_callback(fade)
    first.learn(2)
    second = runner_of(tmp_path)
    second.add_callback(fade)
    second.load(str(tmp_path))
    second.learn(2)
    assert torch.equal(parameters(second), parameters(whole))


def with_own_optimizer(log_dir: Path | None = None) -> OnPolicyRunner:
    runner = runner_of(log_dir, learning_rate=0.5)
    learned = [*runner.alg.actor.parameters(), *runner.alg.critic.parameters()]
    runner.alg.optimizer = torch.optim.Adamax(learned, lr=2e-3, weight_decay=0.1)
    return runner


def test_an_optimizer_of_the_programs_own_learns_and_is_resumed(tmp_path: Path) -> None:
    whole = with_own_optimizer()
    whole.learn(3)
    runner = with_own_optimizer(tmp_path)
    assert runner.alg.learning_rate == 2e-3
    before = parameters(runner)
    runner.learn(2)
    assert not torch.equal(parameters(runner), before)
    assert runner.alg.learning_rate == float(runner.alg.optimizer.param_groups[0]["lr"]) != 2e-3
    again = with_own_optimizer(tmp_path)
    again.load(str(tmp_path))
    again.learn(1)
    assert type(again.alg.optimizer) is torch.optim.Adamax
    assert torch.equal(parameters(again), parameters(whole))
    assert again.alg.learning_rate == whole.alg.learning_rate


class Climber:
    """An algorithm without our base class: the critic is a constant, and the actor likes small actions."""

    def __init__(self, actor: MLPModel) -> None:
        self.actor, self.learning_rate, self.num_updates = actor, 1e-2, 0
        self.optimizer = torch.optim.Adam(actor.parameters(), lr=self.learning_rate)
        self.obs: list[Any] = []

    @staticmethod
    def construct_algorithm(obs: Any, env: Any, cfg: dict[str, Any], device: str) -> Climber:
        return Climber(MLPModel(obs, {"actor": ["policy"]}, "actor", env.num_actions, hidden_dims=[8]))

    def act(self, obs: Any) -> torch.Tensor:
        self.obs.append(obs["policy"].clone())
        return self.actor(obs)

    def process_env_step(self, obs: Any, rewards: Any, dones: Any, extras: Any) -> None:
        pass

    def update(self) -> dict[str, float]:
        obs = torch.cat(self.obs).clone()
        self.obs, self.num_updates = [], self.num_updates + 1
        loss = self.actor({"policy": obs}).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.learning_rate *= 0.9
        self.optimizer.param_groups[0]["lr"] = self.learning_rate
        return {"size": loss.item()}

    def get_policy(self) -> MLPModel:
        return self.actor


def climbing(log_dir: Path | None = None) -> OnPolicyRunner:
    torch.manual_seed(0)
    cfg = {"num_steps_per_env": 8, "save_interval": 1, "logger": None, "obs_groups": {}}
    cfg |= {"algorithm": {"class_name": Climber}}
    return OnPolicyRunner(PointEnv(), cfg, log_dir=None if log_dir is None else str(log_dir))


def test_an_algorithm_without_our_base_class_trains_saves_and_resumes(tmp_path: Path) -> None:
    whole, runner = climbing(), climbing(tmp_path)
    whole.learn(4)
    runner.learn(2)
    assert (runner.alg.num_updates, runner.alg.learning_rate) == (2, pytest.approx(0.81e-2))
    again = climbing(tmp_path)
    again.load(str(tmp_path))
    assert (again.alg.num_updates, again.alg.learning_rate) == (2, runner.alg.learning_rate)
    again.learn(2)
    expected = whole.alg.actor.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in again.alg.actor.state_dict().items())
    assert again.alg.optimizer.param_groups[0]["lr"] == again.alg.learning_rate == whole.alg.learning_rate
