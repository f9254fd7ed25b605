# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Videos of a policy, also on machines without a screen."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tensordict import TensorDict

from rsl_rl.cli.video_go1 import Go1Replay, is_go1
from rsl_rl.config.task import TaskConfig
from rsl_rl.env import make_env
from rsl_rl.robots.offscreen import choose_backend
from rsl_rl.utils.atomic_files import replaced_when_complete

# Drawing without a graphics card takes a fifth of a second a picture; GIF players keep up with no more than this.
_LONGEST_SECONDS = 10
_FRAMES_PER_SECOND = 25
# Environments that draw with MuJoCo; others may have a way of their own.
_MUJOCO_PACKAGES = ("gymnasium.envs.mujoco", "gymnasium_robotics")
_MUJOCO_HINT = (
    "Without a screen MuJoCo renders with MUJOCO_GL=egl or MUJOCO_GL=osmesa, given the libraries libegl1 or libosmesa6."
)
_OWN_HINT = (
    "For a video an environment takes render_mode='rgb_array' and has render(), which returns pictures [N, height, "
    "width, 3] of bytes; step_dt, seconds of a step, lets it play at the right speed."
)


def prepare_video(task: TaskConfig, path: Path) -> None:
    """Find out whether a video of a task can be made here, and let MuJoCo find a way to draw without a screen.

    Has to be called before the first environment is made.

    Args:
        task: What is to be seen.
        path: The file.

    Raises:
        ImportError: A package or a library of the system is missing; gives the install line.
        ValueError: The policy cannot be replayed, or trying to draw would end the process.
    """
    _video_writers(path)
    if is_go1(task):
        Go1Replay(task)
        choose_backend()
        return
    if task.env.startswith("envpool:"):
        _prepare_envpool(task.env)
    with contextlib.nullcontext() if _draws_with_mujoco(task.env) else contextlib.suppress(ImportError):
        choose_backend()


def record_video(task: TaskConfig, policy: Callable[[TensorDict], torch.Tensor], path: Path, seed: int) -> list[str]:
    """Record one episode, or the first 10 seconds of a longer one; of a Go1, a few commands in plain MuJoCo.

    :func:`prepare_video` has to be called before the first environment is made.

    Args:
        task: Its environment is made anew with a camera.
        policy: Groups [1, ...] -> actions [1, A].
        path: The file: .gif, or anything that ffmpeg writes such as .mp4.
        seed: Seed of the environment.

    Returns:
        Lines that say what was recorded.

    Raises:
        ImportError: A package to write videos is missing.
        ValueError: The environment cannot render here.
    """
    if is_go1(task):
        replay = Go1Replay(task)
        count = _write(path, _first_one_checked(replay.frames(policy), task.env), replay.frames_per_second)
        seconds = count / replay.frames_per_second
        return [f"{path}: {count} frames of the Go1 in plain MuJoCo, {seconds:.1f} s", *replay.summary()]
    env: Any = None
    try:
        with _drawing_errors(task.env):
            env = make_env(task.env, num_envs=1, seed=seed, **{**task.env_options, "render_mode": "rgb_array"})
        # 1.0 stands for an environment that does not tell: a picture a step, in no hurry.
        step_dt = getattr(getattr(env, "unwrapped", env), "step_dt", 1.0)
        rate = 1.0 / step_dt if step_dt < 1.0 else _FRAMES_PER_SECOND
        every = max(1, round(rate / _FRAMES_PER_SECOND))
        frames = _frames(env, policy, max(100, round(_LONGEST_SECONDS * rate)), every)
        count = _write(path, _first_one_checked(frames, task.env), rate / every)
    finally:
        if env is not None:
            with contextlib.suppress(Exception):
                env.close()
    return [f"{path}: {count} frames, {count * every / rate:.1f} s"]


def _frames(env: Any, policy: Callable[[TensorDict], torch.Tensor], max_steps: int, every: int) -> Iterator[np.ndarray]:
    """Yield the picture [height, width, 3] before every so many steps of the first episode."""
    getattr(policy, "reset", lambda: None)()
    obs = env.get_observations()
    for step in range(max_steps):
        if step % every == 0:
            pictures = env.render()
            if pictures is None or pictures[0] is None:
                raise ValueError("it gives no pictures")
            yield np.asarray(pictures[0])
        with torch.inference_mode():
            obs, _, dones, _ = env.step(policy(obs))
        if bool(dones[0]):
            return


def _write(path: Path, frames: Iterator[np.ndarray], frames_per_second: float) -> int:
    """Write pictures into a file that appears when it is complete; return how many."""
    timing: dict[str, Any] = {"fps": frames_per_second, "macro_block_size": 1}
    if path.suffix == ".gif":
        timing = {"duration": 1000 / frames_per_second, "loop": 0}
    count = 0
    with replaced_when_complete(path) as partial, _video_writers(path).get_writer(partial, **timing) as writer:
        for frame in frames:
            height, width = frame.shape[:2]
            # The usual encodings of videos know no odd sizes.
            writer.append_data(frame[: height // 2 * 2, : width // 2 * 2])
            count += 1
    return count


def _first_one_checked(frames: Iterator[np.ndarray], env: str) -> Iterator[np.ndarray]:
    """Return the same pictures, once the first one could be drawn."""
    with _drawing_errors(env):
        first = next(frames)
    return itertools.chain([first], frames)


@contextlib.contextmanager
def _drawing_errors(env: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # rendering fails in ways of its own on every platform
        hint = _MUJOCO_HINT if env.startswith(("gym:", "envpool:", "mjlab:")) else _OWN_HINT
        raise ValueError(f"'{env}' cannot be rendered here: {error}. {hint}") from error


def _video_writers(path: Path) -> Any:
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
            f"Writing '{path.name}' needs: pip install \"rsl-rl-lib[video]\" (a .gif needs imageio alone)."
        ) from error
    return imageio


def _draws_with_mujoco(env: str) -> bool:
    """Return whether a Gymnasium environment is known to draw with MuJoCo."""
    scheme, _, identifier = env.partition(":")
    if scheme != "gym":
        return False
    try:
        import gymnasium

        entry_point = gymnasium.spec(identifier).entry_point
    except Exception:  # making the environment says what is wrong
        return False
    return isinstance(entry_point, str) and entry_point.startswith(_MUJOCO_PACKAGES)


def _prepare_envpool(env: str) -> None:
    """Load what EnvPool draws with: it asks for functions of libraries that somebody else has loaded, or aborts."""
    if not sys.platform.startswith("linux"):
        return
    try:
        ctypes.CDLL("libEGL.so.1", ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise ImportError(
            f"'{env}' cannot be rendered here: EnvPool needs the library libEGL.so.1, which is missing. On Debian and "
            "Ubuntu: 'sudo apt-get install libegl1'."
        ) from error
