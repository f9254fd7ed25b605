# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What makes losses and gradients fast: ``torch.compile``, and pieces that fit the cache.

No engine knows an algorithm. Each runs the law's own ``loss``, proves itself once against the eager way, and differs
from it in nothing but time; one that fails gives way to the eager one, which is said once.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import nn

from rsl_rl.storage import RolloutStorage
from rsl_rl.utils import check_compile_mode
from rsl_rl.utils.samples import MIXING_SAMPLES

Batch = RolloutStorage.Batch
LossAndMetrics = tuple[torch.Tensor, dict[str, torch.Tensor]]
"""A scalar to differentiate, and scalars without gradient by name."""
LossFunction = Callable[[Batch], LossAndMetrics]

# What a layer holds of a piece: 4 MiB, which a processor's cache keeps until the backward pass needs it.
NUMBERS_IN_PIECE = 1 << 20
# Of the largest gradient. Compilers round differently, bfloat16 rounds coarsely; a wrong program is far off.
_TOLERANCE, _TOLERANCE_MIXED = 1e-3, 0.1


class Law(Protocol):
    """What a gradient step needs of an algorithm; see :class:`rsl_rl.algorithms.algorithm.Algorithm`."""

    device: str
    use_mixed_precision: bool

    @property
    def max_grad_norm(self) -> float | None: ...  # noqa: D102
    def loss(self, batch: Batch) -> LossAndMetrics: ...  # noqa: D102
    def adapt_learning_rate(self, rate: torch.Tensor, metrics: Mapping[str, torch.Tensor]) -> torch.Tensor: ...  # noqa: D102
    def models(self) -> dict[str, nn.Module]: ...  # noqa: D102
    def owners_of_options(self) -> list[Any]: ...  # noqa: D102


class Options:
    """The law's plain numbers as 0-d tensors: a schedule may change them without a new compilation or capture.

    The law reads ``self.entropy_coef`` as always. While a compiled or captured loss runs, the attribute is a tensor.
    """

    def __init__(self, owners: Sequence[Any], device: str) -> None:
        """Watch the attributes of type float of some objects."""
        self._owners, self._device = owners, device
        self._known: dict[tuple[int, str], tuple[float, torch.Tensor]] = {}

    def _attributes(self, *kinds: type) -> list[tuple[dict[str, Any], str, Any]]:
        """Return the attributes of exactly these types: whose they are, their names and values."""
        every = ((vars(owner), name, value) for owner in self._owners for name, value in vars(owner).items())
        return [attribute for attribute in every if type(attribute[2]) in kinds]

    @contextlib.contextmanager
    def as_tensors(self) -> Iterator[None]:
        """Let the attributes be tensors in this block, with the values that they have now."""
        numbers = self._attributes(float)
        for attributes, name, value in numbers:
            key = (id(attributes), name)
            if key not in self._known:
                self._known[key] = value, torch.tensor(value, dtype=torch.float32, device=self._device)
            known, tensor = self._known[key]
            if known != value:
                self._known[key] = value, tensor.fill_(value)
            attributes[name] = tensor
        try:
            yield
        finally:
            for attributes, name, value in numbers:
                attributes[name] = value

    def others(self) -> Hashable:
        """Return what a graph holds as it was when it was captured: the attributes that are not floats."""
        counters = {(id(vars(owner)), name) for owner in self._owners for name in owner.counters}
        fixed = self._attributes(bool, int, str, type(None))
        return tuple((name, value) for owner, name, value in fixed if (id(owner), name) not in counters)


def program_of(law: Law) -> Hashable:
    """Return what a compiled or captured loss does beside its numbers: replaced methods, layers, and their hooks."""
    # torch looks for most of that when a compiled function is called, but not for hooks.
    methods = [id(value) for value in vars(law).values() if callable(value) and not isinstance(value, nn.Module)]
    modules = [module for model in law.models().values() for module in model.modules()]
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    hooks = [number for module in modules for kind in kinds for number in getattr(module, kind)]
    return (*methods, *map(id, modules), *hooks)


