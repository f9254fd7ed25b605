# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""A Go1's policy in plain MuJoCo: EnvPool, which trains it, cannot draw everywhere and chooses commands at random."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator

import numpy as np
import torch
from tensordict import TensorDict

from rsl_rl.config.task import TaskConfig
from rsl_rl.env.spaces import observation_readers
from rsl_rl.utils import listed

COMMANDS = {
    "forward, 1.0 m/s": (1.0, 0.0, 0.0),
    "turning left, 1.0 rad/s": (0.0, 0.0, 1.0),
    "to the left, 0.5 m/s": (0.0, 0.5, 0.0),
}
"""What the robot is asked for, one after the other."""

_SECONDS = 3.0
_STEPS_PER_FRAME = 2
_WIDTH, _HEIGHT = 640, 480
_SETTLED = 1.5  # seconds that the start, or a change of the command, takes
# What the task's environment may set otherwise, and the plain scene has fixed.
_FIXED = {"ctrl_dt": 0.02, "sim_dt": 0.004, "kp": 35.0, "kd": 0.5, "action_scale": 0.5, "frame_stack": 1}


def is_go1(task: TaskConfig) -> bool:
    """Return whether a task trains the robot that the plain scene holds."""
    return task.env.startswith("envpool:Go1Joystick")


class Go1Replay:
    """Plays a policy under a few commands, and measures what the robot makes of them."""

    def __init__(self, task: TaskConfig) -> None:
        """Find out whether a policy of this task can act here.

        Args:
            task: A task for which :func:`is_go1` holds.

        Raises:
            ValueError: Its policy sees what only the simulator knows, or was trained on another robot.
            ImportError: A package is missing.
        """
        from gymnasium.spaces import Box, Dict

        for option, value in _FIXED.items():
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
            raise ImportError('The video of a Go1 needs MuJoCo: pip install "rsl-rl-lib[envs]"')
        self.frames_per_second = 50 / _STEPS_PER_FRAME
        self._velocities: dict[str, list[np.ndarray]] = {}
        self._fell_after: float | None = None

    def frames(self, policy: Callable[[TensorDict], torch.Tensor]) -> Iterator[np.ndarray]:
        """Yield pictures [height, width, 3] until the robot has done everything, or falls.

        Args:
            policy: Groups [1, ...] -> actions [1, 12].
        """
        # MuJoCo decides when it is imported how to draw: not before this is wanted.
        go1, steps = importlib.import_module("rsl_rl.robots.go1"), round(_SECONDS * 50)
        robot = go1.Go1(noise=1.0)
        getattr(policy, "reset", lambda: None)()
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
                if step >= _SETTLED * 50:
                    self._velocities[name].append(robot.velocity)
                if robot.has_fallen:
                    self._fell_after = (index * steps + step + 1) / 50
                    robot.close()
                    return
        robot.close()

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
