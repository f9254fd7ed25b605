# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The training loop: collect, learn, log, save."""

from __future__ import annotations

import os
import time
from typing import Any

import torch

from rsl_rl.checkpoint import layout_of, modernize, read_checkpoint, write_checkpoint
from rsl_rl.config import check_options, resolve_runner_config
from rsl_rl.env import VecEnv, as_vec_env
from rsl_rl.env.finite_guard import FiniteGuard
from rsl_rl.export import export_onnx, export_pt2, export_torchscript
from rsl_rl.export.frozen import frozen_copy
from rsl_rl.models import MLPModel
from rsl_rl.telemetry import Logger
from rsl_rl.utils import resolve_callable


class OnPolicyRunner:
    """Trains an algorithm on the rollouts of its own policy."""

    alg: Any
    """The algorithm, e.g. :class:`rsl_rl.algorithms.PPO`."""

    def __init__(self, env: VecEnv, train_cfg: dict, log_dir: str | None = None, device: str = "cpu") -> None:
        """Build algorithm and logger.

        Args:
            env: The environment. One of an earlier layout is adapted, see :func:`rsl_rl.env.as_vec_env`.
            train_cfg: Configuration, see :class:`rsl_rl.config.RunnerConfig`; it is not changed.
            log_dir: Where logs and checkpoints go; None to keep nothing.
            device: Where to learn.

        Raises:
            FileNotFoundError: There is no such file as ``teacher_checkpoint`` names.
            ValueError, TypeError: The configuration is wrong, or that checkpoint does not fit the teacher; says where.
        """
        self.env = env = as_vec_env(env)
        obs = env.get_observations().to(device)
        self.cfg = resolve_runner_config(train_cfg, [str(group) for group in obs.keys()])  # noqa: SIM118 (a TensorDict)
        self.device = device
        self._configure_multi_gpu()

        algorithm_class: Any = resolve_callable(self._algorithm_name())
        self.alg = algorithm_class.construct_algorithm(obs, env, self.cfg, device)
        if self.cfg.get("torch_compile_mode") is not None:
            self.alg.compile(self.cfg["torch_compile_mode"])
        if hasattr(self.alg, "teacher_loaded") and self.cfg.get("teacher_checkpoint") is not None:
            self._load_teacher(self.cfg["teacher_checkpoint"])
        self._guard = None
        if self.cfg.get("check_for_nan", True):
            self._guard = FiniteGuard(obs, self.cfg["num_steps_per_env"], env.num_envs, device)
        self.logger = Logger(
            log_dir=log_dir,
            cfg=self.cfg,
            env_cfg=getattr(env, "cfg", {}),
            num_envs=env.num_envs,
            is_distributed=self.is_distributed,
            gpu_world_size=self.gpu_world_size,
            gpu_global_rank=self.gpu_global_rank,
            device=device,
        )
        self.current_learning_iteration = 0
        self._iteration_is_done = False
        self.stop_requested = False
        self._policy_is_lent = False

    def learn(self, num_learning_iterations: int, init_at_random_ep_len: bool = False) -> None:
        """Train.

        A later call goes on with the next iteration. After the call, ``current_learning_iteration`` is the last
        iteration made, and its checkpoint lies in the log folder.

        Args:
            num_learning_iterations: Iterations to make.
            init_at_random_ep_len: Let the first episodes time out at different moments.

        Raises:
            ValueError: The environment gave NaN or infinite numbers, or a teacher to learn from has no weights yet.
        """
        if not getattr(self.alg, "teacher_loaded", True):
            raise ValueError(
                "The teacher has no weights: load a checkpoint of its training first, with runner.load(path) or the "
                "configuration key 'teacher_checkpoint'."
            )
        if init_at_random_ep_len:
            self.env.episode_length_buf = torch.randint_like(
                self.env.episode_length_buf, high=int(torch.as_tensor(self.env.max_episode_length).max())
            )
        obs = self.env.get_observations().to(self.device)
        self.alg.train_mode()
        if self._policy_is_lent:
            # What a recurrent policy remembers are the environments of its evaluation.
            self.alg.get_policy().reset()
        self.logger.init_logging_writer()
        start = self.current_learning_iteration + int(self._iteration_is_done)
        end = start + num_learning_iterations
        try:
            for iteration in range(start, end):
                self.current_learning_iteration, self._iteration_is_done = iteration, False
                started = time.perf_counter()
                obs = self._collect(obs, iteration)
                collected = time.perf_counter()
                losses = self.alg.update()
                learned = time.perf_counter()
                self._iteration_is_done = True
                self._log(iteration, start, end, collected - started, learned - collected, losses)
                is_last = iteration == end - 1 or self.stop_requested
                if self.logger.log_dir is not None and (is_last or iteration % self.cfg["save_interval"] == 0):
                    self.save(os.path.join(self.logger.log_dir, f"model_{iteration}.pt"))
                if is_last:
                    break
        finally:
            self.logger.stop_logging_writer()

    def request_stop(self) -> None:
        """End :meth:`learn` after the iteration in progress, with a checkpoint. Safe in a signal handler."""
        self.stop_requested = True

    def _collect(self, obs: Any, iteration: int) -> Any:
        """Step the environment for one rollout and return the observation after it."""
        with torch.inference_mode():
            for _ in range(self.cfg["num_steps_per_env"]):
                actions = self.alg.act(obs)
                obs, rewards, dones, extras = self.env.step(actions.to(self.env.device))
                # Some environments give rewards as a column [N, 1].
                obs, rewards, dones = obs.to(self.device), rewards.to(self.device).flatten(), dones.to(self.device)
                if self._guard is not None:
                    self._guard.record(obs, rewards, dones, extras)
                self.alg.process_env_step(obs, rewards, dones, extras)
                self.logger.process_env_step(rewards, dones, extras, self.alg.intrinsic_rewards)
            if self._guard is not None:
                self._guard.check(iteration)
            self.alg.compute_returns(obs)
        return obs

    def _log(
        self, iteration: int, start: int, end: int, collect_time: float, learn_time: float, losses: dict[str, float]
    ) -> None:
        policy = self.alg.get_policy()
        self.logger.log(
            it=iteration,
            start_it=start,
            total_it=end,
            collect_time=collect_time,
            learn_time=learn_time,
            loss_dict=losses,
            learning_rate=self.alg.learning_rate,
            action_std=policy.output_std.detach() if policy.distribution is not None else torch.zeros(1),
            rnd_weight=self.alg.rnd.weight if self.alg.rnd is not None else None,
        )

    # -- checkpoints ---------------------------------------------------------------------------------------------------

    def save(self, path: str, infos: dict | None = None) -> None:
        """Write a checkpoint atomically.

        Args:
            path: The file.
            infos: Anything of the caller's, as tensors and plain data; :meth:`load` returns it.
        """
        document = self.alg.save()
        document["iter"] = self.current_learning_iteration
        document["infos"] = infos
        write_checkpoint(document, path)
        self.logger.save_model(path, self.current_learning_iteration)

    def load(
        self, path: str, load_cfg: dict | None = None, strict: bool = True, map_location: str | None = None
    ) -> Any:
        """Take over a checkpoint.

        Args:
            path: The file.
            load_cfg: Which parts to take: actor, critic (or student, teacher), optimizer, iteration, rnd. None for all.
            strict: Refuse missing and unexpected keys of the models; otherwise what does not fit is skipped.
            map_location: Where to put the tensors; None for this runner's device.

        Returns:
            The ``infos`` given to :meth:`save`.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is not a checkpoint, is damaged, or does not fit; nothing was changed.
        """
        document = read_checkpoint(path, map_location=map_location or self.device)
        if layout := layout_of(document):
            print(f"'{path}' was written by rsl_rl {layout} and is translated as it is loaded.")
        if self.alg.load(document, load_cfg, strict) and "iter" in document:
            self.current_learning_iteration, self._iteration_is_done = document["iter"], True
        report = getattr(self.alg, "load_report", [])
        if any(not line.endswith(": taken") for line in report):
            print(f"Loaded {path}:\n  " + "\n  ".join(report))
        return document.get("infos")

    def _load_teacher(self, path: str) -> None:
        document = modernize(read_checkpoint(path, map_location=self.device))
        # What was distilled before can teach as well: the policy of that run is its student.
        if "student_state_dict" in document:
            document = {"actor_state_dict": document["student_state_dict"]}
        self.alg.load(document, load_cfg={"teacher": True})

    # -- the trained policy --------------------------------------------------------------------------------------------

    def get_inference_policy(self, device: str | None = None) -> MLPModel:
        """Return the policy in evaluation mode: observation groups [B, ...] -> deterministic actions [B, A].

        A recurrent policy forgets the environments of the training: it starts new episodes, of any number B.

        Args:
            device: Where it will run; on another device than this runner's it is a copy.
        """
        self.alg.eval_mode()
        policy = self.alg.get_policy()
        if device is not None and torch.device(device) != torch.device(self.device):
            policy = frozen_copy(policy).to(device)
        else:
            self._policy_is_lent = True
        policy.reset()
        return policy

    def export_policy_to_jit(self, path: str, filename: str = "policy.pt") -> None:
        """Write the policy as TorchScript into the folder ``path``, and check that the file acts like the policy.

        Raises:
            RuntimeError: It does not.
        """
        export_torchscript(self.alg.get_policy(), os.path.join(path, filename))

    def export_policy_to_onnx(self, path: str, filename: str = "policy.onnx", verbose: bool = False) -> None:
        """Write the policy as ONNX into the folder ``path``, and check that the file acts like the policy.

        Raises:
            RuntimeError: It does not.
        """
        export_onnx(self.alg.get_policy(), os.path.join(path, filename), verbose=verbose)

    def export_policy_to_pt2(self, path: str, filename: str = "policy.pt2") -> None:
        """Write the policy with ``torch.export`` into the folder ``path``, and check that it acts like the policy.

        Raises:
            RuntimeError: It does not.
        """
        export_pt2(self.alg.get_policy(), os.path.join(path, filename))

    def add_git_repo_to_log(self, repo_file_path: str) -> None:
        """Keep the state of the git repository that holds this file with the run."""
        self.logger.git_status_repos.append(repo_file_path)

    # -- set-up --------------------------------------------------------------------------------------------------------

    def _configure_multi_gpu(self) -> None:
        """Find out which of how many processes this is."""
        self.gpu_world_size = int(os.getenv("WORLD_SIZE", "1"))
        if self.gpu_world_size > 1:
            raise RuntimeError("Training with several processes is not available in this version: start one.")
        self.is_distributed = False
        self.gpu_local_rank = 0
        self.gpu_global_rank = 0
        self.cfg["multi_gpu"] = None

    def _algorithm_name(self) -> Any:
        """Return the algorithm's class name, after the sections have been checked in their order of appearance."""
        algorithm = self.cfg.get("algorithm")
        if not isinstance(algorithm, dict) or "class_name" not in algorithm:
            raise ValueError("The configuration needs a section 'algorithm' with a 'class_name', for example 'PPO'.")
        options = {key: value for key, value in algorithm.items() if key != "class_name"}
        check_options(resolve_callable(algorithm["class_name"]), options, "algorithm")
        return algorithm["class_name"]
