# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Isaac Lab 3.0.0, unmodified, with this package in place of rsl-rl-lib and random numbers in place of its simulator.

Every agent configuration that it ships goes the way of its own programs: their helpers prepare it, their wrapper meets
the environment, their factory builds the runner. The simulator needs a GPU; only its module `pxr` has to be stubbed.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch


class _Pxr(ModuleType):
    """Stands for the scene description of the simulator: every name in it is an empty class."""

    def __init__(self) -> None:
        super().__init__("pxr")
        self.__path__ = []

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


sys.modules.setdefault("pxr", _Pxr())

import isaaclab_tasks  # noqa: E402
from isaaclab.benchmark.entrypoints.early_stop import RslRlEarlyStopWrapper  # noqa: E402
from isaaclab.envs import ManagerBasedRLEnv  # noqa: E402
from isaaclab.utils import to_dict  # noqa: E402
from isaaclab_rl.entrypoints.backends.cli_args_rsl_rl import checkpoint_load_cfg  # noqa: E402
from isaaclab_rl.rsl_rl import (  # noqa: E402
    RslRlBaseRunnerCfg,
    RslRlVecEnvWrapper,
    check_rsl_rl_version,
    create_rsl_rl_runner,
    handle_deprecated_rsl_rl_cfg,
)

NUM_ENVS = 8
LEGS = ["LF", "LH", "RF", "RH"]
JOINTS = [f"{leg}_{joint}" for joint in ("HAA", "HFE", "KFE") for leg in LEGS]


def configurations() -> dict[str, type[RslRlBaseRunnerCfg]]:
    """Return the agent configurations of all tasks, by their names without what these have in common."""
    found = {}
    for module in pkgutil.walk_packages(isaaclab_tasks.__path__, "isaaclab_tasks."):
        if ".agents.rsl_rl" in module.name:
            for value in vars(importlib.import_module(module.name)).values():
                if (
                    isinstance(value, type)
                    and issubclass(value, RslRlBaseRunnerCfg)
                    and value.__module__ == module.name
                ):
                    task = module.name.split(".agents.")[0].removeprefix("isaaclab_tasks.")
                    found[f"{task}.{value.__name__}"] = value
    return found


CONFIGURATIONS = configurations()
# No configuration, but what the presets beside it are made from.
del CONFIGURATIONS["core.lift.config.franka.FrankaPPOBaseRunnerCfg"]


class StandIn(ManagerBasedRLEnv):
    """Random numbers in the shapes of a task, as Isaac Lab's own class of environments."""

    num_envs = device = max_episode_length = step_dt = None  # properties of the simulator

    def __init__(self, groups: dict[str, tuple[int, ...]], num_actions: int) -> None:
        self.groups, self.num_envs, self.device, self.max_episode_length, self.step_dt = (
            groups,
            NUM_ENVS,
            "cpu",
            20,
            0.02,
        )
        self.cfg = SimpleNamespace(is_finite_horizon=False)
        self.scene = {"robot": SimpleNamespace(joint_names=JOINTS)}
        terms = ["height_scan"] if groups.get("policy") == (235,) else []
        self.observation_manager = SimpleNamespace(active_terms={"policy": terms})
        self.action_manager = SimpleNamespace(total_action_dim=num_actions)
        self.episode_length_buf = torch.zeros(NUM_ENVS, dtype=torch.long)

    def _observe(self) -> dict[str, torch.Tensor]:
        obs = {}
        for group, shape in self.groups.items():
            image = torch.randint(256, (NUM_ENVS, *shape), dtype=torch.uint8)
            obs[group] = image if group == "base_image" else torch.randn(NUM_ENVS, *shape)
        if self.groups.get("policy") == (25,):  # which of the three tasks an environment has
            obs["policy"][:, :3] = torch.eye(3)[torch.arange(NUM_ENVS) % 3]
        return obs

    def reset(self, **kwargs: Any) -> tuple[dict[str, torch.Tensor], dict]:
        self.obs_buf = self._observe()
        return self.obs_buf, {}

    def step(
        self, action: torch.Tensor
    ) -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor, torch.Tensor, dict]:
        self.episode_length_buf += 1
        truncated = self.episode_length_buf >= self.max_episode_length
        terminated = torch.rand(NUM_ENVS) < 0.05
        self.episode_length_buf[terminated | truncated] = 0
        self.obs_buf = self._observe()
        log = {"Episode_Reward/alive": torch.rand(()), "Episode_Termination/time_out": int(truncated.sum())}
        log["Metrics/success_rate"] = 0.9
        return self.obs_buf, torch.randn(NUM_ENVS), terminated, truncated, {"log": log}

    def close(self) -> None:
        self.is_closed = True


def stand_in(agent: dict[str, Any]) -> StandIn:
    """Return an environment with the groups that a configuration reads, in shapes that its models take."""
    sets = {name: groups for name, groups in (agent["obs_groups"] or {}).items() if groups}
    groups = dict.fromkeys((group for groups in sets.values() for group in groups), (30,)) or {"policy": (30,)}
    with_camera = [name for name in ("actor", "critic") if (agent.get(name) or {}).get("cnn_cfg")]
    for group in (group for name in with_camera for group in sets[name]):
        if group in ("base_image", "wrist_image") or "cartpole" in agent["experiment_name"]:
            groups[group] = (3, 64, 64)
        elif group == "heightmap":
            groups[group] = (1, 32, 32)
    if "multitask" in agent["experiment_name"]:
        return StandIn({"policy": (25,)}, 22)
    if (agent["algorithm"].get("symmetry_cfg") or None) and "cartpole" not in agent["experiment_name"]:
        return StandIn({"policy": (48 if "flat" in agent["experiment_name"] else 235,)}, 12)
    return StandIn(groups, 6)


