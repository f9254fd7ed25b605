# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What public programs do with the logger of release 5.5.1, and what their environments give it to log."""

from __future__ import annotations

import csv
import decimal
import fractions
import math
import statistics
import sys
import warnings
import weakref
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensordict import TensorDict
from torch.utils.tensorboard import SummaryWriter

from rsl_rl.runners import OnPolicyRunner
from rsl_rl.runners.callbacks import Callback
from rsl_rl.runners.episodes import play_episodes
from rsl_rl.telemetry import LogWriter
from rsl_rl.utils.logger import Logger
from tests.envs import PointEnv, point_config
from tests.telemetry.training import offline as offline  # a fixture


def make_logger(log_dir: Path | None = None, **cfg: Any) -> Logger:
    return Logger(str(log_dir) if log_dir else None, {"num_steps_per_env": 2, **cfg}, {}, 4, False, 1, 0, "cpu")


def log(logger: Logger, iteration: int = 0, losses: Any = None) -> None:
    logger.log(iteration, 0, 10, 0.5, 0.25, {"value": 0.5} if losses is None else losses, 1e-3, torch.ones(1), None)


def events(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder), dict.fromkeys(("scalars", "images", "histograms", "tensors"), 0))
    found.Reload()
    return found


def numbers(folder: Path) -> dict[str, float]:
    """Return the last row of the table."""
    with (folder / "metrics.csv").open(newline="") as file:
        return {tag: float(cell) for tag, cell in list(csv.DictReader(file))[-1].items() if cell}


# -- running sums and finished episodes --------------------------------------------------------------------------------


def test_running_sums_are_those_of_every_step() -> None:
    logger = make_logger()
    sums = logger.cur_reward_sum
    logger.process_env_step(torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([0, 0, 1, 0]), {}, torch.full((4,), 0.5))
    assert sums.tolist() == [1.5, 2.5, 0.0, 4.5]
    assert logger.cur_ereward_sum.tolist() == [1.0, 2.0, 0.0, 4.0]
    assert logger.cur_ireward_sum.tolist() == [0.5, 0.5, 0.0, 0.5]
    assert logger.cur_episode_length.tolist() == [1.0, 1.0, 0.0, 1.0]
    assert (list(logger.rewbuffer), list(logger.lenbuffer)) == ([3.5], [1.0])
    assert (list(logger.erewbuffer), list(logger.irewbuffer)) == ([3.0], [0.5])
    log(logger)
    assert len(logger.rewbuffer) == 1
    assert sums.tolist() == [1.5, 2.5, 0.0, 4.5]


def test_sums_that_nobody_has_asked_for_yet_are_those_of_the_steps_before() -> None:
    logger = make_logger()
    for done in (0, 1, 0):
        logger.process_env_step(torch.ones(4), torch.tensor([done, 0, 0, 0]), {})
    assert logger.cur_reward_sum.tolist() == [1.0, 3.0, 3.0, 3.0]
    assert list(logger.lenbuffer) == [2.0]
    log(logger)
    assert list(logger.lenbuffer) == [2.0]


@pytest.mark.parametrize("inference", [False, True])
def test_zeroed_and_replaced_sums_are_what_is_measured(inference: bool) -> None:
    logger = make_logger()
    with torch.inference_mode(inference):
        logger.process_env_step(torch.ones(4), torch.zeros(4), {})
        logger.cur_reward_sum[0] = 0.0
        logger.cur_reward_sum[torch.tensor([1])] -= 5.0
        own = torch.zeros(4)
        logger.cur_episode_length = own
        logger.process_env_step(torch.ones(4), torch.zeros(4), {})
    assert logger.cur_reward_sum.tolist() == [1.0, -3.0, 2.0, 2.0]
    logger.cur_reward_sum += 1.0
    logger.cur_episode_length *= 10
    logger.process_env_step(torch.ones(4), torch.ones(4), {})
    assert list(logger.rewbuffer) == [3.0, -1.0, 4.0, 4.0]
    assert list(logger.lenbuffer) == [11.0] * 4


