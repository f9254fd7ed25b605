# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""From an environment's name to the environment."""

from __future__ import annotations

import contextlib
import difflib
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from rsl_rl.env.contract import ATTRIBUTES, check_attributes
from rsl_rl.env.gymnasium import GymnasiumVecEnv
from rsl_rl.env.layouts import as_vec_env
from rsl_rl.env.simulators import make_isaaclab, make_mjlab
from rsl_rl.env.vec_env import VecEnv
from rsl_rl.utils import did_you_mean, resolve_callable
from rsl_rl.utils.contract_error import ContractError
from rsl_rl.utils.install_lines import INSTALL_LINES
from rsl_rl.utils.limits import MOST_ENVIRONMENTS
from rsl_rl.utils.resolve import search_own_folder

_INSTALL = INSTALL_LINES["envs"]
_FORMS = "'mujoco:TASK', 'envpool:ID', 'gym:ID', 'mjlab:ID', 'isaaclab:ID' or 'package.module:factory'"


def make_env(name: str, num_envs: int = 1, seed: int = 0, device: str = "cpu", **options: Any) -> VecEnv:
    """Make a vectorized environment.

    Args:
        name: ``"mujoco:TASK"`` for :class:`rsl_rl.env.mujoco.MujocoVecEnv` (a task of the library, ``file.py:Class`` or
            ``package.module:Class``), ``"envpool:ID"`` for EnvPool, ``"gym:ID"`` for Gymnasium, ``"mjlab:ID"`` for
            mjlab, ``"isaaclab:ID"`` for Isaac Lab (whose simulator must have been started), or
            ``"package.module:factory"`` for a callable that takes ``num_envs``, ``seed``, ``device`` and the options,
            and returns a :class:`VecEnv` or an environment of an earlier layout.
        num_envs: Number of environments.
        seed: Environments of the same seed behave the same.
        device: Where observations, rewards and dones go.
        **options: Passed on to the environment: to a MuJoCo task any of its attributes. For MuJoCo tasks and EnvPool
            ``num_threads`` is the number of simulation threads (0, the default: one per core, which EnvPool's do not
            leave unless ``thread_affinity_offset`` is -1). For Gymnasium ``vectorization_mode`` is ``"sync"`` (default:
            one process, faster for environments whose step is short) or ``"async"`` (one process per environment). For
            EnvPool and Gymnasium ``groups`` divides a flat observation into groups, see :class:`GymnasiumVecEnv`. For
            mjlab and Isaac Lab see :mod:`rsl_rl.env.simulators`.

    Raises:
        ValueError: The name is unknown; names near matches. An option is not accepted.
        ImportError: A package is missing; gives its install line.
        TypeError: The environment cannot be used, or the factory returns something else.
    """
    scheme, _, identifier = name.partition(":")
    if not 1 <= num_envs <= MOST_ENVIRONMENTS:
        raise ValueError(f"num_envs must be from 1 to {MOST_ENVIRONMENTS:,}, got {num_envs}.")
    if not identifier:
        raise ValueError(f"'{name}' names no environment: it must be {_FORMS}.{_suggestion(name)}")
    if scheme in _MAKERS:
        return _MAKERS[scheme](identifier, num_envs, seed, device, options)
    return _from_factory(name, num_envs, seed, device, options)


def _from_envpool(identifier: str, num_envs: int, seed: int, device: str, options: dict[str, Any]) -> VecEnv:
    try:
        import envpool
    except ImportError as error:
        newer = "it needs Python 3.11 or newer; 'gym:' environments do not"
        line = INSTALL_LINES["envpool"] if sys.version_info >= (3, 11) else newer
        raise ImportError(f"EnvPool is not installed: {line}") from error
    cfg = {"env": f"envpool:{identifier}", "num_envs": num_envs, "seed": seed, **options}
    groups = options.pop("groups", None)
    known = envpool.list_all_envs()
    if identifier not in known:
        raise ValueError(f"EnvPool has no environment '{identifier}'.{did_you_mean(identifier, known)}")
    try:
        pinning = _pinning(num_envs, options)
        envs = envpool.make(identifier, env_type="gymnasium", num_envs=num_envs, seed=seed, **pinning, **options)
    except (TypeError, ValueError, AssertionError, KeyError) as error:
        raise ValueError(f"EnvPool cannot make '{identifier}' with {options}: {error}") from error
    return GymnasiumVecEnv(envs, device=device, cfg=cfg, groups=groups)


