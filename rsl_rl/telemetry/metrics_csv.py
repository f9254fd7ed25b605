# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""All numbers of a run as one table that any program reads."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from rsl_rl.telemetry.writer import LogWriter
from rsl_rl.utils.files import replaced_when_complete

FILE_NAME = "metrics.csv"
_STEP = "iteration"


def is_timing(tag: str) -> bool:
    """Return whether a number depends on the speed of the machine."""
    return tag.startswith("Perf/") or tag.endswith("/time")


def is_over_wall_time(tag: str) -> bool:
    """Return whether a number's step is seconds: it has no place among numbers per iteration."""
    return tag.startswith("Train/") and tag.endswith("/time")


class CsvLogWriter(LogWriter):
    """Writes ``metrics.csv``: one row per iteration, one column per tag.

    Columns that depend on the machine's speed come last, so that runs of the same seed agree digit for digit in the
    others. A tag that appears later adds a column. A row is on its way to the disk when its iteration ends.
    """

    def __init__(self, log_dir: str) -> None:
        """Open the table; one that is there already is continued.

        Args:
            log_dir: Folder of the table.
        """
        self._path = Path(log_dir) / FILE_NAME
        self._columns: list[str] = []
        self._row: dict[str, float] = {}
        if self._path.exists():
            _cut_unfinished_row(self._path)
            with self._path.open(newline="") as file:
                self._columns = next(csv.reader(file), [])

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:  # noqa: D102
        if not is_over_wall_time(tag):
            self._row[_STEP] = global_step
            self._row[tag] = scalar_value

    def flush(self) -> None:  # noqa: D102
        if not self._row:
            return
        row, self._row = self._row, {}
        if not set(row) <= set(self._columns):
            self._widen(row)
        with self._path.open("a", newline="") as file:
            csv.DictWriter(file, self._columns, restval="").writerow(row)

    def stop(self) -> None:  # noqa: D102
        self.flush()

    def _widen(self, row: dict[str, float]) -> None:
        """Write the table anew with columns for the tags of ``row``, whole or not at all."""
        names = dict.fromkeys([_STEP, *self._columns, *row])
        self._columns = sorted(names, key=is_timing)
        rows = []
        if self._path.exists():
            with self._path.open(newline="") as file:
                rows = list(csv.DictReader(file))
        with replaced_when_complete(self._path) as partial, open(partial, "w", newline="") as file:
            # A row of an edited table may be too long; the numbers that have a column are kept.
            writer = csv.DictWriter(file, self._columns, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)


def _cut_unfinished_row(path: Path) -> None:
    """Cut what a killed run left without an end of line: the next row would run into it."""
    with path.open("rb+") as file:
        content = file.read()
        if content and not content.endswith(b"\n"):
            file.truncate(content.rfind(b"\n") + 1)
            os.fsync(file.fileno())
