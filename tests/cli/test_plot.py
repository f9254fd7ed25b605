# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""``rsl-rl plot``: which runs form a curve, what is averaged, and what the picture says."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from rsl_rl.cli.main import main
from rsl_rl.cli.plot.figure import mean_and_spread, smoothed
from rsl_rl.cli.plot.plot_command import _common_folder
from rsl_rl.cli.plot.runs import PlottedRun, find_runs, grouped
from rsl_rl.config.task import load_task, write_task
from rsl_rl.telemetry import CsvLogWriter
from rsl_rl.telemetry.history import History
from tests.telemetry.test_history import write_events

PRESET = load_task("cartpole-balance")


def make_run(folder: Path, rewards: list[float], learning_rate: float | None = None, **changes: Any) -> Path:
    """Write what a training leaves: its configuration, and a table with 100 steps an iteration."""
    folder.mkdir(parents=True)
    writer = CsvLogWriter(str(folder))
    for iteration, reward in enumerate(rewards):
        writer.add_scalar("Train/mean_reward", reward, iteration)
        writer.add_scalar("Train/mean_episode_length", 10.0 * reward, iteration)
        for tag, value in (("total_fps", 50.0), ("collection_time", 1.5), ("learning_time", 0.5)):
            writer.add_scalar(f"Perf/{tag}", value, iteration)
        writer.flush()
    runner = PRESET.runner
    if learning_rate is not None:
        runner = dataclasses.replace(
            runner, algorithm=dataclasses.replace(runner.algorithm, learning_rate=learning_rate)
        )
    write_task(dataclasses.replace(PRESET, runner=runner, **changes), folder / "config.yaml")
    return folder


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two seeds each of two learning rates, filed under their task."""
    monkeypatch.chdir(tmp_path)
    for index, (rate, seed) in enumerate([(1e-3, 1), (1e-3, 2), (3e-3, 1), (3e-3, 2)]):
        make_run(tmp_path / f"runs/cartpole-balance/{index}", [1.0, 2.0 + index, 5.0], rate, seed=seed)
    return tmp_path


def labels(names: list[str], *rules: str) -> dict[str, list[str]]:
    groups = grouped(find_runs(names), rules or ("auto",))
    return {group.label: [run.folder.name for run in group.runs] for group in groups}


def text_of(svg: Path) -> str:
    return " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg.read_text()))


class TestStatistics:
    def test_mean_and_spread_are_over_the_range_that_all_runs_cover(self) -> None:
        first = (np.array([0.0, 2.0, 4.0]), np.array([0.0, 4.0, 8.0]))
        second = (np.array([1.0, 3.0]), np.array([4.0, 6.0]))
        band = mean_and_spread([first, second])
        assert band is not None
        # At 1, 2, 3 the first is 2, 4, 6 and the second 4, 5, 6; of two numbers the std is |difference| / sqrt 2.
        assert band.x.tolist() == [1.0, 2.0, 3.0]
        assert band.mean.tolist() == [3.0, 4.5, 6.0]
        np.testing.assert_allclose(band.std, np.array([2.0, 1.0, 0.0]) / np.sqrt(2))

    def test_runs_without_a_common_range_have_no_mean(self) -> None:
        one, other = np.array([0.0, 1.0]), np.array([2.0, 3.0])
        assert mean_and_spread([(one, one), (other, other)]) is None

    def test_a_single_run_is_its_own_mean(self) -> None:
        x = np.arange(4.0)
        band = mean_and_spread([(x, x**2)])
        assert band is not None
        assert (band.mean.tolist(), band.std.tolist()) == ([0.0, 1.0, 4.0, 9.0], [0.0] * 4)

    def test_smoothing_takes_the_neighbours_that_there_are(self) -> None:
        assert smoothed(np.array([0.0, 3.0, 6.0, 0.0]), 3).tolist() == [1.5, 3.0, 3.0, 3.0]
        assert smoothed(np.array([0.0, 3.0, 6.0]), 1).tolist() == [0.0, 3.0, 6.0]


class TestGroups:
    def test_runs_that_differ_in_the_seed_only_form_a_curve_named_by_what_differs(self, runs: Path) -> None:
        expected = {"learning_rate=0.001": ["0", "1"], "learning_rate=0.003": ["2", "3"]}
        assert labels(["cartpole-balance"]) == labels(["runs"]) == expected
        assert labels(["runs/cartpole-balance/0", "runs/cartpole-balance/1"]) == {"cartpole-balance": ["0", "1"]}

    def test_a_longer_run_on_another_device_is_still_the_same_training(self, runs: Path) -> None:
        make_run(runs / "longer", [1.0] * 5, 1e-3, seed=3, iterations=5, threads=2)
        assert labels(["cartpole-balance", "longer"])["learning_rate=0.001"] == ["0", "1", "longer"]

    def test_none_makes_every_run_a_curve(self, runs: Path) -> None:
        assert labels(["cartpole-balance"], "none") == {
            f"learning_rate={rate}, seed={seed}": [str(index)]
            for index, (rate, seed) in enumerate([(0.001, 1), (0.001, 2), (0.003, 1), (0.003, 2)])
        }

    def test_runs_that_are_alike_are_told_apart_by_their_place(self, runs: Path) -> None:
        for name in ("one", "two"):
            make_run(runs / name / "run", [1.0], seed=7)
        assert labels(["one", "two"], "none") == {
            "cartpole-balance (one/run)": ["run"],
            "cartpole-balance (two/run)": ["run"],
        }

    def test_of_many_differences_the_first_are_named(self, runs: Path) -> None:
        other = {"num_envs": 3, "init_at_random_ep_len": False, "env_options": {"a": 1, "b": 2, "c": 3}}
        make_run(runs / "other", [1.0], 1e-3, **other)
        (_, other_label) = labels(["runs/cartpole-balance/0", "other"])
        assert (other_label.count("="), other_label[-5:]) == (4, ", ...")

    def test_runs_are_grouped_by_task_or_by_the_users_own_patterns(self, runs: Path) -> None:
        make_run(runs / "runs/other/a", [1.0], name="other")
        assert labels(["runs"], "task") == {"cartpole-balance": ["0", "1", "2", "3"], "other": ["a"]}
        assert labels(["runs"], "low=[01]", "rest=other/*") == {"low": ["0", "1"], "rest": ["a"]}
        with pytest.raises(ValueError, match="No run fits '9'"):
            labels(["runs"], "low=9")
        with pytest.raises(ValueError, match="nor of the form LABEL=PATTERN"):
            labels(["runs"], "everything")

    def test_tasks_are_named_where_there_are_several(self, runs: Path) -> None:
        make_run(runs / "runs/other/a", [1.0], name="other")
        rates = {f"cartpole-balance, learning_rate={rate}" for rate in ("0.001", "0.003")}
        assert set(labels(["runs"])) == {*rates, "other"}

    def test_runs_of_an_environment_are_found_by_its_name(self, runs: Path) -> None:
        make_run(runs / "runs/gym-Ant-v5/0", [1.0])
        assert [run.folder.parent.name for run in find_runs(["gym:Ant-v5"])] == ["gym-Ant-v5"]

    def test_runs_of_other_programs_stand_alone_and_a_run_is_counted_once(self, tmp_path: Path) -> None:
        for name in ("PPO_1", "PPO_2"):
            write_events(tmp_path / "logs" / name, {"rollout/ep_rew_mean": [(1, 1.0)]})
        found = labels([str(tmp_path / "logs"), str(tmp_path / "logs" / ".." / "logs" / "PPO_1")])
        assert found == {"logs/PPO_1": ["PPO_1"], "logs/PPO_2": ["PPO_2"]}

    def test_the_configuration_of_an_isaac_lab_run_is_understood(self, tmp_path: Path) -> None:
        for name, seed in (("a", 1), ("b", 2)):
            write_events(tmp_path / name, {"Train/mean_reward": [(0, 1.0)]})
            (tmp_path / name / "params").mkdir()
            text = f"seed: {seed}\nexperiment_name: anymal\npolicy: {{hidden_dims: !!python/tuple [8, 8]}}\n"
            (tmp_path / name / "params" / "agent.yaml").write_text(text)
        assert labels([str(tmp_path)]) == {"anymal": ["a", "b"]}

    @pytest.mark.parametrize("more", ["", "slice: !!python/object/apply:builtins.slice [0, 1]\n"])
    def test_the_environment_of_an_isaac_lab_run_is_compared(self, more: str, tmp_path: Path) -> None:
        for name, seed, num_envs in (("a", 1, 64), ("b", 2, 64), ("c", 1, 128)):
            write_events(tmp_path / name, {"Train/mean_reward": [(0, 1.0)]})
            (tmp_path / name / "params").mkdir()
            (tmp_path / name / "params" / "agent.yaml").write_text("experiment_name: anymal\n")
            text = f"seed: {seed}\nsim:\n  device: cuda:{seed}\n  dt: 0.01\nlog_dir: /logs/{name}\n{more}"
            (tmp_path / name / "params" / "env.yaml").write_text(f"{text}scene:\n  num_envs: {num_envs}\n")
        found = labels([str(tmp_path)])
        assert list(found.values()) == [["a", "b"], ["c"]]
        assert all(label.startswith("env_file=" if more else "num_envs=") for label in found)


class TestPicture:
    @pytest.fixture
    def pictures(self, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
        """Every figure that is saved."""
        saved: list[Any] = []
        save = Figure.savefig
        monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (saved.append(self), save(self, *a, **k))[1])
        return saved

    def test_the_band_lies_on_both_sides_of_the_mean(self, runs: Path, pictures: list[Any]) -> None:
        main(["plot", "runs/cartpole-balance/0", "runs/cartpole-balance/1", "--tags", "Train/mean_reward"])
        [panel] = pictures[0].axes
        vertices = panel.collections[0].get_paths()[0].vertices
        at_second = vertices[vertices[:, 0] == panel.lines[-1].get_xdata()[1], 1]
        # The runs have 2 and 3 there.
        assert panel.lines[-1].get_ydata().tolist() == [1.0, 2.5, 5.0]
        assert (at_second.min(), at_second.max()) == pytest.approx((2.5 - 0.5**0.5, 2.5 + 0.5**0.5))

    def test_a_curve_of_one_point_can_be_seen(self, runs: Path, pictures: list[Any]) -> None:
        make_run(runs / "short", [1.0])
        main(["plot", "short"])
        main(["plot", "runs/cartpole-balance/0"])
        assert [figure.axes[0].lines[0].get_marker() for figure in pictures] == ["o", "None"]

    @pytest.mark.parametrize(
        ("iterations", "axis", "label"),
        [
            (59, "seconds", "training time [s]"),  # 2 s each
            (60, "seconds", "training time [minutes]"),
            (1100, "iteration", "iteration"),
            (1100, "steps", "environment steps [thousand]"),
        ],
    )
    def test_the_axis_has_a_unit_that_fits(
        self, iterations: int, axis: str, label: str, runs: Path, pictures: list[Any]
    ) -> None:
        make_run(runs / "long", [1.0] * iterations)
        main(["plot", "long", "--x", axis])
        assert pictures[0].axes[0].get_xlabel() == label


class TestCommand:
    def test_it_draws_mean_and_band_of_every_group(self, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
        main(["plot", "cartpole-balance", "--output", "out/curves.svg"])
        printed = capsys.readouterr().out
        assert "learning_rate=0.001: 2 runs" in printed
        assert "Drawn over steps: out/curves.svg" in printed
        text = text_of(runs / "out/curves.svg")
        for part in ("cartpole-balance", "learning_rate=0.003 (mean and std of 2 runs)", "episode reward"):
            assert part in text
        assert "environment steps" in text
        assert (runs / "out/curves.svg").read_text().count("FillBetweenPolyCollection") == 4  # two groups, two panels
        main(["plot", "cartpole-balance", "--output", "curves.png"])
        assert (runs / "curves.png").read_bytes().startswith(b"\x89PNG")

    def test_where_the_mean_ends_is_said(self, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
        make_run(runs / "longer", [1.0] * 5, 1e-3, seed=3)
        main(["plot", "runs/cartpole-balance/0", "longer"])
        assert "cartpole-balance: 2 runs, the mean ends with the shortest, at 300 steps" in capsys.readouterr().out

    def test_names_with_dollars_are_shown_as_they_are(self, tmp_path: Path) -> None:
        for name, rate in (("a", 1e-3), ("b", 3e-3)):
            make_run(tmp_path / name, [1.0, 2.0], rate, name="$\\task$")
        rules = [r"US$1$=a", r"$\frac$=b"]
        arguments = ["plot", str(tmp_path / "a"), str(tmp_path / "b"), "--group", *rules]
        main([*arguments, "--tags", "Train/mean_reward", "--output", str(tmp_path / "out.svg")])
        for part in ("US$1$", r"$\frac$", r"$\task$"):
            assert part in text_of(tmp_path / "out.svg")

    def test_the_same_runs_give_the_same_file(self, runs: Path) -> None:
        for name in ("a.svg", "b.svg"):
            main(["plot", "cartpole-balance", "--output", name])
        assert (runs / "a.svg").read_bytes() == (runs / "b.svg").read_bytes()

    def test_tags_are_chosen_by_name_or_pattern_and_listed(
        self, runs: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        make_run(runs / "short", [1.0])
        write_events(runs / "foreign", {"rollout/ep_rew_mean": [(0, 1.0)]})
        main(["plot", "short", "foreign", "--list"])
        listed = capsys.readouterr().out.splitlines()
        assert "Train/mean_reward  (in 1 of 2 runs)" in listed
        assert not list(runs.rglob("plot.png"))
        main(["plot", "cartpole-balance", "--tags", "Perf/*_time", "--x", "seconds", "--output", "a.svg"])
        text = text_of(runs / "a.svg")
        assert "learning [s per iteration]" in text
        assert "training time [s]" in text
        assert "episode reward" not in text

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["runs", "--tags", "Train/mean_rewrd"], "a tag 'Train/mean_rewrd'. Did you mean 'Train/mean_reward'"),
            (["nothing"], "'nothing' is not a run and holds none"),
            (["runs", "--output", "a.pdf"], "must end in one of .png, .svg"),
            (["runs", "--smooth", "0"], "'smooth' must be at least 1"),
            (["foreign", "--x", "steps"], "'foreign' does not record steps; it can be drawn over iteration, seconds"),
            (["foreign"], "No run has a reward under a known name; choose with --tags. There are: loss."),
            ([], "Name what to draw"),
        ],
    )
    def test_wrong_arguments_are_explained(
        self, arguments: list[str], message: str, runs: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        tag = "loss" if arguments == ["foreign"] else "Train/mean_reward"
        write_events(runs / "foreign", {tag: [(0, 1.0)]})
        with pytest.raises(SystemExit) as exit_:
            main(["plot", *arguments])
        assert exit_.value.code == 2
        assert message in capsys.readouterr().err
        assert not list(runs.rglob("plot.png"))

    @pytest.mark.parametrize(
        ("names", "place"),
        [
            (["cartpole-balance"], "runs/cartpole-balance"),
            (["runs/cartpole-balance/1"], "runs/cartpole-balance/1"),
            (["runs/cartpole-balance/0", "runs/cartpole-balance/1"], "runs/cartpole-balance"),
            (["runs/cartpole-balance/0", "foreign"], "."),
            (["../here/foreign"], "{}/foreign"),
        ],
    )
    def test_the_picture_goes_where_the_runs_are(
        self, names: list[str], place: str, runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
    ) -> None:
        write_events(runs / "foreign", {"Train/mean_reward": [(0, 1.0)]})
        here = runs / "here"
        here.symlink_to(runs, target_is_directory=True)
        monkeypatch.chdir(here)
        main(["plot", *names, "--tags", "Train/mean_reward"])
        path = Path(place.format(runs.resolve())) / "plot.png"
        assert capsys.readouterr().out.splitlines()[-1].endswith(f": {path}")
        assert [found.resolve() for found in runs.rglob("plot.png")] == [path.resolve()]

    def test_runs_without_a_folder_in_common_are_drawn_here(self) -> None:
        folders = [PlottedRun(Path(place), History(Path(), {}), None) for place in ("/a/run", "/b/run")]
        assert _common_folder(folders) == Path()
        assert _common_folder(folders[:1]) == Path("/a/run")

    def test_a_tag_that_some_runs_lack_is_said(self, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
        write_events(runs / "foreign", {"Train/mean_reward": [(0, 1.0)]})
        tags = ["--tags", "Train/mean_reward", "Perf/total_fps"]
        main(["plot", "runs/cartpole-balance/0", "foreign", *tags])
        assert "warning: Perf/total_fps is missing in foreign." in capsys.readouterr().err

    def test_without_matplotlib_the_install_line_is_given(
        self, runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        with pytest.raises(SystemExit):
            main(["plot", "runs"])
        assert "pip install matplotlib" in capsys.readouterr().err


def test_the_commands_import_neither_matplotlib_nor_tensorboard() -> None:
    code = (
        "import sys, rsl_rl.cli.plot.plot_command, rsl_rl.cli.report.report_command, rsl_rl.telemetry.history\n"
        "print([name for name in ('matplotlib', 'tensorboard') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
