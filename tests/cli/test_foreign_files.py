# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Files of a run that are damaged, or are not what their names say: the message names the file and the cause."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rsl_rl.cli.main import main
from rsl_rl.cli.terminal import printable
from tests.env.toys import register

register()
SMALL = ["--num-envs", "4", "--iterations", "3", "--runner.num-steps-per-env", "8", "--threads", "1"]
SMALL += ["--runner.actor.hidden-dims", "8", "--runner.critic.hidden-dims", "8"]
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n"
CONTENTS = {
    "pointer": (POINTER, "it is a pointer of Git LFS: fetch the file itself with 'git lfs pull'"),
    "page": (PAGE, "it is a web page, such as one that asks to log in"),
    "empty": (b"", "it is empty"),
    "zeros": (b"\0" * 5000, "it consists of zeros: it was never written to its end"),
}
COMMANDS: dict[str, list[str]] = {
    "play": ["play", "run", "--episodes", "1"],
    "onnx": ["play", "run", "--episodes", "1", "--policy", "onnx"],
    "torchscript": ["play", "run", "--episodes", "1", "--policy", "torchscript"],
    "pt2": ["play", "run", "--episodes", "1", "--policy", "pt2"],
    "best": ["play", "run", "--episodes", "1", "--policy", "best"],
    "export": ["export", "run", "--formats", "torchscript", "--output", "out"],
    "plot": ["plot", "run"],
    "report": ["report", "run"],
    "migrate": ["migrate", "run"],
    "resume": ["train", "--resume", "run", "--iterations", "4", "--export", "False"],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train once; the folder is not to be changed."""
    folder = tmp_path_factory.mktemp("made") / "run"
    main(["train", "gym:Drift-v0", *SMALL, "--run-dir", str(folder)])
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the run that may be damaged, in the working folder."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(made, tmp_path / "run"))


def told(capsys: pytest.CaptureFixture[str], command: str) -> tuple[int, str]:
    """Run a command; return its exit status and what it said on stderr."""
    capsys.readouterr()
    status = 0
    shown = warnings.showwarning
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        sys.modules["rsl_rl.checkpoint.checkpoint_file"].__dict__.pop("__warningregistry__", None)
        try:
            main(COMMANDS[command])
        except SystemExit as exit_:
            status = int(exit_.code or 0)
    warnings.showwarning = shown
    return status, capsys.readouterr().err


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize(
    ("file", "commands"),
    [
        ("model_2.pt", {"play": 0, "migrate": 2, "report": 0, "resume": 0}),
        ("best.pt", {"best": 2, "report": 0}),
        ("config.yaml", {"play": 2, "plot": 0, "report": 0, "migrate": 0}),
        ("metrics.csv", {"plot": 2, "report": 0}),
        ("exports/policy.onnx", {"onnx": 2, "report": 0}),
        ("exports/policy.pt", {"torchscript": 2, "report": 0}),
        ("exports/policy.pt2", {"pt2": 2, "report": 0}),
        ("exports/checks.json", {"onnx": 0, "report": 0}),
        ("provenance.json", {"report": 0}),
        ("evaluation/model_2.json", {"report": 0}),
        ("git/library.diff", {"report": 0}),
    ],
)
def test_a_file_that_is_something_else_is_told_by_name_and_cause(
    file: str, commands: dict[str, int], name: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, cause = CONTENTS[name]
    (run / file).parent.mkdir(exist_ok=True)
    (run / file).write_bytes(content)
    for command, expected in commands.items():
        status, said = told(capsys, command)
        assert f"run/{file}" in said, (command, said)
        assert cause in said, (command, said)
        assert "Traceback" not in said
        # An empty table is that of a run that has just begun: its event files are read.
        assert status == (0 if (file, name) == ("metrics.csv", "empty") else expected), (command, said)
    if file == "provenance.json":
        told(capsys, "resume")
        assert (run / "damaged_provenance.json").read_bytes() == content
        assert len(json.loads((run / file).read_text())) == 1


def changed(run: Path, change: Callable[[dict[str, Any]], object], file: str = "model_2.pt") -> None:
    document = torch.load(run / file, weights_only=True)
    change(document)
    torch.save(document, run / file)


def not_finite(part: str, key: str) -> Callable[[dict[str, Any]], object]:
    return lambda document: document[part][key].view(-1)[:1].fill_(float("nan"))


@pytest.mark.parametrize(
    ("change", "command", "status", "message"),
    [
        (not_finite("actor_state_dict", "mlp.0.weight"), "play", 2, "numbers in mlp.0.weight, so its training had"),
        (not_finite("actor_state_dict", "obs_normalizer._mean"), "export", 2, "numbers in obs_normalizer._mean"),
        (not_finite("actor_state_dict", "distribution.std_param"), "play", 0, "in actor_state_dict: distribution"),
        (not_finite("critic_state_dict", "mlp.0.bias"), "resume", 2, "infinite numbers in critic.mlp.0.bias"),
        (
            lambda document: document["optimizer_state_dict"]["state"][0]["exp_avg"].fill_(float("inf")),
            "resume",
            0,
            "numbers in optimizer_state_dict: state.0.exp_avg",
        ),
        (lambda document: document.update(iter="five"), "play", 0, "model_2.pt' is damaged: its iteration"),
        (lambda document: document.update(callbacks=[1]), "play", 0, "entry 'callbacks' is a list instead"),
        (lambda document: document.update(numbers={"gamma": "x"}), "play", 0, "'numbers' holds something else"),
        (lambda document: document.update(processes=[{"log": None}]), "resume", 2, "model_2.pt' was not loaded"),
        (lambda document: document.clear(), "play", 2, "not loaded. The checkpoint has no 'actor_"),
        (lambda document: document.update(iter=0), "play", 0, "newest by its name, but holds iteration 0"),
        (
            lambda document: document.update(actor_state_dict={"mlp.0.weight": [[1.0]]}),
            "play",
            2,
            "mlp.0.weight: the checkpoint has a list, the actor needs a tensor",
        ),
        (
            lambda document: document.update(
                actor_state_dict={key: value.long() for key, value in document["actor_state_dict"].items()}
            ),
            "play",
            2,
            "mlp.0.weight: the checkpoint has torch.int64, the actor needs torch.float32",
        ),
        (
            lambda document: document["processes"][0]["algorithm"].update(random_state={"torch": 1}),
            "resume",
            2,
            "The checkpoint's random state cannot be read",
        ),
    ],
)  # fmt: skip
def test_what_a_checkpoint_holds_is_checked(
    change: Callable[[dict[str, Any]], object],
    command: str,
    status: int,
    message: str,
    run: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    changed(run, change)
    ended, said = told(capsys, command)
    assert message in said
    assert (ended, "Traceback" in said) == (status, False)


def test_a_checkpoint_of_another_run_is_told_by_what_it_was_made_with(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(capsys, "play") == (0, "")
    changed(run, lambda document: document["config"]["actor"].update(activation="tanh"))
    assert "model_2.pt' is of a run with other settings" in (said := told(capsys, "play")[1])
    assert "actor.activation: tanh -> elu" in said


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod."])
def test_models_that_were_saved_in_a_wrapper_act_alike(
    prefix: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([*COMMANDS["play"], "--json"])
    before = json.loads(capsys.readouterr().out)["returns"]

    def wrap(document: dict[str, Any]) -> None:
        for part in ("actor_state_dict", "critic_state_dict"):
            document[part] = {prefix + key: value for key, value in document[part].items()}

    changed(run, wrap)
    main([*COMMANDS["play"], "--json"])
    assert json.loads(capsys.readouterr().out)["returns"] == before


def test_numbers_of_few_digits_are_said(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed(run, lambda document: document["actor_state_dict"].update({"mlp.0.bias": torch.zeros(8).bfloat16()}))
    assert told(capsys, "play") == (
        0,
        "warning: The checkpoint's actor was saved as torch.bfloat16, which rounds its numbers.\n",
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda file: file.mkdir(), "There is no checkpoint at 'run/model_2.pt': it is a folder."),
        (lambda file: file.symlink_to("gone.pt"), "it is a link to 'gone.pt', which does not exist."),
        (lambda file: shutil.copy("run/exports/policy.pt", file), "it is an exported policy (TorchScript)."),
        (lambda file: shutil.copy("run/exports/policy.pt2", file), "it is an exported policy (torch.export)."),
        (lambda file: os.mkfifo(file), "it is neither a file nor a folder."),
        (lambda file: file.write_bytes(b"\x1f\x8b\x08rest"), "it is packed by gzip: unpack it first."),
    ],
)
def test_a_checkpoint_that_is_none_is_skipped_with_the_reason(
    make: Callable[[Path], object], message: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "model_2.pt").unlink()
    make(run / "model_2.pt")
    status, said = told(capsys, "play")
    assert status == 0
    assert "Skipped a checkpoint: " in said
    assert message in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["play", "run"], "'run/config.yaml' cannot be used: 'num_envs' must be int, got str: 'four'"),
        (
            ["play", "alone.onnx"],
            "'alone.onnx' is not in the folder of a run: there is no config.yaml beside it or above it.",
        ),
        (["play", "run/model_3.pt"], "There is no file 'run/model_3.pt'. Beside it: best.pt, latest.pt, model_0.pt, "),
        (["train", "run.yaml", "--checkpoint", "~/none.pt"], "/none.pt'. Checkpoints in that folder:"),
    ],
)
def test_what_is_named_and_cannot_be_used_is_told(
    arguments: list[str], message: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(run / "exports" / "policy.onnx", "alone.onnx")
    text = (run / "config.yaml").read_text()
    Path("run.yaml").write_text(text)
    (run / "config.yaml").write_text(text.replace("num_envs: 4", "num_envs: four"))
    with pytest.raises(SystemExit):
        main(arguments)
    assert message in capsys.readouterr().err


def test_of_two_names_for_an_iteration_the_own_one_counts(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("model_0002.pt", "model_99999999999999999999999999.pt"):
        shutil.copy(run / "model_0.pt", run / name)
    main(COMMANDS["play"])
    assert "run/model_2.pt" in capsys.readouterr().out


def test_copies_with_new_times_do_not_change_which_run_is_the_newest(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["2026-01-02_10-00-00_9", "2026-01-02_10-00-00_10", "2025-12-31_23-59-59"]
    for age, name in enumerate(names):
        folder = Path(shutil.copytree(run, f"runs/task/{name}"))
        # The last one that was copied has the newest files.
        os.utime(folder / "config.yaml", (1e9 + age, 1e9 + age))
    main(["play", "task", "--episodes", "1"])
    shown = capsys.readouterr()
    assert "runs/task/2026-01-02_10-00-00_10/model_2.pt" in shown.out
    assert "guessed" not in shown.err
    # A run of another name has noted when it began; one without a note is a guess.
    mine = Path(shutil.copytree(run, "runs/task/mine"))
    for date, noted, newest in (("2025-01-01", True, names[1]), ("2026-06-01", True, "mine"), ("", False, "mine")):
        (mine / "provenance.json").write_text(json.dumps([{"date": f"{date}T10:00:00+00:00"}] if noted else []))
        main(["play", "task", "--episodes", "1"])
        shown = capsys.readouterr()
        assert f"runs/task/{newest}/model_2.pt" in shown.out
        assert ("guessed by the times of their files: runs/task/mine" in shown.err) == (not noted)


def test_nothing_that_a_file_holds_controls_the_terminal(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = run / "config.yaml"
    text = config.read_text().replace("name: gym-Drift-v0", 'name: "a\\e[31mRED\\e]0;title\\a"')
    config.write_text(text.replace("expected: ''", 'expected: "\\e[2J\\x9b31m\\u202ewiped"'))
    table = run / "metrics.csv"
    table.write_text(table.read_text().replace("Loss/value", "\x1b[31mLoss", 1))
    changed(run, lambda document: document["actor_state_dict"].update({"\x1b[2Jx": torch.zeros(1)}), "model_0.pt")
    said = ""
    for arguments in (
        COMMANDS["play"],
        ["plot", "run", "--list"],
        ["play", "run/model_0.pt"],
        ["play", "no\udce9\x1b[2J"],
    ):
        with contextlib.suppress(SystemExit):
            main(arguments)
        said += "".join(capsys.readouterr())
    shown = (
        r"a\x1b[31mRED\x1b]0;title\x07",
        r"\x1b[2J\x9b31m\u202ewiped",
        r"\x1b[31mLoss",
        r"\x1b[2Jx",
        r"no\udce9\x1b[2J",
    )
    assert [text for text in shown if text not in said] == []
    assert all(letter.isprintable() or letter == "\n" for letter in said)


@pytest.mark.parametrize(
    ("text", "encoding", "has_colors", "shown"),
    [
        ("return \N{GREEK SMALL LETTER PI}\n", "ascii", False, "return \\u03c0\n"),
        ("\x1b[1mhelp\x1b[0m \x1b[2J", "utf-8", True, "\x1b[1mhelp\x1b[0m \\x1b[2J"),
        ("50 %\r\n", "utf-8", False, "50 %\n"),
    ],
)
def test_what_a_terminal_cannot_show_is_written_out(text: str, encoding: str, has_colors: bool, shown: str) -> None:
    assert printable(text, encoding, has_colors) == shown


def test_a_home_folder_that_the_shell_leaves_is_found(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    main(["export", "~/run", "--formats", "torchscript", "--output=~/out"])
    assert (tmp_path / "out" / "policy.pt").is_file()
    assert not Path("~").exists()
