# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""A training that ends unplanned, anywhere in an iteration, leaves its last whole iteration."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rsl_rl.checkpoint import newest_checkpoint, numbered_checkpoints, read_checkpoint
from rsl_rl.runners import OnPolicyRunner
from rsl_rl.runners.callbacks import Callback
from tests.envs import PointEnv, point_config

STEPS, BROKEN = 8, 5
"""What goes wrong does so in this iteration."""


class Unplanned(BaseException):
    """Nothing that anybody knows."""


def raising_at(number: int, function: Any, error: BaseException, after: bool = False) -> Callable[..., Any]:
    """Return the function, whose call of a number, from 0, raises before or after its work."""
    calls = iter(range(10**9))

    def called(*arguments: Any, **options: Any) -> Any:
        is_time = next(calls) == number
        if is_time and not after:
            raise error
        result = function(*arguments, **options)
        if is_time:
            raise error
        return result

    return called


def in_the_rollout(runner: OnPolicyRunner, error: BaseException) -> None:
    runner.env.step = raising_at(BROKEN * STEPS + 3, runner.env.step, error)  # type: ignore[method-assign]


def in_the_first_step(runner: OnPolicyRunner, error: BaseException) -> None:
    runner.env.step = raising_at(BROKEN * STEPS, runner.env.step, error)  # type: ignore[method-assign]


def in_the_middle_of_the_update(runner: OnPolicyRunner, error: BaseException) -> None:
    runner.alg.loss = raising_at(BROKEN * 4 + 2, runner.alg.loss, error)  # type: ignore[method-assign]


def in_the_statistics(runner: OnPolicyRunner, error: BaseException) -> None:
    critic: Any = runner.alg.critic  # type: ignore[attr-defined]
    critic.update_normalization = raising_at(BROKEN, critic.update_normalization, error, after=True)


def before_the_update(runner: OnPolicyRunner, error: BaseException) -> None:
    runner.alg.update = raising_at(BROKEN, runner.alg.update, error)  # type: ignore[method-assign]


def in_a_callback(runner: OnPolicyRunner, error: BaseException) -> None:
    runner.add_callback(raising_at(BROKEN - 1, lambda runner: None, error))


def after_the_log(runner: OnPolicyRunner, error: BaseException) -> None:
    part = Callback()
    part.on_iteration_end = raising_at(BROKEN - 1, lambda runner: None, error)  # type: ignore[method-assign]
    runner.add_callback(part)


def in_the_log(runner: OnPolicyRunner, error: BaseException) -> None:
    runner.logger.log = raising_at(BROKEN - 1, runner.logger.log, error)  # type: ignore[method-assign]


def in_an_evaluation(runner: OnPolicyRunner, error: BaseException) -> None:
    runner.evaluate_with(PointEnv(), interval=BROKEN - 1, episodes=1)
    evaluation: Any = runner.callbacks[-3]
    evaluation._play = raising_at(1, evaluation._play, error)


