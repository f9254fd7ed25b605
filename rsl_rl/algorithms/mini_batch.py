# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""From a mini-batch to the gradients of its losses: eagerly or compiled, at once or in pieces.

Legend: B samples of a mini-batch, L losses.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import torch
from tensordict import TensorDict
from torch import nn
from torch.func import functional_call, grad_and_value

from rsl_rl.algorithms.written_gradients import CompiledStep, WrittenGradients
from rsl_rl.models.mlp_model import sees_single_rows
from rsl_rl.storage import RolloutStorage
from rsl_rl.utils import check_compile_mode

# What a layer holds of a piece: 4 MiB, which a processor's cache keeps until the backward pass needs it.
_NUMBERS_OF_PIECE = 1 << 20
# Of the largest gradient. Compilers round differently, bfloat16 rounds coarsely; a wrong program is far off.
_TOLERANCE, _TOLERANCE_MIXED = 1e-3, 0.1


class Losses(NamedTuple):
    """What a mini-batch says about actor and critic; scalars."""

    total: torch.Tensor
    kl: torch.Tensor
    clipped: torch.Tensor
    """Share of the samples whose probability ratio was clipped."""
    logged: torch.Tensor
    """[L], the losses for the log, without gradient."""

    def numbers(self) -> torch.Tensor:
        """Return [3 + L]: everything without gradient, in this order."""
        parts = [self.total.detach(), self.kl, self.clipped]
        return torch.cat([torch.stack([part.to(self.logged.dtype) for part in parts]), self.logged])


LossFunction = Callable[[RolloutStorage.Batch], Losses]


