# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Checkpoints written by earlier releases load with their own configuration and act as they did; training goes on."""

from __future__ import annotations

import contextlib
import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tensordict import TensorDict

from rsl_rl.env import VecEnv
from rsl_rl.runners import OnPolicyRunner

HERE = Path(__file__).parent
CASES = sorted(folder.name for folder in HERE.glob("v*"))


class ScriptedEnv(VecEnv):
    """Gives the observations of a case, whatever the actions; one environment after the other ends its episode."""

    def __init__(self, case: dict, tensors: dict[str, torch.Tensor]) -> None:
        self.num_envs = case["num_envs"]
        self.num_actions = case["num_actions"]
        self.max_episode_length = 10
        self.episode_length_buf = torch.zeros(self.num_envs, dtype=torch.long)
        self.device = "cpu"
        self.cfg = {}
        self.unwrapped: Any = self
        self.step_dt = 0.02
        self.steps = [self._observations(tensors, step) for step in range(case["steps"])]
        self._count = 0

    def _observations(self, tensors: dict[str, torch.Tensor], step: int) -> TensorDict:
        prefix = f"obs/{step}/"
        groups = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        return TensorDict(groups, [self.num_envs])

    def get_observations(self) -> TensorDict:
        return self.steps[self._count % len(self.steps)]

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        self._count += 1
        dones = torch.arange(self.num_envs) == self._count % (2 * self.num_envs)
        return self.get_observations(), -actions.square().sum(dim=-1), dones, {"time_outs": dones & False}


def load(name: str) -> tuple[OnPolicyRunner, ScriptedEnv, dict, dict[str, torch.Tensor], dict[str, Any]]:
    """Return a runner that has loaded the case with its own configuration, and everything that belongs to it."""
    folder = HERE / name
    case, tensors = json.loads((folder / "case.json").read_text()), load_file(folder / "tensors.safetensors")
    env = ScriptedEnv(case, tensors)
    is_old = not name.startswith("v5")
    with pytest.warns(UserWarning, match="rsl-rl migrate") if is_old else contextlib.nullcontext():
        runner = OnPolicyRunner(env, case["cfg"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runner.load(str(folder / "model_1.pt"))
    return runner, env, case, tensors, torch.load(folder / "model_1.pt", weights_only=True)


@pytest.mark.parametrize("name", CASES)
def test_the_policy_acts_as_it_did_and_training_goes_on(name: str) -> None:
    runner, env, case, tensors, saved = load(name)
    assert runner.current_learning_iteration == saved["iter"]
    assert runner.alg.learning_rate == saved["optimizer_state_dict"]["param_groups"][0]["lr"]

    policy = runner.get_inference_policy()
    for step in range(case["steps"]):
        actions = policy(env.steps[step])
        torch.testing.assert_close(actions, tensors[f"expected/{step}/actions"], rtol=0, atol=1e-5)

    policy.reset()
    counts = {name: value.clone() for name, value in runner.alg.actor.state_dict().items() if name.endswith("count")}
    runner.learn(1)
    assert runner.current_learning_iteration == saved["iter"] + 1
    steps = {int(state["step"]) for state in runner.alg.optimizer.state.values()}
    made = int(saved["optimizer_state_dict"]["state"][0]["step"])
    assert steps == {made + case["cfg"]["algorithm"]["num_learning_epochs"] * 2}
    for name, count in counts.items():
        assert runner.alg.actor.state_dict()[name] == count + case["num_envs"] * case["cfg"]["num_steps_per_env"]


def old_parameters(saved: dict[str, Any]) -> list[torch.Tensor]:
    """Return the parameters in the order in which the old optimizer numbered them."""
    names = ("model", "actor", "critic")
    states = [saved[f"{name}_state_dict"] for name in names if f"{name}_state_dict" in saved]
    return [value for state in states for key, value in state.items() if "normalizer" not in key]


@pytest.mark.parametrize("name", CASES)
def test_every_parameter_keeps_its_own_moments(name: str) -> None:
    runner, _, _, _, saved = load(name)
    old = old_parameters(saved)
    entries = saved["optimizer_state_dict"]["state"]
    assert len(old) == len(entries)
    state = runner.alg.optimizer.state
    found: set[int] = set()
    for parameter in (*runner.alg.actor.parameters(), *runner.alg.critic.parameters()):
        # The same numbers are the same parameter, whatever its name is now.
        alike = [value.shape == parameter.shape and torch.equal(value, parameter) for value in old]
        if name == "v2.3.3_lstm" and parameter is runner.alg.actor.distribution.log_std_param:
            # Configured as a logarithm, which that release's recurrent policy ignored; test_legacy has its moments.
            assert torch.equal(parameter, old[0].log())
            found.add(0)
            continue
        assert sum(alike) == 1
        index = alike.index(True)
        found.add(index)
        for key in ("step", "exp_avg", "exp_avg_sq"):
            assert torch.equal(state[parameter][key], entries[index][key]), (index, key)
    assert len(found) == len(old)


def test_the_layout_of_a_file_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    layouts = {}
    for name in CASES:
        load(name)
        layouts[name] = capsys.readouterr().out
    for name, text in layouts.items():
        assert text.count("written by") == (0 if name.startswith("v5") else 1), name
    assert "written by rsl_rl 2.x" in layouts["v2.3.3_mlp"]
    assert "written by rsl_rl 3.x" in layouts["v3.3.0_mlp"]
    assert "written by rsl_rl 1.x to 3.x" in layouts["v3.3.0_state_dependent_std"]
    assert "written by rsl_rl 4.x" in layouts["v4.0.1_mlp"]
