# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""A small training with everything that a logging service can keep: numbers, configuration, models, code, videos."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from rsl_rl.runners import OnPolicyRunner
from tests.envs import PointEnv, point_config
from tests.telemetry.test_logger import git, rows

VIDEO = b"not really a video"
ITERATIONS = 4
ROOT = Path(__file__).parents[2]


class RecordingEnv(PointEnv):
    """Leaves a video beside the run, as a recorder of an environment does, and acts when told to."""

    def __init__(self, folder: Path, at_step: int = -1, act: Any = None) -> None:
        super().__init__()
        self.cfg = {"seed": 7, "terrain": {"slopes": (0.1, 0.2), "friction": float("inf")}, "reward": len}
        self._folder, self._at_step, self._act, self._steps = folder, at_step, act, 0

    def step(self, actions: Any) -> Any:
        if self._steps == 0:
            video = self._folder / "videos" / "train" / "step-0.mp4"
            video.parent.mkdir(parents=True, exist_ok=True)
            video.write_bytes(VIDEO)
            os.utime(video, (1e9, 1e9))
        if self._steps == self._at_step:
            self._act()
        self._steps += 1
        return super().step(actions)


def train(run: Path, logger: object, at_iteration: int = -1, act: Any = None, **cfg: Any) -> OnPolicyRunner:
    """Train for a few iterations, and look at what every run keeps; ``act`` is called in the middle of an iteration."""
    repository = run.parent / "project"
    if not repository.exists():
        repository.mkdir()
        git(repository, "init", "-b", "trunk")
        (repository / "code.py").write_text("old = 1\n")
        git(repository, "add", ".")
        git(repository, "commit", "-m", "first")
        (repository / "code.py").write_text("new = 2\n")
    config = point_config() | {"logger": logger, "run_name": "small"} | cfg
    env = RecordingEnv(run, at_iteration * config["num_steps_per_env"] + 3 if act else -1, act)
    runner = OnPolicyRunner(env, config, log_dir=str(run))
    runner.logger.git_status_repos = [str(repository)]
    runner.learn(ITERATIONS)
    assert [row["iteration"] for row in rows(run)] == [str(iteration) for iteration in range(ITERATIONS)]
    assert all(row["Loss/value"] and row["Train/mean_reward"] for row in rows(run)[2:])
    assert (run / f"model_{ITERATIONS - 1}.pt").is_file()
    return runner


def column(run: Path, tag: str) -> list[tuple[int, float]]:
    """Return the steps and values that the local table holds of a number."""
    return [(int(row["iteration"]), float(row[tag])) for row in rows(run) if row[tag]]


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every client from the network, from the user's accounts and from the user's folders."""
    for name in list(os.environ):
        if name.startswith(("WANDB_", "NEPTUNE_", "MLFLOW_")):
            monkeypatch.delenv(name)
    for name in ("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("NEPTUNE_MODE", "offline")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.chdir(tmp_path)