class MiniBatchGradients:
    """Leaves the gradients of a mini-batch in the parameters.

    Large mini-batches of feed-forward models are taken in pieces on the CPU, whose gradients add up to the same.
    """

    def __init__(
        self,
        losses: LossFunction,
        models: Iterable[nn.Module],
        is_mixed: bool = False,
        written: WrittenGradients | None = None,
    ) -> None:
        """Set up, without compilation.

        Args:
            losses: Losses of a mini-batch, means over its samples: a function of the models' parameters and the batch.
            models: Everything that the losses depend on.
            is_mixed: Whether they are computed in bfloat16.
            written: The gradients of these losses, used where it fits.
        """
        self._losses = losses
        self._written = written
        self._models = nn.ModuleList(models)
        self._tolerance = _TOLERANCE_MIXED if is_mixed else _TOLERANCE
        # Fastest first: those that were not found wrong, and those of them that fit the models as they are.
        self._ways: list[_Autograd | _Compiled | CompiledStep] = []
        self._compiled: list[_Autograd | _Compiled | CompiledStep] = []
        self._eager = _Autograd(losses)
        self._is_proven = True
        self._parameters: list[nn.Parameter] = []
        self._largest_piece: int | None = None
        self._uncompiled: _Autograd | WrittenGradients = self._eager
        self._is_fast = True

    def use_fast_path(self, is_on: bool) -> None:
        """Choose whether mini-batches may be divided and gradients that are written out be used."""
        self._is_fast = is_on

    def compile(self, mode: str | None) -> None:
        """Compile with a mode of ``torch.compile``; None for not at all.

        Feed-forward models: losses and gradients as one function, with the layers written out where they are known.
        Otherwise the losses only. What cannot be compiled, or gives other gradients than the eager way, goes the next
        slower way, which is said once.
        """
        check_compile_mode(mode)
        self._compiled, self._ways = [], []
        if mode is not None:
            is_recurrent = any(getattr(model, "is_recurrent", False) for model in self._models)
            if not is_recurrent:
                if self._written is not None:
                    self._ways.append(self._written.compiled(mode))
                self._ways.append(_Compiled(self._losses, self._models, mode))
            # Every mini-batch has the same shape, but for the number of trajectories of recurrent models.
            dynamic = None if is_recurrent else False
            self._ways.append(_Autograd(torch.compile(self._losses, mode=mode, dynamic=dynamic)))
        self._is_proven = mode is None

    def begin(self, parameters: Iterable[nn.Parameter]) -> None:
        """Look at the models anew before an update: programs freeze, add and replace parts of them.

        Args:
            parameters: Everything that is optimized.
        """
        learning = [parameter for parameter in parameters if parameter.requires_grad]
        compiled = [way for way in self._ways if way.fits() and (self._is_fast or not isinstance(way, CompiledStep))]
        if [id(p) for p in learning] != [id(p) for p in self._parameters] or compiled != self._compiled:
            self._parameters, self._compiled, self._is_proven = learning, compiled, not compiled
        layers = [module for module in self._models.modules() if isinstance(module, nn.Linear)]
        in_pieces = self._is_fast and all(sees_single_rows(model) for model in self._models)
        in_pieces = in_pieces and all(layer.weight.device.type == "cpu" for layer in layers)
        widest = max((layer.out_features for layer in layers), default=1)
        self._largest_piece = max(1, _NUMBERS_OF_PIECE // widest) if in_pieces else None
        self._uncompiled = self._eager
        if self._is_fast and self._written is not None and self._written.fits():
            self._uncompiled = self._written

    def __call__(self, batch: RolloutStorage.Batch) -> torch.Tensor:
        """Compute losses and gradients.

        Args:
            batch: Samples [B, ...], or whole trajectories of recurrent models.

        Returns:
            [3 + L], see :meth:`Losses.numbers`.

        Warns:
            UserWarning: The mini-batch cannot be compiled.
        """
        pieces = [(batch, 1.0)] if self._largest_piece is None else list(_pieces(batch, self._largest_piece))
        if self._is_proven:
            return self._computed(self._compiled[0] if self._compiled else self._uncompiled, pieces)
        numbers = self._computed(self._eager, pieces)
        expected = [parameter.grad for parameter in self._parameters]
        # What is not finite proves nothing.
        if all(bool(gradient.isfinite().all()) for gradient in expected if gradient is not None):
            self._prove(pieces, expected)
        for parameter, gradient in zip(self._parameters, expected, strict=True):
            parameter.grad = gradient
        return numbers

    def _prove(self, pieces: list[tuple[RolloutStorage.Batch, float]], expected: list[torch.Tensor | None]) -> None:
        """Choose the fastest way that gives the expected gradients."""
        unreached = {index for index, gradient in enumerate(expected) if gradient is None}
        while self._compiled:
            self._compiled[0].unreached = unreached
            try:
                self._computed(self._compiled[0], pieces)
                reason = self._difference(expected)
            except Exception as error:  # whatever the compiler says, there is another way
                reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
            if reason is None:
                break
            self._ways.remove(self._compiled.pop(0))
            slower = self._compiled[0].description if self._compiled else "it is not compiled"
            warnings.warn(f"The mini-batch cannot be compiled as it was meant, {slower}. {reason}", stacklevel=5)
        self._is_proven = True

    def _difference(self, expected: list[torch.Tensor | None]) -> str | None:
        """Return how the gradients differ from those expected; None where they do not."""
        pairs = [(p.grad, wanted) for p, wanted in zip(self._parameters, expected, strict=True)]
        largest = max((float(wanted.abs().max()) for _, wanted in pairs if wanted is not None), default=0.0)
        if any((found is None) != (wanted is None) for found, wanted in pairs):
            return "It does not reach the same parameters."
        differences = [float((a - b).abs().max()) for a, b in pairs if a is not None and b is not None]
        worst = max(differences, default=0.0)
        if worst <= self._tolerance * largest:
            return None
        return f"Its gradients differ by {worst:.1e} from those of {largest:.1e} that they should be."

    def _computed(self, way: Any, pieces: list[tuple[RolloutStorage.Batch, float]]) -> torch.Tensor:
        for parameter in self._parameters:
            parameter.grad = None
        numbers = [way.run(piece, share, self._parameters) for piece, share in pieces]
        return numbers[0] if len(numbers) == 1 else torch.stack(numbers).sum(dim=0)


class _Autograd:
    """Adds the gradients of a piece to those that there are."""

    description = "only its losses are compiled"

    def __init__(self, losses: Callable[..., Losses]) -> None:
        self._losses = losses
        self.unreached: set[int] = set()

    def fits(self) -> bool:
        return True

    def run(self, batch: RolloutStorage.Batch, share: float, parameters: list[nn.Parameter]) -> torch.Tensor:
        losses = self._losses(batch)
        if share == 1.0:
            losses.total.backward()
            return losses.numbers()
        (losses.total * share).backward()
        return losses.numbers() * share


class _Compiled(nn.Module):
    """The same as one compiled function: no graph is recorded, and no Python runs between its operations."""

    description = "its losses and their gradients are compiled"

    def __init__(self, losses: LossFunction, models: nn.ModuleList, mode: str) -> None:
        super().__init__()
        self._losses = losses
        self._models = models
        self._gradients = torch.compile(self._gradients_of, mode=mode, dynamic=False)
        self.unreached: set[int] = set()
        self._asked: list[int] | None = None
        self._reached: list[nn.Parameter] = []
        self._names: list[str] = []

    def fits(self) -> bool:
        return True

    def run(self, batch: RolloutStorage.Batch, share: float, parameters: list[nn.Parameter]) -> torch.Tensor:
        if self._asked != (asked := [id(parameter) for parameter in parameters]):
            names = {parameter: name for name, parameter in self.named_parameters()}
            self._reached = [p for index, p in enumerate(parameters) if p in names and index not in self.unreached]
            self._names = [names[parameter] for parameter in self._reached]
            self._asked = asked
        gradients, numbers = self._gradients(
            [parameter.detach() for parameter in self._reached],
            dict(batch.observations.items()),  # type: ignore[union-attr]
            batch.old_distribution_params or (),
            {name: value for name, value in vars(batch).items() if isinstance(value, torch.Tensor)},
            share,
        )
        if self._reached and self._reached[0].grad is not None:
            torch._foreach_add_([parameter.grad for parameter in self._reached], gradients)  # type: ignore[attr-defined]
            return numbers
        for parameter, gradient in zip(self._reached, gradients, strict=True):
            parameter.grad = gradient
        return numbers

    def forward(self, batch: RolloutStorage.Batch) -> Losses:
        return self._losses(batch)

    def _gradients_of(
        self,
        parameters: list[torch.Tensor],
        observations: dict[str, torch.Tensor],
        old_distribution_params: tuple[torch.Tensor, ...],
        tensors: dict[str, torch.Tensor],
        share: float,
    ) -> tuple[list[torch.Tensor], torch.Tensor]:
        def total(parameters: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
            batch = RolloutStorage.Batch(
                observations=TensorDict(observations, [len(tensors["actions"])]),
                old_distribution_params=old_distribution_params,
                **tensors,  # type: ignore[arg-type]
            )
            losses = functional_call(self, dict(zip(self._names, parameters, strict=True)), (batch,))
            return losses.total * share, losses.numbers() * share

        gradients, (_, numbers) = grad_and_value(total, has_aux=True)(parameters)
        return gradients, numbers


def _pieces(batch: RolloutStorage.Batch, largest: int) -> Iterator[tuple[RolloutStorage.Batch, float]]:
    """Yield pieces of a mini-batch of at most so many samples, each with its share of the samples."""
    num_samples = len(batch.actions)  # type: ignore[arg-type]
    fewest = -(-num_samples // largest)
    # Equal ones where possible: every other size would be compiled anew.
    num_pieces = next((n for n in range(fewest, 2 * fewest) if num_samples % n == 0), fewest)
    size = -(-num_samples // num_pieces)
    for start in range(0, num_samples, size):
        part = slice(start, min(start + size, num_samples))
        piece = batch if num_pieces == 1 else batch.map(lambda value, part=part: value[part])
        yield piece, (part.stop - start) / num_samples
