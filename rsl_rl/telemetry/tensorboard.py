# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""TensorBoard."""

from __future__ import annotations

from rsl_rl.telemetry.writer import LogWriter


class TensorboardLogWriter(LogWriter):
    """Writes TensorBoard event files."""

    def __init__(self, log_dir: str) -> None:
        """Open an event file.

        Args:
            log_dir: Folder of the event files.

        Raises:
            ImportError: TensorBoard is not installed.
        """
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ImportError("Logging to TensorBoard needs: pip install tensorboard") from error
        self._writer = SummaryWriter(log_dir=log_dir, flush_secs=10)

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:  # noqa: D102
        self._writer.add_scalar(tag, scalar_value, global_step=global_step)

    def flush(self) -> None:  # noqa: D102
        self._writer.flush()

    def stop(self) -> None:  # noqa: D102
        self._writer.close()
