# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""All numbers of a run as one table that any program reads."""

from __future__ import annotations

import contextlib
import csv
import os
import warnings
from collections.abc import Iterable
from pathlib import Path

from rsl_rl.telemetry.tensorboard import EventFileMethods
from rsl_rl.telemetry.writer import LogWriter
from rsl_rl.utils.atomic_files import replaced_when_complete, rescue_folder

FILE_NAME = "metrics.csv"
_STEP = "iteration"


def is_timing(tag: str) -> bool:
    """Return whether a number depends on the speed of the machine."""
    return tag.startswith("Perf/") or tag.endswith("/time")


def is_over_wall_time(tag: str) -> bool:
    """Return whether a number's step is seconds: it has no place among numbers per iteration."""
    return tag.startswith("Train/") and tag.endswith("/time")


class CsvLogWriter(EventFileMethods, LogWriter):
    """Writes ``metrics.csv``: one row per iteration, one column per tag.

    Columns that depend on the machine's speed come last, so that runs of the same seed agree digit for digit in the
    others. A tag that appears later adds a column. A row is on its way to the disk when its iteration ends; where the
    disk is full it waits for the next iteration.
    """

    def __init__(self, log_dir: str) -> None:
        """Open the table in a folder; one that is there already is continued."""
        self._path, self._events_dir = Path(log_dir) / FILE_NAME, log_dir
        self._columns: list[str] = []
        self._row: dict[str, float] = {}
        self._waiting: list[dict[str, float]] = []
        self._is_training = True
        if _has_whole_rows(self._path):
            with self._path.open(newline="", encoding="utf-8") as file:
                self._columns = next(csv.reader(file), [])

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:  # noqa: D102
        if not is_over_wall_time(tag):
            self._row |= {tag: scalar_value, _STEP: global_step}
            if not self._is_training:
                self.flush()

    def flush(self) -> None:  # noqa: D102
        self._flush_events()
        if not self._row:
            return
        self._waiting.append(self._row)
        self._row = {}
        try:
            self._write()
        except OSError as error:
            if len(self._waiting) == 1:
                warnings.warn(f"{self._path} cannot be written, its rows wait: {error}", stacklevel=2)

    def stop(self) -> None:
        """Write what still waits; where that is not possible, into a temporary folder, which is said."""
        self.flush()
        self._is_training = False
        if not self._waiting:
            return
        number = f"The rows of {len(self._waiting)} iterations"
        try:
            try:
                self._write()
            except OSError as error:
                rescued = CsvLogWriter(rescue_folder(self._path.parent))
                rescued._waiting = self._waiting
                rescued._write()
                warnings.warn(
                    f"{number} could not be written to '{self._path}' ({error}). They lie in '{rescued._path}': keep "
                    "them.",
                    stacklevel=3,
                )
        except OSError as error:
            raise OSError(f"{number} are lost: {error}") from error
        finally:
            self._waiting = []

    def _write(self) -> None:
        tags = list(dict.fromkeys(tag for row in self._waiting for tag in row))
        if not self._path.exists() or not set(tags) <= set(self._columns):
            self._widen(tags)
        size = self._path.stat().st_size
        try:
            with self._path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, self._columns, restval="").writerows(self._waiting)
        except OSError:
            with contextlib.suppress(OSError):
                os.truncate(self._path, size)
            raise
        self._waiting = []

    def _widen(self, tags: Iterable[str]) -> None:
        """Write the table anew with columns for more tags, whole or not at all."""
        columns = sorted(dict.fromkeys([_STEP, *self._columns, *tags]), key=is_timing)
        rows = []
        if self._path.exists():
            with self._path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
        with replaced_when_complete(self._path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
            # A row of an edited table may be too long; the numbers that have a column are kept.
            writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
        self._columns = columns


def _has_whole_rows(path: Path) -> bool:
    """Remove what a killed process or a power failure has left of a row; return whether there is a table then.

    Such a row has no end, or holds bytes that are 0. A table whose header is damaged begins anew: without it, its rows
    mean nothing.
    """
    if not path.exists():
        return False
    content, header = path.read_bytes(), b""
    lines = content.splitlines(keepends=True)
    while lines and (not header.endswith(b"\n") or header.count(b'"') % 2):  # A tag may hold an end of line, in quotes.
        header += lines.pop(0)
    is_header = header.endswith(b"\n") and not header.count(b'"') % 2 and b"\0" not in header
    if lines and not is_header:
        aside = path.with_name(f"damaged_{path.name}")
        path.replace(aside)
        warnings.warn(f"'{path}' has a damaged header. It is kept as '{aside}', and begins anew.", stacklevel=4)
        return False
    rows = [line for line in lines if line.endswith(b"\n") and b"\0" not in line]
    whole = header * is_header + b"".join(rows)
    if content == whole:
        return True
    if content.startswith(whole):
        os.truncate(path, len(whole))  # Also where the disk is full.
    else:
        with replaced_when_complete(path) as partial:
            Path(partial).write_bytes(whole)
    if lines:
        number = len(lines) - len(rows)
        warnings.warn(f"'{path}' has {number} unfinished or damaged rows, which are removed.", stacklevel=4)
    return True


def cut_table(log_dir: str, iteration: int) -> None:
    """Remove the rows of an iteration and all later ones: the run goes on from a checkpoint before them."""
    path = Path(log_dir) / FILE_NAME
    if not _has_whole_rows(path):
        return
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    kept = [row for row in rows if row and row[0].isdigit() and int(row[0]) < iteration]
    if header[:1] == [_STEP] and len(kept) < len(rows):
        with replaced_when_complete(path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *kept])
