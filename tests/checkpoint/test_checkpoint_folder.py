# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The checkpoints of a run: which stay, which is the best, which is taken, and what is refused."""

from __future__ import annotations

import enum
import hashlib
import io
import math
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensordict import TensorDict

from rsl_rl.checkpoint import CheckpointFolder, newest_checkpoint, read_checkpoint, write_checkpoint
from rsl_rl.runners import OnPolicyRunner
from tests.envs import PointEnv, point_config

STEPS = 8
EPISODES = 100  # Of an iteration; the mean reward is that of the last 100 episodes.


class ScriptedRewards(PointEnv):
    """Every episode lasts one iteration, and every step of iteration i is rewarded with ``rewards[i]``."""

    def __init__(self, rewards: list[float]) -> None:
        super().__init__(num_envs=EPISODES, max_episode_length=STEPS)
        self._rewards, self._count = rewards, 0

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        self._state.clamp_(-1.0, 1.0)  # None falls, which would end its episode.
        reward = self._rewards[self._count // STEPS]
        self._count += 1
        obs, rewards, dones, extras = super().step(actions)
        return obs, torch.full_like(rewards, reward), dones, extras


def config(**keys: Any) -> dict:
    return point_config() | {"num_steps_per_env": STEPS, "save_interval": 1, "logger": None} | keys


def train(folder: Path, rewards: list[float], **keys: Any) -> OnPolicyRunner:
    runner = OnPolicyRunner(ScriptedRewards(rewards), config(**keys), log_dir=str(folder))
    runner.learn(len(rewards))
    return runner


def names(folder: Path) -> list[str]:
    """Names of all files but the log's."""
    return sorted(file.name for file in folder.iterdir() if file.is_file() and file.name != "metrics.csv")


def iteration_of(path: Path) -> int:
    return torch.load(path, weights_only=True)["iter"]


def flip(path: Path, position: int) -> None:
    """Change one byte of a file, where it lies: other names of it change too."""
    with path.open("rb+") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1]))


def with_digest(document: dict[str, Any]) -> bytes:
    """Return a checkpoint's bytes as the format says: a zip archive whose comment is the digest of all before it."""
    buffer = io.BytesIO()
    torch.save(document, buffer)
    content = buffer.getvalue()[:-2] + (78).to_bytes(2, "little") + b"rsl_rl sha256="
    return content + hashlib.sha256(content).hexdigest().encode()


# -- what stays --------------------------------------------------------------------------------------------------------


def test_all_checkpoints_stay_by_default(tmp_path: Path) -> None:
    train(tmp_path, [3.0, 1.0, 2.0, 0.0])
    assert names(tmp_path) == ["best.pt", "latest.pt", "model_0.pt", "model_1.pt", "model_2.pt", "model_3.pt"]


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_newest_few_the_best_and_the_latest_stay(tmp_path: Path, keep: int) -> None:
    rewards = [1.0, 7.0, 3.0, 6.5, -2.0, 0.0]
    train(tmp_path, rewards, keep_checkpoints=keep)
    assert names(tmp_path) == ["best.pt", "latest.pt", *(f"model_{i}.pt" for i in range(6 - keep, 6))]
    # The best one was deleted under its number, and is whole under its name.
    assert iteration_of(tmp_path / "best.pt") == rewards.index(max(rewards)) == 1
    assert read_checkpoint(tmp_path / "best.pt")["best_reward"] == pytest.approx(max(rewards) * STEPS, rel=1e-6)
    assert (tmp_path / "latest.pt").read_bytes() == (tmp_path / "model_5.pt").read_bytes()


def test_the_best_is_chosen_among_what_is_saved(tmp_path: Path) -> None:
    # Iterations 0, 2, 4 and the last, 5, are saved; 1 and 3 would be better.
    train(tmp_path, [1.0, 9.0, 3.0, 8.0, 2.0, 2.5], save_interval=2)
    assert names(tmp_path) == ["best.pt", "latest.pt", "model_0.pt", "model_2.pt", "model_4.pt", "model_5.pt"]
    assert (tmp_path / "best.pt").read_bytes() == (tmp_path / "model_2.pt").read_bytes()
    assert (tmp_path / "latest.pt").read_bytes() == (tmp_path / "model_5.pt").read_bytes()


