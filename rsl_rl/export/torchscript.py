# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""TorchScript files."""

from __future__ import annotations

import functools
import io
import itertools
import os
import re
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.jit import _recursive

from rsl_rl.export.metadata import KEY, PolicyMetadata, describe_policy
from rsl_rl.export.policy import Program, check_file
from rsl_rl.export.verification import BATCH_SIZES, ExportReport, write_checked
from rsl_rl.export.vetted import vetted_torchscript

# New torch deprecates TorchScript; controllers in the field still load nothing else.
_DEPRECATION = r".*torch\.jit\."
_NUMBER = re.compile(rb"(?<=___torch_mangle_)\d+")


class ScriptProgram(Program):
    """A TorchScript file, which keeps its hidden state inside."""

    def __init__(self, script: Any, metadata: PolicyMetadata | None) -> None:
        """Wrap a loaded script; one that says nothing about itself takes vectors only."""
        super().__init__(self._act)
        self._script, self._metadata = script, metadata

    def _act(self, inputs: list[torch.Tensor]) -> Sequence[torch.Tensor]:
        if self._metadata is None or not self._metadata.images:
            return (self._script(inputs[0]),)
        vectors = inputs.pop(0) if self._metadata.obs_groups else torch.zeros(len(inputs[0]), 0)
        kinds = [str(argument.type) for argument in self._script.forward.schema.arguments[1:]]
        if len(kinds) == 2 and kinds[1] == "List[Tensor]":
            return (self._script(vectors, inputs),)
        # A module of the user's that takes every group as an argument of its own.
        return (self._script(*([vectors] if len(kinds) > len(inputs) else []), *inputs),)

    def reset(self, dones: torch.Tensor | None = None) -> None:  # noqa: D102
        if dones is None:
            self._script.reset()
            return
        for name, state in self._script.named_buffers():
            if name.removeprefix("core.") in ("h", "c"):  # Files of builds 1 to 6 keep them in "core".
                state[:, dones.cpu() != 0] = 0.0


def export_torchscript(
    model: Any, path: str | os.PathLike[str], deployment: Mapping[str, Any] | None = None
) -> ExportReport:
    """Write a policy, the model's ``as_jit()``, as TorchScript, load it back and compare it with the model.

    Arguments and errors are those of :func:`export_onnx`; nothing has to be installed.
    """
    return write_checked(model, path, "torchscript", functools.partial(_write, deployment), _read)


def load_torchscript(path: str | os.PathLike[str]) -> tuple[ScriptProgram, PolicyMetadata | None]:
    """Return a policy and what its file says about it, otherwise as :func:`load_onnx`.

    A file whose code would read or write other files is refused.
    """
    check_file(path, "a TorchScript policy", "it is an exported policy (TorchScript)")
    return _read(path, vetted_torchscript)


def _read(
    path: str | os.PathLike[str], vetted: Callable[[bytes], io.BytesIO] = io.BytesIO
) -> tuple[ScriptProgram, PolicyMetadata | None]:
    extra: dict[str, Any] = {KEY: ""}
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", _DEPRECATION)
            script = torch.jit.load(vetted(Path(path).read_bytes()), map_location="cpu", _extra_files=extra)
        text = extra[KEY]
        text = text if isinstance(text, str) else bytes(text).decode()
        metadata = PolicyMetadata.from_json(text) if text else None
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"'{path}' is not a TorchScript policy, or it is damaged: {reason}") from error
    return ScriptProgram(script, metadata), metadata


def _write(deployment: Mapping[str, Any] | None, reference: Any, path: str) -> tuple[PolicyMetadata, Sequence[int]]:
    module = reference.as_jit().cpu().eval()
    metadata, content = describe_policy(reference, module, deployment), io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", _DEPRECATION)
        # Into memory first: a file would carry the random name of the temporary file inside.
        torch.jit.save(_scripted(module), content, _extra_files={KEY: metadata.to_json()})
    Path(path).write_bytes(_repeatable(content))
    return metadata, BATCH_SIZES


def _scripted(module: torch.nn.Module) -> Any:
    """Compile a module, all of whose classes get numbered names.

    The first class of a name in a process has no number, so it is taken away first; classes that were compiled before
    would be used again under the numbers that they had.
    """
    known, script = _recursive.concrete_type_store, None
    try:
        for _ in range(2):
            _recursive.concrete_type_store = _recursive.ConcreteTypeStore()
            script = torch.jit.script(module)
    finally:
        _recursive.concrete_type_store = known
    return script


def _repeatable(content: io.BytesIO) -> bytes:
    """Return a TorchScript archive without what differs between processes and machines.

    These are the numbers of classes, which count what the process compiled before; the order of a class's constants,
    that of a Python set; the source lines and folders of the machine that exported, which lie beside the code; and a
    number that is made from all of it.
    """
    written = io.BytesIO()
    with zipfile.ZipFile(content) as archive, zipfile.ZipFile(written, "w") as copy:
        records = {name: archive.read(name) for name in archive.namelist()}
        numbers = sorted({int(number) for name in records for number in _NUMBER.findall(name.encode())})

        def renumbered(text: bytes) -> bytes:
            return _NUMBER.sub(lambda found: b"%d" % numbers.index(int(found[0])), text)

        for name, record in records.items():
            if name.endswith((".debug_pkl", "/serialization_id")):
                continue
            if "/code/" in name:
                runs = itertools.groupby(record.splitlines(keepends=True), lambda line: b": Final[" in line)
                record = b"".join(line for is_final, run in runs for line in (sorted(run) if is_final else run))
            if "/code/" in name or name.endswith("/data.pkl"):
                record = renumbered(record)
            copy.writestr(zipfile.ZipInfo(renumbered(name.encode()).decode()), record)
    return written.getvalue()
