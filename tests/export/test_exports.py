# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Exported policies act like the model they were made from, or are not kept."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tensordict import TensorDict
from torch import nn

import rsl_rl
from rsl_rl.export import EXPORTERS, export_onnx, export_torchscript, load_onnx, load_policy, load_torchscript
from rsl_rl.export.inference import OnnxPolicy, TorchPolicy
from rsl_rl.export.metadata import random_observations
from rsl_rl.models import MLPModel, RNNModel

EXPORTS = [(export_torchscript, load_torchscript, "policy.pt"), (export_onnx, load_onnx, "policy.onnx")]
GROUPS = {"actor": ["state", "extra"], "critic": ["state"]}
both_formats = pytest.mark.parametrize(("export", "load", "name"), EXPORTS, ids=["torchscript", "onnx"])


def observations(batch_size: int = 16, seed: int = 0) -> TensorDict:
    generator = torch.Generator().manual_seed(seed)
    state = 5.0 + 3.0 * torch.randn(batch_size, 4, generator=generator)
    return TensorDict({"state": state, "extra": torch.randn(batch_size, 2, generator=generator)}, [batch_size])


def concatenated(model: MLPModel, obs: TensorDict) -> torch.Tensor:
    return torch.cat([obs[group] for group in model.obs_groups], dim=1)


def build(
    model_class: type[MLPModel] = MLPModel,
    obs_set: str = "actor",
    normalized: bool = True,
    distribution: str | None = "GaussianDistribution",
) -> MLPModel:
    distribution_cfg = None if distribution is None else {"class_name": distribution}
    model = model_class(
        observations(),
        GROUPS,
        obs_set,
        3,
        (16, 16),
        obs_normalization=normalized,
        distribution_cfg=distribution_cfg,
    )
    model.update_normalization(observations())
    return model


@both_formats
@pytest.mark.parametrize(
    "options",
    [{}, {"normalized": False}, {"distribution": None}, {"obs_set": "critic"}],
    ids=["all", "raw observations", "deterministic", "one group"],
)
def test_round_trip(export, load, name: str, options: dict, tmp_path: Path) -> None:
    model = build(**options)
    report = export(model, tmp_path / "new" / name)
    assert report.max_difference < 1e-5
    assert report.num_samples > 100
    assert (report.path, report.format) == (str(tmp_path / "new" / name), "onnx" if "onnx" in name else "torchscript")
    assert [file.name for file in (tmp_path / "new").iterdir()] == [name]
    act, _ = load(tmp_path / "new" / name)
    for batch_size in (1, 7):
        obs = observations(batch_size, seed=9)
        torch.testing.assert_close(act(concatenated(model, obs)), model(obs), rtol=1e-4, atol=1e-5)


class Sabotaged(MLPModel):
    """Exports another policy than it is."""

    @staticmethod
    def change(layer: nn.Linear) -> None:
        layer.weight.mul_(1.01)

    def as_jit(self) -> nn.Module:
        return self._changed(TorchPolicy(self))

    def as_onnx(self, verbose: bool = False) -> nn.Module:
        return self._changed(OnnxPolicy(self, verbose))

    def _changed(self, module: TorchPolicy) -> nn.Module:
        with torch.no_grad():
            self.change(next(layer for layer in module.mlp.modules() if isinstance(layer, nn.Linear)))
        return module


class SabotagedWithNan(Sabotaged):
    @staticmethod
    def change(layer: nn.Linear) -> None:
        layer.weight[0, 0] = float("nan")


class OwnForward(MLPModel):
    """Forgets that a forward pass of its own needs exports of its own."""

    def get_latent(self, obs, masks=None, hidden_state=None) -> torch.Tensor:
        return super().get_latent(obs).tanh()


