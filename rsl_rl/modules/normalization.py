# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Running normalization of observations."""

from collections.abc import Sequence

import torch
from torch import nn

from rsl_rl.distributed import current
from rsl_rl.utils import takes_plain_options
from rsl_rl.utils.ranges import Fraction, NonNegative, WholeNumber


class EmpiricalNormalization(nn.Module):
    """Normalize by the mean and standard deviation of everything seen so far.

    Batches are merged exactly, as if all samples had come in one batch (Chan, Golub and LeVeque, "Algorithms for
    Computing the Sample Variance", 1983).
    """

    _mean: torch.Tensor
    _var: torch.Tensor
    _std: torch.Tensor
    count: torch.Tensor

    @takes_plain_options
    def __init__(self, shape: int | Sequence[int], eps: NonNegative = 1e-2, until: WholeNumber | None = None) -> None:
        """Start with mean 0 and standard deviation 1.

        Args:
            shape: Shape of one sample.
            eps: Added to the standard deviation, in units of the input.
            until: Stop learning after this many samples; None for never.
        """
        super().__init__()
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        self.eps = eps
        self.until = until
        self.register_buffer("_mean", torch.zeros(1, *shape))
        self.register_buffer("_var", torch.ones(1, *shape))
        self.register_buffer("_std", torch.ones(1, *shape))
        self.register_buffer("count", torch.zeros((), dtype=torch.long))

    @property
    def mean(self) -> torch.Tensor:
        """Mean of the samples seen so far, of one sample's shape."""
        return self._mean.squeeze(0).clone()

    @property
    def std(self) -> torch.Tensor:
        """Standard deviation (biased) of the samples seen so far, of one sample's shape."""
        return self._std.squeeze(0).clone()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(x - mean) / (std + eps)`` for x of shape [..., *shape]."""
        return (x - self._mean) / (self._std + self.eps)

    def inverse(self, y: torch.Tensor) -> torch.Tensor:
        """Return the x of which ``y`` is the normalized form."""
        return y * (self._std + self.eps) + self._mean

    @torch.no_grad()
    def update(self, x: torch.Tensor) -> None:
        """Merge samples [..., *shape] into the statistics; does nothing outside the training mode."""
        if not self.training:
            return
        kind = self._mean.dtype
        x = x.reshape(-1, *x.shape[x.ndim - self._mean.ndim + 1 :]).to(torch.promote_types(x.dtype, kind))
        batch_var, batch_mean = torch.var_mean(x, dim=0, unbiased=False, keepdim=True)
        batch_mean, batch_var, batch_count = current().pooled_moments(batch_mean, batch_var, x.shape[0])
        batch_mean, batch_var = batch_mean.to(kind), batch_var.to(kind)
        rate = batch_count / (self.count + batch_count)
        delta = batch_mean - self._mean
        mean = torch.addcmul(self._mean, rate, delta)
        spread = torch.addcmul(batch_var, 1 - rate, delta.square())
        var = torch.addcmul(self._var, rate, spread - self._var)
        # Where learning has ended, or a sample is not finite or too large to square, the batch weighs nothing: a tensor
        # expression, since reading it would wait for the device. What is not finite, less itself, is NaN.
        total = var.sum()
        counts = total - total == 0
        if self.until is not None:
            counts = counts & (self.count < self.until)
        self.count += batch_count * counts
        torch.where(counts, mean, self._mean, out=self._mean)
        torch.where(counts, var, self._var, out=self._var)
        torch.sqrt(self._var, out=self._std)


class EmpiricalDiscountedVariationNormalization(nn.Module):
    """Divide rewards by the running standard deviation of their discounted sum, without shifting them.

    After Burda et al., "Exploration by Random Network Distillation", 2018, section 2.4.
    """

    @takes_plain_options
    def __init__(
        self,
        shape: int | Sequence[int],
        eps: NonNegative = 1e-2,
        gamma: Fraction = 0.99,
        until: WholeNumber | None = None,
    ) -> None:
        """Start with a standard deviation of 1.

        Args:
            shape: Shape of one environment's reward, ``[]`` for a number.
            eps: As for :class:`EmpiricalNormalization`.
            gamma: Discount per step.
            until: Stop learning after this many rewards; None for never.
        """
        super().__init__()
        self.emp_norm = EmpiricalNormalization(shape, eps, until)
        self.gamma = gamma
        self.discounted_sum: torch.Tensor | None = None
        """[N, *shape], the running discounted sum of every environment; starts anew when N changes."""

    def forward(self, rew: torch.Tensor) -> torch.Tensor:
        """Return the rewards [N, *shape] divided by the standard deviation; in training mode they are learned from."""
        if self.training:
            rew = rew if rew.is_floating_point() else rew.float()
            if self.discounted_sum is None or self.discounted_sum.shape != rew.shape:
                self.discounted_sum = torch.zeros_like(rew)
            # A sum that was infinite once would stay so.
            discounted_sum = torch.add(rew, self.discounted_sum, alpha=self.gamma)
            self.discounted_sum = discounted_sum.nan_to_num(posinf=0.0, neginf=0.0)
            self.emp_norm.update(self.discounted_sum)
        std = self.emp_norm._std
        # The first rewards of one environment have no spread; a number of shape [1] for a reward of shape [N].
        return rew / (std + (std == 0))
