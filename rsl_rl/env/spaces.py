# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""From Gymnasium spaces and numpy arrays to observation groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

_CHANNELS = (1, 3, 4)


class GroupReader:
    """Turns the arrays of one observation space into tensors of one observation group.

    float64 and other numbers become float32, uint8 stays uint8. A scalar becomes [N, 1]. An image of three dimensions
    becomes [N, C, H, W]: it is taken for channels-last where its last dimension is 1, 3 or 4 and its first is not; one
    of two dimensions and type uint8 gets one channel. Any other shape is flattened to [N, d].
    """

    def __init__(self, space: Any, name: str) -> None:
        """Decide how to read.

        Args:
            space: A ``gymnasium.spaces.Box`` of one environment.
            name: The group, for messages.

        Raises:
            TypeError: It is another kind of space.
        """
        from gymnasium.spaces import Box

        if not isinstance(space, Box):
            raise TypeError(
                f"The observation '{name}' is a {type(space).__name__} space. Supported: Box, and Dict of Box."
            )
        self._dtype = np.uint8 if space.dtype == np.uint8 else np.float32
        shape = space.shape
        self._channels_last = len(shape) == 3 and shape[-1] in _CHANNELS and shape[0] not in _CHANNELS
        if len(shape) == 3:
            self._shape = (shape[2], *shape[:2]) if self._channels_last else shape
        elif len(shape) == 2 and self._dtype == np.uint8:
            self._shape = (1, *shape)
        else:
            self._shape = (int(np.prod(shape)),)

    def read(self, values: np.ndarray) -> torch.Tensor:
        """Return a new tensor [k, ...] for an array [k, ...] of k environments; the array is copied."""
        if self._channels_last:
            values = np.moveaxis(values, -1, 1)
        # A copy in any case: environments write the next step into the same array.
        return torch.from_numpy(np.array(values, dtype=self._dtype, order="C").reshape(len(values), *self._shape))


def observation_readers(space: Any) -> dict[str, GroupReader]:
    """Return a reader per observation group: ``policy`` for a Box, one per key for a Dict.

    Args:
        space: The observation space of one environment.

    Raises:
        TypeError: A space is neither a Box nor a Dict of Box.
    """
    from gymnasium.spaces import Dict

    if isinstance(space, Dict):
        return {name: GroupReader(part, name) for name, part in space.spaces.items()}
    return {"policy": GroupReader(space, "policy")}


def mean_of_infos(infos: dict[str, Any], num_envs: int, skip: frozenset[str]) -> dict[str, float]:
    """Return the mean of every info that is one number per environment.

    Args:
        infos: As a vector environment gives them; with a mask ``"_key"`` only the environments in it count.
        num_envs: N.
        skip: Keys that are bookkeeping.
    """
    plain: dict[str, np.ndarray] = {}
    means: dict[str, float] = {}
    for key, value in infos.items():
        if key in skip or key.startswith("_") or not isinstance(value, np.ndarray):
            continue
        if value.shape != (num_envs,) or value.dtype.kind not in "fiub":
            continue
        mask = infos.get(f"_{key}")
        if mask is None or mask.all():
            plain[key] = value
        elif mask.any():
            means[key] = float(value[mask].mean())
    if plain:
        # One reduction for all: a call per key costs as much as the environment's step.
        means |= zip(plain, np.stack(list(plain.values())).mean(axis=1, dtype=np.float64).tolist(), strict=True)
    return means
