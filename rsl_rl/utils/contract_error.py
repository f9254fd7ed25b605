# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What is said where an environment breaks the contract of ``VecEnv``."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from tensordict import TensorDict, TensorDictBase

# Adapters and wrappers that are no fault of the user's; what they wrap is named instead.
_PASSED_OVER = ("rsl_rl.", "gymnasium.")
_INNER = ("env", "envs", "_env")


class ContractError(ValueError, TypeError):
    """An environment breaks the contract of :class:`rsl_rl.env.VecEnv`.

    Also a TypeError, which earlier builds raised for layouts that they did not know.
    """


def breach(env: Any, method: str, found: str, rule: str) -> ContractError:
    """Return the error for what a method of an environment did: ``found``, as ``"returned 5 values"``, against a rule.

    The rule is in whole sentences; where the method is follows. Of adapters and wrappers what they wrap is named.
    """
    places = list(dict.fromkeys(_places(env, method)))
    where = f" {method}() is at {', in '.join(places)}." if places else ""
    return ContractError(f"{method}() of {named(env)} {found}. {rule}{where}")


def named(env: Any) -> str:
    """Return the name of an environment's class, within adapters of this package and wrappers of Gymnasium."""
    own = [layer for layer in _layers(env) if not type(layer).__module__.startswith(_PASSED_OVER)]
    return type(own[0] if own else env).__name__


def described(value: Any) -> str:
    """Return what a value is, for messages, for example ``"a tensor of shape [4, 1] (float32)"``."""
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {list(value.shape)} ({str(value.dtype).removeprefix('torch.')})"
    if isinstance(value, np.ndarray):
        return f"a ndarray of NumPy of shape {list(value.shape)} ({value.dtype})"
    if isinstance(value, (TensorDictBase, Mapping)):
        return f"a {type(value).__name__} of {', '.join(repr(str(key)) for key in value.keys()) or 'nothing'}"  # noqa: SIM118
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of {len(value)} entries"
    return "None" if value is None else f"a {type(value).__name__}"


def check_extras(env: Any, extras: Any) -> None:
    """Raise ContractError unless the extras of a step are a dictionary."""
    if not isinstance(extras, Mapping):
        rule = "Expected a dict, {} where there is nothing to say."
        raise breach(env, "step", f"returned {described(extras)} as extras", rule)


def observation_groups(groups: Mapping[str, Any], num_envs: int, device: Any = None) -> TensorDict:
    """Return groups [N, ...] as a TensorDict with batch size [N].

    Without a batch size where a group does not fit: it is refused at the door then, by its name.
    """
    fit = all(tuple(value.shape[:1]) == (num_envs,) for value in groups.values() if hasattr(value, "shape"))
    return TensorDict(dict(groups), [num_envs] if fit else [], device=device)  # type: ignore[arg-type]


def _layers(env: Any) -> Iterator[Any]:
    """Yield an environment and what it wraps, from the outside to the inside."""
    seen: set[int] = set()
    while env is not None and id(env) not in seen:
        seen.add(id(env))
        yield env
        # Not getattr: a wrapper's may be that of what it wraps.
        attributes = getattr(env, "__dict__", {})
        env = next((attributes[name] for name in _INNER if attributes.get(name) is not None), None)
        env = env[0] if isinstance(env, (list, tuple)) and env else env


def _places(env: Any, method: str) -> Iterator[str]:
    for layer in _layers(env):
        try:
            function: Any = inspect.unwrap(getattr(layer, method))
            code = getattr(function, "__func__", function).__code__
        except Exception:  # it has no such method, or one that is not written in Python
            continue
        if not function.__module__.startswith(_PASSED_OVER):
            yield f"{code.co_filename}:{code.co_firstlineno} ({function.__qualname__})"
