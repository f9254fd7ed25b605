# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What a vector environment tells about a step besides observations and rewards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

BOOKKEEPING = frozenset(
    {"env_id", "players.env_id", "elapsed_step", "terminated", "steps_until_next_cmd", "TimeLimit.truncated"}
)
"""Infos that number environments and steps rather than measure something."""
_FINAL = frozenset({"final_obs", "_final_obs", "final_info", "_final_info"})


def infos_of_transitions(infos: Mapping[str, Any], dones: np.ndarray) -> Mapping[str, Any]:
    """Return the infos of the transitions just made.

    An environment that resets itself within the step reports its reset, and the end of the episode in ``final_info``:
    here the end comes back to its place, as in the other autoreset modes, where ``dones`` [N], bool, says so.
    """
    finals = infos.get("final_info")
    return _ends_in_place(infos, finals, dones) if isinstance(finals, Mapping) else infos


def _ends_in_place(infos: Mapping[str, Any], finals: Mapping[str, Any], dones: np.ndarray) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    nowhere = np.zeros_like(dones)
    for key in dict.fromkeys([*infos, *finals]):
        if key in _FINAL or key.startswith("_"):
            continue
        value, final = infos.get(key), finals.get(key)
        if isinstance(value, Mapping) or isinstance(final, Mapping):
            merged[key] = _ends_in_place(value or {}, final or {}, dones)
        elif value is None or final is None:
            merged[key] = final if value is None else value
        else:
            where = dones.reshape(-1, *[1] * (np.ndim(value) - 1))
            merged[key] = np.where(where, final, value)
        merged[f"_{key}"] = np.where(dones, finals.get(f"_{key}", nowhere), infos.get(f"_{key}", nowhere))
    return merged


def ends_of_infos(
    infos: Mapping[str, Any], groups: Mapping[str, Any]
) -> tuple[np.ndarray | None, dict[str, np.ndarray]] | None:
    """Return the environments [k] whose last observations Gymnasium's infos hold, None for all N, and groups [k, ...].

    Gymnasium gives one entry per environment, None where no episode ended: an array, or a dictionary of them; or one
    array for all, or a dictionary of arrays; with the mask ``_final_obs`` [N] or without. Before release 1.0 it called
    them ``final_observation``. A bare array is taken for the only one of the example groups with its shape. None where
    there are none in such a form.
    """
    key = next((key for key in ("final_obs", "final_observation") if infos.get(key) is not None), None)
    if key is None:
        return None
    finals, mask = infos[key], infos.get(f"_{key}")
    if isinstance(finals, Mapping):
        columns = {str(name): array for name, rows in finals.items() if np.ndim(array := _on_host(rows))}
        finals = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=False)]
    if not isinstance(finals, Sequence) and not np.ndim(finals):  # a number, for example
        return None
    rows = list(_on_host(finals)) if hasattr(finals, "shape") else list(finals)
    ended = [index for index in range(len(rows)) if _is_given(rows[index])]
    if mask is not None:
        ended = [index for index in ended if _on_host(mask)[index]]
    if not ended:
        return None
    first = rows[ended[0]]
    if isinstance(first, Mapping):
        last = {str(name): _stacked([rows[index].get(name) for index in ended]) for name in first}
    else:
        values = _stacked([rows[index] for index in ended])
        fitting = [name for name, group in groups.items() if tuple(group.shape[1:]) == values.shape[1:]]
        last = dict.fromkeys(map(str, fitting), values) if len(fitting) == 1 else {}
    numbers = {name: value for name, value in last.items() if value.dtype.kind in "fiub"}
    return (None if len(ended) == len(rows) else np.array(ended), numbers) if numbers else None


def _on_host(values: Any) -> np.ndarray:
    return np.asarray(values.cpu() if hasattr(values, "cpu") else values)


def _is_given(row: Any) -> bool:
    return all(value is not None for value in row.values()) if isinstance(row, Mapping) else row is not None


def _stacked(rows: list[Any]) -> np.ndarray:
    """Return rows as one array; those of several shapes, and what is not a number, as one of objects."""
    arrays = [_on_host(row) for row in rows]
    return np.stack(arrays) if len({array.shape for array in arrays}) == 1 else np.empty(len(arrays), dtype=object)


def numbers_of_infos(infos: Mapping[str, Any], num_envs: int) -> Iterator[tuple[str, np.ndarray, np.ndarray | None]]:
    """Yield every info that is one number per environment: name, values [N], and where they count [N] or None.

    That is the mask ``"_key"`` which a vector environment may give with the info ``"key"``.
    """
    for key, value in infos.items():
        is_number = isinstance(value, np.ndarray) and value.shape == (num_envs,) and value.dtype.kind in "fiub"
        if is_number and key not in BOOKKEEPING and not key.startswith("_"):
            yield key, value, infos.get(f"_{key}")


def mean_of_infos(infos: Mapping[str, Any], num_envs: int) -> dict[str, float]:
    """Return the mean of every info that is one number per environment."""
    whole: dict[str, np.ndarray] = {}
    means: dict[str, float] = {}
    for key, value, mask in numbers_of_infos(infos, num_envs):
        if mask is None or mask.all():
            whole[key] = value
        elif mask.any():
            means[key] = float(value[mask].mean())
    if whole:
        # One reduction for all: a call per key costs as much as the environment's step.
        rows = np.concatenate(list(whole.values())).reshape(len(whole), num_envs)
        means |= zip(whole, (np.add.reduce(rows, axis=1, dtype=np.float64) / num_envs).tolist(), strict=True)
    return means
