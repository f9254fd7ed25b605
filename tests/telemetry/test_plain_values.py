# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Configurations as plain data."""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch

from rsl_rl.telemetry.plain_values import flat, plain


class Color(enum.Enum):
    RED = 1


@dataclass
class Nested:
    scale: float = 0.5
    activation: Any = torch.tanh


@dataclass
class Settings:
    nested: Nested = field(default_factory=Nested)
    ranges: tuple[float, float] = (-1.0, 1.0)


class LeggedRobotCfg:
    class env:
        num_envs = 4096

    class rewards:
        only_positive = True

        class scales:
            torques = -1e-5


class TrotCfg(LeggedRobotCfg):
    class env(LeggedRobotCfg.env):
        num_observations = 48

    def method(self) -> None: ...


class Failing:
    def __repr__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": (1, 2.5, None), 3: True}, {"a": [1, 2.5, None], "3": True}),
        ({"high": math.inf, "gap": math.nan}, {"high": "inf", "gap": "nan"}),
        (Settings(), {"nested": {"scale": 0.5, "activation": "None:tanh"}, "ranges": [-1.0, 1.0]}),
        (
            TrotCfg(),
            {
                "env": {"num_envs": 4096, "num_observations": 48},
                "rewards": {"only_positive": True, "scales": {"torques": -1e-5}},
            },
        ),
        (torch.nn.Linear, "torch.nn.modules.linear:Linear"),
        (Color.RED, "Color.RED"),
        (torch.tensor([1.0, 2.0]), [1.0, 2.0]),
        (torch.zeros(100, 3), "Tensor of shape (100, 3)"),
        ({"a": np.float64(0.5), "b": np.int32(3), "c": np.arange(2)}, {"a": 0.5, "b": 3, "c": [0, 1]}),
        ({2, 1}, [1, 2]),
        (Failing(), "<Failing>"),
        (slice(None), "slice(None, None, None)"),
    ],
)
def test_whatever_a_configuration_holds_becomes_plain_data(value: Any, expected: Any) -> None:
    if isinstance(expected, Mapping) and "nested" in expected:
        expected["nested"]["activation"] = f"{torch.tanh.__module__}:{torch.tanh.__qualname__}"
    assert plain(value) == expected
    json.dumps(plain(value), allow_nan=False)


def test_what_refers_back_to_itself_ends() -> None:
    loop: dict[str, Any] = {"name": "loop"}
    loop["self"] = loop
    found = plain(loop)
    assert found["name"] == "loop"
    assert isinstance(found["self"], str)


def test_leaves_are_named_by_their_path() -> None:
    assert flat({"algorithm": {"gamma": 0.99, "dims": [1, 2]}, "empty": {}, "none": None}, "cfg") == {
        "cfg/algorithm/gamma": 0.99,
        "cfg/algorithm/dims": "[1, 2]",
        "cfg/empty": "{}",
        "cfg/none": "None",
    }
