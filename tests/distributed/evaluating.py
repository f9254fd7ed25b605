# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Two processes, of which the first evaluates, with and without that."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch

from rsl_rl.runners import OnPolicyRunner
from tests.envs import PointEnv, point_config


def evaluation_env() -> PointEnv:
    print(f"EVALUATES {os.environ['RANK']}")
    return PointEnv(2, seed=9)


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    rank = int(os.environ["RANK"])
    for name in ("without", "with"):
        torch.manual_seed(rank)
        cfg = point_config() | {"save_interval": 100, "logger": None}
        runner = OnPolicyRunner(PointEnv(seed=rank), cfg, log_dir=str(folder / name))
        if name == "with":
            runner.evaluate_with(evaluation_env, interval=2, episodes=3)
        runner.learn(6)
        print(f"FINISHED {name} {rank} {runner.alg.fingerprint()}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
