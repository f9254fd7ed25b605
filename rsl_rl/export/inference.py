# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The deterministic policy as a module of its own, on the CPU, in evaluation mode, for every export format.

A model is only asked for its parts (normalizer, head, distribution), which are copied; models are never imported.
TorchScript keeps the hidden state inside, as controllers in the field expect; ONNX and pt2 take and return it.
"""

import inspect
from typing import Any, Final, Optional

import torch
from torch import nn

from rsl_rl.export.frozen import frozen_copy
from rsl_rl.export.metadata import STATE_INPUTS
from rsl_rl.modules.reflection import NoSymmetry


class TorchPolicy(nn.Module):
    """Normalizer, head and output transform of a feed-forward model in one module."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.obs_normalizer = frozen_copy(model.obs_normalizer)
        self.mlp = frozen_copy(model.mlp)
        output = nn.Identity() if model.distribution is None else model.distribution.as_deterministic_output_module()
        self.output = frozen_copy(output)
        self.symmetry = frozen_copy(model.symmetry_maps) if hasattr(model, "symmetry_maps") else NoSymmetry()
        self.eval()

    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        """Return the actions [B, A] for the concatenated observation [B, obs_dim]."""
        head = self.mlp(self.obs_normalizer(self.symmetry.seen(obs)))
        return self.output(self.symmetry.combined(head, obs))

    @torch.jit.export
    def reset(self) -> None:
        """Start a new episode; a feed-forward policy remembers nothing."""


class ForOnnx:
    """What an ONNX exporter has to know about a policy, beside the policy itself."""

    def _describe(self, model: Any, verbose: bool, inputs: dict[str, torch.Tensor], outputs: list[str]) -> None:
        """Keep examples of the inputs beside ``obs``, with a batch of 1, by name, and the names of the outputs."""
        self.verbose, self.input_size = verbose, int(model.obs_dim)
        self._examples = {"obs": torch.zeros(1, self.input_size, device="cpu"), **inputs}
        self._output_names = outputs

    def get_dummy_inputs(self) -> tuple[torch.Tensor, ...]:
        """Return example inputs, batch size 1."""
        return tuple(example.clone() for example in self._examples.values())

    # Properties, which subclasses may replace by properties or class attributes of their own.
    @property
    def input_names(self) -> list[str]:
        """Names of the inputs."""
        return list(self._examples)

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs."""
        return self._output_names


class OnnxPolicy(ForOnnx, TorchPolicy):
    """The same policy with what an ONNX exporter has to know."""

    def __init__(self, model: Any, verbose: bool = False) -> None:
        super().__init__(model)
        self._describe(model, verbose, {}, ["actions"])


class RecurrentTorchPolicy(TorchPolicy):
    """Normalizer, recurrent network, head and output transform; it remembers from call to call."""

    h: torch.Tensor
    c: torch.Tensor  # A GRU leaves it alone.
    is_lstm: Final[bool]  # TorchScript compiles only the branch that is taken.

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.rnn = frozen_copy(model.rnn.rnn)
        self.is_lstm = isinstance(self.rnn, nn.LSTM)
        self.register_buffer("h", _first_state(self))
        self.register_buffer("c", torch.zeros_like(self.h))

    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        """Return the actions [B, A] for the concatenated observation [B, obs_dim] of the next step.

        Another batch size than that of the step before starts anew.
        """
        x = self.obs_normalizer(self.symmetry.seen(obs)).unsqueeze(0)
        if self.h.shape[1] != obs.shape[0]:
            self.h = torch.zeros(self.h.shape[0], obs.shape[0], self.h.shape[2], device=x.device)
            self.c = torch.zeros_like(self.h)
        if self.is_lstm:
            x, (h, c) = self.rnn(x, (self.symmetry.per_copy(self.h), self.symmetry.per_copy(self.c)))
            self.c = self.symmetry.joined(c)
        else:
            x, h = self.rnn(x, self.symmetry.per_copy(self.h))
        self.h = self.symmetry.joined(h)
        return self.output(self.symmetry.combined(self.mlp(x.squeeze(0)), obs))

    @torch.jit.export
    def reset(self) -> None:
        """Start a new episode."""
        self.h = torch.zeros_like(self.h)
        self.c = torch.zeros_like(self.c)


class RecurrentOnnxPolicy(ForOnnx, TorchPolicy):
    """The same policy with the hidden state as inputs and outputs, and what an exporter has to know."""

    def __init__(self, model: Any, verbose: bool = False) -> None:
        super().__init__(model)
        self.rnn = frozen_copy(model.rnn.rnn)
        names = STATE_INPUTS if isinstance(self.rnn, nn.LSTM) else STATE_INPUTS[:1]
        states = dict.fromkeys(names, _first_state(self))
        self._describe(model, verbose, states, ["actions", *(name.replace("_in", "_out") for name in states)])
        self.batch_dims = [0] + [1] * len(states)

    def forward(  # type: ignore[override] (the hidden state travels with it)
        self,
        obs: torch.Tensor,
        h_in: torch.Tensor,
        c_in: Optional[torch.Tensor] = None,  # noqa: UP045
    ) -> tuple[torch.Tensor, ...]:
        """Return the actions [B, A] and the hidden state after the step, ``h_out`` and for an LSTM ``c_out``.

        Args:
            obs: Concatenated observation, [B, obs_dim].
            h_in: [layers, B, hidden], zeros at the start of an episode; of a symmetric model [layers, B, k * hidden].
            c_in: [layers, B, hidden], the cell state of an LSTM.
        """
        symmetry, states = self.symmetry, [h_in] if c_in is None else [h_in, c_in]
        h, *c = map(symmetry.per_copy, states)
        x, state = self.rnn(self.obs_normalizer(symmetry.seen(obs)).unsqueeze(0), (h, *c) if c else h)
        actions = self.output(symmetry.combined(self.mlp(x.squeeze(0)), obs))
        return actions, *map(symmetry.joined, state if c else [state])


def _first_state(policy: Any) -> torch.Tensor:
    """Return the hidden state at the start of an episode of one environment, zeros."""
    return torch.zeros(policy.rnn.num_layers, 1, policy.symmetry.copies * policy.rnn.hidden_size, device="cpu")


class _Encoder(nn.Module):
    """A CNN; images of any type become float32, and bytes are scaled, as the model does it."""

    def __init__(self, cnn: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.cnn = frozen_copy(cnn)
        self.highest = 255.0 if dtype == torch.uint8 else 1.0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.cnn(images.float() / self.highest)


class VisionTorchPolicy(TorchPolicy):
    """Normalizer, image encoders, head and output transform."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.has_vectors = bool(model.obs_groups)
        self.encoders = nn.ModuleList(
            _Encoder(model.cnns[group], model.obs_group_specs[group][1]) for group in model.obs_groups_2d
        )
        self.eval()

    def forward(self, obs_1d: torch.Tensor, obs_2d: list[torch.Tensor]) -> torch.Tensor:  # type: ignore[override]
        """Return the actions [B, A].

        Args:
            obs_1d: Concatenated 1D groups, [B, obs_dim]; [B, 0] for a policy that sees images only.
            obs_2d: One batch of images per group, each [B, C, H, W].
        """
        parts: list[torch.Tensor] = []
        if self.has_vectors:
            parts.append(self.obs_normalizer(obs_1d))
        for index, encoder in enumerate(self.encoders):
            parts.append(encoder(obs_2d[index]))
        return self.output(self.mlp(torch.cat(parts, dim=-1)))