def prepared(cfg: RslRlBaseRunnerCfg) -> RslRlBaseRunnerCfg:
    """Do what Isaac Lab's own training program does with a configuration, on a processor and for fewer steps."""
    cfg.device = "cpu"
    cfg.num_steps_per_env = min(cfg.num_steps_per_env, 32)  # A recurrent one has 512.
    return handle_deprecated_rsl_rl_cfg(cfg, check_rsl_rl_version())


def build(name: str, folder: Path | None) -> tuple[Any, RslRlVecEnvWrapper]:
    cfg = prepared(CONFIGURATIONS[name]())
    env = RslRlVecEnvWrapper(stand_in(to_dict(cfg)), clip_actions=cfg.clip_actions)
    return create_rsl_rl_runner(env, cfg, log_dir=None if folder is None else str(folder)), env


def train(name: str, folder: Path) -> Any:
    """Do what its program for training does."""
    runner, _ = build(name, folder)
    runner.add_git_repo_to_log(__file__)
    before = {key: value.clone() for key, value in runner.alg.get_policy().state_dict().items()}
    runner.learn(num_learning_iterations=1, init_at_random_ep_len=runner.cfg["init_at_random_ep_len"])
    after = runner.alg.get_policy().state_dict()
    assert any(not torch.equal(value, after[key]) for key, value in before.items())
    assert all(value.isfinite().all() for value in after.values())
    return runner


def play(name: str, checkpoint: Path, folder: Path, load_cfg: dict[str, bool] | None = None) -> tuple[Any, Any]:
    """Do what its program for playing does; return the runner and the policy."""
    runner, env = build(name, None)
    runner.load(str(checkpoint), load_cfg=load_cfg, map_location="cpu")
    policy = runner.get_inference_policy(device="cpu")
    runner.export_policy_to_jit(path=str(folder), filename="policy.pt")
    assert (folder / "policy.pt").is_file()
    obs = env.get_observations()
    with torch.inference_mode():
        for _ in range(2):
            obs, _, dones, _ = env.step(policy(obs))
            policy.reset(dones)
    return runner, policy


@pytest.mark.parametrize("name", [name for name in CONFIGURATIONS if "Distillation" not in name])
def test_every_shipped_configuration_trains_and_plays(name: str, tmp_path: Path) -> None:
    trained = train(name, tmp_path)
    played, _ = play(name, tmp_path / "model_0.pt", tmp_path / "exported", checkpoint_load_cfg(False))
    for key, value in trained.alg.get_policy().state_dict().items():
        assert torch.equal(value, played.alg.get_policy().state_dict()[key])


ANYMAL_D = "core.velocity.config.anymal_d.AnymalDFlat"


@pytest.mark.parametrize("kind", ["", "Recurrent"])
def test_a_student_learns_from_a_teacher(kind: str, tmp_path: Path) -> None:
    train(f"{ANYMAL_D}PPORunner{kind}Cfg", tmp_path / "teacher")
    name = f"{ANYMAL_D}DistillationRunner{kind}Cfg"
    runner, _ = build(name, tmp_path / "student")
    with pytest.raises(ValueError, match="teacher"):
        runner.learn(num_learning_iterations=1)
    runner.load(str(tmp_path / "teacher/model_0.pt"), load_cfg=checkpoint_load_cfg(True), map_location="cpu")
    runner.learn(num_learning_iterations=1, init_at_random_ep_len=True)
    continued = checkpoint_load_cfg(False, runner_class="DistillationRunner")
    play(name, tmp_path / "student/model_0.pt", tmp_path / "exported", continued)


@pytest.mark.parametrize(
    "name",
    [
        "contrib.keyboard.SO101PPORunnerCfg",
        "contrib.multitask_manipulation.MultitaskManipulationPPORunnerCfg",
        "contrib.ur10_particle_push.UR10ParticlePushPPORunnerCfg",
        "core.lift.config.kuka_allegro.KukaAllegroDuoCameraPPORunnerCfg",
    ],
)
def test_models_of_its_own_are_exported(name: str, tmp_path: Path) -> None:
    runner, env = build(name, None)
    runner.export_policy_to_onnx(path=str(tmp_path), filename="policy.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "policy.onnx"))
    module = runner.alg.get_policy().as_onnx()
    inputs = module.get_dummy_inputs()
    assert [entry.name for entry in session.get_inputs()] == list(module.input_names)
    feed = {name: value.numpy() for name, value in zip(module.input_names, inputs, strict=True)}
    (actions,) = session.run(None, feed)
    with torch.inference_mode():
        np.testing.assert_allclose(actions, module.eval()(*inputs).numpy(), atol=1e-5, rtol=1e-5)
        assert runner.get_inference_policy()(env.get_observations()).shape == (NUM_ENVS, env.num_actions)


def test_its_benchmark_stops_a_training_that_has_converged(tmp_path: Path) -> None:
    runner, env = build("core.cartpole.CartpolePPORunnerCfg", tmp_path)
    with RslRlEarlyStopWrapper(env, runner, 0.3, 2, runner.cfg["num_steps_per_env"]) as stopper:
        runner.learn(num_learning_iterations=10)
    assert stopper.tracker.converged
    iteration = runner.current_learning_iteration
    assert 1 <= iteration <= 2
    assert (tmp_path / f"model_{iteration}.pt").is_file()
    assert list(tmp_path.glob("events.out.tfevents*"))
