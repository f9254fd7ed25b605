# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The training loop: collect, learn, log, save."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from tensordict import TensorDict

from rsl_rl.algorithms.algorithm import is_stateful
from rsl_rl.algorithms.construction import construct_algorithm
from rsl_rl.checkpoint import CheckpointFolder, locked, newest_checkpoint, read_checkpoint, read_from, write_checkpoint
from rsl_rl.compat.checkpoints import layout_of
from rsl_rl.compat.names import names_of
from rsl_rl.config import plain_config, resolve_runner_config
from rsl_rl.distributed import Watch
from rsl_rl.env import VecEnv, as_vec_env
from rsl_rl.env.contract import ATTRIBUTES, Contract, check_attributes
from rsl_rl.export import deployment_entries, export_onnx, export_pt2, export_torchscript
from rsl_rl.export.frozen import frozen_copy
from rsl_rl.models import MLPModel
from rsl_rl.runners.callbacks import Annealing, Callback
from rsl_rl.runners.evaluation import Evaluation
from rsl_rl.runners.nonfinite import NonFinitePolicy
from rsl_rl.runners.preparation import PreparedRunner
from rsl_rl.runners.run_state import ResumedRun, config_differences, process_state
from rsl_rl.telemetry import Logger
from rsl_rl.telemetry.plain_values import plain
from rsl_rl.utils import listed

_SAVING = threading.Lock()


