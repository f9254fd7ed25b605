# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The training loop of a student that learns from a teacher."""

from __future__ import annotations

from rsl_rl.algorithms import Distillation
from rsl_rl.checkpoint import read_checkpoint
from rsl_rl.env import VecEnv
from rsl_rl.runners.on_policy_runner import OnPolicyRunner


class DistillationRunner(OnPolicyRunner):
    """Trains a student on its own rollouts to act like a teacher, whose weights come from a checkpoint."""

    alg: Distillation

    def __init__(self, env: VecEnv, train_cfg: dict, log_dir: str | None = None, device: str = "cpu") -> None:
        """Build algorithm and logger, and fill the teacher from ``teacher_checkpoint`` where the configuration has it.

        Args:
            env: The environment.
            train_cfg: Configuration, see :class:`rsl_rl.config.RunnerConfig`; it is not changed.
            log_dir: Where logs and checkpoints go; None to keep nothing.
            device: Where to learn.

        Raises:
            FileNotFoundError: There is no such checkpoint.
            ValueError, TypeError: The configuration is wrong, or the checkpoint does not fit the teacher; says where.
        """
        super().__init__(env, train_cfg, log_dir, device)
        if self.cfg.get("teacher_checkpoint") is not None:
            document = read_checkpoint(self.cfg["teacher_checkpoint"], map_location=device)
            # What was distilled before can teach as well: the policy of that run is its student.
            if "student_state_dict" in document:
                document = {"actor_state_dict": document["student_state_dict"]}
            self.alg.load(document, load_cfg={"teacher": True})

    def learn(self, num_learning_iterations: int, init_at_random_ep_len: bool = False) -> None:
        """Train; arguments as in :meth:`OnPolicyRunner.learn`.

        Raises:
            ValueError: The teacher has no weights yet, or the environment gave NaN or infinite numbers.
        """
        if not self.alg.teacher_loaded:
            raise ValueError(
                "The teacher has no weights: load a checkpoint of its training first, with runner.load(path) or the "
                "configuration key 'teacher_checkpoint'."
            )
        super().learn(num_learning_iterations, init_at_random_ep_len)
