# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The only place that talks to other processes."""

from rsl_rl.distributed.gradients import reduce_gradients_in_buckets

__all__ = ["reduce_gradients_in_buckets"]
