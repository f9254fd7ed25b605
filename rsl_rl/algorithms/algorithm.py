# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The interface between a runner and an algorithm; a runner uses nothing else.

Legend: T steps, N environments, A actions.
"""

from __future__ import annotations

import copy
import functools
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from tensordict import TensorDict
from torch import nn

from rsl_rl.algorithms.state import asked_for_by, load_parts, wanted_parts
from rsl_rl.checkpoint import random_state, restore_random_state
from rsl_rl.compat.checkpoints import modernize
from rsl_rl.compat.names import RawModels
from rsl_rl.distributed import SOLO, World, current, on_host, reduce_gradients_in_buckets
from rsl_rl.env import VecEnv
from rsl_rl.extensions import Extension
from rsl_rl.learning import GradientStep, Optimizer
from rsl_rl.learning.capture import device_clock
from rsl_rl.models import MLPModel
from rsl_rl.modules import changed_state
from rsl_rl.storage import RolloutStorage

Metrics = dict[str, torch.Tensor]
"""Scalars without gradient by name. A name with a slash is a tag of its own, others are logged as ``Loss/<name>``."""


class Stateful(Protocol):
    """Anything that can be saved and loaded."""

    def state_dict(self) -> dict[str, Any]: ...  # noqa: D102
    def load_state_dict(self, state: Any, /) -> Any: ...  # noqa: D102


def is_stateful(value: Any) -> bool:
    """Return whether something can be saved and loaded."""
    return callable(getattr(value, "state_dict", None)) and callable(getattr(value, "load_state_dict", None))


class Algorithm(RawModels, ABC):
    """What a runner asks of an algorithm.

    A new algorithm implements :meth:`construct_algorithm`, :meth:`act`, :meth:`process_env_step`, :meth:`update` and
    :meth:`get_policy`; everything else has a default. Attributes with ``state_dict`` and ``load_state_dict`` (modules,
    optimizers, schedules) and plain numbers that change are saved and resumed without being listed anywhere.
    """

    gradient_step: GradientStep | None = None
    """Applies :meth:`loss` to mini-batches; None for an algorithm with a way of its own."""
    extensions: list[Extension] = []  # noqa: RUF012 (replaced, never changed)
    """Optional pieces that join the update."""
    storage: RolloutStorage | None = None
    """The rollout; None for an algorithm that keeps its experience otherwise."""
    intrinsic_rewards: torch.Tensor | None = None
    """Rewards that the algorithm added to those of the last step, [N]; None without any."""
    counters: tuple[str, ...] = ()
    """Names of plain integers that no loss reads: a captured step stays valid when they change."""
    metrics: Mapping[str, float] = {}
    """What the last update measured beside its losses, by tag."""
    load_report: list[str] = []  # noqa: RUF012 (replaced, never changed)
    """What the last load took, skipped or reset, one line each."""
    parts_to_load: tuple[str, ...] = ()
    """Names that the ``load_cfg`` of :meth:`load` may hold; empty for those of all parts."""
    max_grad_norm: float | None = None
    """Gradients of a group are clipped to this norm; None for no clipping."""
    use_mixed_precision: bool = False
    """Whether forward passes and losses are computed in bfloat16."""
    grad_reduce_bucket_mb: float = 25.0
    device: str = "cpu"

    _optimizer: Optimizer
    _world: World = SOLO
    _initial_numbers: Mapping[str, float] = {}
    _to_resume: Mapping[str, Any] | None = None
    _before_load: tuple[dict[str, Any], dict[str, float]] = ({}, {})
    """Schedules and numbers from before a checkpoint was loaded, for a run that does not go on with its progress."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let constructors note the plain numbers that they leave: those that change later belong to the progress."""
        super().__init_subclass__(**kwargs)
        constructor = cls.__init__

        @functools.wraps(constructor)
        def noting_numbers(self: Any, *args: Any, **kwargs: Any) -> None:
            constructor(self, *args, **kwargs)
            self._initial_numbers = self._numbers()

        if "__init__" in vars(cls):
            cls.__init__ = noting_numbers  # type: ignore[method-assign]

    def __init__(self, device: str = "cpu", multi_gpu_cfg: dict | None = None) -> None:
        """Set up the common parts.

        Args:
            device: Where models and experience live.
            multi_gpu_cfg: ``{"global_rank": ..., "local_rank": ..., "world_size": ...}``; None for a single process.
        """
        self.device = device
        self._world = SOLO if multi_gpu_cfg is None else current()
        self._pooled_moments = None if self._world.size == 1 else self._world.pooled_moments
        # Read by the updates of user subclasses.
        self.is_multi_gpu = self._world.size > 1
        self.gpu_global_rank, self.gpu_world_size = self._world.rank, self._world.size

    @staticmethod
    @abstractmethod
    def construct_algorithm(obs: TensorDict, env: VecEnv, cfg: dict[str, Any], device: str) -> Algorithm:
        """Build models, storage and algorithm from a runner's configuration, which is not changed."""

    @abstractmethod
    def act(self, obs: TensorDict) -> torch.Tensor:
        """Return actions [N, A] for observation groups [N, ...], and keep what learning will need."""

    @abstractmethod
    def process_env_step(
        self, obs: TensorDict, rewards: torch.Tensor, dones: torch.Tensor, extras: Mapping[str, Any]
    ) -> None:
        """Take in the outcome of the actions chosen last: the observations after the step, rewards [N], dones [N]."""

    @abstractmethod
    def update(self) -> dict[str, float]:
        """Learn; return mean losses by name, logged as ``Loss/<name>``."""

    @abstractmethod
    def get_policy(self) -> MLPModel:
        """Return the model that acts."""

    def check_ready(self) -> None:
        """Raise ValueError if learning cannot begin."""

    def compute_returns(self, obs: TensorDict) -> None:
        """Conclude the rollout, after which the environment gave these observations."""

    def leave_out(self, invalid_TN: torch.Tensor) -> None:
        """Keep transitions, [T, N], bool, out of what is learned: the environment gave NaN or infinite numbers.

        Algorithms without a rollout learn from what the runner has put in their place: finite numbers, ended episodes.
        """
        if self.storage is not None:
            self.storage.leave_out(invalid_TN)

    def discard_rollout(self) -> None:
        """Forget the steps since the last update: none of them can be learned from."""
        if self.storage is not None:
            self.storage.clear()

    def recorded_step(self, step: int, envs: list[int]) -> dict[str, Any]:
        """Return what some environments did in a step of the rollout, as tensors, for the report of a bad step."""
        return {} if self.storage is None else self.storage.recorded_step(step, envs)

    def loss(self, batch: RolloutStorage.Batch) -> tuple[torch.Tensor, Metrics]:
        """Return the loss of a mini-batch, a mean over its samples, and what is logged of it.

        A function of parameters and mini-batch without side effects: engines may compile it, or call it more than once.
        """
        raise NotImplementedError(f"{type(self).__name__} has no loss(batch) for its gradient step.")

    def adapt_learning_rate(self, rate: torch.Tensor, metrics: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the learning rate for a mini-batch with these metrics (means over all processes); all are scalars."""
        return rate

    def train_mode(self) -> None:
        """Put the models into training mode."""
        for model in self.models().values():
            model.train()

    def eval_mode(self) -> None:
        """Put the models into evaluation mode."""
        for model in self.models().values():
            model.eval()

    def compile(self, mode: str | None = None) -> None:
        """Compile the loss and its gradients with a mode of ``torch.compile``; None leaves them eager."""
        if self.gradient_step is not None:
            self.gradient_step.gradients.compile(mode)

    def choose_engine(self, fast_path: str, compile_mode: str | None) -> None:
        """Choose what computes the gradient step, as in :class:`rsl_rl.config.RunnerConfig`; its result is the same."""
        if self.gradient_step is not None:
            self.gradient_step.gradients.divides = fast_path != "off"
            if fast_path != "off" and torch.device(self.device).type == "cuda":
                self.gradient_step.capture(clock=device_clock(self.device) if fast_path == "auto" else None)
        if compile_mode is not None:
            self.compile(compile_mode)

    def asked_every_step(self) -> list[nn.Module]:
        """Return the models in training that compute something at every environment step."""
        return [self.get_policy()]

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """The torch optimizer of the models that learn."""
        return self._main_optimizer.torch_optimizer

    @optimizer.setter
    def optimizer(self, optimizer: torch.optim.Optimizer) -> None:
        if self.gradient_step is None:
            self._optimizer = Optimizer(optimizer)
        else:
            self.gradient_step.replace_optimizer(Optimizer(optimizer))

    @property
    def learning_rate(self) -> float:
        """Learning rate after the last update; may be set."""
        return self._main_optimizer.rate_as_number()

    @learning_rate.setter
    def learning_rate(self, learning_rate: float) -> None:
        self._main_optimizer.set_rate(float(learning_rate))

    @property
    def _main_optimizer(self) -> Optimizer:
        return self._optimizer if self.gradient_step is None else self.gradient_step.optimizers[0]

    def log_arguments(self) -> dict[str, Any]:
        """Return learning rate, deviation of the actions and curiosity's weight as the logger's ``log`` takes them."""
        policy = self.get_policy()
        std = torch.zeros(1) if policy.distribution is None else policy.output_std.detach()
        return {"learning_rate": self.learning_rate, "action_std": std, "rnd_weight": None}

    # -- parts and processes -------------------------------------------------------------------------------------------

    def models(self) -> dict[str, nn.Module]:
        """Return everything with parameters or statistics, by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, nn.Module)}

    def owners_of_options(self) -> list[Any]:
        """Return the objects whose plain numbers a schedule may change."""
        return [self, *self.extensions]

    def parts(self) -> dict[str, Stateful]:
        """Return what must survive a resume, by its key in a checkpoint: every attribute that can be saved."""
        own = {name: value for name, value in vars(self).items() if is_stateful(value)}
        found: dict[str, Stateful] = {f"{name.lstrip('_')}_state_dict": value for name, value in own.items()}
        if self.gradient_step is not None:
            found["optimizer_state_dict"] = self.gradient_step.optimizers[0]
        for extension in self.extensions:
            found |= extension.parts()
        return found

    def _numbers(self) -> dict[str, float]:
        return {name: value for name, value in vars(self).items() if type(value) in (bool, int, float)}

    def _remembering(self) -> list[MLPModel]:
        """Return the models that may keep a hidden state."""
        return [model for model in self.models().values() if isinstance(model, MLPModel)]

    def save(self) -> dict[str, Any]:
        """Return everything that :meth:`load` needs to go on, as tensors and plain data."""
        changed = {name: value for name, value in self._numbers().items() if self._initial_numbers.get(name) != value}
        state = {key: part.state_dict() for key, part in self.parts().items()}
        return state | {"numbers": changed, "process_state": self.process_state()}

    def load(self, loaded_dict: dict[str, Any], load_cfg: dict[str, bool] | None = None, strict: bool = True) -> bool:
        """Take over a saved state, wholly or not at all, and return whether the iteration should be taken over too.

        Args:
            loaded_dict: What :meth:`save` returned, here or in an earlier release.
            load_cfg: Which parts to take: names of models, optimizer, iteration. None for all.
            strict: Refuse missing and unexpected keys of the models, and other shapes; otherwise those are skipped.

        Raises:
            ValueError: The state lacks a part or does not fit; nothing was changed.
        """
        parts = self.parts()
        names = self.parts_to_load or (*self.models(), "optimizer", "iteration")
        wanted = wanted_parts(load_cfg, names)
        document, wanted = self.translated(modernize(loaded_dict), wanted)
        document = modernize(document, self.models())
        of_extensions = {key for each in self.extensions for key in (each.loss_name, *each.parts())}
        optional = {key.removesuffix("_state_dict") for key in of_extensions} if load_cfg is None else set()
        chosen = {key: part for key, part in parts.items() if wanted[asked_for_by(key, names)]}
        progress = {key: part for key, part in chosen.items() if asked_for_by(key, names) == "iteration"}
        states_before = {key: copy.deepcopy(part.state_dict()) for key, part in progress.items()}
        required = [key for key in chosen if key.removesuffix("_state_dict") in {*names} - optional]
        self.load_report = report = load_parts(chosen, document, required, strict)
        there = {"iteration", *(asked_for_by(key, names) for key in parts)}
        report += [f"{name}: not taken" for name in names if not wanted[name] and name in there]
        if self.gradient_step is not None:
            self.gradient_step.forget()
        numbers = document.get("numbers", {}) if wanted["iteration"] else {}
        numbers_before = {name: value for name, value in self._numbers().items() if name in numbers}
        vars(self).update({name: numbers[name] for name in numbers_before})
        self._before_load = states_before, numbers_before
        # Not now: who only plays the policy keeps a random state of its own.
        self._to_resume = document.get("process_state") if wanted["iteration"] else None
        if self._to_resume is not None and any(": not taken" in line for line in report):
            # What other models remember does not fit these.
            self._to_resume = {**self._to_resume, "hidden_states": []}
        return wanted["iteration"]

    def translated(self, document: dict[str, Any], wanted: dict[str, bool]) -> tuple[dict[str, Any], dict[str, bool]]:
        """Return the checkpoint of another algorithm as one of this, and which parts to take of it."""
        return document, wanted

    def process_state(self) -> dict[str, Any]:
        """Return what differs between processes: random state, and what is remembered of their environments."""
        state: dict[str, Any] = {
            "rank": self._world.rank,
            "random_state": random_state(self.device),
            "hidden_states": [model.get_hidden_state() for model in self._remembering()],
            "copies": [model.copies for model in self._remembering()],
        }
        for extension in self.extensions:
            state |= {f"{extension.loss_name}_{key}": value for key, value in extension.process_state().items()}
        return state

    def resume(self) -> None:
        """Go on exactly as the run that was loaded would have; does nothing unless one was."""
        state, self._to_resume = self._to_resume, None
        if state is None or state.get("rank", 0) != self._world.rank:
            return
        models = self._remembering()
        copies = state.get("copies", [1] * len(models))  # Earlier builds had no equivariant models.
        for model, hidden_state, number in zip(models, state["hidden_states"], copies, strict=False):
            first = hidden_state[0] if isinstance(hidden_state, (tuple, list)) else hidden_state
            # A run with another number of environments or images starts with an empty memory.
            fits = first is not None and (self.storage is None or first.shape[1] == self.storage.num_envs)
            if fits and number == model.copies:
                model.reset(None, changed_state(hidden_state, lambda state: state.to(self.device)))
        for extension in self.extensions:
            beginning = f"{extension.loss_name}_"
            extension.resume({key.removeprefix(beginning): v for key, v in state.items() if key.startswith(beginning)})
        if state["random_state"] is not None:
            restore_random_state(state["random_state"], self.device)

    def forget_progress(self) -> None:
        """Keep the models and optimizers that were loaded, but begin a run of one's own with them."""
        (states, numbers), self._before_load, self._to_resume = self._before_load, ({}, {}), None
        for key, state in states.items():
            self.parts()[key].load_state_dict(state)
        vars(self).update(numbers)

    def conclude_update(self, rows: list[torch.Tensor]) -> dict[str, float]:
        """Conclude the gradient step's update; return the mean losses, and keep the other metrics for the log."""
        assert self.gradient_step is not None
        means = self.gradient_step.end(rows)
        self.metrics = {name: value for name, value in means.items() if "/" in name}
        if self.gradient_step.num_skipped or self.gradient_step.went_back:
            # What a model remembers may not be finite either.
            for model in self._remembering():
                model.reset(None, changed_state(model.get_hidden_state(), torch.nan_to_num))
        return {name: value for name, value in means.items() if "/" not in name}

    def undo_update(self) -> bool:
        """Put back what an interrupted :meth:`update` has changed; return whether that is possible."""
        return self.gradient_step is not None and self.gradient_step.undo()

    def autocast(self) -> torch.autocast:
        """Return the precision of forward passes and losses."""
        return torch.autocast(torch.device(self.device).type, dtype=torch.bfloat16, enabled=self.use_mixed_precision)

    def broadcast_parameters(self) -> None:
        """Give all processes the parameters, statistics and optimizer state of process 0."""
        if self._world.size > 1:
            models = self.models().values()
            self._world.broadcast_(tensor for model in models for tensor in (*model.parameters(), *model.buffers()))
            others = {key: part for key, part in self.parts().items() if not isinstance(part, nn.Module)}
            state = {key: part.state_dict() for key, part in others.items()} if self._world.rank == 0 else None
            state = self._world.broadcast(on_host(state))
            if self._world.rank != 0:
                for key, part in others.items():
                    part.load_state_dict(state[key])
            if self.gradient_step is not None:
                self.gradient_step.forget()

    def reduce_parameters(self) -> None:
        """Average the gradients over all processes, for updates of user subclasses."""
        if self._world.size > 1:
            parameters = (p for model in self.models().values() for p in model.parameters())
            reduce_gradients_in_buckets(parameters, self._world.size, self.grad_reduce_bucket_mb)

    def fingerprint(self) -> int:
        """Return a number that processes share when their parameters and statistics are equal."""
        digest = hashlib.blake2b(digest_size=7)
        for model in self.models().values():
            for name, tensor in model.state_dict().items():
                # The statistics of batch normalization are those of each process's own batches.
                if not name.endswith(("running_mean", "running_var", "num_batches_tracked")):
                    digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return int.from_bytes(digest.digest(), "little")
