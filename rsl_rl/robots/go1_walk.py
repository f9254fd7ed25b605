# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""A Unitree Go1 that trots at the velocity it is asked for, and stands where it is asked for none.

Needs numpy and mujoco, nothing else: this file, ``mujoco_task.py`` and ``go1.xml`` can be copied to a robot.

The policy sees what a real Go1 measures, and not its velocity. A gait clock says when which pair of feet should swing;
the largest reward is for swinging then. Both, with coarse steps of the simulation, are what makes a minute of training
enough.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

try:
    from rsl_rl.robots.mujoco_task import Memory, MujocoTask, State
except ImportError:  # copied to a robot
    from mujoco_task import Memory, MujocoTask, State  # type: ignore[import-not-found, no-redef]

FEET = ("FR", "FL", "RR", "RL")
FOOT_RADIUS = 0.023  # m
CLOCK_OFFSETS = np.array([0.0, 0.5, 0.5, 0.0], np.float32)  # a trot: FR with RL, FL with RR
MIRRORED_JOINTS = ((3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8), (-1, 1, 1) * 4)
STANDING_HEIGHT = 0.28  # m


class Go1Walk(MujocoTask):
    """Commands: velocity forward and to the left in m/s, turning rate to the left in rad/s."""

    xml = "go1.xml"
    sim_dt = 0.01
    iterations = 3
    episode_seconds = 10.0
    action_scale = 0.5
    action_limit = 2.0
    commands = {"forward": (-1.2, 1.2, 0.9), "left": (-0.6, 0.6, 0.4), "turn": (-1.2, 1.2, 0.5)}
    memory = {"phase": (), "settling": ()}
    observations = {
        "actor": ("gyro", "gravity", "joint_angles", "joint_velocities", "action", "command", "clock"),
        "critic": (
            "gyro", "gravity", "joint_angles", "joint_velocities", "action", "command", "clock",
            "velocity", "foot_heights", "contacts", "base_height",
        ),
    }  # fmt: skip
    scales = {"gyro": 0.25, "joint_velocities": 0.05, "foot_heights": 10.0, "base_height": 5.0}
    noise = {"gyro": 0.2, "gravity": 0.05, "joint_angles": 0.03, "joint_velocities": 1.5}
    mirrors = {
        **dict.fromkeys(("gravity", "velocity"), ((0, 1, 2), (1, -1, 1))),
        "gyro": ((0, 1, 2), (-1, 1, -1)),
        **dict.fromkeys(("joint_angles", "joint_velocities", "action"), MIRRORED_JOINTS),
        "command": ((0, 1, 2), (1, -1, -1)),
        "clock": ((0, 1), (-1, -1)),  # a trot in the mirror is the trot half a cycle later
        **dict.fromkeys(("foot_heights", "contacts"), ((1, 0, 3, 2), (1, 1, 1, 1))),
        "base_height": ((0,), (1,)),
    }
    rewards = {
        "track_velocity": 2.0,
        "track_turn": 0.6,
        "gait": 2.0,
        "pose": -0.3,
        "tilt": -2.0,
        "bounce": -0.3,
        "wobble": -0.02,
        "action_rate": -0.01,
        "sag": -10.0,
    }
    terminations = ("fallen",)
    metrics = ("error_velocity", "error_turn")
    events = {"push": 0.0}

    standing: float = 0.1
    """Share of the commands that are to stand still, beside those in which all happen to be zero."""
    settling_seconds: float = 0.4
    """How long the gait clock goes on after a robot was told to stop."""
    clock_frequency: float = 3.0
    """Steps of a pair of feet per second."""
    swing_height: float = 0.08
    """How high a foot is lifted, m."""
    tracking_width: float = 0.07
    """Squared error, in (m/s)^2 or (rad/s)^2, at which half of the reward for tracking is left."""
    push_velocity: float = 0.5
    """Largest change of the velocity by a push, m/s."""

    # -- what is remembered, and how an episode starts -----------------------------------------------------------------

    def reset(self, qpos: np.ndarray, qvel: np.ndarray, memory: Memory, generator: np.random.Generator) -> None:
        """Start near the home pose, moving a little, anywhere in the gait cycle."""
        count = len(qpos)
        qpos[:, 7:] += generator.uniform(-0.2, 0.2, (count, 12))
        qpos[:, 2] += generator.uniform(0.0, 0.03, count)
        qvel[:, :6] = generator.uniform(-0.5, 0.5, (count, 6))
        memory["phase"][:] = generator.random(count)
        memory["settling"][:] = self.settling_seconds

    def draw_commands(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Return new commands, [count, 3]."""
        commands = super().draw_commands(count, generator)
        return commands * (generator.random(count) >= self.standing)[:, None]

    def advance(self, state: State) -> None:
        """Let the gait clock go on where the robot is to move, and rest where it is to stand."""
        phase, settling = state.memory["phase"], state.memory["settling"]
        phase += np.float32(self.clock_frequency * self.control_dt)
        phase %= np.float32(1.0)
        phase *= self.moves(state)
        asked = state.command.any(axis=1)
        settling[:] = np.where(asked, self.settling_seconds, np.maximum(settling - self.control_dt, 0.0))

    def push(self, qpos: np.ndarray, qvel: np.ndarray, generator: np.random.Generator) -> None:
        """Push robots to any side (an event)."""
        angle = generator.uniform(0.0, 2 * np.pi, len(qpos))
        qvel[:, :2] += self.push_velocity * np.stack([np.cos(angle), np.sin(angle)], axis=1)

    # -- what is seen --------------------------------------------------------------------------------------------------

    def measured(self, state: State) -> np.ndarray:
        """Velocity forward and to the left, turning rate to the left, [N, 3]."""
        return np.concatenate([state.velocity[:, :2], state.angular_velocity[:, 2:]], axis=1)

    def moves(self, state: State) -> np.ndarray:
        """Whether a robot is to step, [N], bool: also for a while after it was told to stop, or it would topple."""
        return state.command.any(axis=1) | (state.memory["settling"] > 0.0)

    def gyro(self, state: State) -> np.ndarray:
        """Angular velocity in the frame of the trunk, [N, 3], rad/s."""
        return state.angular_velocity

    def clock(self, state: State) -> np.ndarray:
        """Sine and cosine of the gait cycle, [N, 2]; zero where the robot is to stand."""
        angle = np.float32(2 * np.pi) * state.memory["phase"]
        return np.stack([np.sin(angle), np.cos(angle)], axis=1) * self.moves(state)[:, None]

    def foot_heights(self, state: State) -> np.ndarray:
        """Height of the feet above the ground, [N, 4], m."""
        return state.sensor(*(f"{foot}_position" for foot in FEET))[:, :, 2] - np.float32(FOOT_RADIUS)

    def contacts(self, state: State) -> np.ndarray:
        """Whether a foot touches the ground, [N, 4], bool."""
        return self.foot_heights(state) < 0.002

    def base_height(self, state: State) -> np.ndarray:
        """Height of the trunk less that at which it should be, [N], m."""
        return state.height - np.float32(STANDING_HEIGHT)

    # -- what is rewarded ----------------------------------------------------------------------------------------------

    def reward(self, terms: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return a product: what is bad takes a share of what is good, so that falling never pays."""
        good = np.sum([value for name, value in terms.items() if self.rewards[name] > 0], axis=0)
        bad = np.sum([value for name, value in terms.items() if self.rewards[name] < 0], axis=0)
        return self.control_dt * good * np.exp(bad)

    def off(self, state: State) -> np.ndarray:
        """Velocity less what is asked for: forward, left, turn, [N, 3]."""
        return self.measured(state) - state.command

    def track_velocity(self, state: State) -> np.ndarray:
        """1 at the velocity asked for, half at an error of 0.26 m/s."""
        return self._near(np.square(self.off(state)[:, :2]).sum(axis=1))

    def track_turn(self, state: State) -> np.ndarray:
        """1 at the turning rate asked for, half at an error of 0.26 rad/s."""
        return self._near(np.square(self.off(state)[:, 2]))

    def _near(self, squared: np.ndarray) -> np.ndarray:
        return 1.0 / (1.0 + squared / np.float32(self.tracking_width))

    def gait(self, state: State) -> np.ndarray:
        """1 where the feet that should swing follow an arc and the others stand without slipping; mean over feet."""
        arc = np.sin(np.float32(2 * np.pi) * (state.memory["phase"][:, None] + CLOCK_OFFSETS))
        swings = (arc > 0) & self.moves(state)[:, None]
        arc = arc * swings
        in_swing = 1.0 - np.abs(self.foot_heights(state) / np.float32(self.swing_height) - arc) / np.maximum(arc, 0.3)
        slip = np.square(state.sensor(*(f"{foot}_velocity" for foot in FEET))[:, :, :2]).sum(axis=2)
        in_stance = self.contacts(state) / (1.0 + 5.0 * slip)
        return np.where(swings, np.maximum(in_swing, 0.0), in_stance).mean(axis=1)

    def pose(self, state: State) -> np.ndarray:
        """Squared distance of the joints from the home pose; abduction counts most, rad^2."""
        return np.square(state.joint_angles) @ np.tile(np.array([1.0, 0.2, 0.1], np.float32), 4)

    def tilt(self, state: State) -> np.ndarray:
        """Squared sine of the trunk's inclination."""
        return np.square(state.gravity[:, :2]).sum(axis=1)

    def bounce(self, state: State) -> np.ndarray:
        """Squared velocity upwards, (m/s)^2."""
        return np.square(state.velocity[:, 2])

    def wobble(self, state: State) -> np.ndarray:
        """Squared rates of roll and pitch, (rad/s)^2."""
        return np.square(state.angular_velocity[:, :2]).sum(axis=1)

    def action_rate(self, state: State) -> np.ndarray:
        """Squared change of the actions."""
        return np.square(state.action - state.previous_action).sum(axis=1)

    def sag(self, state: State) -> np.ndarray:
        """Squared distance from the standing height, m^2."""
        return np.square(self.base_height(state))

    # -- how it ends, and what is reported -----------------------------------------------------------------------------

    def fallen(self, state: State) -> np.ndarray:
        """Whether the trunk leans by more than 60 degrees or is near the ground."""
        return (state.gravity[:, 2] > -0.5) | (state.height < 0.14)

    def error_velocity(self, state: State) -> np.ndarray:
        """Length of the difference to the velocity asked for, m/s."""
        return np.hypot(*self.off(state)[:, :2].T)

    def error_turn(self, state: State) -> np.ndarray:
        """The same of the turning rate, rad/s."""
        return np.abs(self.off(state)[:, 2])
