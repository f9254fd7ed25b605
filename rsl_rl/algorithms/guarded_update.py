# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The gradient steps of an update: averaged over processes, checked, clipped, and undone where learning went wrong.

Legend: M mini-batches of an update, L losses, G groups of parameters.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from rsl_rl.algorithms.gradients import GradientBuffer
from rsl_rl.algorithms.last_good import LastGood
from rsl_rl.algorithms.optimization import Optimizer
from rsl_rl.distributed import World


class GuardedUpdate:
    """A mini-batch whose loss or gradient is not finite changes nothing; too many of them undo what led there.

    Whether a mini-batch is bad is decided on the device; the host learns of it once, at the end of the update.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        groups: Mapping[str, Sequence[nn.Parameter]],
        modules: Iterable[nn.Module],
        num_losses: int,
        max_bad_updates: int,
        world: World,
        other_optimizers: Iterable[torch.optim.Optimizer] = (),
    ) -> None:
        """Set up.

        Args:
            optimizer: Of the parameters that learn.
            groups: By name the parameters whose gradients have a norm of their own.
            modules: Whatever learns, with its running statistics.
            num_losses: L, how many losses are logged.
            max_bad_updates: So many bad mini-batches in a row restore the last good state and halve the learning rate.
            world: The processes that learn together.
            other_optimizers: Those of extensions.

        Raises:
            ValueError: ``max_bad_updates`` is not positive.
        """
        if max_bad_updates < 1:
            raise ValueError(f"max_bad_updates must be at least 1, got {max_bad_updates}.")
        modules = list(modules)
        self._optimizer = optimizer
        self._groups = {name: list(parameters) for name, parameters in groups.items()}
        self._num_numbers = 3 + num_losses
        self._optimizers = [optimizer.torch_optimizer, *other_optimizers]
        self._signature: list[tuple[str, list[int]]] = []
        self._names: list[str] = []
        self.parameters: list[nn.Parameter] = []
        """Everything that is optimized."""
        self._find_parameters()
        self._projections = _projections(modules)
        self._max_bad_updates = max_bad_updates
        self._world = world
        self._last_good = LastGood(modules, self._optimizers)
        self._record: list[torch.Tensor] = []
        self._bad_in_a_row = 0
        self._norms: list[torch.Tensor] = []
        self.diagnostics: dict[str, float] = {}
        """Of the last update: mean KL divergence, share of clipped samples, gradient norms, skipped mini-batches."""
        self.learning_rate = 0.0
        """After the last update."""
        self.went_back = False
        """Whether the last update was undone."""

    def begin(self) -> None:
        """Start an update."""
        self._optimizer.adopt()
        self._find_parameters()
        for parameter in self.parameters:
            parameter.grad = None
        self._last_good.begin()
        self._record = []

    def backward(self, loss: torch.Tensor) -> torch.Tensor:
        """Compute the gradients of a loss, a scalar; the arguments of :meth:`collect` for an algorithm without others.

        Returns:
            [4]: the loss, nothing for KL divergence and clipping, and the loss for the log.
        """
        for parameter in self.parameters:
            parameter.grad = None
        loss.backward()
        value = loss.detach().float()
        return torch.stack([value, torch.zeros_like(value), torch.zeros_like(value), value])

    def collect(
        self, numbers: torch.Tensor, frozen: Iterable[nn.Parameter] = ()
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Take in the gradients of a mini-batch, and average them over all processes.

        Args:
            numbers: [3 + L]: the loss, the KL divergence from the policy that acted, the share of samples whose
                probability ratio was clipped, and the losses for the log.
            frozen: Parameters that are not to learn this time.

        Returns:
            Whether the mini-batch is bad, and the mean KL divergence of all processes, scalars; and its row for
            :meth:`record`.
        """
        for parameter in frozen:
            parameter.grad = None
        self._buffer.collect()
        self._buffer.numbers.copy_(numbers)
        self._buffer.average(self._world)
        self._norms = self._buffer.norms()
        norms = torch.stack(self._norms)
        # A sum is finite when its terms are.
        is_bad = ~torch.isfinite(norms.sum() + self._buffer.numbers[0])
        row = torch.cat([is_bad.to(norms.dtype).view(1), self._buffer.numbers, norms])
        return is_bad, self._buffer.numbers[1], row

    def record(self, row: torch.Tensor) -> None:
        """Keep the row of a mini-batch until :meth:`end`."""
        self._record.append(row)

    @property
    def signature(self) -> tuple[Any, ...]:
        """What a step depends on beside its options: the parameters that learn."""
        return tuple((name, *found) for name, found in self._signature)

    def tensors(self) -> list[torch.Tensor]:
        """Return every tensor that a step changes."""
        return [*self._last_good.tensors(), self._optimizer.learning_rate, *self._optimizer.applied_rates()]

    def step(self, is_bad: torch.Tensor, max_norms: Mapping[str, float | None]) -> None:
        """Clip the gradients of each group and step, unless the mini-batch is bad.

        Args:
            is_bad: Scalar, bool.
            max_norms: By group; None for no clipping.
        """
        for index, name in enumerate(self._names):
            if max_norm := max_norms.get(name):
                # Where groups overlap, the clipping of one changes the norm of the next.
                norm = self._buffer.norms()[index] if self._buffer.overlaps and index else self._norms[index]
                self._buffer.clip(index, norm, max_norm)
        self.step_optimizer(is_bad)

    def step_optimizer(self, is_bad: torch.Tensor) -> None:
        """Step with the gradients as they are, unless the mini-batch is bad."""
        self._buffer.hand_out()
        self._optimizer.step_unless(is_bad)
        for project in self._projections:
            project()

    def end(self) -> list[float]:
        """Conclude the update: keep it, or go back to the last good state. The only transfer from the device.

        Returns:
            [L], means of the losses over the mini-batches that were learned from; NaN if there were none.

        Warns:
            UserWarning: Mini-batches were skipped, or the last good state was restored.
        """
        rate = self._optimizer.learning_rate.view(1)
        record = torch.stack(self._record)
        extra = torch.cat([self._last_good.is_finite().to(rate.dtype).view(1), rate])
        *flat, is_finite, learning_rate = torch.cat([record.double().flatten(), extra]).tolist()
        width = record.shape[1]
        rows = [flat[start : start + width] for start in range(0, len(flat), width)]
        good = [row for row in rows if row[0] == 0]
        for row in rows:
            self._bad_in_a_row = 0 if row[0] == 0 else self._bad_in_a_row + 1
            if self._bad_in_a_row >= self._max_bad_updates:
                break
        num_bad = len(rows) - len(good)
        self.learning_rate = learning_rate
        self.went_back = not is_finite or self._bad_in_a_row >= self._max_bad_updates
        if self.went_back:
            reason = f"{self._bad_in_a_row} mini-batches in a row had a loss or gradient that is not finite"
            self._go_back(reason if is_finite else "parameters, statistics or optimizer are not finite")
        else:
            if num_bad:
                warnings.warn(
                    f"{num_bad} of {len(rows)} mini-batches had a loss or gradient that is not finite; they changed "
                    "nothing.",
                    stacklevel=4,
                )
            if num_bad == 0:
                self._last_good.keep()
        means = [_mean(column) for column in list(zip(*good, strict=True))[1:]] or [math.nan] * (width - 1)
        numbers, norms = means[: -len(self._names)], means[-len(self._names) :]
        self.diagnostics = {"kl": numbers[1], "clipped": numbers[2], "skipped": float(num_bad)}
        self.diagnostics |= {f"{name}_gradient": norm for name, norm in zip(self._names, norms, strict=True)}
        return numbers[3:]

    def forget(self) -> None:
        """Start anew with what is there now: a checkpoint was loaded."""
        self._last_good.forget()
        self._bad_in_a_row = 0

    def _find_parameters(self) -> None:
        """Look which parameters learn: a program may freeze, unfreeze or add some between two updates."""
        optimized = [p for optimizer in self._optimizers for group in optimizer.param_groups for p in group["params"]]
        learning = {name: [p for p in group if p.requires_grad] for name, group in self._groups.items()}
        known = {p for group in learning.values() for p in group}
        if others := [p for p in optimized if p.requires_grad and p not in known]:
            learning["other"] = others
        signature = [(name, [id(p) for p in group]) for name, group in learning.items()]
        if signature != self._signature:
            self._signature, self._names = signature, list(learning)
            self._buffer = GradientBuffer(list(learning.values()), self._num_numbers)
        self.parameters = list(dict.fromkeys([*optimized, *self._buffer.parameters]))

    def _go_back(self, reason: str) -> None:
        self._last_good.restore()
        self._bad_in_a_row = 0
        self.learning_rate /= 2
        self._optimizer.set_learning_rate(self.learning_rate)
        warnings.warn(
            f"{reason[0].upper()}{reason[1:]}. The last good parameters, statistics and optimizer were restored, and "
            f"the learning rate is halved to {self.learning_rate:.2e}.",
            stacklevel=5,
        )


def _projections(modules: Iterable[nn.Module]) -> list[Callable[[], Any]]:
    """Return what keeps parameters within their range."""
    projections = [getattr(getattr(module, "distribution", None), "project", None) for module in modules]
    return [project for project in projections if project is not None]


def _mean(column: Sequence[float]) -> float:
    return sum(column) / len(column)
