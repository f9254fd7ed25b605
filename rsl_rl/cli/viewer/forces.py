# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Contact forces of a MuJoCo simulation, as arrows."""
# What mujoco offers comes out of compiled modules.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

_LENGTH = 0.4  # m, of an arrow that carries the whole weight


def contact_forces(model: Any, data: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return where bodies touch [K, 3], m, and with what force [K, 3], N, both in the world, after ``mj_forward``.

    The force is that on the second geom; where that one belongs to the world, on the first: what a robot feels.
    """
    points, forces, local = np.zeros((data.ncon, 3)), np.zeros((data.ncon, 3)), np.zeros(6)
    for index in range(data.ncon):
        contact = data.contact[index]
        mujoco.mj_contactForce(model, data, index, local)
        points[index] = contact.pos
        # The rows of the frame are the contact's axes.
        forces[index] = contact.frame.reshape(3, 3).T @ local[:3]
        second = contact.geom[1]
        if second >= 0 and model.geom_bodyid[second] == 0:
            forces[index] *= -1.0
    return points, forces


def arrows(model: Any, data: Any) -> np.ndarray:
    """Return the contact forces as arrows, from and to [K, 2, 3], m; those too small to be seen are left out."""
    points, forces = contact_forces(model, data)
    weight = float(np.sum(model.body_mass) * np.linalg.norm(model.opt.gravity)) or 1.0
    steps = forces * (_LENGTH / weight)
    seen = np.linalg.norm(steps, axis=1) > 0.01 * _LENGTH
    return np.stack([points[seen], points[seen] + steps[seen]], axis=1)
