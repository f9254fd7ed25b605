# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Sweeps: real trainings in processes of their own, killed and gone on with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml

from rsl_rl.cli.main import main
from rsl_rl.cli.sweep import study as sweep_study
from rsl_rl.cli.sweep.file import read_sweep
from rsl_rl.cli.sweep.space import checked_parameters, parse_option, task_document, with_values
from rsl_rl.cli.sweep.study import Trials, make_pruner, make_sampler, open_study
from rsl_rl.cli.train import environment_seed
from rsl_rl.config.task import load_task, read_task

ROOT = Path(__file__).parents[2]
LR = "runner.algorithm.learning_rate"
TASK: dict[str, Any] = {
    "env": "tests.cli.sweep_tasks:fixed",
    "num_envs": 2,
    "iterations": 6,
    "name": "fixed",
    "env_options": {"reward": 1},
    "runner": {
        "num_steps_per_env": 4,
        "save_interval": 50,
        "logger": None,
        "actor": {"class_name": "MLPModel", "hidden_dims": [4], "distribution_cfg": {"class_name": "BetaDistribution"}},
        "critic": {"class_name": "MLPModel", "hidden_dims": [4]},
        "algorithm": {"class_name": "PPO", "num_learning_epochs": 1, "num_mini_batches": 1},
    },
}
REWARDS = {"env_options.reward": {"choices": [2, 3, 10]}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with a task."""
    monkeypatch.chdir(tmp_path)
    Path("task.yaml").write_text(yaml.safe_dump(TASK))
    return tmp_path


def write(**values: Any) -> str:
    """Write a sweep's file."""
    file = {"task": "task.yaml", "parameters": REWARDS, "sampler": "grid", "pruner": "none", "trials": 3, **values}
    Path("s.yaml").write_text(yaml.safe_dump(file))
    return "s.yaml"


def started(*arguments: str) -> subprocess.Popen[str]:
    """Start a sweep as a user does, with its trainings in one process group."""
    return subprocess.Popen(
        [sys.executable, "-m", "rsl_rl", "sweep", *arguments],
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def wait_for(process: subprocess.Popen[str], pattern: str, count: int) -> None:
    """Return when there are so many files."""
    while len(list(Path().glob(pattern))) < count:
        assert process.poll() is None, process.communicate()[0]
        os.sched_yield()


def study_of(name: str = "s") -> Any:
    return optuna.load_study(study_name=name, storage=f"sqlite:///runs/sweeps/{name}/study.db")


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as exit_:
        main(["sweep", *arguments])
    assert exit_.value.code == 2
    return capsys.readouterr().err


def test_a_sweep_that_is_killed_goes_on_and_ends_with_the_best(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(overrides={"env_options.waits": "go"}, trials=9)  # a grid has three
    sweep = started(file, "--workers", "2")
    wait_for(sweep, "go.*", 2)
    os.killpg(sweep.pid, signal.SIGKILL)
    sweep.communicate()
    cut_off = study_of().get_trials()
    assert [trial.state.name for trial in cut_off] == ["RUNNING", "RUNNING", "WAITING"]

    Path("go").touch()
    main(["sweep", file, "--workers", "2"])
    printed = capsys.readouterr().out
    assert "trial_0000: its process is gone" in printed
    assert "3 of 3 trials are done (2 trained to the end, 1 failed)" in printed, printed
    assert "failed: RuntimeError: the simulator broke" in printed
    trials = study_of().get_trials()
    # What was lost was tried again, and only that.
    assert [trial.state.name for trial in trials[:2]] == ["FAIL", "FAIL"]
    assert len(trials) == 5
    by_reward = {trial.params["env_options.reward"]: trial.value for trial in trials[2:]}
    assert by_reward == {2: 4.0, 3: 6.0, 10: None}
    assert {trial.params["env_options.reward"] for trial in trials[3:]} == {
        trial.params["env_options.reward"] for trial in cut_off[:2]
    }

    best = Path("runs/sweeps/s/best.yaml")
    task = read_task(best)
    assert (task.env_options["reward"], task.iterations) == (3, 6)
    assert task.expected.startswith("Train/mean_reward 6.00 in trial ")
    main(["train", str(best), "--run-dir", "again", "--export", "False"])
    assert "reward 6.00, episode length 2" in capsys.readouterr().out
    # A trial is a run like any other.
    run = next(trial.user_attrs["run"] for trial in trials if trial.value == 4.0)
    assert read_task(Path(run) / "config.yaml").env_options["reward"] == 2
    main(["play", run, "--episodes", "2"])
    assert "4.00" in capsys.readouterr().out
    # There is nothing left to do, and nothing is done.
    main(["sweep", "runs/sweeps/s", "--show"])
    assert "| 6.00 |" in " ".join(capsys.readouterr().out.split())
    main(["sweep", "runs/sweeps/s"])
    assert len(study_of().get_trials()) == len(trials)
    # Its trials are not compared with those of another task.
    error = refused(capsys, file, "--overrides", "iterations=7")
    assert "was begun with other settings: task.iterations." in error


def test_a_bad_trial_is_pruned_and_its_run_is_whole(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pruner = "{class_name: ThresholdPruner, lower: 3, n_warmup_steps: 2}"
    options = ["--pruner", pruner, "--sampler", "random", "--trials", "1", "--overrides", "iterations=100000"]
    error = refused(capsys, "task.yaml", "--param", "env_options.reward=0.5..1.0", *options)
    assert "No trial was trained to its end" in error
    (trial,) = study_of("fixed").get_trials()
    assert trial.state.name == "PRUNED"
    assert trial.user_attrs["outcome"] == "pruned after 3 steps"
    assert trial.intermediate_values[2] == pytest.approx(2 * trial.params["env_options.reward"])
    run = Path(trial.user_attrs["run"])
    rows = (run / "metrics.csv").read_text().splitlines()
    assert 3 < len(rows) < 100_000
    assert (run / f"model_{len(rows) - 2}.pt").is_file()


def test_ctrl_c_ends_the_trainings_and_keeps_their_parameters(folder: Path) -> None:
    sweep = started(write(overrides={"env_options.waits": "go"}, sampler="random"))
    wait_for(sweep, "go.*", 1)
    sweep.send_signal(signal.SIGINT)
    Path("go").touch()
    printed = sweep.communicate()[0]
    assert sweep.returncode == 130, printed
    assert "stopped; its parameters are tried again" in printed
    assert "Traceback" not in printed
    assert "It goes on with: rsl-rl sweep runs/sweeps/s" in printed
    stopped, again = study_of().get_trials()
    assert (stopped.state.name, again.state.name) == ("FAIL", "WAITING")
    assert again.system_attrs["fixed_params"] == stopped.params
    assert list(Path("runs/sweeps/s/trial_0000").glob("model_*.pt"))


def test_several_seeds_count_with_their_mean(folder: Path) -> None:
    main(["sweep", write(trials=1, seeds=[4, 5], overrides={"env_options.by_seed": True})])
    (trial, *_) = study_of().get_trials()
    first, second = (2 + environment_seed(seed) % 7 for seed in (4, 5))
    assert first != second
    # Episodes have two steps.
    assert trial.value == first + second
    steps = trial.intermediate_values
    assert (steps[5], steps[6], max(steps)) == (2 * first, first + second, 11)
    assert read_task("runs/sweeps/s/trial_0000/seed_5/config.yaml").seed == 5


def test_a_wrong_metric_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = refused(capsys, write(metric="Train/mean_rewards"))
    assert "The metric 'Train/mean_rewards' is not among the numbers that trial_0000 has logged." in error
    assert "Did you mean 'Train/mean_reward'" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--param", f"{LR[:-1]}=log:1e-4..1e-2"], f"no 'runner.algorithm.learning_rat'. Did you mean '{LR}'"),
        (["--param", "learning-rate=1e-4..1e-2"], f"The task has no 'learning_rate'. Did you mean '{LR}'?"),
        (["--param", "runner.gamma=0.9..1.0"], "Did you mean 'runner.algorithm.gamma'?"),
        (["--param", "runner.algorithm.rnd_cfg.weight=1,2"], "'runner.algorithm.rnd_cfg' is not set in it"),
        (["--param", f"{LR}.low=1,2"], f"The task has no '{LR}.low'."),
        (["--param", "runner.actor.hidden_dims=64,32"], "cannot be 64: 'actor.hidden_dims' must be a list of int"),
        (["--param", f"{LR}=log:0..1"], "a logarithmic range is positive"),
        (["--param", f"{LR}=2..1"], "has no range: 'low' is 2, 'high' is 1"),
        (["--param", f"{LR}=a..b"], "needs a number as 'low', got 'a'"),
        (["--param", f"{LR}=1"], "a list of at least two choices, got [1]"),
        (["--param", LR], "write NAME=VALUES"),
        (["--param", "seed=1..5"], "'seed' cannot be a parameter of a sweep: give 'seeds'."),
        (["--param", f"{LR}=1..2", "--overrides", f"{LR}=1"], "both a parameter and one of the overrides"),
        (["--param", f"{LR}=1..2", "--overrides", "iteration=1"], "no 'iteration'. Did you mean 'iterations'"),
        (["--param", f"{LR}=1..2", "--overrides", "iterations=a"], "'iterations' must be int, got str: 'a'"),
        (["--param", f"{LR}=1..2", "--sampler", "tp"], "There is no sampler 'tp'. Did you mean 'tpe'?"),
        (["--param", f"{LR}=1..2", "--sampler", "grid"], "A grid needs parameters with 'choices' only."),
        (["--param", f"{LR}=1..2", "--sampler", "{class_name: GridSampler}"], "GridSampler cannot be used here"),
        (["--param", f"{LR}=1..2", "--pruner", "{class_name: MedianPrune}"], "Did you mean 'MedianPruner'"),
        (["--param", f"{LR}=1..2", "--pruner", "{class_name: MedianPruner, n: 1}"], "does not take these options"),
        (["--param", f"{LR}=1..2", "--trials", "-1"], "At least one trial and one worker are needed"),
        (["--param", f"{LR}=1..2", "--name", "a/b"], "'a/b' is no name of a folder"),
        (["--param", f"{LR}=1..2", "--storage", "nothing"], "The storage 'nothing' cannot be opened"),
        (["--show"], "There is no sweep 'fixed'"),
        ([], "Nothing is to be varied"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_trained(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert message in refused(capsys, "task.yaml", *arguments)
    assert not Path("runs").exists()


def test_a_wrong_file_is_explained(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "unknown key 'trial'. Did you mean 'trials'" in refused(capsys, write(trial=3))
    assert "'trials' must be int, got str: 'many'" in refused(capsys, write(trials="many"))
    section = {"low": 1, "hihg": 2}
    assert "unknown key 'hihg'. Did you mean 'high'?" in refused(capsys, write(parameters={LR: section}))
    assert "There is no task 'cartpol'" in refused(capsys, write(task="cartpol"))


def test_without_optuna_the_install_line_is_shown(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert 'pip install "rsl-rl-lib[sweep]"' in refused(capsys, write())


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


def opened(folder: Path) -> Any:
    return open_study("a", f"sqlite:///{folder}/study.db", make_sampler("random", [1], 1), None, "maximize")


def test_trials_of_a_machine_that_died_are_tried_again_three_times(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, mine = Trials(opened(folder)), Trials(opened(folder))
    monkeypatch.setattr(theirs, "_host", "elsewhere")
    drawn = []
    for _ in range(sweep_study.MAX_ATTEMPTS):
        trial = theirs.begin()
        drawn.append(trial.suggest_float("x", 0, 1))
        assert mine.lost() == []
        trial.set_user_attr("beat", 1)
        monkeypatch.setattr(sweep_study, "LOST_AFTER", -1.0)
        assert mine.lost() == []  # It has been heard.
        (lost,) = mine.lost()
        assert mine.give_back(lost)
        assert not theirs.give_back(lost)  # Somebody did that already.
        monkeypatch.undo()
        monkeypatch.setattr(theirs, "_host", "elsewhere")
    assert len(set(drawn)) == 1
    assert mine.finished() == []
    assert theirs.begin().suggest_float("x", 0, 1) != drawn[0]


def test_a_trial_of_a_living_process_is_not_lost(folder: Path) -> None:
    theirs, mine = Trials(opened(folder)), Trials(opened(folder))
    trial = theirs.begin()
    assert mine.lost() == []
    theirs.end(trial, "FAIL", "diverged")
    # It failed by itself and counts.
    assert [ended.number for ended in mine.finished()] == [trial.number]


def test_every_start_of_a_sweep_proposes_other_values() -> None:
    def first(seed: list[int]) -> float:
        return optuna.create_study(sampler=make_sampler("tpe", seed, 1)).ask().suggest_float("x", 0, 1)

    assert first([1, 0]) == first([1, 0])
    assert len({first([1, 0]), first([1, 5]), first([1, 0, 7]), first([2, 0])}) == 4


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
