# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Policy files made to do harm: each would write a file where torch's own loader reads it, and is refused."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tensordict import TensorDict

from rsl_rl.export import export_pt2, export_torchscript, load_policy
from rsl_rl.models import MLPModel
from rsl_rl.utils.recognition import found_instead

MARK = "executed"
PYTHON = f"__import__('pathlib').Path('{MARK}').touch()"


class Evil:
    """Unpickled, it leaves a mark."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (MARK,)


def pickled() -> bytes:
    content = io.BytesIO()
    torch.save((Evil(),), content)
    return content.getvalue()


@pytest.fixture
def policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    obs = TensorDict({"policy": torch.zeros(4, 3)}, [4])
    model = MLPModel(obs, {"actor": ["policy"]}, "actor", 2, hidden_dims=[4])
    export_pt2(model, "policy.pt2")
    export_torchscript(model, "policy.pt")
    return tmp_path


def rewritten(path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    with zipfile.ZipFile(path) as archive:
        if "serialized_exported_program.json" in archive.namelist():
            pytest.skip("torch 2.6 packs a policy in other parts")
        parts = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    change(parts)
    evil = path.with_name(f"evil{path.suffix}")
    with zipfile.ZipFile(evil, "w") as archive:
        for name, part in parts.items():
            archive.writestr(f"policy/{name}", part)
    return evil


def graph_with(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, bytes]], None]:
    def changed(parts: dict[str, bytes]) -> None:
        document = json.loads(parts["models/model.json"])
        change(document)
        parts["models/model.json"] = json.dumps(document).encode()

    return changed


def put(name: str, part: bytes) -> Callable[[dict[str, bytes]], None]:
    return lambda parts: parts.update({name: part})


def config_of(kind: str, path_name: str, part: bytes, use_pickle: bool) -> Callable[[dict[str, bytes]], None]:
    def changed(parts: dict[str, bytes]) -> None:
        entry = {"path_name": path_name, "is_param": False, "use_pickle": use_pickle, "tensor_meta": None}
        document = json.loads(parts[f"data/{kind}/model_{kind}_config.json"])
        document["config"]["x"] = entry
        parts[f"data/{kind}/model_{kind}_config.json"] = json.dumps(document).encode()
        parts[f"data/{kind}/{path_name}"] = part

    return changed


def first_node(graph: dict[str, Any]) -> dict[str, Any]:
    return graph["graph_module"]["graph"]["nodes"][0]


def call(target: str) -> Callable[[dict[str, Any]], None]:
    def changed(graph: dict[str, Any]) -> None:
        node = first_node(graph)
        node["target"] = target
        node["inputs"] = [{"name": "", "arg": {"as_string": MARK}, "kind": 1}]

    return changed


def size(text: str) -> Callable[[dict[str, Any]], None]:
    def changed(graph: dict[str, Any]) -> None:
        values = graph["graph_module"]["graph"]["tensor_values"]
        sizes = [entry for value in values.values() for entry in value["sizes"] if "as_expr" in entry]
        for entry in sizes:
            entry["as_expr"]["expr_str"] = text

    return changed


def tree(kind: str, context: str) -> Callable[[dict[str, Any]], None]:
    def changed(graph: dict[str, Any]) -> None:
        spec = json.dumps([1, {"type": kind, "context": context, "children_spec": []}])
        for entry in graph["graph_module"]["module_call_graph"]:
            if entry["signature"]:
                entry["signature"]["in_spec"] = spec

    return changed


def named(graph: dict[str, Any]) -> None:
    text = json.dumps(graph).replace('"obs"', json.dumps(f"obs={PYTHON}"))
    graph.clear()
    graph.update(json.loads(text))


@pytest.mark.parametrize(
    "change",
    {
        "sample inputs": put("data/sample_inputs/model.pt", pickled()),
        "sample inputs, a bare pickle": put("data/sample_inputs/model.pt", pickle.dumps((Evil(),), 2)),
        "weights of an older layout": put("data/weights/model.pt", pickled()),
        "constants of an older layout": put("data/constants/model.pt", pickled()),
        "a pickled weight": config_of("weights", "weight_9", pickled(), True),
        "a pickled constant": config_of("constants", "tensor_9", pickled(), True),
        "an opaque constant": config_of("constants", "opaque_obj_0", pickle.dumps(Evil()), False),
        "a second model": lambda parts: parts.update(
            {name.replace("model", "other"): part for name, part in parts.items()}
            | {"data/sample_inputs/other.pt": pickled()}
        ),
        "a function of the system": graph_with(call("torch.os.mkdir")),
        "a function behind an operator": graph_with(call("torch.ops.aten.add.__class__.__base__.__subclasses__")),
        "an operator that calls": graph_with(call("_operator.methodcaller")),
        "an operator that writes": graph_with(call("torch.ops.aten.from_file.default")),
        "a size": graph_with(size(PYTHON)),
        "a guard": graph_with(lambda graph: graph.update(guards_code=[f"{PYTHON} is None"])),
        "a tree": graph_with(tree("collections.defaultdict", '{"default_factory_module": "this"}')),
        "a name": graph_with(named),
        "a compiled library": put("data/aotinductor/model/evil.so", b"\x7fELF"),
        "something unknown": put("run.py", b"import os"),
    }.items(),
    ids=lambda item: item[0],
)
def test_a_pt2_that_would_execute_code_is_refused(policies: Path, change: Any) -> None:
    evil = rewritten(policies / "policy.pt2", change[1])
    with pytest.raises(ValueError, match="is refused"):
        load_policy(evil)
    assert not (policies / MARK).exists()


def test_two_parts_of_one_name_are_refused(policies: Path) -> None:
    evil = rewritten(policies / "policy.pt2", lambda parts: None)
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(evil, "a") as archive:
        archive.writestr("policy/data/sample_inputs/model.pt", pickled())
    with pytest.raises(ValueError, match="two files of the same name"):
        load_policy(evil)


@pytest.mark.parametrize("name", ["policy.pt2", "policy.pt"])
def test_a_policy_that_was_packed_anew_is_read_as_before(policies: Path, name: str) -> None:
    obs = {"policy": torch.randn(2, 3)}
    same = rewritten(policies / name, lambda parts: None)
    assert torch.equal(load_policy(same)(obs), load_policy(policies / name)(obs))


@pytest.mark.parametrize("name", ["policy.pt2", "policy.pt"])
def test_a_policy_that_becomes_far_larger_is_refused_before_it_is_unpacked(policies: Path, name: str) -> None:
    bomb = policies / f"bomb{Path(name).suffix}"
    with zipfile.ZipFile(policies / name) as archive:
        parts = {entry: archive.read(entry) for entry in archive.namelist()}
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, part in parts.items():
            archive.writestr(entry, part)
        with archive.open("policy/extra/zeros", "w", force_zip64=True) as zeros:
            for _ in range(300):
                zeros.write(bytes(2**20))
    with pytest.raises(ValueError, match="would become 31"):
        load_policy(bomb)


SCRIPTS = {
    "save": "torch.save(obs, 'executed')",
    "from_file": "_ = torch.from_file('executed', True, 4)",
    "save under another name": "t = torch\n    t.save(obs, 'executed')",
    "an operator of another library": "_ = ops.debugprims.load_tensor('executed', [1], [1])",
    "an object of C++": "_ = __torch__.torch.classes.profiler._RecordFunction",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_torchscript_that_touches_files_is_refused(policies: Path, name: str) -> None:
    def change(parts: dict[str, bytes]) -> None:
        code = next(part for part in parts if "/export/inference" in part)  # Torch may add to the name.
        text = parts[code].decode()
        head = text.index("def forward")
        body = text.index(":\n", head) + 2
        parts[code] = f"{text[:body]}    {SCRIPTS[name]}\n{text[body:]}".encode()

    evil = rewritten(policies / "policy.pt", change)
    with pytest.raises(ValueError, match="is refused"):
        load_policy(evil)({"policy": torch.zeros(1, 3)})
    assert not (policies / MARK).exists()


@pytest.mark.parametrize("content", [pickle.dumps(Evil(), 2), pickled()])
def test_a_pickle_that_pretends_to_be_torchscript_is_refused(policies: Path, content: bytes) -> None:
    (policies / "evil.pt").write_bytes(content)
    with pytest.raises(ValueError, match="is not a TorchScript policy"):
        load_policy("evil.pt")
    assert not (policies / MARK).exists()


def test_an_onnx_file_that_would_read_other_files_is_refused(policies: Path) -> None:
    onnx = pytest.importorskip("onnx")
    weight = onnx.TensorProto(name="w", data_type=1, dims=[2], data_location=1)
    weight.external_data.add(key="location", value="secret")
    (policies / "secret").write_bytes(bytes(8))
    places = [onnx.helper.make_tensor_value_info(name, 1, ["b", 2]) for name in ("obs", "actions")]
    node = onnx.helper.make_node("Add", ["obs", "w"], ["actions"])
    graph = onnx.helper.make_graph([node], "g", places[:1], places[1:], [weight])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    (policies / "evil.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match="its weights lie in another file"):
        load_policy("evil.onnx")


def test_a_policy_exported_by_torch_2_6_is_recognized(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "policy.pt2", "w") as archive:
        archive.writestr("serialized_exported_program.json", "{}")
    assert found_instead(tmp_path / "policy.pt2") == "it is an exported policy (torch.export)"
