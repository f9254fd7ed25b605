# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Meters that measure, writers that keep, a console that shows; none knows the others."""

from rsl_rl.telemetry.logger import Logger
from rsl_rl.telemetry.metrics_csv import CsvLogWriter
from rsl_rl.telemetry.mlflow import MlflowLogWriter
from rsl_rl.telemetry.neptune import NeptuneLogWriter
from rsl_rl.telemetry.tensorboard import TensorboardLogWriter
from rsl_rl.telemetry.wandb import WandbLogWriter
from rsl_rl.telemetry.writer import LogWriter

__all__ = [
    "CsvLogWriter",
    "LogWriter",
    "Logger",
    "MlflowLogWriter",
    "NeptuneLogWriter",
    "TensorboardLogWriter",
    "WandbLogWriter",
]
