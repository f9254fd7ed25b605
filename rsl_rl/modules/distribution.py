# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Output distributions of stochastic models.

Legend: B samples, A actions.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from rsl_rl.modules.distribution_values import DiagGaussian, OutputDistribution, ScaledBeta
from rsl_rl.utils import did_you_mean


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

    def project(self) -> None:
        """Move parameters that an optimizer's step has taken out of their range back into it."""

    def given(self, mlp_output: torch.Tensor) -> OutputDistribution:
        """Return the distribution for a network output [B, *input_dim].

        A subclass that offers no value of its own answers with itself.
        """
        self.update(mlp_output)
        return self


class _ValueDistribution(Distribution):
    """A distribution that is wholly described by the value that :meth:`given` returns; it remembers the last one."""

    def __init__(self, output_dim: int) -> None:
        super().__init__(output_dim)
        self._current: Any = None

    @property
    def _last(self) -> Any:
        if self._current is None:
            raise RuntimeError("The distribution has no parameters yet: call update() or a stochastic forward first.")
        return self._current

    def update(self, mlp_output: torch.Tensor) -> None:
        # Past the module's own slow way of setting attributes.
        object.__setattr__(self, "_current", self.given(mlp_output))

    def sample(self) -> torch.Tensor:
        return self._last.sample()

    @property
    def mean(self) -> torch.Tensor:
        return self._last.mean

    @property
    def std(self) -> torch.Tensor:
        return self._last.std

    @property
    def entropy(self) -> torch.Tensor:
        return self._last.entropy

    @property
    def params(self) -> tuple[torch.Tensor, ...]:
        return self._last.params

    def log_prob(self, outputs: torch.Tensor) -> torch.Tensor:
        return self._last.log_prob(outputs)

    def kl_divergence(self, old_params: tuple[torch.Tensor, ...], new_params: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return self._of(new_params).kl_from(self._of(old_params))

    def log_prob_given(self, params: tuple[torch.Tensor, ...], outputs: torch.Tensor) -> torch.Tensor:
        """Log density of outputs [..., A] under the distribution with these parameters [..., A], [...]."""
        return self._of(params).log_prob(outputs)

    @abstractmethod
    def _of(self, params: tuple[torch.Tensor, ...]) -> Any:
        """Return the value with these parameters."""


class GaussianDistribution(_ValueDistribution):
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
            std_range: The standard deviation stays within this range, also under the optimizer: a parameter that is out
                of it would have no gradient, and never come back.
            std_type: ``"scalar"`` learns the standard deviation itself, ``"log"`` its logarithm.
            learn_std: Whether the optimizer may change it.

        Raises:
            ValueError: ``std_type`` is unknown, or the range is empty or not positive.
        """
        super().__init__(output_dim)
        self.std_type = std_type
        self.std_range, initial = _checked_std(init_std, std_range, std_type)
        parameter = nn.Parameter(torch.full((output_dim,), initial), requires_grad=learn_std)
        if std_type == "scalar":
            self.std_param = parameter
        else:
            self.log_std_param = parameter
        self._param_range = self.std_range if std_type == "scalar" else _log_range(*self.std_range)

    @torch.no_grad()
    def project(self) -> None:  # noqa: D102
        (self.std_param if self.std_type == "scalar" else self.log_std_param).clamp_(*self._param_range)

    def given(self, mlp_output: torch.Tensor) -> DiagGaussian:
        """Return the Gaussian around the network's output [B, A], as a value."""
        std = self.std_param if self.std_type == "scalar" else self.log_std_param.exp()
        return DiagGaussian(mlp_output, std.clamp(*self.std_range))

    def deterministic_output(self, mlp_output: torch.Tensor) -> torch.Tensor:  # noqa: D102
        return mlp_output

    def as_deterministic_output_module(self) -> nn.Module:  # noqa: D102
        return nn.Identity()

    @property
    def input_dim(self) -> int:  # noqa: D102
        return self.output_dim

    def _of(self, params: tuple[torch.Tensor, ...]) -> DiagGaussian:
        return DiagGaussian(*params)


class HeteroscedasticGaussianDistribution(_ValueDistribution):
    """Gaussian with independent dimensions whose standard deviation is an output of the network, too."""

    def __init__(
        self,
        output_dim: int,
        init_std: float = 1.0,
        std_range: tuple[float, float] = (1e-6, 1e6),
        std_type: str = "scalar",
    ) -> None:
        """Remember how the standard deviation is read from the network's output.

        Args:
            output_dim: Number of output dimensions A.
            init_std: Initial standard deviation, in units of the output.
            std_range: The standard deviation is clamped to this range.
            std_type: ``"scalar"``: the network gives the standard deviation itself, ``"log"``: its logarithm.

        Raises:
            ValueError: ``std_type`` is unknown, or the range is empty or not positive.
        """
        super().__init__(output_dim)
        self.std_type = std_type
        self.std_range, self._initial_std_output = _checked_std(init_std, std_range, std_type)
        self._output_range = self.std_range if std_type == "scalar" else _log_range(*self.std_range)

    def given(self, mlp_output: torch.Tensor) -> DiagGaussian:
        """Return the Gaussian with the means and standard deviations of the network's output [B, 2, A], as a value."""
        mean, std = _in_full_precision(mlp_output).unbind(dim=-2)
        # Before the exponential, whose gradient vanishes with it.
        std = _ReturningClamp.apply(std, *self._output_range)
        return DiagGaussian(mean, std if self.std_type == "scalar" else std.exp())  # type: ignore[union-attr]

    def deterministic_output(self, mlp_output: torch.Tensor) -> torch.Tensor:  # noqa: D102
        return mlp_output[..., 0, :]

    def as_deterministic_output_module(self) -> nn.Module:  # noqa: D102
        return _FirstRow()

    @property
    def input_dim(self) -> list[int]:  # noqa: D102
        return [2, self.output_dim]

    def init_mlp_weights(self, mlp: nn.Module) -> None:
        """Start with the initial standard deviation for every observation."""
        _init_second_half(mlp, self.output_dim, self._initial_std_output)

    def _of(self, params: tuple[torch.Tensor, ...]) -> DiagGaussian:
        return DiagGaussian(*params)


class BetaDistribution(_ValueDistribution):
    """Beta distribution over a bounded range, with alpha and beta of at least 1, so that it has one peak.

    After Chou, Maturana and Scherer, "Improving Stochastic Policy Gradients in Continuous Control with Deep
    Reinforcement Learning using the Beta Distribution", 2017.
    """

    def __init__(self, output_dim: int, action_range: tuple[float, float] = (-1.0, 1.0)) -> None:
        """Remember the range.

        Args:
            output_dim: Number of output dimensions A.
            action_range: Lowest and highest output.

        Raises:
            ValueError: The range is empty.
        """
        super().__init__(output_dim)
        low, high = action_range
        if not low < high:
            raise ValueError(f"action_range needs low < high, got {tuple(action_range)}.")
        self.action_range = (float(low), float(high))

    def given(self, mlp_output: torch.Tensor) -> ScaledBeta:
        """Return the distribution with the raw alpha and beta of the network's output [B, 2, A], as a value."""
        alpha, beta = (functional.softplus(_in_full_precision(mlp_output)) + 1.0).unbind(dim=-2)
        return self._of((alpha, beta))

    def deterministic_output(self, mlp_output: torch.Tensor) -> torch.Tensor:
        """Return the mean [B, A]."""
        return self.given(mlp_output).mean

    def as_deterministic_output_module(self) -> nn.Module:  # noqa: D102
        return _BetaMean(*self.action_range)

    @property
    def input_dim(self) -> list[int]:  # noqa: D102
        return [2, self.output_dim]

    def init_mlp_weights(self, mlp: nn.Module) -> None:
        """Start with the same beta for every observation."""
        _init_second_half(mlp, self.output_dim, 0.0)

    def _of(self, params: tuple[torch.Tensor, ...]) -> ScaledBeta:
        alpha, beta = params
        return ScaledBeta(alpha, beta, *self.action_range)


class _ReturningClamp(torch.autograd.Function):
    """A clamp that lets a gradient pass where it leads back into the range: a network's output cannot be projected."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, low: float, high: float) -> torch.Tensor:
        ctx.save_for_backward(x)
        ctx.range = (low, high)
        return x.clamp(low, high)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (x,), (low, high), (gradient,) = ctx.saved_tensors, ctx.range, gradients
        leads_out = ((x < low) & (gradient > 0)) | ((x > high) & (gradient < 0))
        return torch.where(leads_out, 0.0, gradient), None, None


class _FirstRow(nn.Module):
    """[B, 2, A] -> [B, A], exportable."""

    def forward(self, mlp_output: torch.Tensor) -> torch.Tensor:
        return mlp_output[..., 0, :]


class _BetaMean(nn.Module):
    """Raw alpha and beta [B, 2, A] -> mean [B, A], exportable."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low = low
        self.scale = high - low

    def forward(self, mlp_output: torch.Tensor) -> torch.Tensor:
        shape = functional.softplus(mlp_output) + 1.0
        return self.low + self.scale * shape[..., 0, :] / (shape[..., 0, :] + shape[..., 1, :])


def _checked_std(init_std: float, std_range: tuple[float, float], std_type: str) -> tuple[tuple[float, float], float]:
    """Return the range, and what has to be learned to start at the initial standard deviation."""
    low, high = std_range
    if not 0 < low <= high:
        raise ValueError(f"std_range needs 0 < low <= high, got {tuple(std_range)}.")
    if not 0 < init_std <= torch.finfo(torch.float32).max:
        raise ValueError(f"init_std must be positive and a float32 number, got {init_std}.")
    if std_type not in ("scalar", "log"):
        hint = did_you_mean(std_type, ["scalar", "log"])
        raise ValueError(f"Unknown std_type {std_type!r}.{hint} Valid: scalar, log")
    return (float(low), float(high)), float(init_std) if std_type == "scalar" else math.log(init_std)


def _log_range(low: float, high: float) -> tuple[float, float]:
    """Return the float32 numbers whose exponentials are the ends of the range, rounded into it."""
    ends = torch.tensor([low, high], dtype=torch.float64).log().float()
    while ends[0].exp() < torch.tensor(low):
        ends[0] = torch.nextafter(ends[0], torch.tensor(torch.inf))
    while ends[1].exp() > torch.tensor(high):
        ends[1] = torch.nextafter(ends[1], torch.tensor(-torch.inf))
    return float(ends[0]), float(ends[1])


def _in_full_precision(mlp_output: torch.Tensor) -> torch.Tensor:
    """Return an output computed by autocast as float32: the densities would lose their last digits, and the update."""
    return mlp_output.float() if mlp_output.dtype in (torch.bfloat16, torch.float16) else mlp_output


def _init_second_half(mlp: nn.Module, output_dim: int, bias: float) -> None:
    """Let the last A outputs of a network's last Linear start as a constant."""
    linear = [module for module in mlp.modules() if isinstance(module, nn.Linear)][-1]
    with torch.no_grad():
        linear.weight[output_dim:] = 0.0
        linear.bias[output_dim:] = bias
