# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The adapter acts like a plain loop over single environments, whatever the vector environment's autoreset mode."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from rsl_rl.env import GymnasiumVecEnv
from tests.env.toys import AllOrNothing, Buttons, Drift, register

register()
N, STEPS = 3, 40
MODES = list(AutoresetMode)


def groups_of(observation: Any) -> dict[str, np.ndarray]:
    if not isinstance(observation, dict):
        return {"policy": np.asarray(observation, np.float32)}
    return {
        "state": observation["state"].astype(np.float32),
        "image": observation["image"].transpose(2, 0, 1),
        "time": np.asarray([observation["time"]], np.float32),
    }


class PlainLoop:
    """Steps single environments one by one and resets each by hand when it ends."""

    def __init__(self, name: str, seed: int) -> None:
        self.envs = [gymnasium.make(name) for _ in range(N)]
        self.observations = [groups_of(env.reset(seed=seed + i)[0]) for i, env in enumerate(self.envs)]
        self.lengths = [0] * N

    def step(self, actions: np.ndarray) -> list[dict]:
        outcomes = []
        for index, (env, action) in enumerate(zip(self.envs, actions, strict=True)):
            observation, reward, terminated, truncated, _ = env.step(action)
            done, final = terminated or truncated, groups_of(observation)
            self.lengths[index] += 1
            if done:
                observation, _ = env.reset()
                self.lengths[index] = 0
            self.observations[index] = groups_of(observation)
            time_out = truncated and not terminated
            outcomes.append({"reward": reward, "done": done, "time_out": time_out, "final": final})
        return outcomes


def check_against_plain_loop(env: GymnasiumVecEnv, name: str, seed: int) -> None:
    loop, rng = PlainLoop(name, seed), np.random.default_rng(0)
    obs = env.get_observations()
    ends = {"terminated": 0, "timed out": 0}
    for _ in range(STEPS):
        for index in range(N):
            for group, expected in loop.observations[index].items():
                np.testing.assert_array_equal(obs[group][index].numpy(), expected)
        assert env.episode_length_buf.tolist() == loop.lengths
        actions = rng.uniform(-0.5, 0.5, (N, 2)).astype(np.float32)
        outcomes = loop.step(actions)
        obs, rewards, dones, extras = env.step(torch.from_numpy(actions))
        assert rewards.tolist() == [np.float32(outcome["reward"]) for outcome in outcomes]
        assert dones.tolist() == [outcome["done"] for outcome in outcomes]
        assert extras["time_outs"].tolist() == [outcome["time_out"] for outcome in outcomes]
        assert ("final_obs" in extras) == any(dones)
        for index, outcome in enumerate(outcomes):
            if outcome["done"]:
                ends["timed out" if outcome["time_out"] else "terminated"] += 1
                for group, expected in outcome["final"].items():
                    np.testing.assert_array_equal(extras["final_obs"][group][index].numpy(), expected)
    assert min(ends.values()) > 2  # both ways to end were met


@pytest.mark.parametrize("name", ["Drift-v0", "DriftDict-v0"])
@pytest.mark.parametrize("copy", [True, False])
@pytest.mark.parametrize("mode", MODES)
def test_sync_vector_env(mode: AutoresetMode, copy: bool, name: str) -> None:
    envs = SyncVectorEnv([lambda: gymnasium.make(name)] * N, copy=copy, autoreset_mode=mode)
    check_against_plain_loop(GymnasiumVecEnv(envs, seed=5), name, seed=5)


@pytest.mark.parametrize("mode", MODES)
def test_async_vector_env(mode: AutoresetMode) -> None:
    envs = AsyncVectorEnv([lambda: gymnasium.make("DriftDict-v0")] * N, autoreset_mode=mode, context="fork")
    env = GymnasiumVecEnv(envs, seed=5)
    try:
        check_against_plain_loop(env, "DriftDict-v0", seed=5)
    finally:
        env.close()


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.DISABLED])
def test_async_vector_env_without_shared_memory(mode: AutoresetMode) -> None:
    makers = [lambda: gymnasium.make("Drift-v0")] * N
    env = GymnasiumVecEnv(AsyncVectorEnv(makers, shared_memory=False, autoreset_mode=mode, context="fork"), seed=5)
    try:
        check_against_plain_loop(env, "Drift-v0", seed=5)
    finally:
        env.close()


