# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Algorithms: a rollout in, one better model out."""

from rsl_rl.algorithms.distillation import Distillation
from rsl_rl.algorithms.ppo import PPO

__all__ = ["PPO", "Distillation"]
