# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""A configuration as YAML text for people: blocks for mappings, one line for lists. Needs no YAML package."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

# A text that YAML reads as itself without quotes.
_PLAIN = re.compile(r"[A-Za-z_][\w./-]*(:[A-Za-z_][\w./-]*)?")
_WORDS = {"true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf"}


def as_yaml(section: Mapping[str, Any], indent: int = 0) -> str:
    """Return a mapping of plain data as YAML text; callables are written as ``package.module:name``."""
    lines: list[str] = []
    margin = "  " * indent
    for key, value in section.items():
        name = _scalar(str(key))
        if isinstance(value, Mapping) and value:
            lines += [f"{margin}{name}:", as_yaml(value, indent + 1).rstrip("\n")]
        elif isinstance(value, (list, tuple)) and any(isinstance(item, Mapping) for item in value):
            lines.append(f"{margin}{name}:")
            lines += [f"{margin}  - {_inline(item)}" for item in value]
        else:
            lines.append(f"{margin}{name}: {_inline(value)}")
    return "\n".join(lines) + "\n" if lines else "{}\n"


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(str(key))}: {_inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if not math.isfinite(value):
            return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
        # YAML 1.1 takes 1e-05 for text, 1.0e-05 for a number.
        mantissa, exponent, power = repr(value).partition("e")
        return f"{mantissa}.0e{power}" if exponent and "." not in mantissa else repr(value)
    if isinstance(value, int):
        return str(value)
    if callable(value):
        value = f"{getattr(value, '__module__', '')}:{getattr(value, '__qualname__', value)}"
    text = value if isinstance(value, str) else str(value)
    return (
        text
        if _PLAIN.fullmatch(text) and text.lower() not in _WORDS
        else json.dumps(text, ensure_ascii=not text.isprintable())
    )
