# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What a rollout takes is known before it is taken."""

from __future__ import annotations

import pytest
import torch
from tensordict import TensorDict

from rsl_rl.algorithms import PPO
from rsl_rl.storage import RolloutStorage, memory
from rsl_rl.storage.memory import check_memory, free_memory, readable
from tests.algorithms.test_combinations import CameraEnv
from tests.algorithms.test_ppo import rollout
from tests.envs import point_config

T, N, A = 3, 4, 2


def observations(image: torch.dtype = torch.float32) -> TensorDict:
    groups = {"policy": torch.zeros(N, 5), "camera": torch.zeros(N, 1, 8, 8, dtype=image)}
    return TensorDict(groups, [N])


def test_what_is_checked_is_what_the_buffers_and_the_copies_of_an_update_take(monkeypatch: pytest.MonkeyPatch) -> None:
    # By hand: per sample 5 + 64 observations, 2 actions, 5 numbers of 4 bytes, and two bytes.
    taken = T * N * (4 * (5 + 64 + 2 + 5) + 2)
    # The update keeps copies of vectors, actions, values, log-probabilities, advantages and returns.
    monkeypatch.setattr(memory, "free_memory", lambda device: taken + T * N * 4 * (5 + 2 + 4))
    storage = RolloutStorage("rl", N, T, observations(), [A])
    assert storage.memory.startswith("rollout: 3.59 KiB (observation camera 3 KiB, observation policy 240 B")
    assert storage.memory.endswith("...), 528 B more while learning")
    buffers = [
        storage.actions,
        storage.rewards,
        storage.dones,
        storage.values,
        storage.returns,
        storage._late_time_outs,
    ]
    buffers += [storage.advantages, storage.actions_log_prob, *storage.observations.values()]
    assert sum(buffer.untyped_storage().nbytes() for buffer in buffers) == taken
    monkeypatch.setattr(memory, "free_memory", lambda device: taken + T * N * 4 * (5 + 2 + 4) - 1)
    with pytest.raises(MemoryError, match="528 B more while learning"):
        RolloutStorage("rl", N, T, observations(), [A])


@pytest.mark.parametrize(
    ("size", "free", "is_said"),
    [
        *((2**30, 2**40, True), (2**30 - 8, 2**40, False)),
        *((2**20, 2**22, True), (2**20, 2**22 + 1, False)),
        *((2**30, None, True), (2**20, None, False)),
    ],
)
def test_only_what_is_much_is_said(size: int, free: int | None, is_said: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda device: free)
    text = check_memory({"actions": ((size // 8, 2), torch.float32)}, "cpu")
    assert text.startswith("rollout: 1 ") if is_said else text == ""


@pytest.mark.parametrize(("given", "kept"), [(torch.float32, torch.float16), (torch.uint8, torch.uint8)])
def test_images_of_floating_point_numbers_are_kept_in_half_the_memory(given: torch.dtype, kept: torch.dtype) -> None:
    storage = RolloutStorage("rl", N, T, observations(given), [A], image_dtype=torch.float16)
    assert storage.observations["camera"].dtype == kept
    assert storage.observations["policy"].dtype == torch.float32


@pytest.mark.parametrize("storage_dtype", ["float16", "bfloat16"])
def test_storage_dtype_trains_with_images(storage_dtype: str) -> None:
    env = CameraEnv(image_type=torch.float32)
    cnn = {"class_name": "CNNModel", "cnn_cfg": {"output_channels": [2], "kernel_size": 3}}
    config = point_config() | {"storage_dtype": storage_dtype}
    config["obs_groups"] = {"actor": ["policy", "camera"], "critic": ["policy", "camera"]}
    config["actor"], config["critic"] = config["actor"] | cnn, config["critic"] | cnn
    alg = PPO.construct_algorithm(env.get_observations(), env, config, "cpu")
    assert alg.storage.observations["camera"].dtype == getattr(torch, storage_dtype)
    rollout(alg, env)
    assert all(torch.isfinite(torch.tensor(loss)) for loss in alg.update().values())


def test_what_does_not_fit_is_refused_with_the_reason_and_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    specs = {
        "observation camera": ((24, 4096, 3, 224, 224), torch.float32),
        "observation policy": ((24, 4096, 48), torch.float32),
    }
    total = 4 * 24 * 4096 * (3 * 224 * 224 + 2 * 48)
    monkeypatch.setattr(memory, "free_memory", lambda device: total)
    check_memory(specs, "cpu", ["observation policy"])
    monkeypatch.setattr(memory, "free_memory", lambda device: total - 1)
    with pytest.raises(MemoryError) as error:
        check_memory(specs, "cpu", ["observation policy"])
    text = str(error.value)
    # 24 * 4096 * 3 * 224 * 224 * 4 bytes.
    assert "observation camera" in text.splitlines()[1]
    assert "55.1 GiB" in text.splitlines()[1]
    assert "18 MiB" in text.splitlines()[2]
    assert "18 MiB more while learning" in text
    assert "storage_dtype: float16" in text
    assert "uint8" in text
    assert "num_envs" in text


def test_a_rollout_of_many_images_is_refused_before_it_is_allocated() -> None:
    obs = TensorDict({"camera": torch.zeros(1).expand(N, 3, 4096, 4096)}, [N])
    with pytest.raises(MemoryError, match="What helps"):
        RolloutStorage("rl", N, 10**6, obs, [A])


def test_sizes_are_readable() -> None:
    assert [readable(size) for size in (0, 1023, 1536, 3 * 2**30)] == ["0 B", "1.02e+03 B", "1.5 KiB", "3 GiB"]


def test_images_are_not_copied_as_a_whole() -> None:
    storage = RolloutStorage("rl", N, T, observations(torch.uint8), [A])
    storage.observations["camera"].random_(0, 256)
    storage.observations["policy"][..., 0] = storage.observations["camera"][..., 0, 0, 0].float()
    batches = list(storage.mini_batch_generator(num_mini_batches=3, num_epochs=2))
    sizes = [batch.observations["camera"].untyped_storage().nbytes() for batch in batches]
    assert sizes == [T * N // 3 * 64] * 6
    for batch in batches:
        assert torch.equal(batch.observations["policy"][:, 0], batch.observations["camera"][:, 0, 0, 0].float())
    for first, second in zip(batches[:3], batches[3:], strict=True):
        assert torch.equal(first.observations["camera"], second.observations["camera"])


def test_pages_of_files_count_as_free(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "/proc/meminfo": ["MemAvailable: 9000 kB"],
        "/sys/fs/cgroup/memory.max": ["5000000"],
        "/sys/fs/cgroup/memory.current": ["4900000"],
        "/sys/fs/cgroup/memory.stat": ["anon 900000", "inactive_file 3000000", "active_file 1000000"],
    }
    monkeypatch.setattr(memory, "_lines", lambda path: files[path])
    assert free_memory("cpu") == 5_000_000 - 4_900_000 + 4_000_000
