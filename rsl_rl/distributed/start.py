# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""How processes find each other, and what is checked before they begin."""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import socket
import sys
import threading
import time
from collections import Counter
from datetime import timedelta
from typing import Any

import torch
from torch import distributed

from rsl_rl.distributed.watch import Watch
from rsl_rl.distributed.world import SOLO, World, current, remember

START_TIMEOUT = 600.0
"""Seconds after which a process that did not start is named; ``RSL_RL_START_TIMEOUT`` sets another number."""
_LONGER = 5.0
"""Seconds by which torch may be late with a reason of its own."""
LAUNCHER = ("torch.distributed.run", "--standalone")
"""Python's module that starts processes on one machine, as ``torchrun`` does, with its option."""
COLLECTIVE_TIMEOUT = timedelta(minutes=30)
"""How long a process may keep the others waiting; one that has died is noticed at once, see :class:`Watch`."""


def available_backends() -> list[str]:
    """Return those of gloo (CPUs) and nccl (GPUs) that this build of torch has."""
    names = ("gloo", "nccl") if distributed.is_available() else ()
    return [name for name in names if distributed.is_backend_available(name)]


def world_size() -> int:
    """Return how many processes the launcher has started."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_rank() -> int:
    """Return which of the processes on this machine this is."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def join_world(device: str | torch.device) -> World:
    """Join the processes that ``torchrun`` or a client program has started; a single process is a world of one.

    Prints one line per process, from process 0. A second call returns the same world.

    Args:
        device: Where this process learns: GPUs talk through NCCL, CPUs through Gloo.

    Raises:
        ValueError: Two processes were given the same GPU or rank, or the ranks and numbers make no sense.
        TimeoutError: Processes did not start in time, or something else listens at their port; names them.
        OSError: Another program uses the port of process 0.
        RuntimeError: The processes cannot talk to each other.
    """
    known = current()
    if known.size > 1 and known.host_group is not None:
        return known
    is_client_started = known is not SOLO
    size, rank = (known.size, known.rank) if is_client_started else (world_size(), int(os.environ.get("RANK", "0")))
    if size == 1:
        return SOLO
    if not 0 <= rank < size or local_rank() >= size:
        raise ValueError(f"RANK={rank}, LOCAL_RANK={local_rank()} and WORLD_SIZE={size} do not fit together.")
    device = torch.device(device)
    if device.type == "cuda":
        device = torch.device("cuda", local_rank() if device.index is None else device.index)
        torch.cuda.set_device(device)
    if not is_client_started:
        backend = "nccl" if device.type == "cuda" else "gloo"
        store = _call_the_roll(rank, size)
        distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=COLLECTIVE_TIMEOUT)
    backend = distributed.get_backend()
    host_group = distributed.new_group(backend="gloo", timeout=COLLECTIVE_TIMEOUT)
    world = World(size, rank, local_rank(), host_group)
    _check(world, device, backend)
    remember(world)
    Watch.start(world)
    atexit.register(leave_world)
    return world


def leave_world() -> None:
    """Leave the other processes, at the end of this one; a second call does nothing."""
    # After a failure the others may be gone, and leaving in order would wait for them.
    if Watch.stop() and current().host_group is not None:
        remember(SOLO)
        distributed.destroy_process_group()


def _call_the_roll(rank: int, size: int) -> Any:
    """Return the launcher's store once every process has answered."""
    seconds = _number("RSL_RL_START_TIMEOUT", START_TIMEOUT)
    host, port = os.environ.get("MASTER_ADDR", "localhost"), int(_number("MASTER_PORT", 29500))
    outcome: list[Any] = []

    def meet() -> None:
        try:
            outcome.append(_met(rank, size, host, port, seconds))
        except Exception as error:
            outcome.append(error)

    # In a thread, since torch waits forever for a program that takes the connection and says nothing.
    thread = threading.Thread(target=meet, name="rsl_rl start", daemon=True)
    thread.start()
    thread.join(seconds + _LONGER)
    if not outcome:
        raise TimeoutError(
            f"What listens at {host}:{port}, where process 0 of {size} should be, has not answered process {rank} "
            f"within {seconds:g} s. It may be another program: choose a free port with MASTER_PORT."
        )
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


