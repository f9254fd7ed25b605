# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Whatever a writer does: it is reported once, training ends, and the local table is complete."""

from __future__ import annotations

import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from rsl_rl.telemetry import CsvLogWriter, LogWriter
from rsl_rl.telemetry.service_writer import BackgroundCalls
from tests.processes import python
from tests.telemetry.test_logger import make_logger, rows, run_iteration, scalars
from tests.telemetry.training import offline as offline  # a fixture
from tests.telemetry.training import train

pytestmark = pytest.mark.usefixtures("offline")


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
    return python("-c", code, cwd=folder)


def test_packages_that_are_not_installed_are_named_with_their_install_lines(tmp_path: Path) -> None:
    done = run_program(
        "import sys; sys.modules.update(wandb=None, neptune=None, mlflow=None)\n"
        "from pathlib import Path\n"
        "from tests.telemetry.training import train\n"
        "remote = [{'class_name': f'{name}LogWriter', 'project_name': 'p'} for name in ('Wandb', 'Neptune')]\n"
        "train(Path('run').absolute(), [*remote, 'mlflow'])\n",
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("training goes on") == 3
    for package in ("wandb", "neptune", "mlflow"):
        assert f"The logger '{package}' could not start" in done.stderr
        assert f"needs: pip install {package} (" in done.stderr


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


def test_wandb_without_an_account_or_a_server_is_reported_with_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and does not listen: connections are refused
        done = run_program(
            "import os\n"
            "from pathlib import Path\n"
            "from tests.telemetry.training import train\n"
            "logger = {'class_name': 'WandbLogWriter', 'project_name': 'p', 'mode': 'online'}\n"
            "train(Path('first').absolute(), logger)\n"
            f"os.environ |= {{'WANDB_BASE_URL': 'http://127.0.0.1:{unused.getsockname()[1]}'}}\n"
            "os.environ |= {'WANDB_API_KEY': '0' * 40}\n"
            "train(Path('second').absolute(), logger | {'settings': {'init_timeout': 1.0}})\n",
            tmp_path,
        )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("training goes on") == 2
    for part in ("The logger 'wandb' could not start", "'wandb login'", "WANDB_API_KEY", "WANDB_MODE=offline"):
        assert done.stderr.count(part) == 2


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
    lost = "has not received everything after 0.01 s; it has lost the numbers of 0 iterations and 2 other calls"
    with pytest.raises(TimeoutError, match=lost):
        calls.finish(0.01)
    never.set()


def test_a_service_that_does_not_keep_up_loses_its_oldest_numbers_which_is_said_once() -> None:
    made: list[object] = []
    goes_on = threading.Event()
    calls = BackgroundCalls("The service", max_waiting=5)
    calls.submit(goes_on.wait)
    calls.submit(lambda: made.append("configuration"))

    def submit_more() -> None:
        for number in range(10):
            calls.submit(lambda number=number: made.append(number), are_numbers=True)
        calls.submit(lambda: made.append("checkpoint"))

    message = "The service does not keep up: 5 calls are waiting. Its oldest numbers are dropped, training goes on"
    with pytest.warns(UserWarning, match=message) as warned:
        submit_more()
    assert len(warned) == 1
    goes_on.set()
    message = "The service could not keep up; it has lost the numbers of 8 iterations and 0 other calls"
    with pytest.warns(UserWarning, match=message):
        calls.finish(60.0)
    assert made == ["configuration", 8, 9, "checkpoint"]


def test_what_was_given_up_is_not_written_later() -> None:
    made: list[int] = []
    goes_on = threading.Event()
    calls = BackgroundCalls("The given-up service")
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "The given-up service log writer"]
    calls.submit(goes_on.wait)
    calls.submit(lambda: made.append(1), are_numbers=True)
    with pytest.raises(TimeoutError, match="it has lost the numbers of 1 iterations and 1 other calls"):
        calls.finish(0.01)
    goes_on.set()
    thread.join(60.0)
    assert not thread.is_alive()
    assert made == []


def test_a_process_ends_while_a_service_still_hangs(tmp_path: Path) -> None:
    done = run_program(
        "import threading\n"
        "from rsl_rl.telemetry.service_writer import BackgroundCalls\n"
        "BackgroundCalls('test').submit(threading.Event().wait)\n"
        "print('the end')\n",
        tmp_path,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "the end"), done.stderr
