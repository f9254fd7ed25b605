# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Environments of Isaac Lab's interface, on a small real one. mjlab's own are tested in tests/clients."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tensordict import TensorDict

from rsl_rl.env import ManagerBasedVecEnv, make_env
from rsl_rl.runners import OnPolicyRunner
from tests.env.layouts import LabEnv
from tests.envs import PointEnv, point_config
from tests.processes import python


def weights_after_training(env: Any) -> torch.Tensor:
    torch.manual_seed(0)
    runner = OnPolicyRunner(env, point_config())
    runner.learn(3)
    return torch.cat([p.detach().flatten() for p in [*runner.alg.actor.parameters(), *runner.alg.critic.parameters()]])


def test_what_it_says_about_itself() -> None:
    inner = LabEnv(num_envs=3)
    env = ManagerBasedVecEnv(inner)
    assert (env.num_envs, env.num_actions, env.max_episode_length, env.device) == (3, 1, 10, torch.device("cpu"))
    assert env.unwrapped is inner
    assert (env.cfg, env.step_dt) == (inner.cfg, 0.02)
    env.episode_length_buf = torch.tensor([1, 2, 3])
    assert inner.episode_length_buf.tolist() == [1, 2, 3]
    with pytest.raises(AttributeError, match="LabEnv.*'scene'"):
        _ = env.scene
    inner.cfg, other = SimpleNamespace(), LabEnv()
    assert env.cfg is inner.cfg
    env.env = other
    assert (env.unwrapped, env.cfg) == (other, other.cfg)


def test_training_gives_the_numbers_of_the_same_dynamics() -> None:
    env = ManagerBasedVecEnv(LabEnv(seed=2))
    assert torch.equal(weights_after_training(env), weights_after_training(PointEnv(seed=2)))


@pytest.mark.parametrize("how", [{"auto_reset": False}, {"gives_terminal": True}])
def test_true_last_observations_are_learned_from(how: dict[str, bool]) -> None:
    expected = PointEnv(seed=2)
    expected.final_obs = True
    env = ManagerBasedVecEnv(LabEnv(seed=2, **how))
    weights = weights_after_training(env)
    assert torch.allclose(weights, weights_after_training(expected), atol=1e-6)
    assert not torch.allclose(weights, weights_after_training(PointEnv(seed=2)), atol=1e-4)


def test_last_observations_and_log_of_both_halves_of_the_step() -> None:
    env = ManagerBasedVecEnv(LabEnv(num_envs=2, max_episode_length=3, auto_reset=False))
    env.episode_length_buf = torch.tensor([0, 1])
    _, _, dones, extras = env.step(torch.zeros(2, 1))
    assert "final_obs" not in extras
    obs, _, dones, extras = env.step(torch.zeros(2, 1))
    assert dones.tolist() == [0, 1]
    assert extras["time_outs"].tolist() == [False, True]
    assert extras["final_obs"]["privileged"][1, 2] == 0.0, "no time was left"
    assert obs["privileged"][:, 2].tolist() == [pytest.approx(1 / 3), 1.0]
    assert set(extras["log"]) == {"distance", "resets"}


def test_extras_are_passed_on_and_not_edited() -> None:
    inner = LabEnv(num_envs=2, max_episode_length=2, gives_terminal=True)
    env = ManagerBasedVecEnv(inner)
    env.step(torch.zeros(2, 1))
    extras = env.step(torch.zeros(2, 1))[3]
    assert extras["terminal"]["env_ids"].tolist() == [0, 1]
    assert extras["log"] == {"resets": 2.0}
    assert extras["time_outs"].tolist() == [True, True]
    assert set(inner.extras) == {"log", "terminal"}


def test_the_end_of_a_finite_horizon_is_an_end() -> None:
    env = ManagerBasedVecEnv(LabEnv(max_episode_length=1, is_finite_horizon=True))
    _, _, dones, extras = env.step(torch.zeros(4, 1))
    assert dones.tolist() == [1] * 4
    assert "time_outs" not in extras


def test_actions_are_clipped_where_asked() -> None:
    inner = LabEnv()
    ManagerBasedVecEnv(inner, clip_actions=0.5).step(torch.full((4, 1), 3.0))
    assert inner.last_actions.tolist() == [[0.5]] * 4
    ManagerBasedVecEnv(inner).step(torch.full((4, 1), 3.0))
    assert inner.last_actions.tolist() == [[3.0]] * 4
    with pytest.raises(ValueError, match="clip_actions must be positive or None, got -1"):
        ManagerBasedVecEnv(inner, clip_actions=-1)


class DirectEnv(LabEnv):
    """Isaac Lab's direct workflow: no managers, one group in parts."""

    def __init__(self) -> None:
        super().__init__()
        del self.action_manager, self.observation_manager
        self.single_action_space = SimpleNamespace(shape=(1,))

    def _observe(self) -> Any:
        groups = super()._observe()
        return {"policy": groups["policy"], "parts": {"time": groups["privileged"][:, 2:]}}

    def _get_observations(self) -> Any:
        return self._observe()


def test_direct_environments_and_groups_in_parts() -> None:
    env = ManagerBasedVecEnv(DirectEnv())
    assert env.num_actions == 1
    assert {name: list(value.shape) for name, value in env.get_observations().items()} == {
        "policy": [4, 2],
        "parts/time": [4, 1],
    }
    # The runner finds out by itself.
    runner = OnPolicyRunner(
        DirectEnv(), point_config() | {"obs_groups": {"actor": ["policy"], "critic": ["parts/time"]}}
    )
    assert isinstance(runner.env, ManagerBasedVecEnv)
    runner.learn(1)


def test_groups_in_parts_may_be_tensordicts() -> None:
    class Nested(DirectEnv):
        def _observe(self) -> Any:
            groups = super()._observe()
            return groups | {"parts": TensorDict(groups["parts"], [4])}

    assert list(ManagerBasedVecEnv(Nested()).get_observations().keys()) == ["policy", "parts/time"]


def test_what_lacks_the_interface_is_refused() -> None:
    with pytest.raises(
        TypeError, match="SimpleNamespace is not .*: it lacks device, max_episode_length, .*action_manager"
    ):
        ManagerBasedVecEnv(SimpleNamespace(num_envs=3))


@pytest.mark.parametrize(
    ("name", "package", "hint"),
    [
        ("mjlab:Mjlab-Cartpole-Balance", "mjlab", "mjlab cannot be imported (No module named 'mjlab"),
        ("isaaclab:Isaac-Cartpole-v0", "isaaclab", "Isaac Lab is not installed. Its packages come from NVIDIA's index"),
    ],
)
def test_a_missing_simulator_gives_its_install_line(name: str, package: str, hint: str) -> None:
    # A None entry in sys.modules is how Python itself marks a module that cannot be imported.
    code = (
        f"import sys; sys.modules['{package}'] = None\n"
        "from rsl_rl.env import make_env\n"
        f"try:\n    make_env('{name}')\nexcept ImportError as error:\n    print(error)\n"
    )
    done = python("-c", code)
    assert hint in done.stdout
    assert "pip install" in done.stdout


def test_names_without_their_scheme_are_recognized() -> None:
    with pytest.raises(ValueError, match="Did you mean 'mjlab:Mjlab-Cartpole-Balance'"):
        make_env("Mjlab-Cartpole-Balance")
    with pytest.raises(ValueError, match="Did you mean 'isaaclab:Isaac-Ant-v0'"):
        make_env("Isaac-Ant-v0")