@pytest.mark.parametrize("value", [0, 0.0, np.zeros(4), [0] * 4, torch.zeros(4, 1, dtype=torch.long)], ids=repr)
def test_sums_are_replaced_by_anything_of_their_size(value: Any) -> None:
    logger = make_logger()
    logger.process_env_step(torch.ones(4), torch.zeros(4), {})
    logger.cur_reward_sum = value
    logger.process_env_step(torch.ones(4), torch.zeros(4), {})
    assert logger.cur_reward_sum.tolist() == [1.0] * 4
    with pytest.raises(ValueError, match="over 4 environments, got 3 numbers"):
        logger.cur_reward_sum = torch.zeros(3)


def test_buffers_are_read_filled_cleared_and_replaced(tmp_path: Path) -> None:
    logger = make_logger(tmp_path)
    logger.init_logging_writer()
    logger.process_env_step(torch.ones(4), torch.ones(4), {})
    logger.rewbuffer.append(np.float64(5.0))
    logger.lenbuffer.clear()
    assert statistics.mean(logger.rewbuffer) == np.mean(logger.rewbuffer) == sum(logger.rewbuffer) / 5 == 1.8
    log(logger)
    assert numbers(tmp_path)["Train/mean_reward"] == 1.8
    assert "Train/mean_episode_length" not in numbers(tmp_path)
    logger.rewbuffer = deque(maxlen=150)
    logger.lenbuffer = [3.0]
    for _ in range(60):  # 240 episodes in one iteration
        logger.process_env_step(torch.ones(4), torch.ones(4), {})
    log(logger, 1)
    assert (len(logger.rewbuffer), len(logger.lenbuffer)) == (150, 100)
    saved = logger.state_dict()
    assert all(type(value) is float for history in saved["episodes"]["history"] for value in history)


def test_a_training_whose_sums_are_watched_measures_the_same() -> None:
    watched, plain = (OnPolicyRunner(PointEnv(), point_config()) for _ in range(2))
    assert watched.logger.cur_reward_sum.tolist() == [0.0] * 4
    torch.manual_seed(3)
    weights = plain.alg.save()
    for runner in (watched, plain):
        torch.manual_seed(3)
        runner.alg.load(weights, None, True)
        runner.learn(4)
    assert list(watched.logger.lenbuffer) == list(plain.logger.lenbuffer)
    assert list(watched.logger.rewbuffer) == pytest.approx(list(plain.logger.rewbuffer))
    torch.testing.assert_close(watched.logger.cur_reward_sum, plain.logger.cur_reward_sum)
    assert len(watched.logger.lenbuffer) > 5


# -- ep_extras ---------------------------------------------------------------------------------------------------------


def test_ep_extras_is_filled_by_steps_and_emptied_by_log(tmp_path: Path) -> None:
    logger = make_logger(tmp_path)
    logger.init_logging_writer()
    held, buffer = logger.ep_extras, torch.zeros(4)
    for step in range(3):
        buffer.fill_(float(step))
        logger.process_env_step(torch.ones(4), torch.zeros(4), {"log": {"a": float(step), "b": buffer}})
    assert [entry["a"] for entry in logger.ep_extras] == [0.0, 1.0, 2.0]
    assert [entry["b"].tolist() for entry in logger.ep_extras] == [[0.0] * 4, [1.0] * 4, [2.0] * 4]
    # What programs change counts: one step is taken out, another one is added, a value replaced.
    del logger.ep_extras[0]
    logger.ep_extras.append({"a": 6.0, "mine": torch.tensor([1.0, 3.0])})
    logger.ep_extras[0]["b"] = torch.tensor([5.0])
    log(logger)
    assert logger.ep_extras == []
    assert held is logger.ep_extras
    found = numbers(tmp_path)
    assert (found["Episode/a"], found["Episode/mine"]) == (3.0, 2.0)
    assert found["Episode/b"] == pytest.approx(13.0 / 5.0)
    logger.ep_extras = [{"a": 1.0}]
    log(logger, 1)
    assert numbers(tmp_path)["Episode/a"] == 1.0


