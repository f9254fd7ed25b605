# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The numbers of one iteration."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class IterationReport:
    """What an iteration measured; sinks write it, a console shows it."""

    iteration: int
    start_iteration: int
    end_iteration: int
    """The first iteration that will not be made."""
    total_steps: int
    """Environment steps taken so far."""
    elapsed: float
    """Seconds of collecting and learning so far."""
    collect_time: float
    learn_time: float
    steps_per_second: float
    losses: dict[str, float]
    learning_rate: float
    action_std: float | None
    mean_reward: float | None = None
    mean_episode_length: float | None = None
    mean_extrinsic_reward: float | None = None
    mean_intrinsic_reward: float | None = None
    rnd_weight: float | None = None
    episode: dict[str, float] = field(default_factory=dict)
    """Means of what the environment logged."""
    metrics: dict[str, float] = field(default_factory=dict)
    """What else was measured, by tag."""
    evaluation: dict[str, float] = field(default_factory=dict)
    """Numbers of an evaluation by their tags, in iterations that had one."""

    @property
    def seconds_left(self) -> float:
        """Estimated seconds to the end, at the speed so far."""
        steps_per_iteration = self.steps_per_second * (self.collect_time + self.learn_time)
        iterations_left = self.end_iteration - self.iteration - 1
        return self.elapsed / max(self.total_steps, 1) * steps_per_iteration * iterations_left

    def scalars(self) -> dict[str, float]:
        """Return every number under its tag."""
        numbers: dict[str, float | None] = {
            (tag if "/" in tag else f"Episode/{tag}"): value for tag, value in self.episode.items()
        }
        numbers |= {f"Loss/{name}": value for name, value in self.losses.items()}
        numbers |= self.metrics
        numbers |= {"Loss/learning_rate": self.learning_rate, "Policy/mean_std": self.action_std}
        numbers |= {
            "Rnd/mean_extrinsic_reward": self.mean_extrinsic_reward,
            "Rnd/mean_intrinsic_reward": self.mean_intrinsic_reward,
            "Rnd/weight": self.rnd_weight,
            "Train/mean_reward": self.mean_reward,
            "Train/mean_episode_length": self.mean_episode_length,
            "Perf/total_fps": self.steps_per_second,
            "Perf/collection_time": self.collect_time,
            "Perf/learning_time": self.learn_time,
        }
        numbers |= self.evaluation
        return {tag: value for tag, value in numbers.items() if value is not None}
