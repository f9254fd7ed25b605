# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Cutting rollouts at episode ends, against a loop over environments as the second method."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from tensordict import TensorDict

from rsl_rl.core.trajectories import split_and_pad_trajectories, unpad_trajectories


def split_by_hand(rollout: torch.Tensor, dones: torch.Tensor) -> list[torch.Tensor]:
    """Return the pieces, environment by environment."""
    pieces = []
    for env in range(rollout.shape[1]):
        first = 0
        for step in range(len(rollout)):
            if dones[step, env] or step == len(rollout) - 1:
                pieces.append(rollout[first : step + 1, env])
                first = step + 1
    return pieces


@given(
    num_steps=st.integers(1, 9),
    num_envs=st.integers(1, 5),
    share=st.sampled_from([0.0, 0.2, 0.6, 1.0]),
    seed=st.integers(0, 1000),
)
def test_trajectories_agree_with_a_loop_and_come_back(num_steps: int, num_envs: int, share: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    rollout = torch.randn(num_steps, num_envs, 2, generator=generator)
    dones = torch.rand(num_steps, num_envs, 1, generator=generator) < share
    padded, masks = split_and_pad_trajectories(rollout, dones.to(torch.uint8))
    pieces = split_by_hand(rollout, dones)
    assert padded.shape == (num_steps, len(pieces), 2)
    assert masks.sum(0).tolist() == [len(piece) for piece in pieces]
    for index, piece in enumerate(pieces):
        assert torch.equal(padded[: len(piece), index], piece)
        assert masks[: len(piece), index].all()
        assert not padded[len(piece) :, index].any()
    assert torch.equal(unpad_trajectories(padded, masks), rollout)


def test_groups_keep_their_types() -> None:
    rollout = TensorDict(
        {"vector": torch.randn(3, 2, 4), "image": torch.randint(0, 256, (3, 2, 1, 5, 5), dtype=torch.uint8)}, [3, 2]
    )
    dones = torch.tensor([[0, 1], [1, 0], [0, 0]])
    padded, masks = split_and_pad_trajectories(rollout, dones)
    assert padded.batch_size == (3, 4)
    assert padded["image"].dtype == torch.uint8
    back = unpad_trajectories(padded, masks)
    assert back.batch_size == (3, 2)
    assert all(torch.equal(back[key], rollout[key]) for key in ("vector", "image"))


def test_groups_of_any_batch_size_become_batches_of_trajectories() -> None:
    dones = torch.tensor([[0, 1], [1, 0], [0, 0]])
    for batch_size in ([3], [3, 2], [3, 2, 4]):
        groups = TensorDict({"vector": torch.randn(3, 2, 4)}, batch_size)
        padded, masks = split_and_pad_trajectories(groups, dones)
        assert padded.batch_size == (3, 4)
        assert unpad_trajectories(padded, masks).batch_size == (3, 2)
