# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Numbers of a run are read back from its table and from event files, of this library and of others."""

from __future__ import annotations

import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

from rsl_rl.runners import OnPolicyRunner
from rsl_rl.telemetry.history import read_history, read_metrics
from tests.envs import PointEnv, point_config

TABLE = """iteration,Train/mean_reward,Loss/value,Perf/total_fps,Perf/collection_time,Perf/learning_time
0,,4.0,50.0,0.5,1.5
1,1.5,nan,100.0,0.25,0.75
2,2.5,2.0,200.0,0.25,0.25
"""


def write_table(folder: Path, text: str = TABLE) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.csv").write_text(text)
    return folder


def write_events(folder: Path, tags: dict[str, list[tuple[int, float]]], begin: float = 1000.0) -> Path:
    """Write an event file, one number a second."""
    with SummaryWriter(str(folder)) as writer:
        for tag, points in tags.items():
            for index, (step, value) in enumerate(points):
                writer.add_scalar(tag, value, step, walltime=begin + index)
    return folder


def pairs(curve: tuple[np.ndarray, np.ndarray]) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in zip(*curve, strict=True)]


@pytest.mark.filterwarnings("ignore:.*numbers that are NaN or infinite")
def test_a_table_is_read_over_iterations_steps_and_seconds(tmp_path: Path) -> None:
    history = read_history(write_table(tmp_path))
    assert history.tags[:2] == ["Train/mean_reward", "Loss/value"]
    assert history.axes == ("iteration", "steps", "seconds")
    # No number before an episode has ended; 100 steps an iteration: 50/s for 2 s, 100/s for 1 s, 200/s for 0.5 s.
    assert pairs(history.series("Train/mean_reward")) == [(1, 1.5), (2, 2.5)]
    assert pairs(history.series("Train/mean_reward", "steps")) == [(200, 1.5), (300, 2.5)]
    assert pairs(history.series("Loss/value", "seconds")) == [(2.0, 4.0), (3.5, 2.0)]


@pytest.mark.filterwarnings("ignore:.*numbers that are NaN or infinite")
def test_a_run_that_begins_at_a_later_iteration_has_the_steps_of_the_earlier_ones(tmp_path: Path) -> None:
    table = write_table(tmp_path, TABLE.replace("\n0,", "\n7,").replace("\n1,", "\n8,").replace("\n2,", "\n9,"))
    assert pairs(read_history(table).series("Train/mean_reward", "steps")) == [(900, 1.5), (1000, 2.5)]
    assert pairs(read_history(table).series("Train/mean_reward", "seconds")) == [(3.0, 1.5), (3.5, 2.5)]


@pytest.mark.filterwarnings("ignore:.*numbers that are NaN or infinite")
def test_a_line_without_its_end_is_left_out(tmp_path: Path) -> None:
    history = read_history(write_table(tmp_path, TABLE + "3,9.5,1.0,20"))
    assert pairs(history.series("Train/mean_reward")) == [(1, 1.5), (2, 2.5)]
    assert read_metrics(tmp_path)["iteration"] == [0.0, 1.0, 2.0]


def test_table_and_event_files_of_a_training_agree(tmp_path: Path) -> None:
    runner = OnPolicyRunner(PointEnv(4), point_config(), log_dir=str(tmp_path))
    runner.learn(12)
    table = read_history(tmp_path)
    (tmp_path / "metrics.csv").unlink()
    events = read_history(tmp_path)
    assert set(events.tags) == set(table.tags)
    assert events.axes == table.axes == ("iteration", "steps", "seconds")
    for tag in table.tags:
        for axis in table.axes:
            for one, other in zip(events.series(tag, axis), table.series(tag, axis), strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-5, err_msg=f"{tag} {axis}")
    steps = 4 * runner.cfg["num_steps_per_env"]
    assert table.series("Loss/value", "steps")[0].tolist() == [steps * (index + 1) for index in range(12)]


