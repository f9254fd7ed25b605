# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Proximal policy optimization: all of its arithmetic, in plain torch.

This is what runs, eagerly, compiled, captured and on several processes: change a line here and PPO has changed.

Legend: T steps, N environments, A actions, B samples of a mini-batch.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from tensordict import TensorDict
from torch import nn
from torch.nn import functional

from rsl_rl.algorithms.algorithm import Algorithm, Metrics
from rsl_rl.algorithms.construction import construct_actor_critic, fitting_mini_batches
from rsl_rl.compat.names import names_of
from rsl_rl.core import clamped, generalized_advantages, larger, normalized
from rsl_rl.env.finite_guard import FINAL, final_observations
from rsl_rl.extensions import Extension, RandomNetworkDistillation, Symmetry
from rsl_rl.learning import GradientStep, Optimizer
from rsl_rl.models import MLPModel
from rsl_rl.models.mlp_model import answering, answers_by_parameters, takes_samples_alone
from rsl_rl.models.symmetric import make_symmetric
from rsl_rl.modules import changed_state
from rsl_rl.storage import RolloutStorage
from rsl_rl.storage.mini_batches import Transition
from rsl_rl.utils import check_choice, takes_plain_options
from rsl_rl.utils.ranges import Count, Finite, Fraction, Limit, NonNegative, WholeNumber

# A subclass that replaces one of these may look at what a step has, or change it.
_STEPWISE = ("act", "process_env_step", "bootstrapped", "value_at_time_outs")


