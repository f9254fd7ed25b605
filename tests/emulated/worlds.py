# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What many processes would send, counted in one: ``python -m tests.emulated.worlds``.

Prints a line of JSON for each number of processes: collectives and bytes of an iteration. A group of processes of
torch's own that sends nothing stands for the others; each number has a process of its own.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections import Counter
from typing import Any

import torch
from torch import distributed
from torch.testing._internal.distributed.fake_pg import FakeStore

from rsl_rl.algorithms import PPO
from rsl_rl.cli.bench.timed_training import FreeEnv, training_config
from rsl_rl.env import VecEnv
from tests.algorithms.test_combinations import rollout


def measured(num_processes: int) -> dict[str, Any]:
    distributed.init_process_group("fake", rank=0, world_size=num_processes, store=FakeStore())
    torch.manual_seed(0)
    case = {"hidden": [512, 256, 128], "rnn": None, "num_steps": 24, "compile": None, "mixed_precision": False}
    env = type("FreeVecEnv", (FreeEnv, VecEnv), {})(16, 24, "cpu")
    cfg = training_config(case)
    cfg["multi_gpu"] = {"global_rank": 0, "local_rank": 0, "world_size": num_processes}
    alg: Any = PPO.construct_algorithm(env.get_observations(), env, cfg, "cpu")
    calls: Counter[str] = Counter()
    sent: Counter[str] = Counter()
    for name in ("all_reduce", "all_gather", "broadcast"):
        function = getattr(distributed, name)

        def counted(*args: Any, function: Any = function, name: str = name, **kwargs: Any) -> Any:
            tensor = args[-1] if name == "all_gather" else args[0]
            calls[name] += 1
            sent[name] += tensor.numel() * tensor.element_size()
            return function(*args, **kwargs)

        setattr(distributed, name, counted)
    rollout(alg, env)
    alg.update()
    learned = sum(p.numel() for model in (alg.actor, alg.critic) for p in model.parameters())
    return {"processes": num_processes, "parameters": learned, "calls": calls, "bytes": sent}


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print(json.dumps(measured(int(sys.argv[1]))), flush=True)
