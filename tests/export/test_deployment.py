# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What controllers in the field read beside the policy: entries of a file's metadata, given by the environment."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from tensordict import TensorDict

from rsl_rl.cli.main import main
from rsl_rl.export import EXPORTERS, deployment_entries, export_onnx, load_policy
from rsl_rl.export.deployment import run_path
from rsl_rl.export.metadata import PolicyMetadata
from rsl_rl.models import MLPModel
from rsl_rl.runners import OnPolicyRunner
from tests.envs import PointEnv, point_config

ROBOT: dict[str, Any] = {
    "joint_names": ["slider"],
    "joint_stiffness": np.array([35.0], np.float32),
    "joint_damping": (0.1,),
    "default_joint_pos": torch.tensor([-1 / 3]),
    "action_scale": 0.25,
    "command_names": [],
    "observation_names": ["position", "velocity"],
    "observation_terms_scale": [1.0, 0.05],
    "observation_terms_size": [1, 1],
    "anchor_body_name": "cart",
}
TEXTS = {
    "joint_names": "slider",
    "joint_stiffness": "35.0",
    "joint_damping": "0.1",
    "default_joint_pos": "-0.33333334",
    "action_scale": "0.25",
    "command_names": "",
    "observation_names": "position,velocity",
    "observation_terms_scale": "1.0,0.05",
    "observation_terms_size": "1,1",
    "anchor_body_name": "cart",
}
MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"joint_names": ["left,right"]}, "must be text without commas and line breaks, got 'left,right'"),
    ({"joint_names": ["left\n"]}, "must be text without commas"),
    ({"joint_names": [""]}, "must be text without commas"),
    ({"joint_names": [1]}, "'joint_names' must be a list of names, got [1]"),
    ({"joint_names": "slider"}, "'joint_names' must be a list of names, got 'slider'"),
    ({"body,name": "cart"}, "the name of an entry must be text without commas"),
    ({3: "cart"}, "the name of an entry must be text without commas"),
    ({"joint_damping": [float("nan")]}, "'joint_damping' must hold finite numbers, got nan"),
    ({"joint_damping": [1e39]}, "'joint_damping' must hold finite numbers, got 1e+39"),
    ({"joint_damping": [10**400]}, "'joint_damping' must hold finite numbers"),
    ({"joint_damping": [[1.0]]}, "'joint_damping' must hold texts and numbers, got list"),
    ({"joint_damping": [True]}, "'joint_damping' must hold texts and numbers, got bool"),
    ({"joint_damping": None}, "'joint_damping' must hold texts and numbers, got NoneType"),
    ({"joint_stiffness": [1.0, 2.0]}, "'joint_stiffness' must be 1 numbers, one for each of 'joint_names'"),
    ({"default_joint_pos": 1.0}, "'default_joint_pos' must be 1 numbers"),
    ({"joint_damping": ["soft"]}, "'joint_damping' must be 1 numbers"),
    ({"observation_terms_scale": [1.0]}, "must be 2 numbers, one for each of 'observation_names'"),
    ({"observation_terms_size": [1, 2]}, "must add up to the 2 numbers that the policy sees, got [1, 2]"),
    ({"observation_terms_size": [0.5, 1.5]}, "must add up to the 2 numbers"),
    ({"action_scale": [1.0, 2.0]}, "'action_scale' must be one number, or one for each of the 1 actions"),
    ({"action_scale": "half"}, "'action_scale' must be one number"),
]


class Robot(PointEnv):
    """The point on a line, as a robot with one joint."""

    entries: Any = ROBOT

    def deployment_metadata(self) -> Any:
        return self.entries


def build(groups: tuple[str, ...] = ("policy",)) -> MLPModel:
    sizes = {"policy": 2, "privileged": 3}
    obs = TensorDict({name: torch.zeros(4, sizes[name]) for name in groups}, [4])
    return MLPModel(obs, {"actor": list(groups)}, "actor", 1, (8,))


