# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The pages, and the code blocks in them."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
_BLOCK = re.compile(
    r"(?:^ *<!-- not run: (?P<reason>.*?) -->\n+)?"
    r"^(?P<indent> *)```(?P<language>[\w+-]*)[^\n]*\n(?P<text>.*?)^(?P=indent)```",
    flags=re.DOTALL | re.MULTILINE,
)
_FILE = re.compile(r"(?:#|//) (?P<name>[\w/.-]+\.(?:py|yaml|cpp|sh))\b[^\n]*\n")


@dataclass(frozen=True)
class Block:
    """A code block: where it stands, what it is, and why it is not run, if it is not."""

    page: Path
    line: int
    language: str
    text: str
    reason: str | None

    @property
    def file(self) -> str | None:
        """The file that its first line names, in which it is kept."""
        named = _FILE.match(self.text)
        return named["name"] if named else None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page,
            text.count("\n", 0, found.start("indent")) + 1,
            found["language"],
            textwrap.dedent(found["text"]),
            found["reason"],
        )
        for found in _BLOCK.finditer(text)
    ]


def commands(text: str) -> list[str]:
    """Return the command lines of a block, without comments, prompts and what a shell needs for a loop."""
    lines = [re.sub(r"(^|\s)#.*", "", line).strip() for line in text.replace("\\\n", " ").splitlines()]
    lines = [re.sub(r"^for .*; do$|^done$", "", line.removeprefix("$ ")) for line in lines]
    return [part.strip() for line in lines for part in line.split("&&") if part.strip()]
