# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""One process at a time writes into the folder of a run.

The operating system holds the lock, and releases it when the process ends, however it ends. What is written in the file
only tells who has it.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import warnings
from collections.abc import Iterator
from datetime import datetime
from typing import Any

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LOCK = "run.lock"
# Of this process: the descriptor of each folder's lock, None where there can be none, and how often it was asked for.
_held: dict[str, tuple[int | None, int]] = {}


class FolderInUseError(OSError):
    """Another process writes into the folder."""


@contextlib.contextmanager
def locked(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Keep other processes from writing into a folder, which is made if missing; this process may ask again.

    Machines that share a folder over a network see each other's locks where its file system passes them on, as NFS
    does. Where a file system has no locks, nothing is kept from anybody, which is said once.

    Raises:
        FolderInUseError: Another process writes into it; names the process.
    """
    name = os.path.realpath(folder)
    descriptor, count = _held.get(name, (None, 0))
    _held[name] = (_acquired(name) if count == 0 else descriptor, count + 1)
    try:
        yield
    finally:
        descriptor, count = _held.pop(name, (None, 0))  # nothing in a process that was forked meanwhile
        if count > 1:
            _held[name] = descriptor, count - 1
        elif descriptor is not None:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(name, LOCK))
            os.close(descriptor)


def _acquired(folder: str) -> int | None:
    path = os.path.join(folder, LOCK)
    while True:
        try:
            os.makedirs(folder, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:
            # A folder that cannot be written to: those who try say so.
            return None
        try:
            _lock(descriptor)
            is_there = os.path.samestat(os.fstat(descriptor), os.stat(path))
        except BlockingIOError:
            owner = _owner(descriptor)
            os.close(descriptor)
            raise FolderInUseError(
                f"'{folder}' is in use by {_told(owner)}: of two that write into it, each would spoil what the other "
                "writes. Stop that one first, wait for its end, or choose another folder."
            ) from None
        except FileNotFoundError:
            is_there = False
        except OSError as error:
            os.close(descriptor)
            warnings.warn(
                f"The file system of '{folder}' has no locks ({error}): nothing keeps a second process from writing "
                "into it.",
                stacklevel=4,
            )
            return None
        if is_there:
            break
        # Its owner has removed it at the same moment.
        os.close(descriptor)
    before, host = _owner(descriptor), socket.gethostname()
    if before and before.get("host") != host:
        warnings.warn(
            f"'{folder}' was written to by {_told(before)}, and was not released. Either that process was killed, or "
            "locks do not reach that machine: make sure that it has ended.",
            stacklevel=4,
        )
    owner = {"host": host, "process": os.getpid(), "since": datetime.now().astimezone().isoformat(timespec="seconds")}
    with contextlib.suppress(OSError):  # a full disk
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, json.dumps(owner).encode() + b"\n")
    return descriptor


def _lock(descriptor: int) -> None:
    """Take the lock of an open file, without waiting; BlockingIOError where another process has it."""
    if fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    import msvcrt

    # What is locked cannot be read by others: a byte behind what they read.
    os.lseek(descriptor, 1 << 20, os.SEEK_SET)
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined] (of Windows)
    except OSError as error:
        raise BlockingIOError(*error.args) from error


def _owner(descriptor: int) -> dict[str, Any]:
    """Return what the owner of a lock says about itself; nothing where it could not."""
    with contextlib.suppress(OSError, ValueError):
        os.lseek(descriptor, 0, os.SEEK_SET)
        owner = json.loads(os.read(descriptor, 1000))
        return owner if isinstance(owner, dict) else {}
    return {}


def _told(owner: dict[str, Any]) -> str:
    if not owner:
        return "another process"
    return f"process {owner.get('process')} on {owner.get('host')} since {owner.get('since')}"


def _leave_to_the_parent() -> None:
    """Do not keep the locks of the process that this one was forked from: they would outlive it."""
    for descriptor, _ in _held.values():
        if descriptor is not None:
            os.close(descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_the_parent)
