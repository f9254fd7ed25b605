# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The parts of a sweep: what is varied, the study in its database, and the numbers of a trial."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import optuna
import pytest

from rsl_rl.cli.sweep import study as sweep_study
from rsl_rl.cli.sweep.space import checked_parameters, parse_option, task_document, with_values
from rsl_rl.cli.sweep.study import (
    TakenOverError,
    Trials,
    import_optuna,
    make_pruner,
    make_sampler,
    open_study,
    queue_grid,
    seed_of_this_start,
    wait_until_filled,
)
from rsl_rl.cli.sweep.sweep_file import read_sweep
from rsl_rl.cli.sweep.trials import _Table
from rsl_rl.config.task import load_task

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.b-c=log:1e-4..1e-2", ("a.b_c", {"low": 1e-4, "high": 1e-2, "log": True})),
        ("a=0.1..0.9", ("a", {"low": 0.1, "high": 0.9, "log": False})),
        ("a=2..8", ("a", {"low": 2, "high": 8, "log": False})),
        ("a=elu,relu", ("a", {"choices": ["elu", "relu"]})),
        ("a=[64,64],[128,128]", ("a", {"choices": [[64, 64], [128, 128]]})),
        ("a=true,false", ("a", {"choices": [True, False]})),
    ],
)
def test_parameters_on_the_command_line(text: str, expected: tuple[str, dict]) -> None:
    assert parse_option(text) == expected


def test_values_have_the_type_that_the_task_takes() -> None:
    document = task_document(load_task("cartpole-balance"))
    sections = {
        "runner.algorithm.num_learning_epochs": {"low": 2, "high": 4},
        "runner.algorithm.entropy_coef": {"low": 0, "high": 1},
        "runner.actor.hidden_dims": {"choices": [[64], [32, 32]]},
        "env_options.frames": {"low": 1, "high": 3},
    }
    parameters = checked_parameters(sections, document)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    found = []
    for _ in range(20):
        trial = study.ask()
        found.append({parameter.name: parameter.suggest(trial) for parameter in parameters})
    epochs, entropies, dims, frames = ([values[name] for values in found] for name in sections)
    assert {type(value) for value in epochs + frames} == {int}
    assert len({value for value in entropies if 0 < value < 1}) > 10
    assert {tuple(value) for value in dims} == {(64,), (32, 32)}
    changed = with_values(document, found[0])
    assert changed["runner"]["actor"]["hidden_dims"] == found[0]["runner.actor.hidden_dims"]
    assert document["runner"]["actor"]["hidden_dims"] == [64, 64]


def opened(tmp_path: Path) -> Any:
    study, _ = open_study("a", f"sqlite:///{tmp_path}/study.db", None, "maximize")
    study.sampler = make_sampler("random", [1], 1)
    return study


def test_trials_of_a_machine_that_died_are_tried_again_three_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, mine = Trials(opened(tmp_path)), Trials(opened(tmp_path))
    monkeypatch.setattr(theirs, "_host", "elsewhere")
    drawn = []
    fate = "its parameters are tried again"
    for attempt in range(1, sweep_study.MAX_ATTEMPTS + 1):
        trial = theirs.begin()
        drawn.append(trial.suggest_float("x", 0, 1))
        assert mine.lost() == []
        trial.set_user_attr("beat", 1)
        monkeypatch.setattr(sweep_study, "LOST_AFTER", -1.0)
        assert mine.lost() == []  # It has been heard.
        (lost,) = mine.lost()
        last = attempt == sweep_study.MAX_ATTEMPTS
        assert mine.give_back(lost) == ("its parameters were tried 3 times and are left" if last else fate)
        with pytest.raises(TakenOverError):
            theirs.give_back(lost)
        with pytest.raises(TakenOverError):
            theirs.end(trial, "COMPLETE", "complete", 1.0)
        monkeypatch.undo()
        monkeypatch.setattr(theirs, "_host", "elsewhere")
    assert len(set(drawn)) == 1
    assert mine.finished() == []
    assert theirs.begin().suggest_float("x", 0, 1) != drawn[0]


