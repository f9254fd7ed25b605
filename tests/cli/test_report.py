# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""``rsl-rl report``, and what a run notes for it; test_report_browser.py looks at the page as a browser shows it."""

from __future__ import annotations

import base64
import json
import os
import platform
import re
import shutil
import warnings
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rsl_rl.cli.export_record import recorded_check
from rsl_rl.cli.main import main
from rsl_rl.cli.report.charts import curve_data, thinned
from rsl_rl.cli.report.facts import RunFacts
from rsl_rl.cli.report.markup import Html, element, figures
from rsl_rl.cli.report.report_command import report_page
from rsl_rl.cli.warning_log import WarningLog, read_warnings
from rsl_rl.telemetry.history import Curve, History
from rsl_rl.telemetry.provenance import hardware, read_starts, record_start
from tests.cli.test_plot import make_run
from tests.envs import PointEnv
from tests.telemetry.test_history import write_events

EVIL = '<script>alert("x")</script>'
SMALL = ["--num-envs", "2", "--iterations", "3", "--runner.num-steps-per-env", "4", "--runner.actor.hidden-dims", "4"]


class Page(HTMLParser):
    """A page as a browser takes it apart."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._section, self.scripts = "", []
        self._in: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._in.append(tag)
        if tag == "section":
            self._section = dict(attrs)["id"] or ""
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        while self._in and self._in.pop() != tag:
            pass
        if tag == "section":
            self._section = ""

    def handle_data(self, data: str) -> None:
        if self._in and self._in[-1] == "script":
            self.scripts[-1] += data
        else:
            self.texts[self._section] = self.texts.get(self._section, "") + data

    @property
    def data(self) -> Any:
        return json.loads(self.scripts[0])


def page_of(folder: Path) -> Page:
    return Page(report_page(RunFacts(folder)))


def warning_point(num_envs: int, seed: int, device: str) -> PointEnv:
    """Return an environment that says something at every step, and something else once."""

    class Warning(PointEnv):
        steps = 0

        def step(self, actions: torch.Tensor) -> Any:
            self.steps += 1
            warnings.warn("the floor is wet", stacklevel=1)
            if self.steps == 6:
                warnings.warn(f"step {self.steps}: {EVIL}", stacklevel=1)
            return super().step(actions)

    return Warning(num_envs, seed=seed, device=device)


class TestPage:
    def test_it_tells_what_was_trained_how_and_what_came_out(self, trained_run: Path, tmp_path: Path) -> None:
        main(["report", str(trained_run), "--output", str(tmp_path / "page.html")])
        page = Page((tmp_path / "page.html").read_text())
        head = page.texts[""]
        for part in ("cartpole-balance", "envpool:CartpoleBalance-v1", "PPO", "7,680, of all environments"):
            assert part in head
        last = (trained_run / "metrics.csv").read_text().splitlines()[-1].split(",")
        columns = (trained_run / "metrics.csv").read_text().splitlines()[0].split(",")
        reward = float(last[columns.index("Train/mean_reward")])
        assert f"{reward:.4g}" in head
        assert page.data["curves"]["Train/mean_reward"]["y"][-1] == pytest.approx(reward, rel=1e-5)
        assert page.data["grids"][0]["steps"][-1] == 7680
        assert "model_29.pt" in page.texts["checkpoints"]
        assert page.texts["exports"].count("acts like the model") == 3
        assert "Not evaluated yet" in page.texts["evaluation"]
        assert "The training gave none" in page.texts["warnings"]
        assert f"python{platform.python_version()}" in page.texts["machine"]
        assert f"rsl-rl train {trained_run}/config.yaml" in page.texts["repeat"]

    def test_values_that_differ_from_the_preset_are_marked(self, trained_run: Path) -> None:
        page = page_of(trained_run)
        text = page.texts["configuration"]
        assert "runner.algorithm.learning_rate0.0020.001" in text
        assert "iterations30180" in text
        assert "gamma" not in text.partition("Every value")[0]
        assert "gamma: 0.99" in text
        marked = re.findall(r"<mark>\s*([a-z_]+)", report_page(RunFacts(trained_run)))
        assert set(marked) == {"num_steps_per_env", "learning_rate", "num_envs", "iterations"}

    def test_options_of_the_environment_and_another_environment_are_differences(self, tmp_path: Path) -> None:
        other = {"env": "gym:Other-v0", "env_options": {"frame_skip": 5}}
        preset = RunFacts(make_run(tmp_path / "preset", [1.0], **other))
        assert preset.changed() == [
            ("env", "gym:Other-v0", "envpool:CartpoleBalance-v1"),
            ("env_options.frame_skip", 5, "not set"),
        ]
        # The defaults are those of any environment.
        defaults = [key for key, _, _ in RunFacts(make_run(tmp_path / "own", [1.0], name="own", **other)).changed()]
        assert "env_options.frame_skip" in defaults
        assert not {"env", "env_options", "name"} & set(defaults)

    def test_it_is_whole_in_itself_and_forbids_the_network(self, trained_run: Path) -> None:
        page = page_of(trained_run)
        sources = [(tag, key) for tag, attributes in page.elements for key in attributes if key in ("src", "action")]
        assert [tag for tag, _ in page.elements if tag in ("link", "iframe", "object")] == []
        assert sources == []
        links = {attributes["href"] for tag, attributes in page.elements if tag == "a"}
        assert all(link and link.startswith("#") for link in links)
        policies = [a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
        assert len(policies) == 1
        assert str(policies[0]).startswith("default-src 'none'; img-src data:;")
        assert "unsafe" not in str(policies[0])

    def test_nothing_that_a_run_holds_becomes_a_part_of_the_page(self, tmp_path: Path) -> None:
        folder = make_run(tmp_path / "run<i>", [1.0, 2.0], name=EVIL, description=EVIL, expected=EVIL, env=EVIL)
        table = (
            (folder / "metrics.csv").read_text().replace("Perf/total_fps", f"Perf/total_fps,{EVIL}".replace('"', "'"))
        )
        (folder / "metrics.csv").write_text(table.replace(",50.0,", ",50.0,7.0,"))
        (folder / "git").mkdir()
        (folder / "git" / "a<b>.diff").write_text(
            f"--- branch ---\n{EVIL}\n--- commit ---\n{EVIL}\n--- status ---\n M {EVIL}\n--- diff ---\n+{EVIL}\n"
        )
        (folder / "warnings.jsonl").write_text(json.dumps({"iteration": EVIL, "time": EVIL, "message": EVIL}) + "\n")
        (folder / "evaluation").mkdir()
        evaluation = {"mean": {"return": 1.0}, "terms": {EVIL: 1.0}, "date": EVIL, "returns": [1.0]}
        (folder / "evaluation" / "a<b>.json").write_text(json.dumps(evaluation))
        start = {"date": EVIL, "command": ["rsl-rl", EVIL], "hardware": {"cpu": EVIL}, "versions": {EVIL: EVIL}}
        (folder / "provenance.json").write_text(json.dumps([start]))
        page = page_of(folder)
        assert [tag for tag, _ in page.elements].count("script") == len(page.scripts) == 2
        assert ("i", {}) not in page.elements
        assert ("b", {}) not in page.elements
        assert "alert" not in page.scripts[1]
        assert EVIL.replace('"', "'") in page.data["curves"]
        for section in ("", "code", "warnings", "evaluation", "machine", "repeat"):
            assert EVIL in page.texts[section], section

    def test_braces_of_a_run_are_not_filled_in(self, tmp_path: Path) -> None:
        folder = make_run(tmp_path / "run", [1.0], name="{{program}}", description="{{nothing}}")
        assert "{{program}}" in page_of(folder).texts[""]

    def test_evaluations_are_shown_with_their_picture(self, tmp_path: Path) -> None:
        folder = make_run(tmp_path / "run", [1.0])
        (folder / "evaluation").mkdir()
        mean = {"return": 812.5, "return_std": 3.25, "length": 1000.0, "success": 0.75}
        document = {"mean": mean, "returns": [1.0] * 64, "terms": {"upright": 0.5}, "tracking": {"velocity": 0.125}}
        (folder / "evaluation" / "model_9.json").write_text(json.dumps(document))
        picture = b"\x89PNG not really"
        (folder / "evaluation" / "model_9.png").write_bytes(picture)
        (folder / "evaluation" / "broken.json").write_text("{")
        page = page_of(folder)
        for part in ("model_9", "64", "812.5", "3.25", "1,000", "0.75", "upright", "0.125"):
            assert part in page.texts["evaluation"]
        images = [attributes["src"] for tag, attributes in page.elements if tag == "img"]
        assert images == [f"data:image/png;base64,{base64.b64encode(picture).decode()}"]
        assert "evaluation/broken.json' cannot be read" in page.texts["warnings"]


class TestWhatIsMissing:
    def test_a_folder_of_another_program_gives_a_page_that_says_what_is_missing(self, tmp_path: Path) -> None:
        write_events(tmp_path / "PPO_1", {"rollout/ep_rew_mean": [(100, 1.0), (200, 3.0)], "time/fps": [(200, 9.0)]})
        main(["report", str(tmp_path / "PPO_1")])
        page = Page((tmp_path / "PPO_1" / "report.html").read_text())
        assert "best 3 at 200 steps" in page.texts[""].replace("\N{NO-BREAK SPACE}", " ")
        assert page.data["axes"] == ["steps", "seconds"]
        for section in ("configuration", "code", "machine", "warnings", "update"):
            assert "Not recorded" in page.texts[section], section
        assert page.texts["checkpoints"].strip().endswith("None.")

    def test_a_run_that_was_killed_before_its_first_number_gives_a_page(self, tmp_path: Path) -> None:
        folder = make_run(tmp_path / "run", [1.0])
        (folder / "metrics.csv").unlink()
        page = page_of(folder)
        assert "neither metrics.csv nor TensorBoard files" in page.texts["curves"]
        assert "gamma: 0.99" in page.texts["configuration"]
        assert page.data is None

    def test_damaged_files_are_named_and_the_rest_is_shown(self, tmp_path: Path) -> None:
        folder = make_run(tmp_path / "run", [1.0, 2.0])
        (folder / "config.yaml").write_text("runner: [")
        (folder / "provenance.json").write_text("[1")
        (folder / "warnings.jsonl").write_text('{"message": "kept"}\n{"mess')
        (folder / "model_3.pt").write_bytes(b"no checkpoint")
        (folder / "best.pt").write_bytes(b"no checkpoint")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            page = page_of(folder)
        assert "model_3.pt' is not a checkpoint" in page.texts["warnings"]
        assert "config.yaml cannot be read" in page.texts["warnings"]
        assert "kept" in page.texts["warnings"]
        assert "runner: [" in page.texts["configuration"]
        assert "cannot be read" in page.texts["checkpoints"]
        assert page.data["curves"]["Train/mean_reward"]["y"] == [1, 2]

    def test_a_table_without_a_finite_number_gives_a_page(self, tmp_path: Path) -> None:
        (tmp_path / "metrics.csv").write_text("iteration,Train/mean_reward\n0,nan\n1,\n")
        page = page_of(tmp_path)
        assert page.data is None
        assert "metrics.csv' holds no number that is finite" in page.texts["warnings"]

    def test_a_run_that_took_no_time_gives_a_page(self, tmp_path: Path) -> None:
        folder = make_run(tmp_path / "run", [1.0, 2.0])
        table = (folder / "metrics.csv").read_text()
        assert "collecting" in page_of(folder).texts["throughput"]
        (folder / "metrics.csv").write_text(table.replace(",1.5,0.5", ",0,0"))
        assert "collecting" not in page_of(folder).texts["throughput"]

    def test_texts_and_evaluations_of_another_form_are_shown_as_they_are(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = make_run(tmp_path / "run", [1.0])
        (folder / "evaluation").mkdir()
        (folder / "evaluation" / "a.json").write_text('{"returns": 7, "date": "\\ud800", "mean": {"return": 5.5}}')
        main(["report", str(folder)])
        page = (folder / "report.html").read_bytes()
        assert "a-5.5---?" in Page(page.decode()).texts["evaluation"]
        assert f": {len(page) / 2**10:.1f} KiB" in capsys.readouterr().out

    def test_a_run_beside_hydras_hidden_folder_is_found(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "run" / ".hydra").mkdir(parents=True)
        (tmp_path / "run" / ".hydra" / "config.yaml").write_text("lr: 1\n")
        with pytest.raises(SystemExit):
            main(["report", str(tmp_path / "run")])
        assert "There is no run" in capsys.readouterr().err
        write_events(tmp_path / "run" / "tb", {"loss": [(0, 1.0)]})
        main(["report", str(tmp_path / "run")])
        assert Page((tmp_path / "run" / "report.html").read_text()).data["curves"]["loss"]["y"] == [1]

    def test_a_checkpoint_that_is_removed_meanwhile_is_no_failure(self, tmp_path: Path) -> None:
        folder = make_run(tmp_path / "run", [1.0])
        (folder / "model_1.pt").write_bytes(b"12345")
        (folder / "model_2.pt").symlink_to("gone")
        facts = RunFacts(folder)
        (folder / "model_1.pt").unlink()
        listed = Page(report_page(facts)).texts["checkpoints"]
        assert "model_1.ptcannot be read5 B" in listed
        assert "model_2" not in listed

    def test_a_folder_without_a_run_is_refused(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            main(["report", str(tmp_path)])
        assert "There is no run" in capsys.readouterr().err
        assert list(tmp_path.iterdir()) == []


class TestNotes:
    """What a training leaves for the report."""

    def test_every_start_is_noted_with_machine_versions_and_command(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.argv", ["/usr/bin/rsl-rl", "train", "an option"])
        arguments = [*SMALL, "--export", "False"]
        main(["train", "tests.env.layouts:old_point", *arguments, "--run-dir", "run"])
        main(["train", "--resume", "run", "--iterations", "4", "--export", "False"])
        main(["train", "--resume", "run", "--iterations", "4", "--export", "False"])  # Complete: no start.
        first, second = read_starts("run")
        assert (first["iteration"], second["iteration"]) == (0, 3)
        assert first["versions"]["torch"] == torch.__version__
        assert first["hardware"] == hardware("cpu")
        texts = page_of(Path("run")).texts["repeat"]
        assert "Started byrsl-rl train 'an option'" in texts
        assert "Went on at 3 by" in texts

    def test_the_hardware_is_that_of_this_machine(self) -> None:
        found = hardware("cpu")
        assert found["cores"] == len(os.sched_getaffinity(0))
        kibibytes = int(re.findall(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[0])
        assert found["memory_gib"] == pytest.approx(kibibytes / 2**20, abs=0.1)
        assert "gpu" not in found

    @pytest.mark.filterwarnings("ignore:.*cannot be read and is left out")
    def test_what_cannot_be_noted_ends_no_training(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.warns(UserWarning, match="training goes on"):
            record_start(tmp_path / "file")
        with WarningLog() as kept:
            kept.begin(tmp_path / "file", lambda: 0)
            kept.add("lost", UserWarning)

    def test_warnings_are_kept_once_with_their_iteration(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            env = "tests.cli.test_report:warning_point"
            main(["train", env, *SMALL, "--export", "False", "--run-dir", "run"])
        found = [(entry["iteration"], entry["message"]) for entry in read_warnings("run")]
        assert found == [(0, "the floor is wet"), (1, f"step 6: {EVIL}")]
        assert "warning: the floor is wet" in capsys.readouterr().err  # It is shown as before.
        assert EVIL in page_of(Path("run")).texts["warnings"]

    def test_warnings_from_before_the_folder_exists_are_kept(self, tmp_path: Path) -> None:
        before = warnings.showwarning
        with WarningLog() as kept, warnings.catch_warnings():
            warnings.simplefilter("always")
            kept.add("early", UserWarning)
            kept.add("for programmers", DeprecationWarning)
            kept.begin(tmp_path, lambda: 7)
            kept.add("late", UserWarning)
            kept.add("late", UserWarning)
        assert [(entry["message"], entry["iteration"]) for entry in read_warnings(tmp_path)] == [
            ("early", 0),
            ("late", 7),
        ]
        assert warnings.showwarning is before

    def test_the_check_of_an_export_counts_for_the_file_that_was_checked(
        self, trained_run: Path, tmp_path: Path
    ) -> None:
        folder = tmp_path / "run"
        shutil.copytree(trained_run, folder)
        file = folder / "exports" / "policy.pt"
        check = recorded_check(file)
        assert check is not None
        assert check["policy"] == "model_29.pt"
        assert check["max_difference"] <= 1e-4
        shutil.copy(folder / "exports" / "policy.pt2", file)
        assert recorded_check(file) is None
        page = page_of(folder)
        assert page.texts["exports"].count("cannot be read") == 1
        assert "policy.pt' cannot be read: it is an exported policy (torch.export)" in page.texts["warnings"]
        main(["export", str(folder / "model_0.pt"), "--formats", "torchscript"])
        check = recorded_check(file)
        assert check is not None
        assert check["policy"] == "model_0.pt"
        assert recorded_check(folder / "exports" / "policy.pt2") is not None


def test_thinning_keeps_peaks_and_ends() -> None:
    y = np.sin(np.arange(10_000) / 700.0)
    y[4321], y[8765] = 50.0, -50.0
    kept = thinned(y, 200)
    assert len(kept) <= 200
    assert {0, 4321, 8765, 9999} <= set(kept.tolist())
    assert (np.diff(kept) > 0).all()
    assert thinned(y[:150], 200).tolist() == list(range(150))


def test_a_long_curve_comes_with_the_mean_of_each_stretch() -> None:
    steps = np.arange(20_000.0)
    curves = {"long": Curve(steps, np.where(steps % 8 == 0, 9.0, 0.0)), "short": Curve(steps[:9], steps[:9])}
    data = json.loads(curve_data(History(Path("metrics.csv"), curves)))
    mean = data["curves"]["long"]["mean"]
    assert mean["y"] == [1.125] * 500  # 5 of 40 points are 9
    assert mean["points"] == 40
    assert data["grids"][mean["x"]]["iteration"][:2] == [19.5, 59.5]
    assert set(data["curves"]["long"]["y"]) == {0, 9}
    assert data["grids"][data["curves"]["long"]["x"]]["iteration"][-1] == 19_999
    assert "mean" not in data["curves"]["short"]


def test_text_is_escaped_unless_it_was_made_here() -> None:
    made = element("p", "<b>", element("i", "&"), Html("<br>"), None, class_="a", title='"', hidden=True, id=None)
    assert made == '<p class="a" title="&quot;" hidden>&lt;b&gt;<i>&amp;</i><br></p>'


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.012345, "0.01235"), (-12.3456, "-12.35"), (12345.6, "12,346"), (1.5e-5, "1.5e-05"), (None, "-")],
)
def test_numbers_have_four_digits(value: float | None, text: str) -> None:
    assert figures(value) == text
