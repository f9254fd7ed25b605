# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional

from rsl_rl.modules import activation
from rsl_rl.modules.activation import ELU

ROUNDING = 3e-7


def _numbers(size: int) -> torch.Tensor:
    special = torch.tensor([0.0, -0.0, torch.inf, -torch.inf, -1e-30, 1e-30, -200.0, 3e38, -3e38])
    drawn = 4 * torch.randn(size, generator=torch.Generator().manual_seed(0))
    return torch.cat([special, drawn])


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """What the power of two was computed of."""
    seen: list[torch.Tensor] = []
    apply = activation._PowerOfTwo.apply
    monkeypatch.setattr(activation._PowerOfTwo, "apply", lambda x: seen.append(x) or apply(x))
    return seen


def test_elu_and_its_derivative_are_those_of_torch(made: list[torch.Tensor]) -> None:
    ours, torchs = (_numbers(1 << 14).requires_grad_() for _ in range(2))
    weights = torch.linspace(0.5, 2.0, len(ours))
    found, expected = ELU()(ours), functional.elu(torchs)
    (found * weights).nan_to_num(posinf=0.0).sum().backward()
    (expected * weights).nan_to_num(posinf=0.0).sum().backward()
    assert len(made) == 1
    torch.testing.assert_close(found, expected, rtol=ROUNDING, atol=ROUNDING)
    torch.testing.assert_close(ours.grad, torchs.grad, rtol=ROUNDING, atol=ROUNDING)


def test_elu_keeps_what_is_not_a_number() -> None:
    x = torch.full((1 << 14,), torch.nan)
    assert bool(ELU()(x).isnan().all())


def test_derivatives_of_elu_by_functions_are_those_of_torch(made: list[torch.Tensor]) -> None:
    x = _numbers(1 << 14)[4:].clamp(-20, 20)
    ours, torchs = (torch.func.grad(lambda x, elu=elu: elu(x).square().sum())(x) for elu in (ELU(), nn.ELU()))
    assert made
    torch.testing.assert_close(ours, torchs, rtol=ROUNDING, atol=1e-5)
    columns = x.expand(3, -1)
    torch.testing.assert_close(torch.func.vmap(ELU())(columns), functional.elu(columns), rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("x", [torch.randn(100), torch.randn(1 << 14, dtype=torch.float64)], ids=["few", "float64"])
def test_elu_leaves_small_and_other_tensors_to_torch(x: torch.Tensor, made: list[torch.Tensor]) -> None:
    assert torch.equal(ELU()(x), functional.elu(x))
    assert not made


def test_exporters_and_compilers_see_the_operation_of_torch() -> None:
    x = torch.randn(1 << 14)
    exported = torch.export.export(ELU(), (x,))
    assert [node.target for node in exported.graph.nodes if node.op == "call_function"] == [torch.ops.aten.elu.default]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript
        traced, scripted = torch.jit.trace(ELU(), x), torch.jit.script(ELU())
    assert "aten::elu" in str(traced.inlined_graph)
    assert torch.equal(scripted(x), functional.elu(x))
