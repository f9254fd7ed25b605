# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Feed-forward model: observation groups -> normalization -> MLP -> output or distribution."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import torch
from tensordict import TensorDict
from torch import nn

from rsl_rl.compat.names import names_of
from rsl_rl.config.options import check_kind, check_options
from rsl_rl.core.trajectories import unpad_trajectories
from rsl_rl.export.inference import OnnxPolicy, TorchPolicy
from rsl_rl.modules import MLP, Distribution, EmpiricalNormalization, HiddenState
from rsl_rl.modules.distribution_values import OutputDistribution
from rsl_rl.utils import listed, resolve_class, resolve_obs_groups, takes_plain_options
from rsl_rl.utils.samples import MIXING_SAMPLES

Observations: TypeAlias = TensorDict | Mapping[str, torch.Tensor]
"""Observation groups by name."""

_FLOATS = (torch.float32, torch.float16, torch.bfloat16)
_ANSWERS = {
    "mean": "output_mean",
    "std": "output_std",
    "entropy": "output_entropy",
    "params": "output_distribution_params",
    "log_prob": "get_output_log_prob",
}
"""What is asked of a distribution, and by what name of a model after a stochastic output."""


class Substitute:
    """What takes the place of a method of one model; copies of the model do without it."""


class MLPModel(nn.Module):
    """A multi-layer perceptron over the concatenated 1D observation groups of one observation set.

    Subclasses replace :meth:`get_latent`, ``_get_obs_dim`` and ``_get_latent_dim`` to put something else before the
    head. With a distribution the head's output becomes its parameters.
    """

    is_recurrent: bool = False
    copies: int = 1
    """Mirror images of each observation that the network sees, that itself included, each with a hidden state."""
    _answers_itself = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Note whether a subclass has a forward pass of its own, or answers otherwise than its distribution."""
        super().__init_subclass__(**kwargs)
        asked = ("forward", *_ANSWERS.values())
        cls._answers_itself = any(getattr(cls, name) is not getattr(MLPModel, name) for name in asked)

    @takes_plain_options
    def __init__(
        self,
        obs: TensorDict,
        obs_groups: dict[str, list[str]],
        obs_set: str,
        output_dim: int,
        hidden_dims: Sequence[int] = (256, 256, 256),
        activation: str = "elu",
        obs_normalization: bool = False,
        distribution_cfg: dict[str, Any] | None = None,
    ) -> None:
        """Build the model for the groups of one observation set.

        Args:
            obs: Example observation groups, each [N, d].
            obs_groups: Groups of every observation set.
            obs_set: The set that this model sees, e.g. ``"actor"``.
            output_dim: Number of outputs.
            hidden_dims: Width of each hidden layer; -1 stands for the input dimension.
            activation: elu, selu, relu, crelu, lrelu, tanh, sigmoid, softplus, gelu, swish, mish or identity.
            obs_normalization: Normalize observations by their running mean and standard deviation.
            distribution_cfg: Output distribution; None for a deterministic model such as a critic.

        Raises:
            ValueError: A group is missing or has the wrong shape, or an option is invalid.
        """
        super().__init__()
        self.obs_groups, self.obs_dim = self._get_obs_dim(obs, obs_groups, obs_set)
        self.obs_group_dims = {group: obs[group].shape[-1] for group in self.obs_groups}
        self.obs_group_specs = {group: (list(obs[group].shape[1:]), obs[group].dtype) for group in obs_groups[obs_set]}
        """Shape and type of every group of the set, also of those that only a subclass reads."""
        self.obs_normalization = obs_normalization
        normalized = obs_normalization and self.obs_dim > 0
        self.obs_normalizer = EmpiricalNormalization(self.obs_dim) if normalized else nn.Identity()

        self.distribution: Distribution | None = None
        if distribution_cfg is None:
            self.mlp = MLP(self._get_latent_dim(), output_dim, hidden_dims, activation)
            return
        distribution_class, options = resolve_class(distribution_cfg)
        check_kind(distribution_class, Distribution, f"{obs_set}.distribution_cfg")
        options = check_options(distribution_class, options, f"{obs_set}.distribution_cfg")
        self.distribution = distribution = distribution_class(output_dim, **options)
        self.mlp = MLP(self._get_latent_dim(), distribution.input_dim, hidden_dims, activation)
        distribution.init_mlp_weights(self.mlp)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy has; it acts by itself."""
        return {name: value for name, value in vars(self).items() if not isinstance(value, Substitute)}

    def forward(
        self,
        obs: Observations,
        masks: torch.Tensor | None = None,
        hidden_state: HiddenState = None,
        stochastic_output: bool = False,
    ) -> torch.Tensor:
        """Return the output [B, output_dim] for a batch of observations.

        Args:
            obs: Observation groups, each [B, d].
            masks: [T, n_traj], bool, for padded trajectories of a recurrent update.
            hidden_state: State at the first step of each trajectory, for a recurrent update.
            stochastic_output: Draw a sample from the distribution instead of returning its deterministic output.
        """
        output = self.head_output(obs, masks, hidden_state)
        if self.distribution is None:
            return output
        if stochastic_output:
            self.distribution.update(output)
            return self.distribution.sample()
        return self.distribution.deterministic_output(output)

    def output_distribution(
        self, obs: Observations, masks: torch.Tensor | None = None, hidden_state: HiddenState = None
    ) -> OutputDistribution:
        """Return the output distribution for a batch of observations without drawing from it.

        Nothing is remembered. Arguments as in :meth:`forward`; a deterministic model raises RuntimeError.
        """
        distribution = self._require_distribution()
        if self._answers_itself:
            return _asked(self, obs, masks, hidden_state)
        output = self.head_output(obs, masks, hidden_state)
        if not distribution.answers_itself:
            return distribution.given(output)
        distribution.update(output)
        return distribution

    def head_output(
        self, obs: Observations, masks: torch.Tensor | None = None, hidden_state: HiddenState = None
    ) -> torch.Tensor:
        """Return the output of the head, [B, output_dim], or the parameters of the distribution, [B, *input_dim]."""
        return self.mlp(self.get_latent(obs, masks, hidden_state))

    def get_latent(
        self, obs: Observations, masks: torch.Tensor | None = None, hidden_state: HiddenState = None
    ) -> torch.Tensor:
        """Return the input of the head, [B, latent_dim]: the normalized concatenation of the observation groups."""
        observations = self._concatenated(obs)
        # Padded trajectories [T, n_traj, ...] are learned from as the rollout [T, N, ...] that they were cut from.
        return self.obs_normalizer(observations if masks is None else unpad_trajectories(observations, masks))

    def update_normalization(self, obs: Observations) -> None:
        """Merge observations, groups [..., d], into the running statistics."""
        if self.obs_normalization and self.obs_groups:
            self.obs_normalizer.update(self._concatenated(obs))  # type: ignore[operator] (EmpiricalNormalization)

    def reset(self, dones: torch.Tensor | None = None, hidden_state: HiddenState = None) -> None:
        """Forget the environments whose ``dones`` [N] is set; without ``dones`` go on with ``hidden_state``."""

    def get_hidden_state(self) -> HiddenState:
        """Return the current hidden state, [layers, N, hidden]; None before the first step."""
        return None

    def detach_hidden_state(self, dones: torch.Tensor | None = None) -> None:
        """Cut the gradient history of the hidden state where ``dones`` [N] is set, or everywhere."""

    @property
    def output_mean(self) -> torch.Tensor:
        """Mean of the last stochastic output, [B, A]."""
        return self._require_distribution().mean

    @property
    def output_std(self) -> torch.Tensor:
        """Standard deviation of the last stochastic output, [B, A]."""
        return self._require_distribution().std

    @property
    def output_entropy(self) -> torch.Tensor:
        """Entropy of the last stochastic output in nats, [B]."""
        return self._require_distribution().entropy

    @property
    def output_distribution_params(self) -> tuple[torch.Tensor, ...]:
        """Parameters of the last stochastic output, each [B, A]."""
        return self._require_distribution().params

    def get_output_log_prob(self, outputs: torch.Tensor) -> torch.Tensor:
        """Log density of outputs [B, A] under the last stochastic output, [B]."""
        return self._require_distribution().log_prob(outputs)

    def get_kl_divergence(
        self, old_params: tuple[torch.Tensor, ...], new_params: tuple[torch.Tensor, ...]
    ) -> torch.Tensor:
        """KL(old || new) in nats, [B]."""
        return self._require_distribution().kl_divergence(old_params, new_params)

    def as_jit(self) -> nn.Module:
        """Return the deterministic policy as a module for TorchScript: ``forward(obs [B, obs_dim])``, ``reset()``."""
        return TorchPolicy(self)

    def as_onnx(self, verbose: bool = False) -> nn.Module:
        """Return the deterministic policy as a module for ONNX, with example inputs and input and output names."""
        return OnnxPolicy(self, verbose)

    def _get_obs_dim(self, obs: TensorDict, obs_groups: dict[str, list[str]], obs_set: str) -> tuple[list[str], int]:
        """Return the 1D groups of the set and the sum of their sizes. May be called before ``nn.Module.__init__``."""
        return self._vectors_of(obs, self._groups_of(obs, obs_groups, obs_set), obs_set)

    def _get_latent_dim(self) -> int:
        """Return the size of the head's input."""
        return self.obs_dim

    def _groups_of(self, obs: TensorDict, obs_groups: dict[str, list[str]], obs_set: str) -> list[str]:
        """Return the groups of an observation set."""
        if obs_set not in obs_groups:
            raise ValueError(f"obs_groups has no set '{obs_set}'. Sets: {listed(obs_groups)}.")
        return resolve_obs_groups(obs, {obs_set: obs_groups[obs_set]}, [])[obs_set]

    def _vectors_of(self, obs: TensorDict, groups: list[str], obs_set: str) -> tuple[list[str], int]:
        """Return 1D groups and the sum of their sizes."""
        for group in groups:
            if obs[group].ndim != 2:
                raise ValueError(
                    f"{type(self).__name__} takes groups of shape [num_envs, size], but '{group}' of the observation "
                    f"set '{obs_set}' has the shape {list(obs[group].shape)}. Images need a CNNModel."
                )
        return groups, sum(obs[group].shape[-1] for group in groups)

    def _concatenated(self, obs: Observations) -> torch.Tensor:
        # Integers are stored as they are; a network takes floats, of half the size where a program made it so.
        groups = [obs[group] if obs[group].dtype in _FLOATS else obs[group].float() for group in self.obs_groups]
        return groups[0] if len(groups) == 1 else torch.cat(groups, dim=-1)

    def _require_distribution(self) -> Distribution | Any:
        if self.distribution is None:
            raise RuntimeError(
                "This model is deterministic: it was built without a distribution_cfg. A model that explores needs "
                "one, for example {'class_name': 'GaussianDistribution'} in the section 'actor'."
            )
        return self.distribution