def test_a_later_event_file_replaces_what_earlier_ones_say_from_its_first_step_on(tmp_path: Path) -> None:
    write_events(tmp_path, {"a": [(0, 1.0), (1, 2.0), (2, 3.0), (3, 4.0)], "b": [(3, 9.0)]})
    write_events(tmp_path, {"a": [(2, 30.0), (4, 50.0)]}, begin=9000.0)
    history = read_history(tmp_path)
    assert pairs(history.series("a")) == [(0, 1.0), (1, 2.0), (2, 30.0), (4, 50.0)]
    assert pairs(history.series("b")) == [(3, 9.0)]
    # The pause between both is not training: 0 to 3 s, then on from 3 s.
    assert pairs(history.series("a", "seconds")) == [(0, 1.0), (1, 2.0), (3, 30.0), (4, 50.0)]


def test_sub_folders_give_their_name_to_their_tags_unless_there_is_only_one(tmp_path: Path) -> None:
    write_events(tmp_path / "run" / "PPO_1", {"rollout/ep_rew_mean": [(1, 1.0)]})
    assert read_history(tmp_path / "run").tags == ["rollout/ep_rew_mean"]
    write_events(tmp_path / "run", {"loss": [(1, 1.0)]})
    assert set(read_history(tmp_path / "run").tags) == {"loss", "PPO_1/rollout/ep_rew_mean"}


@pytest.mark.parametrize("mark", ["time/fps", "charts/SPS"])
def test_programs_that_log_over_environment_steps_are_known(mark: str, tmp_path: Path) -> None:
    history = read_history(write_events(tmp_path, {"return": [(2048, 1.0), (4096, 2.0)], mark: [(2048, 500.0)]}))
    assert history.axes == ("steps", "seconds")
    assert pairs(history.series("return", "steps")) == [(2048, 1.0), (4096, 2.0)]
    with pytest.raises(ValueError, match="does not tell iteration; it can be drawn over: steps, seconds"):
        history.series("return", "iteration")


def test_earlier_releases_wrote_whole_speeds_and_another_name_for_collecting(tmp_path: Path) -> None:
    # 4096 steps in 0.3 + 0.1 s are 10240 a second; a speed that is cut to 13653 stands for 13653.33.
    tags = {
        "Perf/total_fps": [(0, 10240.0), (1, 13653.0)],
        "Perf/collection time": [(0, 0.3), (1, 0.2)],
        "Perf/learning_time": [(0, 0.1), (1, 0.1)],
        "Train/mean_reward": [(0, 1.0), (1, 2.0)],
    }
    history = read_history(write_events(tmp_path, tags))
    steps, _ = history.series("Train/mean_reward", "steps")
    np.testing.assert_allclose(steps, [4096, 8192], rtol=1e-4)


def test_numbers_that_are_written_as_tensors_are_read(tmp_path: Path) -> None:
    from tensorboard.plugins.scalar.summary_v2 import scalar_pb

    with SummaryWriter(str(tmp_path)) as writer:
        writer.file_writer.add_summary(scalar_pb("keras/loss", 0.5), 3)
        writer.add_text("notes", "no number")
    history = read_history(tmp_path)
    assert history.tags == ["keras/loss"]
    assert pairs(history.series("keras/loss")) == [(3, 0.5)]


def test_several_numbers_of_one_step_count_as_their_mean(tmp_path: Path) -> None:
    history = read_history(write_events(tmp_path, {"return": [(5, 1.0), (5, 4.0), (2, 7.0)]}))
    assert pairs(history.series("return")) == [(2, 7.0), (5, 2.5)]


