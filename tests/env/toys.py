# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Small Gymnasium environments with everything an adapter meets: both ways to end, dicts, images, wide types."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode


class Drift(gymnasium.Env):
    """A random walk pushed by the action; terminates beyond 2, truncated by a TimeLimit wrapper."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012

    def __init__(self, form: str = "box", render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self._form = form
        box = spaces.Box(-np.inf, np.inf, (3,), np.float64)
        image = spaces.Box(0, 255, (6, 5, 3), np.uint8)
        self.observation_space = {
            "box": box,
            "dict": spaces.Dict({"state": box, "image": image, "time": spaces.Box(0, 100, (), np.float32)}),
            "discrete": spaces.Discrete(3),
        }[form]
        self.action_space = spaces.Box(-0.5, 0.5, (2,), np.float32)
        self._state, self._steps = np.zeros(3), 0

    def _observation(self) -> Any:
        if self._form == "box":
            return self._state.copy()
        if self._form == "discrete":
            return 0
        image = np.zeros((6, 5, 3), np.uint8)
        image[0, 1, 2] = self._steps
        return {"state": self._state.copy(), "image": image, "time": np.array(self._steps, np.float32)}

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        self._state, self._steps = self.np_random.normal(size=3), 0
        return self._observation(), {"height": 100.0}

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict]:
        assert self.action_space.contains(action), action
        self._steps += 1
        self._state[:2] += action
        self._state += 0.3 * self.np_random.normal(size=3)
        terminated = bool(np.abs(self._state).max() > 2.0)
        info = {"height": float(self._state[2])}
        if self._steps % 2:
            info["odd"] = 1.0
        return self._observation(), float(self._state[0]), terminated, False, info

    def render(self) -> np.ndarray:
        return np.zeros((8, 8, 3), np.uint8)


class Buttons(Drift):
    """The same with buttons for actions."""

    def __init__(self) -> None:
        super().__init__()
        self.action_space = spaces.Discrete(2)


class AllOrNothing(gymnasium.vector.VectorEnv):
    """Two counters that end after their own number of steps, and a reset that knows no mask."""

    def __init__(self, mode: AutoresetMode, lengths: tuple[int, int] = (2, 3)) -> None:
        self.num_envs = 2
        self.metadata = {"autoreset_mode": mode}
        self.single_observation_space = spaces.Box(0, 100, (1,), np.float32)
        self.single_action_space = spaces.Box(-1, 1, (1,), np.float32)
        self._lengths, self._steps = np.array(lengths), np.zeros(2, np.int64)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[Any, dict]:
        self._steps[:] = 0
        return self._steps[:, None].astype(np.float32), {}

    def step(self, actions: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict]:
        self._steps += 1
        ended = self._steps >= self._lengths
        if self.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP:
            self._steps[ended] = 0
        observations = self._steps[:, None].astype(np.float32)
        return observations, np.ones(2), np.zeros(2, bool), ended, {}


def register() -> None:
    """Make the environments known under their names; harmless when repeated."""
    for name, kwargs in (("Drift-v0", {}), ("DriftDict-v0", {"form": "dict"})):
        if name not in gymnasium.registry:
            gymnasium.register(name, entry_point=Drift, max_episode_steps=7, kwargs=kwargs)
    if "Buttons-v0" not in gymnasium.registry:
        gymnasium.register("Buttons-v0", entry_point=Buttons)
