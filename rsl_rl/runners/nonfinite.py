# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What a runner does about an environment that returns NaN or infinite numbers."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any, NoReturn

import torch
from tensordict import TensorDict

from rsl_rl.checkpoint import write_checkpoint
from rsl_rl.distributed import World
from rsl_rl.env import VecEnv
from rsl_rl.env.finite_guard import FiniteGuard, Offence, StepOutcome

MAX_EMPTY_ROLLOUTS = 10
"""So many rollouts in a row without anything to learn from end the training."""
_MAX_ENVIRONMENTS_KEPT = 16


class NonFinitePolicy:
    """Stops the training, or cuts the environments concerned and goes on."""

    def __init__(self, obs: TensorDict, cfg: dict[str, Any], env: VecEnv, device: str, world: World) -> None:
        """Set up.

        Args:
            obs: Example observation groups.
            cfg: The runner's configuration; ``nonfinite`` is ``"raise"`` or ``"recover"``.
            env: The environment.
            device: Device of the observations.
            world: The processes that train together.
        """
        self.recovers = cfg.get("nonfinite", "raise") == "recover"
        self._guard = FiniteGuard(obs, cfg["num_steps_per_env"], env.num_envs, device)
        self._env = env
        self._world = world
        self._empty_rollouts = 0
        self._times = 0
        self.count = 0
        """Transitions that were left out of the last rollout."""

    def begin(self, obs: TensorDict) -> TensorDict:
        """Return the observations that a training starts from, without what is not finite.

        Raises:
            ValueError: They are not finite, and that is to stop the training.
        """
        is_bad_N = self._guard.begin(obs)
        if not is_bad_N.any():
            return obs
        envs = is_bad_N.nonzero().flatten().tolist()
        if not self.recovers:
            raise ValueError(
                f"The environment returned NaN or infinite observations before the first step, in {len(envs)} of "
                f"{len(is_bad_N)} environments ({envs[:_MAX_ENVIRONMENTS_KEPT]})."
            )
        return self._guard.blanked(obs)

    def step(self, outcome: StepOutcome) -> StepOutcome:
        """Watch one step; return it as it is to be learned from. Does not wait for the device."""
        self._guard.record(*outcome)
        return self._guard.cleaned(outcome) if self.recovers else outcome

    def check(self) -> Offence | None:
        """Return what was not finite in the rollout. Waits for the device once."""
        offence = self._guard.check()
        self.count = 0 if offence is None else int(offence.invalid_TN.sum())
        return offence

    def leave_out(self, offence: Offence | None, storage: Any, iteration: int) -> bool:
        """Keep bad transitions out of the update; return whether there is anything to learn from in every process.

        Raises:
            ValueError: There was nothing to learn from for too long.

        Warns:
            UserWarning: The first time, the second, the fourth, the eighth ...
        """
        is_empty = False
        if offence is not None:
            is_empty = bool(offence.invalid_TN.all())
            if not is_empty:
                storage.leave_out(offence.invalid_TN)
            self._times += 1
            if self._times & (self._times - 1) == 0:
                warnings.warn(
                    f"The environment returned NaN or infinite numbers in iteration {iteration}; {self.count} "
                    f"transitions are left out of the update (it has happened in {self._times} iterations):\n"
                    f"{offence.text}",
                    stacklevel=3,
                )
        (empty,) = self._world.sums(is_empty)
        self._empty_rollouts = self._empty_rollouts + 1 if empty else 0
        if self._empty_rollouts >= MAX_EMPTY_ROLLOUTS:
            raise ValueError(
                f"For {MAX_EMPTY_ROLLOUTS} rollouts no environment has returned finite numbers. Last:\n"
                f"{offence.text if offence is not None else '  in another process'}"
            )
        return not empty

    def stop(
        self,
        offence: Offence,
        iteration: int,
        obs: TensorDict,
        alg: Any,
        log_dir: str | None,
        save_as_of: Callable[[str, int], None],
    ) -> NoReturn:
        """Keep the policy and the offending step, and raise.

        Args:
            offence: What was found.
            iteration: In which iteration.
            obs: Observation groups after the last step of the rollout.
            alg: The algorithm, with the rollout.
            log_dir: The run's folder; None to keep nothing.
            save_as_of: Writes a checkpoint to a path, as that of an earlier iteration.

        Raises:
            ValueError: Names quantities, steps and environments.
        """
        kept = ""
        if log_dir is not None:
            try:
                kept = f"\n{_keep_evidence(offence, iteration, obs, alg, log_dir, save_as_of)}"
            except OSError as error:
                kept = f"\nThe offending step could not be kept: {error}."
        raise ValueError(
            f"The environment returned NaN or infinite numbers in iteration {iteration}; the update was not made:\n"
            f"{offence.text}{kept}\nSet nonfinite to 'recover' to cut these environments and go on, or check_for_nan "
            "to False to learn from them regardless."
        )

    @torch.inference_mode(False)
    def end_lost_episodes(self) -> None:
        """Ask environments that still give nothing finite to end their episodes, by their time limit."""
        lost_N = self._guard.lost_environments()
        if lost_N.any():
            lengths = self._env.episode_length_buf
            longest = torch.as_tensor(self._env.max_episode_length, device=lengths.device, dtype=lengths.dtype)
            self._env.episode_length_buf = torch.where(lost_N.to(lengths.device), longest, lengths)


def _keep_evidence(
    offence: Offence, iteration: int, obs: TensorDict, alg: Any, log_dir: str, save_as_of: Callable[[str, int], None]
) -> str:
    """Write the policy as of the iteration before and the offending step; return where they are."""
    step_file = os.path.join(log_dir, f"nonfinite_{iteration}.pt")
    document = _offending_step(offence, iteration, alg.storage, obs)
    if iteration == 0:
        # No iteration is complete that a checkpoint could be named after.
        write_checkpoint(document | {"checkpoint": alg.save()}, step_file)
        return f"The offending step, with the policy, is kept in '{step_file}'."
    policy_file = os.path.join(log_dir, f"model_{iteration - 1}.pt")
    if not os.path.exists(policy_file):
        save_as_of(policy_file, iteration - 1)
    write_checkpoint(document, step_file)
    return f"The offending step is kept in '{step_file}', the policy in '{policy_file}'."


def _offending_step(offence: Offence, iteration: int, storage: Any, obs: TensorDict) -> dict[str, Any]:
    """Return what an environment was given in the first bad step, and what it answered, as tensors and plain data."""
    step, envs = offence.step, offence.environments[:_MAX_ENVIRONMENTS_KEPT]
    is_last = step == storage.num_transitions_per_env - 1
    after = obs if is_last else {group: value[step + 1] for group, value in storage.observations.items()}
    return {
        "what": offence.text,
        "iteration": iteration,
        "step": step,
        "environments": envs,
        "observations": {str(group): value[step, envs].clone() for group, value in storage.observations.items()},
        "actions": storage.actions[step, envs].clone(),
        "rewards": storage.rewards[step, envs].clone(),
        "dones": storage.dones[step, envs].clone(),
        "next_observations": {str(group): value[envs].clone() for group, value in after.items()},
    }
