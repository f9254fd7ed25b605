# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Storage of rollouts."""

from rsl_rl.storage.rollout_storage import RolloutStorage

__all__ = ["RolloutStorage"]
