# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Neptune."""

from __future__ import annotations

import contextlib
import math
import os
import secrets
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from rsl_rl.telemetry.plain_values import flat
from rsl_rl.telemetry.service_writer import STOP_TIMEOUT, BackgroundCalls, Number, ServiceLogWriter, import_client

_WITHOUT_SERVER = ("offline", "debug")
_MAX_INT = 2**31 - 1


class NeptuneLogWriter(ServiceLogWriter):
    """Writes numbers, configuration, checkpoints, code state and videos to Neptune.

    The environment variable ``NEPTUNE_API_TOKEN`` holds the token, ``NEPTUNE_USERNAME`` the workspace. All calls are
    made in a thread: the client takes more than a millisecond for the numbers of an iteration, and in mode "sync" as
    long as its server does.
    """

    def __init__(
        self,
        log_dir: str,
        project_name: str,
        name: str | None = None,
        tags: list[str] | None = None,
        mode: str | None = None,
        options: dict[str, Any] | None = None,
        stop_timeout: float = STOP_TIMEOUT,
    ) -> None:
        """Start a run, or go on with the one that ``log_dir`` belongs to.

        Args:
            log_dir: Folder of the run; what is not uploaded yet lies in its ``.neptune``.
            project_name: The project, with or without its workspace: "project" or "workspace/project".
            name: Name of the run; None for the name of the folder.
            tags: Tags of the run.
            mode: "async", "sync", "offline" or "debug"; None for ``NEPTUNE_MODE``, else async.
            options: Further arguments of ``neptune.init_run``.
            stop_timeout: Seconds to wait at the end for what is not uploaded yet.

        Raises:
            ImportError: neptune is not installed.
            RuntimeError: Token or workspace are missing, or the run cannot be started; says what to do.
        """
        mode = mode or os.environ.get("NEPTUNE_MODE", "async")
        neptune = import_client("neptune", "Neptune")
        # The client's limit holds for each of its threads, not for the requests after them.
        super().__init__(log_dir, "neptune", 2 * stop_timeout)
        self._stop_timeout = stop_timeout
        project = self._project(project_name, mode)
        run_id = self._known_as() or secrets.token_hex(16)
        arguments: dict[str, Any] = {
            "project": project,
            "custom_run_id": run_id,
            "name": name or Path(log_dir).resolve().name,
            "tags": tags,
            "mode": mode,
        }
        # The console redraws itself, and the state of the code is kept by the run.
        arguments |= {"capture_stdout": False, "capture_stderr": False, "source_files": []}
        try:
            with _data_in(log_dir):
                self._run: Any = neptune.init_run(**arguments | (options or {}))
        except Exception as error:
            raise RuntimeError(
                f"{_summary(error)} Check the project '{project}', the token in NEPTUNE_API_TOKEN and the workspace in "
                "NEPTUNE_USERNAME, or keep the run locally with mode='offline' (NEPTUNE_MODE=offline)."
            ) from error
        self._calls = BackgroundCalls("Neptune")
        self._remember(run_id)

    @staticmethod
    def _project(project_name: str, mode: str) -> str:
        """Return ``workspace/project``, after what a server asks for was found."""
        username = os.environ.get("NEPTUNE_USERNAME")
        if mode not in _WITHOUT_SERVER:
            if not os.environ.get("NEPTUNE_API_TOKEN"):
                raise RuntimeError(
                    "Neptune needs a token: set the environment variable NEPTUNE_API_TOKEN, or keep the run locally "
                    "with mode='offline' (NEPTUNE_MODE=offline)."
                )
            if not username and "/" not in project_name:
                raise RuntimeError(
                    f"Neptune needs the workspace of the project '{project_name}': set the environment variable "
                    f"NEPTUNE_USERNAME, or name the project 'WORKSPACE/{project_name}'."
                )
        return f"{username}/{project_name}" if username and "/" not in project_name else project_name

    def store_config(self, env_cfg: dict | object, train_cfg: dict) -> None:  # noqa: D102
        self._submit(partial(self._store_values, flat(train_cfg, "runner_cfg") | flat(env_cfg, "env_cfg")))

    def _store_values(self, values: dict[str, Any]) -> None:
        for path, value in values.items():
            self._run[path] = str(value) if type(value) is int and abs(value) > _MAX_INT else value

    def _send(self, numbers: list[Number]) -> None:
        for tag, value, step, _ in numbers:
            if math.isfinite(value):
                self._run[tag].append(value, step=step)

    def save_model(self, model_path: str, it: int) -> None:  # noqa: D102
        self._upload(f"models/{_key(Path(model_path).name)}", model_path)

    def save_file(self, path: str) -> None:  # noqa: D102
        self._upload(_key(self._place(path).as_posix()), path)

    def save_video(self, video: Path, it: int) -> None:  # noqa: D102
        place = self._place(video).as_posix()
        self._upload(_key(place if place.startswith("videos/") else f"videos/{place}"), str(video))

    def _upload(self, key: str, path: str) -> None:
        self._submit(lambda: self._run[key].upload(path))

    def _close(self, has_failed: bool) -> None:
        if has_failed:
            self._submit(partial(self._store_values, {"sys/failed": True}))
        self._submit(partial(self._run.stop, seconds=self._stop_timeout))


def _key(path: str) -> str:
    """Return a path without the suffix, which the service adds by itself."""
    return path.removesuffix(Path(path).suffix)


def _summary(error: Exception) -> str:
    """Return the first sentence of an error: the service's messages fill a screen with colors."""
    lines = [line.strip() for line in str(error).splitlines() if any(character.isalpha() for character in line)]
    return f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}."


@contextlib.contextmanager
def _data_in(log_dir: str) -> Iterator[None]:
    """Keep the data of a run that starts within the run's folder, unless the user named another."""
    name = "NEPTUNE_DATA_DIRECTORY"
    is_named = name in os.environ
    os.environ.setdefault(name, os.path.join(os.path.abspath(log_dir), ".neptune"))
    try:
        yield
    finally:
        if not is_named:
            del os.environ[name]
