# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Disks that are full, read-only or gone for a while: training goes on, and nothing that can be kept is lost.

Run as a program with a folder, this file trains once per scenario in a process of its own, breaks the disk for real in
the middle, and prints as JSON what was seen; the tests look at that and at what lies in the folder.
"""

from __future__ import annotations

import csv
import json
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tensordict import TensorDict

from rsl_rl.checkpoint import newest_checkpoint, numbered_checkpoints, read_checkpoint
from rsl_rl.runners import OnPolicyRunner
from rsl_rl.telemetry.metrics_csv import is_timing
from tests.envs import PointEnv, point_config
from tests.processes import python

STEPS, NOBODY = 8, 65534
ITERATIONS = 10
BROKEN, MENDED = 3, 7
"""The disk is broken from the first of these iterations on, and works again in the second."""


# -- the program -------------------------------------------------------------------------------------------------------


class Disturbed(PointEnv):
    """Lets something happen at the first step of chosen iterations."""

    def __init__(self, events: dict[int, Callable[[], Any]]) -> None:
        super().__init__()
        self._events, self._count = events, 0

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        if self._count % STEPS == 0 and self._count // STEPS in self._events:
            self._events[self._count // STEPS]()
        self._count += 1
        return super().step(actions)


def train(log_dir: Path, events: dict[int, Callable[[], Any]], iterations: int = ITERATIONS) -> None:
    torch.manual_seed(0)
    config = point_config() | {"num_steps_per_env": STEPS, "save_interval": 2, "logger": None}
    OnPolicyRunner(Disturbed(events), config, log_dir=str(log_dir)).learn(iterations)


def look(run: Path) -> None:
    """Say what somebody finds who looks while the disk is broken."""
    hidden = [file.name for file in run.glob(".*")]
    print("found " + json.dumps([newest_checkpoint(run).name, hidden, (run / "metrics.csv").read_text()[-1:]]))


def fill(run: Path) -> None:
    """Limit the size of files such that a part of the next row still fits, and a part of the next checkpoint."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, ((run / "metrics.csv").stat().st_size + 100, hard))


def empty() -> None:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def replace_by_a_file(run: Path) -> None:
    run.rename(run.with_name("away"))
    run.write_text("no folder")


def put_back(run: Path) -> None:
    run.unlink()
    run.with_name("away").rename(run)


def undisturbed(run: Path) -> None:
    train(run, {})


def full_for_a_while(run: Path) -> None:
    train(run, {BROKEN: lambda: fill(run), MENDED - 1: lambda: look(run), MENDED: empty})


def full_to_the_end(run: Path) -> None:
    train(run, {BROKEN: lambda: fill(run)})


def a_file_for_a_while(run: Path) -> None:
    look_away = {MENDED - 1: lambda: look(run.with_name("away"))}
    train(run, {BROKEN: lambda: replace_by_a_file(run), **look_away, MENDED: lambda: put_back(run)})


def a_file_to_the_end(run: Path) -> None:
    train(run, {BROKEN: lambda: replace_by_a_file(run)})


def a_file_from_the_beginning(run: Path) -> None:
    run.parent.joinpath("file").write_text("no folder")
    train(run.parent / "file" / "run", {}, iterations=4)


def read_only_for_a_while(run: Path) -> None:
    if os.geteuid() == 0:
        # Root may write everywhere. What is imported on the way must be so before: the others may not read it.
        train(run.with_name("first"), {}, iterations=2)
        os.chown(run.parent, NOBODY, NOBODY)
        os.seteuid(NOBODY)

    def allow(table: int, folder: int) -> None:
        (run / "metrics.csv").chmod(table)
        run.chmod(folder)

    events = {BROKEN: lambda: allow(0o444, 0o555), MENDED - 1: lambda: look(run), MENDED: lambda: allow(0o644, 0o755)}
    train(run, events)


SCENARIOS = [
    undisturbed,
    full_for_a_while,
    full_to_the_end,
    a_file_for_a_while,
    a_file_to_the_end,
    a_file_from_the_beginning,
    read_only_for_a_while,
]


