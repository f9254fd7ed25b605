# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Policies as files that run without this library, each checked against the model it was made from."""

from rsl_rl.export.onnx import export_onnx, load_onnx
from rsl_rl.export.policy import ExportedPolicy, load_policy
from rsl_rl.export.pt2 import export_pt2, load_pt2
from rsl_rl.export.torchscript import export_torchscript, load_torchscript
from rsl_rl.export.verification import ExportReport

EXPORTERS = {
    "onnx": (export_onnx, "policy.onnx"),
    "torchscript": (export_torchscript, "policy.pt"),
    "pt2": (export_pt2, "policy.pt2"),
}
"""Every format's writer and usual file name."""

__all__ = [
    "EXPORTERS",
    "ExportReport",
    "ExportedPolicy",
    "export_onnx",
    "export_pt2",
    "export_torchscript",
    "load_onnx",
    "load_policy",
    "load_pt2",
    "load_torchscript",
]
