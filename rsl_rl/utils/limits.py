# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""How much a file may ask for. What is larger is refused with one error, before it takes the memory or the time."""

from __future__ import annotations

import contextlib
import io
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MIB = 2**20
LONGEST_TEXT = 32 * MIB
"""Bytes of a document in JSON, or of a diff."""
LONGEST_YAML = 4 * MIB
"""Characters of a configuration."""
LONGEST_LINE = 4 * MIB
"""Bytes of a line of a table."""
MOST_COLUMNS = 10_000
"""Columns of a table."""
LONGEST_NUMBER = 400
"""Characters of a number."""
LONGEST_RECORD = 64 * MIB
"""Bytes of a record in an event file."""
DEEPEST_NESTING = 100
"""Lists and sections of a document within each other."""
MOST_VALUES = 1_000_000
"""Values of a document when all of its aliases are written out."""
MOST_EXPANDED = 256 * MIB
"""Bytes by which the content of an archive may exceed the file; checkpoints and policies are hardly compressed."""
MOST_ENVIRONMENTS = 10_000_000
"""Environments of a task."""
MOST_WEIGHTS = 1_000_000_000
"""Numbers that a network learns: 4 GB, and four times as much with an optimizer."""
MOST_INPUTS = 100_000_000
"""Numbers in an input of a policy file, for one robot."""
MOST_COMBINATIONS = 100_000
"""Trials of a grid."""


def read_bytes_limited(path: str | os.PathLike[str], most: int) -> bytes:
    """Return the content of a file; ValueError for one that is longer than ``most`` bytes."""
    with Path(path).open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it is longer than {most // MIB} MiB")
    return content


def read_limited(path: str | os.PathLike[str]) -> str:
    """Return the text of a file; ValueError for one that is too long, or not UTF-8."""
    return read_bytes_limited(path, LONGEST_TEXT).decode("utf-8-sig")


def parse_json(text: str) -> Any:
    """Return what a text in JSON stands for; ValueError for one that is none, or nested too deeply."""
    try:
        document = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    check_nesting(document, len(text))
    return document


def check_nesting(value: Any, size: int, depth: int = 0, counted: dict[int, int] | None = None) -> int:
    """Return how many values a document stands for, with those that it holds several times.

    Raises:
        ValueError: It is nested too deeply, holds itself, or stands for far more than ``size`` bytes can hold.
    """
    if not isinstance(value, (dict, list, tuple, set)):
        return 1
    if depth > DEEPEST_NESTING:
        raise ValueError(f"it is nested too deeply, beyond {DEEPEST_NESTING} levels")
    counted = {} if counted is None else counted
    if id(value) not in counted:
        inner = value.values() if isinstance(value, dict) else value
        count = 1 + sum(check_nesting(item, size, depth + 1, counted) for item in inner)
        if count > size + MOST_VALUES:
            raise ValueError(f"it stands for more than {size + MOST_VALUES:,} values")
        counted[id(value)] = count
    return counted[id(value)]


def check_weights(count: int, what: str) -> None:
    """Raise ValueError for a network that no machine trains: the system ends a process whose memory runs out."""
    if count > MOST_WEIGHTS:
        raise ValueError(f"{what} would have {count:,} weights, and {MOST_WEIGHTS:,} is the limit.")


def read_archive(content: bytes) -> dict[str, bytes]:
    """Return the files in a zip archive by their names.

    Raises:
        ValueError: It is not an archive, is damaged, has two files of one name, or would become far larger than it is.
    """
    try:
        with opened_archive(content) as archive:
            entries = archive.infolist()
            found = {entry.filename: archive.read(entry) for entry in entries}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise ValueError(f"it is not a zip archive, or it is damaged: {error}") from error
    if len(found) < len(entries):
        raise ValueError("it holds two files of the same name")
    return found


@contextlib.contextmanager
def opened_archive(content: bytes) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive; ValueError where the files in it would take far more memory than it does."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries, size = archive.infolist(), len(content)
        expanded = sum(entry.file_size for entry in entries)
        if expanded > size + MOST_EXPANDED:
            largest = max(entries, key=lambda entry: entry.file_size)
            raise ValueError(f"its {size:,} bytes would become {expanded:,}, most of it '{largest.filename}'")
        yield archive
