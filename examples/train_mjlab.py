# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Train a task of mjlab with the task's own settings, and export the policy.

    python examples/train_mjlab.py Mjlab-Cartpole-Balance --num-envs 64 --iterations 50

Needs mjlab; docs/clients.md says how to install it.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict

from mjlab.rl import MjlabOnPolicyRunner
from mjlab.tasks.registry import load_rl_cfg

from rsl_rl.env import make_env

parser = argparse.ArgumentParser()
parser.add_argument("task")
parser.add_argument("--num-envs", type=int, default=64)
parser.add_argument("--iterations", type=int, default=50)
parser.add_argument("--device", default="cpu")
parser.add_argument("--log-dir", default="runs/mjlab")
arguments = parser.parse_args()

# final_obs: time-outs are bootstrapped from the true last observation.
env = make_env(f"mjlab:{arguments.task}", num_envs=arguments.num_envs, device=arguments.device, final_obs=True)
# mjlab's runner removes the options that its dataclasses leave empty.
config = asdict(load_rl_cfg(arguments.task)) | {"logger": "tensorboard"}
runner = MjlabOnPolicyRunner(env, config, log_dir=arguments.log_dir, device=arguments.device)
runner.learn(arguments.iterations, init_at_random_ep_len=True)
runner.export_policy_to_jit(arguments.log_dir)
runner.export_policy_to_onnx(arguments.log_dir, "policy.onnx")
env.close()
