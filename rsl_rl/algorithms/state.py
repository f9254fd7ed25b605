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
            raise ValueError(f"The checkpoint has no '{key}'; nothing was loaded. It has: {listed(state)}.{hint}")
    report: list[str] = []
    fitting: dict[str, Any] = {}
    for key, part in parts.items():
        name = key.removesuffix(_SUFFIX)
        if key not in state:
            report.append(f"{name}: not in the checkpoint, it starts anew")
        elif isinstance(part, nn.Module):
            if strict:
                check_state_dict(part, state[key], name)
            own, saved = part.state_dict(), state[key]
            fitting[key] = {each: saved[each] for each in saved if each in own and own[each].shape == saved[each].shape}
            left_out = [f"{each} (kept as it is)" for each in own if each not in fitting[key]]
            left_out += [f"{each} (not a part of this {name})" for each in saved if each not in own]
            report.append(f"{name}: taken" + (", except " + listed(left_out) if left_out else ""))
        else:
            try:
                if isinstance(part, Optimizer):
                    whose = name.replace("_", " ").replace("rnd", "RND")
                    check_optimizer_state(part.torch_optimizer, state[key], whose)
            except ValueError:
                if strict:
                    raise
                owner = name.removesuffix("_optimizer")
                what = "starts anew, it does not fit" if owner == name else "the optimizer starts anew"
                report.append(f"{owner}: {what}")
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
