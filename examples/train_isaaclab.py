# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Train a task of Isaac Lab with the task's own settings, and export the policy.

    ./isaaclab.sh -p examples/train_isaaclab.py --task Isaac-Velocity-Flat-Anymal-C-v0 --num_envs 4096 --headless

Written for Isaac Lab's documented interface. It needs NVIDIA's simulator and was never run in it; the tests run it with
packages of the same names and calls.
"""

from __future__ import annotations

import argparse

from isaaclab.app import AppLauncher

parser = argparse.ArgumentParser()
parser.add_argument("--task", required=True)
parser.add_argument("--num_envs", type=int, default=4096)
parser.add_argument("--max_iterations", type=int, default=None)
parser.add_argument("--log_dir", default="runs/isaaclab")
AppLauncher.add_app_launcher_args(parser)
arguments = parser.parse_args()
app = AppLauncher(arguments).app

# The simulator runs: only now can the rest of Isaac Lab be imported.
from isaaclab_tasks.utils import load_cfg_from_registry  # noqa: E402

from rsl_rl.env import make_env  # noqa: E402
from rsl_rl.runners import OnPolicyRunner  # noqa: E402

agent = load_cfg_from_registry(arguments.task, "rsl_rl_cfg_entry_point")
env = make_env(
    f"isaaclab:{arguments.task}",
    num_envs=arguments.num_envs,
    seed=agent.seed,
    device=arguments.device,
    clip_actions=agent.clip_actions,
)
runner = OnPolicyRunner(env, agent.to_dict(), log_dir=arguments.log_dir, device=arguments.device)
runner.learn(arguments.max_iterations or agent.max_iterations, init_at_random_ep_len=True)
runner.export_policy_to_jit(arguments.log_dir)
runner.export_policy_to_onnx(arguments.log_dir)
env.close()
app.close()
