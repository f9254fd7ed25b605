# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""How well the policy does without exploration, measured during its training and without disturbing it."""

from __future__ import annotations

import contextlib
import copy
import random
import time
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rsl_rl.checkpoint import EVALUATED_RETURN, random_state, restore_random_state
from rsl_rl.env import VecEnv, as_vec_env
from rsl_rl.env.contract import ATTRIBUTES, check_attributes
from rsl_rl.export.frozen import frozen_copy
from rsl_rl.runners.callbacks import Callback
from rsl_rl.runners.episodes import Episodes, play_episodes
from rsl_rl.runners.run_state import environment_state

if TYPE_CHECKING:
    from rsl_rl.runners.on_policy_runner import OnPolicyRunner

SEED = 500_000
"""Seed of every evaluation; that of its environments, too, where the command line makes them."""
_TAGS = {"return": EVALUATED_RETURN, "length": "Eval/mean_episode_length"}


class Evaluation(Callback):
    """Plays the deterministic policy at intervals, see :meth:`OnPolicyRunner.evaluate_with`.

    A copy of the policy acts, and the random generators of the process are put back. Environments that can save their
    state go back to their start, others are made anew where they came from a function; one that can do neither goes on
    with new episodes. What fails is said once and ends the evaluations, never the training.
    """

    def __init__(self, env: VecEnv | Callable[[], VecEnv], interval: int, episodes: int) -> None:
        """Set up as :meth:`OnPolicyRunner.evaluate_with` says; nothing is made or played yet."""
        for name, number in (("interval", interval), ("number of episodes", episodes)):
            if number < 1:
                raise ValueError(f"The {name} of evaluations must be at least 1, got {number}.")
        self._interval, self._episodes, self._is_over = interval, episodes, False
        # A class is a function that makes environments.
        self._makes_anew = isinstance(env, type) or not hasattr(env, "step")
        self._make: Any = env if self._makes_anew else lambda: env
        self._env: Any = None
        self._start: Any = None

    def on_update_end(self, runner: OnPolicyRunner) -> None:
        """Evaluate if it is time, in the first of several processes; warn if that fails."""
        runner.logger.evaluation, iteration = {}, runner.current_learning_iteration
        is_time = runner.is_last_iteration or iteration % self._interval == 0
        if self._is_over or not is_time or runner.gpu_global_rank != 0:
            return
        started = time.perf_counter()
        try:
            played = self._play(runner)
        except Exception as error:  # whatever an environment or a model raises, it is not worth a run
            self._is_over = True
            self._close()
            warnings.warn(
                f"The evaluation in iteration {iteration} failed and none is made any more, training goes on, and "
                f"best.pt stays that of the evaluations before: {type(error).__name__}: {error}",
                stacklevel=2,
            )
            return
        tags = {_TAGS.get(name, f"Eval/{name}"): mean for name, mean in played.means().items()}
        tags |= {f"Eval/tracking/{name}": error for name, error in played.tracking.items()}
        runner.logger.evaluation = tags | {"Perf/evaluation_time": time.perf_counter() - started}

    def _play(self, runner: OnPolicyRunner) -> Episodes:
        devices = {"cpu", str(runner.device), str(runner.env.device)}
        with _seeded(devices):
            if self._env is None:
                self._env = as_vec_env(self._make())
                check_attributes(self._env, ATTRIBUTES)
                self._env.get_observations()
                # It may be the very buffers that are written when the environment is stepped.
                self._start = copy.deepcopy(environment_state(self._env)[0])
            elif self._start is not None:
                # In the mode in which it was stepped, or what it writes in place could not be written.
                with torch.inference_mode():
                    self._env.load_state_dict(copy.deepcopy(self._start))
            env, policy = self._env, frozen_copy(runner.alg.get_policy()).to(self._env.device)
            # An environment that never ends an episode, of broken numbers for example, must not hold up the training.
            limit = 2 * int(torch.as_tensor(env.max_episode_length).max()) * -(-self._episodes // env.num_envs)
            # Environments that were made have drawn other numbers than those that were put back.
            with _seeded(devices):
                played = play_episodes(env, policy, self._episodes, limit)
        if not played.returns:
            raise RuntimeError(f"no episode began within {limit} steps")
        if self._makes_anew and self._start is None:
            self._close()
        return played

    def _close(self) -> None:
        with contextlib.suppress(Exception):  # it has done its work
            self._env.close()
        self._env = self._start = None


@contextlib.contextmanager
def _seeded(devices: set[str]) -> Iterator[None]:
    """Seed every generator, and put it back at the end."""
    kept = {device: random_state(device) for device in sorted(devices)}
    try:
        random.seed(SEED)
        np.random.seed(SEED)
        torch.default_generator.manual_seed(SEED)
        for device in devices:
            if torch.device(device).type == "cuda":
                # Not torch.manual_seed: other GPUs are none of its business.
                with torch.cuda.device(device):
                    torch.cuda.manual_seed(SEED)
        yield
    finally:
        for device, state in kept.items():
            restore_random_state(state, device)
