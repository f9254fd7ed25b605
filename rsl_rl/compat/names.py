# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Names that a module offers and that live elsewhere: those of release 5.5.1, and those that load torch when used.

A module offers them with one line: ``__getattr__ = names_of(__name__)``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

_RESOLVERS = dict.fromkeys(
    ("compile_model", "reduce_gradients_in_buckets", "resolve_class", "resolve_obs_groups", "resolve_optimizer"),
    "rsl_rl.utils",
)
# Module -> name -> where it is now; after a colon its name there.
_OLD_NAMES: dict[str, dict[str, str]] = {
    "rsl_rl.algorithms.ppo": {
        **_RESOLVERS,
        "resolve_callable": "rsl_rl.utils",
        "resolve_rnd_config": "rsl_rl.extensions",
        "resolve_symmetry_config": "rsl_rl.extensions",
        "VecEnv": "rsl_rl.env",
        "chain": "itertools",
        "nn": "torch",
    },
    "rsl_rl.algorithms.distillation": {**_RESOLVERS, "resolve_callable": "rsl_rl.utils", "VecEnv": "rsl_rl.env"},
    "rsl_rl.models.mlp_model": {
        "_OnnxMLPModel": "rsl_rl.export.inference:OnnxPolicy",
        "_TorchMLPModel": "rsl_rl.export.inference:TorchPolicy",
    },
    "rsl_rl.models.rnn_model": {
        "_OnnxRNNModel": "rsl_rl.export.inference:RecurrentOnnxPolicy",
        "_TorchGRUModel": "rsl_rl.export.inference:RecurrentTorchPolicy",
        "_TorchLSTMModel": "rsl_rl.export.inference:RecurrentTorchPolicy",
    },
    "rsl_rl.models.cnn_model": {
        "_OnnxCNNModel": "rsl_rl.export.inference:VisionOnnxPolicy",
        "_TorchCNNModel": "rsl_rl.export.inference:VisionTorchPolicy",
    },
    "rsl_rl.modules.cnn": {
        "_compute_output_dim": "rsl_rl.modules.cnn:convolved_size",
        "_compute_padding": "rsl_rl.modules.cnn:same_padding",
    },
    "rsl_rl.modules.distribution": {
        "_FirstSliceDeterministicOutput": "rsl_rl.modules.distribution:FirstRow",
        "_IdentityDeterministicOutput": "torch.nn:Identity",
        **dict.fromkeys(("Beta", "Normal"), "torch.distributions"),
    },
    "rsl_rl.modules.mlp": {"get_param": "rsl_rl.utils"},
    "rsl_rl.runners.on_policy_runner": {
        "PPO": "rsl_rl.algorithms",
        "check_nan": "rsl_rl.utils",
        "resolve_callable": "rsl_rl.utils",
    },
    "rsl_rl.storage.rollout_storage": {"split_and_pad_trajectories": "rsl_rl.core.trajectories"},
    "rsl_rl.extensions.symmetry": {"MLPModel": "rsl_rl.models"},
    "rsl_rl.telemetry": {"Logger": "rsl_rl.telemetry.logger"},
    "rsl_rl.utils.logger": {"LogWriter": "rsl_rl.telemetry", "resolve_class": "rsl_rl.utils"},
    "rsl_rl.utils": {
        **dict.fromkeys(("LogWriter", "NeptuneLogWriter", "WandbLogWriter"), "rsl_rl.telemetry"),
        "reduce_gradients_in_buckets": "rsl_rl.distributed",
        **dict.fromkeys(("split_and_pad_trajectories", "unpad_trajectories"), "rsl_rl.core.trajectories"),
    },
}


def names_of(module: str) -> Callable[[str], Any]:
    """Return a module's ``__getattr__``, which finds its old names when they are asked for."""
    old = _OLD_NAMES[module]

    def find(name: str) -> Any:
        if name not in old:
            raise AttributeError(f"module '{module}' has no attribute '{name}'")
        place, _, now = old[name].partition(":")
        return getattr(importlib.import_module(place), now or name)

    return find


class RawModels:
    """Models by the names that release 5.5.1 gave them beside compiled ones: ``_raw_actor`` is ``actor``."""

    if not TYPE_CHECKING:  # Otherwise every attribute would seem to exist.

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_raw_"):
                return getattr(self, name.removeprefix("_raw_"))
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
