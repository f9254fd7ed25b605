# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""``rsl-rl migrate``: what it writes loads without a word, what it cannot read is explained and not executed."""

from __future__ import annotations

import json
import pickle
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from rsl_rl.checkpoint import read_checkpoint
from rsl_rl.cli.main import main
from rsl_rl.compat.checkpoints import layout_of
from rsl_rl.runners import OnPolicyRunner
from tests.compat.test_configurations import legged_gym
from tests.compat.test_releases import HERE as RELEASES
from tests.compat.test_releases import ScriptedEnv, load_file
from tests.envs import PointEnv, point_config


def case(name: str) -> dict[str, Any]:
    return json.loads((RELEASES / name / "case.json").read_text())


def loads_in_silence(config: dict[str, Any], checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> OnPolicyRunner:
    tensors = load_file(RELEASES / "v2.3.3_mlp" / "tensors.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runner = OnPolicyRunner(ScriptedEnv(case("v2.3.3_mlp"), tensors), config)
        capsys.readouterr()
        runner.load(str(checkpoint))
    assert capsys.readouterr().out == ""
    return runner


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as exit_:
        main(["migrate", *arguments])
    assert exit_.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "Traceback" not in error
    return error


def test_a_configuration_and_a_checkpoint_become_what_the_runner_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "agent.yaml"
    old.write_text(yaml.safe_dump(case("v2.3.3_mlp")["cfg"]))
    before = old.read_bytes()
    main(["migrate", str(old), "--output", str(tmp_path / "new" / "agent.yaml"), "--groups", "policy", "privileged"])
    assert "policy (ActorCritic) is now two sections" in capsys.readouterr().out
    checkpoint = RELEASES / "v2.3.3_mlp" / "model_1.pt"
    main(["migrate", str(checkpoint), "--output", str(tmp_path / "new" / "model_1.pt")])
    assert "written, from the layout of rsl_rl 2.x" in capsys.readouterr().out

    config = yaml.safe_load((tmp_path / "new" / "agent.yaml").read_text())
    runner = loads_in_silence(config, tmp_path / "new" / "model_1.pt", capsys)
    assert len(runner.alg.optimizer.state) == 13
    assert old.read_bytes() == before


def test_without_output_a_configuration_is_printed_and_nothing_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old.json").write_text(json.dumps(legged_gym()))
    main(["migrate", str(tmp_path / "old.json"), "--groups", "policy"])
    printed = capsys.readouterr().out
    assert printed.startswith("# Translated by 'rsl-rl migrate' from old.json:\n#   - the keys of 'runner'")
    OnPolicyRunner(PointEnv(), yaml.safe_load(printed)).learn(1)
    main(["migrate", str(RELEASES / "v4.0.1_mlp" / "model_1.pt")])
    assert "layout of rsl_rl 4.x" in capsys.readouterr().out
    assert [file.name for file in tmp_path.iterdir()] == ["old.json"]


def test_what_depends_on_the_environment_is_pointed_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "old.json").write_text(json.dumps(case("v2.3.3_mlp")["cfg"]))
    main(["migrate", str(tmp_path / "old.json"), "--output", str(tmp_path / "new.json")])
    assert "check obs_groups.critic" in capsys.readouterr().out
    # Left to the environment, as in the old file: both become the same networks, by every way to train.
    assert "obs_groups" not in json.loads((tmp_path / "new.json").read_text())


def test_a_run_folder_is_translated_as_a_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    (run / "params").mkdir(parents=True)
    (run / "params" / "agent.yaml").write_text(yaml.safe_dump(case("v2.3.3_mlp")["cfg"]))
    (run / "params" / "env.yaml").write_text("sim: !!python/object/apply:builtins.slice [null, null, null]\n")
    for iteration in (1, 50):
        (run / f"model_{iteration}.pt").write_bytes((RELEASES / "v2.3.3_mlp" / "model_1.pt").read_bytes())
    main(["migrate", str(run)])
    assert "loads as it is" in capsys.readouterr().out
    main(["migrate", str(run), "--output", str(tmp_path / "new")])
    # The critic of the checkpoint saw other numbers than the actor.
    assert "check obs_groups.critic: the critic saw 6 numbers, the actor 10" in capsys.readouterr().out
    written = sorted(str(file.relative_to(tmp_path / "new")) for file in (tmp_path / "new").rglob("*.*"))
    assert written == ["model_1.pt", "model_50.pt", "params/agent.yaml"]
    config = yaml.safe_load((tmp_path / "new" / "params" / "agent.yaml").read_text())
    assert config["obs_groups"] == {"actor": ["policy"], "critic": ["critic"]}
    config["obs_groups"]["critic"] = ["privileged"]
    loads_in_silence(config, tmp_path / "new" / "model_50.pt", capsys)


def test_the_runner_section_of_a_task_is_translated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "task.yaml").write_text(yaml.safe_dump({"env": "gym:Ant-v5", "runner": case("v3.3.0_mlp")["cfg"]}))
    main(["migrate", str(tmp_path / "task.yaml")])
    task = yaml.safe_load(capsys.readouterr().out)
    assert (task["env"], "policy" in task["runner"], task["runner"]["actor"]["hidden_dims"]) == (
        "gym:Ant-v5",
        False,
        [32, 16],
    )


