# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""``rsl-rl play TASK --pretrained``: the policies that come with the library fit their tasks, and walk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from rsl_rl.cli.main import main
from rsl_rl.cli.play import pretrained_policy
from rsl_rl.config.task import judged_options, load_task
from rsl_rl.env import make_env
from rsl_rl.export import load_policy

pytest.importorskip("mujoco")


def test_a_policy_of_the_go1_comes_with_the_library_and_describes_its_robot() -> None:
    file = pretrained_policy("go1-walk")
    assert file.stat().st_size < 300_000
    entries = onnxruntime.InferenceSession(str(file)).get_modelmeta().custom_metadata_map
    env = make_env("mujoco:go1-walk")
    expected = env.deployment_metadata()  # type: ignore[attr-defined]
    for name in ("joint_names", "command_names"):
        assert entries[name].split(",") == expected[name], name
    for name in ("joint_stiffness", "joint_damping", "default_joint_pos", "action_scale"):
        assert [float(value) for value in entries[name].split(",")] == pytest.approx(expected[name]), name
    assert entries["observation_names"].split(",") == list(expected["observation_names"]["actor"])
    assert json.loads(entries["rsl_rl"])["obs_groups"] == {"actor": env.get_observations()["actor"].shape[1]}


def test_it_walks_as_it_is_told() -> None:
    task = load_task("go1-walk")
    env = make_env(task.env, 8, 3, **judged_options(task))
    policy, commands = load_policy(pretrained_policy("go1-walk")), torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    obs, measured = env.ask(commands.repeat(4, 1).numpy()), []  # type: ignore[attr-defined]
    with torch.inference_mode():
        for step in range(150):
            obs, _, dones, _ = env.step(policy(obs))
            assert not dones.any()
            if step >= 75:
                measured.append(env.task.measured(env.state()))  # type: ignore[attr-defined]
    mean = torch.from_numpy(np.mean(measured, axis=0))
    torch.testing.assert_close(mean, commands.repeat(4, 1), atol=0.12, rtol=0.0)


def test_it_is_played_without_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    main(["play", "go1-walk", "--pretrained", "--episodes", "2", "--json"])
    result = json.loads(capsys.readouterr().out)
    assert result["policy"].endswith("go1-walk.onnx")
    assert result["lengths"] == [1000, 1000]
    assert result["tracking"]["error_velocity"] < 0.2
    assert list(tmp_path.iterdir()) == []


def test_a_task_without_one_is_told_which_have_one(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["play", "go1-wlk", "--pretrained"])
    assert exit_.value.code == 2
    assert "No policy of 'go1-wlk' comes with the library. Did you mean 'go1-walk'" in capsys.readouterr().err
