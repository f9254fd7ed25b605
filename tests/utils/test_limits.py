# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Files without bounds: each is refused with one error that says where, before it takes the memory or the time."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rsl_rl.checkpoint import read_checkpoint
from rsl_rl.cli.sweep.study import queue_grid
from rsl_rl.config.task import filed_as, read_task
from rsl_rl.env import make_env
from rsl_rl.export.metadata import PolicyMetadata
from rsl_rl.modules import CNN, MLP, RNN
from rsl_rl.telemetry.history import read_history
from rsl_rl.utils import limits
from rsl_rl.utils.limits import parse_json
from rsl_rl.utils.yaml_text import parse_yaml_text

LAUGHS = "a0: &a0 [1, 1]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60))
MERGES = "a0: &a0 {x: 1, y: 2}\n" + "".join(
    f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}], k{i}: 1}}\n" for i in range(1, 40)
)


def test_a_file_is_not_read_beyond_the_limit(tmp_path: Path) -> None:
    with (tmp_path / "long.json").open("wb") as file:
        file.truncate(limits.LONGEST_TEXT + 1)
    with pytest.raises(ValueError, match="it is longer than 32 MiB"):
        limits.read_limited(tmp_path / "long.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS, "line 19: with its aliases"),
        (MERGES, "line 1[0-9]: with its aliases"),
        ("x: " + "[" * 150 + "]" * 150, "line 1: it is nested too deeply"),
        ("x: " + "[" * 50_000, "nested too deeply"),
        ("".join(f"{' ' * i}x:\n" for i in range(150)) + " " * 150 + "y: 1", "line 10[0-9]: it is nested too deeply"),
        (f"x: 1\ny: {'9' * 1_000_000}", "line 2: a number has more than 400 characters"),
        (f"x: 1\ny: {'9' * 500}.5", "line 2: a number has more than 400 characters"),
        (f"y: 1{':59' * 100_000}", "line 1: a number has more than 400 characters"),
        (f"y: 0x{'f' * 100_000}", "line 1: a number has more than 400 characters"),
        ("x: &x [*x]", "line 1: an alias .* holds it itself"),
        ("x: " + "1" * 5 * 2**20, "it is longer than 4 MiB"),
    ],
)
def test_yaml_has_bounds(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_yaml_text(text)


def test_ordinary_aliases_and_merges_are_read() -> None:
    text = "base: &base {x: 1, y: [1, 2]}\nother: {<<: *base, x: 2}\nsame: *base\nnothing:"
    base = {"x": 1, "y": [1, 2]}
    assert parse_yaml_text(text) == {"base": base, "other": {**base, "x": 2}, "same": base, "nothing": None}
    assert parse_yaml_text("") is None


def test_the_error_about_a_task_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_text(LAUGHS)
    with pytest.raises(ValueError, match=r"task.yaml' is not a readable YAML file: line 19: with its aliases"):
        read_task(tmp_path / "task.yaml")
    (tmp_path / "long.yaml").write_bytes(b"a" * 5 * 2**20)
    with pytest.raises(ValueError, match=r"long.yaml' is not a readable YAML file: it is longer than 4 MiB"):
        read_task(tmp_path / "long.yaml")


@pytest.mark.parametrize(
    "text", ["[" * 150 + "]" * 150, "[" * 500_000, '{"a":' * 150 + "1" + "}" * 150, "9" * 1_000_000]
)
def test_json_has_bounds(text: str) -> None:
    with pytest.raises(ValueError, match="nested too deeply|integer string conversion|digits"):
        parse_json(text)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("iteration,x\n0,1\n" + "1" * 5 * 2**20 + "\n", "line 3: it is longer than 4 MiB"),
        ("x" * 5 * 2**20, "line 1: it is longer than 4 MiB"),
        (",".join(f"c{i}" for i in range(20_000)) + "\n", "line 1: a table has at most 10,000 columns, not 20,000"),
        ("iteration,x\n0,1\n1," + "9" * 100_000 + "\n", "line 3: a number has more than 400 characters"),
        ("iteration,x\n0,1\n1," + "9" * 200_000 + "\n", "line 3: field larger than field limit"),
        ("iteration,x\n0,one\n", "line 2: 'one' in column 'x' is not a number"),
        ("iteration,x\n0,1\n\udcff\n", "line 3: '\ufffd' in column 'iteration' is not a number"),
    ],
)
def test_tables_have_bounds(tmp_path: Path, table: str, message: str) -> None:
    (tmp_path / "metrics.csv").write_text(table, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(ValueError, match=rf"metrics.csv', {message}"):
        read_history(tmp_path)


def test_a_record_of_an_event_file_has_bounds(tmp_path: Path) -> None:
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    head = struct.pack("<Q", 2**61)
    content = head + struct.pack("<I", masked_crc32c(head)) + b"x" * 100
    (tmp_path / "events.out.tfevents.1.x").write_bytes(content)
    with pytest.raises(
        ValueError, match=r"events.out.tfevents.1.x', byte 0: a record of 2,305,843,009,213,693,952 bytes"
    ):
        read_history(tmp_path)


def test_a_checkpoint_that_becomes_far_larger_is_refused(tmp_path: Path) -> None:
    whole = io.BytesIO()
    torch.save({"x": torch.zeros(300, 2**18)}, whole)
    with zipfile.ZipFile(whole) as archive, zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as bomb:
        for name in archive.namelist():
            bomb.writestr(name, archive.read(name))
    with pytest.raises(ValueError, match=r"bomb.pt' is not a checkpoint.* would become 31\d,\d{3},\d{3}, most of it"):
        read_checkpoint(tmp_path / "bomb.pt")


def test_numbers_of_environments_and_combinations_have_bounds() -> None:
    with pytest.raises(ValueError, match="num_envs must be from 1 to 10,000,000, got 1000000000000"):
        make_env("gym:CartPole-v1", num_envs=10**12)
    choices = {f"p{i}": list(range(10)) for i in range(12)}
    with pytest.raises(ValueError, match="A grid of 1,000,000,000,000 combinations is too large"):
        queue_grid(None, choices)


@pytest.mark.parametrize("size", [-1, 10**9, 1.5, "3", None])
def test_sizes_in_a_policy_file_have_bounds(size: object) -> None:
    text = '{"obs_groups": {"policy": 3}, "obs_dim": 3, "num_actions": 2, "distribution": null, "versions": {}, '
    assert PolicyMetadata.from_json(text + '"hidden_state": {"h_in": [1, 8]}}').hidden_state == {"h_in": [1, 8]}
    value = "null" if size is None else f'"{size}"' if isinstance(size, str) else str(size)
    with pytest.raises(ValueError, match="is not a policy's description"):
        PolicyMetadata.from_json(text + f'"hidden_state": {{"h_in": [1, {value}]}}}}')


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("../../../x", "x"),
        ("/etc/x", "etc-x"),
        ("", "unnamed"),
        (".", "unnamed"),
        ("..", "unnamed"),
        (".hidden", "hidden"),
        ("C:\\x", "C-x"),
        ("a/../../b", "a-..-..-b"),
        ("a\0b\nc", "a-b-c"),
        ("con", "of-con"),
        ("NUL.txt", "of-NUL.txt"),
        ("x" * 300, "x" * 100),
        ("é" * 80, "é" * 50),
        ("\udcff", "unnamed"),
        ("-rf", "rf"),
        ("gym:Ant-v5", "gym-Ant-v5"),
        ("go1-walk", "go1-walk"),
    ],
)
def test_any_name_becomes_that_of_a_folder_here(name: str, plain: str, tmp_path: Path) -> None:
    assert filed_as(name) == plain
    assert filed_as(plain) == plain
    (tmp_path / plain).mkdir()
    assert (tmp_path / plain).resolve().parent == tmp_path.resolve()


