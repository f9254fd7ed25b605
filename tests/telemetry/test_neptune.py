# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Neptune, in offline mode: what a training leaves in the container that is synchronized later."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from rsl_rl.telemetry import NeptuneLogWriter
from tests.telemetry.training import ITERATIONS, VIDEO, column, train
from tests.telemetry.training import offline as offline  # a fixture

pytestmark = pytest.mark.usefixtures("offline")
CONFIG = {"class_name": "NeptuneLogWriter", "project_name": "robots"}


class Container:
    """An offline run: every call of the client, in order."""

    def __init__(self, folder: Path) -> None:
        self.values: dict[str, Any] = {}
        self.series: dict[str, list[tuple[int, float]]] = {}
        self.files: dict[str, Path] = {}
        for log in sorted(folder.glob("data-*.log")):
            decoder, text = json.JSONDecoder(), log.read_text().strip("\0\n ")
            while text:
                entry, end = decoder.raw_decode(text)
                text = text[end:].lstrip("\0\n ")
                self._take(entry["obj"])

    def _take(self, call: dict[str, Any]) -> None:
        path = "/".join(call["path"])
        if call["type"].startswith("Assign"):
            self.values[path] = call["value"]
        elif call["type"] == "LogFloats":
            self.series.setdefault(path, []).extend((value["step"], value["value"]) for value in call["values"])
        elif call["type"] == "UploadFile" and call["file_path"]:  # Neptune's own, such as git's diff, have none
            self.files[f"{path}.{call['ext']}"] = Path(call["file_path"])


def containers(run: Path) -> list[Container]:
    return [Container(folder) for folder in sorted((run / ".neptune" / "offline").iterdir())]


def test_a_training_leaves_numbers_configuration_models_code_and_videos(tmp_path: Path) -> None:
    run = tmp_path / "2026_walk"
    runner = train(run, {**CONFIG, "tags": ["gait"]})
    assert runner.logger.logger_type == "neptune"
    (kept,) = containers(run)
    assert kept.values["sys/name"] == "2026_walk"
    for tag in ("Loss/value", "Train/mean_reward", "Episode/distance", "Perf/total_fps"):
        assert kept.series[tag] == column(run, tag)
    assert not any(tag.endswith("/time") for tag in kept.series)
    assert kept.values["runner_cfg/algorithm/num_mini_batches"] == 2
    assert kept.values["runner_cfg/actor/hidden_dims"] == "[16, 16]"
    assert (kept.values["env_cfg/seed"], kept.values["env_cfg/terrain/friction"]) == (7, "inf")
    assert {name: path.read_bytes() for name, path in kept.files.items() if name.startswith("models/")} == {
        f"models/model_{it}.pt": (run / f"model_{it}.pt").read_bytes() for it in (0, 2, ITERATIONS - 1)
    }
    assert "+new = 2" in kept.files["git/project.diff"].read_text()
    assert kept.files["videos/train/step-0.mp4"].read_bytes() == VIDEO


def test_a_second_call_of_learn_goes_on_with_the_same_run(tmp_path: Path) -> None:
    runner = train(tmp_path / "run", CONFIG)
    name = (tmp_path / "run" / ".neptune_run").read_text()
    runner.learn(1)
    assert sorted(step for kept in containers(tmp_path / "run") for step, _ in kept.series["Loss/value"]) == [
        0,
        1,
        2,
        3,
        4,
    ]
    assert (tmp_path / "run" / ".neptune_run").read_text() == name


def test_values_that_it_cannot_store_do_not_fail(tmp_path: Path) -> None:
    writer = NeptuneLogWriter(str(tmp_path / "run"), "robots")
    writer.store_config({"big": 2**40, "none": None, "tensor": [1.5, None], 3: "key"}, {})
    writer.add_scalar("Episode/broken", float("nan"), 0)
    writer.add_scalar("Episode/fine", 1.0, 0)
    writer.stop()
    (kept,) = containers(tmp_path / "run")
    values = {path: value for path, value in kept.values.items() if path.startswith("env_cfg")}
    assert values == {
        "env_cfg/big": str(2**40),
        "env_cfg/none": "None",
        "env_cfg/tensor": "[1.5, None]",
        "env_cfg/3": "key",
    }
    assert {tag: numbers for tag, numbers in kept.series.items() if tag.startswith("Episode")} == {
        "Episode/fine": [(0, 1.0)]
    }


def test_a_server_that_does_not_answer_does_not_hold_up_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from neptune.handler import Handler

    append, answers = Handler.append, threading.Event()

    def append_when_answered(*arguments: Any, **options: Any) -> None:
        answers.wait()
        append(*arguments, **options)

    monkeypatch.setattr(Handler, "append", append_when_answered)
    writer = NeptuneLogWriter(str(tmp_path / "run"), "robots")
    for iteration in range(3):
        writer.add_scalar("Loss/value", 0.5, iteration)
        writer.flush()
    answers.set()
    writer.stop()
    assert containers(tmp_path / "run")[0].series["Loss/value"] == [(0, 0.5), (1, 0.5), (2, 0.5)]


def test_the_plain_name_of_earlier_releases_still_works(tmp_path: Path) -> None:
    new_form = r"logger: \{class_name: NeptuneLogWriter, project_name: robots\}"
    with pytest.warns(DeprecationWarning, match=new_form):
        runner = train(tmp_path / "run", "neptune", neptune_project="robots")
    assert runner.logger.logger_type == "neptune"
    assert containers(tmp_path / "run")[0].series["Loss/value"]


@pytest.mark.parametrize(
    ("token", "username", "message"),
    [
        (None, "ada", "Neptune needs a token: set the environment variable NEPTUNE_API_TOKEN, or .* mode='offline'"),
        ("x", None, "workspace of the project 'robots': .* NEPTUNE_USERNAME, or name the project 'WORKSPACE/robots'"),
        ("no token", "ada", "could not start .* Check the project 'ada/robots', the token in NEPTUNE_API_TOKEN"),
    ],
)
def test_missing_or_wrong_credentials_are_reported_once_and_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str | None, username: str | None, message: str
) -> None:
    monkeypatch.setenv("NEPTUNE_MODE", "async")
    for name, value in (("NEPTUNE_API_TOKEN", token), ("NEPTUNE_USERNAME", username)):
        if value is not None:
            monkeypatch.setenv(name, value)
    with pytest.warns(UserWarning, match=message) as warned:
        train(tmp_path / "run", CONFIG)
    assert len([warning for warning in warned if "training goes on" in str(warning.message)]) == 1
