# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Every model in every format: recurrent, vision, and the distributions with an output transform."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from tensordict import TensorDict
from torch import nn

from rsl_rl.export import EXPORTERS, export_onnx, export_pt2, export_torchscript, load_policy
from rsl_rl.export.metadata import random_observations
from rsl_rl.models import CNNModel, MLPModel, RNNModel

GROUPS = {"actor": ["a", "b"], "seeing": ["a", "front", "b", "back"], "images": ["back", "front"]}
CNN = {"output_channels": [3, 4], "kernel_size": 3, "stride": 2, "norm": "batch"}
MODELS: dict[str, tuple[type[MLPModel], str, dict[str, Any]]] = {
    "lstm": (RNNModel, "actor", {"rnn_type": "lstm", "rnn_hidden_dim": 6}),
    "lstm, two layers": (RNNModel, "actor", {"rnn_type": "lstm", "rnn_hidden_dim": 6, "rnn_num_layers": 2}),
    "gru": (RNNModel, "actor", {"rnn_type": "gru", "rnn_hidden_dim": 6}),
    "gru, two layers": (RNNModel, "actor", {"rnn_type": "gru", "rnn_hidden_dim": 6, "rnn_num_layers": 2}),
    "vectors and two cameras": (CNNModel, "seeing", {"cnn_cfg": CNN}),
    "cameras only": (CNNModel, "images", {"cnn_cfg": CNN}),
    "heteroscedastic": (MLPModel, "actor", {"distribution_cfg": {"class_name": "HeteroscedasticGaussianDistribution"}}),
    "beta": (
        MLPModel,
        "actor",
        {"distribution_cfg": {"class_name": "BetaDistribution", "action_range": (-2.0, 1.0)}},
    ),
}
EVERY_FORMAT = {"onnx": export_onnx, "torchscript": export_torchscript, "pt2": export_pt2}


def observations(num_envs: int = 16, seed: int = 0) -> TensorDict:
    generator = torch.Generator().manual_seed(seed)
    return TensorDict(
        {
            "a": 5.0 + torch.randn(num_envs, 3, generator=generator),
            "b": torch.randn(num_envs, 1, generator=generator),
            "front": torch.randint(0, 256, (num_envs, 1, 9, 12), generator=generator, dtype=torch.uint8),
            "back": torch.rand(num_envs, 3, 10, 8, generator=generator),
        },
        [num_envs],
    )