def entries_in(path: Path) -> dict[str, str]:
    """What a controller reads."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return dict(session.get_modelmeta().custom_metadata_map)


def test_onnxruntime_reads_every_entry_under_the_names_of_the_field(tmp_path: Path) -> None:
    robot = Robot()
    runner = OnPolicyRunner(robot, point_config(), str(tmp_path / "runs" / "point" / "2026-11-30_12-00-00"))
    runner.export_policy_to_onnx(str(tmp_path))
    found = entries_in(tmp_path / "policy.onnx")
    about = json.loads(found.pop("rsl_rl"))
    assert found == {"run_path": "point/2026-11-30_12-00-00", **TEXTS}
    onnx.checker.check_model(str(tmp_path / "policy.onnx"))
    # The same in our own entry, as numbers and lists.
    assert about["deployment"].keys() == found.keys()
    assert about["deployment"]["observation_terms_scale"] == [1.0, 0.05]
    assert about["deployment"]["action_scale"] == 0.25


@pytest.mark.parametrize("kind", EXPORTERS)
def test_every_format_says_the_same(kind: str, tmp_path: Path) -> None:
    model, (export, name) = build(), EXPORTERS[kind]
    export(model, tmp_path / name, deployment=deployment_entries(Robot(), model, tmp_path))
    said = load_policy(tmp_path / name).metadata.deployment
    assert said["run_path"] == tmp_path.name
    assert said["joint_names"] == ["slider"]
    assert [np.float32(value) for value in said["default_joint_pos"]] == [np.float32(-1 / 3)]


def test_numbers_are_read_back_exactly_as_float32(tmp_path: Path) -> None:
    bits = np.random.default_rng(0).integers(0, 2**32, 1000, dtype=np.uint32)
    numbers = bits.view(np.float32)
    numbers = numbers[np.isfinite(numbers)]
    extremes = np.array([0.0, -0.0, 1e-45, 1.17549435e-38, 3.4028235e38, 16777216.0, 1e22], np.float32)
    numbers = np.concatenate([numbers, extremes])
    for values in (numbers, torch.from_numpy(numbers), numbers.astype(float).tolist()):
        export_onnx(build(), tmp_path / "policy.onnx", deployment={"body_masses": values})
        read = [np.float32(text) for text in entries_in(tmp_path / "policy.onnx")["body_masses"].split(",")]
        assert np.array_equal(np.array(read).view(np.uint32), numbers.view(np.uint32))


def test_an_environment_without_the_method_leaves_the_name_of_the_run_only(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        entries = deployment_entries(PointEnv(), build(), tmp_path / "run")
        assert deployment_entries(PointEnv(), build(), None) == {}
    export_onnx(build(), tmp_path / "policy.onnx", deployment=entries)
    assert entries_in(tmp_path / "policy.onnx").keys() == {"rsl_rl", "run_path"}


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("/home/somebody/work/runs/go1-walk/2026-11-30_12-00-00", "go1-walk/2026-11-30_12-00-00"),
        ("/home/somebody/logs/rsl_rl/go1_flat/2026-11-30_12-00-00_first", "go1_flat/2026-11-30_12-00-00_first"),
        ("/home/somebody/first", "first"),
        ("/2026-11-30_12-00-00", "2026-11-30_12-00-00"),
        ("runs/first/", "first"),
        (os.fsdecode(b"runs/caf\xe9"), "caf\ufffd"),
    ],
)
def test_the_name_of_a_run_says_nothing_about_the_machine(folder: str, expected: str) -> None:
    assert run_path(folder) == expected


def test_terms_of_an_observation_are_those_of_the_groups_that_the_policy_sees() -> None:
    robot = Robot()
    robot.entries = {
        "action_scale": 0.5,
        "observation_names": {
            "policy": ["position", "velocity"],
            "privileged": ["state", "time_left"],
            "camera": ["x"],
        },
        "observation_terms_scale": {"policy": [1.0, 0.05], "privileged": [1.0, 2.0]},
        "observation_terms_size": {"policy": [1, 1], "privileged": [2, 1]},
    }
    entries = deployment_entries(robot, build(("privileged", "policy")), None)
    assert entries["observation_names"] == ["state", "time_left", "position", "velocity"]
    assert entries["observation_terms_scale"] == [1.0, 2.0, 1.0, 0.05]
    assert entries["observation_terms_size"] == [2, 1, 1, 1]
    # Of a group that the environment does not describe nothing can be said, and that is not a mistake.
    del robot.entries["observation_names"]["policy"]
    for name in ("observation_terms_scale", "observation_terms_size"):
        del robot.entries[name]["policy"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert deployment_entries(robot, build(("privileged", "policy")), None) == {"action_scale": 0.5}


@pytest.mark.parametrize(("change", "message"), MISTAKES, ids=lambda value: str(value)[:40])
def test_a_mistake_is_a_warning_and_leaves_the_entries_out(change: dict, message: str) -> None:
    robot, model = Robot(), build()
    robot.entries = ROBOT | change
    with pytest.warns(UserWarning, match="do not describe the robot: deployment_metadata.. of Robot") as warned:
        entries = deployment_entries(robot, model, "run")
    assert entries == {"run_path": "run"}
    assert len(warned) == 1
    assert message in str(warned[0].message)


def test_joint_entries_need_the_names_of_the_joints() -> None:
    robot = Robot()
    robot.entries = {"joint_stiffness": [35.0]}
    with pytest.warns(UserWarning, match="'joint_stiffness' needs 'joint_names' beside it"):
        assert deployment_entries(robot, build(), None) == {}


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (lambda: {}["stiffness"], "'stiffness'"),
        (lambda: [ROBOT], "expected a mapping of entries by their names, got list"),
        (lambda: (_ for _ in ()).throw(NotImplementedError), "cannot be used: NotImplementedError"),
    ],
)
def test_a_method_that_fails_does_not_cost_the_policy_its_file(
    method: Callable[[], Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot = Robot()
    monkeypatch.setattr(robot, "deployment_metadata", method)
    runner = OnPolicyRunner(robot, point_config(), str(tmp_path / "run"))
    for export in (runner.export_policy_to_onnx, runner.export_policy_to_jit, runner.export_policy_to_pt2):
        with pytest.warns(UserWarning, match=message):
            export(str(tmp_path))
    assert entries_in(tmp_path / "policy.onnx").keys() == {"rsl_rl", "run_path"}


def test_a_caller_of_an_exporter_is_told_of_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'action_scale' must be one number"):
        export_onnx(build(), tmp_path / "policy.onnx", deployment={"action_scale": [1.0, 2.0]})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "deployment",
    [
        '["joint_names"]',
        '{"a": {"b": 1}}',
        '{"a": [[1]]}',
        '{"a": NaN}',
        '{"a": [1e999]}',
        '{"a": null}',
        '{"a": "b\\n"}',
    ],
)
def test_entries_of_a_strangers_file_are_what_ours_are(deployment: str) -> None:
    good = PolicyMetadata({"policy": 2}, 2, 1, None, {}, deployment={"joint_names": ["slider"], "action_scale": 0.25})
    assert PolicyMetadata.from_json(good.to_json()) == good
    text = good.to_json().replace(json.dumps(good.deployment), deployment)
    with pytest.raises(ValueError, match="is not a policy's description"):
        PolicyMetadata.from_json(text)


def test_files_of_earlier_builds_have_no_entries() -> None:
    written = json.loads(PolicyMetadata({"policy": 2}, 2, 1, None, {}).to_json())
    del written["deployment"]
    assert PolicyMetadata.from_json(json.dumps(written)).deployment == {}


FACTORY = """
from tests.export.test_deployment import Robot

