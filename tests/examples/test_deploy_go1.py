# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""examples/deploy_go1 acts as the trained policy does, in processes that have neither torch nor this library."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensordict import TensorDict

from rsl_rl.export import export_onnx, export_pt2, export_torchscript, load_policy
from rsl_rl.models import MLPModel, RNNModel
from rsl_rl.robots import offscreen
from tests.processes import python

pytest.importorskip("mujoco")
from rsl_rl.robots.go1_walk import Go1Walk
from rsl_rl.robots.robot import Robot

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "deploy_go1"
# What the README of the example tells people to copy.
NEEDED = ("go1_walk.py", "go1.xml", "mujoco_task.py", "robot.py", "offscreen.py")
# A module that is None cannot be imported.
ALONE = """
import runpy, sys
for name in ("torch", "tensordict", "rsl_rl", "gymnasium", "envpool"):
    sys.modules[name] = None
sys.argv = sys.argv[1:]
sys.path.insert(0, str(__import__("pathlib").Path(sys.argv[0]).parent))
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def deploy(*arguments: object, script: Path = EXAMPLE / "deploy.py", cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", ALONE, str(script), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def lively(model: Any) -> Any:
    """Make a new model answer with actions that keep the robot on its feet, but moving."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "distribution" not in name:
                parameter.mul_(1.5)
    return model.eval()


def model_of(kind: str) -> Any:
    torch.manual_seed(1)
    distribution = {"class_name": "GaussianDistribution"}
    obs, groups = TensorDict({"actor": torch.zeros(1, 47)}, [1]), {"actor": ["actor"]}
    if kind == "recurrent":
        return lively(
            RNNModel(obs, groups, "actor", 12, (8,), rnn_type="lstm", rnn_hidden_dim=8, distribution_cfg=distribution)
        )
    return lively(MLPModel(obs, groups, "actor", 12, (8,), distribution_cfg=distribution))


