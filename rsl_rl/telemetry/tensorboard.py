# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""TensorBoard."""

from __future__ import annotations

import contextlib
import os
import warnings
import weakref
from typing import TYPE_CHECKING, Any

from rsl_rl.telemetry.writer import LogWriter


class TensorboardLogWriter(LogWriter):
    """TensorBoard's own ``torch.utils.tensorboard.SummaryWriter``, with all its methods.

    During a training the numbers of a step are written as one event, for less than half of what one each costs. After
    it, the writer remains usable until the program ends.
    """

    def __new__(cls, *args: Any, **options: Any) -> Any:
        """Return a writer that is a ``SummaryWriter`` as well; ImportError where TensorBoard is not installed."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ImportError("Logging to TensorBoard needs: pip install tensorboard") from error
        # TensorBoard is optional: its class becomes a base only where it is used.
        whole: Any = cls
        if not issubclass(cls, SummaryWriter):
            whole = type(cls.__name__, (cls, SummaryWriter), {"__module__": cls.__module__, "__doc__": cls.__doc__})
        return super().__new__(whole)

    def __init__(self, log_dir: str) -> None:
        """Open an event file in a folder."""
        from tensorboard.compat.proto import summary_pb2

        # Its classes are made when it is imported, where no type checker sees them.
        self._protocol: Any = summary_pb2
        self._step: int | None = None
        self._values: list[Any] = []
        self._is_training = True
        self._to_close: Any = None
        self._summary_writer.__init__(log_dir, flush_secs=10)

    @property
    def _summary_writer(self) -> Any:
        """The methods of ``SummaryWriter``, which come after those of :class:`LogWriter`."""
        return super(LogWriter, self)

    def _get_file_writer(self) -> Any:
        """Return the open file; ``SummaryWriter`` opens another one where it has been closed."""
        file = self._summary_writer._get_file_writer()
        files: dict[str, Any] = self.all_writers  # type: ignore[attr-defined] (of SummaryWriter)
        if self._to_close is not files:
            self._to_close = files
            # What it holds is not on the disk yet, and its thread ends with the program.
            weakref.finalize(self, _close, files)
        return file

    def add_scalar(
        self, tag: str, scalar_value: float, global_step: int | None = None, *args: Any, **options: Any
    ) -> None:
        """Write one number; further arguments are those of ``SummaryWriter``."""
        if not self._is_training or global_step is None or args or options:
            self._summary_writer.add_scalar(tag, scalar_value, global_step, *args, **options)
            return
        if global_step != self._step:
            self._write()
            self._step = global_step
        self._values.append(self._protocol.Summary.Value(tag=tag, simple_value=float(scalar_value)))

    def flush(self) -> None:
        """Write what waits to the disk."""
        self._write()
        self._summary_writer.flush()

    def close(self) -> None:
        """Close the event file; whatever is added later goes to another one."""
        self._write()
        self._summary_writer.close()

    def stop(self) -> None:
        """Write what waits to the disk; the file remains open for what the program adds after the training."""
        self.flush()
        self._is_training = False

    def _write(self) -> None:
        if self._values:
            values, self._values = self._values, []
            self._get_file_writer().add_summary(self._protocol.Summary(value=values), self._step)


class EventFileMethods:
    """Gives writers of other kinds the further methods of TensorBoard's: what they add goes to an event file.

    ``add_image``, ``add_text``, ``add_histogram`` and all others write to the run's folder, like the writers of W&B and
    Neptune in release 5.5.1. Where TensorBoard is not installed that is said once, and nothing is kept.
    """

    _events_dir: str | os.PathLike[str]
    """Where the event file lies."""
    _events: Any = None

    if not TYPE_CHECKING:  # Otherwise every attribute would seem to exist.

        def __getattr__(self, name: str) -> Any:
            if name.startswith("add_"):
                return getattr(self._event_file(), name)
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    @property
    def log_dir(self) -> str:
        """Where the event file lies."""
        return str(self._events_dir)

    def get_logdir(self) -> str:
        """Return where the event file lies."""
        return self.log_dir

    def _event_file(self) -> Any:
        if self._events is None:
            try:
                self._events = TensorboardLogWriter(str(self._events_dir))
                self._events.stop()
            except (ImportError, OSError) as error:
                self._events = _Nowhere()
                warnings.warn(
                    f"{type(self).__name__} takes numbers only; the rest would go to an event file in the run's "
                    f"folder, and is left out: {error}",
                    stacklevel=3,
                )
        return self._events

    def _flush_events(self) -> None:
        if self._events is not None:
            self._events.flush()


class _Nowhere:
    """Takes every call and keeps nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **options: None


def _close(files: dict[str, Any]) -> None:
    for file in files.values():
        with contextlib.suppress(Exception):  # a full disk has been told of
            file.close()
