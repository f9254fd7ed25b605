# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Every configuration key with its type, default and meaning.

One frozen dataclass per configuration section. The classes that a section configures take the same keys with the same
defaults as keyword arguments; a test keeps the two alike.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class GaussianDistributionConfig:
    """Gaussian actions whose standard deviation does not depend on the observation."""

    class_name: str = "GaussianDistribution"
    init_std: float = 1.0
    """Initial standard deviation, in units of the action."""
    std_range: tuple[float, float] = (1e-6, 1e6)
    """The standard deviation stays within this range."""
    std_type: Literal["scalar", "log"] = "scalar"
    """Whether the standard deviation itself or its logarithm is learned."""
    learn_std: bool = True
    """Whether the standard deviation is learned at all."""


@dataclass(frozen=True)
class HeteroscedasticGaussianDistributionConfig:
    """Gaussian actions whose standard deviation is an output of the network, too."""

    class_name: str = "HeteroscedasticGaussianDistribution"
    init_std: float = 1.0
    """Initial standard deviation, in units of the action."""
    std_range: tuple[float, float] = (1e-6, 1e6)
    """The standard deviation stays within this range."""
    std_type: Literal["scalar", "log"] = "scalar"
    """Whether the network gives the standard deviation itself or its logarithm."""


@dataclass(frozen=True)
class BetaDistributionConfig:
    """Actions within a range, drawn from Beta distributions."""

    class_name: str = "BetaDistribution"
    action_range: tuple[float, float] = (-1.0, 1.0)
    """Lowest and highest action."""


DistributionConfig = GaussianDistributionConfig | HeteroscedasticGaussianDistributionConfig | BetaDistributionConfig


@dataclass(frozen=True)
class MLPModelConfig:
    """Feed-forward actor or critic."""

    class_name: str = "MLPModel"
    hidden_dims: tuple[int, ...] = (256, 256, 256)
    """Width of each hidden layer; -1 stands for the input dimension."""
    activation: str = "elu"
    """elu, selu, relu, crelu, lrelu, tanh, sigmoid, softplus, gelu, swish, mish or identity."""
    obs_normalization: bool = False
    """Normalize observations by their running mean and standard deviation."""
    distribution_cfg: DistributionConfig | None = None
    """Output distribution; None for a deterministic model such as a critic."""


@dataclass(frozen=True)
class RNNModelConfig(MLPModelConfig):
    """Recurrent actor or critic."""

    class_name: str = "RNNModel"
    rnn_type: str = "lstm"
    """lstm or gru."""
    rnn_hidden_dim: int = 256
    """Size of each layer's hidden state."""
    rnn_num_layers: int = 1
    """Number of recurrent layers."""


@dataclass(frozen=True)
class CNNModelConfig(MLPModelConfig):
    """Actor or critic that sees images."""

    class_name: str = "CNNModel"
    cnn_cfg: dict[str, Any] | None = None
    """Options of :class:`rsl_rl.modules.CNN` for all image groups, or a dict of them by group."""
    cnns: Any = None
    """Ready encoders by group, to share them with another model."""


@dataclass(frozen=True)
class PPOConfig:
    """Proximal policy optimization."""

    class_name: str = "PPO"
    num_learning_epochs: int = 5
    """Passes over the rollout per iteration."""
    num_mini_batches: int = 4
    """Mini-batches per pass."""
    clip_param: float = 0.2
    """Clipping range of the probability ratio and of the value."""
    gamma: float = 0.99
    """Discount per step."""
    lam: float = 0.95
    """Lambda of generalized advantage estimation."""
    value_loss_coef: float = 1.0
    """Weight of the value loss."""
    entropy_coef: float = 0.01
    """Weight of the entropy bonus."""
    learning_rate: float = 1e-3
    """Initial learning rate."""
    max_grad_norm: float = 1.0
    """Actor's and critic's gradients are each clipped to this norm."""
    optimizer: str = "adam"
    """adam, adamw, sgd or rmsprop."""
    use_clipped_value_loss: bool = True
    """Clip the value's change like the policy's."""
    schedule: Literal["adaptive", "fixed"] = "adaptive"
    """adaptive: the learning rate follows the policy's KL divergence per mini-batch."""
    desired_kl: float | None = 0.01
    """KL divergence per mini-batch, in nats, that the adaptive schedule aims at."""
    normalize_advantage_per_mini_batch: bool = False
    """Normalize advantages over each mini-batch rather than over the rollout."""
    use_mixed_precision: bool = False
    """Forward pass and loss in bfloat16."""
    share_cnn_encoders: bool = False
    """Actor and critic use the same image encoders."""
    rnd_cfg: dict[str, Any] | None = None
    """Random network distillation."""
    symmetry_cfg: dict[str, Any] | None = None
    """Symmetry augmentation and mirror loss."""
    grad_reduce_bucket_mb: float = 25.0
    """Size of the buckets in which gradients are averaged over processes, in MiB."""

    critic_warmup_iterations: int = 0
    """For so many iterations only the critic learns, so that a pretrained actor is not destroyed by a new critic."""
    shared_encoders_twice: bool = False
    """Clip and step encoders that actor and critic share twice per mini-batch, as release 5.5.1 did."""
    max_bad_updates: int = 10
    """After so many mini-batches in a row without a finite loss and gradient, the last good parameters are restored and
    the learning rate is halved."""


