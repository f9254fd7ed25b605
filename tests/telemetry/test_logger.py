# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The logger and where its numbers go."""

from __future__ import annotations

import csv
import os
import subprocess
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rsl_rl.telemetry import CsvLogWriter, Logger, LogWriter
from rsl_rl.telemetry.provenance import store_git_state
from tests.processes import start


def make_logger(log_dir: Path | None, **cfg: object) -> Logger:
    return Logger(str(log_dir) if log_dir else None, {"num_steps_per_env": 2, **cfg}, {}, 4, False, 1, 0, "cpu")


def run_iteration(logger: Logger, iteration: int, end: int = 10, done: bool = True, **log: object) -> None:
    dones = torch.full((4,), done)
    extras = {"log": {"reach": 2.0, "Metrics/error": torch.tensor([1.0, 3.0]), **log}}
    for step in range(2):
        logger.process_env_step(torch.ones(4), dones if step else torch.zeros(4), extras)
    assert set(extras) == {"log"}
    logger.log(iteration, 0, end, 0.5, 0.25, {"value": 0.5, "surrogate": -0.1}, 1e-3, torch.tensor([0.4, 0.6]), None)


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(e.step, round(e.value, 6)) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_tensorboard_receives_the_documented_tags(tmp_path: Path) -> None:
    logger = make_logger(tmp_path)
    assert logger.logger_type == "tensorboard"
    logger.init_logging_writer()
    run_iteration(logger, 0)
    run_iteration(logger, 1)
    logger.stop_logging_writer()
    assert scalars(tmp_path) == {
        "Loss/value": [(0, 0.5), (1, 0.5)],
        "Loss/surrogate": [(0, -0.1), (1, -0.1)],
        "Loss/learning_rate": [(0, 0.001), (1, 0.001)],
        "Policy/mean_std": [(0, 0.5), (1, 0.5)],
        "Perf/total_fps": [(0, pytest.approx(8 / 0.75)), (1, pytest.approx(8 / 0.75))],
        "Perf/collection_time": [(0, 0.5), (1, 0.5)],
        "Perf/learning_time": [(0, 0.25), (1, 0.25)],
        "Train/mean_reward": [(0, 2.0), (1, 2.0)],
        "Train/mean_episode_length": [(0, 2.0), (1, 2.0)],
        "Train/mean_reward/time": [(0, 2.0), (1, 2.0)],
        "Train/mean_episode_length/time": [(0, 2.0), (1, 2.0)],
        "Episode/reach": [(0, 2.0), (1, 2.0)],
        "Metrics/error": [(0, 2.0), (1, 2.0)],
    }
    assert list(logger.rewbuffer) == list(logger.lenbuffer) == [2.0] * 8


def test_no_episode_statistics_before_an_episode_ends(tmp_path: Path) -> None:
    logger = make_logger(tmp_path)
    logger.init_logging_writer()
    run_iteration(logger, 0, done=False)
    logger.stop_logging_writer()
    assert not any(tag.startswith("Train/") for tag in scalars(tmp_path))


@pytest.mark.filterwarnings("ignore:.*holds a run already")
def test_table_takes_new_columns_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    runs: list[tuple[tuple[int, ...], dict[str, Any]]] = [((0, 1), {}), ((2,), {"late": 7.0})]
    for iterations, extra in runs:
        logger = make_logger(tmp_path)
        logger.init_logging_writer()
        for iteration in iterations:
            run_iteration(logger, iteration, **extra)
        logger.stop_logging_writer()
    table = rows(tmp_path)
    assert [row["iteration"] for row in table] == ["0", "1", "2"]
    assert [row["Episode/late"] for row in table] == ["", "", "7.0"]
    assert [row["Train/mean_reward"] for row in table] == ["2.0"] * 3
    # What depends on the machine's speed comes last.
    columns = list(table[0])
    assert all(column.startswith("Perf/") for column in columns[-3:])
    assert not any(column.startswith("Perf/") or column.endswith("/time") for column in columns[:-3])


def test_rows_are_on_disk_when_their_iteration_ends(tmp_path: Path) -> None:
    logger = make_logger(tmp_path)
    logger.init_logging_writer()
    run_iteration(logger, 0)
    assert len(rows(tmp_path)) == 1