def _pinning(num_envs: int, options: Mapping[str, Any]) -> dict[str, int]:
    """Return the option that keeps each of EnvPool's threads on a core of its own, where there is one for each.

    They are woken together for some milliseconds. Left to the operating system they then often share a core while
    another one rests.
    """
    cores = os.cpu_count() or 1
    # EnvPool counts the cores of the machine: those that this process may not use, too.
    has_all_cores = hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) == cores
    is_default = options.get("num_threads", 0) in (0, cores) and "thread_affinity_offset" not in options
    return {"thread_affinity_offset": 0} if has_all_cores and is_default and num_envs >= cores else {}


def _from_mujoco(identifier: str, num_envs: int, seed: int, device: str, options: dict[str, Any]) -> VecEnv:
    try:
        from rsl_rl.env.mujoco_tasks import make_mujoco
    except ImportError as error:
        raise ImportError(f"MuJoCo is not installed: {_INSTALL} ({error})") from error
    return make_mujoco(identifier, num_envs, seed, device, options)


def _from_gymnasium(identifier: str, num_envs: int, seed: int, device: str, options: dict[str, Any]) -> VecEnv:
    try:
        import gymnasium
        from gymnasium.vector import AutoresetMode
    except ImportError as error:
        line = _INSTALL.replace("install", "install --upgrade") if sys.modules.get("gymnasium") else _INSTALL
        raise ImportError(f"Gymnasium (1.1 or newer) is not installed: {line}") from error
    cfg = {"env": f"gym:{identifier}", "num_envs": num_envs, "seed": seed, **options}
    mode, groups = options.pop("vectorization_mode", "sync"), options.pop("groups", None)
    if ":" in identifier:  # Gymnasium imports the module before the colon.
        search_own_folder()
    try:
        envs = gymnasium.make_vec(
            identifier,
            num_envs=num_envs,
            vectorization_mode=mode,
            # The adapter resets finished environments itself; every other mode costs a copy or a step.
            vector_kwargs={"autoreset_mode": AutoresetMode.DISABLED},
            **options,
        )
    except gymnasium.error.DependencyNotInstalled as error:
        raise ImportError(f"Gymnasium's '{identifier}' needs more packages: {_INSTALL} ({error})") from error
    except gymnasium.error.Error as error:
        hint = did_you_mean(identifier, gymnasium.registry)
        raise ValueError(f"Gymnasium has no environment '{identifier}'.{hint} ({error})") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"Gymnasium cannot make '{identifier}' with {options}: {error}") from error
    return GymnasiumVecEnv(envs, device=device, seed=seed, cfg=cfg, groups=groups)


def _from_factory(name: str, num_envs: int, seed: int, device: str, options: dict[str, Any]) -> VecEnv:
    try:
        factory = resolve_callable(name)
    except (ImportError, AttributeError) as error:
        scheme, _, identifier = name.partition(":")  # A scheme may have been meant rather than a module.
        close = difflib.get_close_matches(scheme, _MAKERS, n=1, cutoff=0.5)
        hint = f" Did you mean '{close[0]}:{identifier}'?" if close else ""
        if isinstance(error, AttributeError):
            raise ValueError(f"Cannot find the environment '{name}': {error}{hint}") from error
        raise ValueError(f"Cannot import the environment '{name}'.{hint} It must be {_FORMS}. ({error})") from error
    made = factory(num_envs=num_envs, seed=seed, device=device, **options)
    try:
        env = as_vec_env(made)
        check_attributes(env, ATTRIBUTES)
    except ContractError as error:
        raise ContractError(f"'{name}' returned no environment: {error}") from error
    return env


def _suggestion(identifier: str) -> str:
    """Return full names of environments for one without a scheme, of the packages that are installed."""
    for prefix, scheme in (("Mjlab-", "mjlab"), ("Isaac-", "isaaclab")):
        if identifier.startswith(prefix):  # Importing these to ask them takes long, or is not possible.
            return f" Did you mean '{scheme}:{identifier}'?"
    known: list[str] = []
    with contextlib.suppress(ImportError):
        import gymnasium

        known += [f"gym:{name}" for name in gymnasium.registry]
    with contextlib.suppress(ImportError):
        import envpool

        known += [f"envpool:{name}" for name in envpool.list_all_envs()]
    exact = [name for name in known if name.partition(":")[2] == identifier]
    if exact:
        return f" Did you mean {' or '.join(map(repr, exact))}?"
    return did_you_mean(f"gym:{identifier}", known) or " For example 'gym:Ant-v5'."


_MAKERS: dict[str, Callable[[str, int, int, str, dict[str, Any]], VecEnv]] = {
    "envpool": _from_envpool,
    "gym": _from_gymnasium,
    "isaaclab": make_isaaclab,
    "mjlab": make_mjlab,
    "mujoco": _from_mujoco,
}