def test_a_trial_of_a_living_process_is_not_lost(tmp_path: Path) -> None:
    theirs, mine = Trials(opened(tmp_path)), Trials(opened(tmp_path))
    trial = theirs.begin()
    assert mine.lost() == []
    theirs.end(trial, "FAIL", "diverged")
    # It failed by itself and counts.
    assert [ended.number for ended in mine.finished()] == [trial.number]


def test_parameters_that_were_not_taken_yet_are_not_lost(tmp_path: Path) -> None:
    study, trials = opened(tmp_path), Trials(opened(tmp_path))
    study.enqueue_trial({"x": 0.25, "y": 0.75})
    trial = trials.begin()
    trial.suggest_float("x", 0, 1)
    trials.give_back(study.get_trials()[trial.number])
    again = trials.begin()
    assert (again.suggest_float("x", 0, 1), again.suggest_float("y", 0, 1)) == (0.25, 0.75)


def test_of_programs_that_begin_the_same_sweep_one_fills_its_queue(tmp_path: Path) -> None:
    (first, is_new), (second, is_second_new) = (
        open_study("b", f"sqlite:///{tmp_path}/study.db", None, "maximize") for _ in range(2)
    )
    assert (is_new, is_second_new) == (True, False)
    # What is drawn can be repeated by the one; the others draw something else.
    assert seed_of_this_start(7, True) == [7]
    assert seed_of_this_start(7, False) != seed_of_this_start(7, True)
    seen = []

    def begin_second() -> None:
        wait_until_filled(second)
        seen.append(len(second.get_trials()))

    other = threading.Thread(target=begin_second)
    other.start()
    queue_grid(first, {"x": [1, 2, 3], "y": [True, False]})
    first.set_user_attr("is_filled", True)
    other.join()
    assert seen == [6]


def test_programs_that_open_a_new_database_at_once_share_one_study(tmp_path: Path) -> None:
    import_optuna()
    made, together = [], threading.Barrier(4)

    def open_() -> None:
        together.wait()
        made.append(open_study("a", f"sqlite:///{tmp_path}/study.db", None, "maximize")[1])

    threads = [threading.Thread(target=open_) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [False, False, False, True]


def test_every_start_of_a_sweep_proposes_other_values() -> None:
    def first(seed: list[int]) -> float:
        return optuna.create_study(sampler=make_sampler("tpe", seed, 1)).ask().suggest_float("x", 0, 1)

    assert first([1, 0]) == first([1, 0])
    assert len({first([1, 0]), first([1, 5]), first([1, 0, 7]), first([2, 0])}) == 4


def test_a_value_that_is_not_finite_at_the_end_is_none(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    table = _Table(path, "a")
    path.write_text("iteration,a\n0,1.5\n1,\n")
    assert (table.new_values(), table.last) == ([(0, 1.5)], 1.5)
    path.write_text("iteration,a\n0,1.5\n1,\n2,nan\n3,\n")
    assert (table.new_values(), table.last) == ([], None)
    path.write_text("iteration,a\n0,1.5\n1,\n2,nan\n3,\n4,2.5\n5,inf\n")
    assert (table.new_values(), table.last) == ([(4, 2.5)], None)


def test_the_median_pruner_ends_what_is_worse_than_most() -> None:
    study = optuna.create_study(direction="maximize", pruner=make_pruner("median", 10))
    for value in (1.0, 2.0, 3.0, 4.0):
        trial = study.ask()
        trial.report(value, 5)
        study.tell(trial, value)
    good, bad = study.ask(), study.ask()
    good.report(2.6, 5)
    bad.report(2.4, 5)
    assert not good.should_prune()
    assert bad.should_prune()


def test_the_example_fits_its_task() -> None:
    sweep = read_sweep(str(ROOT / "examples/sweep_cartpole.yaml"))
    document = with_values(task_document(load_task(sweep.task)), sweep.overrides)
    assert len(checked_parameters(sweep.parameters, document)) == len(sweep.parameters) > 2
