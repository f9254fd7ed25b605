# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""When one process fails, the others end soon and say why, instead of waiting for it.

Every process keeps a connection to process 0. A process that dies, however it dies, loses its connection at once.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import secrets
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from typing import Any, ClassVar

from rsl_rl.distributed.world import World, current

GRACE = 10.0
"""Seconds between the failure of one process and the end of all others."""
_COMMUNICATION = ("gloo", "NCCL", "Connection", "process group", "Broken pipe", "closed by peer", "all_reduce")
"""What errors of the communication between processes speak of."""


class Watch:
    """This process's connections to the others, and what is known about failures."""

    _running: ClassVar[Watch]

    def __init__(self, rank: int) -> None:
        """Start without connections."""
        self.rank = rank
        self.failure: str | None = None
        """What another process failed of; None as long as all are well."""
        self._failed = threading.Event()
        self._last_words: Callable[[], object] | None = None
        self._closing, self._rests = False, True
        self._connections: dict[int, Connection] = {}
        self._lock = threading.Lock()

    @classmethod
    def start(cls, world: World) -> None:
        """Connect this process with process 0, in the background."""
        watch = cls._running = cls(world.rank)
        if world.rank == 0:
            key = secrets.token_bytes(16)
            listener = Listener((_bind_host(), 0), backlog=world.size, authkey=key)
            world.broadcast((_own_host(), listener.address[1], key))  # type: ignore[index] (host and port)
            for _ in range(4):  # somebody else at this port who says nothing holds one up for good
                _in_background(watch._accept, listener, world.size - 1)
        else:
            _in_background(watch._follow, *world.broadcast(None))

    @classmethod
    def explain(cls, error: BaseException) -> str | None:
        """Tell the others that this process fails of ``error``; return which other process failed before, and of what.

        An error of the communication is often nothing but the echo of another process's failure, which may take a
        moment to arrive.
        """
        watch = cls._running
        is_of_communication = isinstance(error, RuntimeError) and any(text in str(error) for text in _COMMUNICATION)
        if is_of_communication and current().size > 1:
            watch._failed.wait(3.0)
        if watch.failure is None:
            watch._report(error)
        return watch.failure

    @classmethod
    def note(cls, *, rests: bool, last_words: Callable[[], object] | None = None) -> None:
        """Note whether this process has finished learning, and may end as it likes, or the others depend on it.

        ``last_words`` is called, in another thread, before this process is ended because another one failed.
        """
        cls._running._last_words = last_words
        cls._running._tell({"rests": rests})

    @classmethod
    def stop(cls) -> bool:
        """Say goodbye, or what ended this process; return whether all is well."""
        watch, error = cls._running, getattr(sys, "last_value", None)
        watch._closing = True
        if error is not None and watch.failure is None:
            watch._report(error)
        watch._tell({"left": True})
        return error is None and watch.failure is None

    def _report(self, error: BaseException) -> None:
        text = "".join(traceback.format_exception(error)).strip()
        self._tell({"failed": self.rank, "text": f"rank {self.rank} on {socket.gethostname()} failed:\n{text}"})

    def _tell(self, message: dict[str, Any], but: int | None = None) -> None:
        with self._lock:
            self._rests = message.get("rests", self._rests)
            for rank, connection in self._connections.items():
                if rank != but:
                    with contextlib.suppress(OSError):
                        connection.send_bytes(json.dumps(message).encode())

    def _accept(self, listener: Listener, number: int) -> None:
        while len(self._connections) < number:
            try:
                connection = listener.accept()
                rank = int(connection.recv_bytes())
            except (OSError, EOFError, ValueError, AuthenticationError):  # somebody else at this port
                continue
            self._add(rank, connection)
            _in_background(self._listen, connection, rank)

    def _follow(self, host: str, port: int, key: bytes) -> None:
        try:
            connection = Client((host, port), authkey=key)
        except (OSError, EOFError, AuthenticationError) as error:
            where = f"rank {self.rank} cannot reach rank 0 at {host}:{port}"
            print(f"{where} ({error}): a process that dies will be noticed late.", file=sys.stderr)
            return
        connection.send_bytes(str(self.rank).encode())
        self._add(0, connection)
        self._listen(connection, 0)

    def _add(self, rank: int, connection: Connection) -> None:
        with self._lock:
            self._connections[rank] = connection
            # It may have begun to learn while the connection was made.
            with contextlib.suppress(OSError):
                connection.send_bytes(json.dumps({"rests": self._rests}).encode())

    def _listen(self, connection: Connection, rank: int) -> None:
        rests = True  # until it says that it learns
        while True:
            try:
                message: dict[str, Any] = json.loads(connection.recv_bytes())
            except (OSError, EOFError):
                text = f"rank {rank} is gone without a word: killed, or its machine failed."
                message = {"left": True} if rests else {"failed": rank, "text": text}
            rests = message.get("rests", rests)
            if "failed" in message and not self._closing:
                if self.rank == 0:
                    self._tell(message, but=message["failed"])
                self._end(message["text"])
            if "failed" in message or "left" in message:
                return

    def _end(self, text: str) -> None:
        """Leave the main thread a moment to end by itself; it may be waiting for a process that is no more."""
        self.failure = text
        self._failed.set()
        main = threading.main_thread()
        main.join(GRACE)
        if main.is_alive() and not self._closing:
            if self._last_words is not None:
                # It may wait for a device on which nothing happens any more.
                _in_background(self._last_words).join(GRACE)
            with contextlib.suppress(OSError, ValueError):  # nobody may be there to read it
                print(f"rank {self.rank} ends, because {text}", file=sys.stderr, flush=True)
            os._exit(1)


Watch._running = Watch(rank=0)  # without connections: a single process tells nobody


def _in_background(function: Any, *arguments: Any) -> threading.Thread:
    thread = threading.Thread(target=function, args=arguments, name="rsl_rl watch", daemon=True)
    thread.start()
    return thread


def _own_host() -> str:
    return os.environ.get("MASTER_ADDR") or socket.gethostname()


def _bind_host() -> str:
    """Return where to listen: on this machine only if the launcher does so too."""
    try:
        is_local = ipaddress.ip_address(socket.gethostbyname(_own_host())).is_loopback
    except (OSError, ValueError):
        is_local = False
    return "127.0.0.1" if is_local else "0.0.0.0"
