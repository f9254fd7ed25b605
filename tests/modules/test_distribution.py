# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Gaussian output distribution, against torch.distributions as the second method."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rsl_rl.modules import (
    MLP,
    BetaDistribution,
    DiagGaussian,
    GaussianDistribution,
    HeteroscedasticGaussianDistribution,
    ScaledBeta,
)


def random_gaussians(seed: int) -> tuple[DiagGaussian, DiagGaussian]:
    generator = torch.Generator().manual_seed(seed)
    draw = lambda: torch.randn(5, 3, generator=generator, dtype=torch.float64)  # noqa: E731
    return DiagGaussian(draw(), draw().exp()), DiagGaussian(draw(), draw().exp())


@given(seed=st.integers(0, 10_000))
def test_value_agrees_with_torch(seed: int) -> None:
    gaussian, other = random_gaussians(seed)
    reference, other_reference = (torch.distributions.Normal(*each.params) for each in (gaussian, other))
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


class AsInTheRelease(GaussianDistribution):
    """Answers from the attribute that release 5.5.1 keeps."""

    @property
    def mean(self) -> torch.Tensor:
        assert self._distribution is not None
        return self._distribution.mean

    @property
    def std(self) -> torch.Tensor:
        assert self._distribution is not None
        return self._distribution.stddev


def test_answers_may_come_from_the_attribute_of_the_release() -> None:
    distribution, output = AsInTheRelease(3, init_std=0.5), torch.randn(2, 3)
    distribution.update(output)
    torch.testing.assert_close(distribution.mean, output)
    torch.testing.assert_close(distribution.std, torch.full((2, 3), 0.5))


def test_asking_before_the_first_update_says_so() -> None:
    with pytest.raises(RuntimeError, match="no parameters yet"):
        _ = GaussianDistribution(3).mean


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"std_type": "scaler"}, "Did you mean 'scalar'"),
        ({"std_range": (1.0, 0.5)}, "low <= high"),
        ({"init_std": -1.0}, "must be finite and at least 0"),
    ],
)
def test_wrong_options_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GaussianDistribution(3, **options)


def random_betas(seed: int) -> tuple[ScaledBeta, ScaledBeta]:
    generator = torch.Generator().manual_seed(seed)
    draw = lambda: 1.0 + 3.0 * torch.rand(5, 3, generator=generator, dtype=torch.float64)  # noqa: E731
    return ScaledBeta(draw(), draw(), -2.0, 3.0), ScaledBeta(draw(), draw(), -2.0, 3.0)


@given(seed=st.integers(0, 10_000))
def test_beta_agrees_with_torch(seed: int) -> None:
    beta, other = random_betas(seed)
    reference, other_reference = (torch.distributions.Beta(value.alpha, value.beta) for value in (beta, other))
    outputs = other.mean
    torch.testing.assert_close(beta.mean, -2.0 + 5.0 * reference.mean)
    torch.testing.assert_close(beta.std, 5.0 * reference.stddev)
    log_prob = reference.log_prob((outputs + 2.0) / 5.0).sum(-1) - 3 * math.log(5.0)
    torch.testing.assert_close(beta.log_prob(outputs), log_prob)
    torch.testing.assert_close(beta.entropy, reference.entropy().sum(-1))
    kl = torch.distributions.kl_divergence(other_reference, reference).sum(-1)
    torch.testing.assert_close(beta.kl_from(other), kl)


def test_beta_samples_fill_their_range_with_the_right_moments() -> None:
    torch.manual_seed(0)
    beta = ScaledBeta(torch.full((20_000, 1), 2.0), torch.full((20_000, 1), 4.0), -2.0, 3.0)
    sample = beta.sample()
    assert -2.0 <= sample.min() < -1.8
    assert 2.0 < sample.max() <= 3.0
    assert sample.mean().item() == pytest.approx(beta.mean[0].item(), abs=0.03)
    assert sample.std().item() == pytest.approx(beta.std[0].item(), abs=0.03)


def test_actions_at_the_ends_of_a_beta_have_a_finite_log_density() -> None:
    distribution = BetaDistribution(2, action_range=(-1.0, 1.0))
    distribution.update(torch.zeros(1, 2, 2))
    assert distribution.log_prob(torch.tensor([[-1.0, 1.0]])).isfinite().all()


@pytest.mark.parametrize("std_type", ["scalar", "log"])
def test_a_heteroscedastic_gaussian_starts_with_its_initial_std_everywhere(std_type: str) -> None:
    distribution = HeteroscedasticGaussianDistribution(3, init_std=0.4, std_type=std_type, std_range=(0.1, 2.0))
    mlp = MLP(4, distribution.input_dim, [8])
    distribution.init_mlp_weights(mlp)
    output = mlp(torch.randn(6, 4))
    assert output.shape == (6, 2, 3)
    distribution.update(output)
    torch.testing.assert_close(distribution.std, torch.full((6, 3), 0.4))
    assert torch.equal(distribution.mean, distribution.deterministic_output(output))
    distribution.update(torch.full((1, 2, 3), 9.0))
    torch.testing.assert_close(distribution.std, torch.full((1, 3), 2.0))


def test_a_beta_starts_with_the_same_beta_everywhere() -> None:
    distribution = BetaDistribution(3)
    mlp = MLP(4, distribution.input_dim, [8])
    distribution.init_mlp_weights(mlp)
    _, beta = distribution.given(mlp(torch.randn(6, 4))).params
    torch.testing.assert_close(beta, torch.full((6, 3), 1.0 + math.log(2.0)))
    with pytest.raises(ValueError, match="action_range needs low < high"):
        BetaDistribution(3, action_range=(1.0, 1.0))


def test_an_entropy_has_a_gradient_also_after_a_density_was_asked_without() -> None:
    scale = torch.tensor([0.5, 2.0], requires_grad=True)
    policy = DiagGaussian(torch.zeros(3, 2), scale)
    with torch.no_grad():
        policy.log_prob(torch.ones(3, 2))
    policy.entropy.mean().backward()
    assert scale.grad is not None
    assert scale.grad.tolist() == [2.0, 0.5]  # d log(s) / ds
