# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""A log writer of your own: every number of every run in one SQLite database, which is then asked questions.

    python examples/custom_log_writer.py

docs/loggers.md describes the writers that exist, and what happens when one fails.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
from pathlib import Path

import torch
from custom_environment import TRAIN_CFG, PlanarQuadrotor

from rsl_rl.runners import OnPolicyRunner
from rsl_rl.utils import LogWriter


class SqliteLogWriter(LogWriter):
    """Table ``runs``: name and configuration; table ``numbers``: run, tag, iteration, value."""

    def __init__(self, log_dir: str, database: str = "runs/numbers.sqlite") -> None:
        """Open the database. The runner gives ``log_dir``; the rest are options of the configuration."""
        self.run = Path(log_dir).resolve().name
        Path(database).parent.mkdir(parents=True, exist_ok=True)
        self.connection = sqlite3.connect(database)
        self.connection.executescript(
            "CREATE TABLE IF NOT EXISTS runs (run PRIMARY KEY, configuration);"
            "CREATE TABLE IF NOT EXISTS numbers (run, tag, step REAL, value REAL, PRIMARY KEY (run, tag, step))"
        )

    def store_config(self, env_cfg: dict | object, train_cfg: dict) -> None:
        document = json.dumps({"env": env_cfg, "train": train_cfg}, default=str)
        self.connection.execute("INSERT OR REPLACE INTO runs VALUES (?, ?)", (self.run, document))

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        row = (self.run, tag, global_step, float(scalar_value))
        self.connection.execute("INSERT OR REPLACE INTO numbers VALUES (?, ?, ?, ?)", row)

    def flush(self) -> None:
        self.connection.commit()  # called once an iteration

    def stop(self) -> None:
        self.connection.commit()
        self.connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    logger = {"class_name": "custom_log_writer:SqliteLogWriter", "database": "runs/numbers.sqlite"}
    for learning_rate in (3e-4, 1e-3):
        torch.manual_seed(1)
        algorithm = {**TRAIN_CFG["algorithm"], "learning_rate": learning_rate, "schedule": "fixed"}
        # A list writes to several places: logger: [tensorboard, {class_name: ...}]
        cfg = {**TRAIN_CFG, "algorithm": algorithm, "logger": logger}
        env = PlanarQuadrotor(256, seed=1, device=arguments.device)
        log_dir = f"runs/learning_rate_{learning_rate:g}"
        OnPolicyRunner(env, cfg, log_dir=log_dir, device=arguments.device).learn(arguments.iterations)

    database = sqlite3.connect("runs/numbers.sqlite")
    rows = database.execute(
        "SELECT run, max(value), step FROM numbers WHERE tag = 'Train/mean_reward' GROUP BY run ORDER BY 2 DESC"
    ).fetchall()
    for run, reward, iteration in rows:
        print(f"{run:22} best mean reward {reward:.2f} in iteration {iteration:.0f}")
    assert len(rows) == 2, "both runs are in the database"


if __name__ == "__main__":
    main()
