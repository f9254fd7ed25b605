# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The programs of examples/ run as they are, from an empty folder, and do what they say."""

from __future__ import annotations

import ast
import csv
import importlib
import re
import runpy
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from tensordict import TensorDict

from rsl_rl.cli.main import main
from rsl_rl.config.task import filed_as
from rsl_rl.env import make_env
from rsl_rl.env.mujoco import MujocoVecEnv, State
from rsl_rl.export import load_policy
from rsl_rl.extensions.mirrors import mujoco_task
from rsl_rl.runners import OnPolicyRunner
from tests.env.test_simulators import PACKAGES
from tests.processes import python

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
FILES = sorted(file for file in EXAMPLES.rglob("*") if file.suffix in (".py", ".yaml", ".cpp"))


@pytest.fixture(autouse=True)
def _as_a_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in an empty folder, with the program's folder on the path, as Python puts it there for a script."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(EXAMPLES)
    known = set(sys.modules)
    yield
    for name in set(sys.modules) - known:
        if (EXAMPLES / f"{name}.py").is_file() or name.partition(".")[0] in ("isaaclab", "isaaclab_tasks"):
            del sys.modules[name]
    gymnasium.registry.pop("Isaac-Walker-v0", None)


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a program in this process, where torch is imported already; return what it printed last."""

    def run(name: str, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return [line for line in capsys.readouterr().out.splitlines() if not line.startswith("iteration ")][-1]

    return run


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+\.?\d*", text)]


def table(run: str) -> list[dict[str, str]]:
    with open(Path(run) / "metrics.csv") as file:
        return list(csv.DictReader(file))


# -- all of them -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(EXAMPLES)))
def test_no_example_is_forgotten(file: Path) -> None:
    tests = [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "clients").glob("test_*.py")]
    name = file.name if file.parent == EXAMPLES else file.parent.name
    assert any(name.removesuffix(".py") in text.read_text() for text in tests), f"no test names {name}"
    assert name in (EXAMPLES / "README.md").read_text(), f"examples/README.md does not list {name}"


def test_a_program_runs_by_itself(tmp_path: Path) -> None:
    program = EXAMPLES / "custom_environment.py"
    done = python(program, "--iterations", "6")
    assert done.returncode == 0, done.stderr
    before, after = numbers(done.stdout.splitlines()[-1])[2:]
    assert after > before + 0.2
    assert (tmp_path / "runs/quadrotor/model_5.pt").is_file()


# -- environment -------------------------------------------------------------------------------------------------------


class TestEnvironment:
    @staticmethod
    def quadrotor(**options: Any) -> Any:
        return importlib.import_module("custom_environment").PlanarQuadrotor(**options)

    def test_it_has_at_most_60_lines(self) -> None:
        tree = ast.parse((EXAMPLES / "custom_environment.py").read_text())
        (found,) = (node for node in tree.body if isinstance(node, ast.ClassDef))
        assert found.end_lineno is not None
        assert found.end_lineno - found.lineno + 1 <= 60

    def test_rotors_carry_the_weight_and_the_wind_pushes(self) -> None:
        env = self.quadrotor(num_envs=3)
        env.position, env.velocity = torch.zeros(3, 3), torch.zeros(3, 3)
        env.wind = torch.tensor([[0.0], [1.0], [0.0]])
        env.step(torch.tensor([[0.0, 0.0], [0.0, 0.0], [-1.0, -1.0]]))
        # Half of the thrust: it falls with g / 2. In 0.02 s.
        expected = torch.tensor([[0.0, 0, 0], [0.02, 0, 0], [0, -0.02 * 9.81 / 2, 0]])
        torch.testing.assert_close(env.velocity, expected, atol=1e-6, rtol=0)

    def test_only_what_ended_is_reset_and_only_time_limits_are_time_outs(self) -> None:
        env = self.quadrotor(num_envs=3, sensor_noise=0.0)
        env.position, env.velocity = torch.zeros(3, 3), torch.zeros(3, 3)
        env.position[1, 0] = 5.0
        env.episode_length_buf[2] = env.max_episode_length - 1
        obs, _, dones, extras = env.step(torch.zeros(3, 2))
        assert dones.tolist() == [False, True, True]
        assert extras["time_outs"].tolist() == [False, False, True]
        assert env.episode_length_buf.tolist() == [1, 0, 0]
        assert extras["final_obs"]["policy"][1, 0] == pytest.approx(5.0, abs=0.01)
        assert obs["policy"][1, 0].abs() <= 1.0
        assert obs["policy"][0, :3].abs().max() < 0.01

    def test_the_critic_sees_the_wind_and_the_policy_does_not(self) -> None:
        env = self.quadrotor(num_envs=4)
        obs, *_ = env.step(torch.zeros(4, 2))
        assert torch.equal(obs["policy"], env.get_observations()["policy"])
        assert not torch.equal(obs["policy"], obs["privileged"][:, :6])
        assert {name: tuple(value.shape) for name, value in obs.items()} == {"policy": (4, 6), "privileged": (4, 7)}
        assert torch.equal(obs["privileged"][:, 6:], env.wind)

    def test_terms_are_logged(self, program: Callable[..., str]) -> None:
        program("custom_environment.py", "--iterations", "2", "--num-envs", "512")
        row = table("runs/quadrotor")[-1]
        # Reward is their sum times the step of 0.02 s, so a robot that stays near the target gets nearly 1 of "close".
        assert 0.3 < float(row["Episode_Reward/close"]) < 1.0
        assert float(row["Episode_Reward/effort"]) < 0.0


# -- model, distribution, algorithm, log writer ------------------------------------------------------------------------


def test_a_model_learns_and_is_exported(program: Callable[..., str]) -> None:
    found = numbers(program("custom_model.py", "--iterations", "10"))[0]
    assert found > 60
    policy = load_policy("runs/scan/exports/policy.onnx")
    scan = torch.full((1, 24), 0.4)
    for ray in (4, 19):  # An opening on one side, then on the other.
        scan[0, ray] = 1.0
        action = policy({"distance": torch.ones(1, 1), "scan": scan}).item()
        assert (action > 0) == (ray > 12)
        scan[0, ray] = 0.4


class TestDistribution:
    @pytest.fixture
    def pair(self) -> tuple[Any, torch.distributions.Distribution]:
        """Return ours, and torch's, with the same parameters."""
        ours = importlib.import_module("custom_distribution").TanhGaussian(3)
        with torch.no_grad():
            ours.log_sigma.copy_(torch.tensor([0.3, 0.7, 1.2]).log())
        mu = torch.tensor([[0.0, 0.5, -1.0], [2.0, -0.1, 0.4]])
        ours.update(mu)
        normal = torch.distributions.Normal(mu, ours.log_sigma.detach().exp().expand(2, 3))
        squash = torch.distributions.TanhTransform(cache_size=1)
        return ours, torch.distributions.TransformedDistribution(normal, [squash])

    def test_log_density(self, pair: tuple[Any, Any]) -> None:
        ours, theirs = pair
        outputs = theirs.sample((50,)).clamp(-0.999, 0.999)
        expected = theirs.log_prob(outputs.clone()).sum(-1)
        torch.testing.assert_close(ours.log_prob(outputs), expected, rtol=1e-3, atol=1e-3)

    def test_moments_and_entropy_are_those_of_many_samples(self, pair: tuple[Any, Any]) -> None:
        ours, theirs = pair
        samples = theirs.sample((200_000,))
        torch.testing.assert_close(ours.mean, samples.mean(0), atol=5e-3, rtol=0)
        torch.testing.assert_close(ours.std, samples.std(0), atol=5e-3, rtol=0)
        x = theirs.base_dist.sample((200_000,))
        entropy = theirs.base_dist.entropy() + torch.log1p(-x.double().tanh().square()).mean(0).float()
        torch.testing.assert_close(ours.entropy, entropy.sum(-1), atol=2e-2, rtol=0)

    def test_divergence_is_that_of_the_gaussians(self, pair: tuple[Any, Any]) -> None:
        ours, theirs = pair
        other = torch.distributions.Normal(torch.ones(2, 3), torch.full((2, 3), 0.4))
        expected = torch.distributions.kl_divergence(other, theirs.base_dist).sum(-1)
        torch.testing.assert_close(ours.kl_divergence((other.loc, other.scale), ours.params), expected)

    def test_samples_follow_the_density(self, pair: tuple[Any, Any]) -> None:
        ours, theirs = pair
        ours.update(pair[0].mu.expand(50_000, 2, 3))
        torch.testing.assert_close(ours.sample().mean(0), theirs.sample((200_000,)).mean(0), atol=1e-2, rtol=0)
        assert ours.sample().abs().max() < 1.0

    def test_it_is_trained_and_exported(self, program: Callable[..., str]) -> None:
        before, after, largest = numbers(program("custom_distribution.py", "--iterations", "6"))
        assert after > before
        assert largest <= 1.0
        extreme = load_policy("runs/tanh_gaussian/policy.onnx")({"policy": torch.full((1, 6), 1e3)})
        assert extreme.abs().max() <= 1.0


