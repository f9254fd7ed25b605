# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""mjlab 1.6.0, unmodified, with this package in place of rsl-rl-lib. `make test-clients` runs this."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from mjlab.envs import ManagerBasedRlEnv
from mjlab.rl import MjlabOnPolicyRunner, RslRlVecEnvWrapper
from mjlab.rl.spatial_softmax import SpatialSoftmaxCNNModel
from mjlab.tasks.registry import load_env_cfg, load_rl_cfg
from mjlab.tasks.tracking.rl.runner import _OnnxMotionModel
from tensordict import TensorDict

import rsl_rl
from rsl_rl.config.task import read_task
from rsl_rl.env import ManagerBasedVecEnv, VecEnv, make_env
from rsl_rl.runners import OnPolicyRunner

ROOT = Path(__file__).parents[1]
TASK = "Mjlab-Cartpole-Balance"
VISION_TASK = "Mjlab-Lift-Cube-Yam-Depth"
PLAYED_STEPS = 40


def command(name: str) -> str:
    """Return one of mjlab's own commands."""
    path = Path(sys.executable).parent / name
    assert path.is_file(), f"mjlab's command '{name}' is not installed"
    return str(path)


def run(arguments: list[str], cwd: Path) -> str:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MJLAB_WARP_QUIET": "1"}
    done = subprocess.run(arguments, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def train(task: str, cwd: Path, num_envs: int, iterations: int, *options: str) -> tuple[Path, str]:
    """Train with mjlab's command; return the run's folder and what was printed."""
    before = set(cwd.glob("logs/rsl_rl/*/*"))
    arguments = [command("train"), task, "--gpu-ids", "None", "--agent.logger", "tensorboard"]
    arguments += ["--env.scene.num-envs", str(num_envs), "--agent.max-iterations", str(iterations), *options]
    printed = run(arguments, cwd)
    (folder,) = set(cwd.glob("logs/rsl_rl/*/*")) - before
    return folder, printed


def checkpoints(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.glob("model_*.pt"))


def load(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def run_onnx(path: Path, **inputs: torch.Tensor) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(path))
    assert {entry.name for entry in session.get_inputs()} == set(inputs)
    return session.run(None, {name: value.numpy() for name, value in inputs.items()})  # type: ignore[return-value]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mjlab")


@pytest.fixture(scope="module")
def trained(place: Path) -> Path:
    """A run of three iterations, made by mjlab's own command."""
    folder, printed = train(TASK, place, 16, 3)
    assert "iteration 3/3" in printed
    return folder


@pytest.fixture(scope="module")
def runner(trained: Path) -> MjlabOnPolicyRunner:
    """mjlab's runner with the checkpoint of that run."""
    cfg = load_env_cfg(TASK)
    cfg.scene.num_envs = 8
    env = RslRlVecEnvWrapper(ManagerBasedRlEnv(cfg, device="cpu"))
    runner = MjlabOnPolicyRunner(env, asdict(load_rl_cfg(TASK)) | {"logger": "tensorboard"})
    runner.load(str(trained / "model_2.pt"))
    return runner


@pytest.fixture(scope="module")
def vision(place: Path) -> Path:
    """A run of mjlab's vision task: a camera rendered on the CPU, and mjlab's own subclass of CNNModel."""
    return train(VISION_TASK, place, 4, 2, "--agent.num-steps-per-env", "8")[0]


def test_this_package_stands_in_for_rsl_rl_lib() -> None:
    assert Path(rsl_rl.__file__).parents[1] == ROOT
    assert int(importlib.metadata.version("rsl-rl-lib").split(".")[0]) >= 5
    assert importlib.metadata.version("mjlab") == "1.6.0"
    assert issubclass(RslRlVecEnvWrapper, VecEnv)


def test_train_writes_checkpoints_metrics_and_events(trained: Path) -> None:
    assert checkpoints(trained) == ["model_0.pt", "model_2.pt"]
    document = load(trained / "model_2.pt")
    assert document["iter"] == 2
    assert document["infos"] == {"env_state": {"common_step_counter": 3 * 32}}
    assert list(trained.glob("events.out.tfevents.*"))
    header, *rows = (trained / "metrics.csv").read_text().splitlines()
    assert "Episode_Reward/smooth_reward" in header
    assert len(rows) == 3


def test_train_resumes_a_run(trained: Path, place: Path) -> None:
    folder, printed = train(TASK, place, 16, 2, "--agent.resume", "True", "--agent.load-run", trained.name)
    assert f"Loading model checkpoint from: {trained / 'model_2.pt'}" in printed
    # mjlab's runner takes over the number of the iteration that was made, and so makes it again.
    assert checkpoints(folder) == ["model_3.pt"]
    before, after = load(trained / "model_2.pt"), load(folder / "model_3.pt")
    assert after["infos"]["env_state"]["common_step_counter"] == (3 + 2) * 32
    steps = [next(iter(file["optimizer_state_dict"]["state"].values()))["step"] for file in (before, after)]
    assert (int(steps[0]), int(steps[1])) == (3 * 20, 5 * 20)


def test_play_runs_headless_until_it_is_interrupted(trained: Path, place: Path) -> None:
    # The viewer runs until Ctrl-C. A timer looks at its steps and presses the keys.
    watched = f"""
import signal
from mjlab.scripts import play
from mjlab.viewer import BaseViewer

def look(_, frame):
    while frame is not None:
        viewer = frame.f_locals.get("self")
        if isinstance(viewer, BaseViewer) and (viewer._last_error or viewer._step_count >= {PLAYED_STEPS}):
            signal.setitimer(signal.ITIMER_REAL, 0)
            print("played", viewer._step_count, viewer._last_error, flush=True)
            return signal.raise_signal(signal.SIGINT)
        frame = frame.f_back

signal.signal(signal.SIGALRM, look)
signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
play.main()
print("closed")
"""
    arguments = [TASK, "--checkpoint-file", str(trained / "model_2.pt"), "--viewer", "viser"]
    printed = run([sys.executable, "-c", watched, *arguments, "--device", "cpu", "--num-envs", "2"], place)
    assert "Loading checkpoint: model_2.pt" in printed
    (played,) = [line for line in printed.splitlines() if line.startswith("played ")]
    assert int(played.split()[1]) >= PLAYED_STEPS
    assert played.endswith(" None"), printed
    assert printed.splitlines()[-1] == "closed"


def test_inference_policy_acts_on_mjlab_observations(runner: MjlabOnPolicyRunner) -> None:
    policy = runner.get_inference_policy(device="cpu")
    obs = runner.env.get_observations()
    with torch.no_grad():
        actions = policy(obs)
        assert torch.equal(actions, runner.alg.actor(obs))
    assert actions.shape == (8, 1)
    assert runner.env.unwrapped.common_step_counter == 3 * 32


def test_onnx_export_of_mjlab_acts_like_the_policy(runner: MjlabOnPolicyRunner, tmp_path: Path) -> None:
    runner.export_policy_to_onnx(str(tmp_path), "policy.onnx")
    policy = runner.get_inference_policy()
    for scale in (0.1, 1.0, 10.0):
        obs = scale * torch.randn(1, 5)
        with torch.no_grad():
            expected = policy(TensorDict({"actor": obs, "critic": obs}, [1]))
        (actions,) = run_onnx(tmp_path / "policy.onnx", obs=obs)
        np.testing.assert_allclose(actions, expected.numpy(), atol=1e-5, rtol=1e-5)


def test_exports_of_this_package_work_for_mjlab_runners(runner: MjlabOnPolicyRunner, tmp_path: Path) -> None:
    OnPolicyRunner.export_policy_to_onnx(runner, str(tmp_path))
    runner.export_policy_to_jit(str(tmp_path))
    obs = torch.randn(1, 5)
    (actions,) = run_onnx(tmp_path / "policy.onnx", obs=obs)
    np.testing.assert_allclose(torch.jit.load(tmp_path / "policy.pt")(obs).detach().numpy(), actions, atol=1e-5)


def test_motion_tracking_export_wraps_the_policy(runner: MjlabOnPolicyRunner) -> None:
    names = ("joint_pos", "joint_vel", "body_pos_w", "body_quat_w", "body_lin_vel_w", "body_ang_vel_w")
    motion = SimpleNamespace(**{name: torch.randn(6, 2) for name in names})
    model = _OnnxMotionModel(runner.alg.get_policy(), motion).eval()
    obs = torch.zeros(1, model.policy.input_size)
    with torch.no_grad():
        actions, joint_pos, *_ = model(obs, torch.full((1, 1), 3.0))
        expected = runner.get_inference_policy()(TensorDict({"actor": obs, "critic": obs}, [1]))
    assert torch.allclose(actions, expected, atol=1e-6)
    assert torch.equal(joint_pos, motion.joint_pos[3:4])


def camera_observations(num_envs: int) -> TensorDict:
    """Observations in the shapes of the vision task."""
    groups = {"actor": torch.randn(num_envs, 26), "critic": torch.randn(num_envs, 29)}
    return TensorDict(groups | {"camera": torch.rand(num_envs, 1, 32, 32)}, [num_envs])


def test_vision_task_trains_and_its_export_acts_like_the_model(vision: Path) -> None:
    assert checkpoints(vision) == ["model_0.pt", "model_1.pt"]
    agent = asdict(load_rl_cfg(VISION_TASK))
    options = {key: agent["actor"][key] for key in ("cnn_cfg", "hidden_dims", "activation", "obs_normalization")}
    actor = SpatialSoftmaxCNNModel(
        camera_observations(1),
        {name: list(groups) for name, groups in agent["obs_groups"].items()},
        "actor",
        output_dim=7,
        distribution_cfg=dict(agent["actor"]["distribution_cfg"]),
        **options,
    )
    before = {name: value.clone() for name, value in load(vision / "model_0.pt")["actor_state_dict"].items()}
    after = load(vision / "model_1.pt")["actor_state_dict"]
    actor.load_state_dict(after)
    actor.eval()
    encoder = "cnns.camera.cnn.0.weight"
    assert not torch.equal(before[encoder], after[encoder]), "the encoder learns"
    obs = camera_observations(1)
    (actions,) = run_onnx(vision / f"{vision.name}.onnx", obs=obs["actor"], camera=obs["camera"])
    with torch.no_grad():
        np.testing.assert_allclose(actions, actor(obs).numpy(), atol=1e-5, rtol=1e-5)


class CameraEnv(VecEnv):
    """Random observations in the shapes of the vision task."""

    def __init__(self) -> None:
        self.num_envs, self.num_actions, self.max_episode_length, self.device = 4, 7, 10, "cpu"
        self.episode_length_buf, self.cfg = torch.zeros(4, dtype=torch.long), {}

    def get_observations(self) -> TensorDict:
        return camera_observations(4)

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        return self.get_observations(), torch.randn(4), torch.rand(4) < 0.1, {"log": {}}


def test_vision_models_of_mjlab_share_their_encoders(tmp_path: Path) -> None:
    agent = asdict(load_rl_cfg(VISION_TASK)) | {"logger": "tensorboard", "num_steps_per_env": 8}
    agent["algorithm"]["share_cnn_encoders"] = True
    runner = MjlabOnPolicyRunner(CameraEnv(), agent)
    assert runner.alg.actor.cnns is runner.alg.critic.cnns
    before = runner.alg.actor.cnns["camera"].cnn[0].weight.clone()
    runner.learn(2)
    assert not torch.equal(before, runner.alg.actor.cnns["camera"].cnn[0].weight)


def play(env: VecEnv, lengths: list[int], steps: int = 4) -> list[tuple[Any, ...]]:
    env.episode_length_buf = torch.tensor(lengths)
    return [env.step(torch.ones(env.num_envs, 1)) for _ in range(steps)]


def test_the_example_trains_and_exports(place: Path) -> None:
    folder = place / "example"
    arguments = [sys.executable, str(ROOT / "examples" / "train_mjlab.py"), TASK, "--num-envs", "8"]
    run([*arguments, "--iterations", "2", "--log-dir", str(folder)], place)
    assert checkpoints(folder) == ["model_0.pt", "model_1.pt"]
    assert (folder / "policy.onnx").is_file()
    assert (folder / "policy.pt").is_file()


class TestByName:
    def test_the_adapter_steps_like_the_one_of_mjlab(self) -> None:
        ours = make_env(f"mjlab:{TASK}", num_envs=4, seed=1)
        assert isinstance(ours, ManagerBasedVecEnv)
        assert (ours.num_envs, ours.num_actions, ours.max_episode_length, ours.step_dt) == (4, 1, 1000, 0.05)
        rows = play(ours, [0, 997, 998, 999])
        cfg = load_env_cfg(TASK)
        cfg.scene.num_envs, cfg.seed = 4, 1
        theirs = RslRlVecEnvWrapper(ManagerBasedRlEnv(cfg, device="cpu"))
        for row, expected in zip(rows, play(theirs, [0, 997, 998, 999]), strict=True):
            assert torch.equal(row[0]["actor"], expected[0]["actor"])
            assert torch.equal(row[1], expected[1])
            assert torch.equal(row[2], expected[2])

    def test_true_last_observations_on_request(self) -> None:
        env = make_env(f"mjlab:{TASK}", num_envs=3, seed=1, final_obs=True)
        (first, *_, ended, extras), (_, *_, after, later) = play(env, [0, 5, 999], steps=2)
        assert ended.tolist() == [0, 0, 1]
        assert extras["time_outs"].tolist() == [False, False, True]
        final = extras["final_obs"]["actor"]
        assert torch.equal(final[:2], first["actor"][:2])
        assert not torch.equal(final[2], first["actor"][2])
        assert "Episode_Termination/time_out" in extras["log"]
        assert "final_obs" not in later
        assert after.tolist() == [0, 0, 0]

    def test_wrong_names_and_options(self) -> None:
        with pytest.raises(
            ValueError, match="mjlab has no task 'Mjlab-Cartpole-Balanc'. Did you mean 'Mjlab-Cartpole-B"
        ):
            make_env("mjlab:Mjlab-Cartpole-Balanc")
        with pytest.raises(
            ValueError, match="mjlab environments have no option 'clip_action'. Did you mean 'clip_actio"
        ):
            make_env(f"mjlab:{TASK}", clip_action=1.0)

    def test_the_command_line_trains_it(self, place: Path) -> None:
        folder = place / "own"
        arguments = ["train", f"mjlab:{TASK}", "--num-envs", "8", "--iterations", "2", "--run-dir", str(folder)]
        assert "Done: 384 steps" in run([command("rsl-rl"), *arguments], place)
        assert read_task(folder / "config.yaml").runner.obs_groups == {"actor": ["actor"], "critic": ["critic"]}
        assert (folder / "model_1.pt").is_file()
        assert (folder / "exports/policy.onnx").is_file()