def test_of_episode_and_log_release_5_5_1_takes_the_first() -> None:
    logger = make_logger()
    logger.process_env_step(torch.ones(4), torch.zeros(4), {"log": {"a": 1.0}, "episode": {"b": 2.0}})
    assert logger.ep_extras == [{"b": 2.0}]


# -- disable_logs ------------------------------------------------------------------------------------------------------


def test_logs_are_disabled_and_enabled_between_two_calls_of_learn(tmp_path: Path, capsys: Any) -> None:
    runner = OnPolicyRunner(PointEnv(), point_config(), log_dir=str(tmp_path))
    assert runner.logger.disable_logs is False
    assert runner.logger.writer is None
    capsys.readouterr()
    runner.logger.disable_logs = True
    runner.learn(1)
    assert runner.logger.writer is None
    assert capsys.readouterr().out == ""
    assert list(tmp_path.iterdir()) == []
    runner.logger.disable_logs = False
    runner.learn(1)
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert (tmp_path / "model_1.pt").is_file()
    assert numbers(tmp_path)["iteration"] == 1
    runner.logger.disable_logs = True
    runner.learn(1)
    assert numbers(tmp_path)["iteration"] == 1
    assert not (tmp_path / "model_2.pt").exists()


def test_the_second_process_logs_nothing(tmp_path: Path) -> None:
    logger = Logger(str(tmp_path), {"num_steps_per_env": 2}, {}, 4, True, 2, 1, "cpu")
    logger.init_logging_writer()
    assert (logger.disable_logs, logger.writer) == (True, None)


# -- the writer --------------------------------------------------------------------------------------------------------


class Guest(Callback):
    """Adds to the writer whatever TensorBoard shows."""

    def on_update_end(self, runner: OnPolicyRunner) -> None:
        writer, it = runner.logger.writer, runner.current_learning_iteration
        writer.add_image("Camera/rgb", torch.zeros(3, 4, 4), it)
        writer.add_images("Camera/all", np.zeros((2, 3, 4, 4)), it)
        writer.add_histogram("Actions", torch.arange(5.0), it)
        writer.add_text("Note", "on a slope", it)
        writer.add_scalar("Mine/number", torch.tensor(0.5), it)
        writer.add_scalar("Mine/timed", 0.25, global_step=it, walltime=12.0)
        writer.add_scalars("Legs", {"left": 1.0, "right": 2.0}, it)
        writer.add_hparams({"lr": 0.1}, {"hparam/reward": 1.0}, run_name="hparams")


def test_the_writer_of_tensorboard_is_a_whole_summary_writer(tmp_path: Path) -> None:
    runner = OnPolicyRunner(PointEnv(), point_config(), log_dir=str(tmp_path))
    runner.add_callback(Guest())
    runner.learn(2)
    writer = runner.logger.writer
    assert isinstance(writer, SummaryWriter)
    assert isinstance(writer, LogWriter)
    assert writer.log_dir == writer.get_logdir() == str(tmp_path)
    found = events(tmp_path)
    assert [len(found.Images(tag)) for tag in ("Camera/rgb", "Camera/all")] == [2, 2]
    assert found.Histograms("Actions")[1].histogram_value.num == 5
    assert found.Tensors("Note/text_summary")[0].tensor_proto.string_val[0] == b"on a slope"
    assert [event.value for event in found.Scalars("Mine/number")] == [0.5, 0.5]
    assert [event.wall_time for event in found.Scalars("Mine/timed")] == [12.0, 12.0]
    assert len(found.Scalars("Loss/value")) == 2
    assert events(tmp_path / "Legs_left").Scalars("Legs")[0].value == 1.0
    assert (tmp_path / "hparams").is_dir()


