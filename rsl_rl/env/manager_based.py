# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Environments of Isaac Lab's interface, which mjlab shares."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from tensordict import TensorDict

from rsl_rl.env.spaces import check_continuous
from rsl_rl.env.vec_env import VecEnv
from rsl_rl.utils import listed
from rsl_rl.utils.contract_error import breach, check_extras, described, observation_groups

_FIVE = (
    "Expected five values, as Isaac Lab's environments return them: observation groups, rewards [N], terminated [N], "
    "truncated [N] and a dict of extras, all of them tensors but the last."
)


class ManagerBasedVecEnv(VecEnv):
    """Adapts environments whose ``step`` returns ``(groups, rewards, terminated, truncated, extras)`` as tensors.

    These are Isaac Lab's manager-based and direct environments, and mjlab's. Every entry of the environment's
    ``extras`` is passed on, ``final_obs`` and ``terminal`` included, and ``time_outs`` is added; the environment's own
    dictionary is not edited. Terms of a group that the environment does not concatenate become groups
    ``"group/term"``. An environment that leaves the reset to its caller (mjlab's ``auto_reset=False``) is reset here,
    and ``extras["final_obs"]`` then holds the true last observations. Any other attribute is that of the wrapped
    environment.
    """

    def __init__(self, env: Any, clip_actions: float | None = None) -> None:
        """Wrap an environment and reset it.

        Args:
            env: The environment, with or without wrappers of its own.
            clip_actions: Actions are clipped to [-clip_actions, clip_actions]; None leaves them as they are.

        Raises:
            TypeError: It is not an environment of this interface, names what is missing; or its actions are discrete.
            ValueError: ``clip_actions`` is not positive.
        """
        inner = getattr(env, "unwrapped", env)
        needed = ("num_envs", "device", "max_episode_length", "episode_length_buf")
        missing = [name for name in needed if not hasattr(inner, name)]
        if not any(hasattr(inner, name) for name in ("action_manager", "single_action_space")):
            missing.append("action_manager")
        if missing:
            raise TypeError(
                f"{type(inner).__name__} is not an environment of Isaac Lab's interface: it lacks {listed(missing)}."
            )
        if clip_actions is not None and clip_actions <= 0:
            raise ValueError(f"clip_actions must be positive or None, got {clip_actions}.")
        self.env = env
        self.num_envs = int(inner.num_envs)
        manager = getattr(inner, "action_manager", None)
        if manager is None:
            check_continuous(inner.single_action_space)
        self.num_actions = int(
            manager.total_action_dim if manager is not None else math.prod(inner.single_action_space.shape)
        )
        self.device = torch.device(inner.device)
        self.clip_actions = clip_actions
        self._has_horizon = bool(getattr(self.cfg, "is_finite_horizon", False))
        self._resets_itself = bool(getattr(self.cfg, "auto_reset", True))
        self.reset()

    @property
    def unwrapped(self) -> Any:
        """The environment without any wrapper."""
        return getattr(self.env, "unwrapped", self.env)

    @property
    def cfg(self) -> Any:  # type: ignore[override]  # read only here
        """The environment's configuration."""
        return getattr(self.unwrapped, "cfg", {})

    @property
    def episode_length_buf(self) -> torch.Tensor:
        """Steps taken in the current episode of each environment, [N], int64; the environment's own buffer."""
        return self.unwrapped.episode_length_buf

    @episode_length_buf.setter
    def episode_length_buf(self, lengths: torch.Tensor) -> None:  # type: ignore[override]  # a plain attribute there
        self.unwrapped.episode_length_buf = lengths

    def reset(self, **options: Any) -> tuple[TensorDict, dict]:
        """Start new episodes everywhere; return their first observations and the environment's extras."""
        groups, extras = self.env.reset(**options)
        return self._tensordict(groups), dict(extras)

    def get_observations(self) -> TensorDict:
        """Return the current observation groups."""
        inner = self.unwrapped
        if hasattr(inner, "observation_manager"):
            return self._tensordict(inner.observation_manager.compute())
        # Isaac Lab's direct environments.
        return self._tensordict(inner._get_observations())

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        """Advance by one step; see :meth:`VecEnv.step`."""
        if self.clip_actions is not None:
            actions = actions.clamp(-self.clip_actions, self.clip_actions)
        returned = self.env.step(actions)
        if not isinstance(returned, tuple) or len(returned) != 5:
            count = f"{len(returned)} values" if isinstance(returned, tuple) else described(returned)
            raise breach(self.env, "step", f"returned {count}", _FIVE)
        groups, rewards, terminated, truncated, extras = returned
        for name, value in {"terminated": terminated, "truncated": truncated}.items():
            if not isinstance(value, torch.Tensor) or value.numel() != self.num_envs:
                raise breach(self.env, "step", f"returned {name} as {described(value)}", _FIVE)
        check_extras(self.env, extras)
        obs, extras = self._tensordict(groups), dict(extras)
        truncated = truncated.bool()
        dones = terminated.bool() | truncated
        if not self._has_horizon:
            # The end of a finite horizon is an end: nothing would have come after it.
            extras["time_outs"] = truncated
        if not self._resets_itself:
            obs, extras = self._reset_finished(dones, obs, extras)
        return obs, rewards, dones.to(torch.long), extras

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the wrapped environment."""
        if name == "env":  # not there yet: while unpickling, for example
            raise AttributeError(name)
        # Gymnasium's wrappers do not pass on what they do not know.
        return getattr(self.env, name) if hasattr(self.env, name) else getattr(self.unwrapped, name)

    def _reset_finished(self, dones: torch.Tensor, obs: TensorDict, extras: dict) -> tuple[TensorDict, dict]:
        env_ids = dones.nonzero().flatten()
        if len(env_ids) == 0:
            return obs, extras
        # The reset may write into the same buffers.
        extras["final_obs"] = obs.clone()
        if "time_outs" in extras:
            extras["time_outs"] = extras["time_outs"].clone()
        groups, reset_extras = self.unwrapped.reset(env_ids=env_ids)  # wrappers may not know env_ids
        extras["log"] = {**(extras.get("log") or {}), **(reset_extras.get("log") or {})}
        return self._tensordict(groups), extras

    def _tensordict(self, groups: Mapping[str, Any]) -> TensorDict:
        flat: dict[str, torch.Tensor] = {}
        for name, value in groups.items():
            if isinstance(value, Mapping):
                flat |= {f"{name}/{term}": tensor for term, tensor in value.items()}
            else:
                flat[name] = value
        return observation_groups(flat, self.num_envs, self.device)