class OnPolicyRunner(PreparedRunner):
    """Trains an algorithm on what its own policy experiences."""

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
            ContractError: The environment is not as :class:`rsl_rl.env.VecEnv` says; also of :meth:`learn`.
            TimeoutError: Of several processes one did not start; names it.
        """
        self.env = env = as_vec_env(env)
        first = env.get_observations()
        groups = [str(group) for group in first.keys()]  # noqa: SIM118 (a TensorDict)
        self.cfg = plain_config(resolve_runner_config(train_cfg, groups))
        self.device = device
        obs = self._agree(first)
        self._configure_multi_gpu()
        self.alg = construct_algorithm(obs, env, self.cfg, device)
        if self.cfg.get("anneal"):
            self.add_callback(Annealing(self.alg, self.cfg["anneal"]))
        self.logger = Logger(
            log_dir,
            self.cfg,
            env_cfg=getattr(env, "cfg", {}),
            num_envs=env.num_envs,
            is_distributed=self.is_distributed,
            gpu_world_size=self.gpu_world_size,
            gpu_global_rank=self.gpu_global_rank,
            device=device,
        )

    def _agree(self, first: Any) -> TensorDict:
        """Hold the environment to what its first observations are, and return them; from now on steps are watched."""
        self._contract = Contract(self.env, self.device, self.cfg.get("obs_groups"))
        obs = self._contract.check(first, "get_observations").obs
        if self.cfg.get("check_for_nan", True):
            self.callbacks.insert(0, NonFinitePolicy(self, obs))
        return obs

    def learn(self, num_learning_iterations: int, init_at_random_ep_len: bool = False) -> None:
        """Train; a later call goes on with the next iteration.

        After it, ``current_learning_iteration`` is the last iteration made, and its checkpoint lies in the log folder.

        Args:
            num_learning_iterations: Iterations to make.
            init_at_random_ep_len: Let the first episodes time out at different moments.

        Raises:
            ValueError: The environment gave NaN or infinite numbers, or a teacher to learn from has no weights yet.
            FolderInUseError: Another process writes into the log folder; names it.
        """
        self.alg.check_ready()
        if "_contract" not in vars(self):
            self._agree(self.env.get_observations())
        self.num_learning_iterations = num_learning_iterations
        with self._failing_together():
            obs = self._begin(init_at_random_ep_len)
            start = self._start = self.completed_iterations
            end = start + num_learning_iterations
            for iteration in range(start, end):
                self.current_learning_iteration, self.is_between_iterations = iteration, False
                self.is_last_iteration = iteration == end - 1
                started = time.perf_counter()
                obs, is_usable = self._collect(obs)
                collected = time.perf_counter()
                self.losses, self.logger.metrics = {}, {}
                if is_usable:
                    with torch.inference_mode():
                        self.alg.compute_returns(obs)
                    self._is_updating = True
                    self.losses = self.alg.update()
                    self.logger.metrics = dict(self.alg.metrics)
                self.is_between_iterations, self._is_updating = True, False
                times = {"collect_time": collected - started, "learn_time": time.perf_counter() - collected}
                for callback in self._replacing("on_update_end"):
                    callback.on_update_end(self)
                progress = {"it": iteration, "start_it": start, "total_it": end, "loss_dict": self.losses}
                self.logger.log(**progress, **times, **self.alg.log_arguments())
                for callback in self._replacing("on_iteration_end"):
                    callback.on_iteration_end(self)
                if self.is_last_iteration:
                    break
            for callback in self._replacing("on_learn_end"):
                callback.on_learn_end(self)

    def _collect(self, obs: TensorDict) -> tuple[TensorDict, bool]:
        """Step the environment for one rollout; return the observation after it, and whether it can be learned from."""
        alg, env = self.alg, self.env
        watching, concluding = self._replacing("on_step"), self._replacing("on_rollout_end")
        with torch.inference_mode():
            for _ in range(self.cfg["num_steps_per_env"]):
                actions = alg.act(obs)
                # A copy: the environment may change what it is given.
                outcome = self._contract.check(env.step(actions.to(env.device, copy=True)))
                dones = outcome.dones
                for callback in watching:
                    outcome = callback.on_step(outcome)
                obs = outcome.obs
                alg.process_env_step(*outcome)
                self.logger.process_env_step(outcome.rewards, dones, outcome.extras, alg.intrinsic_rewards)
            verdicts = [callback.on_rollout_end(self, obs) for callback in concluding]
            if not all(verdicts):
                alg.discard_rollout()
        return obs, all(verdicts)

    # -- what happens around an iteration ------------------------------------------------------------------------------

    def _replacing(self, method: str) -> list[Callback]:
        """Return the parts that have something to do in this method."""
        nothing = getattr(Callback, method)
        return [part for part in self.callbacks if getattr(getattr(part, method), "__func__", None) is not nothing]

    def add_callback(self, callback: Callback | Callable[[OnPolicyRunner], object]) -> None:
        """Let the loop call a part of the program's own, or a function after every update.

        Numbers of the algorithm that change this way are saved and resumed, and so is a part with ``state_dict``::

            runner.add_callback(lambda runner: setattr(runner.alg, "entropy_coef", 0.99 * runner.alg.entropy_coef))
        """
        if not isinstance(callback, Callback):
            function, callback = callback, Callback()
            callback.on_update_end = function  # type: ignore[method-assign] (this one has no other)
        self.callbacks.insert(len(self.callbacks) - 2, callback)

    def evaluate_with(self, env: VecEnv | Callable[[], VecEnv], interval: int, episodes: int = 16) -> None:
        """Evaluate the policy without exploration in iterations 0, interval, 2 * interval ... and the last one.

        The training is the same bit for bit as without it. ``Eval/mean_return``, ``Eval/mean_episode_length``,
        ``Eval/success`` (where the environment reports it) and ``Eval/tracking/...`` are logged, and ``best.pt``
        becomes the checkpoint with the highest ``Eval/mean_return``. Of several processes the first evaluates::

            runner.evaluate_with(lambda: make_env("gym:Ant-v5", num_envs=16, seed=7), interval=10)

        Args:
            env: Environments that nobody else uses, with another seed; or a function that makes them. With a function,
                or an environment with ``state_dict``, every evaluation begins alike, also in a run that is resumed.
            interval: Iterations between two evaluations, at least 1.
            episodes: Episodes of each, at least 1.
        """
        self.callbacks = [part for part in self.callbacks if not isinstance(part, Evaluation)]
        self.add_callback(Evaluation(env, interval, episodes))

    @property
    def completed_iterations(self) -> int:
        """How many iterations have been made, also before the checkpoint that was loaded."""
        return self.current_learning_iteration + int(self.is_between_iterations)

    def forget_progress(self) -> None:
        """Take only models and optimizer from the checkpoint that was loaded: what follows is a run of its own."""
        self._resumed = None
        self.alg.forget_progress()

    def request_stop(self) -> None:
        """End :meth:`learn` after the iteration in progress, with a checkpoint. Safe in a signal handler."""
        self.stop_requested = True

    def _begin(self, init_at_random_ep_len: bool) -> TensorDict:
        """Return the first observation, of a run that is resumed the one where it was interrupted."""
        resumed, self._resumed = self._resumed, None
        continues = resumed is not None and resumed.continue_environment(self.env, self.logger)
        if init_at_random_ep_len and not continues:
            check_attributes(self.env, ATTRIBUTES)
            self.env.episode_length_buf = torch.randint_like(
                self.env.episode_length_buf, high=int(torch.as_tensor(self.env.max_episode_length).max())
            )
        obs = self._contract.check(self.env.get_observations(), "get_observations").obs
        self.alg.train_mode()
        if self._policy_is_lent:
            # What a recurrent policy remembers are the environments of its evaluation.
            self.alg.get_policy().reset()
        if self.is_distributed:
            self.alg.broadcast_parameters()
            # A program may have loaded a checkpoint in process 0 only.
            progress = (self.current_learning_iteration, self.is_between_iterations)
            self.current_learning_iteration, self.is_between_iterations = self.world.broadcast(progress)
        self.folder = None
        if self.logger.log_dir is not None and not self.logger.disable_logs:
            self.folder = CheckpointFolder(self.logger.log_dir, self.cfg.get("keep_checkpoints"))
            if resumed is not None:
                self.folder.begin_after(self.current_learning_iteration)
                self.logger.begins_at = self.current_learning_iteration + 1
            self.logger.init_logging_writer()
        if resumed is not None:
            # Last, since the environment may have drawn random numbers.
            self.alg.resume()
        for callback in self._replacing("on_learn_begin"):
            obs = callback.on_learn_begin(self, obs)
        return obs

    @contextlib.contextmanager
    def _failing_together(self) -> Iterator[None]:
        """Let the other processes know when this one learns, rests or fails; save and close the writers at the end."""
        if self.is_distributed:
            Watch.note(rests=False, last_words=self.save_last_iteration)
        with contextlib.ExitStack() as held:
            try:
                if self.logger.log_dir is not None:
                    held.enter_context(locked(self.logger.log_dir))
                yield
            except BaseException as error:
                self.save_last_iteration()
                if isinstance(error, Exception) and (failure := Watch.explain(error)):
                    raise RuntimeError(f"Another process failed, and this one ends with it: {failure}") from error
                raise
            finally:
                self.logger.stop_logging_writer()
        if self.is_distributed:
            Watch.note(rests=True)

    # -- checkpoints ---------------------------------------------------------------------------------------------------

    def save(self, path: str, infos: dict | None = None) -> None:
        """Write a checkpoint atomically; :meth:`load` returns ``infos``, tensors and plain data of the caller's."""
        document = self.alg.save() | {"iter": self.current_learning_iteration, "infos": infos}
        document |= {"processes": self.process_states or [process_state(self)], "config": plain(self.cfg)}
        document["callbacks"] = {name: part.state_dict() for name, part in self._stateful_callbacks()}
        if self.folder is not None:
            document |= {"best_reward": self.folder.best_reward, "best_by": self.folder.best_by}
        write_checkpoint(document, path)
        self.logger.save_model(path, self.current_learning_iteration)

    def save_last_iteration(self) -> str | None:
        """Save the last whole iteration unless it is saved; return its file, None without one. Raises no exception.

        For an unplanned end, also from another thread. What an interrupted iteration has begun is undone.
        """
        with _SAVING:
            iteration, in_progress = self.completed_iterations - 1, self.current_learning_iteration
            try:
                if not self.is_between_iterations:
                    self.alg.discard_rollout()
                is_whole = not self._is_updating or self.alg.undo_update()
                self._is_updating = False
                saved = None if self.folder is None else self.folder.last_saved
                if saved is not None and saved[0] == iteration:
                    return saved[1]
                if self.folder is None or iteration < self._start:
                    return None
                if not is_whole:
                    raise RuntimeError("the update was interrupted, and has a way of its own that cannot be undone")
                self.current_learning_iteration = iteration
                path = self.folder.save(self.save, iteration, None, is_last=True)
                with contextlib.suppress(Exception):
                    print(f"Iteration {iteration}, the last whole one, is saved as '{path}'.", flush=True)
                return path
            except Exception as error:  # what ended the training is what the caller wants to see
                with contextlib.suppress(Exception):  # where warnings are errors
                    warnings.warn(f"Iteration {iteration}, the last whole one, is not saved: {error}", stacklevel=2)
                return None
            finally:
                self.current_learning_iteration = in_progress

    def load(
        self, path: str, load_cfg: dict | None = None, strict: bool = True, map_location: str | None = None
    ) -> Any:
        """Take over a checkpoint; random state and environments (where they can be saved) when learning goes on.

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
        with read_from(path):
            resumed = ResumedRun(document, self.world)
            document["process_state"] = resumed.state.get("algorithm", document.get("process_state"))
            if self.alg.load(document, load_cfg, strict) and "iter" in document:
                self.current_learning_iteration, self.is_between_iterations = document["iter"], True
                self._resumed = resumed
                resumed.continue_log(self.logger)
                states = dict(document.get("callbacks", {}))
                for name, part in self._stateful_callbacks():
                    if name in states:
                        part.load_state_dict(states.pop(name))
                if states:
                    print(f"'{path}' holds the state of callbacks that this runner does not have: {listed(states)}.")
                if differences := config_differences(document.get("config"), self.cfg):
                    print("The configuration is not that of the checkpoint:\n  " + "\n  ".join(differences))
        report = self.alg.load_report
        if any(not line.endswith(": taken") for line in report):
            print(f"Loaded {path}:\n  " + "\n  ".join(report))
        return document.get("infos")

    def _stateful_callbacks(self) -> list[tuple[str, Any]]:
        """Return the program's own parts that can be saved, by number and class."""
        parts = [part for part in self.callbacks if is_stateful(part)]
        return [(f"{index} {type(part).__name__}", part) for index, part in enumerate(parts)]

    # -- the trained policy --------------------------------------------------------------------------------------------

    def get_inference_policy(self, device: str | None = None) -> MLPModel:
        """Return the policy in evaluation mode: observation groups [B, ...] -> deterministic actions [B, A].

        A recurrent policy forgets the environments of the training: it starts new episodes, of any number B. On another
        ``device`` than this runner's it is a copy.
        """
        policy = self.alg.get_policy()
        if device is not None and torch.device(device) != torch.device(self.device):
            policy = frozen_copy(policy).to(device)
        else:
            self.alg.eval_mode()
            self._policy_is_lent = True
        policy.reset()
        return policy

    def export_policy_to_jit(self, path: str, filename: str = "policy.pt") -> None:
        """Write the policy as TorchScript into the folder ``path``; RuntimeError if the file does not act like it."""
        policy = self.alg.get_policy()
        export_torchscript(policy, os.path.join(path, filename), self._deployment(policy))

    def export_policy_to_onnx(self, path: str, filename: str = "policy.onnx", verbose: bool = False) -> None:
        """Write the policy as ONNX, otherwise as :meth:`export_policy_to_jit` does."""
        policy = self.alg.get_policy()
        export_onnx(policy, os.path.join(path, filename), verbose, self._deployment(policy))

    def export_policy_to_pt2(self, path: str, filename: str = "policy.pt2") -> None:
        """Write the policy with ``torch.export``, otherwise as :meth:`export_policy_to_jit` does."""
        policy = self.alg.get_policy()
        export_pt2(policy, os.path.join(path, filename), self._deployment(policy))

    def _deployment(self, policy: MLPModel) -> dict[str, Any]:
        return deployment_entries(self.env, policy, self.logger.log_dir)

    def add_git_repo_to_log(self, repo_file_path: str) -> None:
        """Keep the state of the git repository that holds this file with the run."""
        self.logger.git_status_repos.append(repo_file_path)


__getattr__ = names_of(__name__)
