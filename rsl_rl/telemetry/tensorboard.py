# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""TensorBoard."""

from __future__ import annotations

from typing import Any

from rsl_rl.telemetry.writer import LogWriter


class TensorboardLogWriter(LogWriter):
    """Writes TensorBoard event files: the numbers of a step as one event, for less than half of what one each costs."""

    def __init__(self, log_dir: str) -> None:
        """Open an event file in a folder; ImportError where TensorBoard is not installed."""
        try:
            from tensorboard.compat.proto import summary_pb2
            from torch.utils.tensorboard import FileWriter
        except ImportError as error:
            raise ImportError("Logging to TensorBoard needs: pip install tensorboard") from error
        self._file = FileWriter(log_dir, flush_secs=10)
        # Its classes are made when it is imported, where no type checker sees them.
        self._protocol: Any = summary_pb2
        self._step: int | None = None
        self._values: list[Any] = []

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:  # noqa: D102
        if global_step != self._step:
            self._write()
            self._step = global_step
        self._values.append(self._protocol.Summary.Value(tag=tag, simple_value=float(scalar_value)))

    def flush(self) -> None:  # noqa: D102
        self._write()
        self._file.flush()

    def stop(self) -> None:  # noqa: D102
        self._write()
        self._file.close()

    def _write(self) -> None:
        if self._values:
            values, self._values = self._values, []
            self._file.add_summary(self._protocol.Summary(value=values), self._step)