def test_there_is_no_best_before_an_episode_ended(tmp_path: Path) -> None:
    env = PointEnv(max_episode_length=10_000)
    env.step = lambda actions, step=env.step: (env._state.clamp_(-1.0, 1.0), step(actions))[1]  # type: ignore[method-assign]
    OnPolicyRunner(env, config(), log_dir=str(tmp_path)).learn(2)
    assert names(tmp_path) == ["latest.pt", "model_0.pt", "model_1.pt"]


def test_a_resumed_run_knows_the_best_reward(tmp_path: Path) -> None:
    train(tmp_path, [1.0, 5.0, 2.0], keep_checkpoints=1)
    resumed = OnPolicyRunner(ScriptedRewards([3.0, 4.0, 6.0, 1.0]), config(keep_checkpoints=1), log_dir=str(tmp_path))
    resumed.load(str(tmp_path))
    resumed.learn(2)
    assert names(tmp_path) == ["best.pt", "latest.pt", "model_4.pt"]
    assert iteration_of(tmp_path / "best.pt") == 1
    resumed.load(str(tmp_path))
    resumed.learn(2)
    assert iteration_of(tmp_path / "best.pt") == 5


def test_learning_again_knows_the_best_reward(tmp_path: Path) -> None:
    runner = OnPolicyRunner(ScriptedRewards([1.0, 5.0, 2.0, 3.0]), config(), log_dir=str(tmp_path))
    runner.learn(2)
    runner.learn(2)
    assert iteration_of(tmp_path / "best.pt") == 1


