# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The command line, in this process: what it prints, writes and refuses."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from tensordict import TensorDict

from rsl_rl.checkpoint import read_checkpoint
from rsl_rl.cli.main import main
from rsl_rl.cli.own_runs import without_seal
from rsl_rl.config.task import judged_options, load_task, read_task, task_names, write_task
from rsl_rl.runners import OnPolicyRunner
from rsl_rl.utils.yaml_text import parse_yaml_text
from tests.env.layouts import old_point
from tests.env.toys import register
from tests.envs import PointEnv

register()
SMALL = ["--num-envs", "4", "--iterations", "3", "--runner.num-steps-per-env", "8", "--threads", "1"]
SMALL += ["--runner.actor.hidden-dims", "8", "--runner.critic.hidden-dims", "8"]
NO_EXPORT = ["--export", "False"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a small run once; the folder is not to be changed."""
    folder = tmp_path_factory.mktemp("made") / "run"
    main(["train", "gym:Drift-v0", *SMALL, "--run-dir", str(folder)])
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the run in a working folder of its own."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(made, tmp_path / "run"))


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that the user got wrong; return the one message."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as exit_:
        main(list(arguments))
    assert exit_.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "Traceback" not in error
    return error


def metrics(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if not k.startswith("Perf/")} for row in csv.DictReader(file)]


def test_a_run_folder_holds_everything(run: Path) -> None:
    names = {str(file.relative_to(run)) for file in run.rglob("*") if file.is_file()}
    expected = {"config.yaml", "metrics.csv", "model_0.pt", "model_2.pt", "learning_curve.png"}
    assert expected | {"exports/policy.onnx", "exports/policy.pt", "exports/policy.pt2"} <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    assert [row["iteration"] for row in metrics(run)] == ["0", "1", "2"]
    assert (run / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    task = read_task(run / "config.yaml")
    assert (task.num_envs, task.iterations, task.runner.obs_groups["actor"]) == (4, 3, ["policy"])


def test_same_seed_same_numbers_and_another_seed_others(run: Path) -> None:
    config = str(run / "config.yaml")
    for name, seed in (("again", "1"), ("other", "2")):
        main(["train", config, *NO_EXPORT, "--run-dir", name, "--seed", seed])
    assert metrics(run.parent / "again") == metrics(run)
    assert metrics(run.parent / "other") != metrics(run)


def test_a_run_that_exists_is_left_alone(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    error = fails(capsys, "train", "gym:Drift-v0", *SMALL, "--run-dir", str(run))
    assert "exists already and is not empty; nothing in it was changed" in error
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == before


def test_runs_without_a_chosen_folder_are_filed_by_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        main(["train", "gym:Drift-v0", *SMALL, *NO_EXPORT, "--iterations", "1"])
    assert len(list(Path("runs/gym-Drift-v0").iterdir())) == 2


def test_every_value_is_reachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--runner.algorithm.learning-rate", "3e-4", "--runner.algorithm.schedule", "fixed", "--seed", "3"]
    options += ["--runner.actor.distribution-cfg.init-std", "0.3", "--device", "cpu", *NO_EXPORT]
    main(["train", "gym:Drift-v0", *SMALL, *options, "--run-dir", "run"])
    task = read_task("run/config.yaml")
    assert (task.seed, task.runner.algorithm.learning_rate) == (3, 3e-4)
    assert task.runner.actor.distribution_cfg.init_std == 0.3
    assert metrics(tmp_path / "run")[-1]["Loss/learning_rate"] == "0.0003"


def test_actor_and_critic_see_the_groups_named_after_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    main(["train", "tests.env.layouts:old_point", *SMALL, *NO_EXPORT, "--iterations", "1", "--run-dir", "run"])
    assert read_task("run/config.yaml").runner.obs_groups == {"actor": ["policy"], "critic": ["privileged"]}
    capsys.readouterr()
    main(["play", "run", "--episodes", "2", "--json"])
    assert len(json.loads(capsys.readouterr().out)["returns"]) == 2


class Unnamed(PointEnv):
    """Gives groups of names that mean nothing."""

    def get_observations(self) -> TensorDict:
        groups = super().get_observations()
        return TensorDict({"a": groups["policy"], "b": groups["privileged"]}, groups.batch_size)

    def step(self, actions: torch.Tensor) -> Any:
        _, *others = super().step(actions)
        return self.get_observations(), *others


def test_that_all_groups_are_taken_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["train", "tests.cli.test_commands:Unnamed", *SMALL, *NO_EXPORT, "--iterations", "1"]
    main([*arguments, "--run-dir", "all"])
    assert "nor 'policy': actor and critic see all groups: b, a." in capsys.readouterr().err.replace("a, b", "b, a")
    main([*arguments, "--run-dir", "one", "--runner.obs-groups.actor", "a", "--runner.obs-groups.critic", "a", "b"])
    assert "all groups" not in capsys.readouterr().err
    assert read_task("one/config.yaml").runner.obs_groups == {"actor": ["a"], "critic": ["a", "b"]}


USER_FILE = """
runner:
  class_name: OnPolicyRunner
  num_steps_per_env: 8
  max_iterations: 2
  seed: 7
  obs_groups: {actor: [policy], critic: [policy]}
  save_interval: 50
  experiment_name: walking
  algorithm: {class_name: PPO, learning_rate: 1e-3, num_mini_batches: 2}
  actor:
    class_name: rsl_rl.models:MLPModel
    hidden_dims: [8]
    distribution_cfg: {class_name: GaussianDistribution, init_std: 1}
  critic: {class_name: MLPModel, hidden_dims: [8]}
"""


def test_a_file_in_the_layout_of_existing_users_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(USER_FILE)
    assert "name one with --env" in fails(capsys, "train", "mine.yaml")
    main(["train", "mine.yaml", "--env", "gym:Drift-v0", "--num-envs", "4", "--run-dir", "run"])
    task = read_task("run/config.yaml")
    assert (task.iterations, task.seed, task.runner.algorithm.learning_rate) == (2, 7, 1e-3)
    assert task.runner.to_dict()["experiment_name"] == "walking"
    assert len(metrics(tmp_path / "run")) == 2


STUDENT_FILE = """
env: gym:Drift-v0
num_envs: 4
iterations: 2
env_options:
  groups: {seen: "0:2", hidden: [2]}
runner:
  class_name: DistillationRunner
  num_steps_per_env: 8
  save_interval: 5
  obs_groups: {student: [seen]}
  algorithm: {class_name: Distillation, gradient_length: 4}
  student: {class_name: RNNModel, rnn_type: gru, rnn_hidden_dim: 8, hidden_dims: [8]}
"""


def test_a_student_learns_from_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("student.yaml").write_text(STUDENT_FILE)
    teacher, _, _ = STUDENT_FILE.replace("DistillationRunner", "OnPolicyRunner").partition("  algorithm:")
    teacher = teacher.replace("student: [seen]", "actor: [seen, hidden], critic: [seen]")
    Path("teacher.yaml").write_text(teacher)
    main(["train", "teacher.yaml", *SMALL, *NO_EXPORT, "--run-dir", "taught"])
    assert "needs a teacher: add --teacher RUN" in fails(capsys, "train", "student.yaml")
    assert "has no section 'student'" in fails(capsys, "train", "teacher.yaml", "--teacher", "taught")
    assert not Path("runs").exists()

    main(["train", "student.yaml", "--teacher", "taught", "--run-dir", "run"])
    runner = read_task("run/config.yaml").runner
    assert runner.obs_groups == {"student": ["seen"], "teacher": ["seen", "hidden"]}
    assert runner.teacher_checkpoint == str(tmp_path / "taught" / "model_2.pt")
    assert [row["iteration"] for row in metrics(tmp_path / "run")] == ["0", "1"]
    results = {}
    for kind in ("checkpoint", "onnx", "torchscript", "pt2"):
        main(["play", "run", "--policy", kind, "--episodes", "6", "--json"])
        results[kind] = json.loads(capsys.readouterr().out.splitlines()[-1])["returns"]
        assert results[kind] == pytest.approx(results["checkpoint"], rel=1e-4)
    # A student can be a teacher, too.
    main(["train", "student.yaml", "--teacher", "run", *NO_EXPORT, "--run-dir", "again"])

    # The same again, from another folder; and on, although the teacher's file is gone.
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    main(["train", "../run/config.yaml", *NO_EXPORT, "--run-dir", "repeated"])
    assert metrics(Path("repeated")) == metrics(tmp_path / "run")
    (tmp_path / "taught" / "model_2.pt").unlink()
    before = without_seal((tmp_path / "run" / "config.yaml").read_text())
    assert "holds its teacher" in fails(capsys, "train", "--resume", "../run", "--teacher", "../again")
    main(["train", "--resume", "../run", "--iterations", "3", *NO_EXPORT])
    assert "configuration" not in capsys.readouterr().out
    after = without_seal((tmp_path / "run" / "config.yaml").read_text())
    assert after == before.replace("iterations: 2", "iterations: 3")


LEGGED_GYM_FILE = """
seed: 7
policy: {init_noise_std: 0.5, actor_hidden_dims: [8], critic_hidden_dims: [8], activation: elu}
algorithm: {num_mini_batches: 2, learning_rate: 1e-3}
runner:
  policy_class_name: ActorCritic
  algorithm_class_name: PPO
  num_steps_per_env: 8
  max_iterations: 2
  save_interval: 50
  experiment_name: walking
"""


def test_a_bare_configuration_of_an_early_release_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("old.yaml").write_text(LEGGED_GYM_FILE)
    main(["train", "old.yaml", "--env", "gym:Drift-v0", *NO_EXPORT, "--num-envs", "4", "--run-dir", "run"])
    assert capsys.readouterr().err.count("was translated") == 1
    task = read_task("run/config.yaml")
    assert (task.seed, task.iterations, task.runner.actor.distribution_cfg.init_std) == (7, 2, 0.5)
    assert Path("run/model_1.pt").is_file()


def test_a_file_without_observation_groups_gets_those_that_the_runner_would_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("old.yaml").write_text(LEGGED_GYM_FILE)
    main(["migrate", "old.yaml", "--output", "new.yaml"])
    for name in ("old", "new"):
        options = ["--num-envs", "4", "--iterations", "1", *NO_EXPORT, "--run-dir", name]
        main(["train", f"{name}.yaml", "--env", "tests.env.layouts:old_point", *options])
        assert read_task(f"{name}/config.yaml").runner.obs_groups == {"actor": ["policy"], "critic": ["privileged"]}
        runner = OnPolicyRunner(old_point(4, 1, "cpu"), parse_yaml_text(Path(f"{name}.yaml").read_text()))
        assert runner.alg.critic.obs_groups == ["privileged"]


def test_an_environment_beside_the_user_is_found(tmp_path: Path) -> None:
    (tmp_path / "my_points.py").write_text("from tests.env.layouts import old_point as make\n")
    command = [str(Path(sys.executable).with_name("rsl-rl")), "train", "my_points:make"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([*command, *SMALL, *NO_EXPORT, "--run-dir", "run"], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "run" / "config.yaml").is_file()


def test_several_loggers_are_given_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    main(["train", "gym:Drift-v0", *SMALL, *NO_EXPORT, "--runner.logger", "[tensorboard, none]", "--run-dir", "run"])
    assert read_task("run/config.yaml").runner.logger == ["tensorboard", "none"]


def test_loggers_that_are_no_yaml_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert "expected the node content" in fails(capsys, "train", "gym:Drift-v0", "--runner.logger", "[tensorboard, {")


def test_a_run_in_which_no_episode_ends_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--num-envs", "2", "--iterations", "1", "--init-at-random-ep-len", "False"]
    main(["train", "gym:Pendulum-v1", *options, *NO_EXPORT])
    assert "  no episode has ended yet\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("num_mini_batches", "num_minibatches", "PPO has no option 'num_minibatches' (in 'algorithm'). Did you mean"),
        ("init_std: 1", "init_std: wide", "'actor.distribution_cfg.init_std' must be float, got str: 'wide'"),
        ("class_name: PPO", "class_name: PPOO", "Unknown name 'PPOO'. Did you mean 'PPO'"),
        ("actor: [policy]", "actor: [polcy]", "'actor' asks for the group 'polcy'"),
        ("actor: [policy]", "actor: []", "Observation set 'actor' is empty"),
        ("runner:", "runer:", "it needs a section 'runner'"),
        ("runner:", "itertions: 3\nrunner:", "unknown key 'itertions'. Did you mean 'iterations'"),
        ("runner:", "runner: [", "not a readable YAML file"),
        ("save_interval: 50", "", "lacks the required key 'save_interval'"),
    ],
)
def test_wrong_files_are_explained(
    old: str, new: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert old in USER_FILE
    Path("mine.yaml").write_text(USER_FILE.replace(old, new, 1))
    error = fails(capsys, "train", "mine.yaml", "--env", "gym:Drift-v0", "--num-envs", "4")
    assert message in error
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "no command 'trian'. Did you mean 'train'"),
        (["train", "go1-joystik-flat"], "no task 'go1-joystik-flat'. Did you mean 'go1-joystick-flat'"),
        (["train", "nothing.yaml"], "There is no file 'nothing.yaml'"),
        (["train", "gym:Drfit-v0"], "no environment 'Drfit-v0'. Did you mean 'Drift-v0'"),
        (["train", "gym:CartPole-v1"], "The action space is Discrete(2)"),
        (["play", "nothing"], "There is no run 'nothing'"),
        (["play", "cartpole-balance"], "has no run under 'runs' yet. Train it: rsl-rl train cartpole-balance"),
        (["export", "nothing"], "There is no run 'nothing'"),
    ],
)
def test_wrong_arguments_are_explained(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in fails(capsys, *arguments)
    assert list(tmp_path.iterdir()) == []


def test_play_gives_the_same_result_from_every_file(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = {}
    for kind in ("checkpoint", "onnx", "torchscript", "pt2"):
        main(["play", str(run), "--policy", kind, "--episodes", "6", "--json"])
        results[kind] = json.loads(capsys.readouterr().out)
    assert Path(results["onnx"]["policy"]).name == "policy.onnx"
    assert len(results["checkpoint"]["returns"]) == 6
    for kind in ("onnx", "torchscript", "pt2"):
        assert results[kind]["lengths"] == results["checkpoint"]["lengths"]
        assert results[kind]["returns"] == pytest.approx(results["checkpoint"]["returns"], rel=1e-4)


def test_play_prints_return_length_and_what_the_environment_reports(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["play", "run", "--episodes", "4"])
    printed = capsys.readouterr().out
    for part in ("model_2.pt", "4 episodes", "return ", "length ", "height "):
        assert part in printed


def test_play_finds_a_checkpoint_and_an_exported_file_by_name(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["export", str(run), "--output", str(run / "deploy")])
    capsys.readouterr()
    names = ("policy.onnx", "policy.pt", "policy.pt2")
    for file in ("model_0.pt", *(f"{folder}/{name}" for folder in ("exports", "deploy") for name in names)):
        main(["play", str(run / file), "--episodes", "1", "--json"])
        assert Path(json.loads(capsys.readouterr().out)["policy"]) == run / file
    main(["play", str(run / "model_0.pt"), "--policy", "torchscript", "--episodes", "1", "--json"])
    assert Path(json.loads(capsys.readouterr().out)["policy"]).name == "policy.pt"


def test_what_acts_and_what_is_known_of_the_task_is_said(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = read_task(run / "config.yaml")
    write_task(dataclasses.replace(task, expected="it drifts"), run / "config.yaml")
    main(["play", "run", "--policy", "onnx", "--episodes", "2"])
    printed = capsys.readouterr().out
    assert "policy.onnx (from model_2.pt)\n" in printed
    assert "Expected of this task: it drifts\n" in printed
    main(["eval", "run", "--episodes", "2"])
    assert "Expected of gym-Drift-v0: it drifts\n" in capsys.readouterr().out


def test_a_task_is_played_from_its_newest_run_with_a_checkpoint(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(run, "runs/drift/1")
    Path("runs/drift/2").mkdir()
    shutil.copy(run / "config.yaml", "runs/drift/2/config.yaml")
    os.utime("runs/drift/1/config.yaml", (0, 0))
    main(["play", "drift", "--episodes", "2"])
    assert "runs/drift/1/model_2.pt" in capsys.readouterr().out


def test_export_writes_where_asked(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["export", str(run / "model_0.pt"), "--formats", "onnx", "--output", str(tmp_path / "out")])
    assert "(checked, " in capsys.readouterr().out
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["policy.onnx"]


def test_damaged_checkpoints_are_explained(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole, first = (run / "model_2.pt").read_bytes(), (run / "model_0.pt").read_bytes()
    (run / "model_2.pt").write_bytes(whole[: len(whole) // 2])
    assert "model_2.pt' is not a checkpoint, or it is damaged" in fails(capsys, "play", str(run / "model_2.pt"))
    # Where only the run is named, the newest that can be read is meant.
    main(["play", str(run), "--episodes", "2"])
    printed = capsys.readouterr()
    assert "Skipped a checkpoint" in printed.err
    assert "model_0.pt" in printed.out
    (run / "model_0.pt").write_bytes(b"something else")
    with pytest.raises(SystemExit):
        main(["export", str(run)])
    assert "error: None of the 2 checkpoints" in capsys.readouterr().err
    (run / "model_0.pt").write_bytes(first)
    other = ["--run-dir", "other", "--runner.actor.hidden-dims", "9"]
    checkpoint = ["--checkpoint", str(run / "model_0.pt")]
    error = fails(capsys, "train", "gym:Drift-v0", *SMALL, *other, *checkpoint)
    assert "does not fit the actor; nothing was loaded" in error
    assert "mlp.0.weight: the checkpoint has [8, 3], the actor needs [9, 3]" in error
    assert not Path("other").exists()


def test_a_run_without_a_checkpoint_begins_anew_in_its_folder(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = metrics(run)
    for file in run.glob("*.pt"):  # as after a kill in the first iterations
        file.unlink()
    main(["train", "--resume", "run", *NO_EXPORT])
    assert "holds a run already" not in capsys.readouterr().err
    assert metrics(run) == whole


def test_a_run_from_anothers_checkpoint_that_has_none_of_its_own_begins_anew(run: Path) -> None:
    more = [*NO_EXPORT, "--checkpoint", str(run / "model_2.pt")]
    main(["train", str(run / "config.yaml"), *more, "--run-dir", "more"])
    whole = metrics(run.parent / "more")
    for file in (run.parent / "more").glob("*.pt"):
        file.unlink()
    table = run.parent / "more" / "metrics.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:2]))  # It was killed after one iteration.
    main(["train", "--resume", "more", *NO_EXPORT])
    assert [row["iteration"] for row in whole] == ["3", "4", "5"]
    assert metrics(run.parent / "more") == whole
    # The same again begins where it began, too.
    main(["train", "more/config.yaml", *NO_EXPORT, "--run-dir", "again"])
    assert metrics(run.parent / "again") == whole


def test_a_run_is_not_a_task(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "To continue it: rsl-rl train --resume run." in fails(capsys, "train", "run")


def test_what_a_run_was_made_with_so_far_is_kept_when_it_goes_on_with_something_else(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = without_seal((run / "config.yaml").read_text())
    main(["train", "--resume", "run", "--iterations", "4", *NO_EXPORT])
    assert not list(run.glob("config_*"))
    main(["train", "--resume", "run", "--iterations", "5", "--runner.algorithm.gamma", "0.5", *NO_EXPORT])
    assert "up to now is kept: run/config_until_4.yaml" in capsys.readouterr().out
    kept = without_seal((run / "config_until_4.yaml").read_text())
    assert kept == before.replace("iterations: 3", "iterations: 4")
    assert read_task(run / "config.yaml").runner.algorithm.gamma == 0.5  # type: ignore[union-attr]


def test_colors_that_others_put_into_warnings_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--version"])
    shown = warnings.showwarning
    try:
        main(["train", "--help"])
    except SystemExit:
        warnings.showwarning("\x1b[33mWARN: low\x1b[0m", UserWarning, "file", 1)
    finally:
        warnings.showwarning = shown
    assert "warning: WARN: low\n" in capsys.readouterr().err


def test_training_goes_on_from_a_checkpoint(run: Path) -> None:
    checkpoint = ["--checkpoint", str(run / "model_2.pt")]
    main(["train", str(run / "config.yaml"), *checkpoint, *NO_EXPORT, "--run-dir", "more"])
    assert [row["iteration"] for row in metrics(run.parent / "more")] == ["3", "4", "5"]
    # Of its own iterations it has made three, so two more are missing, and they are all that is made.
    main(["train", "--resume", "more", "--iterations", "5", *NO_EXPORT])
    assert [row["iteration"] for row in metrics(run.parent / "more")] == ["3", "4", "5", "6", "7"]


def test_a_run_from_anothers_checkpoint_anneals_over_its_own_iterations(run: Path) -> None:
    more = run.parent / "more"
    options = ["--runner.anneal", "entropy_coef=0.4", "--runner.algorithm.entropy-coef", "0.1"]
    checkpoint = ["--checkpoint", str(run / "model_2.pt"), "--runner.save-interval", "1"]
    main(["train", str(run / "config.yaml"), *checkpoint, *options, *NO_EXPORT, "--run-dir", "more"])

    def annealed(name: str) -> float:
        """Return what the iteration after a checkpoint learns with."""
        return read_checkpoint(more / name)["numbers"]["entropy_coef"]

    assert [annealed(f"model_{index}.pt") for index in (3, 4)] == pytest.approx([0.25, 0.4])
    for file in more.glob("*.pt"):
        if file.name != "model_3.pt":
            file.unlink()
    main(["train", "--resume", "more", *NO_EXPORT])
    assert annealed("model_4.pt") == pytest.approx(0.4)


def test_tasks_are_listed_and_readable(capsys: pytest.CaptureFixture[str]) -> None:
    main(["tasks"])
    printed = capsys.readouterr().out
    assert {"ant", "cartpole-balance", "go1-joystick-flat", "go1-teacher", "go1-student"} <= set(task_names())
    for name in task_names():
        assert name in printed
        assert load_task(name).expected


def test_policies_are_played_and_judged_in_the_environment_that_is_meant_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("task.yaml").write_text(
        "env: mujoco:go1-walk\nenv_options: {episode_seconds: 4.0, standing: 1.0}\n"
        "eval_env_options: {episode_seconds: 0.1, rewards: {gait: 0.0}}\nnum_envs: 2\niterations: 2\n"
        "eval_interval: 1\neval_episodes: 2\nrunner:\n  num_steps_per_env: 8\n  save_interval: 50\n"
        "  obs_groups: {actor: [actor], critic: [critic]}\n  algorithm: {class_name: PPO}\n"
        "  actor: {class_name: MLPModel, hidden_dims: [8], distribution_cfg: {class_name: GaussianDistribution}}\n"
        "  critic: {class_name: MLPModel, hidden_dims: [8]}\n"
    )
    given = ["--eval-env-options", "episode_seconds=0.2", "noise_level=0.0"]
    main(["train", "task.yaml", *given, *NO_EXPORT, "--run-dir", "run"])
    task = read_task("run/config.yaml")
    assert task.env_options == {"episode_seconds": 4.0, "standing": 1.0}
    # What is given on the command line is added to what the file says.
    assert task.eval_env_options == {"episode_seconds": 0.2, "rewards": {"gait": 0.0}, "noise_level": 0.0}
    assert judged_options(task) == {**task.env_options, **task.eval_env_options}
    assert [float(row["Eval/mean_episode_length"]) for row in metrics(Path("run"))] == [10.0, 10.0]
    capsys.readouterr()
    main(["play", "run", "--episodes", "2", "--json"])
    assert json.loads(capsys.readouterr().out)["lengths"] == [10, 10]
    main(["eval", "run", "--episodes", "2", "--json"])
    assert json.loads(capsys.readouterr().out)[0]["lengths"] == [10, 10]


def test_help_names_commands_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    assert "train" in capsys.readouterr().out
    with pytest.raises(SystemExit) as exit_:
        main(["train", "--help"])
    assert exit_.value.code == 0
    assert "--runner.algorithm.learning-rate" in capsys.readouterr().out


def test_a_resumed_run_keeps_what_it_was_started_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    own = ["--seed", "7", "--runner.actor.hidden-dims", "8", "--runner.algorithm.gamma", "0.9"]
    train = ["train", "gym:InvertedPendulum-v5", "--export", "False", "--runner.logger", "none"]
    main([*train, *own, "--num-envs", "2", "--iterations", "2"])
    main([*train, "--resume", "auto", "--iterations", "3"])
    assert "from iteration 2 to 3" in capsys.readouterr().out
    (folder,) = (tmp_path / "runs").glob("*/*")
    task = read_task(folder / "config.yaml")
    assert (task.seed, task.num_envs, task.iterations) == (7, 2, 3)
    assert (list(task.runner.actor.hidden_dims), task.runner.algorithm.gamma) == ([8], 0.9)  # type: ignore[union-attr]
    before = (folder / "config.yaml").read_bytes()
    main([*train, "--resume", "auto", "--iterations", "1"])
    assert "has 3 iterations, more than 1" in capsys.readouterr().out
    assert (folder / "config.yaml").read_bytes() == before
