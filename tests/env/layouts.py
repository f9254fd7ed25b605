# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The point of :class:`tests.envs.PointEnv`, with the same numbers, in the layouts of other times and places."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch

from tests.envs import PointEnv


class Point1x:
    """rsl_rl 1.x, in the manner of legged_gym: buffers written in place, zero before the first reset, old time-outs."""

    def __init__(self, num_envs: int = 4, seed: int = 0, has_privileged: bool = True, **options: Any) -> None:
        self._point = PointEnv(num_envs, seed=seed, **options)
        self.num_envs, self.num_actions = num_envs, 1
        self.num_obs, self.num_privileged_obs = 2, 3 if has_privileged else None
        self.max_episode_length = float(self._point.max_episode_length)
        self.device, self.dt = "cpu", 0.02
        self.cfg = SimpleNamespace(env=SimpleNamespace(num_envs=num_envs))
        self.obs_buf = torch.zeros(num_envs, 2)
        self.privileged_obs_buf = torch.zeros(num_envs, 3) if has_privileged else None
        self.extras: dict[str, Any] = {}
        self.command = 0.0

    @property
    def episode_length_buf(self) -> torch.Tensor:
        return self._point.episode_length_buf

    @episode_length_buf.setter
    def episode_length_buf(self, lengths: torch.Tensor) -> None:
        self._point.episode_length_buf = lengths

    def _observe(self) -> None:
        groups = self._point.get_observations()
        self.obs_buf[:] = groups["policy"]
        if self.privileged_obs_buf is not None:
            self.privileged_obs_buf[:] = groups["privileged"]

    def reset(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        self._observe()
        return self.obs_buf, self.privileged_obs_buf

    def get_observations(self) -> torch.Tensor:
        return self.obs_buf

    def get_privileged_observations(self) -> torch.Tensor | None:
        return self.privileged_obs_buf

    def step(self, actions: torch.Tensor) -> tuple[Any, ...]:
        _, rewards, dones, extras = self._point.step(actions)
        self._observe()
        if dones.any():
            self.extras["time_outs"] = extras["time_outs"]
            self.extras["episode"] = {"distance": extras["log"]["distance"]}
        return self.obs_buf, self.privileged_obs_buf, rewards, dones, self.extras


class Point2x(PointEnv):
    """rsl_rl 2.x, in the manner of its Isaac Lab wrapper: all groups among the extras."""

    def _observed(self) -> tuple[torch.Tensor, dict]:
        groups = dict(super().get_observations())
        return groups["policy"], {"observations": groups}

    def get_observations(self) -> Any:
        return self._observed()

    def step(self, actions: torch.Tensor) -> Any:
        point = super()
        # The parent's step asks for observations itself.
        self.get_observations = point.get_observations  # type: ignore[method-assign]
        _, rewards, dones, extras = point.step(actions)
        del self.get_observations
        obs, own = self._observed()
        return obs, rewards, dones, extras | own


class PointOfDicts(Point2x):
    """The present layout, with a plain dictionary in place of the TensorDict."""

    def get_observations(self) -> Any:
        return self._observed()[1]["observations"]

    def step(self, actions: torch.Tensor) -> Any:
        _, rewards, dones, extras = super().step(actions)
        return extras.pop("observations"), rewards, dones, extras


class LabEnv:
    """Isaac Lab's interface, with mjlab's ``auto_reset`` and ``is_finite_horizon``; one dictionary of extras."""

    def __init__(
        self,
        num_envs: int = 4,
        max_episode_length: int = 10,
        seed: int = 0,
        auto_reset: bool = True,
        is_finite_horizon: bool = False,
        gives_terminal: bool = False,
    ) -> None:
        self._gives_terminal = gives_terminal
        self.cfg = SimpleNamespace(auto_reset=auto_reset, is_finite_horizon=is_finite_horizon)
        self.num_envs, self.device, self.step_dt = num_envs, "cpu", 0.02
        self.max_episode_length = max_episode_length
        self.episode_length_buf = torch.zeros(num_envs, dtype=torch.long)
        self.action_manager = SimpleNamespace(total_action_dim=1)
        self.observation_manager = SimpleNamespace(compute=self._observe)
        self.extras: dict[str, Any] = {}
        self.last_actions = torch.zeros(num_envs, 1)
        self._generator = torch.Generator().manual_seed(seed)
        self._state = torch.randn(num_envs, 2, generator=self._generator)
        self._fresh = self._state
        self._pending = torch.zeros(num_envs, dtype=torch.bool)

    @property
    def unwrapped(self) -> LabEnv:
        return self

    def _observe(self) -> dict[str, torch.Tensor]:
        time_left = 1.0 - self.episode_length_buf.float().unsqueeze(1) / self.max_episode_length
        return {"policy": self._state.clone(), "privileged": torch.cat([self._state, time_left], dim=1)}

    def reset(
        self, seed: int | None = None, env_ids: torch.Tensor | None = None, options: dict | None = None
    ) -> tuple[dict, dict]:
        ids = torch.arange(self.num_envs) if env_ids is None else env_ids
        self._state[ids] = self._fresh[ids]
        self.episode_length_buf[ids] = 0
        self._pending[ids] = False
        self.extras["log"] = {"resets": float(len(ids))}
        return self._observe(), self.extras

    def step(self, actions: torch.Tensor) -> tuple[Any, ...]:
        assert not self._pending.any(), "reset what has finished"
        self.last_actions = actions
        self._state[:, 1] += 0.1 * actions[:, 0].clamp(-1, 1)
        self._state[:, 0] += 0.1 * self._state[:, 1]
        self.episode_length_buf += 1
        rewards = 1.0 - self._state[:, 0].abs()
        terminated = self._state[:, 0].abs() > 3.0
        truncated = (self.episode_length_buf >= self.max_episode_length) & ~terminated
        self.extras["log"] = {"distance": self._state[:, 0].abs().mean()}
        self._fresh = torch.randn(self.num_envs, 2, generator=self._generator)
        done_ids = (terminated | truncated).nonzero().flatten()
        self._pending[done_ids] = True
        if self.cfg.auto_reset and len(done_ids):
            if self._gives_terminal:
                groups = {name: value[done_ids] for name, value in self._observe().items()}
                self.extras["terminal"] = {"env_ids": done_ids, "observations": groups}
            self.reset(env_ids=done_ids)
        return self._observe(), rewards, terminated, truncated, self.extras


def old_point(num_envs: int, seed: int, device: str) -> Point1x:
    return Point1x(num_envs, seed=seed)
