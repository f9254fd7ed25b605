# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Files of ``torch.export``, which takes the place of TorchScript in new releases of torch."""

from __future__ import annotations

import functools
import io
import os
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from rsl_rl.export.inference import batched_examples
from rsl_rl.export.metadata import KEY, PolicyMetadata, describe_policy
from rsl_rl.export.policy import Program, check_file
from rsl_rl.export.verification import BATCH_SIZES, OWN_FORWARD_HINT, ExportReport, write_checked
from rsl_rl.export.vetted import vetted_pt2


def export_pt2(model: Any, path: str | os.PathLike[str], deployment: Mapping[str, Any] | None = None) -> ExportReport:
    """Write a policy as a ``torch.export`` program, load it back and compare it with the model.

    It takes the inputs and gives the outputs of the ONNX file: the hidden state of a recurrent policy travels with it.
    Arguments and errors are those of :func:`export_onnx`; nothing has to be installed.
    """
    return write_checked(model, path, "pt2", functools.partial(_write, deployment), _read)


def load_pt2(path: str | os.PathLike[str]) -> tuple[Program, PolicyMetadata | None]:
    """Return a policy and what its file says about it, otherwise as :func:`load_onnx`. Nothing in it is executed."""
    check_file(path, "a torch.export policy", "it is an exported policy (torch.export)")
    return _read(path, vetted_pt2)


def _read(
    path: str | os.PathLike[str], vetted: Callable[[bytes], io.BytesIO] = io.BytesIO
) -> tuple[Program, PolicyMetadata | None]:
    extra: dict[str, Any] = {KEY: ""}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = torch.export.load(vetted(Path(path).read_bytes()), extra_files=extra).module()
        metadata = PolicyMetadata.from_json(extra[KEY]) if extra[KEY] else None
    except Exception as error:  # torch.export documents none
        raise ValueError(f"'{path}' is not a torch.export policy, or it is damaged: {error}") from error

    def run(inputs: list[torch.Tensor]) -> Sequence[torch.Tensor]:
        outputs = module(*inputs)
        return [outputs] if isinstance(outputs, torch.Tensor) else outputs

    return Program(run, metadata.hidden_state.values() if metadata else ()), metadata


def _write(deployment: Mapping[str, Any] | None, reference: Any, path: str) -> tuple[PolicyMetadata, Sequence[int]]:
    module = reference.as_onnx(verbose=False).cpu().eval()
    metadata = describe_policy(reference, module, deployment)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            examples, shapes = batched_examples(module)
            program = torch.export.export(module, examples, dynamic_shapes=shapes)
        except Exception as error:
            raise RuntimeError(
                f"{type(module).__name__} cannot be exported with torch.export: {error}\n{OWN_FORWARD_HINT}"
            ) from error
        for node in program.graph.nodes:
            # Source lines and folders of the machine that exported.
            node.meta.pop("stack_trace", None)
        # Into memory first: a file would carry the random name of the temporary file inside.
        content = io.BytesIO()
        torch.export.save(program, content, extra_files={KEY: metadata.to_json()})
    if torch.__version__ < "2.8":
        content = _without_dates(content)
    Path(path).write_bytes(content.getvalue())
    return metadata, BATCH_SIZES


def _without_dates(archive: io.BytesIO) -> io.BytesIO:
    """Return an archive without the times at which its parts were written, so that a policy gives the same file."""
    content = io.BytesIO()
    with zipfile.ZipFile(archive) as dated, zipfile.ZipFile(content, "w") as written:
        for name in dated.namelist():
            written.writestr(zipfile.ZipInfo(name), dated.read(name))
    return content
