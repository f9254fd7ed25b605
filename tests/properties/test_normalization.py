# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Running normalization of any samples in any batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rsl_rl.modules import EmpiricalNormalization
from tests.properties.strategies import tensors

pytestmark = pytest.mark.filterwarnings("ignore:var_mean")  # A batch may be empty.
SHAPES = st.lists(st.integers(1, 3), max_size=3).map(tuple)


@st.composite
def batches(draw: st.DrawFn, shape: tuple[int, ...]) -> list[torch.Tensor]:
    """Samples [B, *shape] or [T, N, *shape] in float32, far from zero or not, cut into batches; the first has some."""
    center, spread = draw(st.sampled_from([0.0, 3.0, -200.0])), draw(st.sampled_from([0.1, 1.0, 100.0]))
    more = st.tuples(st.integers(0, 6)) | st.tuples(st.integers(1, 3), st.integers(1, 3))
    rows = [(draw(st.integers(1, 6)),), *draw(st.lists(more, max_size=7))]
    return [(center + spread * draw(tensors((*row, *shape), -1.0, 1.0))).float() for row in rows]


def assert_statistics(normalizer: EmpiricalNormalization, samples: np.ndarray) -> None:
    """The second method: two passes over all samples at once, in float64."""
    samples = samples.astype(np.float64)
    # Rounding of float32: of the samples themselves, and of the variance 1 with which the statistics start.
    atol = 3e-6 * np.abs(samples).max(initial=0.0)
    np.testing.assert_allclose(normalizer.mean.numpy(), samples.mean(axis=0), rtol=1e-5, atol=atol)
    variance = normalizer.std.numpy().astype(np.float64) ** 2
    np.testing.assert_allclose(variance, samples.var(axis=0), rtol=1e-4, atol=atol**2 + 1e-6)


@given(st.data(), SHAPES)
def test_any_cut_into_batches_gives_the_statistics_of_one_batch(data: st.DataObject, shape: tuple[int, ...]) -> None:
    normalizer = EmpiricalNormalization(shape)
    drawn = data.draw(batches(shape), "batches")
    for batch in drawn:
        normalizer.update(batch)
    samples = torch.cat([batch.reshape(-1, *shape) for batch in drawn]).numpy()
    assert normalizer.count.item() == len(samples)
    assert normalizer.mean.shape == normalizer.std.shape == shape
    assert_statistics(normalizer, samples)


@given(st.data(), SHAPES, st.integers(0, 30))
def test_learning_ends_with_the_batch_that_reaches_until(
    data: st.DataObject, shape: tuple[int, ...], until: int
) -> None:
    normalizer = EmpiricalNormalization(shape, until=until)
    learned = np.empty((0, *shape), dtype=np.float32)
    for batch in data.draw(batches(shape), "batches"):
        normalizer.update(batch)
        if len(learned) < until:
            learned = np.concatenate([learned, batch.reshape(-1, *shape).numpy()])
    assert normalizer.count.item() == len(learned)
    if until == 0:
        assert (normalizer.mean == 0).all()
        assert (normalizer.std == 1).all()
    else:
        assert_statistics(normalizer, learned)


@given(st.data(), SHAPES, st.floats(1e-3, 1.0))
def test_inverse_inverts_forward_which_is_the_deviation_over_the_spread(
    data: st.DataObject, shape: tuple[int, ...], eps: float
) -> None:
    normalizer = EmpiricalNormalization(shape, eps=eps).double()
    seen = data.draw(batches(shape), "batches")[0].double()
    normalizer.update(seen)
    x = data.draw(tensors((2, 3, *shape), -300.0, 300.0), "x")
    samples = seen.reshape(-1, *shape).numpy()
    expected = (x.numpy() - samples.mean(axis=0)) / (samples.std(axis=0) + eps)
    np.testing.assert_allclose(normalizer(x).numpy(), expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(normalizer.inverse(normalizer(x)), x, rtol=1e-9, atol=1e-9)
