# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What the README shows works as it is written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from rsl_rl.cli.main import main
from rsl_rl.config.task import task_names

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("code", blocks("python"))
def test_python_blocks_run(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    assert (tmp_path / "runs/pendulum/exports/policy.onnx").is_file()
    assert (tmp_path / "runs/pendulum/model_9.pt").is_file()


def test_commands_take_the_options_that_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    commands = [line.partition("#")[0].strip() for block in blocks("bash") for line in block.splitlines()]
    shown = [shlex.split(command)[1:] for command in commands if command.startswith("rsl-rl ")]
    assert len(shown) > 6
    for command, *arguments in shown:
        if command == "tasks":
            main([command])
            continue
        target = [argument for argument in arguments[:1] if argument in task_names() or argument.startswith("gym:")]
        with pytest.raises(SystemExit) as exit_:
            main([command, *(target if command == "train" else []), "--help"])
        assert exit_.value.code == 0
        described = capsys.readouterr().out
        for option in (argument for argument in arguments if argument.startswith("--")):
            assert option in described, f"rsl-rl {command} has no {option}"


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_it_says_what_it_is() -> None:
    assert "independent implementation" in README
    assert "not affiliated" in README
    for target in ("make train", "make test"):
        assert target in README
        assert target.split()[1] + ":" in (ROOT / "Makefile").read_text()
