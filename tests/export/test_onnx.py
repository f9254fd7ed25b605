# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What only ONNX files have: an interface of their own, an exporter that talks, and a runtime that may be missing."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import onnxruntime
import pytest
import torch
from tensordict import TensorDict
from torch import nn

import rsl_rl
from rsl_rl.export import export_onnx, load_onnx, load_policy
from rsl_rl.export.inference import OnnxPolicy
from rsl_rl.models import MLPModel, RNNModel


def build(model_class: type[MLPModel] = MLPModel, updated: bool = True) -> MLPModel:
    obs = TensorDict({"policy": torch.randn(8, 6)}, [8])
    model = model_class(obs, {"actor": ["policy"]}, "actor", 3, (16,), obs_normalization=True)
    if updated:
        model.update_normalization(obs)
    return model


def test_interface_is_the_documented_one(tmp_path: Path) -> None:
    export_onnx(build(), tmp_path / "policy.onnx")
    proto = onnx.load(tmp_path / "policy.onnx")
    assert [opset.version for opset in proto.opset_import if opset.domain == ""] == [18]
    session = onnxruntime.InferenceSession(tmp_path / "policy.onnx", providers=["CPUExecutionProvider"])
    assert [(entry.name, entry.shape) for entry in session.get_inputs()] == [("obs", ["batch", 6])]
    assert [(entry.name, entry.shape) for entry in session.get_outputs()] == [("actions", ["batch", 3])]


class NamedByProperties(OnnxPolicy):
    @property
    def input_names(self) -> list[str]:
        return ["observation"]

    @property
    def output_names(self) -> list[str]:
        return ["joint_targets"]


class NamedByAttributes(OnnxPolicy):
    input_names = ["observation"]  # type: ignore[assignment] (a client's way)  # noqa: RUF012
    output_names = ["joint_targets"]  # type: ignore[assignment]  # noqa: RUF012


