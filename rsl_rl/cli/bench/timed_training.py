# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""One side of a comparison: trains whatever ``rsl_rl`` its interpreter finds, and says how long each phase took.

``rsl-rl bench`` starts this file as a program, once per interpreter and case, and lets the programs work in turns. Each
answers with lines of JSON: with its versions once it has imported the library, with its warm-up once it has read the
case, and then with the seconds of a round for every number of iterations that it reads. It uses the documented
interface only, and imports nothing of the library but that: it runs under other releases, too.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

if __name__ == "__main__":
    # The folder of this file holds modules of one of the two libraries.
    _folder = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) != _folder]

import torch
from tensordict import TensorDict

NUM_OBS, NUM_ACTIONS = 48, 12
NUM_EPOCHS, NUM_MINI_BATCHES = 5, 4


class FreeEnv:
    """An environment that costs nothing: it gives numbers that were drawn beforehand."""

    def __init__(self, num_envs: int, num_steps: int, device: str) -> None:
        """Draw T steps of N environments; an episode ends after 100 steps on average."""
        generator = torch.Generator().manual_seed(0)
        self.num_envs, self.num_actions, self.max_episode_length = num_envs, NUM_ACTIONS, 1000
        self.episode_length_buf = torch.zeros(num_envs, dtype=torch.long, device=device)
        self.device, self.cfg = device, {}
        observations = torch.randn(num_steps, num_envs, NUM_OBS, generator=generator).to(device)
        self._obs = [TensorDict({"policy": value}, [num_envs], device=device) for value in observations]
        self._rewards = torch.randn(num_steps, num_envs, generator=generator).to(device)
        self._dones = (torch.rand(num_steps, num_envs, generator=generator) < 0.01).to(device)
        self._time_outs = self._dones & (torch.rand(num_steps, num_envs, generator=generator) < 0.5).to(device)
        self._step = 0

    @property
    def unwrapped(self) -> FreeEnv:
        """This environment."""
        return self

    def get_observations(self) -> TensorDict:
        """Return the current observation."""
        return self._obs[self._step]

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        """Return what comes next, whatever the actions are."""
        self._step = (self._step + 1) % len(self._obs)
        step = self._step
        return self._obs[step], self._rewards[step], self._dones[step], {"time_outs": self._time_outs[step]}


def training_config(case: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of release 5.5.1 for a case."""
    model = {"class_name": "MLPModel", "hidden_dims": case["hidden"], "activation": "elu", "obs_normalization": True}
    if case["rnn"] is not None:
        model |= {"class_name": "RNNModel", "rnn_type": case["rnn"], "rnn_hidden_dim": case["rnn_hidden"]}
    config: dict[str, Any] = {
        "num_steps_per_env": case["num_steps"],
        "save_interval": 1_000_000,
        "obs_groups": {"actor": ["policy"], "critic": ["policy"]},
        "actor": {**model, "distribution_cfg": {"class_name": "GaussianDistribution", "init_std": 1.0}},
        "critic": model,
        "algorithm": {
            "class_name": "PPO",
            "num_learning_epochs": NUM_EPOCHS,
            "num_mini_batches": NUM_MINI_BATCHES,
            "use_mixed_precision": case["mixed_precision"],
        },
        "torch_compile_mode": case["compile"],
    }
    # Only this library knows more.
    return config | case.get("others", {})


class Session:
    """A training that goes on from round to round, with the seconds of its phases."""

    def __init__(self, case: dict[str, Any]) -> None:
        from rsl_rl.env import VecEnv
        from rsl_rl.runners import OnPolicyRunner

        torch.manual_seed(0)
        if case["threads"]:
            torch.set_num_threads(case["threads"])
        self.case, self.device = case, case["device"]
        env = type("FreeVecEnv", (FreeEnv, VecEnv), {})(case["num_envs"], case["num_steps"], self.device)
        self.runner = OnPolicyRunner(env, training_config(case), log_dir=None, device=self.device)
        self.collect: list[float] = []
        self.learn: list[float] = []
        self._moments: list[float] = []
        # Release 5.5.1 counts the returns as learning; so do we, with the values that we compute along with them.
        self.runner.alg.compute_returns = self._noted(self.runner.alg.compute_returns)
        self.runner.logger.log = self._noted(self.runner.logger.log, also_after=True)

    def run(self, iterations: int) -> dict[str, float]:
        """Make some iterations; return the median seconds of each phase and of a whole iteration."""
        self._moments = [now(self.device)]
        self.runner.learn(iterations)
        seconds = now(self.device) - self._moments[0]
        begun, collected, learned = self._moments[:-1:3], self._moments[1::3], self._moments[2::3]
        self.collect = [end - begin for begin, end in zip(begun, collected, strict=True)]
        self.learn = [end - begin for begin, end in zip(collected, learned, strict=True)]
        return {
            "collect": statistics.median(self.collect),
            "learn": statistics.median(self.learn),
            "iteration": seconds / iterations,
            "peak_mb": peak_mb(self.device),
        }

    def _noted(self, method: Callable[..., Any], also_after: bool = False) -> Callable[..., Any]:
        def noted(*arguments: Any, **options: Any) -> Any:
            self._moments.append(now(self.device))
            result = method(*arguments, **options)
            if also_after:
                self._moments.append(now(self.device))
            return result

        return noted


def now(device: str) -> float:
    """Return the seconds of a clock once a device has done all that it was asked for."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return time.perf_counter()


def peak_mb(device: str) -> float:
    """Return the most memory that this process ever held, in MiB: on a GPU what torch allocated, else all of it."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024
    except OSError:
        import resource

        # In bytes on macOS, in KiB elsewhere. Linux is read above: there a new process inherits its parent's peak.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def main() -> None:
    """Import, read a case, warm up, and answer every further line of the input with a round."""
    # What a training prints is not for this program's reader.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def answer(**numbers: Any) -> None:
        print(json.dumps(numbers), file=answers, flush=True)

    without_library = peak_mb("cpu")
    import rsl_rl.runners  # noqa: F401 (now, while nobody is measured)

    answer(version=importlib.metadata.version("rsl-rl-lib"), torch=torch.__version__)
    line = sys.stdin.readline()
    if not line:
        return
    case = json.loads(line)
    started = time.perf_counter()
    session = Session(case)
    session.run(case.get("warm_up", 3))
    answer(warm_up=time.perf_counter() - started, iteration=session.collect[-1] + session.learn[-1])
    for line in sys.stdin:
        numbers = session.run(int(line))
        others = 0.0 if session.device.startswith("cuda") else without_library
        answer(**numbers, memory_mb=numbers["peak_mb"] - others)


if __name__ == "__main__":
    main()
