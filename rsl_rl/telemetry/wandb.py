# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Weights & Biases."""

from __future__ import annotations

import os
import secrets
from functools import partial
from pathlib import Path
from typing import Any

from rsl_rl.telemetry.plain_values import plain
from rsl_rl.telemetry.service_writer import (
    START_TIMEOUT,
    STOP_TIMEOUT,
    BackgroundCalls,
    Number,
    ServiceLogWriter,
    import_client,
)

_GRACE = 10.0
"""Seconds after its own limit that the client may take to end."""


class WandbLogWriter(ServiceLogWriter):
    """Writes numbers, configuration, checkpoints, code state and videos to Weights & Biases.

    A run that the caller has already started with ``wandb.init`` (a sweep, for one) is used as it is, and left open.
    The calls of a run of its own are made in a thread: the client waits without a limit for its process when it hangs.
    """

    def __init__(
        self,
        log_dir: str,
        project_name: str,
        entity: str | None = None,
        name: str | None = None,
        group: str | None = None,
        tags: list[str] | None = None,
        mode: str | None = None,
        settings: dict[str, Any] | None = None,
        stop_timeout: float = STOP_TIMEOUT,
    ) -> None:
        """Start a run, or go on with the one that ``log_dir`` belongs to.

        Args:
            log_dir: Folder of the run.
            project_name: The project.
            entity: User or team; None for ``WANDB_USERNAME``, else the default of the account.
            name: Name of the run; None for the name of the folder.
            group: Group of the run.
            tags: Tags of the run.
            mode: "online", "offline" or "disabled"; None for ``WANDB_MODE``, else online.
            settings: Further fields of ``wandb.Settings``.
            stop_timeout: Seconds to wait at the end for what is not uploaded yet.

        Raises:
            ImportError: wandb is not installed.
            RuntimeError: The run cannot be started; says what to do.
        """
        wandb = import_client("wandb", "Weights & Biases")
        # The client keeps the limit itself, unless its own process is the one that hangs.
        super().__init__(log_dir, "wandb", stop_timeout + _GRACE)
        self._wandb = wandb
        if wandb.run is not None:
            # The program logs to its run, too: only in one thread the steps of both stay in their order.
            self._run: Any = wandb.run
            return
        run_id = self._known_as() or secrets.token_hex(4)
        limits = {"init_timeout": START_TIMEOUT, "login_timeout": START_TIMEOUT}
        limits |= {"finish_timeout": stop_timeout, "finish_timeout_raises": True}
        # Older clients do not know all of them.
        limits = {key: limits[key] for key in limits if key in wandb.Settings.model_fields}
        try:
            self._run = wandb.init(
                dir=log_dir,
                project=project_name,
                entity=entity or os.environ.get("WANDB_USERNAME"),
                name=name or Path(log_dir).resolve().name,
                group=group,
                tags=tags,
                mode=mode,
                id=run_id,
                resume="allow",
                settings=wandb.Settings(**limits | (settings or {})),
            )
        except Exception as error:
            raise RuntimeError(
                f"{error}. Check the project '{project_name}' and the entity, log in with 'wandb login' or the "
                "environment variable WANDB_API_KEY, or keep the run locally with mode='offline' (WANDB_MODE=offline)."
            ) from error
        self._remember(run_id)
        self._calls = BackgroundCalls("Weights & Biases")

    def store_config(self, env_cfg: dict | object, train_cfg: dict) -> None:  # noqa: D102
        values = {"runner_cfg": plain(train_cfg), "env_cfg": plain(env_cfg)}
        self._submit(partial(self._run.config.update, values, allow_val_change=True))

    def _send(self, numbers: list[Number]) -> None:
        self._run.log({number.tag: number.value for number in numbers}, step=numbers[0].step)

    def save_file(self, path: str) -> None:  # noqa: D102
        path = os.path.abspath(path)
        place = str(self._place(path))
        base = path.removesuffix(place) if path.endswith(place) else os.path.dirname(path)
        self._submit(partial(self._run.save, path, base_path=base, policy="now"))

    def save_video(self, video: Path, it: int) -> None:  # noqa: D102
        shown = self._wandb.Video(str(video), format=video.suffix.removeprefix("."))
        self._submit(partial(self._run.log, {f"videos/{video.parent.name}": shown}, step=it))

    def _close(self, has_failed: bool) -> None:
        self._submit(partial(self._run.finish, exit_code=int(has_failed)))