def test_async_vector_env_that_would_reset_twice_is_refused() -> None:
    envs = AsyncVectorEnv([lambda: gymnasium.make("Drift-v0")], shared_memory=False, context="fork")
    try:
        with pytest.raises(ValueError, match="resets again after it was reset on request, which wastes a transition"):
            GymnasiumVecEnv(envs)
    finally:
        envs.close()


def test_vector_env_that_can_only_be_reset_as_a_whole() -> None:
    env = GymnasiumVecEnv(AllOrNothing(AutoresetMode.NEXT_STEP))
    env.step(torch.zeros(2, 1))
    with pytest.raises(ValueError, match="AllOrNothing did not reset 1 of its 2 environments alone"):
        env.step(torch.zeros(2, 1))
    # Resetting all at once is all it takes where all end at once.
    env = GymnasiumVecEnv(AllOrNothing(AutoresetMode.DISABLED, lengths=(2, 2)))
    env.step(torch.zeros(2, 1))
    obs, _, dones, extras = env.step(torch.zeros(2, 1))
    assert dones.all()
    assert (obs["policy"].tolist(), extras["final_obs"]["policy"].tolist()) == ([[0.0], [0.0]], [[2.0], [2.0]])


def test_no_final_observation_is_invented() -> None:
    # In same-step mode the returned observation is that of the next episode: no final_obs rather than a wrong one.
    env = GymnasiumVecEnv(AllOrNothing(AutoresetMode.SAME_STEP))
    env.step(torch.zeros(2, 1))
    _, _, dones, extras = env.step(torch.zeros(2, 1))
    assert dones.tolist() == [True, False]
    assert "final_obs" not in extras


def make(name: str = "Drift-v0", mode: AutoresetMode = AutoresetMode.NEXT_STEP, **options: Any) -> GymnasiumVecEnv:
    return GymnasiumVecEnv(SyncVectorEnv([lambda: gymnasium.make(name)] * N, autoreset_mode=mode), seed=0, **options)


def test_groups_types_and_sizes() -> None:
    env = make("DriftDict-v0")
    obs, rewards, dones, extras = env.step(torch.zeros(N, 2))
    assert obs.batch_size == (N,)
    assert {group: (tuple(value.shape[1:]), value.dtype) for group, value in obs.items()} == {
        "state": ((3,), torch.float32),
        "image": ((3, 6, 5), torch.uint8),
        "time": ((1,), torch.float32),
    }
    assert (rewards.dtype, dones.dtype, extras["time_outs"].dtype) == (torch.float32, torch.bool, torch.bool)
    assert (env.num_envs, env.num_actions, env.max_episode_length, env.step_dt) == (N, 2, 7, 0.05)
    assert env.unwrapped.step_dt == 0.05


def test_actions_are_clipped_to_the_box() -> None:
    # The environment itself asserts that its actions are within bounds.
    make().step(torch.full((N, 2), 100.0))


@pytest.mark.parametrize("mode", MODES)
def test_infos_are_those_of_the_transitions_averaged_over_the_environments_that_gave_them(mode: AutoresetMode) -> None:
    # The environment tells its height in each step, but 'odd' in odd steps only, and another height when it is reset.
    env, episodes = make(mode=mode), 0
    for _ in range(20):
        before = env.episode_length_buf.clone()
        obs, _, dones, extras = env.step(torch.zeros(N, 2))
        last = (
            torch.where(dones[:, None], extras["final_obs"]["policy"], obs["policy"]) if dones.any() else obs["policy"]
        )
        np.testing.assert_allclose(env.last_info["height"], last[:, 2].numpy(), rtol=1e-6)
        assert extras["log"]["height"] == pytest.approx(last[:, 2].mean().item(), rel=1e-5)
        assert extras["log"].get("odd") == (1.0 if (before % 2 == 0).any() else None)
        episodes += int(dones.sum())
    assert episodes > 5


