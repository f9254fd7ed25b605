# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Configurations as YAML text, written for people and read without executing anything."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from rsl_rl.utils.limits import DEEPEST_NESTING, LONGEST_NUMBER, LONGEST_YAML, MIB, MOST_VALUES, read_bytes_limited
from rsl_rl.utils.option_values import EXPONENTIAL, as_scalar
from rsl_rl.utils.recognition import why_not_text

_LIST = "tag:yaml.org,2002:seq"
# YAML 1.1 takes 1e-3 for text; here it is a number, so that text of this form needs quotes.
_FLOAT = ("tag:yaml.org,2002:float", EXPONENTIAL, list("-+.0123456789"))


def as_yaml(section: Mapping[str, Any], strict: bool = False) -> str:
    """Return a mapping as YAML text: blocks for mappings, one line for lists, ``package.module:name`` for callables.

    What YAML cannot hold (an array, for example) is written as its ``str()``, or raises yaml.YAMLError if ``strict``.
    """
    import yaml

    class Dumper(yaml.SafeDumper):
        """Lays lists out in one line."""

    Dumper.add_implicit_resolver(*_FLOAT)
    if not strict:
        Dumper.add_multi_representer(object, lambda dumper, value: dumper.represent_str(str(value)))
    Dumper.add_representer(list, lambda dumper, items: dumper.represent_sequence(_LIST, items, flow_style=True))
    return yaml.dump(_plain(section), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=float("inf"))


def read_yaml(path: str | os.PathLike[str]) -> Any:
    """Return what a YAML file stands for, see :func:`parse_yaml_text`; an error names the file and the cause."""
    return yaml_file(path)[1]


def yaml_file(path: str | os.PathLike[str]) -> tuple[str, Any]:
    """Return the text of a YAML file as well, otherwise as :func:`read_yaml`.

    A mark of the byte order at its beginning, as editors of Windows write it, is passed over.
    """
    if os.path.lexists(path) and (reason := why_not_text(path)):
        raise ValueError(f"'{path}' is not a readable YAML file: {reason}.")
    content = b""
    try:
        content = read_bytes_limited(path, LONGEST_YAML)
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
        return text, parse_yaml_text(text)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        reason = f"it is not encoded as UTF-8, line {line} has the byte 0x{content[error.start]:02x}"
        raise ValueError(f"'{path}' is not a readable YAML file: {reason}.") from error
    except ValueError as error:
        raise ValueError(f"'{path}' is not a readable YAML file: {error}") from error


def parse_yaml_text(text: str) -> Any:
    """Return what a YAML text stands for. Nothing in it is executed.

    Of the tags with which Python programs write their own objects, tuples are read as lists and names of functions and
    classes as text.

    Raises:
        ValueError: It is not YAML, holds a key twice, or an object that only code could make; names the line.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        """Knows the tags of Python programs, and takes no key twice."""

        def compose_mapping_node(self, anchor: Any) -> Any:
            node = super().compose_mapping_node(anchor)
            _refuse_repeated_keys(node)
            return node

    Loader.add_implicit_resolver(*_FLOAT)
    Loader.add_constructor("tag:yaml.org,2002:python/tuple", Loader.construct_sequence)
    Loader.add_multi_constructor("tag:yaml.org,2002:python/name:", lambda loader, suffix, node: suffix)
    Loader.add_multi_constructor("tag:yaml.org,2002:python/", _refuse_python_object)
    if len(text) > LONGEST_YAML:
        raise ValueError(f"it is longer than {LONGEST_YAML // MIB} MiB")
    try:
        loader = Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _check_bounds(node, (), {})
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (AttributeError, IndexError, KeyError, OverflowError) as error:  # "!!bool maybe"
        raise ValueError(f"a value does not fit its tag: {error!r}") from error


def _plain(value: Any) -> Any:
    """Return what stands for dicts, lists, texts, numbers and booleans as these, and everything else as it is."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if callable(value):
        return f"{getattr(value, '__module__', '')}:{getattr(value, '__qualname__', value)}"
    return as_scalar(value)


def _check_bounds(node: Any, parents: tuple[Any, ...], counted: dict[int, int]) -> int:
    """Return how many values a part stands for with its aliases written out; ValueError where that has no bounds."""
    line = f"line {node.start_mark.line + 1}: "
    if any(node is parent for parent in parents):
        raise ValueError(f"{line}an alias (*) stands for something that holds it itself")
    if len(parents) > DEEPEST_NESTING:
        raise ValueError(f"{line}it is nested too deeply, beyond {DEEPEST_NESTING} levels")
    if id(node) in counted:
        return counted[id(node)]
    if isinstance(node.value, str):
        if node.tag.endswith((":int", ":float")) and len(node.value) > LONGEST_NUMBER:
            raise ValueError(f"{line}a number has more than {LONGEST_NUMBER} characters")
        return 1
    # Those of a mapping are pairs of key and value.
    inner = (part for item in node.value for part in (item if isinstance(item, tuple) else (item,)))
    count = 1 + sum(_check_bounds(part, (*parents, node), counted) for part in inner)
    if count > MOST_VALUES:
        raise ValueError(f"{line}with its aliases (*) written out it would hold more than {MOST_VALUES:,} values")
    counted[id(node)] = count
    return count


def _refuse_repeated_keys(node: Any) -> None:
    first: dict[tuple[str, str], int] = {}
    for key, _ in node.value:
        if key.id == "scalar":
            line = key.start_mark.line + 1
            if (name := (key.tag, key.value)) in first:
                raise ValueError(
                    f"line {line} holds the key '{key.value}' again, which is in line {first[name]} already"
                )
            first[name] = line


def _refuse_python_object(loader: Any, suffix: str, node: Any) -> Any:
    raise ValueError(
        f"line {node.start_mark.line + 1} holds a Python object (!!python/{suffix}), and reading that would execute "
        "code from the file. Replace it by plain numbers, text, lists and mappings."
    )
