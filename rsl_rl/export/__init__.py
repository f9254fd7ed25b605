# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Policies as files that run without this library, each checked against the model it was made from."""

import os
from pathlib import Path

from rsl_rl.export.deployment import deployment_entries
from rsl_rl.export.onnx import export_onnx, load_onnx
from rsl_rl.export.policy import ExportedPolicy
from rsl_rl.export.pt2 import export_pt2, load_pt2
from rsl_rl.export.torchscript import export_torchscript, load_torchscript
from rsl_rl.export.verification import ExportReport
from rsl_rl.utils import listed

EXPORTERS = {
    "onnx": (export_onnx, "policy.onnx"),
    "torchscript": (export_torchscript, "policy.pt"),
    "pt2": (export_pt2, "policy.pt2"),
}
"""Every format's writer and usual file name."""
_LOADERS = {".onnx": load_onnx, ".pt": load_torchscript, ".pt2": load_pt2}

__all__ = [
    "EXPORTERS",
    "ExportReport",
    "ExportedPolicy",
    "deployment_entries",
    "export_onnx",
    "export_pt2",
    "export_torchscript",
    "load_onnx",
    "load_policy",
    "load_pt2",
    "load_torchscript",
]


def load_policy(path: str | os.PathLike[str]) -> ExportedPolicy:
    """Read a policy that this package exported: ``.onnx``, ``.pt`` (TorchScript) or ``.pt2``.

    Raises:
        ImportError: onnxruntime is needed and not installed.
        FileNotFoundError: There is no such file.
        ValueError: It is of another kind, damaged, or does not say which observation groups it needs.
    """
    suffix = Path(path).suffix
    if suffix not in _LOADERS:
        raise ValueError(f"'{path}' is not an exported policy: known are files ending in {listed(_LOADERS)}.")
    program, metadata = _LOADERS[suffix](path)
    if metadata is None:
        raise ValueError(f"'{path}' does not say which observation groups it needs: it was not exported by rsl-rl.")
    return ExportedPolicy(program, metadata)
