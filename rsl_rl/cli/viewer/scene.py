# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The robot in the browser: shapes that follow their bodies, the floor, and arrows for forces."""
# What mujoco offers comes out of compiled modules.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

from rsl_rl.cli.viewer.forces import arrows
from rsl_rl.cli.viewer.shapes import Floor, floors_of, shapes_of

ROOT = "/world"
_ENDLESS, _SECTION = 60.0, 1.0  # m
_ARROW_COLOR = (200, 40, 0)


class Scene:
    """All that a model draws, in a scene of viser's.

    To follow the robot the world is moved under the camera, not the camera: its owner may turn it meanwhile.
    """

    def __init__(self, server: Any, model: Any, root: int | None) -> None:
        """Add everything to a server's scene; ``root`` is the body to follow, if any."""
        self._server, self._model, self._root = server, model, root
        scene = server.scene
        scene.configure_environment_map("studio", environment_intensity=0.4)
        shapes = shapes_of(model)
        self._world = scene.add_frame(ROOT, show_axes=False)
        moving = sorted({shape.body for shape in shapes} - {0})
        self._bodies = {body: scene.add_frame(f"{ROOT}/{body}", show_axes=False) for body in moving}
        for index, shape in enumerate(shapes):
            place = ROOT if shape.body == 0 else f"{ROOT}/{shape.body}"
            red, green, blue, opacity = shape.rgba
            scene.add_mesh_simple(
                f"{place}/shape_{index}",
                shape.vertices.astype(np.float32),
                shape.faces,
                color=_bytes((red, green, blue)),
                opacity=None if opacity >= 1 else opacity,
                side="double",
            )
        self._endless = [self._add_floor(index, floor) for index, floor in enumerate(floors_of(model))]
        sizes = {"shaft_radius": 0.008, "head_radius": 0.02, "head_length": 0.05}
        nothing = np.zeros((1, 2, 3))
        self._arrows = scene.add_arrows(f"{ROOT}/forces", nothing, _ARROW_COLOR, **sizes, visible=False)
        self._offset = np.zeros(3)
        size = max(float(model.stat.extent), 0.3)
        center = model.stat.center.astype(float)
        if root is not None:
            center[:2] = 0.0
        server.initial_camera.position = tuple(center + size * np.array([1.1, -1.35, 0.7]))
        server.initial_camera.look_at = tuple(center)

    def draw(self, data: Any, follows: bool, shows_forces: bool) -> None:
        """Show a state after ``mj_kinematics``, or after ``mj_forward`` where forces are to be shown."""
        with self._server.atomic():
            if follows and self._root is not None:
                self._offset = np.array([*data.xpos[self._root, :2], 0.0])
            self._world.position = -self._offset
            for body, frame in self._bodies.items():
                frame.position, frame.wxyz = data.xpos[body], data.xquat[body]
            for grid, position in filter(None, self._endless):
                # In whole sections, so that it seems to lie still and never ends.
                grid.position = position + np.round(self._offset / _SECTION) * _SECTION
            points = arrows(self._model, data) if shows_forces else np.zeros((0, 2, 3))
            if len(points):
                # The browser leaves out what it takes to be out of sight, and judges that by where the first were.
                center = points[:, 0].mean(axis=0)
                self._arrows.position, self._arrows.points = center, (points - center).astype(np.float32)
            self._arrows.visible = bool(len(points))

    def _add_floor(self, index: int, floor: Floor) -> tuple[Any, np.ndarray] | None:
        """Add a plane; return what follows the robot because it has no end."""
        axis = np.zeros(3)
        mujoco.mju_rotVecQuat(axis, np.array([0.0, 0.0, 1.0]), floor.wxyz)
        is_endless = floor.size is None and floor.body == 0 and axis[2] > 0.999
        width, height = floor.size or (_ENDLESS, _ENDLESS)
        color = np.array(floor.rgba[:3])
        grid = self._server.scene.add_grid(
            f"{ROOT}/floor_{index}" if floor.body == 0 else f"{ROOT}/{floor.body}/floor_{index}",
            width=width,
            height=height,
            cell_size=_SECTION / 2,
            section_size=_SECTION,
            cell_color=_bytes(0.6 * color + 0.4),
            section_color=_bytes(0.35 * color + 0.65),
            plane_color=_bytes(color),
            plane_opacity=floor.rgba[3],
            fade_distance=_ENDLESS / 2 if is_endless else 100.0,
            shadow_opacity=0.3,
            position=floor.position,
            wxyz=floor.wxyz,
        )
        return (grid, floor.position.copy()) if is_endless else None


def _bytes(color: Any) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in np.clip(np.round(255 * np.asarray(color)), 0, 255))
    return red, green, blue
