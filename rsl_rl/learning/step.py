# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The gradient step of every algorithm: loss, gradients, mean over processes, finite?, clip, optimizer, metrics.

Legend: M metrics of a mini-batch, G groups of parameters.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from rsl_rl.distributed import World
from rsl_rl.learning.capture import CapturedStep, cuda_graphs
from rsl_rl.learning.engines import Batch, Gradients, Law, Options, program_of
from rsl_rl.learning.optimizer import Optimizer
from rsl_rl.learning.undo import LastGoodState

# glibc's limit follows the blocks that are freed, up to 32 MiB.
_LARGE_BLOCK = 31 << 20


class GradientStep:
    """Applies a law to mini-batches. One whose loss or gradient is not finite changes nothing; too many undo an update.

    Whether a mini-batch is bad is decided on the device; the host learns of it once, at the end of the update::

        step, rows = gradient_step.begin(), []
        for batch in mini_batches:
            rows.append(step(batch))
        means = gradient_step.end(rows)
    """

    def __init__(
        self,
        law: Law,
        groups: Mapping[str, Sequence[nn.Parameter]],
        optimizers: Sequence[Optimizer],
        world: World,
        max_bad_updates: int = 10,
        unclipped_groups: Mapping[str, Sequence[nn.Parameter]] | None = None,
        stepped_twice: Iterable[nn.Parameter] = (),
    ) -> None:
        """Set up.

        Args:
            law: The algorithm.
            groups: By name the parameters whose gradients are clipped together, to the law's ``max_grad_norm``.
            optimizers: That of the algorithm, whose learning rate the law adapts, then those of extensions.
            world: The processes that learn together.
            max_bad_updates: So many bad mini-batches in a row restore the last good state and halve the learning rate.
            unclipped_groups: Groups whose norm is only measured, e.g. those of extensions.
            stepped_twice: Parameters that the first optimizer steps once more, as release 5.5.1 did with shared ones.
        """
        # On Linux, freed memory goes back to the system, and the next mini-batch fetches it again page by page, until a
        # large block has been freed once. This one is freed at once, and never written to.
        torch.empty(_LARGE_BLOCK, dtype=torch.uint8)
        self._law = law
        self._clipped = {name: list(parameters) for name, parameters in groups.items()}
        self._unclipped = {name: list(parameters) for name, parameters in (unclipped_groups or {}).items()}
        self.optimizers = list(optimizers)
        """The optimizer of the law, then those of extensions."""
        self._world = world
        self._max_bad_updates = max_bad_updates
        self._stepped_twice = set(stepped_twice)
        optimized = {p for o in self.optimizers for group in o.torch_optimizer.param_groups for p in group["params"]}
        self._modules = [m for m in law.models().values() if any(p in optimized for p in m.parameters())]
        distributions: list[Any] = [getattr(module, "distribution", None) for module in self._modules]
        self._projections = [each.project for each in distributions if hasattr(each, "project")]
        self._last_good = LastGoodState(self._modules, [each.torch_optimizer for each in self.optimizers])
        self._options = Options(law.owners_of_options(), law.device)
        self.gradients = Gradients(law, self._options)
        """The engine that computes losses and gradients."""
        self._captured: CapturedStep | None = None
        self._groups: dict[str, list[nn.Parameter]] = {}
        self._frozen: list[nn.Parameter] = []
        self._clips = False
        self._names: list[str] = []
        self._rates: list[tuple[torch.Tensor, torch.Tensor]] = []  # With what they held before the update.
        """What the update in progress started from; empty between two."""
        self._bad_in_a_row = 0
        self.num_skipped = 0
        """Mini-batches of the last update that were bad."""
        self.went_back = False
        """Whether the last update was undone."""

    def capture(self, graph: Callable[..., Any] | None = None, clock: Callable[[], float] | None = None) -> None:
        """Make the steps of feed-forward models CUDA graphs, in a single process; with a clock, if that is faster."""
        is_recurrent = any(getattr(model, "is_recurrent", False) for model in self._law.models().values())
        if not is_recurrent and self._world.size == 1:
            graph = graph or cuda_graphs(self._law.device)
            self._captured = CapturedStep(self.__call__, self.tensors, self._options, graph, clock)

    def replace_optimizer(self, optimizer: Optimizer) -> None:
        """Let another optimizer take the place of the law's."""
        self.optimizers[0] = optimizer
        self._last_good = LastGoodState(self._modules, [each.torch_optimizer for each in self.optimizers])

    def begin(self, frozen: Iterable[nn.Parameter] = ()) -> Callable[[Batch], torch.Tensor]:
        """Start an update in which ``frozen`` parameters do not learn; return the function that makes a step."""
        self._frozen = list(frozen)
        # Asked here: in a captured step the norm is a tensor, and to ask it would wait for the device.
        self._clips = self._law.max_grad_norm is not None
        self.optimizers[0].adopt_rate()
        optimized = [p for o in self.optimizers for group in o.torch_optimizer.param_groups for p in group["params"]]
        # A program may freeze, unfreeze or add some between two updates.
        groups = (self._clipped | self._unclipped).items()
        self._groups = {name: [p for p in group if p.requires_grad] for name, group in groups}
        known = {p for group in self._groups.values() for p in group}
        if others := [p for p in optimized if p.requires_grad and p not in known]:
            self._groups["other"] = others
        self.gradients.begin(list(dict.fromkeys([*optimized, *known])))
        if not self._last_good.newest:
            self._last_good.begin()
        self._rates = [(rate, rate.clone()) for each in self.optimizers for rate in each.rates]
        if self._captured is None:
            return self
        learning = (tuple(map(id, self._frozen)), tuple(map(id, known)))
        self._captured.begin((self._clips, learning, program_of(self._law)))
        return self._captured

    def __call__(self, batch: Batch) -> torch.Tensor:
        """Learn from a mini-batch, without waiting for the device; return a row of numbers [1 + 1 + M + G].

        They are: 0, or NaN where it was bad; the loss, the metrics, the gradients' norms before clipping.
        """
        loss, metrics = self.gradients(batch)
        for parameter in self._frozen:
            parameter.grad = None
        self._names = list(metrics)
        numbers = [loss.float(), *(value.detach().float() for value in metrics.values())]
        if self._world.size > 1:
            parameters = dict.fromkeys(p for group in self._groups.values() for p in group)
            # Another process may reach a parameter that this one does not.
            gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
            together = torch.stack(numbers)
            self._world.average_together_([*gradients, together])
            numbers = list(together.unbind())
            metrics = dict(zip(metrics, numbers[1:], strict=True))
        norms = self._clip()
        # A sum is finite when its terms are; less itself it is 0 then, else NaN.
        checked = torch.stack([numbers[0], *norms]).sum()
        zero_or_nan = checked - checked
        is_bad = zero_or_nan != 0
        optimizer, rate = self.optimizers[0], self.optimizers[0].learning_rate
        adapted = self._law.adapt_learning_rate(rate, metrics)
        if adapted is not rate:
            optimizer.set_rate(torch.where(is_bad, rate, adapted))
        for each in self.optimizers:
            each.step_unless(is_bad)
        if self._stepped_twice:
            for parameter in optimizer.torch_optimizer.param_groups[0]["params"]:
                parameter.grad = parameter.grad if parameter in self._stepped_twice else None
            optimizer.step_unless(is_bad)
        for project in self._projections:
            project()
        return torch.stack([zero_or_nan, *numbers, *norms])

    def _clip(self) -> list[torch.Tensor]:
        """Scale the gradients of every group down to the largest norm allowed; return their norms before."""
        groups = {name: [p.grad for p in group if p.grad is not None] for name, group in self._groups.items()}
        learning, largest = [name for name in groups if groups[name]], self._law.max_grad_norm if self._clips else None
        norms = {name: torch.zeros((), device=self._law.device) for name in groups if name not in learning}
        # Those stepped twice are in two groups, and scaled with one before they are measured with the other.
        for together in [[name] for name in learning] if self._stepped_twice else filter(None, [learning]):
            each = torch.stack(torch._foreach_norm([p for name in together for p in groups[name]])).float()  # type: ignore[attr-defined]
            parts = each.split([len(groups[name]) for name in together])
            norms_G = torch.stack([torch.linalg.vector_norm(part) for part in parts])
            excess_G = norms_G if largest is None else ((norms_G + 1e-6) / largest).clamp(min=1.0)
            for name, norm, excess in zip(together, norms_G, excess_G, strict=True):
                norms[name] = norm
                if largest is not None and name in self._clipped:
                    torch._foreach_div_(groups[name], excess)  # type: ignore[attr-defined]
        return [norms[name] for name in groups]

    def end(self, rows: Sequence[torch.Tensor]) -> dict[str, float]:
        """Conclude the update, given what its steps returned: keep it, or go back. The update's only transfer.

        Returns:
            By name the means of the metrics over the mini-batches that were learned from, NaN if there were none; the
            gradients' norms as ``Update/<group>_gradient``; ``Update/skipped``, the number of bad mini-batches.

        Warns:
            UserWarning: Mini-batches were skipped, or the last good state was restored.
        """
        table = torch.stack(list(rows))
        state_is_finite = torch.zeros_like(table[:1]) + self._last_good.is_finite()
        optimizer = self.optimizers[0]
        rate = optimizer.learning_rate.expand(1, table.shape[1])
        (is_finite, *_), *read, (number, *_) = torch.cat([state_is_finite, table, rate]).tolist()
        optimizer.rate_was(number)
        good = [row for row in read if not row[0]]
        for row in read:
            self._bad_in_a_row = self._bad_in_a_row + 1 if row[0] else 0
            if self._bad_in_a_row >= self._max_bad_updates:
                break
        self.num_skipped = len(read) - len(good)
        self.went_back = not is_finite or self._bad_in_a_row >= self._max_bad_updates
        if self.went_back:
            reason = f"{self._bad_in_a_row} mini-batches in a row had a loss or gradient that is not finite"
            self._go_back(reason if is_finite else "Parameters, statistics or optimizer are not finite")
        elif self.num_skipped:
            warnings.warn(
                f"{self.num_skipped} of {len(read)} mini-batches had a loss or gradient that is not finite; they "
                "changed nothing.",
                stacklevel=3,
            )
        self._last_good.keep(proves=not self.num_skipped and not self.went_back)
        self._rates = []
        names = [*self._names, *(f"Update/{name}_gradient" for name in self._groups)]
        columns = list(zip(*good, strict=True))[2:] or [[math.nan]] * len(names)
        means = {name: sum(column) / len(column) for name, column in zip(names, columns, strict=True)}
        return means | {"Update/skipped": float(self.num_skipped)}

    def forget(self) -> None:
        """Start anew with what is there now: a checkpoint was loaded."""
        self._last_good.forget()
        self._bad_in_a_row = 0

    def undo(self) -> bool:
        """Put back what an interrupted update started from; return whether the parameters are whole then.

        They are whole as well where the update had not begun or had ended. They are not where it has a way of its own.
        """
        if self._rates:
            self._last_good.undo()
            for rate, before in self._rates:
                rate.copy_(before)
            self._rates = []
        return bool(self._names)

    def tensors(self) -> list[torch.Tensor]:
        """Return every tensor that a step changes."""
        rates = [rate for each in self.optimizers for rate in each.rates]
        return [*self._last_good.tensors().values(), *rates]

    def _go_back(self, reason: str) -> None:
        self._last_good.restore()
        self._bad_in_a_row = 0
        for rate in self.optimizers[0].rates:
            rate.div_(2)
        halved = self.optimizers[0].rate_as_number()
        warnings.warn(
            f"{reason}. The last good parameters, statistics and optimizer were restored, and the learning rate is "
            f"halved to {halved:.2e}.",
            stacklevel=4,
        )
