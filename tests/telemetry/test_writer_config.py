# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Which writers a configuration opens, and what happens when one does not start."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
import torch
import yaml

from rsl_rl.telemetry import LogWriter, TensorboardLogWriter
from tests.telemetry.test_logger import git, make_logger, rows, run_iteration, scalars


class Service(LogWriter):
    """A user's writer that may be down when the run starts."""

    def __init__(self, log_dir: str, token: str | None = None) -> None:
        if token is None:
            raise RuntimeError("no token")
        self.tags: list[str] = []

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        self.tags.append(tag)


def test_several_writers_get_the_same_numbers(tmp_path: Path) -> None:
    logger = make_logger(tmp_path, logger=["tensorboard", {"class_name": Service, "token": "x"}])
    assert logger.logger_type == "tensorboard"
    logger.init_logging_writer()
    assert isinstance(logger.writer, TensorboardLogWriter)
    service = next(writer for writer in logger._others if isinstance(writer, Service))
    run_iteration(logger, 0)
    logger.stop_logging_writer()
    assert set(scalars(tmp_path)) == set(service.tags)


@pytest.mark.parametrize("nothing", [None, "none", []])
def test_without_a_writer_the_local_table_remains(tmp_path: Path, nothing: object) -> None:
    logger = make_logger(tmp_path, logger=nothing)
    assert logger.logger_type == "none"
    logger.init_logging_writer()
    assert logger.writer is None
    run_iteration(logger, 0)
    assert len(rows(tmp_path)) == 1
    assert not list(tmp_path.glob("events*"))


def test_the_local_table_is_written_once_where_it_is_also_configured(tmp_path: Path) -> None:
    logger = make_logger(tmp_path, logger={"class_name": "CsvLogWriter"})
    logger.init_logging_writer()
    run_iteration(logger, 0)
    assert [row["iteration"] for row in rows(tmp_path)] == ["0"]


def test_a_writer_that_does_not_start_is_reported_and_the_rest_goes_on(tmp_path: Path) -> None:
    logger = make_logger(tmp_path, logger=[{"class_name": Service}, "tensorboard"])
    with pytest.warns(UserWarning, match="'service' could not start .* training goes on: .*no token"):
        logger.init_logging_writer()
    run_iteration(logger, 0)
    logger.stop_logging_writer()
    assert len(rows(tmp_path)) == 1
    assert "Train/mean_reward" in scalars(tmp_path)


@pytest.mark.filterwarnings("ignore:.*holds a run already")
def test_a_table_that_cannot_be_written_is_reported_and_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").mkdir()
    logger = make_logger(tmp_path)
    with pytest.warns(UserWarning, match="metrics.csv cannot be written, training goes on"):
        logger.init_logging_writer()
    run_iteration(logger, 0)
    logger.stop_logging_writer()
    assert "Train/mean_reward" in scalars(tmp_path)


def test_a_state_of_the_code_that_cannot_be_kept_is_reported_and_the_rest_goes_on(tmp_path: Path) -> None:
    repository, run = tmp_path / "project", tmp_path / "run"
    repository.mkdir()
    git(repository, "init")
    run.mkdir()
    (run / "git").write_text("in the way")
    logger = make_logger(run)
    logger.git_status_repos = [str(repository)]
    with pytest.warns(UserWarning, match="state of the code could not be kept .* training goes on"):
        logger.init_logging_writer()
    run_iteration(logger, 0)
    assert len(rows(run)) == 1


@pytest.mark.parametrize(
    ("configured", "error", "message"),
    [
        ("wandb", ValueError, "'wandb' needs the name of a project: logger: {class_name: WandbLogWriter, project_name"),
        (["tensorboard", "neptune"], ValueError, "'neptune' needs the name of a project: .*NeptuneLogWriter"),
        ("wand", ValueError, "Unknown logger 'wand'. Did you mean 'wandb'"),
        ({"class_name": "WandbLogWriter"}, TypeError, "WandbLogWriter does not take these options: .*project_name"),
        ({"class_name": "MlflowLogWriter", "uri": 1}, TypeError, "'uri'.*It takes .*tracking_uri"),
        (
            {"class_name": Service, "tokn": 1},
            TypeError,
            "Service does not take these options: .*'tokn'.* Did you mean 'token'",
        ),
        ({"class_name": "json:Nothing"}, AttributeError, "Nothing"),
        (3, ValueError, "must be a name or a dict with 'class_name', or a list of those, got 3"),
    ],
)
def test_a_wrong_configuration_fails_before_the_run_starts(
    configured: object, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make_logger(None, logger=configured)


def test_losses_given_as_tensors_are_numbers_everywhere(tmp_path: Path) -> None:
    logger = make_logger(tmp_path)
    logger.init_logging_writer()
    logger.log(0, 0, 1, 0.5, 0.25, {"value": torch.tensor(0.5)}, torch.tensor(0.25), None, None)  # pyright: ignore[reportArgumentType]
    with (tmp_path / "metrics.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    assert (row["Loss/value"], row["Loss/learning_rate"]) == ("0.5", "0.25")


def documented() -> list[object]:
    page = (Path(__file__).parents[2] / "docs" / "loggers.md").read_text(encoding="utf-8")
    return [yaml.safe_load(block)["logger"] for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]


@pytest.mark.parametrize("logger", documented(), ids=str)
def test_every_documented_configuration_names_writers_that_take_its_options(logger: object) -> None:
    if isinstance(logger, dict) and str(logger["class_name"]).startswith("my_"):
        logger = {"class_name": Service, "token": "yours"}
    make_logger(None, logger=logger)
