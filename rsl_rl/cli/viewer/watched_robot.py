# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""One robot in an environment, as the viewer sees it: tasks of ours in MuJoCo, and Gymnasium's MuJoCo environments."""
# What mujoco offers comes out of compiled modules.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np
import torch
from tensordict import TensorDict

from rsl_rl.cli.viewer.joystick import axis_of
from rsl_rl.cli.viewer.viewable import not_viewable
from rsl_rl.config.task import TaskConfig, judged_options
from rsl_rl.env import VecEnv, make_env

PUSH_VELOCITY = 0.5
"""What a push adds to the velocity of a robot, m/s, in any direction."""


def make_robot(task: TaskConfig, seed: int) -> WatchedRobot:
    """Make the environment that a task's policy is judged in, with one robot.

    Raises:
        ValueError: It is none of MuJoCo's; says what shows it instead.
    """
    options = judged_options(task)
    if task.env.startswith("gym:"):
        options["vectorization_mode"] = "sync"  # one that can be looked into
        options.pop("render_mode", None)
    env: Any = make_env(task.env, num_envs=1, seed=seed, **options)
    if task.env.startswith("mujoco:"):
        return TaskRobot(env, task.env_options)
    inner = env.envs.envs[0].unwrapped
    if not (isinstance(getattr(inner, "model", None), mujoco.MjModel) and hasattr(inner, "data")):
        env.close()
        raise not_viewable(task.env)
    return GymnasiumRobot(env, inner)


class WatchedRobot(ABC):
    """What all robots have in common; ``data`` is a copy of the simulation's state for drawing."""

    commands: Mapping[str, tuple[float, float, float]] = {}
    """Lowest and highest value of what can be asked for, by name."""
    has_noise = False
    """Whether its sensors have errors that can be turned on."""
    noise = False
    """Whether they have them now."""

    def __init__(self, env: VecEnv, model: Any) -> None:
        """Look at the first robot of an environment through a model with all that is drawn."""
        self.env, self.model, self.data = env, model, mujoco.MjData(model)
        self.step_dt = float(env.unwrapped.step_dt)  # type: ignore[attr-defined]
        roots = np.flatnonzero(model.jnt_type == mujoco.mjtJoint.mjJNT_FREE)
        self.root = int(model.jnt_bodyid[roots[0]]) if len(roots) else None
        """Body that moves freely, which a camera can follow; None for a robot that stands on a mount."""
        self._root_dof = int(model.jnt_dofadr[roots[0]]) if len(roots) else 0
        self._generator = np.random.default_rng()

    def read(self, with_forces: bool) -> None:
        """Set ``data`` to the present state; ``with_forces`` computes contacts and forces, too."""
        self.data.qpos[:], self.data.qvel[:] = self.qpos, self.qvel
        if with_forces:
            self._read_controls()
            mujoco.mj_forward(self.model, self.data)
        else:
            mujoco.mj_kinematics(self.model, self.data)

    @property
    @abstractmethod
    def qpos(self) -> np.ndarray:
        """Positions [nq] of the simulation."""

    @property
    @abstractmethod
    def qvel(self) -> np.ndarray:
        """Velocities [nv] of the simulation, which may be written."""

    @abstractmethod
    def _read_controls(self) -> None:
        """Let ``data`` have the controls of the simulation."""

    @abstractmethod
    def reset(self) -> TensorDict:
        """Begin a new episode and return its first observations."""

    def ask(self, command: np.ndarray | None) -> None:  # noqa: B027 (a robot without commands)
        """Hold a command [C]; None for random ones as in training."""

    def asked(self) -> np.ndarray:
        """Return what is asked for now, [C]."""
        return np.zeros(0)

    def push(self) -> None:
        """Kick the robot in any horizontal direction."""
        if self.root is not None:
            angle = self._generator.uniform(0.0, 2 * np.pi)
            self.qvel[self._root_dof : self._root_dof + 2] += PUSH_VELOCITY * np.array([np.cos(angle), np.sin(angle)])

    def measured(self) -> dict[str, float]:
        """Return the velocity in the robot's own frame by the names of commands, m/s and rad/s, after :meth:`read`."""
        if self.root is None:
            return {}
        axes = self.data.xmat[self.root].reshape(3, 3)
        linear = axes.T @ self.qvel[self._root_dof : self._root_dof + 3]
        turn = self.qvel[self._root_dof + 5]
        values = {"forward": float(linear[0]), "left": float(linear[1]), "turn": float(turn)}
        return {name: values[axis] for name in self.commands if (axis := axis_of(name))} if self.commands else values

    def reward_terms(self, extras: Mapping[str, Any]) -> dict[str, float]:
        """Return what the reward of the last step consists of, by what ``step`` returned beside it."""
        found = {}
        for name, value in extras.get("log", {}).items():
            if "reward" in name.lower() and not name.startswith("Episode"):
                found[name] = float(torch.as_tensor(value, dtype=torch.float64).mean())
        return found

    def close(self) -> None:
        """End the simulation."""
        self.env.close()  # type: ignore[attr-defined]


