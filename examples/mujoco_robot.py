# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""A robot of your own, from its MJCF file to a policy: two wheels that balance a body and go where they are told.

    rsl-rl train mujoco:examples/mujoco_robot.py:Balancer --num-envs 64 --iterations 100
    rsl-rl play mujoco-examples-mujoco_robot.py-Balancer --view

The model is a few lines here; ``xml = "my_robot.xml"`` takes one from a file. What a policy sees, what is rewarded and
when an episode ends are methods, listed by name in tables; every attribute is an option of the command line:
``--env-options.rewards track_velocity=2``. docs/mujoco.md explains all of them.
"""

from __future__ import annotations

import mujoco
import numpy as np

from rsl_rl.env.mujoco import MujocoTask, State

MJCF = """
<mujoco>
  <option integrator="implicitfast"/>
  <worldbody>
    <light pos="0 0 3" mode="trackcom"/>
    <geom name="floor" type="plane" size="0 0 1" friction="0.9" rgba="0.75 0.8 0.85 1"/>
    <body name="body" pos="0 0 0.1">
      <freejoint/>
      <camera name="track" mode="trackcom" pos="0 -1.5 0.4" xyaxes="1 0 0 0 0.2 1"/>
      <geom type="box" size="0.05 0.08 0.15" pos="0 0 0.2" mass="2" rgba="0.95 0.5 0.15 1"/>
      <body name="left" pos="0 0.11 0">
        <joint name="left" axis="0 1 0" damping="0.01"/>
        <geom type="cylinder" size="0.1 0.02" euler="90 0 0" mass="0.3" rgba="0.2 0.2 0.22 1"/>
      </body>
      <body name="right" pos="0 -0.11 0">
        <joint name="right" axis="0 1 0" damping="0.01"/>
        <geom type="cylinder" size="0.1 0.02" euler="90 0 0" mass="0.3" rgba="0.2 0.2 0.22 1"/>
      </body>
    </body>
  </worldbody>
  <actuator>
    <motor joint="left" gear="2"/>
    <motor joint="right" gear="2"/>
  </actuator>
</mujoco>
"""


class Balancer(MujocoTask):
    """Commands: velocity forward in m/s, turning rate to the left in rad/s."""

    sim_dt = 0.005
    episode_seconds = 10.0
    action_scale = 0.3  # an action of 1 is 0.6 Nm: with much more, a policy learns to jerk from one limit to the other
    commands = {"forward": (-1.0, 1.0, 0.8), "turn": (-2.0, 2.0, 0.5)}  # lowest, highest, how often not zero
    observations = {"policy": ("gravity", "angular_velocity", "joint_velocities", "action", "command")}
    scales = {"joint_velocities": 0.1}
    noise = {"gravity": 0.02, "angular_velocity": 0.1, "joint_velocities": 0.2}
    rewards = {"track_velocity": 1.0, "track_turn": 0.5, "tilt": -1.0, "action_rate": -0.02}
    terminations = ("fallen",)
    metrics = ("error_velocity", "error_turn")

    def spec(self) -> mujoco.MjSpec:
        return mujoco.MjSpec.from_string(MJCF)

    def reset(self, qpos: np.ndarray, qvel: np.ndarray, memory: dict, generator: np.random.Generator) -> None:
        tilt = generator.uniform(-0.1, 0.1, len(qpos))  # about the axle
        qpos[:, 3], qpos[:, 5] = np.cos(tilt / 2), np.sin(tilt / 2)

    def measured(self, state: State) -> np.ndarray:
        return np.stack([state.velocity[:, 0], state.angular_velocity[:, 2]], axis=1)

    def error_velocity(self, state: State) -> np.ndarray:
        return np.abs(self.measured(state) - state.command)[:, 0]

    def error_turn(self, state: State) -> np.ndarray:
        return np.abs(self.measured(state) - state.command)[:, 1]

    def track_velocity(self, state: State) -> np.ndarray:
        return np.exp(-4.0 * self.error_velocity(state) ** 2)

    def track_turn(self, state: State) -> np.ndarray:
        return np.exp(-(self.error_turn(state) ** 2))

    def tilt(self, state: State) -> np.ndarray:
        return state.gravity[:, 0] ** 2

    def action_rate(self, state: State) -> np.ndarray:
        return np.square(state.action - state.previous_action).sum(axis=1)

    def fallen(self, state: State) -> np.ndarray:
        return state.gravity[:, 2] > -0.6
