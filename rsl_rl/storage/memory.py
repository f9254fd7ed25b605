# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What a rollout will take, before it is taken.

Legend: T steps, N environments.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import torch

Specs = Mapping[str, tuple[Sequence[int], torch.dtype]]
"""By name the shape of a buffer, [T, N, ...], and its type."""


def check_memory(specs: Specs, device: str, copied: Collection[str] = (), available: int | None = None) -> str:
    """Return what a rollout takes, such as ``rollout: 4.2 GiB (camera 3.9 GiB ...), 30 MiB more while learning``.

    Args:
        specs: The buffers.
        device: Where they go.
        copied: Those of which the update keeps shuffled copies.
        available: Bytes that are free; None to ask.

    Raises:
        MemoryError: The device has not enough memory; says what takes it and what helps.
    """
    sizes = {name: math.prod(shape) * dtype.itemsize for name, (shape, dtype) in specs.items()}
    needed, copies = sum(sizes.values()), sum(sizes[name] for name in copied)
    available = free_memory(device) if available is None else available
    if available is None or needed + copies <= available:
        largest = sorted(((size, name) for name, size in sizes.items() if size), reverse=True)
        parts = [f"{name} {readable(size)}" for size, name in largest[:3]]
        more = f", {readable(copies)} more while learning" if copies else ""
        return f"rollout: {readable(needed)} ({', '.join(parts)}{' ...' if len(largest) > 3 else ''}){more}"
    lines = []
    for name, size in sorted(sizes.items(), key=lambda item: -item[1]):
        shape, dtype = specs[name]
        lines.append(f"  {name:24} {list(shape)!s:28} {str(dtype).removeprefix('torch.'):9} {readable(size):>10}")
    table = "\n".join(lines)
    images = [dtype for shape, dtype in specs.values() if len(shape) == 5 and dtype.is_floating_point]
    helps = ["fewer environments (num_envs)", "fewer steps (num_steps_per_env)"]
    if any(dtype.itemsize > 2 for dtype in images):
        helps.append("storage_dtype: float16, which halves images")
    if images:
        helps.append("images of type uint8 from the environment, which take a quarter")
    while_learning = f" and {readable(copies)} more while learning," if copies else ""
    raise MemoryError(
        f"The rollout needs {readable(needed)},{while_learning} but {device} has {readable(available)} free:\n"
        f"{table}\nWhat helps: {'; '.join(helps)}."
    )


def free_memory(device: str) -> int | None:
    """Return the bytes that can still be taken on a device; None where nobody says."""
    if device.startswith("cuda"):
        # What torch keeps for later allocations is free as well.
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept
    if device != "cpu":
        return None
    free = []
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            free.append(int(line.split()[1]) * 1024)
    # The limit of a container.
    limit, used = _lines("/sys/fs/cgroup/memory.max"), _lines("/sys/fs/cgroup/memory.current")
    if limit and used and limit[0].strip().isdigit():
        # Pages of files count as used, and are given up when memory is needed.
        stat = dict(line.split() for line in _lines("/sys/fs/cgroup/memory.stat"))
        of_files = sum(int(stat.get(name, 0)) for name in ("inactive_file", "active_file"))
        free.append(int(limit[0]) - int(used[0]) + of_files)
    return min(free) if free else None


def readable(size: int) -> str:
    """Return for example ``4.2 GiB``."""
    value, units = float(size), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{value:.3g} {units[0]}"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines() if os.path.exists(path) else []
    except OSError:
        return []
