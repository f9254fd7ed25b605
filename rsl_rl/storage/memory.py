# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The memory that a rollout will need, checked before it is allocated.

Legend: T steps, N environments.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import torch

Specs = Mapping[str, tuple[Sequence[int], torch.dtype]]
"""By name the shape of a buffer, [T, N, ...], and its type."""
_MUCH, _SHARE = 2**30, 0.25


def check_memory(specs: Specs, device: str, copied: Collection[str] = ()) -> str:
    """Return what a rollout takes, such as ``rollout: 4.2 GiB (camera 3.9 GiB ...), 30 MiB more while learning``.

    The text is empty for less than 1 GiB and a quarter of what is free: it then matters to nobody. The update keeps
    shuffled copies of the buffers in ``copied``. MemoryError, with what helps, if the device has too little.
    """
    sizes = {name: math.prod(shape) * dtype.itemsize for name, (shape, dtype) in specs.items()}
    largest_first = sorted(sizes, key=lambda name: -sizes[name])
    needed, copies, available = sum(sizes.values()), sum(sizes[name] for name in copied), free_memory(device)
    more = f", {readable(copies)} more while learning" if copies else ""
    if available is None or needed + copies <= available:
        if needed + copies < min(_MUCH, _SHARE * (available or math.inf)):
            return ""
        largest = ", ".join(f"{name} {readable(sizes[name])}" for name in largest_first[:3])
        return f"rollout: {readable(needed)} ({largest} ...){more}"
    lines = []
    for name in largest_first:
        shape, dtype = specs[name]
        kind, size = str(dtype).removeprefix("torch."), readable(sizes[name])
        lines.append(f"  {name:24} {list(shape)!s:28} {kind:9} {size:>10}")
    table = "\n".join(lines)
    images = [dtype for shape, dtype in specs.values() if len(shape) == 5 and dtype.is_floating_point]
    helps = ["fewer environments (num_envs)", "fewer steps (num_steps_per_env)"]
    if any(dtype.itemsize > 2 for dtype in images):
        helps.append("storage_dtype: float16, which halves images")
    if images:
        helps.append("images of type uint8 from the environment, which take a quarter")
    raise MemoryError(
        f"The rollout needs {readable(needed)}{more}, but {device} has {readable(available)} free:\n{table}\n"
        f"What helps: {'; '.join(helps)}."
    )


def free_memory(device: str) -> int | None:
    """Return the bytes that can still be taken on a device; None where nobody says."""
    if device.startswith("cuda"):
        # What torch keeps for later allocations is free as well.
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept
    if device != "cpu":
        return None
    free = [int(line.split()[1]) * 1024 for line in _lines("/proc/meminfo") if line.startswith("MemAvailable:")]
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
        return Path(path).read_text().splitlines()
    except OSError:
        return []
