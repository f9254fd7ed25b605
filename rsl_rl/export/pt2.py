# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Files of ``torch.export``, which takes the place of TorchScript in new releases of torch."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import torch

from rsl_rl.export.frozen import OWN_FORWARD_HINT, cpu_by_default, frozen_copy
from rsl_rl.export.inference import batched_examples
from rsl_rl.export.metadata import KEY, PolicyMetadata, describe_policy
from rsl_rl.export.policy_file import policy_file
from rsl_rl.export.program import FunctionalProgram
from rsl_rl.export.verification import ExportReport, check_export


def export_pt2(model: Any, path: str | os.PathLike[str]) -> ExportReport:
    """Write a policy as a ``torch.export`` program, load it back and compare it with the model.

    It takes the inputs and gives the outputs of the ONNX file: the hidden state of a recurrent policy travels with it.

    Args:
        model: A model with ``as_onnx(verbose)``; it is not changed and may be on any device, in training or evaluation
            mode.
        path: The file. One that was there before stays unless the new one is complete and correct.

    Raises:
        OSError: The file cannot be written.
        RuntimeError: The model cannot be exported, or the file does not act like the model.
    """
    with policy_file(path) as partial, cpu_by_default(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = frozen_copy(model)
        module = reference.as_onnx(verbose=False).cpu().eval()
        metadata = describe_policy(reference, module)
        try:
            examples, shapes = batched_examples(module, module.get_dummy_inputs())
            program = torch.export.export(module, examples, dynamic_shapes=shapes)
        except Exception as error:
            raise RuntimeError(
                f"{type(module).__name__} cannot be exported with torch.export: {error}\n{OWN_FORWARD_HINT}"
            ) from error
        # The archive's name is kept inside: always the same one, in a folder of its own.
        torch.export.save(program, partial, extra_files={KEY: metadata.to_json()})
        loaded, _ = load_pt2(partial)
        return check_export(reference, loaded, metadata, str(path), "pt2")


def load_pt2(path: str | os.PathLike[str]) -> tuple[FunctionalProgram, PolicyMetadata | None]:
    """Return a policy and what its file says about it.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not a program of ``torch.export``, or it is damaged.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no exported policy '{path}'.")
    extra: dict[str, Any] = {KEY: ""}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = torch.export.load(str(path), extra_files=extra).module()
        metadata = PolicyMetadata.from_json(extra[KEY]) if extra[KEY] else None
    except Exception as error:  # torch.export documents none
        raise ValueError(f"'{path}' is not a torch.export policy, or it is damaged: {error}") from error

    def run(inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        with torch.no_grad():
            outputs = module(*inputs)
        return [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)

    return FunctionalProgram(run, {} if metadata is None else metadata.hidden_state), metadata
