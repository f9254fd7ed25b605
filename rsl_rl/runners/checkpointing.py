# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""When a training saves, and when it ends."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from rsl_rl.checkpoint import TRAINING_REWARD
from rsl_rl.distributed import on_host
from rsl_rl.runners.callbacks import Callback
from rsl_rl.runners.evaluation import RETURN
from rsl_rl.runners.run_state import process_state

if TYPE_CHECKING:
    from rsl_rl.runners.on_policy_runner import OnPolicyRunner


class Checkpointing(Callback):
    """Saves every so many iterations, the best policy, and at the end, of which all processes agree."""

    def on_iteration_end(self, runner: OnPolicyRunner) -> None:
        """Save if it is time; make this iteration the last one where a process was asked to stop."""
        folder, iteration = runner.folder, runner.current_learning_iteration
        rewards, by = runner.logger.rewbuffer, RETURN if RETURN in runner.logger.evaluation else TRAINING_REWARD
        score = runner.logger.evaluation.get(RETURN, sum(rewards) / len(rewards) if rewards else None)
        is_urgent = folder is not None and (folder.is_behind or (by == RETURN and folder.is_best(score, by)))
        stops, is_urgent = runner.world.sums(runner.stop_requested, is_urgent)
        # A signal that comes after the sum counts for the next iteration.
        runner.is_last_iteration |= stops > 0
        runner.stop_requested |= stops > 0
        is_due = iteration % runner.cfg["save_interval"] == 0
        if not (runner.is_last_iteration or is_urgent or is_due):
            return
        if runner.is_distributed:
            if different := runner.world.unlike_the_first(runner.alg.fingerprint()):
                warnings.warn(
                    f"The parameters of the processes {different} are not those of process 0 any more; they are "
                    "copied anew. An update that depends on the process, or failing hardware, does this.",
                    stacklevel=3,
                )
                runner.alg.broadcast_parameters()
            runner.process_states = runner.world.gather(on_host(process_state(runner)))
        if folder is not None:
            folder.save(runner.save, iteration, score, runner.is_last_iteration, by)
            # A client's way of saving may have looked at the policy.
            runner.alg.train_mode()
        runner.process_states = []
