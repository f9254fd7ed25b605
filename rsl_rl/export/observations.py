# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Random observations for a model, around what it has seen."""

from __future__ import annotations

from typing import Any

import torch
from tensordict import TensorDict


def random_observations(model: Any, batch_size: int, scale: float, generator: torch.Generator) -> TensorDict:
    """Return random observation groups, each [batch_size, ...].

    Args:
        model: A model on the CPU.
        batch_size: Number of observations.
        scale: Distance from the mean in standard deviations of what the model's normalizer has seen.
        generator: Source of the random numbers.
    """
    mean, std = _observation_scale(model)
    vectors = mean + scale * std * torch.randn(batch_size, model.obs_dim, generator=generator)
    groups = dict(zip(model.obs_group_dims, vectors.split(list(model.obs_group_dims.values()), dim=-1), strict=True))
    for index, group in enumerate(getattr(model, "obs_groups_2d", [])):
        shape = (batch_size, model.obs_channels_2d[index], *model.obs_dims_2d[index])
        dtype = model.obs_dtypes_2d[index]
        if dtype == torch.uint8:
            groups[group] = torch.randint(0, 256, shape, generator=generator, dtype=dtype)
        else:
            groups[group] = torch.rand(shape, generator=generator).to(dtype)
    return TensorDict(groups, [batch_size])


def _observation_scale(model: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation [1, obs_dim] of what the model has seen, where it knows them."""
    normalizer = model.obs_normalizer
    if hasattr(normalizer, "_mean"):
        # A constant entry has no spread; eps, in units of the input, stands for its sensor noise.
        return normalizer._mean, normalizer._std + normalizer.eps
    return torch.zeros(1, model.obs_dim), torch.ones(1, model.obs_dim)
