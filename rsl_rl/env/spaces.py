# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""From Gymnasium spaces and numpy arrays to observation groups."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

_CHANNELS = (1, 3, 4)


def check_continuous(action_space: Any) -> None:
    """Raise TypeError, with the way out, where a space of Gymnasium is no ``Box``."""
    kinds = [kind.__name__ for kind in type(action_space).__mro__]
    if "Box" in kinds or "Space" not in kinds:  # without Gymnasium, which need not be installed
        return
    raise TypeError(
        f"The action space is {action_space}. Only continuous actions are supported: a Box space. Discrete ones become "
        "one-hot vectors with a categorical distribution as the policy's head: examples/discrete_actions.py has both, "
        "docs/extending.md shows how."
    )


class GroupReader:
    """Turns the arrays of one observation space into tensors of one observation group.

    Numbers become float32, except that images of type uint8 stay uint8. A scalar becomes [N, 1]. An array of three
    dimensions is an image and becomes [N, C, H, W]: it is taken for channels-last where its last dimension is 1, 3 or 4
    and its first is not; one of two dimensions and type uint8 gets one channel. Any other shape is flattened to [N, d].
    """

    def __init__(
        self, space: Any, name: str, source: str | None = None, entries: Sequence[int] | str | None = None
    ) -> None:
        """Decide how to read.

        Args:
            space: A ``gymnasium.spaces.Box`` of one environment.
            name: The group, for messages.
            source: The key of a Dict observation to read from; None for an observation that is not a Dict.
            entries: What the group takes of a flat observation: indices, in the order of the group, or a range
                ``"first:last + 1"``; None for everything.

        Raises:
            TypeError: It is another kind of space.
            ValueError: The observation has no such entries.
        """
        from gymnasium.spaces import Box

        if not isinstance(space, Box):
            raise TypeError(
                f"The observation '{name}' is a {type(space).__name__} space. Supported: Box, and Dict of Box."
            )
        shape = space.shape
        # A vector of bytes (a machine's memory, for example) goes into linear layers, which take floats only.
        self._dtype = np.uint8 if space.dtype == np.uint8 and len(shape) in (2, 3) else np.float32
        self._channels_last = len(shape) == 3 and shape[-1] in _CHANNELS and shape[0] not in _CHANNELS
        if len(shape) == 3:
            self._shape = (shape[2], *shape[:2]) if self._channels_last else shape
        else:
            self._shape = (1, *shape) if self._dtype == np.uint8 else (int(np.prod(shape)),)
        self._source = source
        self._entries = None if entries is None else self._checked(entries, name, shape)

    def _checked(self, entries: Sequence[int] | str, name: str, shape: tuple[int, ...]) -> list[int]:
        if isinstance(entries, str) and re.fullmatch(r"\d+:\d+", entries):
            entries = list(range(*map(int, entries.split(":"))))
        if len(self._shape) != 1:
            raise ValueError(f"The group '{name}' cannot be part of an image of shape {shape}.")
        [size] = self._shape
        if not entries or not all(isinstance(entry, int) and 0 <= entry < size for entry in entries):
            raise ValueError(
                f"The group '{name}' must list entries 0 to {size - 1} of the observation, or be a range like '0:3', "
                f"got {entries!r}."
            )
        return list(entries)  # type: ignore[arg-type]  # not text: its characters are not numbers

    def pick(self, observation: Any) -> Any:
        """Return the part of an observation that the group is read from."""
        return observation if self._source is None else observation[self._source]

    def read(self, values: np.ndarray) -> torch.Tensor:
        """Return a new tensor [k, ...] for an array [k, ...] of k environments; the array is copied."""
        if self._channels_last:
            values = np.moveaxis(values, -1, 1)
        # A copy in any case: environments write the next step into the same array.
        group = torch.from_numpy(np.array(values, dtype=self._dtype, order="C").reshape(len(values), *self._shape))
        return group if self._entries is None else group[:, self._entries]


def observation_readers(space: Any, groups: Mapping[str, Any] | None = None) -> dict[str, GroupReader]:
    """Return a reader per observation group: ``policy`` for a Box, one per key for a Dict.

    Args:
        space: The observation space of one environment.
        groups: As for :class:`rsl_rl.env.GymnasiumVecEnv`.
    """
    from gymnasium.spaces import Dict

    if not isinstance(space, Dict):
        if groups is None:
            return {"policy": GroupReader(space, "policy")}
        # An empty entry (None) is a mistake in a file; for a reader None means everything.
        return {name: GroupReader(space, name, entries=() if part is None else part) for name, part in groups.items()}
    readers = {name: GroupReader(part, name, name) for name, part in space.spaces.items()}
    for name, part in (groups or {}).items():
        if not isinstance(part, Mapping) or len(part) != 1 or not set(part) <= set(space.spaces):
            raise ValueError(
                f"The group '{name}' must be a part of one of {list(space.spaces)}, like "
                f"{{'{next(iter(space.spaces))}': '0:3'}}, got {part!r}."
            )
        [(source, entries)] = part.items()
        readers[name] = GroupReader(space.spaces[source], name, source, () if entries is None else entries)
    return readers
