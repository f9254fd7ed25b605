# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""How much a file may ask for. What is larger is refused with one error, before it takes the memory or the time."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

MIB = 2**20
LONGEST_TEXT = 32 * MIB
"""Bytes of a configuration or another document (YAML, JSON)."""
LONGEST_LINE = 4 * MIB
"""Bytes of a line of a table."""
MOST_COLUMNS = 10_000
"""Columns of a table."""
LONGEST_NUMBER = 400
"""Characters of a number as text."""
DEEPEST_NESTING = 100
"""Sections within sections of a document."""
MOST_VALUES = 1_000_000
"""Values of a document when all of its aliases are written out."""
MOST_EXPANDED = 256 * MIB
"""Bytes by which the content of an archive may exceed the file; checkpoints and policies are hardly compressed."""
MOST_ENVIRONMENTS = 10_000_000
"""Environments of a task."""
MOST_COMBINATIONS = 100_000
"""Trials of a grid."""


def read_limited(path: str | os.PathLike[str], most: int = LONGEST_TEXT) -> str:
    """Return the text of a file; ValueError for one that is too long, or no UTF-8."""
    with Path(path).open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it is longer than {most // MIB} MiB")
    return content.decode("utf-8")


def read_archive(content: bytes) -> dict[str, bytes]:
    """Return the files in a zip archive by their names.

    Raises:
        ValueError: It is no archive, is damaged, has two files of one name, or would become far larger than it is.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            check_expansion(entries, len(content))
            found = {entry.filename: archive.read(entry) for entry in entries}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise ValueError(f"it is no zip archive, or it is damaged: {error}") from error
    if len(found) < len(entries):
        raise ValueError("it holds two files of the same name")
    return found


def check_expansion(entries: list[zipfile.ZipInfo], size: int) -> None:
    """Raise ValueError where the files in an archive of so many bytes would take far more memory than it."""
    expanded = sum(entry.file_size for entry in entries)
    if expanded > size + MOST_EXPANDED:
        largest = max(entries, key=lambda entry: entry.file_size)
        raise ValueError(f"its {size:,} bytes would become {expanded:,}, most of it '{largest.filename}'")
