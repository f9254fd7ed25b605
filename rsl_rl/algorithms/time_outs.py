# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What would have come after an episode that the time limit cut off.

Legend: N environments, k finished environments.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from tensordict import TensorDict

from rsl_rl.models import MLPModel


def time_out_values(
    critic: MLPModel, extras: Mapping[str, Any], device: Any
) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """Return what would have come after the episodes that the time limit cut off in a step.

    A time limit is no property of the state, so what would have come after it is estimated (Pardo et al., "Time Limits
    in Reinforcement Learning", 2018): from the true last observation where the environment gives it, else from the
    observation before.

    Args:
        critic: Its hidden state stays as it is.
        extras: With ``time_outs`` [N], and if the environment gives them ``final_obs`` or ``terminal``; see
            :class:`rsl_rl.env.VecEnv`.
        device: Where the critic lives.

    Returns:
        The value [N] of the last observations where the time limit cut an episode off, 0 elsewhere; and [N], bool,
        where the value of the observation before the step is to be taken instead. None where there is nothing.
    """
    time_outs_N = extras["time_outs"].to(device).bool().view(-1)
    final_obs, terminal = extras.get("final_obs"), extras.get("terminal")
    if final_obs is not None and _can_see(critic, final_obs):
        final_values_N1 = value_without_memory(critic, final_obs, device)
        # Not a product: rows of environments that are not done may hold anything, also NaN.
        return torch.where(time_outs_N, final_values_N1.view(-1), 0.0), None
    if terminal is not None and _can_see(critic, terminal["observations"]):
        env_ids = torch.as_tensor(terminal["env_ids"], device=device, dtype=torch.long)
        final_values_k1 = value_without_memory(critic, terminal["observations"], device, env_ids)
        values_N = torch.zeros(len(time_outs_N), device=device, dtype=final_values_k1.dtype)
        values_N = torch.where(time_outs_N, values_N.index_copy(0, env_ids, final_values_k1.view(-1)), 0.0)
        return values_N, time_outs_N.index_fill(0, env_ids, False)
    return None, time_outs_N


def value_without_memory(
    critic: MLPModel, obs: Mapping[str, torch.Tensor], device: Any, env_ids: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the value [k, 1] of observations [k, ...] without moving the critic's hidden state.

    Args:
        critic: The model of the value.
        obs: Observation groups, each [k, ...].
        device: Where the critic lives.
        env_ids: [k], the environments they come from; None for all of them.
    """
    hidden_state = critic.get_hidden_state()
    if env_ids is not None and hidden_state is not None:
        parts = hidden_state if isinstance(hidden_state, tuple) else (hidden_state,)
        selected = tuple(part[:, env_ids] for part in parts)
        critic.reset(None, selected if len(selected) > 1 else selected[0])  # type: ignore[arg-type]
    # A client's critic may ask for more than the groups: the batch size, for example.
    groups = {group: value.to(device) for group, value in obs.items()}
    num_rows = len(next(iter(groups.values())))
    values = critic(TensorDict(groups, batch_size=[num_rows], device=device)).detach()
    critic.reset(None, hidden_state)
    return values


def _can_see(critic: MLPModel, obs: Mapping[str, torch.Tensor]) -> bool:
    needed = [*critic.obs_groups, *getattr(critic, "obs_groups_2d", ())]
    missing = [group for group in needed if group not in obs.keys()]  # noqa: SIM118 (a TensorDict)
    if missing:
        warnings.warn(
            f"The environment's final observations lack the critic's groups {missing}: time-outs are bootstrapped from "
            "the observation before instead.",
            stacklevel=3,
        )
    return not missing
