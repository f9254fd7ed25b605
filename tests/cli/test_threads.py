# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Which of torch's threads work when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from rsl_rl.algorithms import PPO
from rsl_rl.cli.main import main

SMALL = ["--num-envs", "2", "--iterations", "2", "--runner.num-steps-per-env", "4"]
SMALL += ["--runner.actor.hidden-dims", "8", "--runner.critic.hidden-dims", "8"]


@pytest.fixture(autouse=True)
def one_thread_afterwards() -> Iterator[None]:
    yield
    torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("env", "acting", "learning"),
    [pytest.param("envpool:Pendulum-v1", 1, 2, marks=pytest.mark.envpool), ("gym:Pendulum-v1", 2, 2)],
)
def test_the_policy_acts_on_one_thread_where_the_simulator_has_its_own(
    env: str, acting: int, learning: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: dict[str, set[int]] = {"act": set(), "update": set()}

    def watch(name: str) -> None:
        method: Callable[..., Any] = getattr(PPO, name)

        def watched(*arguments: Any, **options: Any) -> Any:
            threads[name].add(torch.get_num_threads())
            return method(*arguments, **options)

        monkeypatch.setattr(PPO, name, watched)

    watch("act")
    watch("update")
    monkeypatch.chdir(tmp_path)
    main(["train", env, *SMALL, "--export", "False", "--threads", "2", "--run-dir", "run"])
    assert threads == {"act": {acting}, "update": {learning}}