def test_a_reward_that_is_no_number_is_not_the_best(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    for number, reward in enumerate([math.nan, 1.0, math.inf, 2.0, -math.inf, math.nan]):
        folder.save(lambda path, number=number: write_checkpoint({"iter": number}, path), number, reward, False)
    assert iteration_of(tmp_path / "best.pt") == 3
    assert folder.best_reward == 2.0


def test_what_could_not_be_saved_is_not_the_best(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)

    def save(number: int, reward: float, disk: str = "") -> None:
        def write(path: str) -> None:
            if disk:
                raise OSError(disk)
            write_checkpoint({"iter": number}, path)

        folder.save(write, number, reward, False)

    save(0, 1.0)
    with pytest.warns(UserWarning, match="model_1.pt' could not be written, .* after the next iteration: it is full"):
        save(1, 9.0, disk="it is full")
    assert folder.is_behind
    save(2, 5.0)
    assert not folder.is_behind
    assert iteration_of(tmp_path / "best.pt") == 2
    assert names(tmp_path) == ["best.pt", "latest.pt", "model_0.pt", "model_2.pt"]


def test_a_failure_that_is_not_the_disks_is_not_hidden(tmp_path: Path) -> None:
    def write(path: str) -> None:
        raise RuntimeError("the device is lost")

    with pytest.raises(RuntimeError, match="the device is lost"):
        CheckpointFolder(tmp_path).save(write, 0, None, False)


def test_what_was_just_written_stays_when_a_run_goes_back(tmp_path: Path) -> None:
    for number in (8, 9):
        write_checkpoint({"iter": number}, tmp_path / f"model_{number}.pt")
    folder = CheckpointFolder(tmp_path, keep=2)
    folder.save(lambda path: write_checkpoint({"iter": 4}, path), 4, None, False)
    assert names(tmp_path) == ["latest.pt", "model_4.pt", "model_8.pt", "model_9.pt"]
    folder.save(lambda path: write_checkpoint({"iter": 5}, path), 5, None, False)
    assert names(tmp_path) == ["latest.pt", "model_5.pt", "model_8.pt", "model_9.pt"]


@pytest.mark.parametrize("has_links", [True, False])
def test_a_protected_checkpoint_is_never_deleted(
    tmp_path: Path, has_links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_links:

        def refused(*_: object) -> None:
            raise OSError("no hard links here")

        monkeypatch.setattr("os.link", refused)
    folder = CheckpointFolder(tmp_path, keep=1)
    assert folder.protect_latest("before.pt") is None
    for number in range(5):
        folder.save(lambda path, number=number: write_checkpoint({"iter": number}, path), number, -number, False)
        if number == 2:
            assert folder.protect_latest("before.pt") == tmp_path / "before.pt"
            assert folder.protect_latest("before.pt") == tmp_path / "before.pt"
    assert names(tmp_path) == ["before.pt", "best.pt", "latest.pt", "model_4.pt"]
    assert [iteration_of(tmp_path / name) for name in names(tmp_path)] == [2, 0, 4, 4]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    write_checkpoint({"iter": 1}, tmp_path / "model_1.pt")
    (tmp_path / ".rsl_rl.model_2.ab12.partial.pt").write_bytes(b"half")
    CheckpointFolder(tmp_path)
    assert names(tmp_path) == ["model_1.pt"]
    CheckpointFolder(tmp_path / "not made yet")
    assert not (tmp_path / "not made yet").exists()


# -- which is taken ----------------------------------------------------------------------------------------------------


@pytest.fixture
def three(tmp_path: Path) -> Path:
    for number in (9, 10, 100):  # Neither the order of the texts nor that of the times.
        write_checkpoint({"iter": number, "weight": torch.arange(1000.0)}, tmp_path / f"model_{number}.pt")
    (tmp_path / "latest.pt").write_bytes(b"not looked at")
    return tmp_path


def test_the_newest_is_the_one_with_the_highest_iteration(three: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert newest_checkpoint(three) == three / "model_100.pt"
        assert newest_checkpoint(str(three)) == three / "model_100.pt"


def test_a_broken_newest_is_skipped_with_its_name_and_the_reason(three: Path) -> None:
    content = (three / "model_100.pt").read_bytes()
    (three / "model_100.pt").write_bytes(content[: len(content) // 2])
    flip(three / "model_10.pt", len(content) // 2)
    with pytest.warns(UserWarning, match="Skipped") as told:
        assert newest_checkpoint(three) == three / "model_9.pt"
    assert [str(warning.message) for warning in told] == [
        f"Skipped a checkpoint: '{three / 'model_100.pt'}' is not a checkpoint, or it is damaged (cut off?): "
        "its end is missing",
        f"Skipped a checkpoint: '{three / 'model_10.pt'}' is damaged: its content does not have the SHA-256 that it "
        "was written with.",
    ]
    # The place in the program that asked, not one in the library.
    assert {warning.filename for warning in told} == {__file__}


def test_a_folder_of_broken_checkpoints_is_refused(three: Path) -> None:
    for file in three.glob("model_*.pt"):
        file.write_bytes(b"")
    with pytest.raises(ValueError, match="None of the 3 checkpoints in .* can be read"):  # noqa: SIM117
        with pytest.warns(UserWarning, match="Skipped") as told:
            newest_checkpoint(three)
    assert len(told) == 3


@pytest.mark.parametrize("folder", [".", "missing", "file"])
def test_a_folder_without_checkpoints_is_not_found(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "model_1.pt.txt").write_text("")
    with pytest.raises(FileNotFoundError, match="There is no checkpoint in .*: no file model_<iteration>.pt"):
        newest_checkpoint(tmp_path / folder)


def test_the_runner_takes_a_folders_newest_that_can_be_read(tmp_path: Path) -> None:
    trained = train(tmp_path, [1.0, 2.0, 3.0])
    weights = [p.detach().clone() for p in trained.alg.actor.parameters()]
    other = OnPolicyRunner(ScriptedRewards([0.0]), config())
    other.load(str(tmp_path))
    assert other.current_learning_iteration == 2
    assert all(torch.equal(p, weight) for p, weight in zip(other.alg.actor.parameters(), weights, strict=True))
    flip(tmp_path / "model_2.pt", 5000)
    with pytest.warns(UserWarning, match="Skipped a checkpoint: .*model_2.pt' is damaged"):
        other.load(str(tmp_path))
    assert other.current_learning_iteration == 1


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_one_changed_bit_in_a_tensor_is_detected(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    weight = torch.arange(1000.0)
    write_checkpoint({"weight": weight}, path)
    place = path.read_bytes().index(weight.numpy().tobytes())
    flip(path, place + 1234)
    with pytest.raises(ValueError, match="model.pt' is damaged: its content does not have the SHA-256 that it was"):
        read_checkpoint(path)
    flip(path, place + 1234)
    assert torch.equal(read_checkpoint(path)["weight"], weight)


def test_the_digest_is_of_all_bytes_before_it(tmp_path: Path) -> None:
    write_checkpoint({"weight": torch.arange(10.0), "iter": 4}, tmp_path / "model.pt")
    content = (tmp_path / "model.pt").read_bytes()
    with zipfile.ZipFile(tmp_path / "model.pt") as archive:
        assert archive.comment == b"rsl_rl sha256=" + content[-64:]
        assert archive.testzip() is None
    assert content[-64:].decode() == hashlib.sha256(content[:-64]).hexdigest()
    (tmp_path / "own.pt").write_bytes(with_digest({"iter": 5, "format_version": 1}))
    assert read_checkpoint(tmp_path / "own.pt")["iter"] == 5


def test_a_document_that_a_program_has_written_anew_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    write_checkpoint({"iter": 4}, path)
    torch.save(torch.load(path, weights_only=True) | {"iter": 5}, path)
    assert read_checkpoint(path)["iter"] == 5


def test_a_digest_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    write_checkpoint({"iter": 4}, path)
    # torch does not miss the comment.
    path.write_bytes(path.read_bytes()[:-78])
    assert iteration_of(path) == 4
    with pytest.raises(ValueError, match="model.pt' is damaged: the SHA-256 at its end is missing"):
        read_checkpoint(path)


@pytest.mark.parametrize("version", [2, 99, "2.0", None])
def test_a_newer_format_is_refused(tmp_path: Path, version: object) -> None:
    (tmp_path / "model.pt").write_bytes(with_digest({"iter": 4, "format_version": version}))
    with pytest.raises(
        ValueError, match=f"was written by a newer version .*\\(format {version}, this one reads up to 1\\)"
    ):
        read_checkpoint(tmp_path / "model.pt")


class Touching:
    """Creates a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("write", [torch.save, write_checkpoint])
@pytest.mark.filterwarnings("ignore:The checkpoint holds a Touching")
def test_objects_are_read_only_for_those_who_trust_them(
    tmp_path: Path, write: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    write({"iter": 7, "infos": Touching(tmp_path / "executed")}, tmp_path / "model_7.pt")
    for value in (None, "", "0", "yes"):
        if value is not None:
            monkeypatch.setenv("RSL_RL_TRUST_CHECKPOINTS", value)
        with pytest.raises(ValueError, match="If you trust whoever wrote it: set RSL_RL_TRUST_CHECKPOINTS=1"):
            read_checkpoint(tmp_path / "model_7.pt")
        with pytest.warns(UserWarning, match="model_7.pt' is refused"), pytest.raises(ValueError, match="can be read"):
            newest_checkpoint(tmp_path)
    assert not (tmp_path / "executed").exists()
    monkeypatch.setenv("RSL_RL_TRUST_CHECKPOINTS", "1")
    assert read_checkpoint(tmp_path / "model_7.pt")["iter"] == 7
    assert (tmp_path / "executed").exists()


# -- what a document may hold ------------------------------------------------------------------------------------------


class Mode(str, enum.Enum):
    FAST = "fast"


class Level(enum.IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.float64(0.1), 0.1),
        (np.int64(-3), -3),
        (np.bool_(True), True),
        (np.str_("text"), "text"),
        (np.array(2.5), 2.5),
        (np.arange(6.0).reshape(2, 3), torch.arange(6.0, dtype=torch.float64).reshape(2, 3)),
        (np.arange(4, dtype=np.uint8)[::-1], torch.tensor([3, 2, 1, 0], dtype=torch.uint8)),
        (np.arange(3, dtype=">i4"), torch.arange(3, dtype=torch.int32)),
        (np.zeros((0, 2), dtype=np.float32), torch.zeros(0, 2)),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.array([None, "a", np.float32(0.5)], dtype=object), [None, "a", 0.5]),
        ({np.int64(3): np.int64(4)}, {3: 4}),
        ([(np.int8(1), {"deep": np.ones(1, dtype=np.int16)})], [(1, {"deep": torch.ones(1, dtype=torch.int16)})]),
        (OrderedDict(a=np.float64(1.0)), {"a": 1.0}),
    ],
    ids=repr,
)
def test_numpy_numbers_and_arrays_become_numbers_and_tensors(tmp_path: Path, given: Any, expected: Any) -> None:
    runner = OnPolicyRunner(PointEnv(), point_config())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runner.save(str(tmp_path / "model.pt"), infos={"given": given})
    infos = runner.load(str(tmp_path / "model.pt"))
    assert_same(infos, {"given": expected})


def assert_same(value: Any, expected: Any) -> None:
    assert type(value) is type(expected)
    if isinstance(expected, torch.Tensor):
        assert value.dtype == expected.dtype
        assert torch.equal(value, expected)
    elif isinstance(expected, dict):
        assert list(value) == list(expected)
        assert all(type(a) is type(b) for a, b in zip(value, expected, strict=True))
        for key in expected:
            assert_same(value[key], expected[key])
    elif isinstance(expected, (list, tuple)):
        assert len(value) == len(expected)
        for one, other in zip(value, expected, strict=True):
            assert_same(one, other)
    else:
        assert value == expected


PLAIN = {
    "text": "ä\0",
    "number": 10**40,
    "fraction": -0.0,
    "complex": 1j,
    "truth": True,
    "nothing": None,
    "bytes": b"\xff\0",
    "changeable": bytearray(b"\xff"),
    "several": {1, 2},
    ("a", 1): [(), {}],
    "size": torch.Size([1, 2]),
    "type": torch.bfloat16,
    "device": torch.device("cpu"),
    "tensors": [torch.zeros(0), torch.ones(2, dtype=torch.bfloat16), torch.tensor(True), torch.arange(6)[::2]],
    "random": torch.Generator().get_state(),
}


@pytest.mark.parametrize("mmap", [False, True])
def test_what_is_written_without_a_warning_loads_with_plain_torch(tmp_path: Path, mmap: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_checkpoint(PLAIN, tmp_path / "model.pt")
        assert_same(torch.load(tmp_path / "model.pt", weights_only=True, mmap=mmap), PLAIN | {"format_version": 1})
    assert_same(read_checkpoint(tmp_path / "model.pt"), PLAIN | {"format_version": 1})


@pytest.mark.parametrize("mmap", [False, True])
def test_a_runners_checkpoint_loads_with_plain_torch(tmp_path: Path, mmap: bool) -> None:
    runner = train(tmp_path, [1.0])
    document = torch.load(tmp_path / "model_0.pt", weights_only=True, mmap=mmap)
    states = runner.alg.actor.state_dict()
    assert list(document["actor_state_dict"]) == list(states)
    assert all(torch.equal(document["actor_state_dict"][key], value) for key, value in states.items())


@pytest.mark.parametrize(
    ("given", "kind", "place"),
    [
        ({"a": [1, object()]}, "object", "infos.a[1]"),
        (Path("x"), "PosixPath", "infos"),
        ({"mode": Mode.FAST}, "Mode", "infos.mode"),
        ({"level": Level.HIGH}, "Level", "infos.level"),
        ({Mode.FAST: 1}, "Mode", "infos (a key)"),
        (np.datetime64("2026-01-01"), "date", "infos"),
        (np.array([object()]), "object", "infos[0]"),
    ],
)
def test_an_object_is_told_of_when_it_is_saved(tmp_path: Path, given: Any, kind: str, place: str) -> None:
    runner = OnPolicyRunner(PointEnv(), point_config())
    with pytest.warns(UserWarning, match="The checkpoint holds") as told:
        runner.save(str(tmp_path / "model.pt"), infos=given)
    assert [str(warning.message) for warning in told] == [
        f"The checkpoint holds a {kind} at '{place}', neither a tensor nor plain data: reading it will be refused, "
        "since that would execute code from the file."
    ]
    # And that is so.
    with pytest.raises(ValueError, match="is refused: it holds something other than tensors and plain data"):
        read_checkpoint(tmp_path / "model.pt")
