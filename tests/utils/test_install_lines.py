# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What users are told to install: the packages themselves, by the names that pyproject.toml has for them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from rsl_rl.utils.install_lines import INSTALL_LINES

ROOT = Path(__file__).parents[2]
PROJECT = (ROOT / "pyproject.toml").read_text()
TEXTS = (".py", ".md", ".sh", ".yml", ".yaml", ".toml", ".txt", ".ipynb", ".html", ".js", "")
# Not those of the tree that tools leave behind.
FOLDERS = ("rsl_rl", "docs", "examples", "scripts", "benchmarks", "clients", "tests", ".ci")


def extra(name: str) -> list[str]:
    """Return the packages of an extra, without versions and without the Python versions that have them."""
    found = re.search(rf"^{name} = (\[.*\])$", PROJECT, flags=re.MULTILINE)
    assert found is not None, f"there is no extra '{name}'"
    return [re.split(r"[<>=;]", package)[0] for package in re.findall(r'"([^"]+)"', found[1])]


@pytest.mark.parametrize("name", INSTALL_LINES)
def test_a_line_installs_the_packages_of_the_extra(name: str) -> None:
    assert shlex.split(INSTALL_LINES[name]) == ["pip", "install", *extra(name)]


def test_no_text_sends_users_to_the_package_of_this_name_on_the_index() -> None:
    # "rsl-rl-lib[envs]" in a line of pip's is looked up on the index, where another project has that name.
    wanted = re.compile(r"rsl[-_]rl[-_]lib" + r"\[")
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in TEXTS]
    files += [path for path in ROOT.iterdir() if path.is_file() and path.suffix in TEXTS]
    assert len(files) > 300
    for path in files:
        # In pyproject.toml the extra "dev" names the others: of the project itself, wherever that comes from.
        if path.is_file() and path.name not in ("pyproject.toml", Path(__file__).name):
            assert not wanted.search(path.read_text(errors="replace")), path
