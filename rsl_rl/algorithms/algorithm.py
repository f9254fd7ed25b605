# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What every algorithm has: storage, optimizer, learning rate, and the checks of what it does not support."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from rsl_rl.algorithms.guarded_update import GuardedUpdate
from rsl_rl.algorithms.optimization import Optimizer
from rsl_rl.checkpoint import random_state, restore_random_state
from rsl_rl.distributed import SOLO, current, on_host, reduce_gradients_in_buckets
from rsl_rl.extensions import RandomNetworkDistillation
from rsl_rl.models import MLPModel
from rsl_rl.modules import MLP, RNN, HiddenState
from rsl_rl.storage import RolloutStorage

_OF_ITS_OWN = ("running_mean", "running_var", "num_batches_tracked")


class Algorithm:
    """Common parts of the algorithms; not an algorithm of its own."""

    grad_reduce_bucket_mb: float
    _update_steps: GuardedUpdate

    def __init__(
        self,
        storage: RolloutStorage,
        parameters: Iterable[nn.Parameter],
        optimizer: str,
        learning_rate: float,
        use_mixed_precision: bool,
        device: str,
        multi_gpu_cfg: dict | None,
    ) -> None:
        """Set up the common parts.

        Args:
            multi_gpu_cfg: ``{"global_rank": ..., "local_rank": ..., "world_size": ...}``; None for a single process.

        Raises:
            ValueError: The optimizer is unknown.
        """
        self._world = SOLO if multi_gpu_cfg is None else current()
        # Read by the updates of user subclasses.
        self.is_multi_gpu = self._world.size > 1
        self.gpu_global_rank, self.gpu_world_size = self._world.rank, self._world.size
        self.device = device
        self.storage = storage
        self.transition = RolloutStorage.Transition()
        self.rnd: RandomNetworkDistillation | None = None
        self.intrinsic_rewards: torch.Tensor | None = None
        """Weighted intrinsic rewards of the last step, [N]; None without any."""
        self.load_report: list[str] = []
        """What the last load took, skipped or reset, one line each."""
        self.use_mixed_precision = use_mixed_precision
        self._autocast_device = torch.device(device).type
        self._optimizer = Optimizer(optimizer, parameters, learning_rate)
        self._learning_rate = float(learning_rate)
        self._to_resume: Mapping[str, Any] | None = None

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """The torch optimizer of the models that learn."""
        return self._optimizer.torch_optimizer

    @property
    def learning_rate(self) -> float:
        """Learning rate after the last update; may be set."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: float) -> None:
        self._learning_rate = float(learning_rate)
        self._optimizer.set_learning_rate(self._learning_rate)

    def use_fast_path(self, is_on: bool) -> None:
        """Choose between the fastest way that gives the same numbers up to rounding (default) and torch's layers."""
        for module in (part for model in self._models() for part in model.modules()):
            if isinstance(module, MLP):
                module.as_one_function = is_on
            elif isinstance(module, RNN):
                module.in_own_steps = is_on

    @property
    def diagnostics(self) -> dict[str, float]:
        """What the last update says about itself: KL divergence, clipping, gradient norms, skipped mini-batches."""
        return self._update_steps.diagnostics

    def _conclude_update(self) -> list[float]:
        """Return the mean losses, after going back to the last good state if learning went wrong."""
        means = self._update_steps.end()
        self._learning_rate = self._update_steps.learning_rate
        if self._update_steps.diagnostics["skipped"] or self._update_steps.went_back:
            # What a model remembers may not be finite either.
            for model in self._models():
                hidden_state = model.get_hidden_state() if isinstance(model, MLPModel) else None
                if hidden_state is not None:
                    parts = hidden_state if isinstance(hidden_state, tuple) else (hidden_state,)
                    model.reset(None, _as_hidden_state([torch.nan_to_num(part) for part in parts]))  # type: ignore[operator]
        return means

    def broadcast_parameters(self) -> None:
        """Give all processes the parameters, statistics and optimizer state of process 0."""
        if self._world.size > 1:
            self._world.broadcast_(tensor for model in self._models() for tensor in _tensors(model))
            state = self._world.broadcast(on_host(self._optimizer.state_dict()) if self._world.rank == 0 else None)
            if self._world.rank != 0:
                self._optimizer.load_state_dict(state)
                self._learning_rate = float(self._optimizer.learning_rate)
            self._update_steps.forget()

    def reduce_parameters(self) -> None:
        """Average the gradients over all processes, for updates of user subclasses."""
        if self._world.size > 1:
            parameters = (p for model in self._models() for p in model.parameters())
            reduce_gradients_in_buckets(parameters, self._world.size, self.grad_reduce_bucket_mb)

    # -- state ---------------------------------------------------------------------------------------------------------

    def process_state(self) -> dict[str, Any]:
        """Return what differs between processes: random state, and what models remember of their environments."""
        sums = getattr(getattr(self.rnd, "reward_normalizer", None), "discounted_sum", None)
        return {
            "rank": self._world.rank,
            "random_state": random_state(self.device),
            "hidden_states": [model.get_hidden_state() for model in self._models() if isinstance(model, MLPModel)],
            "rnd_discounted_sum": sums,
        }

    def resume(self) -> None:
        """Go on exactly as the run that was loaded would have; does nothing unless one was."""
        state, self._to_resume = self._to_resume, None
        if state is None or state.get("rank", 0) != self._world.rank:
            return
        models = [model for model in self._models() if isinstance(model, MLPModel)]
        for model, hidden_state in zip(models, state["hidden_states"], strict=False):
            parts = hidden_state if isinstance(hidden_state, (tuple, list)) else [hidden_state]
            # A run with another number of environments starts with an empty memory.
            if parts[0] is not None and parts[0].shape[1] == self.storage.num_envs:
                model.reset(None, _as_hidden_state([part.to(self.device) for part in parts]))
        sums = state["rnd_discounted_sum"]
        if sums is not None and self.rnd is not None and self.rnd.reward_normalization:
            self.rnd.reward_normalizer.discounted_sum = sums.clone().to(self.device)  # type: ignore[assignment]
        if state["random_state"] is not None:
            restore_random_state(state["random_state"], self.device)

    def _conclude_load(self, document: Mapping[str, Any], resumes: bool) -> None:
        self._update_steps.forget()
        # Else an adaptive schedule would go on from the configured rate and throw the policy off.
        self._learning_rate = float(self._optimizer.learning_rate)
        # Not now: who only plays the policy keeps a random state of its own.
        self._to_resume = document.get("process_state") if resumes else None
        if self._to_resume is not None and any(": not taken" in line for line in self.load_report):
            # What other models remember does not fit these.
            self._to_resume = {**self._to_resume, "hidden_states": []}

    def fingerprint(self) -> int:
        """Return a number that processes share when their parameters and statistics are equal."""
        digest = hashlib.blake2b(digest_size=7)
        for model in self._models():
            # The statistics of batch normalization are those of each process's own batches.
            for tensor in (value for name, value in model.state_dict().items() if not name.endswith(_OF_ITS_OWN)):
                digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return int.from_bytes(digest.digest(), "little")

    def _models(self) -> Iterator[nn.Module]:
        """Return everything that learns."""
        raise NotImplementedError

    def _autocast(self) -> Any:
        return torch.autocast(self._autocast_device, dtype=torch.bfloat16, enabled=self.use_mixed_precision)


def _as_hidden_state(parts: list[torch.Tensor]) -> HiddenState:
    return (parts[0], parts[1]) if len(parts) > 1 else parts[0]


def _tensors(model: nn.Module) -> Iterator[torch.Tensor]:
    yield from model.parameters()
    yield from model.buffers()
