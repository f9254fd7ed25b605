# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Averaging gradients over processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import distributed


def reduce_gradients_in_buckets(params: Iterable[torch.nn.Parameter], world_size: int, bucket_mb: float) -> None:
    """Replace every gradient by its average over all processes of the default group.

    Args:
        params: Parameters; those without a gradient are passed over, so all processes must agree on which have one.
        world_size: Number of processes.
        bucket_mb: Gradients travel together, in buckets of about this size in MiB.
    """
    for bucket in _buckets([param.grad for param in params if param.grad is not None], bucket_mb * 2**20):
        flat = torch.cat([gradient.flatten() for gradient in bucket])
        distributed.all_reduce(flat, op=distributed.ReduceOp.SUM)
        flat /= world_size
        for gradient, average in zip(bucket, flat.split([gradient.numel() for gradient in bucket]), strict=True):
            gradient.copy_(average.view_as(gradient))


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
