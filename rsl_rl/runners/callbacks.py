# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What happens around an iteration, as parts that the training loop calls in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tensordict import TensorDict

from rsl_rl.env.finite_guard import StepOutcome

if TYPE_CHECKING:
    from rsl_rl.runners.on_policy_runner import OnPolicyRunner


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


class CallFunction(Callback):
    """Calls a function with the runner after every update."""

    def __init__(self, function: Callable[[OnPolicyRunner], object]) -> None:
        """Remember the function."""
        self._function = function

    def on_update_end(self, runner: OnPolicyRunner) -> None:  # noqa: D102
        self._function(runner)
