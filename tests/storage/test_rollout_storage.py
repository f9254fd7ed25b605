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


@pytest.mark.parametrize("actions", [torch.zeros(A, N), torch.zeros(A * N), torch.zeros(N, A + 1)])
def test_actions_of_another_shape_are_refused(actions: torch.Tensor) -> None:
    step = transition(0.0)
    step.actions = actions
    with pytest.raises(RuntimeError, match="must match"):
        RolloutStorage("rl", N, T, observations(), [A]).add_transition(step)


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


def recurrent(num_envs: int = N) -> RolloutStorage:
    """Every step carries its own number, 100 * step + environment; hidden states are minus that."""
    obs = TensorDict({"policy": torch.zeros(num_envs, 1)}, [num_envs])
    storage = RolloutStorage("rl", num_envs, T, obs, [A])
    for step in range(T):
        number = 100.0 * step + torch.arange(num_envs)
        added = RolloutStorage.Transition()
        added.observations = TensorDict({"policy": number.unsqueeze(1)}, [num_envs])
        added.actions, added.values = number.unsqueeze(1).expand(-1, A), number.unsqueeze(1)
        added.rewards = added.actions_log_prob = number
        # Environment e ends its episode at step e.
        added.dones = torch.arange(num_envs) == step
        added.distribution_params = (added.actions, torch.ones(num_envs, A))
        state = -number.view(1, -1, 1).expand(2, -1, 3)
        added.hidden_states = (None, None) if step == 0 else ((state, 2 * state), state)
        storage.add_transition(added)
    return storage


def test_recurrent_mini_batches_are_whole_environments_cut_into_trajectories() -> None:
    storage = recurrent()
    batches = list(storage.recurrent_mini_batch_generator(2, 2))
    assert len(batches) == 4
    assert batches[:2] == batches[2:]
    for index, batch in enumerate(batches[:2]):
        envs = torch.tensor([2 * index, 2 * index + 1])
        number = 100.0 * torch.arange(T).view(T, 1) + envs
        assert torch.equal(batch.actions[..., 0], number)  # type: ignore[index]
        for value in (batch.values, batch.old_actions_log_prob):
            assert torch.equal(value[..., 0], number)  # type: ignore[index]
        assert torch.equal(batch.old_distribution_params[0][..., 0], number)  # type: ignore[index]
        # Every environment has two pieces, the second of which starts after its episode's end.
        starts = [(env, start) for env in envs.tolist() for start in (0, env + 1)]
        assert batch.masks is not None
        assert batch.observations is not None
        assert batch.masks.sum(0).tolist() == [env + 1 if start == 0 else T - start for env, start in starts]
        assert batch.observations["policy"][0, :, 0].tolist() == [100.0 * start + env for env, start in starts]
        # The rollout began with an empty hidden state.
        expected = torch.tensor([0.0 if start == 0 else -(100.0 * start + env) for env, start in starts])
        (hidden, cell), critic_state = batch.hidden_states  # type: ignore[misc]
        for state, factor in ((hidden, 1), (cell, 2), (critic_state, 1)):
            assert state.shape == (2, 4, 3)
            assert torch.equal(state, factor * expected.view(1, 4, 1).expand(2, 4, 3))


def test_a_next_rollout_begins_with_the_state_it_is_given() -> None:
    storage = recurrent()
    storage.clear()
    added = transition(0.0)
    added.observations = TensorDict({"policy": torch.zeros(N, 1)}, [N])
    added.hidden_states = ((torch.ones(2, N, 3), torch.ones(2, N, 3)), None)
    storage.add_transition(added)
    assert storage.saved_hidden_state_a is not None
    assert storage.saved_hidden_state_c is not None
    assert storage.saved_hidden_state_a[0][0].eq(1).all()
    assert storage.saved_hidden_state_c[0][0].eq(0).all()


def test_environments_left_over_are_not_used() -> None:
    batches = list(recurrent(5).recurrent_mini_batch_generator(2, 1))
    assert [batch.actions.shape[1] for batch in batches] == [2, 2]  # type: ignore[union-attr]
    assert batches[-1].actions[0, -1, 0] == 3.0  # type: ignore[index]
    with pytest.raises(ValueError, match="as many environments for a recurrent model, but the rollout has 5"):
        next(recurrent(5).recurrent_mini_batch_generator(6))


