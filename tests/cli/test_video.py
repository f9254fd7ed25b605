# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""``rsl-rl play --video``: what the file shows, also without a screen, and what is said where it cannot be made."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from rsl_rl.cli.main import main
from rsl_rl.config.task import load_task, read_task, write_task
from rsl_rl.robots import offscreen
from tests.env.toys import Drift, register
from tests.envs import PointEnv
from tests.processes import python

imageio: Any = pytest.importorskip("imageio.v2")
register()


class Painted(Drift):
    """Takes 12 steps, and draws a bar that grows with each, in a picture of odd size."""

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict]:
        observation, reward, _, _, info = super().step(action)
        return observation, reward, self._steps == 12, False, info

    def render(self) -> np.ndarray:
        picture = np.full((49, 65, 3), 40, np.uint8)
        picture[:, : 5 * self._steps] = 220
        return picture


gymnasium.register("Painted-v0", Painted)
SMALL = ["--num-envs", "2", "--iterations", "1", "--runner.num-steps-per-env", "4", "--threads", "1"]


def train(env: str, *options: str) -> None:
    main(["train", env, *SMALL, "--runner.actor.hidden-dims", "8", "--runner.critic.hidden-dims", "8", *options])


def play(folder: Path, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python that ends in a command, in a process in which nobody has chosen yet how to draw."""
    return python("-c", f"from rsl_rl.cli.main import main\n{code}", cwd=folder, env={**kept(), **environment})


def kept() -> dict[str, str]:
    """Return what such a process takes over of the environment of this one."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LD_LIBRARY_PATH") if name in os.environ}


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as exit_:
        main(list(arguments))
    assert exit_.value.code == 2
    return capsys.readouterr().err


def pictures(path: Path) -> np.ndarray:
    """Decode a video, [frames, height, width, 3]."""
    return np.stack([picture[..., :3] for picture in imageio.mimread(path, memtest=False)]).astype(int)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("painted") / "run"
    train("gym:Painted-v0", "--export", "False", "--run-dir", str(folder))
    return folder


