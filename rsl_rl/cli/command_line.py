# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""From a command line to the dataclass that describes its options; help and mistakes as text that stays readable."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import io
import os
import re
import shutil
import sys
import textwrap
import types
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import docstring_parser
import tyro

from rsl_rl.cli.main import user_errors
from rsl_rl.telemetry.plain_values import flattened
from rsl_rl.utils.option_types import check_fields

Options = TypeVar("Options")
_LEAST_BESIDE, _MOST_BESIDE = 12, 30
"""Columns that tyro takes beside a default value: for the frame, and the names of the options."""


def parsed(kind: type[Options], arguments: Sequence[str], prog: str, description: str = "", **options: Any) -> Options:
    """Return the options, fields of the dataclass ``kind``, that the arguments after the command ``prog`` stand for.

    ``description`` is the first paragraph of the help, by default that of the class; ``options`` go to ``tyro.cli``.
    SystemExit: 0 after ``--help``; 2 after a mistake, which is printed. UserError: A number is out of its range.
    """
    default = options.get("default")
    _describe(kind)
    for value in vars(default).values() if default is not None else ():
        if dataclasses.is_dataclass(value):
            _describe(type(value))
    is_help = bool({"-h", "--help"} & set(arguments))
    width = shutil.get_terminal_size().columns
    # tyro leaves these lines as they are, given that the second begins with a space.
    paragraphs = (" ".join(text.split()) for text in (description or inspect.getdoc(kind) or "").split("\n\n"))
    whole_words: Any = {"break_on_hyphens": False, "break_long_words": False}
    options["description"] = "\n\n".join(
        textwrap.fill(text, width, subsequent_indent="  ", **whole_words) for text in paragraphs
    )
    # tyro cuts words that are longer than a line, such as the path of a file.
    values = flattened(dataclasses.asdict(default)) if default is not None else {}
    longest = max((len(word) for value in values.values() for word in str(value).split()), default=0)
    help_width = width if longest + _LEAST_BESIDE <= width else longest + _MOST_BESIDE
    said = io.StringIO()
    redirected = contextlib.nullcontext() if is_help else contextlib.redirect_stderr(said)
    try:
        with _columns(help_width if is_help else 10_000), redirected:
            chosen = tyro.cli(kind, args=list(arguments), prog=prog, **options)
    except SystemExit:
        if said.getvalue():
            print(f"error: {_without_box(said.getvalue())}", file=sys.stderr)
        raise
    print(said.getvalue(), end="", file=sys.stderr)
    with user_errors():
        check_fields(chosen)
    return chosen


def _describe(kind: Any) -> None:
    """Give each option its description in one piece: tyro would break it wherever the source does."""
    texts: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):
        texts |= {param.arg_name: param.description or "" for param in docstring_parser.parse_from_object(base).params}
    for field in dataclasses.fields(kind):
        if text := " ".join(texts.get(field.name, "").replace("``", "").split()):
            field.metadata = types.MappingProxyType({**field.metadata, "help": text})


@contextlib.contextmanager
def _columns(number: int) -> Iterator[None]:
    """Within this block the terminal counts as that wide."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(number)
    try:
        yield
    finally:
        del os.environ["COLUMNS"]
        if before is not None:
            os.environ["COLUMNS"] = before


def _without_box(text: str) -> str:
    """Return a message of tyro's without its title and its frame, which is drawn with spaces and dashes in ASCII."""
    _, *lines = text.strip().splitlines()
    inner = (re.sub(r"^\s*│ ?|\s*│?\s*$", "", line) for line in lines if line.strip("╰╯│─- "))
    return textwrap.dedent("\n".join(inner)).strip()
