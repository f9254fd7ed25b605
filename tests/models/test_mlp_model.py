# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The feed-forward model."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tensordict import TensorDict
from torch import nn

from rsl_rl.models import MLPModel
from rsl_rl.modules import MLP, GaussianDistribution

GAUSSIAN = {"class_name": "GaussianDistribution", "init_std": 0.5}
GROUPS = {"actor": ["b", "a"], "critic": ["a"]}


def observations(seed: int = 0) -> TensorDict:
    generator = torch.Generator().manual_seed(seed)
    return TensorDict(
        {
            "a": torch.randn(4, 2, generator=generator),
            "b": torch.randn(4, 3, generator=generator),
            "image": torch.zeros(4, 1, 8, 8),
        },
        [4],
    )


def test_groups_are_concatenated_in_the_configured_order_and_normalized() -> None:
    obs = observations()
    model = MLPModel(obs, GROUPS, "actor", 3, [8], obs_normalization=True)
    model.update_normalization(obs)
    concatenated = torch.cat([obs["b"], obs["a"]], dim=1)
    expected = (concatenated - concatenated.mean(0)) / (concatenated.std(0, correction=0) + 0.01)
    torch.testing.assert_close(model.get_latent(obs), expected)
    torch.testing.assert_close(model(obs), model.mlp(expected))
    assert (model.obs_groups, model.obs_dim, model.obs_group_dims) == (["b", "a"], 5, {"b": 3, "a": 2})


def test_state_dict_keys_are_the_documented_ones() -> None:
    model = MLPModel(observations(), GROUPS, "actor", 3, [8], obs_normalization=True, distribution_cfg=GAUSSIAN)
    assert sorted(model.state_dict()) == [
        "distribution.std_param",
        "mlp.0.bias",
        "mlp.0.weight",
        "mlp.2.bias",
        "mlp.2.weight",
        "obs_normalizer._mean",
        "obs_normalizer._std",
        "obs_normalizer._var",
        "obs_normalizer.count",
    ]


def test_stochastic_output_is_remembered() -> None:
    obs = observations()
    model = MLPModel(obs, GROUPS, "actor", 3, [8], distribution_cfg=GAUSSIAN)
    mean = model(obs)
    torch.manual_seed(0)
    sample = model(obs, stochastic_output=True)
    torch.manual_seed(0)
    torch.testing.assert_close(sample, mean + 0.5 * torch.randn(4, 3))
    torch.testing.assert_close(model.output_mean, mean)
    torch.testing.assert_close(model.output_std, torch.full((4, 3), 0.5))
    reference = torch.distributions.Normal(mean, 0.5)
    torch.testing.assert_close(model.get_output_log_prob(sample), reference.log_prob(sample).sum(-1))
    torch.testing.assert_close(model.output_entropy, reference.entropy().sum(-1))
    old, new = (mean, torch.ones(4, 3)), model.output_distribution_params
    kl = torch.distributions.kl_divergence(torch.distributions.Normal(*old), reference).sum(-1)
    torch.testing.assert_close(model.get_kl_divergence(old, new), kl)


def test_output_distribution_draws_nothing_and_remembers_nothing() -> None:
    obs = observations()
    model = MLPModel(obs, GROUPS, "actor", 3, [8], distribution_cfg=GAUSSIAN)
    model(obs, stochastic_output=True)
    remembered, state = model.output_mean, torch.get_rng_state()
    policy = model.output_distribution(observations(seed=1))
    assert torch.equal(torch.get_rng_state(), state)
    assert model.output_mean is remembered
    assert not torch.equal(policy.mean, remembered)


def test_deterministic_model_says_that_it_has_no_distribution() -> None:
    model = MLPModel(observations(), GROUPS, "critic", 1, [8])
    with pytest.raises(RuntimeError, match="built without a distribution_cfg.*GaussianDistribution"):
        _ = model.output_std


def test_image_group_names_the_model_it_needs() -> None:
    with pytest.raises(ValueError, match=r"'image'.*has the shape \[4, 1, 8, 8\]. Images need a CNNModel"):
        MLPModel(observations(), {"actor": ["image"]}, "actor", 3)


def test_unknown_distribution_option_is_named() -> None:
    with pytest.raises(ValueError, match="GaussianDistribution has no option 'initial_std'.*Did you mean 'init_std'"):
        MLPModel(observations(), GROUPS, "actor", 3, distribution_cfg={**GAUSSIAN, "initial_std": 1.0})


def test_hooks_may_run_before_the_module_is_initialized() -> None:
    # Clients call _get_obs_dim before nn.Module.__init__ to size a part of their own.
    class Widened(MLPModel):
        def __init__(self, obs, obs_groups, obs_set, output_dim, extra=0, **kwargs):
            _, self.before = self._get_obs_dim(obs, obs_groups, obs_set)
            self.extra = extra
            super().__init__(obs, obs_groups, obs_set, output_dim, **kwargs)

        def _get_latent_dim(self):
            return self.obs_dim + self.extra

        def get_latent(self, obs, masks=None, hidden_state=None):
            latent = super().get_latent(obs, masks, hidden_state)
            return torch.cat([latent, torch.zeros(len(latent), self.extra)], dim=1)

    model = Widened(observations(), GROUPS, "actor", 3, extra=4, hidden_dims=[8])
    assert model.before == 5
    assert model.mlp[0].in_features == 9
    assert model(observations()).shape == (4, 3)


class OwnConstructor(MLPModel):
    """A client's model that builds its parts itself."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.obs_groups, self.obs_normalizer = ["a"], nn.Identity()
        self.mlp, self.distribution = MLP(2, 3, [8]), GaussianDistribution(3)


class Doubled:
    """Replaces the forward pass of the model that it is mixed into."""

    def forward(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        output = super().forward(*args, **kwargs)  # type: ignore[misc] (of the model)
        self.distribution._distribution = torch.distributions.Normal(2.0 * self.output_mean, self.output_std)  # type: ignore[attr-defined]
        return output


class DoubledOwnConstructor(Doubled, OwnConstructor):
    pass


@pytest.mark.parametrize(("model_class", "factor"), [(OwnConstructor, 1.0), (DoubledOwnConstructor, 2.0)])
def test_a_model_with_a_constructor_of_its_own_is_asked_as_its_class_says(
    model_class: type[OwnConstructor], factor: float
) -> None:
    model, obs = model_class(), observations()
    expected = factor * model.mlp(obs["a"])
    torch.testing.assert_close(model.output_distribution(obs).mean, expected)
