# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Compiled updates."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.algorithms.test_combinations import CameraEnv, build, config, rollout


def test_a_recurrent_update_is_not_compiled_for_every_number_of_trajectories(monkeypatch: pytest.MonkeyPatch) -> None:
    compile_ = torch.compile

    def traced(function: Any, mode: str, **options: Any) -> Any:
        # Tracing counts; generating the code takes long and comes after.
        return compile_(function, backend="eager", **options)

    monkeypatch.setattr(torch, "compile", traced)
    algorithms = []
    for mode in (None, "default"):
        env = CameraEnv()
        alg = build(env, config("lstm", num_learning_epochs=1, num_mini_batches=1))
        alg.compile(mode)
        algorithms.append(alg)
        with torch._dynamo.config.patch(recompile_limit=4, fail_on_recompile_limit_hit=True):
            for num_episode_ends in range(1, 8):
                rollout(alg, env)
                alg.storage.dones.zero_()
                alg.storage.dones[:num_episode_ends, 0] = 1
                alg.update()
    eager, compiled = (alg.actor.state_dict() for alg in algorithms)
    torch.testing.assert_close(compiled, eager, rtol=1e-4, atol=1e-5)
