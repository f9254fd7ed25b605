# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Writes the tables of docs/configuration.md from the code: python scripts/configuration_reference.py.

In that page ``<!-- keys of package.module.Class -->`` and ``<!-- end -->`` enclose a table. Of a dataclass it lists the
fields, of any other class the arguments of its constructor, but for those named after ``without``, or those of a class
that is named there.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import docstring_parser

from rsl_rl.utils import resolve_callable

PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"
_TABLE = re.compile(r"(<!-- keys of ([\w.]+)((?: without [\w. ,]+)?) -->\n).*?(<!-- end -->)", flags=re.DOTALL)
_CLASS_NAME = "The class that is configured: this one, another of the library, or yours as `package.module:Class`."
_WORDS: dict[Any, str] = {int: "integer", float: "number", str: "text", bool: "true or false", type(None): "null"}
_WORDS |= {Any: "anything", Path: "path", Callable: "function"}
_NO_DEFAULT = inspect.Parameter.empty


class Key(typing.NamedTuple):
    """A key of a section."""

    name: str
    type: str
    default: str
    meaning: str


def filled(page: str) -> str:
    """Return the page with its tables as the code has them now."""
    return _TABLE.sub(lambda match: f"{match[1]}{table(match[2], match[3])}{match[4]}", page)


def table(path: str, without: str = "") -> str:
    """Return the Markdown table of a class's keys.

    Raises:
        ValueError: A key has no description.
    """
    skipped = set(re.split(r"[ ,]+", without.strip().removeprefix("without ")))
    for base in [name for name in skipped if "." in name]:
        skipped |= {field.name for field in dataclasses.fields(typing.cast(Any, resolve_callable(base)))}
    rows = [key for key in keys(resolve_callable(path)) if key.name not in skipped]
    lines = ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    lines += [f"| `{key.name}` | {key.type} | {key.default} | {key.meaning} |" for key in rows]
    return "\n".join(["", *lines, "", ""])


def keys(configured: Any) -> Iterator[Key]:
    """Yield the fields of a dataclass, or the arguments of a constructor, with what is said about them."""
    if isinstance(configured, type) and dataclasses.is_dataclass(configured):
        described = {}
        for base in reversed(configured.__mro__[:-1]):
            described |= _descriptions(docstring_parser.parse_from_object(base))
        hints = typing.get_type_hints(configured, include_extras=True)
        defaults = {field.name: _default_of(field) for field in dataclasses.fields(configured)}
    else:
        constructor: Callable[..., None] = configured.__init__
        described = _descriptions(docstring_parser.parse(constructor.__doc__ or ""))
        hints = typing.get_type_hints(constructor, include_extras=True)
        parameters = list(inspect.signature(constructor).parameters.values())[1:]
        defaults = {parameter.name: parameter.default for parameter in parameters}
    for name, default in defaults.items():
        meaning = described.get(name) or (_CLASS_NAME if name == "class_name" else "")
        if not meaning:
            raise ValueError(f"{configured.__name__}.{name} has no description: say below the field what it does.")
        yield Key(name, words(hints[name]), "required" if default is _NO_DEFAULT else shown(default), _prose(meaning))


def words(hint: Any) -> str:
    """Return a type in the words of somebody who writes YAML."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return f"{words(arguments[0])} ({arguments[1]})"
    if origin in (Union, types.UnionType):
        options = [option for option in arguments if not (option is int and float in arguments)]
        return " or ".join(dict.fromkeys(words(option) for option in options))
    if origin is Literal:
        return " or ".join(f"`{option}`" for option in arguments)
    if origin is dict:
        return "mapping" if arguments[1] is Any else f"mapping to {words(arguments[1])}"
    if origin is tuple and arguments[-1] is not Ellipsis:
        return f"{len(arguments)} x {words(arguments[0])}"
    if origin is not None:
        return f"list of {words(arguments[0])}"
    return "mapping" if dataclasses.is_dataclass(hint) else _WORDS.get(hint, f"`{getattr(hint, '__name__', hint)}`")


def shown(value: Any) -> str:
    """Return a default as YAML has it."""
    if dataclasses.is_dataclass(value):
        return f"`{value.class_name}`"  # type: ignore[attr-defined]
    return f"`{_yaml(value)}`"


def _yaml(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_yaml, value))}]"
    return repr(value).replace("'", '"')


def _default_of(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return _NO_DEFAULT if field.default is dataclasses.MISSING else field.default


def _descriptions(docstring: docstring_parser.Docstring) -> dict[str, str]:
    return {argument.arg_name: argument.description or "" for argument in docstring.params}


def _prose(text: str) -> str:
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", " ".join(text.split()))
    return text.replace("``", "`").replace("|", "\\|")


if __name__ == "__main__":
    before = PAGE.read_text(encoding="utf-8")
    after = filled(before)
    PAGE.write_text(after, encoding="utf-8")
    print(f"{PAGE}: {'as it was' if after == before else 'written anew'}", file=sys.stderr)
