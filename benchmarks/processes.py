# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""How much faster several processes are than one, and what they spend talking to each other.

    python benchmarks/processes.py                         # one and two processes in turns, on the CPU
    python benchmarks/processes.py --rounds 5 --num-envs 512 --hidden 512 256 128

Every process simulates ``--num-envs`` environments that cost nothing, and learns. The time in communication is that of
the calls of ``torch.distributed``, waiting for the other process included.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any

import torch
from tensordict import TensorDict
from torch import distributed

from rsl_rl.env import VecEnv
from rsl_rl.runners import OnPolicyRunner

NUM_STEPS, WARM_UP, ITERATIONS = 24, 3, 12
CALLS = ("all_reduce", "all_gather", "gather_object", "broadcast_object_list", "broadcast")


class FreeEnv(VecEnv):
    """Gives numbers that were drawn beforehand: 48 observations, 12 actions."""

    def __init__(self, num_envs: int) -> None:
        self.num_envs, self.num_actions, self.max_episode_length = num_envs, 12, 1000
        self.episode_length_buf = torch.zeros(num_envs, dtype=torch.long)
        self.device, self.cfg = "cpu", {}
        self._obs = [TensorDict({"policy": torch.randn(num_envs, 48)}, [num_envs]) for _ in range(NUM_STEPS)]
        self._rewards, self._dones = torch.randn(NUM_STEPS, num_envs), torch.rand(NUM_STEPS, num_envs) < 0.01
        self._step = 0

    def get_observations(self) -> TensorDict:
        return self._obs[self._step]

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        self._step = (self._step + 1) % NUM_STEPS
        dones = self._dones[self._step]
        return self.get_observations(), self._rewards[self._step], dones, {"time_outs": dones}


def measure(num_envs: int, hidden: list[int]) -> dict[str, float]:
    """Train, and return medians over iterations: seconds, seconds in communication, steps of this process."""
    torch.set_num_threads(1)
    spent = [0.0]
    for name in CALLS:
        setattr(distributed, name, _timed(getattr(distributed, name), spent))
    model: dict[str, Any] = {"class_name": "MLPModel", "hidden_dims": hidden, "obs_normalization": True}
    cfg = {
        **{"num_steps_per_env": NUM_STEPS, "save_interval": 10**6, "logger": None},
        "obs_groups": {"actor": ["policy"], "critic": ["policy"]},
        "actor": {**model, "distribution_cfg": {"class_name": "GaussianDistribution"}},
        "critic": model,
        "algorithm": {"class_name": "PPO"},
    }
    runner = OnPolicyRunner(FreeEnv(num_envs), cfg)
    seconds, communication, last = [], [], [time.perf_counter(), 0.0]
    log = runner.logger.log

    def noted(**numbers: Any) -> None:
        log(**numbers)
        seconds.append(time.perf_counter() - last[0])
        communication.append(spent[0] - last[1])
        last[:] = time.perf_counter(), spent[0]

    runner.logger.log = noted
    runner.learn(WARM_UP + ITERATIONS)
    size = sum(p.numel() for model in (runner.alg.actor, runner.alg.critic) for p in model.parameters())
    return {
        "seconds": statistics.median(seconds[WARM_UP:]),
        "communication": statistics.median(communication[WARM_UP:]),
        "parameters": size,
    }


def _timed(call: Any, spent: list[float]) -> Any:
    def timed(*arguments: Any, **options: Any) -> Any:
        started = time.perf_counter()
        try:
            return call(*arguments, **options)
        finally:
            spent[0] += time.perf_counter() - started

    return timed


def launch(processes: int, arguments: list[str]) -> dict[str, float]:
    """Measure in so many processes of their own; return what process 0 measured."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    command = [sys.executable, *launcher, __file__, "--worker", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise SystemExit(done.stdout + done.stderr)
    return json.loads(lines[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-envs", type=int, nargs="+", default=[64, 512])
    parser.add_argument("--hidden", type=int, nargs="+", default=[256, 128, 64])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.worker:
        numbers = measure(chosen.num_envs[0], chosen.hidden)
        if os.environ.get("RANK", "0") == "0":
            print(json.dumps(numbers), flush=True)
        return
    print("| environments a process | steps/s, 1 process | steps/s, 2 processes | ratio | in communication |")
    print("| --- | --- | --- | --- | --- |")
    for num_envs in chosen.num_envs:
        arguments = ["--num-envs", str(num_envs), "--hidden", *map(str, chosen.hidden)]
        rounds = [(launch(1, arguments), launch(2, arguments)) for _ in range(chosen.rounds)]
        rates = [
            (NUM_STEPS * num_envs / one["seconds"], 2 * NUM_STEPS * num_envs / two["seconds"]) for one, two in rounds
        ]
        shares = [two["communication"] / two["seconds"] for _, two in rounds]
        one, two = (statistics.median(rate[index] for rate in rates) for index in range(2))
        ratio = statistics.median(two / one for one, two in rates)
        print(f"| {num_envs} | {one:,.0f} | {two:,.0f} | {ratio:.2f} | {statistics.median(shares):.1%} |", flush=True)
    print(f"\n{rounds[0][0]['parameters']:,} parameters, median of {chosen.rounds} rounds")


if __name__ == "__main__":
    main()