def trained(folder: Path, disturb: Callable[[OnPolicyRunner], object] | None, interval: int, **algorithm: Any) -> Any:
    torch.manual_seed(0)
    config = point_config(**algorithm) | {"num_steps_per_env": STEPS, "save_interval": interval, "logger": None}
    runner = OnPolicyRunner(PointEnv(), config, log_dir=str(folder))
    if disturb is not None:
        disturb(runner)
    runner.learn(BROKEN + 2)
    return runner


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The checkpoint that a run wrote by itself after the last iteration before the trouble."""
    folder = tmp_path_factory.mktemp("undisturbed")
    trained(folder, None, interval=1)
    return read_checkpoint(folder / f"model_{BROKEN - 1}.pt")


def same(one: Any, two: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(two) and all(same(*pair) for pair in zip(one, two, strict=True))
    return torch.equal(one, two) if isinstance(one, torch.Tensor) else one == two


PLACES = [
    in_the_rollout,
    in_the_first_step,
    before_the_update,
    in_the_middle_of_the_update,
    in_the_statistics,
    in_a_callback,
    in_the_log,
    after_the_log,
    in_an_evaluation,
]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_the_last_whole_iteration_is_saved(
    place: Callable[..., None], undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    # What an evaluation raises otherwise never ends a training.
    kind = KeyboardInterrupt if place is in_an_evaluation else RuntimeError
    error = kind("the simulator has crashed")
    with pytest.raises(kind) as raised:
        trained(tmp_path, lambda runner: place(runner, error), interval=1000)
    assert raised.value is error
    assert list(numbered_checkpoints(tmp_path)) == [BROKEN - 1, 0]
    document = read_checkpoint(tmp_path / f"model_{BROKEN - 1}.pt")
    for part in ("actor_state_dict", "critic_state_dict", "optimizer_state_dict", "iter"):
        assert same(document[part], undisturbed[part]), part
    assert same(read_checkpoint(tmp_path / "latest.pt")["actor_state_dict"], document["actor_state_dict"])
    if place in (in_a_callback, in_the_log, after_the_log):
        # Between two iterations a run goes on exactly, from its environments, too.
        assert same(document["processes"][0]["environment"], undisturbed["processes"][0]["environment"])
    runner = OnPolicyRunner(PointEnv(), point_config() | {"logger": None}, log_dir=str(tmp_path))
    runner.load(str(tmp_path))
    runner.learn(2)
    assert runner.current_learning_iteration == BROKEN + 1


@pytest.mark.parametrize("error", [SystemExit(3), MemoryError(), Unplanned(), torch.OutOfMemoryError("CUDA")], ids=repr)
def test_whatever_is_raised_goes_on_as_it_is(error: BaseException, tmp_path: Path) -> None:
    with pytest.raises(type(error)) as raised:
        trained(tmp_path, lambda runner: in_the_middle_of_the_update(runner, error), interval=1000)
    assert raised.value is error
    assert newest_checkpoint(tmp_path).name == f"model_{BROKEN - 1}.pt"


@pytest.mark.parametrize("place", [in_the_rollout, in_the_middle_of_the_update], ids=lambda place: place.__name__)
def test_the_same_runner_learns_on(place: Callable[..., None], undisturbed: dict[str, Any], tmp_path: Path) -> None:
    kept: list[OnPolicyRunner] = []
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, lambda runner: [kept.append(runner), place(runner, KeyboardInterrupt())], interval=1000)
    (runner,) = kept
    assert same(dict(runner.alg.save()["actor_state_dict"]), dict(undisturbed["actor_state_dict"]))
    runner.learn(2)
    assert runner.current_learning_iteration == BROKEN + 1


@pytest.mark.filterwarnings("ignore:.*holds a run already")
def test_what_an_earlier_run_left_in_the_folder_is_not_taken_for_it(tmp_path: Path) -> None:
    trained(tmp_path, None, interval=1, learning_rate=1e-5)
    old = read_checkpoint(tmp_path / f"model_{BROKEN - 1}.pt")
    with pytest.raises(RuntimeError):
        trained(tmp_path, lambda runner: in_the_rollout(runner, RuntimeError()), interval=1000)
    assert not same(read_checkpoint(tmp_path / f"model_{BROKEN - 1}.pt")["actor_state_dict"], old["actor_state_dict"])


def test_a_failure_to_save_is_said_and_hides_nothing(tmp_path: Path) -> None:
    def disturb(runner: OnPolicyRunner) -> None:
        in_the_rollout(runner, RuntimeError("the simulator has crashed"))
        runner.save = raising_at(1, runner.save, TypeError("not this one"))  # type: ignore[method-assign]

    said = pytest.warns(UserWarning, match=f"Iteration {BROKEN - 1}, the last whole one, is not saved: not this one")
    with said, pytest.raises(RuntimeError, match="the simulator has crashed"):
        trained(tmp_path, disturb, interval=1000)


def test_an_update_of_a_programs_own_is_not_saved_half_made(tmp_path: Path) -> None:
    def disturb(runner: OnPolicyRunner) -> None:
        parameters = list(runner.alg.actor.parameters())  # type: ignore[attr-defined]
        count = iter(range(100))

        def update() -> dict[str, float]:
            runner.alg.storage.clear()  # type: ignore[union-attr]
            with torch.no_grad():
                parameters[0] += 1
                if next(count) == BROKEN:
                    raise RuntimeError("the simulator has crashed")
                parameters[1] += 1
            return {}

        runner.alg.update = update  # type: ignore[method-assign]

    said = pytest.warns(UserWarning, match="has a way of its own that cannot be undone")
    with said, pytest.raises(RuntimeError, match="the simulator has crashed"):
        trained(tmp_path, disturb, interval=1000)
    assert list(numbered_checkpoints(tmp_path)) == [0]


def test_a_run_that_is_interrupted_in_its_first_iteration_saves_nothing(tmp_path: Path) -> None:
    trained(tmp_path / "first", None, interval=1000)
    runner = OnPolicyRunner(PointEnv(), point_config() | {"logger": None}, log_dir=str(tmp_path / "second"))
    runner.load(str(tmp_path / "first"))
    before = copy.deepcopy(runner.alg.save())
    runner.alg.loss = raising_at(2, runner.alg.loss, RuntimeError())  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        runner.learn(1)
    assert numbered_checkpoints(tmp_path / "second") == {}
    assert same(dict(runner.alg.save()["actor_state_dict"]), dict(before["actor_state_dict"]))
