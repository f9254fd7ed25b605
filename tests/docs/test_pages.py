# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The links, files and tests that the pages name exist; their code blocks are run by test_code_blocks.py."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, ROOT
from tests.docs.commands import check_foreign, check_options
from tests.test_architecture import ALLOWED

FEATURES = (ROOT / "docs" / "features.md").read_text()
ROWS = re.findall(r"^\| (.*?) \| `(.*?)` \| `(.*?)` \| `(.*?)` \|$", FEATURES, flags=re.MULTILINE)
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), target


@every_page
def test_tests_that_are_named_exist(page: Path) -> None:
    for path, name in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page.read_text()):
        assert not name or re.search(rf"^ *def {name}\(", (ROOT / path).read_text(), flags=re.MULTILINE), (
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
    words = shlex.split(command)
    assert words[0] in ("rsl-rl", "make")
    if words[0] == "make":
        check_foreign("make", words, command)
    else:
        check_options(words[1:])


def test_the_architecture_page_has_the_table_of_who_may_import_whom() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|$", page, flags=re.MULTILINE)
    table = {name: set(re.findall(r"`(\w+)`", others)) for name, others in rows if name in ALLOWED}
    assert table.pop("cli") == set()  # "all others"
    assert table == {name: others - {"utils"} for name, others in ALLOWED.items() if name != "cli"}
