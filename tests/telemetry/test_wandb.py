# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Weights & Biases, in offline mode: what a training leaves in the file that is synchronized later."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.telemetry.training import VIDEO, column, train
from tests.telemetry.training import offline as offline  # a fixture

pytestmark = pytest.mark.usefixtures("offline")
BLOCK = 32768


def chunks(file: Path) -> Iterator[bytes]:
    """Yield the entries of the file: a log of LevelDB's format, after a header of 7 bytes."""
    data, place, entry = file.read_bytes(), 7, b""
    while place + 7 <= len(data):
        if BLOCK - place % BLOCK < 7:  # no space for a header: the rest of the block is empty
            place += BLOCK - place % BLOCK
            continue
        length, kind = struct.unpack_from("<HB", data, place + 4)
        entry += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield entry
            entry = b""


class Offline:
    """What an offline run holds, read with the client's own message definitions."""

    def __init__(self, folder: Path) -> None:
        from wandb.proto.wandb_internal_pb2 import Record

        self.files_dir = folder / "files"
        self.config: dict[str, Any] = {}
        self.history: list[dict[str, Any]] = []
        self.exit_code: int | None = None
        for chunk in chunks(next(folder.glob("run-*.wandb"))):
            record: Any = Record.FromString(chunk)
            kind = record.WhichOneof("record_type")
            if kind == "run":
                self.run = record.run
                self._configure(record.run.config.update)
            elif kind == "config":
                self._configure(record.config.update)
            elif kind == "history":
                self.history.append(
                    {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
                )
            elif kind == "exit":
                self.exit_code = record.exit.exit_code

    def _configure(self, items: Any) -> None:
        self.config |= {item.key: json.loads(item.value_json) for item in items}

    def scalars(self, tag: str) -> list[tuple[int, float]]:
        return [(row["_step"], row[tag]) for row in self.history if tag in row]


def offline_runs(run: Path) -> list[Offline]:
    import wandb

    wandb.teardown()  # the client's process writes the last block after it has reported the end of a run
    return [Offline(folder) for folder in sorted((run / "wandb").glob("offline-run-*"))]


def test_a_training_leaves_numbers_configuration_models_code_and_videos(tmp_path: Path) -> None:
    run = tmp_path / "2026_walk"
    runner = train(run, {"class_name": "WandbLogWriter", "project_name": "robots", "group": "ablation"})
    assert runner.logger.logger_type == "wandb"
    (kept,) = offline_runs(run)
    assert (kept.run.project, kept.run.display_name, kept.run.run_group) == ("robots", "2026_walk", "ablation")
    for tag in ("Loss/value", "Train/mean_reward", "Episode/distance", "Perf/total_fps"):
        assert kept.scalars(tag) == column(run, tag)
    assert kept.exit_code == 0
    assert kept.config["runner_cfg"]["algorithm"]["num_mini_batches"] == 2
    assert kept.config["runner_cfg"]["run_name"] == "small"
    # What JSON cannot hold is text.
    terrain = {"slopes": [0.1, 0.2], "friction": "inf"}
    assert kept.config["env_cfg"] == {"seed": 7, "terrain": terrain, "reward": "builtins:len"}
    for name in ("model_0.pt", "model_2.pt", "model_3.pt"):
        assert (kept.files_dir / name).read_bytes() == (run / name).read_bytes()
    assert "+new = 2" in (kept.files_dir / "git" / "project.diff").read_text()
    (video,) = [row["videos/train.path"] for row in kept.history if "videos/train.path" in row]
    assert (kept.files_dir / video).read_bytes() == VIDEO


def test_a_second_call_of_learn_goes_on_with_the_same_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    runner = train(run, {"class_name": "WandbLogWriter", "project_name": "robots"})
    runner.learn(1)
    first, second = offline_runs(run)
    assert first.run.run_id == second.run.run_id
    assert [step for step, _ in second.scalars("Loss/value")] == [4]


def test_the_entity_is_the_users_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rsl_rl.utils import WandbLogWriter

    monkeypatch.setenv("WANDB_USERNAME", "ada")
    writer = WandbLogWriter(str(tmp_path / "run"), "robots")
    writer.stop()
    assert offline_runs(tmp_path / "run")[0].run.entity == "ada"


def test_a_run_that_the_user_started_is_used_and_left_open(tmp_path: Path) -> None:
    import wandb

    mine = wandb.init(project="sweep", dir=str(tmp_path))
    train(tmp_path / "run", {"class_name": "WandbLogWriter", "project_name": "other"})
    assert wandb.run is mine
    assert "Loss/value" in mine.summary.keys()  # noqa: SIM118 (it is no mapping)
    mine.finish()
    assert not (tmp_path / "run" / "wandb").exists()


def test_a_process_of_the_client_that_hangs_does_not_hold_up_training(tmp_path: Path) -> None:
    import psutil

    from rsl_rl.utils import WandbLogWriter

    writer = WandbLogWriter(str(tmp_path / "run"), "robots")
    hanging = [child for child in psutil.Process().children(True) if child.name().startswith("wandb")]
    assert hanging
    iterations = 600  # more than the client's buffers take
    for process in hanging:
        process.suspend()
    try:
        for iteration in range(iterations):
            for tag in range(20):
                writer.add_scalar(f"Episode/{tag}", float(iteration), iteration)
            writer.flush()
    finally:
        for process in hanging:
            process.resume()
    writer.stop()
    (kept,) = offline_runs(tmp_path / "run")
    assert kept.scalars("Episode/7") == [(iteration, float(iteration)) for iteration in range(iterations)]


def test_a_training_that_fails_is_marked(tmp_path: Path) -> None:
    def fail() -> None:
        raise RuntimeError("the simulator crashed")

    with pytest.raises(RuntimeError, match="simulator crashed"):
        train(tmp_path / "run", {"class_name": "WandbLogWriter", "project_name": "robots"}, 1, fail)
    (kept,) = offline_runs(tmp_path / "run")
    assert kept.exit_code == 1
    assert len(kept.scalars("Loss/value")) == 1


def test_the_plain_name_of_earlier_releases_still_works(tmp_path: Path) -> None:
    new_form = r"logger: \{class_name: WandbLogWriter, project_name: robots\}"
    with pytest.warns(DeprecationWarning, match=new_form) as warned:
        runner = train(tmp_path / "run", "wandb", wandb_project="robots")
    assert runner.logger.logger_type == "wandb"
    assert offline_runs(tmp_path / "run")[0].run.project == "robots"
    # Python shows it where it is caused by the program itself, not by a library.
    assert [Path(warning.filename).name for warning in warned if warning.category is DeprecationWarning] == [
        "training.py"
    ]
