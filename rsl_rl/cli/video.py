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
from rsl_rl.env.spaces import observation_readers
from rsl_rl.robots.offscreen import choose_backend
from rsl_rl.utils import listed
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

COMMANDS = {
    "forward, 1.0 m/s": (1.0, 0.0, 0.0),
    "turning left, 1.0 rad/s": (0.0, 0.0, 1.0),
    "to the left, 0.5 m/s": (0.0, 0.5, 0.0),
}
"""What a Go1 is asked for, one after the other."""
_GO1_SECONDS = 3.0
_STEPS_PER_FRAME = 2
_WIDTH, _HEIGHT = 640, 480
_GO1_SETTLED = 1.5  # seconds that the start, or a change of the command, takes
# What the task's environment may set otherwise, and the plain scene has fixed.
_GO1_FIXED = {"ctrl_dt": 0.02, "sim_dt": 0.004, "kp": 35.0, "kd": 0.5, "action_scale": 0.5, "frame_stack": 1}


def prepare_video(task: TaskConfig, path: Path) -> None:
    """Find out whether a video of a task can be made here, and let MuJoCo find a way to draw without a screen.

    Has to be called before the first environment is made.
    """
    _video_writers(path)
    if is_go1(task):
        Go1Replay(task)
        choose_backend()
        return
    if task.env.startswith("envpool:") and sys.platform == "linux":
        _prepare_envpool(task.env)
    with contextlib.nullcontext() if is_of_mujoco(task.env) else contextlib.suppress(ImportError):
        choose_backend()


def record_video(task: TaskConfig, policy: Callable[[TensorDict], torch.Tensor], path: Path, seed: int) -> list[str]:
    """Record one episode, or the first 10 seconds of a longer one; of a Go1, a few commands in plain MuJoCo.

    The task's environment is made anew with a camera, after :func:`prepare_video`. The policy takes groups [1, ...] and
    returns actions [1, A]; the file is a .gif, or anything that ffmpeg writes. Returns lines that say what it shows.
    """
    if is_go1(task):
        replay = Go1Replay(task)
        count = _write(path, replay.frames(policy), replay.frames_per_second, task.env)
        seconds = count / replay.frames_per_second
        return [f"{path}: {count} frames of the Go1 in plain MuJoCo, {seconds:.1f} s", *replay.summary()]
    with _drawing_errors(task.env):
        env: Any = make_env(task.env, num_envs=1, seed=seed, **{**judged_options(task), "render_mode": "rgb_array"})
    try:
        # 1.0 stands for an environment that does not tell: a picture a step, in no hurry.
        step_dt = getattr(getattr(env, "unwrapped", env), "step_dt", 1.0)
        rate = 1.0 / step_dt if step_dt < 1.0 else _FRAMES_PER_SECOND
        every = max(1, round(rate / _FRAMES_PER_SECOND))
        frames = _frames(env, policy, max(100, round(_LONGEST_SECONDS * rate)), every)
        count = _write(path, frames, rate / every, task.env)
    finally:
        with contextlib.suppress(Exception):
            env.close()
    return [f"{path}: {count} frames, {count * every / rate:.1f} s"]


def _frames(env: Any, policy: Callable[[TensorDict], torch.Tensor], max_steps: int, every: int) -> Iterator[np.ndarray]:
    """Yield the picture [height, width, 3] before every so many steps of the first episode."""
    getattr(policy, "reset", lambda: None)()
    contract = Contract(env)
    obs = contract.check(env.get_observations(), "get_observations").obs
    for step in range(max_steps):
        if step % every == 0:
            pictures = env.render()
            if pictures is None or pictures[0] is None:
                raise ValueError("it gives no pictures")
            yield np.asarray(pictures[0])
        with torch.inference_mode():
            obs, _, dones, _ = contract.check(env.step(policy(obs)))
        if bool(dones[0]):
            return


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
        hint = _MUJOCO_HINT if env.startswith(("gym:", "envpool:", "mjlab:")) else _OWN_HINT
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


def is_go1(task: TaskConfig) -> bool:
    """Return whether a task trains the robot that the plain scene holds."""
    return task.env.startswith("envpool:Go1Joystick")


class Go1Replay:
    """Plays a Go1's policy under a few commands in plain MuJoCo, and measures what the robot makes of them.

    EnvPool, which trains it, cannot draw everywhere and chooses commands at random.
    """

    def __init__(self, task: TaskConfig) -> None:
        """Raise ValueError unless a policy of this task can act here: it may see what only the simulator knows."""
        from gymnasium.spaces import Box, Dict

        for option, value in _GO1_FIXED.items():
            if task.env_options.get(option, value) != value:
                raise ValueError(
                    f"The video of '{task.env}' is made in a MuJoCo scene with {option} = {value}, and this policy was "
                    f"trained with {task.env_options[option]}."
                )
        # The group "state", and every group that is a part of it.
        groups = task.env_options.get("groups") or {}
        parts = {name: part for name, part in groups.items() if isinstance(part, dict) and set(part) == {"state"}}
        self._readers = observation_readers(Dict({"state": Box(-np.inf, np.inf, (48,))}), parts)
        obs_groups = task.runner.obs_groups
        needed = obs_groups.get("student") or obs_groups.get("actor") or []
        if unknown := [group for group in needed if group not in self._readers]:
            raise ValueError(
                f"No video: the policy sees {listed(unknown)}, which only the simulator of the training knows. In "
                "plain MuJoCo a policy can act that sees 'state' or parts of it, such as the one of go1-student."
            )
        if importlib.util.find_spec("mujoco") is None:
            raise ImportError(f"The video of a Go1 needs MuJoCo: {INSTALL_LINES['envs']}")
        self.frames_per_second = 50 / _STEPS_PER_FRAME
        self._velocities: dict[str, list[np.ndarray]] = {}
        self._fell_after: float | None = None

    def frames(self, policy: Callable[[TensorDict], torch.Tensor]) -> Iterator[np.ndarray]:
        """Yield pictures [height, width, 3] until the robot has done everything, or falls."""
        # MuJoCo decides when it is imported how to draw: not before this is wanted.
        go1, steps = importlib.import_module("rsl_rl.robots.go1"), round(_GO1_SECONDS * 50)
        getattr(policy, "reset", lambda: None)()
        with contextlib.closing(go1.Go1(noise=1.0)) as robot:
            for index, (name, command) in enumerate(COMMANDS.items()):
                self._velocities[name] = []
                for step in range(steps):
                    if step % _STEPS_PER_FRAME == 0:
                        yield robot.render(_WIDTH, _HEIGHT)
                    wanted = np.array(command) * (go1.soft_start(step / 50) if index == 0 else 1.0)
                    state = robot.observation(wanted)[None]
                    groups = {name: reader.read(state) for name, reader in self._readers.items()}
                    with torch.inference_mode():
                        actions = policy(TensorDict(groups, [1]))
                    robot.apply(actions[0].cpu().numpy())
                    robot.step()
                    if step >= _GO1_SETTLED * 50:
                        self._velocities[name].append(robot.velocity)
                    if robot.has_fallen:
                        self._fell_after = (index * steps + step + 1) / 50
                        return

    def summary(self) -> list[str]:
        """Return what the robot made of the commands, one line each."""
        lines = []
        for name, velocities in self._velocities.items():
            if velocities:
                forward, left, turn = np.mean(velocities, axis=0)
                lines.append(f"  {name:24} {forward:5.2f} m/s forward, {left:5.2f} m/s left, {turn:5.2f} rad/s")
        if self._fell_after is not None:
            lines.append(f"  fell after {self._fell_after:.1f} s")
        return lines
