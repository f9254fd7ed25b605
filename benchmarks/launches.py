# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What an iteration costs an accelerator in launches, and how often the host waits for it: no GPU is needed.

Trains small models with the installed rsl_rl, whichever release it is, on the accelerator that the tests emulate
(torch 2.13 or later), and prints a row for each kind::

    .venv/bin/python benchmarks/launches.py
    reference/bin/python benchmarks/launches.py lstm rnd        # release 5.5.1 in an environment of its own
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import io
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from tensordict import TensorDict

_spec = importlib.util.spec_from_file_location(
    "accelerator", Path(__file__).parents[1] / "tests" / "emulated" / "accelerator.py"
)
assert _spec is not None
assert _spec.loader is not None
accelerator = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(accelerator)

from rsl_rl.env import VecEnv  # noqa: E402
from rsl_rl.runners import DistillationRunner, OnPolicyRunner  # noqa: E402

DEVICE = accelerator.NAME
KINDS = ["mlp", "heteroscedastic", "lstm", "gru", "cnn", "rnd", "symmetry", "distillation"]
NUM_ENVS, STEPS, EPOCHS, MINI_BATCHES, ITERATIONS = 64, 8, 2, 4, 3


class Constant(VecEnv):
    """Gives the same observations in every step, at no cost."""

    def __init__(self, with_images: bool) -> None:
        self.num_envs, self.num_actions, self.max_episode_length = NUM_ENVS, 3, 50
        self.device, self.cfg, self.step_dt = DEVICE, {}, 0.02
        self.unwrapped = self
        self.episode_length_buf = torch.zeros(NUM_ENVS, dtype=torch.long, device=DEVICE)
        groups = {
            "policy": torch.randn(NUM_ENVS, 8, device=DEVICE),
            "privileged": torch.randn(NUM_ENVS, 5, device=DEVICE),
        }
        if with_images:
            groups["camera"] = torch.rand(NUM_ENVS, 3, 16, 16, device=DEVICE)
        self.obs = TensorDict(groups, [NUM_ENVS], device=DEVICE)
        self.rewards = torch.randn(NUM_ENVS, device=DEVICE)
        self.dones = torch.rand(NUM_ENVS, device=DEVICE) < 0.05

    def get_observations(self) -> TensorDict:
        return self.obs

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        return self.obs, self.rewards, self.dones, {"time_outs": self.dones, "log": {"reward": self.rewards[0]}}


def mirror(env: Any = None, obs: Any = None, actions: Any = None, **_: Any) -> tuple[Any, Any]:
    """Return observations and actions followed by their negatives."""
    if obs is not None:
        obs = TensorDict({key: torch.cat([value, -value]) for key, value in obs.items()}, [2 * len(obs)], device=DEVICE)
    return obs, None if actions is None else torch.cat([actions, -actions])


def config(kind: str) -> dict[str, Any]:
    """Return the configuration of a kind, as release 5.5.1 takes it."""
    model: dict[str, Any] = {"hidden_dims": [32, 32], "activation": "elu", "obs_normalization": True}
    model["class_name"] = {"lstm": "RNNModel", "gru": "RNNModel", "cnn": "CNNModel"}.get(kind, "MLPModel")
    if kind in ("lstm", "gru"):
        model |= {"rnn_type": kind, "rnn_hidden_dim": 16, "rnn_num_layers": 1}
    if kind == "cnn":
        model["cnn_cfg"] = {"output_channels": [4, 8], "kernel_size": [3, 3], "stride": [2, 2], "activation": "elu"}
    prefix = "Heteroscedastic" if kind == "heteroscedastic" else ""
    acting = model | {"distribution_cfg": {"class_name": f"{prefix}GaussianDistribution", "init_std": 0.5}}
    common = {"num_steps_per_env": STEPS, "save_interval": 1000}
    if kind == "distillation":
        algorithm = {
            "class_name": "Distillation",
            "num_learning_epochs": EPOCHS,
            "gradient_length": STEPS // MINI_BATCHES,
        }
        groups = {"student": ["policy"], "teacher": ["policy", "privileged"]}
        return common | {"obs_groups": groups, "student": acting, "teacher": model, "algorithm": algorithm}
    algorithm = {"class_name": "PPO", "num_learning_epochs": EPOCHS, "num_mini_batches": MINI_BATCHES}
    groups = {"actor": ["policy"], "critic": ["policy", "privileged"]}
    if kind == "cnn":
        groups = {"actor": ["policy", "camera"], "critic": ["policy", "camera"]}
    if kind == "rnd":
        sizes = {"num_outputs": 4, "predictor_hidden_dims": [8], "target_hidden_dims": [8]}
        algorithm["rnd_cfg"] = {"weight": 0.1, "state_normalization": True, "reward_normalization": True, **sizes}
        groups["rnd_state"] = ["policy"]
    if kind == "symmetry":
        switches = {"use_data_augmentation": True, "use_mirror_loss": True, "mirror_loss_coeff": 0.1}
        algorithm["symmetry_cfg"] = {"data_augmentation_func": mirror, **switches}
    return common | {"obs_groups": groups, "actor": acting, "critic": model, "algorithm": algorithm}


def measured(kind: str) -> list[float]:
    """Return launches of a step, of a mini-batch and of an iteration, and waits of an iteration."""
    torch.manual_seed(0)
    runner_class = DistillationRunner if kind == "distillation" else OnPolicyRunner
    env = Constant(kind == "cnn")
    with contextlib.redirect_stdout(io.StringIO()):
        runner = runner_class(env, config(kind), log_dir=None, device=DEVICE)
        if kind == "distillation":
            runner.alg.teacher_loaded = True
        runner.learn(2)  # The first iterations allocate.
        totals = []
        for iterations in (1, 1 + ITERATIONS):  # What a training begins with does not count.
            with accelerator.counted() as (launches, waits):
                runner.learn(iterations)
                totals.append((sum(launches.values()), sum(waits.values())))
        of_step, of_update = 0, 0
        with torch.inference_mode():
            obs = env.get_observations()
            for _ in range(STEPS):
                with accelerator.counted() as (launches, _):
                    actions = runner.alg.act(obs)
                    outcome = env.step(actions)
                    runner.alg.process_env_step(*outcome)
                    runner.logger.process_env_step(*outcome[1:], getattr(runner.alg, "intrinsic_rewards", None))
                    of_step += sum(launches.values())
            runner.alg.compute_returns(obs)
        with accelerator.counted() as (launches, _):
            runner.alg.update()
            of_update = sum(launches.values())
    an_iteration, a_wait = ((more - once) / ITERATIONS for once, more in zip(*totals, strict=True))
    return [of_step / STEPS, of_update / (EPOCHS * MINI_BATCHES), an_iteration, a_wait]


def main() -> None:
    warnings.simplefilter("ignore")
    print(f"rsl-rl-lib {importlib.metadata.version('rsl-rl-lib')}, torch {torch.__version__}\n")
    print("| kind | launches a step | a mini-batch | an iteration | waits an iteration |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for kind in sys.argv[1:] or KINDS:
        print(f"| {kind} | " + " | ".join(f"{number:.4g}" for number in measured(kind)) + " |", flush=True)


if __name__ == "__main__":
    main()