@pytest.mark.parametrize("mode", MODES)
def test_assigned_episode_lengths_let_episodes_time_out_at_different_moments(mode: AutoresetMode) -> None:
    env = GymnasiumVecEnv(
        SyncVectorEnv([lambda: gymnasium.make("Pendulum-v1", max_episode_steps=9)] * N, autoreset_mode=mode), seed=0
    )
    env.episode_length_buf = torch.tensor([0, 4, 8])
    timed_out: dict[int, list[int]] = {index: [] for index in range(N)}
    for step in range(1, 21):
        obs, _, dones, extras = env.step(torch.zeros(N, 1))
        assert torch.equal(dones, extras["time_outs"])
        for index in dones.nonzero().flatten().tolist():
            timed_out[index].append(step)
            assert not torch.equal(obs["policy"][index], extras["final_obs"]["policy"][index])
    # After the first one, episodes have their full 9 steps again.
    assert timed_out == {0: [9, 18], 1: [5, 14], 2: [1, 10, 19]}
    assert env.episode_length_buf.tolist() == [2, 6, 1]


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_episode_length_is_that_of_the_time_limit(mode: str) -> None:
    def made(envs: gymnasium.vector.VectorEnv, **options: Any) -> Any:
        env = GymnasiumVecEnv(envs, **options)
        env.close()
        return env.max_episode_length

    def spelled(**options: Any) -> gymnasium.vector.VectorEnv:
        return gymnasium.make_vec("Pendulum-v1", num_envs=1, vectorization_mode=mode, **options)

    assert made(spelled()) == 200  # Gymnasium's own
    assert made(spelled(max_episode_steps=37)) == 37
    assert made(spelled(), max_episode_length=11) == 11
    assert made({"sync": SyncVectorEnv, "async": AsyncVectorEnv}[mode]([Drift])) == 1000  # it has none


def test_final_and_next_observations_share_no_memory() -> None:
    env = make()
    for _ in range(7):
        obs, _, _, extras = env.step(torch.zeros(N, 2))
        if "final_obs" in extras:
            before = obs["policy"].clone()
            extras["final_obs"]["policy"].fill_(99.0)
            assert torch.equal(obs["policy"], before)
            return
    raise AssertionError("no episode ended")


def test_observations_survive_the_next_step() -> None:
    env = GymnasiumVecEnv(SyncVectorEnv([lambda: gymnasium.make("Drift-v0")] * N, copy=False), seed=0)
    first = env.get_observations()
    before = first.clone()
    env.step(torch.ones(N, 2))
    assert torch.equal(first["policy"], before["policy"])


class SameArrays(SyncVectorEnv):
    """Writes every step into the arrays that it returned for the first one."""

    arrays: Any = None

    def step(self, actions: np.ndarray) -> Any:
        observations, rewards, terminated, truncated, infos = super().step(actions)
        fresh = (observations, rewards.astype(np.float32), terminated, truncated)
        if self.arrays is None:
            self.arrays = fresh
        for array, values in zip(self.arrays, fresh, strict=True):
            array[...] = values
        return (*self.arrays, infos)


def test_what_a_step_returned_survives_the_next_steps() -> None:
    env = GymnasiumVecEnv(SameArrays([lambda: gymnasium.make("Drift-v0")] * N), seed=0)
    returned, copies = [], []
    for _ in range(20):
        obs, rewards, dones, extras = env.step(torch.zeros(N, 2))
        tensors = [obs["policy"], rewards, dones, extras["time_outs"]]
        returned.append(tensors)
        copies.append([tensor.clone() for tensor in tensors])
    assert any(step[2].any() for step in copies)
    for tensors, before in zip(returned, copies, strict=True):
        assert all(torch.equal(tensor, copy) for tensor, copy in zip(tensors, before, strict=True))


def test_discrete_actions_are_refused() -> None:
    with pytest.raises(TypeError, match=r"The action space is Discrete\(2\). Only continuous actions are supported"):
        GymnasiumVecEnv(SyncVectorEnv([Buttons]))


def test_other_observation_spaces_are_refused() -> None:
    with pytest.raises(TypeError, match="The observation 'policy' is a Discrete space. Supported: Box"):
        GymnasiumVecEnv(SyncVectorEnv([lambda: Drift("discrete")]))


def test_only_the_first_reset_is_seeded() -> None:
    env, same = make(), make()
    first = env.reset()["policy"]
    assert torch.equal(first, same.reset()["policy"])
    assert not torch.equal(first, env.reset()["policy"])


