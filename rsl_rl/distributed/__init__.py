# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The only place that talks to other processes."""

from rsl_rl.distributed.start import join_world, local_rank, world_size
from rsl_rl.distributed.watch import Watch
from rsl_rl.distributed.world import SOLO, World, current, on_host, reduce_gradients_in_buckets

__all__ = [
    "SOLO",
    "Watch",
    "World",
    "current",
    "join_world",
    "local_rank",
    "on_host",
    "reduce_gradients_in_buckets",
    "world_size",
]
