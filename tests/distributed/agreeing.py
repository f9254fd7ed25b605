# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Two processes that a client program has connected itself, one of which comes to differ from the other."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import numpy as np
import torch
from torch import distributed

from rsl_rl.distributed import watch
from rsl_rl.runners import OnPolicyRunner
from tests.envs import PointEnv, point_config


class Robots(PointEnv):
    """Log what the other process does not, and as another type."""

    def __init__(self, rank: int) -> None:
        super().__init__(seed=rank)
        own: list[dict[Any, Any]] = [{"both": 1.0, "sometimes": 4.0, 0: [1.0]}, {"both": torch.full((3,), 5.0)}]
        own[1] |= {"sometimes": "text", 1: 10**400, ("only", "here"): np.array([2.0, 4.0]), "odd": object()}
        self._logged = own[rank]

    def step(self, actions: torch.Tensor) -> Any:
        obs, rewards, dones, extras = super().step(actions)
        return obs, rewards, dones, extras | {"log": self._logged}


class Client(OnPolicyRunner):
    """Looks at the policy whenever it saves, as programs do that export it then."""

    def save(self, path: str, infos: dict | None = None) -> None:
        self.get_inference_policy()
        super().save(path, infos)


def main(log_dir: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    watch.GRACE = 0.5
    rank = int(os.environ["RANK"])
    torch.manual_seed(rank)
    cfg = point_config() | {"save_interval": 3, "logger": None}
    runner = Client(Robots(rank), cfg, log_dir=log_dir)
    update = runner.alg.update

    def faulty_update() -> dict[str, float]:
        losses = update()
        if rank == 1 and runner.current_learning_iteration == 5:
            with torch.no_grad():
                next(runner.alg.critic.parameters()).view(-1)[0] += 1e-3
        return losses

    runner.alg.update = faulty_update
    runner.learn(5)
    equal = not runner.world.unlike_the_first(runner.alg.fingerprint())
    runner.learn(3)
    healed = not runner.world.unlike_the_first(runner.alg.fingerprint())
    starts = runner.world.gather(runner.env.get_observations()["policy"].tolist())
    if rank == 0:
        print("RESULT", runner.gpu_world_size, runner.cfg["multi_gpu"], equal, healed, starts[0] != starts[1])
    print(f"rank {rank}: writers {runner.logger.writer}, log_dir {runner.logger.log_dir}")
    again = Client(PointEnv(seed=rank), cfg, log_dir=log_dir)
    if rank == 0:
        again.load(f"{log_dir}/model_7.pt")
    again.learn(4)
    draws = again.world.gather(torch.rand(1).item())
    print(f"rank {rank}: last iteration {again.current_learning_iteration}", flush=True)
    if rank == 1:
        os._exit(0)  # as simulators do
    print("RANDOM", draws[0] != draws[1])
    # Longer than a process outlives the failure of another.
    until = time.monotonic() + 2.0
    while time.monotonic() < until:
        pass
    print("FINISHED")


if __name__ == "__main__":
    main(sys.argv[1])
