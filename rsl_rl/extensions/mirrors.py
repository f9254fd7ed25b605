# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Mirror images of robots, for ``symmetry_cfg``: ``data_augmentation_func: "rsl_rl.extensions.mirrors:NAME"``.

Of your own robot only the order of its observations and joints differs: write down the parts as in :data:`_GO1_STATE`.
What points along x or z, or turns about y, looks the same in the mirror between left and right; what points along y, or
turns about x or z, changes its sign; left and right limbs change places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from tensordict import TensorDict


class Part(NamedTuple):
    """Some neighbouring entries of an observation, and their mirror image: entry i is ``signs[i] * x[order[i]]``."""

    order: Sequence[int]
    signs: Sequence[float]

    @classmethod
    def vector(cls) -> Part:
        """Return x, y, z of a position, velocity, acceleration, force or direction."""
        return cls([0, 1, 2], [1, -1, 1])

    @classmethod
    def rotation(cls) -> Part:
        """Return x, y, z of an angular velocity or a torque."""
        return cls([0, 1, 2], [-1, 1, -1])

    @classmethod
    def limbs(cls, partners: Iterable[int], signs: Iterable[float]) -> Part:
        """Return the entries of several limbs, one limb after the other.

        Args:
            partners: For each limb the one that takes its place in the mirror.
            signs: Sign of each entry of a limb: -1 for a joint that turns about x or z, 1 for one about y.
        """
        signs, partners = list(signs), list(partners)
        order = [partner * len(signs) + entry for partner in partners for entry in range(len(signs))]
        return cls(order, signs * len(partners))


class Mirror:
    """Mirrors vectors that consist of parts."""

    def __init__(self, parts: Iterable[Part]) -> None:
        """Put the parts in a row."""
        order, signs = [], []
        for part in parts:
            order += [len(signs) + entry for entry in part.order]
            signs += part.signs
        self._order, self._signs = torch.tensor(order), torch.tensor(signs)

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """Return the mirror image of values [..., d]."""
        if values.shape[-1] != len(self._order):
            raise ValueError(f"This mirror is for {len(self._order)} entries, got {values.shape[-1]}.")
        return values[..., self._order.to(values.device)] * self._signs.to(values)


def with_mirror_image(
    obs: TensorDict | None,
    actions: torch.Tensor | None,
    groups: Mapping[str, Callable[[torch.Tensor], torch.Tensor]],
    action: Callable[[torch.Tensor], torch.Tensor],
) -> tuple[TensorDict | None, torch.Tensor | None]:
    """Append mirror images, as ``data_augmentation_func`` has to: [2 * B, ...], the originals first.

    Args:
        obs: Observation groups [B, ...], or None.
        actions: [B, A], or None.
        groups: Mirror of every observation group.
        action: Mirror of actions.
    """
    if obs is not None:
        both = {name: torch.cat([obs[name], groups[str(name)](obs[name])]) for name in obs.keys()}  # noqa: SIM118
        obs = TensorDict(both, batch_size=[2 * len(obs)], device=obs.device)
    if actions is not None:
        actions = torch.cat([actions, action(actions)])
    return obs, actions


# -- Unitree Go1 -------------------------------------------------------------------------------------------------------

_FEET = (1, 0, 3, 2)  # front right, front left, rear right, rear left
_GO1_JOINTS = Part.limbs(_FEET, [-1, 1, 1])  # abduction, hip, knee
_GO1_STATE = [
    Part.vector(),  # linear velocity
    Part.rotation(),  # angular velocity
    Part.vector(),  # direction of gravity
    _GO1_JOINTS,  # angles, from the default pose
    _GO1_JOINTS,  # velocities
    _GO1_JOINTS,  # last actions
    Part([0, 1, 2], [1, -1, -1]),  # command: velocity along x and y, and about z
]
_GO1_PRIVILEGED = [
    *_GO1_STATE,  # as measured; the rest is exact
    Part.rotation(),  # angular velocity
    Part.vector(),  # accelerometer
    Part.vector(),  # direction of gravity
    Part.vector(),  # linear velocity
    Part.rotation(),  # angular velocity in the world
    _GO1_JOINTS,  # angles
    _GO1_JOINTS,  # velocities
    _GO1_JOINTS,  # actuator forces
    Part.limbs(_FEET, [1]),  # contacts
    Part.limbs(_FEET, [1, -1, 1]),  # velocities of the feet in the world
    Part.limbs(_FEET, [1]),  # time in the air
    Part.vector(),  # push
    Part([0], [1]),  # whether it is time for a push
]
# The sensor sits 6.7 cm to the right of the plane of symmetry: in the mirror it sits on the other side, where a robot
# that turns moves at another speed.
_GO1_SENSOR_Y = -0.06659
_mirror_go1_action = Mirror([_GO1_JOINTS])


def _go1_mirror(parts: list[Part], *sensors: tuple[int, int]) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a mirror that also moves the velocity of each sensor: first entries of its linear and angular velocity."""
    mirror = Mirror(parts)

    def mirrored(state: torch.Tensor) -> torch.Tensor:
        image = mirror(state)
        for linear, angular in sensors:
            turn_x, _, turn_z = image[..., angular : angular + 3].unbind(-1)
            offset = torch.stack([-turn_z, torch.zeros_like(turn_z), turn_x], dim=-1)
            image[..., linear : linear + 3] += offset * (2 * _GO1_SENSOR_Y)
        return image

    return mirrored


_GO1_GROUPS = {
    "state": _go1_mirror(_GO1_STATE, (0, 3)),
    "privileged_state": _go1_mirror(_GO1_PRIVILEGED, (0, 3), (57, 48)),
}


def go1_joystick(
    obs: TensorDict | None = None, actions: torch.Tensor | None = None, env: Any = None
) -> tuple[TensorDict | None, torch.Tensor | None]:
    """Append the left-right mirror image of Unitree Go1 joystick tasks (``envpool:Go1JoystickFlatTerrain-v1``).

    Groups are ``state`` [B, 48] and ``privileged_state`` [B, 123], actions [B, 12]; either may be None. The
    accelerometer, which only ``privileged_state`` has, is mirrored as if it sat in the middle of the robot.
    """
    return with_mirror_image(obs, actions, _GO1_GROUPS, _mirror_go1_action)


def mujoco_task(
    obs: TensorDict | None = None, actions: torch.Tensor | None = None, env: Any = None
) -> tuple[TensorDict | None, torch.Tensor | None]:
    """Append the mirror image of robots of :class:`rsl_rl.env.mujoco.MujocoVecEnv` whose task has ``mirrors``."""
    task = env.unwrapped.task
    groups = {group: Mirror(Part(*task.mirrors[name]) for name in names) for group, names in task.observations.items()}
    return with_mirror_image(obs, actions, groups, Mirror([Part(*task.mirrors["action"])]))
