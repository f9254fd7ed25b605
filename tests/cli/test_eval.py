# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""``rsl-rl eval``: what is played, printed, written, compared and refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure

from rsl_rl.cli.eval import as_text, draw_evaluations
from rsl_rl.cli.main import main
from tests.cli.test_commands import SMALL, fails
from tests.env.toys import register
from tests.envs import PointEnv

register()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small runs of one task with different seeds."""
    folder = tmp_path_factory.mktemp("trained")
    for seed in (1, 2):
        options = ["--seed", str(seed), "--export", "False", "--run-dir", str(folder / f"run_{seed}")]
        main(["train", "gym:Drift-v0", *SMALL, *options])
    return folder


@pytest.fixture
def runs(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Path:
    """Copies of them, in the current folder."""
    for folder in trained.iterdir():
        shutil.copytree(folder, tmp_path / folder.name)
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    return tmp_path


def evaluated(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    main(["eval", *arguments, "--json"])
    return [
        {key: value for key, value in result.items() if key != "date"} for result in json.loads(capsys.readouterr().out)
    ]


def test_the_same_command_gives_the_same_numbers_and_each_run_its_own_in_any_order(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = evaluated(capsys, "run_1", "run_2", "--episodes", "9", "--num-envs", "4")
    assert one["returns"] != other["returns"]
    assert evaluated(capsys, "run_2", "run_1", "--episodes", "9", "--num-envs", "4") == [other, one]
    [another] = evaluated(capsys, "run_1", "--episodes", "9", "--num-envs", "4", "--seed", "5")
    assert another["returns"] != one["returns"]


def test_exactly_so_many_episodes_and_the_same_as_play_makes(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [result] = evaluated(capsys, "run_1", "--episodes", "6")
    main(["play", "run_1", "--episodes", "6", "--seed", "1000", "--json"])
    played = json.loads(capsys.readouterr().out)
    assert (result["returns"], result["lengths"]) == (played["returns"], played["lengths"])
    assert result["num_envs"] == 6
    [result] = evaluated(capsys, "run_1", "--episodes", "7", "--num-envs", "2")
    assert (len(result["returns"]), len(result["lengths"]), result["num_envs"]) == (7, 7, 2)
    # More environments than episodes would be simulated for nothing.
    [result] = evaluated(capsys, "run_1", "--episodes", "2", "--num-envs", "50")
    assert (len(result["returns"]), result["num_envs"]) == (2, 2)


def test_what_is_written_into_the_run(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [result] = evaluated(capsys, "run_1", "--episodes", "4")
    kept = json.loads((runs / "run_1/evaluation/model_2.json").read_text())
    assert {key: value for key, value in kept.items() if key != "date"} == result
    assert kept["date"].endswith("+00:00")
    assert {key: kept[key] for key in ("policy", "task", "seed", "deterministic", "successes", "tracking")} == {
        "policy": "model_2.pt",
        "task": "gym-Drift-v0",
        "seed": 1000,
        "deterministic": True,
        "successes": None,
        "tracking": {},
    }
    assert set(kept["terms"]) == {"height", "odd"}
    assert kept["mean"] == {
        "return": pytest.approx(sum(kept["returns"]) / 4),
        "return_std": pytest.approx(torch.tensor(kept["returns"]).std(correction=0).item(), rel=1e-5),
        "length": sum(kept["lengths"]) / 4,
    }
    assert (runs / "run_1/evaluation/model_2.png").read_bytes().startswith(b"\x89PNG")
    assert {file.name for file in (runs / "run_1/evaluation").iterdir()} == {"model_2.json", "model_2.png"}


def test_every_kind_of_policy_has_files_of_its_own(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy("run_1/model_0.pt", "run_1/best.pt")
    main(["export", "run_1", "--formats", "onnx"])
    shutil.copy("run_1/exports/policy.onnx", "run_1/exports/walk.onnx")
    capsys.readouterr()
    [first] = evaluated(capsys, "run_1/model_0.pt", "--episodes", "3")
    for kind, file in (("best", "best.pt"), ("latest", "latest.pt"), ("onnx", "exports/policy.onnx")):
        [result] = evaluated(capsys, "run_1", "--policy", kind, "--episodes", "3")
        assert result["policy"] == file
        assert (result["returns"] == first["returns"]) == (kind == "best")
    # A format's name is that of the run's own export, whichever way that is named.
    for file in ("walk", "policy"):
        [result] = evaluated(capsys, f"run_1/exports/{file}.onnx", "--episodes", "3")
        assert result["policy"] == f"exports/{file}.onnx"
    names = {file.stem for file in Path("run_1/evaluation").glob("*.json")}
    assert names == {"model_0", "best", "latest", "onnx", "walk.onnx"}


def test_results_are_printed_where_the_run_cannot_be_written(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("run_1/evaluation").write_text("in the way")
    main(["eval", "run_1", "run_2", "--episodes", "2", "--output", "out", "--json"])
    printed = capsys.readouterr()
    assert json.loads(printed.out) == json.loads(Path("out/evaluation.json").read_text())
    assert "warning: Nothing was written to 'run_1/evaluation': " in printed.err
    assert Path("run_2/evaluation/model_2.json").is_file()
    # What was asked for and cannot be written is an error, after the results.
    with pytest.raises(SystemExit) as exit_:
        main(["eval", "run_1", "--episodes", "2", "--output", "run_1/evaluation"])
    assert exit_.value.code == 2
    assert "| return " in capsys.readouterr().out


def test_names_with_dollars_are_drawn_as_they_are(tmp_path: Path) -> None:
    result = {"task": r"$\task$", "returns": [1.0, 2.0], "lengths": [1, 2], "terms": {r"reward_$\frac$": 1.0}}
    draw_evaluations([result], [r"US$\1$"], str(tmp_path / "a.png"))
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_runs_stand_side_by_side_and_in_one_figure(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["eval", "run_1", "run_2", "run_2/model_0.pt", "--episodes", "3", "--output", "comparison"])
    printed = capsys.readouterr().out
    header = next(line for line in printed.splitlines() if line.startswith("| "))
    assert [cell.strip() for cell in header.split("|")[2:5]] == ["run_1 model_2", "run_2 model_2", "run_2 model_0"]
    assert "cannot be compared" not in printed
    results = json.loads(Path("comparison/evaluation.json").read_text())
    assert [result["policy"] for result in results] == ["model_2.pt", "model_2.pt", "model_0.pt"]
    returns = next(line for line in printed.splitlines() if line.startswith("| return "))
    assert [cell.strip() for cell in returns.split("|")[2:5]] == [
        f"{result['mean']['return']:.2f} +- {result['mean']['return_std']:.2f}" for result in results
    ]
    assert Path("comparison/evaluation.png").read_bytes().startswith(b"\x89PNG")


def test_different_environments_are_shown_with_a_word_of_warning(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Path("run_2/config.yaml")
    config.write_text(config.read_text().replace("name: gym-Drift-v0", "name: another"))
    main(["eval", "run_1", "run_2", "--episodes", "2"])
    assert "cannot be compared" not in capsys.readouterr().out
    config.write_text(config.read_text().replace("env_options: {}", "env_options: {max_episode_steps: 3}"))
    main(["eval", "run_1", "run_2", "--episodes", "2"])
    printed = capsys.readouterr().out
    assert "These runs have different environments: their numbers cannot be compared." in printed
    assert "another" in printed


def test_what_is_wrong_is_said_before_anything_is_played(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("run_2/best.pt").unlink(missing_ok=True)
    shutil.copy("run_1/model_0.pt", "run_1/best.pt")
    assert "'run_2' has no best.pt" in fails(capsys, "eval", "run_1", "run_2", "--policy", "best")
    assert "There is no run 'run_3'" in fails(capsys, "eval", "run_1", "run_3")
    assert "'episodes' must be at least 1" in fails(capsys, "eval", "run_1", "--episodes", "0")
    assert "'seed' must be from 0 to" in fails(capsys, "eval", "run_1", "--seed", str(10**26))
    assert "'seed' must be from 0 to" in fails(capsys, "play", "run_1", "--seed", "-1")
    assert "'num_envs' must be at least 1" in fails(capsys, "eval", "run_1", "--num-envs", "0")
    assert "Name at least one run" in fails(capsys, "eval")
    assert not Path("run_1/evaluation").exists()


class Broken(PointEnv):
    """Gives a reward that is not a number."""

    def __init__(self, num_envs: int, seed: int, device: str) -> None:
        super().__init__(num_envs, max_episode_length=3, seed=seed)

    def step(self, actions: torch.Tensor) -> tuple:
        obs, rewards, dones, extras = super().step(actions)
        return obs, torch.where(torch.arange(len(rewards)) == 0, torch.nan, rewards), dones, extras


def test_numbers_that_are_none_are_null_in_the_file(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--runner.check-for-nan", "False", "--iterations", "1", "--export", "False", "--run-dir", "broken"]
    main(["train", "tests.cli.test_eval:Broken", *SMALL, *options])
    capsys.readouterr()
    main(["eval", "broken", "--episodes", "2"])
    text = Path("broken/evaluation/model_0.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["returns"][0] is None
    assert json.loads(text)["mean"]["return"] is None
    assert "- +- -" in capsys.readouterr().out
    main(["play", "broken", "--episodes", "2", "--json"])
    printed = capsys.readouterr().out
    assert "NaN" not in printed
    assert json.loads(printed)["returns"][0] is None


def test_the_tables_show_success_tracking_and_reward_terms_first() -> None:
    one = {
        "task": "walk",
        "policy": "best.pt",
        "returns": [1.0, 2.0, 6.0],
        "lengths": [10, 20, 30],
        "max_episode_length": 30,
        "terms": {"height": 0.25, "reward_walk": 1.5},
        "tracking": {"lin_vel": 0.125},
        "mean": {"return": 3.0, "return_std": 2.16, "length": 20.0, "success": 0.5},
    }
    other = {**one, "terms": {"reward_jump": -1.0}, "tracking": {}, "mean": {**one["mean"]}}
    del other["mean"]["success"]
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in as_text([one, other], ["a", "b"]).splitlines()
    ]
    rows = [row for row in cells if len(row) == 3 and not row[0].startswith("---")]
    assert rows == [
        ["", "a", "b"],
        ["task", "walk", "walk"],
        ["policy", "best.pt", "best.pt"],
        ["episodes", "3", "3"],
        ["return", "3.00 +- 2.16", "3.00 +- 2.16"],
        ["return, median", "2.00", "2.00"],
        ["return, min", "1.00", "1.00"],
        ["return, max", "6.00", "6.00"],
        ["length", "20.0", "20.0"],
        ["ended before the time limit", "2", "2"],
        ["success", "50.0 %", "-"],
        ["tracking error lin_vel [m/s]", "0.1250", "-"],
        ["mean per step", "a", "b"],
        ["reward_walk", "1.5000", "-"],
        ["reward_jump", "-", "-1.0000"],
        ["height", "0.2500", "-"],
    ]


def test_episodes_that_are_all_alike_have_a_readable_axis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[Any] = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: (limits.extend(x.get_xlim() for x in self.axes), save(self, *a, **k))
    )
    result = {"task": "walk", "returns": [1.0, 2.0], "lengths": [1000, 1000], "terms": {}}
    draw_evaluations([result], ["a"], str(tmp_path / "figure.png"))
    assert limits[1] == (999.0, 1001.0)
    assert limits[0] != limits[1]