class Gradients:
    """Leaves the gradients of a mini-batch in the parameters; eagerly or compiled, at once or in pieces.

    Large mini-batches of feed-forward models are taken in pieces on the CPU, whose gradients add up to the same.
    """

    def __init__(self, law: Law, options: Options) -> None:
        """Set up, without compilation."""
        self._law, self._options = law, options
        self._compiled: LossFunction | None = None
        self._parameters: list[nn.Parameter] = []
        self._mode: str | None = None
        self._program: Hashable = None
        self._is_proven = True
        self._largest_piece: int | None = None
        self.divides = True
        """Whether mini-batches may be taken in pieces."""

    def compile(self, mode: str | None) -> None:
        """Compile the loss, and with it its derivative, with a mode of ``torch.compile``; None for not at all."""
        check_compile_mode(mode)
        self._mode, self._compiled, self._is_proven = mode, None, mode is None
        if mode is not None:
            law = self._law

            def loss(batch: Batch) -> LossAndMetrics:
                return law.loss(batch)

            # torch counts compilations by code object and gives up after eight of them: every training has its own.
            loss.__code__ = loss.__code__.replace()
            self._program = program_of(law)
            is_recurrent = any(getattr(model, "is_recurrent", False) for model in law.models().values())
            # Every mini-batch has the same shape, but for the number of trajectories of recurrent models.
            compiled = torch.compile(loss, mode=mode, dynamic=None if is_recurrent else False)
            self._compiled = self._options.as_tensors()(compiled)

    def begin(self, parameters: Sequence[nn.Parameter]) -> None:
        """Look at the models and what is optimized anew before an update: programs freeze and replace parts of them."""
        if self._mode is not None and self._program != program_of(self._law):
            torch.compiler.reset()  # Functions within the loss were compiled for themselves.
            self.compile(self._mode)
        for parameter in parameters:
            parameter.grad = None  # One that does not learn any more must not be stepped with its last gradient.
        learning = [parameter for parameter in parameters if parameter.requires_grad]
        largest = self._fitting_piece() if self.divides else None
        if [id(p) for p in learning] != [id(p) for p in self._parameters] or largest != self._largest_piece:
            self._parameters, self._largest_piece = learning, largest
            self._is_proven = self._compiled is None and largest is None

    def __call__(self, batch: Batch) -> LossAndMetrics:
        """Replace the parameters' gradients by those of a mini-batch; return loss and metrics, without gradient.

        Warns:
            UserWarning: The mini-batch cannot be compiled, or taken in pieces.
        """
        for parameter in self._parameters:
            parameter.grad = None
        if not self._is_proven:
            return self._prove(batch)
        if self._compiled or (self._largest_piece is not None and len(batch.actions) > self._largest_piece):
            return self._in_pieces(batch, self._compiled or self._law.loss)
        # As in _in_pieces(), without another call between a reader and backward().
        loss, metrics = self._law.loss(batch)
        loss.backward()
        return loss.detach(), metrics

    def _in_pieces(self, batch: Batch, function: LossFunction) -> LossAndMetrics:
        results = []
        for piece, share in _pieces(batch, self._largest_piece):
            loss, metrics = function(piece)
            (loss * share).backward()
            results.append((loss.detach() * share, {name: value * share for name, value in metrics.items()}))
        if len(results) == 1:
            return results[0]
        sums = {name: torch.stack([metrics[name] for _, metrics in results]).sum(dim=0) for name in results[0][1]}
        return torch.stack([loss for loss, _ in results]).sum(dim=0), sums

    def _prove(self, batch: Batch) -> LossAndMetrics:
        """Choose the fastest way that gives the gradients of the eager one, and return those."""
        loss, metrics = self._law.loss(batch)
        loss.backward()
        expected = [parameter.grad for parameter in self._parameters]
        # What is not finite proves nothing.
        if all(bool(gradient.isfinite().all()) for gradient in expected if gradient is not None):
            is_divided = len(_pieces(batch, self._largest_piece)) > 1
            if is_divided and (reason := self._failure(batch, self._law.loss, expected)):
                self._largest_piece, self.divides = None, False
                warnings.warn(f"Mini-batches are not taken in pieces, which is slower. {reason}", stacklevel=4)
            if self._compiled and (reason := self._failure(batch, self._compiled, expected)):
                self._compiled = None
                warnings.warn(f"The mini-batch cannot be compiled, which is slower. {reason}", stacklevel=4)
            self._is_proven = True
        for parameter, gradient in zip(self._parameters, expected, strict=True):
            parameter.grad = gradient
        return loss.detach(), metrics

    def _failure(self, batch: Batch, function: LossFunction, expected: list[torch.Tensor | None]) -> str | None:
        """Return why a loss function on pieces does not give the expected gradients; None if it does."""
        for parameter in self._parameters:
            parameter.grad = None
        try:
            self._in_pieces(batch, function)
        except Exception as error:  # whatever the compiler says, there is another way
            return f"{type(error).__name__}: {''.join(str(error).strip().splitlines()[:1])}"
        pairs = [(parameter.grad, wanted) for parameter, wanted in zip(self._parameters, expected, strict=True)]
        if any((found is None) != (wanted is None) for found, wanted in pairs):
            return "It does not reach the same parameters."
        largest = max((float(wanted.abs().max()) for _, wanted in pairs if wanted is not None), default=0.0)
        worst = max((float((a - b).abs().max()) for a, b in pairs if a is not None and b is not None), default=0.0)
        if worst <= (_TOLERANCE_MIXED if self._law.use_mixed_precision else _TOLERANCE) * largest:
            return None
        return f"Its gradients differ by {worst:.1e} from those of {largest:.1e} that they should be."

    def _fitting_piece(self) -> int | None:
        """Return how many samples fit into the cache; None where a mini-batch must not, or need not, be divided."""
        modules = [module for model in self._law.models().values() for module in model.modules()]
        layers = [module for module in modules if isinstance(module, nn.Linear)]
        mixes_samples = any(isinstance(module, MIXING_SAMPLES) for module in modules)
        if mixes_samples or not layers or any(layer.weight.device.type != "cpu" for layer in layers):
            return None
        return max(1, NUMBERS_IN_PIECE // max(layer.out_features for layer in layers))


def _pieces(batch: Batch, largest: int | None) -> list[tuple[Batch, float]]:
    """Return pieces of a mini-batch of at most so many samples, each with its share of the samples."""
    num_samples = len(batch.actions)
    if largest is None or num_samples <= largest or batch.masks is not None:
        return [(batch, 1.0)]
    fewest = -(-num_samples // largest)
    # Equal ones where possible: every other size would be compiled anew.
    num_pieces = next((n for n in range(fewest, 2 * fewest) if num_samples % n == 0), fewest)
    size = -(-num_samples // num_pieces)
    parts = [slice(start, min(start + size, num_samples)) for start in range(0, num_samples, size)]
    return [(batch.map(lambda v, part=part: v[part]), (part.stop - part.start) / num_samples) for part in parts]
