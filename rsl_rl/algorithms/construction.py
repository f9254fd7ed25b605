# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Building an algorithm, its models and its storage from a configuration."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from tensordict import TensorDict

from rsl_rl.algorithms.acting import choose_acting
from rsl_rl.algorithms.algorithm import Algorithm
from rsl_rl.checkpoint import read_checkpoint
from rsl_rl.compat.checkpoints import modernize
from rsl_rl.config import check_options, checked_algorithm, plain_config, takes_option
from rsl_rl.env import VecEnv
from rsl_rl.extensions import resolve_rnd_config, resolve_symmetry_config
from rsl_rl.models import MLPModel
from rsl_rl.storage import RolloutStorage
from rsl_rl.utils import listed, resolve_callable, resolve_class, resolve_obs_groups


def resolve_sets(obs: TensorDict, cfg: Mapping[str, Any], sets: list[str]) -> dict[str, list[str]]:
    """Return the observation groups of every set, of those in ``sets`` by their default where none are given."""
    if "obs_groups" not in cfg:
        raise ValueError(f"The configuration lacks the section 'obs_groups'. Sections: {listed(cfg)}.")
    return resolve_obs_groups(obs, cfg["obs_groups"], sets)


def construct_algorithm(obs: TensorDict, env: VecEnv, cfg: dict[str, Any], device: str) -> Algorithm:
    """Return the algorithm of a runner's configuration, with its engine chosen."""
    algorithm_class: Any = resolve_callable(checked_algorithm(cfg))
    if not hasattr(algorithm_class, "construct_algorithm"):
        name = getattr(algorithm_class, "__name__", algorithm_class)
        raise ValueError(f"'algorithm.class_name' must name an algorithm such as PPO, and {name} is none.")
    if cfg.get("matmul_precision") is not None:
        torch.set_float32_matmul_precision(cfg["matmul_precision"])
    alg = algorithm_class.construct_algorithm(obs, env, cfg, device)
    if not isinstance(alg, Algorithm):
        # Written for release 5.5.1, without a base class. Its own attributes must not be hidden by our properties.
        own = {name: None for name in ("learning_rate", "optimizer") if name in vars(alg)}
        alg.__class__ = type(type(alg).__name__, (type(alg), Algorithm), own)
        alg._initial_numbers = alg._numbers()
    alg.choose_engine(cfg.get("fast_path", "auto"), cfg.get("torch_compile_mode"))
    choose_acting(alg, cfg.get("fast_path", "auto"), _type_of(cfg.get("acting_dtype")))
    return alg


def construct_actor_critic(obs: TensorDict, env: VecEnv, cfg: dict[str, Any], device: str) -> Any:
    """Build models, storage and algorithm from a runner's configuration, which is not changed.

    Raises:
        ValueError, TypeError: The configuration is wrong; says where.
    """
    cfg = plain_config(cfg)
    algorithm_class, options = resolve_class(cfg["algorithm"])
    share_cnn_encoders = options.get("share_cnn_encoders", False)
    if not takes_option(algorithm_class, "share_cnn_encoders"):
        # A constructor of the user, which need not know what it does not do itself.
        options.pop("share_cnn_encoders", None)
    options = check_options(algorithm_class, options, "algorithm")
    sets = ["actor", "critic", *(["rnd_state"] if options.get("rnd_cfg") is not None else [])]
    obs_groups = resolve_sets(obs, cfg, sets)
    models = build_models(
        obs, cfg, obs_groups, {"actor": int(env.num_actions), "critic": 1}, device, share_cnn_encoders
    )
    options = resolve_symmetry_config(resolve_rnd_config(options, obs, obs_groups, env), env)
    storage = build_storage("rl", obs, env, cfg, device)
    alg = algorithm_class(*models.values(), storage, device=device, multi_gpu_cfg=cfg.get("multi_gpu"), **options)
    if alg.symmetry is not None:
        alg.symmetry.check(obs, env.num_actions)
    return alg


