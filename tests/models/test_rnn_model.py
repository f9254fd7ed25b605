# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The recurrent model: acting step by step, and the update's pass over whole trajectories."""

from __future__ import annotations

import pytest
import torch
from tensordict import TensorDict

from rsl_rl.core.trajectories import split_and_pad_trajectories
from rsl_rl.models import MLPModel, RNNModel
from rsl_rl.storage import RolloutStorage

GROUPS = {"actor": ["a", "b"], "critic": ["b"]}
kinds = pytest.mark.parametrize(("rnn_type", "layers"), [("lstm", 1), ("lstm", 3), ("gru", 1), ("GRU", 2)])


def rollout(num_steps: int, num_envs: int = 3, seed: int = 0) -> TensorDict:
    generator = torch.Generator().manual_seed(seed)
    groups = {"a": torch.randn(num_steps, num_envs, 2, generator=generator)}
    groups["b"] = 2.0 + torch.randn(num_steps, num_envs, 1, generator=generator)
    return TensorDict(groups, [num_steps, num_envs])


def build(rnn_type: str = "gru", layers: int = 1, obs_set: str = "actor", **options: object) -> RNNModel:
    torch.manual_seed(1)
    model = RNNModel(
        rollout(1)[0],
        GROUPS,
        obs_set,
        2,
        [8],
        obs_normalization=True,
        rnn_type=rnn_type,
        rnn_hidden_dim=6,
        rnn_num_layers=layers,
        **options,  # type: ignore[arg-type]
    )
    model.update_normalization(rollout(10))
    return model


@kinds
@pytest.mark.parametrize(
    "dones",
    [
        [[0, 0, 0]] * 7,
        [[0, 1, 0], [0, 0, 0], [1, 0, 0], [0, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]],
        [[0, 0, 1], [1, 0, 0], [0, 1, 1], [1, 0, 0], [0, 1, 1], [1, 0, 0], [1, 1, 1]],
    ],
    ids=["no episode ends", "some in the middle", "all trajectories are shorter than the rollout"],
)
def test_stepwise_acting_and_the_sequence_forward_agree(rnn_type: str, layers: int, dones: list[list[int]]) -> None:
    model, obs, done = build(rnn_type, layers), rollout(7), torch.tensor(dones)
    storage = RolloutStorage("rl", 3, 7, obs[0], [2])
    outputs = []
    with torch.inference_mode():
        model(rollout(1, seed=9)[0])  # The rollout begins in the middle of an episode.
        for step in range(7):
            transition = storage.Transition()
            transition.hidden_states = (model.get_hidden_state(), None)
            transition.observations, transition.dones, transition.rewards = obs[step], done[step], torch.zeros(3)
            transition.actions = model(obs[step])
            transition.values, transition.actions_log_prob = torch.zeros(3, 1), torch.zeros(3)
            outputs.append(transition.actions)
            storage.add_transition(transition)
            model.reset(done[step])
    [batch] = storage.recurrent_mini_batch_generator(1, 1)
    sequence = model(batch.observations, batch.masks, batch.hidden_states[0])
    torch.testing.assert_close(sequence, torch.stack(outputs), atol=1e-5, rtol=1e-5)
    assert sequence.requires_grad


def test_padding_does_not_reach_the_output() -> None:
    model, obs = build(), rollout(5)
    padded, masks = split_and_pad_trajectories(obs, torch.tensor([[0, 1, 0], [0] * 3, [1, 0, 0], [0] * 3, [0] * 3]))
    expected = model(padded, masks)
    for group in padded.values():
        group[~masks] = 1e6
    torch.testing.assert_close(model(padded, masks), expected)


@kinds
def test_done_environments_forget_and_the_others_do_not(rnn_type: str, layers: int) -> None:
    model, obs = build(rnn_type, layers), rollout(2)
    fresh = model(obs[1])
    model.reset()
    model(obs[0])
    model.reset(torch.tensor([1, 0, 0], dtype=torch.uint8))
    output = model(obs[1])
    torch.testing.assert_close(output[0], fresh[0])
    assert not torch.isclose(output[1:], fresh[1:]).all(dim=1).any()


def test_a_hidden_state_that_is_not_finite_is_forgotten_too() -> None:
    model = build("gru")
    model.reset(hidden_state=torch.full((1, 3, 6), torch.nan))
    model.reset(torch.tensor([True, True, False]))
    state = model.get_hidden_state()
    assert isinstance(state, torch.Tensor)
    assert not state[:, :2].any()
    assert state[:, 2].isnan().all()


@kinds
def test_detaching_cuts_the_history_of_the_chosen_environments(rnn_type: str, layers: int) -> None:
    model, obs = build(rnn_type, layers), rollout(2)
    first = obs[0].clone()
    first["a"].requires_grad_()
    model(first)
    model.detach_hidden_state(torch.tensor([1, 0, 0]))
    model(obs[1]).sum().backward()
    gradient = first["a"].grad
    assert gradient is not None
    assert not gradient[0].any()
    assert gradient[1:].any(dim=1).all()
    model(first)
    model.detach_hidden_state()
    state = model.get_hidden_state()
    assert not any(part.requires_grad for part in (state if isinstance(state, tuple) else (state,)))  # type: ignore[union-attr]


def test_feed_forward_models_unpad_what_recurrent_ones_need() -> None:
    obs, dones = rollout(4), torch.tensor([[0, 1, 0], [0, 0, 0], [1, 0, 1], [0, 0, 0]])
    model = MLPModel(obs[0], GROUPS, "actor", 2, [8])
    padded, masks = split_and_pad_trajectories(obs, dones)
    torch.testing.assert_close(model(padded, masks), torch.stack([model(obs[step]) for step in range(4)]))


def test_names_of_the_saved_tensors() -> None:
    assert [key for key in build("lstm", 2).state_dict() if key.startswith("rnn")] == [
        f"rnn.rnn.{name}_l{layer}" for layer in (0, 1) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    ]


def test_an_unknown_type_is_named() -> None:
    with pytest.raises(ValueError, match="Unknown rnn_type 'gur'.*'gru'"):
        build("gur")
    with pytest.raises(ValueError, match="either dones or a hidden state"):
        build().reset(torch.zeros(3), torch.zeros(1, 3, 6))
