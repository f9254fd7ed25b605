# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Repeats the comparisons of docs/showcase.md: trains variants of a task with several seeds, draws, prints a table.

    python examples/showcase.py sparse
    python examples/showcase.py memory --seeds 1 2 3 --iterations 50
    python examples/showcase.py all

A run that is complete under ``runs/showcase`` is not trained again. Needs the extras ``envs`` and ``plot``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import math
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro
from tensordict import TensorDict

from rsl_rl.cli.train import environment_seed, make_runner, seed_everything
from rsl_rl.config.schema import RunnerConfig
from rsl_rl.config.task import TaskConfig, judged_options, load_task, write_task
from rsl_rl.env import VecEnv, make_env
from rsl_rl.runners.episodes import play_episodes
from rsl_rl.telemetry.history import read_metrics
from rsl_rl.utils import resolve_callable

RESULT = "result.json"
REWARD, EXTRINSIC = "Train/mean_reward", "Rnd/mean_extrinsic_reward"


@dataclass(frozen=True)
class Comparison:
    """Variants of one task."""

    task: str
    variants: dict[str, dict[str, Any]]
    """For each variant what it changes, by dotted keys of the task; None removes a key."""
    title: str
    reward: str = "episode reward"
    mirror: str | None = None
    """Mirror with which to measure how unlike its mirror image a policy acts."""


MLP = {"runner.actor.class_name": "MLPModel", "runner.actor.hidden_dims": [64, 64]}
MLP |= {f"runner.actor.{key}": None for key in ("rnn_type", "rnn_hidden_dim", "rnn_num_layers")}
MIRROR = "runner.algorithm.symmetry_cfg."
COMPARISONS = {
    "memory": Comparison(
        "double-pendulum-memory",
        {
            "LSTM": {},
            "GRU": {"runner.actor.rnn_type": "gru"},
            "MLP": MLP,
            "MLP that sees velocities": {**MLP, "runner.obs_groups.actor": ["position", "velocity"]},
        },
        "Double pendulum, velocities hidden",
    ),
    "pixels": Comparison(
        "car-racing-pixels",
        {"CNN": {}, "CNN, black images": {"env": "showcase:black_images", "env_options.of": "envpool:CarRacing-v3"}},
        "CarRacing from pixels, 400 steps",
    ),
    "sparse": Comparison(
        "mountain-car-sparse",
        {"PPO + RND": {}, "PPO": {"runner.algorithm.rnd_cfg": None}},
        "MountainCarContinuous",
        "reward of the task",
    ),
    "symmetry": Comparison(
        "go1-joystick-symmetric",
        {
            "mirror loss": {},
            "equivariant": {MIRROR + "use_mirror_loss": False, MIRROR + "equivariant": True},
            "half cycle": {MIRROR + "use_mirror_loss": False, MIRROR + "half_cycle": {"actor": 45, "critic": 45}},
            "none of these": {MIRROR + "use_mirror_loss": False},
        },
        "Unitree Go1",
        mirror="rsl_rl.extensions.mirrors:mujoco_task",
    ),
}
COLORS = ("#2f6db3", "#d1722c", "#7a7a7a", "#3f8f5a")


@dataclass
class Arguments:
    """Train the variants of a comparison, draw its figure and print its table."""

    which: Annotated[Literal["memory", "pixels", "sparse", "symmetry", "all"], tyro.conf.Positional]
    seeds: tuple[int, ...] = (1, 2, 3)
    variants: tuple[str, ...] = ()
    """Only these; all if left out."""
    iterations: int | None = None
    """Other than those of the task."""
    runs: Path = Path("runs/showcase")
    """Where the runs are kept."""
    figures: Path = Path("runs/showcase")
    """Where showcase_WHICH.png goes; those of docs/showcase.md lie in docs."""


