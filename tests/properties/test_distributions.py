# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Distributions with any parameters, against ``torch.distributions``."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import AffineTransform, Beta, Distribution, Independent, Normal, TransformedDistribution
from torch.distributions import kl_divergence as kl_of_torch

from rsl_rl.modules import BetaDistribution, GaussianDistribution, HeteroscedasticGaussianDistribution
from tests.properties.strategies import tensors

SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 3)) | st.tuples(*[st.integers(1, 3)] * 3)  # [B, A] or [T, B, A]
STD_TYPES = st.sampled_from(["scalar", "log"])
STD_RANGES = st.sampled_from([(1e-6, 1e6), (0.2, 0.9), (0.5, 0.5)])


def assert_close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    # A learned standard deviation stays a few roundings of float32 within the ends of its range.
    torch.testing.assert_close(actual, expected, rtol=5e-6, atol=1e-6)


def assert_gaussian(
    distribution: GaussianDistribution | HeteroscedasticGaussianDistribution,
    mean: torch.Tensor,
    std: torch.Tensor,
    old: tuple[torch.Tensor, ...],
    outputs: torch.Tensor,
) -> None:
    """Check a distribution that was updated, and its divergence from the one with the parameters ``old``."""
    expected, expected_old = Independent(Normal(mean, std), 1), Independent(Normal(*old), 1)
    assert_close(distribution.mean, expected.mean)
    assert_close(distribution.std, expected.stddev)
    assert_close(distribution.entropy, expected.entropy())
    assert_close(distribution.log_prob(outputs), expected.log_prob(outputs))
    assert_close(distribution.kl_divergence(old, distribution.params), kl_of_torch(expected_old, expected))
    assert_close(distribution.kl_divergence(distribution.params, old), kl_of_torch(expected, expected_old))


def clipped(raw: torch.Tensor, std_type: str, std_range: tuple[float, float]) -> torch.Tensor:
    """Return the standard deviation that stands for what is learned."""
    return torch.from_numpy(np.clip(raw.numpy() if std_type == "scalar" else np.exp(raw.numpy()), *std_range))


@given(st.data(), SHAPES, STD_TYPES, STD_RANGES)
def test_a_gaussian_is_that_of_torch(
    data: st.DataObject, shape: tuple[int, ...], std_type: str, std_range: tuple[float, float]
) -> None:
    distribution = GaussianDistribution(shape[-1], std_range=std_range, std_type=std_type).double()
    low, high = (0.05, 5.0) if std_type == "scalar" else (-3.0, 2.0)
    learned = data.draw(tensors(shape[-1:], low, high), "learned")
    dict(distribution.named_parameters())["std_param" if std_type == "scalar" else "log_std_param"].data = learned
    mean, old_mean, outputs = (data.draw(tensors(shape, -10.0, 10.0), name) for name in ("mean", "old", "outputs"))
    old = (old_mean, data.draw(tensors(shape, 0.05, 5.0), "old std"))
    distribution.update(mean)
    assert_gaussian(distribution, mean, clipped(learned, std_type, std_range).expand(shape), old, outputs)
    assert torch.equal(distribution.deterministic_output(mean), mean)


@given(st.data(), SHAPES, STD_TYPES, STD_RANGES)
def test_a_heteroscedastic_gaussian_is_that_of_torch(
    data: st.DataObject, shape: tuple[int, ...], std_type: str, std_range: tuple[float, float]
) -> None:
    distribution = HeteroscedasticGaussianDistribution(shape[-1], std_range=std_range, std_type=std_type)
    mean, old_mean, outputs = (data.draw(tensors(shape, -10.0, 10.0), name) for name in ("mean", "old", "outputs"))
    raw = data.draw(tensors(shape, *((0.05, 5.0) if std_type == "scalar" else (-3.0, 2.0))), "raw std")
    old = (old_mean, data.draw(tensors(shape, 0.05, 5.0), "old std"))
    mlp_output = torch.stack([mean, raw], dim=-2)
    distribution.update(mlp_output)
    assert_gaussian(distribution, mean, clipped(raw, std_type, std_range), old, outputs)
    assert torch.equal(distribution.deterministic_output(mlp_output), mean)


@given(st.data(), SHAPES, st.floats(-20.0, 20.0), st.floats(0.1, 30.0))
def test_a_beta_is_that_of_torch_stretched_over_its_range(
    data: st.DataObject, shape: tuple[int, ...], low: float, width: float
) -> None:
    distribution = BetaDistribution(shape[-1], action_range=(low, low + width))
    raw = data.draw(tensors((*shape[:-1], 2, shape[-1]), -8.0, 8.0), "raw")
    old = tuple(data.draw(tensors(shape, 1.0, 9.0), name) for name in ("old alpha", "old beta"))
    outputs = low + width * data.draw(tensors(shape, 0.001, 0.999), "outputs")
    # alpha and beta are 1 + log(1 + exp(raw)).
    alpha, beta = torch.from_numpy(1.0 + np.logaddexp(0.0, raw.numpy())).unbind(dim=-2)
    unit: Distribution = Independent(Beta(alpha, beta), 1)
    stretched = TransformedDistribution(unit, AffineTransform(low, width, event_dim=1))
    distribution.update(raw)
    assert_close(torch.stack(distribution.params), torch.stack([alpha, beta]))
    assert_close(distribution.mean, low + width * unit.mean)
    assert_close(distribution.deterministic_output(raw), low + width * unit.mean)
    assert_close(distribution.std, width * unit.stddev)
    # The entropy is that on [0, 1].
    assert_close(distribution.entropy, unit.entropy())
    assert_close(distribution.log_prob(outputs), stretched.log_prob(outputs))
    old_unit = Independent(Beta(*old), 1)
    assert_close(distribution.kl_divergence(old, distribution.params), kl_of_torch(old_unit, unit))
    assert_close(distribution.kl_divergence(distribution.params, old), kl_of_torch(unit, old_unit))


@pytest.mark.parametrize("kind", [GaussianDistribution, HeteroscedasticGaussianDistribution, BetaDistribution])
@given(data=st.data(), shape=SHAPES)
def test_the_divergence_from_itself_is_zero_and_never_negative(
    kind: type, data: st.DataObject, shape: tuple[int, ...]
) -> None:
    distribution = kind(shape[-1])
    old, new = (tuple(data.draw(tensors(shape, 1.0, 9.0), "parameter") for _ in range(2)) for _ in range(2))
    assert_close(distribution.kl_divergence(old, old), torch.zeros(shape[:-1], dtype=torch.float64))
    assert (distribution.kl_divergence(old, new) >= -1e-9).all()