def test_the_writer_is_usable_after_learn_and_after_being_closed(tmp_path: Path) -> None:
    runner = OnPolicyRunner(PointEnv(), point_config(), log_dir=str(tmp_path))
    runner.learn(1)
    writer = runner.logger.writer
    writer.add_scalar("Test/success", 0.75, 1)
    writer.add_image("Test/picture", torch.zeros(3, 4, 4), 1)
    writer.flush()
    assert events(tmp_path).Scalars("Test/success")[0].value == 0.75
    assert len(events(tmp_path).Images("Test/picture")) == 1
    runner.learn(1)
    assert runner.logger.writer is not writer
    # Files of one second are read in the order of their names.
    assert sorted(event.step for event in events(tmp_path).Scalars("Loss/value")) == [0, 1]
    # A program may have kept the first.
    for value in (0.5, 0.25):
        writer.add_scalar("Test/kept", value, 2)
        writer.close()
    assert sorted(event.value for event in events(tmp_path).Scalars("Test/kept")) == [0.25, 0.5]


def test_what_is_added_after_learn_is_written_when_the_writer_goes(tmp_path: Path) -> None:
    runner = OnPolicyRunner(PointEnv(), point_config(), log_dir=str(tmp_path))
    runner.learn(1)
    runner.logger.writer.add_scalar("Test/success", 0.75, 1)
    runner.logger.writer.add_scalars("Test", {"a": 1.0}, 1)
    (closing,) = [each for each in weakref.finalize._registry if each.peek()[0] is runner.logger.writer]  # type: ignore[attr-defined]
    assert closing.atexit
    closing()
    assert events(tmp_path).Scalars("Test/success")[0].value == 0.75
    assert events(tmp_path / "Test_a").Scalars("Test")[0].value == 1.0


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    "logger",
    [
        {"class_name": "WandbLogWriter", "project_name": "robots"},
        {"class_name": "CsvLogWriter"},
    ],
    ids=["wandb", "csv"],
)
def test_other_writers_keep_pictures_and_texts_in_an_event_file(logger: Any, tmp_path: Path) -> None:
    run = tmp_path / "run"
    runner = OnPolicyRunner(PointEnv(), {**point_config(), "logger": logger}, log_dir=str(run))

    def add(runner: OnPolicyRunner) -> None:
        writer, it = runner.logger.writer, runner.current_learning_iteration
        writer.add_image("Camera/rgb", torch.zeros(3, 4, 4), it)
        writer.add_text("Note", "on a slope", it)
        writer.add_scalar("Mine/number", 0.5, it)

    runner.add_callback(add)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        runner.learn(2)
        assert len(events(run).Images("Camera/rgb")) == 2
        # After the end of its run a service takes nothing any more.
        writer = runner.logger.writer
        writer.add_scalar("Test/success", 0.75, 2)
        writer.add_histogram("Actions", torch.arange(5.0), 2)
        assert writer.log_dir == str(run)
        writer.flush()
        writer.close()
    assert events(run).Histograms("Actions")[0].step == 2
    if logger["class_name"] == "CsvLogWriter":
        assert numbers(run)["Test/success"] == 0.75
    else:
        assert events(run).Scalars("Test/success")[0].value == 0.75
    with pytest.raises(AttributeError, match="no_such"):
        _ = writer.no_such


@pytest.mark.filterwarnings("ignore:The logger 'tensorboard' could not start")
def test_where_tensorboard_is_missing_pictures_are_left_out_and_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    runner = OnPolicyRunner(PointEnv(), point_config(), log_dir=str(tmp_path))
    runner.add_callback(lambda runner: runner.logger.writer.add_image("Camera/rgb", torch.zeros(3, 4, 4), 0))
    with pytest.warns(UserWarning, match="takes numbers only") as said:
        runner.learn(3)
    texts = [str(warning.message) for warning in said]
    assert sum("could not start" in text and "pip install tensorboard" in text for text in texts) == 1
    assert sum("CsvLogWriter takes numbers only" in text for text in texts) == 1
    assert numbers(tmp_path)["iteration"] == 2