@dataclass
class Outcome:
    """What a finished run reached."""

    reward: float
    """Mean of the last 100 training episodes, without intrinsic rewards."""
    played: float
    """Mean return of 16 episodes without exploration."""
    played_std: float
    length: float
    """Mean length of those episodes."""
    untrained: float
    """The same before training."""
    asymmetry: float | None
    """Mean |pi(M s) - M pi(s)| over the states of those episodes, in units of the action."""
    steps: int
    seconds: float
    cpu_seconds: float
    """Seconds of all cores, which other programs do not lengthen."""
    metrics: dict[str, list[float]] = field(default_factory=dict, repr=False)


def main(arguments: Arguments) -> None:
    for name in COMPARISONS if arguments.which == "all" else [arguments.which]:
        comparison = COMPARISONS[name]
        outcomes: dict[str, list[Outcome]] = {}
        for seed in arguments.seeds:  # every variant once before the next seed
            for variant in arguments.variants or comparison.variants:
                folder = arguments.runs / name / variant.replace(" ", "-").replace(",", "") / str(seed)
                outcome = run(changed_task(comparison, variant, seed, arguments.iterations), folder, comparison.mirror)
                outcomes.setdefault(variant, []).append(outcome)
                print(f"{name}, {variant}, seed {seed}: {outcome}", flush=True)
        figure = arguments.figures / f"showcase_{name}.png"
        draw(comparison, outcomes, figure)
        print(f"\n{table(comparison, outcomes)}\n\n{figure}", flush=True)


def changed_task(comparison: Comparison, variant: str, seed: int, iterations: int | None = None) -> TaskConfig:
    """Return the task of a variant."""
    task = load_task(comparison.task)
    document = dataclasses.asdict(task) | {"runner": task.runner.to_dict(), "seed": seed}
    if iterations is not None:
        document["iterations"] = iterations
    for key, value in comparison.variants[variant].items():
        *sections, last = key.split(".")
        section = document
        for part in sections:
            section = section[part]
        if value is None:
            section.pop(last, None)
        else:
            section[last] = value
    return TaskConfig(**{**document, "runner": RunnerConfig.from_dict(document["runner"])})


def run(task: TaskConfig, folder: Path, mirror: str | None = None, played_steps: int | None = None) -> Outcome:
    """Train, or read what an earlier training reached; episodes played before and after are cut at ``played_steps``."""
    if (folder / RESULT).is_file():
        return Outcome(**json.loads((folder / RESULT).read_text()), metrics=read_metrics(folder))
    folder.mkdir(parents=True, exist_ok=True)
    write_task(task, folder / "config.yaml")
    seed_everything(task.seed, task.threads)
    env = make_env(task.env, task.num_envs, environment_seed(task.seed), task.device, **task.env_options)
    runner = make_runner(task, env, str(folder))
    untrained, _ = evaluate(task, runner.get_inference_policy(), None, played_steps)
    started, started_cpu = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        runner.learn(task.iterations, init_at_random_ep_len=task.init_at_random_ep_len)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - started_cpu
    played, asymmetry = evaluate(task, runner.get_inference_policy(), mirror, played_steps)
    metrics = read_metrics(folder)
    outcome = Outcome(
        reward=metrics.get(reward_column(metrics), [math.nan])[-1],
        played=played["return"],
        played_std=played["return_std"],
        length=played["length"],
        untrained=untrained["return"],
        asymmetry=asymmetry,
        steps=task.iterations * task.num_envs * task.runner.num_steps_per_env,
        seconds=seconds,
        cpu_seconds=cpu_seconds,
    )
    document = {key: value for key, value in dataclasses.asdict(outcome).items() if key != "metrics"}
    (folder / RESULT).write_text(json.dumps(document))
    outcome.metrics = metrics
    return outcome


