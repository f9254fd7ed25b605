# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Help and complaints about options: broken where the terminal ends and nowhere else, paths in one piece."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from rsl_rl.cli.command_line import parsed
from rsl_rl.cli.main import main

LONG = f"/home/{'/'.join(['somebody'] * 12)}/model_1000.pt"


@dataclass(frozen=True)
class Shaped:
    """What a test chooses."""

    place: Path = Path(LONG)
    """Where it lies: ``place`` is described in two lines,
    of which the second begins with an indentation. 3 more words."""
    number: int = 1
    """Of things."""


def helped(run: Callable[[], object], columns: int, encoding: str = "utf-8") -> str:
    """Return the help of a command, drawn for a terminal of that width and characters."""
    screen = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(columns))
        patch.setattr(sys, "stdout", screen)
        with pytest.raises(SystemExit, match="0"):
            run()
    screen.seek(0)
    return screen.read()


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as exit_:
        parsed(Shaped, arguments, prog="shaped")
    assert exit_.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("columns", [60, 80])
def test_descriptions_fill_their_lines(columns: int) -> None:
    text = helped(lambda: main(["train", "--help"]), columns)
    assert max(map(len, text.splitlines())) <= columns
    # A line ends where the next word would not have fitted, or with the description.
    described = re.findall(r"^│ {7}(\S.*?) *│\n(?=│ {7}(\S+))", text, flags=re.MULTILINE)
    assert len(described) > 30
    for line, next_word in described:
        assert 7 + len(line) + 1 + len(next_word) > columns - 4, (line, next_word)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_path_is_never_cut(
    encoding: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert LONG in helped(lambda: parsed(Shaped, ["--help"], prog="shaped", default=Shaped()), 40, encoding)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    assert refused(capsys, LONG) == f"error: Unrecognized options: {LONG}\nFor full helptext, run shaped --help\n"
    text = refused(capsys, "--number", LONG)
    assert text.startswith(f"error: Error parsing --number: invalid literal for int() with base 10: '{LONG}'\n")
    assert not set(text) & set("╭╮╰╯│─")
    monkeypatch.undo()
    assert parsed(Shaped, ["--place", LONG[1:]], prog="shaped") == Shaped(Path(LONG[1:]))


def test_every_command_describes_itself_within_the_width() -> None:
    for command in ("bench", "doctor", "migrate", "sweep"):
        begin = helped(partial(main, [command, "--help"]), 70).partition("╭")[0].splitlines()[1:]  # after the usage
        assert max(map(len, begin)) <= 70 < sum(map(len, begin))


def test_the_width_of_the_terminal_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    for before in ("57", None):
        monkeypatch.delenv("COLUMNS", raising=False)
        if before is not None:
            monkeypatch.setenv("COLUMNS", before)
        parsed(Shaped, [], prog="shaped")
        assert os.environ.get("COLUMNS") == before
