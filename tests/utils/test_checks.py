# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Checks of tensors."""

from __future__ import annotations

import pytest
import torch
from tensordict import TensorDict

from rsl_rl.utils import check_nan


def test_tensors_of_any_layout_are_checked_for_nan() -> None:
    images = torch.zeros(2, 4, 4, 3).permute(0, 3, 1, 2)  # in no order that a view could flatten
    check_nan(TensorDict({"image": images}, [2]), torch.tensor(0.0), torch.zeros(2))
    check_nan(TensorDict({"policy": torch.zeros(0, 3)}, [0]), torch.zeros(0), torch.zeros(0))
    images[1, 2, 3, 0] = torch.nan
    with pytest.raises(ValueError, match="non-finite observation group 'image' in 1 of 2 environments"):
        check_nan(TensorDict({"image": images}, [2]), torch.zeros(2), torch.zeros(2))
