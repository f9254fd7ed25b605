# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Interrupts, terminations, and outputs that fail, of real processes.

Run as a program with a folder, this file trains once per scenario in a process of its own that is forked from one which
has imported everything, and prints as JSON how each ended; the tests look at that and at what lies in the folders.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import pty
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

from rsl_rl.checkpoint import newest_checkpoint, read_checkpoint
from tests.envs import PointEnv
from tests.processes import python

STEPS, DISTURBED, ITERATIONS = 8, 3, 6
SMALL = ["--num-envs", "4", "--threads", "1", "--runner.save-interval", "1000000", "--export", "False"]
SMALL += [f"--runner.num-steps-per-env={STEPS}", f"--iterations={ITERATIONS}", "--run-dir=run", "--name=läuft"]
SMALL += ["--runner.logger=none"]


# -- the program -------------------------------------------------------------------------------------------------------


class Disturbed(PointEnv):
    """Lets something happen when it is made, in the middle of a chosen iteration, in an evaluation, or when saved."""

    events: dict[str, Callable[[], Any]] = {}  # noqa: RUF012 (set by the scenario)

    def __init__(self, num_envs: int, seed: int, device: str) -> None:
        super().__init__(num_envs, seed=seed, device=device)
        self._kind = "evaluation" if "training" in self.made else "training"
        self.made.append(self._kind)
        self._count = 0
        self.happen("start")

    made: list[str] = []  # noqa: RUF012

    def happen(self, event: str) -> None:
        self.events.get(event, lambda: None)()

    def step(self, actions: torch.Tensor) -> Any:
        if self._count == DISTURBED * STEPS + 2 or self._kind == "evaluation":
            self.happen(self._kind)
        if self._count == DISTURBED * STEPS + 3:
            self.happen("next step")
        self._count += 1
        return super().step(actions)

    def state_dict(self) -> dict[str, Any]:
        if self._kind == "training":
            self.happen("save")
        return super().state_dict()


def send(name: str) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), getattr(signal, name))


def train(*more: str, **events: Callable[[], Any]) -> NoReturn:
    """Run the command as a user's process does, whatever comes when it ends included."""
    from rsl_rl.cli.main import main
    from tests.cli.test_signals import Disturbed

    Disturbed.events = {event.replace("_", " "): happens for event, happens in events.items()}
    sys.argv = ["rsl-rl", "train", "tests.cli.test_signals:Disturbed", *SMALL, *more]
    main()
    raise SystemExit(0)


def to(path: str, *numbers: int) -> None:
    """Let outputs of this process end in a file or device."""
    for number in numbers:
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)


def tasks_whose_reader_has_left() -> None:
    from rsl_rl.cli.main import main

    reader, writer = os.pipe()
    os.dup2(writer, 1)
    os.close(reader)
    sys.argv = ["rsl-rl", "tasks"]
    main()
    raise SystemExit(0)


def ctrl_c_when_the_reader_of_the_output_has_left() -> None:
    reader, writer = os.pipe()
    os.dup2(writer, 1)
    os.dup2(writer, 2)
    os.close(writer)

    def end() -> None:
        os.close(reader)
        send("SIGINT")()

    train(training=end)


def its_terminal_is_gone() -> None:
    child, terminal = pty.fork()
    if child == 0:
        train("--iterations=1000000")
    shown = b""
    while b"/1000000" not in shown and (more := os.read(terminal, 1024)):
        shown += more
    os.close(terminal)  # The kernel sends SIGHUP.
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def nohup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    train(training=send("SIGHUP"))


def ctrl_c_twice() -> None:
    train(training=send("SIGINT"), next_step=send("SIGINT"))


def terminated_twice() -> None:
    train(training=send("SIGTERM"), next_step=send("SIGTERM"))


def terminated_while_saving() -> None:
    train(save=send("SIGTERM"))


def terminated_in_an_evaluation() -> None:
    train("--eval-interval=2", "--eval-episodes=1", evaluation=send("SIGTERM"))


def terminated_while_starting() -> None:
    train(start=send("SIGTERM"))


def ctrl_c_while_starting() -> None:
    train(start=send("SIGINT"))


def ctrl_c_reaches_the_environments_own_process() -> None:
    os.setpgid(0, 0)
    ours, theirs = os.pipe(), os.pipe()

    def begin() -> None:
        if os.fork() == 0:
            os.close(ours[1])
            while request := os.read(ours[0], 1):
                os.write(theirs[1], request)
            os._exit(0)

    def ask() -> None:
        os.killpg(0, signal.SIGINT)
        os.write(ours[1], b"?")
        assert os.read(theirs[0], 1) == b"?"
        os.close(ours[1])

    train(start=begin, training=ask)


def ctrl_c_ends_the_environments_own_process() -> None:
    def fail() -> None:
        raise EOFError("its process is gone")

    train(training=send("SIGINT"), next_step=fail)


def full_output() -> None:
    to("/dev/full", 1, 2)
    train()


def full_standard_output() -> None:
    to("/dev/full", 1)
    train()


def no_output() -> None:
    sys.stdout = sys.stderr = None  # type: ignore[assignment] (as Python does where it is started so)
    os.close(1)
    os.close(2)
    train()


def a_terminal_that_cannot_print_the_name() -> None:
    assert isinstance(sys.stdout, io.TextIOWrapper)
    sys.stdout.reconfigure(encoding="ascii", errors="strict")
    train()


SCENARIOS = [
    tasks_whose_reader_has_left,
    ctrl_c_when_the_reader_of_the_output_has_left,
    its_terminal_is_gone,
    nohup,
    ctrl_c_twice,
    terminated_twice,
    terminated_while_saving,
    terminated_in_an_evaluation,
    terminated_while_starting,
    ctrl_c_while_starting,
    ctrl_c_reaches_the_environments_own_process,
    ctrl_c_ends_the_environments_own_process,
    full_output,
    full_standard_output,
    no_output,
    a_terminal_that_cannot_print_the_name,
]