@both_formats
@pytest.mark.parametrize("model_class", [Sabotaged, SabotagedWithNan, OwnForward])
def test_export_that_acts_differently_is_refused_and_the_old_file_survives(
    export, load, name: str, model_class: type[MLPModel], tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(b"an earlier policy")
    with pytest.raises(RuntimeError, match="does not act like the model: its actions differ by up to"):
        export(build(model_class), tmp_path / name)
    assert (tmp_path / name).read_bytes() == b"an earlier policy"
    assert [file.name for file in tmp_path.iterdir()] == [name]


class OtherInterface(MLPModel):
    """Exports a policy of one action less, for batches of one only."""

    actions, rows = 2, -1

    def as_jit(self) -> nn.Module:
        class Reshaped(TorchPolicy):
            def __init__(self, model: OtherInterface) -> None:
                super().__init__(model)
                self.actions, self.rows = model.actions, model.rows

            def forward(self, obs: torch.Tensor) -> torch.Tensor:
                obs = obs.reshape(self.rows, 6)
                return self.output(self.mlp(self.obs_normalizer(obs)))[:, : self.actions]

        return Reshaped(self)


class OneAtATime(OtherInterface):
    actions, rows = 3, 1


@pytest.mark.parametrize(
    ("model_class", "message"),
    [
        (OtherInterface, r"gives actions of shape \[1, 2\], the model \[1, 3\]"),
        (OneAtATime, "cannot be run with a batch of 64"),
    ],
)
def test_export_with_another_interface_is_refused(model_class: type[MLPModel], message: str, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=message):
        export_torchscript(build(model_class), tmp_path / "policy.pt")
    assert list(tmp_path.iterdir()) == []


def test_models_are_compared_on_observations_like_those_they_have_seen() -> None:
    seen = observations(1000)
    model = build()
    model.update_normalization(seen)
    near, far = (random_observations(model, 1000, scale, torch.Generator().manual_seed(1)) for scale in (1.0, 10.0))
    for group in GROUPS["actor"]:
        torch.testing.assert_close(near[group].mean(0), seen[group].mean(0), rtol=0, atol=0.4)
        torch.testing.assert_close(near[group].std(0), seen[group].std(0), rtol=0.15, atol=0)
        torch.testing.assert_close(far[group].std(0), 10 * seen[group].std(0), rtol=0.15, atol=0)


class Loud(MLPModel):
    """Its actions are in the thousands, where float32 rounds by more than the absolute tolerance."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        with torch.no_grad():
            for parameter in self.mlp.parameters():
                parameter.mul_(12.0)


class LoudAndSabotaged(Loud, Sabotaged):
    pass


def test_tolerance_grows_with_actions_beyond_one(tmp_path: Path) -> None:
    report = export_onnx(build(Loud), tmp_path / "policy.onnx")
    assert report.max_difference is not None
    assert report.max_difference > 1e-4
    with pytest.raises(RuntimeError, match="does not act like the model"):
        export_onnx(build(LoudAndSabotaged), tmp_path / "policy.onnx")


@both_formats
def test_model_that_diverged_is_named_as_the_culprit(export, load, name: str, tmp_path: Path) -> None:
    model = build()
    with torch.no_grad():
        next(model.mlp.parameters())[0, 0] = float("inf")
    with pytest.raises(RuntimeError, match="the model itself gives NaN or infinite actions"):
        export(model, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@both_formats
def test_model_and_random_state_stay_as_they_were(export, load, name: str, tmp_path: Path) -> None:
    model = build().train()
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    export(model, tmp_path / name)
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in before.items())
    assert torch.equal(torch.get_rng_state(), state)


class BatchNormalized(MLPModel):
    """A client's model that behaves differently in training, and whose exports share its own parts."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.batch_norm = nn.BatchNorm1d(self.obs_dim)

    def get_latent(self, obs, masks=None, hidden_state=None) -> torch.Tensor:
        return self.batch_norm(super().get_latent(obs))

    def as_jit(self) -> nn.Module:
        return self._shared(TorchPolicy(self))

    def as_onnx(self, verbose: bool = False) -> nn.Module:
        return self._shared(OnnxPolicy(self, verbose))

    def _shared(self, module: TorchPolicy) -> nn.Module:
        module.mlp = nn.Sequential(self.batch_norm, self.mlp)
        return module


class BatchNormalizedHead(MLPModel):
    """The same in a part that our own exports copy."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.mlp.insert(0, nn.BatchNorm1d(self.obs_dim))


@both_formats
@pytest.mark.parametrize("model_class", [BatchNormalized, BatchNormalizedHead])
def test_model_in_training_is_exported_in_evaluation_mode(
    export, load, name: str, model_class: type[MLPModel], tmp_path: Path
) -> None:
    model = build(model_class).train()
    model(observations())  # moves the running statistics
    export(model, tmp_path / name)
    assert all(module.training for module in model.modules())
    act, _ = load(tmp_path / name)
    obs = observations(5, seed=3)
    torch.testing.assert_close(act(concatenated(model, obs)), model.eval()(obs), rtol=1e-4, atol=1e-5)


@both_formats
def test_export_right_after_a_forward_pass_with_gradients(export, load, name: str, tmp_path: Path) -> None:
    model = build()
    model(observations(), stochastic_output=True)
    assert model.output_mean.requires_grad
    assert export(model, tmp_path / name).max_difference < 1e-5
    model.get_output_log_prob(torch.zeros(16, 3)).sum().backward()  # the graph is still whole


@both_formats
def test_another_default_device_does_not_matter(export, load, name: str, tmp_path: Path) -> None:
    model = build()
    torch.set_default_device("meta")
    try:
        export(model, tmp_path / name)
        assert torch.get_default_device() == torch.device("meta")
    finally:
        torch.set_default_device(None)
    obs = observations(3)
    torch.testing.assert_close(load_policy(tmp_path / name)(obs), model(obs), rtol=1e-4, atol=1e-5)


def test_same_policy_same_bytes_and_nothing_about_the_machine(tmp_path: Path) -> None:
    obs, groups = observations(), {"actor": ["state"]}
    recurrent = RNNModel(obs, groups, "actor", 3, (16,), distribution_cfg={"class_name": "GaussianDistribution"})
    models = {"plain": build(), "recurrent": recurrent}
    torch.save(models, tmp_path / "models.pt")
    # Another process, with sets in another order, that has exported these models in another order.
    program = """
import sys, torch
from pathlib import Path
from rsl_rl.export import EXPORTERS
models = torch.load("models.pt", weights_only=False)
for name in reversed(models):
    for write, file in EXPORTERS.values():
        write(models[name], Path("there", f"{name}_{file}"))
"""
    own_seed = os.environ.get("PYTHONHASHSEED")
    environment = {**os.environ, "PYTHONHASHSEED": "2" if own_seed == "1" else "1"}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True, capture_output=True)
    folders = [str(Path(module.__file__ or "").parents[1]).encode() for module in (torch, rsl_rl)]
    for name, model in models.items():
        for write, file in EXPORTERS.values():
            write(model, tmp_path / file)
            content = (tmp_path / file).read_bytes()
            assert content == (tmp_path / "there" / f"{name}_{file}").read_bytes(), (name, file)
            assert not any(folder in content for folder in folders), (name, file)


@both_formats
def test_place_that_cannot_be_written_is_named(export, load, name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="Cannot write the exported policy: .*file/policy"):
        export(build(), tmp_path / "file" / name)
    (tmp_path / name).mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder: an export needs a file name"):
        export(build(), tmp_path / name)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file", name]


def test_modules_offer_what_clients_call() -> None:
    model = build()
    module = model.as_onnx(verbose=False)
    assert isinstance(module, OnnxPolicy)
    assert (module.input_names, module.output_names, module.input_size) == (["obs"], ["actions"], 6)
    assert [tuple(example.shape) for example in module.get_dummy_inputs()] == [(1, 6)]


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_file_has_forward_and_reset(tmp_path: Path) -> None:
    model = build()
    export_torchscript(model, tmp_path / "policy.pt")
    script = torch.jit.load(tmp_path / "policy.pt")
    script.reset()
    obs = observations(1)
    torch.testing.assert_close(script(concatenated(model, obs)), model(obs))
