# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Layers as one function: the numbers of torch's own layers, also of their gradients and of gradients of gradients."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from rsl_rl.core.feed_forward import elu_
from rsl_rl.modules import MLP
from rsl_rl.modules.mlp import _linears, run_layers

# With 200 columns the faster exponential is taken, with 7 it is not.
SHAPES = [((3, 7), 5), ((600, 7), 200), ((4, 150, 7), 200)]


def network(width: int, output_dim: int | tuple[int, ...] = 3, last: str | None = None) -> MLP:
    torch.manual_seed(0)
    return MLP(7, output_dim, [width, width // 2], "elu", last).double()


@pytest.mark.parametrize(("shape", "width"), SHAPES)
@pytest.mark.parametrize(("output_dim", "last"), [(3, None), ((2, 3), None), (3, "tanh"), (3, "elu")])
def test_outputs_and_gradients_are_those_of_the_layers(
    shape: tuple[int, ...], width: int, output_dim: int | tuple[int, ...], last: str | None
) -> None:
    layers = network(width, output_dim, last)
    x = torch.randn(shape, dtype=torch.double, requires_grad=True)
    assert _linears(layers, x) is not None
    inputs = [x, *layers.parameters()]
    one, plain = run_layers(layers, x), layers(x)
    torch.testing.assert_close(one, plain)
    weights = torch.randn_like(plain)
    gradients = torch.autograd.grad((one * weights).sum(), inputs, create_graph=True)
    expected = torch.autograd.grad((plain * weights).sum(), inputs, create_graph=True)
    torch.testing.assert_close(gradients, expected)
    # A penalty on gradients differentiates them once more.
    penalty, expected_penalty = (sum(g.square().sum() for g in found) for found in (gradients, expected))
    second, expected_second = (
        torch.autograd.grad(found, list(layers.parameters()), allow_unused=True, materialize_grads=True)
        for found in (penalty, expected_penalty)
    )
    torch.testing.assert_close(second, expected_second)


def test_layers_that_do_not_learn_get_no_gradient() -> None:
    layers, x = network(6), torch.randn(4, 7, dtype=torch.double)
    for layer in (layers[0], layers[2]):
        layer.requires_grad_(False)
    layers[2].bias.requires_grad_(True)
    run_layers(layers, x).sum().backward()
    found = [p.grad for p in layers.parameters()]
    for parameter in layers.parameters():
        parameter.grad = None
    layers(x).sum().backward()
    for gradient, parameter in zip(found, layers.parameters(), strict=True):
        assert (gradient is None) == (parameter.grad is None)
        if gradient is not None:
            torch.testing.assert_close(gradient, parameter.grad)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_faster_elu_is_an_elu_everywhere(dtype: torch.dtype) -> None:
    special = torch.tensor([0.0, -0.0, 1e-30, -1e-30, -1e-4, -20.0, -torch.inf, torch.inf, 3e38], dtype=dtype)
    x = torch.cat([special, torch.linspace(-30, 30, 40_000, dtype=dtype)])
    torch.testing.assert_close(elu_(x.clone()), functional.elu(x), rtol=1e-6, atol=2e-7)
    assert elu_(torch.full((20_000,), torch.nan)).isnan().all()


def changed(layers: MLP, how: str) -> MLP:
    if how == "hook":
        layers[1].register_forward_hook(lambda module, inputs, output: output * 2)
    elif how == "hook on all layers":
        layers.register_forward_hook(lambda module, inputs, output: output * 2)
    elif how == "other activation":
        layers[1] = nn.Tanh()
    elif how == "alpha":
        layers[1] = nn.ELU(alpha=0.5)
    elif how == "parametrization":
        nn.utils.parametrizations.spectral_norm(layers[0])
    elif how == "no bias":
        layers[0] = nn.Linear(7, 6, bias=False, dtype=torch.double)
    elif how == "switched off":
        layers.as_one_function = False
    return layers.eval()


@pytest.mark.parametrize(
    "how", ["hook", "hook on all layers", "other activation", "alpha", "parametrization", "no bias", "switched off"]
)
def test_what_somebody_has_changed_runs_as_it_is(how: str) -> None:
    layers, x = (
        changed(network(6, last="tanh" if how == "hook on all layers" else None), how),
        torch.randn(4, 7, dtype=torch.double),
    )
    assert _linears(layers, x) is None
    assert torch.equal(run_layers(layers, x), layers(x))


@pytest.mark.parametrize("kind", ["forward", "forward_pre", "full_backward", "full_backward_pre"])
def test_hooks_of_all_modules_see_the_layers(kind: str) -> None:
    layers, x = network(6), torch.randn(4, 7, dtype=torch.double)
    handle = getattr(nn.modules.module, f"register_module_{kind}_hook")(lambda *arguments: None)
    try:
        assert _linears(layers, x) is None
    finally:
        handle.remove()
    assert _linears(layers, x) is not None


def test_transforms_of_functions_see_the_layers() -> None:
    layers, x = network(6).float(), torch.randn(4, 7)
    rows = torch.func.vmap(lambda row: run_layers(layers, row))(x)
    torch.testing.assert_close(rows, layers(x))
    with torch.autocast("cpu", torch.bfloat16):
        assert run_layers(layers, x).dtype == torch.bfloat16