def main(folder: Path) -> None:
    """Train every scenario in a child, at most two at once."""
    for module in ("rsl_rl.cli.train", "rsl_rl.cli.tasks", "tests.cli.test_signals"):
        importlib.import_module(module)  # once for all
    sys.modules["matplotlib"] = None  # type: ignore[assignment] (no curves are drawn: they take longer than the runs)
    children: dict[int, str] = {}
    codes = {}

    def wait() -> None:
        child, status = os.wait()
        codes[children.pop(child)] = os.waitstatus_to_exitcode(status)

    for scenario in SCENARIOS:
        own = folder / scenario.__name__
        own.mkdir()
        if len(children) == 2:
            wait()
        child = os.fork()
        if child == 0:
            os.chdir(own)
            to("output", 1, 2)
            scenario()
        children[child] = scenario.__name__
    while children:
        wait()
    print(json.dumps(codes))


# -- the tests ---------------------------------------------------------------------------------------------------------


class Outcome:
    """How one scenario ended, and what it left."""

    def __init__(self, folder: Path, code: int) -> None:
        self.run, self.code = folder / "run", code
        self.said = (folder / "output").read_text()

    def iterations(self) -> int:
        """Return how many iterations are in the newest checkpoint, after a look at what is in it and in the table."""
        document = read_checkpoint(newest_checkpoint(self.run))
        assert all(torch.isfinite(value).all() for value in document["actor_state_dict"].values())
        assert len((self.run / "metrics.csv").read_text().splitlines()) == document["iter"] + 2
        return document["iter"] + 1


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    folder = tmp_path_factory.mktemp("signals")
    environment = {**os.environ, "PYTHONUTF8": "1"}
    done = python(__file__, folder, env=environment)
    assert done.returncode == 0, done.stderr
    return {name: Outcome(folder / name, code) for name, code in json.loads(done.stdout).items()}


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("terminated_twice", 143),
        ("ctrl_c_when_the_reader_of_the_output_has_left", 130),
        ("ctrl_c_reaches_the_environments_own_process", 130),
    ],
)
def test_a_signal_finishes_the_iteration_and_saves(outcomes: dict[str, Outcome], name: str, code: int) -> None:
    outcome = outcomes[name]
    assert (outcome.code, outcome.iterations()) == (code, DISTURBED + 1), outcome.said
    assert "Traceback" not in outcome.said
    if "reader" not in name:
        assert "Stopping after this iteration" in outcome.said
        assert "Stopped: 128 steps" in outcome.said


def test_an_environment_that_ctrl_c_ends_costs_no_more_than_its_iteration(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["ctrl_c_ends_the_environments_own_process"]
    assert (outcome.code, outcome.iterations()) == (130, DISTURBED), outcome.said
    assert "warning: The iteration in progress is lost: EOFError: its process is gone\n" in outcome.said


def test_the_end_of_a_terminal_finishes_the_iteration_and_saves(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["its_terminal_is_gone"]
    assert outcome.code == 129
    assert outcome.iterations() >= 1


def test_a_signal_that_was_ignored_when_the_process_began_stays_ignored(outcomes: dict[str, Outcome]) -> None:
    assert (outcomes["nohup"].code, outcomes["nohup"].iterations()) == (0, ITERATIONS)


def test_a_second_ctrl_c_ends_the_run_at_once_with_the_last_whole_iteration(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["ctrl_c_twice"]
    assert (outcome.code, outcome.iterations()) == (130, DISTURBED), outcome.said
    assert outcome.said.endswith("Interrupted.\n")
    assert "Traceback" not in outcome.said


@pytest.mark.parametrize(("name", "iterations"), [("terminated_while_saving", 2), ("terminated_in_an_evaluation", 1)])
def test_a_signal_outside_the_rollout_saves_too(outcomes: dict[str, Outcome], name: str, iterations: int) -> None:
    outcome = outcomes[name]
    assert (outcome.code, outcome.iterations()) == (143, iterations), outcome.said


@pytest.mark.parametrize(("name", "code"), [("terminated_while_starting", 143), ("ctrl_c_while_starting", 130)])
def test_a_signal_while_starting_ends_the_process_at_once(outcomes: dict[str, Outcome], name: str, code: int) -> None:
    outcome = outcomes[name]
    assert outcome.code == code
    assert outcome.said == ("Interrupted.\n" if code == 130 else "")
    assert not outcome.run.exists()


@pytest.mark.parametrize("name", ["full_output", "full_standard_output", "no_output"])
def test_a_run_whose_output_fails_goes_on(outcomes: dict[str, Outcome], name: str) -> None:
    outcome = outcomes[name]
    assert (outcome.code, outcome.iterations()) == (0, ITERATIONS), outcome.said
    lost = "warning: Nothing more can be printed, which changes nothing else: [Errno 28] No space left on device\n"
    assert outcome.said == (lost if name == "full_standard_output" else "")


def test_a_name_that_cannot_be_printed_is_shown_by_its_numbers(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["a_terminal_that_cannot_print_the_name"]
    assert (outcome.code, outcome.iterations()) == (0, ITERATIONS), outcome.said
    assert "Training l\\xe4uft" in outcome.said


def test_a_reader_that_leaves_ends_other_commands_without_a_word(outcomes: dict[str, Outcome]) -> None:
    assert (outcomes["tasks_whose_reader_has_left"].code, outcomes["tasks_whose_reader_has_left"].said) == (0, "")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
