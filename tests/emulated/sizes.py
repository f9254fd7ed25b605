# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Steps and mini-batches of any size, without numbers: ``python -m tests.emulated.sizes``.

Prints a line of JSON for each case: the highest number of live bytes of every phase on a device, and what buffers of
the rollout and their copies should take. What reads a number, or mixes devices, raises. A program of its own.
"""

from __future__ import annotations

import json
import math
import warnings
from typing import Any

import torch
from tensordict import TensorDict
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rsl_rl.algorithms import PPO
from rsl_rl.cli.bench.timed_training import training_config
from rsl_rl.env import VecEnv

DEVICE = "sized:0"
CASES = {"4096": (4096, False), "32768": (32768, False), "4096 with images": (4096, True)}
NUM_STEPS, NUM_MINI_BATCHES = 24, 4


class _Module(backend_registration._DummyBackendModule):
    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


class LiveBytes(TorchDispatchMode):
    """Adds up what lives on the device, after every operator."""

    def __init__(self) -> None:
        super().__init__()
        self._storages: dict[int, tuple[StorageWeakRef, int]] = {}
        self.highest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        # torch knows no sizes for this one, which allocates nothing.
        result = None if "fused_adam" in str(func) else func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and tensor.device.type == "sized":
                reference = StorageWeakRef(tensor.untyped_storage())
                self._storages[reference.cdata] = reference, tensor.untyped_storage().nbytes()
        self._storages = {key: value for key, value in self._storages.items() if not value[0].expired()}
        self.highest = max(self.highest, sum(size for _, size in self._storages.values()))
        return result

    def phase(self) -> int:
        """Return the highest number of bytes since the last call."""
        highest, self.highest = self.highest, 0
        return highest


class Sizes(VecEnv):
    """Gives tensors of the right sizes."""

    def __init__(self, num_envs: int, with_images: bool) -> None:
        self.num_envs, self.num_actions, self.max_episode_length = num_envs, 12, 1000
        self.device, self.cfg, self._with_images = DEVICE, {}, with_images
        self.episode_length_buf = torch.zeros(num_envs, dtype=torch.long)

    def get_observations(self) -> TensorDict:
        groups = {"policy": torch.zeros(self.num_envs, 48)}
        if self._with_images:
            groups["camera"] = torch.zeros(self.num_envs, 3, 64, 64, dtype=torch.uint8)
        return TensorDict(groups, [self.num_envs], device=DEVICE)

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        assert actions.device.type == "sized"
        assert actions.shape == (self.num_envs, 12)
        dones = torch.zeros(self.num_envs, dtype=torch.bool)
        return self.get_observations(), torch.zeros(self.num_envs), dones, {"time_outs": dones}


def measured(num_envs: int, with_images: bool) -> dict[str, int]:
    case = {"hidden": [512, 256, 128], "rnn": None, "num_steps": NUM_STEPS, "compile": None, "mixed_precision": False}
    cfg = training_config(case)
    if with_images:
        convolutions = {"output_channels": [16, 32], "kernel_size": [5, 3], "stride": [2, 2], "activation": "elu"}
        for model in ("actor", "critic"):
            cfg[model] = cfg[model] | {"class_name": "CNNModel", "cnn_cfg": convolutions}
            cfg["obs_groups"][model] = ["policy", "camera"]
    with FakeTensorMode(), LiveBytes() as live, torch.device(DEVICE):
        env = Sizes(num_envs, with_images)
        alg: Any = PPO.construct_algorithm(env.get_observations(), env, cfg, DEVICE)
        found = {"built": live.phase()}
        with torch.inference_mode():
            obs = env.get_observations()
            for _ in range(NUM_STEPS):
                obs, rewards, dones, extras = env.step(alg.act(obs))
                alg.process_env_step(obs, rewards, dones, extras)
            found["collecting"] = live.phase()
            alg.compute_returns(obs)
        found["returns"] = live.phase()
        step, rows = alg.gradient_step.begin(), []
        for batch in alg.storage.mini_batch_generator(NUM_MINI_BATCHES, 1):
            rows.append(step(batch))
        assert all(row.device.type == "sized" and row.shape == rows[0].shape for row in rows)
        found["learning"] = live.phase()
        buffers = [*alg.storage._buffers.values(), *alg.storage.observations.values()]
        found["buffers"] = sum(math.prod(buffer.shape) * buffer.dtype.itemsize for buffer in buffers)
    return found


def main() -> None:
    warnings.simplefilter("ignore")
    backend_registration._setup_privateuseone_for_python_backend("sized", backend_module=_Module())
    # Fake tensors are made on the device, and cannot be moved; numbers are put there by an operator that knows them.
    nn.Module.to = lambda self, *_, **__: self  # type: ignore[method-assign, assignment]
    tensor = torch.tensor

    def number(value: Any, **options: Any) -> torch.Tensor:
        return torch.full((), value, **options) if isinstance(value, (int, float)) else tensor(value, **options)

    torch.tensor = number  # type: ignore[assignment]
    for name, case in CASES.items():
        print(json.dumps({"case": name, **measured(*case)}), flush=True)


if __name__ == "__main__":
    main()
