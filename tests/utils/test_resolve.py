# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""From configured names to objects."""

from __future__ import annotations

import copy
import enum

import pytest
import torch
from tensordict import TensorDict

from rsl_rl.modules import MLP
from rsl_rl.utils import (
    compile_model,
    get_param,
    resolve_callable,
    resolve_class,
    resolve_nn_activation,
    resolve_obs_groups,
    resolve_optimizer,
)


def test_callables_resolve_from_every_form() -> None:
    assert resolve_callable(MLP) is MLP
    assert resolve_callable("rsl_rl.modules:MLP.init_weights") is MLP.init_weights
    assert resolve_callable("rsl_rl.modules.mlp.MLP") is MLP
    assert resolve_callable("MLP") is MLP
    assert resolve_callable("torch:nn.functional.elu") is torch.nn.functional.elu


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        (3, TypeError, "Expected a callable or its name, got int: 3"),
        ("no_such_package.module:Thing", ImportError, "no_such_package"),
        ("no_such_package.Thing", ImportError, "no_such_package"),
        ("rsl_rl.modules:MPL", AttributeError, "no attribute 'MPL'. Did you mean 'MLP'"),
        ("rsl_rl.modules.MPL", AttributeError, "no attribute 'MPL'"),
        ("MLPModell", ValueError, "Unknown name 'MLPModell'. Did you mean 'MLPModel'"),
        ("Dist", ValueError, "mean 'Distribution' or 'Distillation' or 'DistillationRunner'"),
        ("rsl_rl.modules:__doc__", TypeError, "cannot be called"),
    ],
)
def test_wrong_names_are_explained(name: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        resolve_callable(name)  # type: ignore[arg-type]


def test_resolve_class_leaves_the_section_alone() -> None:
    section = {"class_name": "MLP", "hidden_dims": [1, 2]}
    before = copy.deepcopy(section)
    found, options = resolve_class(section)
    options["hidden_dims"].append(3)
    assert found is MLP
    assert section == before


def test_section_without_class_name_is_an_error() -> None:
    with pytest.raises(ValueError, match="'class_name' is missing"):
        resolve_class({"hidden_dims": [1]})


def groups(*names: str) -> TensorDict:
    return TensorDict({name: torch.zeros(2, 1) for name in names}, [2])


def test_observation_groups_are_checked_and_copied() -> None:
    configured = {"actor": ["a"], "critic": ["a", "b"]}
    resolved = resolve_obs_groups(groups("a", "b"), configured, ["actor", "critic"])
    assert resolved == configured
    resolved["actor"].append("x")
    assert configured["actor"] == ["a"]


@pytest.mark.parametrize(("available", "expected"), [(("critic", "policy"), "critic"), (("policy", "other"), "policy")])
def test_missing_set_falls_back_with_a_warning(available: tuple[str, ...], expected: str) -> None:
    with pytest.warns(UserWarning, match=f"'critic' is not configured: using the group '{expected}'"):
        assert resolve_obs_groups(groups(*available), {}, ["critic"]) == {"critic": [expected]}


@pytest.mark.parametrize(
    ("configured", "message"),
    [
        ({"actor": ["polcy"]}, "'actor' asks for the group 'polcy'.*Did you mean 'policy'.*gives: policy"),
        ({"actor": []}, "'actor' is empty. The environment gives: policy"),
        ({"actor": "policy"}, "'actor' must be a list of group names, got 'policy'"),
    ],
)
def test_wrong_observation_sets_are_named(configured: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resolve_obs_groups(groups("policy"), configured, ["actor"])


def test_set_that_nothing_can_fill_is_an_error() -> None:
    with pytest.raises(ValueError, match="'actor' is not configured, and the environment gives neither"):
        resolve_obs_groups(groups("state"), {}, ["actor"])


class Choice(str, enum.Enum):
    ELU = "elu"
    ADAM = "adam"


def test_optimizer_names() -> None:
    assert resolve_optimizer("AdamW") is torch.optim.AdamW
    assert resolve_optimizer(Choice.ADAM) is torch.optim.Adam
    with pytest.raises(ValueError, match="Unknown optimizer 'AdMa'. Did you mean 'adam'.*, or 'package.module:Class'"):
        resolve_optimizer("AdMa")


def test_activation_names() -> None:
    assert isinstance(resolve_nn_activation("ReLU"), torch.nn.ReLU)
    assert isinstance(resolve_nn_activation(Choice.ELU), torch.nn.ELU)
    for name, message in [("GeLUU", "activation 'GeLUU'. Did you mean 'gelu'"), (None, "activation None")]:
        with pytest.raises(ValueError, match=message):
            resolve_nn_activation(name)  # type: ignore[arg-type]


def test_per_layer_parameters() -> None:
    assert [get_param([1, 2], 1), get_param((3, 4), 0), get_param(5, 7)] == [2, 3, 5]


@pytest.mark.parametrize("mode", ["reduce-overhead", "max-autotune", "fastest"])
def test_unsupported_compile_modes_are_refused(mode: str) -> None:
    with pytest.raises(ValueError, match="Valid: None, default, max-autotune-no-cudagraphs"):
        compile_model(MLP(1, 1, []), mode)


def test_compiling_a_model_keeps_its_keys() -> None:
    model = MLP(1, 1, [])
    assert compile_model(model, None) is model
    assert list(compile_model(model, "default").state_dict()) == ["0.weight", "0.bias"]
