# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Small pure helpers, and the historical import path of the log writers."""

from typing import TYPE_CHECKING

from rsl_rl.compat.names import names_of
from rsl_rl.utils.checks import check_compile_mode, check_nan, check_optimizer_state, check_state_dict, compile_model
from rsl_rl.utils.option_values import takes_plain_options
from rsl_rl.utils.resolve import (
    get_param,
    resolve_callable,
    resolve_class,
    resolve_nn_activation,
    resolve_obs_groups,
    resolve_optimizer,
)
from rsl_rl.utils.suggest import check_choice, did_you_mean, listed

if TYPE_CHECKING:
    from rsl_rl.core.trajectories import split_and_pad_trajectories, unpad_trajectories

__all__ = [
    "LogWriter",  # pyright: ignore[reportUnsupportedDunderAll] (given by __getattr__)
    "NeptuneLogWriter",  # pyright: ignore[reportUnsupportedDunderAll]
    "WandbLogWriter",  # pyright: ignore[reportUnsupportedDunderAll]
    "check_choice",
    "check_compile_mode",
    "check_nan",
    "check_optimizer_state",
    "check_state_dict",
    "compile_model",
    "did_you_mean",
    "get_param",
    "listed",
    "reduce_gradients_in_buckets",  # pyright: ignore[reportUnsupportedDunderAll] (given by __getattr__)
    "resolve_callable",
    "resolve_class",
    "resolve_nn_activation",
    "resolve_obs_groups",
    "resolve_optimizer",
    "split_and_pad_trajectories",
    "takes_plain_options",
    "unpad_trajectories",
]


# The rest lives in packages that themselves use the helpers here, or load torch, which takes seconds.
__getattr__ = names_of(__name__)
