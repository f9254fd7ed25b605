# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Isaac Lab by name. It cannot be installed without NVIDIA's simulator: packages with its names and calls stand in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "isaaclab/__init__.py": "",
    "isaaclab/envs/__init__.py": """
class DirectMARLEnv: ...
def multi_agent_to_single_agent(env): raise NotImplementedError
""",
    "isaaclab_tasks/__init__.py": """
import gymnasium, os
if "SIMULATOR_IS_OFF" in os.environ:
    import omni
from types import SimpleNamespace
from tests.env.layouts import LabEnv

class Walker(LabEnv, gymnasium.Env):
    unwrapped = property(lambda self: self)
    def __init__(self, cfg, render_mode=None):
        super().__init__(num_envs=cfg.scene.num_envs, seed=cfg.seed)
        self.cfg, self.device = cfg, cfg.sim.device
        self.render_mode, self.metadata = render_mode, {}
        self.action_space = self.observation_space = None

gymnasium.register("Isaac-Walker-v0", entry_point=Walker, disable_env_checker=True)
""",
    "isaaclab_tasks/utils/__init__.py": """
from types import SimpleNamespace
def parse_env_cfg(task_name, device="cuda:0", num_envs=None, use_fabric=None):
    print("parsed", task_name, device, num_envs, use_fabric)
    return SimpleNamespace(scene=SimpleNamespace(num_envs=num_envs), sim=SimpleNamespace(device=device), seed=None,
                           auto_reset=True, is_finite_horizon=False)
""",
}


def python(place: Path, code: str, **environment: str) -> str:
    for name, text in PACKAGES.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    environment = os.environ | {"PYTHONPATH": f"{place}{os.pathsep}{ROOT}"} | environment
    code = "from rsl_rl.env import make_env\n" + code
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.fixture
def stepped() -> str:
    return """
import torch
env = make_env("isaaclab:Isaac-Walker-v0", num_envs=3, seed=5, device="cpu", clip_actions=1.0)
obs, rewards, dones, extras = env.step(torch.full((3, 1), 7.0))
assert env.step_dt == 0.02
print(type(env).__name__, env.num_envs, env.cfg.seed, tuple(obs["policy"].shape), env.unwrapped.last_actions.tolist())
"""


def test_a_task_is_made_through_gymnasium_with_its_parsed_configuration(tmp_path: Path, stepped: str) -> None:
    lines = python(tmp_path, stepped).splitlines()
    assert "parsed Isaac-Walker-v0 cpu 3 True" in lines
    assert lines[-1] == "ManagerBasedVecEnv 3 5 (3, 2) [[1.0], [1.0], [1.0]]"


def test_the_simulator_must_have_been_started(tmp_path: Path, stepped: str) -> None:
    printed = python(tmp_path, stepped, SIMULATOR_IS_OFF="1")
    assert (
        "RuntimeError: Isaac Lab's tasks cannot be imported (No module named 'omni'). Has the simulator been" in printed
    )
    assert "AppLauncher(headless=True).app" in printed


def test_wrong_names_and_options_are_explained(tmp_path: Path) -> None:
    code = """
for name, options in (("Isaac-Walkr-v0", {}), ("Isaac-Walker-v0", {"fabric": False})):
    try:
        make_env(f"isaaclab:{name}", **options)
    except ValueError as error:
        print(error)
"""
    first, second = python(tmp_path, code).splitlines()
    assert first.startswith("Isaac Lab has no task 'Isaac-Walkr-v0'. Did you mean 'Isaac-Walker-v0'")
    assert second.startswith("Isaac Lab environments have no option 'fabric'. Did you mean 'use_fabric'? Options: cfg,")
