# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Extensions that a subclass of PPO brings into the update."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from rsl_rl.algorithms import PPO
from rsl_rl.extensions import Extension, ExtensionLoss
from rsl_rl.runners import OnPolicyRunner
from tests.algorithms.test_combinations import RND
from tests.envs import PointEnv, point_config


class TimedEnv(PointEnv):
    step_dt = 0.02

    @property
    def unwrapped(self) -> TimedEnv:
        return self


class Bias(Extension):
    """Draws the last bias of the actor towards 1."""

    loss_name = "bias"

    def __init__(self, coef: float) -> None:
        self.coef = coef

    def batch_loss(self, actor: Any, batch: Any, num_samples: int, policy: Any) -> ExtensionLoss:
        loss = (actor.mlp[-1].bias - 1.0).square().sum()
        return ExtensionLoss(self.coef * loss if self.coef else None, loss.detach())


class BiasedPPO(PPO):
    def __init__(self, *args: Any, bias_coef: float = 0.0, **kwargs: Any) -> None:
        self.bias_coef = bias_coef
        super().__init__(*args, **kwargs)

    def own_extensions(self) -> list[Extension]:
        return [Bias(self.bias_coef)]


def trained(algorithm: type[PPO], compile_mode: str | None = None, **options: Any) -> tuple[OnPolicyRunner, dict]:
    torch.manual_seed(0)
    cfg: dict[str, Any] = point_config(schedule="fixed", **options) | {"torch_compile_mode": compile_mode}
    cfg["algorithm"]["class_name"] = algorithm
    if "rnd_cfg" in options:
        cfg["obs_groups"] |= {"rnd_state": ["policy"]}
    runner = OnPolicyRunner(TimedEnv(8), cfg)
    losses: dict[str, float] = {}
    update = runner.alg.update
    runner.alg.update = lambda: losses.update(update()) or dict(losses)
    runner.learn(3)
    return runner, losses


def test_a_loss_that_adds_nothing_is_logged_and_changes_nothing() -> None:
    (plain, _), (ours, losses) = trained(PPO), trained(BiasedPPO)
    # In Gaussian PPO the gradients are written out; with an extension they are recorded: equal up to rounding.
    torch.testing.assert_close(dict(ours.alg.actor.state_dict()), dict(plain.alg.actor.state_dict()), atol=1e-5, rtol=0)
    bias = ours.alg.actor.mlp[-1].bias.detach()
    assert losses["bias"] == pytest.approx((bias - 1.0).square().sum().item(), rel=0.1)


@pytest.mark.parametrize("options", [{}, {"rnd_cfg": RND}], ids=["alone", "beside curiosity"])
def test_a_loss_that_is_added_is_learned_from(options: dict[str, Any]) -> None:
    (_, before), (ours, after) = trained(BiasedPPO, **options), trained(BiasedPPO, bias_coef=100.0, **options)
    # 12 steps of Adam at 1e-3 move a parameter by 0.012.
    assert ours.alg.actor.mlp[-1].bias.item() > 0.008
    assert after["bias"] < before["bias"]
    assert set(after) == {"value", "surrogate", "entropy", "bias", *(["rnd"] if options else [])}


class Discriminating(Bias):
    def __init__(self) -> None:
        super().__init__(0.0)
        self.discriminator = torch.nn.Linear(2, 1)

    def parts(self) -> dict[str, Any]:
        return {"discriminator_state_dict": self.discriminator}


class DiscriminatingPPO(PPO):
    parts_to_load = (*PPO.parts_to_load, "discriminator")

    def own_extensions(self) -> list[Extension]:
        return [Discriminating()]


def test_parts_of_an_extension_may_be_missing_in_a_checkpoint() -> None:
    (plain, _), (runner, _) = trained(PPO), trained(DiscriminatingPPO)
    runner.alg.load(plain.alg.save())
    assert "discriminator: not in the checkpoint, it starts anew" in runner.alg.load_report


def test_what_a_constructor_sets_is_configuration_however_the_algorithm_is_built() -> None:
    class StyledPPO(PPO):
        def __init__(self, *args: Any, style_coef: float = 1.0, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.style_coef = style_coef

    alg = trained(PPO)[0].alg
    own = StyledPPO(alg.actor, alg.critic, alg.storage)
    assert own.save()["numbers"] == {}
    own.style_coef = 0.5
    other = StyledPPO(alg.actor, alg.critic, alg.storage, style_coef=2.0)
    assert other.load(own.save())
    assert other.style_coef == 0.5
