# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Meters that measure, writers that keep, a console that shows; none knows the others."""

from typing import TYPE_CHECKING

from rsl_rl.compat.names import names_of
from rsl_rl.telemetry.metrics_csv import CsvLogWriter
from rsl_rl.telemetry.mlflow import MlflowLogWriter
from rsl_rl.telemetry.neptune import NeptuneLogWriter
from rsl_rl.telemetry.tensorboard import TensorboardLogWriter
from rsl_rl.telemetry.wandb import WandbLogWriter
from rsl_rl.telemetry.writer import LogWriter

if TYPE_CHECKING:  # It loads torch, which takes seconds and is not needed to read what was logged.
    from rsl_rl.telemetry.logger import Logger

__all__ = [
    "CsvLogWriter",
    "LogWriter",
    "Logger",
    "MlflowLogWriter",
    "NeptuneLogWriter",
    "TensorboardLogWriter",
    "WandbLogWriter",
]

__getattr__ = names_of(__name__)
