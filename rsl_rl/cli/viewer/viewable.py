# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The viewer's options, and what it can show: found out before anything that takes long."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from rsl_rl.utils.install_lines import INSTALL_LINES
from rsl_rl.utils.ranges import Port

# Environments of Gymnasium that are MuJoCo's; others may be, too.
_MUJOCO_PACKAGES = ("gymnasium.envs.mujoco", "gymnasium_robotics")


@dataclass(frozen=True, kw_only=True)
class ViewArguments:
    """Options of every command that has a viewer."""

    view: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Show the policy in the browser, in real time, and steer it there; for environments of MuJoCo."""
    port: Port | None = None
    """Port of the viewer; None for 8080, or the next free one."""
    host: str = "127.0.0.1"
    """Address that the viewer can be reached at; 0.0.0.0 lets every machine of the network steer."""
    browser: Annotated[bool, tyro.conf.FlagCreatePairsOff] = True
    """Open the browser where there is a screen."""

    def with_words(self, words: Collection[str]) -> ViewArguments:
        """Return these options for a command whose other switches take a value, and its words that stand alone."""
        view, browser = self.view or "--view" in words, self.browser and "--no-browser" not in words
        return ViewArguments(view=view, port=self.port, host=self.host, browser=browser)

    def check(self, env: str) -> None:
        """Raise what :func:`check_viewable` does where a viewer is wanted."""
        if self.view:
            check_viewable(env)


def require_viser() -> Any:
    """Return the package viser; ImportError with the line that installs it."""
    try:
        import viser
    except ImportError as error:
        raise ImportError(f"The viewer needs viser: {INSTALL_LINES['viewer']} ({error})") from error
    return viser


def check_viewable(env: str) -> None:
    """Raise ValueError for an environment that the viewer cannot show, ImportError without viser.

    Of Gymnasium's environments only making one tells.
    """
    if not env.startswith(("mujoco:", "gym:")):
        raise not_viewable(env)
    require_viser()


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
