# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""ONNX files."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from rsl_rl.export.deployment import as_text
from rsl_rl.export.inference import batch_dims, batched_examples
from rsl_rl.export.metadata import KEY, STATE_INPUTS, PolicyMetadata, describe_policy
from rsl_rl.export.policy import Program, check_file
from rsl_rl.export.verification import BATCH_SIZES, OWN_FORWARD_HINT, ExportReport, write_checked

OPSET = 18


def export_onnx(
    model: Any,
    path: str | os.PathLike[str],
    verbose: bool = False,
    deployment: Mapping[str, Any] | None = None,
) -> ExportReport:
    """Write a policy as ONNX, run it in onnxruntime and compare it with the model.

    The file takes any batch size, stands alone and describes itself (:class:`PolicyMetadata`). Without onnxruntime it
    is written, with a warning that it was not checked.

    Args:
        model: A model with ``as_onnx(verbose)``; it is not changed and may be on any device, in training or evaluation
            mode.
        path: The file. One that was there before stays unless the new one is complete and correct.
        verbose: Show what the exporter says.
        deployment: What a controller has to know of the robot, see :func:`rsl_rl.export.deployment.check_deployment`:
            ``joint_names``, ``action_scale`` and so on. Each becomes an entry of the file's metadata, lists as text
            separated by commas.

    Raises:
        ImportError: onnx or onnxscript is not installed.
        OSError: The file cannot be written.
        RuntimeError: The model cannot be expressed in ONNX, or the file does not act like the model.
        ValueError: An entry of ``deployment`` cannot be one, or does not fit the policy.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError("Exporting to ONNX needs: pip install onnx onnxscript") from error

    def write(reference: Any, partial: str) -> tuple[PolicyMetadata, Sequence[int]]:
        module = reference.as_onnx(verbose=verbose).cpu().eval()
        batch_sizes = _write_graph(module, partial, verbose)
        metadata = describe_policy(reference, module, deployment, onnx_opset=str(OPSET))
        _finish(partial, metadata)
        return metadata, batch_sizes

    return write_checked(model, path, "onnx", write, load_onnx)


def load_onnx(path: str | os.PathLike[str]) -> tuple[Program, PolicyMetadata | None]:
    """Return a policy and what its file says about it.

    Raises:
        ImportError: onnxruntime is not installed.
        FileNotFoundError: There is no such file.
        ValueError: It is of another kind, it is damaged, or it would read other files.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError("Running an ONNX policy needs: pip install onnxruntime") from error
    check_file(path, "an ONNX policy")
    options = onnxruntime.SessionOptions()
    # A network this small is slower on several threads.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    content = Path(path).read_bytes()
    if b"\x0a\x08location\x12" in content:  # how the format begins the place of weights outside of the file
        raise ValueError(f"'{path}' is refused: its weights lie in another file, and a policy stands alone.")
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        text = session.get_modelmeta().custom_metadata_map.get(KEY)
        metadata = PolicyMetadata.from_json(text) if text else None
    except Exception as error:  # onnxruntime's exceptions share no base class of their own
        raise ValueError(f"'{path}' is not an ONNX policy, or it is damaged: {error}") from error
    entries = session.get_inputs()
    names = [entry.name for entry in entries]
    types = [getattr(torch, entry.type.removeprefix("tensor(").removesuffix(")")) for entry in entries]
    states = [(entry.shape[0], entry.shape[2]) for entry in entries if entry.name in STATE_INPUTS]

    def run(inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        typed = [value.to(dtype).contiguous().numpy() for value, dtype in zip(inputs, types, strict=True)]
        return [torch.from_numpy(output) for output in session.run(None, dict(zip(names, typed, strict=True)))]

    return Program(run, states), metadata


def _write_graph(module: Any, path: str, verbose: bool) -> tuple[int, ...]:
    """Write the module's graph, for any batch size where it can, and return batch sizes to check it with."""
    try:
        _run_exporter(module, *batched_examples(module), path, verbose)
    except Exception as any_batch_size:
        # A client's module may be written for one observation at a time, as a controller needs it.
        examples = tuple(example.cpu() for example in module.get_dummy_inputs())
        try:
            _run_exporter(module, examples, None, path, verbose)
        except Exception as error:
            raise RuntimeError(
                f"{type(module).__name__} cannot be exported to ONNX: {error}\n{OWN_FORWARD_HINT}\n"
                "verbose=True shows the exporter's steps."
            ) from any_batch_size
        size = len(examples[0])
        warnings.warn(f"The ONNX policy takes a batch size of {size} only: {type(module).__name__}.", stacklevel=5)
        return (size,)
    return BATCH_SIZES


def _run_exporter(
    module: Any, examples: tuple[torch.Tensor, ...], dynamic_shapes: tuple | None, path: str, verbose: bool
) -> None:
    inputs, outputs = list(module.input_names), list(module.output_names)
    options: dict[str, Any] = {"dynamo": True, "dynamic_shapes": dynamic_shapes, "external_data": False}
    if torch.__version__ < "2.8":
        # Its new exporter knows neither LSTM with any batch size nor batch normalization.
        options = {"dynamo": False}
        if dynamic_shapes is not None:
            dims = batch_dims(module)
            # The actions come first; the outputs after them are the next hidden state, whose inputs come last.
            dims = [*dims, 0, *dims[len(dims) - len(outputs) + 1 :]]
            options["dynamic_axes"] = {name: {dim: "batch"} for name, dim in zip(inputs + outputs, dims, strict=True)}
    options |= {"input_names": inputs, "output_names": outputs, "opset_version": OPSET, "verbose": verbose}
    with contextlib.nullcontext() if verbose else _silenced():
        torch.onnx.export(module, examples, path, **options)


def _finish(path: str, metadata: PolicyMetadata) -> None:
    """Add the metadata, and drop the exporter's notes: source lines and folders of the machine that exported."""
    import onnx

    proto = onnx.load(path)
    graph = proto.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    entries = {name: as_text(value) for name, value in metadata.deployment.items()}
    onnx.helper.set_model_props(proto, {**entries, KEY: metadata.to_json()})
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
