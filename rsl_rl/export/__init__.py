# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Policies as files that run without this library, each checked against the model it was made from."""

from rsl_rl.export.check import ExportReport
from rsl_rl.export.onnx import export_onnx, load_onnx
from rsl_rl.export.policy import ExportedPolicy, load_policy
from rsl_rl.export.torchscript import export_torchscript, load_torchscript

__all__ = [
    "ExportReport",
    "ExportedPolicy",
    "export_onnx",
    "export_torchscript",
    "load_onnx",
    "load_policy",
    "load_torchscript",
]