def test_distillation_keeps_the_teachers_actions_and_is_read_in_time_order() -> None:
    storage = RolloutStorage("distillation", N, T, observations(), [A])
    for step in range(T):
        added = transition(float(step))
        added.privileged_actions = torch.full((N, A), 10.0 + step)
        storage.add_transition(added)
    batches = list(storage.generator())
    assert [batch.actions[0, 0].item() for batch in batches] == [0.0, 1.0, 2.0, 3.0, 4.0]  # type: ignore[index]
    assert [batch.privileged_actions[0, 0].item() for batch in batches] == [10.0, 11.0, 12.0, 13.0, 14.0]  # type: ignore[index]
    assert [batch.observations["policy"][0, 0].item() for batch in batches] == [0.0, 1.0, 2.0, 3.0, 4.0]  # type: ignore[index]
    assert batches[0].dones.flatten().tolist() == [1, 0, 0, 1]  # type: ignore[union-attr]
    assert not hasattr(storage, "values")


def test_mini_batches_of_another_training_type_are_refused() -> None:
    student = RolloutStorage("distillation", N, T, observations(), [A])
    for generator in (
        filled().generator(),
        student.mini_batch_generator(1),
        student.recurrent_mini_batch_generator(1),
    ):
        with pytest.raises(ValueError, match="These mini-batches are for a storage of the training type"):
            next(generator)


def test_what_transitions_lack_is_filled_in_for_many_steps_at_once_as_soon_as_it_is_read() -> None:
    storage = RolloutStorage("rl", N, T, observations(), [A])
    sizes: list[int] = []

    def judge(steps: RolloutStorage.Transition) -> None:
        sizes.append(len(steps.actions))
        assert steps.observations["policy"].shape == (len(steps.actions), 3)
        steps.values, steps.actions_log_prob = steps.actions[:, :1] * 2, steps.distribution_params[0][:, 0] * 3
        if steps.time_outs is not None:
            steps.rewards = steps.rewards + torch.where(steps.time_outs, 10.0, 0.0)

    def rollout() -> None:
        storage.clear()
        for step in range(T):
            added = transition(float(step))
            if step != 1:  # The value of that one somebody has set.
                del added.values
            del added.actions_log_prob
            added.judge = judge
            if step == 2:
                added.time_outs = torch.arange(N) == 0
            storage.add_transition(added)

    storage.num_parts = 2
    rollout()
    assert sizes == [N]
    rewards = storage.rewards  # asks
    # Step 0, and after step 1, which lacked nothing any more, the others: at most half of the 5 steps at once.
    assert sizes == [N, N, 3 * N]
    assert rewards[:, 0, 0].tolist() == [0.0, 1.0, 12.0, 3.0, 4.0]
    assert rewards[:, 1, 0].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert storage.values[:, 0, 0].tolist() == [0.0, 1.0, 4.0, 6.0, 8.0]
    assert storage.actions_log_prob[:, 0, 0].tolist() == [0.0, 3.0, 6.0, 9.0, 12.0]
    assert sizes == [N, N, 3 * N]
    rollout()
    storage.clear()
    assert storage.values is storage._buffers["values"]
    assert sizes == [N, N, 3 * N, N]


def test_a_rollout_whose_steps_lack_less_is_filled_in_as_late_as_one_before_that_lacked_more() -> None:
    storage = RolloutStorage("rl", N, T, observations(), [A])
    asked: list[list[str]] = []

    def judge(steps: RolloutStorage.Transition) -> None:
        asked.append([name for name in ("values", "actions_log_prob") if name not in vars(steps)])
        if "values" not in vars(steps):
            steps.values = steps.actions[:, :1]
        steps.actions_log_prob = steps.values[:, 0] * 3

    for ends_by_reading in (True, False):
        for lacking in (("values", "actions_log_prob"), ("actions_log_prob",), ("values", "actions_log_prob")):
            asked.clear()
            for step in range(T):
                added = transition(float(step))
                for name in lacking:
                    delattr(added, name)
                added.judge = judge
                storage.add_transition(added)
            assert asked == []
            if ends_by_reading:
                assert storage.actions_log_prob.shape == (T, N, 1)
                assert asked == [list(lacking)]
                torch.testing.assert_close(storage.actions_log_prob, storage.values * 3)
            storage.clear()
