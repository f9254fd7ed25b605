# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""ONNX files."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from rsl_rl.export.frozen import OWN_FORWARD_HINT, cpu_by_default, frozen_copy
from rsl_rl.export.inference import batched_examples
from rsl_rl.export.metadata import KEY, PolicyMetadata, describe_policy
from rsl_rl.export.policy_file import policy_file
from rsl_rl.export.program import STATE_INPUTS, FunctionalProgram
from rsl_rl.export.verification import BATCH_SIZES, ExportReport, check_export

OPSET = 18
_INPUT_TYPES = {
    "tensor(double)": torch.float64,
    "tensor(float16)": torch.float16,
    "tensor(uint8)": torch.uint8,
    "tensor(bool)": torch.bool,
}


def export_onnx(model: Any, path: str | os.PathLike[str], verbose: bool = False) -> ExportReport:
    """Write a policy as ONNX, run it in onnxruntime and compare it with the model.

    The file takes any batch size, stands alone and describes itself: observation groups with their sizes, number of
    actions, distribution, versions. Without onnxruntime it is written, with a warning that it was not checked.

    Args:
        model: A model with ``as_onnx(verbose)``; it is not changed and may be on any device, in training or evaluation
            mode.
        path: The file. One that was there before stays unless the new one is complete and correct.
        verbose: Show what the exporter says.

    Raises:
        ImportError: onnx or onnxscript is not installed.
        OSError: The file cannot be written.
        RuntimeError: The model cannot be expressed in ONNX, or the file does not act like the model.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError("Exporting to ONNX needs: pip install onnx onnxscript") from error

    with policy_file(path) as partial, cpu_by_default():
        reference = frozen_copy(model)
        module = reference.as_onnx(verbose=verbose).cpu().eval()
        batch_sizes = _write(module, partial, verbose)
        metadata = describe_policy(reference, module, onnx_opset=str(OPSET))
        _finish(partial, metadata)
        try:
            program, _ = load_onnx(partial)
        except ImportError as error:
            warnings.warn(f"'{path}' was written but not checked: {error}", stacklevel=2)
            return ExportReport(str(path), None, 0, "onnx")
        return check_export(reference, program, metadata, str(path), "onnx", batch_sizes)


def load_onnx(path: str | os.PathLike[str]) -> tuple[FunctionalProgram, PolicyMetadata | None]:
    """Return a policy and what its file says about it.

    Raises:
        ImportError: onnxruntime is not installed.
        FileNotFoundError: There is no such file.
        ValueError: It is not ONNX, or it is damaged.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError("Running an ONNX policy needs: pip install onnxruntime") from error
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no exported policy '{path}'.")
    options = onnxruntime.SessionOptions()
    # A network this small is slower on several threads.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        text = session.get_modelmeta().custom_metadata_map.get(KEY)
        metadata = PolicyMetadata.from_json(text) if text else None
    except Exception as error:  # onnxruntime's exceptions share no base class of their own
        raise ValueError(f"'{path}' is not an ONNX policy, or it is damaged: {error}") from error
    entries = session.get_inputs()
    types = [_INPUT_TYPES.get(entry.type, torch.float32) for entry in entries]
    states = {entry.name: (entry.shape[0], entry.shape[2]) for entry in entries if entry.name in STATE_INPUTS}

    def run(inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        feed = {
            entry.name: value.to(dtype).contiguous().numpy()
            for entry, value, dtype in zip(entries, inputs, types, strict=True)
        }
        return [torch.from_numpy(output) for output in session.run(None, feed)]

    return FunctionalProgram(run, states), metadata


def _write(module: Any, path: str, verbose: bool) -> tuple[int, ...]:
    """Write the module's graph, for any batch size where it can, and return batch sizes to check it with."""
    examples = tuple(example.cpu() for example in module.get_dummy_inputs())
    try:
        pairs, shapes = batched_examples(module, examples)
        _run_exporter(module, pairs, path, verbose, shapes)
    except Exception as any_batch_size:
        # A client's module may be written for one observation at a time, as a controller needs it.
        try:
            _run_exporter(module, examples, path, verbose, None)
        except Exception as error:
            raise RuntimeError(
                f"{type(module).__name__} cannot be exported to ONNX: {error}\n{OWN_FORWARD_HINT}\n"
                "verbose=True shows the exporter's steps."
            ) from any_batch_size
        size = len(examples[0])
        warnings.warn(f"The ONNX policy takes a batch size of {size} only: {type(module).__name__}.", stacklevel=3)
        return (size,)
    return BATCH_SIZES


def _run_exporter(
    module: Any, examples: tuple[torch.Tensor, ...], path: str, verbose: bool, dynamic_shapes: tuple | None
) -> None:
    inputs, outputs = list(module.input_names), list(module.output_names)
    options: dict[str, Any] = {"dynamo": True, "dynamic_shapes": dynamic_shapes, "external_data": False}
    if torch.__version__ < "2.8":
        # Its new exporter knows neither LSTM with any batch size nor batch normalization.
        options = {"dynamo": False}
        if dynamic_shapes is not None:
            dims = getattr(module, "batch_dims", [0] * len(inputs))
            named = [
                *zip(inputs, dims, strict=True),
                *zip(outputs, [0, *dims[len(dims) - len(outputs) + 1 :]], strict=True),
            ]
            options["dynamic_axes"] = {name: {dim: "batch"} for name, dim in named}
    with contextlib.nullcontext() if verbose else _silenced():
        torch.onnx.export(
            module,
            examples,
            path,
            input_names=inputs,
            output_names=outputs,
            opset_version=OPSET,
            verbose=verbose,
            **options,
        )


def _finish(path: str, metadata: PolicyMetadata) -> None:
    """Add the metadata, and drop the exporter's notes: source lines and folders of the machine that exported."""
    import onnx

    proto = onnx.load(path)
    graph = proto.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    onnx.helper.set_model_props(proto, {KEY: metadata.to_json()})
    onnx.checker.check_model(proto)
    onnx.save(proto, path)


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Keep the exporter's progress, and the logs and warnings of its many libraries, from the screen."""
    threshold = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(threshold)
