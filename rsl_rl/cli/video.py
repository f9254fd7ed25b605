# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Videos of a policy."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tensordict import TensorDict

from rsl_rl.config.task import TaskConfig
from rsl_rl.env import make_env
from rsl_rl.utils.files import replaced_when_complete

# Drawing without a graphics card takes a fifth of a second a picture; GIF players keep up with no more than this.
_LONGEST_SECONDS = 10
_FRAMES_PER_SECOND = 25


def record_video(task: TaskConfig, policy: Callable[[TensorDict], torch.Tensor], path: Path, seed: int) -> int:
    """Record one episode, or the first 10 seconds of a longer one.

    :func:`prepare_rendering` has to be called before the first environment is made.

    Args:
        task: Its environment is made anew with a camera.
        policy: Groups [1, ...] -> actions [1, A].
        path: The file: .gif, or anything that ffmpeg writes such as .mp4.
        seed: Seed of the environment.

    Returns:
        The number of frames.

    Raises:
        ImportError: A package to write videos is missing.
        ValueError: The environment cannot render here.
    """
    imageio = video_writers(path)
    env: Any = None
    try:
        try:
            env = make_env(task.env, num_envs=1, seed=seed, render_mode="rgb_array", **task.env_options)
            rate = 1.0 / env.unwrapped.step_dt
            every = max(1, round(rate / _FRAMES_PER_SECOND))
            frames = _frames(env, policy, max(100, round(_LONGEST_SECONDS * rate)), every)
            first = next(frames)
        except Exception as error:  # rendering fails in ways of its own on every platform
            raise ValueError(
                f"'{task.env}' cannot be rendered here: {error}. Without a screen MuJoCo renders with MUJOCO_GL=egl "
                "or MUJOCO_GL=osmesa, given the libraries libegl1 or libosmesa6."
            ) from error
        timing: dict[str, Any] = {"fps": rate / every, "macro_block_size": 1}
        if path.suffix == ".gif":
            timing = {"duration": 1000 * every / rate, "loop": 0}
        with replaced_when_complete(path) as partial, imageio.get_writer(partial, **timing) as writer:
            writer.append_data(first)
            count = 1
            for frame in frames:
                writer.append_data(frame)
                count += 1
    finally:
        if env is not None:
            with contextlib.suppress(Exception):
                env.close()
    return count


def _frames(env: Any, policy: Callable[[TensorDict], torch.Tensor], max_steps: int, every: int) -> Iterator[np.ndarray]:
    """Yield the picture [height, width, 3] before every so many steps of the first episode."""
    getattr(policy, "reset", lambda: None)()
    obs = env.get_observations()
    for step in range(max_steps):
        if step % every == 0:
            picture = env.render()
            if picture is None:
                raise ValueError("it gives no pictures")
            yield np.asarray(picture)[0]
        with torch.inference_mode():
            obs, _, dones, _ = env.step(policy(obs))
        if bool(dones[0]):
            return


def video_writers(path: Path) -> Any:
    """Return imageio, once everything is there to write this kind of file.

    Raises:
        ImportError: Something is missing.
    """
    try:
        imageio = importlib.import_module("imageio.v2")
        if path.suffix != ".gif":
            importlib.import_module("imageio_ffmpeg")
    except ImportError as error:
        raise ImportError(
            f"Writing '{path.name}' needs: pip install \"imageio[ffmpeg]\" (a .gif needs imageio alone)."
        ) from error
    return imageio


def prepare_rendering(env: str) -> None:
    """Let MuJoCo find a way to render without a screen. Has no effect once an environment was made.

    Args:
        env: Name of the environment.

    Raises:
        ValueError: There is none, and trying would end the process.
    """
    if not sys.platform.startswith("linux"):
        return
    if not os.environ.get("DISPLAY"):
        os.environ.setdefault("MUJOCO_GL", "egl")
    if env.startswith("envpool:"):
        # EnvPool asks for OpenGL functions of libraries that somebody else has loaded, and aborts without.
        try:
            ctypes.CDLL("libEGL.so.1", ctypes.RTLD_GLOBAL)
        except OSError as error:
            raise ValueError(
                f"'{env}' cannot be rendered here: EnvPool needs the library libEGL.so.1, which is missing. Debian and "
                "Ubuntu have it in the package libegl1."
            ) from error