@pytest.fixture
def painted(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run in it, from which commands are run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").symlink_to(trained)
    return tmp_path


@pytest.mark.parametrize("name", ["video.mp4", "video.gif"])
def test_every_step_of_an_episode_is_a_frame(name: str, painted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["play", "run", "--episodes", "1", "--video", name])
    assert f"{name}: 12 frames, 0.6 s\n" in capsys.readouterr().out
    frames = pictures(painted / name)
    assert frames.shape == (12, 48, 64, 3)  # the encodings of videos know no odd sizes
    bright = (frames[:, 24, :, 0] > 130).sum(axis=1)
    np.testing.assert_allclose(bright, 5 * np.arange(12), atol=2)


class Drawn(PointEnv):
    """An environment of the user's own, with pictures."""

    step_dt = 0.05

    def __init__(self, num_envs: int, seed: int, device: str, render_mode: str | None = None) -> None:
        super().__init__(num_envs, max_episode_length=12, seed=seed, device=device)
        self._draws = render_mode == "rgb_array"

    def render(self) -> np.ndarray:
        assert self._draws
        picture = np.zeros((self.num_envs, 48, 64, 3), np.uint8)
        picture[..., : int(self.episode_length_buf[0]), :] = 255
        return picture


class Timeless(Drawn):
    """Does not say how long a step takes, and has a task of its own."""

    step_dt = property()  # type: ignore[assignment]
    task = "drawing"


def blind(num_envs: int, seed: int, device: str) -> PointEnv:
    return PointEnv(num_envs, max_episode_length=3, seed=seed, device=device)


def test_environments_of_the_users_own_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    train("tests.cli.test_video:Drawn", "--export", "False")
    main(["play", "tests.cli.test_video:Drawn", "--episodes", "1", "--video", "drawn.gif"])
    assert "drawn.gif: 12 frames, 0.6 s\n" in capsys.readouterr().out
    assert (pictures(tmp_path / "drawn.gif").mean(axis=(1, 2, 3)) > 0).sum() == 11  # all but the first
    train("tests.cli.test_video:Timeless", "--export", "False")
    main(["play", "tests.cli.test_video:Timeless", "--episodes", "1", "--video", "timeless.gif"])
    assert "timeless.gif: 12 frames, 0.5 s\n" in capsys.readouterr().out
    train("tests.cli.test_video:blind", "--export", "False")
    error = fails(capsys, "play", "tests.cli.test_video:blind", "--episodes", "1", "--video", "drawn.gif")
    assert (
        "unexpected keyword argument 'render_mode'. For a video an environment takes render_mode='rgb_array'" in error
    )


def test_environments_that_draw_by_themselves_need_no_library(
    painted: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_libraries(monkeypatch)
    main(["play", "run", "--episodes", "1", "--video", "video.gif"])
    assert len(pictures(painted / "video.gif")) == 12


def without_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the loader look for libraries that nobody has."""
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    for backend in list(offscreen.LIBRARIES):
        monkeypatch.setitem(offscreen.LIBRARIES, backend, (f"libNobodyHas{backend}.so",))


@pytest.mark.parametrize("env", ["gym:Hopper-v5", "mujoco:go1-walk"])
def test_without_libraries_the_line_that_installs_them_comes_before_any_work(
    env: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_libraries(monkeypatch)
    policy = empty_run(tmp_path, "go1-joystick-flat", env=env)
    error = fails(capsys, "play", policy, "--video", str(tmp_path / "video.mp4"))
    assert "neither libNobodyHasegl.so nor libNobodyHasosmesa.so can be used here" in error
    assert "'sudo apt-get install libegl1' or 'sudo apt-get install libosmesa6'" in error
    assert sorted(file.name for file in tmp_path.iterdir()) == ["config.yaml", "policy.onnx"]


def empty_run(folder: Path, preset: str, **changes: Any) -> str:
    """Make a run whose policy is an empty file: a complaint about anything else comes before it is read."""
    task = load_task(preset)
    write_task(replace(task, **changes), folder / "config.yaml")
    (folder / "policy.onnx").touch()
    return str(folder / "policy.onnx")


@pytest.fixture(scope="module")
def hopper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hopper")
    train("gym:Hopper-v5", "--export", "False", "--run-dir", str(folder / "run"))
    config = folder / "run" / "config.yaml"
    task = read_task(config)
    write_task(replace(task, env_options={**task.env_options, "width": 64, "height": 48}), config)
    return folder


@pytest.mark.parametrize("backend", ["egl", "osmesa"])
def test_mujoco_draws_without_a_screen(backend: str, hopper: Path) -> None:
    if not offscreen.is_available(backend):
        pytest.skip(f"{offscreen.LIBRARIES[backend][0]} is not installed")
    # Where there is no EGL, OSMesa is found without being asked for.
    code = "from rsl_rl.robots import offscreen\nimport os\n"
    code += "" if backend == "egl" else "offscreen.LIBRARIES['egl'] = ('libNobodyHasEGL.so.1',)\n"
    code += f"main(['play', 'run', '--episodes', '1', '--video', '{backend}.mp4'])\nprint(os.environ['MUJOCO_GL'])"
    done = play(hopper, code)
    assert done.returncode == 0, done.stderr
    *_, said, chosen = done.stdout.splitlines()
    assert chosen == backend
    frames = pictures(hopper / f"{backend}.mp4")
    assert said.startswith(f"{backend}.mp4: {len(frames)} frames, ")
    assert len(frames) > 2
    assert frames.shape[1:] == (48, 64, 3)
    assert frames.mean() > 20
    assert np.abs(frames[-1] - frames[0]).max() > 40


# Each command is shown for ten steps, in small pictures.
SHORT = """
from rsl_rl.cli import video
video._COMMAND_SECONDS, video._SETTLED_SECONDS, make_env = 0.2, 0.1, video.make_env
def with_small_pictures(*arguments, **options):
    env = make_env(*arguments, **options)
    type(env).render.__defaults__ = (64, 48)
    return env
video.make_env = with_small_pictures
"""
PLAYED = """
for policy in ('checkpoint', 'onnx'):
    main(['play', 'run', '--policy', policy, '--episodes', '1', '--video', f'{policy}.mp4'])
"""


def can_draw() -> None:
    if not any(map(offscreen.is_available, offscreen.LIBRARIES)):
        pytest.skip("neither libEGL nor libOSMesa is installed")


def test_a_robot_with_commands_is_shown_one_after_the_other(go1: Path) -> None:
    can_draw()
    done = play(go1, SHORT + PLAYED)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for policy in ("checkpoint", "onnx"):
        frames = pictures(go1 / f"{policy}.mp4")
        # Three commands of 10 steps each; every second step is drawn.
        assert frames.shape == (15, 48, 64, 3)
        assert frames.mean() > 50
        assert np.abs(frames[-1] - frames[0]).max() > 20
        said = lines.index(f"{policy}.mp4: 15 frames, 0.6 s")
        for line, asked in zip(lines[said + 1 : said + 4], ("forward 0.96", "left 0.48", "turn 0.96"), strict=True):
            number = r" *-?\d\.\d\d"
            assert re.fullmatch(rf"  {asked} +forward{number}, left{number}, turn{number}", line), line


FALLING = """
import re, sys, torch
from pathlib import Path
from rsl_rl.config.task import load_task
task = load_task("mujoco:" + sys.argv[1] + ":Balancer")
video._COMMAND_SECONDS = 3.0
video.prepare_video(task, Path("falls.gif"))
for line in video.record_video(task, lambda obs: torch.zeros(1, 2), Path("falls.gif"), seed=3):
    print(line)
"""


def test_a_robot_that_falls_ends_the_video(tmp_path: Path) -> None:
    can_draw()
    balancer = Path(__file__).parents[2] / "examples" / "mujoco_robot.py"
    done = python("-c", SHORT + FALLING, balancer, cwd=tmp_path, env=kept())
    assert done.returncode == 0, done.stderr
    first, *_, last = done.stdout.splitlines()
    count, seconds = re.fullmatch(r"falls.gif: (\d+) frames, ([\d.]+) s", first).groups()  # type: ignore[union-attr]
    fell_after = float(last.removeprefix("  fell after ").removesuffix(" s"))
    assert 0.2 < fell_after < 2.0
    assert float(seconds) == pytest.approx(fell_after, abs=0.1)
    assert len(pictures(tmp_path / "falls.gif")) == int(count)


@pytest.fixture(scope="module")
def go1(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of a recurrent policy for the Go1."""
    folder = tmp_path_factory.mktemp("go1")
    (folder / "task.yaml").write_text(
        "env: mujoco:go1-walk\n"
        "eval_env_options: {episode_seconds: 2.0}\n"
        "runner:\n"
        "  class_name: OnPolicyRunner\n"
        "  num_steps_per_env: 4\n"
        "  save_interval: 50\n"
        "  algorithm: {class_name: PPO, num_mini_batches: 1}\n"
        "  obs_groups: {actor: [actor], critic: [critic]}\n"
        "  actor: {class_name: RNNModel, rnn_type: gru, rnn_hidden_dim: 8, hidden_dims: [8], distribution_cfg:\n"
        "    {class_name: GaussianDistribution}}\n"
        "  critic: {class_name: MLPModel, hidden_dims: [8]}\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        main(["train", "task.yaml", *SMALL, "--export", "False", "--run-dir", "run"])
        main(["export", "run", "--formats", "onnx"])
    return folder


def test_an_environment_without_pictures_is_named(
    painted: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Painted, "render", lambda self: None)
    error = fails(capsys, "play", "run", "--episodes", "1", "--video", "video.mp4")
    assert "'gym:Painted-v0' cannot be rendered here" in error
    assert not (painted / "video.mp4").exists()
