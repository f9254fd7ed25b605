# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Programs that go back, change what learns, or bring parts of their own lose nothing either."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from rsl_rl.checkpoint import newest_checkpoint, read_checkpoint
from rsl_rl.cli.main import main
from rsl_rl.env import make_env
from rsl_rl.runners import OnPolicyRunner
from rsl_rl.telemetry import Logger
from tests.envs import PointEnv, point_config
from tests.runners.test_on_policy_runner import files, parameters
from tests.telemetry.test_logger import rows

QUIET = {"logger": None, "save_interval": 1}


def runner_of(log_dir: Path | None = None, env: Any = None, **options: Any) -> OnPolicyRunner:
    cfg = point_config(**options) | QUIET
    return OnPolicyRunner(env or PointEnv(), cfg, log_dir=None if log_dir is None else str(log_dir))


def test_learning_again_after_a_resume_keeps_all_rows(tmp_path: Path) -> None:
    runner_of(tmp_path).learn(5)
    runner = runner_of(tmp_path)
    runner.load(str(tmp_path))
    runner.learn(3)
    runner.learn(3)
    assert [int(row["iteration"]) for row in rows(tmp_path)] == list(range(11))


def test_going_back_gives_up_a_branch_without_deleting_it(tmp_path: Path) -> None:
    runner_of(tmp_path).learn(5)
    runner = runner_of(tmp_path)
    runner.load(str(tmp_path / "model_1.pt"))
    runner.learn(2)
    assert newest_checkpoint(tmp_path).name == "model_3.pt"
    assert files(tmp_path, "abandoned_*") == ["abandoned_2.pt", "abandoned_3.pt", "abandoned_4.pt"]
    assert read_checkpoint(tmp_path / "latest.pt")["iter"] == 3


def test_a_new_run_from_a_checkpoint_has_a_best_of_its_own(tmp_path: Path) -> None:
    first = runner_of(tmp_path / "a")
    first.learn(4)
    second = runner_of(tmp_path / "b")
    second.load(str(tmp_path / "a"))
    second.logger.episodes.returns.clear()
    second.learn(4)
    assert (tmp_path / "b" / "best.pt").is_file()


def test_a_run_that_starts_from_a_checkpoint_draws_its_own_random_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    train = ["train", "gym:Pendulum-v1", "--num-envs", "2", "--runner.logger", "none", "--iterations", "1"]
    train += ["--export", "False"]
    main([*train, "--run-dir", "first"])
    actors = []
    for seed in ("1", "2"):
        main([*train, "--run-dir", seed, "--seed", seed, "--checkpoint", "first/model_0.pt"])
        actors.append(read_checkpoint(Path(seed) / "model_1.pt")["actor_state_dict"]["mlp.0.weight"])
    assert not torch.equal(*actors)


def test_environments_of_other_settings_keep_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    groups = {"obs_groups": {"actor": ["policy"], "critic": ["policy"]}}
    first = OnPolicyRunner(make_env("gym:Pendulum-v1", 2), point_config() | QUIET | groups, log_dir=str(tmp_path))
    first.learn(1)
    env = make_env("gym:Pendulum-v1", 2, g=3.0)
    second = OnPolicyRunner(env, point_config() | QUIET | groups)
    second.load(str(tmp_path))
    second.learn(1)
    assert env.envs.envs[0].unwrapped.g == 3.0
    assert "the environments are configured differently" in capsys.readouterr().out


def test_after_bad_numbers_the_run_goes_on_from_the_checkpoint_that_was_kept(tmp_path: Path) -> None:
    class Bad(PointEnv):
        steps = 0

        def step(self, actions: torch.Tensor) -> Any:
            outcome = super().step(actions)
            self.steps += 1
            if self.steps == 30:
                self._state[1] = math.nan
                outcome[0]["policy"][1] = math.nan
            return outcome

    cfg = point_config() | QUIET | {"save_interval": 100}  # So that it is saved because of the bad numbers.
    with pytest.raises(ValueError, match="in iteration 3"):
        OnPolicyRunner(Bad(max_episode_length=100), cfg, log_dir=str(tmp_path)).learn(5)
    runner = runner_of(tmp_path, PointEnv(max_episode_length=100))
    runner.load(str(tmp_path))
    runner.learn(1)
    assert runner.current_learning_iteration == 3


