# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Proximal policy optimization.

Legend: T steps, N environments, A actions, B samples of a mini-batch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from tensordict import TensorDict
from torch import nn

from rsl_rl.algorithms.algorithm import Algorithm
from rsl_rl.algorithms.captured import Capture, CapturedStep, capture_on_gpu, options_of
from rsl_rl.algorithms.construction import construct_ppo, load_ppo, warn_of_remainder
from rsl_rl.algorithms.guarded_update import GuardedUpdate
from rsl_rl.algorithms.mini_batch import Losses, MiniBatchGradients
from rsl_rl.algorithms.time_outs import time_out_values, value_without_memory
from rsl_rl.algorithms.whole_rollout import WholeRollout
from rsl_rl.algorithms.written_gradients import WrittenGradients
from rsl_rl.core import adapt_learning_rate, generalized_advantages, normalized, surrogate_loss, value_loss
from rsl_rl.env import VecEnv
from rsl_rl.extensions import Extension, RandomNetworkDistillation, Symmetry
from rsl_rl.models import MLPModel
from rsl_rl.models.rnn_model import runs_over_segments
from rsl_rl.storage import RolloutStorage
from rsl_rl.utils import did_you_mean, without_gradient


class PPO(Algorithm):
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
        critic_warmup_iterations: int = 0,
        shared_encoders_twice: bool = False,
        max_bad_updates: int = 10,
    ) -> None:
        """Set up the algorithm; the options are described in :class:`rsl_rl.config.PPOConfig`.

        Args:
            actor: Stochastic model of the actions.
            critic: Model of the value, one output.
            storage: Rollout of T steps of N environments.
            device: Where models and storage live.
            multi_gpu_cfg: See :class:`rsl_rl.algorithms.algorithm.Algorithm`.

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
        self.is_recurrent = actor.is_recurrent or critic.is_recurrent
        if symmetry_cfg is not None and self.is_recurrent:
            raise ValueError("symmetry_cfg needs feed-forward models: the hidden state of a mirror image is not known.")

        self.actor = actor.to(device)
        self.critic = critic.to(device)
        actor_parameters, critic_parameters = list(self.actor.parameters()), list(self.critic.parameters())
        parameters = [*actor_parameters, *critic_parameters]
        super().__init__(storage, parameters, optimizer, learning_rate, use_mixed_precision, device, multi_gpu_cfg)
        self.rnd = None if rnd_cfg is None else RandomNetworkDistillation(device=device, **rnd_cfg)
        self.symmetry = None if symmetry_cfg is None else Symmetry(**symmetry_cfg)
        parts = (self.rnd, self.symmetry, *self.own_extensions())
        self._extensions: list[Extension] = [part for part in parts if part is not None]

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
        self.share_cnn_encoders = share_cnn_encoders
        self.grad_reduce_bucket_mb = grad_reduce_bucket_mb

        self.critic_warmup_iterations = critic_warmup_iterations
        self._warmup_left = critic_warmup_iterations

        shared = set(actor_parameters) & set(critic_parameters)
        # Release 5.5.1 clipped and stepped shared encoders with the actor and once more with the critic.
        self._stepped_once = [p for p in parameters if p not in shared]
        self._steps_twice = shared_encoders_twice and bool(shared)
        own_critic_parameters = [p for p in critic_parameters if p not in shared]
        self._loss_names = ["value", "surrogate", "entropy", *(extension.loss_name for extension in self._extensions)]
        self._update_steps = GuardedUpdate(
            self._optimizer,
            {
                "actor": actor_parameters,
                "critic": critic_parameters if self._steps_twice else own_critic_parameters,
                **({} if self.rnd is None else {"rnd": list(self.rnd.predictor.parameters())}),
            },
            self._models(),
            len(self._loss_names),
            max_bad_updates,
            self._world,
            [] if self.rnd is None else [self.rnd.optimizer],
        )
        losses = lambda batch: self._mini_batch_losses(batch)  # noqa: E731 (subclasses and programs replace it)
        written = WrittenGradients(self) if type(self)._mini_batch_losses is PPO._mini_batch_losses else None
        self._gradients = MiniBatchGradients(losses, self._models(), use_mixed_precision, written)
        self._captured: CapturedStep | None = None
        own = ("act", "process_env_step", "compute_returns")
        self.whole_rollout = WholeRollout(all(getattr(type(self), name) is getattr(PPO, name) for name in own))
        warn_of_remainder(storage, num_mini_batches, self.is_recurrent)

    def own_extensions(self) -> list[Extension]:
        """Return what a subclass adds to every update; asked once, before the first."""
        return []

    # -- rollout -------------------------------------------------------------------------------------------------------

    @without_gradient
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
        transition.distribution_params = tuple(param.detach() for param in self.actor.output_distribution_params)
        self.whole_rollout.complete(self.storage, transition, self.actor, self.critic)
        return transition.actions  # type: ignore[return-value]

    @without_gradient
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
        for extension in self._extensions:
            intrinsic_rewards = extension.intrinsic_rewards(obs)
            if intrinsic_rewards is not None:
                self.intrinsic_rewards = intrinsic_rewards
                rewards = rewards + intrinsic_rewards
        cut_off = None
        if "time_outs" in extras:
            final_values, cut_off = time_out_values(self.critic, extras, self.device)
            if final_values is not None:
                rewards = rewards + self.gamma * final_values
            if cut_off is not None and self.transition.has("values"):
                values = self.transition.values.view(-1)  # type: ignore[union-attr]
                rewards, cut_off = rewards + self.gamma * torch.where(cut_off, values, 0.0), None
        self.transition.rewards = rewards
        self.transition.dones = dones
        self.transition.cut_off = cut_off
        self.storage.add_transition(self.transition)
        self.transition.clear()
        self.actor.reset(dones)
        self.critic.reset(dones)

    @torch.no_grad()
    def compute_returns(self, obs: TensorDict) -> None:
        """Compute advantages and returns of the rollout.

        Args:
            obs: Observation groups after the last step, each [N, ...].
        """
        storage = self.storage
        self.whole_rollout.fill_in(storage, self.actor, self.critic, self.gamma)
        storage.settle_left_out()
        last_values = value_without_memory(self.critic, obs, self.device)
        generalized_advantages(
            storage.rewards, storage.values, storage.dones, last_values, self.gamma, self.lam, out=storage.advantages
        )
        torch.add(storage.advantages, storage.values, out=storage.returns)
        storage.refill()
        if not self.normalize_advantage_per_mini_batch:
            storage.advantages.copy_(self._normalized(storage.advantages))

    # -- update --------------------------------------------------------------------------------------------------------

    def update(self) -> dict[str, float]:
        """Learn from the rollout and empty it.

        Returns:
            Mean losses over all mini-batches: value, surrogate, entropy, and those of the extensions.
        """
        steps = self._update_steps
        steps.begin()
        self._gradients.begin(steps.parameters)
        # In the warm-up the actor does not move, and what looks like divergence is rounding.
        in_warmup = self._warmup_left > 0
        storage, generator, step = self.storage, self._mini_batch_generator(), self._mini_batch_step
        if self._captured is not None:
            self._captured.begin((in_warmup, *steps.signature, *options_of(self)))
            step = self._captured
        for batch in generator(self.num_mini_batches, self.num_learning_epochs):
            steps.record(step(batch))

        if in_warmup:
            self._warmup_left -= 1
        else:
            self.actor.update_normalization(storage.observations)
        for learner in (self.critic, *self._extensions):
            learner.update_normalization(storage.observations)
        storage.clear()
        return dict(zip(self._loss_names, self._conclude_update(), strict=True))

    def _mini_batch_step(self, batch: RolloutStorage.Batch) -> torch.Tensor:
        """Learn from a mini-batch without waiting for the device; return its row of the record."""
        steps, in_warmup = self._update_steps, self._warmup_left > 0
        if self.normalize_advantage_per_mini_batch:
            batch = dataclasses.replace(batch, advantages=self._normalized(batch.advantages))  # type: ignore[arg-type]
        numbers = self._gradients(batch)
        is_bad, kl, row = steps.collect(numbers, self.actor.parameters() if in_warmup else ())
        if self.schedule == "adaptive" and not in_warmup:
            rate = self._optimizer.learning_rate
            adapted = adapt_learning_rate(rate, kl, self.desired_kl)
            self._optimizer.set_learning_rate(torch.where(is_bad, rate, adapted))
        steps.step(is_bad, {"actor": self.max_grad_norm, "critic": self.max_grad_norm})
        if self._steps_twice:
            for parameter in self._stepped_once:
                parameter.grad = None
            steps.step_optimizer(is_bad)
        for extension in self._extensions:
            extension.step(is_bad)
        return row

    def _mini_batch_generator(self) -> Callable[[int, int], Iterator[RolloutStorage.Batch]]:
        if not self.is_recurrent:
            return self.storage.mini_batch_generator
        if runs_over_segments(self.actor, self.critic) and not self.use_mixed_precision:
            return self.storage.segment_mini_batch_generator
        return self.storage.recurrent_mini_batch_generator

    def _normalized(self, advantages: torch.Tensor) -> torch.Tensor:
        """Return advantages with mean 0 and standard deviation 1 over all processes."""
        return normalized(advantages, None if self._world.size == 1 else self._world.pooled_moments)

    def _mini_batch_losses(self, batch: RolloutStorage.Batch) -> Losses:
        """Return the losses of one mini-batch: a function of parameters and batch, without side effects."""
        # A copy: extensions may change it, and the generator yields the same mini-batch again.
        samples: Any = dataclasses.replace(batch)
        num_samples = len(samples.actions)
        for extension in self._extensions:
            extension.prepare_batch(samples)
        with self._autocast():
            policy = self.actor.output_distribution(samples.observations, samples.masks, samples.hidden_states[0])
            log_prob = policy.log_prob(samples.actions)
            # What was appended to the mini-batch says nothing of its own about entropy and KL divergence.
            entropy = policy.entropy[:num_samples].mean()
            value = self.critic(samples.observations, samples.masks, samples.hidden_states[1])

            advantages, old_log_prob = samples.advantages.squeeze(-1), samples.old_actions_log_prob.squeeze(-1)
            surrogate = surrogate_loss(log_prob, old_log_prob, advantages, self.clip_param)
            value_clip = self.clip_param if self.use_clipped_value_loss else None
            value_error = value_loss(value, samples.values, samples.returns, value_clip)
            total = surrogate + self.value_loss_coef * value_error - self.entropy_coef * entropy
            logged = [value_error, surrogate, entropy]
            for extension in self._extensions:
                loss = extension.batch_loss(self.actor, samples, num_samples, policy)
                total = total if loss.added is None else total + loss.added
                logged.append(loss.logged)
        with torch.no_grad():
            new_params = tuple(param[:num_samples] for param in policy.params)
            kl = self.actor.get_kl_divergence(samples.old_distribution_params, new_params).mean()
            is_clipped = (log_prob - old_log_prob).expm1().abs() > self.clip_param
            clipped = is_clipped[:num_samples].float().mean()
        return Losses(total, kl, clipped, torch.stack([loss.detach().float() for loss in logged]))

    # -- modes, state, construction ------------------------------------------------------------------------------------

    def train_mode(self) -> None:
        """Put the models into training mode."""
        for model in self._models():
            model.train()

    def eval_mode(self) -> None:
        """Put the models into evaluation mode."""
        for model in self._models():
            model.train(False)

    def _models(self) -> Iterator[nn.Module]:
        yield from (self.actor, self.critic)
        if self.rnd is not None:
            yield self.rnd

    def get_policy(self) -> MLPModel:
        """Return the model that acts."""
        return self.actor

    def capture_steps(self, capture: Capture = capture_on_gpu) -> None:
        """Make mini-batch steps of a feed-forward model as one CUDA graph, in a single process."""
        if not self.is_recurrent and self._world.size == 1:
            self._captured = CapturedStep(self._mini_batch_step, self._update_steps.tensors, capture)

    def use_fast_path(self, is_on: bool) -> None:  # noqa: D102
        super().use_fast_path(is_on)
        self.whole_rollout.is_allowed &= is_on
        self._gradients.use_fast_path(is_on)

    def compile(self, mode: str | None = None) -> None:
        """Compile the mini-batch step with a mode of ``torch.compile``; None leaves it eager."""
        self._gradients.compile(mode)

    def save(self) -> dict[str, Any]:
        """Return everything that :meth:`load` needs to go on, as tensors and plain data."""
        state: dict[str, Any] = {
            "actor_state_dict": self.actor.state_dict(),
            "critic_state_dict": self.critic.state_dict(),
            "optimizer_state_dict": self._optimizer.state_dict(),
            "process_state": self.process_state(),
        }
        if self.rnd is not None:
            state |= self.rnd.save()
        if self.critic_warmup_iterations:
            state["critic_warmup_left"] = self._warmup_left
        return state

    def load(self, loaded_dict: dict[str, Any], load_cfg: dict[str, bool] | None = None, strict: bool = True) -> bool:
        """Take over a saved state, wholly or not at all; :attr:`load_report` says what was taken.

        The checkpoint of a distillation fills the actor with its student.

        Args:
            loaded_dict: What :meth:`save` returned, here or in an earlier release.
            load_cfg: Which parts to take: actor, critic, optimizer, iteration, rnd. None for all.
            strict: Refuse missing and unexpected keys of the models, and other shapes; otherwise those are skipped.

        Returns:
            Whether the iteration should be taken over too.

        Raises:
            ValueError: The state lacks a part or does not fit; nothing was changed.
        """
        return load_ppo(self, loaded_dict, load_cfg, strict)

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
        return construct_ppo(obs, env, cfg, device)
