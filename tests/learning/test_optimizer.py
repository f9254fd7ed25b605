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


def give_gradients(optimizer: torch.optim.Optimizer, value: float = 1.0) -> None:
    for parameter in optimizer.param_groups[0]["params"]:
        parameter.grad = torch.full_like(parameter, value)


def values_of(optimizer: torch.optim.Optimizer) -> torch.Tensor:
    return torch.cat([parameter.detach() for parameter in optimizer.param_groups[0]["params"]])


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


def test_several_groups_are_loaded_with_the_rate_of_the_first() -> None:
    first, second = parameters()
    ours = Optimizer(torch.optim.Adam([{"params": [first], "lr": 3e-3}, {"params": [second], "lr": 3e-4}]))
    saved = torch.optim.Adam([{"params": [first], "lr": 2e-3}, {"params": [second], "lr": 2e-4}]).state_dict()
    ours.load_state_dict(saved)
    assert float(ours.learning_rate) == 2e-3
