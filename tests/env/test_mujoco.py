# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Robots of a MuJoCo model: what a step does, what it says, and that it can be repeated and resumed."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rsl_rl.env import make_env
from rsl_rl.env.contract import Contract
from rsl_rl.env.mujoco import MujocoTask, MujocoVecEnv, State
from rsl_rl.env.mujoco_tasks import task_class
from rsl_rl.utils.trust import foreign_names, never_import_from

mujoco: Any = pytest.importorskip("mujoco")

CART = """
<mujoco>
  <option integrator="Euler" gravity="0 0 0"><flag eulerdamp="disable" contact="disable"/></option>
  <worldbody>
    <body name="cart">
      <joint name="rail" type="slide" axis="1 0 0"/>
      <geom type="box" size="0.1 0.1 0.1" mass="2"/>
      <geom type="sphere" size="0.05" contype="0" conaffinity="0" mass="0"/>
    </body>
  </worldbody>
  <actuator><motor joint="rail" gear="4"/></actuator>
  <sensor><jointpos name="place" joint="rail"/></sensor>
</mujoco>
"""


class Cart(MujocoTask):
    """A mass of 2 kg on a rail, pushed by 4 N times the action. Times out after 5 steps, fails beyond 1 m."""

    control_dt = 0.02
    sim_dt = 0.01
    episode_seconds = 0.1
    commands = {"goal": (-1.0, 2.0, 0.5)}
    observations = {"policy": ("joint_angles", "joint_velocities"), "critic": ("joint_angles", "joint_velocities")}
    noise = {"joint_angles": 0.1}
    scales = {"joint_angles": 10.0, "joint_velocities": 0.5}
    rewards = {"alive": 2.0, "place": -3.0, "unused": 0.0}
    terminations = ("beyond",)
    metrics = ("error_goal",)
    events = {"kick": 0.0}

    start: float = 0.0
    """Where an episode begins, m."""

    def spec(self) -> Any:
        return mujoco.MjSpec.from_string(CART)

    def reset(self, qpos: np.ndarray, qvel: np.ndarray, memory: dict, generator: np.random.Generator) -> None:
        qpos[:] = self.start

    def alive(self, state: State) -> np.ndarray:
        return np.ones(len(state))

    def place(self, state: State) -> np.ndarray:
        return state.qpos[:, 0]

    def unused(self, state: State) -> np.ndarray:
        raise AssertionError("a term without weight is not computed in a step")

    def beyond(self, state: State) -> np.ndarray:
        return np.abs(state.qpos[:, 0]) > 1.0

    def error_goal(self, state: State) -> np.ndarray:
        return state.qpos[:, 0] - state.command[:, 0]

    def kick(self, qpos: np.ndarray, qvel: np.ndarray, generator: np.random.Generator) -> None:
        qvel += 1.0


Cart._check_terms = lambda self: None  # type: ignore[method-assign] (one of them raises on purpose)


def carts(num_envs: int = 3, **options: Any) -> MujocoVecEnv:
    return MujocoVecEnv(Cart(**{"noise_level": 0.0, **options}), num_envs, seed=1, num_threads=1)


def act(*forces: float) -> torch.Tensor:
    return torch.tensor(forces).reshape(-1, 1)


def random_actions(env: Any, steps: int, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(env.num_envs, env.num_actions, generator=generator) for _ in range(steps)]


def played(env: Any, actions: list[torch.Tensor]) -> list[torch.Tensor]:
    """Everything that an environment says, step by step."""
    said = []
    for step_actions in actions:
        obs, rewards, dones, extras = env.step(step_actions)
        said += [*obs.values(), rewards, dones, extras["time_outs"], *extras.get("final_obs", {}).values()]
    return [value.clone() for value in said]


