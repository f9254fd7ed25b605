# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The gradients of PPO's losses without recording their many small operations."""

from __future__ import annotations

import types
from typing import Any

import torch
from torch import nn

from rsl_rl.core.explicit_step import Network, mini_batch_gradients
from rsl_rl.core.gaussian_ppo import Coefficients, Rollout, losses_and_gradients
from rsl_rl.models import MLPModel, RNNModel
from rsl_rl.modules import EmpiricalNormalization, GaussianDistribution, HeteroscedasticGaussianDistribution
from rsl_rl.modules.mlp import elu_layers


class WrittenGradients:
    """The gradients of PPO's losses for a Gaussian policy, written out: only those of the layers are recorded."""

    def __init__(self, alg: Any) -> None:
        """Remember the algorithm, a :class:`rsl_rl.algorithms.PPO`, whose models and options are used."""
        self._alg = alg

    def fits(self) -> bool:
        """Return whether the losses of the algorithm are no others than these."""
        return _is_plain(self._alg) and not self._alg.use_mixed_precision

    def compiled(self, mode: str) -> CompiledStep:
        """Return the same as a compiled function, with a mode of ``torch.compile``."""
        return CompiledStep(self._alg, mode)

    def run(self, batch: Any, share: float, parameters: list[nn.Parameter]) -> torch.Tensor:
        """Add the gradients of a piece to those that there are; return its share of the numbers."""
        alg = self._alg
        policy = alg.actor.output_distribution(batch.observations, batch.masks, batch.hidden_states[0])
        value = alg.critic(batch.observations, batch.masks, batch.hidden_states[1])
        mean, scale = policy
        numbers, gradients = losses_and_gradients(mean, scale, value, _rollout(batch), _coefficients(alg))
        if share != 1.0:
            numbers, gradients = numbers * share, tuple(gradient.mul_(share) for gradient in gradients)
        pairs = [pair for pair in zip((mean, scale, value), gradients, strict=True) if pair[0].requires_grad]
        torch.autograd.backward(*zip(*pairs, strict=True))  # type: ignore[arg-type]
        return numbers


class CompiledStep:
    """The same with the layers written out too, as one compiled function of tensors."""

    description = "losses, layers and gradients are compiled as one"

    def __init__(self, alg: Any, mode: str) -> None:
        """Remember the algorithm, a :class:`rsl_rl.algorithms.PPO`; nothing is compiled before the first call."""
        self._alg = alg
        # torch counts compilations by code object, and gives up after eight of them: every training has its own.
        step = types.FunctionType(mini_batch_gradients.__code__.replace(), mini_batch_gradients.__globals__)
        self._step = torch.compile(step, mode=mode, dynamic=False)
        self._known, self._coefficients = None, Coefficients(None, None, None, None)
        self.unreached: set[int] = set()

    def fits(self) -> bool:
        """Return whether the models are made of these layers, and the losses no others than these."""
        alg = self._alg
        is_flat = _is_plain(alg) and type(alg.actor.distribution) is GaussianDistribution
        return is_flat and all(_has_elu_layers(model) for model in (alg.actor, alg.critic))

    def run(self, batch: Any, share: float, parameters: list[nn.Parameter]) -> torch.Tensor:
        """Add the gradients of a piece to those that there are; return its share of the numbers."""
        alg = self._alg
        layers = [elu_layers(model.mlp) or [] for model in (alg.actor, alg.critic)]
        reached = [getattr(layer, name) for part in layers for name in ("weight", "bias") for layer in part]
        distribution = alg.actor.distribution
        is_log = distribution.std_type != "scalar"
        deviation = distribution.log_std_param if is_log else distribution.std_param
        scale = deviation.detach().exp() if is_log else deviation.detach()
        actor, critic = (_network(m, part, batch) for m, part in zip((alg.actor, alg.critic), layers, strict=True))
        dtype = torch.bfloat16 if alg.use_mixed_precision else scale.dtype
        if self._known != (known := _coefficients(alg)):
            tensors = (None if c is None else torch.tensor(c, dtype=torch.float64, device=scale.device) for c in known)
            self._known, self._coefficients = known, Coefficients(*tensors)
        numbers, gradients = self._step(actor, critic, scale, _rollout(batch), self._coefficients, share, dtype)
        if is_log:
            gradients[-1] = gradients[-1] * scale
        found = {id(p): gradient for p, gradient in zip([*reached, deviation], gradients, strict=True)}
        for parameter in parameters:
            gradient = found.get(id(parameter))
            if gradient is not None:
                parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)
        return numbers


def _is_plain(alg: Any) -> bool:
    """Return whether the losses are PPO's own, for a Gaussian policy and models of this library."""
    is_gaussian = type(alg.actor.distribution) in (GaussianDistribution, HeteroscedasticGaussianDistribution)
    is_own = type(alg.actor) in (MLPModel, RNNModel) and type(alg.critic) in (MLPModel, RNNModel)
    # A program may have put losses of its own in the place of the method.
    is_own = is_own and "_mini_batch_losses" not in vars(alg)
    return is_gaussian and is_own and not alg._extensions


def _has_elu_layers(model: Any) -> bool:
    is_known = type(model.obs_normalizer) in (EmpiricalNormalization, nn.Identity)
    layers = elu_layers(model.mlp)
    return type(model) is MLPModel and is_known and layers is not None and len(model.mlp) == 2 * len(layers) - 1


def _network(model: Any, layers: list[nn.Linear], batch: Any) -> Network:
    normalizer = None
    if isinstance(own := model.obs_normalizer, EmpiricalNormalization):
        normalizer = (own._mean, own._std + own.eps)
    weights, biases = [layer.weight.detach() for layer in layers], [layer.bias.detach() for layer in layers]
    return Network(model._concatenated(batch.observations), normalizer, weights, biases)


def _rollout(batch: Any) -> Rollout:
    return Rollout(
        batch.actions,
        batch.old_actions_log_prob.squeeze(-1),
        batch.advantages.squeeze(-1),
        batch.values,
        batch.returns,
        *batch.old_distribution_params,
    )


def _coefficients(alg: Any) -> Coefficients:
    value_clip = alg.clip_param if alg.use_clipped_value_loss else None
    return Coefficients(alg.clip_param, value_clip, alg.value_loss_coef, alg.entropy_coef)
