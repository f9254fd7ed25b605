# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Measuring on the device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from rsl_rl.telemetry.meters import EpisodeStatistics, MeanMeter, logged_by, means


def plain_loop(rewards: torch.Tensor, dones: torch.Tensor) -> tuple[list[float], list[float]]:
    """Episode by episode, in the order of steps, then environments."""
    sums, lengths = [0.0] * rewards.shape[1], [0] * rewards.shape[1]
    finished: tuple[list[float], list[float]] = ([], [])
    for reward_row, done_row in zip(rewards.tolist(), dones.tolist(), strict=True):
        for env, (reward, done) in enumerate(zip(reward_row, done_row, strict=True)):
            sums[env] += reward
            lengths[env] += 1
            if done:
                finished[0].append(sums[env])
                finished[1].append(lengths[env])
                sums[env], lengths[env] = 0.0, 0
    return finished[0][-100:], finished[1][-100:]


@given(
    seed=st.integers(0, 10_000),
    iterations=st.integers(1, 4),
    dtype=st.sampled_from([torch.bool, torch.uint8, torch.long, torch.float32]),
)
def test_episode_statistics_equal_a_plain_loop(seed: int, iterations: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(seed)
    steps, envs = 6, 5
    rewards = torch.randint(-3, 4, (iterations * steps, envs), generator=generator).float()
    dones = (torch.rand(iterations * steps, envs, generator=generator) < 0.3).to(dtype)
    # Room for 4 steps only: it grows by itself.
    statistics = EpisodeStatistics(envs, "cpu", num_steps=4)
    for iteration in range(iterations):
        for step in range(iteration * steps, (iteration + 1) * steps):
            statistics.step(rewards[step], dones[step])
        statistics.catch_up()
    returns, lengths = plain_loop(rewards, dones)
    assert list(statistics.returns) == returns
    assert list(statistics.lengths) == lengths


def test_intrinsic_rewards_are_kept_apart() -> None:
    statistics = EpisodeStatistics(1, "cpu", num_steps=2)
    statistics.step(torch.tensor([1.0]), torch.tensor([0]), torch.tensor([0.5]))
    statistics.step(torch.tensor([2.0]), torch.tensor([1]), torch.tensor([0.25]))
    statistics.catch_up()
    assert list(statistics.extrinsic_returns) == [3.0]
    assert list(statistics.intrinsic_returns) == [0.75]
    assert list(statistics.returns) == [3.75]


def test_intrinsic_rewards_that_come_late_split_the_return_from_then_on() -> None:
    statistics = EpisodeStatistics(1, "cpu", num_steps=3)
    statistics.step(torch.tensor([1.0]), torch.tensor([0]))
    statistics.step(torch.tensor([2.0]), torch.tensor([0]), torch.tensor([0.5]))
    # And a step without any: it adds to the extrinsic return only.
    statistics.step(torch.tensor([4.0]), torch.tensor([1]))
    statistics.catch_up()
    assert list(statistics.returns) == [7.5]
    assert list(statistics.extrinsic_returns) == [7.0]
    assert list(statistics.intrinsic_returns) == [0.5]
    assert list(statistics.lengths) == [3.0]


def test_episodes_that_ended_before_intrinsic_rewards_came_are_kept() -> None:
    statistics = EpisodeStatistics(1, "cpu", num_steps=2)
    statistics.step(torch.tensor([1.0]), torch.tensor([1]))
    statistics.step(torch.tensor([2.0]), torch.tensor([1]), torch.tensor([0.5]))
    statistics.catch_up()
    assert list(statistics.returns) == [1.0, 2.5]
    assert list(statistics.intrinsic_returns) == [0.0, 0.5]


def test_buffers_that_grew_in_inference_mode_can_be_written_outside_of_it() -> None:
    statistics = EpisodeStatistics(1, "cpu", num_steps=1)
    with torch.inference_mode():
        for _ in range(3):
            statistics.step(torch.tensor([1.0]), torch.tensor([0]), torch.tensor([0.5]))
    statistics.step(torch.tensor([1.0]), torch.tensor([1]), torch.tensor([0.5]))
    statistics.catch_up()
    assert list(statistics.returns) == [6.0]


@pytest.mark.parametrize(("saved_with", "loaded_with"), [(False, True), (True, False)])
def test_statistics_go_on_when_intrinsic_rewards_are_switched(saved_with: bool, loaded_with: bool) -> None:
    first, second = (EpisodeStatistics(1, "cpu", 2) for _ in range(2))
    first.step(torch.tensor([1.0]), torch.tensor([0]), torch.tensor([0.5]) if saved_with else None)
    first.catch_up()
    second.load_state_dict(first.state_dict())
    second.step(torch.tensor([2.0]), torch.tensor([1]), torch.tensor([0.25]))
    second.catch_up()
    assert list(second.extrinsic_returns) == [3.0]
    assert list(second.intrinsic_returns) == [0.75 if saved_with else 0.25]


def test_statistics_of_another_number_of_environments_are_refused() -> None:
    with pytest.raises(ValueError, match="of 3 environments do not fit 2"):
        EpisodeStatistics(2, "cpu", 2).load_state_dict(EpisodeStatistics(3, "cpu", 2).state_dict())


def test_saved_statistics_go_on() -> None:
    first, second = (EpisodeStatistics(2, "cpu", num_steps=2) for _ in range(2))
    first.step(torch.tensor([1.0, 1.0]), torch.tensor([1, 0]))
    first.catch_up()
    first.catch_up()
    second.load_state_dict(first.state_dict())
    for statistics in (first, second):
        statistics.step(torch.tensor([2.0, 2.0]), torch.tensor([1, 1]))
        statistics.catch_up()
    assert list(second.returns) == list(first.returns) == [1.0, 2.0, 3.0]


class CountedOperations(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def test_a_step_costs_few_operations_and_reads_nothing_back() -> None:
    statistics = EpisodeStatistics(8, "cpu", num_steps=4)
    with CountedOperations() as counted:
        statistics.step(torch.ones(8), torch.zeros(8, dtype=torch.bool))
    computing = [name for name in counted.names if not any(view in name for view in ("view", "select", "slice"))]
    # Setting the test's own inputs up takes two of them. This budget may only fall.
    assert len(computing) <= 8, computing
    assert not any("_local_scalar_dense" in name or "nonzero" in name for name in counted.names)


def test_mean_is_over_all_numbers_of_all_steps() -> None:
    first = {"number": 1.0, "tensor": torch.tensor([1.0, 2.0, 3.0]), "sometimes": torch.tensor(5)}
    (totals,) = MeanMeter().totals([first, {"number": 2.0, "tensor": torch.tensor(10.0)}])
    assert means([totals]) == {"number": 1.5, "tensor": 4.0, "sometimes": 5.0}
    # Of two processes, which need not have the same names.
    assert means([totals, {"number": (6.0, 1), "other": (4.0, 2)}]) == {
        "number": 3.0,
        "tensor": 4.0,
        "sometimes": 5.0,
        "other": 2.0,
    }


def test_what_is_overwritten_counts_as_it_was() -> None:
    buffers: dict[str, Any] = {
        "tensor": torch.tensor([1.0, 3.0]),
        "array": np.array([1.0, 3.0]),
        "list": [1.0, [np.array(3.0)]],
        "tuple": (np.array([1.0, 3.0]),),
    }
    before = logged_by({"log": buffers})
    buffers["tensor"].fill_(100.0)
    buffers["array"].fill(100.0)
    buffers["list"][1][0].fill(100.0)
    buffers["tuple"][0].fill(100.0)
    assert means(MeanMeter().totals([before])) == dict.fromkeys(buffers, 2.0)


@given(
    steps=st.lists(st.booleans(), min_size=1, max_size=12),
    with_intrinsic=st.booleans(),
    watched_from=st.integers(0, 12),
)
def test_running_sums_are_watched_from_any_step_on(steps: list[bool], with_intrinsic: bool, watched_from: int) -> None:
    generator = torch.Generator().manual_seed(len(steps))
    plain, watched = (EpisodeStatistics(3, "cpu", num_steps=4) for _ in range(2))
    length, total, inner = torch.zeros(3), torch.zeros(3), torch.zeros(3)
    for step, is_read in enumerate(steps):
        rewards, extra = torch.rand(3, generator=generator), torch.rand(3, generator=generator)
        dones = torch.rand(3, generator=generator) < 0.3
        for statistics in (plain, watched):
            statistics.step(rewards, dones, extra if with_intrinsic else None)
        length, total = length + 1, total + rewards + (extra if with_intrinsic else 0.0)
        inner = inner + (extra if with_intrinsic else 0.0)
        length, total, inner = (torch.where(dones, 0.0, sums) for sums in (length, total, inner))
        if is_read and step >= watched_from:
            seen = watched.running()
            torch.testing.assert_close(seen[0], length)
            torch.testing.assert_close(seen[1], total)
            torch.testing.assert_close(seen[3], inner)
            torch.testing.assert_close(seen[2], total - inner)
    assert watched.finished() == plain.finished()
    assert watched.returns == plain.returns
    assert watched.intrinsic_returns == plain.intrinsic_returns
    for mine, others in zip(watched.state_dict()["running"], plain.state_dict()["running"], strict=True):
        assert torch.equal(mine, others)
