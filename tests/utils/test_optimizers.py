# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Stepping an optimizer on a condition, whatever programs have done to the optimizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from rsl_rl.utils import step_unless


def optimizer_of(name: str, **options: Any) -> torch.optim.Optimizer:
    torch.manual_seed(0)
    parameters = [torch.nn.Parameter(torch.randn(size)) for size in (3, 2)]
    optimizer = getattr(torch.optim, name)(parameters, lr=torch.tensor(0.1) if options.get("fused") else 0.1, **options)
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    return optimizer


def parameters_of(optimizer: torch.optim.Optimizer) -> torch.Tensor:
    return torch.cat([parameter.detach() for parameter in optimizer.param_groups[0]["params"]])


KINDS: list[tuple[str, dict[str, Any]]] = [
    ("Adam", {"fused": True}),
    ("Adam", {"fused": True, "amsgrad": True}),
    ("AdamW", {"fused": True, "weight_decay": 0.1}),
    ("Adam", {"fused": True, "maximize": True}),
    ("SGD", {"momentum": 0.9}),
    ("RMSprop", {}),
    ("Adagrad", {}),
]


@pytest.mark.parametrize(("name", "options"), KINDS)
def test_steps_are_those_of_torch_and_bad_ones_change_nothing(name: str, options: dict[str, Any]) -> None:
    optimizer, expected = optimizer_of(name, **options), optimizer_of(name, **options)
    for step, is_bad in enumerate((True, False, True, False, False)):
        for parameter in (*optimizer.param_groups[0]["params"], *expected.param_groups[0]["params"]):
            parameter.grad.fill_(0.1**step)
        step_unless(optimizer, torch.tensor(is_bad))
        if not is_bad:
            expected.step()
        torch.testing.assert_close(parameters_of(optimizer), parameters_of(expected), rtol=0, atol=0)


Register = Callable[[torch.optim.Optimizer, Callable[..., None]], Any]
HOOKS: dict[str, Register] = {
    "before": lambda optimizer, hook: optimizer.register_step_pre_hook(hook),
    "after": lambda optimizer, hook: optimizer.register_step_post_hook(hook),
    "before any": lambda optimizer, hook: register_optimizer_step_pre_hook(hook),
    "after any": lambda optimizer, hook: register_optimizer_step_post_hook(hook),
}


@pytest.mark.parametrize("register", HOOKS.values(), ids=HOOKS)
def test_hooks_are_called(register: Register) -> None:
    optimizer, calls = optimizer_of("Adam", fused=True), []
    step_unless(optimizer, torch.tensor(False))
    handle = register(optimizer, lambda *arguments: calls.append(1))
    try:
        step_unless(optimizer, torch.tensor(False))
    finally:
        handle.remove()
    assert calls == [1]


def test_a_step_that_was_replaced_is_called() -> None:
    optimizer, calls = optimizer_of("Adam", fused=True), []
    step_unless(optimizer, torch.tensor(False))
    optimizer.step = lambda: calls.append(1)
    step_unless(optimizer, torch.tensor(False))
    assert calls == [1]
