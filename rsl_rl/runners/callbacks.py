# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What happens around an iteration, as parts that the training loop calls in order."""

from __future__ import annotations

import math
import typing
import warnings
from collections import deque
from collections.abc import Mapping
from statistics import median
from typing import TYPE_CHECKING

from tensordict import TensorDict

from rsl_rl.checkpoint import EVALUATED_RETURN, TRAINING_REWARD
from rsl_rl.config.schema import types_of
from rsl_rl.distributed import on_host
from rsl_rl.env.finite_guard import StepOutcome
from rsl_rl.runners.run_state import process_state
from rsl_rl.utils import did_you_mean, listed

if TYPE_CHECKING:
    from rsl_rl.algorithms.algorithm import Algorithm
    from rsl_rl.runners.on_policy_runner import OnPolicyRunner

# Tag -> what it is called, how many times its usual value is a jump, and below what it is not worth a word.
_WATCHED = {
    "Loss/value": ("value loss", 100.0, 1.0),
    "Update/kl": ("KL divergence", 100.0, 0.1),
    "Update/clipped": ("share of clipped samples", 10.0, 0.5),
    "Update/actor_gradient": ("actor's gradient", 100.0, 1.0),
    "Update/critic_gradient": ("critic's gradient", 100.0, 1.0),
}


class Callback:
    """A part of what happens around an iteration. Every method does nothing unless a subclass replaces it.

    What a part needs of the training it finds in the runner: ``current_learning_iteration``, ``is_last_iteration``,
    ``alg``, ``env``, ``losses`` of the last update, ``logger`` with its ``metrics``. A part with ``state_dict`` and
    ``load_state_dict`` is saved with every checkpoint and resumed.
    """

    def on_learn_begin(self, runner: OnPolicyRunner, obs: TensorDict) -> TensorDict:
        """Return the observations, groups [N, ...], that the training starts from."""
        return obs

    def on_step(self, outcome: StepOutcome) -> StepOutcome:
        """Return what is learned from a step of the environment. Must not wait for the device."""
        return outcome

    def on_rollout_end(self, runner: OnPolicyRunner, obs: TensorDict) -> bool:
        """Return whether the rollout, after which came these observations, can be learned from in every process."""
        return True

    def on_update_end(self, runner: OnPolicyRunner) -> None:
        """Act after the update, before the iteration is logged; ``runner.logger.metrics`` takes numbers for the log."""

    def on_iteration_end(self, runner: OnPolicyRunner) -> None:
        """Act after the iteration has been logged, before its checkpoint is written."""

    def on_learn_end(self, runner: OnPolicyRunner) -> None:
        """Act after the last iteration."""


class RunawayWatch(Callback):
    """Compares the numbers of an update with the median of the last 50 ones."""

    def __init__(self) -> None:
        """Start without a history."""
        self._history = {tag: deque[float](maxlen=50) for tag in _WATCHED}
        self._quiet_until = dict.fromkeys(_WATCHED, 0)

    def on_iteration_end(self, runner: OnPolicyRunner) -> None:
        """Warn of what has jumped by orders of magnitude, once in 50 iterations; keep the checkpoint from before it."""
        iteration, numbers, jumps = runner.current_learning_iteration, runner.logger.numbers, []
        for tag, (name, factor, floor) in _WATCHED.items():
            number, history = numbers.get(tag, math.nan), self._history[tag]
            if not math.isfinite(number):
                continue
            usual = median(history) if len(history) >= 10 else math.inf
            if number > max(factor * usual, floor) and iteration >= self._quiet_until[tag]:
                jumps.append(f"{name} {number:.3g} (median of the last {len(history)} iterations: {usual:.3g})")
                self._quiet_until[tag] = iteration + 50
            history.append(number)
        if jumps:
            kept = None if runner.folder is None else runner.folder.protect_latest(f"before_runaway_{iteration}.pt")
            where = "" if kept is None else f" The checkpoint from before is kept as '{kept}'."
            warnings.warn(f"Iteration {iteration}: {'; '.join(jumps)}.{where}", stacklevel=3)


class Annealing(Callback):
    """Changes numbers of the algorithm linearly, from what it begins with to what they are in the last iteration."""

    def __init__(self, alg: Algorithm, last: Mapping[str, float]) -> None:
        """Take the names of numbers, and their last values.

        Raises:
            ValueError: The algorithm has no such number, or a schedule of its own for it.
        """
        # Counts cannot change linearly; an option that takes any number may hold a whole one.
        types = types_of(type(alg))
        numbers = {
            name: value
            for name, value in vars(alg).items()
            if name[0] != "_"
            and (type(value) is float or (type(value) is int and float in typing.get_args(types.get(name))))
        }
        if getattr(alg, "schedule", None) != "adaptive":
            numbers["learning_rate"] = alg.learning_rate
        for name in last:
            if name not in numbers:
                kind, hint = type(alg).__name__, did_you_mean(name, numbers)
                raise ValueError(
                    f"'anneal': {kind} has no number '{name}' to change.{hint} Numbers: {listed(numbers)}."
                )
        self._between = {name: (float(numbers[name]), float(value)) for name, value in last.items()}

    def on_learn_begin(self, runner: OnPolicyRunner, obs: TensorDict) -> TensorDict:
        """Set the numbers of the first iteration."""
        self._first = runner.first_iteration
        self._end = runner.completed_iterations + runner.num_learning_iterations
        self._set(runner.alg, runner.completed_iterations)
        return obs

    def on_update_end(self, runner: OnPolicyRunner) -> None:
        """Set the numbers of the next iteration."""
        self._set(runner.alg, runner.current_learning_iteration + 1)

    def _set(self, alg: Algorithm, iteration: int) -> None:
        share = min(1.0, (iteration - self._first) / max(1, self._end - 1 - self._first))
        for name, (first, last) in self._between.items():
            setattr(alg, name, first + (last - first) * share)


class Checkpointing(Callback):
    """Saves every so many iterations, the best policy, and at the end, of which all processes agree."""

    def on_iteration_end(self, runner: OnPolicyRunner) -> None:
        """Save if it is time; make this iteration the last one where a process was asked to stop."""
        folder, iteration, rewards = runner.folder, runner.current_learning_iteration, runner.logger.episodes.returns
        by = EVALUATED_RETURN if EVALUATED_RETURN in runner.logger.evaluation else TRAINING_REWARD
        score = runner.logger.evaluation.get(by, float(sum(rewards) / len(rewards)) if rewards else None)
        is_urgent = folder is not None and (folder.is_behind or (by != TRAINING_REWARD and folder.is_best(score, by)))
        stops, is_urgent = runner.world.sums(runner.stop_requested, is_urgent)
        # A signal that comes after the sum counts for the next iteration.
        runner.is_last_iteration |= stops > 0
        runner.stop_requested |= stops > 0
        if not (runner.is_last_iteration or is_urgent or iteration % runner.cfg["save_interval"] == 0):
            return
        if runner.is_distributed:
            if different := runner.world.unlike_the_first(runner.alg.fingerprint()):
                warnings.warn(
                    f"The parameters of the processes {different} are not those of process 0 any more; they are "
                    "copied anew. An update that depends on the process, or failing hardware, does this.",
                    stacklevel=3,
                )
                runner.alg.broadcast_parameters()
            runner.process_states = runner.world.gather(on_host(process_state(runner)))
        if folder is not None:
            folder.save(runner.save, iteration, score, runner.is_last_iteration, by)
            # A client's way of saving may have looked at the policy.
            runner.alg.train_mode()
        runner.process_states = []