def test_what_is_in_the_present_layout_stays_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "now.yaml").write_text(yaml.safe_dump(point_config()))
    main(["migrate", str(tmp_path / "now.yaml")])
    printed = capsys.readouterr()
    assert "already in the current layout" in printed.err
    assert yaml.safe_load(printed.out) == point_config()
    checkpoint = RELEASES / "v5.5.1_mlp" / "model_1.pt"
    main(["migrate", str(checkpoint), "--output", str(tmp_path / "copy.pt")])
    assert (tmp_path / "copy.pt").read_bytes() == checkpoint.read_bytes()


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "old.json").write_text(json.dumps(legged_gym()))
    before = (tmp_path / "old.json").read_bytes()
    for output in ("old.json", "."):
        error = fails(capsys, str(tmp_path / "old.json"), "--output", str(tmp_path / output))
        assert "exists already and was not changed" in error
    assert (tmp_path / "old.json").read_bytes() == before


def test_python_tags_of_old_files_are_read_as_plain_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = legged_gym()
    config["policy"]["actor_hidden_dims"] = (16, 8)
    text = yaml.dump(config) + "callback: !!python/name:os.system ''\n"
    assert "!!python/tuple" in text
    (tmp_path / "agent.yaml").write_text(text)
    main(["migrate", str(tmp_path / "agent.yaml")])
    new = yaml.safe_load(capsys.readouterr().out)
    assert new["actor"]["hidden_dims"] == [16, 8]
    assert new["callback"] == "os.system"


def test_files_that_would_execute_code_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "executed"
    text = f"algorithm: {{}}\nx: !!python/object/apply:pathlib.Path.touch [!!python/name:pathlib.Path '', {target}]\n"
    (tmp_path / "agent.yaml").write_text(text)
    error = fails(capsys, str(tmp_path / "agent.yaml"))
    assert "line 2 holds a Python object (!!python/object/apply:pathlib.Path.touch)" in error
    (tmp_path / "cfgs.pkl").write_bytes(pickle.dumps(legged_gym()))
    assert "Reading a pickle would execute what is in it" in fails(capsys, str(tmp_path / "cfgs.pkl"))
    assert not target.exists()


def test_classes_that_a_file_names_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "loud_module.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    config = point_config()
    del config["actor"]["distribution_cfg"]
    config["actor"] |= {"class_name": "loud_module:Model", "stochastic": True, "init_noise_std": 0.5}
    (tmp_path / "agent.json").write_text(json.dumps(config))
    main(["migrate", str(tmp_path / "agent.json")])
    assert yaml.safe_load(capsys.readouterr().out)["actor"]["distribution_cfg"]["init_std"] == 0.5


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.yaml", "a: [1", "is not a readable YAML file"),
        ("a.json", "{'a': 1}", "cannot be read"),
        ("a.yaml", "a: 1", "is not a runner's configuration"),
        ("a.yaml", "- 1", "is not a runner's configuration"),
        ("a.txt", "a: 1", "is not a configuration (.yaml, .yml, .json), a checkpoint (.pt) or a folder"),
        ("a.pt", "a: 1", "is not a checkpoint"),
        ("folder/a.txt", "", "has neither a checkpoint (model_*.pt) nor a runner's configuration"),
        ("b.yaml", "", "There is nothing at"),
    ],
)
def test_what_cannot_be_translated_is_explained(
    name: str, content: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    if name != "b.yaml":
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    assert message in fails(capsys, str(path.parent if name.startswith("folder") else path))


def test_a_file_without_a_training_state_is_no_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"weights": torch.zeros(2)}, tmp_path / "a.pt")
    assert "is not a checkpoint of a training run. It has: weights" in fails(capsys, str(tmp_path / "a.pt"))


def test_a_migrated_checkpoint_is_in_the_present_layout(tmp_path: Path) -> None:
    for name in ("v2.3.3_lstm", "v3.3.0_gru", "v3.3.0_mlp", "v4.0.1_lstm"):
        main(["migrate", str(RELEASES / name / "model_1.pt"), "--output", str(tmp_path / f"{name}.pt")])
        document = read_checkpoint(tmp_path / f"{name}.pt")
        assert layout_of(document) is None
        parts = {"actor_state_dict", "critic_state_dict", "optimizer_state_dict"}
        assert set(document) == {*parts, "iter", "infos", "format_version"}