def test_a_writer_that_a_program_puts_in_its_place_gets_the_numbers(tmp_path: Path) -> None:
    logger = make_logger(tmp_path / "run")
    logger.init_logging_writer()
    logger.writer = own = SummaryWriter(str(tmp_path / "own"))
    log(logger)
    assert events(tmp_path / "own").Scalars("Loss/value")[0].value == 0.5
    logger.writer = None
    log(logger, 1)
    logger.stop_logging_writer()
    own.close()
    assert len(events(tmp_path / "own").Scalars("Loss/value")) == 1
    assert numbers(tmp_path / "run")["iteration"] == 1


def test_a_program_replaces_how_the_state_of_the_code_is_kept(tmp_path: Path) -> None:
    class Kept(Logger):
        def _store_code_state(self) -> list[str]:
            return [__file__]

    saved: list[str] = []

    class Files(Own):
        def save_file(self, path: str) -> None:
            saved.append(path)

    logger = Kept(str(tmp_path), {"num_steps_per_env": 2, "logger": Files}, {}, 4, False, 1, 0, "cpu")
    logger.init_logging_writer()
    assert saved == [__file__]


def test_without_a_folder_there_is_no_writer() -> None:
    runner = OnPolicyRunner(PointEnv(), point_config())
    runner.learn(1)
    assert runner.logger.writer is None
    runner.logger.stop_logging_writer()


# -- what is logged ----------------------------------------------------------------------------------------------------

MEANS: dict[str, tuple[Any, float]] = {
    "array [N]": (np.array([1.0, 2.0, 3.0, 6.0]), 3.0),
    "array [1]": (np.array([2.5]), 2.5),
    "array of bool": (np.array([True, False]), 0.5),
    "array of half": (np.array([60000, 60000], dtype=np.float16), 60000.0),
    "array of objects": (np.array([1, fractions.Fraction(1, 2), torch.tensor(3.0)], dtype=object), 1.5),
    "0-d array": (np.array(4), 4.0),
    "scalar of NumPy": (np.float32(0.5), 0.5),
    "integer of NumPy": (np.int64(7), 7.0),
    "bool of NumPy": (np.True_, 1.0),
    "list": ([1, 2.0, True], 4.0 / 3.0),
    "tuple": ((1.0, 2.0), 1.5),
    "nested list": ([[1, 2], [3, [6]]], 3.0),
    "list of tensors": ([torch.tensor(1.0), torch.tensor([2.0, 6.0])], 3.0),
    "list of arrays": ([np.array([1.0, 2.0]), np.float64(6.0)], 3.0),
    "deque": (deque([1.0, 3.0]), 2.0),
    "set": ({1.0, 3.0}, 2.0),
    "range": (range(5), 2.0),
    "bool": (True, 1.0),
    "integer": (10**30, 1e30),
    "integer beyond all doubles": (10**400, math.inf),
    "negative integer": (-(10**400), -math.inf),
    "fraction": (fractions.Fraction(3, 4), 0.75),
    "fraction beyond all doubles": (fractions.Fraction(10**400, 3), math.inf),
    "decimal": (decimal.Decimal("0.125"), 0.125),
    "NaN": (math.nan, math.nan),
    "infinity": (-math.inf, -math.inf),
    "tensor": (torch.tensor([[1.0, 2.0], [3.0, 6.0]]), 3.0),
    "0-d tensor": (torch.tensor(2.0), 2.0),
    "tensor of integers": (torch.tensor([1, 2]), 1.5),
    "tensor of bool": (torch.tensor([True, False, True, True]), 0.75),
    "tensor of half": (torch.full((4,), 60000.0, dtype=torch.float16), 60000.0),
    "tensor of bfloat16": (torch.tensor([0.5, 1.5], dtype=torch.bfloat16), 1.0),
    "tensor of doubles": (torch.tensor([1e300, 3e300], dtype=torch.float64), 2e300),
    "tensor with a gradient": (torch.ones(2, requires_grad=True) * 2, 2.0),
    "parameter": (torch.nn.Parameter(torch.full((2,), 3.0)), 3.0),
    "tensor with NaN": (torch.tensor([1.0, math.nan]), math.nan),
}
NO_NUMBERS: dict[str, Any] = {
    "text": "stance",
    "text of digits": "1.5",
    "bytes": b"1",
    "nothing": None,
    "object": object(),
    "dictionary": {"a": 1.0},
    "group": TensorDict({"a": torch.ones(2)}, [2]),
    "complex": 1 + 2j,
    "array of text": np.array(["a", "b"]),
    "array of complex": np.array([1j]),
    "array of dates": np.array(["2026-01-01"], dtype="datetime64[D]"),
    "date": np.datetime64("2026-01-01"),
    "array of nothing": np.array([1.0, None], dtype=object),
    "list with text": [1.0, "a"],
    "list with nothing": [1.0, None],
    "complex tensor": torch.ones(2, dtype=torch.complex64),
    "tensor without storage": torch.ones(2, device="meta"),
    "sparse tensor": torch.ones(2, 2).to_sparse(),
    "signalling NaN": decimal.Decimal("sNaN"),
    "function": len,
    "class": np.ndarray,
    "generator": (number for number in (1.0, 2.0)),
}
ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)
NO_NUMBERS["list of itself"] = ENDLESS
NOTHING = {"empty tensor": torch.zeros(0), "empty array": np.zeros((0, 3)), "empty list": [], "empty tuple": ()}