def test_bytes_become_floats_unless_they_are_an_image() -> None:
    from rsl_rl.env.spaces import GroupReader

    def read(*shape: int) -> torch.Tensor:
        return GroupReader(gymnasium.spaces.Box(0, 255, shape, np.uint8), "group").read(np.ones((2, *shape), np.uint8))

    read_as = {shape: (tuple(read(*shape).shape), read(*shape).dtype) for shape in [(6,), (6, 5), (6, 5, 4), (4, 6, 5)]}
    assert read_as == {
        (6,): ((2, 6), torch.float32),
        (6, 5): ((2, 1, 6, 5), torch.uint8),
        (6, 5, 4): ((2, 4, 6, 5), torch.uint8),
        (4, 6, 5): ((2, 4, 6, 5), torch.uint8),
    }


def test_wrong_calls_are_explained() -> None:
    with pytest.raises(ValueError, match=r"Expected actions of shape \[3, 2\] \(environments, actions\), got \[3, 1\]"):
        make().step(torch.zeros(N, 1))
    with pytest.raises(TypeError, match=r"Expected a gymnasium.vector.VectorEnv, got Drift. Make one with"):
        GymnasiumVecEnv(Drift())
    with pytest.raises(RuntimeError, match="made without rendering. Make it with render_mode='rgb_array'"):
        make().render()


def test_rendering_gives_one_image_per_environment() -> None:
    env = GymnasiumVecEnv(
        gymnasium.make_vec("Drift-v0", num_envs=2, vectorization_mode="sync", render_mode="rgb_array")
    )
    env.get_observations()
    assert [frame.shape for frame in env.render()] == [(8, 8, 3)] * 2


def test_a_flat_observation_can_be_divided_into_groups() -> None:
    whole, parts = make(), make(groups={"last": [2], "swapped": [1, 0]})
    ended = False
    for _ in range(STEPS):
        expected, _, _, extras = whole.step(torch.full((N, 2), 0.4))
        obs, _, dones, extras_of_parts = parts.step(torch.full((N, 2), 0.4))
        assert list(obs.keys()) == ["last", "swapped"]
        assert torch.equal(torch.cat([obs["swapped"].flip(1), obs["last"]], 1), expected["policy"])
        if dones.any():
            ended = True
            assert torch.equal(extras_of_parts["final_obs"]["last"], extras["final_obs"]["policy"][:, 2:])
    assert ended


def test_parts_of_a_group_become_further_groups() -> None:
    env = make("DriftDict-v0")
    name = next(name for name, value in env.get_observations().items() if value.ndim == 2 and value.shape[1] > 1)
    env = make("DriftDict-v0", groups={"part": {name: "1:2"}})
    ended = False
    for _ in range(STEPS):
        obs, _, dones, extras = env.step(torch.full((N, 2), 0.4))
        assert torch.equal(obs["part"], obs[name][:, 1:2])
        if dones.any():
            ended = True
            assert torch.equal(extras["final_obs"]["part"], extras["final_obs"][name][:, 1:2])
    assert ended


@pytest.mark.parametrize(
    ("name", "groups", "message"),
    [
        ("Drift-v0", {"a": [3]}, r"'a' must list entries 0 to 2 of the observation, .*, got \[3\]"),
        ("Drift-v0", {"a": "0:4"}, r"'a' must list entries 0 to 2 of the observation, .*, got \[0, 1, 2, 3\]"),
        ("Drift-v0", {"a": "first"}, r"or be a range like '0:3', got 'first'"),
        ("DriftDict-v0", {"a": {"nothing": "0:1"}}, "must be a part of one of"),
        ("Drift-v0", {"a": []}, "'a' must list entries 0 to 2"),
        ("Drift-v0", {"a": None}, "'a' must list entries 0 to 2"),
        ("DriftDict-v0", {"a": {"state": None}}, "'a' must list entries 0 to 2"),
        ("DriftDict-v0", {"a": {"image": "0:1"}}, r"cannot be part of an image of shape \(6, 5, 3\)"),
        ("DriftDict-v0", {"a": [0]}, "must be a part of one of"),
    ],
)
def test_groups_that_do_not_fit_are_refused(name: str, groups: dict[str, list[int]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(name, groups=groups)
