# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The first seconds of a command: answers that need no PyTorch come without it, and Ctrl-C ends the wait for it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rsl_rl.cli.main import _COMMANDS
from rsl_rl.cli.own_process import own_command, own_environment
from rsl_rl.cli.startup import interrupt_ends_at_once, load_pytorch

# Runs command lines in one process; prints for each its exit code and what it said, and whether PyTorch is loaded.
MANY = """
import contextlib, io, json, sys
from rsl_rl.cli.main import main
answers = []
for line in json.loads(sys.argv[1]):
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            main(line)
            code = 0
        except SystemExit as end:
            code = end.code
    answers.append([code, said.getvalue(), "torch" in sys.modules])
print(json.dumps(answers))
"""
MISTAKES = {
    ("trian",): "Did you mean 'train'?",
    ("train", "go1-wlak"): "Did you mean 'go1-walk'",
    ("train", "mine.yaml"): "There is no file 'mine.yaml'.",
    ("train", "broken.yaml"): "'broken.yaml' is not a task",
    ("sweep", "go1-wlak", "--param", "seed=1,2"): "Did you mean 'go1-walk'",
    **{(name, "go1-wlak"): "'go1-wlak'" for name in ("play", "eval", "export", "report", "plot", "migrate")},
    **{(name, "go1-walk"): "no run" for name in ("play", "eval", "export", "report")},
    ("plot", "go1-walk"): "is not a run",
    ("migrate", "nothing.yaml"): "There is nothing at 'nothing.yaml'.",
    ("bench", "--num-env", "4"): "num-env",
    ("doctor", "--fast"): "--fast",
}


def test_what_needs_no_pytorch_is_answered_without_it(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("num_envs: 4\n")
    helps = [[name, "--help"] for name in _COMMANDS if name != "train"]  # whose options are those of the constructors
    fine = [[], ["--help"], ["--version"], ["tasks"], *helps]
    lines = [*fine, *map(list, MISTAKES)]
    done = subprocess.run(
        [sys.executable, "-c", MANY, json.dumps(lines)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=own_environment(),
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    for line, (code, said, is_loaded) in zip(lines, answers, strict=True):
        assert not is_loaded, line
        assert code == (0 if line in fine else 2), (line, said)
        assert MISTAKES.get(tuple(line), "") in said, said
    assert "go1-walk (default)" in answers[fine.index(["tasks"])][1]


@pytest.mark.skipif(sys.platform == "win32", reason="another way to interrupt")
@pytest.mark.parametrize("line", [["train", "ant"], ["bench"]], ids=" ".join)
def test_ctrl_c_while_pytorch_loads_ends_at_once(line: list[str], tmp_path: Path) -> None:
    process = subprocess.Popen(
        own_command("rsl_rl", *line),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=own_environment(),
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "Loading PyTorch ...\n"
    process.send_signal(signal.SIGINT)
    out, rest = process.communicate(timeout=60)
    assert (process.returncode, out, rest) == (130, "", "Interrupted.\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="another way to interrupt")
def test_a_package_cannot_swallow_the_interrupt(tmp_path: Path) -> None:
    (tmp_path / "careless.py").write_text(
        "import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIGINT)\nexcept BaseException:\n    pass\n"
    )
    code = "from rsl_rl.cli.startup import interrupt_ends_at_once as at_once\nwith at_once():\n    import careless\n"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}print('went on')"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=own_environment(),
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Interrupted.\n")


def test_once_it_is_loaded_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    load_pytorch()
    capsys.readouterr()
    load_pytorch()
    assert capsys.readouterr().err == ""


def test_a_handler_of_the_callers_own_stays() -> None:
    def own(*_: object) -> None:
        pass

    before = signal.signal(signal.SIGINT, own)
    try:
        with interrupt_ends_at_once():
            assert signal.getsignal(signal.SIGINT) is own
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with interrupt_ends_at_once():
            assert signal.getsignal(signal.SIGINT) not in (own, signal.default_int_handler)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
