# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The check at the door: what an environment returns, every step, on the host alone.

Only arity, types, shapes and kinds of numbers are looked at, never a value on a device. Legend: N environments.
"""

from __future__ import annotations

import numbers
import operator
import warnings
from collections.abc import Collection, Mapping
from typing import Any

import torch
from tensordict import TensorDict, TensorDictBase

from rsl_rl.env.finite_guard import StepOutcome, environments_of
from rsl_rl.utils import listed
from rsl_rl.utils.contract_error import ContractError, breach, check_extras, described, named

_FOUR = (
    "Expected four values: a TensorDict of observation groups, rewards [N], dones [N] and a dict of extras, where N is "
    "num_envs."
)
_WRAPPED = "A vector environment of Gymnasium is wrapped by rsl_rl.env.GymnasiumVecEnv."
_OF_GYMNASIUM = (
    "Five values are those of Gymnasium: return dones = terminated | truncated, and truncated as extras['time_outs']. "
    f"{_WRAPPED}"
)
_GROUPS = (
    "Expected a TensorDict of tensors [N, ...] by group, the same in every step: "
    "TensorDict({'policy': ...}, batch_size=[num_envs])."
)
_ATTRIBUTES = {
    "num_envs": "the number of environments N, an integer of at least 1",
    "num_actions": "the number of actions of each environment, an integer of at least 1",
    "device": "the device of observations, rewards and dones, such as 'cpu'",
    "get_observations": "a method that returns the current observation groups",
    "step": "a method that takes actions [N, A] and returns observation groups, rewards, dones and extras",
    "episode_length_buf": "the steps taken in the current episode of each environment, an integer tensor [N]",
    "max_episode_length": "the steps after which an episode times out, a number of at least 1 or one per environment",
}
ATTRIBUTES = tuple(_ATTRIBUTES)
"""What an environment has; the last two only matter where episodes are staggered or counted."""
_ALWAYS = ATTRIBUTES[:5]
_DEFAULTS = ("policy", "actor", "critic", "student", "teacher", "rnd_state")


def check_actions(actions: torch.Tensor, env: Any) -> None:
    """Raise ValueError unless actions are [N, A], for adapters that hand them on to another program."""
    if actions.shape != (env.num_envs, env.num_actions):
        raise ValueError(
            f"Expected actions of shape [{env.num_envs}, {env.num_actions}] (environments, actions), got "
            f"{list(actions.shape)}."
        )


def check_attributes(env: Any, names: Collection[str] = _ALWAYS) -> None:
    """Raise ContractError unless an environment has attributes of the contract; says what is missing or wrong."""
    if isinstance(env, type):
        raise ContractError(f"{env.__name__} is a class: expected an environment, {env.__name__}(...).")
    missing = sorted(name for name in names if not hasattr(env, name))
    if missing:
        hint = ""
        if hasattr(env, "action_space"):
            hint = f" An environment of Gymnasium is made with rsl_rl.env.make_env('gym:ID', num_envs=...). {_WRAPPED}"
        raise ContractError(f"{named(env)} is not a VecEnv: it lacks {listed(missing)}.{hint}")
    for name in names:
        value = getattr(env, name)
        try:
            is_right = _is_right(name, value, env)
        except (TypeError, ValueError, RuntimeError):
            is_right = False
        if not is_right:
            found = described(value) if isinstance(value, torch.Tensor) else repr(value)
            raise ContractError(f"'{name}' of {named(env)} must be {_ATTRIBUTES[name]}, got {found}.")


def _is_right(name: str, value: Any, env: Any) -> bool:
    if name in ("num_envs", "num_actions"):
        return operator.index(value) >= 1 and value is not True
    if name == "device":
        return value is None or bool(torch.device(value))
    if name == "episode_length_buf":
        return torch.as_tensor(value).numel() == env.num_envs and torch.as_tensor(value).dtype != torch.bool
    if name == "max_episode_length":
        steps = torch.as_tensor(value)
        return steps.numel() in (1, env.num_envs) and (not isinstance(value, numbers.Number) or value >= 1)  # type: ignore[operator]
    return callable(value)


class Contract:
    """What one environment must return, as its first observations were."""

    def __init__(self, env: Any, device: Any = None, obs_groups: Mapping[str, Collection[str]] | None = None) -> None:
        """Check the environment's attributes; nothing is asked of it yet.

        Args:
            env: The environment.
            device: Where everything is wanted; None for the environment's device.
            obs_groups: Groups of every observation set; others may be no tensors, or be missing from later
                observations. None where all are needed.

        Raises:
            ContractError: An attribute is missing or wrong.
        """
        check_attributes(env)
        self._env = env
        # A set that is not configured falls back to the group of its name, or to "policy".
        configured = (name for names in (obs_groups or {}).values() for name in names)
        self._used = None if obs_groups is None else {*_DEFAULTS, *configured}
        self._num_envs = int(env.num_envs)
        self._specs: dict[str, tuple[torch.Size, torch.dtype]] = {}
        """Shape and type of every group, as the first observations had them."""
        self._nothing = torch.zeros(self._num_envs, device=env.device if device is None else device)
        self._device = self._nothing.device  # with its number: "cuda" is not "cuda:0"
        # What was accepted before, and whether the groups go on as they are.
        self._known: dict[Any, bool] = {}
        self._said: set[str] = set()

    def check(self, returned: Any, method: str = "step") -> StepOutcome:
        """Return what ``step`` returned as the library takes it: on the device, rewards [N] in float32, dones [N].

        Args:
            returned: What the method returned, which is not changed.
            method: ``"step"``, or ``"get_observations"``, whose outcome has no rewards.

        Raises:
            ContractError: It breaks the contract; names the field, what it is, the rule and where the method is.
        """
        if method != "step":
            returned = (returned, self._nothing, self._nothing, {})
        try:
            obs, rewards, dones, extras = returned
            time_outs = extras.get("time_outs", dones)
            form = (
                *((name, value.shape, value.dtype, value.device) for name, value in obs.items()),
                *(type(obs), type(extras), rewards.shape, rewards.dtype, dones.shape, dones.dtype),
                *(time_outs.shape, time_outs.dtype),
            )
            is_plain = self._known.get(form)
        except (AttributeError, TypeError, ValueError):  # a list, an array, None ...
            form = is_plain = None
            obs, rewards, dones, extras = self._four(returned)
        if is_plain is None:
            # Not seen before: everything is looked at, once. Not all that falls into four parts is meant so.
            obs, rewards, dones, extras = self._four(returned)
            is_plain = self._look_at_groups(obs, method)
            self._look_at_numbers(rewards, dones, extras)
            self._known[form] = is_plain
        if not is_plain:
            obs = self._converted(obs)
        elif obs.device != self._device:
            # To the host it has to wait. Else tensordict would wait on some devices, with nothing to copy, too.
            obs = obs.to(self._device, non_blocking=self._device.type != "cpu")
        if "final_obs" in extras or "terminal" in extras:
            # Checked here in every such step: the finished environments differ in number.
            extras = self._with_final_observations(extras)
        if not rewards.device == dones.device == self._device:
            rewards, dones, extras = self._moved(rewards, dones, extras)
        # What is watched and logged is what is stored: float32.
        return StepOutcome(obs, rewards.to(torch.float32).flatten(), dones.flatten(), extras)

    def _moved(self, rewards: torch.Tensor, dones: torch.Tensor, extras: Mapping[str, Any]) -> tuple[Any, Any, Any]:
        if "time_outs" in extras:
            extras = {**extras, "time_outs": self._placed(extras["time_outs"])}
        return self._placed(rewards), self._placed(dones), extras

    def _placed(self, value: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor:
        """Return a tensor on the device. From the host to a GPU through pinned memory, for which nobody waits."""
        if value.device.type == "cpu" and self._device.type == "cuda":
            # torch uses the pinned block again only when the copy has been made.
            value = value.to(dtype or value.dtype).pin_memory()
        return value.to(self._device, dtype, non_blocking=self._device.type != "cpu")

    def _four(self, returned: Any) -> tuple[Any, Any, Any, Any]:
        try:
            values = () if isinstance(returned, (torch.Tensor, Mapping, TensorDictBase, str)) else tuple(returned)
        except TypeError:  # it cannot be taken apart
            values = ()
        if len(values) != 4:
            found = f"{len(values)} values" if values else described(returned)
            rule = f"{_FOUR} {_OF_GYMNASIUM}" if len(values) == 5 else _FOUR
            raise breach(self._env, "step", f"returned {found}", rule)
        return values

    def _look_at_groups(self, obs: Any, method: str) -> bool:
        """Check observation groups, the first ones against N; return whether they can be taken as they are."""
        if not isinstance(obs, TensorDictBase):
            raise breach(self._env, method, f"returned {described(obs)} as observations", _GROUPS)
        groups = dict(obs.items())
        is_first = not self._specs
        for name, value in groups.items():
            if is_first and self._used is not None and name not in self._used and not isinstance(value, torch.Tensor):
                self._say(name, f"the observation group '{name}' is not a tensor and nothing reads it: it is left out")
            elif is_first:
                self._specs[name] = (getattr(value, "shape", torch.Size()), _taken_type(value))
            elif name not in self._specs:
                self._say(name, f"the observation group '{name}', which the first observations lacked, is left out")
            if name in self._specs:
                self._look_at_group(name, value, method)
        missing = [name for name in self._specs if name not in groups]
        if needed := [name for name in missing if self._used is None or name in self._used]:
            raise breach(
                self._env,
                method,
                f"returned no observation group {listed(map(repr, needed))}, which the first observations had",
                f"{_GROUPS} It returned {described(obs)}.",
            )
        for name in missing:
            self._say(name, f"the observation group '{name}', which nothing reads, is missing: zeros take its place")
        is_plain = groups.keys() == self._specs.keys() and obs.batch_size == (self._num_envs,)
        return is_plain and all(
            value.dtype == self._specs[name][1] and value.device == self._device for name, value in groups.items()
        )

    def _look_at_group(self, name: str, value: Any, method: str) -> None:
        shape, dtype = self._specs[name]
        count, rule = self._num_envs, ""
        if not isinstance(value, torch.Tensor):
            rule = "Expected a tensor [N, ...]: of groups within groups make groups of their own."
        elif value.shape[:1] != (count,):
            rule = f"Expected one row for each of the {count} environments (num_envs): [{count}, ...]."
        elif value.shape != shape:
            rule = f"Expected {list(shape)}: a group keeps the shape of the first observations."
        elif value.is_complex() or not _may_become(value, dtype):
            kind = str(dtype).removeprefix("torch.")
            rule = f"Expected {kind}: a group keeps the kind of its first numbers."
        if rule:
            raise breach(self._env, method, f"returned the observation group '{name}' as {described(value)}", rule)

    def _look_at_numbers(self, rewards: Any, dones: Any, extras: Any) -> None:
        """Check what is one number per environment, and that the extras are a dictionary."""
        check_extras(self._env, extras)
        count, numbers_of_step = self._num_envs, {"rewards": rewards, "dones": dones}
        if "time_outs" in extras:
            numbers_of_step["extras['time_outs']"] = extras["time_outs"]
        for name, value in numbers_of_step.items():
            one_each = f"Expected {name} of shape [{count}]: one number for each environment (num_envs = {count})."
            rule = ""
            if not isinstance(value, torch.Tensor):
                rule = f"Expected a tensor; torch.as_tensor(...) makes one. {one_each}"
            elif value.shape not in ((count,), (count, 1)) and (count > 1 or value.numel() != 1):
                rule = one_each
            elif value.is_complex():
                rule = f"Expected real numbers. {one_each}"
            if rule:
                raise breach(self._env, "step", f"returned {name} as {described(value)}", rule)

    def _converted(self, obs: TensorDictBase) -> TensorDict:
        """Return the groups as the first observations had them, on the device."""
        groups = {
            name: self._placed(obs.get(name), dtype)  # type: ignore[arg-type] (a tensor)
            if name in obs.keys()  # noqa: SIM118 (a TensorDict)
            else torch.zeros(shape, dtype=dtype, device=self._device)
            for name, (shape, dtype) in self._specs.items()
        }
        return TensorDict(groups, [self._num_envs], device=self._device)  # type: ignore[arg-type]

    def _with_final_observations(self, extras: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return extras whose true last observations are those of the groups; what has another form is let through."""
        terminal: Any = extras.get("terminal")
        final_obs = extras.get("final_obs")
        if hasattr(final_obs, "keys"):
            return {**extras, "final_obs": self._fitting(final_obs, self._num_envs, "extras['final_obs']")}
        if (ended := environments_of(terminal)) is not None and hasattr(terminal["observations"], "keys"):
            last = self._fitting(terminal["observations"], ended.numel(), "extras['terminal']['observations']")
            return {**extras, "terminal": {**terminal, "observations": last}}
        return extras

    def _fitting(self, groups: Any, rows: int, place: str) -> Any:
        """Return last observations, [rows, ...] by group, as the groups are: on the device, in their types."""
        changed: dict[str, torch.Tensor] = {}
        for name, value in groups.items():
            if name not in self._specs or not isinstance(value, torch.Tensor):
                continue
            shape, dtype = self._specs[name]
            if value.shape != (rows, *shape[1:]):
                found = f"returned {place}['{name}'] as {described(value)}"
                raise breach(self._env, "step", found, f"Expected {[rows, *shape[1:]]}: as the group, a row for each.")
            if value.dtype != dtype or value.device != self._device:
                changed[name] = self._placed(value, dtype)
        return {**groups, **changed} if changed else groups

    def _say(self, group: str, text: str) -> None:
        if group not in self._said:
            self._said.add(group)
            warnings.warn(f"{named(self._env)}: {text}.", stacklevel=4)


def _may_become(value: torch.Tensor, dtype: torch.dtype) -> bool:
    """Return whether a group may be taken as another type: what that cannot hold would be lost without a word."""
    if value.dtype == dtype or (value.is_floating_point() and dtype.is_floating_point):
        return True
    # Bytes of an image are scaled to [0, 1], floats are not.
    return value.ndim != 4 and torch.promote_types(value.dtype, dtype) == dtype


def _taken_type(value: Any) -> torch.dtype:
    """Return the type that a group is taken as: float32 for other floats, but images keep those of half the size.

    Integers stay as they are: bytes are stored in a quarter of the memory, and a model may look numbers up in a table.
    """
    if not isinstance(value, torch.Tensor) or not value.is_floating_point():
        return getattr(value, "dtype", torch.float32)
    return value.dtype if value.ndim == 4 and value.dtype.itemsize == 2 else torch.float32