@dataclass(frozen=True)
class DistillationConfig:
    """A student learns to act like a teacher."""

    class_name: str = "Distillation"
    num_learning_epochs: int = 1
    """Passes over the rollout per iteration."""
    gradient_length: int = 15
    """Steps in time over which the loss is summed, and a recurrent student learns, before the optimizer steps."""
    learning_rate: float = 1e-3
    """Learning rate."""
    max_grad_norm: float | None = None
    """The student's gradient is clipped to this norm; None for no clipping."""
    loss_type: Literal["mse", "huber"] = "mse"
    """How the difference of the actions is measured."""
    optimizer: str = "adam"
    """adam, adamw, sgd or rmsprop."""
    use_mixed_precision: bool = False
    """Forward pass and loss in bfloat16."""
    grad_reduce_bucket_mb: float = 25.0
    """Size of the buckets in which gradients are averaged over processes, in MiB."""
    max_bad_updates: int = 10
    """As for PPO."""


@dataclass(frozen=True)
class RunnerConfig:
    """A training run: rollout, logging, algorithm and models."""

    num_steps_per_env: int
    """Steps per environment and iteration."""
    save_interval: int
    """A checkpoint is written every so many iterations, and at the end."""
    obs_groups: dict[str, list[str]] = field(default_factory=dict)
    """For every observation set (actor, critic ...) the observation groups it consists of."""
    class_name: str = "OnPolicyRunner"
    run_name: str | None = ""
    """Name of the run in logs."""
    check_for_nan: bool = True
    """Look for observations, rewards or dones that are not finite; ``nonfinite`` says what then."""
    nonfinite: Literal["raise", "recover"] = "raise"
    """raise: save a checkpoint and the offending step, and stop. recover: cut the environments concerned, leave these
    steps out of the update, and go on."""
    keep_checkpoints: int | None = None
    """How many of the newest checkpoints are kept, beside the best one; None for all."""
    torch_compile_mode: Literal["default", "max-autotune-no-cudagraphs"] | None = None
    """Compile the update with this mode of torch.compile."""
    fast_path: Literal["auto", "off", "graph"] = "auto"
    """auto: the fastest way that gives the same numbers up to rounding. off: layer by layer and step by step, as torch
    computes it; for comparisons. graph: auto, and on a GPU mini-batch steps of feed-forward models as CUDA graphs, each
    compared with the eager step first (new, and not run on a GPU yet)."""
    storage_dtype: Literal["float16"] | None = None
    """Type in which the rollout keeps images of floating-point numbers; None for their own. Others keep theirs."""
    logger: Any = "tensorboard"
    """A logger's name, a dict with class_name and constructor arguments, a list of these, or None."""
    algorithm: PPOConfig | DistillationConfig | dict[str, Any] = field(default_factory=PPOConfig)
    """How the rollout makes the models better."""
    actor: MLPModelConfig | dict[str, Any] | None = field(
        default_factory=lambda: MLPModelConfig(distribution_cfg=GaussianDistributionConfig())
    )
    """The policy; it needs a distribution to explore with."""
    critic: MLPModelConfig | dict[str, Any] | None = field(default_factory=MLPModelConfig)
    """The model of the value, used in training only."""
    student: MLPModelConfig | dict[str, Any] | None = None
    """The model that learns, for distillation."""
    teacher: MLPModelConfig | dict[str, Any] | None = None
    """The model that is learned from, for distillation."""
    teacher_checkpoint: str | None = None
    """Checkpoint that fills the teacher, for distillation."""
    others: dict[str, Any] = field(default_factory=dict)
    """Keys of launchers and environments that the runner keeps but does not use."""

    @classmethod
    def from_dict(cls, section: Mapping[str, Any]) -> RunnerConfig:
        """Read the layout that the runners take; sections of classes that are not ours stay as they are."""
        known = {field.name for field in dataclasses.fields(cls)} - {"others"}
        values: dict[str, Any] = {key: _typed(value) for key, value in section.items() if key in known}
        if "student" in values:
            values = {"actor": None, "critic": None, **values}
        return cls(**values, others={key: value for key, value in section.items() if key not in known})

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration in the layout that the runners take."""
        section = dataclasses.asdict(self)
        section |= section.pop("others")
        unused = [name for name in _OPTIONAL_SECTIONS if section[name] is None]
        return {key: value for key, value in section.items() if key not in unused}


_OPTIONAL_SECTIONS = ("actor", "critic", "student", "teacher", "teacher_checkpoint")


def _typed(value: Any) -> Any:
    """Return a section as the dataclass of the class it names, other values as they are."""
    if not isinstance(value, Mapping):
        return value
    values = {key: _typed(item) for key, item in value.items()}
    schema = SCHEMAS.get(str(value.get("class_name")))
    if schema is None or not set(values) <= {field.name for field in dataclasses.fields(schema)}:
        return values
    return schema(**{key: tuple(item) if isinstance(item, list) else item for key, item in values.items()})


SCHEMAS: dict[str, type] = {
    "BetaDistribution": BetaDistributionConfig,
    "CNNModel": CNNModelConfig,
    "Distillation": DistillationConfig,
    "GaussianDistribution": GaussianDistributionConfig,
    "HeteroscedasticGaussianDistribution": HeteroscedasticGaussianDistributionConfig,
    "MLPModel": MLPModelConfig,
    "PPO": PPOConfig,
    "RNNModel": RNNModelConfig,
}
"""The section of every configurable class of ``rsl_rl``, by class name."""