def takes_samples_alone(model: nn.Module) -> bool:
    """Return whether a model gives each sample the same output in a batch of any size and at any time: no memory.

    What models of a program do in a forward pass is not known.
    """
    remembers = not isinstance(model, MLPModel) or model.is_recurrent or not is_of_this_library(model)
    return not remembers and not any(isinstance(module, MIXING_SAMPLES) for module in model.modules())


def is_of_this_library(value: Any) -> bool:
    """Return whether an object's class is one of this library."""
    return type(value).__module__.startswith("rsl_rl.")


def answers_by_parameters(model: nn.Module) -> bool:
    """Return whether the distribution of a model's actions is known from its parameters alone."""
    return isinstance(model, MLPModel) and not model._answers_itself and is_of_this_library(model.distribution)


def answering(model: nn.Module) -> Any:
    """Return a model with ``output_distribution``, also one of a program of release 5.5.1 that is no MLPModel."""
    if not hasattr(model, "output_distribution"):
        model.output_distribution = types.MethodType(_asked, model)  # type: ignore[assignment]
    return model


def _asked(model: Any, obs: Observations, masks: torch.Tensor | None, hidden_state: HiddenState) -> Any:
    model(obs, masks, hidden_state, stochastic_output=True)
    return _Answers(model)


class _Answers:
    """The answers of a model about its last stochastic output, as those of a distribution."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, _ANSWERS[name]) if name in _ANSWERS else getattr(self._model.distribution, name)


__getattr__ = names_of(__name__)
