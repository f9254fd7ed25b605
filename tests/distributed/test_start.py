# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Processes that look for each other, and find something else."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from rsl_rl.distributed import start


@contextlib.contextmanager
def stranger(answer: Callable[[socket.socket], object]) -> Iterator[int]:
    """Another program at a port of this machine, which takes connections and answers in its way."""
    taken: list[socket.socket] = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                taken.append(connection)
                answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            for connection in taken:
                connection.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


ANSWERS = {
    "nothing": lambda connection: None,
    "a page": lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n" * 9),
    "an end": lambda connection: connection.close(),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_another_program_at_the_port_is_named_in_time(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if answer == "nothing":
        monkeypatch.setattr(start, "_LONGER", 0.1)  # it is torch that says nothing then
    monkeypatch.setenv("RSL_RL_START_TIMEOUT", "0.5")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    with stranger(ANSWERS[answer]) as port:
        monkeypatch.setenv("MASTER_PORT", str(port))
        with pytest.raises(TimeoutError, match=rf"127\.0\.0\.1:{port}.* process 0 .*another program"):
            start._call_the_roll(rank=1, size=2)


def test_a_port_that_another_program_uses_is_named_at_once() -> None:
    with (
        stranger(ANSWERS["nothing"]) as port,
        pytest.raises(OSError, match=f"Process 0 of 2 cannot listen at port {port}, which another program uses"),
    ):
        start._met(0, 2, "127.0.0.1", port, 60.0)


def test_a_host_that_nobody_knows_is_named() -> None:
    with pytest.raises(TimeoutError, match="at nowhere.invalid:29500 .* this machine knows no 'nowhere.invalid'"):
        start._met(1, 2, "nowhere.invalid", 29500, 0.5)


@pytest.mark.parametrize("name", ["MASTER_PORT", "RSL_RL_START_TIMEOUT"])
def test_what_is_no_number_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "soon")
    with pytest.raises(ValueError, match=f"{name} must be a number, got 'soon'"):
        start._call_the_roll(rank=1, size=2)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ((0, 2), (1, 3), "Process [01] was started with WORLD_SIZE=[23], process [01] on .* with [23]"),
        ((0, 2), (0, 2), "RANK=0 was given to two processes: the other one is on "),
    ],
)
def test_processes_that_do_not_fit_together_are_told(
    first: tuple[int, int], second: tuple[int, int], said: str
) -> None:
    port = free_port()
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(start._met, *which, "127.0.0.1", port, 1.0) for which in (first, second)]
        errors = [each.exception() for each in waiting]
    # Of two with the same rank, the one that comes first goes on waiting for the others.
    assert any(isinstance(error, ValueError) and re.match(said, str(error)) for error in errors), errors
