# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Checkpoints of releases 1.x to 4.x, translated into the present layout.

Up to 3.x one ``model_state_dict`` holds both networks, and the optimizer numbers its parameters in that order; 2.x
keeps the normalizers beside it; 4.x has the action noise outside of ``distribution``.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

from rsl_rl.utils import listed

_PARTS = ("actor", "critic", "student", "teacher")
# Beginnings of the keys of the one old model -> part, beginning of the key in that part.
_BEGINNINGS = {
    **{f"{part}.": (part, "mlp.") for part in _PARTS},
    **{f"{part}_obs_normalizer.": (part, "obs_normalizer.") for part in _PARTS},
    **{f"memory_{part[0]}.": (part, "rnn.") for part in _PARTS},
    **{f"{part}_cnns.": (part, "cnns.") for part in _PARTS},
}
_STD = {"std": "distribution.std_param", "log_std": "distribution.log_std_param"}
# Names that normalizers of 2.x had beside the model: that of the first network, and those of the second.
_NORMALIZERS = ("obs_norm_state_dict", "critic_obs_norm_state_dict", "privileged_obs_norm_state_dict")
# Order of a present model's parameters.
_ORDER = ("distribution.", "mlp.", "rnn.", "cnns.")
_BUFFERS = ("_mean", "_var", "_std", "count", "running_mean", "running_var", "num_batches_tracked")
# Where a normalizer's number of samples was not saved: enough that the next rollout does not replace its statistics.
_UNKNOWN_COUNT = 1_000_000


class _Parameter(NamedTuple):
    part: str
    key: str
    value: torch.Tensor


def layout_of(document: Mapping[str, Any]) -> str | None:
    """Return which releases wrote a checkpoint in this layout, for example ``"2.x"``; None for the present layout."""
    if any(key in document for key in _NORMALIZERS):
        return "2.x"
    model = document.get("model_state_dict")
    if isinstance(model, Mapping):
        return "3.x" if any("_obs_normalizer." in key for key in model) else "1.x to 3.x"
    states = [document.get(f"{part}_state_dict") for part in ("actor", "student")]
    if any(isinstance(state, Mapping) and any(key in state for key in _STD) for state in states):
        return "4.x"
    return None


def modernize(document: Mapping[str, Any], models: Mapping[str, nn.Module] | None = None) -> dict[str, Any]:
    """Return a checkpoint in the present layout, with the optimizer's state; one that is in it comes back as it is.

    Args:
        document: A checkpoint of any release; it is not changed.
        models: By part (``"actor"`` ...) the models that are about to take it. A standard deviation that was saved as
            such is then given as its logarithm to a model that keeps that, and the reverse.

    Raises:
        ValueError: It holds a model that is none of this library's.

    Warns:
        UserWarning: The optimizer's state cannot be carried over and starts anew, with its last learning rate.
    """
    new = {key: _unwrapped(state) if str(key).endswith("_state_dict") else state for key, state in document.items()}
    if layout_of(new) is not None:
        _translate(new)
    for part, model in (models or {}).items():
        _match_std(new, part, model)
    return new


