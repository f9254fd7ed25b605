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
from typing import NamedTuple

import torch

Specs = Mapping[str, tuple[Sequence[int], torch.dtype]]
"""By name the shape of a buffer, [T, N, ...], and its type."""


class MemoryPlan(NamedTuple):
    """Bytes of every buffer of a rollout."""

    bytes_of: dict[str, int]
    while_learning: int
    """Bytes of the shuffled copies that the update keeps."""

    @classmethod
    def of(cls, specs: Specs, copied: Collection[str] = ()) -> MemoryPlan:
        """Compute the sizes of buffers, of which some are copied by the update."""
        sizes = {name: math.prod(shape) * dtype.itemsize for name, (shape, dtype) in specs.items()}
        return cls(sizes, sum(sizes[name] for name in copied))

    @property
    def total(self) -> int:
        """Bytes of all buffers, and of the copies during the update."""
        return sum(self.bytes_of.values()) + self.while_learning

    def __str__(self) -> str:
        """Return for example ``rollout: 4.2 GiB (camera 3.9 GiB, policy 18 MiB ...), 30 MiB more while learning``."""
        largest = sorted(self.bytes_of.items(), key=lambda item: -item[1])
        parts = [f"{name} {readable(size)}" for name, size in largest[:3] if size]
        more = " ..." if len(largest) > 3 else ""
        copies = f", {readable(self.while_learning)} more while learning" if self.while_learning else ""
        return f"rollout: {readable(sum(self.bytes_of.values()))} ({', '.join(parts)}{more}){copies}"

    def check(self, specs: Specs, device: str, available: int | None = None) -> None:
        """Raise MemoryError if a device has not enough memory; says what takes it and what helps.

        Args:
            specs: The buffers.
            device: Where they go.
            available: Bytes that are free; None to ask.
        """
        available = free_memory(device) if available is None else available
        if available is None or self.total <= available:
            return
        lines = []
        for name, size in sorted(self.bytes_of.items(), key=lambda item: -item[1]):
            shape, dtype = specs[name]
            lines.append(f"  {name:24} {list(shape)!s:28} {str(dtype).removeprefix('torch.'):9} {readable(size):>10}")
        table = "\n".join(lines)
        images = [name for name, (shape, dtype) in specs.items() if len(shape) == 5 and dtype.is_floating_point]
        helps = ["fewer environments (num_envs)", "fewer steps (num_steps_per_env)"]
        if any(specs[name][1].itemsize > 2 for name in images):
            helps.append("storage_dtype: float16, which halves images")
        if images:
            helps.append("images of type uint8 from the environment, which take a quarter")
        while_learning = f" and {readable(self.while_learning)} more while learning," if self.while_learning else ""
        raise MemoryError(
            f"The rollout needs {readable(sum(self.bytes_of.values()))},{while_learning} but {device} has "
            f"{readable(available)} free:\n{table}\nWhat helps: {'; '.join(helps)}."
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