class TaskRobot(WatchedRobot):
    """The robot of a :class:`rsl_rl.robots.mujoco_task.MujocoTask`."""

    def __init__(self, env: Any, training_options: Mapping[str, Any]) -> None:
        """Take a :class:`rsl_rl.env.mujoco.MujocoVecEnv`, and the options of the environments of the training."""
        super().__init__(env, env.task.compiled())
        self._env, self._task = env, env.task
        self.commands = env.task.commands
        self._quiet = float(env.task.noise_level)
        self._noisy = float(training_options.get("noise_level", type(env.task).noise_level))
        self.has_noise = bool(env.task.noise) and self._noisy > 0
        self._noise = self.has_noise and self._quiet > 0

    @property
    def noise(self) -> bool:
        """Whether sensors have the errors of the training."""
        return self._noise

    @noise.setter
    def noise(self, noise: bool) -> None:  # type: ignore[override]  # a plain attribute there
        self._noise = noise
        self._task.noise_level = self._noisy if noise else 0.0

    @property
    def qpos(self) -> np.ndarray:
        """Positions [nq]."""
        return self._env.qpos[0]

    @property
    def qvel(self) -> np.ndarray:
        """Velocities [nv]."""
        return self._env.qvel[0]

    def _read_controls(self) -> None:
        self.data.ctrl[:] = self._task.control(self._env.state().action)[0]

    def reset(self) -> TensorDict:
        """Begin a new episode."""
        return self._env.reset(np.array([0]))

    def measured(self) -> dict[str, float]:
        """Return what the task measures of its commands; of a task that does not say, the velocity."""
        values = self._task.measured(self._env.state())
        return super().measured() if values is None else dict(zip(self.commands, values[0].tolist(), strict=True))

    def ask(self, command: np.ndarray | None) -> None:
        """Hold a command, or let the task draw them."""
        self._env.command_is_held = command is not None
        if command is not None:
            self._env.command[0] = command

    def asked(self) -> np.ndarray:
        """Return what is asked for now."""
        return self._env.command[0].copy()

    def reward_terms(self, extras: Mapping[str, Any]) -> dict[str, float]:
        """Return the terms of the task, each times its weight per second; of a new episode those at its start."""
        state = self._env.state()
        weighted = [(name, weight) for name, weight in self._task.rewards.items() if weight]
        return {name: float(self._task.term(name, state)[0]) * weight for name, weight in weighted}


class GymnasiumRobot(WatchedRobot):
    """The robot of an environment of Gymnasium that simulates with MuJoCo."""

    def __init__(self, env: Any, inner: Any) -> None:
        """Take a :class:`rsl_rl.env.GymnasiumVecEnv` and the environment in it."""
        super().__init__(env, inner.model)
        self._env, self._inner = env, inner
        env.get_observations()

    @property
    def qpos(self) -> np.ndarray:
        """Positions [nq]."""
        return self._inner.data.qpos

    @property
    def qvel(self) -> np.ndarray:
        """Velocities [nv]."""
        return self._inner.data.qvel

    def _read_controls(self) -> None:
        self.data.ctrl[:], self.data.act[:] = self._inner.data.ctrl, self._inner.data.act

    def reset(self) -> TensorDict:
        """Begin a new episode."""
        return self._env.reset()
