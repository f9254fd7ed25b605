# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Configurations of every kind of policy and training that a device has to be tried with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.algorithms.test_combinations import RND, config, distillation_config
from tests.distributed.equivalence import negate

MIRROR = {"data_augmentation_func": negate, "use_data_augmentation": True, "use_mirror_loss": True}
CURIOSITY = {**RND, "reward_normalization": True, "state_normalization": True}


def with_std_type(kind: str) -> dict[str, Any]:
    cfg = config()
    cfg["actor"]["distribution_cfg"]["std_type"] = kind
    return cfg


KINDS: dict[str, Callable[[], dict[str, Any]]] = {
    "gaussian": config,
    "log std": lambda: with_std_type("log"),
    "heteroscedastic": lambda: config(distribution="HeteroscedasticGaussianDistribution"),
    "beta": lambda: config(distribution="BetaDistribution"),
    "lstm": lambda: config("lstm", "lstm"),
    "gru": lambda: config("gru", "gru"),
    "cnn": lambda: config("cnn", "cnn"),
    "shared cnn": lambda: config("cnn", "cnn", share_cnn_encoders=True),
    "rnd": lambda: config(rnd_cfg=CURIOSITY),
    "symmetry": lambda: config(symmetry_cfg=MIRROR),
    "warm-up": lambda: config(critic_warmup_iterations=2),
    "mixed precision": lambda: config(use_mixed_precision=True),
    "recover": lambda: config() | {"nonfinite": "recover"},
    "distillation": lambda: distillation_config("mlp"),
    "distillation gru": lambda: distillation_config("gru"),
}
OPTIMIZERS = {
    name: lambda name=name: config(optimizer=name)
    for name in ("adamw", "sgd", "rmsprop", "nadam", "radam", "adagrad", "torch.optim:Adamax")
}
"""Kinds that differ from the first in nothing but the optimizer."""