@pytest.mark.parametrize("policy", [NamedByProperties, NamedByAttributes])
def test_a_module_derived_from_ours_names_its_inputs_and_outputs(policy: type[OnnxPolicy], tmp_path: Path) -> None:
    class Renamed(MLPModel):
        def as_onnx(self, verbose: bool = False) -> nn.Module:
            return policy(self, verbose)

    export_onnx(build(Renamed), tmp_path / "policy.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "policy.onnx", providers=["CPUExecutionProvider"])
    assert [entry.name for entry in session.get_inputs()] == ["observation"]
    assert [entry.name for entry in session.get_outputs()] == ["joint_targets"]


@pytest.mark.parametrize("model_class", [MLPModel, RNNModel])
def test_a_model_that_names_no_group_still_gets_its_observation_as_an_input(model_class: type[MLPModel]) -> None:
    class OwnGroups(model_class):  # type: ignore[valid-type, misc] (a parameter)
        def _get_obs_dim(self, obs: TensorDict, obs_groups: dict, obs_set: str) -> tuple[list[str], int]:
            return [], 6

    module: Any = build(OwnGroups, updated=False).as_onnx()
    assert module.input_names[0] == "obs"
    assert module.get_dummy_inputs()[0].shape == (1, 6)


def test_one_file_holds_everything_and_nothing_about_the_machine(tmp_path: Path) -> None:
    export_onnx(build(), tmp_path / "policy.onnx")
    assert [file.name for file in tmp_path.iterdir()] == ["policy.onnx"]
    content = (tmp_path / "policy.onnx").read_bytes()
    assert str(Path(export_onnx.__code__.co_filename).parent.parent).encode() not in content
    assert list(json.loads(_properties(tmp_path / "policy.onnx")["rsl_rl"])) == [
        "obs_groups",
        "obs_dim",
        "num_actions",
        "distribution",
        "versions",
        "images",
        "image_types",
        "hidden_state",
        "deployment",
    ]


def _properties(path: Path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


@pytest.mark.filterwarnings("ignore::FutureWarning")  # torch's own, shown when verbose
def test_verbose_export_talks_and_a_quiet_one_leaves_logging_as_it_was(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    export_onnx(build(), tmp_path / "policy.onnx")
    assert logging.root.manager.disable == logging.NOTSET
    assert capfd.readouterr().out == ""
    export_onnx(build(), tmp_path / "policy.onnx", verbose=True)
    assert capfd.readouterr().out != ""


_QUIET = """
import sys, warnings, torch
from rsl_rl.export import export_onnx, export_torchscript
from rsl_rl.export.inference import OnnxPolicy
from rsl_rl.models import MLPModel

class Single(OnnxPolicy):
    def forward(self, obs):
        return super().forward(obs.reshape(1, 6))

class OneAtATime(MLPModel):
    def as_onnx(self, verbose=False):
        return Single(self, verbose)

for model_class in (MLPModel, OneAtATime):
    model = model_class({"policy": torch.zeros(8, 6)}, {"actor": ["policy"]}, "actor", 3, (16,))
    warnings.simplefilter("error" if model_class is MLPModel else "ignore")
    export_onnx(model, "policy.onnx")
    export_torchscript(model, "policy.pt")
"""


def test_exports_print_log_and_warn_nothing(tmp_path: Path) -> None:
    # In a process of its own: torch logs to the stderr that it found when it was imported.
    environment = os.environ | {"PYTHONPATH": str(Path(rsl_rl.__file__).parent.parent)}
    done = subprocess.run(
        [sys.executable, "-c", _QUIET], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


class OneAtATime(MLPModel):
    """A client's model whose export is written for a single observation, with an example on another device."""

    def as_onnx(self, verbose: bool = False) -> nn.Module:
        class Single(OnnxPolicy):
            def get_dummy_inputs(self) -> tuple:
                return (SimpleNamespace(cpu=lambda: torch.zeros(1, 6)),)

            def forward(self, obs: torch.Tensor) -> torch.Tensor:
                return super().forward(obs.reshape(1, 6))

        return Single(self, verbose)


def test_module_for_single_observations_is_exported_as_such(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = build(OneAtATime)
    with pytest.warns(UserWarning, match="takes a batch size of 1 only") as warned:
        report = export_onnx(model, tmp_path / "policy.onnx")
    assert warned[0].filename == __file__
    assert report.max_difference is not None
    obs = torch.randn(1, 6)
    torch.testing.assert_close(load_policy(tmp_path / "policy.onnx")({"policy": obs}), model({"policy": obs}))


class Inexpressible(MLPModel):
    def as_onnx(self, verbose: bool = False) -> nn.Module:
        class ReadsNumbers(OnnxPolicy):
            def forward(self, obs: torch.Tensor) -> torch.Tensor:
                return obs.new_tensor([float(str(obs.sum().item()))])

        return ReadsNumbers(self, verbose)


def test_module_that_onnx_cannot_express_is_an_error(tmp_path: Path) -> None:
    # torch 2.6 writes a file without the number.
    refusals = "ReadsNumbers cannot be exported to ONNX|The exported policy .* cannot be run with a batch of 1"
    with pytest.raises(RuntimeError, match=refusals):
        export_onnx(build(Inexpressible), tmp_path / "policy.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_missing_exporter_is_named_with_its_install_line(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match="pip install onnx onnxscript"):
        export_onnx(build(), tmp_path / "policy.onnx")
    assert list(tmp_path.iterdir()) == []


def test_without_onnxruntime_the_file_is_written_and_reported_as_unchecked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "policy.onnx"
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "onnxruntime", None)
        with pytest.warns(UserWarning, match="written but not checked: .*pip install onnxruntime"):
            report = export_onnx(build(), path)
        with pytest.raises(ImportError, match="pip install onnxruntime"):
            load_onnx(path)
    assert (report.max_difference, report.num_samples) == (None, 0)
    assert load_policy(path)({"policy": torch.zeros(2, 6)}).shape == (2, 3)
