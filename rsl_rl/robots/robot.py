# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""One robot of a task in plain MuJoCo, driven as its controller would drive it.

Needs numpy and mujoco, nothing else: this file, ``mujoco_task.py`` and those of the task can be copied to a robot.
"""
# What mujoco offers comes out of compiled modules.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
import numpy.typing as npt

try:
    from rsl_rl.robots.mujoco_task import MujocoTask, State
except ImportError:  # copied to a robot
    from mujoco_task import MujocoTask, State  # type: ignore[import-not-found, no-redef]


class Robot:
    """Sees what a policy saw in training, and does what it asked for, as the task says.

    A controller's loop, every ``task.control_dt`` seconds::

        robot = Robot(Go1Walk(sim_dt=0.004, iterations=20))
        while not robot.has_fallen:
            action = policy(robot.observation([1.0, 0.0, 0.0]))
            robot.apply(action)
            robot.step()
    """

    def __init__(self, task: MujocoTask, seed: int = 0) -> None:
        """Stand the robot up in its home pose. ``seed`` is that of the errors of its sensors, see ``noise_level``."""
        self.task = task
        self.model: Any = task.compiled()
        self.data: Any = mujoco.MjData(self.model)
        self.group = next(iter(task.observations))
        """The observation group that the policy sees: the task's first."""
        self._generator = np.random.default_rng(seed)
        self._renderer: Any = None
        self.reset()

    def reset(self) -> None:
        """Stand still in the home pose."""
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:], self.data.ctrl[:] = self.task.home_data.qpos, self.task.home_data.ctrl
        mujoco.mj_forward(self.model, self.data)
        self._memory = self.task.new_memory(1)

    def observation(self, command: npt.ArrayLike | None = None) -> np.ndarray:
        """Return what the policy sees, [d], float32.

        Args:
            command: What is asked for from now on, in the order of ``task.commands``; None for what it was.

        Raises:
            ValueError: It is of another size, or not finite.
        """
        if command is not None:
            values = np.asarray(command, dtype=np.float32)
            if values.shape != (len(self.task.commands),) or not np.isfinite(values).all():
                raise ValueError(f"A command is a number for each of {', '.join(self.task.commands)}, got {command!r}.")
            self._memory["command"][0] = values
        return self.task.observe(self.state, self._generator)[self.group][0]

    def apply(self, action: npt.ArrayLike) -> None:
        """Give the motors what an action [A] asks for; it is clipped as in training.

        Raises:
            ValueError: It is of another size, or not finite.
        """
        values = np.asarray(action, dtype=np.float32).reshape(-1)
        if values.shape != (self.model.nu,) or not np.isfinite(values).all():
            raise ValueError(f"An action is {self.model.nu} finite numbers, one a motor, got {values}.")
        self._memory["previous_action"][:] = self._memory["action"]
        self._memory["action"][0] = values.clip(-self.task.action_limit, self.task.action_limit)
        self.data.ctrl[:] = self.task.control(self._memory["action"])[0]

    def step(self) -> None:
        """Let ``task.control_dt`` seconds pass."""
        mujoco.mj_step(self.model, self.data, nstep=self.task.substeps)
        self.task.advance(self.state)

    @property
    def state(self) -> State:
        """The robot as terms see it, N = 1."""
        data = self.data
        qpos, qvel, sensordata = (values[None].astype(np.float32) for values in (data.qpos, data.qvel, data.sensordata))
        return State(self.task, qpos, qvel, sensordata, self._memory)

    @property
    def measured(self) -> np.ndarray | None:
        """What a command asks for as it is, in the order of ``task.commands``; None where the task cannot say."""
        values = self.task.measured(self.state)
        return None if values is None else values[0]

    @property
    def has_fallen(self) -> bool:
        """Whether an episode of training would have ended in a failure."""
        return any(bool(self.task.term(name, self.state)[0]) for name in self.task.terminations)

    def render(self, width: int = 640, height: int = 480, camera: int | str = 0) -> np.ndarray:
        """Return a picture, [height, width, 3], uint8; see ``offscreen.py`` for machines without a screen."""
        if self._renderer is None or (self._renderer.width, self._renderer.height) != (width, height):
            self.close()
            self._renderer = mujoco.Renderer(self.model, height=height, width=width)
        self._renderer.update_scene(self.data, camera=camera if self.model.ncam else -1)
        return self._renderer.render()

    def close(self) -> None:
        """Give back what drawing has taken."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
