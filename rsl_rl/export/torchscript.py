# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""TorchScript files."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from rsl_rl.export.frozen import cpu_by_default, frozen_copy
from rsl_rl.export.metadata import KEY, PolicyMetadata, describe_policy
from rsl_rl.export.policy_file import policy_file
from rsl_rl.export.program import ScriptProgram
from rsl_rl.export.verification import ExportReport, check_export


def export_torchscript(model: Any, path: str | os.PathLike[str]) -> ExportReport:
    """Write a policy as TorchScript, load it back and compare it with the model.

    Args:
        model: A model with ``as_jit()``; it is not changed and may be on any device, in training or evaluation mode.
        path: The file. One that was there before stays unless the new one is complete and correct.

    Raises:
        OSError: The file cannot be written.
        RuntimeError: The file does not act like the model.
    """
    with policy_file(path) as partial, cpu_by_default():
        reference = frozen_copy(model)
        module = reference.as_jit().cpu().eval()
        content = io.BytesIO()
        with _deprecation_accepted():
            # Into memory first: a file would carry the random name of the temporary file inside.
            metadata = describe_policy(reference, module)
            torch.jit.save(torch.jit.script(module), content, _extra_files={KEY: metadata.to_json()})
        Path(partial).write_bytes(content.getvalue())
        program, _ = load_torchscript(partial)
        return check_export(reference, program, metadata, str(path), "torchscript")


def load_torchscript(path: str | os.PathLike[str]) -> tuple[ScriptProgram, PolicyMetadata | None]:
    """Return a policy and what its file says about it.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not TorchScript, or it is damaged.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no exported policy '{path}'.")
    extra: dict[str, Any] = {KEY: ""}
    try:
        with _deprecation_accepted():
            script = torch.jit.load(str(path), map_location="cpu", _extra_files=extra)
        text = extra[KEY]
        text = text if isinstance(text, str) else bytes(text).decode()
        metadata = PolicyMetadata.from_json(text) if text else None
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"'{path}' is not a TorchScript policy, or it is damaged: {reason}") from error

    if metadata is None:
        return ScriptProgram(script, has_vectors=True, has_images=False), None
    return ScriptProgram(script, bool(metadata.obs_groups), bool(metadata.images)), metadata


@contextlib.contextmanager
def _deprecation_accepted() -> Iterator[None]:
    """New torch deprecates TorchScript; controllers in the field still load nothing else."""
    with warnings.catch_warnings():
        for category in (DeprecationWarning, FutureWarning):
            warnings.filterwarnings("ignore", r".*torch\.jit\.", category)
        yield
