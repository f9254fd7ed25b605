# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Taking over the parts of a checkpoint, wholly or not at all, and saying which."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from typing import Any

from torch import nn

from rsl_rl.learning import Optimizer
from rsl_rl.utils import check_optimizer_state, check_state_dict, did_you_mean, listed

_SUFFIX = "_state_dict"


def wanted_parts(load_cfg: Mapping[str, bool] | None, available: Collection[str]) -> dict[str, bool]:
    """Return for every part of a saved state whether it is to be taken over: all of them without a ``load_cfg``.

    Raises:
        ValueError: ``load_cfg`` names an unknown part.
        TypeError: It is no dictionary.
    """
    if load_cfg is not None and not isinstance(load_cfg, Mapping):
        raise TypeError(f"load_cfg must be a dictionary such as {{'actor': True}}, got {load_cfg!r}.")
    parts = dict.fromkeys(available, load_cfg is None)
    for part, wanted in (load_cfg or {}).items():
        if part not in parts:
            hint = did_you_mean(part, available)
            raise ValueError(f"load_cfg has no part '{part}'.{hint} Parts: {', '.join(available)}")
        parts[part] = wanted
    return parts


def asked_for_by(key: str, names: Collection[str]) -> str:
    """Return the name in ``load_cfg`` that a key of a checkpoint belongs to: ``rnd_optimizer_state_dict`` to ``rnd``.

    What belongs to none, such as a schedule of the user's, is progress and comes with the iteration.
    """
    part = key.removesuffix(_SUFFIX)
    return next((name for name in names if part == name or part.startswith(f"{name}_")), "iteration")


def load_parts(
    parts: Mapping[str, Any], state: Mapping[str, Any], required: Collection[str], strict: bool
) -> list[str]:
    """Fill parts of an algorithm from a saved state, all of them or none.

    Args:
        parts: By their keys in the state: modules, optimizers, and anything else with ``load_state_dict``.
        state: A checkpoint in the present layout.
        required: Keys that it must have.
        strict: Refuse what does not fit; otherwise tensors that are missing, unknown or of another shape are skipped,
            and an optimizer that does not fit starts anew.

    Returns:
        What was taken and what was not, one line each.

    Raises:
        ValueError: The state lacks a part or does not fit; nothing was changed.
    """
    for key in parts:
        if key in required and key not in state:
            there = {each.removesuffix(_SUFFIX): True for each in parts if each in state and each in required}
            there.pop("optimizer", None)
            hint = f" To take these parts only: load_cfg={there}." if there else ""
            raise ValueError(f"The checkpoint has no '{key}'; nothing was loaded. It has: {', '.join(state)}.{hint}")
    report: list[str] = []
    fitting: dict[str, Any] = {}
    for key, part in parts.items():
        name = key.removesuffix(_SUFFIX)
        if key not in state:
            report.append(f"{name}: not in the checkpoint, it starts anew")
        elif isinstance(part, nn.Module):
            fitting[key], left_out = _fitting_tensors(part, state[key], name, strict)
            report.append(f"{name}: taken" + (", except " + listed(left_out) if left_out else ""))
        elif isinstance(part, Optimizer) and not _fits(part, state[key], name, strict):
            owner = name.removesuffix("_optimizer")
            is_own = owner == name
            report.append(f"{name}: starts anew, it does not fit" if is_own else f"{owner}: the optimizer starts anew")
        else:
            fitting[key] = state[key]
            report.append(f"{name}: taken")
    for key, saved in fitting.items():
        part = parts[key]
        if isinstance(part, nn.Module):
            part.load_state_dict(saved, strict=False)
        else:
            # A part must not share its tensors with the caller's document.
            part.load_state_dict(copy.deepcopy(saved))
    return report


def _fitting_tensors(module: nn.Module, saved: Mapping[str, Any], name: str, strict: bool) -> tuple[dict, list[str]]:
    """Return the tensors that a module can take, and what is left out."""
    if strict:
        check_state_dict(module, saved, name)
    own = module.state_dict()
    fitting = {key: value for key, value in saved.items() if key in own and own[key].shape == value.shape}
    left_out = [f"{key} (kept as it is)" for key in own if key not in fitting]
    return fitting, left_out + [f"{key} (not a part of this {name})" for key in saved if key not in own]


def _fits(optimizer: Optimizer, state: Any, name: str, strict: bool) -> bool:
    try:
        check_optimizer_state(optimizer.torch_optimizer, state, name.replace("_", " ").replace("rnd", "RND"))
    except ValueError:
        if strict:
            raise
        return False
    return True
