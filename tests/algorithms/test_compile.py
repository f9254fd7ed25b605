# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""``torch_compile_mode`` where the shapes of mini-batches change."""

from __future__ import annotations

import pytest
import torch
from torch._dynamo.utils import counters

from rsl_rl.runners import OnPolicyRunner
from tests.envs import PointEnv, point_config


@pytest.mark.skipif(torch.__version__ < "2.10", reason="older releases mind more than shapes")
def test_rollouts_with_other_numbers_of_trajectories_are_not_compiled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    # As for models of users, which get padded trajectories.
    monkeypatch.setattr("rsl_rl.algorithms.ppo.runs_over_segments", lambda *models: False)
    config = point_config(num_mini_batches=2, num_learning_epochs=1) | {"torch_compile_mode": "default"}
    config["actor"] |= {"class_name": "RNNModel", "rnn_type": "gru", "rnn_hidden_dim": 4}
    torch.manual_seed(0)
    runner = OnPolicyRunner(PointEnv(num_envs=12, max_episode_length=5), config)
    runner.learn(3, init_at_random_ep_len=True)
    compiled, numbers = counters["stats"]["unique_graphs"], set()
    generator = runner.alg.storage.recurrent_mini_batch_generator

    def watched(*arguments: int):
        for batch in generator(*arguments):
            numbers.add(batch.masks.shape[1])  # type: ignore[union-attr]
            yield batch

    runner.alg.storage.recurrent_mini_batch_generator = watched  # type: ignore[method-assign]
    runner.learn(12)
    assert len(numbers) > 3
    assert compiled > 0
    assert counters["stats"]["unique_graphs"] == compiled


def test_other_coefficients_are_learned_from_without_being_compiled_again() -> None:
    def learned(**top: str) -> torch.Tensor:
        torch.manual_seed(0)
        runner = OnPolicyRunner(PointEnv(8), point_config() | top)
        runner.learn(2)
        compiled = counters["stats"]["unique_graphs"]
        # As programs do that let the exploration fade.
        for entropy_coef, clip_param in ((0.5, 0.3), (0.4, 0.1), (0.0, 0.05)):
            runner.alg.entropy_coef, runner.alg.clip_param = entropy_coef, clip_param
            runner.learn(1)
        assert counters["stats"]["unique_graphs"] == compiled
        return runner.alg.actor.distribution.std_param.detach()

    torch.testing.assert_close(learned(torch_compile_mode="default"), learned(), rtol=1e-4, atol=1e-5)


def test_every_training_of_a_process_is_compiled() -> None:
    # torch gives up on a function that was compiled eight times.
    for num_envs in range(4, 24, 2):
        compiled = counters["stats"]["unique_graphs"]
        OnPolicyRunner(PointEnv(num_envs), point_config() | {"torch_compile_mode": "default"}).learn(1)
        assert counters["stats"]["unique_graphs"] > compiled
