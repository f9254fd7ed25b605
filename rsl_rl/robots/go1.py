# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""A Unitree Go1 in plain MuJoCo, driven as its controller would drive it.

Needs numpy and mujoco, nothing else: this file and ``go1.xml`` can be copied to another machine. A policy that was
trained on EnvPool's ``Go1JoystickFlatTerrain-v1`` (the joystick task of MuJoCo Playground) finds the same robot, the
same time steps and the same observation here, with or without the noise that training adds.
"""
# What mujoco offers comes out of compiled modules.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import numpy.typing as npt

OBSERVATION = {
    "velocity": slice(0, 3),
    "gyro": slice(3, 6),
    "gravity": slice(6, 9),
    "joint_angles": slice(9, 21),
    "joint_velocities": slice(21, 33),
    "last_action": slice(33, 45),
    "command": slice(45, 48),
}
"""Where everything lies in an observation; the first three are in the frame of the IMU."""

NOISE = {"velocity": 0.1, "gyro": 0.2, "gravity": 0.05, "joint_angles": 0.03, "joint_velocities": 1.5}
"""How far off observations of the training are at most; each error within is as likely as another."""

ACTION_SCALE = 0.5
"""Joint angle in rad that an action of 1 adds to the default pose."""

CONTROL_DT = 0.02
"""Seconds between two actions."""

_LYING_HEIGHT = 0.1  # metres


def soft_start(seconds: float) -> float:
    """Return the share of a command that a robot which stands still is given after so many seconds.

    Nothing for half a second, then all of it within another half. In training a robot is in motion when a command
    changes: one that stands perfectly still and is asked for full speed at once may stumble.
    """
    return min(max(2.0 * seconds - 1.0, 0.0), 1.0)


class Go1:
    """One robot on flat ground.

    A controller's loop, 50 times a second::

        robot = Go1()
        while not robot.has_fallen:
            action = policy(robot.observation([1.0, 0.0, 0.0]))
            robot.apply(action)
            robot.step()
    """

    num_observations = 48
    num_actions = 12

    def __init__(self, noise: float = 0.0, seed: int = 0, xml: str | os.PathLike[str] | None = None) -> None:
        """Load the robot and stand it on the ground.

        Args:
            noise: Errors of the sensors, as a multiple of :data:`NOISE`. With 0 a robot that stands is perfectly
                still, which none is, and which a policy may never have seen.
            seed: Of the errors.
            xml: Another model with the same joints, actuators and sensors; None for ``go1.xml`` beside this file.
        """
        self.model: Any = mujoco.MjModel.from_xml_path(str(xml or Path(__file__).with_name("go1.xml")))
        self.data: Any = mujoco.MjData(self.model)
        self.default_pose: np.ndarray = self.model.keyframe("home").ctrl.copy()
        """Joint angles that the action 0 asks for, [12]."""
        self.joint_names = [self.model.joint(index).name for index in self.model.actuator_trnid[:, 0]]
        """The joints in the order of actions, angles and velocities."""
        self._substeps = round(CONTROL_DT / self.model.opt.timestep)
        self._qpos = self.model.jnt_qposadr[self.model.actuator_trnid[:, 0]]
        self._qvel = self.model.jnt_dofadr[self.model.actuator_trnid[:, 0]]
        self._imu = self.model.site("imu").id
        self._action = np.zeros(self.num_actions)
        self._previous_action = np.zeros(self.num_actions)
        self._renderer: Any = None
        self._random = np.random.default_rng(seed)
        self._largest_errors = np.zeros(self.num_observations)
        for name, largest in NOISE.items():
            self._largest_errors[OBSERVATION[name]] = noise * largest
        self.reset()

    def reset(self) -> None:
        """Stand still in the default pose."""
        mujoco.mj_resetDataKeyframe(self.model, self.data, self.model.keyframe("home").id)
        self._action[:] = self._previous_action[:] = 0.0
        mujoco.mj_forward(self.model, self.data)

    def observation(self, command: npt.ArrayLike = (0.0, 0.0, 0.0)) -> np.ndarray:
        """Return what a policy sees, [48], float32, in the order of :data:`OBSERVATION`.

        Args:
            command: Wanted velocity forward and to the left in m/s, and wanted turning rate to the left in rad/s.

        Raises:
            ValueError: The command is not three numbers.
        """
        values = np.asarray(command, dtype=float)
        if values.shape != (3,):
            raise ValueError(f"A command is three numbers (forward, left, turn), got an array of shape {values.shape}.")
        rotation = self.data.site_xmat[self._imu].reshape(3, 3)
        errors = self._random.uniform(-self._largest_errors, self._largest_errors)
        exact = np.concatenate(
            [
                self.data.sensor("velocity").data,
                self.data.sensor("gyro").data,
                -rotation[2],  # the world's "down", seen from the IMU
                self.data.qpos[self._qpos] - self.default_pose,
                self.data.qvel[self._qvel],
                self._previous_action,
                values,
            ]
        )
        return (exact + errors).astype(np.float32)

    def apply(self, action: npt.ArrayLike) -> None:
        """Ask for joint angles: the default pose plus half the action, which is clipped to [-1, 1] as in training.

        Args:
            action: What the policy answers, [12].

        Raises:
            ValueError: It is of another size or not finite.
        """
        values = np.asarray(action, dtype=float).reshape(-1)
        if values.shape != (self.num_actions,) or not np.isfinite(values).all():
            raise ValueError(f"An action is {self.num_actions} finite numbers, one a joint, got {values}.")
        # In training, an observation holds the action of the step before it, not the one that led to it.
        self._previous_action[:] = self._action
        self._action[:] = values.clip(-1.0, 1.0)
        self.data.ctrl[:] = self.default_pose + ACTION_SCALE * self._action

    def step(self) -> None:
        """Let 0.02 s pass."""
        mujoco.mj_step(self.model, self.data, nstep=self._substeps)

    @property
    def velocity(self) -> np.ndarray:
        """What a command asks for as it is: forward and to the left in m/s, turning to the left in rad/s, [3]."""
        forward, left, _ = self.data.sensor("velocity").data
        return np.array([forward, left, self.data.sensor("gyro").data[2]])

    @property
    def position(self) -> np.ndarray:
        """Where the trunk is, [3], in m."""
        return self.data.qpos[:3].copy()

    @property
    def has_fallen(self) -> bool:
        """Whether the trunk is on its back, which ends an episode in training, or on the ground.

        Only the feet touch the ground: a robot that lies down sinks into it.
        """
        return bool(self.data.site_xmat[self._imu][8] < 0.0 or self.data.qpos[2] < _LYING_HEIGHT)

    def render(self, width: int = 640, height: int = 480, camera: str = "track") -> np.ndarray:
        """Return a picture, [height, width, 3], uint8; see ``offscreen.py`` for machines without a screen.

        Args:
            width: In pixels, at most 1280.
            height: In pixels, at most 960.
            camera: ``"track"`` or ``"side"``.
        """
        if self._renderer is None or (self._renderer.width, self._renderer.height) != (width, height):
            self.close()
            self._renderer = mujoco.Renderer(self.model, height=height, width=width)
        self._renderer.update_scene(self.data, camera=camera)
        return self._renderer.render()

    def close(self) -> None:
        """Give back what drawing has taken."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
