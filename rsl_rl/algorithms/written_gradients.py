# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The gradients of PPO's losses without recording their many small operations."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from rsl_rl.core.gaussian_ppo import Coefficients, Rollout, losses_and_gradients
from rsl_rl.models import MLPModel, RNNModel
from rsl_rl.modules import GaussianDistribution, HeteroscedasticGaussianDistribution


class WrittenGradients:
    """The gradients of PPO's losses for a Gaussian policy, written out: only those of the layers are recorded."""

    def __init__(self, alg: Any) -> None:
        """Remember the algorithm, a :class:`rsl_rl.algorithms.PPO`, whose models and options are used."""
        self._alg = alg

    def fits(self) -> bool:
        """Return whether the losses of the algorithm are no others than these."""
        alg = self._alg
        is_gaussian = type(alg.actor.distribution) in (GaussianDistribution, HeteroscedasticGaussianDistribution)
        is_own = type(alg.actor) in (MLPModel, RNNModel) and type(alg.critic) in (MLPModel, RNNModel)
        # A program may have put losses of its own in the place of the method.
        is_own = is_own and "_mini_batch_losses" not in vars(alg)
        return is_gaussian and is_own and not alg.rnd and not alg.symmetry and not alg.use_mixed_precision

    def run(self, batch: Any, share: float, parameters: list[nn.Parameter]) -> torch.Tensor:
        """Add the gradients of a piece to those that there are; return its share of the numbers."""
        alg = self._alg
        policy = alg.actor.output_distribution(batch.observations, batch.masks, batch.hidden_states[0])
        value = alg.critic(batch.observations, batch.masks, batch.hidden_states[1])
        rollout = Rollout(
            batch.actions,
            batch.old_actions_log_prob.squeeze(-1),
            batch.advantages.squeeze(-1),
            batch.values,
            batch.returns,
            *batch.old_distribution_params,
        )
        value_clip = alg.clip_param if alg.use_clipped_value_loss else None
        coefficients = Coefficients(alg.clip_param, value_clip, alg.value_loss_coef, alg.entropy_coef)
        mean, scale = policy
        numbers, gradients = losses_and_gradients(mean, scale, value, rollout, coefficients)
        if share != 1.0:
            numbers, gradients = numbers * share, tuple(gradient.mul_(share) for gradient in gradients)
        pairs = [pair for pair in zip((mean, scale, value), gradients, strict=True) if pair[0].requires_grad]
        torch.autograd.backward(*zip(*pairs, strict=True))  # type: ignore[arg-type]
        return numbers
