# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Reading back what a run has logged: from its table, or from TensorBoard event files of any program."""

from __future__ import annotations

import contextlib
import csv
import functools
import logging
import math
import os
import warnings
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, TextIO

import numpy as np

from rsl_rl.telemetry.metrics_csv import FILE_NAME, is_over_wall_time
from rsl_rl.utils.limits import LONGEST_LINE, LONGEST_NUMBER, LONGEST_RECORD, MIB, MOST_COLUMNS
from rsl_rl.utils.recognition import found_instead, why_not_text
from rsl_rl.utils.suggest import did_you_mean, listed

Axis = Literal["iteration", "steps", "seconds"]
EVENTS = "events.out.tfevents.*"
"""Pattern of the names of TensorBoard's event files."""
# Names under which programs log the return and the length of episodes.
RETURN_TAGS = ("Train/mean_reward", "rollout/ep_rew_mean", "charts/episodic_return")
LENGTH_TAGS = ("Train/mean_episode_length", "rollout/ep_len_mean", "charts/episodic_length")
_LONGEST_CELL = 40
# These programs log over environment steps, not over iterations.
_LOGGED_OVER_STEPS = ("time/fps", "charts/SPS")


class Curve(NamedTuple):
    """The numbers of one tag, in the order of their steps; the seconds since the start at which each was written."""

    step: np.ndarray
    value: np.ndarray
    seconds: np.ndarray | None = None


@dataclass
class History:
    """What one run has logged. Numbers that are not finite, and iterations without a number, are left out."""

    source: Path
    """The table, or the folder of the event files."""
    curves: dict[str, Curve] = field(repr=False)
    logged_over: Literal["iteration", "steps"] = "iteration"
    """What the program counts its steps in."""

    @functools.cached_property
    def _clock(self) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        return _clock(self.curves) if self.logged_over == "iteration" else None

    @property
    def tags(self) -> list[str]:
        """Every tag that has a number, in the order of the source."""
        return list(self.curves)

    @property
    def axes(self) -> tuple[Axis, ...]:
        """What :meth:`series` can give for x."""
        known: dict[Axis, bool] = {
            "iteration": self.logged_over == "iteration",
            "steps": self._clock is not None or self.logged_over == "steps",
            "seconds": self._clock is not None or any(curve.seconds is not None for curve in self.curves.values()),
        }
        return tuple(axis for axis in known if known[axis])

    def series(self, tag: str, x: Axis = "iteration") -> tuple[np.ndarray, np.ndarray]:
        """Return x and y of a tag, both [number of points], float64, x not descending.

        Args:
            tag: One of :attr:`tags`; KeyError if it is none.
            x: iteration; steps: environment steps taken by the end of the iteration, in all processes; seconds:
                collecting and learning, or where the program logs no such times, since its start. ValueError if the
                run does not tell them.
        """
        if tag not in self.curves:
            raise KeyError(f"'{self.source}' has no tag '{tag}'.{did_you_mean(tag, self.tags)}")
        if x not in self.axes:
            raise ValueError(f"'{self.source}' does not tell {x}; it can be drawn over: {listed(self.axes)}.")
        curve = self.curves[tag]
        if x == self.logged_over:
            return curve.step, curve.value
        if self._clock is not None:
            iterations, clock = self._clock[0], self._clock[1 if x == "steps" else 2]
            return np.interp(curve.step, iterations, clock), curve.value
        seconds = np.full(len(curve.step), np.nan) if curve.seconds is None else curve.seconds
        return seconds, curve.value


def read_history(folder: str | os.PathLike[str]) -> History:
    """Read a run's numbers: its ``metrics.csv``, else the event files in the folder and in its sub-folders.

    Of several event files in one folder, as a resumed run leaves them, a later one replaces what earlier ones say from
    its first step on. Tags of a sub-folder begin with its name, unless all event files lie in one folder.

    Raises:
        FileNotFoundError: The folder holds neither.
        ValueError: The table cannot be read; says where.
        ImportError: There are event files only, and TensorBoard is not installed.
    """
    folder = Path(folder)
    path = folder / FILE_NAME
    if path.is_file() and (table := _read_table(path)):
        if "iteration" not in table:
            raise ValueError(f"'{path}' has no column 'iteration'.")
        steps, kept = _last_of_each(np.array(table.pop("iteration")), path)
        return History(path, _finite({tag: Curve(steps, np.array(y)[kept]) for tag, y in table.items()}))
    files = sorted(file for file in folder.rglob(EVENTS) if file.is_file()) if folder.is_dir() else []
    if not files:
        raise FileNotFoundError(f"'{folder}' holds no numbers: neither {FILE_NAME} nor TensorBoard's {EVENTS}.")
    if path.exists():
        _warn(f"'{path}' has no rows ({found_instead(path) or 'only a header'}): the event files beside it are read.")
    folders = list(dict.fromkeys(file.parent for file in files))
    curves: dict[str, Curve] = {}
    for place in folders:
        prefix = f"{place.relative_to(folder).as_posix()}/" if len(folders) > 1 and place != folder else ""
        found = _read_events([file for file in files if file.parent == place])
        curves |= {f"{prefix}{tag}": curve for tag, curve in found.items()}
    over_steps = any(tag.endswith(_LOGGED_OVER_STEPS) for tag in curves)
    return History(folder, _finite(curves), "steps" if over_steps else "iteration")


