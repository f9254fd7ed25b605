# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What every algorithm has: storage, optimizer, learning rate, and the checks of what it does not support."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from rsl_rl.algorithms.optimization import Optimizer
from rsl_rl.extensions import RandomNetworkDistillation
from rsl_rl.storage import RolloutStorage


class Algorithm:
    """Common parts of the algorithms; not an algorithm of its own."""

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

        Raises:
            ValueError: Several processes were asked for, or the optimizer is unknown.
        """
        if multi_gpu_cfg is not None:
            raise ValueError("'multi_gpu' is not available in this version: set it to None.")
        # Read by the updates of user subclasses.
        self.is_multi_gpu, self.gpu_global_rank, self.gpu_world_size = False, 0, 1
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

    def broadcast_parameters(self) -> None:
        """Copy the parameters of the first process to all; there is only one."""

    def reduce_parameters(self) -> None:
        """Average the gradients over all processes; there is only one."""

    def _autocast(self) -> Any:
        return torch.autocast(self._autocast_device, dtype=torch.bfloat16, enabled=self.use_mixed_precision)
