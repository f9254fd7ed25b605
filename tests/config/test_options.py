# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Configuration checks."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsl_rl.config import RunnerConfig, check_options, resolve_runner_config
from rsl_rl.models import MLPModel
from rsl_rl.utils.option_types import describe, has_type
from tests.envs import point_config


@pytest.mark.parametrize(
    ("value", "expected", "fits"),
    [
        (1, int, True),
        (True, int, False),
        (1, float, True),
        ("1", float, False),
        (1, bool, False),
        ([1, 2], tuple[int, ...], True),
        ([1, "a"], tuple[int, ...], False),
        ((0.1, 1), tuple[float, float], True),
        ([0.1], tuple[float, float], False),
        (None, float | None, True),
        ("b", Literal["a", "b"], True),
        ({"a": ["x"]}, dict[str, list[str]], True),
        ({"a": "x"}, dict[str, list[str]], False),
        (object(), Any, True),
    ],
)
def test_types(value: Any, expected: Any, fits: bool) -> None:
    assert has_type(value, expected) is fits
    assert describe(expected)


def test_options_of_a_subclass_include_those_of_its_base() -> None:
    class Mine(MLPModel):
        def __init__(self, *args, temperature=1.0, **kwargs):
            super().__init__(*args, **kwargs)

    check_options(Mine, {"temperature": 2.0, "hidden_dims": [1]}, "actor")
    with pytest.raises(ValueError, match=r"Mine has no option 'hiden_dims' \(in 'actor'\). Did you mean 'hidden_dims'"):
        check_options(Mine, {"hiden_dims": [1]}, "actor")
    with pytest.raises(TypeError, match="'actor.hidden_dims' must be a list of int, got str: '64'"):
        check_options(Mine, {"hidden_dims": "64"}, "actor")


def test_runner_configuration_is_copied_and_unknown_keys_are_kept() -> None:
    config = point_config() | {"experiment_name": "x", "seed": 3}
    before = copy.deepcopy(config)
    resolved = resolve_runner_config(config)
    resolved["actor"]["hidden_dims"].append(1)
    resolved["multi_gpu"] = None
    assert config == before
    assert (resolved["experiment_name"], resolved["seed"]) == ("x", 3)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"num_steps_per_env": None}, TypeError, "'num_steps_per_env' must be int, got NoneType"),
        ({"num_steps_per_env": 0}, ValueError, "must be at least 1, got 0"),
        ({"save_interval": "50"}, TypeError, "'save_interval' must be int or float, got str: '50'"),
        ({"obs_groups": {"actor": "policy"}}, TypeError, "must be a mapping of str to a list of str"),
        ({"torch_compile_mode": "reduce-overhead"}, ValueError, "captures CUDA graphs"),
        ({"algorithm": "PPO"}, TypeError, "'algorithm' must be a mapping"),
    ],
)
def test_wrong_runner_values_are_named(changes: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        resolve_runner_config(point_config() | changes)


@pytest.mark.parametrize("key", ["num_steps_per_env", "obs_groups", "save_interval"])
def test_missing_required_key_is_named_with_what_is_there_instead(key: str) -> None:
    config = point_config()
    config[key + "s"] = config.pop(key)
    with pytest.raises(ValueError, match=f"lacks the required key '{key}'. There is '{key}s'"):
        resolve_runner_config(config)


def test_a_near_miss_of_an_optional_key_is_mentioned() -> None:
    with pytest.warns(UserWarning, match="does not use the configuration key 'check_for_nans'. Did you mean"):
        resolve_runner_config(point_config() | {"check_for_nans": True})


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from([field.name for field in dataclasses.fields(RunnerConfig)]) | st.text(max_size=5)


@pytest.mark.filterwarnings("ignore:The runner does not use", "ignore:The configuration is in the layout")
@given(changes=st.dictionaries(keys, values, max_size=4))
def test_any_mapping_resolves_or_is_refused_as_a_users_error(changes: dict) -> None:
    with contextlib.suppress(ValueError, TypeError):
        resolve_runner_config(point_config() | changes)