def build(name: str) -> MLPModel:
    model_class, obs_set, options = MODELS[name]
    torch.manual_seed(0)
    options = {"distribution_cfg": {"class_name": "GaussianDistribution"}, **options}
    model = model_class(observations(), GROUPS, obs_set, 2, [8], obs_normalization=True, **options)
    model.update_normalization(observations())
    model(observations())  # In training mode: moves batch norms, and the hidden state of 16 environments.
    return model


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("file_format", EXPORTERS)
def test_the_file_acts_like_the_model(name: str, file_format: str, tmp_path: Path) -> None:
    model = build(name)
    write, file = EXPORTERS[file_format]
    assert write is EVERY_FORMAT[file_format]
    report = write(model, tmp_path / file)
    assert report.max_difference is not None
    assert report.max_difference < 1e-5
    assert report.num_samples == 3 * (1 + 64) * (20 if model.is_recurrent else 1)
    assert model.training

    # And once more by hand: 20 steps with episodes that end at different moments.
    policy, generator = load_policy(tmp_path / file), torch.Generator().manual_seed(3)
    model.eval()
    model.reset()
    for step in range(20):
        obs, dones = random_observations(model, 5, 1.0, generator), torch.arange(5) == step % 7
        with torch.no_grad():
            torch.testing.assert_close(policy(obs), model(obs), atol=1e-5, rtol=1e-5)
        model.reset(dones)
        policy.reset(dones)
    policy.reset()
    model.reset()
    with torch.no_grad():
        torch.testing.assert_close(policy(obs), model(obs), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "inputs", "outputs"),
    [
        ("gru", {"obs": [4], "h_in": [1, 6]}, ["actions", "h_out"]),
        ("lstm, two layers", {"obs": [4], "h_in": [2, 6], "c_in": [2, 6]}, ["actions", "h_out", "c_out"]),
        ("vectors and two cameras", {"obs": [4], "front": [1, 9, 12], "back": [3, 10, 8]}, ["actions"]),
        ("cameras only", {"back": [3, 10, 8], "front": [1, 9, 12]}, ["actions"]),
    ],
)
def test_a_controller_finds_the_documented_inputs(
    name: str, inputs: dict[str, list[int]], outputs: list[str], tmp_path: Path
) -> None:
    export_onnx(build(name), tmp_path / "policy.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "policy.onnx", providers=["CPUExecutionProvider"])
    found = {entry.name: [size for size in entry.shape if size != "batch"] for entry in session.get_inputs()}
    assert found == inputs
    assert [entry.name for entry in session.get_outputs()] == outputs
    feed = {
        entry.name: np.zeros(
            [1 if size == "batch" else size for size in entry.shape], "uint8" if entry.name == "front" else "float32"
        )
        for entry in session.get_inputs()
    }
    assert session.run(None, feed)[0].shape == (1, 2)


def test_a_script_remembers_one_robot_as_controllers_expect(tmp_path: Path) -> None:
    model = build("lstm").eval()
    export_torchscript(model, tmp_path / "policy.pt")
    script = torch.jit.load(tmp_path / "policy.pt")
    obs = observations(1)
    flat = torch.cat([obs["a"], obs["b"]], dim=1)
    model.reset()
    first = script(flat)
    torch.testing.assert_close(first, model(obs))
    second = script(flat)
    torch.testing.assert_close(second, model(obs))
    assert not torch.allclose(first, second)
    script.reset()
    torch.testing.assert_close(script(flat), first)


def test_a_vision_script_takes_vectors_and_a_list_of_images(tmp_path: Path) -> None:
    model, obs = build("vectors and two cameras").eval(), observations(2)
    export_torchscript(model, tmp_path / "policy.pt")
    actions = torch.jit.load(tmp_path / "policy.pt")(
        torch.cat([obs["a"], obs["b"]], dim=1), [obs["front"], obs["back"]]
    )
    torch.testing.assert_close(actions, model(obs))


def test_a_recurrent_export_that_forgets_is_not_kept(tmp_path: Path) -> None:
    class Forgetful(RNNModel):
        def as_onnx(self, verbose: bool = False) -> nn.Module:
            module: Any = super().as_onnx(verbose)
            forward = module.forward
            module.forward = lambda obs, h_in: (forward(obs, h_in)[0], h_in)
            return module

    torch.manual_seed(0)
    model = Forgetful(observations(), GROUPS, "actor", 2, [8], rnn_type="gru", rnn_hidden_dim=6)
    for write in (export_onnx, export_pt2):
        with pytest.raises(RuntimeError, match="does not act like the model"):
            write(model, tmp_path / "policy")
    assert list(tmp_path.iterdir()) == []


class Minimal(nn.Module):
    """A client's module that has only what an exporter cannot do without."""

    def __init__(self, policy: Any) -> None:
        super().__init__()
        self.policy = policy

    def get_dummy_inputs(self) -> tuple[torch.Tensor, ...]:
        return self.policy.get_dummy_inputs()

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.policy(*inputs)


class MinimalRecurrent(Minimal):
    batch_dims = (0, 1)


@pytest.mark.parametrize(("name", "module_class"), [("beta", Minimal), ("gru", MinimalRecurrent)])
def test_a_module_without_names_is_exported(
    name: str, module_class: type[Minimal], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build(name)
    as_onnx = type(model).as_onnx
    monkeypatch.setattr(type(model), "as_onnx", lambda self, verbose=False: module_class(as_onnx(self, verbose)))
    report = export_pt2(model, tmp_path / "policy.pt2")
    assert report.max_difference is not None
    assert report.max_difference < 1e-5


def test_files_that_are_no_programs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "policy.pt2").write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"is not a torch.export policy, or it is damaged"):
        load_policy(tmp_path / "policy.pt2")
    with pytest.raises(FileNotFoundError):
        load_policy(tmp_path / "none.pt2")