class TestAStep:
    def test_moves_a_mass_as_newton_says(self) -> None:
        env = carts()
        obs, rewards, dones, _ = env.step(act(1.0, -0.5, 7.0))  # the last one is clipped to 1
        # Two steps of 0.01 s under 4 N / 2 kg: semi-implicit Euler.
        speed = 0.02 * 2.0 * np.array([1.0, -0.5, 1.0])
        place = (0.01 * 0.5 + 0.01) * speed
        np.testing.assert_allclose(obs["policy"], np.stack([10.0 * place, 0.5 * speed], axis=1), rtol=1e-5)
        np.testing.assert_allclose(rewards, 0.02 * (2.0 - 3.0 * place), rtol=1e-5)
        assert rewards.dtype == torch.float32
        assert not dones.any()

    def test_is_what_plain_mujoco_does_with_each_robot(self) -> None:
        env = make_env("mujoco:go1-walk", num_envs=3, seed=4)
        assert isinstance(env, MujocoVecEnv)
        task, model = env.task, env.task.model
        robots = [mujoco.MjData(model) for _ in range(3)]
        for index, data in enumerate(robots):
            data.qpos[:], data.qvel[:] = env.qpos[index], env.qvel[index]
        standing, compared = np.ones(3, bool), 0
        for actions in random_actions(env, 40):
            standing &= ~env.step(0.3 * actions)[2].numpy()
            for index, data in enumerate(robots):
                data.ctrl[:] = task.control(np.clip(0.3 * actions[index : index + 1].numpy(), -2, 2))[0]
                mujoco.mj_step(model, data, nstep=task.substeps)
                if standing[index]:
                    compared += 1
                    np.testing.assert_allclose(env.qpos[index], data.qpos, atol=1e-9)
                    np.testing.assert_allclose(env._sensors[index], data.sensordata, atol=1e-6)
        assert compared > 60

    def test_says_how_an_episode_ended_and_what_was_seen_last(self) -> None:
        env = carts(2, start=0.99, delay=(0.0, 0.0))
        env.qvel[1] = 5.0  # beyond 1 m at once
        obs, _, dones, extras = env.step(act(0.0, 0.0))
        assert dones.tolist() == [False, True]
        assert extras["time_outs"].tolist() == [False, False]
        np.testing.assert_allclose(extras["final_obs"]["policy"][1], [10.0 * 1.09, 2.5], rtol=1e-5)
        np.testing.assert_allclose(obs["policy"], [[9.9, 0.0], [9.9, 0.0]], rtol=1e-5)
        assert extras["log"]["Episode_Termination/beyond"] == 1.0  # how many
        for _ in range(4):
            obs, _, dones, extras = env.step(act(0.0, 0.0))
        assert dones.tolist() == extras["time_outs"].tolist() == [True, False]
        assert env.episode_length_buf.tolist() == [0, 4]
        assert extras["log"]["Episode_Termination/beyond"] == 0.0
        # Who fails in the step in which time is up has failed.
        env.episode_length_buf = torch.tensor([4, 4])
        env.qvel[1] = 5.0
        _, _, dones, extras = env.step(act(0.0, 0.0))
        assert dones.tolist() == [True, True]
        assert extras["time_outs"].tolist() == [True, False]

    def test_logs_every_weighted_term_as_a_mean_over_the_episodes_that_ended(self) -> None:
        env = carts(2)
        env.ask([0.3])
        for step in range(5):
            env.qpos[:] = [[0.1 * step], [0.2 * step]]
            _, _, dones, extras = env.step(act(0.0, 0.0))
        assert dones.all()
        log = extras["log"]
        assert log["Episode_Reward/alive"] == pytest.approx(2.0)
        assert log["Episode_Reward/place"] == pytest.approx(-3.0 * np.mean([0.2, 0.4]))
        assert "Episode_Reward/unused" in log
        for _ in range(5):  # an episode of its own
            log_of_the_next = env.step(act(0.0, 0.0))[3]["log"]
        assert log_of_the_next["Episode_Reward/place"] == 0.0
        assert log_of_the_next["Episode_Reward/alive"] == pytest.approx(2.0)
        np.testing.assert_allclose(log["error_goal"], [0.1, 0.5], rtol=1e-5)

    def test_episodes_end_where_their_assigned_length_says(self) -> None:
        env = carts(3)
        env.episode_length_buf = torch.tensor([0, 3, 4])
        ends = [env.step(act(0.0, 0.0, 0.0))[2].tolist() for _ in range(2)]
        assert ends == [[False, False, True], [False, True, False]]

    def test_keeps_the_contract_of_an_environment(self) -> None:
        env = make_env("mujoco:go1-walk", num_envs=4, seed=1)
        contract = Contract(env)
        contract.check(env.get_observations(), "get_observations")
        for actions in random_actions(env, 60):
            contract.check(env.step(actions))


