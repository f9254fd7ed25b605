# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Going back to the last good state."""

from __future__ import annotations

import pytest
import torch

from rsl_rl.learning.undo import LastGoodState


@pytest.mark.parametrize("name", ["Adam", "NAdam", "Rprop"])
def test_an_optimizer_that_had_not_stepped_starts_anew(name: str) -> None:
    model = torch.nn.Linear(2, 1)
    optimizer = getattr(torch.optim, name)(model.parameters(), lr=0.1)
    good = LastGoodState([model], [optimizer])
    good.begin()

    def step() -> torch.Tensor:
        for gradient in (0.5, 0.3):
            for parameter in model.parameters():
                parameter.grad = torch.full_like(parameter, gradient)
            optimizer.step()
        return model.weight.detach().clone()

    first = step()
    good.restore()
    assert torch.equal(step(), first)
