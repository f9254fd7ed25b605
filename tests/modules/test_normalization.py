# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Running normalization."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rsl_rl.modules import EmpiricalDiscountedVariationNormalization, EmpiricalNormalization


@given(sizes=st.lists(st.integers(1, 20), min_size=1, max_size=6), seed=st.integers(0, 10_000))
def test_merged_batches_equal_one_batch(sizes: list[int], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    batches = [3.0 * torch.randn(size, 2, generator=generator) + 5.0 for size in sizes]
    normalizer = EmpiricalNormalization(2)
    for batch in batches:
        normalizer.update(batch)
    everything = torch.cat(batches)
    assert normalizer.count.item() == len(everything)
    torch.testing.assert_close(normalizer.mean, everything.mean(0), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(normalizer.std, everything.std(0, correction=0), rtol=1e-3, atol=1e-3)


def test_a_rollout_counts_every_sample() -> None:
    normalizer = EmpiricalNormalization(3)
    normalizer.update(torch.randn(4, 5, 3))
    assert normalizer.count.item() == 20


def test_forward_and_inverse_by_hand() -> None:
    normalizer = EmpiricalNormalization(1, eps=0.5)
    normalizer.update(torch.tensor([[1.0], [5.0]]))  # mean 3, std 2
    assert normalizer(torch.tensor([[8.0]])).item() == 2.0
    assert normalizer.inverse(torch.tensor([[2.0]])).item() == 8.0


def test_evaluation_mode_does_not_learn() -> None:
    normalizer = EmpiricalNormalization(2).eval()
    normalizer.update(torch.ones(3, 2))
    assert normalizer.count.item() == 0
    assert normalizer(torch.ones(1, 2)).tolist() == (torch.ones(1, 2) / 1.01).tolist()


def test_learning_ends_after_until_samples() -> None:
    normalizer = EmpiricalNormalization(1, until=3)
    for value in (1.0, 3.0, 1000.0):
        normalizer.update(torch.full((2, 1), value))
    assert normalizer.count.item() == 4
    assert normalizer.mean.item() == 2.0


def test_buffers_keep_their_addresses() -> None:
    normalizer = EmpiricalNormalization(2)
    before = {name: buffer.data_ptr() for name, buffer in normalizer.named_buffers()}
    normalizer.update(torch.randn(4, 2))
    assert {name: buffer.data_ptr() for name, buffer in normalizer.named_buffers()} == before


# All samples alike have no variance, however large they are.
@pytest.mark.parametrize("rows", [3, slice(None)], ids=["one", "all"])
@pytest.mark.parametrize("num_before", [50, 0])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf, 1e30])
def test_samples_that_are_not_finite_or_too_large_to_square_weigh_nothing(
    bad: float, num_before: int, rows: int | slice
) -> None:
    normalizer = EmpiricalNormalization(2)
    if num_before:
        normalizer.update(torch.randn(num_before, 2))
    before = {name: value.clone() for name, value in normalizer.state_dict().items()}
    samples = torch.randn(20, 2)
    samples[rows, 1] = bad
    normalizer.update(samples)
    assert all(torch.equal(value, before[name]) for name, value in normalizer.state_dict().items())
    normalizer.update(torch.randn(10, 2))
    assert int(normalizer.count) == num_before + 10


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_samples_of_any_type_are_merged_in_the_type_of_the_statistics(kind: torch.dtype) -> None:
    normalizer = EmpiricalNormalization(2)
    samples = (100 + torch.randn(5000, 2)).to(kind)
    normalizer.update(samples)
    torch.testing.assert_close(normalizer.mean, samples.double().mean(dim=0).float())
    torch.testing.assert_close(normalizer.std, samples.double().std(dim=0, unbiased=False).float(), rtol=1e-4, atol=0)


def test_samples_in_double_precision_are_merged_in_it() -> None:
    normalizer = EmpiricalNormalization(1)
    samples = 1e6 + 1e-3 * torch.randn(1000, 1, dtype=torch.float64)
    normalizer.update(samples)
    torch.testing.assert_close(normalizer.std, samples.std(dim=0, unbiased=False).float(), rtol=5e-2, atol=0)


def test_rewards_may_be_whole_numbers() -> None:
    found = EmpiricalDiscountedVariationNormalization([])(torch.tensor([1, 2, 3]))
    expected = EmpiricalDiscountedVariationNormalization([])(torch.tensor([1.0, 2.0, 3.0]))
    torch.testing.assert_close(found, expected)


def test_a_discounted_sum_does_not_stay_infinite() -> None:
    normalizer = EmpiricalDiscountedVariationNormalization([])
    for rewards in ([1.0, 2.0], [torch.inf, torch.nan], [1.0, 2.0], [3.0, 1.0]):
        normalized = normalizer(torch.tensor(rewards))
    assert normalized.isfinite().all()
    assert normalizer.discounted_sum.isfinite().all()
