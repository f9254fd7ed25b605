# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What no action depends on is computed once for the whole rollout: few large calls instead of many small ones.

Legend: T steps, N environments, A actions.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from rsl_rl.models import MLPModel
from rsl_rl.models.mlp_model import sees_single_rows
from rsl_rl.storage import RolloutStorage

# Samples at a time: what the layers in between hold stays in the processor's cache, and small on a GPU.
_SAMPLES_AT_A_TIME = {"cpu": 1 << 11, "cuda": 1 << 15}


class WholeRollout:
    """Puts off the values and log-probabilities of a rollout until its end, if whoever collects it agrees.

    A transition computes them at once if anybody reads them; the storage has them, and rewards that include what
    follows a time-out, after :meth:`fill_in`. Nothing is put off where the value of an observation
    depends on more than the observation (recurrence, batch normalization), or the density is not known from the
    parameters that are stored.
    """

    def __init__(self, is_allowed: bool) -> None:
        """Set up.

        Args:
            is_allowed: False for an algorithm that replaces what would read them.
        """
        self.is_allowed = is_allowed
        self.is_wanted = False
        """Whether the loop that collects reads nothing of the rollout before its end."""
        self._values_wait = self._log_probs_wait = False

    def complete(self, storage: RolloutStorage, transition: RolloutStorage.Transition, actor: Any, critic: Any) -> None:
        """Give a transition, whose action is chosen, value and log-probability, now or when they are read."""
        if storage.step == 0:  # Not once for all: programs replace models.
            may_wait = self.is_allowed and self.is_wanted
            self._values_wait = may_wait and sees_single_rows(critic)
            self._log_probs_wait = may_wait and _has_known_density(actor)

        if self._log_probs_wait:
            transition.defer("actions_log_prob", lambda: _log_prob(actor, transition))
        else:
            transition.actions_log_prob = actor.get_output_log_prob(transition.actions).detach()
        if self._values_wait:
            transition.defer("values", lambda: critic(transition.observations).detach())
        else:
            transition.values = critic(transition.observations).detach()

    @torch.no_grad()
    def fill_in(self, storage: RolloutStorage, actor: Any, critic: Any, gamma: float) -> None:
        """Compute what was put off, and let rewards of episodes that the time limit cut off include what follows."""
        steps = storage.step
        if "values" in storage.missing:
            at_a_time = max(1, _SAMPLES_AT_A_TIME.get(storage.values.device.type, 1 << 15) // storage.num_envs)
            for start in range(0, steps, at_a_time):
                part = slice(start, min(start + at_a_time, steps))
                obs = {str(key): value[part].flatten(0, 1) for key, value in storage.observations.items()}
                storage.values[part].copy_(critic(obs).view(-1, storage.num_envs, 1))
            storage.rewards[:steps] += gamma * torch.where(storage.cut_off[:steps], storage.values[:steps], 0.0)
        if "actions_log_prob" in storage.missing:
            params = tuple(param[:steps] for param in storage.distribution_params or ())
            log_probs_TN = actor.distribution.log_prob_given(params, storage.actions[:steps])
            storage.actions_log_prob[:steps].copy_(log_probs_TN.unsqueeze(-1))
        storage.missing.clear()


@contextlib.contextmanager
def values_put_off(alg: Any) -> Iterator[None]:
    """Let an algorithm that can do so compute values at the end of the rollouts that are collected in this block."""
    whole_rollout = getattr(alg, "whole_rollout", None)
    if whole_rollout is None:
        yield
        return
    whole_rollout.is_wanted = True
    try:
        yield
    finally:
        whole_rollout.is_wanted = False


def _log_prob(actor: Any, transition: RolloutStorage.Transition) -> torch.Tensor:
    return actor.distribution.log_prob_given(transition.distribution_params, transition.actions).detach()


def _has_known_density(actor: Any) -> bool:
    asks_distribution = getattr(type(actor), "get_output_log_prob", None) is MLPModel.get_output_log_prob
    return asks_distribution and hasattr(actor.distribution, "log_prob_given")
