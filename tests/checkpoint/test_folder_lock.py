# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Of several real processes one at a time writes into a run's folder."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rsl_rl.checkpoint import FolderInUseError, locked
from rsl_rl.checkpoint.folder_lock import LOCK, fcntl
from rsl_rl.cli.main import main
from rsl_rl.runners import OnPolicyRunner
from tests.envs import PointEnv, point_config


@contextlib.contextmanager
def process(work: Callable[[], Any]) -> Iterator[int]:
    """Run something in a process of its own until it waits for its end; kill that at the end of the block."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException), work() or contextlib.nullcontext():
            os.write(writer, b"!")
            signal.pause()
        os._exit(1)
    os.close(writer)
    assert os.read(reader, 1) == b"!"
    os.close(reader)
    try:
        yield child
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def runner(folder: Path) -> OnPolicyRunner:
    return OnPolicyRunner(PointEnv(), point_config() | {"logger": None}, log_dir=str(folder))


def test_a_second_process_is_refused_and_a_killed_ones_lock_is_taken_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    second = runner(run)
    with process(lambda: locked(run)) as first:
        owner = f"process {first} on {socket.gethostname()} since "
        with pytest.raises(FolderInUseError, match=f"'{run}' is in use by {owner}"):
            second.learn(1)
        (run / "config.yaml").write_text(json.dumps({"env": "tests.envs:PointEnv", "runner": point_config()}))
        before = sorted(file.name for file in run.iterdir())
        with pytest.raises(SystemExit) as ended:
            main(["train", "--resume", str(run), "--trust"])
        assert ended.value.code == 2
        assert f"error: '{run}' is in use by {owner}" in capsys.readouterr().err
        assert sorted(file.name for file in run.iterdir()) == before == ["config.yaml", LOCK]
    second.learn(1)
    assert (run / "model_0.pt").is_file()
    assert not (run / LOCK).exists()


@pytest.mark.filterwarnings("ignore:.*holds a run already")
def test_one_process_may_have_several_runners_and_ask_again(tmp_path: Path) -> None:
    with locked(tmp_path):
        with locked(os.path.relpath(tmp_path)):
            assert (tmp_path / LOCK).is_file()
        assert (tmp_path / LOCK).is_file()
        runner(tmp_path).learn(1)
        runner(tmp_path).learn(1)
        assert json.loads((tmp_path / LOCK).read_text())["process"] == os.getpid()
    assert not (tmp_path / LOCK).exists()


def test_processes_that_the_owner_has_forked_do_not_keep_it(tmp_path: Path) -> None:
    reader, writer = os.pipe()

    @contextlib.contextmanager
    def with_a_child() -> Iterator[None]:
        with locked(tmp_path):
            if (child := os.fork()) == 0:
                signal.pause()
            os.write(writer, str(child).encode())
            yield

    with process(with_a_child):
        child = int(os.read(reader, 100))
    try:
        os.kill(child, 0)  # it lives
        with locked(tmp_path):
            pass
    finally:
        os.kill(child, signal.SIGKILL)


def test_two_that_take_turns_are_never_inside_together(tmp_path: Path) -> None:
    def enter_often() -> None:
        entered = 0
        while entered < 300:
            try:
                with locked(tmp_path):
                    os.close(os.open(tmp_path / "inside", os.O_CREAT | os.O_EXCL))
                    os.unlink(tmp_path / "inside")
                    entered += 1
            except FolderInUseError:
                continue

    def in_a_child() -> None:
        code = 1
        with contextlib.suppress(BaseException):
            enter_often()
            code = 0
        os._exit(code)

    children = []
    for _ in range(3):
        children.append(os.fork())
        if children[-1] == 0:
            in_a_child()
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]


def test_what_another_machine_has_left_is_said(tmp_path: Path) -> None:
    owner = {"host": "elsewhere", "process": 7, "since": "2026-01-01T00:00:00+00:00"}
    (tmp_path / LOCK).write_text(json.dumps(owner))
    said = f"'{tmp_path}' was written to by process 7 on elsewhere since 2026-01-01T00:00:00"
    with pytest.warns(UserWarning, match=said), locked(tmp_path):
        pass
    (tmp_path / LOCK).write_text("\0\0damaged")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with locked(tmp_path):
            pass


def test_a_file_system_without_locks_is_said_and_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refused)
    with pytest.warns(UserWarning, match="has no locks .*No locks available"), locked(tmp_path), locked(tmp_path):
        pass


def test_nothing_is_locked_without_a_folder_or_when_a_run_is_only_read(tmp_path: Path) -> None:
    runner(tmp_path).learn(1)
    OnPolicyRunner(PointEnv(), point_config() | {"logger": None}).learn(1)
    with process(lambda: locked(tmp_path)):
        reader = OnPolicyRunner(PointEnv(), point_config())
        reader.load(str(tmp_path))
        reader.get_inference_policy()
