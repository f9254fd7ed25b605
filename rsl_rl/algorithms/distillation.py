# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Distillation of a teacher, which may see more than a robot does, into a student that can be deployed.

Legend: T steps, N environments, A actions.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from tensordict import TensorDict
from torch import nn
from torch.nn import functional

from rsl_rl.algorithms.algorithm import Algorithm
from rsl_rl.algorithms.construction import construct_distillation, load_parts, wanted_parts
from rsl_rl.algorithms.guarded_update import GuardedUpdate
from rsl_rl.checkpoint import modernize
from rsl_rl.env import VecEnv
from rsl_rl.models import MLPModel
from rsl_rl.modules import HiddenState
from rsl_rl.storage import RolloutStorage
from rsl_rl.utils import check_compile_mode, compile_model, did_you_mean, listed, without_gradient

_LOSSES = {"mse": functional.mse_loss, "huber": functional.huber_loss}


class Distillation(Algorithm):
    """Behaviour cloning on the student's own rollouts (DAgger: Ross et al., "A Reduction of Imitation Learning", 2011).

    The student acts, the teacher says what it would have done. A recurrent student learns through time.
    """

    student: MLPModel
    teacher: MLPModel

    def __init__(
        self,
        student: MLPModel,
        teacher: MLPModel,
        storage: RolloutStorage,
        num_learning_epochs: int = 1,
        gradient_length: int = 15,
        learning_rate: float = 1e-3,
        max_grad_norm: float | None = None,
        loss_type: str = "mse",
        optimizer: str = "adam",
        use_mixed_precision: bool = False,
        device: str = "cpu",
        multi_gpu_cfg: dict | None = None,
        grad_reduce_bucket_mb: float = 25,
        max_bad_updates: int = 10,
        **kwargs: Any,
    ) -> None:
        """Set up the algorithm; the options are described in :class:`rsl_rl.config.DistillationConfig`.

        Args:
            student: Model that acts and learns.
            teacher: Model whose actions are learned; it is not changed.
            storage: Rollout of T steps of N environments, of the training type ``"distillation"``.
            device: Where models and storage live.
            multi_gpu_cfg: See :class:`rsl_rl.algorithms.algorithm.Algorithm`.
            **kwargs: Options of other algorithms are accepted and have no effect.

        Raises:
            ValueError: An option is out of range or not available.
        """
        for name in ("rnd_cfg", "symmetry_cfg"):
            if kwargs.get(name) is not None:
                raise ValueError(f"Distillation takes no '{name}': set it to None.")
        own = inspect.signature(Distillation).parameters
        for name in kwargs:
            if hint := did_you_mean(name, own, cutoff=0.85):
                warnings.warn(f"Distillation ignores the option '{name}'.{hint}", stacklevel=2)
        if loss_type not in _LOSSES:
            hint = did_you_mean(loss_type, _LOSSES)
            raise ValueError(f"Unknown loss_type {loss_type!r}.{hint} Valid: {listed(_LOSSES)}.")
        if num_learning_epochs < 1 or gradient_length < 1:
            raise ValueError("num_learning_epochs and gradient_length must be at least 1.")
        self.student = student.to(device)
        self.teacher = teacher.to(device)
        super().__init__(
            storage, self.student.parameters(), optimizer, learning_rate, use_mixed_precision, device, multi_gpu_cfg
        )
        self.teacher_loaded = False
        """Whether the teacher's weights were taken over from a checkpoint."""
        self.num_learning_epochs = num_learning_epochs
        self.gradient_length = gradient_length
        self.max_grad_norm = max_grad_norm
        self.loss_type = loss_type
        self.grad_reduce_bucket_mb = grad_reduce_bucket_mb
        self._loss = _LOSSES[loss_type]
        groups = {"student": list(self.student.parameters())}
        self._update_steps = GuardedUpdate(
            self._optimizer, groups, [self.student], num_losses=1, max_bad_updates=max_bad_updates, world=self._world
        )
        self._first_hidden_state: HiddenState = None

    # -- rollout -------------------------------------------------------------------------------------------------------

    @without_gradient
    def act(self, obs: TensorDict) -> torch.Tensor:
        """Let the student choose actions, and ask the teacher.

        Args:
            obs: Observation groups, each [N, ...].

        Returns:
            The student's actions [N, A].
        """
        if self.storage.step == 0:
            self._first_hidden_state = self.student.get_hidden_state()
        self.transition.observations = self.storage.record_observations(obs)
        self.transition.actions = self.student(obs, stochastic_output=True).detach()
        self.transition.privileged_actions = self.teacher(obs).detach()
        return self.transition.actions  # type: ignore[return-value]

    def process_env_step(
        self, obs: TensorDict, rewards: torch.Tensor, dones: torch.Tensor, extras: Mapping[str, Any]
    ) -> None:
        """Store the outcome of the actions chosen last.

        Args:
            obs: Observation groups after the step, each [N, ...].
            rewards: [N], only kept.
            dones: [N], non-zero where an episode ended.
            extras: See :class:`rsl_rl.env.VecEnv`.
        """
        self.transition.rewards = rewards
        self.transition.dones = dones
        self.storage.add_transition(self.transition)
        self.transition.clear()
        self.student.reset(dones)
        self.teacher.reset(dones)

    def compute_returns(self, obs: TensorDict) -> None:
        """Make the rollout ready to learn from; distillation needs no returns."""
        self.storage.refill()

    # -- update --------------------------------------------------------------------------------------------------------

    def update(self) -> dict[str, float]:
        """Learn from the rollout, step by step in time, and empty it.

        The loss is summed over ``gradient_length`` steps before the optimizer steps; what is left at the end of the
        rollout is learned from as well.

        Returns:
            Mean loss over all steps: behavior.
        """
        self._update_steps.begin()
        num_steps = self.storage.num_transitions_per_env
        loss = torch.zeros((), device=self.device)
        for _ in range(self.num_learning_epochs):
            self.student.reset(hidden_state=_copied(self._first_hidden_state))
            for step, batch in enumerate(self.storage.generator(), start=1):
                with self._autocast():
                    actions = self.student(batch.observations)
                    loss = loss + self._loss(actions, batch.privileged_actions)
                if step % self.gradient_length == 0 or step == num_steps:
                    is_bad, _, row = self._update_steps.collect(self._update_steps.backward(loss))
                    self._update_steps.record(row)
                    self._update_steps.step(is_bad, {"student": self.max_grad_norm})
                    self.student.detach_hidden_state()
                    loss = torch.zeros((), device=self.device)
                self.student.reset(batch.dones.view(-1))  # type: ignore[union-attr]
        self.student.update_normalization(self.storage.observations)
        self.storage.clear()
        (loss_per_gradient,) = self._conclude_update()
        return {"behavior": loss_per_gradient * math.ceil(num_steps / self.gradient_length) / num_steps}

    # -- modes, state, construction ------------------------------------------------------------------------------------

    def train_mode(self) -> None:
        """Put the student into training mode; the teacher never learns, nor do its statistics."""
        self.student.train()
        self.teacher.eval()

    def eval_mode(self) -> None:
        """Put the models into evaluation mode."""
        self.student.eval()
        self.teacher.eval()

    def _models(self) -> Iterator[nn.Module]:
        yield from (self.student, self.teacher)

    def get_policy(self) -> MLPModel:
        """Return the model that acts."""
        return self.student

    def compile(self, mode: str | None = None) -> None:
        """Compile the models with a mode of ``torch.compile``; None leaves them eager."""
        check_compile_mode(mode)
        compile_model(self.student, mode)
        compile_model(self.teacher, mode)

    def save(self) -> dict[str, Any]:
        """Return everything that :meth:`load` needs to go on, as tensors and plain data."""
        return {
            "student_state_dict": self.student.state_dict(),
            "teacher_state_dict": self.teacher.state_dict(),
            "optimizer_state_dict": self._optimizer.state_dict(),
            "process_state": self.process_state(),
        }

    def load(self, loaded_dict: dict[str, Any], load_cfg: dict[str, bool] | None = None, strict: bool = True) -> bool:
        """Take over a saved state, wholly or not at all; :attr:`load_report` says what was taken.

        The checkpoint of a PPO training fills the teacher with its actor and nothing else.

        Args:
            loaded_dict: What :meth:`save`, or that of PPO, returned, here or in an earlier release.
            load_cfg: Which parts to take: student, teacher, optimizer, iteration. None for all.
            strict: Refuse missing and unexpected keys of the models, and other shapes; otherwise those are skipped.

        Returns:
            Whether the iteration should be taken over too.

        Raises:
            ValueError: The state lacks a part or does not fit; nothing was changed.
        """
        loaded_dict = modernize(loaded_dict)
        parts = wanted_parts(load_cfg, ("student", "teacher", "optimizer", "iteration"))
        loaded_dict = modernize(loaded_dict, {"student": self.student, "teacher": self.teacher})
        if "actor_state_dict" in loaded_dict:
            actor = loaded_dict["actor_state_dict"]
            if self.teacher.distribution is None:  # A teacher does not explore.
                actor = {key: value for key, value in actor.items() if not key.startswith("distribution.")}
            loaded_dict = {"teacher_state_dict": actor}
            parts = dict.fromkeys(parts, False) | {"teacher": True}
        models: dict[str, nn.Module] = {"student": self.student, "teacher": self.teacher}
        wanted = {name: model for name, model in models.items() if parts[name]}
        self.load_report = load_parts(loaded_dict, wanted, self._optimizer if parts["optimizer"] else None, strict)
        self.load_report += [f"{part}: not taken" for part in parts if not parts[part]]
        self.teacher_loaded |= parts["teacher"]
        self._conclude_load(loaded_dict, resumes=parts["iteration"])
        return parts["iteration"]

    @staticmethod
    def construct_algorithm(obs: TensorDict, env: VecEnv, cfg: dict[str, Any], device: str) -> Distillation:
        """Build models, storage and algorithm from a runner's configuration, which is not changed.

        Args:
            obs: Example observation groups of the environment.
            env: The environment.
            cfg: Configuration with the sections algorithm, student, teacher and obs_groups.
            device: Where to learn.

        Raises:
            ValueError, TypeError: The configuration is wrong; says where.
        """
        return construct_distillation(obs, env, cfg, device)


def _copied(hidden_state: HiddenState) -> HiddenState:
    """Return a copy that may be learned through; states of a rollout were made in inference mode."""
    if isinstance(hidden_state, tuple):
        return hidden_state[0].detach().clone(), hidden_state[1].detach().clone()
    return None if hidden_state is None else hidden_state.detach().clone()
