# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""MLflow, with a real tracking server and its SQLite database."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rsl_rl.telemetry import MlflowLogWriter, TensorboardLogWriter
from tests.telemetry.training import ITERATIONS, VIDEO, column, train
from tests.telemetry.training import offline as offline  # a fixture

pytestmark = pytest.mark.usefixtures("offline")
START_LIMIT = 120.0  # seconds; a loaded machine takes long to import the server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A tracking server in processes of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.uri = f"http://127.0.0.1:{free_port()}"
        self._log = folder / "server.log"
        command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1"]
        command += ["--port", self.uri.rsplit(":", 1)[1], "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
        command += ["--artifacts-destination", str(folder / "artifacts")]
        environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def wait_until_healthy(self) -> None:
        until = time.monotonic() + START_LIMIT
        while time.monotonic() < until:
            assert self._process.poll() is None, self._log.read_text()
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
                    assert answer.status == 200
                    return
            except (urllib.error.URLError, OSError):
                select_nothing()
        raise AssertionError(f"The server did not start in {START_LIMIT} s: {self._log.read_text()}")

    def signal(self, number: int) -> None:
        """Send a signal to all its processes."""
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        if self._process.poll() is None:
            self.signal(signal.SIGKILL)
            self._process.wait()


def select_nothing() -> None:
    """Leave the processor to the server for a moment."""
    threading.Event().wait(0.05)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("mlflow") / "server")
    try:
        running.wait_until_healthy()
        yield running
    finally:
        running.kill()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server that the test may kill."""
    running = Server(tmp_path / "server")
    try:
        running.wait_until_healthy()
        yield running
    finally:
        running.kill()


def configuration(server: Server, **options: Any) -> dict[str, Any]:
    return {"class_name": "MlflowLogWriter", "tracking_uri": server.uri, "experiment_name": "robots", **options}


def read_runs(server: Server, name: str, experiment: str = "robots") -> tuple[Any, list[Any]]:
    from mlflow import MlflowClient

    client = MlflowClient(server.uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return client, client.search_runs([found.experiment_id], f"run_name = '{name}'")


def metric(client: Any, run: Any, tag: str) -> list[tuple[int, float]]:
    return [(entry.step, entry.value) for entry in client.get_metric_history(run.info.run_id, tag)]


def reports(warned: pytest.WarningsRecorder) -> list[str]:
    return [str(warning.message) for warning in warned if "training goes on" in str(warning.message)]


def test_a_training_leaves_numbers_configuration_models_code_and_videos(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "2026_walk"
    runner = train(folder, configuration(server, tags={"robot": "go1"}))
    assert runner.logger.logger_type == "mlflow"
    client, (run,) = read_runs(server, "2026_walk")
    assert (run.info.status, run.data.tags["robot"]) == ("FINISHED", "go1")
    for tag in ("Loss/value", "Train/mean_reward", "Episode/distance", "Perf/total_fps"):
        assert metric(client, run, tag) == column(folder, tag)
    assert not any(tag.endswith("/time") for tag in run.data.metrics)
    params = run.data.params
    assert (params["runner_cfg/algorithm/num_mini_batches"], params["runner_cfg/actor/hidden_dims"]) == (
        "2",
        "[16, 16]",
    )
    assert (params["env_cfg/seed"], params["env_cfg/terrain/friction"]) == ("7", "inf")
    for place, content in {
        "models/model_0.pt": (folder / "model_0.pt").read_bytes(),
        "models/model_2.pt": (folder / "model_2.pt").read_bytes(),
        f"models/model_{ITERATIONS - 1}.pt": (folder / f"model_{ITERATIONS - 1}.pt").read_bytes(),
        "git/project.diff": (folder / "git" / "project.diff").read_bytes(),
        "videos/train/step-0.mp4": VIDEO,
    }.items():
        assert Path(client.download_artifacts(run.info.run_id, place, str(tmp_path))).read_bytes() == content
    assert "+new = 2" in (folder / "git" / "project.diff").read_text()


def test_a_second_call_of_learn_goes_on_with_the_same_run(server: Server, tmp_path: Path) -> None:
    runner = train(tmp_path / "twice", configuration(server))
    runner.learn(1)
    client, (run,) = read_runs(server, "twice")
    assert [step for step, _ in metric(client, run, "Loss/value")] == [0, 1, 2, 3, 4]
    assert run.info.status == "FINISHED"


def test_the_run_of_a_server_that_is_gone_is_not_looked_for_on_another(server: Server, tmp_path: Path) -> None:
    (tmp_path / "moved").mkdir()
    (tmp_path / "moved" / ".mlflow_run").write_text("0123456789abcdef0123456789abcdef\n")
    train(tmp_path / "moved", configuration(server))
    client, (run,) = read_runs(server, "moved")
    assert len(metric(client, run, "Loss/value")) == ITERATIONS


def test_the_plain_name_takes_the_experiment_and_the_server_that_are_named_elsewhere(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    runner = train(tmp_path / "plain", "mlflow", experiment_name="quadrupeds")
    assert runner.logger.logger_type == "mlflow"
    client, (run,) = read_runs(server, "plain", "quadrupeds")
    assert len(metric(client, run, "Loss/value")) == ITERATIONS


def test_names_and_texts_that_it_does_not_take_are_changed(server: Server, tmp_path: Path) -> None:
    writer = MlflowLogWriter(str(tmp_path / "odd"), "robots", server.uri)
    many = {f"weight {number}": number for number in range(250)}
    writer.store_config({"links[0]": 1, "text": "x" * 10000, "n" * 300: 2, **many}, {})
    writer.add_scalar("Episode/height (m)", 1.0, 0)
    writer.stop()
    _, (run,) = read_runs(server, "odd")
    assert run.data.metrics == {"Episode/height _m_": 1.0}
    assert run.data.params["env_cfg/links_0_"] == "1"
    assert set(run.data.params["env_cfg/text"]) == {"x"}
    assert run.data.params["env_cfg/weight 249"] == "249"


def test_a_checkpoint_that_was_removed_before_its_upload_is_left_out(server: Server, tmp_path: Path) -> None:
    writer = MlflowLogWriter(str(tmp_path / "removed"), "robots", server.uri)
    writer.save_model(str(tmp_path / "removed" / "model_0.pt"), 0)
    writer.add_scalar("Loss/value", 1.0, 0)
    writer.stop()
    client, (run,) = read_runs(server, "removed")
    assert metric(client, run, "Loss/value") == [(0, 1.0)]


def test_a_training_that_fails_is_marked(server: Server, tmp_path: Path) -> None:
    def fail() -> None:
        raise RuntimeError("the simulator crashed")

    with pytest.raises(RuntimeError, match="simulator crashed"):
        train(tmp_path / "failing", configuration(server), 1, fail)
    _, (run,) = read_runs(server, "failing")
    assert run.info.status == "FAILED"


def test_a_server_that_dies_in_the_middle_is_reported_once_and_training_goes_on(
    own_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    with pytest.warns(UserWarning, match=r"MlflowLogWriter failed in \w+ and is not used any more") as warned:
        runner = train(tmp_path / "run", [configuration(own_server), "tensorboard"], 1, own_server.kill)
    assert len(reports(warned)) == 1
    assert isinstance(runner.logger.writer, TensorboardLogWriter)
    # A run that begins without the server is reported once as well.
    message = f"'mlflow' could not start .*Check that the MLflow server {own_server.uri}"
    with pytest.warns(UserWarning, match=message) as warned:
        runner.learn(1)
    assert len(reports(warned)) == 1


@pytest.fixture
def hanging(server: Server) -> Iterator[Server]:
    """A server whose processes can be stopped; it goes on afterwards."""
    try:
        yield server
    finally:
        server.signal(signal.SIGCONT)


def test_a_server_that_hangs_does_not_hold_up_the_end(hanging: Server, tmp_path: Path) -> None:
    options = configuration(hanging, stop_timeout=0.5)
    message = "MlflowLogWriter failed in stop .* has not received everything after 0.5 s"
    with pytest.warns(UserWarning, match=message) as warned:
        train(tmp_path / "run", options, 1, lambda: hanging.signal(signal.SIGSTOP))
    assert len(reports(warned)) == 1


def test_a_server_that_hangs_does_not_hold_up_the_start(hanging: Server, tmp_path: Path) -> None:
    hanging.signal(signal.SIGSTOP)
    message = "MLflow did not answer for 0.5 s. Check that the MLflow server"
    with pytest.warns(UserWarning, match=message) as warned:
        train(tmp_path / "run", configuration(hanging, start_timeout=0.5))
    assert len(reports(warned)) == 1


def test_all_services_at_once_get_the_same_numbers(server: Server, tmp_path: Path) -> None:
    from tests.telemetry.test_logger import scalars
    from tests.telemetry.test_neptune import containers
    from tests.telemetry.test_wandb import offline_runs

    folder = tmp_path / "all"
    runner = train(
        folder,
        [
            "tensorboard",
            {"class_name": "WandbLogWriter", "project_name": "robots"},
            {"class_name": "NeptuneLogWriter", "project_name": "robots"},
            configuration(server),
        ],
    )
    assert runner.logger.logger_type == "tensorboard"
    client, (run,) = read_runs(server, "all")
    expected = column(folder, "Loss/value")
    assert offline_runs(folder)[0].scalars("Loss/value") == expected
    assert containers(folder)[0].series["Loss/value"] == expected
    assert metric(client, run, "Loss/value") == expected
    assert scalars(folder)["Loss/value"] == [(step, pytest.approx(value, rel=1e-5)) for step, value in expected]
