# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Checkpoints written by earlier releases load with their own configuration and act as they did."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors.torch import load_file
from tensordict import TensorDict

from rsl_rl.runners import OnPolicyRunner

HERE = Path(__file__).parent


def observations(case: dict, tensors: dict[str, torch.Tensor], step: int) -> TensorDict:
    prefix = f"obs/{step}/"
    groups = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    return TensorDict(groups, [case["num_envs"]])


def test_checkpoint_of_5_5_1_acts_as_it_did_and_training_goes_on() -> None:
    folder = HERE / "v5.5.1_mlp"
    case, tensors = json.loads((folder / "case.json").read_text()), load_file(folder / "tensors.safetensors")
    env: Any = SimpleNamespace(
        num_envs=case["num_envs"],
        num_actions=case["num_actions"],
        device="cpu",
        cfg={},
        get_observations=lambda: observations(case, tensors, 0),
    )
    runner = OnPolicyRunner(env, case["cfg"])
    runner.load(str(folder / "model_1.pt"))
    saved = torch.load(folder / "model_1.pt", weights_only=True)
    assert runner.current_learning_iteration == saved["iter"]
    assert runner.alg.learning_rate == saved["optimizer_state_dict"]["param_groups"][0]["lr"]
    first, state = runner.alg.optimizer.param_groups[0]["params"][0], saved["optimizer_state_dict"]["state"][0]
    assert torch.equal(runner.alg.optimizer.state[first]["exp_avg"], state["exp_avg"])

    policy = runner.get_inference_policy()
    for step in range(case["steps"]):
        actions = policy(observations(case, tensors, step))
        torch.testing.assert_close(actions, tensors[f"expected/{step}/actions"], rtol=0, atol=1e-5)