class TestWhatDiffers:
    def test_a_delay_keeps_the_command_before_for_as_long(self) -> None:
        env = carts(2, delay=(0.01, 0.01))  # one of the two steps of the simulation
        env.step(act(1.0, 0.0))
        np.testing.assert_allclose(env.qvel, [[0.01 * 2.0], [0.0]], atol=1e-12)
        env.step(act(0.0, 0.0))
        np.testing.assert_allclose(env.qvel, [[0.02 * 2.0], [0.0]], atol=1e-12)

    def test_masses_and_motors_vary_from_robot_to_robot_within_their_ranges(self) -> None:
        env = carts(50, mass=(0.5, 2.0), gains=(0.9, 1.1))
        _, masses, gains = env._variations.T
        assert masses.min() < 0.7 < 1.8 < masses.max()
        assert 0.9 <= gains.min() < 0.93 < 1.07 < gains.max() <= 1.1
        env.step(torch.ones(50, 1))
        np.testing.assert_allclose(env.qvel[:, 0], 0.02 * 4.0 * gains / (2.0 * masses), rtol=1e-9)

    def test_friction_varies_and_nothing_does_unless_asked_for(self) -> None:
        env = MujocoVecEnv(task_class("go1-walk")(friction=(0.5, 2.0)), 8, seed=1)
        frictions = np.array([model.geom_friction[:, 0].max() for model in env._models])
        np.testing.assert_allclose(frictions / env.task.model.geom_friction[:, 0].max(), env._variations[:, 0])
        assert len(set(frictions)) == 8
        assert len({id(model) for model in carts(5)._models}) == 1

    def test_events_happen_as_often_as_they_should(self) -> None:
        env = carts(400, events={"kick": 0.1}, episode_seconds=100.0)
        for _ in range(10):
            env.step(torch.zeros(400, 1))
        # Two chances in ten a step: on average two kicks of 1 m/s.
        assert env.qvel.mean() == pytest.approx(2.0, abs=0.2)
        assert carts(400).step(torch.zeros(400, 1))[0]["policy"].abs().max() == 0.0

    def test_errors_of_sensors_stay_in_their_range_and_out_of_exact_groups(self) -> None:
        env = carts(500, noise_level=0.5)
        obs = env.get_observations()
        errors = obs["policy"][:, 0] / 10.0
        assert 0.045 < errors.max() <= 0.05
        assert -0.05 <= errors.min() < -0.045
        assert (obs["policy"][:, 1] == 0).all()
        assert (obs["critic"] == 0).all()

    def test_commands_are_drawn_from_their_ranges_and_zero_as_often_as_said(self) -> None:
        command = carts(2000).command
        assert (command == 0).mean() == pytest.approx(0.5, abs=0.05)
        assert -1.0 <= command.min() < -0.9
        assert 1.8 < command.max() <= 2.0

    def test_a_command_that_is_asked_for_stays_also_in_new_episodes(self) -> None:
        env = MujocoVecEnv(task_class("go1-walk")(command_seconds=0.1, episode_seconds=0.2), 4, seed=1)
        obs = env.ask([0.7, -0.1, 0.2])
        for _ in range(30):
            np.testing.assert_allclose(obs["critic"][:, 42:45], np.tile(np.float32([0.7, -0.1, 0.2]), (4, 1)))
            obs, _, _, _ = env.step(torch.zeros(4, 12))
        env.ask(None)
        for _ in range(30):
            env.step(torch.zeros(4, 12))
        assert not np.allclose(env.command, [0.7, -0.1, 0.2])


def test_numbers_of_a_model_that_mujoco_does_not_set_back_reach_nobody() -> None:
    class Left(Cart):
        def spec(self) -> Any:
            return mujoco.MjSpec.from_string(CART.replace('contact="disable"', 'contact="disable" autoreset="disable"'))

    env = MujocoVecEnv(Left(noise_level=0.0, episode_seconds=10.0), 2, seed=1, num_threads=1)
    env.qvel[1] = np.nan
    with pytest.warns(UserWarning, match="simulation of 1 of 2 robots diverged"):
        obs, rewards, dones, extras = env.step(act(1.0, 1.0))
    assert dones.tolist() == [False, True]
    for value in (obs["policy"], rewards, extras["final_obs"]["policy"]):
        assert torch.isfinite(value).all()


