# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""From keys, sticks and sliders to what a robot is asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

RAMP_SECONDS = 0.4
"""A key that is held reaches the end of its range in this time, and returns in it."""
ACTIONS = ("stop", "pause", "reset", "push")
"""What a key or a button of a gamepad does once."""
_KEYS = {
    "KeyW": ("forward", 1),
    "ArrowUp": ("forward", 1),
    "KeyS": ("forward", -1),
    "ArrowDown": ("forward", -1),
    "KeyA": ("left", 1),
    "KeyD": ("left", -1),
    "KeyQ": ("turn", 1),
    "KeyE": ("turn", -1),
    "ArrowLeft": ("turn", 1),
    "ArrowRight": ("turn", -1),
}
AXES = ("forward", "left", "turn")
_NAMES = {
    "forward": ("forward", "speed", "x", "vx", "lin_vel_x", "velocity_x"),
    "left": ("left", "y", "vy", "lin_vel_y", "velocity_y"),
    "turn": ("turn", "yaw", "wz", "ang_vel_z", "turn_rate", "yaw_rate"),
}
_LONGEST_MESSAGE, _MOST_PAGES = 2000, 16


def axis_of(name: str) -> str | None:
    """Return what a command means, by its usual names: forward, left or turn."""
    return next((axis for axis, names in _NAMES.items() if name in names), None)


class Joystick:
    """A command [C] that keys and sticks push out of its rest, and that sliders set.

    Keys move along the axes forward, left and turn. A robot that cannot go sideways turns with the keys for it; where
    no command has a usual name the first three take the axes in their order.
    """

    def __init__(self, commands: Mapping[str, tuple[float, float, float]]) -> None:
        """Take the commands of a task: lowest and highest value by name."""
        self.names = list(commands)
        bounds = np.array([commands[name][:2] for name in self.names], float).reshape(-1, 2)
        self.low, self.high = bounds.T
        self._rest = np.clip(0.0, self.low, self.high)
        self.command = self._rest.copy()
        """What is asked for now, [C]."""
        self.is_driven = np.zeros(len(self.names), bool)
        """Which of it keys or sticks decide, [C]."""
        self.is_new = np.zeros(len(self.names), bool)
        """What sliders do not show yet, [C]; whoever shows it clears this."""
        axes = [axis_of(name) for name in self.names]
        if not any(axes):
            axes = [*AXES[: len(self.names)], *[None] * (len(self.names) - len(AXES))]
        self._index = {axis: index for index, axis in enumerate(axes) if axis is not None}
        if "left" not in self._index and "turn" in self._index:
            self._index["left"] = self._index["turn"]
        elif "turn" not in self._index and "left" in self._index:
            self._index["turn"] = self._index["left"]

    def set(self, name: str, value: float) -> None:
        """Ask for another value, as a slider does; keys that are held go on from there."""
        index = self.names.index(name)
        self.command[index] = np.clip(value, self.low[index], self.high[index])

    def stop(self) -> None:
        """Ask for nothing, at once."""
        self.command[:], self.is_driven[:], self.is_new[:] = self._rest, False, True

    def advance(self, axes: Mapping[str, float], seconds: float) -> np.ndarray:
        """Move towards where keys and sticks point, -1 to 1 by axis, and back where they rest; return the command."""
        share = np.zeros(len(self.names))
        for axis, index in self._index.items():
            share[index] += axes.get(axis, 0.0)
        share = np.clip(share, -1.0, 1.0)
        self.is_driven |= share != 0.0
        self.is_new |= self.is_driven
        towards = np.where(share > 0, self.high, self.low)
        goal = np.clip(self._rest + np.abs(share) * (towards - self._rest), self.low, self.high)
        reach = np.maximum(self.high - self._rest, self._rest - self.low) * seconds / RAMP_SECONDS
        moved = self.command + np.clip(goal - self.command, -reach, reach)
        self.command = np.where(self.is_driven, moved, self.command)
        self.is_driven &= (share != 0.0) | (self.command != self._rest)
        return self.command


class BrowserInput:
    """What the pages that are open say of their keys and gamepads, each in text of its own; see ``input.js``."""

    def __init__(self) -> None:
        """Nothing is held yet."""
        self._axes: dict[str, dict[str, float]] = {}
        self._counts: dict[str, dict[str, int]] = {}
        self._numbers: dict[str, int] = {}

    def receive(self, text: str) -> list[str]:
        """Take what a page says; return the actions that are new. What cannot be read changes nothing."""
        if len(text) > _LONGEST_MESSAGE:
            return []
        try:
            said = json.loads(text)
            page, held = str(said["page"]), [_KEYS[str(key)] for key in said["held"] if str(key) in _KEYS]
            axes = {axis: float(np.clip(float(said["sticks"][axis]), -1, 1)) for axis in AXES}
            number = int(said["number"])
            counts = {action: int(said["counts"][action]) for action in ACTIONS}
        except (ValueError, TypeError, LookupError, RecursionError, OverflowError):
            return []
        if not np.isfinite(list(axes.values())).all():
            return []
        if number <= self._numbers.get(page, 0):  # a later one has overtaken it
            return []
        for axis, sign in held:
            axes[axis] = float(np.clip(axes[axis] + sign, -1, 1))
        before = self._counts.get(page, dict.fromkeys(ACTIONS, 0))
        if page not in self._counts and len(self._counts) >= _MOST_PAGES:
            self.forget(next(iter(self._counts)))
        self._axes[page], self._counts[page], self._numbers[page] = axes, counts, number
        return [action for action in ACTIONS if counts[action] > before[action]]

    def forget(self, page: str) -> None:
        """Forget a page."""
        self._axes.pop(page, None)
        self._counts.pop(page, None)
        self._numbers.pop(page, None)

    def release(self) -> None:
        """Let go of everything that is held, for example because a page was closed."""
        self._axes.clear()

    def axes(self) -> dict[str, float]:
        """Return where everything that is held points, -1 to 1 by axis."""
        pages = list(self._axes.values())
        return {axis: float(np.clip(sum(page[axis] for page in pages), -1, 1)) for axis in AXES}
