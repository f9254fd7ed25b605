# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The rollout storage."""

from __future__ import annotations

import pytest
import torch
from tensordict import TensorDict

from rsl_rl.storage import RolloutStorage

T, N, A = 5, 4, 2


def observations(value: float = 0.0) -> TensorDict:
    image = torch.full((N, 1, 2, 2), int(value), dtype=torch.uint8)
    return TensorDict({"policy": torch.full((N, 3), value), "image": image}, [N])


def transition(value: float) -> RolloutStorage.Transition:
    step = RolloutStorage.Transition()
    step.observations = observations(value)
    step.actions = torch.full((N, A), value)
    step.rewards = torch.full((N,), value)
    step.dones = torch.tensor([True, False, False, True])
    step.values = torch.full((N, 1), value)
    step.actions_log_prob = torch.full((N,), value)
    step.distribution_params = (torch.full((N, A), value), torch.ones(N, A))
    return step


def filled() -> RolloutStorage:
    """Every sample carries its own number, 100 * step + environment, in the first entry of everything."""
    storage = RolloutStorage("rl", N, T, observations(), [A])
    number = torch.arange(T).view(T, 1) * 100.0 + torch.arange(N)
    for step in range(T):
        storage.add_transition(transition(float(step)))
    storage.observations["policy"][..., 0] = number
    for buffer in (storage.actions, storage.values, storage.returns, storage.advantages, storage.actions_log_prob):
        buffer[..., 0] = number
    assert storage.distribution_params is not None
    storage.distribution_params[0][..., 0] = number
    return storage


def test_buffers_have_the_documented_shapes_and_dtypes() -> None:
    storage = filled()
    assert storage.observations.batch_size == (T, N)
    assert storage.observations["image"].dtype == torch.uint8
    for name in ("rewards", "values", "returns", "advantages", "actions_log_prob"):
        assert getattr(storage, name).shape == (T, N, 1), name
    assert (storage.dones.dtype, tuple(storage.dones.shape)) == (torch.uint8, (T, N, 1))
    assert storage.dones[0].flatten().tolist() == [1, 0, 0, 1]
    assert storage.actions.shape == (T, N, A)
    assert storage.distribution_params is not None
    assert [tuple(param.shape) for param in storage.distribution_params] == [(T, N, A)] * 2


def test_a_full_rollout_overflows() -> None:
    storage = filled()
    with pytest.raises(OverflowError, match="holds 5 steps"):
        storage.add_transition(transition(0.0))
    with pytest.raises(OverflowError):
        storage.record_observations(observations())
    storage.clear()
    storage.add_transition(transition(0.0))
    assert storage.step == 1


def test_observations_are_copied_when_they_are_recorded() -> None:
    storage = RolloutStorage("rl", N, T, observations(), [A])
    obs, step = observations(1.0), transition(0.0)
    step.observations = storage.record_observations(obs)
    obs["policy"].fill_(99.0)
    storage.add_transition(step)
    assert storage.observations["policy"][0].unique().tolist() == [1.0]


def test_buffers_keep_their_addresses_over_rollouts() -> None:
    storage = filled()
    buffers = [storage.actions, storage.returns, storage.observations["policy"], *(storage.distribution_params or ())]
    addresses = [buffer.data_ptr() for buffer in buffers]
    storage.clear()
    for step in range(T):
        storage.add_transition(transition(float(step)))
    buffers = [storage.actions, storage.returns, storage.observations["policy"], *(storage.distribution_params or ())]
    assert [buffer.data_ptr() for buffer in buffers] == addresses


def test_rollout_in_inference_mode_can_be_learned_from() -> None:
    storage = RolloutStorage("rl", N, 1, observations(), [A])
    with torch.inference_mode():
        storage.add_transition(transition(1.0))
    batch = next(storage.mini_batch_generator(1, 1))
    assert batch.old_distribution_params is not None
    weight = torch.ones((), requires_grad=True)
    (batch.old_distribution_params[0] * weight).sum().backward()
    assert weight.grad is not None


def test_mini_batches_follow_the_documented_permutation() -> None:
    storage = filled()
    torch.manual_seed(3)
    batches = list(storage.mini_batch_generator(num_mini_batches=3, num_epochs=2))
    torch.manual_seed(3)
    order = torch.randperm(3 * (N * T // 3))
    numbers = (torch.arange(T).view(T, 1) * 100.0 + torch.arange(N)).flatten()
    assert len(batches) == 6
    for index, batch in enumerate(batches):
        start = (index % 3) * 6  # the same mini-batches in every epoch
        expected = numbers[order[start : start + 6]].tolist()
        assert batch.observations is not None
        assert batch.observations.batch_size == (6,)
        assert batch.observations["policy"][:, 0].tolist() == expected
        assert batch.old_distribution_params is not None
        fields = [batch.actions, batch.values, batch.returns, batch.advantages, batch.old_actions_log_prob]
        for field in [*fields, batch.old_distribution_params[0]]:
            assert field is not None
            assert field[:, 0].tolist() == expected


def test_more_mini_batches_than_samples_is_an_error() -> None:
    with pytest.raises(ValueError, match="21 mini-batches need at least as many samples, but the rollout has 20"):
        next(filled().mini_batch_generator(21, 1))


def test_unknown_training_type_is_an_error() -> None:
    with pytest.raises(ValueError, match="Unknown training type 'lr'. Valid: rl"):
        RolloutStorage("lr", N, T, observations(), [A])