def test_an_iteration_is_in_the_event_file_when_it_ends(tmp_path: Path) -> None:
    logger = make_logger(tmp_path)
    logger.init_logging_writer()
    assert logger.writer is not None
    logger.writer.add_scalar("Mine/before", 1.0, 7)
    run_iteration(logger, 0)
    assert scalars(tmp_path)["Mine/before"] == [(7, 1.0)]
    assert scalars(tmp_path)["Loss/value"] == [(0, 0.5)]
    logger.writer.add_scalar("Mine/after", 2.0, 8)
    logger.stop_logging_writer()
    assert scalars(tmp_path)["Mine/after"] == [(8, 2.0)]


def test_full_precision_survives_the_table(tmp_path: Path) -> None:
    writer = CsvLogWriter(str(tmp_path))
    writer.add_scalar("a", 0.1 + 0.2, 0)
    writer.flush()
    assert float(rows(tmp_path)[0]["a"]) == 0.1 + 0.2


class Recording(LogWriter):
    """A user's writer that takes an option, and fails on request."""

    made: list[Recording] = []  # noqa: RUF012

    def __init__(self, log_dir: str, fail_at: int = -1) -> None:
        self.log_dir, self.fail_at, self.calls = log_dir, fail_at, []
        Recording.made.append(self)

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        if global_step == self.fail_at:
            raise OSError("service is gone")
        self.calls.append((tag, global_step))

    def save_model(self, model_path: str, it: int) -> None:
        self.calls.append(("model", it))


def test_a_users_writer_is_found_by_name_and_gets_its_options(tmp_path: Path) -> None:
    logger = make_logger(tmp_path, logger={"class_name": f"{__name__}:Recording", "fail_at": 99})
    assert logger.logger_type == "recording"
    logger.init_logging_writer()
    run_iteration(logger, 0)
    logger.save_model("model_0.pt", 0)
    writer = Recording.made[-1]
    assert (logger.writer, writer.log_dir, writer.fail_at) == (writer, str(tmp_path), 99)
    assert ("Train/mean_reward", 0) in writer.calls
    assert ("model", 0) in writer.calls


def test_a_writer_that_fails_is_reported_once_and_the_rest_goes_on(tmp_path: Path) -> None:
    logger = make_logger(tmp_path, logger={"class_name": f"{__name__}:Recording", "fail_at": 1})
    logger.init_logging_writer()
    run_iteration(logger, 0)
    with pytest.warns(UserWarning, match=r"Recording failed in add_scalar .* training goes on: OSError") as warned:
        run_iteration(logger, 1)
    assert len(warned) == 1
    run_iteration(logger, 2)
    assert [row["iteration"] for row in rows(tmp_path)] == ["0", "1", "2"]
    assert all(step == 0 for _, step in Recording.made[-1].calls)


def test_without_a_folder_a_line_is_still_printed(capsys: pytest.CaptureFixture[str]) -> None:
    logger = make_logger(None)
    logger.init_logging_writer()
    run_iteration(logger, 3)
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    for part in ("iteration 4/10", "reward 2.00", "length 2", "value 0.500", "std 0.50"):
        assert part in line


def test_a_reader_that_goes_away_does_not_end_the_run(tmp_path: Path) -> None:
    # As in: rsl-rl train | head -1
    code = (
        "import sys\n"
        "from tests.telemetry.test_logger import make_logger, run_iteration\n"
        "logger = make_logger(None)\n"
        "for iteration in range(5000):\n    run_iteration(logger, iteration)\n"
        "print('went on', logger.tot_timesteps, file=sys.stderr)\n"
    )
    os.mkfifo(tmp_path / "pipe")
    process = start("-c", code, files=(os.devnull, tmp_path / "pipe", tmp_path / "errors"))
    with (tmp_path / "pipe").open() as pipe:
        pipe.readline()
    process.join()
    assert "went on 40000" in (tmp_path / "errors").read_text()


def test_other_ranks_are_silent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logger = Logger(str(tmp_path), {"num_steps_per_env": 2}, {}, 4, True, 2, 1, "cpu")
    logger.init_logging_writer()
    run_iteration(logger, 0)
    assert capsys.readouterr().out == ""
    assert list(tmp_path.iterdir()) == []
    assert logger.tot_timesteps == 16


