# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Random tensors that several property tests draw."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays


def tensors(shape: tuple[int, ...], low: float, high: float) -> st.SearchStrategy[torch.Tensor]:
    """Return float64 tensors of a shape, with entries of the range."""
    return arrays(np.float64, shape, elements=st.floats(low, high)).map(torch.from_numpy)


def dones(num_steps: int, num_envs: int) -> st.SearchStrategy[torch.Tensor]:
    """Return [T, N] of any type in which environments say that an episode ended."""
    types = st.sampled_from([torch.bool, torch.uint8, torch.int64, torch.float32, torch.float64])
    ended = arrays(np.bool_, (num_steps, num_envs)).map(torch.from_numpy)
    return st.builds(torch.Tensor.to, ended, types)
