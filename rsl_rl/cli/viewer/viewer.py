# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""A viewer from its beginning to its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from rsl_rl.cli.viewer.panel import Panel
from rsl_rl.cli.viewer.policies import Policies
from rsl_rl.cli.viewer.scene import Scene
from rsl_rl.cli.viewer.server import address, close_server, open_browser, open_server
from rsl_rl.cli.viewer.session import Session
from rsl_rl.cli.viewer.viewable import check_viewable
from rsl_rl.cli.viewer.watched_robot import make_robot
from rsl_rl.config.task import TaskConfig


class Viewer:
    """A robot in the browser: :meth:`run` lets it act until somebody ends it."""

    def __init__(
        self,
        task: TaskConfig,
        folder: Path,
        first: Callable[[Policies], str],
        seed: int,
        host: str,
        port: int | None,
        live: Path | None = None,
    ) -> None:
        """Make everything, and a server that can be reached from now on.

        Args:
            task: The task of a run.
            folder: The run's folder.
            first: Returns the name of the policy that acts first.
            seed: Seed of the environment.
            host: Address to listen at.
            port: Port to listen at; None for the next free one.
            live: Checkpoint that a training writes all the time.

        Raises:
            ImportError: viser is missing. ValueError: The environment cannot be shown, or the port is taken.
        """
        check_viewable(task.env)
        self._robot = make_robot(task, seed)
        policies = Policies(task, self._robot.env, folder, live)
        policies.choose(first(policies))
        self.session = Session(self._robot, policies, time.monotonic)
        self._server = open_server(host, port, task.name)
        self.address = address(self._server)
        self._scene = Scene(self._server, self._robot.model, self._robot.root)
        self._panel = Panel(self._server, self.session, task.name)
        self._ended = threading.Event()

    def run(self, opens_browser: bool) -> None:
        """Let the policy act in real time until :meth:`end` is called, or Ctrl-C."""
        if opens_browser:
            open_browser(self.address)
        try:
            while not self._ended.wait(self.session.tick(self)):
                pass
        finally:
            close_server(self._server)
            self._robot.close()

    def end(self) -> None:
        """Let :meth:`run` return soon; from any thread."""
        self._ended.set()

    # What a session shows itself with.

    def draw(self, session: Session) -> None:
        """Show the robot."""
        self._scene.draw(session.robot.data, session.follows, session.shows_forces)

    def show_numbers(self, session: Session) -> None:
        """Show everything else."""
        self._panel.show()

    def notify(self, text: str) -> None:
        """Tell it at the terminal and in every browser."""
        print(f"warning: {text}", flush=True)
        for client in self._server.get_clients().values():
            client.add_notification("This policy cannot act", text, auto_close_seconds=15.0)
