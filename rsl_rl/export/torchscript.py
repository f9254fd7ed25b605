# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""TorchScript files."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from rsl_rl.export.metadata import KEY, PolicyMetadata, describe_policy
from rsl_rl.export.policy import Program
from rsl_rl.export.verification import BATCH_SIZES, ExportReport, write_checked

# New torch deprecates TorchScript; controllers in the field still load nothing else.
_DEPRECATION = r".*torch\.jit\."


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


def export_torchscript(model: Any, path: str | os.PathLike[str]) -> ExportReport:
    """Write a policy, the model's ``as_jit()``, as TorchScript, load it back and compare it with the model.

    Arguments and errors are those of :func:`export_onnx`; nothing has to be installed.
    """
    return write_checked(model, path, "torchscript", _write, load_torchscript)


def load_torchscript(path: str | os.PathLike[str]) -> tuple[ScriptProgram, PolicyMetadata | None]:
    """Return a policy and what its file says about it, otherwise as :func:`load_onnx`."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no exported policy '{path}'.")
    extra: dict[str, Any] = {KEY: ""}
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", _DEPRECATION)
            script = torch.jit.load(str(path), map_location="cpu", _extra_files=extra)
        text = extra[KEY]
        text = text if isinstance(text, str) else bytes(text).decode()
        metadata = PolicyMetadata.from_json(text) if text else None
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"'{path}' is not a TorchScript policy, or it is damaged: {reason}") from error
    return ScriptProgram(script, metadata), metadata


def _write(reference: Any, path: str) -> tuple[PolicyMetadata, Sequence[int]]:
    module = reference.as_jit().cpu().eval()
    metadata, content = describe_policy(reference, module), io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", _DEPRECATION)
        # Into memory first: a file would carry the random name of the temporary file inside.
        torch.jit.save(torch.jit.script(module), content, _extra_files={KEY: metadata.to_json()})
    Path(path).write_bytes(content.getvalue())
    return metadata, BATCH_SIZES