@pytest.fixture(scope="module", params=["feed-forward", "recurrent"])
def policy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported policy of what the robot measures: feed-forward, or an LSTM."""
    path = tmp_path_factory.mktemp(request.param) / "policy.onnx"
    export_onnx(model_of(request.param), path)
    return path


def walked(policy: Path, command: list[float], steps: int) -> tuple[np.ndarray, float]:
    """Return mean velocity [3] of the second half and distance, by this library's own reading of the file."""
    robot, program = Robot(Go1Walk(sim_dt=0.004, iterations=20, noise_level=5.0)), load_policy(policy)
    program.reset()
    robot.observation()  # the program compares its width before it walks: the errors after it are others
    velocities = []
    for _ in range(steps):
        seen = torch.from_numpy(robot.observation(command)).unsqueeze(0)
        robot.apply(program({"actor": seen})[0].numpy())
        robot.step()
        velocities.append(robot.measured)
    assert not robot.has_fallen
    return np.mean(velocities[steps // 2 :], axis=0), float(np.linalg.norm(robot.data.qpos[:2]))


def test_it_walks_like_the_policy_does_with_the_library(policy: Path, tmp_path: Path) -> None:
    done = deploy(policy, "--command", 0.5, 0.2, -0.3, "--seconds", 1, "--noise", 5, "--latency", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    velocity, distance = walked(policy, [0.5, 0.2, -0.3], 50)
    lines = done.stdout.splitlines()
    said = {line.split()[0]: [float(word) for word in re.findall(r"-?\d+\.\d+", line)] for line in lines[2:5]}
    assert said["command"] == [0.5, 0.2, -0.3]
    np.testing.assert_allclose(said["mean"], velocity, atol=0.006)
    assert said["distance"] == pytest.approx([distance], abs=0.006)
    assert distance > 0.005
    assert lines[4].endswith("m in 1 s, 0 falls")
    assert re.fullmatch(r"latency  p50 \d+ us, p99 \d+ us for one observation", lines[5])


def test_it_answers_as_the_library_does_step_by_step(policy: Path) -> None:
    spec = importlib.util.spec_from_file_location("deploy", EXAMPLE / "deploy.py")
    assert spec is not None
    deployed = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(deployed)  # type: ignore[union-attr]
    answers, program = deployed.Policy(policy), load_policy(policy)
    for _ in range(2):  # the second time after a reset
        program.reset()
        answers.reset()
        generator = torch.Generator().manual_seed(0)
        for _ in range(5):
            seen = torch.randn(1, 47, generator=generator)
            np.testing.assert_array_equal(answers(seen[0].numpy()), program({"actor": seen})[0].numpy())


def test_copied_to_a_folder_of_its_own_it_records_a_video(policy: Path, tmp_path: Path) -> None:
    if not any(map(offscreen.is_available, offscreen.LIBRARIES)):
        pytest.skip("neither libEGL nor libOSMesa is installed")
    imageio: Any = pytest.importorskip("imageio.v2")
    robots = [ROOT / "rsl_rl" / "robots" / name for name in NEEDED]
    for file in (EXAMPLE / "deploy.py", policy, *robots):
        shutil.copy(file, tmp_path)
    name = "walk.gif" if "recurrent" in str(policy) else "walk.mp4"
    arguments = ["--seconds", 0.4, "--video", name, "--size", 64, 48]
    done = deploy("policy.onnx", *arguments, script=tmp_path / "deploy.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    frames = np.stack([frame[..., :3] for frame in imageio.mimread(tmp_path / name, memtest=False)]).astype(int)
    assert frames.shape == (5 if name == "walk.gif" else 10, 48, 64, 3)
    assert frames.mean() > 50
    assert np.abs(frames[-1] - frames[0]).max() > 20


def test_the_pages_name_every_file_that_has_to_be_copied() -> None:
    for page in (EXAMPLE / "README.md", EXAMPLE / "deploy.py", ROOT / "docs" / "deployment.md"):
        assert all(name in page.read_text() for name in NEEDED), page


def test_the_newest_run_is_meant_where_none_is_named(tmp_path: Path) -> None:
    done = deploy(cwd=tmp_path)
    assert done.returncode == 1
    assert "rsl-rl train go1-walk" in done.stderr
    exports = tmp_path / "runs" / "go1-walk" / "first" / "exports"
    exports.mkdir(parents=True)
    (exports / "policy.onnx").write_bytes(b"")
    assert "runs/go1-walk/first/exports/policy.onnx" in deploy(cwd=tmp_path).stderr


def test_policies_that_a_controller_cannot_feed_are_refused(tmp_path: Path) -> None:
    for group, seen, actions in (("critic", 59, 12), ("actor", 48, 12), ("actor", 47, 6)):
        obs = TensorDict({group: torch.zeros(1, seen)}, [1])
        export_onnx(MLPModel(obs, {"actor": [group]}, "actor", actions, (8,)), tmp_path / "policy.onnx")
        done = deploy("policy.onnx", "--seconds", 0.1, cwd=tmp_path)
        assert done.returncode == 1
        assert done.stderr == (
            f"error: this policy sees {{'{group}': {seen}}} and gives {actions} actions; the robot measures "
            "{'actor': 47} and has 12 motors.\n"
        )


def test_without_the_robots_files_the_missing_one_is_named(tmp_path: Path) -> None:
    export_onnx(model_of("feed-forward"), tmp_path / "policy.onnx")
    shutil.copy(EXAMPLE / "deploy.py", tmp_path)
    done = deploy("policy.onnx", script=tmp_path / "deploy.py", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (
        1,
        f"error: go1_walk.py is missing: copy the files of rsl_rl/robots to {tmp_path.resolve()}.\n",
    )


def test_latency_compares_the_three_formats(tmp_path: Path) -> None:
    model = model_of("recurrent")
    export_onnx(model, tmp_path / "policy.onnx")
    export_torchscript(model, tmp_path / "policy.pt")
    export_pt2(model, tmp_path / "policy.pt2")
    done = python(EXAMPLE / "latency.py", tmp_path, "--calls", "20")
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()[1:]]
    assert [line[0] for line in lines] == ["ONNX", "TorchScript", "pt2"]
    assert all(0 < float(half) <= float(most) for _, half, most in lines)
