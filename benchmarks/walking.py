# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""How well do policies of go1-walk walk? Falls, errors, gait and standing, as the task's training never saw them.

    python benchmarks/walking.py runs/go1-walk/*
    python benchmarks/walking.py runs/go1-walk/<run> --sim-dt 0.002

64 episodes of 20 s without exploration, under commands that change every 5 s on average, in steps of 4 ms with a solver
that has converged. ``rough`` adds the errors of the sensors, pushes of 0.5 m/s every 4 s, and friction, masses and
motors that differ from the training's by up to 20, 15 and 15 per cent. ``trot`` is the lowest correlation between the
heights of diagonal feet over all speeds from 0.3 m/s on, in steps of 0.3 m/s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
import tyro

from rsl_rl.cli.play import load_policy, policy_file
from rsl_rl.cli.run_folder import Run
from rsl_rl.env import make_env

SETTLED = 50  # steps
ROUGH = {
    "noise_level": 1.0,
    "friction": (0.8, 1.2),
    "mass": (0.85, 1.15),
    "gains": (0.85, 1.15),
    "events": {"push": 4.0},
}


@dataclass
class Arguments:
    """Judge policies of go1-walk."""

    runs: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Folders of runs, checkpoints or exported policies in them, or a task's name for its newest run."""
    episodes: int = 64
    seconds: float = 20.0
    sim_dt: float = 0.004
    """Seconds of a step of the simulation."""
    iterations: int = 20
    """Of the solver."""
    seed: int = 1000


@dataclass
class Walk:
    """What became of some episodes."""

    falls: int
    velocity: float
    """Mean error, m/s."""
    turn: float
    """Mean error, rad/s."""
    trot: float
    speed: np.ndarray
    """Mean measured velocity."""


def walk(policy: Any, env: Any, steps: int) -> Walk:
    """Play an episode in every environment."""
    alive, errors, feet, speeds, measured = np.ones(env.num_envs, bool), [], [], [], []
    getattr(policy, "reset", lambda: None)()
    obs = env.get_observations()
    with torch.inference_mode():
        for _ in range(steps):
            commanded = np.hypot(*env.command[:, :2].T)
            obs, _, dones, extras = env.step(policy(obs))
            getattr(policy, "reset", lambda dones: None)(dones)
            alive &= ~dones.numpy()
            log, state = extras["log"], env.state()
            errors.append(np.stack([log["error_velocity"], log["error_turn"]])[:, alive])
            feet.append(np.maximum(env.task.foot_heights(state), 0.0))
            speeds.append(np.where(alive, commanded, -1.0))
            measured.append(env.task.measured(state)[alive])
    heights, commanded = np.stack(feet)[SETTLED:], np.stack(speeds)[SETTLED:]
    trots = []
    for lowest in np.arange(0.3, 1.2, 0.3):
        there = (commanded >= lowest) & (commanded < lowest + 0.3)
        if there.sum() > 500:
            correlation = np.corrcoef(heights[there].T)
            trots.append((correlation[0, 3] + correlation[1, 2]) / 2)
    velocity, turn = np.concatenate(errors, axis=1).mean(axis=1)
    speed = np.concatenate(measured[SETTLED:]).mean(axis=0)
    return Walk(int((~alive).sum()), float(velocity), float(turn), min(trots, default=float("nan")), speed)


def main(arguments: Arguments) -> None:
    torch.set_num_threads(1)
    print("| policy | falls | m/s | rad/s | trot | standing: falls, m/s | 1.0 m/s asked | rough: falls | m/s | rad/s |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    steps = round(arguments.seconds / 0.02)
    fine = {
        "sim_dt": arguments.sim_dt,
        "iterations": arguments.iterations,
        "noise_level": 0.0,
        "episode_seconds": arguments.seconds + 1.0,
    }
    for name in arguments.runs:
        found = Run(name)
        task = found.task()
        kind, file = policy_file(found, "auto")

        def played(
            command: list[float] | None = None,
            options: dict[str, Any] = fine,
            task: Any = task,
            file: Any = (kind, file),
        ) -> Walk:
            env: Any = make_env(task.env, arguments.episodes, arguments.seed, **{**task.env_options, **options})
            if command is not None:
                env.ask(command)
            outcome = walk(load_policy(task, env, *file), env, steps)
            env.close()
            return outcome

        free, still, fast = played(), played([0.0, 0.0, 0.0]), played([1.0, 0.0, 0.0])
        rough = played(options={**fine, **ROUGH})
        print(
            f"| {file} | {free.falls} | {free.velocity:.3f} | {free.turn:.3f} | {free.trot:.2f} | {still.falls}, "
            f"{still.velocity:.3f} | {fast.speed[0]:.2f} | {rough.falls} | {rough.velocity:.3f} | {rough.turn:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main(tyro.cli(Arguments))
