# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Options whose keys nobody knows beforehand: ``--env-options num_threads=2 max_episode_steps=500``."""

from __future__ import annotations

from typing import Any

import tyro

from rsl_rl.utils.yaml_text import parse_yaml_text


def key_value_options() -> tyro.constructors.ConstructorRegistry:
    """Return the rule by which ``tyro`` reads free dictionaries: as ``KEY=VALUE`` pairs with values as in YAML."""
    pairs = tyro.constructors.PrimitiveConstructorSpec(
        nargs="*",
        metavar="[KEY=VALUE [KEY=VALUE ...]]",
        instance_from_str=_parse,
        is_instance=lambda value: isinstance(value, dict),
        str_from_instance=as_words,
    )
    registry = tyro.constructors.ConstructorRegistry()
    registry.primitive_rule(lambda info: pairs if info.type in (dict[str, Any], dict[str, float]) else None)
    return registry


def as_words(value: Any) -> list[str]:
    """Return a value as the words of a command line that stand for it."""
    if isinstance(value, dict):
        return [f"{key}={item}" for key, item in value.items()]
    return [str(item) for item in value] if isinstance(value, (list, tuple)) and value else [str(value)]


def _parse(pairs: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for pair in pairs:
        key, separator, text = pair.partition("=")
        if not separator or not key:
            raise ValueError(f"'{pair}' must have the form KEY=VALUE")
        values[key] = parse_yaml_text(text)
    return values
