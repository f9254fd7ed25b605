# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Taking over the parts of a checkpoint, wholly or not at all, and saying which."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from typing import Any

from torch import nn

from rsl_rl.learning import Optimizer
from rsl_rl.utils import check_state_dict, did_you_mean, listed

_SUFFIX = "_state_dict"


def wanted_parts(load_cfg: Mapping[str, bool] | None, available: Collection[str]) -> dict[str, bool]:
    """Return for every part of a saved state whether it is to be taken over: all of them without a ``load_cfg``."""
    if load_cfg is not None and not isinstance(load_cfg, Mapping):
        raise TypeError(f"load_cfg must be a dictionary such as {{'actor': True}}, got {load_cfg!r}.")
    for part in load_cfg or ():
        if part not in available:
            hint = did_you_mean(part, available)
            raise ValueError(f"load_cfg has no part '{part}'.{hint} Parts: {', '.join(available)}")
    return dict.fromkeys(available, load_cfg is None) | dict(load_cfg or {})


def asked_for_by(key: str, names: Collection[str]) -> str:
    """Return the name in ``load_cfg`` that a key of a checkpoint belongs to: ``rnd_optimizer_state_dict`` to ``rnd``.

    What belongs to none, such as a schedule of the user's, is progress and comes with the iteration.
    """
    part = key.removesuffix(_SUFFIX)
    return max((name for name in names if f"{part}_".startswith(f"{name}_")), key=len, default="iteration")


def load_parts(
    parts: Mapping[str, Any], state: Mapping[str, Any], required: Collection[str], strict: bool
) -> list[str]:
    """Fill parts of an algorithm from a saved state, all of them or none; return what was taken, one line each.

    Where it is not ``strict``, tensors that are missing, unknown or of another shape are skipped, and an optimizer that
    does not fit starts anew.
    """
    for key in required:
        if key not in state:
            there = {each.removesuffix(_SUFFIX): True for each in required if each in state}
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
        elif isinstance(part, Optimizer) and (misfit := _misfit(part, state[key], name)):
            if strict:
                raise misfit
            owner = name.removesuffix("_optimizer")
            is_own = owner == name
            report.append(f"{name}: starts anew, it does not fit" if is_own else f"{owner}: the optimizer starts anew")
        else:
            # A part must not share its tensors with the caller's document.
            fitting[key] = copy.deepcopy(state[key])
            report.append(f"{name}: taken")
    for key, saved in fitting.items():
        if isinstance(parts[key], nn.Module):
            parts[key].load_state_dict(saved, strict=False)
        else:
            parts[key].load_state_dict(saved)
    return report


def _fitting_tensors(module: nn.Module, saved: Mapping[str, Any], name: str, strict: bool) -> tuple[dict, list[str]]:
    """Return the tensors that a module can take, and what is left out."""
    if strict:
        check_state_dict(module, saved, name)
    own = module.state_dict()
    fitting = {key: value for key, value in saved.items() if key in own and own[key].shape == value.shape}
    left_out = [f"{key} (kept as it is)" for key in own if key not in fitting]
    return fitting, left_out + [f"{key} (not a part of this {name})" for key in saved if key not in own]


def _misfit(optimizer: Optimizer, state: Any, name: str) -> ValueError | None:
    try:
        optimizer.check_state(state, name.replace("_", " ").replace("rnd", "RND"))
    except ValueError as error:
        return error
    return None
