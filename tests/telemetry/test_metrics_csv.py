# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The table of a run's numbers, also after kills and edits."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from rsl_rl.telemetry import CsvLogWriter
from rsl_rl.telemetry.metrics_csv import cut_table


def write(folder: Path, iteration: int, **numbers: float) -> None:
    writer = CsvLogWriter(str(folder))
    for name, value in numbers.items():
        writer.add_scalar(f"Loss/{name}", value, iteration)
    writer.flush()


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("cut", range(1, 8))
def test_a_row_cut_by_a_kill_does_not_run_into_the_next_one(tmp_path: Path, cut: int) -> None:
    for iteration in range(3):
        write(tmp_path, iteration, value=0.25)
    table = tmp_path / "metrics.csv"
    # The last row is "2,0.25" and two bytes of line end. Without its "\n" it counts as cut.
    table.write_bytes(table.read_bytes()[:-cut])
    with pytest.warns(UserWarning, match="has 1 unfinished or damaged rows"):
        write(tmp_path, 3, value=0.5)
    assert [(row["iteration"], row["Loss/value"]) for row in rows(tmp_path)] == [
        ("0", "0.25"),
        ("1", "0.25"),
        ("3", "0.5"),
    ]


# Of the table "iteration,Loss/a,b", in which a tag with a comma, or with an end of line, is quoted.
DAMAGES = {
    "a number cut short": (b"2,0.2", [0, 1]),
    "nothing but the iteration": (b"2", [0, 1]),
    "zeros at the end, after a power failure": (b"2,0.2\0\0\0\0\0\0\0\0", [0, 1]),
    "a block of zeros, and whole rows after it": (b"2,\0\0\0\0\0\0.25\r\n3,0.25\r\n", [0, 1, 3]),
}


@pytest.mark.parametrize("name", ["value", "a,b", "a\nb", 'a"b'])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_rows_go_before_a_run_goes_on(tmp_path: Path, damage: str, name: str) -> None:
    rest, left = DAMAGES[damage]
    for iteration in range(2):
        write(tmp_path, iteration, **{name: 0.25})
    with (tmp_path / "metrics.csv").open("ab") as file:
        file.write(rest)
    with pytest.warns(UserWarning, match="metrics.csv' has 1 unfinished or damaged rows, which are removed"):
        # As a run does that goes on from the checkpoint of iteration 5.
        cut_table(str(tmp_path), 6)
    write(tmp_path, 6, **{name: 0.5})
    expected = [(str(iteration), "0.25") for iteration in left] + [("6", "0.5")]
    assert [(row["iteration"], row[f"Loss/{name}"]) for row in rows(tmp_path)] == expected


def test_a_table_whose_header_is_damaged_is_kept_aside(tmp_path: Path) -> None:
    content = b"\0\0\0\0\0\0\0\0,Loss/value\r\n0,0.25\r\n"
    (tmp_path / "metrics.csv").write_bytes(content)
    with pytest.warns(UserWarning, match="has a damaged header. It is kept as '.*damaged_metrics.csv'"):
        write(tmp_path, 1, value=0.5)
    assert rows(tmp_path) == [{"iteration": "1", "Loss/value": "0.5"}]
    assert (tmp_path / "damaged_metrics.csv").read_bytes() == content


@pytest.mark.parametrize("content", ["", "iteration,Lo", 'iteration,"Loss/a', 'iteration,"Loss/a\n'])
def test_a_table_cut_within_its_header_starts_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / "metrics.csv").write_text(content)
    write(tmp_path, 0, value=0.25)
    assert rows(tmp_path) == [{"iteration": "0", "Loss/value": "0.25"}]


def test_an_edited_row_that_is_too_long_does_not_stop_a_new_column(tmp_path: Path) -> None:
    write(tmp_path, 0, value=0.25)
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("1,0.5,7,8\n")
    write(tmp_path, 2, value=1.0, late=3.0)
    assert [(row["Loss/value"], row["Loss/late"]) for row in rows(tmp_path)] == [
        ("0.25", ""),
        ("0.5", ""),
        ("1.0", "3.0"),
    ]


def test_only_the_series_over_wall_time_are_left_out(tmp_path: Path) -> None:
    writer = CsvLogWriter(str(tmp_path))
    for tag in ("Train/mean_reward", "Train/mean_reward/time", "Episode/time", "Metrics/lap/time", "Loss/value"):
        writer.add_scalar(tag, 1.0, 0)
    writer.flush()
    # What an environment calls time may depend on the machine: it comes last.
    assert list(rows(tmp_path)[0]) == [
        "iteration",
        "Train/mean_reward",
        "Loss/value",
        "Episode/time",
        "Metrics/lap/time",
    ]
