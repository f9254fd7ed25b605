# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What is drawn of a MuJoCo model, as triangles: one mesh for each body and colour.

Legend: V vertices, F triangles.
"""
# What mujoco offers comes out of compiled modules.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

Triangles = tuple[np.ndarray, np.ndarray]
"""Vertices [V, 3] and, of each triangle, their indices [F, 3], counterclockwise seen from outside."""
_SHOWN_GROUPS = range(3)  # as in MuJoCo's own viewer; by convention 3 holds the shapes that only collide
_AROUND, _HALF_CIRCLE = 24, 12
_DEFAULT_RGBA = (0.5, 0.5, 0.5, 1.0)


@dataclass(frozen=True)
class Shape:
    """All geoms of one colour of a body, in the frame of the body."""

    body: int
    rgba: tuple[float, float, float, float]
    vertices: np.ndarray
    faces: np.ndarray


@dataclass(frozen=True)
class Floor:
    """A plane, in the frame of its body."""

    body: int
    rgba: tuple[float, float, float, float]
    position: np.ndarray
    wxyz: np.ndarray
    size: tuple[float, float] | None
    """Lengths of its sides in m; None for a plane without end."""


def shapes_of(model: Any) -> list[Shape]:
    """Return all that a model draws, but for planes."""
    parts: dict[tuple[int, tuple], list[Triangles]] = defaultdict(list)
    for geom in _shown(model):
        build = _BUILDERS.get(int(model.geom_type[geom]))
        if build is not None:
            vertices, faces = build(model, geom)
            rotation = np.zeros(9)
            mujoco.mju_quat2Mat(rotation, model.geom_quat[geom])
            vertices = vertices @ rotation.reshape(3, 3).T + model.geom_pos[geom]
            parts[int(model.geom_bodyid[geom]), color_of(model, geom)].append((vertices, faces))
    return [Shape(body, rgba, *_together(each)) for (body, rgba), each in parts.items()]


def floors_of(model: Any) -> list[Floor]:
    """Return the planes of a model."""
    floors = []
    for geom in _shown(model):
        if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_PLANE:
            x, y = map(float, 2 * model.geom_size[geom, :2])
            place = int(model.geom_bodyid[geom]), color_of(model, geom), model.geom_pos[geom], model.geom_quat[geom]
            floors.append(Floor(*place, (x, y) if x > 0 and y > 0 else None))
    return floors


def color_of(model: Any, geom: int) -> tuple[float, float, float, float]:
    """Return red, green, blue and opacity of a geom, 0 to 1; of a texture the mean."""
    rgba, material = model.geom_rgba[geom].astype(float), int(model.geom_matid[geom])
    if material >= 0:
        if np.allclose(rgba, _DEFAULT_RGBA):  # MuJoCo's rule: any other colour outweighs that of the material
            rgba = model.mat_rgba[material].astype(float)
        texture = int(model.mat_texid[material, mujoco.mjtTextureRole.mjTEXROLE_RGB])
        if texture >= 0:
            channels, begin = int(model.tex_nchannel[texture]), int(model.tex_adr[texture])
            count = int(model.tex_height[texture]) * int(model.tex_width[texture])
            texels = model.tex_data[begin : begin + count * channels].reshape(count, channels)
            rgba[:3] *= texels[:, :3].mean(axis=0) / 255
    red, green, blue, opacity = (round(float(value), 3) for value in rgba)
    return red, green, blue, opacity


def _shown(model: Any) -> list[int]:
    seen = [geom for geom in range(model.ngeom) if color_of(model, geom)[3] > 0]
    return [geom for geom in seen if model.geom_group[geom] in _SHOWN_GROUPS] or seen


def _together(parts: list[Triangles]) -> Triangles:
    starts = np.cumsum([0, *(len(vertices) for vertices, _ in parts)])
    faces = [faces + start for (_, faces), start in zip(parts, starts[:-1], strict=True)]
    return np.concatenate([vertices for vertices, _ in parts]), np.concatenate(faces)


def _revolved(*profiles: np.ndarray) -> Triangles:
    """Return bodies of revolution about z; each profile is a line [P, 2] of radius and height, from below outwards.

    Profiles share no vertices, so that an edge between two of them stays sharp.
    """
    parts = []
    angles = np.linspace(0.0, 2 * np.pi, _AROUND, endpoint=False)
    for profile in profiles:
        radius, height = profile[:, 0, None], np.repeat(profile[:, 1, None], _AROUND, axis=1)
        vertices = np.stack([radius * np.cos(angles), radius * np.sin(angles), height], axis=-1).reshape(-1, 3)
        rows, columns = np.meshgrid(np.arange(len(profile) - 1), np.arange(_AROUND), indexing="ij")
        here, right = rows * _AROUND + columns, rows * _AROUND + (columns + 1) % _AROUND
        faces = np.stack([here, right, right + _AROUND, here, right + _AROUND, here + _AROUND], axis=-1).reshape(-1, 3)
        parts.append((vertices, faces))
    return _together(parts)


def _half_circle() -> np.ndarray:
    angles = np.linspace(-np.pi / 2, np.pi / 2, _HALF_CIRCLE + 1)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _ellipsoid(model: Any, geom: int) -> Triangles:
    vertices, faces = _revolved(_half_circle())
    radii = model.geom_size[geom]
    is_sphere = model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_SPHERE
    return vertices * (radii[0] if is_sphere else radii), faces


def _capsule(model: Any, geom: int) -> Triangles:
    radius, half_length, _ = model.geom_size[geom]
    circle = radius * _half_circle()
    below, above, offset = circle[: _HALF_CIRCLE // 2 + 1], circle[_HALF_CIRCLE // 2 :], np.array([0.0, half_length])
    return _revolved(np.concatenate([below - offset, above + offset]))


def _cylinder(model: Any, geom: int) -> Triangles:
    r, h, _ = model.geom_size[geom]
    lines = [[0, -h], [r, -h]], [[r, -h], [r, h]], [[r, h], [0, h]]
    return _revolved(*map(np.array, lines))


def _box(model: Any, geom: int) -> Triangles:
    # Each side has corners of its own: its edges are sharp.
    square = np.array([[-1, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]], float)
    sides = [np.roll(square, turn, axis=1) * sign for turn in range(3) for sign in (1, -1)]
    faces = [np.array([[0, 1, 2], [0, 2, 3]])[:, ::sign] for _ in range(3) for sign in (1, -1)]
    vertices, indices = _together(list(zip(sides, faces, strict=True)))
    return vertices * model.geom_size[geom], indices


def _mesh(model: Any, geom: int) -> Triangles:
    mesh = int(model.geom_dataid[geom])
    first, count = int(model.mesh_faceadr[mesh]), int(model.mesh_facenum[mesh])
    vertices = model.mesh_vert[model.mesh_vertadr[mesh] :][: model.mesh_vertnum[mesh]]
    # A vertex that has several normals belongs to several sides, between which the edge is sharp.
    faces, normals = (
        table[first : first + count].astype(np.int64) for table in (model.mesh_face, model.mesh_facenormal)
    )
    pairs, indices = np.unique(np.stack([faces.ravel(), normals.ravel()], axis=1), axis=0, return_inverse=True)
    return vertices[pairs[:, 0]].astype(float), indices.reshape(-1, 3)


def _height_field(model: Any, geom: int) -> Triangles:
    field = int(model.geom_dataid[geom])
    rows, columns = int(model.hfield_nrow[field]), int(model.hfield_ncol[field])
    half_x, half_y, top, _ = model.hfield_size[field]
    heights = model.hfield_data[model.hfield_adr[field] :][: rows * columns].astype(float) * top
    y, x = np.meshgrid(np.linspace(-half_y, half_y, rows), np.linspace(-half_x, half_x, columns), indexing="ij")
    here = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    right, above = here + 1, here + columns
    faces = np.stack([here, right, above + 1, here, above + 1, above], axis=1).reshape(-1, 3)
    return np.stack([x.ravel(), y.ravel(), heights], axis=1), faces


_BUILDERS: dict[int, Callable[[Any, int], Triangles]] = {
    int(kind): build
    for kind, build in {
        mujoco.mjtGeom.mjGEOM_HFIELD: _height_field,
        mujoco.mjtGeom.mjGEOM_SPHERE: _ellipsoid,
        mujoco.mjtGeom.mjGEOM_CAPSULE: _capsule,
        mujoco.mjtGeom.mjGEOM_ELLIPSOID: _ellipsoid,
        mujoco.mjtGeom.mjGEOM_CYLINDER: _cylinder,
        mujoco.mjtGeom.mjGEOM_BOX: _box,
        mujoco.mjtGeom.mjGEOM_MESH: _mesh,
        mujoco.mjtGeom.mjGEOM_SDF: _mesh,
    }.items()
}