def read_metrics(folder: str | os.PathLike[str]) -> dict[str, list[float]]:
    """Return every column of a run's table, all of one length; an empty cell is NaN. Nothing for a table without rows.

    An unfinished last line, of a run that is being written or was killed, is left out. A cell that is not a number is a
    ValueError that says which.
    """
    return {name: column.tolist() for name, column in _read_table(Path(folder) / FILE_NAME).items()}


def _read_table(path: Path) -> dict[str, array[float]]:
    if (other := why_not_text(path)) not in ("", "it is empty"):
        raise ValueError(f"'{path}' is not a table: {other}.")
    line_number = uneven = infinite = 0

    def whole_lines(file: TextIO) -> Iterator[str]:
        nonlocal line_number
        line = "\n"
        while line.endswith("\n"):
            line_number += 1
            if len(line := file.readline(LONGEST_LINE + 1)) > LONGEST_LINE:
                raise ValueError(f"it is longer than {LONGEST_LINE // MIB} MiB.")
            if line.endswith("\n"):
                yield line

    # A byte that is not UTF-8 becomes a mark that is not a number either, and is found with its line.
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        rows = csv.reader(whole_lines(file))
        try:
            header = next(rows, [])
            columns = {name: (index, array("d")) for index, name in enumerate(header) if name}
            if len(columns) > MOST_COLUMNS:
                raise ValueError(f"a table has at most {MOST_COLUMNS:,} columns, not {len(columns):,}.")
            for row in filter(None, rows):
                uneven += len(row) != len(header)
                for name, (index, column) in columns.items():
                    cell = row[index] if index < len(row) else ""
                    if len(cell) > LONGEST_NUMBER:
                        raise ValueError(f"a number has more than {LONGEST_NUMBER} characters.")
                    try:
                        column.append(float(cell or "nan"))
                    except ValueError:
                        cell = cell if len(cell) <= _LONGEST_CELL else f"{cell[:_LONGEST_CELL]}..."
                        raise ValueError(f"'{cell}' in column '{name[:_LONGEST_CELL]}' is not a number.") from None
                    infinite += bool(cell) and not math.isfinite(column[-1])
        except (ValueError, csv.Error) as error:
            raise ValueError(f"'{path}', line {line_number}: {error}") from None
    if uneven:
        _warn(f"'{path}': rows that have more or fewer cells than the header, of which the rest is taken: {uneven}.")
    if infinite:
        _warn(f"'{path}': numbers that are NaN or infinite, and are left out: {infinite}.")
    return {name: column for name, (_, column) in columns.items() if column}