class PPO(Algorithm):
    """Proximal policy optimization (Schulman et al., 2017) with an adaptive learning rate.

    Per step: :meth:`act`, then :meth:`process_env_step`. Per iteration: :meth:`compute_returns`, then :meth:`update`.
    """

    actor: MLPModel
    critic: MLPModel
    storage: RolloutStorage
    gradient_step: GradientStep
    _judged_later: tuple[Any, ...] | None = None
    """Actor, critic, and what else has to be as it was for :meth:`judge` to be asked later."""
    parts_to_load = ("actor", "critic", "optimizer", "iteration", "rnd")

    @takes_plain_options
    def __init__(
        self,
        actor: MLPModel,
        critic: MLPModel,
        storage: RolloutStorage,
        num_learning_epochs: Count = 5,
        num_mini_batches: Count = 4,
        clip_param: Limit = 0.2,
        gamma: Fraction = 0.99,
        lam: Fraction = 0.95,
        value_loss_coef: NonNegative = 1.0,
        entropy_coef: Finite = 0.01,
        learning_rate: NonNegative = 1e-3,
        max_grad_norm: Limit = 1.0,
        optimizer: str = "adam",
        use_clipped_value_loss: bool = True,
        schedule: Literal["adaptive", "fixed"] = "adaptive",
        desired_kl: NonNegative | None = 0.01,
        normalize_advantage_per_mini_batch: bool = False,
        use_mixed_precision: bool = False,
        device: str = "cpu",
        rnd_cfg: dict[str, Any] | None = None,
        symmetry_cfg: dict[str, Any] | None = None,
        multi_gpu_cfg: dict | None = None,
        grad_reduce_bucket_mb: float = 25,
        share_cnn_encoders: bool = False,
        critic_warmup_iterations: WholeNumber = 0,
        shared_encoders_twice: bool = False,
        max_bad_updates: Count = 10,
    ) -> None:
        """Set up the algorithm.

        Args:
            actor: Stochastic model of the actions.
            critic: Model of the value, one output.
            storage: Rollout of T steps of N environments.
            num_learning_epochs: Passes over the rollout per iteration.
            num_mini_batches: Mini-batches per pass.
            clip_param: Clipping range of the probability ratio and of the value.
            gamma: Discount per step.
            lam: Lambda of generalized advantage estimation.
            value_loss_coef: Weight of the value loss.
            entropy_coef: Weight of the entropy bonus.
            learning_rate: Initial learning rate.
            max_grad_norm: Actor's and critic's gradients are each clipped to this norm; 0 leaves none of them.
            optimizer: adam, adamw, sgd, rmsprop, nadam, radam, adagrad, or a class such as torch.optim:Adamax.
            use_clipped_value_loss: Clip the value's change like the policy's.
            schedule: adaptive: the learning rate follows the policy's KL divergence per mini-batch.
            desired_kl: KL divergence per mini-batch, in nats, that the adaptive schedule aims at. None keeps the rate.
            normalize_advantage_per_mini_batch: Normalize advantages over each mini-batch rather than over the rollout.
            use_mixed_precision: Forward pass and loss in bfloat16.
            device: Where models and storage live.
            rnd_cfg: Random network distillation.
            symmetry_cfg: Symmetry: augmentation, mirror loss, or models that are exactly symmetric.
            multi_gpu_cfg: See :class:`rsl_rl.algorithms.algorithm.Algorithm`.
            grad_reduce_bucket_mb: Size of the buckets in which gradients are averaged over processes, in MiB.
            share_cnn_encoders: Actor and critic use the same image encoders.
            critic_warmup_iterations: First iterations, in which only the critic learns, to spare a pretrained actor.
            shared_encoders_twice: Clip and step shared encoders twice per mini-batch, as release 5.5.1 did.
            max_bad_updates: After so many mini-batches in a row without a finite loss and gradient, the last good
                parameters are restored and the learning rate is halved.

        Raises:
            ValueError: An option is out of range or not available.
        """
        check_choice("schedule", schedule, ("adaptive", "fixed"))
        self.is_recurrent = actor.is_recurrent or critic.is_recurrent
        super().__init__(device, multi_gpu_cfg)
        self.actor, self.critic = answering(actor.to(device)), critic.to(device)
        self.storage = storage  # pyright: ignore[reportIncompatibleVariableOverride] (never None here)
        self.transition = RolloutStorage.Transition()
        self.num_learning_epochs = num_learning_epochs
        self.num_mini_batches = fitting_mini_batches(storage, num_mini_batches, self.is_recurrent)
        self.clip_param = clip_param
        self.gamma, self.lam = gamma, lam
        self.value_loss_coef = value_loss_coef
        self.entropy_coef = entropy_coef
        self.max_grad_norm = max_grad_norm
        self.use_clipped_value_loss = use_clipped_value_loss
        self.schedule = schedule
        self.desired_kl = desired_kl
        self.normalize_advantage_per_mini_batch = normalize_advantage_per_mini_batch
        self.use_mixed_precision = use_mixed_precision
        self.grad_reduce_bucket_mb = grad_reduce_bucket_mb
        self.share_cnn_encoders = share_cnn_encoders
        self.critic_warmup_iterations = critic_warmup_iterations
        self.critic_warmup_left = critic_warmup_iterations
        """Iterations in which the actor does not move yet."""
        self.rnd = None if rnd_cfg is None else RandomNetworkDistillation(device=device, **rnd_cfg)
        self.symmetry = None if symmetry_cfg is None else Symmetry(**symmetry_cfg)
        if self.symmetry is not None and self.is_recurrent and self.symmetry.joins_update:
            raise ValueError(
                "symmetry_cfg needs feed-forward models for augmentation, mirror loss and its log: the hidden state of "
                "a mirror image is not known. Recurrent models can be symmetric themselves: equivariant, half_cycle."
            )
        if self.symmetry is not None and self.symmetry.is_exact:
            images = self.symmetry.images(storage.observations[0], storage.actions_shape[0])
            make_symmetric(self.actor, "actor", images, self.symmetry.half_cycle, gives_actions=True)
            make_symmetric(self.critic, "critic", images, self.symmetry.half_cycle, gives_actions=False)
        parts = (self.rnd, self.symmetry, *self.own_extensions())
        self.extensions = [part for part in parts if part is not None]
        actor_parameters, critic_parameters = list(self.actor.parameters()), list(self.critic.parameters())
        shared = set(actor_parameters) & set(critic_parameters)
        # Release 5.5.1 clipped and stepped shared encoders with the actor and once more with the critic.
        twice = shared if shared_encoders_twice else set()
        of_extensions = {extension.loss_name: extension.optimized() for extension in self.extensions}
        optimizers = [Optimizer.of(optimizer, [*actor_parameters, *critic_parameters], learning_rate)]
        self.gradient_step = GradientStep(  # pyright: ignore[reportIncompatibleVariableOverride]
            self,
            {"actor": actor_parameters, "critic": [p for p in critic_parameters if p not in shared - twice]},
            optimizers + [own for own, _ in of_extensions.values() if own is not None],
            self._world,
            max_bad_updates,
            unclipped_groups={name: group for name, (_, group) in of_extensions.items() if group},
            stepped_twice=twice,
        )
        is_own = all(getattr(type(self), name) is getattr(PPO, name) for name in _STEPWISE)
        if is_own and answers_by_parameters(self.actor):
            self._judged_later = (self.actor, self.critic, RolloutStorage, Transition, False)
        self._values_later = takes_samples_alone(self.critic)

    def own_extensions(self) -> list[Extension]:
        """Return what a subclass adds to every update; asked once, before the first."""
        return []

    def asked_every_step(self) -> list[nn.Module]:  # noqa: D102
        is_asked_later = self._judged_later is not None and self._values_later
        return [self.actor] if is_asked_later else [self.actor, self.critic]

    @torch.no_grad()
    def act(self, obs: TensorDict) -> torch.Tensor:
        """Return sampled actions [N, A] for observation groups [N, ...], and keep what the update will need."""
        transition, has_own_rule = self.transition, "value_at_time_outs" in vars(self)
        now = (self.actor, self.critic, type(self.storage), type(transition), has_own_rule)
        if is_later := now == self._judged_later:
            # What only learning needs is computed for many steps at once, unless somebody asks for it before.
            transition.clear()
            transition.judge, self.storage.num_parts = self.judge, self.num_mini_batches
        if self.is_recurrent:
            transition.hidden_states = (self.actor.get_hidden_state(), self.critic.get_hidden_state())
        transition.observations = self.storage.record_observations(obs)
        transition.actions = self.actor(obs, stochastic_output=True)
        transition.distribution_params = self.actor.output_distribution_params
        if not (is_later and self._values_later):
            transition.values = self.critic(obs)
        if not is_later:
            transition.actions_log_prob = self.actor.get_output_log_prob(transition.actions)
        return transition.actions

    @torch.no_grad()
    def judge(self, steps: RolloutStorage.Transition) -> None:
        """Fill in what a transition lacks; a part of a rollout comes as one transition."""
        if "values" not in vars(steps):
            steps.values = self.critic(steps.observations)
        policy = self.actor._require_distribution().value_of(*steps.distribution_params)
        steps.actions_log_prob = policy.log_prob(steps.actions)
        if steps.time_outs is not None:
            current, self.transition = self.transition, steps
            try:
                steps.rewards = self.bootstrapped(steps.rewards, {"time_outs": steps.time_outs})
            finally:
                self.transition = current

    @torch.no_grad()
    def process_env_step(
        self, obs: TensorDict, rewards: torch.Tensor, dones: torch.Tensor, extras: Mapping[str, Any]
    ) -> None:
        """Store the outcome of the actions chosen last: rewards [N], and dones [N], non-zero where an episode ended.

        Of the ``extras``, see :class:`rsl_rl.env.VecEnv`, ``time_outs``, ``final_obs`` and ``terminal`` are used.
        """
        for extension in self.extensions:
            intrinsic_rewards = extension.intrinsic_rewards(obs)
            if intrinsic_rewards is not None:
                self.intrinsic_rewards, rewards = intrinsic_rewards, rewards + intrinsic_rewards
        if "time_outs" in extras:
            if "values" not in vars(self.transition) and FINAL.isdisjoint(extras.keys()):  # to be computed later
                self.transition.time_outs = torch.as_tensor(extras["time_outs"], device=self.device)
            else:
                rewards = self.bootstrapped(rewards, extras)
        self.transition.rewards, self.transition.dones = rewards, dones
        self.storage.add_transition(self.transition)
        self.transition.clear()
        self.actor.reset(dones)
        self.critic.reset(dones)

    def bootstrapped(self, rewards: torch.Tensor, extras: Mapping[str, Any]) -> torch.Tensor:
        """Return the rewards [N] of a step with those that the time limit cut off, estimated."""
        return rewards + self.gamma * self.value_at_time_outs(extras)

    def value_at_time_outs(self, extras: Mapping[str, Any]) -> torch.Tensor:
        """Return the value [N] of what would have come after episodes that the time limit cut off, 0 elsewhere.

        A time limit is not a property of the state, so what would have come after it is estimated (Pardo et al., "Time
        Limits in Reinforcement Learning", 2018): from the true last observation where the environment gives it, else
        from the observation before.
        """
        time_outs_N = torch.as_tensor(extras["time_outs"], device=self.device).bool().view(-1)
        values_N = self.transition.values.view(-1)
        env_ids = final_obs = None
        if not FINAL.isdisjoint(extras.keys()):
            env_ids, final_obs = final_observations(extras, self.device, self.transition.observations)
        if final_obs is not None and self._critic_can_see(final_obs):
            final_values = self._value_without_memory(final_obs, env_ids).view(-1)
            values_N = final_values if env_ids is None else values_N.index_copy(0, env_ids, final_values)
        # Not a product: rows of environments that are not done may hold anything, also NaN.
        return torch.where(time_outs_N, values_N, 0.0)

    @torch.no_grad()
    def compute_returns(self, obs: TensorDict) -> None:
        """Compute advantages and returns of the rollout; ``obs`` holds the groups [N, ...] after its last step."""
        storage = self.storage
        last_values = self._value_without_memory(obs)
        generalized_advantages(
            storage.rewards, storage.values, storage.dones, last_values, self.gamma, self.lam, out=storage.advantages
        )
        torch.add(storage.advantages, storage.values, out=storage.returns)
        if storage.left_out is not None:
            storage.refill()
        if not self.normalize_advantage_per_mini_batch:
            storage.advantages.copy_(normalized(storage.advantages, self._pooled_moments))

    def _value_without_memory(
        self, obs: Mapping[str, torch.Tensor], env_ids: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the value [k, 1] of observations [k, ...] without moving the critic's hidden state.

        ``env_ids`` [k] are the environments they come from; None for all.
        """
        if not self.is_recurrent:
            return self.critic(obs)
        hidden_state = self.critic.get_hidden_state()
        if env_ids is not None:
            self.critic.reset(None, changed_state(hidden_state, lambda state: state[:, env_ids]))
        values = self.critic(obs)
        self.critic.reset(None, hidden_state)
        return values

    def _critic_can_see(self, obs: Mapping[str, torch.Tensor]) -> bool:
        needed = [*self.critic.obs_groups, *getattr(self.critic, "obs_groups_2d", ())]
        missing = [group for group in needed if group not in obs.keys()]  # noqa: SIM118 (a TensorDict)
        if missing:
            warnings.warn(
                f"The environment's final observations lack the critic's groups {missing}: time-outs are bootstrapped "
                "from the observation before instead.",
                stacklevel=4,
            )
        return not missing

    def update(self) -> dict[str, float]:
        """Learn from the rollout and empty it; return its mean losses by name, those of extensions included."""
        in_warmup = self.critic_warmup_left > 0
        step, rows = self.gradient_step.begin(frozen=self.actor.parameters() if in_warmup else ()), []
        storage = self.storage
        generator = storage.recurrent_mini_batch_generator if self.is_recurrent else storage.mini_batch_generator
        for batch in generator(self.num_mini_batches, self.num_learning_epochs):
            if self.normalize_advantage_per_mini_batch:
                batch = dataclasses.replace(batch, advantages=normalized(batch.advantages, self._pooled_moments))
            rows.append(step(batch))

        if in_warmup:
            self.critic_warmup_left -= 1
        else:
            self.actor.update_normalization(storage.observations)
        for learner in (self.critic, *self.extensions):
            learner.update_normalization(storage.observations)
        storage.clear()
        return self.conclude_update(rows)

    def loss(self, batch: RolloutStorage.Batch) -> tuple[torch.Tensor, Metrics]:
        """Return the loss of a mini-batch, a mean over its samples, and what is logged of it."""
        batch, num_samples = dataclasses.replace(batch), len(batch.actions)
        for extension in self.extensions:
            extension.prepare_batch(batch)  # may append samples, which come last
        with self.autocast():
            policy = self.actor.output_distribution(batch.observations, batch.masks, batch.hidden_states[0])
            value = self.critic(batch.observations, batch.masks, batch.hidden_states[1])

            ratio = torch.exp(policy.log_prob(batch.actions) - batch.old_actions_log_prob.squeeze(-1))
            disadvantage = -batch.advantages.squeeze(-1)
            clipped_ratio = clamped(ratio, 1.0 - self.clip_param, 1.0 + self.clip_param)
            surrogate = larger(disadvantage * ratio, disadvantage * clipped_ratio).mean()

            value_error = functional.mse_loss(value, batch.returns, reduction="none")
            if self.use_clipped_value_loss:
                clipped_value = batch.values + clamped(value - batch.values, -self.clip_param, self.clip_param)
                clipped_error = functional.mse_loss(clipped_value, batch.returns, reduction="none")
                value_error = larger(value_error, clipped_error)
            value_loss = value_error.mean()

            entropy = policy.entropy[:num_samples].mean()
            total = surrogate + self.value_loss_coef * value_loss - self.entropy_coef * entropy
            metrics = {"value": value_loss, "surrogate": surrogate, "entropy": entropy}
            for extension in self.extensions:
                own = extension.batch_loss(self.actor, batch, num_samples, policy)
                total = total if own.added is None else total + own.added
                metrics |= own.metrics(extension.loss_name)
        with torch.no_grad():
            new_params = tuple(param[:num_samples] for param in policy.params)
            metrics["Update/kl"] = self.actor.get_kl_divergence(batch.old_distribution_params, new_params).mean()
            metrics["Update/clipped"] = (clipped_ratio != ratio)[:num_samples].mean(dtype=torch.float32)
        return total, {name: metric.detach() for name, metric in metrics.items()}

    def adapt_learning_rate(self, rate: torch.Tensor, metrics: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Lower the rate where the policy moved more than twice as far as desired, raise it below half of that."""
        if self.schedule != "adaptive" or self.desired_kl is None or self.critic_warmup_left > 0:
            return rate  # In the warm-up the actor does not move; what looks like divergence is rounding.
        kl = metrics["Update/kl"]
        lower, higher = (rate / 1.5).clamp(min=1e-5), (rate * 1.5).clamp(max=1e-2)
        raised = torch.where((kl > 0.0) & (kl < self.desired_kl / 2.0), higher, rate)
        return torch.where(kl > self.desired_kl * 2.0, lower, raised)

    def get_policy(self) -> MLPModel:
        """Return the model that acts."""
        return self.actor

    def log_arguments(self) -> dict[str, Any]:  # noqa: D102
        return super().log_arguments() | {"rnd_weight": None if self.rnd is None else self.rnd.weight}

    def translated(self, document: dict[str, Any], wanted: dict[str, bool]) -> tuple[dict[str, Any], dict[str, bool]]:
        """Let the checkpoint of a distillation fill the actor with its student, and nothing else."""
        if "student_state_dict" in document and "actor_state_dict" not in document:
            document = {"actor_state_dict": document["student_state_dict"]}
            wanted = dict.fromkeys(wanted, False) | {"actor": wanted["actor"]}
        return document, wanted

    def load(self, loaded_dict: dict[str, Any], load_cfg: dict[str, bool] | None = None, strict: bool = True) -> bool:
        """Take over a saved state, see :meth:`Algorithm.load`; parts: actor, critic, optimizer, iteration, rnd."""
        takes_iteration = super().load(loaded_dict, load_cfg, strict)
        # A warm-up is progress of the critic, not of the run: one that was not taken over still needs its own.
        warmup_left = self._before_load[1].pop("critic_warmup_left", self.critic_warmup_left)
        if "critic: taken" not in self.load_report:
            self.critic_warmup_left = int(warmup_left)
        if self.rnd is None and "rnd_state_dict" in loaded_dict:
            self.load_report.append("rnd: not taken, this run has none")
        return takes_iteration

    construct_algorithm: Callable[..., PPO] = staticmethod(construct_actor_critic)


__getattr__ = names_of(__name__)
