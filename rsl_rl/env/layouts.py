# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Finding out in which layout an environment is written, and which adapter it needs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from tensordict import TensorDictBase

from rsl_rl.compat.environments import LegacyVecEnv
from rsl_rl.env.contract import check_attributes
from rsl_rl.env.manager_based import ManagerBasedVecEnv
from rsl_rl.env.vec_env import VecEnv

# Not a base class of it: what exists only for older programs knows nothing of this package.
VecEnv.register(LegacyVecEnv)


def as_vec_env(env: Any) -> Any:
    """Return an environment in the present layout: the very object where it has it, else an adapter around it.

    What the environment returns decides, asked once. A raw environment of Isaac Lab or mjlab comes back in
    :class:`ManagerBasedVecEnv`, one of an earlier layout in :class:`LegacyVecEnv`; one line printed says so.

    Raises:
        ContractError: It lacks what an environment has, or returns observations in no known layout.
    """
    # Adapters of this package are left alone.
    if isinstance(env, (ManagerBasedVecEnv, LegacyVecEnv)):
        return env
    inner = getattr(env, "unwrapped", env)
    is_raw = hasattr(inner, "observation_manager") or hasattr(inner, "_get_observations")
    if is_raw and not hasattr(env, "get_observations"):
        return _in_manager_based(env)
    if isinstance(env, type) or not hasattr(env, "get_observations"):
        check_attributes(env)  # says what else is missing
    observed = env.get_observations()
    if isinstance(observed, TensorDictBase):
        return env
    if is_raw and isinstance(observed, Mapping):
        return _in_manager_based(env)
    adapted = LegacyVecEnv(env)
    _say(f"{type(env).__name__}: {adapted.layout}")
    return adapted


def _in_manager_based(env: Any) -> ManagerBasedVecEnv:
    adapted = ManagerBasedVecEnv(env)
    _say(f"{type(env).__name__}: an environment of Isaac Lab's interface, adapted by ManagerBasedVecEnv.")
    return adapted


def _say(line: str) -> None:
    # Standard output may be a command's result, read by a program.
    print(line, file=sys.stderr, flush=True)
