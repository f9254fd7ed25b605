# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Building an algorithm's models from a configuration, and filling them from a checkpoint."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from tensordict import TensorDict
from torch import nn

from rsl_rl.algorithms.optimization import Optimizer
from rsl_rl.checkpoint import modernize
from rsl_rl.config import check_options, takes_option
from rsl_rl.env import VecEnv
from rsl_rl.extensions import resolve_rnd_config, resolve_symmetry_config
from rsl_rl.models import MLPModel
from rsl_rl.storage import RolloutStorage
from rsl_rl.utils import check_state_dict, did_you_mean, listed, resolve_class, resolve_obs_groups


def resolve_sets(obs: TensorDict, cfg: Mapping[str, Any], sets: list[str]) -> dict[str, list[str]]:
    """Return the observation groups of every set, of those in ``sets`` by their default where none are given.

    Raises:
        ValueError: A section is missing, or a group does not exist; says where.
    """
    for section in ("algorithm", "obs_groups"):
        if section not in cfg:
            raise ValueError(f"The configuration lacks the section '{section}'. Sections: {listed(cfg)}.")
    return resolve_obs_groups(obs, cfg["obs_groups"], sets)


def construct_ppo(obs: TensorDict, env: VecEnv, cfg: dict[str, Any], device: str) -> Any:
    """Return what :meth:`rsl_rl.algorithms.PPO.construct_algorithm` does."""
    algorithm_class, options = resolve_class(cfg["algorithm"])
    share_cnn_encoders = options.get("share_cnn_encoders", False)
    if not takes_option(algorithm_class, "share_cnn_encoders"):
        # A constructor of the user, which need not know what it does not do itself.
        options.pop("share_cnn_encoders", None)
    check_options(algorithm_class, options, "algorithm")
    sets = ["actor", "critic", *(["rnd_state"] if options.get("rnd_cfg") is not None else [])]
    obs_groups = resolve_sets(obs, cfg, sets)
    output_dims = {"actor": env.num_actions, "critic": 1}
    models = build_models(obs, cfg, obs_groups, output_dims, device, share_cnn_encoders)
    options = resolve_symmetry_config(resolve_rnd_config(options, obs, obs_groups, env), env)
    storage = build_storage("rl", obs, env, cfg, device)
    alg = algorithm_class(
        models["actor"], models["critic"], storage, device=device, multi_gpu_cfg=cfg.get("multi_gpu"), **options
    )
    if alg.symmetry is not None:
        alg.symmetry.check(obs, env.num_actions)
    return alg


def construct_distillation(obs: TensorDict, env: VecEnv, cfg: dict[str, Any], device: str) -> Any:
    """Return what :meth:`rsl_rl.algorithms.Distillation.construct_algorithm` does."""
    algorithm_class, options = resolve_class(cfg["algorithm"])
    check_options(algorithm_class, options, "algorithm")
    obs_groups = resolve_sets(obs, cfg, ["student", "teacher"])
    output_dims = {"student": env.num_actions, "teacher": env.num_actions}
    models = build_models(obs, cfg, obs_groups, output_dims, device)
    storage = build_storage("distillation", obs, env, cfg, device)
    return algorithm_class(
        models["student"], models["teacher"], storage, device=device, multi_gpu_cfg=cfg.get("multi_gpu"), **options
    )


def build_storage(
    training_type: str, obs: TensorDict, env: VecEnv, cfg: Mapping[str, Any], device: str
) -> RolloutStorage:
    """Return the rollout of a runner's configuration.

    Raises:
        MemoryError: It does not fit; says what takes the memory and what helps.
    """
    dtype = cfg.get("storage_dtype")
    image_dtype = None if dtype is None else getattr(torch, dtype)
    shape = [env.num_actions]
    return RolloutStorage(training_type, env.num_envs, cfg["num_steps_per_env"], obs, shape, device, image_dtype)


def build_models(
    obs: TensorDict,
    cfg: Mapping[str, Any],
    obs_groups: dict[str, list[str]],
    output_dims: Mapping[str, int],
    device: str,
    share_cnn_encoders: bool = False,
) -> dict[str, MLPModel]:
    """Build the models of a runner's configuration, which is not changed.

    Args:
        obs: Example observation groups of the environment.
        cfg: Configuration with one section per model.
        obs_groups: Groups of every observation set.
        output_dims: Names of the models, which are also their sections and observation sets, with their output sizes.
        device: Where they go.
        share_cnn_encoders: Give the image encoders of the first model to the others.

    Raises:
        ValueError, TypeError: The configuration is wrong; says where.
    """
    models: dict[str, MLPModel] = {}
    for name, output_dim in output_dims.items():
        if name not in cfg:
            raise ValueError(f"The configuration lacks the section '{name}'. Sections: {listed(cfg)}.")
        model_class, options = resolve_class(cfg[name])
        _check_is_model(model_class, name)
        check_options(model_class, options, name)
        if share_cnn_encoders and models:
            options["cnns"] = _encoders(models)
            if not takes_option(model_class, "cnns"):
                kind = getattr(model_class, "__name__", str(model_class))
                raise ValueError(f"share_cnn_encoders needs CNN models, but the {name} is a {kind}.")
        models[name] = model_class(obs, obs_groups, name, output_dim, **options).to(device)
    return models


def _check_is_model(model_class: Any, name: str) -> None:
    # Not a test for MLPModel: programs bring models of their own.
    if inspect.isclass(model_class) and not hasattr(model_class, "update_normalization"):
        raise ValueError(f"'{name}.class_name' must name a model, got {model_class.__name__}.")


