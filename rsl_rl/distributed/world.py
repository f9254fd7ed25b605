# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The processes that train together; a single one is a world of one, in which every operation does nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed


@dataclass(frozen=True)
class World:
    """A group of processes, each with its own environments and the same parameters."""

    size: int = 1
    """Number of processes."""
    rank: int = 0
    """Which of them this is; number 0 logs and saves."""
    local_rank: int = 0
    """Which of the processes on this machine this is."""
    host_group: Any = None
    """Group for what lives in the host's memory; None for the default group."""

    # -- on the device, without waiting for it -------------------------------------------------------------------------

    def average_together_(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace tensors of any shapes by their means over all processes, in one call."""
        if self.size > 1:
            flat = torch.cat([tensor.flatten() for tensor in tensors])
            distributed.all_reduce(flat)
            flat /= self.size
            for tensor, mean in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
                tensor.copy_(mean.view_as(tensor))

    def pooled_moments(
        self, mean: torch.Tensor, var: torch.Tensor, count: int
    ) -> tuple[torch.Tensor, torch.Tensor, int | torch.Tensor]:
        """Return mean, biased variance (any shape) and number of all processes' samples, from those of each.

        Chan, Golub and LeVeque, "Algorithms for Computing the Sample Variance", 1983.
        """
        if self.size == 1:
            return mean, var, count
        own = torch.stack([mean.double(), var.double(), torch.full_like(mean, count, dtype=torch.float64)])
        every = [torch.empty_like(own) for _ in range(self.size)]
        distributed.all_gather(every, own)
        means, variances, counts = torch.stack(every, dim=1).unbind(0)
        total = counts.sum(dim=0)
        pooled = (counts * means).sum(dim=0) / total
        spread = (counts * (variances + (means - pooled).square())).sum(dim=0) / total
        return pooled.to(mean.dtype), spread.to(var.dtype), total.flatten()[0].long()

    def broadcast_(self, tensors: Iterable[torch.Tensor]) -> None:
        """Replace tensors by those of process 0."""
        if self.size > 1:
            for tensor in tensors:
                distributed.broadcast(tensor.detach(), src=0)

    # -- on the host ---------------------------------------------------------------------------------------------------

    def broadcast(self, value: Any) -> Any:
        """Return process 0's value, anything that can be pickled."""
        if self.size == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, src=0, group=self.host_group)
        return values[0]

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all processes in the order of their ranks; to process 0 only, to others their own."""
        if self.size == 1:
            return [value]
        values: list[Any] | None = [None] * self.size if self.rank == 0 else None
        distributed.gather_object(value, values, dst=0, group=self.host_group)
        return [value] if values is None else values

    def sums(self, *numbers: float) -> list[float]:
        """Return the sum of every number over all processes."""
        total = torch.tensor(numbers, dtype=torch.float64)
        if self.size > 1:
            distributed.all_reduce(total, group=self.host_group)
        return total.tolist()

    def unlike_the_first(self, fingerprint: int) -> list[int]:
        """Return the processes whose number differs from that of process 0."""
        every = self.broadcast(self.gather(fingerprint))
        return [rank for rank, other in enumerate(every) if other != every[0]]


SOLO = World()
_joined = SOLO


def current() -> World:
    """Return the world that this process has joined; also where a client program has set up ``torch.distributed``."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return SOLO
    if _joined.size > 1:
        return _joined
    return World(size=distributed.get_world_size(), rank=distributed.get_rank())


def on_host(value: Any) -> Any:
    """Return nested plain data with its tensors in the host's memory, where other processes can receive them."""
    if isinstance(value, torch.Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return {key: on_host(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(on_host(item) for item in value)
    return value


def remember(world: World) -> None:
    """Let :func:`current` return this world from now on."""
    global _joined
    _joined = world


def reduce_gradients_in_buckets(params: Iterable[torch.nn.Parameter], world_size: int, bucket_mb: float) -> None:
    """Replace every gradient by its average over all processes of the default group.

    Args:
        params: Parameters; those without a gradient are passed over, so all processes must agree on which have one.
        world_size: Number of processes.
        bucket_mb: Gradients travel together, in buckets of about this size in MiB.
    """
    gradients = [param.grad for param in params if param.grad is not None]
    for bucket in _buckets(gradients, bucket_mb * 2**20):
        World(size=world_size).average_together_(bucket)


def _buckets(gradients: list[torch.Tensor], max_bytes: float) -> Iterator[list[torch.Tensor]]:
    bucket: list[torch.Tensor] = []
    size = 0
    for gradient in gradients:
        fits = not bucket or (size + gradient.nbytes <= max_bytes and gradient.dtype == bucket[0].dtype)
        if not fits:
            yield bucket
            bucket, size = [], 0
        bucket.append(gradient)
        size += gradient.nbytes
    if bucket:
        yield bucket
