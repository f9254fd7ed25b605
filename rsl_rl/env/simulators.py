# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Environments of mjlab and Isaac Lab by their task names."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from typing import Any

from rsl_rl.env.manager_based import ManagerBasedVecEnv
from rsl_rl.env.vec_env import VecEnv
from rsl_rl.utils import did_you_mean, listed

_MJLAB_OPTIONS = ("cfg", "play", "final_obs", "clip_actions", "render_mode")
_ISAACLAB_OPTIONS = ("cfg", "clip_actions", "render_mode", "use_fabric")


def make_mjlab(identifier: str, num_envs: int, seed: int, device: str, options: dict[str, Any]) -> VecEnv:
    """Make an environment of mjlab.

    Args:
        identifier: A task of mjlab's registry, for example ``"Mjlab-Cartpole-Balance"``.
        num_envs: Number of environments.
        seed: Seed of the environment's configuration.
        device: Where the simulation runs.
        options: ``cfg``: a ``ManagerBasedRlEnvCfg`` to use instead of the task's; ``play`` (False): the task's
            configuration for playing; ``final_obs`` (False): give true last observations, for one more evaluation of
            the observations in steps that end an episode; ``clip_actions``, ``render_mode``.

    Raises:
        ImportError: mjlab, or something that it needs, is not installed.
        ValueError: The task or an option is unknown.
    """
    try:
        import mjlab.tasks  # type: ignore[import-not-found]  # noqa: F401 (registers the tasks)
        from mjlab.envs import ManagerBasedRlEnv  # type: ignore[import-not-found]
        from mjlab.tasks.registry import list_tasks, load_env_cfg  # type: ignore[import-not-found]
    except ImportError as error:
        raise ImportError(
            f"mjlab cannot be imported ({error}). Install it with: pip install mjlab, and this package again after it, "
            "because mjlab asks for rsl-rl-lib 5.4.2; docs/clients.md has the commands."
        ) from error
    _check_options("mjlab", options, _MJLAB_OPTIONS)
    _check_task("mjlab", identifier, list_tasks())
    cfg = options.get("cfg") or load_env_cfg(identifier, play=bool(options.get("play", False)))
    cfg.scene.num_envs = num_envs
    cfg.seed = seed
    if options.get("final_obs", False):
        cfg.auto_reset = False
    env = ManagerBasedRlEnv(cfg=cfg, device=device, render_mode=options.get("render_mode"))
    return ManagerBasedVecEnv(env, clip_actions=options.get("clip_actions"))


def make_isaaclab(identifier: str, num_envs: int, seed: int, device: str, options: dict[str, Any]) -> VecEnv:
    """Make an environment of Isaac Lab. Its simulator must have been started with ``AppLauncher``.

    Args:
        identifier: A task of Isaac Lab, for example ``"Isaac-Velocity-Flat-Anymal-C-v0"``.
        num_envs: Number of environments.
        seed: Seed of the environment's configuration.
        device: Where the simulation runs.
        options: ``cfg``: a configuration to use instead of the task's; ``use_fabric`` (True), ``clip_actions``,
            ``render_mode``.

    Raises:
        ImportError: Isaac Lab is not installed.
        RuntimeError: The simulator has not been started.
        ValueError: The task or an option is unknown.
    """
    if importlib.util.find_spec("isaaclab") is None:
        raise ImportError(
            "Isaac Lab is not installed. Its packages come from NVIDIA's index: "
            'pip install "isaaclab[isaacsim,all]" --extra-index-url https://pypi.nvidia.com, '
            "and this package again after it; docs/clients.md says more."
        )
    _check_options("Isaac Lab", options, _ISAACLAB_OPTIONS)
    try:
        import gymnasium
        import isaaclab_tasks  # type: ignore[import-not-found]  # noqa: F401 (registers the tasks)
        from isaaclab.envs import DirectMARLEnv, multi_agent_to_single_agent  # type: ignore[import-not-found]
        from isaaclab_tasks.utils import parse_env_cfg  # type: ignore[import-not-found]
    except ImportError as error:
        # The simulator's own modules can only be imported once it runs.
        raise RuntimeError(
            f"Isaac Lab's tasks cannot be imported ({error}). Has the simulator been started? Before anything of Isaac "
            "Lab is imported: from isaaclab.app import AppLauncher; app = AppLauncher(headless=True).app"
        ) from error
    _check_task("Isaac Lab", identifier, gymnasium.registry)
    use_fabric = bool(options.get("use_fabric", True))
    cfg = options.get("cfg") or parse_env_cfg(identifier, device=device, num_envs=num_envs, use_fabric=use_fabric)
    cfg.scene.num_envs = num_envs
    cfg.sim.device = device
    cfg.seed = seed
    env: Any = gymnasium.make(identifier, cfg=cfg, render_mode=options.get("render_mode"))
    if isinstance(env.unwrapped, DirectMARLEnv):
        env = multi_agent_to_single_agent(env)
    return ManagerBasedVecEnv(env, clip_actions=options.get("clip_actions"))


def _check_task(simulator: str, task: str, known: Iterable[str]) -> None:
    if task not in known:
        raise ValueError(f"{simulator} has no task '{task}'.{did_you_mean(task, known)}")


def _check_options(simulator: str, options: dict[str, Any], known: tuple[str, ...]) -> None:
    for name in options:
        if name not in known:
            raise ValueError(
                f"{simulator} environments have no option '{name}'.{did_you_mean(name, known)} Options: "
                f"{listed(known)}. Anything else is set in the environment's configuration, the option 'cfg'."
            )
