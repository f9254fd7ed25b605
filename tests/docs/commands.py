# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Commands that pages show: those of this package are run small, or parsed; what others name must exist."""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import re
import shlex
import shutil
from pathlib import Path

import pytest

from rsl_rl.cli.main import _COMMANDS, main
from rsl_rl.config.task import task_names
from tests.docs.blocks import ROOT

# What makes a command quick. Commands that are not here are checked down to their options.
_SMALLER = {"play": {"--episodes": "2"}, "export": {}, "tasks": {}, "migrate": {}}
_SMALLER |= {"eval": {"--episodes": "2"}, "plot": {}, "report": {}}
_SMALL_TRAINING = {"--iterations": "1", "--num-envs": "4", "--runner.num-steps-per-env": "8"}
_TAKES_NO_PART = ("--video", "--view", "--help", "--device")
# Programs of others that pages may name.
_FOREIGN = ("cat", "cd", "export", "git", "ls", "mkdir", "neptune", "sbatch", "source", "sudo", "tensorboard", "wandb")
_done: set[str] = set()


def run_or_check(line: str, folder: Path, runs: Path) -> None:
    """Run a command, or check as much of it as can be known without running it.

    Args:
        line: The command.
        folder: Where the page's files are; the current directory.
        runs: The folder of a small run that all pages share; need not exist.
    """
    words = shlex.split(line)
    while words and re.fullmatch(r"[A-Za-z_]+=.*", words[0]):
        words.pop(0)
    program = Path(words[0]).name if words else "cd"
    if program == "rsl-rl":
        _run(_with_real_runs(words[1:], folder, runs))
    elif program == "torchrun":
        rest = words[words.index("-m") + 2 :] if "-m" in words else []
        if rest:
            _parse_training(_with_real_runs(rest, folder, runs)[1:])
        else:
            assert [word for word in words if (ROOT / word).is_file() or (folder / word).is_file()], line
    else:
        check_foreign(program, words, line, folder)


def check_foreign(program: str, words: list[str], line: str, folder: Path = ROOT) -> None:
    """Check what a command of another program names: make's targets, pip's extras and files, Python's scripts."""
    if program == "make":
        makefile = (ROOT / "Makefile").read_text()
        for target in [word for word in words[1:] if "=" not in word]:
            assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), line
        for path in re.findall(r"tests/[\w/.]+", line):
            assert (ROOT / path).exists(), line
    elif program.startswith("pip") or words[1:3] == ["-m", "pip"]:
        project = (ROOT / "pyproject.toml").read_text()
        for extra in ",".join(re.findall(r"(?:\.whl|\.)\[([\w,]+)\]", line)).split(","):
            assert not extra or f"\n{extra} = [" in project, f"there is no extra '{extra}': {line}"
        for option, value in itertools.pairwise(words):
            assert option not in ("-c", "-r") or (ROOT / value).is_file(), f"there is no file '{value}': {line}"
    elif program.startswith("python"):
        if words[1] in ("-c", "-m"):
            return
        script = next((place / words[1] for place in (folder, ROOT) if (place / words[1]).is_file()), None)
        assert script is not None, f"there is no file '{words[1]}': {line}"
        for option in (word.lstrip("-").partition("=")[0] for word in words[2:] if word.startswith("--")):
            source = script.read_text()
            assert option in source or option.replace("-", "_") in source, f"{words[1]} has no '--{option}': {line}"
    else:
        assert program in _FOREIGN, f"'{program}' is no program that pages use, see tests/docs/commands.py: {line}"


@functools.cache
def help_of(*arguments: str) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit) as exit_:
        main([*arguments, "--help"])
    assert exit_.value.code == 0
    return printed.getvalue()


def check_options(words: list[str]) -> None:
    """Check that a command of this package exists and has the options that are given."""
    command, *arguments = words
    assert command in _COMMANDS or command.startswith("--"), f"there is no command 'rsl-rl {command}'"
    if command == "tasks" or command.startswith("--"):
        return
    target = [
        word for word in arguments[:1] if word in task_names() or word.startswith(("gym:", "envpool:", "mujoco:"))
    ]
    described = help_of(command, *(target if command == "train" else []))
    for option in (word for word in arguments if word.startswith("--")):
        assert option.partition("=")[0] in described, f"rsl-rl {command} has no {option}"


