# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What the viewer can show, found out before anything that takes long."""

from __future__ import annotations

import contextlib
from typing import Any

from rsl_rl.utils.install_lines import INSTALL_LINES

# Environments of Gymnasium that are MuJoCo's; others may be, too.
_MUJOCO_PACKAGES = ("gymnasium.envs.mujoco", "gymnasium_robotics")


def require_viser() -> Any:
    """Return the package viser; ImportError with the line that installs it."""
    try:
        import viser
    except ImportError as error:
        raise ImportError(f"The viewer needs viser: {INSTALL_LINES['viewer']} ({error})") from error
    return viser


def check_viewable(env: str) -> None:
    """Raise ValueError for an environment that the viewer cannot show; of Gymnasium's only making one tells."""
    if not env.startswith(("mujoco:", "gym:")):
        raise not_viewable(env)


def not_viewable(env: str) -> ValueError:
    """Return the error for an environment that cannot be shown, which says what shows it instead."""
    return ValueError(
        f"The viewer shows environments of MuJoCo that run in this process, 'mujoco:TASK' and 'gym:ID'; '{env}' is "
        "none. A video shows it: rsl-rl play RUN --video FILE.mp4"
    )


def is_of_mujoco(env: str) -> bool:
    """Return whether an environment is known to be one of MuJoCo's that can be shown and drawn."""
    if env.startswith("gym:"):
        with contextlib.suppress(Exception):  # making the environment says what is wrong
            import gymnasium

            entry_point = gymnasium.spec(env.removeprefix("gym:")).entry_point
            return isinstance(entry_point, str) and entry_point.startswith(_MUJOCO_PACKAGES)
    return env.startswith("mujoco:")
