# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Videos of a policy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tensordict import TensorDict

from rsl_rl.config.task import TaskConfig
from rsl_rl.env import make_env


def record_video(
    task: TaskConfig, policy: Callable[[TensorDict], torch.Tensor], path: Path, seed: int, max_steps: int = 1000
) -> int:
    """Record one episode.

    Args:
        task: Its environment is made anew with a camera.
        policy: Groups [1, ...] -> actions [1, A].
        path: The file, .gif or anything that ffmpeg writes such as .mp4.
        seed: Seed of the environment.
        max_steps: Longest video, in steps.

    Returns:
        The number of frames.

    Raises:
        ImportError: A package to write videos is missing.
        ValueError: The environment cannot render here.
    """
    try:
        import imageio.v2 as imageio
    except ImportError as error:
        raise ImportError("Recording videos needs: pip install imageio[ffmpeg]") from error
    frames: list[np.ndarray] = []
    try:
        env: Any = make_env(task.env, num_envs=1, seed=seed, render_mode="rgb_array", **task.env_options)
        obs = env.get_observations()
        with torch.inference_mode():
            for _ in range(max_steps):
                frames.append(np.asarray(env.render())[0])
                obs, _, dones, _ = env.step(policy(obs))
                if bool(dones[0]):
                    break
    except Exception as error:  # rendering fails in ways of its own on every platform
        raise ValueError(
            f"'{task.env}' cannot be rendered here: {error}. Without a screen MuJoCo renders with MUJOCO_GL=egl or "
            "MUJOCO_GL=osmesa."
        ) from error
    path.parent.mkdir(parents=True, exist_ok=True)
    frames_per_second = min(50, round(1.0 / env.unwrapped.step_dt))
    try:
        if path.suffix == ".gif":
            imageio.mimsave(path, frames[::2], duration=2000 / frames_per_second, loop=0)  # type: ignore[arg-type]
        else:
            imageio.mimsave(path, frames, fps=frames_per_second, macro_block_size=1)  # type: ignore[arg-type]
    except (ValueError, ImportError) as error:
        raise ImportError(
            f"Writing '{path.name}' needs: pip install imageio[ffmpeg] (or choose a .gif). {error}"
        ) from error
    return len(frames)