def test_a_simulation_that_diverges_ends_its_episode_as_a_failure_and_is_said_once() -> None:
    env = carts(3, episode_seconds=10.0)
    env.qvel[1] = 1e11  # MuJoCo takes it for unstable
    with pytest.warns(UserWarning, match="simulation of 1 of 3 robots diverged"):
        obs, rewards, dones, extras = env.step(act(1.0, 1.0, 1.0))
    assert dones.tolist() == [False, True, False]
    assert not extras["time_outs"].any()
    assert torch.isfinite(rewards).all()
    assert torch.isfinite(obs["policy"]).all()
    assert torch.isfinite(extras["final_obs"]["policy"]).all()
    env.qvel[2] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        obs, _, dones, _ = env.step(act(1.0, 1.0, 1.0))
    assert dones.tolist() == [False, False, True]
    assert torch.isfinite(obs["policy"]).all()


class TestRepeating:
    OPTIONS = {
        "friction": (0.8, 1.2),
        "mass": (0.9, 1.1),
        "delay": (0.0, 0.02),
        "events": {"push": 0.2},
        "command_seconds": 0.2,
        "episode_seconds": 0.3,
    }

    def test_any_number_of_threads_gives_the_same_numbers(self) -> None:
        said = []
        for num_threads in (1, 3):
            env = make_env("mujoco:go1-walk", num_envs=7, seed=2, num_threads=num_threads, **self.OPTIONS)
            said.append(played(env, random_actions(env, 20)))
        assert len(said[0]) > 5 * 20
        assert all(torch.equal(one, other) for one, other in zip(*said, strict=True))

    def test_a_saved_environment_goes_on_bit_for_bit(self) -> None:
        env = make_env("mujoco:go1-walk", num_envs=5, seed=2, **self.OPTIONS)
        assert isinstance(env, MujocoVecEnv)
        played(env, random_actions(env, 17))
        file = io.BytesIO()
        torch.save(env.state_dict(), file)
        file.seek(0)
        expected = played(env, random_actions(env, 20, seed=1))
        other = make_env("mujoco:go1-walk", num_envs=5, seed=99, **self.OPTIONS)
        assert isinstance(other, MujocoVecEnv)
        played(other, random_actions(other, 3))
        other.load_state_dict(torch.load(file, weights_only=True))
        assert all(
            torch.equal(a, b) for a, b in zip(played(other, random_actions(env, 20, seed=1)), expected, strict=True)
        )

    def test_the_state_of_other_robots_is_refused_and_changes_nothing(self) -> None:
        env, other = carts(3), carts(4)
        before = env.state_dict()
        with pytest.raises(ValueError, match="different are: .*physics"):
            env.load_state_dict(other.state_dict())
        with pytest.raises(ValueError, match="The state is of Go1Walk, here is Cart"):
            env.load_state_dict(make_env("mujoco:go1-walk", num_envs=3).state_dict())  # type: ignore[attr-defined]
        assert torch.equal(env.state_dict()["physics"], before["physics"])


