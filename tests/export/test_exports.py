# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Exported policies act like the model they were made from, or are not kept."""

from __future__ import annotations

import copy
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch
from tensordict import TensorDict
from torch import nn

from rsl_rl.export import export_onnx, export_torchscript, load_onnx, load_torchscript
from rsl_rl.export.inference import OnnxPolicy, TorchPolicy
from rsl_rl.models import MLPModel

EXPORTS = [(export_torchscript, load_torchscript, "policy.pt"), (export_onnx, load_onnx, "policy.onnx")]
GROUPS = {"actor": ["state", "extra"], "critic": ["state"]}
both_formats = pytest.mark.parametrize(("export", "load", "name"), EXPORTS, ids=["torchscript", "onnx"])


def observations(batch_size: int = 16, seed: int = 0) -> TensorDict:
    generator = torch.Generator().manual_seed(seed)
    state = 5.0 + 3.0 * torch.randn(batch_size, 4, generator=generator)
    return TensorDict({"state": state, "extra": torch.randn(batch_size, 2, generator=generator)}, [batch_size])


def build(model_class: type[MLPModel] = MLPModel, obs_set: str = "actor", **options: object) -> MLPModel:
    torch.manual_seed(0)
    options = {"distribution_cfg": {"class_name": "GaussianDistribution"}, **options}
    model = model_class(observations(), GROUPS, obs_set, 3, (16, 16), obs_normalization=True, **options)
    model.update_normalization(observations())
    return model


@both_formats
@pytest.mark.parametrize("options", [{}, {"distribution_cfg": None}, {"obs_set": "critic"}])
def test_round_trip(export, load, name: str, options: dict, tmp_path: Path) -> None:
    model = build(**options)
    report = export(model, tmp_path / "new" / name)
    assert report.max_difference < 1e-5
    assert [file.name for file in (tmp_path / "new").iterdir()] == [name]
    act, _ = load(tmp_path / "new" / name)
    for batch_size in (1, 7):
        obs = observations(batch_size, seed=9)
        concatenated = torch.cat([obs[group] for group in model.obs_groups], dim=1)
        torch.testing.assert_close(act(concatenated), model(obs), rtol=1e-4, atol=1e-5)


@both_formats
def test_model_and_random_state_stay_as_they_were(export, load, name: str, tmp_path: Path) -> None:
    model = build().train()
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    export(model, tmp_path / name)
    assert model.training
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in before.items())
    assert torch.equal(torch.get_rng_state(), state)


@both_formats
def test_file_describes_itself(export, load, name: str, tmp_path: Path) -> None:
    export(build(), tmp_path / name)
    _, metadata = load(tmp_path / name)
    assert metadata.obs_groups == {"state": 4, "extra": 2}
    assert list(metadata.obs_groups) == ["state", "extra"]
    assert (metadata.num_actions, metadata.distribution) == (3, "GaussianDistribution")
    assert {"rsl-rl-lib", "torch", "python"} <= set(metadata.versions)


class Sabotaged(MLPModel):
    def as_jit(self) -> nn.Module:
        return self._broken(TorchPolicy(self))

    def as_onnx(self, verbose: bool = False) -> nn.Module:
        return self._broken(OnnxPolicy(self, verbose))

    @staticmethod
    def _broken(module: nn.Module) -> nn.Module:
        with torch.no_grad():
            module.mlp[0].weight.mul_(1.01)
        return module


@both_formats
def test_export_that_acts_differently_is_refused_and_the_old_file_survives(
    export, load, name: str, tmp_path: Path
) -> None:
    export(build(), tmp_path / name)
    before = (tmp_path / name).read_bytes()
    with pytest.raises(RuntimeError, match="does not act like the model: its actions differ by up to"):
        export(build(Sabotaged), tmp_path / name)
    assert (tmp_path / name).read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [name]


class BatchNormalized(MLPModel):
    """A client's model whose parts behave differently in training and evaluation."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.mlp.insert(0, nn.BatchNorm1d(self.obs_dim))


@both_formats
def test_export_of_a_model_in_training_is_in_evaluation_mode(export, load, name: str, tmp_path: Path) -> None:
    model = build(BatchNormalized).train()
    model(observations())  # moves the running statistics
    export(model, tmp_path / name)
    act, _ = load(tmp_path / name)
    obs = observations(5, seed=3)
    concatenated = torch.cat([obs[group] for group in model.obs_groups], dim=1)
    torch.testing.assert_close(act(concatenated), model.eval()(obs), rtol=1e-4, atol=1e-5)


def test_onnx_interface_is_the_documented_one(tmp_path: Path) -> None:
    export_onnx(build(), tmp_path / "policy.onnx")
    proto = onnx.load(tmp_path / "policy.onnx")
    assert [opset.version for opset in proto.opset_import if opset.domain == ""] == [18]
    session = onnxruntime.InferenceSession(tmp_path / "policy.onnx", providers=["CPUExecutionProvider"])
    assert [(i.name, i.shape[1]) for i in session.get_inputs()] == [("obs", 6)]
    assert [o.name for o in session.get_outputs()] == ["actions"]


def test_modules_offer_what_clients_call() -> None:
    model = build()
    module = model.as_onnx(verbose=False)
    assert (module.input_names, module.output_names) == (["obs"], ["actions"])
    assert [tuple(example.shape) for example in module.get_dummy_inputs()] == [(1, 6)]
    script = torch.jit.script(model.as_jit())
    script.reset()
    obs = observations(1)
    torch.testing.assert_close(script(torch.cat([obs["state"], obs["extra"]], 1)), model(obs))