@pytest.mark.parametrize("kind", ["no lengths", "objects", "arguments"])
@pytest.mark.filterwarnings("ignore:.*Checkpoints hold no state of the environments")
def test_environments_with_methods_of_their_own_do_not_break_checkpoints(kind: str, tmp_path: Path) -> None:
    class Own(PointEnv):
        if kind == "objects":

            def state_dict(self) -> Any:
                return {"curriculum": object()}

        elif kind == "arguments":

            def state_dict(self, prefix: str) -> Any:
                return {}

    env: Any = Own()
    if kind == "no lengths":

        class Without:
            def __getattr__(self, name: str) -> Any:
                if name == "episode_length_buf":
                    raise AttributeError(name)
                return getattr(env, name)

        runner = runner_of(tmp_path, Without())
    else:
        runner = runner_of(tmp_path, env)
    runner.learn(1)
    assert read_checkpoint(tmp_path / "model_0.pt")["iter"] == 0


def test_a_logger_with_the_documented_signature_is_called(tmp_path: Path) -> None:
    class Own(Logger):
        def log(  # type: ignore[override]
            self, it, start_it, total_it, collect_time, learn_time, loss_dict, learning_rate, action_std, rnd_weight
        ) -> None:
            self.seen = dict(self.metrics)

    runner = runner_of(tmp_path)
    runner.logger.__class__ = Own
    runner.learn(1)
    assert {"kl", "clipped", "skipped", "actor_gradient", "critic_gradient"} <= {
        tag.removeprefix("Update/") for tag in runner.logger.seen
    }


def test_a_program_may_save_under_our_names(tmp_path: Path) -> None:
    runner = runner_of(tmp_path)
    runner.learn(2)
    torch.save({"mine": 1}, tmp_path / "best.pt")
    before = (tmp_path / "model_1.pt").read_bytes()
    torch.save({"mine": 2}, tmp_path / "latest.pt")
    assert (tmp_path / "model_1.pt").read_bytes() == before
    runner.learn(4)
    assert torch.load(tmp_path / "best.pt", weights_only=True) == {"mine": 1}


def test_a_signal_that_comes_while_processes_agree_counts_next_time() -> None:
    runner = runner_of()
    world, asked = runner.world, iter(range(100))

    class Late:
        size, rank = 1, 0

        def sums(self, *numbers: float) -> list[float]:
            result = world.sums(*numbers)
            if next(asked) == 2:
                runner.request_stop()
            return result

    runner.world = Late()  # type: ignore[assignment]
    runner.learn(10)
    assert runner.current_learning_iteration == 3


# -- what learns may change between updates ------------------------------------------------------------------------


def test_frozen_parameters_rest_and_unfrozen_ones_are_clipped() -> None:
    runner = runner_of()
    runner.learn(2)
    runner.alg.actor.requires_grad_(False)
    before = [p.clone() for p in runner.alg.actor.parameters()]
    runner.learn(2)
    assert all(torch.equal(p, old) for p, old in zip(runner.alg.actor.parameters(), before, strict=True))
    runner.alg.actor.requires_grad_(True)
    extra = nn.Parameter(torch.ones(3))
    runner.alg.optimizer.add_param_group({"params": [extra]})
    own = runner.alg.loss
    runner.alg.loss = lambda batch: (own(batch)[0] + extra.square().sum(), own(batch)[1])
    runner.learn(1)
    assert extra.grad.norm() < 4.0  # of one mini-batch, not of all
    assert (extra < 1.0).all()


def test_statistics_that_are_large_but_finite_are_learned_with() -> None:
    class Large(PointEnv):
        def get_observations(self) -> Any:
            obs = super().get_observations()
            obs["policy"] *= 1e11
            return obs

    runner = runner_of(env=Large())
    before = parameters(runner)
    with pytest.warns(UserWarning, match="they changed nothing"):  # The first mini-batches are not normalized yet.
        runner.learn(3)
    assert not torch.equal(parameters(runner), before)
    assert runner.alg.learning_rate > 1e-6
    assert not runner.alg.gradient_step.went_back


def test_a_state_from_before_the_actor_learned_can_be_restored() -> None:
    runner = runner_of(critic_warmup_iterations=1, max_bad_updates=1)
    runner.learn(2)
    with torch.no_grad():
        next(runner.alg.critic.parameters()).fill_(math.nan)
    with pytest.warns(UserWarning, match="The last good parameters"):
        runner.learn(1)
    assert parameters(runner).isfinite().all()


def test_that_episodes_begin_anew_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Forgetful(PointEnv):
        state_dict = None  # type: ignore[assignment]

    for env in (Forgetful(2), PointEnv(2)):
        folder = tmp_path / type(env).__name__
        OnPolicyRunner(env, point_config() | QUIET, log_dir=str(folder)).learn(1)
        runner = OnPolicyRunner(type(env)(2), point_config() | QUIET)
        runner.load(str(folder))
        capsys.readouterr()
        runner.learn(1)
        told = (
            "Resumed, but the environments could not save their state, and start new episodes."
            in capsys.readouterr().out
        )
        assert told == isinstance(env, Forgetful)
