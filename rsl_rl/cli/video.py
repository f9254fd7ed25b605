# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Videos of a policy, also on machines without a screen."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tensordict import TensorDict

from rsl_rl.cli.viewer.viewable import is_of_mujoco
from rsl_rl.config.task import TaskConfig, judged_options
from rsl_rl.env import make_env
from rsl_rl.env.contract import Contract
from rsl_rl.robots.offscreen import choose_backend
from rsl_rl.utils.atomic_files import replaced_when_complete
from rsl_rl.utils.install_lines import INSTALL_LINES

# Drawing without a graphics card takes a fifth of a second a picture; GIF players keep up with no more than this.
_LONGEST_SECONDS = 10
_FRAMES_PER_SECOND = 25
_MUJOCO_HINT = (
    "Without a screen MuJoCo renders with MUJOCO_GL=egl or MUJOCO_GL=osmesa, given the libraries libegl1 or libosmesa6."
)
_OWN_HINT = (
    "For a video an environment takes render_mode='rgb_array' and has render(), which returns pictures [N, height, "
    "width, 3] of bytes; step_dt, seconds of a step, lets it play at the right speed."
)

# Of a robot that is commanded: how long each command is shown, and how long until it is measured.
_COMMAND_SECONDS, _SETTLED_SECONDS = 3.0, 1.5


def prepare_video(task: TaskConfig, path: Path) -> None:
    """Find out whether a video of a task can be made here, and let MuJoCo find a way to draw without a screen.

    Has to be called before the first environment is made.
    """
    _video_writers(path)
    if task.env.startswith("envpool:") and sys.platform == "linux":
        _prepare_envpool(task.env)
    with contextlib.nullcontext() if is_of_mujoco(task.env) else contextlib.suppress(ImportError):
        choose_backend()


def record_video(task: TaskConfig, policy: Callable[[TensorDict], torch.Tensor], path: Path, seed: int) -> list[str]:
    """Record one episode, or the first 10 seconds of a longer one; of a robot with commands, 3 seconds of each.

    The task's environment is made anew with a camera, after :func:`prepare_video`. The policy takes groups [1, ...] and
    returns actions [1, A]; the file is a .gif, or anything that ffmpeg writes. Returns lines that say what it shows.
    """
    with _drawing_errors(task.env):
        env: Any = make_env(task.env, num_envs=1, seed=seed, **{**judged_options(task), "render_mode": "rgb_array"})
    try:
        # 1.0 stands for an environment that does not tell: a picture a step, in no hurry.
        step_dt = getattr(getattr(env, "unwrapped", env), "step_dt", 1.0)
        rate = 1.0 / step_dt if step_dt < 1.0 else _FRAMES_PER_SECOND
        every = max(1, round(rate / _FRAMES_PER_SECOND))
        replay = _Replay(env, policy, task.env.startswith("mujoco:"))
        frames = replay.frames(max(100, round(_LONGEST_SECONDS * rate)), every)
        count = _write(path, frames, rate / every, task.env)
    finally:
        with contextlib.suppress(Exception):
            env.close()
    return [f"{path}: {count} frames, {count * every / rate:.1f} s", *replay.summary()]


class _Replay:
    """Plays the first episode of an environment; a robot with commands is asked for one after the other."""

    def __init__(self, env: Any, policy: Callable[[TensorDict], torch.Tensor], has_task: bool) -> None:
        self._env, self._policy = env, policy
        self._commands = list(env.task.commands.items()) if has_task else []
        self._contract = Contract(env)
        self._measured: dict[str, list[np.ndarray]] = {}
        self._fell_after: float | None = None

    def frames(self, max_steps: int, every: int) -> Iterator[np.ndarray]:
        """Yield the picture [height, width, 3] before every so many steps."""
        env = self._env
        getattr(self._policy, "reset", lambda: None)()
        commands, steps, settled = self._commands, 0, 0
        if commands:
            steps, settled = (round(seconds / env.step_dt) for seconds in (_COMMAND_SECONDS, _SETTLED_SECONDS))
            max_steps = steps * len(commands)
        obs, values = self._contract.check(env.get_observations(), "get_observations").obs, list[np.ndarray]()
        for step in range(max_steps):
            if commands and step % steps == 0:
                name, (_, highest, _) = commands[step // steps]
                asked = {other: 0.8 * highest * (other == name) for other, _ in commands}
                obs = env.ask(list(asked.values()))
                values = self._measured[f"{name} {asked[name]:.2f}"] = []
            if step % every == 0:
                pictures = env.render()
                if pictures is None or pictures[0] is None:
                    raise ValueError("it gives no pictures")
                yield np.asarray(pictures[0])
            with torch.inference_mode():
                obs, _, dones, _ = self._contract.check(env.step(self._policy(obs)))
            if bool(dones[0]):
                self._fell_after = (step + 1) * env.step_dt if commands else None
                return
            if commands and step % steps >= settled:
                measured = env.task.measured(env.state())
                values += [] if measured is None else [measured[0]]

    def summary(self) -> list[str]:
        """Return what a robot made of its commands, one line each."""
        lines = []
        for asked, measured in self._measured.items():
            if measured:
                means = zip(self._env.task.commands, np.mean(measured, axis=0), strict=True)
                lines.append(f"  {asked:16} {', '.join(f'{name} {mean:5.2f}' for name, mean in means)}")
        if self._fell_after is not None:
            lines.append(f"  fell after {self._fell_after:.1f} s")
        return lines


def _write(path: Path, frames: Iterator[np.ndarray], frames_per_second: float, env: str) -> int:
    """Write the pictures of an environment into a file that appears when it is complete; return how many."""
    timing: dict[str, Any] = {"fps": frames_per_second, "macro_block_size": 1}
    if path.suffix == ".gif":
        timing = {"duration": 1000 / frames_per_second, "loop": 0}
    with _drawing_errors(env):
        first = next(frames)
    count = 0
    with replaced_when_complete(path) as partial, _video_writers(path).get_writer(partial, **timing) as writer:
        for frame in itertools.chain([first], frames):
            height, width = frame.shape[:2]
            # The usual encodings of videos know no odd sizes.
            writer.append_data(frame[: height // 2 * 2, : width // 2 * 2])
            count += 1
    return count


@contextlib.contextmanager
def _drawing_errors(env: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # rendering fails in ways of its own on every platform
        hint = _MUJOCO_HINT if env.startswith(("mujoco:", "gym:", "envpool:", "mjlab:")) else _OWN_HINT
        raise ValueError(f"'{env}' cannot be rendered here: {error}. {hint}") from error


def _video_writers(path: Path) -> Any:
    """Return imageio, once everything is there to write this kind of file."""
    try:
        imageio = importlib.import_module("imageio.v2")
        if path.suffix != ".gif":
            importlib.import_module("imageio_ffmpeg")
    except ImportError as error:
        raise ImportError(
            f"Writing '{path.name}' needs: {INSTALL_LINES['video']} (a .gif needs imageio alone)."
        ) from error
    return imageio


def _prepare_envpool(env: str) -> None:
    """Load what EnvPool draws with: it asks for functions of libraries that somebody else has loaded, or aborts."""
    try:
        ctypes.CDLL("libEGL.so.1", ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise ImportError(
            f"'{env}' cannot be rendered here: EnvPool needs the library libEGL.so.1, which is missing. On Debian and "
            "Ubuntu: 'sudo apt-get install libegl1'."
        ) from error
