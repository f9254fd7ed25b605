# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""How well a robot follows the velocity that is asked of it, for environments whose observations hold both.

What is known about single environments is in the table at the end, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from tensordict import TensorDict

Place = tuple[str, slice]
"""An observation group, and its entries."""


@dataclass(frozen=True)
class VelocityTracking:
    """Where observations hold a commanded velocity (along x, along y, about z) and the one that is reached."""

    command: Place
    """Three numbers: m/s, m/s, rad/s."""
    linear: Place
    """Velocity in the frame of the command, at least x and y."""
    angular: Place
    """Angular velocity in that frame, x, y and z."""

    def commanded(self, obs: TensorDict) -> torch.Tensor:
        """Return the command [N, 3] that the next step is to follow; a copy."""
        return _at(obs, self.command).clone()

    def errors(self, commanded: torch.Tensor, after: TensorDict) -> dict[str, torch.Tensor]:
        """Return how far off the robots are after a step.

        Args:
            commanded: Before the step, [N, 3].
            after: Observation groups after it, of the same episodes.

        Returns:
            ``lin_vel``: length of the difference in the plane, [N], m/s. ``ang_vel``: absolute difference [N], rad/s.
        """
        linear, angular = _at(after, self.linear)[:, :2], _at(after, self.angular)[:, 2]
        return {
            "lin_vel": (commanded[:, :2] - linear).norm(dim=1),
            "ang_vel": (commanded[:, 2] - angular).abs(),
        }

    def errors_of_step(
        self, commanded: torch.Tensor, obs: TensorDict, dones: torch.Tensor, extras: Mapping[str, Any]
    ) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Return the errors of the episodes that the step was made in, and where they are known [N].

        Args:
            commanded: Before the step, [N, 3].
            obs: What the step returned; where an episode ended it is of the next one.
            dones: [N], non-zero where an episode ended.
            extras: With ``final_obs`` the errors are known there as well.
        """
        done_N, errors = dones.flatten() != 0, self.errors(commanded, obs)
        if "final_obs" not in extras:
            return errors, ~done_N
        at_end = self.errors(commanded, extras["final_obs"])
        errors = {name: torch.where(done_N, at_end[name], error_N) for name, error_N in errors.items()}
        return errors, torch.ones_like(done_N)


def velocity_tracking(env: Any, obs: TensorDict) -> VelocityTracking | None:
    """Return where an environment's observations hold command and velocity; None where that is not known.

    Args:
        env: The environment; ``cfg["env"]`` names it.
        obs: Its observation groups.
    """
    cfg = getattr(env, "cfg", None)
    name = str(cfg.get("env", "")) if isinstance(cfg, dict) else ""
    for pattern, tracking in _KNOWN.items():
        groups = {group for group, _ in (tracking.command, tracking.linear, tracking.angular)}
        # The options of an environment may make other groups of the same name.
        fits = (group in obs and obs[group].ndim == 2 and obs[group].shape[1] == _WIDTHS[group] for group in groups)
        if re.fullmatch(pattern, name) and all(fits):
            return tracking
    return None


def with_unit(name: str) -> str:
    """Return what to call an error where people read it: with its unit where that is known."""
    return f"{name} [{_UNITS[name]}]" if name in _UNITS else name


def _at(obs: TensorDict, place: Place) -> torch.Tensor:
    group, entries = place
    return obs[group][:, entries]


# Of the errors that are computed here; environments do not tell the units of what they report.
_UNITS = {"lin_vel": "m/s", "ang_vel": "rad/s"}
_WIDTHS = {"privileged_state": 123}
_KNOWN = {
    # Exact values, as the environment's rewards use them: ``state`` has them with noise.
    r"envpool:Go1Joystick.*": VelocityTracking(
        command=("privileged_state", slice(45, 48)),
        linear=("privileged_state", slice(57, 60)),
        angular=("privileged_state", slice(48, 51)),
    ),
}