def test_an_algorithm_makes_actions_smoother(program: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    smooth = numbers(program("custom_algorithm.py", "--iterations", "8", "--smoothness-coef", "3"))
    plain, added = table("runs/smooth/PPO"), table("runs/smooth/SmoothPPO")
    assert "Loss/smoothness" not in plain[-1]
    assert 0.0 < float(added[-1]["Loss/smoothness"]) < 1.0
    assert smooth[1] < 0.1  # the program itself compares it with PPO's


def test_a_log_writer_has_every_number(program: Callable[..., str]) -> None:
    program("custom_log_writer.py", "--iterations", "2")
    stored = sqlite3.connect("runs/numbers.sqlite")
    for run in ("learning_rate_0.001", "learning_rate_0.0003"):
        rows = {row["iteration"]: row for row in table(f"runs/{run}")}
        for tag in ("Loss/value", "Policy/mean_std", "Episode_Reward/close"):
            query = "SELECT step, value FROM numbers WHERE run = ? AND tag = ?"
            values = {f"{step:.0f}": value for step, value in stored.execute(query, (run, tag))}
            assert values == {iteration: pytest.approx(float(row[tag])) for iteration, row in rows.items()}
    assert '"learning_rate": 0.001' in stored.execute("SELECT configuration FROM runs").fetchall()[1][0]


# -- discrete actions --------------------------------------------------------------------------------------------------


class Buttons(gymnasium.Env):
    """Two choices, of 3 and of 2 options, numbered from 1 and from 0; rewards their numbers."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,))
    action_space = gymnasium.spaces.MultiDiscrete([3, 2], start=[1, 0])

    def reset(self, **_: Any) -> Any:
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> Any:
        return np.zeros(2, np.float32), float(2 * action[0] + 3 * action[1]), False, False, {}


class TestDiscreteActions:
    def test_the_distribution_is_that_of_torch(self) -> None:
        ours = importlib.import_module("discrete_actions").OneHot(5, [3, 2])
        logits, others = torch.randn(2, 64, 5, generator=torch.Generator().manual_seed(0)) * 2
        ours.update(logits)
        outputs, params = ours.sample(), ours.params
        parts = [torch.distributions.OneHotCategorical(logits=part) for part in logits.split([3, 2], 1)]
        new = [torch.distributions.OneHotCategorical(logits=part) for part in others.split([3, 2], 1)]
        expected = sum(part.log_prob(drawn) for part, drawn in zip(parts, outputs.split([3, 2], 1), strict=True))
        torch.testing.assert_close(ours.log_prob(outputs), expected)
        torch.testing.assert_close(ours.entropy, parts[0].entropy() + parts[1].entropy())
        torch.testing.assert_close(ours.mean, torch.cat([part.probs for part in parts], 1))
        torch.testing.assert_close(ours.std, torch.cat([part.variance.sqrt() for part in parts], 1))
        kl = sum(torch.distributions.kl_divergence(old, now) for old, now in zip(parts, new, strict=True))
        ours.update(others)
        torch.testing.assert_close(ours.kl_divergence(params, ours.params), kl)
        best = [part.argmax(1) for part in logits.split([3, 2], 1)]
        assert [part.argmax(1).tolist() for part in ours.deterministic_output(logits).split([3, 2], 1)] == [
            each.tolist() for each in best
        ]

    def test_it_draws_as_often_as_it_says(self) -> None:
        torch.manual_seed(0)
        ours = importlib.import_module("discrete_actions").OneHot(3)
        ours.update(torch.tensor([[0.6, 0.3, 0.1]]).log().repeat(20_000, 1))
        # Three standard deviations of a mean of 20,000 are about 0.01.
        torch.testing.assert_close(ours.sample().mean(0), torch.tensor([0.6, 0.3, 0.1]), atol=0.011, rtol=0)

    def test_several_choices_reach_the_environment_by_their_numbers(self) -> None:
        module = importlib.import_module("discrete_actions")
        envs = module.OneHotActions(gymnasium.vector.SyncVectorEnv([Buttons] * 2))
        env = module.GymnasiumVecEnv(envs)
        assert (env.num_actions, envs.sizes) == (5, [3, 2])
        _, rewards, *_ = env.step(torch.tensor([[0.0, 0, 1, 1, 0], [1, 0, 0, 0, 1]]))
        assert rewards.tolist() == [6.0, 5.0]
        torch.manual_seed(0)
        runner = OnPolicyRunner(env, module.train_cfg(envs.sizes) | {"num_steps_per_env": 64, "logger": None})
        runner.learn(8)
        # The largest reward is that of the last option of both.
        assert runner.get_inference_policy()(env.get_observations()).tolist() == [[0, 0, 1, 0, 1]] * 2

    def test_it_learns_and_is_exported(self, program: Callable[..., str]) -> None:
        before, after = numbers(program("discrete_actions.py", "--iterations", "8"))
        assert after > 1.5 * before
        policy = load_policy("runs/discrete_actions/policy.onnx")
        assert policy(TensorDict({"policy": torch.zeros(1, 4)}, [1])).sum() == 1.0

    def test_the_command_line_names_the_way_out_and_takes_it(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            main(["train", "gym:CartPole-v1"])
        assert "examples/discrete_actions.py has both" in capsys.readouterr().err
        Path("buttons.yaml").write_text(
            "env: discrete_actions:make\nnum_envs: 2\niterations: 1\nrunner:\n  num_steps_per_env: 8\n"
            "  save_interval: 50\n  obs_groups: {actor: [policy], critic: [policy]}\n  algorithm: {class_name: PPO}\n"
            "  actor:\n    class_name: MLPModel\n    distribution_cfg: {class_name: 'discrete_actions:OneHot'}\n"
            "  critic: {class_name: MLPModel, hidden_dims: [8]}\n"
        )
        main(["train", "buttons.yaml"])


# -- symmetry ----------------------------------------------------------------------------------------------------------


class TestGo1Symmetry:
    def test_it_is_its_own_inverse_and_that_of_the_library(self) -> None:
        left_right = importlib.import_module("go1_symmetry").left_right
        env = make_env("mujoco:go1-walk", num_envs=2)
        seen, actions = torch.randn(5, 47), torch.randn(5, 12)
        groups = TensorDict({"actor": seen, "critic": torch.randn(5, 59)}, [5])
        obs, both = left_right(obs=groups, actions=actions, env=None)
        library, library_actions = mujoco_task(groups, actions, env)
        assert library is not None
        torch.testing.assert_close(obs["actor"], library["actor"])
        torch.testing.assert_close(both, library_actions)
        assert not torch.allclose(obs["actor"][5:], seen)
        again, twice = left_right(obs=obs[5:], actions=both[5:], env=None)
        torch.testing.assert_close(again["actor"][5:], seen)
        torch.testing.assert_close(twice[5:], actions)

    def test_the_robot_learns_to_act_alike_on_both_sides(
        self, program: Callable[..., str], recwarn: pytest.WarningsRecorder
    ) -> None:
        program("go1_symmetry.py", "--iterations", "4")
        assert not [warning for warning in recwarn if "mirror" in str(warning.message)]
        unlike = [float(table(f"runs/go1_symmetry/{weight}")[-1]["Loss/symmetry"]) for weight in ("0", "10")]
        assert unlike[1] < 0.7 * unlike[0]


# -- a robot of one's own ----------------------------------------------------------------------------------------------


class TestBalancer:
    """The terms of a robot whose motion is known: 0.1 m of wheel, 0.22 m between the wheels."""

    @staticmethod
    def task(**options: Any) -> Any:
        return importlib.import_module("mujoco_robot").Balancer(**options)

    def state(self, tilt: float = 0.0, **memory: list[float]) -> State:
        """Return one robot that rolls forward at 0.5 m/s and turns left at 1 rad/s, tilted forward."""
        task = self.task()
        qpos, qvel = task.home_data.qpos[None].astype(np.float32), np.zeros((1, task.model.nv), np.float32)
        qpos[0, 3], qpos[0, 5] = np.cos(tilt / 2), np.sin(tilt / 2)
        qvel[0, 0], qvel[0, 5] = 0.5, 1.0
        qvel[0, task.joint_dofs] = (0.5 - 0.11) / 0.1, (0.5 + 0.11) / 0.1
        remembered = task.new_memory(1)
        for name, values in memory.items():
            remembered[name][0] = values
        return State(task, qpos, qvel, np.zeros((1, 0), np.float32), remembered)

    def test_terms_are_what_they_are_called(self) -> None:
        task, state = self.task(), self.state(command=[0.2, 0.5], action=[0.5, 0.0], previous_action=[0.0, -1.0])
        np.testing.assert_allclose(task.measured(state), [[0.5, 1.0]], atol=1e-6)
        np.testing.assert_allclose(task.error_velocity(state), 0.3, atol=1e-6)
        np.testing.assert_allclose(task.error_turn(state), 0.5, atol=1e-6)
        np.testing.assert_allclose(task.action_rate(state), 1.25)
        exact = self.state(command=[0.5, 1.0])
        assert task.track_velocity(exact) == task.track_turn(exact) == pytest.approx(1.0)
        assert task.track_velocity(state) < 1.0
        assert task.track_turn(state) < 1.0
        np.testing.assert_allclose(task.tilt(self.state(tilt=0.3)), np.sin(0.3) ** 2, rtol=1e-5)
        assert [bool(task.fallen(self.state(tilt=angle))[0]) for angle in (0.0, -0.9, 0.95, 3.0)] == [0, 0, 1, 1]

    def test_wheels_drive_it_and_without_them_it_falls(self) -> None:
        env = MujocoVecEnv(self.task(noise_level=0.0), 4, seed=1)
        env.qpos[:, 3], env.qpos[:, 5] = np.cos(0.05), np.sin(0.05)
        lengths = torch.zeros(4)
        for step in range(100):
            lengths[env.step(torch.zeros(4, 2))[2] & (lengths == 0)] = step + 1
        assert ((lengths > 10) & (lengths < 60)).all()
        env.reset()
        for _ in range(3):
            env.step(torch.tensor([[1.0, 1.0], [-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0]]))
        state = env.state()
        assert (state.joint_velocities[:, 0] > 0).tolist() == [True, False, False, True]
        assert state.angular_velocity[2, 2] > 0.1 > -0.1 > state.angular_velocity[3, 2]  # left turns are positive

    def test_it_learns_to_stay_up_longer_in_a_few_iterations(self) -> None:
        env = f"mujoco:{EXAMPLES / 'mujoco_robot.py'}:Balancer"
        main(["train", env, "--num-envs", "64", "--iterations", "14", "--export", "False", "--run-dir", "run"])
        lengths = [float(row["Train/mean_episode_length"] or "nan") for row in table("run")]
        assert lengths[-1] > 1.5 * lengths[2]

    def test_the_commands_of_its_docstring_are_those_of_the_page(self) -> None:
        text = (EXAMPLES / "mujoco_robot.py").read_text()
        assert len(text.splitlines()) < 120
        name = re.search(r"rsl-rl train (mujoco:\S+)", text)
        assert name is not None
        run = re.search(r"rsl-rl play (\S+)", text)
        assert run is not None
        assert run[1] == filed_as(name[1])


# -- curriculum --------------------------------------------------------------------------------------------------------


class TestCurriculum:
    @staticmethod
    def runner(folder: str, seed: int, has_hook: bool = True) -> OnPolicyRunner:
        module = importlib.import_module("curriculum")
        kind = module.GustyQuadrotor
        if not has_hook:
            kind = type("Forgetful", (kind,), {"state_dict": None, "load_state_dict": None})
        torch.manual_seed(seed)
        env = kind(32, seed=seed)
        env.level = torch.tensor(1.0 if seed == 1 else 0.0)
        cfg = module.TRAIN_CFG | {"logger": "none"}
        return OnPolicyRunner(env, cfg, log_dir=folder)

    def test_a_resumed_run_goes_on_at_the_same_level(self) -> None:
        first = self.runner("parts", seed=1)
        first.learn(2)
        assert 0.0 < first.env.level < 1.0  # untrained quadrotors crash, and it falls
        second = self.runner("parts", seed=2)
        assert second.env.level == 0.0
        second.load("parts")
        second.learn(0)
        for name in ("level", "position", "wind", "episode_length_buf"):
            assert torch.equal(getattr(second.env, name), getattr(first.env, name)), name

    def test_a_resumed_run_is_the_run_that_was_interrupted(self) -> None:
        whole = self.runner("whole", seed=1)
        whole.learn(4)
        self.runner("parts", seed=1).learn(2)
        second = self.runner("parts", seed=2)
        second.load("parts")
        second.learn(2)
        assert torch.equal(second.env.level, whole.env.level)
        assert torch.equal(second.env.position, whole.env.position)

    def test_without_the_hook_it_would_start_over(self) -> None:
        first = self.runner("parts", seed=1, has_hook=False)
        first.learn(2)
        assert first.env.level > 0.0
        second = self.runner("parts", seed=2, has_hook=False)
        second.load("parts")
        second.learn(0)
        assert second.env.level == 0.0

    def test_the_state_of_other_environments_is_refused(self) -> None:
        state = self.runner("run", seed=1).env.state_dict()
        kind = importlib.import_module("curriculum").GustyQuadrotor
        with pytest.raises(ValueError, match="The state is of 32 environments, here are 8"):
            kind(8).load_state_dict(state)

    def test_the_program_reaches_a_level_and_keeps_it(self, program: Callable[..., str]) -> None:
        # 200 steps at least, so that episodes last to their end.
        assert 0.0 < numbers(program("curriculum.py", "--iterations", "60"))[0] <= 1.0


# -- YAML, simulators --------------------------------------------------------------------------------------------------


def test_a_yaml_file_trains_in_a_program_and_on_the_command_line(
    program: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program("from_yaml.py", "--iterations", "2")
    for name in ("from_yaml.yaml", "custom_environment.py"):
        shutil.copy(EXAMPLES / name, tmp_path)
    main(["train", "from_yaml.yaml", "--iterations", "2", "--run-dir", "run", "--runner.logger", "none"])
    ours, theirs = table("runs/from_yaml"), table("run")
    assert len(ours) == len(theirs) == 2
    for folder in ("runs/from_yaml", "run"):
        assert Path(folder, "exports/policy.onnx").is_file()
    assert torch.load("run/model_1.pt", weights_only=True)["config"]["obs_groups"]["critic"] == ["privileged"]


LAUNCHER = """
class AppLauncher:
    @staticmethod
    def add_app_launcher_args(parser):
        parser.add_argument("--headless", action="store_true")
        parser.add_argument("--device", default="cuda:0")
    def __init__(self, arguments):
        self.app = self
        assert arguments.headless
    def close(self):
        print("simulator closed")
"""
REGISTRY = """
def load_cfg_from_registry(task_name, entry_point_key):
    assert entry_point_key == "rsl_rl_cfg_entry_point"
    from tests.envs import point_config
    groups = {"actor": ["policy"], "critic": ["policy"]}
    return SimpleNamespace(seed=42, clip_actions=1.0, max_iterations=2,
                           to_dict=lambda: point_config() | {"obs_groups": groups, "seed": 42})
"""


def test_the_program_for_isaac_lab_with_packages_of_its_names(
    program: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = PACKAGES | {"isaaclab/app/__init__.py": LAUNCHER}
    packages["isaaclab_tasks/utils/__init__.py"] += REGISTRY
    for name, text in packages.items():
        (tmp_path / "lab" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "lab" / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path / "lab")
    options = ["--task", "Isaac-Walker-v0", "--num_envs", "4", "--headless", "--device", "cpu"]
    assert program("train_isaaclab.py", *options) == "simulator closed"
    assert {"model_1.pt", "policy.pt", "policy.onnx"} <= {file.name for file in Path("runs/isaaclab").iterdir()}
