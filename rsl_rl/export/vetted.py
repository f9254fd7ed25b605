# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Policy files of strangers, looked through before the loaders of torch get them.

``torch.export.load`` unpickles what it cannot read otherwise, evaluates the sizes and guards that a file has as text,
calls any function under ``torch`` that its graph names, and loads compiled libraries. TorchScript can write files. What
is handed on here is a new archive of parts that were all looked at; anything else is refused.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from typing import Any

from rsl_rl.utils.limits import read_archive
from rsl_rl.utils.plain_archive import load_plain

# Parts of an archive beside the graph (.json) and what torch.load reads (.pt); the second half is that of torch 2.6.
_DATA = re.compile(
    r"(\.data/)?(version|serialization_id)|archive_(format|version)|byteorder|extra/.*|extra_files/.*|"
    r"data/(weights|constants)/(weight|tensor)_\d+"
)
_GRAPHS = re.compile(r"models/\w+\.json|data/(weights|constants)/\w+_config\.json|serialized_exported_program\.json")
_TENSORS = re.compile(r"data/(weights|constants|sample_inputs)/\w+\.pt|serialized_\w+\.pt")
_OPERATOR = (
    r"torch\.ops\.(aten|prims)\.(?!from_file\b|__(?!i?(and|or|xor|lshift|rshift)__))\w+\.(?!_)\w+|torch\.sym_\w+|"
    r"torch\.ops\.higher_order\.(cond|while_loop|scan|map_impl|wrap_with_set_grad_enabled|wrap_with_autocast)|"
    r"_operator\.(add|sub|mul|floordiv|truediv|mod|neg|pos|eq|ne|lt|le|gt|ge|getitem|and_|or_|not_)|"
    r"math\.(ceil|floor|trunc|sqrt)|"
)
_SYMBOLS = r"Symbol|Integer|Mul|Add|Max|Min|Mod|PythonMod|FloorDiv|CleanDiv|CeilDiv|positive|nonnegative|integer|True"
_NUMBER, _SIGNS = r"\b\d{1,18}\b", r"[()=, +-]|(?<!\*)\*(?!\*)"
_SIZE = rf"(\b({_SYMBOLS}|[su]\d+)\b|'[su]\d+'|{_NUMBER}|{_SIGNS}){{0,1000}}"
_GUARD = rf"(L\['\w+'\]|\[\d+\]|\.size\(\)|{_NUMBER}|{_SIGNS}|[<>!]|\band\b|\bor\b){{0,1000}}"
_TREE = (
    r'([\[\]{}:, \d]|null|"(type|context|children_spec)"|"builtins\.(tuple|list|dict)"|'
    r'"(null|\[(\\"\w+\\"[, ]*)*\])"){0,10000}'
)
# What the text under a key may look like: much of it becomes Python code, and is executed.
_FORMS = {"expr_str": _SIZE, "guards_code": _GUARD, "in_spec": _TREE, "out_spec": _TREE}
_FORMS |= {"target": _OPERATOR, "as_operator": _OPERATOR, "as_string": ".*", "as_strings": ".*"}
_PLAIN = r"[\w.+-]*"


def vetted_pt2(content: bytes) -> io.BytesIO:
    """Return a ``torch.export`` archive with nothing in it that would be executed; ValueError names what is refused."""
    parts = read_archive(content)
    root = "" if "serialized_exported_program.json" in parts else f"{next(iter(parts), '').partition('/')[0]}/"
    kept = {}
    for name, part in parts.items():
        inner = name.removeprefix(root)
        if _GRAPHS.fullmatch(inner):
            part = json.dumps(_graph(json.loads(part), "", name)).encode()
        elif _TENSORS.fullmatch(inner):
            _check_tensors(part, name)
        elif not _DATA.fullmatch(inner):
            raise ValueError(f"'{name}' is refused: a policy needs nothing of that kind")
        kept[name] = part
    return _archive(kept)


def vetted_torchscript(content: bytes) -> io.BytesIO:
    """Return a TorchScript archive whose code touches no files; ValueError names what is refused."""
    parts = read_archive(content)
    for name, part in parts.items():
        if b"torch.classes" in part and name.endswith((".pkl", ".py")):
            raise ValueError(f"'{name}' is refused: it holds an object of C++")
        if name.endswith(".py"):
            _check_script(part.decode(), name)
    if not any(name.endswith(".py") for name in parts):
        raise ValueError("it holds no TorchScript")
    return _archive(parts)


def _check_script(code: str, name: str) -> None:
    # An operator is written torch.NAME or ops.NAMESPACE.NAME; as a value these two could hide it.
    hidden = re.search(r"(?<![\w.])(torch|ops)\b(?!\.\w)", code)
    foreign = re.search(r"(?<![\w.])ops\.(?!(aten|prim|prims|quantized)\.)\w+", code)
    files = re.search(r"(?<![\w.])(torch|ops\.\w+)\.(save|from_file|load_tensor|rpc_\w+)\b", code)
    if found := hidden or foreign or files:
        line = code.count("\n", 0, found.start()) + 1
        raise ValueError(f"'{name}', line {line}, is refused: '{found[0]}' reaches beyond the policy")


def _graph(value: Any, key: str, file: str, depth: int = 0) -> Any:
    """Return part of a graph without its notes for people; ValueError for text that is not of the form of its key."""
    if depth > 100:
        raise ValueError(f"'{file}' is refused: it is nested too deeply")
    if isinstance(value, dict):
        for name in value:
            _check_text(name, "", file)
        if value.get("use_pickle") or value.get("as_custom_obj"):
            raise ValueError(f"'{file}' is refused: it names a part that would be unpickled")
        return {name: {} if name == "metadata" else _graph(item, name, file, depth + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_graph(item, key, file, depth + 1) for item in value]
    if isinstance(value, str):
        _check_text(value, key, file)
    return value


def _check_text(text: str, key: str, file: str) -> None:
    if not re.fullmatch(_FORMS.get(key, _PLAIN), text, re.DOTALL):
        raise ValueError(f"'{file}' is refused: '{text[:80]}' ({key or 'a name'}) would be executed as code")


def _check_tensors(part: bytes, name: str) -> None:
    if not part:
        return
    try:
        load_plain(part, "cpu")
    except Exception as error:  # a damaged pickle fails anywhere
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"'{name}' is refused: it holds something other than tensors and plain data ({reason})"
        ) from error


def _archive(parts: dict[str, bytes]) -> io.BytesIO:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    written.seek(0)
    return written
