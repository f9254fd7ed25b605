# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Collects a run's numbers and hands them to console and writers once an iteration."""

from __future__ import annotations

import contextlib
import csv
import os
import warnings
from collections.abc import Collection, Mapping
from typing import Any

import torch

import rsl_rl
from rsl_rl.compat.logger_names import LoggerNames
from rsl_rl.distributed import SOLO, current
from rsl_rl.telemetry.console import SilentConsole, make_console
from rsl_rl.telemetry.meters import EpisodeStatistics, IterationReport, MeanMeter, logged_by, means
from rsl_rl.telemetry.metrics_csv import FILE_NAME, CsvLogWriter, cut_table
from rsl_rl.telemetry.provenance import store_git_state
from rsl_rl.telemetry.tensorboard import TensorboardLogWriter
from rsl_rl.telemetry.videos import VideoFolder
from rsl_rl.telemetry.writer import LogWriter
from rsl_rl.telemetry.writer_config import configured_writers


class Logger(LoggerNames):
    """Numbers in, once per environment step and per iteration; console lines, event files and tables out.

    The environment step costs no wait for the device. A writer that fails is reported once and dropped; training
    goes on, and ``metrics.csv`` stays complete.
    """

    def __init__(
        self,
        log_dir: str | None,
        cfg: dict,
        env_cfg: dict | object,
        num_envs: int,
        is_distributed: bool,
        gpu_world_size: int,
        gpu_global_rank: int,
        device: str,
    ) -> None:
        """Set up; nothing is written before :meth:`init_logging_writer`.

        Args:
            log_dir: Folder of the run; None to keep nothing.
            cfg: The runner's configuration.
            env_cfg: The environment's configuration, kept with the run where a writer can.
            num_envs: N of this process.
            is_distributed: Whether there are several processes.
            gpu_world_size: Number of processes.
            gpu_global_rank: Which of them this is; only number 0 shows and writes.
            device: Device of rewards and dones.

        Raises:
            ValueError, TypeError: ``cfg["logger"]`` names no writer, or options that its constructor does not take.
        """
        self.cfg = cfg
        self.env_cfg = env_cfg
        self.num_envs = num_envs
        self.gpu_world_size = gpu_world_size
        self.device = device
        self._is_distributed = is_distributed
        self.disable_logs = is_distributed and gpu_global_rank != 0
        """Whether this process shows and writes nothing; a program that sets it has no checkpoints written either."""
        self.begins_at: int | None = None
        """Set before writing: what a resumed run has written about this and later iterations is taken back."""
        self.metrics: dict[str, Any] = {}
        """What else was measured in an iteration, by tag; set before :meth:`log`."""
        self.numbers: dict[str, float] = {}
        """Losses and :attr:`metrics` of the last :meth:`log` by their tags, without what is not a number."""
        self.ep_extras: list[Any] = []
        """What the environment wanted logged in each step since the last :meth:`log`, which takes the means of it."""
        self.evaluation: dict[str, float] = {}
        """Numbers of an evaluation by their tags, empty without one; set before :meth:`log`."""
        self.log_dir = None if self.disable_logs else log_dir
        self._configured_writers = configured_writers(cfg.get("logger", "tensorboard"), cfg)
        self.logger_type = self._configured_writers[0].name if self._configured_writers else "none"
        self.writer: Any = None
        """The first configured writer, from the first :meth:`init_logging_writer` on; usable after training, too."""
        self._others: list[LogWriter] = []
        self._is_open = False
        self._videos: VideoFolder | None = None
        self._last_iteration = 0
        self.git_status_repos = [rsl_rl.__file__]
        self.console: SilentConsole = make_console()
        self.episodes = EpisodeStatistics(num_envs, device, cfg["num_steps_per_env"])
        self._meter = MeanMeter()
        self.tot_timesteps = 0
        self.tot_time = 0.0

    def init_logging_writer(self) -> None:
        """Open the writers, keep the configuration and the state of the code. Does nothing without a folder."""
        if self.log_dir is None or self.disable_logs or self._is_open:
            return
        if str(self.log_dir).startswith("~"):
            _warn(f"'{self.log_dir}' is a folder named '~' in this one: Python leaves it to os.path.expanduser().")
        try:
            os.makedirs(self.log_dir, exist_ok=True)
        except OSError as error:
            _warn(f"The run's folder cannot be made, nothing is logged, training goes on: {error}")
            return
        if self.begins_at is not None:
            with contextlib.suppress(OSError, ValueError, csv.Error):
                cut_table(self.log_dir, self.begins_at)
            self.begins_at = None
        elif self._videos is None and os.path.exists(os.path.join(self.log_dir, FILE_NAME)):
            _warn(
                f"'{self.log_dir}' holds a run already: its {FILE_NAME} is continued, its checkpoints are replaced. "
                "A folder for each run keeps them apart; runner.load() goes on with one."
            )
        self._videos = self._videos or VideoFolder(self.log_dir)
        writers: list[LogWriter] = []
        for configured in self._configured_writers:
            try:
                writers.append(configured.open(self.log_dir))
            except Exception as error:  # a missing package or token, a service that is down
                _warn(
                    f"The logger '{configured.name}' could not start and is not used, training goes on: {_told(error)}"
                )
        if not any(isinstance(writer, CsvLogWriter) for writer in writers):
            # The numbers are kept here, whatever happens to the configured writers.
            try:
                writers.append(CsvLogWriter(self.log_dir))
            except (OSError, ValueError, csv.Error) as error:  # ValueError: it is not text
                _warn(f"{os.path.join(self.log_dir, FILE_NAME)} cannot be written, training goes on: {error!r}")
        if isinstance(self.writer, TensorboardLogWriter):  # left open by an earlier training
            with contextlib.suppress(Exception):
                self.writer.close()
        # Programs that write to the configured writer themselves find the local table where it could not start.
        self.writer = writers.pop(0) if writers and self._configured_writers else None
        self._others, self._is_open = writers, True
        self._tell("store_config", self.env_cfg, self.cfg)
        try:
            for path in self._store_code_state():
                self._tell("save_file", path)
        except OSError as error:
            _warn(f"The state of the code could not be kept with the run, training goes on: {error!r}")

    def _store_code_state(self) -> list[str]:
        """Write the state of the code to the run's folder; return the files. Programs of release 5.5.1 replace it."""
        return store_git_state(self.git_status_repos, os.path.join(str(self.log_dir), "git"))

    def process_env_step(
        self,
        rewards: torch.Tensor,
        dones: torch.Tensor,
        extras: Mapping[str, Any],
        intrinsic_rewards: torch.Tensor | None = None,
    ) -> None:
        """Take in one step: rewards as the environment gave them, dones and weighted intrinsic rewards, each [N].

        What the environment wants logged is under ``"log"`` or ``"episode"`` in ``extras``, which are not changed.
        """
        logged = logged_by(extras)
        if logged is not None:
            self.ep_extras.append(logged)
        self.episodes.step(rewards, dones, intrinsic_rewards)

    def log(
        self,
        it: int,
        start_it: int,
        total_it: int,
        collect_time: float,
        learn_time: float,
        loss_dict: dict[str, float],
        learning_rate: float,
        action_std: torch.Tensor | None,
        rnd_weight: float | None,
        print_minimal: bool = False,
        width: int = 80,
        pad: int = 40,
    ) -> None:
        """Show and write the numbers of an iteration.

        Args:
            it: The iteration.
            start_it: The first iteration of this call to ``learn``.
            total_it: The first iteration that will not be made.
            collect_time: Seconds of stepping the environment.
            learn_time: Seconds of learning.
            loss_dict: Mean losses by name.
            learning_rate: The learning rate.
            action_std: Standard deviation of the actions, any shape, or None.
            rnd_weight: Weight of the intrinsic reward, or None.
            print_minimal: Unused, like ``width`` and ``pad``; kept for existing callers.
            width: Unused.
            pad: Unused.
        """
        world = current() if self._is_distributed else SOLO
        update = {f"Loss/{name}": value for name, value in loss_dict.items()} | self.metrics
        policy = {"Loss/learning_rate": learning_rate, "Policy/mean_std": action_std}
        policy = {tag: value for tag, value in policy.items() if value is not None}
        # All that is on the device is fetched at once.
        unread = self.episodes.unread
        fetched, (totals, of_update, of_policy) = self._meter.totals_and(unread, self.ep_extras, [update], [policy])
        self.ep_extras.clear()
        # The first are those of this process.
        (_, totals), *others = world.gather((self.episodes.finished(fetched), totals))
        for finished, _ in others:
            self.episodes.add(finished)
        environment_log = means([totals, *(of_other for _, of_other in others)])
        steps = self.cfg["num_steps_per_env"] * self.num_envs * self.gpu_world_size
        self.tot_timesteps += steps
        self.tot_time += collect_time + learn_time
        self._last_iteration = it
        self.numbers = means([of_update])
        if self.disable_logs:
            return
        losses = {tag[5:]: self.numbers[tag] for name in loss_dict if (tag := f"Loss/{name}") in self.numbers}
        scalars = {(tag if "/" in tag else f"Episode/{tag}"): value for tag, value in environment_log.items()}
        measured = {
            "Rnd/mean_extrinsic_reward": _mean(self.episodes.extrinsic_returns),
            "Rnd/mean_intrinsic_reward": _mean(self.episodes.intrinsic_returns),
            "Rnd/weight": rnd_weight,
            "Train/mean_reward": _mean(self.episodes.returns),
            "Train/mean_episode_length": _mean(self.episodes.lengths),
            "Perf/total_fps": steps / max(collect_time + learn_time, 1e-9),
            "Perf/collection_time": collect_time,
            "Perf/learning_time": learn_time,
        }
        measured = {tag: value for tag, value in (measured | self.evaluation).items() if value is not None}
        scalars |= self.numbers | means([of_policy, *self._meter.totals([measured])])
        progress = (it, start_it, total_it, steps, self.tot_timesteps, self.tot_time)
        report = IterationReport(*progress, losses, self.evaluation, scalars)
        self._write(report)
        self._show(report)

    def state_dict(self) -> dict[str, Any]:
        """Return what goes on when a run is resumed, as tensors and plain data."""
        episodes = self.episodes.state_dict()
        return {"total_steps": self.tot_timesteps, "total_time": self.tot_time, "episodes": episodes}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned; episodes of another number of environments start anew."""
        self.tot_timesteps, self.tot_time = int(state["total_steps"]), float(state["total_time"])
        self.episodes.load_state_dict(state["episodes"])

    def save_model(self, path: str, it: int) -> None:
        """Hand a checkpoint, and the videos made since the last one, to the writers that keep files."""
        self._tell("save_model", path, it)
        self._save_videos(it)

    def stop_logging_writer(self) -> None:
        """Close console and writers. A later :meth:`init_logging_writer` opens them anew.

        :attr:`writer` stays, for what the program itself adds to it; it is closed by the next one, or at exit.
        """
        with contextlib.suppress(Exception):  # nothing can be shown any more anyway
            self.console.close()
        self._save_videos(self._last_iteration, is_end=True)
        self._tell("stop")
        self._others, self._is_open = [], False

    def _save_videos(self, it: int, is_end: bool = False) -> None:
        if self._videos is None or not self._is_open:
            return
        for video in self._videos.new(all_of_them=is_end):
            self._tell("save_video", video, it)

    def _show(self, report: IterationReport) -> None:
        try:
            self.console.show(report)
        except Exception as error:
            self.console = SilentConsole()
            # When the terminal or pipe is gone, nobody is left to tell.
            if not isinstance(error, (OSError, ValueError)):
                _warn(f"The console failed and shows nothing any more, training goes on: {error!r}")

    def _write(self, report: IterationReport) -> None:
        for tag, value in report.scalars.items():
            self._tell("add_scalar", tag, value, report.iteration)
        for tag in ("Train/mean_reward", "Train/mean_episode_length"):
            if tag in report.scalars:
                self._tell("add_scalar", f"{tag}/time", report.scalars[tag], int(report.elapsed))
        self._tell("flush")

    def _tell(self, method: str, *arguments: Any) -> None:
        """Call a method of every writer; drop a writer that fails."""
        for writer in [self.writer, *self._others] if self._is_open else ():
            try:
                call = getattr(writer, method, None)
                if call is not None:
                    call(*arguments)
            except Exception as error:  # whatever it is, a log is not worth a run
                if self.writer is writer:
                    self.writer = self._others.pop(0) if self._others else None
                else:
                    self._others.remove(writer)
                _warn(
                    f"{type(writer).__name__} failed in {method} and is not used any more, "
                    f"training goes on: {_told(error)}"
                )


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=3)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _mean(history: Collection[float]) -> float | None:
    return float(sum(history) / len(history)) if history else None
