# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""From a checked configuration to an algorithm that is ready to learn."""

from __future__ import annotations

from typing import Any

from tensordict import TensorDict

from rsl_rl.checkpoint import modernize, read_checkpoint
from rsl_rl.config import checked_algorithm
from rsl_rl.utils import resolve_callable


def construct_algorithm(obs: TensorDict, env: Any, cfg: dict[str, Any], device: str) -> Any:
    """Return the algorithm with its models, its teacher's weights, and its steps compiled or captured as configured.

    Args:
        obs: Example observation groups.
        env: The environment.
        cfg: The runner's configuration, resolved.
        device: Where to learn.

    Raises:
        FileNotFoundError: There is no such file as ``teacher_checkpoint`` names.
        ValueError, TypeError: The configuration is wrong, or that checkpoint does not fit the teacher; says where.
    """
    algorithm_class: Any = resolve_callable(checked_algorithm(cfg))
    if not hasattr(algorithm_class, "construct_algorithm"):
        name = getattr(algorithm_class, "__name__", algorithm_class)
        raise ValueError(f"'algorithm.class_name' must name an algorithm such as PPO, and {name} is none.")
    alg = algorithm_class.construct_algorithm(obs, env, cfg, device)
    if cfg.get("fast_path") == "off" and hasattr(alg, "use_fast_path"):
        alg.use_fast_path(False)
    if cfg.get("fast_path") == "graph" and device.startswith("cuda") and hasattr(alg, "capture_steps"):
        alg.capture_steps()
    if cfg.get("torch_compile_mode") is not None:
        alg.compile(cfg["torch_compile_mode"])
    if hasattr(alg, "teacher_loaded") and cfg.get("teacher_checkpoint") is not None:
        _load_teacher(alg, cfg["teacher_checkpoint"], device)
    return alg


def _load_teacher(alg: Any, path: str, device: str) -> None:
    document = modernize(read_checkpoint(path, map_location=device))
    # What was distilled before can teach as well: the policy of that run is its student.
    if "student_state_dict" in document:
        document = {"actor_state_dict": document["student_state_dict"]}
    alg.load(document, load_cfg={"teacher": True})
