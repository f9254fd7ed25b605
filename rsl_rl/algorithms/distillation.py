# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Distillation of a teacher, which may see more than a robot does, into a student that can be deployed.

Legend: T steps, N environments, A actions.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from tensordict import TensorDict
from torch.nn import functional

from rsl_rl.algorithms.algorithm import Algorithm, Metrics
from rsl_rl.algorithms.construction import construct_student_teacher
from rsl_rl.compat.names import names_of
from rsl_rl.extensions import Symmetry
from rsl_rl.learning import GradientStep, Optimizer
from rsl_rl.models import MLPModel
from rsl_rl.models.mlp_model import takes_samples_alone
from rsl_rl.models.symmetric import make_symmetric
from rsl_rl.modules import HiddenState, changed_state
from rsl_rl.storage import RolloutStorage
from rsl_rl.storage.mini_batches import Transition
from rsl_rl.utils import check_choice, did_you_mean, takes_plain_options
from rsl_rl.utils.ranges import Count, Limit, NonNegative

_LOSSES = {"mse": functional.mse_loss, "huber": functional.huber_loss}


class Distillation(Algorithm):
    """Behaviour cloning on the student's own rollouts (DAgger: Ross et al., "A Reduction of Imitation Learning", 2011).

    The student acts, the teacher says what it would have done. A recurrent student learns through time.
    """

    student: MLPModel
    teacher: MLPModel
    storage: RolloutStorage
    gradient_step: GradientStep
    _asked_later: tuple[Any, ...] | None = None
    """Teacher, and what else has to be as it was for :meth:`judge` to be asked later."""
    parts_to_load = ("student", "teacher", "optimizer", "iteration")
    counters = ("num_updates",)

    @takes_plain_options
    def __init__(
        self,
        student: MLPModel,
        teacher: MLPModel,
        storage: RolloutStorage,
        num_learning_epochs: Count = 1,
        gradient_length: Count = 15,
        learning_rate: NonNegative = 1e-3,
        max_grad_norm: Limit | None = None,
        loss_type: Literal["mse", "huber"] = "mse",
        optimizer: str = "adam",
        use_mixed_precision: bool = False,
        device: str = "cpu",
        multi_gpu_cfg: dict | None = None,
        grad_reduce_bucket_mb: float = 25,
        max_bad_updates: Count = 10,
        symmetry_cfg: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Set up the algorithm.

        Args:
            student: Model that acts and learns.
            teacher: Model whose actions are learned; it is not changed.
            storage: Rollout of T steps of N environments, of the training type ``"distillation"``.
            num_learning_epochs: Passes over the rollout per iteration.
            gradient_length: Steps in time over which the loss is summed, and through which a recurrent student learns.
            learning_rate: Learning rate.
            max_grad_norm: The student's gradient is clipped to this norm; None or 0 for no clipping.
            loss_type: How the difference of the actions is measured.
            optimizer: adam, adamw, sgd, rmsprop, nadam, radam, adagrad, or a class such as torch.optim:Adamax.
            use_mixed_precision: Forward pass and loss in bfloat16.
            device: Where models and storage live.
            multi_gpu_cfg: See :class:`rsl_rl.algorithms.algorithm.Algorithm`.
            grad_reduce_bucket_mb: Size of the buckets in which gradients are averaged over processes, in MiB.
            max_bad_updates: As for PPO.
            symmetry_cfg: Makes student and teacher exactly symmetric; needed where the teacher was trained that way.
            **kwargs: Options of other algorithms are accepted and have no effect.

        Raises:
            ValueError: An option is out of range or not available.
        """
        if kwargs.get("rnd_cfg") is not None:
            raise ValueError("Distillation takes no 'rnd_cfg': set it to None.")
        own = inspect.signature(Distillation).parameters
        for name in kwargs:
            if hint := did_you_mean(name, own, cutoff=0.85):
                warnings.warn(f"Distillation ignores the option '{name}'.{hint}", stacklevel=2)
        check_choice("loss_type", loss_type, _LOSSES)
        super().__init__(device, multi_gpu_cfg)
        self.student, self.teacher = student.to(device), teacher.to(device)
        self.storage = storage  # pyright: ignore[reportIncompatibleVariableOverride] (never None here)
        self.transition = RolloutStorage.Transition()
        self.symmetry = None if symmetry_cfg is None else Symmetry(**symmetry_cfg)
        if self.symmetry is not None:
            if self.symmetry.joins_update:
                raise ValueError("The symmetry_cfg of a distillation needs equivariant or half_cycle, and no loss.")
            images = self.symmetry.images(storage.observations[0], storage.actions_shape[0])
            for name, model in (("student", self.student), ("teacher", self.teacher)):
                make_symmetric(model, name, images, self.symmetry.half_cycle, gives_actions=True)
        self.teacher_loaded = False
        """Whether the teacher's weights were taken over from a checkpoint."""
        self.num_learning_epochs = num_learning_epochs
        self.gradient_length = gradient_length
        self.max_grad_norm = max_grad_norm or None  # 0 as in release 5.5.1
        self.loss_type = loss_type
        self.loss_fn = _LOSSES[loss_type]
        self.use_mixed_precision = use_mixed_precision
        self.grad_reduce_bucket_mb = grad_reduce_bucket_mb
        parameters = list(self.student.parameters())
        optimizers = [Optimizer.of(optimizer, parameters, learning_rate)]
        self.gradient_step = GradientStep(  # pyright: ignore[reportIncompatibleVariableOverride]
            self, {"student": parameters}, optimizers, self._world, max_bad_updates
        )
        is_own = all(getattr(type(self), name) is getattr(Distillation, name) for name in ("act", "process_env_step"))
        if is_own and takes_samples_alone(self.teacher):
            self._asked_later = (self.teacher, RolloutStorage, Transition)
        self._first_hidden_state: HiddenState = None
        self.num_updates = 0
        """Updates made."""

    @property
    def last_hidden_states(self) -> tuple[HiddenState, HiddenState]:
        """What student and teacher remember."""
        return self.student.get_hidden_state(), self.teacher.get_hidden_state()

    @torch.no_grad()
    def act(self, obs: TensorDict) -> torch.Tensor:
        """Return the student's actions [N, A] for observation groups [N, ...], and ask the teacher."""
        transition, storage = self.transition, self.storage
        is_later = (self.teacher, type(storage), type(transition)) == self._asked_later
        if is_later:
            transition.clear()
            transition.judge = self.judge
            storage.num_parts = math.ceil(storage.num_transitions_per_env / self.gradient_length)
        if storage.step == 0:
            self._first_hidden_state = self.student.get_hidden_state()
        transition.observations = storage.record_observations(obs)
        transition.actions = self.student(obs, stochastic_output=True)
        if not is_later:
            transition.privileged_actions = self.teacher(obs)
        return transition.actions

    @torch.no_grad()
    def judge(self, steps: RolloutStorage.Transition) -> None:
        """Let the teacher say what it would have done; a part of a rollout comes as one transition."""
        steps.privileged_actions = self.teacher(steps.observations)

    def process_env_step(
        self, obs: TensorDict, rewards: torch.Tensor, dones: torch.Tensor, extras: Mapping[str, Any]
    ) -> None:
        """Store the outcome of the actions chosen last: rewards [N], and dones [N], non-zero where an episode ended."""
        self.transition.rewards, self.transition.dones = rewards, dones
        self.storage.add_transition(self.transition)
        self.transition.clear()
        self.student.reset(dones)
        self.teacher.reset(dones)

    def compute_returns(self, obs: TensorDict) -> None:
        """Make the rollout ready to learn from; distillation needs no returns."""
        self.storage.refill()

    def update(self) -> dict[str, float]:
        """Learn from the rollout, step by step in time, and empty it; return the mean loss over all steps: behavior.

        The loss is summed over ``gradient_length`` steps before the optimizer steps, at the end over those left.
        """
        step, rows = self.gradient_step.begin(), []
        for _ in range(self.num_learning_epochs):
            # A copy may be learned through: states of a rollout were made in inference mode.
            hidden_state = changed_state(self._first_hidden_state, lambda state: state.detach().clone())
            for chunk in self.storage.chunk_generator(self.gradient_length):
                rows.append(step(dataclasses.replace(chunk, hidden_states=(hidden_state, None))))
                self.student.detach_hidden_state()
                hidden_state = self.student.get_hidden_state()
        self.num_updates += 1
        self.student.update_normalization(self.storage.observations)
        self.storage.clear()
        num_steps = self.storage.num_transitions_per_env
        loss_per_chunk = self.conclude_update(rows)["behavior"]
        return {"behavior": loss_per_chunk * math.ceil(num_steps / self.gradient_length) / num_steps}

    def loss(self, batch: RolloutStorage.Batch) -> tuple[torch.Tensor, Metrics]:
        """Return the loss of some consecutive steps of all environments, summed over the steps."""
        if takes_samples_alone(self.student) and self.loss_fn in _LOSSES.values():
            with self.autocast():
                # A mean over all steps, which are of one size.
                steps = batch.map(lambda steps: steps.flatten(0, 1))
                total = self.loss_fn(self.student(steps.observations), steps.privileged_actions) * len(batch.actions)
            return total, {"behavior": total.detach()}
        self.student.reset(None, batch.hidden_states[0])
        total = torch.zeros((), device=self.device)
        for obs, wanted, dones in zip(batch.observations, batch.privileged_actions, batch.dones, strict=True):
            with self.autocast():
                total = total + self.loss_fn(self.student(obs), wanted)
            self.student.reset(dones.view(-1))
        return total, {"behavior": total.detach()}

    def check_ready(self) -> None:  # noqa: D102
        if not self.teacher_loaded:
            raise ValueError(
                "The teacher has no weights: load a checkpoint of its training first, with runner.load(path) or the "
                "configuration key 'teacher_checkpoint'."
            )

    def train_mode(self) -> None:
        """Put the student into training mode; the teacher never learns, nor do its statistics."""
        self.student.train()
        self.teacher.eval()

    def get_policy(self) -> MLPModel:
        """Return the model that acts."""
        return self.student

    def translated(self, document: dict[str, Any], wanted: dict[str, bool]) -> tuple[dict[str, Any], dict[str, bool]]:
        """Let the checkpoint of a PPO training fill the teacher with its actor, and nothing else."""
        if "actor_state_dict" in document:
            actor = document["actor_state_dict"]
            if self.symmetry is None and _was_symmetric(document):
                warnings.warn(
                    "The teacher was trained with a symmetry_cfg that made it symmetric, and acts otherwise without. "
                    "Give the section 'algorithm' of the distillation the same symmetry_cfg.",
                    stacklevel=4,
                )
            if self.teacher.distribution is None:  # A teacher does not explore.
                actor = {key: value for key, value in actor.items() if not key.startswith("distribution.")}
            document, wanted = {"teacher_state_dict": actor}, dict.fromkeys(wanted, False) | {"teacher": True}
        return document, wanted

    def load(self, loaded_dict: dict[str, Any], load_cfg: dict[str, bool] | None = None, strict: bool = True) -> bool:
        """Take over a saved state, see :meth:`Algorithm.load`; parts: student, teacher, optimizer, iteration."""
        takes_iteration = super().load(loaded_dict, load_cfg, strict)
        self.teacher_loaded |= any(line.startswith("teacher: taken") for line in self.load_report)
        return takes_iteration

    construct_algorithm: Callable[..., Distillation] = staticmethod(construct_student_teacher)


def _was_symmetric(document: Mapping[str, Any]) -> bool:
    """Return whether the configuration in a checkpoint says that the models of its run were exactly symmetric."""
    section: Any = document
    for name in ("config", "algorithm", "symmetry_cfg"):
        section = section.get(name) if isinstance(section, Mapping) else None
    return isinstance(section, Mapping) and bool(section.get("equivariant") or section.get("half_cycle"))


__getattr__ = names_of(__name__)
