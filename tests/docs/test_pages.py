# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The commands, links, files and tests that the pages name exist."""

from __future__ import annotations

import ast
import contextlib
import functools
import io
import re
import shlex
from pathlib import Path

import pytest

from rsl_rl.cli.main import main
from rsl_rl.config.task import task_names

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FEATURES = (ROOT / "docs" / "features.md").read_text()
ROWS = re.findall(r"^\| (.*?) \| `(.*?)` \| `(.*?)` \| `(.*?)` \|$", FEATURES, flags=re.MULTILINE)
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@functools.cache
def help_of(*arguments: str) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit) as exit_:
        main([*arguments, "--help"])
    assert exit_.value.code == 0
    return printed.getvalue()


def assert_command_exists(line: str) -> None:
    """Check a command of this package, and the make targets, down to their options."""
    words = shlex.split(line.partition(" #")[0])
    if words[0] == "make":
        assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text(), line
        for path in re.findall(r"tests/[\w/.]+", line):
            assert (ROOT / path).exists(), line
    if words[0] != "rsl-rl":
        return
    command, *arguments = words[1:]
    if command == "tasks":
        return
    target = [word for word in arguments[:1] if word in task_names() or word.startswith(("gym:", "envpool:"))]
    described = help_of(command, *(target if command == "train" else []))
    for option in (word for word in arguments if word.startswith("--")):
        assert option in described, f"rsl-rl {command} has no {option}: {line}"


@every_page
def test_commands_take_the_options_that_are_shown(page: Path) -> None:
    blocks = re.findall(r"```(?:bash|sh|console)\n(.*?)```", page.read_text(), flags=re.DOTALL)
    for line in "\n".join(blocks).replace("\\\n", " ").splitlines():
        if line.strip() and not line.startswith("#"):
            assert_command_exists(line.strip().removeprefix("$ "))


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), target


@every_page
def test_tests_that_are_named_exist(page: Path) -> None:
    for path, name in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page.read_text()):
        assert not name or re.search(rf"^def {name}\(", (ROOT / path).read_text(), flags=re.MULTILINE), (
            f"{path}::{name}"
        )
        assert (ROOT / path).is_file(), path


def test_the_feature_page_is_a_table_of_rows() -> None:
    lines = [line for line in FEATURES.splitlines() if line.startswith("| ") and "---" not in line]
    assert len(ROWS) == len([line for line in lines if not line.startswith("| Feature")]) > 50


@pytest.mark.parametrize(("feature", "file", "test", "command"), ROWS, ids=[row[0][:40] for row in ROWS])
def test_every_row_of_the_feature_page_is_true(feature: str, file: str, test: str, command: str) -> None:
    assert (ROOT / file).is_file()
    path, _, name = test.partition("::")
    functions = {node.name for node in ast.walk(ast.parse((ROOT / path).read_text())) if hasattr(node, "name")}
    assert name in functions
    assert command.startswith(("rsl-rl ", "make "))
    assert_command_exists(command)
