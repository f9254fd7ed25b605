# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The process's random number generators as plain data."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch


def random_state(device: str | torch.device) -> dict[str, Any]:
    """Return the states of Python's, NumPy's and torch's generators, and that of ``device`` if it is a GPU."""
    version, numbers, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state()
    state: dict[str, Any] = {
        "python": [version, list(numbers), gauss],
        "numpy": [str(name), torch.from_numpy(np.asarray(keys, dtype=np.int64)), position, has_gauss, cached],
        "torch": torch.get_rng_state(),
    }
    if torch.device(device).type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_random_state(state: Mapping[str, Any], device: str | torch.device) -> None:
    """Let the generators go on from a state that :func:`random_state` returned; another one is a ValueError."""
    try:
        _restore(state, device)
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise ValueError(f"The checkpoint's random state cannot be read: {error!r}.") from error


def _restore(state: Mapping[str, Any], device: str | torch.device) -> None:
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, keys.cpu().numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"].cpu())
    if "cuda" in state and torch.device(device).type == "cuda":
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)