class VisionOnnxPolicy(ForOnnx, VisionTorchPolicy):
    """The same policy with one input per image group, and what an exporter has to know."""

    def __init__(self, model: Any, verbose: bool = False) -> None:
        super().__init__(model)
        specs = {group: model.obs_group_specs[group] for group in model.obs_groups_2d}
        images = {group: torch.zeros(1, *shape, dtype=dtype, device="cpu") for group, (shape, dtype) in specs.items()}
        self._describe(model, verbose, images, ["actions"])
        if not model.obs_groups:
            del self._examples["obs"]

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """Return the actions [B, A] for the inputs in the order of :attr:`input_names`."""
        obs_1d = inputs[0] if self.has_vectors else inputs[0].new_zeros(0)
        return super().forward(obs_1d, list(inputs[1:] if self.has_vectors else inputs))


def batch_dims(module: Any) -> list[int]:
    """Return which dimension of each input counts the batch: ``batch_dims``, else the second of a hidden state."""
    names = getattr(module, "input_names", ["obs"] * len(module.get_dummy_inputs()))
    return getattr(module, "batch_dims", [1 if name in STATE_INPUTS else 0 for name in names])


def batched_examples(module: Any) -> tuple[tuple[torch.Tensor, ...], tuple]:
    """Return a module's example inputs with a batch of 2, and where torch.export finds the dimension that counts it.

    An example with a batch of 1 would fix the batch size to 1.
    """
    dims = batch_dims(module)
    pairs = (torch.cat([example.cpu()] * 2, dim) for example, dim in zip(module.get_dummy_inputs(), dims, strict=True))
    batch = torch.export.Dim("batch", min=1, max=2**20)
    shapes: tuple = tuple({dim: batch} for dim in dims)
    parameters = inspect.signature(module.forward).parameters.values()
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        shapes = (shapes,)
    return tuple(pairs), shapes
