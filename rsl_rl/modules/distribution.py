# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Output distributions of stochastic models.

Legend: B samples, A actions.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import NamedTuple, Protocol

import torch
from torch import nn

from rsl_rl.utils import did_you_mean


class OutputDistribution(Protocol):
    """What can be asked of a distribution once its parameters are known.

    :class:`DiagGaussian` is one, and so is every :class:`Distribution` after its ``update``.
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


class DiagGaussian(NamedTuple):
    """A Gaussian with independent dimensions, as a value: mean [B, A] and std [B, A]."""

    mean: torch.Tensor
    std: torch.Tensor

    @property
    def params(self) -> tuple[torch.Tensor, ...]:
        """(mean [B, A], std [B, A])."""
        return (self.mean, self.std)

    @property
    def entropy(self) -> torch.Tensor:
        """Differential entropy in nats, [B]."""
        return (0.5 + 0.5 * math.log(2 * math.pi) + self.std.log()).sum(dim=-1)

    def sample(self) -> torch.Tensor:
        """Draw one sample, [B, A], with one standard-normal draw of that shape."""
        # torch.normal would check std >= 0, which waits for the device.
        return torch.addcmul(self.mean, self.std, torch.randn_like(self.mean))

    def log_prob(self, outputs: torch.Tensor) -> torch.Tensor:
        """Log density of outputs [B, A], [B]."""
        deviation = (outputs - self.mean) / self.std
        return (-0.5 * deviation.square() - self.std.log() - 0.5 * math.log(2 * math.pi)).sum(dim=-1)

    def kl_from(self, old: DiagGaussian) -> torch.Tensor:
        """KL(old || self) in nats, [B]."""
        ratio = old.std / self.std
        shift = (old.mean - self.mean) / self.std
        return (0.5 * (ratio.square() + shift.square() - 1.0) - ratio.log()).sum(dim=-1)


class Distribution(nn.Module, ABC):
    """Turns the output of a network into a distribution over the model's outputs.

    The methods up to :meth:`init_mlp_weights` are the interface for subclasses. A subclass remembers the parameters of
    the last :meth:`update`; :meth:`given` gives the same answers without depending on which call came last.
    """

    def __init__(self, output_dim: int) -> None:
        """Remember the number of output dimensions A."""
        super().__init__()
        self.output_dim = output_dim

    @abstractmethod
    def update(self, mlp_output: torch.Tensor) -> None:
        """Take over the parameters computed from the network's output [B, *input_dim]."""

    @abstractmethod
    def sample(self) -> torch.Tensor:
        """Draw one sample, [B, A]."""

    @abstractmethod
    def deterministic_output(self, mlp_output: torch.Tensor) -> torch.Tensor:
        """Return the output [B, A] to use without randomness."""

    @abstractmethod
    def as_deterministic_output_module(self) -> nn.Module:
        """Return :meth:`deterministic_output` as a module that can be exported."""

    @property
    @abstractmethod
    def input_dim(self) -> int | list[int]:
        """Shape that the network's output must have: A, or for example [2, A]."""

    @property
    @abstractmethod
    def mean(self) -> torch.Tensor:
        """Mean, [B, A]."""

    @property
    @abstractmethod
    def std(self) -> torch.Tensor:
        """Standard deviation, [B, A]."""

    @property
    @abstractmethod
    def entropy(self) -> torch.Tensor:
        """Entropy in nats, summed over the output dimensions, [B]."""

    @property
    @abstractmethod
    def params(self) -> tuple[torch.Tensor, ...]:
        """The parameters, each [B, A]."""

    @abstractmethod
    def log_prob(self, outputs: torch.Tensor) -> torch.Tensor:
        """Log density of outputs [B, A], summed over the output dimensions, [B]."""

    @abstractmethod
    def kl_divergence(self, old_params: tuple[torch.Tensor, ...], new_params: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """KL(old || new) in nats, summed over the output dimensions, [B]."""

    def init_mlp_weights(self, mlp: nn.Module) -> None:
        """Initialize the network's last layer as the distribution needs it."""

    def given(self, mlp_output: torch.Tensor) -> OutputDistribution:
        """Return the distribution for a network output [B, *input_dim].

        A subclass that offers no value of its own answers with itself.
        """
        self.update(mlp_output)
        return self


class GaussianDistribution(Distribution):
    """Gaussian with independent dimensions; the standard deviation does not depend on the observation."""

    def __init__(
        self,
        output_dim: int,
        init_std: float = 1.0,
        std_range: tuple[float, float] = (1e-6, 1e6),
        std_type: str = "scalar",
        learn_std: bool = True,
    ) -> None:
        """Create the learned standard deviation.

        Args:
            output_dim: Number of output dimensions A.
            init_std: Initial standard deviation, in units of the output.
            std_range: The standard deviation is clamped to this range.
            std_type: ``"scalar"`` learns the standard deviation itself, ``"log"`` its logarithm.
            learn_std: Whether the optimizer may change it.

        Raises:
            ValueError: ``std_type`` is unknown, or the range is empty or not positive.
        """
        super().__init__(output_dim)
        low, high = std_range
        if not 0 < low <= high:
            raise ValueError(f"std_range needs 0 < low <= high, got {tuple(std_range)}.")
        if init_std <= 0:
            raise ValueError(f"init_std must be positive, got {init_std}.")
        self.std_type = std_type
        self.std_range = (float(low), float(high))
        if std_type == "scalar":
            self.std_param = nn.Parameter(torch.full((output_dim,), float(init_std)), requires_grad=learn_std)
        elif std_type == "log":
            self.log_std_param = nn.Parameter(torch.full((output_dim,), math.log(init_std)), requires_grad=learn_std)
        else:
            raise ValueError(
                f"Unknown std_type {std_type!r}.{did_you_mean(std_type, ['scalar', 'log'])} Valid: scalar, log"
            )
        self._current: DiagGaussian | None = None

    def given(self, mlp_output: torch.Tensor) -> DiagGaussian:
        """Return the Gaussian around the network's output [B, A], as a value."""
        std = self.std_param if self.std_type == "scalar" else self.log_std_param.exp()
        return DiagGaussian(mlp_output, std.clamp(*self.std_range).expand_as(mlp_output))

    def update(self, mlp_output: torch.Tensor) -> None:  # noqa: D102
        self._current = self.given(mlp_output)

    def sample(self) -> torch.Tensor:  # noqa: D102
        return self._last.sample()

    def deterministic_output(self, mlp_output: torch.Tensor) -> torch.Tensor:  # noqa: D102
        return mlp_output

    def as_deterministic_output_module(self) -> nn.Module:  # noqa: D102
        return nn.Identity()

    @property
    def input_dim(self) -> int:  # noqa: D102
        return self.output_dim

    @property
    def mean(self) -> torch.Tensor:  # noqa: D102
        return self._last.mean

    @property
    def std(self) -> torch.Tensor:  # noqa: D102
        return self._last.std

    @property
    def entropy(self) -> torch.Tensor:  # noqa: D102
        return self._last.entropy

    @property
    def params(self) -> tuple[torch.Tensor, ...]:  # noqa: D102
        return self._last.params

    def log_prob(self, outputs: torch.Tensor) -> torch.Tensor:  # noqa: D102
        return self._last.log_prob(outputs)

    def kl_divergence(  # noqa: D102
        self, old_params: tuple[torch.Tensor, ...], new_params: tuple[torch.Tensor, ...]
    ) -> torch.Tensor:
        return DiagGaussian(*new_params).kl_from(DiagGaussian(*old_params))

    @property
    def _last(self) -> DiagGaussian:
        if self._current is None:
            raise RuntimeError("The distribution has no parameters yet: call update() or a stochastic forward first.")
        return self._current
