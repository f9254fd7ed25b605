# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Gaussian output distribution, against torch.distributions as the second method."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rsl_rl.modules import DiagGaussian, GaussianDistribution


def random_gaussians(seed: int) -> tuple[DiagGaussian, DiagGaussian]:
    generator = torch.Generator().manual_seed(seed)
    draw = lambda: torch.randn(5, 3, generator=generator, dtype=torch.float64)  # noqa: E731
    return DiagGaussian(draw(), draw().exp()), DiagGaussian(draw(), draw().exp())


@given(seed=st.integers(0, 10_000))
def test_value_agrees_with_torch(seed: int) -> None:
    gaussian, other = random_gaussians(seed)
    reference, other_reference = torch.distributions.Normal(*gaussian), torch.distributions.Normal(*other)
    outputs = other.mean
    torch.testing.assert_close(gaussian.log_prob(outputs), reference.log_prob(outputs).sum(-1))
    torch.testing.assert_close(gaussian.entropy, reference.entropy().sum(-1))
    kl = torch.distributions.kl_divergence(other_reference, reference).sum(-1)
    torch.testing.assert_close(gaussian.kl_from(other), kl)


@pytest.mark.parametrize("std_type", ["scalar", "log"])
def test_sample_is_one_standard_normal_draw(std_type: str) -> None:
    distribution = GaussianDistribution(3, init_std=0.5, std_type=std_type)
    mean = torch.randn(7, 3)
    distribution.update(mean)
    torch.manual_seed(5)
    sample = distribution.sample()
    torch.manual_seed(5)
    torch.testing.assert_close(sample, mean + 0.5 * torch.randn(7, 3))


@pytest.mark.parametrize(("std_type", "key"), [("scalar", "std_param"), ("log", "log_std_param")])
def test_std_parameter(std_type: str, key: str) -> None:
    distribution = GaussianDistribution(3, init_std=0.5, std_type=std_type)
    assert list(distribution.state_dict()) == [key]
    distribution.update(torch.zeros(2, 3))
    torch.testing.assert_close(distribution.std, torch.full((2, 3), 0.5))
    distribution.log_prob(torch.ones(2, 3)).sum().backward()
    assert next(distribution.parameters()).grad is not None


@pytest.mark.parametrize("std_type", ["scalar", "log"])
def test_std_stays_in_its_range(std_type: str) -> None:
    distribution = GaussianDistribution(1, init_std=5.0, std_type=std_type, std_range=(0.1, 2.0))
    assert distribution.given(torch.zeros(1, 1)).std.item() == pytest.approx(2.0)


def test_fixed_std_is_not_learned() -> None:
    distribution = GaussianDistribution(3, learn_std=False)
    assert [parameter.requires_grad for parameter in distribution.parameters()] == [False]
    assert "std_param" in distribution.state_dict()


def test_given_remembers_nothing() -> None:
    distribution = GaussianDistribution(3)
    distribution.update(torch.zeros(2, 3))
    distribution.given(torch.ones(2, 3))
    assert not distribution.mean.any()


def test_asking_before_the_first_update_says_so() -> None:
    with pytest.raises(RuntimeError, match="no parameters yet"):
        _ = GaussianDistribution(3).mean


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"std_type": "scaler"}, "Did you mean 'scalar'"),
        ({"std_range": (1.0, 0.5)}, "low <= high"),
        ({"init_std": -1.0}, "must be positive"),
    ],
)
def test_wrong_options_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GaussianDistribution(3, **options)