def make(num_envs, seed, device, good=True):
    env = Robot(num_envs, seed=seed)
    if not good:
        env.entries = {"joint_names": ["a,b"]}
    return env
"""


def test_commands_write_the_entries_and_warn_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "robot_factory.py").write_text(FACTORY)
    task = {"env": "robot_factory:make", "num_envs": 4, "iterations": 2, "runner": point_config(), "name": "point"}
    (tmp_path / "point.yaml").write_text(json.dumps(task))
    main(["train", "point.yaml"])
    (policy,) = tmp_path.glob("runs/point/*/exports/policy.onnx")
    run = policy.parent.parent
    assert entries_in(policy)["run_path"] == f"point/{run.name}"
    assert entries_in(policy)["joint_names"] == "slider"
    main(["export", str(run), "--formats", "onnx", "--output", "elsewhere"])
    assert entries_in(tmp_path / "elsewhere" / "policy.onnx") == entries_in(policy)

    main(["train", "point.yaml", "--env-options", "good=false", "--run-dir", "bad"])
    said = capsys.readouterr()
    assert "Done: " in said.out
    assert said.err.count("deployment_metadata() of Robot cannot be used: a text in 'joint_names' must be text") == 1
    assert entries_in(tmp_path / "bad" / "exports" / "policy.onnx").keys() == {"rsl_rl", "run_path"}
