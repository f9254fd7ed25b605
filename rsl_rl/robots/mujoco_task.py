# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What a robot is asked to do, for any model of MuJoCo: one definition for training, playing, drawing and a controller.

Needs numpy and mujoco, nothing else: this file, the file of a task and its model can be copied to a robot.
"""
# What mujoco offers comes out of compiled modules.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import copy
import difflib
import inspect
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

Memory = dict[str, np.ndarray]


class State:
    """N robots after a step, as the terms of a task see them: float32, a row a robot.

    What is derived from positions and velocities is computed when it is first asked for. ``base`` is the body of the
    free joint, which has to be the model's first joint; robots that stand on a mount have none.
    """

    def __init__(
        self, task: MujocoTask, qpos: np.ndarray, qvel: np.ndarray, sensordata: np.ndarray, memory: Memory
    ) -> None:
        self.task, self.qpos, self.qvel, self.sensordata, self.memory = task, qpos, qvel, sensordata, memory

    def __len__(self) -> int:
        return len(self.qpos)

    def __getitem__(self, rows: Any) -> State:
        """Return some of the robots."""
        memory = {name: values[rows] for name, values in self.memory.items()}
        return State(self.task, self.qpos[rows], self.qvel[rows], self.sensordata[rows], memory)

    def sensor(self, *names: str) -> np.ndarray:
        """Return the reading of a sensor of the model, [N, d]; of several alike, [N, number, d]."""
        readings = [self.sensordata[:, self.task.sensor_slices[name]] for name in names]
        return readings[0] if len(names) == 1 else np.stack(readings, axis=1)

    @property
    def command(self) -> np.ndarray:
        """What is asked for, [N, commands]."""
        return self.memory["command"]

    @property
    def action(self) -> np.ndarray:
        """The action that led here, clipped, [N, A]; zeros at the start of an episode."""
        return self.memory["action"]

    @property
    def previous_action(self) -> np.ndarray:
        """The one before it, [N, A]."""
        return self.memory["previous_action"]

    @cached_property
    def joint_angles(self) -> np.ndarray:
        """Positions of the driven joints less those of the home pose, [N, A], rad (m for slides)."""
        return self.qpos[:, self.task.joint_qpos] - self.task.default_joint_pos

    @cached_property
    def joint_velocities(self) -> np.ndarray:
        """Velocities of the driven joints, [N, A], rad/s (m/s)."""
        return self.qvel[:, self.task.joint_dofs]

    @cached_property
    def axes(self) -> np.ndarray:
        """Forward, left and up of the base in the world, [N, 3, 3]: ``axes[:, 2]`` is where its top points."""
        w, x, y, z = self.qpos[:, 3:7].T
        axes = np.empty((3, 3, len(self)), np.float32)
        axes[0] = 1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)
        axes[1] = 2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)
        axes[2] = 2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)
        return axes.transpose(2, 0, 1)

    @cached_property
    def gravity(self) -> np.ndarray:
        """Direction of gravity in the frame of the base, [N, 3]."""
        return -self.axes[:, :, 2]

    @cached_property
    def velocity(self) -> np.ndarray:
        """Velocity of the base in its own frame: forward, left, up, [N, 3], m/s."""
        return (self.axes * self.qvel[:, None, :3]).sum(axis=2)

    @property
    def angular_velocity(self) -> np.ndarray:
        """Angular velocity of the base in its own frame, [N, 3], rad/s: what a gyroscope measures."""
        return self.qvel[:, 3:6]

    @property
    def height(self) -> np.ndarray:
        """Height of the base above the origin of the world, [N], m."""
        return self.qpos[:, 2]


class MujocoTask:
    """A model and what its robots are to do. Every term is a method with the name that stands in the tables below.

    A subclass says what it wants in attributes; each of them is an option when an environment of it is made, and of
    tables (``rewards``, ``noise`` ...) only the entries that are given change. A term takes a :class:`State` of N
    robots. See ``examples/mujoco_robot.py`` for a whole one.
    """

    xml: str | Path
    """MJCF file, beside the file of the class that names it; or replace :meth:`spec`."""
    home: str = "home"
    """Keyframe with the pose, and the controls, that the action 0 asks for; without one all is zero."""
    control_dt: float = 0.02
    """Seconds between two actions."""
    sim_dt: float = 0.005
    """Seconds of a step of the simulation, of which a whole number makes ``control_dt``."""
    iterations: int = 0
    """Iterations of the constraint solver; 0 or less for what the model says."""
    episode_seconds: float = 20.0
    """Seconds after which an episode times out."""
    action_scale: float = 1.0
    """What an action of 1 adds to the controls of the home pose: rad, m or Nm, as the actuator has it."""
    action_limit: float = 1.0
    """Actions are clipped to plus and minus this."""

    observations: Mapping[str, Sequence[str]] = {"policy": ("joint_angles", "joint_velocities")}
    """Groups of terms ``(state) -> [N]`` or ``[N, d]``, one after the other. Without a method of that name it is an
    attribute of :class:`State`."""
    scales: Mapping[str, float] = {}
    """What a term is multiplied by before a policy sees it, 1 unless given."""
    noise: Mapping[str, float] = {}
    """Largest error of a term's sensor, in the term's own unit; each error within is as likely as another."""
    noise_level: float = 1.0
    """All of ``noise`` is multiplied by this."""
    exact_groups: Sequence[str] = ("critic",)
    """Groups that see no noise."""
    mirrors: Mapping[str, tuple[Sequence[int], Sequence[float]]] = {}
    """The image of every observed term, and of ``action``, in the mirror between left and right, for policies that are
    to be symmetric: entry i of it is ``signs[i] * term[order[i]]``."""
    rewards: Mapping[str, float] = {}
    """Weights, per second, of terms ``(state) -> [N]``; 0 leaves one out. :meth:`reward` adds them up."""
    terminations: Sequence[str] = ()
    """Terms ``(state) -> [N]``, bool: where one holds the episode has failed."""
    metrics: Sequence[str] = ()
    """Terms ``(state) -> [N]`` that are only reported; errors have "error" in their name."""
    commands: Mapping[str, tuple[float, float, float]] = {}
    """Lowest and highest value of what is asked for, by name, and how often it is not zero (0 to 1)."""
    command_seconds: float = 5.0
    """Mean time until another command."""
    memory: Mapping[str, tuple[int, ...]] = {}
    """Shapes, of one robot, of what a task itself remembers from step to step: ``state.memory[name]``."""
    events: Mapping[str, float] = {}
    """Mean seconds between two occurrences for a robot of ``event(qpos [k, nq], qvel [k, nv], generator)``, which
    changes both in place; 0 for never."""
    friction: tuple[float, float] = (1.0, 1.0)
    """Every robot's friction is the model's times a number from here."""
    mass: tuple[float, float] = (1.0, 1.0)
    """The same for all masses and inertias."""
    gains: tuple[float, float] = (1.0, 1.0)
    """The same for the stiffness and damping of its motors."""
    delay: tuple[float, float] = (0.0, 0.0)
    """Seconds, up to ``control_dt``, until an action reaches the motors: drawn in every episode."""

    def __init__(self, **options: Any) -> None:
        """Build the model.

        Args:
            **options: Other values of the attributes above.

        Raises:
            ValueError, TypeError: An option or a term is unknown, or a value cannot be used; says what fits.
        """
        for name, value in options.items():
            setattr(self, name, self._checked(name, value))
        self.substeps = round(self.control_dt / self.sim_dt)
        if self.substeps < 1 or abs(self.substeps * self.sim_dt - self.control_dt) > 1e-9:
            raise ValueError(f"control_dt = {self.control_dt} is not a whole number of sim_dt = {self.sim_dt}.")
        self.model = self.compiled(discard_visual=True)
        model = self.model
        if not model.nu:
            raise ValueError(f"{type(self).__name__}'s model has no actuators.")
        if (model.actuator_trntype != mujoco.mjtTrn.mjTRN_JOINT).any():
            raise ValueError(f"{type(self).__name__}: every actuator has to drive a joint.")
        joints = model.actuator_trnid[:, 0]
        self.joint_names = [model.joint(joint).name for joint in joints]
        """The driven joints in the order of actions."""
        self.joint_qpos, self.joint_dofs = model.jnt_qposadr[joints], model.jnt_dofadr[joints]
        names = [model.sensor(index).name for index in range(model.nsensor)]
        ends = model.sensor_adr + model.sensor_dim
        self.sensor_slices = {name: slice(a, b) for name, a, b in zip(names, model.sensor_adr, ends, strict=True)}
        self.home_data = mujoco.MjData(model)
        keyframes = [model.key(index).name for index in range(model.nkey)]
        if self.home in keyframes:
            mujoco.mj_resetDataKeyframe(model, self.home_data, model.key(self.home).id)
        elif self.home != MujocoTask.home:
            raise ValueError(f"The model has no keyframe '{self.home}'.{_hint(self.home, keyframes)}")
        self.default_joint_pos = np.float32(self.home_data.qpos[self.joint_qpos])
        """Positions of the driven joints in the home pose, [A]."""
        mujoco.mj_forward(model, self.home_data)
        self._check_terms()

    # -- what a subclass may replace -----------------------------------------------------------------------------------

    def spec(self) -> Any:
        """Return the model as an ``mujoco.MjSpec``, which may be changed before it is compiled."""
        file = Path(self.xml).expanduser()
        if "xml" not in vars(self):  # no option, but an attribute of this class
            [named_by, *_] = [base for base in type(self).__mro__ if "xml" in vars(base)]
            file = Path(inspect.getfile(named_by)).parent / file
        return mujoco.MjSpec.from_file(str(file))

    def measured(self, state: State) -> np.ndarray | None:
        """Return what the commands ask for as it is, [N, commands], in the same units; None where a task cannot say."""

    def reset(self, qpos: np.ndarray, qvel: np.ndarray, memory: Memory, generator: np.random.Generator) -> None:
        """Change, in place, where k robots start: at home, at rest, with a new command and all else zero."""

    def reward(self, terms: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the reward of a step [N] for its terms, each times its weight per second."""
        return np.sum(list(terms.values()), axis=0) * self.control_dt

    def advance(self, state: State) -> None:
        """Change, in place, what is remembered (``state.memory``) after a step and before the next observation."""

    # ------------------------------------------------------------------------------------------------------------------

    def compiled(self, discard_visual: bool = False) -> Any:
        """Return a new ``mujoco.MjModel``, with all that is only drawn unless ``discard_visual``."""
        spec = self.spec()
        spec.compiler.discardvisual = discard_visual
        spec.option.timestep = self.sim_dt
        if self.iterations:
            spec.option.iterations = self.iterations
        return spec.compile()

    def term(self, name: str, state: State) -> np.ndarray:
        """Return the values of a term for N robots, [N] or [N, d], in its own unit."""
        method = getattr(self, name, None)
        return np.asarray(method(state) if callable(method) else getattr(state, name))

    def observe(self, state: State, generator: np.random.Generator | None = None) -> dict[str, np.ndarray]:
        """Return what policies see: groups [N, d], float32; with the errors of sensors where a generator is given."""
        exact: dict[str, np.ndarray] = {}
        groups = {}
        for group, names in self.observations.items():
            parts = []
            for name in names:
                if name not in exact:
                    exact[name] = self.term(name, state).reshape(len(state), -1)
                value, error = exact[name], self.noise_level * self.noise.get(name, 0.0)
                if error and generator is not None and group not in self.exact_groups:
                    value = value + np.float32(2 * error) * (
                        generator.random(value.shape, np.float32) - np.float32(0.5)
                    )
                scale = self.scales.get(name, 1.0)
                parts.append(value if scale == 1.0 else value * np.float32(scale))
            groups[group] = np.concatenate(parts, axis=1, dtype=np.float32)
        return groups

    def control(self, actions: np.ndarray) -> np.ndarray:
        """Return the controls [N, A] for clipped actions [N, A]."""
        return self.home_data.ctrl + self.action_scale * actions

    def draw_commands(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Return new commands, [count, commands]."""
        low, high, chance = np.array(list(self.commands.values()), np.float32).reshape(-1, 3).T
        drawn = low + (high - low) * generator.random((count, len(low)), dtype=np.float32)
        return drawn * (generator.random(drawn.shape, dtype=np.float32) < chance)

    def new_memory(self, count: int) -> Memory:
        """Return zeros for all that is remembered of ``count`` robots."""
        actions, shapes = (self.model.nu,), {"command": (len(self.commands),), **self.memory}
        shapes = {"action": actions, "previous_action": actions, **shapes}
        return {name: np.zeros((count, *shape), np.float32) for name, shape in shapes.items()}

    def deployment_metadata(self) -> dict[str, Any]:
        """Return what a controller has to know, by the names that controllers in the field look for."""
        model, home = self.model, self.at_home()
        tables: dict[str, dict[str, list]] = {"names": {}, "terms_scale": {}, "terms_size": {}}
        for group, names in self.observations.items():
            tables["names"][group] = list(names)
            tables["terms_scale"][group] = [float(self.scales.get(name, 1.0)) for name in names]
            tables["terms_size"][group] = [self.term(name, home).size for name in names]
        return {
            "joint_names": self.joint_names,
            # Of a motor, which gives torques, both are 0.
            "joint_stiffness": (-model.actuator_biasprm[:, 1]).tolist(),
            "joint_damping": (model.dof_damping[self.joint_dofs] - model.actuator_biasprm[:, 2]).tolist(),
            "default_joint_pos": self.default_joint_pos.tolist(),
            "action_scale": [self.action_scale] * model.nu,
            "command_names": list(self.commands),
            **{f"observation_{name}": table for name, table in tables.items()},
        }

    def at_home(self) -> State:
        """Return one robot in its home pose."""
        data = self.home_data
        qpos, qvel, sensordata = (values[None].astype(np.float32) for values in (data.qpos, data.qvel, data.sensordata))
        return State(self, qpos, qvel, sensordata, self.new_memory(1))

    def varied(self, friction: float, mass: float, gains: float) -> Any:
        """Return a copy of the model with other friction, masses and motors, each times a number."""
        model = copy.copy(self.model)
        model.geom_friction[:, 0] *= friction
        model.body_mass *= mass
        model.body_inertia *= mass
        model.actuator_gainprm[:, 0] *= gains
        model.actuator_biasprm[:, 1:3] *= gains
        model.dof_damping[self.joint_dofs] *= gains
        mujoco.mj_setConst(model, mujoco.MjData(model))
        return model

    @classmethod
    def options(cls) -> dict[str, Any]:
        """Return the options, which are the annotated attributes, with their defaults."""
        names = [name for base in reversed(cls.__mro__) for name in vars(base).get("__annotations__", {})]
        return {name: getattr(cls, name, None) for name in names}

    def _checked(self, name: str, value: Any) -> Any:
        """Return the value of an option, merged into a table; raises for what does not fit."""
        known: dict[str, Any] = self.options()
        kind = type(self).__name__
        if name not in known:
            raise ValueError(f"{kind} has no option '{name}'.{_hint(name, known)} Options: {', '.join(known)}.")
        default = known[name]
        fits: Any = (str, Path)
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{kind}'s option '{name}' has to be finite, got {value!r}.")
        if isinstance(default, bool):
            fits = bool
        elif isinstance(default, (int, float)):
            fits = (int, float) if isinstance(default, float) else int
        elif isinstance(default, (Mapping, Sequence)) and not isinstance(default, str):
            fits = Mapping if isinstance(default, Mapping) else (list, tuple)
        checked: Any = value
        table: Any = default
        if not isinstance(value, fits) or (isinstance(value, bool) and fits is not bool):
            raise TypeError(f"{kind}'s option '{name}' is like {default!r}, got {value!r}.")
        numbers = _numbers(value)
        if name in _POSITIVE and not all(number > 0 for number in numbers):
            raise ValueError(f"{kind}'s option '{name}' has to be above 0, got {value!r}.")
        if name in _RANGES and not (len(numbers) == len(checked) == 2 and 0 <= numbers[0] <= numbers[1]):
            raise ValueError(f"{kind}'s option '{name}' is a lowest and a highest factor or time, got {value!r}.")
        if name in ("scales", "noise", "rewards", "events"):
            lowest = 0.0 if name in ("noise", "events") else -math.inf
            if wrong := [key for key, number in checked.items() if not [n for n in _numbers(number) if n >= lowest]]:
                raise ValueError(f"{kind}'s option '{name}' gives each term a number, not {checked[wrong[0]]!r}.")
        if name == "commands":
            for key, given in checked.items():
                low, high, chance = (*_numbers(given), math.nan, math.nan, math.nan)[:3]
                if not (low <= high and 0 <= chance <= 1):
                    raise ValueError(f"{kind}'s command '{key}' is lowest, highest, chance (0 to 1), got {given!r}.")
        return {**table, **checked} if isinstance(checked, Mapping) else checked

    def _check_terms(self) -> None:
        """Ask every term about robots at home, so that a mistake in one is found before anything has begun."""
        state, kind = self.at_home()[np.zeros(3, int)], type(self).__name__
        measured = self.measured(state)
        if measured is not None and np.shape(measured) != (3, len(self.commands)):
            shape, wanted = list(np.shape(measured)), f"[N, {len(self.commands)}]"
            raise ValueError(f"{kind}.measured returned {shape} for N = 3, not {wanted}: a number for each command.")
        seen = {f"observations.{group}": names for group, names in self.observations.items()}
        tables = {**seen, "rewards": self.rewards, "terminations": self.terminations, "metrics": self.metrics}
        for table, names in tables.items():
            for name in names:
                if not hasattr(self, name) and not hasattr(type(state), name):
                    terms = [key for key in (*dir(type(self)), *dir(State)) if not key.startswith("_")]
                    raise ValueError(f"{kind} has no method for '{name}' of {table}.{_hint(name, terms)}")
                shape, wanted = np.shape(self.term(name, state)), "[N] or [N, d]" if table in seen else "[N]"
                if shape[:1] != (3,) or len(shape) > (2 if table in seen else 1):
                    raise ValueError(f"{kind}.{name}, of {table}, returned {list(shape)} for N = 3, not {wanted}.")
        for table, terms in {"noise": seen, "scales": seen, "events": vars(type(self))}.items():
            known = {term for names in terms.values() for term in names} if table != "events" else dir(type(self))
            for name in getattr(self, table):
                if name not in known:
                    raise ValueError(f"{kind}: '{name}' of {table} is none of its terms.{_hint(name, known)}")


_POSITIVE = ("control_dt", "sim_dt", "episode_seconds", "command_seconds", "action_limit")
_RANGES = ("friction", "mass", "gains", "delay")


def _numbers(value: Any) -> list[float]:
    """Return a number, or those of a list, which are finite."""
    values = value if isinstance(value, (list, tuple)) else [value]
    return [n for n in values if isinstance(n, (int, float)) and not isinstance(n, bool) and math.isfinite(n)]


def _hint(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean '{close[0]}'?" if close else ""
