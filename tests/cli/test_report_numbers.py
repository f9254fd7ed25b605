# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What a report says in words and numbers, each computed by hand here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rsl_rl.cli.export_record import outcome, record_check
from rsl_rl.cli.report import charts
from rsl_rl.cli.report.facts import RunFacts
from rsl_rl.export import ExportReport
from rsl_rl.telemetry import CsvLogWriter
from rsl_rl.telemetry.history import Curve, History
from tests.cli.test_plot import make_run
from tests.cli.test_report import page_of


def history_of(*tags: str, points: int = 20) -> History:
    x = np.arange(float(points))
    return History(Path("metrics.csv"), {tag: Curve(x, x) for tag in tags})


def head_of(folder: Path) -> str:
    return page_of(folder).texts[""].replace("\N{NO-BREAK SPACE}", " ")


def test_every_number_stands_in_one_section() -> None:
    sections = {
        "update": ["Loss/value", "Update/kl", "Policy/mean_std", "Rnd/weight"],
        "speed": ["Perf/total_fps"],
        "progress": ["Train/mean_reward"],
        "evaluation": ["Eval/mean_return"],
        "environment": ["Episode/reward_walk", "Curriculum/level"],
    }
    history = history_of(*(tag for tags in sections.values() for tag in tags))
    assert {section: charts.tags_of(section, history) for section in sections} == sections


def test_a_summary_has_ends_mean_of_the_last_tenth_and_range() -> None:
    table = charts.summary_table(history_of("Episode/x"), ["Episode/x"], "term")
    cells = table.replace("</td>", "|").replace("<td>", "").partition("</th></tr></thead>")[2]
    assert "0|19|18.5|0|19" in cells  # the last two of twenty


def test_no_name_in_the_numbers_can_end_the_script() -> None:
    data = charts.curve_data(history_of("<!--<script>&amp;"))
    assert not set("<>&") & set(data)
    assert list(json.loads(data)["curves"]) == ["<!--<script>&amp;"]


def test_the_best_reward_is_told_with_its_place_and_the_end_as_it_is(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", [1.0, 5.0, 2.0], iterations=3)
    assert "Reward2best 5 at 200 steps" in head_of(folder)
    assert "Iterations3of 3, complete" in head_of(folder)
    folder = make_run(tmp_path / "other", [1.0, 5.0, 2.0], iterations=4)
    assert "Iterations3of 4, stopped before the end or still running" in head_of(folder)


def test_the_mean_speed_is_that_of_the_whole_time(tmp_path: Path) -> None:
    writer = CsvLogWriter(str(tmp_path))
    for iteration, (speed, seconds) in enumerate([(100.0, 10.0), (1000.0, 1.0)]):
        for tag, value in (("total_fps", speed), ("collection_time", seconds), ("learning_time", 0.0)):
            writer.add_scalar(f"Perf/{tag}", value, iteration)
        writer.flush()
    assert "Steps per second182mean over the run" in head_of(tmp_path)  # 2,000 steps in 11 s


def test_another_seed_is_no_difference(tmp_path: Path) -> None:
    facts = RunFacts(make_run(tmp_path / "run", [1.0], seed=9, threads=7))
    assert [key for key, _, _ in facts.changed()] == ["threads"]


@pytest.mark.parametrize(
    ("difference", "printed", "shown"),
    [
        (None, "not checked", "not checked"),
        (0.0, "checked, identical", "acts like the model, number by number"),
        (2e-6, "checked, differs by 2e-06", "acts like the model, within 2e-06"),
    ],
)
def test_the_check_of_an_export_is_told_as_it_came_out(
    difference: float | None, printed: str, shown: str, tmp_path: Path
) -> None:
    folder = make_run(tmp_path / "run", [1.0])
    (folder / "exports").mkdir()
    file = folder / "exports" / "policy.onnx"
    file.write_bytes(b"\x08\x0apolicy\xff")
    report = ExportReport(path=str(file), format="onnx", max_difference=difference, num_samples=64)
    assert outcome(report) == printed
    record_check(report, "model_7.pt")
    assert f"model_7.pt{shown}64" in page_of(folder).texts["exports"]


def test_a_machine_is_shown_once_and_another_one_beside_it(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", [1.0])
    one = {"date": "2026-01-02T03:04:05", "hardware": {"cpu": "One"}, "versions": {"torch": "2.13"}}
    other = {**one, "date": "2026-01-03T03:04:05", "hardware": {"cpu": "Other"}}
    for starts, shown in (([one, one], ["One"]), ([one, other, other], ["Other", "One"])):
        (folder / "provenance.json").write_text(json.dumps(starts))
        text = page_of(folder).texts["machine"]
        assert [text.count(f"Processor{name}") for name in shown] == [1] * len(shown)
        assert ("Start of 2026-01-02 03:04" in text) == (len(shown) > 1)


def test_a_long_difference_is_cut_and_says_where_it_is_whole(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", [1.0])
    (folder / "git").mkdir()
    diff = "+" + "x" * 300_000
    (folder / "git" / "a.diff").write_text(
        f"--- branch ---\nmain\n--- commit ---\n1\n--- status ---\n--- diff ---\n{diff}"
    )
    text = page_of(folder).texts["code"]
    assert "... cut here; git/a.diff has all of it" in text
    assert 100_000 < text.count("x") < 250_000


def test_errors_that_are_known_have_a_unit(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", [1.0])
    (folder / "evaluation").mkdir()
    evaluation = {"mean": {}, "terms": {"lin_vel": 0.5}, "tracking": {"lin_vel": 0.125, "height_error": 0.25}}
    (folder / "evaluation" / "a.json").write_text(json.dumps(evaluation))
    text = page_of(folder).texts["evaluation"]
    for part in ("lin_vel0.5", "lin_vel [m/s]0.125", "height_error0.25"):
        assert part in text