class Logging(PointEnv):
    """Logs whatever it is given, step by step."""

    def __init__(self, *entries: Any, key: str = "log") -> None:
        super().__init__()
        self._entries, self._key, self._steps = entries, key, 0

    def step(self, actions: torch.Tensor) -> Any:
        obs, rewards, dones, extras = super().step(actions)
        del extras["log"]
        extras[self._key] = self._entries[self._steps % len(self._entries)]
        self._steps += 1
        return obs, rewards, dones, extras


def test_whatever_is_a_number_is_averaged_and_the_rest_said_once(tmp_path: Path) -> None:
    entry = {name: value for name, (value, _) in MEANS.items()} | NO_NUMBERS | NOTHING
    runner = OnPolicyRunner(Logging(entry), point_config(), log_dir=str(tmp_path))
    with pytest.warns(UserWarning, match="cannot be logged") as said:
        runner.learn(2)
    found = numbers(tmp_path)
    for name, (_, expected) in MEANS.items():
        assert found[f"Episode/{name}"] == pytest.approx(expected, nan_ok=True), name
        last = events(tmp_path).Scalars(f"Episode/{name}")[-1].value if name in ("list", "array [N]") else expected
        assert last == pytest.approx(expected, nan_ok=True)
    assert {tag for tag in found if tag.startswith("Episode/")} == {f"Episode/{name}" for name in MEANS}
    texts = [str(warning.message) for warning in said if "cannot be logged" in str(warning.message)]
    for name in NO_NUMBERS:
        begin = f"'{name}' cannot be logged: it is not a number but the "
        assert sum(text.startswith(begin) for text in texts) == 1, name
    assert len(texts) == len(NO_NUMBERS)
    assert all(len(text) < 300 and "\n" not in text for text in texts)


