# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Building an algorithm's models from a configuration, and filling them from a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tensordict import TensorDict
from torch import nn

from rsl_rl.algorithms.optimization import Optimizer
from rsl_rl.config import check_options
from rsl_rl.models import MLPModel
from rsl_rl.utils import check_state_dict, did_you_mean, resolve_class, resolve_obs_groups


def build_models(
    obs: TensorDict, cfg: Mapping[str, Any], output_dims: Mapping[str, int], device: str
) -> dict[str, MLPModel]:
    """Build the models of a runner's configuration, which is not changed.

    Args:
        obs: Example observation groups of the environment.
        cfg: Configuration with ``obs_groups`` and one section per model.
        output_dims: Names of the models, which are also their sections and observation sets, with their output sizes.
        device: Where they go.

    Raises:
        ValueError, TypeError: The configuration is wrong; says where.
    """
    for section in ("algorithm", *output_dims, "obs_groups"):
        if section not in cfg:
            raise ValueError(f"The configuration lacks the section '{section}'. Sections: {', '.join(cfg)}.")
    obs_groups = resolve_obs_groups(obs, cfg["obs_groups"], list(output_dims))
    models: dict[str, MLPModel] = {}
    for name, output_dim in output_dims.items():
        model_class, options = resolve_class(cfg[name])
        check_options(model_class, options, name)
        models[name] = model_class(obs, obs_groups, name, output_dim, **options).to(device)
    return models


def wanted_parts(load_cfg: Mapping[str, bool] | None, available: tuple[str, ...]) -> dict[str, bool]:
    """Return for every part of a saved state whether it is to be taken over: all of them without a ``load_cfg``.

    Raises:
        ValueError: ``load_cfg`` names an unknown part.
    """
    parts = dict.fromkeys(available, load_cfg is None)
    for part, wanted in (load_cfg or {}).items():
        if part not in parts:
            hint = did_you_mean(part, available)
            raise ValueError(f"load_cfg has no part '{part}'.{hint} Parts: {', '.join(available)}")
        parts[part] = wanted
    return parts


def load_parts(
    state: Mapping[str, Any], models: Mapping[str, nn.Module], optimizer: Optimizer | None, strict: bool
) -> None:
    """Fill models and optimizer from a saved state, all of them or none.

    Args:
        state: With the keys ``<model>_state_dict`` and ``optimizer_state_dict``.
        models: The models to fill, by name.
        optimizer: The optimizer to fill; None to leave it.
        strict: Refuse missing and unexpected keys of the models.

    Raises:
        ValueError: The state lacks a part or does not fit; nothing was changed.
    """
    for part in (*models, *(["optimizer"] if optimizer is not None else [])):
        if f"{part}_state_dict" not in state:
            raise ValueError(
                f"The checkpoint has no '{part}_state_dict'; nothing was loaded. It has: {', '.join(state)}."
            )
    for part, model in models.items():
        check_state_dict(model, state[f"{part}_state_dict"], part, strict)
    if optimizer is not None:
        optimizer.check_state(state["optimizer_state_dict"])

    for part, model in models.items():
        model.load_state_dict(state[f"{part}_state_dict"], strict=strict)
    if optimizer is not None:
        optimizer.load_state_dict(state["optimizer_state_dict"])