def construct_student_teacher(obs: TensorDict, env: VecEnv, cfg: dict[str, Any], device: str) -> Any:
    """Build models, storage and algorithm from a runner's configuration; ``teacher_checkpoint`` fills the teacher.

    Raises:
        FileNotFoundError: There is no such file as ``teacher_checkpoint`` names.
        ValueError, TypeError: The configuration is wrong, or that checkpoint does not fit the teacher; says where.
    """
    cfg = plain_config(cfg)
    algorithm_class, options = resolve_class(cfg["algorithm"])
    options = check_options(algorithm_class, options, "algorithm")
    obs_groups = resolve_sets(obs, cfg, ["student", "teacher"])
    models = build_models(obs, cfg, obs_groups, dict.fromkeys(("student", "teacher"), int(env.num_actions)), device)
    if options.get("symmetry_cfg") is not None:
        options = resolve_symmetry_config(options, env)
    storage = build_storage("distillation", obs, env, cfg, device)
    alg = algorithm_class(*models.values(), storage, device=device, multi_gpu_cfg=cfg.get("multi_gpu"), **options)
    if cfg.get("teacher_checkpoint") is not None:
        document = modernize(read_checkpoint(cfg["teacher_checkpoint"], map_location=device))
        # What was distilled before can teach as well: the policy of that run is its student.
        if "student_state_dict" in document:
            document = {"actor_state_dict": document["student_state_dict"], "config": document.get("config")}
        alg.load(document, load_cfg={"teacher": True})
    return alg


def build_storage(
    training_type: str, obs: TensorDict, env: VecEnv, cfg: Mapping[str, Any], device: str
) -> RolloutStorage:
    """Return the rollout of a runner's configuration; MemoryError says what takes the memory and what helps."""
    image_dtype = _type_of(cfg.get("storage_dtype"))
    shape = [env.num_actions]
    return RolloutStorage(training_type, env.num_envs, cfg["num_steps_per_env"], obs, shape, device, image_dtype)


def _type_of(name: str | None) -> torch.dtype | None:
    return None if name is None else getattr(torch, name)


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
    models: dict[str, Any] = {}
    for name, output_dim in output_dims.items():
        if name not in cfg:
            raise ValueError(f"The configuration lacks the section '{name}'. Sections: {listed(cfg)}.")
        model_class, options = resolve_class(cfg[name])
        is_class, kind = inspect.isclass(model_class), getattr(model_class, "__name__", str(model_class))
        # Not a test for MLPModel: programs bring models of their own.
        if is_class and not hasattr(model_class, "update_normalization"):
            raise ValueError(f"'{name}.class_name' must name a model, got {kind}.")
        options = check_options(model_class, options, name)
        if share_cnn_encoders and models:
            first_name, first = next(iter(models.items()))
            if not hasattr(first, "cnns"):
                raise ValueError(
                    f"share_cnn_encoders needs CNN models, but the {first_name} is a {type(first).__name__}."
                )
            if not takes_option(model_class, "cnns"):
                raise ValueError(f"share_cnn_encoders needs CNN models, but the {name} is a {kind}.")
            options["cnns"] = first.cnns
        models[name] = model_class(obs, obs_groups, name, output_dim, **options).to(device)
    return models


def fitting_mini_batches(storage: RolloutStorage, num_mini_batches: int, is_recurrent: bool) -> int:
    """Return into how many mini-batches a rollout is divided; warn if it is too small, or if something is left over."""
    # Mini-batches of recurrent models are whole environments.
    kind = "environments" if is_recurrent else "samples"
    number = storage.num_envs * (1 if is_recurrent else storage.num_transitions_per_env)
    if number < num_mini_batches:
        warnings.warn(
            f"A rollout has only {number} {kind}: it is learned from in {number} mini-batches instead of "
            f"num_mini_batches = {num_mini_batches}.",
            stacklevel=3,
        )
    elif remainder := number % num_mini_batches:
        warnings.warn(
            f"{remainder} of the {number} {kind} of every rollout are not learned from: {number} is not divisible by "
            f"num_mini_batches = {num_mini_batches}.",
            stacklevel=3,
        )
    return min(number, num_mini_batches)
