# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Sweeps: real trainings in processes of their own, killed and gone on with."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml

from rsl_rl.cli.main import main
from rsl_rl.cli.own_process import own_command, own_environment
from rsl_rl.cli.sweep.result import write_best
from rsl_rl.cli.sweep.space import Parameter
from rsl_rl.cli.sweep.study import (
    Trials,
)
from rsl_rl.cli.sweep.sweep_command import SweepArguments, _prepared, _Sweeping
from rsl_rl.cli.sweep.sweep_file import Sweep, changed_by, read_sweep
from rsl_rl.cli.sweep.trials import Place, Plan, RunningTrial
from rsl_rl.cli.train import environment_seed
from rsl_rl.config.task import read_task

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


def pipes() -> None:
    """Let the environment of a training wait in the middle."""
    os.mkfifo("go")
    os.mkfifo("go_on")


def is_waiting(is_alive: Callable[[], bool]) -> bool:
    """Return whether an environment waits, before what trains with it has ended."""
    pipe = os.open("go", os.O_RDONLY | os.O_NONBLOCK)
    while not (found := select.select([pipe], [], [], 0.1)[0]) and is_alive():
        pass
    os.close(pipe)
    return bool(found)


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
    rewards = {"env_options.reward": {"choices": [3, 10]}}
    file = write(overrides={"env_options.waits": "go"}, parameters=rewards, trials=9)  # a grid has two
    pipes()
    sweep = started(file)
    is_begun = is_waiting(lambda: sweep.poll() is None)
    os.killpg(sweep.pid, signal.SIGKILL)
    assert is_begun, sweep.communicate()[0]
    sweep.communicate()
    lost, waiting = study_of().get_trials()
    assert (lost.state.name, waiting.state.name) == ("RUNNING", "WAITING")

    for name in ("go", "go_on"):
        Path(name).unlink()
        Path(name).touch()
    main(["sweep", file, "--workers", "2"])
    printed = capsys.readouterr().out
    assert "trial_0000: its process is gone; its parameters are tried again" in printed
    assert "2 of 2 trials are done (1 trained to the end, 1 failed)" in printed, printed
    assert "failed: RuntimeError: the simulator broke" in printed
    trials = study_of().get_trials()
    # What was lost was tried again, and only that.
    assert [trial.state.name for trial in trials] == ["FAIL", "FAIL", "COMPLETE"]
    assert [trial.params["env_options.reward"] for trial in trials] == [3, 10, 3]
    assert trials[2].value == 6.0  # Episodes have two steps.

    best = Path("runs/sweeps/s/best.yaml")
    task = read_task(best)
    assert (task.env_options["reward"], task.iterations) == (3, 6)
    assert task.expected.startswith("Train/mean_reward 6.00 in trial ")
    main(["train", str(best), "--run-dir", "again", "--export", "False"])
    assert "reward 6.00, episode length 2" in capsys.readouterr().out
    # A trial is a run like any other.
    run = trials[2].user_attrs["run"]
    assert read_task(Path(run) / "config.yaml").env_options["reward"] == 3
    main(["play", run, "--episodes", "2"])
    assert "6.00" in capsys.readouterr().out
    # There is nothing left to do, and nothing is done.
    main(["sweep", "runs/sweeps/s", "--show", "--param", "seed=1,2", "--metric", "Loss/value"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "| 6.00 |" in shown
    assert "What made the difference" not in shown  # One trial says nothing about that.
    main(["sweep", "runs/sweeps/s"])
    assert len(study_of().get_trials()) == len(trials)
    for value in (3, 10) * 5:
        study_of().add_trial(
            optuna.create_trial(
                params={"env_options.reward": value}, distributions=trials[2].distributions, value=float(value)
            )
        )
    capsys.readouterr()
    main(["sweep", "runs/sweeps/s", "--show"])
    assert "What made the difference: env_options.reward 100%" in capsys.readouterr().out
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


def test_ctrl_c_ends_the_trainings_and_keeps_their_parameters(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = threading.main_thread()

    def press() -> None:
        if is_waiting(sweep.is_alive):
            os.kill(os.getpid(), signal.SIGINT)
            Path("go_on").write_text("")

    pipes()
    file = write(overrides={"env_options.waits": "go"}, sampler="random")
    threading.Thread(target=press, daemon=True).start()
    with pytest.raises(SystemExit) as exit_:
        main(["sweep", file])
    printed = capsys.readouterr().out
    assert exit_.value.code == 130, printed
    assert "stopped; its parameters are tried again" in printed
    assert "Continue it with: rsl-rl sweep runs/sweeps/s" in printed
    stopped, again = study_of().get_trials()
    assert (stopped.state.name, again.state.name) == ("FAIL", "WAITING")
    assert again.system_attrs["fixed_params"] == stopped.params
    assert list(Path("runs/sweeps/s/trial_0000").glob("model_*.pt"))


def test_several_seeds_count_with_their_mean(folder: Path) -> None:
    main(["sweep", write(trials=1, seeds=[4, 5], overrides={"env_options.by_seed": True, "iterations": 2})])
    (trial, *_) = study_of().get_trials()
    first, second = (2 + environment_seed(seed) % 7 for seed in (4, 5))
    assert first != second
    # Episodes have two steps.
    assert trial.value == first + second
    steps = trial.intermediate_values
    assert (steps[1], steps[2], max(steps)) == (2 * first, first + second, 3)
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
        (["--param", f"{LR}=1..2", "--trials", "-1"], "'trials' must be at least 1, got -1"),
        (["--param", f"{LR}=1..2", "--workers", "0"], "'workers' must be at least 1, got 0"),
        (["--param", f"{LR}=1..2", "--seeds", "1", "2", "1"], "Each seed counts once: 'seeds' is [1, 2, 1]."),
        (["--param", f"{LR}=1..2", "--name", "a/b"], "'a/b' is not a valid folder name"),
        (["--param", f"{LR}=1..2", "--storage", "nothing"], "The storage 'nothing' cannot be opened"),
        (["--show"], "There is no sweep 'fixed'"),
        ([], "There is nothing to vary"),
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


def test_a_sweep_without_a_name_is_called_after_its_task() -> None:
    assert changed_by(Sweep(task="gym:Größe::x"), {}, SweepArguments(what="")).name == "gym-Größe--x"


def test_without_optuna_the_install_line_is_shown(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert "pip install optuna" in refused(capsys, write())


def prepared(**values: Any) -> tuple[Sweep, Plan, Any, SweepArguments]:
    """Return what a sweep begins with."""
    chosen = SweepArguments(what=write(**values))
    return *_prepared(read_sweep(chosen.what), chosen), chosen


def test_a_signal_while_a_trial_is_begun_stops_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suggest = Parameter.suggest

    def interrupted(self: Parameter, trial: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return suggest(self, trial)

    monkeypatch.setattr(Parameter, "suggest", interrupted)
    with pytest.raises(SystemExit) as exit_:
        main(["sweep", write(trials=1)])
    assert exit_.value.code == 143
    assert [trial.state.name for trial in study_of().get_trials()] == ["FAIL", "WAITING", "WAITING", "WAITING"]
    assert not Path("runs/sweeps/s/trial_0000").exists()


def test_a_signal_while_the_next_seed_is_begun_stops_it(folder: Path) -> None:
    class Interrupted(RunningTrial):
        def task(self) -> dict[str, Any]:
            self.is_stopped = True  # As the handler of the signal does.
            return super().task()

    _, plan, study, _ = prepared()
    trial = Interrupted(plan, Trials(study), Place())
    trial._process.wait()
    assert trial.poll() == "stopped; its parameters are tried again"
    assert not Path("runs/sweeps/s/trial_0000").exists()


def test_a_trial_that_was_taken_over_is_left(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep, plan, study, chosen = prepared(trials=1)
    sweeping = _Sweeping(sweep, plan, study, chosen)
    sweeping._begin_trials()
    (trial,) = sweeping._active
    Trials(study).give_back(trial.frozen())
    table = Path(trial.trial.user_attrs["run"]) / "metrics.csv"
    table.parent.mkdir()
    table.write_text("iteration,Train/mean_reward\n0,1.0\n")
    sweeping._follow(trial)
    assert "trial_0000: taken over elsewhere" in capsys.readouterr().out
    assert trial._process.returncode == -signal.SIGKILL
    assert (sweeping._active, len(sweeping._free)) == ([], 1)


def test_a_database_that_breaks_is_explained_and_nothing_goes_on(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, begun = RunningTrial._train_next_seed, []

    def begin_and_break(self: RunningTrial) -> None:
        begin(self)
        begun.append(self._process)
        if len(begun) == 2:
            Path("runs/sweeps/s/study.db").write_bytes(b"no database" * 10_000)

    monkeypatch.setattr(RunningTrial, "_train_next_seed", begin_and_break)
    error = refused(capsys, write(), "--workers", "2")
    assert "study.db' no longer works: " in error
    assert [process.returncode for process in begun] == [-signal.SIGKILL] * 2


def test_runs_that_the_database_does_not_know_are_not_mixed_with_new_ones(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write()
    Path("runs/sweeps/s/trial_0000").mkdir(parents=True)
    Path("runs/sweeps/s/sweep.yaml").write_text(Path(file).read_text())
    message = "'runs/sweeps/s' holds trials that {} does not know: remove that folder to start over, or choose --name."
    assert message.format("no study.db") in refused(capsys, file)
    assert not Path("runs/sweeps/s/study.db").exists()
    assert message.format("the database") in refused(capsys, file, "--storage", f"sqlite:///{folder}/shared.db")


def test_what_a_shared_database_does_not_hold_is_not_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    storage = f"sqlite:///{folder}/shared.db"
    assert "There is no sweep 's' in 'sqlite:///" in refused(capsys, write(), "--show", "--storage", storage)
    assert optuna.get_all_study_names(storage) == []


@pytest.mark.parametrize(("direction", "expected"), [("maximize", 10), ("minimize", 2)])
def test_the_best_trial_is_written_as_a_task(folder: Path, direction: str, expected: int) -> None:
    _, plan, study, _ = prepared(direction=direction)
    for _ in range(3):
        trial = study.ask()
        study.tell(trial, plan.parameters[0].suggest(trial))
    write_best(study, plan)
    assert read_task("runs/sweeps/s/best.yaml").env_options["reward"] == expected


def test_further_processes_run_this_library_and_not_that_of_the_working_folder(folder: Path) -> None:
    for package in ("rsl_rl", "runpy"):
        Path(package).mkdir()
        Path(package, "__init__.py").write_text("raise SystemExit('another one')")
    done = subprocess.run(
        own_command("rsl_rl.cli.sweep.trial_process"), env=own_environment(), capture_output=True, text=True
    )
    assert "not enough values to unpack" in done.stderr, done.stderr
