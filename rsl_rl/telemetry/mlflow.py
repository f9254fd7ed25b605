# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""MLflow."""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path

from rsl_rl.telemetry.plain_values import flat
from rsl_rl.telemetry.service_writer import (
    START_TIMEOUT,
    STOP_TIMEOUT,
    BackgroundCalls,
    Number,
    ServiceLogWriter,
    import_client,
)

_MAX_PARAMS_A_CALL = 100
# MLflow's own limits let a server that is gone hold up every request for minutes.
_PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}


class MlflowLogWriter(ServiceLogWriter):
    """Writes numbers, configuration, checkpoints, code state and videos to an MLflow server, or to local files.

    All requests are made in a thread: a slow server does not slow training.
    """

    def __init__(
        self,
        log_dir: str,
        experiment_name: str = "rsl_rl",
        tracking_uri: str | None = None,
        run_name: str | None = None,
        tags: dict[str, str] | None = None,
        start_timeout: float = START_TIMEOUT,
        stop_timeout: float = STOP_TIMEOUT,
    ) -> None:
        """Start a run, or go on with the one that ``log_dir`` belongs to.

        Args:
            log_dir: Folder of the run.
            experiment_name: The experiment; made where it does not exist.
            tracking_uri: The server, e.g. "http://127.0.0.1:5000"; None for ``MLFLOW_TRACKING_URI``, else MLflow's
                default, a local database.
            run_name: Name of the run; None for the name of the folder.
            tags: Tags of the run.
            start_timeout: Seconds that the server may take to open the run.
            stop_timeout: Seconds to wait at the end for what is not uploaded yet.

        Raises:
            ImportError: mlflow is not installed.
            RuntimeError: The run cannot be started; says what to do.
        """
        mlflow = import_client("mlflow", "MLflow")
        for name, value in _PATIENCE.items():
            os.environ.setdefault(name, value)
        super().__init__(log_dir, "mlflow", stop_timeout)
        self._metric, self._param = mlflow.entities.Metric, mlflow.entities.Param
        uri = tracking_uri or mlflow.get_tracking_uri()
        self._calls = BackgroundCalls("MLflow")
        try:
            self._client = mlflow.MlflowClient(uri)
            name = run_name or Path(log_dir).resolve().name
            open_run = partial(self._open_run, self._known_as(), experiment_name, name, tags)
            self._run_id: str = self._calls.call(open_run, start_timeout)
        except Exception as error:
            raise RuntimeError(
                f"{error} Check that the MLflow server {uri} runs and the experiment '{experiment_name}' is not "
                "deleted; name the server with tracking_uri or the environment variable MLFLOW_TRACKING_URI."
            ) from error
        self._remember(self._run_id)

    def _open_run(self, run_id: str | None, experiment_name: str, run_name: str, tags: dict[str, str] | None) -> str:
        from mlflow.exceptions import MlflowException

        if run_id is not None:
            try:
                self._client.update_run(run_id, status="RUNNING")
                return run_id
            except MlflowException as error:
                # The run of another server, or one that was deleted; everything else is a failure.
                if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    raise
        experiment = self._client.get_experiment_by_name(experiment_name)
        experiment_id = experiment.experiment_id if experiment else self._client.create_experiment(experiment_name)
        return self._client.create_run(experiment_id, tags=tags, run_name=run_name).info.run_id

    def store_config(self, env_cfg: dict | object, train_cfg: dict) -> None:  # noqa: D102
        values = flat(train_cfg, "runner_cfg") | flat(env_cfg, "env_cfg")
        params = {_key(path): str(value) for path, value in values.items()}

        def store() -> None:
            # A parameter can be written once only; a run that goes on keeps what it has.
            known = self._client.get_run(self._run_id).data.params
            fresh = [self._param(key, value) for key, value in params.items() if key not in known]
            for start in range(0, len(fresh), _MAX_PARAMS_A_CALL):
                self._client.log_batch(self._run_id, params=fresh[start : start + _MAX_PARAMS_A_CALL])

        self._submit(store)

    def _send(self, numbers: list[Number]) -> None:
        metrics = [self._metric(_key(tag), value, int(1000 * time), step) for tag, value, step, time in numbers]
        self._client.log_batch(self._run_id, metrics=metrics)

    def save_model(self, model_path: str, it: int) -> None:  # noqa: D102
        self._save(Path(model_path), Path("models"))

    def save_file(self, path: str) -> None:  # noqa: D102
        self._save(Path(path), Path())

    def save_video(self, video: Path, it: int) -> None:  # noqa: D102
        self._save(video, Path("videos"))

    def _save(self, path: Path, folder: Path) -> None:
        place = self._place(path).parent
        place = place if place.is_relative_to(folder) else folder / place

        def upload() -> None:
            if path.exists():  # an old checkpoint may have been removed meanwhile
                self._client.log_artifact(self._run_id, str(path), None if place == Path() else place.as_posix())

        self._submit(upload)

    def _close(self, has_failed: bool) -> None:
        status = "FAILED" if has_failed else "FINISHED"
        self._submit(partial(self._client.set_terminated, self._run_id, status))


def _key(name: str) -> str:
    """Return a name in the characters and the length that MLflow takes."""
    return re.sub(r"[^\w\-. :/]", "_", name, flags=re.ASCII)[:250]