class TestMistakes:
    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"noise_levl": 1.0}, ValueError, "no option 'noise_levl'. Did you mean 'noise_level'"),
            ({"rewards": {"gate": 1.0}}, ValueError, "no method for 'gate' of rewards. Did you mean 'gait'"),
            (
                {"observations": {"actor": ["gyros"]}},
                ValueError,
                "no method for 'gyros' of observations.actor. Did you",
            ),
            ({"noise": {"gyros": 0.1}}, ValueError, "'gyros' of noise is none of its terms. Did you mean 'gyro'"),
            ({"sim_dt": 0.003}, ValueError, "control_dt = 0.02 is not a whole number of sim_dt = 0.003"),
            ({"sim_dt": 0.0}, ValueError, "'sim_dt' has to be above 0"),
            ({"sim_dt": "fast"}, TypeError, "'sim_dt' is like 0.01, got 'fast'"),
            ({"iterations": 2.5}, TypeError, "'iterations' is like 3, got 2.5"),
            ({"episode_seconds": float("inf")}, ValueError, "has to be finite"),
            ({"friction": (2.0, 1.0)}, ValueError, "'friction' is a lowest and a highest"),
            ({"delay": (0.0,)}, ValueError, "'delay' is a lowest and a highest"),
            ({"rewards": {"gait": "high"}}, ValueError, "'rewards' gives each term a number, not 'high'"),
            ({"events": {"push": -1.0}}, ValueError, "'events' gives each term a number"),
            ({"events": {"kick": 1.0}}, ValueError, "'kick' of events is none of its terms"),
            ({"commands": {"forward": 1.0}}, ValueError, "'forward' is lowest, highest, chance"),
            ({"rewards": ["gait"]}, TypeError, "'rewards' is like {"),
            ({"home": "hom"}, ValueError, "no keyframe 'hom'. Did you mean 'home'"),
            ({"xml": "no.xml"}, ValueError, "no.xml"),
            ({"num_threads": -1}, ValueError, "num_threads"),
            ({"num_threads": "two"}, TypeError, "num_threads"),
        ],
    )
    def test_in_an_option_is_named(self, options: dict[str, Any], error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message.replace("(", r"\(").replace("{", r"\{")):
            make_env("mujoco:go1-walk", num_envs=2, **options)

    def test_in_the_shape_of_actions_is_named(self) -> None:
        with pytest.raises(ValueError, match=r"Expected actions of shape \[3, 1\] .* got \[3\]"):
            carts(3).step(torch.zeros(3))
        with pytest.raises(ValueError, match=r"Expected actions of shape \[2, 12\] .* got \[2, 1\]"):
            make_env("mujoco:go1-walk", num_envs=2).step(torch.zeros(2, 1))

    def test_in_what_is_measured_is_found_before_the_first_step(self) -> None:
        class Wrong(task_class("go1-walk")):  # type: ignore[misc]
            def measured(self, state: State) -> np.ndarray:
                return state.velocity[:, :2]

        with pytest.raises(ValueError, match=r"Wrong.measured returned \[3, 2\] for N = 3, not \[N, 3\]"):
            Wrong()

    def test_in_the_shape_of_a_term_is_found_before_the_first_step(self) -> None:
        class Wrong(task_class("go1-walk")):  # type: ignore[misc]
            def tilt(self, state: State) -> np.ndarray:
                return state.gravity

        with pytest.raises(ValueError, match=r"Wrong.tilt, of rewards, returned \[3, 3\] for N = 3, not \[N\]"):
            Wrong()

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("go1-wal", "no task 'mujoco:go1-wal'. Did you mean 'go1-walk'"),
            ("robot.py:Task", "There is no file 'robot.py'"),
            ("json:dumps", "'mujoco:json:dumps' is no task"),
        ],
    )
    def test_in_the_name_is_named(self, name: str, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            make_env(f"mujoco:{name}")


class TestATaskOfOnesOwn:
    CODE = (
        "from rsl_rl.robots.go1_walk import Go1Walk\n"
        "class Slow(Go1Walk):\n"
        "    commands = {'forward': (0.0, 0.3, 1.0), 'left': (0, 0, 0), 'turn': (0, 0, 0)}\n"
        "    gear: int = 1\n"
        "    def __init__(self, **options):\n"
        "        super().__init__(**options)\n"
    )

    def test_is_made_from_its_file(self, tmp_path: Path) -> None:
        (tmp_path / "slow.py").write_text(self.CODE)
        env: Any = make_env(f"mujoco:{tmp_path / 'slow.py'}:Slow", num_envs=2, gear=3)
        assert env.task.gear == 3
        assert env.command[:, 0].max() <= 0.3
        assert (env.command[:, 1:] == 0).all()
        assert env.cfg["env"] == f"mujoco:{tmp_path / 'slow.py'}:Slow"

    def test_in_the_folder_of_a_run_is_never_executed(self, tmp_path: Path) -> None:
        (tmp_path / "evil.py").write_text("raise SystemExit('executed')")
        never_import_from(tmp_path)
        with pytest.raises(ImportError, match="lies in the folder of a run"):
            make_env(f"mujoco:{tmp_path / 'evil.py'}:Task")

    def test_is_code_of_a_stranger_in_the_run_of_a_stranger(self) -> None:
        assert foreign_names({"env": "mujoco:go1-walk"}) == []
        assert [entry.module for entry in foreign_names({"env": "mujoco:robot.py:Task"})] == ["robot.py"]
        assert [entry.module for entry in foreign_names({"env": "mujoco:package.robot:Task"})] == ["package.robot"]


def test_what_is_only_drawn_is_not_simulated_and_masses_stay() -> None:
    task = task_class("go1-walk")()
    drawn, simulated = task.compiled(), task.model
    assert drawn.ngeom > 50
    assert simulated.ngeom == 5
    np.testing.assert_array_equal(drawn.body_mass, simulated.body_mass)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="says how many threads may run")
def test_a_robot_has_no_more_threads_than_it_can_use() -> None:
    assert len(MujocoVecEnv(Cart(), 1)._data) == 1
    assert len(MujocoVecEnv(Cart(), 100)._data) == len(os.sched_getaffinity(0))
