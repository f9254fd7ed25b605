# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""ONNX files."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Callable
from typing import Any

import torch

from rsl_rl.export.check import ExportReport, check_export
from rsl_rl.export.metadata import KEY, PolicyMetadata, describe_policy
from rsl_rl.utils.files import replaced_when_complete

OPSET = 18


def export_onnx(model: Any, path: str | os.PathLike[str], verbose: bool = False) -> ExportReport:
    """Write a policy as ONNX, run it in onnxruntime and compare it with the model.

    The file takes any batch size and describes itself: observation groups with their sizes, number of actions,
    distribution, versions.

    Args:
        model: A model with ``as_onnx(verbose)``; it is not changed.
        path: The file. One that was there before stays unless the new one is complete and correct.
        verbose: Show what the exporter says.

    Raises:
        ImportError: onnx or onnxscript is not installed.
        RuntimeError: The file does not act like the model.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError("Exporting to ONNX needs: pip install onnx onnxscript") from error

    module = model.as_onnx(verbose=verbose).cpu().eval()
    batch = torch.export.Dim("batch", min=1, max=2**20)
    # An example with a batch of 1 would fix the batch size to 1.
    examples = tuple(example.expand(2, *example.shape[1:]).clone() for example in module.get_dummy_inputs())
    with replaced_when_complete(path) as partial:
        with contextlib.nullcontext() if verbose else _silenced():
            torch.onnx.export(
                module,
                examples,
                partial,
                input_names=list(module.input_names),
                output_names=list(module.output_names),
                opset_version=OPSET,
                dynamo=True,
                dynamic_shapes=tuple({0: batch} for _ in examples),
                external_data=False,
                verbose=verbose,
            )
        proto = onnx.load(partial)
        metadata = describe_policy(model)
        onnx.helper.set_model_props(proto, {KEY: metadata.to_json()})
        onnx.checker.check_model(proto)
        onnx.save(proto, partial)
        try:
            act, _ = load_onnx(partial)
        except ImportError as error:
            warnings.warn(f"'{path}' was written but not checked: {error}", stacklevel=2)
            return ExportReport(str(path), None, 0)
        return check_export(model, act, str(path))


def load_onnx(
    path: str | os.PathLike[str],
) -> tuple[Callable[[torch.Tensor], torch.Tensor], PolicyMetadata | None]:
    """Return a policy, concatenated observation [B, obs_dim] -> actions [B, A], and what its file says about it.

    Raises:
        ImportError: onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError("Running an ONNX policy needs: pip install onnxruntime") from error
    options = onnxruntime.SessionOptions()
    # A network this small is slower on several threads.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def act(obs: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(session.run(None, {name: obs.contiguous().numpy()})[0])

    text = session.get_modelmeta().custom_metadata_map.get(KEY)
    return act, PolicyMetadata.from_json(text) if text else None


@contextlib.contextmanager
def _silenced() -> Any:
    """Keep the exporter's progress and its libraries' warnings from the screen."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
