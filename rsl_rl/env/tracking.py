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


@dataclass(frozen=True)
class VelocityTracking:
    """Where an observation group holds a commanded velocity (along x, along y, about z) and the one that is reached."""

    group: str
    width: int
    """Entries of the group: the options of an environment may make another one of the same name."""
    command: slice
    """Three numbers: m/s, m/s, rad/s."""
    linear: slice
    """Velocity in the frame of the command, at least x and y."""
    angular: slice
    """Angular velocity in that frame, x, y and z."""

    def commanded(self, obs: TensorDict) -> torch.Tensor:
        """Return the command [N, 3] that the next step is to follow; a copy."""
        return obs[self.group][:, self.command].clone()

    def errors_of_step(
        self, commanded: torch.Tensor, obs: TensorDict, dones: torch.Tensor, extras: Mapping[str, Any]
    ) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Return how far off the robots are after a step, of the same episodes, and where that is known [N].

        ``lin_vel`` [N] is the length of the difference in the plane in m/s, ``ang_vel`` [N] the absolute one in rad/s.

        Args:
            commanded: Before the step, [N, 3].
            obs: What the step returned; where an episode ended it is of the next one.
            dones: [N], non-zero where an episode ended.
            extras: With ``final_obs`` the errors are known there as well.
        """
        done_N, errors = dones.flatten() != 0, self._errors(commanded, obs)
        if "final_obs" not in extras:
            return errors, ~done_N
        at_end = self._errors(commanded, extras["final_obs"])
        errors = {name: torch.where(done_N, at_end[name], error_N) for name, error_N in errors.items()}
        return errors, torch.ones_like(done_N)

    def _errors(self, commanded: torch.Tensor, after: TensorDict) -> dict[str, torch.Tensor]:
        linear, angular = after[self.group][:, self.linear][:, :2], after[self.group][:, self.angular][:, 2]
        return {"lin_vel": (commanded[:, :2] - linear).norm(dim=1), "ang_vel": (commanded[:, 2] - angular).abs()}


def velocity_tracking(env: Any, obs: TensorDict) -> VelocityTracking | None:
    """Return where the observations of an environment, named by its ``cfg["env"]``, hold command and velocity.

    None where that is not known.
    """
    cfg = getattr(env, "cfg", None)
    name = str(cfg.get("env", "")) if isinstance(cfg, dict) else ""
    for pattern, tracking in _KNOWN.items():
        fits = tracking.group in obs and obs[tracking.group].shape[1:] == (tracking.width,)
        if fits and re.fullmatch(pattern, name):
            return tracking
    return None


def with_unit(name: str) -> str:
    """Return what to call an error where people read it: with its unit where that is known."""
    return f"{name} [{_UNITS[name]}]" if name in _UNITS else name


# Of the errors that are computed here, and of our own robots; others do not tell the units of what they report.
_UNITS = {"lin_vel": "m/s", "ang_vel": "rad/s", "error_velocity": "m/s", "error_turn": "rad/s"}
_KNOWN = {
    # Exact values, as the environment's rewards use them: ``state`` has them with noise.
    r"envpool:Go1Joystick.*": VelocityTracking(
        "privileged_state", 123, command=slice(45, 48), linear=slice(57, 60), angular=slice(48, 51)
    ),
}
