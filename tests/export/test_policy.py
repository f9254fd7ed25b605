# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""An exported file says what it needs, and acts on observation groups by it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch
from tensordict import TensorDict

from rsl_rl.export import ExportedPolicy, export_onnx, export_torchscript, load_policy
from rsl_rl.export.metadata import PolicyMetadata
from rsl_rl.models import MLPModel


def observations(batch_size: int = 16) -> TensorDict:
    return TensorDict(
        {"extra": torch.randn(batch_size, 2), "state": torch.randn(batch_size, 4), "unused": torch.ones(batch_size, 9)},
        [batch_size],
    )


@pytest.fixture
def model() -> MLPModel:
    groups = {"actor": ["state", "extra"]}
    return MLPModel(observations(), groups, "actor", 3, (8,), distribution_cfg={"class_name": "GaussianDistribution"})


both_formats = pytest.mark.parametrize(
    ("export", "name"), [(export_torchscript, "policy.pt"), (export_onnx, "policy.onnx")], ids=["torchscript", "onnx"]
)


@both_formats
def test_file_describes_itself(export: Callable, name: str, model: MLPModel, tmp_path: Path) -> None:
    export(model, tmp_path / name)
    metadata = load_policy(tmp_path / name).metadata
    assert list(metadata.obs_groups.items()) == [("state", 4), ("extra", 2)]
    assert (metadata.obs_dim, metadata.num_actions, metadata.distribution) == (6, 3, "GaussianDistribution")
    assert metadata.versions["torch"] == torch.__version__
    assert metadata.versions.get("onnx_opset") == ("18" if name.endswith("onnx") else None)
    assert {"rsl-rl-lib", "python"} <= set(metadata.versions)


@both_formats
def test_policy_takes_groups_in_any_order_and_container(
    export: Callable, name: str, model: MLPModel, tmp_path: Path
) -> None:
    export(model, tmp_path / name)
    policy = load_policy(tmp_path / name)
    for batch_size in (1, 7):
        obs = observations(batch_size)
        expected = model(obs).detach()
        for given in (obs, {name: obs[name] for name in ("unused", "extra", "state")}):
            actions = policy(given)
            assert not actions.requires_grad
            torch.testing.assert_close(actions, expected, rtol=1e-4, atol=1e-5)
    # Observations may be part of a graph.
    obs = observations(2)
    given = {"state": obs["state"].requires_grad_(), "extra": obs["extra"]}
    torch.testing.assert_close(policy(given), model(obs).detach(), rtol=1e-4, atol=1e-5)


def test_onnx_policy_takes_double_precision(model: MLPModel, tmp_path: Path) -> None:
    export_onnx(model, tmp_path / "policy.onnx")
    obs = observations(2)
    actions = load_policy(tmp_path / "policy.onnx")({group: obs[group].double() for group in ("state", "extra")})
    torch.testing.assert_close(actions, model(obs).detach(), rtol=1e-4, atol=1e-5)


@pytest.fixture
def policy() -> ExportedPolicy:
    metadata = PolicyMetadata({"state": 4}, 4, 4, None, {})
    return ExportedPolicy(lambda obs: obs, metadata)


def test_missing_group_is_named(policy: ExportedPolicy) -> None:
    with pytest.raises(ValueError, match="needs the observation group 'state', not one of policy, extra"):
        policy({"policy": torch.zeros(1, 4), "extra": torch.zeros(1, 4)})


@pytest.mark.parametrize("shape", [(1, 5), (4,), (1, 1, 4)])
def test_group_of_another_shape_is_named(policy: ExportedPolicy, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"group 'state' with the shape \[B, 4\], got"):
        policy({"state": torch.zeros(shape)})


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("policy.onnx", None, FileNotFoundError, "There is no exported policy"),
        ("policy.pt", None, FileNotFoundError, "There is no exported policy"),
        ("policy.onnx", b"no model", ValueError, "is not an ONNX policy, or it is damaged"),
        ("policy.pt", b"no model", ValueError, "is not a TorchScript policy, or it is damaged"),
        ("policy.txt", b"no model", ValueError, r"known are files ending in \.onnx, \.pt"),
    ],
)
def test_file_that_is_no_policy_is_explained(
    name: str, content: bytes | None, error: type[Exception], message: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=message):
        load_policy(tmp_path / name)


@both_formats
def test_truncated_file_is_explained(export: Callable, name: str, model: MLPModel, tmp_path: Path) -> None:
    export(model, tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="or it is damaged"):
        load_policy(tmp_path / name)


def test_checkpoint_is_not_taken_for_a_policy(tmp_path: Path) -> None:
    torch.save({"actor_state_dict": {}}, tmp_path / "model_0.pt")
    with pytest.raises(ValueError, match="is not a TorchScript policy"):
        load_policy(tmp_path / "model_0.pt")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "does not say which observation groups it needs"),
        ("{}", "not a policy's description"),
        ("hello", "not a policy's description"),
    ],
)
def test_onnx_file_without_a_description_is_explained(
    text: str | None, message: str, model: MLPModel, tmp_path: Path
) -> None:
    path = tmp_path / "policy.onnx"
    export_onnx(model, path)
    proto = onnx.load(path)
    onnx.helper.set_model_props(proto, {} if text is None else {"rsl_rl": text})
    onnx.save(proto, path)
    with pytest.raises(ValueError, match=message):
        load_policy(path)


def test_description_of_a_later_version_is_readable() -> None:
    metadata = PolicyMetadata({"state": 4}, 4, 2, None, {"torch": "2.6"})
    later = {**json.loads(metadata.to_json()), "something_new": 1}
    assert PolicyMetadata.from_json(json.dumps(later)) == metadata