def _met(rank: int, size: int, host: str, port: int, seconds: float) -> Any:
    """Return the store at an address once every process has said there who it is."""
    until = time.monotonic() + seconds
    # torchrun keeps the store itself; without it process 0 does.
    keeps_store = rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    try:
        store: Any = distributed.TCPStore(  # type: ignore[reportPrivateImportUsage]
            *(host, port, size, keeps_store, timedelta(seconds=seconds)), wait_for_workers=False, multi_tenant=True
        )
    except RuntimeError as error:  # torch's errors of the network are of this kind
        reason = str(error).partition("\nException raised from")[0]
        if "EADDRINUSE" in reason:
            raise OSError(
                f"Process 0 of {size} cannot listen at port {port}, which another program uses. Choose a free one with "
                "MASTER_PORT."
            ) from error
        try:
            socket.getaddrinfo(host, port)
        except OSError:
            reason = f"this machine knows no '{host}'"
        raise TimeoutError(
            f"Process {rank} of {size} found nobody at {host}:{port} within {seconds:g} s, where process 0 should be "
            f"(MASTER_ADDR and MASTER_PORT say where; another program may use the port): {reason}"
        ) from error
    # A launcher that restarts its processes may keep the store, with the addresses of those that have died.
    attempt = f"attempt_{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
    store = distributed.PrefixStore(attempt, store)  # type: ignore[reportPrivateImportUsage]
    own = f"{socket.gethostname()} {secrets.token_hex(4)} {size}"
    if (known := store.compare_set(f"rsl_rl/{rank}", "", own).decode()) != own:
        raise ValueError(f"RANK={rank} was given to two processes: the other one is on {known.split()[0]}.")
    there, missing = {}, []
    for other in range(size):
        try:
            store.wait([f"rsl_rl/{other}"], timedelta(seconds=max(until - time.monotonic(), 0.01)))
        except RuntimeError:  # the store's errors are of this kind
            missing.append(other)
            continue
        there[other], _, its_size = store.get(f"rsl_rl/{other}").decode().split()
        if int(its_size) != size:
            raise ValueError(
                f"Process {rank} was started with WORLD_SIZE={size}, process {other} on {there[other]} with {its_size}."
            )
    if missing:
        raise TimeoutError(
            f"Of {size} processes, rank {', '.join(map(str, missing))} did not start within {seconds:g} s; there are "
            f"{', '.join(f'{other} on {place}' for other, place in there.items())}. RSL_RL_START_TIMEOUT=SECONDS waits "
            "longer."
        )
    return store


def _number(name: str, default: float) -> float:
    """Return an environment variable that holds a number."""
    try:
        return float(os.environ.get(name, default))
    except ValueError:
        raise ValueError(f"{name} must be a number, got '{os.environ[name]}'.") from None


def _check(world: World, device: torch.device, backend: str) -> None:
    """Let all processes add up ones, and show who is where."""
    ones = torch.ones(1, device=device)
    distributed.all_reduce(ones)
    if int(ones.item()) != world.size:
        raise RuntimeError(f"{world.size} processes added up to {ones.item():g}: their communication does not work.")
    # With CUDA_VISIBLE_DEVICES each process may call another GPU cuda:0.
    known_as = str(getattr(torch.cuda.get_device_properties(device), "uuid", device)) if device.type == "cuda" else ""
    places = world.broadcast(world.gather((socket.gethostname(), str(device), known_as)))
    taken = [place for place, number in Counter(places).items() if number > 1 and place[1].startswith("cuda")]
    if taken:
        ranks = [rank for rank, place in enumerate(places) if place == taken[0]]
        raise ValueError(
            f"The processes {ranks} all use {taken[0][1]} on {taken[0][0]}. Give each its own: "
            "device=f'cuda:{os.environ[\"LOCAL_RANK\"]}'."
        )
    if world.rank == 0:
        lines = [f"  rank {rank}: {host}, {place}" for rank, (host, place, _) in enumerate(places)]
        with contextlib.suppress(OSError, ValueError):  # nobody may be there to read it
            print(f"{world.size} processes, {backend}:", *lines, sep="\n", file=sys.stderr, flush=True)
