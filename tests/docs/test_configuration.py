# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""docs/configuration.md lists every key as the code has it."""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
import re
from typing import Any

import pytest

from rsl_rl.cli.train import TrainArguments
from rsl_rl.config.schema import CONFIGURABLE, PROVIDED, RunnerConfig, schema_of
from rsl_rl.config.task import TaskConfig
from rsl_rl.extensions import RandomNetworkDistillation, Symmetry
from rsl_rl.modules import CNN
from rsl_rl.telemetry import MlflowLogWriter, NeptuneLogWriter, WandbLogWriter
from tests.docs.blocks import ROOT

_SPEC = importlib.util.spec_from_file_location("configuration_reference", ROOT / "scripts/configuration_reference.py")
assert _SPEC is not None
assert _SPEC.loader is not None
reference: Any = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(reference)

PAGE = (ROOT / "docs" / "configuration.md").read_text()
ROWS = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.+) \|$", PAGE, flags=re.MULTILINE)
DATACLASSES = [*map(schema_of, CONFIGURABLE), RunnerConfig, TaskConfig, TrainArguments]
CONSTRUCTORS = [
    *(CNN, RandomNetworkDistillation, Symmetry),
    *(WandbLogWriter, NeptuneLogWriter, MlflowLogWriter),
]


def test_the_tables_are_those_of_the_code() -> None:
    assert reference.filled(PAGE) == PAGE, "write them anew with: python scripts/configuration_reference.py"


@pytest.mark.parametrize("section", DATACLASSES, ids=lambda section: section.__name__)
def test_every_field_appears_with_its_default(section: type) -> None:
    for field in dataclasses.fields(section):  # type: ignore[arg-type]
        if field.name == "others":  # Not a key, but what is left over.
            continue
        defaults = {default for name, _, default, _ in ROWS if name == field.name}
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            assert "required" in defaults, field.name
        elif isinstance(field.default, bool):
            assert f"`{str(field.default).lower()}`" in defaults, field.name
        elif isinstance(field.default, (int, float)):
            assert f"`{field.default!r}`" in defaults, field.name
        elif isinstance(field.default, str):
            assert f'`"{field.default}"`' in defaults or f"### {field.default}\n" in PAGE, field.name
        elif field.default is None:
            assert "`null`" in defaults, field.name
        else:
            assert defaults, field.name


@pytest.mark.parametrize("configured", CONSTRUCTORS, ids=lambda configured: configured.__name__)
def test_every_option_of_a_constructor_appears(configured: type) -> None:
    names = {name for name, *_ in ROWS}
    for name in list(inspect.signature(configured.__init__).parameters)[1:]:
        assert name in names | PROVIDED | {"log_dir"}, name


def test_every_key_has_a_type_and_a_meaning() -> None:
    assert len(ROWS) > 100
    for name, kind, _, meaning in ROWS:
        assert kind.strip(), name
        assert len(meaning.split()) > 1, name


def test_a_key_without_a_description_fails() -> None:
    with pytest.raises(ValueError, match="Undescribed.width has no description"):
        list(reference.keys(Undescribed))


def test_choices_are_listed() -> None:
    rows = {name: kind for name, kind, _, _ in ROWS}
    assert rows["schedule"] == "`adaptive` or `fixed`"
    assert rows["obs_groups"] == "mapping to list of text"
    assert rows["std_range"] == "2 x number"
    assert rows["desired_kl"] == "number (finite and at least 0) or null"
    assert rows["gamma"] == "number (from 0 to 1)"


def test_environment_variables_are_listed() -> None:
    named = {
        name for path in (ROOT / "rsl_rl").rglob("*.py") for name in re.findall(r"\bRSL_RL_[A-Z_]+", path.read_text())
    }
    assert named
    for name in named:
        assert f"`{name}`" in PAGE, name


def test_a_table_that_has_drifted_is_written_anew() -> None:
    assert "`0.2`" in PAGE
    assert reference.filled(PAGE.replace("`0.2`", "`0.3`")) == reference.filled(PAGE)


@dataclasses.dataclass(frozen=True)
class Undescribed:
    """A section whose only key says nothing about itself."""

    width: int = 1
