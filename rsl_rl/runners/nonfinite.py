# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What a runner does about an environment that returns NaN or infinite numbers."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING

import torch
from tensordict import TensorDict

from rsl_rl.checkpoint import write_checkpoint
from rsl_rl.env.finite_guard import FiniteGuard, Offence, StepOutcome
from rsl_rl.runners.callbacks import Callback

if TYPE_CHECKING:
    from rsl_rl.runners.on_policy_runner import OnPolicyRunner

_MAX_EMPTY_ROLLOUTS = 10
_MAX_ENVIRONMENTS_KEPT = 16


class NonFinitePolicy(Callback):
    """Stops the training, or cuts the environments concerned and goes on."""

    def __init__(self, runner: OnPolicyRunner, obs: TensorDict) -> None:
        """Watch a runner whose environment gives observation groups like these."""
        self.recovers = runner.cfg.get("nonfinite", "raise") == "recover"
        self._guard = FiniteGuard(obs, runner.cfg["num_steps_per_env"], runner.env.num_envs, runner.device)
        self._empty_rollouts = self._times = self._count = 0

    def on_learn_begin(self, runner: OnPolicyRunner, obs: TensorDict) -> TensorDict:
        """Stop, or return the observations that a training starts from without what is not finite."""
        is_bad_N = self._guard.begin(obs)
        if (any_bad := bool(is_bad_N.any())) and not self.recovers:
            envs = is_bad_N.nonzero().flatten().tolist()
            raise ValueError(
                f"The environment returned NaN or infinite observations before the first step, in {len(envs)} of "
                f"{len(is_bad_N)} environments ({envs[:_MAX_ENVIRONMENTS_KEPT]})."
            )
        return self._guard.blanked(obs, is_bad_N) if any_bad else obs

    def on_step(self, outcome: StepOutcome) -> StepOutcome:
        """Watch one step; return it as it is to be learned from. Does not wait for the device."""
        self._guard.record(*outcome)
        return self._guard.cleaned(outcome) if self.recovers else outcome

    def on_rollout_end(self, runner: OnPolicyRunner, obs: TensorDict) -> bool:
        """Stop, or keep bad transitions out of the update, if there were any. Waits for the device once."""
        offence = self._guard.check()
        if self.recovers:
            return self._leave_out(offence, runner)
        if offence is not None:
            raise ValueError(
                f"The environment returned NaN or infinite numbers in iteration {runner.current_learning_iteration}; "
                f"the update was not made:\n{offence.text}{_keep_evidence(offence, runner, obs)}\nSet nonfinite to "
                "'recover' to cut these environments and go on, or check_for_nan to False to learn from them "
                "regardless."
            )
        return True

    def _leave_out(self, offence: Offence | None, runner: OnPolicyRunner) -> bool:
        """Keep bad transitions out of the update; return whether there is anything to learn from in every process."""
        self._count, is_empty = 0, False
        if offence is not None:
            self._count, is_empty = int(offence.invalid_TN.sum()), bool(offence.invalid_TN.all())
            if not is_empty:
                runner.alg.leave_out(offence.invalid_TN)
            self._times += 1
            # The first time, the second, the fourth, the eighth ...
            if self._times & (self._times - 1) == 0:
                warnings.warn(
                    f"The environment returned NaN or infinite numbers in iteration "
                    f"{runner.current_learning_iteration}; {self._count} transitions are left out of the update (it "
                    f"has happened in {self._times} iterations):\n{offence.text}",
                    stacklevel=3,
                )
            # Environments that still give nothing finite are asked to end their episodes, by their time limit.
            lost_N, lengths = self._guard.is_lost_N, runner.env.episode_length_buf
            if lost_N.any():
                longest = torch.as_tensor(runner.env.max_episode_length, device=lengths.device, dtype=lengths.dtype)
                with torch.inference_mode(False):
                    runner.env.episode_length_buf = torch.where(lost_N.to(lengths.device), longest, lengths)
        (empty,) = runner.world.sums(is_empty)
        self._empty_rollouts = self._empty_rollouts + 1 if empty else 0
        if self._empty_rollouts >= _MAX_EMPTY_ROLLOUTS:
            raise ValueError(
                f"For {_MAX_EMPTY_ROLLOUTS} rollouts no environment has returned finite numbers. Last:\n"
                f"{offence.text if offence is not None else '  in another process'}"
            )
        return not empty

    def on_update_end(self, runner: OnPolicyRunner) -> None:  # noqa: D102
        if self.recovers:
            runner.logger.metrics["Update/nonfinite"] = float(self._count)


def _keep_evidence(offence: Offence, runner: OnPolicyRunner, obs: TensorDict) -> str:
    """Write the policy as of the iteration before, and what the first bad step was given and answered; say where."""
    if runner.logger.log_dir is None:
        return ""
    iteration, step = runner.current_learning_iteration, offence.step
    envs = offence.environments[:_MAX_ENVIRONMENTS_KEPT]
    after = {str(group): value[envs].clone() for group, value in obs.items()}
    if step < runner.cfg["num_steps_per_env"] - 1:
        after = runner.alg.recorded_step(step + 1, envs).get("observations", after)
    document = {"what": offence.text, "iteration": iteration, "step": step, "environments": envs}
    document |= runner.alg.recorded_step(step, envs) | {"next_observations": after}
    step_file = os.path.join(runner.logger.log_dir, f"nonfinite_{iteration}.pt")
    policy_file = runner.save_last_iteration()
    try:
        if policy_file is None:
            # No iteration is complete that a checkpoint could be named after.
            policy_file, document["checkpoint"] = step_file, runner.alg.save()
        write_checkpoint(document, step_file)
    except OSError as error:
        return f"\nThe offending step could not be kept: {error}."
    return f"\nThe offending step is kept in '{step_file}', the policy in '{policy_file}'."
