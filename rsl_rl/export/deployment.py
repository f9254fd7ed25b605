# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What a robot's controller has to know beside the policy: joints, gains, scales and the terms of the observation.

The names are those that controllers in the field look for in an ONNX file. An environment gives the values, see
:class:`rsl_rl.env.VecEnv`; :class:`PolicyMetadata` keeps them in every format.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

RUN_PATH = "run_path"
_PER_JOINT = ("joint_stiffness", "joint_damping", "default_joint_pos")
_TERMS = "observation_names"
_PER_TERM = ("observation_terms_scale", "observation_terms_size")
_NAMES = ("joint_names", "command_names", _TERMS)
# A run's folder named by the time at which it began lies in the folder of its task.
_DATED = re.compile(r"\d{4}-\d\d-\d\d[_T -]")


def deployment_entries(env: Any, policy: Any, log_dir: str | os.PathLike[str] | None) -> dict[str, Any]:
    """Return the entries for an exported policy: the run's, and what the environment says of the robot.

    A mistake of the environment's is a warning, and its entries are left out: a finished training is worth its files.

    Args:
        env: The environment. Without a method ``deployment_metadata`` it has no entries.
        policy: The model that is exported; nothing is said of observations that it does not see.
        log_dir: The run's folder; None where there is none.
    """
    entries = {} if log_dir is None else {RUN_PATH: run_path(log_dir)}
    method = getattr(env, "deployment_metadata", None)
    if method is None:
        return entries
    try:
        return entries | check_deployment(method(), policy.obs_group_dims, int(env.num_actions))
    except Exception as error:  # the environment's code may fail in any way
        reason = str(error) or type(error).__name__
        warnings.warn(
            "Exported policies do not describe the robot: deployment_metadata() of "
            f"{type(env).__name__} cannot be used: {reason}",
            stacklevel=3,
        )
        return entries


def run_path(log_dir: str | os.PathLike[str]) -> str:
    """Return what to call a run: its folder's name, after a task's name where it is a date; nothing above these."""
    folder = Path(os.path.abspath(log_dir))
    parts = folder.parts[1:][-2:] if _DATED.match(folder.name) else [folder.name]
    # A file's name may be no text.
    return os.fsencode("/".join(parts)).decode(errors="replace")


def check_deployment(entries: Any, obs_groups: Mapping[str, int], num_actions: int) -> dict[str, Any]:
    """Return entries as plain data: texts, integers, numbers that float32 holds, and lists of one of these.

    Args:
        entries: By name, as ``deployment_metadata`` returns them; those of an observation may be mappings by group.
        obs_groups: Size of every 1D observation group that the policy sees, in their order.
        num_actions: Actions of the policy.

    Raises:
        ValueError: A value cannot be an entry, or the lengths do not fit each other or the policy; says which.
    """
    if not isinstance(entries, Mapping):
        raise ValueError(f"expected a mapping of entries by their names, got {type(entries).__name__}")
    checked: dict[str, Any] = {}
    for name, value in entries.items():
        if name in (_TERMS, *_PER_TERM) and isinstance(value, Mapping):
            if not all(group in value for group in obs_groups):
                continue  # The environment does not describe all that the policy sees.
            value = [item for group in obs_groups for item in value[group]]
        checked[name] = check_entry(name, value)
    for name in _NAMES:
        if name in checked and not _is_list_of(str, checked[name]):
            raise ValueError(f"'{name}' must be a list of names, got {checked[name]!r}")
    for names, lists in (("joint_names", _PER_JOINT), (_TERMS, _PER_TERM)):
        for name in lists:
            _check_length(checked, name, names)
    scale = checked.get("action_scale", 1.0)
    if not (_is_number(scale) or (_is_list_of((int, float), scale) and len(scale) in (1, num_actions))):
        raise ValueError(
            f"'action_scale' must be one number, or one for each of the {num_actions} actions, got {scale!r}"
        )
    sizes: Any = checked.get("observation_terms_size")
    size = sum(obs_groups.values())
    if sizes is not None and (not _is_list_of(int, sizes) or sum(sizes) != size):
        raise ValueError(
            f"'observation_terms_size' must add up to the {size} numbers that the policy sees, got {sizes}"
        )
    return checked


def check_entry(name: Any, value: Any) -> str | int | float | list[Any]:
    """Return the value of an entry as plain data; ValueError for one that a line of text cannot hold."""
    _check_text(name, "the name of an entry")
    if isinstance(value, (np.ndarray, np.generic, torch.Tensor)):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_item(name, item) for item in value]
    return _item(name, value)


def as_text(value: str | int | float | list[Any]) -> str:
    """Return the text of an entry in an ONNX file: lists are separated by commas, as controllers read them."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _item(name: str, value: Any) -> str | int | float:
    if isinstance(value, (np.generic, torch.Tensor)):
        value = value.tolist()
    if isinstance(value, str):
        return _check_text(value, f"a text in '{name}'")
    if not _is_number(value):
        raise ValueError(f"'{name}' must hold texts and numbers, got {type(value).__name__}")
    try:
        with np.errstate(over="ignore"):
            single = np.float32(value)
    except OverflowError:  # an integer beyond all floats
        single = np.float32(np.inf)
    if not np.isfinite(single):
        raise ValueError(f"'{name}' must hold finite numbers, got {value}")
    # The fewest digits that give the same float32 again.
    return value if isinstance(value, int) else float(str(single))


def _check_text(text: Any, what: str) -> str:
    if not isinstance(text, str) or not text or "," in text or not text.isprintable():
        raise ValueError(f"{what} must be text without commas and line breaks, got {text!r}")
    return text


def _check_length(entries: Mapping[str, Any], name: str, names: str) -> None:
    if name not in entries:
        return
    if names not in entries:
        raise ValueError(f"'{name}' needs '{names}' beside it")
    if not _is_list_of((int, float), entries[name]) or len(entries[name]) != len(entries[names]):
        count = len(entries[names])
        raise ValueError(f"'{name}' must be {count} numbers, one for each of '{names}', got {entries[name]!r}")


def _is_list_of(kind: Any, value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