def main(folder: Path) -> None:
    """Train every scenario in a child that ends with 0 after all iterations; what it says goes through a pipe."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # A file that is too large is then an OSError, as on a full disk.
    torch.set_num_threads(1)
    outcomes = {}
    for scenario in SCENARIOS:
        own = folder / scenario.__name__
        (own / "temporary").mkdir(parents=True)
        (own / "temporary").chmod(0o777)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.dup2(writer, 1)
                os.dup2(writer, 2)
                os.close(reader)
                tempfile.tempdir = str(own / "temporary")
                scenario(own / "run")
                code = 0
            except Exception:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(code)
        os.close(writer)
        with open(reader, encoding="utf-8") as said:
            text = said.read()
        outcomes[scenario.__name__] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), text
    print(json.dumps(outcomes))


# -- the tests ---------------------------------------------------------------------------------------------------------


class Outcome:
    """What one scenario left."""

    def __init__(self, folder: Path, code: int, said: str) -> None:
        self.folder, self.run, self.code, self.said = folder, folder / "run", code, said
        self.failures = re.findall(
            r"UserWarning: The checkpoint '.*/model_(\d+).pt' could not be written, training goes on and tries again "
            r"after the next iteration: (.*)",
            said,
        )
        self.rescues = re.findall(
            r"UserWarning: The last checkpoint could not be written to '(.*?)' \((.*)\). It lies in '(.*)': keep it.",
            said,
        )

    @property
    def table(self) -> list[dict[str, str]]:
        """Rows of ``metrics.csv`` without what depends on the machine's speed."""
        with (self.run / "metrics.csv").open(newline="") as file:
            return [{tag: value for tag, value in row.items() if not is_timing(tag)} for row in csv.DictReader(file)]


