# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Whatever a writer does: it is reported once, training ends, and the local table is complete."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from rsl_rl.telemetry import CsvLogWriter, LogWriter
from rsl_rl.telemetry.remote import BackgroundCalls
from tests.telemetry.test_logger import make_logger, rows, run_iteration, scalars
from tests.telemetry.training import ROOT, train
from tests.telemetry.training import offline as offline  # a fixture

pytestmark = pytest.mark.usefixtures("offline")
OPTIONS = {"WandbLogWriter": "project_name='p'", "NeptuneLogWriter": "project_name='p'", "MlflowLogWriter": ""}


class Faulty(LogWriter):
    """A user's writer that raises in one of its methods, in its second call."""

    def __init__(self, log_dir: str, method: str, at_call: int = 1) -> None:
        self._method, self._calls_left = method, at_call

    def _called(self, method: str) -> None:
        if method == self._method:
            self._calls_left -= 1
            if self._calls_left <= 0:
                raise ConnectionError("service is gone")

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        self._called("add_scalar")

    def store_config(self, env_cfg: dict | object, train_cfg: dict) -> None:
        self._called("store_config")

    def save_model(self, model_path: str, it: int) -> None:
        self._called("save_model")

    def save_file(self, path: str) -> None:
        self._called("save_file")

    def save_video(self, video: Path, it: int) -> None:
        self._called("save_video")

    def flush(self) -> None:
        self._called("flush")

    def stop(self) -> None:
        self._called("stop")


@pytest.mark.parametrize(
    ("method", "at_call"),
    [
        ("store_config", 1),
        ("save_file", 1),
        ("add_scalar", 5),
        ("flush", 2),
        ("save_model", 2),
        ("save_video", 1),
        ("stop", 1),
    ],
)
def test_a_users_writer_that_raises_anywhere_is_reported_once(tmp_path: Path, method: str, at_call: int) -> None:
    logger = [{"class_name": Faulty, "method": method, "at_call": at_call}, "tensorboard"]
    message = f"Faulty failed in {method} and is not used any more, training goes on: ConnectionError: service is gone"
    with pytest.warns(UserWarning, match=message) as warned:
        train(tmp_path / "run", logger)
    assert len([warning for warning in warned if "training goes on" in str(warning.message)]) == 1
    assert len(scalars(tmp_path / "run")["Loss/value"]) == 4


def test_a_program_that_writes_to_the_writer_itself_finds_the_table_where_the_service_is_gone(tmp_path: Path) -> None:
    logger = make_logger(tmp_path, logger={"class_name": Faulty, "method": "add_scalar"})
    logger.init_logging_writer()
    with pytest.warns(UserWarning, match="Faulty failed in add_scalar"):
        run_iteration(logger, 0)
    assert isinstance(logger.writer, CsvLogWriter)
    logger.writer.add_scalar("Mine/number", 3.0, 1)
    run_iteration(logger, 1)
    assert [row["Mine/number"] for row in rows(tmp_path)] == ["", "3.0"]


def run_program(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(("writer", "options"), OPTIONS.items())
def test_a_package_that_is_not_installed_is_named_with_its_install_line(
    tmp_path: Path, writer: str, options: str
) -> None:
    package = writer.removesuffix("LogWriter").lower()
    done = run_program(
        f"import sys; sys.modules['{package}'] = None\n"
        "from pathlib import Path\n"
        "from tests.telemetry.training import train\n"
        f"train(Path('run').absolute(), dict(class_name='{writer}', {options}))\n",
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("training goes on") == 1
    assert f"The logger '{package}' could not start" in done.stderr
    assert f'pip install "rsl-rl-lib[{package}]"' in done.stderr


def test_no_client_is_imported_before_its_writer_is_made(tmp_path: Path) -> None:
    done = run_program(
        "import sys\n"
        "from rsl_rl.utils import LogWriter, NeptuneLogWriter, WandbLogWriter\n"
        "from rsl_rl.telemetry import MlflowLogWriter\n"
        "from tests.telemetry.test_logger import make_logger\n"
        "make_logger(None, logger=[{'class_name': 'WandbLogWriter', 'project_name': 'p'}, 'mlflow'])\n"
        "assert all(issubclass(w, LogWriter) for w in (NeptuneLogWriter, WandbLogWriter, MlflowLogWriter))\n"
        "print([name for name in ('wandb', 'neptune', 'mlflow') if name in sys.modules])\n",
        tmp_path,
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_a_wandb_process_that_dies_in_the_middle_is_reported_once(tmp_path: Path) -> None:
    done = run_program(
        "import psutil\n"
        "from pathlib import Path\n"
        "from tests.telemetry.training import train\n"
        "def kill():\n"
        "    killed = [p for p in psutil.Process().children(True) if p.name().startswith('wandb')]\n"
        "    assert killed\n"
        "    for process in killed:\n"
        "        process.kill()\n"
        "    psutil.wait_procs(killed)\n"
        "train(Path('run').absolute(), {'class_name': 'WandbLogWriter', 'project_name': 'p'}, 1, kill)\n"
        "print('trained')\n",
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "trained" in done.stdout
    assert done.stderr.count("WandbLogWriter failed in ") == done.stderr.count("training goes on") == 1


def test_wandb_without_an_account_is_reported_with_what_to_do(tmp_path: Path) -> None:
    done = run_program(
        "from pathlib import Path\n"
        "from tests.telemetry.training import train\n"
        "train(Path('run').absolute(), {'class_name': 'WandbLogWriter', 'project_name': 'p', 'mode': 'online'})\n",
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("training goes on") == 1
    for part in ("The logger 'wandb' could not start", "'wandb login'", "WANDB_API_KEY", "WANDB_MODE=offline"):
        assert part in done.stderr


def test_calls_in_the_background_keep_their_order_and_are_all_made() -> None:
    made: list[int] = []
    calls = BackgroundCalls("test")
    for number in range(100):
        calls.submit(lambda number=number: made.append(number))
    assert calls.call(lambda: "answer", 60.0) == "answer"
    calls.finish(60.0)
    assert made == list(range(100))


def test_a_call_that_fails_in_the_background_is_raised_by_the_next() -> None:
    def fail() -> None:
        raise ConnectionError("gone")

    calls = BackgroundCalls("test")
    with pytest.raises(ConnectionError, match="gone"):
        calls.call(fail, 60.0)
    with pytest.raises(ConnectionError, match="gone"):
        calls.submit(lambda: None)
    with pytest.raises(ConnectionError, match="gone"):
        calls.finish(60.0)


def test_a_service_that_does_not_answer_is_not_waited_for() -> None:
    never = threading.Event()
    calls = BackgroundCalls("The service", max_waiting=2)
    calls.submit(never.wait)
    with pytest.raises(TimeoutError, match="The service did not answer for 0.01 s"):
        calls.call(lambda: None, 0.01)

    def fill() -> Any:
        for _ in range(3):
            calls.submit(lambda: None)

    with pytest.raises(TimeoutError, match="The service does not keep up: 2 calls are waiting"):
        fill()
    with pytest.raises(TimeoutError, match="has not received everything after 0.01 s"):
        calls.finish(0.01)
    never.set()
