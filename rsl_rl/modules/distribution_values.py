# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Distributions as values: their parameters are all they know, and every call gives the same answer.

Legend: B samples, A actions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch

# Entropy of a Gaussian with the standard deviation 1, in nats.
_OF_UNIT_SCALE = 0.5 + 0.5 * math.log(2 * math.pi)


class OutputDistribution(Protocol):
    """What can be asked of a distribution once its parameters are known.

    :class:`DiagGaussian` and :class:`ScaledBeta` are such values; a ``Distribution`` is one after its ``update``.
    """

    @property
    def mean(self) -> torch.Tensor: ...  # noqa: D102
    @property
    def std(self) -> torch.Tensor: ...  # noqa: D102
    @property
    def entropy(self) -> torch.Tensor: ...  # noqa: D102
    @property
    def params(self) -> tuple[torch.Tensor, ...]: ...  # noqa: D102
    def sample(self) -> torch.Tensor: ...  # noqa: D102
    def log_prob(self, outputs: torch.Tensor) -> torch.Tensor: ...  # noqa: D102


# A dataclass, as ScaledBeta, and no named tuple: the compiler of torch 2.6 gives up at a property of one.
@dataclass(eq=False)
class DiagGaussian:
    """A Gaussian with independent dimensions, as a value: mean [B, A] and scale, its standard deviation.

    The scale is [B, A], or [A] where it is the same for all samples, which saves most of the arithmetic.
    """

    mean: torch.Tensor
    scale: torch.Tensor
    _known_entropy: torch.Tensor | None = field(default=None, init=False, repr=False)

    @property
    def std(self) -> torch.Tensor:
        """Standard deviation, [B, A]."""
        return self.scale.expand_as(self.mean)

    @property
    def params(self) -> tuple[torch.Tensor, ...]:
        """(mean [B, A], std [B, A])."""
        return (self.mean, self.scale.expand_as(self.mean))

    @property
    def entropy(self) -> torch.Tensor:
        """Differential entropy in nats, [B]; the density at the mean follows from it, and both are asked for."""
        known = self._known_entropy
        if known is None:
            known = (self.scale.log() + _OF_UNIT_SCALE).sum(dim=-1).expand(self.mean.shape[:-1])
            self._known_entropy = known if torch.is_grad_enabled() else None  # Without, it would have no gradient.
        return known

    def sample(self) -> torch.Tensor:
        """Draw one sample, [B, A], with one standard-normal draw of that shape."""
        # torch.normal would check std >= 0, which waits for the device.
        return torch.addcmul(self.mean, self.scale, torch.randn_like(self.mean))

    def log_prob(self, outputs: torch.Tensor) -> torch.Tensor:
        """Log density of outputs [B, A], [B]."""
        deviation = (outputs - self.mean) / self.scale
        return torch.sub(0.5 * self.mean.shape[-1] - self.entropy, deviation.square().sum(dim=-1), alpha=0.5)

    def kl_from(self, old: DiagGaussian) -> torch.Tensor:
        """KL(old || self) in nats, [B]."""
        variance_ratio = (old.scale / self.scale).square()
        shift = (old.mean - self.mean) / self.scale
        # In this order a shift beneath the rounding of 1 counts as none, and leaves an adaptive learning rate alone.
        return 0.5 * (variance_ratio + shift.square() - 1.0 - variance_ratio.log()).sum(dim=-1)


@dataclass(frozen=True, eq=False)
class ScaledBeta:
    """Beta distributions with independent dimensions, stretched from [0, 1] to [low, high]: alpha, beta [B, A]."""

    alpha: torch.Tensor
    beta: torch.Tensor
    low: float
    high: float

    @property
    def mean(self) -> torch.Tensor:
        """Mean, [B, A]."""
        return self.low + (self.high - self.low) * self.alpha / (self.alpha + self.beta)

    @property
    def std(self) -> torch.Tensor:
        """Standard deviation, [B, A]."""
        total = self.alpha + self.beta
        return (self.high - self.low) * (self.alpha * self.beta / (total + 1)).sqrt() / total

    @property
    def params(self) -> tuple[torch.Tensor, ...]:
        """(alpha [B, A], beta [B, A])."""
        return (self.alpha, self.beta)

    @property
    def entropy(self) -> torch.Tensor:
        """Differential entropy on [0, 1] in nats, [B]: without the constant log(high - low) per dimension."""
        alpha, beta, total = self.alpha, self.beta, self.alpha + self.beta
        spread = (total - 2) * total.digamma() - (alpha - 1) * alpha.digamma() - (beta - 1) * beta.digamma()
        return (_log_beta(alpha, beta) + spread).sum(dim=-1)

    def sample(self) -> torch.Tensor:
        """Draw one sample, [B, A]."""
        # As torch.distributions.Beta draws it, so that one seed gives one action.
        draw = torch._sample_dirichlet(torch.stack(self.params, dim=-1))  # type: ignore[attr-defined]
        return self.low + (self.high - self.low) * draw[..., 0]

    def log_prob(self, outputs: torch.Tensor) -> torch.Tensor:
        """Log density of outputs [B, A], [B]; at the ends of the range that just inside them."""
        scale = self.high - self.low
        x = ((outputs - self.low) / scale).clamp(1e-6, 1 - 1e-6)
        log_density = (self.alpha - 1) * x.log() + (self.beta - 1) * (-x).log1p() - _log_beta(self.alpha, self.beta)
        return (log_density - math.log(scale)).sum(dim=-1)

    def kl_from(self, old: ScaledBeta) -> torch.Tensor:
        """KL(old || self) in nats, [B]."""
        total, old_total = self.alpha + self.beta, old.alpha + old.beta
        gain = self.alpha.lgamma() + self.beta.lgamma() + old_total.lgamma()
        loss = old.alpha.lgamma() + old.beta.lgamma() + total.lgamma()
        divergence = gain - loss + (old.alpha - self.alpha) * old.alpha.digamma()
        divergence = divergence + (old.beta - self.beta) * old.beta.digamma()
        return (divergence + (total - old_total) * old_total.digamma()).sum(dim=-1)


class OfTorch(NamedTuple):
    """A distribution of torch with independent dimensions, as a value: [B, A], log density and entropy [B]."""

    distribution: torch.distributions.Distribution

    @property
    def mean(self) -> torch.Tensor:  # noqa: D102
        return self.distribution.mean

    @property
    def std(self) -> torch.Tensor:  # noqa: D102
        return self.distribution.stddev

    @property
    def params(self) -> tuple[torch.Tensor, ...]:  # noqa: D102
        return (self.mean, self.std)

    @property
    def entropy(self) -> torch.Tensor:  # noqa: D102
        return self.summed(self.distribution.entropy())

    def sample(self) -> torch.Tensor:  # noqa: D102
        return self.distribution.sample()

    def log_prob(self, outputs: torch.Tensor) -> torch.Tensor:  # noqa: D102
        return self.summed(self.distribution.log_prob(outputs))

    def summed(self, values: torch.Tensor) -> torch.Tensor:  # noqa: D102
        return values if self.distribution.event_shape else values.sum(dim=-1)


def _log_beta(alpha: torch.Tensor, beta: torch.Tensor) -> torch.Tensor:
    """Return the logarithm of the Beta function."""
    return alpha.lgamma() + beta.lgamma() - (alpha + beta).lgamma()