def weights(path: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(path)["actor_state_dict"]


def is_same_training(path: Path, other: Path) -> bool:
    one, two = weights(path), weights(other)
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


def lands_at(path: Path) -> int:
    """Return the iteration of a runner that loaded a file or folder."""
    runner = OnPolicyRunner(PointEnv(), point_config())
    runner.load(str(path))
    return runner.current_learning_iteration


@pytest.fixture(scope="module")
def outcomes() -> Iterator[dict[str, Outcome]]:
    # Not pytest's own folder, which other users may not enter.
    folder = Path(tempfile.mkdtemp(prefix="rsl_rl_disk_"))
    folder.chmod(0o755)
    try:
        done = python("-W", "always", __file__, folder)  # Also what is said twice.
        assert done.returncode == 0, done.stderr
        yield {name: Outcome(folder / name, *outcome) for name, outcome in json.loads(done.stdout).items()}
    finally:
        shutil.rmtree(folder)


FOR_A_WHILE = ["full_for_a_while", "a_file_for_a_while", "read_only_for_a_while"]
REASONS = {
    "full_for_a_while": "File too large",
    "a_file_for_a_while": "File exists",
    "read_only_for_a_while": "Permission denied",
}


@pytest.mark.parametrize("name", FOR_A_WHILE)
def test_training_goes_on_and_is_the_same(outcomes: dict[str, Outcome], name: str) -> None:
    outcome, plain = outcomes[name], outcomes["undisturbed"]
    assert (outcome.code, plain.code) == (0, 0), outcome.said
    assert is_same_training(outcome.run / "model_9.pt", plain.run / "model_9.pt")
    assert not plain.failures
    assert lands_at(outcome.run) == ITERATIONS - 1
    assert not list(outcome.folder.glob("temporary/*"))


@pytest.mark.parametrize("name", FOR_A_WHILE)
def test_every_failed_attempt_is_said_once_and_repeated_after_the_next_iteration(
    outcomes: dict[str, Outcome], name: str
) -> None:
    outcome = outcomes[name]
    # Due in 4, and then tried in every iteration until it works; after that every second again, and the last.
    assert [int(number) for number, _ in outcome.failures] == [4, 5, 6]
    assert all(REASONS[name] in reason for _, reason in outcome.failures)
    assert list(numbered_checkpoints(outcome.run)) == [9, 8, 7, 2, 0]
    assert not outcome.rescues
    assert "Traceback" not in outcome.said


@pytest.mark.parametrize("name", FOR_A_WHILE)
def test_the_last_good_checkpoint_survives(outcomes: dict[str, Outcome], name: str) -> None:
    outcome, plain = outcomes[name], outcomes["undisturbed"]
    # Seen in the last iteration with the broken disk: nothing half written, and no half row at the table's end.
    (found,) = re.findall(r"^found (.*)$", outcome.said, re.MULTILINE)
    assert json.loads(found) == ["model_2.pt", [], "\n"]
    assert lands_at(outcome.run / "model_2.pt") == 2
    assert is_same_training(outcome.run / "model_2.pt", plain.run / "model_2.pt")
    assert read_checkpoint(outcome.run / "latest.pt")["iter"] == 9
    assert (outcome.run / "best.pt").is_file()
    assert not list(outcome.run.glob(".*"))


@pytest.mark.parametrize("name", FOR_A_WHILE)
def test_the_table_has_every_iteration_once(outcomes: dict[str, Outcome], name: str) -> None:
    outcome = outcomes[name]
    assert [row["iteration"] for row in outcome.table] == [str(iteration) for iteration in range(ITERATIONS)]
    assert outcome.table == outcomes["undisturbed"].table
    # Said once, not once per row.
    assert outcome.said.count("metrics.csv cannot be written, its rows wait") == 1


def test_the_last_checkpoint_goes_to_a_temporary_folder(outcomes: dict[str, Outcome]) -> None:
    outcome, plain = outcomes["a_file_to_the_end"], outcomes["undisturbed"]
    assert outcome.code == 0, outcome.said
    assert [int(number) for number, _ in outcome.failures] == [4, 5, 6, 7, 8]
    ((wanted, reason, rescue),) = outcome.rescues
    assert wanted == str(outcome.run / "model_9.pt")
    assert "File exists" in reason
    assert Path(rescue).parent.parent == outcome.folder / "temporary"
    # Beside it are the rows that could not be written either.
    said = re.findall(
        r"The rows of (\d+) iterations could not be written to '(.*)' \(.*\). They lie in '(.*)': keep", outcome.said
    )
    assert said == [("7", str(outcome.run / "metrics.csv"), str(Path(rescue).with_name("metrics.csv")))]
    with (outcome.folder / "away" / "metrics.csv").open(newline="") as first, open(said[0][2], newline="") as second:
        iterations = [row["iteration"] for file in (first, second) for row in csv.DictReader(file)]
    assert iterations == [str(iteration) for iteration in range(ITERATIONS)]
    assert lands_at(Path(rescue)) == lands_at(Path(rescue).parent) == ITERATIONS - 1
    assert is_same_training(Path(rescue), plain.run / "model_9.pt")
    # Neither the file in the way nor the folder was touched.
    assert outcome.run.read_text() == "no folder"
    assert list(numbered_checkpoints(outcome.folder / "away")) == [2, 0]


def test_a_folder_that_cannot_be_made_is_said_and_the_last_checkpoint_is_kept(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["a_file_from_the_beginning"]
    assert outcome.code == 0, outcome.said
    assert "The run's folder cannot be made, nothing is logged, training goes on" in outcome.said
    assert [int(number) for number, _ in outcome.failures] == [0, 1, 2]
    assert lands_at(Path(outcome.rescues[0][2])) == 3


def test_a_training_that_can_save_nowhere_ends_with_an_error_and_leaves_the_last_good_file(
    outcomes: dict[str, Outcome],
) -> None:
    outcome, plain = outcomes["full_to_the_end"], outcomes["undisturbed"]
    assert outcome.code == 1
    assert "OSError: [Errno 27] File too large" in outcome.said
    assert [int(number) for number, _ in outcome.failures] == [4, 5, 6, 7, 8]
    assert "OSError: The rows of 7 iterations are lost: " in outcome.said
    # All ten iterations were made.
    assert f"iteration {ITERATIONS}/{ITERATIONS} " in outcome.said
    assert list(numbered_checkpoints(outcome.run)) == [2, 0]
    assert is_same_training(outcome.run / "latest.pt", plain.run / "model_2.pt")
    assert outcome.table == plain.table[:BROKEN]
    assert not list(outcome.run.glob(".*"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
