# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Environments by name."""

from __future__ import annotations

import ast
import os
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from rsl_rl.env import VecEnv, make_env
from tests.env.toys import register
from tests.envs import PointEnv
from tests.processes import python

register()


def play(env: VecEnv, steps: int, seed: int = 0) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    rows = []
    for _ in range(steps):
        actions = torch.rand(env.num_envs, env.num_actions, generator=rng) * 2 - 1
        obs, rewards, dones, _extras = env.step(actions)
        rows.append(torch.cat([*(group.flatten(1) for group in obs.values()), rewards[:, None], dones[:, None]], 1))
    return torch.stack(rows)


def test_gymnasium_by_name() -> None:
    env = make_env("gym:Drift-v0", num_envs=3, seed=1)
    assert (env.num_envs, env.cfg["env"]) == (3, "gym:Drift-v0")  # type: ignore[index]
    assert torch.equal(play(env, 20), play(make_env("gym:Drift-v0", num_envs=3, seed=1), 20))
    assert not torch.equal(play(env, 20), play(make_env("gym:Drift-v0", num_envs=3, seed=2), 20))


def point(num_envs: int, seed: int, device: str, **options: Any) -> PointEnv:
    return PointEnv(num_envs, seed=seed, **options)


def no_env(**_: Any) -> SimpleNamespace:
    return SimpleNamespace(num_envs=1, step=None)


