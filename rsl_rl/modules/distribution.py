# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Output distributions of stochastic models.

Legend: B samples, A actions.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional

from rsl_rl.compat.names import names_of
from rsl_rl.core import clamped
from rsl_rl.modules.distribution_outputs import BetaMean, FirstRow
from rsl_rl.modules.distribution_values import DiagGaussian, OfTorch, OutputDistribution, ScaledBeta
from rsl_rl.utils import check_choice, takes_plain_options
from rsl_rl.utils.ranges import Finite, NonNegative

_SMALLEST_STD = 1e-6
_ANSWERS = {"update", "sample", "mean", "std", "entropy", "params", "log_prob"}


class Distribution(nn.Module, ABC):
    """Turns the output of a network into a distribution over the model's outputs.

    A subclass gives a value for every output of the network (:meth:`given`); the distribution remembers the one of the
    last :meth:`update` and answers for it. Or it replaces :meth:`update`, or some of what is asked afterwards.
    """

    value_of: Callable[..., Any]
    """Makes a value with parameters, each [B, A]."""
    answers_itself = False
    """Whether a subclass answers otherwise than the value that its class gives, and has to be asked itself."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.answers_itself = "given" not in vars(cls) and (cls.answers_itself or not _ANSWERS.isdisjoint(vars(cls)))

    def __init__(self, output_dim: int) -> None:
        """Remember the number of output dimensions A."""
        super().__init__()
        self.output_dim = output_dim
        self._last: Any = _NoParameters()

    @abstractmethod
    def deterministic_output(self, mlp_output: torch.Tensor) -> torch.Tensor:
        """Return the output [B, A] to use without randomness."""

    @abstractmethod
    def as_deterministic_output_module(self) -> nn.Module:
        """Return :meth:`deterministic_output` as a module that can be exported."""

    def given(self, mlp_output: torch.Tensor) -> OutputDistribution:
        """Return the distribution for a network output [B, *input_dim], as a value."""
        raise NotImplementedError(f"{type(self).__name__} needs a method given() or update() of its own.")

    def update(self, mlp_output: torch.Tensor) -> None:
        """Take over the parameters computed from the network's output [B, *input_dim]."""
        # Past the module's own slow way of setting attributes.
        object.__setattr__(self, "_last", self.given(mlp_output))

    def sample(self) -> torch.Tensor:
        """Draw one sample, [B, A]."""
        return self._last.sample()

    @property
    def input_dim(self) -> int | list[int]:
        """Shape that the network's output must have: A, or for example [2, A]."""
        return self.output_dim

    @property
    def mean(self) -> torch.Tensor:
        """Mean, [B, A]."""
        return self._last.mean

    @property
    def std(self) -> torch.Tensor:
        """Standard deviation, [B, A]."""
        return self._last.std

    @property
    def entropy(self) -> torch.Tensor:
        """Entropy in nats, summed over the output dimensions, [B]."""
        return self._last.entropy

    @property
    def params(self) -> tuple[torch.Tensor, ...]:
        """The parameters, each [B, A]."""
        return self._last.params

    def log_prob(self, outputs: torch.Tensor) -> torch.Tensor:
        """Log density of outputs [B, A], summed over the output dimensions, [B]."""
        return self._last.log_prob(outputs)

    def kl_divergence(self, old_params: tuple[torch.Tensor, ...], new_params: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """KL(old || new) in nats, summed over the output dimensions, [B]."""
        return self.value_of(*new_params).kl_from(self.value_of(*old_params))

    @property
    def _distribution(self) -> torch.distributions.Distribution | None:
        """What answers, as release 5.5.1 keeps it: subclasses written for it set this in their :meth:`update`."""
        if isinstance(self._last, _NoParameters):
            return None
        is_own = isinstance(self._last, OfTorch)
        return self._last.distribution if is_own else torch.distributions.Normal(self._last.mean, self._last.std)

    @_distribution.setter
    def _distribution(self, distribution: torch.distributions.Distribution | None) -> None:
        object.__setattr__(self, "_last", _NoParameters() if distribution is None else OfTorch(distribution))

    def init_mlp_weights(self, mlp: nn.Module) -> None:
        """Initialize the network's last layer as the distribution needs it."""

    def project(self) -> None:
        """Move parameters that an optimizer's step has taken out of their range back into it."""

    def mirrored(self, mirrors: torch.Tensor) -> torch.Tensor:
        """Return the mirrors [k, D, D] of a network's output, flattened to [B, D], for those of actions, [k, A, A].

        Asked once, of an actor that is to be symmetric. The first mirror is the identity; each row of another has one
        entry, 1 or -1. Parameters that are no output of the network have to stay symmetric from now on.

        Raises:
            ValueError: The mirror image of a distribution is not one.
        """
        raise ValueError(f"{type(self).__name__} has no mirror image: it needs a method mirrored() of its own.")


class _NoParameters:
    """Stands for the value of a distribution that has none yet."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise RuntimeError("The distribution has no parameters yet: call update() or a stochastic forward first.")


class _TwoRows(Distribution):
    """A distribution whose parameters both come from the network; at first the second is the same everywhere."""

    _second_output = 0.0

    @property
    def input_dim(self) -> list[int]:
        return [2, self.output_dim]

    def init_mlp_weights(self, mlp: nn.Module) -> None:
        linear = [module for module in mlp.modules() if isinstance(module, nn.Linear)][-1]
        with torch.no_grad():
            linear.weight[self.output_dim :] = 0.0
            linear.bias[self.output_dim :] = self._second_output


class GaussianDistribution(Distribution):
    """Gaussian with independent dimensions; the standard deviation does not depend on the observation.

    Its range binds the optimizer, too: a parameter out of it would have no gradient, and would never come back.
    """

    value_of = DiagGaussian

    @takes_plain_options
    def __init__(
        self,
        output_dim: int,
        init_std: NonNegative = 1.0,
        std_range: tuple[float, float] = (1e-6, 1e6),
        std_type: Literal["scalar", "log"] = "scalar",
        learn_std: bool = True,
    ) -> None:
        """Create the learned standard deviation.

        Args:
            output_dim: Number of output dimensions A.
            init_std: Initial standard deviation, in units of the action.
            std_range: The standard deviation stays within this range; a low end below 1e-6 becomes 1e-6.
            std_type: Whether the standard deviation itself or its logarithm is learned.
            learn_std: Whether the standard deviation is learned at all.

        Raises:
            ValueError: ``std_type`` is unknown, or the range is empty or not positive.
        """
        super().__init__(output_dim)
        self.std_type = std_type
        self.std_range, self._inner_range, initial = _checked_std(init_std, std_range, std_type)
        self.log_std_range = [math.log(end) for end in self.std_range]
        self._std_images: torch.Tensor | None
        self.register_buffer("_std_images", None, persistent=False)
        parameter = nn.Parameter(torch.full((output_dim,), initial), requires_grad=learn_std)
        if std_type == "scalar":
            self.std_param = parameter
        else:
            self.log_std_param = parameter

    @torch.no_grad()
    def project(self) -> None:
        """Move the parameter into its range, beyond which it would have no gradient, and make it symmetric."""
        kind, parameter = type(self), self.std_param if self.std_type == "scalar" else self.log_std_param
        if self._std_images is not None:
            parameter.copy_((self._std_images * parameter).sum(dim=-1))
        if kind.update is not Distribution.update or kind.given is not GaussianDistribution.given:
            return  # To a subclass that reads it otherwise, the parameter may be a logit, or have no bounds.
        parameter.clamp_(*self._inner_range)

    def mirrored(self, mirrors: torch.Tensor) -> torch.Tensor:  # noqa: D102
        # Joints that change places share the mean of their deviations.
        self._std_images = mirrors.abs().mean(dim=0)
        self.project()
        return mirrors

    def _load_from_state_dict(self, *args: Any) -> None:  # type: ignore[override] (all are passed on by place)
        super()._load_from_state_dict(*args)
        self.project()  # Other builds saved what lies at an end or beyond.

    def given(self, mlp_output: torch.Tensor) -> DiagGaussian:
        """Return the Gaussian around the network's output [B, A], as a value."""
        std = self.std_param if self.std_type == "scalar" else self.log_std_param.exp()
        return DiagGaussian(mlp_output, clamped(std, *self.std_range))

    def deterministic_output(self, mlp_output: torch.Tensor) -> torch.Tensor:  # noqa: D102
        return mlp_output

    def as_deterministic_output_module(self) -> nn.Module:  # noqa: D102
        return nn.Identity()


class HeteroscedasticGaussianDistribution(_TwoRows):
    """Gaussian with independent dimensions whose standard deviation is an output of the network, too."""

    value_of = DiagGaussian

    @takes_plain_options
    def __init__(
        self,
        output_dim: int,
        init_std: NonNegative = 1.0,
        std_range: tuple[float, float] = (1e-6, 1e6),
        std_type: Literal["scalar", "log"] = "scalar",
    ) -> None:
        """Remember how the standard deviation is read; errors are those of :class:`GaussianDistribution`.

        Args:
            output_dim: Number of output dimensions A.
            init_std: Initial standard deviation, in units of the action.
            std_range: The standard deviation stays within this range; a low end below 1e-6 becomes 1e-6.
            std_type: Whether the network gives the standard deviation itself or its logarithm.
        """
        super().__init__(output_dim)
        self.std_type = std_type
        self.std_range, self._inner_range, self._second_output = _checked_std(init_std, std_range, std_type)
        self.log_std_range = [math.log(end) for end in self.std_range]

    def given(self, mlp_output: torch.Tensor) -> DiagGaussian:
        """Return the Gaussian with the means and standard deviations of the network's output [B, 2, A], as a value."""
        mean, std = _in_full_precision(mlp_output).unbind(dim=-2)
        # Before the exponential, whose gradient vanishes with it.
        std = _ReturningClamp.apply(std, *self._inner_range)
        return DiagGaussian(mean, std if self.std_type == "scalar" else std.exp())  # type: ignore[union-attr]

    def mirrored(self, mirrors: torch.Tensor) -> torch.Tensor:  # noqa: D102
        # A deviation changes its place, but has no sign.
        return torch.stack([torch.block_diag(mirror, mirror.abs()) for mirror in mirrors])

    def deterministic_output(self, mlp_output: torch.Tensor) -> torch.Tensor:  # noqa: D102
        return mlp_output[..., 0, :]

    def as_deterministic_output_module(self) -> nn.Module:  # noqa: D102
        return FirstRow()


def _shape_parameter(index: int) -> property:
    """Return alpha or beta [B, A] of the last update under its name in release 5.5.1; updates of subclasses set it."""

    def set_one(distribution: BetaDistribution, value: torch.Tensor) -> None:
        is_first = isinstance(distribution._last, _NoParameters)
        both = [value, value] if is_first else list(distribution._last.params)
        both[index] = value
        object.__setattr__(distribution, "_last", distribution.value_of(*both))

    return property(lambda distribution: distribution._last.params[index], set_one)


class BetaDistribution(_TwoRows):
    """Beta distribution over a bounded range, with alpha and beta of at least 1, so that it has one peak.

    After Chou, Maturana and Scherer, "Improving Stochastic Policy Gradients in Continuous Control with Deep
    Reinforcement Learning using the Beta Distribution", 2017.
    """

    @takes_plain_options
    def __init__(self, output_dim: int, action_range: tuple[Finite, Finite] = (-1.0, 1.0)) -> None:
        """Remember the range.

        Args:
            output_dim: Number of output dimensions A.
            action_range: Lowest and highest action.

        Raises:
            ValueError: The range is empty.
        """
        super().__init__(output_dim)
        low, high = action_range
        if not low < high:
            raise ValueError(f"action_range needs low < high, got {tuple(action_range)}.")
        self.action_range = (float(low), float(high))

    def value_of(self, alpha: torch.Tensor, beta: torch.Tensor) -> ScaledBeta:  # noqa: D102
        return ScaledBeta(alpha, beta, *self.action_range)

    def given(self, mlp_output: torch.Tensor) -> ScaledBeta:
        """Return the distribution with the raw alpha and beta of the network's output [B, 2, A], as a value."""
        alpha, beta = (functional.softplus(_in_full_precision(mlp_output)) + 1.0).unbind(dim=-2)
        return self.value_of(alpha, beta)

    @property
    def _distribution(self) -> torch.distributions.Distribution | None:
        """Of the last :meth:`update`, over [0, 1], as release 5.5.1 keeps it; subclasses written for it set this."""
        is_beta = isinstance(self._last, ScaledBeta)
        return torch.distributions.Beta(*self._last.params) if is_beta else super()._distribution

    @_distribution.setter
    def _distribution(self, distribution: torch.distributions.Distribution | None) -> None:
        if not isinstance(distribution, torch.distributions.Beta):
            Distribution._distribution.__set__(self, distribution)
            return
        object.__setattr__(self, "_last", self.value_of(distribution.concentration1, distribution.concentration0))

    _alpha, _beta = _shape_parameter(0), _shape_parameter(1)

    def mirrored(self, mirrors: torch.Tensor) -> torch.Tensor:  # noqa: D102
        low, high = self.action_range
        if low != -high and (mirrors < 0).any():
            raise ValueError(f"To be mirrored, a Beta distribution needs an action_range [-x, x], got {[low, high]}.")
        # With the sign of an action, alpha and beta change places.
        same, swapped = mirrors.clamp(min=0.0), (-mirrors).clamp(min=0.0)
        return torch.cat([torch.cat([same, swapped], dim=2), torch.cat([swapped, same], dim=2)], dim=1)

    def deterministic_output(self, mlp_output: torch.Tensor) -> torch.Tensor:  # noqa: D102
        return self.given(mlp_output).mean

    def as_deterministic_output_module(self) -> nn.Module:  # noqa: D102
        return BetaMean(*self.action_range)


class _ReturningClamp(torch.autograd.Function):
    """A clamp that lets a gradient pass where it leads back into the range: a network's output cannot be projected."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, low: float, high: float) -> torch.Tensor:
        inside = x.clamp(low, high)
        ctx.save_for_backward(x, inside)
        return inside

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (x, inside), (gradient,) = ctx.saved_tensors, gradients
        leads_out = (x - inside) * gradient < 0  # A step goes against the gradient.
        return gradient.masked_fill(leads_out, 0.0), None, None


def _checked_std(
    init_std: float, std_range: Sequence[float], std_type: str
) -> tuple[list[float], tuple[float, float], float]:
    """Return the range, that of what is learned, and what is learned at first."""
    low, high = max(float(std_range[0]), _SMALLEST_STD), float(std_range[1])
    largest = torch.finfo(torch.float32).max
    high = high if high <= largest else math.inf  # Clamp takes infinity, but not what overflows.
    if not low <= high:
        raise ValueError(f"std_range needs low <= high, high at least {_SMALLEST_STD:g}, got {tuple(std_range)}.")
    check_choice("std_type", std_type, ("scalar", "log"))
    is_log = std_type == "log"
    inner = ends = [math.log(min(end, largest)) if is_log else min(end, largest) for end in (low, high)]
    if is_log:
        # The exponential of an end's logarithm may be rounded to beyond that end, where there is no gradient.
        slack = [4.0 * torch.finfo(torch.float32).eps * max(1.0, abs(end)) for end in ends]
        inner = [ends[0] + slack[0], ends[1] - slack[1]]
        if inner[0] > inner[1]:  # There is but one value.
            inner = ends
    initial = math.log(max(init_std, low)) if is_log else float(init_std)
    return [low, high], (inner[0], inner[1]), min(max(initial, inner[0]), inner[1])


def _in_full_precision(mlp_output: torch.Tensor) -> torch.Tensor:
    """Return an output computed by autocast as float32: the densities would lose their last digits, and the update."""
    return mlp_output.float() if mlp_output.dtype in (torch.bfloat16, torch.float16) else mlp_output


__getattr__ = names_of(__name__)