def _unwrapped(state: Any) -> Any:
    """Return the state of a model that was saved within a wrapper of torch under its own keys."""
    for prefix in ("module.", "_orig_mod."):  # of DistributedDataParallel and torch.compile
        if isinstance(state, Mapping) and state and all(str(key).startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _translate(document: dict[str, Any]) -> None:
    parts: dict[str, dict[str, Any]] = {}
    is_split = "model_state_dict" not in document
    if is_split:
        states = [(part, document.get(f"{part}_state_dict", {})) for part in _PARTS]
        old = [
            _Parameter(part, str(_STD.get(key, key)), value) for part, state in states for key, value in state.items()
        ]
    else:
        old = _split_model(document.pop("model_state_dict"))
    first, second = ("student", "teacher") if any(item.part == "student" for item in old) else ("actor", "critic")
    for name in _NORMALIZERS:
        state = document.pop(name, None)
        if isinstance(state, Mapping):
            part = first if name == _NORMALIZERS[0] else second
            old += [_Parameter(part, f"obs_normalizer.{key}", value) for key, value in state.items()]
    for part, key, value in old:
        parts.setdefault(part, {})[key] = value
    for part, state in parts.items():
        _mend_normalizer(state)
        document[f"{part}_state_dict"] = {key: state[key] for key in sorted(state, key=_rank)}
    if "optimizer_state_dict" in document:
        document["optimizer_state_dict"] = _translated_optimizer(document["optimizer_state_dict"], old, is_split)


def _split_model(model: Mapping[str, Any]) -> list[_Parameter]:
    acts = "student" if any(key.startswith("student.") for key in model) else "actor"
    if unknown := [key for key in model if key not in _STD and not key.startswith(tuple(_BEGINNINGS))]:
        raise ValueError(
            "The checkpoint's 'model_state_dict' is not that of a model of rsl_rl 1.x to 3.x, and cannot be "
            f"translated: it holds {listed(unknown[:5])}{' ...' if len(unknown) > 5 else ''}. "
            "Its keys may be std, log_std, or begin with " + listed(_BEGINNINGS) + ". "
            "Was it written by a policy class of your own? See docs/migration.md."
        )
    found: list[_Parameter] = []
    for key, value in model.items():
        if key in _STD:
            found.append(_Parameter(acts, _STD[key], value))
        else:
            beginning = next(text for text in _BEGINNINGS if key.startswith(text))
            part, new = _BEGINNINGS[beginning]
            found.append(_Parameter(part, new + key.removeprefix(beginning), value))
    return found


def _rank(key: str) -> int:
    return next((rank for rank, beginning in enumerate(_ORDER) if key.startswith(beginning)), -1)


def _mend_normalizer(state: dict[str, Any]) -> None:
    """Early normalizers lack the number of samples, or have it as another type."""
    mean, var, std, count = (f"obs_normalizer.{name}" for name in ("_mean", "_var", "_std", "count"))
    if not any(key.startswith("obs_normalizer.") for key in state):
        return
    if std not in state and var in state:
        state[std] = state[var].sqrt()
    if var not in state and std in state:
        state[var] = state[std].square()
    for key in {mean, var, std} & state.keys():
        state[key] = torch.atleast_2d(state[key])
    state[count] = torch.as_tensor(state.get(count, _UNKNOWN_COUNT)).reshape(()).to(torch.int64)


def _translated_optimizer(state: Any, old: list[_Parameter], is_split: bool) -> Any:
    """Number the optimizer's entries in the order of the present models: actor, then critic; or the student alone."""
    old = [item for item in old if item.key.rpartition(".")[2] not in _BUFFERS]
    learning = [item for item in old if item.part != "teacher"]
    # Within a part stable, and the parts in the order actor, critic.
    new = sorted(learning, key=lambda item: (item.part, _rank(item.key)))
    try:
        (group,) = state["param_groups"]
        saved, indices = state["state"], list(group["params"])
    except (KeyError, TypeError, ValueError):
        return state  # Refused, with a message, by the optimizer that is to take it.
    # Some releases had the teacher among the optimizer's parameters.
    order = next((candidate for candidate in (learning, old) if len(candidate) == len(indices)), None)
    if order is None and is_split and [item[:2] for item in learning] == [item[:2] for item in new]:
        return state  # 4.x with parts that actor and critic share: the order has not changed.
    entries: dict[int, Any] = {}
    if order is not None:
        entry_of = {item[:2]: saved.get(index) for item, index in zip(order, indices, strict=True)}
        entries = {index: entry for index, item in enumerate(new) if (entry := entry_of[item[:2]]) is not None}
        if not all(_fits(entry, new[index].value) for index, entry in entries.items()):
            entries = {}
    if saved and not entries:
        warnings.warn(
            "The optimizer's state in the checkpoint does not belong to its model's parameters and is not taken over: "
            "the optimizer starts anew, with the saved learning rate.",
            stacklevel=4,
        )
    return {"state": entries, "param_groups": [{**group, "params": list(range(len(new)))}]}


def _fits(entry: Mapping[str, Any], parameter: torch.Tensor) -> bool:
    moments: Iterable[Any] = (value for key, value in entry.items() if key != "step")
    return all(value.shape == parameter.shape for value in moments if isinstance(value, torch.Tensor))


def _match_std(document: dict[str, Any], part: str, model: nn.Module) -> None:
    """Give a model its action noise as it keeps it, and the optimizer's moments by the chain rule."""
    state, wanted = document.get(f"{part}_state_dict"), model.state_dict()
    if not isinstance(state, Mapping):
        return
    for saved, kept in (tuple(_STD.values()), tuple(_STD.values())[::-1]):
        if saved not in state or saved in wanted or kept not in wanted or kept in state:
            continue
        value = state[saved]
        to_log = kept == _STD["log_std"]
        # d/d(log std) = std * d/d(std)
        factor = value.clamp(min=1e-6) if to_log else torch.exp(-value)
        converted = factor.log() if to_log else value.exp()
        document[f"{part}_state_dict"] = {
            kept if key == saved else key: converted if key == saved else item for key, item in state.items()
        }
        index = [name for name, _ in model.named_parameters()].index(kept)
        optimizer = document.get("optimizer_state_dict")
        if part in ("actor", "student") and isinstance(optimizer, Mapping) and index in optimizer.get("state", {}):
            entry = dict(optimizer["state"][index])
            for key, moment in entry.items():
                if isinstance(moment, torch.Tensor) and moment.shape == factor.shape:
                    entry[key] = moment * (factor.square() if "sq" in key else factor)
            document["optimizer_state_dict"] = {**optimizer, "state": {**optimizer["state"], index: entry}}