def test_factory_by_name() -> None:
    env = make_env(f"{__name__}:point", num_envs=2, seed=3, max_episode_length=5)
    assert isinstance(env, PointEnv)
    assert (env.num_envs, env.max_episode_length) == (2, 5)
    with pytest.raises(TypeError, match="is not a VecEnv: it lacks device, .*get_observations, .*num_actions"):
        make_env(f"{__name__}:no_env")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Drift-v0", "names no environment: it must be 'mujoco:TASK', .* Did you mean 'gym:Drift-v0'"),
        ("Antt-v5", "Did you mean 'gym:Ant-v5'"),
        ("gym:Antt-v5", "no environment 'Antt-v5'. Did you mean 'Ant-v5'"),
        ("gmy:Ant-v5", "Cannot import the environment 'gmy:Ant-v5'. Did you mean 'gym:Ant-v5'"),
        ("gymnasium:Ant-v5", "Cannot find the environment 'gymnasium:Ant-v5': .* Did you mean 'gym:Ant-v5'"),
        ("tests.envs:PointEnvv", "^Cannot find .*: 'tests.envs' has no attribute 'PointEnvv'. Did you mean 'PointEnv'"),
    ],
)
def test_wrong_names_list_near_matches(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_env(name)


def test_wrong_option_is_named() -> None:
    with pytest.raises(ValueError, match="Gymnasium cannot make 'Drift-v0' with {'fom': 'dict'}"):
        make_env("gym:Drift-v0", fom="dict")


@pytest.mark.parametrize(
    ("package", "name", "line"),
    [
        ("gymnasium", "gym:Ant-v5", '(1.1 or newer) is not installed: pip install "gymnasium[mujoco]" mujoco\n'),
        ("envpool", "envpool:CartpoleBalance-v1", "EnvPool is not installed: pip install envpool\n"),
    ],
)
def test_missing_package_gives_its_install_line(package: str, name: str, line: str) -> None:
    # A None entry in sys.modules is how Python itself marks a module that cannot be imported.
    code = (
        f"import sys; sys.modules['{package}'] = None\n"
        "from rsl_rl.env import make_env\n"
        f"try:\n    make_env('{name}')\nexcept ImportError as error:\n    print(error)\n"
    )
    done = python("-c", code)
    assert done.stdout.endswith(line) or "EnvPool is not installed: it needs Python 3.11 or newer" in done.stdout


@pytest.mark.envpool
class TestEnvPool:
    def test_it_acts_like_single_environments_that_are_reset_by_hand(self) -> None:
        # Task seeds: environment i of a pool is seeded with seed + i.
        import envpool

        options = {"max_episode_steps": 6}
        env = make_env("envpool:InvertedPendulum-v4", num_envs=3, seed=10, **options)
        singles = [
            envpool.make("InvertedPendulum-v4", env_type="gymnasium", num_envs=1, seed=10 + index, **options)
            for index in range(3)
        ]
        expected = [single.reset()[0][0] for single in singles]
        lengths, rng = [0] * 3, np.random.default_rng(0)
        obs, ends = env.get_observations(), set()
        for _ in range(60):
            np.testing.assert_array_equal(obs["policy"].numpy(), np.stack(expected).astype(np.float32))
            assert env.episode_length_buf.tolist() == lengths
            actions = rng.uniform(-3, 3, (3, 1))
            obs, rewards, dones, extras = env.step(torch.from_numpy(actions))
            for index, single in enumerate(singles):
                observation, reward, terminated, truncated, _ = single.step(actions[index : index + 1])
                done = bool(terminated[0] or truncated[0])
                assert (rewards[index].item(), dones[index].item()) == (np.float32(reward[0]), done)
                assert extras["time_outs"][index].item() == bool(truncated[0] and not terminated[0])
                lengths[index] += 1
                if done:
                    final = extras["final_obs"]["policy"][index].numpy()
                    np.testing.assert_array_equal(final, observation[0].astype(np.float32))
                    ends.add("terminated" if terminated[0] else "timed out")
                    observation, _ = single.reset()
                    lengths[index] = 0
                expected[index] = observation[0]
        assert ends == {"terminated", "timed out"}

    def test_go1_gives_the_groups_and_terms_of_its_task(self) -> None:
        env = make_env("envpool:Go1JoystickFlatTerrain-v1", num_envs=2, seed=1)
        assert {name: tuple(group.shape) for name, group in env.get_observations().items()} == {
            "state": (2, 48),
            "privileged_state": (2, 123),
        }
        _, _, _, extras = env.step(torch.zeros(2, 12))
        assert "reward_tracking_lin_vel" in extras["log"]
        assert not {"env_id", "elapsed_step", "command"} & set(extras["log"])
        assert (env.max_episode_length, env.unwrapped.step_dt) == (1000, 0.02)  # type: ignore[attr-defined]

    def test_assigned_episode_lengths_let_episodes_time_out_at_different_moments(self) -> None:
        env = make_env("envpool:Pendulum-v1", num_envs=2, seed=1, max_episode_steps=9)
        assert env.max_episode_length == 9
        env.episode_length_buf = torch.tensor([0, 5])
        dones = torch.stack([env.step(torch.zeros(2, 1))[2] for _ in range(14)])
        assert dones.nonzero().tolist() == [[3, 1], [8, 0], [12, 1]]

    def test_pools_that_return_some_environments_only_are_refused(self) -> None:
        with pytest.raises(ValueError, match="returns 2 of its 4 environments at a time"):
            make_env("envpool:Pendulum-v1", num_envs=4, batch_size=2)

    def test_seed_decides(self) -> None:
        first, again, other = (
            play(make_env("envpool:CartpoleBalance-v1", num_envs=2, seed=seed), 20) for seed in (1, 1, 2)
        )
        assert torch.equal(first, again)
        assert not torch.equal(first, other)

    @pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Processes cannot be kept on some cores here")
    @pytest.mark.parametrize(("cores", "options"), [("all", ""), ("one", ""), ("all", "thread_affinity_offset=-1")])
    def test_each_thread_has_a_core_of_its_own_where_the_process_may_use_all(self, cores: str, options: str) -> None:
        usable = sorted(os.sched_getaffinity(0))
        if cores == "all" and len(usable) < (os.cpu_count() or 1):
            pytest.skip("this process may not use all cores")
        chosen = usable if cores == "all" else usable[-1:]
        code = (
            "import os\n"
            "from rsl_rl.env import make_env\n"
            f"os.sched_setaffinity(0, {chosen})\n"
            "before = set(os.listdir('/proc/self/task'))\n"
            f"env = make_env('envpool:Pendulum-v1', num_envs=os.cpu_count(), seed=1, {options})\n"
            "threads = set(os.listdir('/proc/self/task')) - before\n"
            "print(*sorted({tuple(os.sched_getaffinity(int(thread))) for thread in threads}), sep=';')\n"
        )
        done = python("-c", code)
        found = {ast.literal_eval(affinity) for affinity in done.stdout.strip().split(";")}
        is_pinned = cores == "all" and not options
        # One thread of EnvPool's does not simulate.
        assert found == {tuple(chosen)} | ({(core,) for core in chosen} if is_pinned else set())

    def test_wrong_names_and_options(self) -> None:
        with pytest.raises(ValueError, match="EnvPool has no environment 'Go1Joystick-v1'. Did you mean 'Go1Joystick"):
            make_env("envpool:Go1Joystick-v1")
        with pytest.raises(ValueError, match="EnvPool cannot make 'CartpoleBalance-v1' with {'foo': 3}"):
            make_env("envpool:CartpoleBalance-v1", foo=3)