@pytest.mark.parametrize(
    ("text", "reward", "message"),
    [
        ("\ufeff" + TABLE, [(1, 1.5), (2, 2.5)], None),
        # As where two programs wrote into one folder: the last row of an iteration counts, and the order is mended.
        (
            TABLE + "1,9.0,,,,\n0,8.0,,,,\n",
            [(0, 8.0), (1, 9.0), (2, 2.5)],
            "rows of iterations that occur again further down, and are left out: 2.",
        ),
        (
            TABLE + "3,4.5\n4,5.5,1,1,1,1,1,1\n",
            [(1, 1.5), (2, 2.5), (3, 4.5), (4, 5.5)],
            "rows that have more or fewer cells than the header, of which the rest is taken: 2.",
        ),
        (TABLE + "3,inf,1,1,1,1\n", [(1, 1.5), (2, 2.5)], "numbers that are NaN or infinite, and are left out: 2."),
    ],
)
def test_what_is_left_out_of_a_table_is_said(
    text: str, reward: list[tuple[float, float]], message: str | None, tmp_path: Path
) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        history = read_history(write_table(tmp_path, text))
    assert pairs(history.series("Train/mean_reward")) == reward
    texts = [str(warning.message) for warning in told]
    assert message is None or any(f"metrics.csv': {message}" in said for said in texts), texts


@pytest.mark.parametrize("damage", ["cut", "bit", "zeros"])
def test_an_event_file_that_is_damaged_gives_what_comes_before_and_says_so(damage: str, tmp_path: Path) -> None:
    write_events(tmp_path, {"a": [(step, float(step)) for step in range(100)]})
    (file,) = tmp_path.iterdir()
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    if damage == "cut":
        del content[middle:]
    elif damage == "bit":
        content[middle] ^= 1
    else:
        content[middle : middle + 500] = bytes(500)
    file.write_bytes(content)
    with pytest.warns(UserWarning, match="a record is cut off or damaged") as told:
        x, _ = read_history(tmp_path).series("a")
    assert 40 < len(x) < 60
    assert f"'{file}': its numbers after step {x[-1]:g} are left out" in str(told[0].message)


def test_an_event_file_that_is_none_is_said_beside_one_that_is(tmp_path: Path) -> None:
    write_events(tmp_path, {"a": [(0, 1.0)]})
    (tmp_path / "events.out.tfevents.1.pointer").write_text("")
    with pytest.warns(UserWarning, match=r"events.out.tfevents.1.pointer': its numbers are left out: it is empty"):
        assert read_history(tmp_path).tags == ["a"]


@pytest.mark.filterwarnings("ignore:.*numbers that are NaN or infinite")
def test_what_is_missing_or_damaged_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="neither metrics.csv nor TensorBoard"):
        read_history(tmp_path)
    history = read_history(write_table(tmp_path / "table"))
    with pytest.raises(KeyError, match="Did you mean 'Train/mean_reward'"):
        history.series("Train/mean_rewrd")
    write_table(tmp_path / "bad", TABLE.replace("4.0", "four"))
    with pytest.raises(ValueError, match="line 2: 'four' in column 'Loss/value'"):
        read_history(tmp_path / "bad")
    write_table(tmp_path / "headless", TABLE.replace("iteration", "epoch"))
    with pytest.raises(ValueError, match="no column 'iteration'"):
        read_history(tmp_path / "headless")


def test_a_long_table_takes_little_more_memory_than_its_numbers(tmp_path: Path) -> None:
    row = ",".join(["0.12345678901234567"] * 20)
    header = ",".join(f"tag{column}" for column in range(20))
    lines = (f"{iteration},{row}" for iteration in range(2000))
    file = write_table(tmp_path, "\n".join([f"iteration,{header}", *lines, ""])) / "metrics.csv"
    tracemalloc.start()
    history = read_history(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # As read, and as kept with the iteration of each. A dictionary of texts for each row took 7.3 times the file.
    assert peak < 2.5 * file.stat().st_size
    assert len(history.series("tag19")[1]) == 2000


def test_an_empty_table_gives_way_to_event_files(tmp_path: Path) -> None:
    write_events(write_table(tmp_path, TABLE.splitlines()[0] + "\n"), {"a": [(0, 1.0)]})
    with pytest.warns(UserWarning, match="metrics.csv' has no rows"):
        assert read_history(tmp_path).tags == ["a"]
