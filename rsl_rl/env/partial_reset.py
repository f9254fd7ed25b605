# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Which vector environments can be reset in part, and how to notice one that cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch


def check_vector_env(envs: Any) -> None:
    """Raise TypeError or ValueError unless an adapter can keep the contract of :class:`rsl_rl.env.VecEnv` on it."""
    from gymnasium.vector import AsyncVectorEnv, VectorEnv

    if not isinstance(envs, VectorEnv):
        raise TypeError(
            f"Expected a gymnasium.vector.VectorEnv, got {type(envs).__name__}. Make one with gymnasium.make_vec(...), "
            "or envpool.make(..., env_type='gymnasium')."
        )
    inner: Any = envs.unwrapped
    if is_envpool(inner):
        config = inner.config
        if config["batch_size"] not in (0, config["num_envs"]):
            raise ValueError(
                f"This EnvPool returns {config['batch_size']} of its {config['num_envs']} environments at a time. "
                "Expected batch_size equal to num_envs (leave it out)."
            )
        if config.get("max_num_players", 1) != 1:
            raise ValueError(f"This EnvPool has {config['max_num_players']} players per environment; expected one.")
    if isinstance(inner, AsyncVectorEnv) and not inner.shared_memory and autoreset_mode(envs) == "NEXT_STEP":
        # Its workers note that they were reset on request only where they write to shared memory.
        raise ValueError(
            "AsyncVectorEnv(shared_memory=False) in autoreset mode NEXT_STEP resets again after it was reset on "
            "request, which wastes a transition. Use autoreset_mode=AutoresetMode.SAME_STEP, or shared memory."
        )


def is_envpool(envs: Any) -> bool:
    """Whether a vector environment comes from EnvPool."""
    return any(base.__module__.startswith("envpool.") for base in type(envs).__mro__)


def autoreset_mode(envs: Any) -> str | None:
    """Return the name of a vector environment's autoreset mode, None where it has none."""
    return getattr(envs.metadata.get("autoreset_mode"), "name", None)


def resets_in_part(envs: Any) -> bool:
    """Whether ``envs.reset(options={"reset_mask": ...})`` is known to leave the other environments alone."""
    from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv

    inner = envs.unwrapped
    return isinstance(inner, (SyncVectorEnv, AsyncVectorEnv)) or is_envpool(inner)


def check_only_these_were_reset(
    mask: torch.Tensor, before: Mapping[str, torch.Tensor], after: Mapping[str, torch.Tensor], envs: Any
) -> None:
    """Raise ValueError if observations show that environments outside of a reset mask [N], bool, were reset too.

    The groups are [N, ...]; a reset may also return those of the reset environments only.
    """
    count = int(mask.sum())
    for name, value in after.items():
        is_partial = len(value) == count
        if not is_partial and len(value) == len(mask):
            is_partial = np.array_equal(before[name][~mask].numpy(), value[~mask].numpy(), equal_nan=True)
        if not is_partial:
            raise ValueError(
                f"{type(envs.unwrapped).__name__} did not reset {count} of its {len(mask)} environments alone when "
                "asked to with reset(options={'reset_mask': ...}), and it does not reset within the step either. "
                "Expected a vector environment in autoreset mode SAME_STEP, or one that knows reset_mask, as "
                "Gymnasium's SyncVectorEnv and AsyncVectorEnv and EnvPool do."
            )
