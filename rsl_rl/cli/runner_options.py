# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The sections of a runner as command-line options, whatever classes they name.

``tyro`` sees dataclasses whose fields have the very types of what a task holds, and no unions for it to match. What a
task does not hold yet is put into it before: ``--runner.actor.distribution-cfg.class-name my_module:Laplace``, or
``--runner.algorithm.symmetry-cfg data_augmentation_func=my_module:mirror use_mirror_loss=true``.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import tyro

from rsl_rl.cli.key_value_options import as_words
from rsl_rl.config import takes_option
from rsl_rl.config.schema import CONFIGURABLE, RunnerConfig, Section, schema_of
from rsl_rl.utils import resolve_callable
from rsl_rl.utils.yaml_text import parse_yaml_text

_SECTIONS = ("algorithm", "actor", "critic", "student", "teacher")
_PAIR = re.compile(r"[A-Za-z_]\w*=")
_Instance = TypeVar("_Instance")


def with_exact_types(holder: _Instance) -> _Instance:
    """Return a dataclass with the same values whose fields of sections have the types of what they hold."""
    kinds: list[Any] = []
    values = {field.name: getattr(holder, field.name) for field in dataclasses.fields(holder)}  # type: ignore[arg-type]
    for name, value in values.items():
        is_section = isinstance(holder, Section) or (isinstance(holder, RunnerConfig) and name in _SECTIONS)
        if isinstance(value, (Section, RunnerConfig)):
            values[name] = value = with_exact_types(value)
        elif is_section and (name in _SECTIONS or name.endswith("_cfg") or isinstance(value, dict)):
            values[name] = value = _with_types(value)
        else:
            continue
        is_exact = dataclasses.is_dataclass(value)
        default = dataclasses.field(default_factory=dict) if value == {} else dataclasses.field(default=value)
        kinds.append((name, type(value) if is_exact else _FREE, default))
    base = type(holder)
    return dataclasses.make_dataclass(base.__name__, kinds, bases=(base,), frozen=True)(**values)


def put_into_sections(runner: RunnerConfig, arguments: list[str]) -> tuple[RunnerConfig, list[str]]:
    """Return a runner with what the arguments add to its sections, and the arguments that are left.

    Those name another class, give KEY=VALUE pairs to a section or None in its place, or name an option that the section
    does not have yet.
    """
    tree, left = runner.to_dict(), list(arguments)
    for only_classes in (True, False):
        given, left = left, []
        while given:
            argument, inline, value = given.pop(0).partition("=")
            values = [value] if inline else []
            while not inline and given and not given[0].startswith("--"):
                values.append(given.pop(0))
            prefix, *path = [part.replace("-", "_") for part in argument.split(".")]
            known = prefix == "__runner" and len(path) > 0 and path[0] in (*_SECTIONS, "obs_groups")
            if not (known and values and _put(tree, path, values, only_classes)):
                left += [argument + inline + value, *([] if inline else values)]
    return RunnerConfig.from_dict(tree), left


def _put(tree: dict[str, Any], path: list[str], values: list[str], only_classes: bool) -> bool:
    """Put values into the sections; return whether they belong there, and not to an option that ``tyro`` knows."""
    *parents, key = path
    if parents == ["obs_groups"]:
        is_new = bool(tree["obs_groups"]) and key not in tree["obs_groups"]
        tree["obs_groups"] |= {key: values} if is_new else {}
        return is_new
    section, holder, name = tree, tree, ""
    for name in parents:
        holder, section = section, section.get(name)
        if not isinstance(section, dict):
            if section is not None or only_classes:
                return False
            section = holder[name] = {}
    old = section.get(key)
    if only_classes:
        pairs = _parsed(values)
        is_named = key == "class_name" and parents
        new = values[0] if is_named else pairs.get("class_name") if isinstance(pairs, dict) else None
        target = section if is_named else old
        if new is not None and isinstance(target, dict) and new != target.get("class_name"):
            changed = _of_class(target, new)
            target.clear()
            target.update(changed)
        return bool(is_named and new is not None)
    is_section = isinstance(old, dict) or (old is None and (not parents or key.endswith("_cfg")))
    if is_section and ((new := _parsed(values)) is None or isinstance(new, dict)):
        section[key] = None if new is None else {**(old or {}), **new}
        return True
    is_ours = section.get("class_name") in CONFIGURABLE
    if not parents or is_ours or key in section:
        return False
    section[key] = _parsed(values)
    return True


def _of_class(section: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a section for another class, with the options that were set and that it has as well."""
    before = section.get("class_name")
    defaults = dataclasses.asdict(schema_of(before)()) if before in CONFIGURABLE else {}
    chosen = {key: value for key, value in section.items() if key not in defaults or value != defaults[key]}
    configured = resolve_callable(name)
    return {"class_name": name} | {k: v for k, v in chosen.items() if k != "class_name" and takes_option(configured, k)}


def _with_types(value: Any) -> Any:
    """Return a mapping as a dataclass of free options, where its keys can be names of options, else as it is."""
    if not (isinstance(value, dict) and value and all(isinstance(key, str) and key.isidentifier() for key in value)):
        return value
    values = {key: _with_types(item) for key, item in value.items()}
    kinds: list[Any] = []
    for key, item in values.items():
        kind = _FREE_LIST if isinstance(item, (list, tuple)) else _FREE
        default = dataclasses.field(default_factory=lambda item=item: item)
        kinds.append((key, type(item) if dataclasses.is_dataclass(item) else kind, default))
    return dataclasses.make_dataclass("Options", kinds, frozen=True)(**values)


def _parsed(texts: list[str]) -> Any:
    if texts and all(map(_PAIR.match, texts)):
        return {key: _parsed([value]) for key, _, value in (text.partition("=") for text in texts)}
    values = [None if text == "None" else parse_yaml_text(text) for text in texts]
    return values[0] if len(values) == 1 else values


def _parsed_list(texts: list[str]) -> Any:
    value = _parsed(texts)
    return value if value is None or isinstance(value, list) else [value]


def _free(parse: Callable[[list[str]], Any]) -> Any:
    """Return the type of an option that may be anything: ``tyro`` leaves it to ``parse``."""
    spec = tyro.constructors.PrimitiveConstructorSpec(
        nargs="*",
        metavar="VALUE [VALUE ...]|[KEY=VALUE ...]",
        instance_from_str=parse,
        is_instance=lambda value: True,
        str_from_instance=as_words,
    )
    return Annotated[Any, spec]


_FREE, _FREE_LIST = _free(_parsed), _free(_parsed_list)
