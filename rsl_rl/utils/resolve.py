# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""From names in a configuration to the objects they stand for."""

from __future__ import annotations

import copy
import importlib
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rsl_rl.utils.option_values import plain
from rsl_rl.utils.suggest import check_choice, did_you_mean, listed

if TYPE_CHECKING:  # The command line looks up names before it loads torch, which takes seconds.
    import torch
    from tensordict import TensorDict
    from torch import nn

# A bare class name is searched for in these subpackages only.
_PUBLIC_PACKAGES = ("modules", "models", "algorithms", "storage", "extensions", "env", "utils", "runners")

# Names in a configuration, and those of the classes in torch.nn and torch.optim.
_ACTIVATIONS = {
    "elu": "ELU",
    "selu": "SELU",
    "relu": "ReLU",
    "crelu": "CELU",
    "lrelu": "LeakyReLU",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "softplus": "Softplus",
    "gelu": "GELU",
    "swish": "SiLU",
    "mish": "Mish",
    "identity": "Identity",
}
_OPTIMIZERS = {
    "adam": "Adam",
    "adamw": "AdamW",
    "sgd": "SGD",
    "rmsprop": "RMSprop",
    "nadam": "NAdam",
    "radam": "RAdam",
    "adagrad": "Adagrad",
}


# The folder that the command line was called in, once it runs: code of the user's own may lie there.
own_folder: str | None = None


def search_own_folder() -> None:
    """Let what is imported from now on also be found in :data:`own_folder`, last, so that nothing is hidden by it.

    Not before the user's word names code: modules that the library itself looks for shall not be found there.
    """
    if own_folder is not None and not {"", own_folder} & set(sys.path):
        sys.path.append(own_folder)


def resolve_callable(callable_or_name: type | Callable | str) -> Callable:
    """Return the callable that a name stands for.

    Args:
        callable_or_name: A callable (returned as it is), ``"pkg.mod:Attr.Sub"``, ``"pkg.mod.Attr"``, or a bare name
            from the public subpackages of ``rsl_rl``.

    Raises:
        TypeError: It is neither a callable nor a string, or the name leads to something that cannot be called.
        ImportError: The module cannot be imported.
        AttributeError: The module has no such attribute.
        ValueError: A bare name is unknown.
    """
    if callable(callable_or_name):
        return callable_or_name
    callable_or_name = plain(callable_or_name, str)
    if not isinstance(callable_or_name, str):
        raise TypeError(f"Expected a callable or its name, got {type(callable_or_name).__name__}: {callable_or_name!r}")
    name = callable_or_name
    if {".", ":"} & set(name) and not name.startswith("rsl_rl."):
        search_own_folder()
    module_name, colon, attribute = name.partition(":")
    if colon:
        found = _get_attribute(importlib.import_module(module_name), attribute)
    else:
        found = _get_dotted(name) if "." in name else _find_bare_name(name)
    if not callable(found):
        raise TypeError(f"'{name}' is a {type(found).__name__}, which cannot be called.")
    return found


def _get_dotted(name: str) -> Any:
    """Return what ``package.module.Outer.inner`` names: the longest module that there is, then attributes."""
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        module_name = ".".join(parts[:length])
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            # What the module itself imports and does not find is another matter, and so is the first part.
            if length == 1 or error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
                raise
            continue
        return _get_attribute(module, ".".join(parts[length:]))
    raise ImportError(f"'{name}' names no module.")


def _get_attribute(module: Any, path: str) -> Any:
    found = module
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            hint = did_you_mean(part, [option for option in dir(found) if not option.startswith("_")])
            raise AttributeError(f"'{module.__name__}' has no attribute '{path}'.{hint}") from None
    return found


def _find_bare_name(name: str) -> Any:
    known: dict[str, None] = {}
    for package in _PUBLIC_PACKAGES:
        module = importlib.import_module(f"rsl_rl.{package}")
        if name in module.__all__:
            return getattr(module, name)
        known |= dict.fromkeys(option for option in module.__all__ if option[0].isupper())
    raise ValueError(
        f"Unknown name '{name}'.{did_you_mean(name, known)} Names of rsl_rl: {listed(sorted(known))}. "
        "A class of your own is given as 'package.module:Class'."
    )


