# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Stepping an optimizer on a condition, whatever programs have done to the optimizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from rsl_rl.learning import Optimizer


def parameters() -> list[torch.nn.Parameter]:
    torch.manual_seed(0)
    return [torch.nn.Parameter(torch.randn(size)) for size in (3, 2)]


def optimized(optimizer: torch.optim.Optimizer) -> list[torch.nn.Parameter]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def give_gradients(optimizer: torch.optim.Optimizer, value: float = 1.0) -> None:
    for parameter in optimized(optimizer):
        parameter.grad = torch.full_like(parameter, value)


def values_of(optimizer: torch.optim.Optimizer) -> torch.Tensor:
    return torch.cat([parameter.detach() for parameter in optimized(optimizer)])


def assert_steps_like_torch(ours: Optimizer, torch_optimizer: torch.optim.Optimizer) -> None:
    for step, is_bad in enumerate((True, False, True, False, False)):
        for optimizer in (ours.torch_optimizer, torch_optimizer):
            give_gradients(optimizer, 0.1**step)
        ours.step_unless(torch.tensor(is_bad))
        if not is_bad:
            torch_optimizer.step()
        torch.testing.assert_close(values_of(ours.torch_optimizer), values_of(torch_optimizer), rtol=0, atol=0)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "rmsprop", "NAdam", "Adagrad", "torch.optim:RAdam"])
def test_steps_by_name_are_those_of_torch_and_bad_ones_change_nothing(name: str) -> None:
    ours = Optimizer.of(name, parameters(), 0.1)
    switches = {switch: True for switch in ("fused",) if ours.torch_optimizer.param_groups[0].get(switch)}
    assert_steps_like_torch(ours, type(ours.torch_optimizer)(parameters(), lr=0.1, **switches))  # type: ignore[call-arg]


KINDS: list[tuple[str, dict[str, Any]]] = [
    ("Adam", {"fused": True, "amsgrad": True}),
    ("AdamW", {"fused": True, "weight_decay": 0.1}),
    ("Adam", {"fused": True, "maximize": True}),
    ("Adam", {"foreach": True}),
    ("SGD", {"momentum": 0.9}),
]


@pytest.mark.parametrize(("name", "options"), KINDS)
def test_steps_of_a_torch_optimizer_of_the_users_stay_its_own(name: str, options: dict[str, Any]) -> None:
    mine, other = (getattr(torch.optim, name)(parameters(), lr=0.1, **options) for _ in range(2))
    assert_steps_like_torch(Optimizer(mine), other)


Register = Callable[[torch.optim.Optimizer, Callable[..., None]], Any]
HOOKS: dict[str, Register] = {
    "before": lambda optimizer, hook: optimizer.register_step_pre_hook(hook),
    "after": lambda optimizer, hook: optimizer.register_step_post_hook(hook),
    "before any": lambda optimizer, hook: register_optimizer_step_pre_hook(hook),
    "after any": lambda optimizer, hook: register_optimizer_step_post_hook(hook),
}


@pytest.mark.parametrize("register", HOOKS.values(), ids=HOOKS)
def test_hooks_are_called(register: Register) -> None:
    optimizer, calls = Optimizer.of("adam", parameters(), 0.1), []
    give_gradients(optimizer.torch_optimizer)
    optimizer.step_unless(torch.tensor(False))
    handle = register(optimizer.torch_optimizer, lambda *arguments: calls.append(1))
    try:
        optimizer.step_unless(torch.tensor(False))
    finally:
        handle.remove()
    assert calls == [1]


def test_a_step_that_was_replaced_is_called() -> None:
    optimizer, calls = Optimizer.of("adam", parameters(), 0.1), []
    give_gradients(optimizer.torch_optimizer)
    optimizer.step_unless(torch.tensor(False))
    optimizer.torch_optimizer.step = lambda: calls.append(1)  # type: ignore[method-assign]
    optimizer.step_unless(torch.tensor(False))
    assert calls == [1]


@pytest.mark.parametrize("name", ["adam", "rmsprop"])
def test_a_learning_rate_written_into_the_groups_is_adopted(name: str) -> None:
    optimizer = Optimizer.of(name, parameters(), 0.1)
    give_gradients(optimizer.torch_optimizer)
    optimizer.torch_optimizer.param_groups[0]["lr"] = 0.0
    before = values_of(optimizer.torch_optimizer)
    optimizer.adopt_rate()
    optimizer.step_unless(torch.tensor(False))
    assert float(optimizer.learning_rate) == 0.0
    assert torch.equal(values_of(optimizer.torch_optimizer), before)
    optimizer.set_rate(torch.tensor(0.5, dtype=torch.float64))
    optimizer.step_unless(torch.tensor(False))
    assert float(optimizer.torch_optimizer.param_groups[0]["lr"]) == 0.5
    assert not torch.equal(values_of(optimizer.torch_optimizer), before)


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.RMSprop])
def test_groups_keep_their_own_rates_until_one_is_set_for_all(kind: Any) -> None:
    def groups_of(rates: tuple[float, float]) -> list[dict[str, Any]]:
        return [{"params": [each], "lr": rate} for each, rate in zip(parameters(), rates, strict=True)]

    plain, wrapped = kind(groups_of((3e-3, 3e-4))), Optimizer(kind(groups_of((3e-2, 0.5))))
    wrapped.load_state_dict(plain.state_dict())
    assert float(wrapped.learning_rate) == 3e-3
    for rates in ((3e-3, 3e-4), (1e-2, 1e-2)):
        if rates == (1e-2, 1e-2):
            wrapped.set_rate(1e-2)
        for group, rate in zip(plain.param_groups, rates, strict=True):
            group["lr"] = rate
        for each in (plain, wrapped.torch_optimizer):
            give_gradients(each)
        plain.step()
        wrapped.step_unless(torch.tensor(False))
        torch.testing.assert_close(values_of(wrapped.torch_optimizer), values_of(plain))
        assert [group["lr"] for group in wrapped.state_dict()["param_groups"]] == list(rates)
