# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Environments written for rsl_rl 1.x and 2.x, and those that return plain dictionaries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from tensordict import TensorDict

from rsl_rl.utils import listed
from rsl_rl.utils.contract_error import breach, check_extras, described, observation_groups

_OWN = frozenset({"env", "layout", "num_envs", "device"})


class LegacyVecEnv:
    """Adapts environments of earlier layouts to the contract of :class:`rsl_rl.env.VecEnv`, of which it is a subclass.

    ========================  ==============================================================  ==========================
    layout                    the environment's methods                                       groups here
    ========================  ==============================================================  ==========================
    rsl_rl 2.x                ``get_observations()`` -> (obs, extras),                        ``policy``: obs, and those
                              ``step()`` -> (obs, rewards, dones, extras)                     in extras["observations"]
    rsl_rl 1.x, legged_gym    ``get_observations()`` -> obs,                                  ``policy``: obs, and
                              ``get_privileged_observations()`` -> privileged obs or None,    ``privileged`` if not None
                              ``step()`` -> (obs, privileged obs, rewards, dones, extras)
    plain dictionary          ``get_observations()`` -> {group: tensor},                      the dictionary's
                              ``step()`` -> (dictionary, rewards, dones, extras)
    ========================  ==============================================================  ==========================

    The environment's extras are passed on, their dictionary is not edited. ``time_outs`` count only where an episode
    ended: legged_gym leaves those of an earlier step in place. An environment of the 1.x layout is reset when it is
    wrapped, as the runner of that time did. Every other attribute, read or written, is that of the wrapped environment.
    """

    def __init__(self, env: Any) -> None:
        """Find out which layout the environment has; raise ContractError if it is none of these."""
        self.env = env
        self._has_privileged = False
        observed = env.get_observations()
        form = _form(env, observed)
        if isinstance(observed, torch.Tensor) and hasattr(env, "get_privileged_observations"):
            env.reset()
            self._has_privileged = env.get_privileged_observations() is not None
            observed = env.get_observations()
        found = self._all_groups(observed)
        groups = {name: value for name, value in found.items() if isinstance(value, torch.Tensor)}
        ignored = [name for name in found if name not in groups]
        self._names = tuple(groups)
        self.num_envs = int(getattr(env, "num_envs", len(groups[self._names[0]])))
        self.device = getattr(env, "device", groups[self._names[0]].device)
        shapes = listed(f"'{name}' {list(value.shape)}" for name, value in groups.items())
        self.layout = (
            f"an environment in the layout of {form}, adapted by LegacyVecEnv; observation groups {shapes}."
            + (f" Not tensors, and left out: {listed(ignored)}." if ignored else "")
        )
        """One line about what was found."""

    @property
    def unwrapped(self) -> Any:
        """What the wrapped environment calls so; this adapter where it has no such attribute."""
        return getattr(self.env, "unwrapped", self)

    @property
    def step_dt(self) -> float:
        """Seconds between two actions; legged_gym calls them ``dt``."""
        return self.env.step_dt if hasattr(self.env, "step_dt") else self.env.dt

    def get_observations(self) -> TensorDict:
        """Return the current observation groups."""
        return self._tensordict(self._all_groups(self.env.get_observations()))

    def reset(self) -> tuple[TensorDict, dict]:
        """Start new episodes everywhere; return their first observations and empty extras."""
        self.env.reset()
        return self.get_observations(), {}

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        """Advance by one step; see :meth:`rsl_rl.env.VecEnv.step`."""
        returned = self.env.step(actions)
        values: tuple[Any, ...] = tuple(returned) if isinstance(returned, (tuple, list)) else ()
        # Five values may also mean (obs, reward, terminated, truncated, info).
        is_old = len(values) == 5 and hasattr(self.env, "get_privileged_observations")
        if len(values) != 4 and (not is_old or getattr(values[2], "dtype", None) == torch.bool):
            count = f"{len(values)} values" if values else described(returned)
            raise breach(
                self.env,
                "step",
                f"returns {count} that are not those of rsl_rl 1.x: (observations, privileged observations or None, "
                "rewards, dones, infos)",
                "Expected this, (observations, rewards, dones, infos) as in 2.x, or (TensorDict, rewards, dones, "
                "extras). For Gymnasium's layout there is rsl_rl.env.GymnasiumVecEnv, for Isaac Lab's "
                "ManagerBasedVecEnv.",
            )
        obs, *privileged, rewards, dones, infos = values
        check_extras(self.env, infos)
        extras = {name: value for name, value in infos.items() if name != "observations"}
        if extras.get("time_outs") is not None and isinstance(dones, torch.Tensor):
            time_outs = torch.as_tensor(extras["time_outs"], device=dones.device)
            if time_outs.numel() == dones.numel():  # others are refused at the door
                extras["time_outs"] = time_outs.view(-1).bool() & dones.view(-1).bool()
        groups = self._groups(obs, infos, privileged[0] if privileged else None)
        return self._tensordict(groups), rewards, dones, extras

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the wrapped environment."""
        if name in _OWN or name.startswith("_"):  # not there yet: while unpickling, for example
            raise AttributeError(f"{type(self).__name__} has no attribute '{name}'.")
        return getattr(self.env, name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Write an attribute of the wrapped environment, which would not see it here."""
        if name in _OWN or name.startswith("_") or "env" not in self.__dict__:
            object.__setattr__(self, name, value)
        else:
            setattr(self.env, name, value)

    def _all_groups(self, observed: Any) -> dict[str, Any]:
        """Return the groups of what ``get_observations`` returned, and entries that are not tensors."""
        obs, extras = observed if isinstance(observed, tuple) else (observed, {})
        return self._groups(obs, extras, self.env.get_privileged_observations() if self._has_privileged else None)

    def _groups(self, obs: Any, extras: Mapping[str, Any], privileged: torch.Tensor | None) -> dict[str, Any]:
        if isinstance(obs, Mapping):
            return dict(obs)
        found = {"policy": obs}
        observations = extras.get("observations")
        if isinstance(observations, Mapping):
            found |= {name: value for name, value in observations.items() if name != "policy"}
        if privileged is not None:
            found["privileged"] = privileged
        return found

    def _tensordict(self, groups: dict[str, Any]) -> TensorDict:
        missing = [name for name in self._names if not isinstance(groups.get(name), torch.Tensor)]
        if missing:
            raise breach(
                self.env,
                "step",
                f"gave the observation groups {listed(self._names)} at first, and now lacks {listed(missing)}",
                "In the layout of rsl_rl 2.x they are expected in extras['observations'] of every step, in that of 1.x "
                "as the second value that step() returns.",
            )
        return observation_groups({name: groups[name] for name in self._names}, self.num_envs)


def _form(env: Any, observed: Any) -> str:
    """Return the name of the layout that observations have."""
    has_extras = isinstance(observed, tuple) and len(observed) == 2 and isinstance(observed[1], Mapping)
    if has_extras and isinstance(observed[0], (torch.Tensor, Mapping)):
        return "rsl_rl 2.x"
    if isinstance(observed, torch.Tensor):
        return "rsl_rl 1.x"
    if isinstance(observed, Mapping) and any(isinstance(value, torch.Tensor) for value in observed.values()):
        return "plain dictionaries"
    kinds = f" ({listed(type(item).__name__ for item in observed)})" if isinstance(observed, tuple) else ""
    raise breach(
        env,
        "get_observations",
        f"returned a {type(observed).__name__}{kinds}",
        "Expected a TensorDict of observation groups with batch size [num_envs]; from environments written for rsl_rl "
        "2.x a tensor and a dictionary, for 1.x a tensor. torch.as_tensor(...) makes a tensor of an array.",
    )
