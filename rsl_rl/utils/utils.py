# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Historical import path of the helpers of ``rsl_rl.utils``."""

from rsl_rl.compat.names import names_of
from rsl_rl.utils import (
    check_nan,
    compile_model,
    get_param,
    resolve_callable,
    resolve_class,
    resolve_nn_activation,
    resolve_obs_groups,
    resolve_optimizer,
    split_and_pad_trajectories,
    unpad_trajectories,
)

__all__ = [
    "check_nan",
    "compile_model",
    "get_param",
    "resolve_callable",
    "resolve_class",
    "resolve_nn_activation",
    "resolve_obs_groups",
    "resolve_optimizer",
    "split_and_pad_trajectories",
    "unpad_trajectories",
]
__getattr__ = names_of("rsl_rl.utils")
