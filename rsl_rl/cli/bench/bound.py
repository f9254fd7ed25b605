# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What an update cannot do without: its matrix products, counted, and timed bare on the same device.

Legend: T steps, N environments, B samples of a mini-batch.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.benchmark import Timer

from rsl_rl.cli.bench.timed_training import NUM_ACTIONS, NUM_EPOCHS, NUM_MINI_BATCHES, NUM_OBS, now

_GATES = {"lstm": 4, "gru": 3}
_MEASURE_SECONDS = 0.1


@dataclass(frozen=True)
class Layer:
    """A weight matrix in one mini-batch: multiplied forward, for its own gradient, and for that of its input."""

    inputs: int
    outputs: int
    samples: int
    """Samples that are multiplied at once."""
    steps: int = 1
    """Forward products, one after the other."""
    input_gradients: int = 1
    """Products for the gradient of the input; what the environment gave needs none."""

    @property
    def flops(self) -> int:
        """Multiplications and additions; activations, biases and the loss are not counted."""
        products = 2 * self.steps + self.input_gradients
        return 2 * self.inputs * self.outputs * self.samples * products


def mini_batch_layers(case: Mapping[str, Any]) -> list[Layer]:
    """Return the layers of actor and critic as a mini-batch of the case uses them.

    A recurrent layer multiplies its input for all steps at once, its state step by step; the state before the first
    step needs no gradient. That episodes end within a rollout, and what padding costs, is left out.
    """
    num_envs, num_steps = case["num_envs"], case["num_steps"]
    layers = []
    for outputs in (NUM_ACTIONS, 1):
        if case["rnn"] is None:
            samples, width = num_envs * num_steps // NUM_MINI_BATCHES, NUM_OBS
        else:
            envs, width = num_envs // NUM_MINI_BATCHES, case["rnn_hidden"]
            samples, gates = envs * num_steps, _GATES[case["rnn"]] * width
            layers.append(Layer(NUM_OBS, gates, samples, input_gradients=0))
            layers.append(Layer(width, gates, envs, steps=num_steps, input_gradients=num_steps - 1))
        sizes = [width, *case["hidden"], outputs]
        for index, (size_in, size_out) in enumerate(itertools.pairwise(sizes)):
            is_first = index == 0 and case["rnn"] is None
            layers.append(Layer(size_in, size_out, samples, input_gradients=0 if is_first else 1))
    return layers


def learn_flops(case: Mapping[str, Any]) -> int:
    """Return the arithmetic operations of an update's matrix products, over all mini-batches and epochs."""
    return NUM_EPOCHS * NUM_MINI_BATCHES * sum(layer.flops for layer in mini_batch_layers(case))


class BareProducts:
    """The matrix products of an update and nothing else, in the precision of the case."""

    def __init__(self, case: Mapping[str, Any]) -> None:
        self._device = case["device"]
        dtype = torch.bfloat16 if case["mixed_precision"] else torch.float32
        self._products = [
            product for layer in mini_batch_layers(case) for product in _products_of(layer, self._device, dtype)
        ]
        self._threads = torch.get_num_threads()
        self._run()

    @torch.no_grad()
    def seconds(self) -> float:
        """Return the time of an update's products, from at least 0.1 s of measuring."""
        timer = Timer("run()", globals={"run": self._run}, timer=lambda: now(self._device), num_threads=self._threads)
        return NUM_EPOCHS * NUM_MINI_BATCHES * timer.blocked_autorange(min_run_time=_MEASURE_SECONDS).median

    def _run(self) -> None:
        for product in self._products:
            product()


def _products_of(layer: Layer, device: str, dtype: torch.dtype) -> list[Callable[[], Any]]:
    """Return the products of a layer, in the order of operands and the layout in which a Linear makes them."""

    def filled(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, device=device).to(dtype)

    inputs = filled(layer.steps, layer.samples, layer.inputs)
    gradients = filled(layer.steps, layer.samples, layer.outputs)
    weight, outputs = filled(layer.outputs, layer.inputs), torch.empty_like(gradients)
    weight_gradient, input_gradients = torch.empty_like(weight), torch.empty_like(inputs)

    def forward() -> None:
        for step in range(layer.steps):
            torch.mm(inputs[step], weight.t(), out=outputs[step])

    def backward() -> None:
        for step in range(layer.input_gradients):
            torch.mm(gradients[step], weight, out=input_gradients[step])
        torch.mm(gradients.flatten(0, 1).t(), inputs.flatten(0, 1), out=weight_gradient)

    return [forward, backward]
