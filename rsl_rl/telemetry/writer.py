# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The interface of everything that numbers are written to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path


class LogWriter(ABC):
    """A place where a run's numbers and files go. An exception of a writer never ends a run."""

    @abstractmethod
    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        """Write one number; its step is the iteration, for tags that end in ``/time`` the seconds of training."""

    def store_config(self, env_cfg: dict | object, train_cfg: dict) -> None:  # noqa: B027 (optional)
        """Keep the configuration of environment and training."""

    def save_model(self, model_path: str, it: int) -> None:  # noqa: B027 (optional)
        """Keep a checkpoint that was written to ``model_path`` in iteration ``it``."""

    def save_file(self, path: str) -> None:  # noqa: B027 (optional)
        """Keep any other file of the run."""

    def save_video(self, video: Path, it: int) -> None:  # noqa: B027 (optional)
        """Keep a video."""

    def flush(self) -> None:  # noqa: B027 (optional)
        """Called once after the numbers of an iteration."""

    def stop(self) -> None:  # noqa: B027 (optional)
        """Called once at the end."""

    def close(self) -> None:
        """Do what :meth:`stop` does, by the name that TensorBoard's writer gives it."""
        self.stop()