@pytest.mark.parametrize(
    ("configured", "message"),
    [
        ("tensorbord", r"Unknown logger 'tensorbord'\. Did you mean 'tensorboard'"),
        ({"log": 1}, "must be a name or a dict with 'class_name'"),
    ],
)
def test_wrong_loggers_are_named(configured: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_logger(None, logger=configured)


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_state_of_the_code_is_kept(tmp_path: Path) -> None:
    repository = tmp_path / "project"
    (repository / "sub").mkdir(parents=True)
    git(repository, "init", "-b", "trunk")
    file = repository / "sub" / "code.py"
    file.write_text("old = 1\n")
    git(repository, "add", ".")
    git(repository, "commit", "-m", "first")
    file.write_text("new = 2\n")
    (repository / "untracked.txt").write_text("x")
    written = store_git_state([str(file), str(repository), str(tmp_path)], tmp_path / "git")
    assert written == [str(tmp_path / "git" / "project.diff")]
    text = Path(written[0]).read_text()
    for part in ("trunk", "?? untracked.txt", "-old = 1", "+new = 2"):
        assert part in text


def test_state_of_the_code_does_not_depend_on_the_users_git_settings(tmp_path: Path) -> None:
    repository = tmp_path / "project"
    (repository / "new" / "deep").mkdir(parents=True)
    git(repository, "init", "-b", "trunk")
    (repository / "staged.py").write_text("a = 1\n")
    git(repository, "add", ".")
    (repository / "new" / "deep" / "file.py").write_text("x")
    git(repository, "config", "color.ui", "always")
    git(repository, "config", "status.showUntrackedFiles", "no")
    # Without a commit yet.
    text = Path(store_git_state([str(repository)], tmp_path / "git")[0]).read_text()
    for part in ("--- branch ---\ntrunk\n", "A  staged.py", "?? new/deep/file.py"):
        assert part in text
    git(repository, "commit", "-m", "first")
    git(repository, "config", "diff.external", "/bin/false")
    (repository / "staged.py").write_text("a = 2\n")
    text = Path(store_git_state([str(repository)], tmp_path / "git")[0]).read_text()
    assert "-a = 1\n+a = 2\n" in text
    assert "\x1b" not in text


def test_the_diff_is_kept_byte_by_byte_also_before_the_first_commit(tmp_path: Path) -> None:
    repository = tmp_path / "project"
    repository.mkdir()
    git(repository, "init")
    (repository / "staged.py").write_bytes(b"caf\xe9 = 1\r\n")
    git(repository, "-c", "core.autocrlf=false", "add", ".")
    for number in range(2):
        content = Path(store_git_state([str(repository)], tmp_path / "git")[0]).read_bytes()
        assert b"+caf\xe9 = %d\r\n" % (number + 1) in content
        git(repository, "commit", "-m", "first", "--allow-empty")
        (repository / "staged.py").write_bytes(b"caf\xe9 = 2\r\n")


def test_a_repository_that_git_cannot_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = tmp_path / "project"
    repository.mkdir()
    assert store_git_state([str(repository)], tmp_path / "git") == []  # No repository, and nothing to say.
    git(repository, "init")
    (repository / ".git" / "HEAD").unlink()
    with pytest.warns(UserWarning, match="project' is not kept.*: git rev-parse: fatal: not a git repository"):
        assert store_git_state([str(repository)], tmp_path / "git") == []
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.warns(UserWarning, match="git is not installed"):
        assert store_git_state([str(repository)], tmp_path / "git") == []


def test_a_folder_named_like_the_home_folder_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    logger = make_logger(Path("~/run"))
    with pytest.warns(UserWarning, match=r"'~/run' is a folder named '~' in this one"):
        logger.init_logging_writer()
    logger.stop_logging_writer()


def test_a_folder_with_another_run_is_warned_of_once(tmp_path: Path) -> None:
    logger = make_logger(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for iteration in range(2):  # closing and opening again is the same run
            logger.init_logging_writer()
            run_iteration(logger, iteration)
            logger.stop_logging_writer()
    with pytest.warns(UserWarning, match="holds a run already: its metrics.csv is continued"):
        make_logger(tmp_path).init_logging_writer()
    logger = make_logger(tmp_path)
    logger.begins_at = 1  # a run that is resumed
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logger.init_logging_writer()
