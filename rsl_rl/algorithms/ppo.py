# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Proximal policy optimization.

Legend: T steps, N environments, A actions, B samples of a mini-batch.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from tensordict import TensorDict
from torch import nn

from rsl_rl.algorithms.construction import build_models, load_parts, wanted_parts
from rsl_rl.algorithms.optimization import Optimizer
from rsl_rl.algorithms.time_outs import time_out_values, value_without_memory
from rsl_rl.checkpoint import modernize
from rsl_rl.config import check_options
from rsl_rl.core import adapt_learning_rate, generalized_advantages, normalized, surrogate_loss, value_loss
from rsl_rl.env import VecEnv
from rsl_rl.models import MLPModel
from rsl_rl.storage import RolloutStorage
from rsl_rl.utils import check_compile_mode, did_you_mean, resolve_class


class Losses(NamedTuple):
    """What a mini-batch says about actor and critic; scalars."""

    total: torch.Tensor
    value: torch.Tensor
    surrogate: torch.Tensor
    entropy: torch.Tensor
    kl: torch.Tensor


class PPO:
    """Proximal policy optimization (Schulman et al., 2017) with an adaptive learning rate.

    Per step: :meth:`act`, then :meth:`process_env_step`. Per iteration: :meth:`compute_returns`, then :meth:`update`.
    """

    actor: MLPModel
    critic: MLPModel

    def __init__(
        self,
        actor: MLPModel,
        critic: MLPModel,
        storage: RolloutStorage,
        num_learning_epochs: int = 5,
        num_mini_batches: int = 4,
        clip_param: float = 0.2,
        gamma: float = 0.99,
        lam: float = 0.95,
        value_loss_coef: float = 1.0,
        entropy_coef: float = 0.01,
        learning_rate: float = 1e-3,
        max_grad_norm: float = 1.0,
        optimizer: str = "adam",
        use_clipped_value_loss: bool = True,
        schedule: str = "adaptive",
        desired_kl: float = 0.01,
        normalize_advantage_per_mini_batch: bool = False,
        use_mixed_precision: bool = False,
        device: str = "cpu",
        rnd_cfg: dict | None = None,
        symmetry_cfg: dict | None = None,
        multi_gpu_cfg: dict | None = None,
        grad_reduce_bucket_mb: float = 25,
        share_cnn_encoders: bool = False,
    ) -> None:
        """Set up the algorithm; the options are described in :class:`rsl_rl.config.PPOConfig`.

        Args:
            actor: Stochastic model of the actions.
            critic: Model of the value, one output.
            storage: Rollout of T steps of N environments.
            device: Where models and storage live.
            multi_gpu_cfg: None for a single process.

        Raises:
            ValueError: An option is out of range or not available.
        """
        if schedule not in ("adaptive", "fixed"):
            hint = did_you_mean(schedule, ["adaptive", "fixed"])
            raise ValueError(f"Unknown schedule {schedule!r}.{hint} Valid: adaptive, fixed")
        if schedule == "adaptive" and not (desired_kl is not None and desired_kl > 0):
            raise ValueError(f"The adaptive schedule needs a positive desired_kl, got {desired_kl}.")
        if num_learning_epochs < 1 or num_mini_batches < 1:
            raise ValueError("num_learning_epochs and num_mini_batches must be at least 1.")
        for name, section in (("rnd_cfg", rnd_cfg), ("symmetry_cfg", symmetry_cfg), ("multi_gpu", multi_gpu_cfg)):
            if section is not None:
                raise ValueError(f"'{name}' is not available in this version: set it to None.")
        if share_cnn_encoders:
            raise ValueError("'share_cnn_encoders' is not available in this version: set it to False.")

        self.device = device
        self.actor = actor.to(device)
        self.critic = critic.to(device)
        self.storage = storage
        self.transition = RolloutStorage.Transition()
        self.rnd = None
        self.symmetry = None
        self.intrinsic_rewards: torch.Tensor | None = None

        self.num_learning_epochs = num_learning_epochs
        self.num_mini_batches = num_mini_batches
        self.clip_param = clip_param
        self.gamma = gamma
        self.lam = lam
        self.value_loss_coef = value_loss_coef
        self.entropy_coef = entropy_coef
        self.max_grad_norm = max_grad_norm
        self.use_clipped_value_loss = use_clipped_value_loss
        self.schedule = schedule
        self.desired_kl = desired_kl
        self.normalize_advantage_per_mini_batch = normalize_advantage_per_mini_batch
        self.use_mixed_precision = use_mixed_precision
        self.share_cnn_encoders = share_cnn_encoders
        self.grad_reduce_bucket_mb = grad_reduce_bucket_mb

        self._optimizer = Optimizer(optimizer, [*self.actor.parameters(), *self.critic.parameters()], learning_rate)
        self._learning_rate = float(learning_rate)
        self._losses = self._mini_batch_losses
        self._autocast_device = torch.device(device).type
        num_samples = storage.num_envs * storage.num_transitions_per_env
        if remainder := num_samples % num_mini_batches:
            warnings.warn(
                f"{remainder} of the {num_samples} samples of every rollout are not learned from: {num_samples} is not "
                f"divisible by num_mini_batches = {num_mini_batches}.",
                stacklevel=2,
            )

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """The torch optimizer of actor and critic."""
        return self._optimizer.torch_optimizer

    @property
    def learning_rate(self) -> float:
        """Learning rate after the last update; may be set."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: float) -> None:
        self._learning_rate = float(learning_rate)
        self._optimizer.set_learning_rate(self._learning_rate)

    # -- rollout -------------------------------------------------------------------------------------------------------

    def act(self, obs: TensorDict) -> torch.Tensor:
        """Choose actions, and keep what the update will need.

        Args:
            obs: Observation groups, each [N, ...].

        Returns:
            Sampled actions [N, A].
        """
        transition = self.transition
        transition.hidden_states = (self.actor.get_hidden_state(), self.critic.get_hidden_state())
        transition.observations = self.storage.record_observations(obs)
        transition.actions = self.actor(obs, stochastic_output=True).detach()
        transition.values = self.critic(obs).detach()
        transition.actions_log_prob = self.actor.get_output_log_prob(transition.actions).detach()  # type: ignore[arg-type]
        transition.distribution_params = tuple(param.detach() for param in self.actor.output_distribution_params)
        return transition.actions  # type: ignore[return-value]

    def process_env_step(
        self, obs: TensorDict, rewards: torch.Tensor, dones: torch.Tensor, extras: Mapping[str, Any]
    ) -> None:
        """Store the outcome of the actions chosen last.

        Args:
            obs: Observation groups after the step, each [N, ...].
            rewards: [N].
            dones: [N], non-zero where an episode ended.
            extras: See :class:`rsl_rl.env.VecEnv`; ``time_outs``, ``final_obs`` and ``terminal`` are used.
        """
        if "time_outs" in extras:
            rewards = rewards + self.gamma * time_out_values(self.critic, self.transition.values, extras)  # type: ignore[arg-type]
        self.transition.rewards = rewards
        self.transition.dones = dones
        self.storage.add_transition(self.transition)
        self.transition.clear()
        self.actor.reset(dones)
        self.critic.reset(dones)

    def compute_returns(self, obs: TensorDict) -> None:
        """Compute advantages and returns of the rollout.

        Args:
            obs: Observation groups after the last step, each [N, ...].
        """
        storage = self.storage
        last_values = value_without_memory(self.critic, obs, self.device)
        generalized_advantages(
            storage.rewards, storage.values, storage.dones, last_values, self.gamma, self.lam, out=storage.advantages
        )
        torch.add(storage.advantages, storage.values, out=storage.returns)
        if not self.normalize_advantage_per_mini_batch:
            storage.advantages.copy_(normalized(storage.advantages))

    # -- update --------------------------------------------------------------------------------------------------------

    def update(self) -> dict[str, float]:
        """Learn from the rollout and empty it.

        Returns:
            Mean losses over all mini-batches: value, surrogate, entropy.
        """
        self._optimizer.adopt()
        sums = torch.zeros(3, device=self.device)
        for batch in self.storage.mini_batch_generator(self.num_mini_batches, self.num_learning_epochs):
            losses = self._losses(batch)
            if self.schedule == "adaptive":
                self._optimizer.set_learning_rate(
                    adapt_learning_rate(self._optimizer.learning_rate, losses.kl, self.desired_kl)
                )
            self.optimizer.zero_grad()
            losses.total.backward()
            nn.utils.clip_grad_norm_(self.actor.parameters(), self.max_grad_norm)
            nn.utils.clip_grad_norm_(self.critic.parameters(), self.max_grad_norm)
            self.optimizer.step()
            sums += torch.stack([losses.value, losses.surrogate, losses.entropy]).detach()

        self.actor.update_normalization(self.storage.observations)
        self.critic.update_normalization(self.storage.observations)
        self.storage.clear()
        # The only transfer from the device.
        means = sums.double() / (self.num_learning_epochs * self.num_mini_batches)
        value, surrogate, entropy, self._learning_rate = torch.cat(
            [means, self._optimizer.learning_rate.view(1)]
        ).tolist()
        return {"value": value, "surrogate": surrogate, "entropy": entropy}

    def _mini_batch_losses(self, batch: RolloutStorage.Batch) -> Losses:
        """Return the losses of one mini-batch: a function of parameters and batch, without side effects."""
        assert batch.actions is not None
        assert batch.advantages is not None
        assert batch.values is not None
        assert batch.returns is not None
        assert batch.old_actions_log_prob is not None
        assert batch.observations is not None
        assert batch.old_distribution_params is not None
        with torch.autocast(self._autocast_device, dtype=torch.bfloat16, enabled=self.use_mixed_precision):
            policy = self.actor.output_distribution(batch.observations, batch.masks, batch.hidden_states[0])
            log_prob = policy.log_prob(batch.actions)
            entropy = policy.entropy.mean()
            value = self.critic(batch.observations, batch.masks, batch.hidden_states[1])

            advantages = batch.advantages.squeeze(-1)
            if self.normalize_advantage_per_mini_batch:
                advantages = normalized(advantages)
            surrogate = surrogate_loss(log_prob, batch.old_actions_log_prob.squeeze(-1), advantages, self.clip_param)
            value_clip = self.clip_param if self.use_clipped_value_loss else None
            value_error = value_loss(value, batch.values, batch.returns, value_clip)
            total = surrogate + self.value_loss_coef * value_error - self.entropy_coef * entropy
        with torch.no_grad():
            kl = self.actor.get_kl_divergence(batch.old_distribution_params, policy.params).mean()
        return Losses(total, value_error, surrogate, entropy, kl)

    # -- modes, state, construction ------------------------------------------------------------------------------------

    def train_mode(self) -> None:
        """Put the models into training mode."""
        self.actor.train()
        self.critic.train()

    def eval_mode(self) -> None:
        """Put the models into evaluation mode."""
        self.actor.eval()
        self.critic.eval()

    def get_policy(self) -> MLPModel:
        """Return the model that acts."""
        return self.actor

    def compile(self, mode: str | None = None) -> None:
        """Compile the losses with a mode of ``torch.compile``; None leaves them eager."""
        check_compile_mode(mode)
        if mode is not None:
            self._losses = torch.compile(self._mini_batch_losses, mode=mode, dynamic=False)

    def save(self) -> dict[str, Any]:
        """Return everything that :meth:`load` needs to go on, as tensors and plain data."""
        return {
            "actor_state_dict": self.actor.state_dict(),
            "critic_state_dict": self.critic.state_dict(),
            "optimizer_state_dict": self._optimizer.state_dict(),
        }

    def load(self, loaded_dict: dict[str, Any], load_cfg: dict[str, bool] | None = None, strict: bool = True) -> bool:
        """Take over a saved state, wholly or not at all.

        Args:
            loaded_dict: What :meth:`save` returned, here or in an earlier release.
            load_cfg: Which parts to take: actor, critic, optimizer, iteration, rnd. None for all.
            strict: Refuse missing and unexpected keys of the models.

        Returns:
            Whether the iteration should be taken over too.

        Raises:
            ValueError: The state lacks a part or does not fit; nothing was changed.
        """
        loaded_dict = modernize(loaded_dict, {"actor": self.actor, "critic": self.critic})
        parts = wanted_parts(load_cfg, ("actor", "critic", "optimizer", "iteration", "rnd"))
        models = {name: model for name, model in (("actor", self.actor), ("critic", self.critic)) if parts[name]}
        load_parts(loaded_dict, models, self._optimizer if parts["optimizer"] else None, strict)
        # Else an adaptive schedule would go on from the configured rate and throw the policy off.
        self._learning_rate = float(self._optimizer.learning_rate)
        return parts["iteration"]

    @staticmethod
    def construct_algorithm(obs: TensorDict, env: VecEnv, cfg: dict[str, Any], device: str) -> PPO:
        """Build models, storage and algorithm from a runner's configuration, which is not changed.

        Args:
            obs: Example observation groups of the environment.
            env: The environment.
            cfg: Configuration with the sections algorithm, actor, critic and obs_groups.
            device: Where to learn.

        Raises:
            ValueError, TypeError: The configuration is wrong; says where.
        """
        models = build_models(obs, cfg, {"actor": env.num_actions, "critic": 1}, device)
        algorithm_class, options = resolve_class(cfg["algorithm"])
        check_options(algorithm_class, options, "algorithm")
        storage = RolloutStorage("rl", env.num_envs, cfg["num_steps_per_env"], obs, [env.num_actions], device)
        return algorithm_class(
            models["actor"], models["critic"], storage, device=device, multi_gpu_cfg=cfg.get("multi_gpu"), **options
        )