def resolve_class(cfg: Mapping[str, Any]) -> tuple[Callable, dict[str, Any]]:
    """Split a configuration section into the class it names and a deep copy of the remaining options.

    Raises:
        ValueError: The section has no ``class_name``.
    """
    cfg = plain(cfg, dict[str, Any])
    if not isinstance(cfg, Mapping):
        raise TypeError(f"A configuration section with a 'class_name' was expected, got {cfg!r}.")
    if "class_name" not in cfg:
        raise ValueError(f"The configuration section {dict(cfg)!r} names no class: the key 'class_name' is missing.")
    options = {key: copy.deepcopy(value) for key, value in cfg.items() if key != "class_name"}
    return resolve_callable(cfg["class_name"]), options


def resolve_nn_activation(act_name: str) -> nn.Module:
    """Return a new activation module for a case-insensitive name; an unknown one raises ValueError."""
    act_name = plain(act_name, str)
    if not isinstance(act_name, str) or act_name.lower() not in _ACTIVATIONS:
        check_choice("activation", act_name, _ACTIVATIONS)
    return resolve_callable(f"torch.nn:{_ACTIVATIONS[act_name.lower()]}")()


def resolve_optimizer(optimizer_name: str) -> type[torch.optim.Optimizer]:
    """Return the optimizer class for a case-insensitive name, or for one such as ``"torch.optim:Adamax"``.

    Raises:
        ValueError: The name is unknown.
    """
    optimizer_name = plain(optimizer_name, str)
    if isinstance(optimizer_name, str) and ("." in optimizer_name or ":" in optimizer_name):
        return resolve_callable(optimizer_name)  # type: ignore[return-value]
    if not isinstance(optimizer_name, str) or optimizer_name.lower() not in _OPTIMIZERS:
        raise ValueError(
            f"Unknown optimizer {optimizer_name!r}.{did_you_mean(optimizer_name, _OPTIMIZERS)} "
            f"Valid: {listed(_OPTIMIZERS)}, or 'package.module:Class'."
        )
    return resolve_callable(f"torch.optim:{_OPTIMIZERS[optimizer_name.lower()]}")  # type: ignore[return-value]


def resolve_obs_groups(
    obs: TensorDict, obs_groups: Mapping[str, list[str]], default_sets: list[str]
) -> dict[str, list[str]]:
    """Return the observation groups of every set, checked against what the environment gives.

    A default set that is not configured falls back to the group of the same name, else to the group ``"policy"``,
    with a warning.

    Args:
        obs: The environment's observation groups.
        obs_groups: For each set (``"actor"``, ``"critic"`` ...) the groups it consists of; it is not changed.
        default_sets: The sets that the algorithm needs.

    Raises:
        ValueError: A set is empty, names a group that the environment does not give, or cannot be filled.
    """
    obs_groups = plain(obs_groups, dict[str, list[str]])
    available = [str(group) for group in obs.keys()]  # noqa: SIM118 (a TensorDict iterates over its batch)
    resolved: dict[str, list[str]] = {}
    for set_name, groups in obs_groups.items():
        if isinstance(groups, str) or not all(isinstance(group, str) for group in groups):
            raise ValueError(f"Observation set '{set_name}' must be a list of group names, got {groups!r}.")
        if not groups:
            raise ValueError(f"Observation set '{set_name}' is empty. The environment gives: {listed(available)}.")
        for group in groups:
            if group not in available:
                raise ValueError(
                    f"Observation set '{set_name}' asks for the group '{group}', which the environment does not give."
                    f"{did_you_mean(group, available)} The environment gives: {listed(available)}."
                )
        resolved[set_name] = list(groups)
    for set_name in default_sets:
        if set_name in resolved:
            continue
        fallback = next((group for group in (set_name, "policy") if group in available), None)
        if fallback is None:
            raise ValueError(
                f"Observation set '{set_name}' is not configured, and the environment gives neither a group "
                f"'{set_name}' nor 'policy' to use for it. The environment gives: {listed(available)}. "
                f"Add for example obs_groups = {{'{set_name}': ['{available[0] if available else 'group'}']}}."
            )
        warnings.warn(
            f"Observation set '{set_name}' is not configured: using the group '{fallback}'. "
            f"Set obs_groups['{set_name}'] to silence this.",
            stacklevel=2,
        )
        resolved[set_name] = [fallback]
    return resolved


def get_param(param: Any, idx: int) -> Any:
    """Return ``param[idx]`` of a per-layer list or tuple, or ``param`` itself where one value serves all layers."""
    return param[idx] if isinstance(param, (list, tuple)) else param
