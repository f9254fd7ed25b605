# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What makes a model that acts fast: CUDA graphs, and bfloat16 where the user asks."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import torch
from torch import nn

from rsl_rl.learning.capture import WARM_UP, Trial, cuda_graphs, device_clock
from rsl_rl.models.mlp_model import MLPModel, Observations, Substitute, is_of_this_library
from rsl_rl.modules import HiddenState, as_hidden_state
from rsl_rl.storage import RolloutStorage
from rsl_rl.utils.samples import MIXING_SAMPLES


class Acting(Substitute):
    """Takes the place of a model's ``head_output`` while the model acts in training; learning asks the model itself.

    What the model computes at a step is a function of observations and hidden state. Its first replay is compared with
    that function, as in :class:`rsl_rl.learning.capture.CapturedStep`.
    """

    def __init__(self, model: MLPModel, storage: Callable[[], Any], dtype: torch.dtype | None = None) -> None:
        """Set up, without graphs.

        Args:
            model: The model; it acts for all N environments of the storage at once.
            storage: Returns the rollout. Between two of them the model is looked at anew.
            dtype: Type in which the layers that autocast knows compute; None for that of the parameters.
        """
        self._model, self._storage, self._dtype = model, storage, dtype
        if isinstance(vars(model).get("head_output"), Acting):
            del model.head_output
        self._head_output = model.head_output
        self._make: Any = None
        self._trial = Trial("step of the policy")
        self._held: Hashable = None
        self._last_step = 0
        self._replays: dict[Hashable, tuple[Any, Iterator[int]]] = {}
        """Graphs by the shapes of their inputs, each with the number of its next call."""
        model.head_output = self  # type: ignore[method-assign, assignment]

    def capture(self, graph: Callable[..., Any], trial: Trial) -> None:
        """Replay steps as graphs that ``graph`` makes, as long as nothing in the model is a program's own."""
        self._make, self._trial = graph, trial

    def __call__(
        self, obs: Observations, masks: torch.Tensor | None = None, hidden_state: HiddenState = None
    ) -> torch.Tensor:
        """Return what :meth:`MLPModel.head_output` does."""
        if masks is not None or torch.is_grad_enabled() or not self._model.training:
            return self._head_output(obs, masks, hidden_state)
        # Without gradients nothing is lost, and a graph takes no tensor that has some.
        groups = {name: obs[name].detach() for name in self._model.obs_group_specs}
        first, storage = next(iter(groups.values())), self._storage()
        if len(first) != storage.num_envs or torch.is_autocast_enabled(first.device.type):
            return self._head_output(obs, masks, hidden_state)
        if torch.compiler.is_compiling() or not self._is_replayed(storage.step):
            return self._rounded(obs, first.device.type)
        tensors = {f"group {name}": value for name, value in groups.items()}
        tensors |= {f"state {index}": part.detach() for index, part in enumerate(self._state())}
        output, *state = self._in_either_way(tensors)
        self._model.reset(None, as_hidden_state(state))
        return output

    def _is_replayed(self, step: int) -> bool:
        """Look at the model once a rollout: programs replace parts of it, and hook themselves in."""
        if self._make is None or not self._trial.is_replayed:
            self._replays = {}
            return False
        if step <= self._last_step:
            held = _constants(self._model)
            if held != self._held:
                self._held, self._replays = held, {}
        self._last_step = step
        return self._held is not None

    def _rounded(self, obs: Observations, device_type: str) -> torch.Tensor:
        """Ask the model in the type that was asked for."""
        if self._dtype is None:
            return self._head_output(obs, None, None)
        with torch.autocast(device_type, dtype=self._dtype):
            output = self._head_output(obs, None, None)
        return output.to(next(self._model.parameters()).dtype)

    def _state(self) -> list[torch.Tensor]:
        state = self._model.get_hidden_state()
        parts = state if isinstance(state, tuple) else [state]
        return [part for part in parts if part is not None]

    def _step(self, **tensors: torch.Tensor) -> list[torch.Tensor]:
        """Return the output for observations and hidden state, and the next hidden state."""
        named: dict[str, dict[str, torch.Tensor]] = {"group": {}, "state": {}}
        for name, value in tensors.items():
            kind, _, rest = name.partition(" ")
            named[kind][rest] = value
        self._model.reset(None, as_hidden_state(list(named["state"].values())))
        output = self._rounded(named["group"], next(iter(tensors.values())).device.type)
        return [output, *self._state()]

    def _in_either_way(self, tensors: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        form = tuple((name, value.shape, value.dtype) for name, value in tensors.items())
        shapes = (torch.is_inference_mode_enabled(), *form)
        if shapes not in self._replays:
            self._replays[shapes] = self._make(self._step, warmup=WARM_UP), itertools.count(1)
        replay, calls = self._replays[shapes]
        call = next(calls)
        if call < WARM_UP:
            return replay(**tensors)
        if call == WARM_UP:
            return self._prove(replay, tensors)
        return self._trial(lambda: replay(**tensors), lambda: self._step(**tensors))

    def _prove(self, replay: Any, tensors: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        """Capture, and compare the first replay with the step itself; return what the latter gives."""
        expected = self._step(**tensors)
        try:
            replay(**tensors)  # captures
            found = replay(**tensors)
            pairs = zip(found, expected, strict=True)
            if not all(torch.allclose(a, b, rtol=1e-2, atol=1e-5, equal_nan=True) for a, b in pairs):
                raise ValueError("The replay gives other numbers than the step itself.")
        except Exception as error:  # whatever it is, the model can act without
            self._trial.failed(error)
        return expected


def _constants(model: MLPModel) -> Hashable:
    """Return what a graph of a model would hold as it is now; None if it must not be one: Python is not replayed."""
    of_distribution = set() if model.distribution is None else set(model.distribution.modules())
    modules = [module for module in model.modules() if module not in of_distribution]
    attributes = [(name, value) for module in modules for name, value in vars(module).items()]
    is_foreign = (
        any(not (is_of_this_library(each) or type(each).__module__.startswith("torch.nn.")) for each in modules)
        or any(isinstance(module, MIXING_SAMPLES) for module in modules)
        or any(module._forward_hooks or module._forward_pre_hooks for module in modules)
        or any(callable(value) and not isinstance(value, (nn.Module, Substitute)) for _, value in attributes)
    )
    if is_foreign:
        return None
    addresses = tuple(each.data_ptr() for each in model.state_dict().values())
    plain = tuple((name, value) for name, value in attributes if type(value) in (bool, int, float, str))
    return (tuple(map(id, modules)), addresses, plain)


def choose_acting(alg: Any, fast_path: str, dtype: torch.dtype | None = None, graph: Any = None) -> None:
    """Choose what computes the models that act, as in :class:`rsl_rl.config.RunnerConfig`.

    Args:
        alg: The algorithm; its models are changed.
        fast_path: The option; without graphs where it is ``"off"``, timed where it is ``"auto"``.
        dtype: Type in which layers compute; None for that of their parameters.
        graph: Makes captured functions; None for CUDA graphs, on a GPU only.
    """
    if graph is None and torch.device(alg.device).type == "cuda":
        graph = cuda_graphs(str(alg.device))
    if fast_path == "off":
        graph = None
    for model in alg.asked_every_step() if graph is not None or dtype is not None else ():
        # What a critic says is learned from: only the policy is rounded.
        own_dtype = dtype if model is alg.get_policy() else None
        is_known = isinstance(model, MLPModel) and hasattr(model, "obs_group_specs") and not _is_patched(model)
        if is_known and isinstance(alg.storage, RolloutStorage) and (graph is not None or own_dtype is not None):
            acting = Acting(model, lambda: alg.storage, own_dtype)
            if graph is not None:
                clock = device_clock(str(alg.device)) if fast_path == "auto" else None
                acting.capture(graph, Trial("step of the policy", clock, alg._world.rank == 0))


def _is_patched(model: nn.Module) -> bool:
    return not isinstance(vars(model).get("head_output"), (Acting, type(None)))
