# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The rollout: preallocated buffers, written in place, read as mini-batches.

Legend: T steps, N environments, A actions, B samples.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

import torch
from tensordict import TensorDict

from rsl_rl.core.trajectories import Trajectories
from rsl_rl.modules import HiddenState
from rsl_rl.storage.left_out import overwrite_with_copies
from rsl_rl.utils import did_you_mean, listed

_TRAINING_TYPES = ("rl", "distillation")


class RolloutStorage:
    """Keeps T steps of N environments. Every buffer keeps its address for the life of the storage."""

    class Transition:
        """One step of all environments, filled by the algorithm and copied by :meth:`add_transition`."""

        def __init__(self) -> None:
            self.clear()

        def clear(self) -> None:
            """Forget everything."""
            self.observations: TensorDict | None = None
            self.actions: torch.Tensor | None = None
            self.privileged_actions: torch.Tensor | None = None
            self.rewards: torch.Tensor | None = None
            self.dones: torch.Tensor | None = None
            self.values: torch.Tensor | None = None
            self.actions_log_prob: torch.Tensor | None = None
            self.distribution_params: tuple[torch.Tensor, ...] | None = None
            self.hidden_states: tuple[HiddenState, HiddenState] = (None, None)

    @dataclass
    class Batch:
        """A part of the rollout: samples [B, ...], or for recurrent models whole environments [T, B, ...].

        In the latter case observations are padded trajectories [T, n_traj, ...] with ``masks`` [T, n_traj].
        """

        observations: TensorDict | None = None
        actions: torch.Tensor | None = None
        values: torch.Tensor | None = None
        advantages: torch.Tensor | None = None
        returns: torch.Tensor | None = None
        old_actions_log_prob: torch.Tensor | None = None
        old_distribution_params: tuple[torch.Tensor, ...] | None = None
        hidden_states: tuple[HiddenState, HiddenState] = (None, None)
        masks: torch.Tensor | None = None
        privileged_actions: torch.Tensor | None = None
        dones: torch.Tensor | None = None

    def __init__(
        self,
        training_type: str,
        num_envs: int,
        num_transitions_per_env: int,
        obs: TensorDict,
        actions_shape: Sequence[int],
        device: str = "cpu",
    ) -> None:
        """Allocate the buffers.

        Args:
            training_type: ``"rl"``, or ``"distillation"`` to keep a teacher's actions instead of values.
            num_envs: N.
            num_transitions_per_env: T.
            obs: Example observation groups, each [N, ...]; their dtypes are kept.
            actions_shape: Shape of one environment's action, [A].
            device: Device of the buffers.

        Raises:
            ValueError: The training type is unknown or a size is not positive.
        """
        if training_type not in _TRAINING_TYPES:
            hint = did_you_mean(training_type, _TRAINING_TYPES)
            raise ValueError(f"Unknown training type {training_type!r}.{hint} Valid: {listed(_TRAINING_TYPES)}.")
        if num_envs < 1 or num_transitions_per_env < 1:
            raise ValueError(
                f"A rollout needs at least one environment and one step, got {num_envs} environments and "
                f"{num_transitions_per_env} steps."
            )
        self.training_type = training_type
        self.num_envs = num_envs
        self.num_transitions_per_env = num_transitions_per_env
        self.device = device
        self.actions_shape = tuple(actions_shape)
        self.step = 0

        steps = (num_transitions_per_env, num_envs)
        self.observations = TensorDict(
            {
                key: torch.zeros(num_transitions_per_env, *value.shape, dtype=value.dtype, device=device)
                for key, value in obs.items()
            },
            batch_size=list(steps),
            device=device,
        )
        # Indexing a TensorDict costs far more than the copy itself: the views of every step are made once.
        self._observation_slots = [
            TensorDict({key: value[step] for key, value in self.observations.items()}, [num_envs], device=device)
            for step in range(num_transitions_per_env)
        ]
        self._recorded_step: int | None = None
        self._invalid_TN: torch.Tensor | None = None
        self.actions = torch.zeros(*steps, *self.actions_shape, device=device)
        self.rewards = torch.zeros(*steps, 1, device=device)
        self.dones = torch.zeros(*steps, 1, dtype=torch.uint8, device=device)
        if training_type == "distillation":
            self.privileged_actions = torch.zeros(*steps, *self.actions_shape, device=device)
        else:
            self.values = torch.zeros(*steps, 1, device=device)
            self.actions_log_prob = torch.zeros(*steps, 1, device=device)
            self.returns = torch.zeros(*steps, 1, device=device)
            self.advantages = torch.zeros(*steps, 1, device=device)
        # Allocated at the first transition: their number and shapes belong to the distribution.
        self.distribution_params: tuple[torch.Tensor, ...] | None = None
        self.saved_hidden_state_a: tuple[torch.Tensor, ...] | None = None
        self.saved_hidden_state_c: tuple[torch.Tensor, ...] | None = None

    def record_observations(self, obs: TensorDict | Mapping[str, torch.Tensor]) -> TensorDict:
        """Copy the observation of the current step into the rollout, and return the copy.

        Called when the action is chosen: the environment may overwrite its buffers while it steps.

        Args:
            obs: Observation groups, each [N, ...].

        Raises:
            OverflowError: The rollout is full.
        """
        self._require_space()
        slot = self._observation_slots[self.step]
        for key, target in slot.items():
            target.copy_(obs[key], non_blocking=True)  # type: ignore[arg-type] (a tensor)
        self._recorded_step = self.step
        return slot

    def add_transition(self, transition: RolloutStorage.Transition) -> None:
        """Copy one step of all environments into the rollout.

        Args:
            transition: With observations, actions [N, A], rewards [N], dones [N]; values [N, 1], actions_log_prob [N],
                distribution_params, each [N, ...], and hidden states before the step, or for distillation
                privileged_actions [N, A].

        Raises:
            OverflowError: The rollout is full.
        """
        self._require_space()
        step = self.step
        observations = transition.observations
        if observations is not None and not (
            self._recorded_step == step and observations is self._observation_slots[step]
        ):
            self.record_observations(observations)
        self.actions[step].copy_(transition.actions)  # type: ignore[arg-type]
        self.rewards[step].copy_(transition.rewards.view(-1, 1))  # type: ignore[union-attr]
        self.dones[step].copy_(transition.dones.view(-1, 1))  # type: ignore[union-attr]
        if self.training_type == "distillation":
            self.privileged_actions[step].copy_(transition.privileged_actions)  # type: ignore[arg-type]
        else:
            if self.distribution_params is None and transition.distribution_params is not None:
                self.distribution_params = self._allocate_like(transition.distribution_params)
            self.values[step].copy_(transition.values)  # type: ignore[arg-type]
            self.actions_log_prob[step].copy_(transition.actions_log_prob.view(-1, 1))  # type: ignore[union-attr]
            for target, value in zip(self.distribution_params or (), transition.distribution_params or (), strict=True):
                target[step].copy_(value)
            self._save_hidden_states(transition.hidden_states)
        self.step += 1

    def leave_out(self, invalid_TN: torch.Tensor) -> None:
        """Keep transitions out of everything that is learned; they must be marked as done.

        Until :meth:`refill` they are worth exactly what was expected, so that nothing before them is told otherwise.

        Args:
            invalid_TN: [T, N], bool.
        """
        self._invalid_TN = invalid_TN
        if self.training_type == "rl":
            self.rewards[invalid_TN] = self.values[invalid_TN]

    def refill(self) -> None:
        """Overwrite the transitions that were left out with copies of others, each a trajectory of its own.

        Mini-batches then have their usual shape, and means over them are those of what may be learned from. Does
        nothing unless transitions were left out.

        Raises:
            ValueError: There are no others.
        """
        if self._invalid_TN is None:
            return
        invalid_TN, self._invalid_TN = self._invalid_TN, None
        overwrite_with_copies(self, invalid_TN)

    def clear(self) -> None:
        """Start a new rollout in the same buffers."""
        self.step = 0
        self._recorded_step = None
        self._invalid_TN = None

    def mini_batch_generator(
        self, num_mini_batches: int, num_epochs: int = 8
    ) -> Generator[RolloutStorage.Batch, None, None]:
        """Yield shuffled mini-batches, the same ones in every epoch.

        The rollout is gathered in random order once; the mini-batches are views of it. What N * T leaves over when
        divided by the number of mini-batches is not used.

        Args:
            num_mini_batches: Mini-batches per epoch.
            num_epochs: Passes over the rollout.

        Raises:
            ValueError: There are more mini-batches than samples, or the storage keeps no values.
        """
        self._require_type("rl")
        num_samples = self.num_envs * self.num_transitions_per_env
        size = num_samples // num_mini_batches
        if size == 0:
            raise ValueError(
                f"{num_mini_batches} mini-batches need at least as many samples, but the rollout has {num_samples} "
                f"({self.num_envs} environments x {self.num_transitions_per_env} steps)."
            )
        indices = torch.randperm(num_mini_batches * size, device=self.device)

        def shuffled(tensor: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return tensor.flatten(0, 1)[indices].split(size)

        observations = {key: shuffled(self.observations[key]) for key in self.observations.keys()}  # noqa: SIM118
        actions, values, returns = shuffled(self.actions), shuffled(self.values), shuffled(self.returns)
        advantages, log_prob = shuffled(self.advantages), shuffled(self.actions_log_prob)
        params = [shuffled(param) for param in self.distribution_params or ()]
        batches = [
            RolloutStorage.Batch(
                observations=TensorDict(
                    {key: parts[index] for key, parts in observations.items()}, [size], device=self.device
                ),
                actions=actions[index],
                values=values[index],
                advantages=advantages[index],
                returns=returns[index],
                old_actions_log_prob=log_prob[index],
                old_distribution_params=tuple(parts[index] for parts in params),
            )
            for index in range(num_mini_batches)
        ]
        for _ in range(num_epochs):
            yield from batches

    def recurrent_mini_batch_generator(
        self, num_mini_batches: int, num_epochs: int = 8
    ) -> Generator[RolloutStorage.Batch, None, None]:
        """Yield mini-batches of whole environments in their order, the same ones in every epoch.

        Observations are cut at episode ends into padded trajectories; the other tensors stay [T, B, ...]. What N
        leaves over when divided by the number of mini-batches is not used.

        Args:
            num_mini_batches: Mini-batches per epoch.
            num_epochs: Passes over the rollout.

        Raises:
            ValueError: There are more mini-batches than environments, or the storage keeps no values.
        """
        self._require_type("rl")
        size = self.num_envs // num_mini_batches
        if size == 0:
            raise ValueError(
                f"{num_mini_batches} mini-batches of a recurrent model need at least as many environments, but there "
                f"are {self.num_envs}."
            )
        trajectories = Trajectories.of(self.dones)
        observations = {key: trajectories.pad(self.observations[key]) for key in self.observations.keys()}  # noqa: SIM118
        masks = trajectories.masks()
        # Saved as [T, layers, N, hidden], wanted as [layers, n_traj, hidden].
        hidden_states = [
            tuple(trajectories.first(state.transpose(1, 2)).transpose(0, 1) for state in saved or ())
            for saved in (self.saved_hidden_state_a, self.saved_hidden_state_c)
        ]
        # Where the trajectories of each mini-batch end.
        ends = trajectories.trajectory_TN[-1, size - 1 : num_mini_batches * size : size].add(1).tolist()
        batches = []
        for index, (begin, end) in enumerate(zip([0, *ends], ends, strict=False)):
            envs = slice(index * size, (index + 1) * size)
            state_a, state_c = (
                _as_hidden_state(tuple(state[:, begin:end].contiguous() for state in states))
                for states in hidden_states
            )
            batches.append(
                RolloutStorage.Batch(
                    observations=TensorDict(
                        {key: value[:, begin:end] for key, value in observations.items()},
                        [self.num_transitions_per_env, end - begin],
                        device=self.device,
                    ),
                    actions=self.actions[:, envs],
                    values=self.values[:, envs],
                    advantages=self.advantages[:, envs],
                    returns=self.returns[:, envs],
                    old_actions_log_prob=self.actions_log_prob[:, envs],
                    old_distribution_params=tuple(param[:, envs] for param in self.distribution_params or ()),
                    hidden_states=(state_a, state_c),
                    masks=masks[:, begin:end],
                    dones=self.dones[:, envs],
                )
            )
        for _ in range(num_epochs):
            yield from batches

    def generator(self) -> Generator[RolloutStorage.Batch, None, None]:
        """Yield the rollout of a distillation step by step: observations, actions and dones of all environments.

        Raises:
            ValueError: The storage keeps no teacher's actions.
        """
        self._require_type("distillation")
        for step in range(self.num_transitions_per_env):
            yield RolloutStorage.Batch(
                observations=self._observation_slots[step],
                actions=self.actions[step],
                privileged_actions=self.privileged_actions[step],
                dones=self.dones[step],
            )

    def _save_hidden_states(self, hidden_states: tuple[HiddenState, HiddenState]) -> None:
        """Copy the hidden states before the current step; None, before the first step of all, stands for zeros."""
        saved = []
        for buffers, state in zip((self.saved_hidden_state_a, self.saved_hidden_state_c), hidden_states, strict=True):
            parts = state if isinstance(state, tuple) or state is None else (state,)
            if buffers is None and parts is not None:
                buffers = self._allocate_like(parts)
            for index, target in enumerate(buffers or ()):
                if parts is None:
                    target[self.step].zero_()
                else:
                    target[self.step].copy_(parts[index])
            saved.append(buffers)
        self.saved_hidden_state_a, self.saved_hidden_state_c = saved

    def _require_type(self, training_type: str) -> None:
        if self.training_type != training_type:
            raise ValueError(
                f"These mini-batches are for a storage of the training type '{training_type}', not "
                f"'{self.training_type}'."
            )

    def _require_space(self) -> None:
        if self.step >= self.num_transitions_per_env:
            raise OverflowError(
                f"The rollout is full: it holds {self.num_transitions_per_env} steps. Call clear() before adding more."
            )

    def _allocate_like(self, params: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        # The rollout runs in inference mode; the buffers must not become inference tensors, the update learns on them.
        with torch.inference_mode(False):
            return tuple(
                torch.zeros(self.num_transitions_per_env, *param.shape, dtype=param.dtype, device=self.device)
                for param in params
            )


def _as_hidden_state(states: tuple[torch.Tensor, ...]) -> HiddenState:
    """Return a GRU's one state, an LSTM's two as a tuple, and None without any."""
    if len(states) < 2:
        return states[0] if states else None
    return states[0], states[1]