def evaluate(
    task: TaskConfig, policy: Any, mirror: str | None, max_steps: int | None
) -> tuple[dict[str, float], float | None]:
    """Play 16 episodes; return their means and how unlike its mirror image the policy acts."""
    env = make_env(task.env, num_envs=16, seed=1000, **judged_options(task))
    differences: list[float] = []
    augment = None if mirror is None else resolve_callable(mirror)

    def act(obs: TensorDict) -> torch.Tensor:
        actions = policy(obs)
        if augment is not None:
            both, _ = augment(obs=obs, actions=None, env=env)
            _, mirrored = augment(obs=None, actions=actions, env=env)
            differences.append((policy(both[len(obs) :]) - mirrored[len(obs) :]).abs().mean().item())
        return actions

    act.reset = policy.reset  # type: ignore[attr-defined]
    means = play_episodes(env, act, 16, max_steps).means()
    policy.reset()
    return means, statistics.fmean(differences) if differences else None


def black_images(of: str, **options: Any) -> VecEnv:
    """Return an environment whose observations are all zero: what can be reached without seeing."""
    env = make_env(of, **options)
    read = env._read
    env._read = lambda observations: {name: value.zero_() for name, value in read(observations).items()}
    return env


def reward_column(metrics: dict[str, list[float]]) -> str:
    values = metrics.get(EXTRINSIC, [])
    return EXTRINSIC if any(value == value for value in values) else REWARD


def draw(comparison: Comparison, outcomes: dict[str, list[Outcome]], path: Path) -> None:
    """Draw mean and range over the seeds of every variant, over environment steps."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = {"reward": comparison.reward}
    if comparison.mirror is not None:
        panels["Loss/symmetry"] = "mirror loss"
    figure = Figure(figsize=(5.2 * len(panels) + 1, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (column, label) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for (variant, runs), color in zip(outcomes.items(), COLORS, strict=False):
            names = [reward_column(run.metrics) if column == "reward" else column for run in runs]
            curves = [run.metrics.get(name, []) for name, run in zip(names, runs, strict=True)]
            if not all(curves):  # exactly symmetric policies log no mirror loss
                continue
            steps = [(i + 1) * runs[0].steps / len(curves[0]) / 1e3 for i in range(len(curves[0]))]
            # Where some seed has not finished an episode yet there is no mean.
            columns = [
                values if all(value == value for value in values) else (math.nan,)
                for values in zip(*curves, strict=True)
            ]
            axes.plot(steps, [statistics.fmean(values) for values in columns], color=color, label=variant, lw=1.6)
            low, high = [min(values) for values in columns], [max(values) for values in columns]
            axes.fill_between(steps, low, high, color=color, alpha=0.18, lw=0)
        axes.set_xlabel("environment steps [thousand]")
        axes.set_ylabel(label)
        axes.set_xlim(left=0)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    if comparison.mirror is not None:
        figure.axes[1].set_yscale("log")
    figure.axes[0].legend(frameon=False, fontsize=8)
    figure.suptitle(f"{comparison.title} (mean and range of {max(map(len, outcomes.values()))} seeds)", fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def table(comparison: Comparison, outcomes: dict[str, list[Outcome]]) -> str:
    """Return a Markdown table, one row per variant, numbers in the order of the seeds."""

    def row(runs: list[Outcome]) -> list[str]:
        cells = [
            ", ".join(f"{run.reward:.1f}" for run in runs),
            ", ".join(f"{run.played:.1f}" for run in runs),
            ", ".join(f"{run.length:.0f}" for run in runs),
            ", ".join(f"{run.untrained:.1f}" for run in runs),
        ]
        if comparison.mirror is not None:
            cells.append(", ".join(f"{run.asymmetry:.3f}" for run in runs))
        seconds, cpu = (statistics.fmean(getattr(run, key) for run in runs) for key in ("seconds", "cpu_seconds"))
        return [*cells, f"{runs[0].steps:,}", f"{seconds:.0f} ({cpu:.0f})"]

    header = ["variant", "reward at the end", "played", "played: length", "played before training"]
    header += ["asymmetry"] if comparison.mirror is not None else []
    rows = [[*header, "steps", "seconds (of all cores)"], ["---"] * (len(header) + 2)]
    rows += [[variant, *row(runs)] for variant, runs in outcomes.items()]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


if __name__ == "__main__":
    main(tyro.cli(Arguments))
