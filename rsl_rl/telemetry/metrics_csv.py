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
from rsl_rl.utils.atomic_files import replaced_when_complete

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
        if self._path.exists():
            # What a killed run left without an end of line: the next row would run into it.
            with self._path.open("rb+") as file:
                content = file.read()
                if content and not content.endswith(b"\n"):
                    file.truncate(content.rfind(b"\n") + 1)
                    os.fsync(file.fileno())
            with self._path.open(newline="") as file:
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

    def stop(self) -> None:  # noqa: D102
        self.flush()
        self._is_training = False
        if self._waiting:
            self._write()

    def _write(self) -> None:
        tags = list(dict.fromkeys(tag for row in self._waiting for tag in row))
        if not self._path.exists() or not set(tags) <= set(self._columns):
            self._widen(tags)
        size = self._path.stat().st_size
        try:
            with self._path.open("a", newline="") as file:
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
            with self._path.open(newline="") as file:
                rows = list(csv.DictReader(file))
        with replaced_when_complete(self._path) as partial, open(partial, "w", newline="") as file:
            # A row of an edited table may be too long; the numbers that have a column are kept.
            writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
        self._columns = columns


def cut_table(log_dir: str, iteration: int) -> None:
    """Remove the rows of an iteration and all later ones: the run goes on from a checkpoint before them."""
    path = Path(log_dir) / FILE_NAME
    if not path.exists():
        return
    with path.open(newline="") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    kept = [row for row in rows if row and row[0].isdigit() and int(row[0]) < iteration]
    if header[:1] == [_STEP] and len(kept) < len(rows):
        with replaced_when_complete(path) as partial, open(partial, "w", newline="") as file:
            csv.writer(file).writerows([header, *kept])
