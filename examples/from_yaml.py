# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Training from a YAML file: the file is read into a dict, and its section ``runner`` is what OnPolicyRunner takes.

    python examples/from_yaml.py
    python examples/from_yaml.py my.yaml --iterations 200

``rsl-rl train FILE`` takes the same file, and has an option for each of its keys.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import torch
import yaml

from rsl_rl.env import make_env
from rsl_rl.runners import OnPolicyRunner


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, default=Path(__file__).with_suffix(".yaml"))
    parser.add_argument("--iterations", type=int, default=None, help="other than the file says")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    task = yaml.safe_load(arguments.file.read_text())

    torch.manual_seed(task["seed"])
    env = make_env(task["env"], task["num_envs"], task["seed"], arguments.device, **task.get("env_options", {}))
    log_dir = f"runs/{arguments.file.stem}"
    runner = OnPolicyRunner(env, task["runner"], log_dir=log_dir, device=arguments.device)
    runner.learn(arguments.iterations or task["iterations"], init_at_random_ep_len=True)
    runner.export_policy_to_onnx(f"{log_dir}/exports")
    rewards = runner.logger.rewbuffer
    reached = f"{statistics.fmean(rewards):.2f}" if rewards else "not known, no episode has ended"
    print(f"mean return of the last {len(rewards)} episodes: {reached}; policy: {log_dir}/exports/policy.onnx")


if __name__ == "__main__":
    main()