def test_the_page_about_limits_has_those_of_the_code() -> None:
    page = (Path(__file__).parents[2] / "docs/security.md").read_text().partition("## Limits")[2]
    for name, value in vars(limits).items():
        if name.isupper() and name != "MIB":
            shown = f"{value // limits.MIB} MiB" if value % limits.MIB == 0 else f"{value:,}"
            assert shown in page, f"{name} = {shown}"


TENSOR = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x01tQ"
HUGE = b"\x8a\x05\x00\xe8\x76\x48\x17"  # 10 ** 11


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"cbuiltins\nbytearray\n(" + HUGE + b"tR", "bytearray of any size"),
        (b"ctorch.storage\nUntypedStorage\n(" + HUGE + b"tR", "UntypedStorage of any size"),
        (b"ctorch\nTensor\n(" + HUGE + b"tR", "Tensor of any size"),
        (
            b"ctorch._utils\n_rebuild_tensor_v2\n(" + TENSOR + b"K\0(" + HUGE + b"t(K\0t\x89}tR",
            "a tensor would have 100,000,000,000 numbers, and the file holds 1",
        ),
        (
            b"ctorch._utils\n_rebuild_meta_tensor_no_storage\n(ctorch\nfloat32\n(K\x01t(K\x01t\x89tR",
            "a tensor without numbers",
        ),
        (b"}q\x05X\x01\0\0\0ah\x05s", "nested too deeply"),
        (b"]q\0" + b"".join(b"]q%c(h%ch%ce" % (i, i - 1, i - 1) for i in range(1, 60)), "stands for more than"),
    ],
)
def test_a_checkpoint_takes_no_more_memory_than_its_file(tmp_path: Path, value: bytes, message: str) -> None:
    path = tmp_path / "model_1.pt"
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in {"data.pkl": b"\x80\x02" + value + b".", "version": b"3\n", "data/0": bytes(4)}.items():
            archive.writestr(f"archive/{name}", part)
    with pytest.raises(ValueError, match=f"model_1.pt.*{message}"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "make",
    [
        lambda: MLP(3, 1, [10**9]),
        lambda: RNN(3, 10**9),
        lambda: CNN((8, 8), 3, output_channels=[10**9], kernel_size=3, stride=1),
    ],
)
def test_a_network_that_no_machine_trains_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"would have .* weights, and 1,000,000,000 is the limit"):
        make()
