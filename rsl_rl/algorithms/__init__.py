# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Learning algorithms."""

from rsl_rl.algorithms.ppo import PPO

__all__ = ["PPO"]
