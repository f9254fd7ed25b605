# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The rollout: preallocated buffers, written in place, read as mini-batches.

Legend: T steps, N environments, A actions, B samples.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from tensordict import TensorDict

from rsl_rl.compat.names import names_of
from rsl_rl.modules import HiddenState
from rsl_rl.storage.memory import Specs, check_memory
from rsl_rl.storage.mini_batches import JUDGED, Batch, Transition, padded_mini_batches, shuffled_mini_batches
from rsl_rl.utils import check_choice, takes_plain_options

# Copies are spread over the rollout without drawing from the random state: a prime, far from any number of steps.
_STRIDE = 7919


class RolloutStorage:
    """Keeps T steps of N environments. Every buffer keeps its address for the life of the storage."""

    Transition = Transition
    Batch = Batch

    actions: torch.Tensor
    rewards: torch.Tensor
    dones: torch.Tensor
    values: torch.Tensor
    actions_log_prob: torch.Tensor
    returns: torch.Tensor
    advantages: torch.Tensor
    privileged_actions: torch.Tensor
    _judge: Any
    _lacking: list[str]
    num_parts: int = 1
    """In so many parts the transitions are filled in that lack something."""

    @takes_plain_options
    def __init__(
        self,
        training_type: str,
        num_envs: int,
        num_transitions_per_env: int,
        obs: TensorDict,
        actions_shape: Sequence[int],
        device: str = "cpu",
        image_dtype: torch.dtype | None = None,
    ) -> None:
        """Allocate the buffers.

        Args:
            training_type: ``"rl"``, or ``"distillation"`` to keep a teacher's actions instead of values.
            num_envs: N.
            num_transitions_per_env: T.
            obs: Example observation groups, each [N, ...]; their dtypes are kept.
            actions_shape: Shape of one environment's action, [A].
            device: Device of the buffers.
            image_dtype: Type that images [N, C, H, W] of floating-point numbers are stored as; None for their own.

        Raises:
            MemoryError: The device has not enough memory; says what takes it and what helps.
            ValueError: The training type is unknown or a size is not positive.
        """
        check_choice("training type", training_type, ("rl", "distillation"))
        if num_envs < 1 or num_transitions_per_env < 1:
            raise ValueError(
                f"A rollout needs at least one environment and one step, got {num_envs} environments and "
                f"{num_transitions_per_env} steps."
            )
        self.training_type = training_type
        self.num_envs = int(num_envs)
        self.num_transitions_per_env = num_transitions_per_env
        self.device = device
        self.actions_shape = tuple(actions_shape)
        self.step = 0

        steps = (num_transitions_per_env, num_envs)
        action, number = ((*steps, *self.actions_shape), torch.float32), ((*steps, 1), torch.float32)
        specs = {"actions": action, "rewards": number}
        specs |= {"dones": (number[0], torch.uint8), "_late_time_outs": (number[0], torch.bool)}
        if training_type == "distillation":
            specs["privileged_actions"] = action
        else:
            specs |= dict.fromkeys(("values", "actions_log_prob", "returns", "advantages"), number)
        groups = {str(key): ((steps[0], *value.shape), _stored_type(value, image_dtype)) for key, value in obs.items()}
        every = {f"observation {key}": spec for key, spec in groups.items()} | specs
        learned = every.keys() - {"rewards", "dones", "_late_time_outs"}
        copied = [name for name, (shape, _) in every.items() if name in learned and len(shape) != 5]
        self.memory = check_memory(every, str(device), copied if training_type == "rl" else ())

        def allocated(specs: Specs) -> dict[str, torch.Tensor]:
            return {name: torch.zeros(shape, dtype=dtype, device=device) for name, (shape, dtype) in specs.items()}

        self.observations = TensorDict(allocated(groups), batch_size=steps, device=device)
        self._buffers = allocated(specs)
        vars(self).update(self._buffers)
        self._make_slots()
        self._unjudged: list[int] = []
        self._seen, self._judge, self._lacking = Transition(), None, []
        self.left_out: torch.Tensor | None = None
        """Transitions that must not be learned from, [T, N], bool; None without any."""
        # Allocated at the first transition: their number and shapes belong to the distribution.
        self.distribution_params: tuple[torch.Tensor, ...] | None = None
        self.saved_hidden_state_a: tuple[torch.Tensor, ...] | None = None
        self.saved_hidden_state_c: tuple[torch.Tensor, ...] | None = None

    def _make_slots(self) -> None:
        # Views of every step: indexing costs as much as the copy itself, and with a TensorDict far more.
        self._observation_slots = self.observations.unbind(0)
        computed = ("returns", "advantages", "_late_time_outs")
        views = {name: buffer for name, buffer in self._buffers.items() if name not in computed}
        steps = (self.num_transitions_per_env, self.num_envs)
        self._judged = [name for name in JUDGED if name in views]
        self._slots = [each.to_dict() for each in TensorDict(views, batch_size=steps).unbind(0)]

    def record_observations(self, obs: TensorDict | Mapping[str, torch.Tensor]) -> TensorDict:
        """Copy the observation groups of the current step, each [N, ...], into the rollout, and return the copy.

        Called when the action is chosen: the environment may overwrite its buffers while it steps. Raises OverflowError
        if the rollout is full.
        """
        if self.step >= self.num_transitions_per_env:
            raise self._overflow()
        slot = self._observation_slots[self.step]
        groups = [obs[key] for key in slot.keys()]  # noqa: SIM118 (a TensorDict)
        if groups:
            torch._foreach_copy_(list(slot.values()), groups, non_blocking=True)  # type: ignore[attr-defined]
        return slot

    def add_transition(self, transition: Transition) -> None:
        """Copy one step of all environments into the rollout.

        Args:
            transition: With observations, actions [N, A], rewards [N], dones [N]; values [N, 1], actions_log_prob [N],
                distribution_params, each [N, ...], and hidden states before the step, or for distillation
                privileged_actions [N, A]. It may lack values, log-probabilities, the teacher's actions, and the rewards
                that ``time_outs`` [N] add: its ``judge`` fills them in for many steps at once, as soon as somebody
                reads one of them.

        Raises:
            OverflowError: The rollout is full.
        """
        if self.step >= self.num_transitions_per_env:
            raise self._overflow()
        observations = transition.observations
        if observations is not None and observations is not self._observation_slots[self.step]:
            self.record_observations(observations)
        del self._unjudged[bisect.bisect_left(self._unjudged, self.step) :]  # if a program has set the step back
        judge = getattr(transition, "judge", None)
        lacks = [] if judge is None else [name for name in self._judged if name not in vars(transition)]
        waits = bool(lacks) and self._judge in (None, judge) and self._lacking in ([], lacks)
        if judge is not None and not waits:
            transition.complete()
        for name, slot in self._slots[self.step].items():
            if waits and name in lacks:
                continue
            value = getattr(transition, name)
            if name == "dones":
                # Not a copy: as a byte, 256 or 0.5 would be 0, and no end.
                torch.ne(value.view(-1, 1), 0, out=slot)
            else:
                slot.copy_(value if name.endswith("actions") else value.view(-1, 1))
        if waits:
            if transition.time_outs is not None:
                self._late_time_outs[self.step].copy_(transition.time_outs.view(-1, 1))
            self._unjudged.append(self.step)
            self._judge, self._lacking = judge, lacks
            for name in (*lacks, "rewards"):
                vars(self).pop(name, None)
        if self.distribution_params is None and transition.distribution_params is not None:
            self.distribution_params = self._allocate_like(transition.distribution_params)
        for target, value in zip(self.distribution_params or (), transition.distribution_params or (), strict=True):
            target[self.step].copy_(value)
        if self.saved_hidden_state_a or self.saved_hidden_state_c or transition.hidden_states != (None, None):
            self._save_hidden_states(transition.hidden_states)
        self.step += 1

    @torch.no_grad()
    def __getattr__(self, name: str) -> Any:
        """Complete what is lacking; what was set in the meantime stays as it is."""
        unfinished = (*vars(self).get("_lacking", ()), "rewards")
        if name not in unfinished or not vars(self).get("_unjudged"):
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        steps, buffers, seen = self._unjudged, self._buffers, self._seen
        known = [each for each in self._judged if each not in unfinished]
        longest = -(-self.num_transitions_per_env // self.num_parts)
        while steps:
            consecutive = next((i for i in range(1, len(steps)) if steps[i] != steps[0] + i), len(steps))
            part = slice(steps[0], steps[0] + min(consecutive, longest))
            seen.observations, seen.actions = self.observations[part].flatten(0, 1), self.actions[part].flatten(0, 1)
            seen.distribution_params = tuple(param[part].flatten(0, 1) for param in self.distribution_params or ())
            seen.rewards, seen.time_outs = buffers["rewards"][part].flatten(), self._late_time_outs[part].flatten()
            vars(seen).update({each: buffers[each][part].flatten(0, 1) for each in known})
            self._judge(seen)
            for each in unfinished:
                buffers[each][part].copy_(getattr(seen, each).view_as(buffers[each][part]))
            self._late_time_outs[part].zero_()
            del steps[: part.stop - part.start]
            seen.clear()
        self._judge, self._lacking = None, []
        vars(self).update({each: buffers[each] for each in unfinished if each not in vars(self)})
        return vars(self)[name]

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy holds: all of a rollout, and nothing of an algorithm."""
        if self._unjudged:
            self.rewards  # noqa: B018 (completes)
        return {name: value for name, value in vars(self).items() if name not in ("_slots", "_observation_slots")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._make_slots()

    def leave_out(self, invalid_TN: torch.Tensor) -> None:
        """Keep transitions, [T, N], bool, out of everything that is learned; they must be marked as done.

        They are worth exactly what was expected, so that nothing before them is told otherwise; :meth:`refill` then
        overwrites them.
        """
        self.left_out = invalid_TN
        if self.training_type == "rl":
            self.rewards[invalid_TN] = self.values[invalid_TN]

    def recorded_step(self, step: int, envs: list[int]) -> dict[str, Any]:
        """Return what some environments did in a step: observations by group, actions, rewards, dones."""
        observations = {str(group): value[step, envs] for group, value in self.observations.items()}
        named = {name: getattr(self, name)[step, envs] for name in ("actions", "rewards", "dones")}
        return {"observations": observations, **named}

    def refill(self) -> None:
        """Overwrite transitions that were left out with copies of others, each a trajectory of its own.

        Mini-batches then have their usual shape, and means over them are those of what may be learned from.

        Raises:
            ValueError: There are no others.
        """
        invalid_TN, self.left_out = self.left_out, None
        if invalid_TN is None:
            return
        to_steps, to_envs = invalid_TN.nonzero(as_tuple=True)
        valid = (~invalid_TN).nonzero()
        if len(valid) == 0:
            raise ValueError("No transition of this rollout can be learned from.")
        chosen = torch.arange(len(to_steps), device=valid.device) * _STRIDE % len(valid)
        from_steps, from_envs = valid[chosen].unbind(1)
        learned: list[Any] = [getattr(self, name) for name in self._buffers if name != "dones"]
        for buffer in [*learned, *self.observations.values(), *(self.distribution_params or ())]:
            buffer[to_steps, to_envs] = buffer[from_steps, from_envs]
        # [T, layers, N, hidden]
        for buffer in (*(self.saved_hidden_state_a or ()), *(self.saved_hidden_state_c or ())):
            buffer[to_steps, :, to_envs] = buffer[from_steps, :, from_envs]
        self.dones[:-1][invalid_TN[1:]] = 1

    def clear(self) -> None:
        """Start a new rollout in the same buffers."""
        self.step = 0
        if self._unjudged:
            vars(self).update({name: self._buffers[name] for name in (*self._lacking, "rewards")})
            self._unjudged, self._judge, self._lacking = [], None, []
            self._late_time_outs.zero_()
        self.left_out = None

    def mini_batch_generator(self, num_mini_batches: int, num_epochs: int = 8) -> Iterator[Batch]:
        """Yield shuffled mini-batches, the same ones in every epoch.

        The rollout is gathered in random order once, but for its images; the mini-batches are views of it. What N * T
        leaves over when divided by the number of mini-batches is not used.

        Args:
            num_mini_batches: Mini-batches per epoch.
            num_epochs: Passes over the rollout.

        Raises:
            ValueError: There are more mini-batches than samples, or the storage keeps no values.
        """
        if self.training_type != "rl":
            raise self._wrong_type("rl")
        yield from shuffled_mini_batches(self, num_mini_batches, num_epochs)

    def recurrent_mini_batch_generator(self, num_mini_batches: int, num_epochs: int = 8) -> Iterator[Batch]:
        """Yield mini-batches of whole environments in their order, the same ones in every epoch.

        Observations are cut at episode ends into padded trajectories; the other tensors stay [T, B, ...]. What N
        leaves over when divided by the number of mini-batches is not used. ValueError if there are more mini-batches
        than environments.
        """
        if self.training_type != "rl":
            raise self._wrong_type("rl")
        batches = padded_mini_batches(self, num_mini_batches)
        for _ in range(num_epochs):
            yield from batches

    def generator(self) -> Iterator[Batch]:
        """Yield the rollout of a distillation step by step: observations, actions and dones of all environments.

        Raises:
            ValueError: The storage keeps no teacher's actions.
        """
        for chunk in self.chunk_generator(1):
            yield chunk.map(lambda steps: steps[0])

    def chunk_generator(self, length: int) -> Iterator[Batch]:
        """Yield chunks of consecutive steps, [length, N, ...]; else as :meth:`generator`."""
        if self.training_type != "distillation":
            raise self._wrong_type("distillation")
        names = ("observations", "actions", "privileged_actions", "dones")
        for start in range(0, self.num_transitions_per_env, length):
            yield Batch(**{name: getattr(self, name)[start : start + length] for name in names})

    def _save_hidden_states(self, hidden_states: tuple[HiddenState, HiddenState]) -> None:
        """Copy the hidden states before the current step; None, before the first step of all, stands for zeros."""
        targets, values = [], []
        for name, state in zip(("saved_hidden_state_a", "saved_hidden_state_c"), hidden_states, strict=True):
            parts = state if isinstance(state, tuple) or state is None else (state,)
            if getattr(self, name) is None and parts is not None:
                setattr(self, name, self._allocate_like(parts))
            slots = [buffer[self.step] for buffer in getattr(self, name) or ()]
            targets += slots
            values += parts or [torch.zeros_like(slot) for slot in slots]
        if targets:
            torch._foreach_copy_(targets, values)  # type: ignore[attr-defined]

    def _overflow(self) -> OverflowError:
        return OverflowError(
            f"The rollout is full: it holds {self.num_transitions_per_env} steps. Call clear() before adding more."
        )

    def _wrong_type(self, training_type: str) -> ValueError:
        return ValueError(
            f"These mini-batches are for a storage of the training type '{training_type}', not '{self.training_type}'."
        )

    def _allocate_like(self, params: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        # The rollout runs in inference mode; the buffers must not become inference tensors, the update learns on them.
        with torch.inference_mode(False):
            return tuple(
                torch.zeros(self.num_transitions_per_env, *param.shape, dtype=param.dtype, device=self.device)
                for param in params
            )


def _stored_type(value: Any, image_dtype: torch.dtype | None) -> torch.dtype:
    is_float_image = value.ndim == 4 and value.dtype.is_floating_point
    return image_dtype if is_float_image and image_dtype is not None else value.dtype


__getattr__ = names_of(__name__)
