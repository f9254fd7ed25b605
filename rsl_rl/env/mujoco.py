# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Any MuJoCo model as a vectorized environment, stepped on all cores by MuJoCo's own ``rollout``.

What the robots are to do is a :class:`MujocoTask`. Legend: N robots, A actions, S steps of the simulation in one step.
"""
# What mujoco offers comes out of compiled modules.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import Any

import mujoco
import mujoco.rollout
import numpy as np
import numpy.typing as npt
import torch
from tensordict import TensorDict

from rsl_rl.env.contract import check_actions
from rsl_rl.env.vec_env import VecEnv
from rsl_rl.robots.mujoco_task import MujocoTask, State
from rsl_rl.robots.robot import Robot

__all__ = ["MujocoTask", "MujocoVecEnv", "State"]


class MujocoVecEnv(VecEnv):
    """N robots of one task. They differ where the task says so: friction, masses, motors.

    The threads share nothing, and what a robot does depends on none of the others: any number of threads gives the
    same numbers. A simulation that diverges ends the episode of its robot as a failure and is said once.
    """

    def __init__(
        self,
        task: MujocoTask,
        num_envs: int,
        seed: int = 0,
        device: str = "cpu",
        num_threads: int = 0,
        cfg: dict[str, Any] | None = None,
    ) -> None:
        """Stand the robots up.

        Args:
            task: What they do.
            num_envs: How many.
            seed: Of everything that is random.
            device: Where observations, rewards and dones go; the simulation runs on the CPU.
            num_threads: Threads that simulate; 0 for one a core.
            cfg: Logged with the run.
        """
        self.task, self.num_envs, self.device, self.cfg = task, num_envs, torch.device(device), cfg or {}
        model = task.model
        self.num_actions, self.step_dt = int(model.nu), task.control_dt
        self.max_episode_length = max(1, round(task.episode_seconds / task.control_dt))
        self.episode_length_buf = torch.zeros(num_envs, dtype=torch.long, device=self.device)
        self.command_is_held = False
        """Keep the commands as they are: somebody else sets ``memory["command"]``."""
        self._generator = np.random.default_rng(seed)

        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        threads = min(num_threads or cores, num_envs)
        self._data = [mujoco.MjData(model) for _ in range(threads)]
        self._pool = mujoco.rollout.Rollout(nthread=threads if threads > 1 else 0)
        self._chunk = max(1, num_envs // (4 * threads))
        self._scratch = mujoco.MjData(model)
        self._drawn: Robot | None = None
        self._has_diverged = False

        # One array holds time, positions, velocities and the rest of MuJoCo's full physics state.
        size = mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_FULLPHYSICS.value)
        self._qpos_at, self._qvel_at = slice(1, 1 + model.nq), slice(1 + model.nq, 1 + model.nq + model.nv)
        self._home = np.zeros(size)
        mujoco.mj_getState(model, task.home_data, self._home, mujoco.mjtState.mjSTATE_FULLPHYSICS.value)
        self._physics = np.tile(self._home, (num_envs, 1))
        self._warm_start = np.zeros((num_envs, model.nv))
        self._sensors = np.zeros((num_envs, model.nsensordata))
        # Buffers of a step.
        self._states_NS = np.zeros((num_envs, task.substeps, size))
        self._sensors_NS = np.zeros((num_envs, task.substeps, model.nsensordata))
        self._control_NS = np.zeros((num_envs, task.substeps, model.nu))
        self._control = np.tile(task.home_data.ctrl, (num_envs, 1))
        self._delay = np.zeros(num_envs)
        self._memory = task.new_memory(num_envs)
        self._reward_sums = np.zeros((num_envs, len(task.rewards)))
        self._variations = np.stack(
            [self._generator.uniform(*between, num_envs) for between in (task.friction, task.mass, task.gains)], axis=1
        )
        self._make_models()
        self._reset(np.arange(num_envs))
        self._obs = self.task.observe(self.state(), self._generator)

    @property
    def unwrapped(self) -> MujocoVecEnv:
        """This environment: it carries ``step_dt``, the seconds between two actions."""
        return self

    def get_observations(self) -> TensorDict:
        """Return the current observation groups."""
        return self._on_device(self._obs)

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        """Advance by ``control_dt``; see :meth:`VecEnv.step`. Actions are clipped to the task's ``action_limit``."""
        check_actions(actions, self)
        task, memory = self.task, self._memory
        clipped = np.clip(actions.numpy(force=True).astype(np.float32), -task.action_limit, task.action_limit)
        memory["previous_action"], memory["action"] = memory["action"], clipped
        diverged = self._simulate(task.control(clipped))
        state = self.state()
        terms = {name: task.term(name, state) * np.float32(weight) for name, weight in task.rewards.items() if weight}
        rewards = np.asarray(task.reward(terms), np.float32)
        for column, name in enumerate(task.rewards):
            if name in terms:
                self._reward_sums[:, column] += terms[name]
        ends = {name: task.term(name, state) for name in task.terminations}
        failed = np.logical_or.reduce([diverged, *ends.values()])
        log: dict[str, Any] = {name: torch.from_numpy(task.term(name, state)) for name in task.metrics}

        lengths = self.episode_length_buf.cpu().numpy() + 1
        time_outs = (lengths >= self.max_episode_length) & ~failed
        dones = failed | time_outs
        task.advance(state)
        self._next_commands()
        obs = task.observe(state, self._generator)
        extras: dict[str, Any] = {"time_outs": self._tensor(time_outs), "log": log}
        if dones.any():
            ids = np.flatnonzero(dones)
            extras["final_obs"] = self._on_device(obs)
            log |= self._episode_log(ids, lengths[ids], ends)
            lengths[ids] = 0
            self._reset(ids)
            obs = {name: values.copy() for name, values in obs.items()}
            for name, first in task.observe(self.state(ids), self._generator).items():
                obs[name][ids] = first
        self._happen()
        self.episode_length_buf.copy_(torch.from_numpy(lengths))
        self._obs = obs
        return self._on_device(obs), self._tensor(rewards), self._tensor(dones), extras

    def state_dict(self) -> dict[str, Any]:
        """Return all that decides what happens next; see :class:`VecEnv`."""
        arrays = {name: torch.from_numpy(getattr(self, f"_{name}").copy()) for name in _SAVED}
        return {
            **arrays,
            "task": type(self.task).__name__,
            "memory": {name: torch.from_numpy(values.copy()) for name, values in self._memory.items()},
            "obs": {name: torch.from_numpy(values.copy()) for name, values in self._obs.items()},
            "episode_length_buf": self.episode_length_buf.to("cpu", copy=True),
            "generator": self._generator.bit_generator.state,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue as the environment whose :meth:`state_dict` this is, bit for bit.

        Raises:
            ValueError: The state is of another task, or of another number of robots. Nothing is changed.
        """
        mine = self.state_dict()
        shapes, given = _shapes(mine), _shapes(state)
        if state.get("task") != mine["task"] or shapes != given:
            differences = [name for name in shapes if shapes[name] != given.get(name)]
            of = state.get("task", "another kind of environment")
            raise ValueError(f"The state is of {of}, here is {mine['task']}; different are: {', '.join(differences)}.")
        self._generator.bit_generator.state = state["generator"]
        for name in _SAVED:
            setattr(self, f"_{name}", state[name].numpy().copy())
        self._memory = {name: values.numpy().copy() for name, values in state["memory"].items()}
        self._obs = {name: values.numpy().copy() for name, values in state["obs"].items()}
        self.episode_length_buf = state["episode_length_buf"].to(self.device, copy=True)
        self._make_models()

    def close(self) -> None:
        """End the threads, and give back what drawing has taken."""
        self._pool.close()
        if self._drawn is not None:
            self._drawn.close()

    # -- what others use: a viewer, a video, an exported policy --------------------------------------------------------

    @property
    def command(self) -> np.ndarray:
        """What is asked of the robots, [N, commands]; may be written after ``command_is_held`` was set."""
        return self._memory["command"]

    def ask(self, command: npt.ArrayLike | None) -> TensorDict:
        """Ask all robots for this, from now on and in new episodes, and return what they observe.

        Args:
            command: [commands], or [N, commands] with one for each; None to draw commands at random as before.
        """
        self.command_is_held = command is not None
        if command is not None:
            self.command[:] = command
        self._obs = self.task.observe(self.state(), self._generator)
        return self.get_observations()

    @property
    def qpos(self) -> np.ndarray:
        """Positions, [N, nq], of the model; may be written between two steps."""
        return self._physics[:, self._qpos_at]

    @property
    def qvel(self) -> np.ndarray:
        """Velocities, [N, nv]; may be written between two steps."""
        return self._physics[:, self._qvel_at]

    def state(self, rows: Any = slice(None)) -> State:
        """Return some of the robots as they are, as terms see them."""
        qpos, qvel, sensors = (values[rows].astype(np.float32) for values in (self.qpos, self.qvel, self._sensors))
        return State(self.task, qpos, qvel, sensors, {name: values[rows] for name, values in self._memory.items()})

    def reset(self, ids: np.ndarray | None = None) -> TensorDict:
        """Start new episodes, of all robots or of some, and return the observations."""
        ids = np.arange(self.num_envs) if ids is None else ids
        self._reset(ids)
        self.episode_length_buf[torch.from_numpy(ids)] = 0
        self._obs = self.task.observe(self.state(), self._generator)
        return self.get_observations()

    def render(self, width: int = 640, height: int = 480) -> list[np.ndarray]:
        """Return a picture of the first robot, [height, width, 3], uint8, taken by the model's first camera."""
        drawn = self._drawn = self._drawn or Robot(self.task)
        drawn.data.qpos[:] = self.qpos[0]
        mujoco.mj_forward(drawn.model, drawn.data)
        return [drawn.render(width, height)]

    def deployment_metadata(self) -> dict[str, Any]:
        """Return what a controller has to know, by the field's names; see :class:`VecEnv`."""
        return self.task.deployment_metadata()

    # ------------------------------------------------------------------------------------------------------------------

    def _simulate(self, control: np.ndarray) -> np.ndarray:
        """Let ``control_dt`` pass under controls [N, A]; return whose simulation has diverged, [N], bool."""
        task, steps = self.task, self.task.substeps
        # What was asked before goes on until the delay is over.
        self._control_NS[:] = control[:, None]
        for step in range(steps if task.delay[1] > 0 else 0):
            late = self._delay > (step + 0.5) * task.sim_dt
            self._control_NS[late, step] = self._control[late]
        self._control = control
        ends_at = self._physics[:, 0] + steps * task.sim_dt
        self._pool.rollout(
            self._models,
            self._data,
            self._physics,
            self._control_NS,
            control_spec=mujoco.mjtState.mjSTATE_CTRL.value,
            skip_checks=True,
            nstep=steps,
            initial_warmstart=self._warm_start,
            state=self._states_NS,
            sensordata=self._sensors_NS,
            chunk_size=self._chunk,
        )
        # The acceleration, from which the solver starts next time, is the last change of the velocity (of Euler's
        # method; of others almost, and the solver converges from there).
        before = self._states_NS[:, -2] if steps > 1 else self._physics
        np.subtract(self._states_NS[:, -1, self._qvel_at], before[:, self._qvel_at], out=self._warm_start)
        self._warm_start /= task.sim_dt
        self._physics[:] = self._states_NS[:, -1]
        self._sensors[:] = self._sensors_NS[:, -1]
        # MuJoCo sets a simulation with numbers that are not finite, or huge, back to its beginning.
        diverged = ~(np.abs(self._physics[:, 0] - ends_at) < 0.5 * task.sim_dt) | ~np.isfinite(self._physics).all(
            axis=1
        )
        if diverged.any():
            if not self._has_diverged:
                self._has_diverged = True
                warnings.warn(
                    f"The simulation of {diverged.sum()} of {self.num_envs} robots diverged; their episodes end there, "
                    "as failures. A smaller sim_dt, more iterations of the solver or a smaller action_scale help. "
                    "(Said once.)",
                    stacklevel=3,
                )
            # What terms see of them, before they start anew, are numbers.
            self._physics[diverged], self._warm_start[diverged], self._sensors[diverged] = self._home, 0.0, 0.0
        return diverged

    def _reset(self, ids: np.ndarray) -> None:
        """Start new episodes of some robots."""
        task, generator, model = self.task, self._generator, self.task.model
        fresh = task.new_memory(len(ids))
        fresh["command"] = self.command[ids] if self.command_is_held else task.draw_commands(len(ids), generator)
        physics = np.tile(self._home, (len(ids), 1))
        task.reset(physics[:, self._qpos_at], physics[:, self._qvel_at], fresh, generator)
        self._physics[ids], self._warm_start[ids] = physics, 0.0
        for name, values in fresh.items():
            self._memory[name][ids] = values
        self._control[ids] = task.home_data.ctrl
        self._delay[ids] = generator.uniform(*task.delay, len(ids))
        self._reward_sums[ids] = 0.0
        for index in ids:
            mujoco.mj_setState(model, self._scratch, self._physics[index], mujoco.mjtState.mjSTATE_FULLPHYSICS.value)
            self._scratch.ctrl[:] = self._control[index]
            mujoco.mj_forward(self._models[index], self._scratch)
            self._sensors[index] = self._scratch.sensordata

    def _next_commands(self) -> None:
        if self.command_is_held or not self.task.commands:
            return
        draws = self._generator.random(self.num_envs)
        ids = np.flatnonzero(draws < self.task.control_dt / self.task.command_seconds)
        if len(ids):
            self.command[ids] = self.task.draw_commands(len(ids), self._generator)

    def _happen(self) -> None:
        """Let events happen to the robots whose turn it is."""
        for name, seconds in self.task.events.items():
            if seconds:
                ids = np.flatnonzero(self._generator.random(self.num_envs) < self.task.control_dt / seconds)
                qpos, qvel = self.qpos[ids], self.qvel[ids]
                getattr(self.task, name)(qpos, qvel, self._generator)
                self.qpos[ids], self.qvel[ids] = qpos, qvel

    def _episode_log(self, ids: np.ndarray, lengths: np.ndarray, ends: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Return means over the episodes that have ended: of every weighted reward term, and how many ended how."""
        means = (self._reward_sums[ids] / lengths[:, None]).mean(axis=0)
        log = {f"Episode_Reward/{name}": float(mean) for name, mean in zip(self.task.rewards, means, strict=True)}
        return log | {f"Episode_Termination/{name}": float(values[ids].sum()) for name, values in ends.items()}

    def _make_models(self) -> None:
        """Give every robot its own model where they differ."""
        same = (self._variations == 1.0).all(axis=1)
        rows = zip(same, self._variations.tolist(), strict=True)
        self._models = [self.task.model if is_same else self.task.varied(*row) for is_same, row in rows]

    def _on_device(self, groups: Mapping[str, np.ndarray]) -> TensorDict:
        tensors = {name: self._tensor(values) for name, values in groups.items()}
        return TensorDict(tensors, [self.num_envs], device=self.device)

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values).to(self.device)


_SAVED = ("physics", "warm_start", "sensors", "control", "delay", "reward_sums", "variations")


def _shapes(state: Mapping[str, Any]) -> dict[str, Any]:
    flat = {**state, **state.get("memory", {}), **state.get("obs", {})}
    return {name: tuple(value.shape) for name, value in flat.items() if torch.is_tensor(value)}
