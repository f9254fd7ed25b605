# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""How well does a student act like its teacher? Plays both, draws the student's training, prints a table.

rsl-rl train go1-teacher
rsl-rl train go1-student --teacher go1-teacher
python examples/student_and_teacher.py go1-student
"""

from __future__ import annotations

import dataclasses
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from tensordict import TensorDict

from rsl_rl.checkpoint import read_checkpoint
from rsl_rl.cli.run_folder import Run
from rsl_rl.cli.train import make_runner
from rsl_rl.config.task import TaskConfig, judged_options
from rsl_rl.env import make_env
from rsl_rl.runners.episodes import play_episodes
from rsl_rl.telemetry.history import read_metrics


@dataclass
class Arguments:
    """Compare students with their teachers."""

    runs: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Folders of students' runs, or a task's name for its newest run."""
    episodes: int = 32
    figure: Path = Path("runs/showcase/showcase_student.png")


@dataclass
class Outcome:
    """What a student and its teacher reach."""

    teacher: float
    """Mean return of the teacher, whose weights the student's checkpoint keeps."""
    student: float
    length: float
    """Mean length of the student's episodes."""
    explained: float
    """Share of the variance of the teacher's actions, on the student's way, that the student's actions explain."""
    metrics: dict[str, list[float]]
    steps_per_iteration: int


def main(arguments: Arguments) -> None:
    outcomes = [compare(Run(name), arguments.episodes) for name in arguments.runs]
    draw(outcomes, arguments.figure)
    print("| teacher | student | share | student's steps | explained variance of the actions |")
    print("| --- | --- | --- | --- | --- |")
    for run in outcomes:
        share = f"{100 * run.student / run.teacher:.0f} %"
        print(f"| {run.teacher:.2f} | {run.student:.2f} | {share} | {run.length:.0f} | {100 * run.explained:.1f} % |")
    print(f"\n{arguments.figure}")


def compare(run: Run, episodes: int) -> Outcome:
    """Play the student and the teacher of a run, each in environments of its own with the same seed."""
    task = run.task()
    runner = dataclasses.replace(task.runner, teacher_checkpoint=None)
    env = played_env(task, episodes)
    alg = make_runner(dataclasses.replace(task, runner=runner), env, None).alg
    alg.load(read_checkpoint(str(run.checkpoint())), {"student": True, "teacher": True}, True)
    alg.eval_mode()
    taught: list[torch.Tensor] = []
    done: list[torch.Tensor] = []

    def act(obs: TensorDict) -> torch.Tensor:
        actions = alg.student(obs)
        taught.append(alg.teacher(obs))
        done.append(actions)
        return actions

    act.reset = alg.student.reset  # type: ignore[attr-defined]
    student = play_episodes(env, act, episodes).means()
    teacher = play_episodes(played_env(task, episodes), alg.teacher, episodes).means()
    wanted, given = torch.stack(taught), torch.stack(done)
    unexplained = (wanted - given).square().mean() / (wanted - wanted.mean(dim=(0, 1))).square().mean()
    return Outcome(
        teacher=teacher["return"],
        student=student["return"],
        length=student["length"],
        explained=1.0 - unexplained.item(),
        metrics=read_metrics(run.folder),
        steps_per_iteration=task.num_envs * task.runner.num_steps_per_env,
    )


def played_env(task: TaskConfig, num_envs: int) -> Any:
    return make_env(task.env, num_envs=num_envs, seed=1000, **judged_options(task))


def draw(outcomes: list[Outcome], path: Path) -> None:
    """Draw the students' training over environment steps: reward, and distance from the teacher's actions."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.4, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = {"Train/mean_reward": "episode reward in training", "Loss/behavior": "mean squared error of the actions"}
    for axes, (column, label) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        for index, run in enumerate(outcomes):
            values = run.metrics.get(column, [])  # no reward before an episode has ended
            steps = [(i + 1) * run.steps_per_iteration / 1e3 for i in range(len(values))]
            axes.plot(steps, values, color="#2f6db3", alpha=0.75, lw=1.4, label=None if index else "students")
        axes.set_xlabel("environment steps [thousand]")
        axes.set_ylabel(label)
        axes.set_xlim(left=0)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    teacher = statistics.fmean(run.teacher for run in outcomes)
    figure.axes[0].axhline(teacher, color="#7a7a7a", lw=1, ls="--", label="teachers, played")
    figure.axes[0].legend(frameon=False, fontsize=8)
    figure.axes[1].set_yscale("log")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main(tyro.cli(Arguments))
