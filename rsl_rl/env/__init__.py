# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Environments: the contract every environment fulfils, and adapters to it."""

from rsl_rl.compat.environments import LegacyVecEnv
from rsl_rl.env.gymnasium import GymnasiumVecEnv
from rsl_rl.env.layouts import as_vec_env
from rsl_rl.env.manager_based import ManagerBasedVecEnv
from rsl_rl.env.registry import make_env
from rsl_rl.env.vec_env import VecEnv

__all__ = ["GymnasiumVecEnv", "LegacyVecEnv", "ManagerBasedVecEnv", "VecEnv", "as_vec_env", "make_env"]