def test_names_are_texts(tmp_path: Path) -> None:
    entry = {1: 1.0, 2.5: 2.0, ("reward", "feet"): 3.0, None: 4.0, "a\nb\x00\udc80": 5.0, b"c": 6.0}
    runner = OnPolicyRunner(Logging(entry), point_config(), log_dir=str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runner.learn(2)
    found = numbers(tmp_path)
    expected = {"Episode/1": 1.0, "Episode/2.5": 2.0, "reward/feet": 3.0, "Episode/None": 4.0, "Episode/b'c'": 6.0}
    assert {tag: found[tag] for tag in expected} == expected
    assert found["Episode/a?b??"] == 5.0
    assert events(tmp_path).Scalars("Episode/2.5")[1].value == 2.0


@pytest.mark.parametrize("key", ["log", "episode"])
@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ([{"a": 1.0}], "list"),
        (np.ones(4), "ndarray"),
        (torch.ones(4), "Tensor"),
        ("fine", "str"),
        (1.0, "float"),
        (TensorDict({"a": torch.ones(4)}, [4]), None),
        (None, None),
        ({}, None),
    ],
    ids=repr,
)
def test_what_is_no_dictionary_is_said_once(entry: Any, kind: str | None, key: str, tmp_path: Path) -> None:
    runner = OnPolicyRunner(Logging(entry, key=key), point_config(), log_dir=str(tmp_path))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        runner.learn(2)
    texts = [str(warning.message) for warning in said if "cannot be logged" in str(warning.message)]
    assert len(texts) == (kind is not None)
    assert all("it is not a dictionary of numbers by their names" in text and str(kind) in text for text in texts)
    assert ("Episode/a" in numbers(tmp_path)) == isinstance(entry, TensorDict)


def test_values_may_change_their_type_and_come_only_sometimes(tmp_path: Path) -> None:
    entries = [{"a": 1.0}, {"a": torch.tensor([2.0, 3.0])}, {"a": "stance"}, {"a": np.array(4)}, {}, None]
    entries += [{"a": torch.tensor(5)}, {"a": [6, 7], "late": True}]
    runner = OnPolicyRunner(Logging(*entries), point_config(), log_dir=str(tmp_path))
    with pytest.warns(UserWarning, match="'a' cannot be logged") as said:
        runner.learn(2)
    assert sum("cannot be logged" in str(warning.message) for warning in said) == 1
    found = numbers(tmp_path)
    assert found["Episode/a"] == pytest.approx((1 + 2 + 3 + 4 + 5 + 6 + 7) / 7)
    assert found["Episode/late"] == 1.0


def test_losses_and_metrics_of_any_kind(tmp_path: Path) -> None:
    logger = make_logger(tmp_path)
    logger.init_logging_writer()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for iteration in range(2):
            metrics: Any = {"Mine/phase": "stance", "Mine/array": np.array([1.0, 3.0]), "Mine/none": None, 5: 2.0}
            logger.metrics = metrics
            losses = {"value": torch.tensor([0.5, 1.5]), "kind": "mse", "big": 10**400, "list": [1, 2], 7: 8}
            log(logger, iteration, losses | ({"late": 1.0} if iteration else {}))
    found = numbers(tmp_path)
    assert (found["Loss/value"], found["Loss/big"], found["Loss/list"], found["Loss/7"]) == (1.0, math.inf, 1.5, 8.0)
    assert (found["Mine/array"], found["5"], found["Loss/late"]) == (2.0, 2.0, 1.0)
    assert sorted(str(warning.message).split("'")[1] for warning in said) == ["Loss/kind", "Mine/none", "Mine/phase"]


def test_an_algorithm_that_returns_odd_losses_trains(tmp_path: Path) -> None:
    runner = OnPolicyRunner(PointEnv(), point_config(), log_dir=str(tmp_path))
    update = runner.alg.update
    runner.alg.update = lambda: {name: torch.tensor(value) for name, value in update().items()} | {"value": "odd"}  # type: ignore[method-assign]
    with pytest.warns(UserWarning, match="'Loss/value' cannot be logged"):
        runner.learn(2)
    assert "Loss/surrogate" in numbers(tmp_path)
    assert "Loss/value" not in numbers(tmp_path)


