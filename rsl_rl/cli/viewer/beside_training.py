# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""A viewer in a process of its own while a policy is trained: the training only writes its weights into a file.

The process has its own environment and random numbers, and one thread. It ends with the training, however that ends:
then the pipe to it is closed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from rsl_rl.cli.own_process import own_command, own_environment
from rsl_rl.runners.callbacks import Callback

if TYPE_CHECKING:
    from rsl_rl.cli.viewer.viewable import ViewArguments
    from rsl_rl.runners import OnPolicyRunner

_EVERY_SECONDS = 1.0
_LAST_SECONDS = 2.0
_NICENESS = 5


class ViewerBesideTraining(Callback):
    """Starts a viewer for a run, and gives it the policy's weights once a second. It never fails: it gives up."""

    def __init__(self, runner: OnPolicyRunner, folder: Path, options: ViewArguments) -> None:
        """Start the process; ``folder`` is the run's, whose configuration is there already."""
        self._place = Path(tempfile.mkdtemp(prefix="rsl_rl_view_"))
        self._file, self._next = self._place / "training.pt", 0.0
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._write(runner)
            arguments = [str(folder), str(self._file), options.host, str(options.port), str(options.browser)]
            self._process = subprocess.Popen(
                own_command("rsl_rl.cli.viewer.beside_training", *arguments),
                stdin=subprocess.PIPE,
                env=own_environment(),
                start_new_session=True,  # Ctrl-C is the training's
            )
        except Exception as error:
            self._give_up(f"{type(error).__name__}: {error}")

    def join(self, runner: OnPolicyRunner, held: contextlib.ExitStack) -> None:
        """Take part in a training until ``held`` is closed."""
        runner.add_callback(self)
        held.callback(self.close)

    def on_iteration_end(self, runner: OnPolicyRunner) -> None:
        """Write the weights, unless that was less than a second ago."""
        if self._process is None or time.monotonic() < self._next:
            return
        try:
            if (code := self._process.poll()) is not None:
                self._give_up(f"its process has ended with exit code {code}")
                return
            self._write(runner)
        except Exception as error:
            self._give_up(f"{type(error).__name__}: {error}")

    def close(self) -> None:
        """End the viewer."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            try:
                self._process.wait(_LAST_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        shutil.rmtree(self._place, ignore_errors=True)

    def _write(self, runner: OnPolicyRunner) -> None:
        from rsl_rl.algorithms import Distillation
        from rsl_rl.checkpoint import write_checkpoint

        name = "student" if isinstance(runner.alg, Distillation) else "actor"
        weights = {key: value.detach().cpu() for key, value in runner.alg.get_policy().state_dict().items()}
        document = {f"{name}_state_dict": weights, "iter": runner.current_learning_iteration, "infos": None}
        write_checkpoint(document, self._file)
        self._next = time.monotonic() + _EVERY_SECONDS

    def _give_up(self, reason: str) -> None:
        self.close()
        warnings.warn(f"The viewer is no longer there, the training goes on without it: {reason}.", stacklevel=2)


def main(folder: str, live: str, host: str, port: str, browser: str) -> None:
    """Show what a training writes, in the process that belongs to it."""
    threading.Thread(target=_end_with_the_training, daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    from rsl_rl.cli.run_folder import Run
    from rsl_rl.cli.train import seed_everything
    from rsl_rl.cli.viewer.policies import TRAINING
    from rsl_rl.cli.viewer.viewer import Viewer
    from rsl_rl.utils import resolve

    resolve.own_folder = os.getcwd()  # for environments and models of the user's own
    run = Run(folder)
    task = run.task(trust=True)  # the training has imported all of it
    seed = 1000
    seed_everything(seed, 1)
    wanted = None if port == "None" else int(port)
    viewer = Viewer(task, run.folder, lambda _: TRAINING, seed, host, wanted, Path(live))
    print(f"See it learn at {viewer.address}", flush=True)
    viewer.run(browser == "True")


def _end_with_the_training() -> None:
    while sys.stdin.buffer.read(1):
        pass
    os._exit(0)


if __name__ == "__main__":
    from rsl_rl.cli import main as command_line

    warnings.showwarning = command_line._show_warning
    try:
        with command_line.user_errors():
            main(*sys.argv[1:])
    except command_line.UserError as error:
        print(f"error of the viewer: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
