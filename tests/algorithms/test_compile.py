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