def _encoders(models: Mapping[str, MLPModel]) -> Any:
    name, model = next(iter(models.items()))
    if not hasattr(model, "cnns"):
        raise ValueError(f"share_cnn_encoders needs CNN models, but the {name} is a {type(model).__name__}.")
    return model.cnns


def warn_of_remainder(storage: RolloutStorage, num_mini_batches: int, is_recurrent: bool) -> None:
    """Warn if the mini-batches do not take up the whole rollout."""
    kind, number = "samples", storage.num_envs * storage.num_transitions_per_env
    if is_recurrent:
        # Mini-batches of recurrent models are whole environments.
        kind, number = "environments", storage.num_envs
    if remainder := number % num_mini_batches:
        warnings.warn(
            f"{remainder} of the {number} {kind} of every rollout are not learned from: {number} is not divisible by "
            f"num_mini_batches = {num_mini_batches}.",
            stacklevel=3,
        )


def wanted_parts(load_cfg: Mapping[str, bool] | None, available: tuple[str, ...]) -> dict[str, bool]:
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


def load_parts(
    state: Mapping[str, Any], models: Mapping[str, nn.Module], optimizer: Optimizer | None, strict: bool
) -> list[str]:
    """Fill models and optimizer from a saved state, all of them or none.

    Args:
        state: With the keys ``<model>_state_dict`` and ``optimizer_state_dict``, or what earlier releases had for them.
        models: The models to fill, by name.
        optimizer: The optimizer to fill; None to leave it.
        strict: Refuse what does not fit; otherwise tensors that are missing, unknown or of another shape are skipped,
            and an optimizer that does not fit starts anew.

    Returns:
        What was taken and what was not, one line each.

    Raises:
        ValueError: The state lacks a part or does not fit; nothing was changed.
    """
    state = modernize(state, models)
    for part in (*models, *(["optimizer"] if optimizer is not None else [])):
        if f"{part}_state_dict" not in state:
            there = {name: True for name in models if f"{name}_state_dict" in state}
            hint = f" To take these parts only: load_cfg={there}." if there else ""
            raise ValueError(
                f"The checkpoint has no '{part}_state_dict'; nothing was loaded. It has: {', '.join(state)}.{hint}"
            )
    report: list[str] = []
    fitting: dict[str, dict[str, Any]] = {}
    for part, model in models.items():
        saved = state[f"{part}_state_dict"]
        if strict:
            check_state_dict(model, saved, part)
        own = model.state_dict()
        fitting[part] = {key: value for key, value in saved.items() if key in own and own[key].shape == value.shape}
        left_out = [f"{key} (kept as it is)" for key in own if key not in fitting[part]]
        left_out += [f"{key} (not a part of this {part})" for key in saved if key not in own]
        report.append(f"{part}: taken" + (", except " + listed(left_out) if left_out else ""))
    if optimizer is not None:
        try:
            optimizer.check_state(state["optimizer_state_dict"])
        except ValueError:
            if strict:
                raise
            optimizer = None
            report.append("optimizer: starts anew, it does not fit")

    for part, model in models.items():
        model.load_state_dict(fitting[part], strict=False)
    if optimizer is not None:
        optimizer.load_state_dict(state["optimizer_state_dict"])
        report.append("optimizer: taken")
    return report


def load_ppo(alg: Any, loaded_dict: dict[str, Any], load_cfg: dict[str, bool] | None, strict: bool) -> bool:
    """Do what :meth:`rsl_rl.algorithms.PPO.load` says."""
    loaded_dict = modernize(loaded_dict)
    parts = wanted_parts(load_cfg, ("actor", "critic", "optimizer", "iteration", "rnd"))
    if "student_state_dict" in loaded_dict and "actor_state_dict" not in loaded_dict:
        loaded_dict = {"actor_state_dict": loaded_dict["student_state_dict"]}
        parts = dict.fromkeys(parts, False) | {"actor": parts["actor"]}
    models: dict[str, nn.Module] = {"actor": alg.actor, "critic": alg.critic}
    if alg.rnd is not None and (load_cfg is not None or "rnd_state_dict" in loaded_dict):
        models["rnd"] = alg.rnd
    wanted = {name: model for name, model in models.items() if parts[name]}
    takes_rnd_optimizer = "rnd" in wanted and alg.rnd.optimizer_fits(loaded_dict, strict)  # type: ignore[union-attr]
    alg.load_report = load_parts(loaded_dict, wanted, alg._optimizer if parts["optimizer"] else None, strict)
    own = [part for part in parts if part != "rnd" or alg.rnd is not None]
    alg.load_report += [f"{part}: not taken" for part in own if not parts[part]]
    if alg.rnd is not None and parts["rnd"] and "rnd" not in wanted:
        alg.load_report.append("rnd: not in the checkpoint, it starts anew")
    if alg.rnd is None and "rnd_state_dict" in loaded_dict:
        alg.load_report.append("rnd: not taken, this run has none")
    if "rnd" in wanted:
        alg.load_report += alg.rnd.load_progress(loaded_dict, takes_rnd_optimizer)  # type: ignore[union-attr]
    alg._conclude_load(loaded_dict, resumes=parts["iteration"])
    # A critic that was not taken over still needs its warm-up.
    if parts["iteration"] and "critic: taken" in alg.load_report:
        alg._warmup_left = loaded_dict.get("critic_warmup_left", alg._warmup_left)
    return parts["iteration"]