def test_an_evaluation_takes_the_same_values() -> None:
    entry = {"number": np.array([1.0, 3.0]), 2.5: 10**400, "text": "stance", "list": [1, [5]], "each": [1, 2, 3, 4]}
    played = play_episodes(Logging(entry, [1.0], None), lambda obs: torch.zeros(4, 1), 4)
    assert played.terms["number"] == 2.0
    assert played.terms["list"] == 3.0
    assert played.terms["each"] == pytest.approx(2.5, abs=1.5)
    assert played.terms["2.5"] == math.inf
    assert "text" not in played.terms


def test_a_step_reads_nothing_back_from_the_device() -> None:
    from tests.telemetry.test_meters import CountedOperations

    logger = make_logger()
    entry = {"a": torch.ones(4), "b": torch.tensor(1.0), "c": 1.0, "d": [1.0, torch.tensor(2.0)]}
    _ = logger.cur_reward_sum
    with CountedOperations() as counted:
        logger.process_env_step(torch.ones(4), torch.zeros(4), {"log": entry})
    assert not any("_local_scalar_dense" in name or "nonzero" in name for name in counted.names)


# -- which writer ------------------------------------------------------------------------------------------------------


class Own(LogWriter):
    def __init__(self, log_dir: str, only: str = "") -> None:
        self.only = only

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        pass


class NoWriter:
    def __init__(self, log_dir: str) -> None:
        pass


@pytest.mark.parametrize(
    ("configured", "expected"),
    [
        ("tensorboard", SummaryWriter),
        ("TensorBoard", SummaryWriter),
        ({"class_name": "tensorboard"}, SummaryWriter),
        ({"class_name": "torch.utils.tensorboard:SummaryWriter", "flush_secs": 5}, SummaryWriter),
        (Own, Own),
        (f"{__name__}:Own", Own),
        (f"{__name__}.Own", Own),
        ({"class_name": Own, "only": "Loss/"}, Own),
        ({"class_name": f"{__name__}:Own"}, Own),
    ],
    ids=str,
)
def test_a_writer_is_named_in_any_of_these_ways(configured: Any, expected: type, tmp_path: Path) -> None:
    logger = make_logger(tmp_path, logger=configured)
    logger.init_logging_writer()
    log(logger)
    logger.stop_logging_writer()
    assert isinstance(logger.writer, expected)
    assert numbers(tmp_path)["Loss/value"] == 0.5


@pytest.mark.parametrize(
    ("configured", "error", "message"),
    [
        ("wandb", ValueError, "'wandb' needs the name of a project: logger: {class_name: WandbLogWriter"),
        ("neptune", ValueError, "'neptune' needs the name of a project: logger: {class_name: NeptuneLogWriter"),
        ("WandbLogWriter", TypeError, "missing a required argument: 'project_name'"),
        (
            "tensorbord",
            ValueError,
            r"Unknown logger 'tensorbord'\. Did you mean 'tensorboard'",
        ),
        ({"class_name": "WandLogWriter"}, ValueError, "Unknown logger 'WandLogWriter'. Did you mean 'WandbLogWriter'"),
        ("", ValueError, "Unknown logger ''"),
        ("no_such_module:Writer", ModuleNotFoundError, "no_such_module"),
        ({}, ValueError, "must be a name or a dict with 'class_name'"),
    ],
    ids=str,
)
def test_a_writer_that_does_not_exist_is_told_before_the_training(
    configured: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        OnPolicyRunner(PointEnv(), {**point_config(), "logger": configured})


def test_a_class_that_is_no_writer_is_told_and_the_table_is_kept(tmp_path: Path) -> None:
    logger = make_logger(tmp_path, logger=NoWriter)
    with pytest.warns(UserWarning, match=r"NoWriter has no method add_scalar\(tag, scalar_value, global_step\)"):
        logger.init_logging_writer()
    log(logger)
    assert numbers(tmp_path)["Loss/value"] == 0.5
