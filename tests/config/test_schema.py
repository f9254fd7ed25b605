# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Sections derived from constructors."""

from __future__ import annotations

import dataclasses
import pickle
import subprocess
import sys
import typing
from typing import Any, Literal

import pytest

from rsl_rl import config
from rsl_rl.config import GaussianDistributionConfig, MLPModelConfig, PPOConfig
from rsl_rl.config.schema import CONFIGURABLE, Section, schema_of
from rsl_rl.models import MLPModel, RNNModel
from rsl_rl.modules import BetaDistribution


def fields_of(section: Any) -> list[tuple[str, Any, Any]]:
    types = typing.get_type_hints(section)
    return [(field.name, types[field.name], field.default) for field in dataclasses.fields(section)]


def test_a_section_has_the_options_of_the_constructor_with_their_types_and_defaults() -> None:
    assert fields_of(GaussianDistributionConfig) == [
        ("class_name", str, "GaussianDistribution"),
        ("init_std", float, 1.0),
        ("std_range", tuple[float, float], (1e-6, 1e6)),
        ("std_type", Literal["scalar", "log"], "scalar"),
        ("learn_std", bool, True),
    ]


def test_the_meanings_stand_below_the_summary_of_the_class() -> None:
    assert schema_of(BetaDistribution).__doc__ == (
        "Beta distribution over a bounded range, with alpha and beta of at least 1, so that it has one peak.\n\n"
        "Args:\n"
        "    output_dim: Number of output dimensions A.\n"
        "    action_range: Lowest and highest action.\n\n"
        "Raises:\n"
        "    ValueError: The range is empty."
    )


def test_types_are_those_of_a_file() -> None:
    types = {name: annotation for name, annotation, _ in fields_of(schema_of("CNNModel"))}
    assert types["hidden_dims"] == tuple[int, ...]
    assert types["distribution_cfg"] == dict[str, Any] | None | Section
    assert types["cnns"] is Any


def test_the_section_of_a_subclass_is_one_of_its_base() -> None:
    assert issubclass(schema_of(RNNModel), MLPModelConfig)
    assert schema_of(MLPModel) is schema_of("MLPModel") is MLPModelConfig
    assert [name for name, *_ in fields_of(schema_of(RNNModel))] == [
        *("class_name", "hidden_dims", "activation", "obs_normalization", "distribution_cfg"),
        *("rnn_type", "rnn_hidden_dim", "rnn_num_layers"),
    ]


def test_a_section_is_never_changed_and_travels_between_processes() -> None:
    section = PPOConfig(gamma=0.9)
    with pytest.raises(dataclasses.FrozenInstanceError):
        section.gamma = 0.8
    assert pickle.loads(pickle.dumps(section)) == section


@pytest.mark.parametrize("name", CONFIGURABLE)
def test_every_section_is_a_name_of_the_package(name: str) -> None:
    assert getattr(config, f"{name}Config") is schema_of(name)


def test_other_names_are_no_sections() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'PPO'"):
        config.PPO  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'LSTMModelConfig'"):
        from rsl_rl.config import LSTMModelConfig  # noqa: F401


def test_importing_the_configuration_imports_no_class_that_it_configures() -> None:
    code = "import sys, rsl_rl.config.task; print([name for name in sys.modules if name.startswith('rsl_rl.')])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "rsl_rl.config.schema" in loaded
    assert not any(f"rsl_rl.{package}" in loaded for package in ("algorithms", "models", "modules"))
