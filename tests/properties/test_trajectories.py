# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Cutting any rollout into trajectories and putting it together again."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from tensordict import TensorDict

from rsl_rl.utils import split_and_pad_trajectories, unpad_trajectories
from tests.properties.strategies import dones


@st.composite
def rollouts(draw: st.DrawFn) -> tuple[TensorDict, torch.Tensor]:
    """Groups [T, N, ...] in which no entry is 0 or occurs twice, and dones [T, N] or [T, N, 1]."""
    num_steps, num_envs = draw(st.integers(1, 8)), draw(st.integers(1, 5))
    groups = {}
    for group in draw(st.lists(st.sampled_from(["policy", "camera", "map"]), min_size=1, unique=True)):
        shape = (num_steps, num_envs, *draw(st.lists(st.integers(0, 3), max_size=3)))
        dtype = draw(st.sampled_from([torch.float32, torch.float64, torch.int32]))
        groups[group] = torch.arange(1, torch.Size(shape).numel() + 1, dtype=dtype).view(shape)
    ended = draw(dones(num_steps, num_envs))
    return TensorDict(groups, [num_steps, num_envs]), ended.unsqueeze(-1) if draw(st.booleans()) else ended


@given(rollouts())
def test_trajectories_are_ordered_by_environment_then_time_and_padded_with_zeros(
    drawn: tuple[TensorDict, torch.Tensor],
) -> None:
    rollout, ended = drawn
    num_steps, num_envs = rollout.batch_size
    pieces: list[list[tuple[int, int]]] = []  # (step, environment) of every step of every trajectory
    for env in range(num_envs):
        for step in range(num_steps):
            if step == 0 or ended[step - 1, env]:
                pieces.append([])
            pieces[-1].append((step, env))

    padded, masks = split_and_pad_trajectories(rollout, ended)
    assert masks.dtype == torch.bool
    assert padded.batch_size == masks.shape == (num_steps, len(pieces))
    for column, piece in enumerate(pieces):
        assert masks[:, column].tolist() == [True] * len(piece) + [False] * (num_steps - len(piece))
        for group, values in rollout.items():
            assert padded[group].dtype == values.dtype
            for position, (step, env) in enumerate(piece):
                assert torch.equal(padded[group][position, column], values[step, env])
            assert not padded[group][len(piece) :, column].any()


@given(rollouts())
def test_trajectories_put_together_again_are_the_rollout(drawn: tuple[TensorDict, torch.Tensor]) -> None:
    rollout, ended = drawn
    together = unpad_trajectories(*split_and_pad_trajectories(rollout, ended))
    assert together.batch_size == rollout.batch_size
    assert sorted(together.keys()) == sorted(rollout.keys())
    for group, values in rollout.items():
        assert torch.equal(together[group], values)
        assert torch.equal(unpad_trajectories(*split_and_pad_trajectories(values, ended)), values)


@given(rollouts())
def test_cutting_what_was_put_together_gives_the_same_trajectories(drawn: tuple[TensorDict, torch.Tensor]) -> None:
    rollout, ended = drawn
    for values in rollout.values():
        padded, masks = split_and_pad_trajectories(values, ended)
        again, masks_again = split_and_pad_trajectories(unpad_trajectories(padded, masks), ended)
        assert torch.equal(again, padded)
        assert torch.equal(masks_again, masks)
        assert masks.sum().item() == rollout.batch_size.numel()
