# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import pytest
import torch

from rsl_rl.core import clamped, larger


@pytest.mark.usefixtures("derivative_of_clamp_at_its_bounds")
def test_what_stands_at_a_bound_has_a_gradient_and_what_is_beyond_has_none() -> None:
    x = torch.tensor([-2.0, -1.0, 0.5, 3.0, 4.0, torch.inf], requires_grad=True)
    result = clamped(x, -1.0, 3.0)
    result.sum().backward()
    assert result.tolist() == [-1.0, -1.0, 0.5, 3.0, 3.0, 3.0]
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 1.0, 1.0, 1.0, 0.0, 0.0]
    with torch.no_grad():
        assert clamped(x, -1.0, 3.0).equal(result)
    assert clamped(torch.tensor([torch.nan]), -1.0, 3.0).isnan().all()


def test_of_two_equal_numbers_the_first_has_the_derivative() -> None:
    x = torch.tensor([1.0, 2.0, 3.0, torch.inf], requires_grad=True)
    y = torch.tensor([2.0, 2.0, 1.0, 1.0], requires_grad=True)
    result = larger(x, y)
    result.sum().backward()
    assert result.tolist() == [2.0, 2.0, 3.0, torch.inf]
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 1.0, 1.0, 1.0]
    assert y.grad is not None
    assert y.grad.tolist() == [1.0, 0.0, 0.0, 0.0]
    assert larger(torch.tensor([torch.nan]), torch.tensor([torch.nan])).isnan().all()
