# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Isaac Lab by name. It cannot be installed without NVIDIA's simulator: packages with its names and calls stand in."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import pytest
import torch

from rsl_rl.env import ManagerBasedVecEnv, make_env

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


@pytest.fixture(autouse=True)
def _isaac_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install the packages, and leave no trace of them."""
    for name, text in PACKAGES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] in ("isaaclab", "isaaclab_tasks")]:
        del sys.modules[name]
    gymnasium.registry.pop("Isaac-Walker-v0", None)


def test_a_task_is_made_through_gymnasium_with_its_parsed_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    env = make_env("isaaclab:Isaac-Walker-v0", num_envs=3, seed=5, clip_actions=1.0)
    assert capsys.readouterr().out == "parsed Isaac-Walker-v0 cpu 3 True\n"
    assert isinstance(env, ManagerBasedVecEnv)
    assert (env.num_envs, env.cfg.seed, env.step_dt) == (3, 5, 0.02)
    obs, *_ = env.step(torch.full((3, 1), 7.0))
    assert obs["policy"].shape == (3, 2)
    assert env.unwrapped.last_actions.tolist() == [[1.0]] * 3


def test_the_simulator_must_have_been_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMULATOR_IS_OFF", "1")
    with pytest.raises(RuntimeError, match="cannot be imported .*'omni'.* AppLauncher\\(headless=True\\).app"):
        make_env("isaaclab:Isaac-Walker-v0")


def test_wrong_names_and_options_are_explained() -> None:
    with pytest.raises(ValueError, match="Isaac Lab has no task 'Isaac-Walkr-v0'. Did you mean 'Isaac-Walker-v0'"):
        make_env("isaaclab:Isaac-Walkr-v0")
    with pytest.raises(ValueError, match="have no option 'fabric'. Did you mean 'use_fabric'\\? Options: cfg, clip"):
        make_env("isaaclab:Isaac-Walker-v0", fabric=False)