def _run(words: list[str]) -> None:
    command, *arguments = words
    if command == "train":
        _train(arguments)
    elif command in _SMALLER and not set(_TAKES_NO_PART) & set(arguments) and _has_its_files(arguments):
        # Pages speak of the same thing again and again.
        kind = str([command, *("RUN" if (Path("runs") / word).exists() else word for word in arguments)])
        if kind not in _done:
            _done.add(kind)
            _succeeds([command, *_replaced(arguments, _SMALLER[command])])
    else:
        check_options(words)


def _has_its_files(arguments: list[str]) -> bool:
    """Return whether the first argument, if it is a path, is there: pages also speak of files that only users have."""
    return not arguments or not re.search(r"[/.]", arguments[0]) or Path(arguments[0]).exists()


def _train(arguments: list[str]) -> None:
    named = bool(arguments) and not arguments[0].startswith("-")
    name = arguments[0].partition(":")[0] if named else ""
    own = Path(name if name.endswith(".yaml") else f"{name}.py").resolve()
    if own.is_file() and own.name != "my.yaml" and str(own) not in _done:
        _done.add(str(own))
        _succeeds(["train", *_replaced(arguments, _SMALL_TRAINING)])
    else:
        _parse_training(arguments)


def _parse_training(arguments: list[str]) -> None:
    """Let everything be read and checked up to the number of iterations, which is looked at last."""
    if any("mjlab:" in word or "isaaclab:" in word for word in arguments) or "--help" in arguments:
        return
    arguments = _replaced(arguments, {"--iterations": "0"})
    if "--device" in arguments:
        arguments = _replaced(arguments, {"--device": "cpu"})
    code, said = _outcome(["train", *arguments])
    assert code == 2, f"{arguments}: {said}"
    assert said.endswith("'iterations' must be at least 1, got 0.\n"), f"{arguments}: {said}"


def _succeeds(words: list[str]) -> None:
    code, said = _outcome(words)
    assert code == 0, f"rsl-rl {shlex.join(words)} ends with {code}: {said}"


def _outcome(words: list[str]) -> tuple[int, str]:
    """Return exit code and what was said on the way, of a command of this package."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            main(words)
        except SystemExit as exit_:
            return int(exit_.code or 0), said.getvalue()
    return 0, said.getvalue()


def _replaced(arguments: list[str], values: dict[str, str]) -> list[str]:
    """Return arguments in which options have these values."""
    result, skip = [], False
    for word in arguments:
        if not skip and word.partition("=")[0] not in values:
            result.append(word)
        skip = word in values
    return [*result, *(word for item in values.items() for word in item)]


def _with_real_runs(words: list[str], folder: Path, runs: Path) -> list[str]:
    """Return a command with the runs that it speaks of, which are put in place."""
    result = []
    for previous, word in zip(["", *words], words, strict=False):
        is_run = words[0] != "train" or previous in ("--teacher", "--resume", "--checkpoint")
        named = re.match(r"(?:runs/)?([\w-]+)(?:/|$)", word)
        if is_run and previous != "--run-dir" and named and named[1] in task_names():
            _put_in_place(named[1], folder, runs)
        word = re.sub(r"<(run|other run)>", "small", re.sub(r"model_\d+\.pt", "model_0.pt", word))
        if word in ("RUN", "small"):
            _put_in_place("cartpole-balance", folder, runs)
            word = "runs/cartpole-balance/small"
        if word.startswith("runs/") and word.endswith(".yaml") and not Path(word).exists():
            Path(word).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy("my.yaml", word)  # What another command of the page leaves.
        result += sorted(map(str, Path().glob(word))) if "*" in word and "=" not in word else [word]
    return result


def _put_in_place(task: str, folder: Path, runs: Path) -> None:
    """Copy a small run into a page's folder as that of a task; it is trained when it is needed first."""
    place = folder / "runs" / task / "small"
    if not runs.exists():
        small = [word for item in _SMALL_TRAINING.items() for word in item]
        ends_early = ["--env-options", "max_episode_steps=4"]
        # Not the task itself: many tasks need EnvPool, which is not everywhere.
        _succeeds(["train", "gym:InvertedPendulum-v5", *small, *ends_early, "--run-dir", str(runs)])
    if not place.exists():
        shutil.copytree(runs, place)