def _last_of_each(steps: np.ndarray, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the iterations of a table in their order, once each, and the rows that count: the last one of each."""
    order = np.argsort(steps, kind="stable")
    order = order[np.isfinite(steps[order])]
    is_last = np.append(np.diff(steps[order]) != 0, True)[: len(order)]
    if repeated := int((~is_last).sum()):
        _warn(f"'{path}': rows of iterations that occur again further down, and are left out: {repeated}.")
    return steps[order][is_last], order[is_last]


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=3)


def _finite(curves: Mapping[str, Curve]) -> dict[str, Curve]:
    """Drop what is not finite, and tags without a number."""
    kept = {}
    for tag, (step, value, seconds) in curves.items():
        good = np.isfinite(value) & np.isfinite(step)
        if good.any():
            kept[tag] = Curve(step[good], value[good], None if seconds is None else seconds[good])
    return kept


def _clock(curves: Mapping[str, Curve]) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return iterations, and the environment steps and the seconds by the end of each; None where nothing tells them.

    Of an iteration its seconds and its steps per second are logged; in the table with all digits, in event files in
    single precision.
    """
    # Earlier releases wrote a space.
    collecting = "Perf/collection_time" if "Perf/collection_time" in curves else "Perf/collection time"
    names = ("Perf/total_fps", collecting, "Perf/learning_time")
    steps_of = [curves[name].step for name in names if name in curves]
    iterations = functools.reduce(np.intersect1d, steps_of) if len(steps_of) == 3 else np.empty(0)
    if not len(iterations):
        return None
    speed, *times = (np.interp(iterations, curves[name].step, curves[name].value) for name in names)
    seconds = times[0] + times[1]
    steps = np.round(speed * seconds)
    usual = np.median(steps)
    # Speeds may have been written as whole numbers; a run is resumed with another number of environments at times.
    steps = np.where(np.abs(steps - usual) <= 1e-3 * usual, usual, steps)
    # Iterations that are missing, for example those before a checkpoint, count like the one that follows them.
    made = np.diff(iterations, prepend=-1.0)
    made_in_this_run = np.concatenate([[1.0], made[1:]])
    return iterations, np.cumsum(made * steps), np.cumsum(made_in_this_run * seconds)


def _read_events(files: Sequence[Path]) -> dict[str, Curve]:
    """Return the curves of the event files of one folder."""
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    except ImportError as error:
        raise ImportError("Reading TensorBoard's event files needs: pip install tensorboard") from error
    opened = []
    for file in files:
        _check_records(file)
        events = EventAccumulator(str(file), size_guidance={"scalars": 0, "tensors": 0})
        with _told_by_tensorboard() as told:
            events.Reload()
        found = _curves_of(events)
        if told or not found:
            end = max((curve.step[-1] for curve in found.values()), default=None)
            reason = "a record is cut off or damaged" if told else found_instead(file) or "there are none"
            after = "" if end is None else f" after step {end:g}"
            _warn(f"'{file}': its numbers{after} are left out: {reason}.")
        times = [curve.seconds for curve in found.values() if curve.seconds is not None and len(curve.seconds)]
        if times:
            opened.append((min(time.min() for time in times), max(time.max() for time in times), found))
    curves: dict[str, Curve] = {}
    passed = 0.0
    for begin, end, found in sorted(opened, key=lambda item: item[0]):
        for tag, curve in found.items():
            if is_over_wall_time(tag):
                continue
            assert curve.seconds is not None
            curve = curve._replace(seconds=curve.seconds - begin + passed)
            if tag in curves:
                before = curves[tag].step < curve.step.min()
                kept = (old[before] for old in curves[tag] if old is not None)
                curve = Curve(*(np.concatenate(pair) for pair in zip(kept, curve, strict=True)))
            curves[tag] = curve
        # The time between two files is the program's pause.
        passed += end - begin
    return curves


@contextlib.contextmanager
def _told_by_tensorboard() -> Iterator[list[str]]:
    """Keep what TensorBoard only logs for its developers: that it stops before the end of a damaged file."""
    told: list[str] = []

    def keep(record: logging.LogRecord) -> bool:
        if "Truncated record" in record.msg:
            told.append(record.getMessage())
        return False

    logger = logging.getLogger("tensorboard")
    before = logger.level
    logger.addFilter(keep)
    logger.setLevel(logging.DEBUG)
    try:
        yield told
    finally:
        logger.removeFilter(keep)
        logger.setLevel(before)


def _check_records(path: Path) -> None:
    """Raise ValueError for a record of a length that only its reader's memory would limit."""
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    with path.open("rb") as file:
        while len(head := file.read(12)) == 12:  # length, checksum; then the record, checksum
            length = int.from_bytes(head[:8], "little")
            if masked_crc32c(head[:8]) != int.from_bytes(head[8:], "little"):
                return  # Damaged: the reader stops here, and that is said.
            if length > LONGEST_RECORD:
                place = f"'{path}', byte {file.tell() - 12:,}"
                raise ValueError(f"{place}: a record of {length:,} bytes; at most {LONGEST_RECORD:,} are read.")
            file.seek(length + 4, os.SEEK_CUR)


def _curves_of(events: Any) -> dict[str, Curve]:
    """Return the curves of one event file; programs for TensorFlow 2 write numbers as tensors."""
    from tensorboard.util.tensor_util import make_ndarray

    tags = events.Tags()
    found = {
        tag: [(event.step, event.value, event.wall_time) for event in events.Scalars(tag)] for tag in tags["scalars"]
    }
    for tag in tags["tensors"]:
        metadata = events.summary_metadata.get(tag)
        if metadata is not None and metadata.plugin_data.plugin_name == "scalars":
            found[tag] = [(e.step, float(make_ndarray(e.tensor_proto)), e.wall_time) for e in events.Tensors(tag)]
    return {tag: _ordered(numbers) for tag, numbers in found.items()}


def _ordered(events: Sequence[tuple[float, float, float]]) -> Curve:
    """Return events by their step; several of one step, as where several episodes end at once, as their mean."""
    step, *others = np.array(events, dtype=np.float64).reshape(-1, 3).T
    steps, place, count = np.unique(step, return_inverse=True, return_counts=True)
    return Curve(steps, *(np.bincount(place, weights=other, minlength=len(steps)) / count for other in others))
