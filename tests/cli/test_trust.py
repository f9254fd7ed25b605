# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Runs of strangers: what they name is imported on the user's word only, and never from their own folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from rsl_rl.cli import own_runs
from rsl_rl.cli.main import main
from rsl_rl.utils import resolve
from rsl_rl.utils.trust import foreign_names
from rsl_rl.utils.yaml_text import as_yaml, parse_yaml_text
from tests.cli.test_commands import NO_EXPORT, SMALL, fails
from tests.env.toys import register
from tests.processes import on_terminal

register()
MARK = "imported"
MODEL = {"class_name": "MLPModel", "hidden_dims": [4]}
SMALL_RUNNER = {
    "num_steps_per_env": 8,
    "save_interval": 1,
    "actor": {**MODEL, "distribution_cfg": {"class_name": "GaussianDistribution"}},
    "critic": MODEL,
    "algorithm": {"class_name": "PPO"},
}
EVIL = f"import pathlib\npathlib.Path({MARK!r}).touch()\n"
FACTORY = "from tests.env.layouts import old_point\nmake = old_point\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the working folder, which holds modules of the user's own: one harmless, one that leaves a mark."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_env.py").write_text(FACTORY)
    (tmp_path / "evil_module.py").write_text(EVIL)
    path = list(sys.path)
    yield tmp_path
    sys.path[:] = path
    resolve.own_folder = None
    for name in ("my_env", "evil_module"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a run once; the folder is not to be changed."""
    folder = tmp_path_factory.mktemp("made") / "run"
    main(["train", "gym:Drift-v0", *SMALL, *NO_EXPORT, "--iterations", "1", "--run-dir", str(folder)])
    return folder


@pytest.fixture
def run(made: Path, here: Path) -> Path:
    """A copy of the run in the working folder."""
    return Path(shutil.copytree(made, here / "run"))


def change(run: Path, key: str, value: object) -> None:
    """Change a value of the configuration, as a stranger would."""
    document = parse_yaml_text((run / "config.yaml").read_text())
    *parents, last = key.split(".")
    section = document
    for parent in parents:
        section = section[parent]
    section[last] = value
    (run / "config.yaml").write_text(as_yaml(document))


COMMANDS = (
    ("play", "run", "--episodes", "1"),
    ("eval", "run", "--episodes", "1"),
    ("export", "run"),
    ("train", "--resume", "run", "--iterations", "2"),
    ("train", "gym:Drift-v0", "--resume", "run", "--iterations", "2"),
    ("train", "run/config.yaml", "--iterations", "1"),
    ("sweep", "run/config.yaml", "--param", "seed_of_nothing=1,2"),
    ("train", "go1-student", "--teacher", "run"),
)
NAMES = (
    ("env", "evil_module:f", "evil_module"),
    ("env", "torch.hub:load", "torch.hub"),
    ("env", "gym:evil_module:Env-v0", "evil_module"),
    ("env", "mjlab:Mjlab-Velocity", "mjlab.tasks"),
    ("runner.class_name", "evil_module:Runner", "evil_module"),
    ("runner.actor.class_name", "evil_module.Model", "evil_module"),
    ("runner.actor.distribution_cfg.class_name", "os:system", "os"),
    ("runner.algorithm.class_name", "rsl_rl.telemetry.provenance:subprocess.run", "rsl_rl.telemetry.provenance"),
    ("runner.algorithm.optimizer", "evil_module:Adam", "evil_module"),
    ("runner.algorithm.symmetry_cfg", {"data_augmentation_func": "evil_module:f"}, "evil_module"),
    ("runner.logger", [{"class_name": "rsl_rl.utils:resolve_callable"}], "rsl_rl.utils"),
    ("runner.logger", "evil_module.Writer", "evil_module"),
    ("runner.logger", ["tensorboard", "evil_module.Writer"], "evil_module"),
    ("runner.algorithm.symmetry_cfg", {"data_augmentation_func": "evil_module.f"}, "evil_module"),
    ("env_options", {"wrapper": "evil_module:Wrapper"}, "evil_module"),
    ("env_options", {"reward_fn": "evil_module.f"}, "evil_module"),
    ("env_options", {"reward_function": "evil_module.f"}, "evil_module"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_command_imports_what_a_strangers_run_names(
    run: Path, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    change(run, "env", "evil_module:f")
    error = fails(capsys, *command)
    assert "'run/config.yaml' was not written by you on this machine" in error
    assert "env: evil_module:f (imports evil_module)" in error
    assert "--trust" in error
    assert not Path(MARK).exists()


@pytest.mark.parametrize(("key", "value", "module"), NAMES, ids=lambda value: str(value))
def test_every_key_that_is_resolved_is_looked_at(
    run: Path, key: str, value: object, module: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change(run, key, value)
    error = fails(capsys, "play", "run")
    assert f"  {key}" in error
    assert f"(imports {module})" in error
    assert not Path(MARK).exists()


def test_what_belongs_to_the_library_gymnasium_and_envpool_is_not_asked_for() -> None:
    inside = {
        "env": "gym:Ant-v5",
        "runner": {
            "class_name": "OnPolicyRunner",
            "actor": {"class_name": "rsl_rl.models:MLPModel", "activation": "elu"},
            "critic": {"class_name": "rsl_rl.models.rnn_model.RNNModel"},
            "algorithm": {"class_name": "PPO", "optimizer": "torch.optim:Adamax"},
            "symmetry_cfg": {"data_augmentation_func": "rsl_rl.extensions.mirrors:go1_joystick"},
            "logger": [{"class_name": "rsl_rl.utils.wandb_log_writer:WandbLogWriter", "project_name": "x"}],
        },
        "description": "see os:system",
    }
    assert foreign_names(inside) == []
    assert [entry.key for entry in foreign_names({"storage": "postgresql://far.away/x"}, trains=True)] == ["storage"]
    assert foreign_names({"env": "envpool:Go1JoystickFlatTerrain-v1"}) == []
    assert [entry.name for entry in foreign_names({"optimizer": "torch.nn:functional.torch.hub.load"})]


SERVICES = (
    ("runner.logger", "mlflow"),
    ("runner.logger", ["tensorboard", {"class_name": "MlflowLogWriter", "tracking_uri": "http://far.away"}]),
    ("runner.logger", {"class_name": "rsl_rl.utils.wandb_log_writer:WandbLogWriter", "project_name": "x"}),
    ("runner.logger", {"class_name": "CsvLogWriter", "log_dir": "/elsewhere"}),
)


@pytest.mark.parametrize(("key", "value"), SERVICES, ids=str)
def test_training_asks_before_it_sends_or_writes_elsewhere(
    run: Path, key: str, value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    change(run, key, value)
    for command in COMMANDS[3:7]:
        error = fails(capsys, *command)
        assert f"  {key}" in error
        assert "(sends or writes data there)" in error
    main(["eval", "run", "--episodes", "1"])  # which sends nothing


def test_a_key_that_was_written_in_part_is_made_anew(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(here))
    (here / "rsl_rl").mkdir()
    (here / "rsl_rl" / "key").write_bytes(b"cut")
    own_runs.write_own("config.yaml", "env: my_env:make\n")
    assert own_runs.is_own(Path("config.yaml").read_text())
    assert (here / "rsl_rl" / "key").stat().st_mode & 0o777 == 0o600
    assert os.listdir(here / "rsl_rl") == ["key"]


def test_it_is_said_where_a_run_cannot_be_marked_as_ones_own(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(here / "my_env.py"))
    with pytest.warns(UserWarning, match="cannot be marked as your own"):
        own_runs.write_own("config.yaml", "env: my_env:make\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        own_runs.write_own("config.yaml", "env: gym:Ant-v5\n")  # would not ask anyway


def test_a_run_of_ones_own_does_not_ask_wherever_it_is_moved_until_it_is_edited(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["train", "my_env:make", *SMALL, *NO_EXPORT, "--iterations", "1", "--run-dir", "run"])
    (here / "elsewhere").mkdir()
    shutil.move("run", "elsewhere/renamed")
    main(["play", "elsewhere/renamed", "--episodes", "1"])
    main(["train", "--resume", "elsewhere/renamed", "--iterations", "2", *NO_EXPORT])
    config = here / "elsewhere/renamed/config.yaml"
    config.write_text(config.read_text().replace("num_envs: 4", "num_envs: 5"))
    assert "env: my_env:make" in fails(capsys, "play", "elsewhere/renamed")
    main(["play", "elsewhere/renamed", "--episodes", "1", "--trust"])


def test_another_users_run_is_a_strangers(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["train", "my_env:make", *SMALL, *NO_EXPORT, "--iterations", "1", "--run-dir", "run"])
    monkeypatch.setenv("XDG_STATE_HOME", str(here / "state of another"))
    assert "was not written by you" in fails(capsys, "play", "run")
    main(["train", "my_env:make", *SMALL, *NO_EXPORT, "--iterations", "1", "--run-dir", "own"])
    assert "was not written by you" in fails(capsys, "play", "run")
    key = here / "state of another/rsl_rl/key"
    assert key.stat().st_mode & 0o077 == 0
    assert len(key.read_bytes()) == 32


def test_a_home_that_cannot_be_written_ends_no_training(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(here / "file"))
    main(["train", "my_env:make", *SMALL, *NO_EXPORT, "--iterations", "1", "--run-dir", "run"])
    assert "was not written by you" in fails(capsys, "play", "run")


@pytest.mark.parametrize("name", ["downloads.run.evil:f", "evil:f"])
def test_nothing_is_imported_from_the_run_folder_even_if_it_is_trusted(
    run: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(run, "downloads/run")
    Path("downloads/run/evil.py").write_text(EVIL)
    change(Path("downloads/run"), "env", name)
    folder = "downloads/run"
    if name == "evil:f":
        monkeypatch.chdir("downloads/run")
        folder = "."
    assert "lies in the folder of a run" in fails(capsys, "play", folder, "--trust")
    assert not Path(MARK).exists()


def test_a_strangers_sweep_is_asked_for_and_its_task_too(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = here / "downloads/sweep"
    sweep.mkdir(parents=True)
    parameters = {"seed": {"choices": [1, 2]}}
    for document, key in (
        ({"task": "evil_module:f", "parameters": parameters}, "task"),
        ({"task": "gym:Drift-v0", "parameters": parameters, "overrides": {"env": "evil_module:f"}}, "overrides.env"),
        (
            {
                "task": "gym:Drift-v0",
                "parameters": {"runner.actor.class_name": {"choices": ["MLPModel", "evil_module:M"]}},
            },
            "parameters.runner.actor.class_name.choices[1]",
        ),
        ({"task": "downloads/task.yaml", "parameters": parameters}, "env"),
    ):
        (here / "downloads/task.yaml").write_text("env: evil_module:f\nrunner: {}\n")
        (sweep / "sweep.yaml").write_text(as_yaml(document))
        error = fails(capsys, "sweep", "downloads/sweep")
        assert f"  {key}: evil_module:" in error
        assert "--trust" in error
    assert not Path(MARK).exists()


def test_a_report_and_a_plot_execute_nothing(run: Path) -> None:
    change(run, "env", "evil_module:f")
    change(run, "runner.actor.class_name", "evil_module:f")
    main(["report", "run"])
    main(["plot", "run", "--trust"])
    assert not Path(MARK).exists()


@pytest.mark.parametrize("answer", ["n", "y"])
def test_at_a_terminal_the_user_is_asked(run: Path, answer: str) -> None:
    change(run, "env", "evil_module:f")
    done = on_terminal("-m", "rsl_rl", "play", "run", "--episodes", "1", typed=f"{answer}\n")
    assert done.returncode == 2  # After a yes it is found out that the module has no such function.
    assert "env: evil_module:f (imports evil_module)" in done.stdout
    assert "[y/N]" in done.stdout
    assert Path(MARK).exists() == (answer == "y")


def test_modules_of_the_working_folder_do_not_take_the_place_of_the_librarys(here: Path) -> None:
    for name in ("torch", "tyro", "yaml", "wandb"):
        (here / f"{name}.py").write_text(EVIL)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "rsl_rl", "tasks"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not Path(MARK).exists()


@pytest.mark.parametrize("name", ["../../../x", "/tmp/rsl_rl_elsewhere", "", ".", "a\0b"])
def test_a_run_never_lands_outside_of_runs(here: Path, name: str) -> None:
    (here / "deep").mkdir()
    os.chdir(here / "deep")
    Path("task.yaml").write_text(as_yaml({"name": name, "env": "gym:Drift-v0", "runner": SMALL_RUNNER}))
    main(["train", "task.yaml", *SMALL, *NO_EXPORT, "--iterations", "1"])
    (config,) = here.rglob("config.yaml")
    assert len(config.relative_to(here / "deep/runs").parts) == 3
    assert parse_yaml_text(config.read_text())["name"] == name
    main(["train", "task.yaml", *SMALL, *NO_EXPORT, "--iterations", "2", "--resume", "auto"])
    assert len(list(here.rglob("config.yaml"))) == 1


@pytest.mark.parametrize("name", ["..", ".", "a/b", "/tmp/x", "x" * 300, "nul", "a\nb"])
def test_a_sweep_never_lands_outside_of_its_folder(here: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    error = fails(capsys, "sweep", "gym:Drift-v0", "--param", "num_envs=2,3", "--name", name)
    assert "is not a valid folder name" in error
    assert not list(here.rglob("study.db"))


@pytest.mark.parametrize("link", ["metrics.csv", "exports", "evaluation/x.json", "warnings.jsonl"])
def test_a_link_out_of_a_strangers_run_is_refused(run: Path, link: str, capsys: pytest.CaptureFixture[str]) -> None:
    outside = run.parent / "outside"
    outside.write_text("precious")
    change(run, "seed", 3)
    (run / link).parent.mkdir(exist_ok=True)
    (run / link).unlink(missing_ok=True)
    (run / link).symlink_to(outside)
    for command in (("eval", "run"), ("report", "run"), ("train", "--resume", "run", "--iterations", "2")):
        assert f"'run/{link}' leads out of the folder of the run" in fails(capsys, *command)
    assert outside.read_text() == "precious"
