# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""How well the policy does without exploration, measured during its training and without disturbing it."""

from __future__ import annotations

import contextlib
import copy
import inspect
import random
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from tensordict import TensorDict

from rsl_rl.checkpoint import TRAINING_REWARD, random_state, restore_random_state
from rsl_rl.env import VecEnv, as_vec_env
from rsl_rl.export.frozen import frozen_copy
from rsl_rl.runners.episodes import Episodes, play_episodes
from rsl_rl.runners.run_state import environment_state
from rsl_rl.telemetry import Logger

SEED = 500_000
"""Seed of every evaluation; that of its environments, too, where the command line makes them."""
RETURN = "Eval/mean_return"


class Evaluation:
    """Plays the deterministic policy in environments of its own, every so many iterations and after the last.

    The training is the same, bit for bit, with and without it: a copy of the policy acts, and the random generators of
    the process are put back. Every evaluation of a policy gives the same numbers, whichever came before: environments
    that can save their state are put back to their start, others are made anew where they came from a function. One
    that can do neither goes on with new episodes.

    What fails here is said once and ends the evaluations, never the training.
    """

    def __init__(
        self,
        env: VecEnv | Callable[[], VecEnv],
        interval: int,
        episodes: int,
        device: str = "cpu",
        env_device: torch.device | str = "cpu",
    ) -> None:
        """Set up; nothing is made or played yet.

        Args:
            env: Environments that nobody else uses, or a function that makes them.
            interval: Evaluate in iterations 0, interval, 2 * interval ... and the last one.
            episodes: Episodes of an evaluation.
            device: Where the policy acts.
            env_device: Where the environments of the training are.

        Raises:
            ValueError: A number is less than 1.
        """
        for name, number in (("interval", interval), ("number of episodes", episodes)):
            if number < 1:
                raise ValueError(f"The {name} of evaluations must be at least 1, got {number}.")
        self.interval, self.episodes = interval, episodes
        self.is_over = False
        """Whether it has failed, and is not made any more."""
        self._device = device
        self._devices = {"cpu", str(device), str(env_device)}
        # A class is a function that makes environments.
        is_function = isinstance(env, type) or not hasattr(env, "step")
        self._make: Any = env if is_function else None
        self._env: Any = None if is_function else env
        self._start: Any = None
        self._is_adapted = False

    def numbers(self, iteration: int, is_end: bool, alg: Any) -> dict[str, float]:
        """Evaluate if it is time.

        Args:
            iteration: The iteration that has just been made.
            is_end: Whether it is the last one.
            alg: The algorithm; it is not changed.

        Returns:
            Numbers by their tags; none if it is not time, or failed.

        Warns:
            UserWarning: It failed; says of what.
        """
        if self.is_over or not (is_end or iteration % self.interval == 0):
            return {}
        started = time.perf_counter()
        try:
            with _kept_random_state(self._devices):
                played = self._play(frozen_copy(alg.get_policy()).to(self._device))
        except Exception as error:  # whatever an environment or a model raises, it is not worth a run
            self.is_over, self._start = True, None
            self._close()
            warnings.warn(
                f"The evaluation in iteration {iteration} failed and none is made any more, training goes on, and "
                f"best.pt stays that of the evaluations before: {type(error).__name__}: {error}",
                stacklevel=3,
            )
            return {}
        means = played.means()
        tags = {RETURN: means["return"], "Eval/return_std": means["return_std"]}
        tags |= {"Eval/mean_episode_length": means["length"]}
        if played.success is not None:
            tags["Eval/success"] = played.success
        tags |= {f"Eval/tracking/{name}": error for name, error in played.tracking.items()}
        return tags | {"Perf/evaluation_time": time.perf_counter() - started}

    def _play(self, policy: Any) -> Episodes:
        _seed(self._devices)
        env = self._at_start()
        # Environments that were made have drawn other numbers than those that were put back.
        _seed(self._devices)
        longest = int(torch.as_tensor(env.max_episode_length).max())
        # An environment that never ends an episode, of broken numbers for example, must not hold up the training.
        limit = 2 * longest * -(-self.episodes // env.num_envs)
        played = play_episodes(env, _OnDevice(policy, self._device), self.episodes, max_steps=limit)
        if not played.returns:
            raise RuntimeError(f"no episode began within {limit} steps")
        if self._make is not None and self._start is None:
            self._close()
        return played

    def _at_start(self) -> Any:
        """Return the environments at the start of their episodes."""
        if self._start is not None:
            # In the mode in which it was stepped, or what it writes in place could not be written.
            with torch.inference_mode():
                self._env.load_state_dict(copy.deepcopy(self._start))
            return self._env
        if self._env is None:
            self._env = self._make()
        elif self._is_adapted and _can_be_called(getattr(self._env, "reset", None)):
            with torch.inference_mode():
                self._env.reset()
        if not self._is_adapted:
            self._env, self._is_adapted = as_vec_env(self._env), True
            self._env.get_observations()
            # It may be the very buffers that are written when the environment is stepped.
            self._start = copy.deepcopy(environment_state(self._env))
        return self._env

    def _close(self) -> None:
        with contextlib.suppress(Exception):  # it has done its work
            self._env.close()
        self._env, self._is_adapted = None, False


def score_of(evaluation: Evaluation | None, logger: Logger) -> tuple[float | None, str]:
    """Return what the best checkpoint is chosen by, None where nothing is known yet, and its tag."""
    if evaluation is not None and not evaluation.is_over:
        return logger.evaluation.get(RETURN), RETURN
    rewards = logger.rewbuffer
    return sum(rewards) / len(rewards) if rewards else None, TRAINING_REWARD


def _can_be_called(function: Any) -> bool:
    """Return whether it is a function that needs no arguments."""
    try:
        inspect.signature(function).bind()
    except (TypeError, ValueError):
        return False
    return True


class _OnDevice:
    """A policy that takes observations from any device."""

    def __init__(self, policy: Any, device: str) -> None:
        self._policy, self._device = policy, device

    def __call__(self, obs: TensorDict) -> torch.Tensor:
        return self._policy(obs.to(self._device))

    def reset(self, dones: torch.Tensor | None = None) -> None:
        self._policy.reset(None if dones is None else dones.to(self._device))


@contextlib.contextmanager
def _kept_random_state(devices: set[str]) -> Iterator[None]:
    """Put every generator back at the end."""
    kept = {device: random_state(device) for device in sorted(devices)}
    try:
        yield
    finally:
        for device, state in kept.items():
            restore_random_state(state, device)


def _seed(devices: set[str]) -> None:
    random.seed(SEED)
    np.random.seed(SEED)
    torch.default_generator.manual_seed(SEED)
    for device in devices:
        if torch.device(device).type == "cuda":
            # Not torch.manual_seed: other GPUs are none of its business.
            with torch.cuda.device(device):
                torch.cuda.manual_seed(SEED)
