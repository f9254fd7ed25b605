# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The training loop: collect, learn, log, save."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import torch

from rsl_rl.algorithms.whole_rollout import values_put_off
from rsl_rl.checkpoint import CheckpointFolder, layout_of, newest_checkpoint, read_checkpoint, write_checkpoint
from rsl_rl.config import resolve_runner_config
from rsl_rl.distributed import Watch, join_world
from rsl_rl.env import VecEnv, as_vec_env
from rsl_rl.env.finite_guard import StepOutcome
from rsl_rl.export import export_onnx, export_pt2, export_torchscript
from rsl_rl.export.frozen import frozen_copy
from rsl_rl.models import MLPModel
from rsl_rl.runners.construction import construct_algorithm
from rsl_rl.runners.evaluation import RETURN, Evaluation, score_of
from rsl_rl.runners.nonfinite import NonFinitePolicy
from rsl_rl.runners.run_state import ResumedRun, config_differences, gathered_states, process_state, run_state
from rsl_rl.runners.runaway import RunawayWatch
from rsl_rl.telemetry import Logger


class OnPolicyRunner:
    """Trains an algorithm on the rollouts of its own policy."""

    alg: Any
    """The algorithm, e.g. :class:`rsl_rl.algorithms.PPO`."""

    evaluation: Evaluation | None = None
    """Plays the policy now and then while it is trained, see :meth:`evaluate_with`."""

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
            TimeoutError: Of several processes one did not start; names it.
        """
        self.env = env = as_vec_env(env)
        obs = env.get_observations().to(device)
        self.cfg = resolve_runner_config(train_cfg, [str(group) for group in obs.keys()])  # noqa: SIM118 (a TensorDict)
        self.device = device
        self._configure_multi_gpu()

        self.alg = construct_algorithm(obs, env, self.cfg, device)
        self._nonfinite: NonFinitePolicy | None = None
        if self.cfg.get("check_for_nan", True):
            self._nonfinite = NonFinitePolicy(obs, self.cfg, env, device, self._world)
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
        self._folder: CheckpointFolder | None = None
        self._resumed: ResumedRun | None = None
        self._processes: list[dict[str, Any]] = []
        self._runaway = RunawayWatch()

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
        Watch.work()
        obs = self._begin(init_at_random_ep_len)
        start = self.completed_iterations
        end = start + num_learning_iterations
        try:
            for iteration in range(start, end):
                self.current_learning_iteration, self._iteration_is_done = iteration, False
                started = time.perf_counter()
                obs, is_usable = self._collect(obs, iteration)
                collected = time.perf_counter()
                losses = self._learn_from(obs) if is_usable else {}
                learned = time.perf_counter()
                self._iteration_is_done = True
                self.logger.evaluation = {}
                if self.evaluation is not None and self.gpu_global_rank == 0:
                    self.logger.evaluation = self.evaluation.numbers(iteration, iteration == end - 1, self.alg)
                self._log(iteration, start, end, collected - started, learned - collected, losses)
                if self._conclude(iteration, iteration == end - 1):
                    break
        except Exception as error:
            if failure := Watch.explain(error):
                raise RuntimeError(f"Another process failed, and this one ends with it: {failure}") from error
            raise
        finally:
            self.logger.stop_logging_writer()
        Watch.rest()

    @property
    def completed_iterations(self) -> int:
        """How many iterations have been made, also before the checkpoint that was loaded."""
        return self.current_learning_iteration + int(self._iteration_is_done)

    def forget_progress(self) -> None:
        """Take only models and optimizer from the checkpoint that was loaded: what follows is a run of its own."""
        self._resumed = None
        self.alg._to_resume = None

    def evaluate_with(self, env: VecEnv | Callable[[], VecEnv], interval: int, episodes: int = 16) -> None:
        """Evaluate the policy without exploration in iterations 0, interval, 2 * interval ... and the last one.

        The training is the same bit for bit as without it. ``Eval/mean_return``, ``Eval/mean_episode_length``,
        ``Eval/success`` (where the environment reports it) and ``Eval/tracking/...`` are logged, and ``best.pt``
        becomes the checkpoint with the highest ``Eval/mean_return``. Of several processes the first evaluates::

            runner.evaluate_with(lambda: make_env("gym:Ant-v5", num_envs=16, seed=7), interval=10)

        Args:
            env: Environments that nobody else uses, with another seed; or a function that makes them. With a function,
                or an environment with ``state_dict``, every evaluation begins alike, also in a run that is resumed.
            interval: Iterations between two evaluations.
            episodes: Episodes of each.

        Raises:
            ValueError: A number is less than 1.
        """
        self.evaluation = Evaluation(env, interval, episodes, self.device, self.env.device)

    def request_stop(self) -> None:
        """End :meth:`learn` after the iteration in progress, with a checkpoint. Safe in a signal handler."""
        self.stop_requested = True

    def _begin(self, init_at_random_ep_len: bool) -> Any:
        """Return the first observation, of a run that is resumed the one where it was interrupted."""
        continues = False
        resumed, self._resumed = self._resumed, None
        if resumed is not None:
            continues = resumed.continue_environment(self.env, self.logger)
            self.logger.begin_at(self.current_learning_iteration + 1)
            for note in resumed.notes:
                if self.gpu_global_rank == 0 or note.startswith("rank"):
                    print(f"Resumed, but {note}.")
        if init_at_random_ep_len and not continues:
            self.env.episode_length_buf = torch.randint_like(
                self.env.episode_length_buf, high=int(torch.as_tensor(self.env.max_episode_length).max())
            )
        if self.logger.log_dir is not None:
            self._folder = CheckpointFolder(self.logger.log_dir, self.cfg.get("keep_checkpoints"))
            if resumed is not None:
                self._folder.begin_after(self.current_learning_iteration)
        obs = self.env.get_observations().to(self.device)
        self.alg.train_mode()
        if self._policy_is_lent:
            # What a recurrent policy remembers are the environments of its evaluation.
            self.alg.get_policy().reset()
        if self.is_distributed:
            self.alg.broadcast_parameters()
            # A program may have loaded a checkpoint in process 0 only.
            progress = (self.current_learning_iteration, self._iteration_is_done)
            self.current_learning_iteration, self._iteration_is_done = self._world.broadcast(progress)
        self.logger.init_logging_writer()
        if hasattr(self.alg, "resume"):
            # Last, since the environment may have drawn random numbers.
            self.alg.resume()
        return obs if self._nonfinite is None else self._nonfinite.begin(obs)

    def _collect(self, obs: Any, iteration: int) -> tuple[Any, bool]:
        """Step the environment for one rollout; return the observation after it, and whether it can be learned from."""
        nonfinite, device = self._nonfinite, torch.device(self.device)
        with torch.inference_mode(), values_put_off(self.alg):
            for _ in range(self.cfg["num_steps_per_env"]):
                actions = self.alg.act(obs)
                obs, rewards, dones, extras = self.env.step(actions.to(self.env.device))
                # Some environments give rewards as a column [N, 1].
                rewards, dones = rewards.to(self.device).flatten(), dones.to(self.device)
                obs = obs if obs.device == device else obs.to(device)
                ended = dones
                if nonfinite is not None:
                    obs, rewards, dones, extras = nonfinite.step(StepOutcome(obs, rewards, dones, extras))
                self.alg.process_env_step(obs, rewards, dones, extras)
                self.logger.process_env_step(rewards, ended, extras, self.alg.intrinsic_rewards)
            is_usable = True
            if nonfinite is not None:
                offence = nonfinite.check()
                if offence is not None and not nonfinite.recovers:
                    nonfinite.stop(offence, iteration, obs, self.alg, self.logger.log_dir, self._save_as_of)
                if nonfinite.recovers:
                    is_usable = nonfinite.leave_out(offence, self.alg.storage, iteration)
            if not is_usable:
                self.alg.storage.clear()
        if nonfinite is not None and nonfinite.count:
            nonfinite.end_lost_episodes()
        return obs, is_usable

    def _learn_from(self, obs: Any) -> dict[str, float]:
        """Learn from the rollout, after which the environment gave these observations; return the losses."""
        with torch.inference_mode():
            self.alg.compute_returns(obs)
        return self.alg.update()

    def _save_as_of(self, path: str, iteration: int) -> None:
        now, self.current_learning_iteration = self.current_learning_iteration, iteration
        try:
            self.save(path)
        finally:
            self.current_learning_iteration = now

    def _conclude(self, iteration: int, is_end: bool) -> bool:
        """Save if it is time; return whether this was the last iteration, in agreement with all processes."""
        folder = self._folder
        score, by = score_of(self.evaluation, self.logger)
        is_urgent = folder is not None and (folder.is_behind or (by == RETURN and folder.is_best(score, by)))
        stops, is_urgent = self._world.sums(self.stop_requested, is_urgent)
        # A signal that came after the sum counts for the next iteration.
        self.stop_requested |= stops > 0
        is_last = is_end or stops > 0
        if not (is_last or is_urgent or iteration % self.cfg["save_interval"] == 0):
            return is_last
        if self.is_distributed:
            self._processes = gathered_states(self.alg, self.env, self.logger, self._world)
        if folder is not None:
            folder.save(self.save, iteration, score, is_last, by)
            # A client's way of saving may have looked at the policy.
            self.alg.train_mode()
        self._processes = []
        return is_last

    def _log(
        self, iteration: int, start: int, end: int, collect_time: float, learn_time: float, losses: dict[str, float]
    ) -> None:
        policy = self.alg.get_policy()
        diagnostics = dict(getattr(self.alg, "diagnostics", {}))
        if self._nonfinite is not None and self._nonfinite.recovers:
            diagnostics["nonfinite"] = float(self._nonfinite.count)
        self.logger.diagnostics = diagnostics
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
        self._runaway.warn(iteration, losses, diagnostics, self._folder)

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
        processes = self._processes or [
            process_state(self.alg, self.env, self.logger, is_between_iterations=self._iteration_is_done)
        ]
        document |= run_state(processes, self.cfg, self._folder)
        write_checkpoint(document, path)
        self.logger.save_model(path, self.current_learning_iteration)

    def load(
        self, path: str, load_cfg: dict | None = None, strict: bool = True, map_location: str | None = None
    ) -> Any:
        """Take over a checkpoint.

        With its iteration also the random state, the environments' state (where they can save it) and the log are taken
        over, when :meth:`learn` is called next.

        Args:
            path: The file, or a run's folder for its newest checkpoint that can be read.
            load_cfg: Which parts to take: actor, critic (or student, teacher), optimizer, iteration, rnd. None for all.
            strict: Refuse missing and unexpected keys of the models; otherwise what does not fit is skipped.
            map_location: Where to put the tensors; None for this runner's device.

        Returns:
            The ``infos`` given to :meth:`save`.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is not a checkpoint, is damaged, or does not fit; nothing was changed.
        """
        if os.path.isdir(path):
            path = str(newest_checkpoint(path))
        document = read_checkpoint(path, map_location=map_location or self.device)
        if layout := layout_of(document):
            print(f"'{path}' was written by rsl_rl {layout} and is translated as it is loaded.")
        resumed = ResumedRun(document, self._world)
        if resumed.algorithm_state is not None or self._world.rank > 0:
            document["process_state"] = resumed.algorithm_state
        if self.alg.load(document, load_cfg, strict) and "iter" in document:
            self.current_learning_iteration, self._iteration_is_done = document["iter"], True
            self._resumed = resumed
            resumed.continue_log(self.logger)
            if differences := config_differences(document.get("config"), self.cfg):
                print("The configuration is not that of the checkpoint:\n  " + "\n  ".join(differences))
        report = getattr(self.alg, "load_report", [])
        if any(not line.endswith(": taken") for line in report):
            print(f"Loaded {path}:\n  " + "\n  ".join(report))
        return document.get("infos")

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
        """Join the other processes, if there are any."""
        self._world = join_world(self.device)
        self.is_distributed = self._world.size > 1
        self.gpu_world_size, self.gpu_global_rank = self._world.size, self._world.rank
        self.gpu_local_rank = self._world.local_rank
        ranks = {"global_rank": self._world.rank, "local_rank": self._world.local_rank, "world_size": self._world.size}
        self.cfg["multi_gpu"] = ranks if self.is_distributed else None
