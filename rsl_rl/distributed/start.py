# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""How processes find each other, and what is checked before they begin."""

from __future__ import annotations

import atexit
import os
import socket
import sys
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
        ValueError: Two processes were given the same GPU, or the ranks make no sense.
        TimeoutError: Processes did not start in time; names them.
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
    seconds = float(os.environ.get("RSL_RL_START_TIMEOUT", START_TIMEOUT))
    until = time.monotonic() + seconds
    host, port = os.environ.get("MASTER_ADDR", "localhost"), int(os.environ.get("MASTER_PORT", "29500"))
    # torchrun keeps the store itself; without it process 0 does.
    keeps_store = rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    try:
        store: Any = distributed.TCPStore(  # type: ignore[reportPrivateImportUsage]
            *(host, port, size, keeps_store, timedelta(seconds=seconds)), wait_for_workers=False, multi_tenant=True
        )
    except RuntimeError as error:  # torch's errors of the network are of this kind
        raise TimeoutError(
            f"Process {rank} of {size} found nobody at {host}:{port} within {seconds:g} s, where process 0 should be: "
            f"{error}"
        ) from error
    # A launcher that restarts its processes may keep the store, with the addresses of those that have died.
    attempt = f"attempt_{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
    store = distributed.PrefixStore(attempt, store)  # type: ignore[reportPrivateImportUsage]
    store.set(f"rsl_rl/{rank}", socket.gethostname())
    missing = []
    for other in range(size):
        try:
            store.wait([f"rsl_rl/{other}"], timedelta(seconds=max(until - time.monotonic(), 0.01)))
        except RuntimeError:  # the store's errors are of this kind
            missing.append(other)
    if missing:
        there = [f"{other} on {store.get(f'rsl_rl/{other}').decode()}" for other in range(size) if other not in missing]
        raise TimeoutError(
            f"Of {size} processes, rank {', '.join(map(str, missing))} did not start within {seconds:g} s; there are "
            f"{', '.join(there)}. RSL_RL_START_TIMEOUT=SECONDS waits longer."
        )
    return store


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
        print(f"{world.size} processes, {backend}:", *lines, sep="\n", file=sys.stderr, flush=True)
