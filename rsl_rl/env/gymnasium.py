# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Gymnasium vector environments, EnvPool's included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from tensordict import TensorDict

from rsl_rl.env.contract import check_actions
from rsl_rl.env.gymnasium_state import check_environments_are_here, load_saved_state, saved_state
from rsl_rl.env.infos import infos_of_transitions, mean_of_infos
from rsl_rl.env.partial_reset import autoreset_mode, check_only_these_were_reset, check_vector_env, resets_in_part
from rsl_rl.env.spaces import check_continuous, observation_readers
from rsl_rl.env.vec_env import VecEnv
from rsl_rl.utils.contract_error import observation_groups

_NEVER = np.iinfo(np.int64).max // 2
_UNKNOWN_EPISODE_LENGTH = 1000


class GymnasiumVecEnv(VecEnv):
    """Adapts any ``gymnasium.vector.VectorEnv`` to the contract of :class:`VecEnv`.

    Whatever its autoreset mode, a finished environment is reset within the step that ended its episode: no transition
    is spent on resetting, and ``extras["final_obs"]`` holds the true last observation in every step that ended an
    episode (unless the vector environment is of SAME_STEP mode and does not give it). Observations are new tensors in
    every step. ``extras["log"]`` holds the means of the infos that are one number per environment.
    """

    def __init__(
        self,
        envs: Any,
        device: str = "cpu",
        seed: int | None = None,
        max_episode_length: int | None = None,
        cfg: dict | None = None,
        groups: Mapping[str, Any] | None = None,
    ) -> None:
        """Wrap a vector environment. It is reset when its first observation is asked for.

        Args:
            envs: The vector environment.
            device: Where observations, rewards and dones go.
            seed: Seed of the first reset; None for an environment that was seeded when it was made.
            max_episode_length: Steps after which an episode times out; None to ask the environment (1000 where it
                does not say). The environment's own limit ends episodes, this number does not.
            cfg: Logged with the run.
            groups: Divides a flat observation into groups, each a list of its entries or a range, for example
                ``{"position": [0, 1], "velocity": "2:4"}``, or adds parts of groups to a Dict observation:
                ``{"proprioception": {"state": "3:48"}}``; None for the groups as they are.

        Raises:
            TypeError: ``envs`` is not a vector environment, the action space is not a Box, or an observation space is
                neither a Box nor a Dict of Box.
            ValueError: ``envs`` is configured so that single environments cannot be reset on their own, or ``groups``
                does not fit the observation.
        """
        check_vector_env(envs)
        action_space = envs.single_action_space
        check_continuous(action_space)
        self.envs = envs
        self.num_envs = int(envs.num_envs)
        self.num_actions = int(np.prod(action_space.shape))
        self.device = device
        self.cfg = cfg or {}
        time_limit = max_episode_length or _time_limit(envs)
        self.max_episode_length = time_limit or _UNKNOWN_EPISODE_LENGTH
        self._resets_in_part = resets_in_part(envs)
        self._can_cut = time_limit is not None and self._resets_in_part
        self._steps_to_cut: np.ndarray | None = None
        self._episode_length_buf = torch.zeros(self.num_envs, dtype=torch.long, device=device)
        self.step_dt = _step_seconds(envs)
        self.last_info: Mapping[str, Any] = {}
        """Infos of the last step's transitions (those of the reset after :meth:`reset`), in the vector environment's
        form: arrays with one row per environment, and their masks under ``_key`` where it gives them."""

        self._readers = observation_readers(envs.single_observation_space, groups)
        self._action_space = action_space
        self._resets_itself = autoreset_mode(envs) == "SAME_STEP"
        self._seed = seed
        self._obs: TensorDict | None = None

    @property
    def unwrapped(self) -> GymnasiumVecEnv:
        """This environment: it carries ``step_dt``, the seconds between two actions (1.0 where unknown)."""
        return self

    @property
    def episode_length_buf(self) -> torch.Tensor:
        """Steps taken in the current episode of each environment, [N], int64.

        Assigning other numbers than those counted ends the current episodes by a time-out as if so many steps had been
        taken (where the time limit is known). Writing into the tensor changes the numbers only.
        """
        return self._episode_length_buf

    @episode_length_buf.setter
    def episode_length_buf(self, lengths: torch.Tensor) -> None:  # type: ignore[override]  # a plain attribute there
        self.get_observations()  # a first reset after this would undo it
        self._episode_length_buf = lengths.to(device=self.device, dtype=torch.long).clone()
        if self._can_cut:
            self._steps_to_cut = self.max_episode_length - self._episode_length_buf.cpu().numpy()

    def reset(self) -> TensorDict:
        """Start new episodes everywhere and return their first observations."""
        observations, self.last_info = self.envs.reset(seed=self._seed) if self._seed is not None else self.envs.reset()
        self._seed = None
        self._steps_to_cut = None
        self._episode_length_buf.zero_()
        self._obs = self._on_device(self._read(observations))
        return self._obs

    def get_observations(self) -> TensorDict:
        """Return the current observation groups."""
        return self.reset() if self._obs is None else self._obs

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        """Advance by one step; see :meth:`VecEnv.step`. Actions are clipped to the bounds of the action space."""
        if self._obs is None:
            self.reset()
        observations, rewards, terminated, truncated, infos = self.envs.step(self._to_env(actions))
        dones = np.logical_or(terminated, truncated)
        to_reset = np.zeros_like(dones) if self._resets_itself else dones
        if self._steps_to_cut is not None:
            cut = self._count_down(dones)
            truncated, dones, to_reset = truncated | cut, dones | cut, to_reset | cut
        groups = self._read(observations)
        # Of booleans, "greater" is "and not".
        extras: dict[str, Any] = {"time_outs": self._tensor(np.greater(truncated, terminated))}
        self._episode_length_buf += 1
        dones_tensor = self._tensor(dones)
        if np.count_nonzero(dones):
            final_groups = groups
            if self._resets_itself:
                final_groups = self._final_observations(groups, infos, dones & ~to_reset)
                infos = infos_of_transitions(infos, dones & ~to_reset)
            if to_reset.any():
                groups = self._reset_where(to_reset, groups)
            if final_groups is not None:
                extras["final_obs"] = self._on_device(final_groups)
            self._episode_length_buf.masked_fill_(dones_tensor, 0)
        self.last_info = infos
        if log := mean_of_infos(infos, self.num_envs):
            extras["log"] = log
        self._obs = self._on_device(groups)
        return self._obs, self._tensor(np.array(rewards, dtype=np.float32)), dones_tensor, extras

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the environments and of this adapter; see :class:`VecEnv`.

        Raises:
            NotImplementedError: It cannot be saved; says what, see :mod:`rsl_rl.env.gymnasium_state`.
        """
        cut = self._steps_to_cut
        return {
            "num_envs": self.num_envs,
            "autoreset_mode": autoreset_mode(self.envs),
            "max_episode_length": self.max_episode_length,
            "seed": self._seed,
            "obs": None if self._obs is None else {name: value.cpu().clone() for name, value in self._obs.items()},
            "episode_length_buf": self._episode_length_buf.to("cpu", copy=True),
            "steps_to_cut": None if cut is None else torch.from_numpy(cut.copy()),
            "envs": saved_state(self.envs),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue as the environment whose :meth:`state_dict` this is, bit for bit. ``last_info`` is then empty.

        Raises:
            NotImplementedError: As for :meth:`state_dict`.
            ValueError: The state is of other environments; says which. Nothing is changed, but for a first reset.
        """
        check_environments_are_here(self.envs)
        obs, cut, mode = state.get("obs"), state.get("steps_to_cut"), autoreset_mode(self.envs)
        if state.get("num_envs") != self.num_envs:
            raise ValueError(f"The state is of {state.get('num_envs')} environments, here are {self.num_envs}.")
        if "autoreset_mode" not in state:
            raise ValueError("The state is of another kind of environment: not of one from Gymnasium.")
        if state["autoreset_mode"] != mode:
            raise ValueError(f"The state is of an environment in autoreset mode {state['autoreset_mode']}, not {mode}.")
        if obs is not None:  # The first reset makes objects whose contents are then replaced.
            shapes = {name: list(value.shape) for name, value in self.get_observations().items()}
            if shapes != (saved := {name: list(value.shape) for name, value in obs.items()}):
                raise ValueError(f"The state is of another environment: observations were {saved}, here are {shapes}.")
            obs = self._on_device({name: value.clone() for name, value in obs.items()})
        load_saved_state(self.envs, state["envs"])
        self.max_episode_length, self._seed, self.last_info = state["max_episode_length"], state["seed"], {}
        self._obs, self._steps_to_cut = obs, None if cut is None else cut.cpu().numpy().copy()
        self._episode_length_buf = state["episode_length_buf"].to(self.device, copy=True)

    def render(self) -> Any:
        """Return what the vector environment renders: one image per environment, from EnvPool that of the first only.

        Raises:
            RuntimeError: The environment was made without a render mode.
        """
        if getattr(self.envs, "render_mode", None) is None:
            raise RuntimeError("This environment was made without rendering. Make it with render_mode='rgb_array'.")
        return self.envs.render()

    def close(self) -> None:
        """Close the vector environment."""
        self.envs.close()

    def _to_env(self, actions: torch.Tensor) -> np.ndarray:
        check_actions(actions, self)
        space, values = self._action_space, actions.numpy(force=True).reshape(-1, *self._action_space.shape)
        return np.minimum(np.maximum(values, space.low), space.high).astype(space.dtype, copy=False)

    def _read(self, observations: Any) -> dict[str, torch.Tensor]:
        return {name: reader.read(reader.pick(observations)) for name, reader in self._readers.items()}

    def _count_down(self, dones: np.ndarray) -> np.ndarray:
        """Return where an episode is to end because of the length that was assigned to it."""
        assert self._steps_to_cut is not None
        self._steps_to_cut -= 1
        cut = (self._steps_to_cut <= 0) & ~dones
        self._steps_to_cut[cut | dones] = _NEVER
        if self._steps_to_cut.min() > self.max_episode_length:
            self._steps_to_cut = None
        return cut

    def _reset_where(self, to_reset: np.ndarray, groups: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Reset some environments; return their first and the others' current observations."""
        observations, _ = self.envs.reset(options={"reset_mask": to_reset.copy()})
        mask = torch.from_numpy(to_reset)
        first = self._read(observations)
        if not self._resets_in_part:
            check_only_these_were_reset(mask, groups, first, self.envs)
        merged = {}
        for name, fresh in first.items():
            # Gymnasium returns the observations of all environments, EnvPool those of the reset ones only.
            merged[name] = groups[name].clone()
            merged[name][mask] = fresh[mask] if len(fresh) == self.num_envs else fresh
        return merged

    def _final_observations(
        self, groups: Mapping[str, torch.Tensor], infos: Mapping[str, Any], ended: np.ndarray
    ) -> dict[str, torch.Tensor] | None:
        """Return last observations where an episode ended in same-step mode; other rows hold current ones.

        None if the vector environment keeps the last observations to itself.
        """
        final_groups = {name: value.clone() for name, value in groups.items()}
        finals = infos.get("final_obs")
        if finals is None:
            return None if ended.any() else final_groups
        for index in np.flatnonzero(ended):
            # Gymnasium collects Dict observations into a dict of arrays, or one dict per environment.
            is_dict = isinstance(finals, Mapping)
            final = {key: values[index] for key, values in finals.items()} if is_dict else finals[index]
            for name, reader in self._readers.items():
                final_groups[name][index] = reader.read(np.asarray(reader.pick(final))[None])[0]
        return final_groups

    def _on_device(self, groups: dict[str, torch.Tensor]) -> TensorDict:
        return observation_groups(groups, self.num_envs, self.device)

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        """Return a tensor for an array that nobody else will write into."""
        return torch.from_numpy(values).to(self.device)


def _time_limit(envs: Any) -> int | None:
    """Return the steps after which an episode is truncated, where the environment says."""
    from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv

    name, inner = "_max_episode_steps", envs.unwrapped
    if isinstance(inner, (SyncVectorEnv, AsyncVectorEnv)) and all(inner.call("has_wrapper_attr", name)):
        # What the TimeLimit wrapper says; the spec of the vector environment ignores a limit given to make_vec.
        limits = [limit for limit in inner.get_attr(name) if limit]
        return int(max(limits)) if limits else None
    spec = getattr(envs, "spec", None)
    limit = getattr(getattr(spec, "config", spec), "max_episode_steps", None)
    return int(limit) if limit else None


def _step_seconds(envs: Any) -> float:
    """Return the seconds between two actions, where the environment says, else 1."""
    config = getattr(getattr(envs, "spec", None), "config", None)
    if getattr(config, "ctrl_dt", None):
        return float(config.ctrl_dt)  # type: ignore[union-attr]
    for inner in getattr(envs, "envs", [])[:1]:
        if isinstance(getattr(inner.unwrapped, "dt", None), float):
            return inner.unwrapped.dt
    frames_per_second = getattr(envs, "metadata", {}).get("render_fps")
    return 1.0 / frames_per_second if frames_per_second else 1.0
