# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The parts of the viewer that need no browser: shapes, forces, time, controls, the address, a training beside it."""

from __future__ import annotations

import itertools
import json
import math
import os
import shutil
import socket
import sys
import threading
import urllib.request
import warnings
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rsl_rl.checkpoint import newest_checkpoint, read_checkpoint, write_checkpoint
from rsl_rl.cli.main import main
from rsl_rl.cli.viewer.history import History
from rsl_rl.cli.viewer.joystick import RAMP_SECONDS, BrowserInput, Joystick
from rsl_rl.cli.viewer.pace import Pace
from tests.cli.test_commands import fails
from tests.processes import start

mujoco: Any = pytest.importorskip("mujoco")

MESH = "0 0 0  2 0 0  0 3 0  0 0 1"  # a tetrahedron of volume 1
GEOMS = {
    "sphere": ('type="sphere" size="0.5"', 4 / 3 * math.pi * 0.5**3),
    "capsule": ('type="capsule" size="0.2 0.5"', math.pi * 0.2**2 * 1.0 + 4 / 3 * math.pi * 0.2**3),
    "ellipsoid": ('type="ellipsoid" size="0.2 0.3 0.4"', 4 / 3 * math.pi * 0.2 * 0.3 * 0.4),
    "cylinder": ('type="cylinder" size="0.2 0.5"', math.pi * 0.2**2 * 1.0),
    "box": ('type="box" size="0.1 0.2 0.3"', 8 * 0.1 * 0.2 * 0.3),
    "mesh": ('type="mesh" mesh="wedge"', 1.0),
    "sdf": ('type="mesh" mesh="wedge"', 1.0),
}


def model_of(*geoms: str, assets: str = "", body: str = "") -> Any:
    inside = "".join(f"<geom {geom}/>" for geom in geoms)
    assets = f'<asset><mesh name="wedge" vertex="{MESH}"/>{assets}</asset>'
    return mujoco.MjModel.from_xml_string(f"<mujoco>{assets}<worldbody>{inside}{body}</worldbody></mujoco>")


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Return the volume within a closed surface; negative where the faces look inwards."""
    return float(np.linalg.det(vertices[faces]).sum() / 6)


# -- shapes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", GEOMS)
def test_a_geom_is_a_closed_surface_of_its_volume(kind: str) -> None:
    from rsl_rl.cli.viewer.shapes import shapes_of

    model = model_of(f'{GEOMS[kind][0]} pos="1 2 3" euler="20 50 70"')
    if kind == "sdf":  # what needs a plugin of MuJoCo's is drawn by its mesh
        model.geom_type[:] = mujoco.mjtGeom.mjGEOM_SDF
    (shape,) = shapes_of(model)
    assert volume(shape.vertices, shape.faces) == pytest.approx(GEOMS[kind][1], rel=0.04)
    # The place of a mesh is that of its centre of mass.
    center = shape.vertices.mean(axis=0) if kind not in ("mesh", "sdf") else model.geom_pos[0]
    assert center == pytest.approx(model.geom_pos[0], abs=0.02)


def test_every_type_of_geom_is_drawn() -> None:
    from rsl_rl.cli.viewer.shapes import _BUILDERS

    plane = int(mujoco.mjtGeom.mjGEOM_PLANE)
    assert {*_BUILDERS, plane} == set(range(int(mujoco.mjtGeom.mjNGEOMTYPES)))


def test_a_height_field_has_its_heights() -> None:
    from rsl_rl.cli.viewer.shapes import shapes_of

    field = '<hfield name="hill" nrow="2" ncol="3" size="3 1 0.5 0.1" elevation="0 0 1  0 0 0"/>'
    (shape,) = shapes_of(model_of('type="hfield" hfield="hill"', assets=field))
    corner = shape.vertices[np.argmax(shape.vertices[:, 2])]
    assert shape.vertices[:, 2].max() == 0.5
    assert tuple(abs(corner[:2])) == (3.0, 1.0)
    first, second, third = shape.vertices[shape.faces].transpose(1, 0, 2)
    assert (np.cross(second - first, third - first)[:, 2] > 0).all()  # seen from above


def test_planes_are_floors_with_their_size_and_place() -> None:
    from rsl_rl.cli.viewer.shapes import floors_of, shapes_of

    model = model_of('type="plane" size="0 0 1"', 'type="plane" size="2 3 1" pos="0 0 1" rgba="0.1 0.2 0.3 1"')
    endless, small = floors_of(model)
    assert endless.size is None
    assert small.size == (4.0, 6.0)
    assert small.rgba == (0.1, 0.2, 0.3, 1.0)
    assert tuple(small.position) == (0.0, 0.0, 1.0)
    assert shapes_of(model) == []


def test_colours_are_those_that_mujoco_draws() -> None:
    from rsl_rl.cli.viewer.shapes import color_of

    assets = """
        <texture name="checks" type="2d" builtin="checker" rgb1="0 0 0" rgb2="1 1 1" width="64" height="64"/>
        <material name="red" rgba="1 0 0 1"/><material name="checked" texture="checks" rgba="1 0.5 0 1"/>"""
    ball = 'type="sphere" size="0.1"'
    model = model_of(
        f'{ball} material="red"', f'{ball} material="red" rgba="0 0 1 0.5"', f'{ball} material="checked"', ball,
        assets=assets,
    )  # fmt: skip
    red, blue, checked, plain = (color_of(model, index) for index in range(4))
    assert red == (1.0, 0.0, 0.0, 1.0)
    assert blue == (0.0, 0.0, 1.0, 0.5)
    assert checked == pytest.approx((0.5, 0.25, 0.0, 1.0), abs=0.01)
    assert plain == (0.5, 0.5, 0.5, 1.0)


def test_what_only_collides_is_hidden_unless_there_is_nothing_else() -> None:
    from rsl_rl.cli.viewer.shapes import shapes_of

    seen, collides = 'type="box" size="1 1 1"', 'type="sphere" size="0.1" group="3"'
    assert volume(shapes_of(model_of(seen, collides))[0].vertices, shapes_of(model_of(seen))[0].faces) == 8.0
    assert len(shapes_of(model_of(collides))) == 1
    assert shapes_of(model_of('type="sphere" size="0.1" rgba="1 1 1 0"')) == []


# -- forces ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("floor", ['type="plane" size="5 5 1"', 'type="box" size="5 5 1" pos="0 0 -1"'])
def test_contact_forces_carry_the_weight_of_what_rests(floor: str) -> None:
    from rsl_rl.cli.viewer.forces import arrows, contact_forces

    # The geom of the world is the first of a contact with a plane, the second of one with a box.
    model = model_of(floor, body='<body pos="0 0 0.1"><freejoint/><geom type="sphere" size="0.1" mass="2"/></body>')
    data = mujoco.MjData(model)
    mujoco.mj_step(model, data, 1000)
    mujoco.mj_forward(model, data)
    points, forces = contact_forces(model, data)
    assert forces.sum(axis=0) == pytest.approx([0, 0, 2 * 9.81], rel=0.01, abs=0.05)
    assert points[0] == pytest.approx([0, 0, 0], abs=0.01)
    (arrow,) = arrows(model, data)
    assert arrow[1] - arrow[0] == pytest.approx([0, 0, 0.4], abs=0.01)


# -- time --------------------------------------------------------------------------------------------------------------


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def steps_in(pace: Pace, clock: Clock, seconds: float, cost: float = 0.0) -> int:
    """Return how many steps a loop makes that sleeps while there is nothing to do; each step takes ``cost``."""
    end, steps = clock.now + seconds, 0
    while clock.now < end:
        while clock.now < end and pace.take():
            steps += 1
            clock.now += cost
        clock.now += max(pace.seconds_left(), 1e-4)
    return steps


@pytest.mark.parametrize("speed", [0.1, 1.0, 2.0])
def test_as_much_time_passes_as_was_asked_for(speed: float) -> None:
    clock = Clock()
    pace = Pace(0.02, clock)
    pace.speed = speed
    assert steps_in(pace, clock, 10.0, cost=0.002) == pytest.approx(500 * speed, abs=2)
    assert pace.factor == pytest.approx(speed, abs=0.03)
    assert not pace.is_late


def test_a_machine_that_is_too_slow_says_how_slow_and_does_not_fall_behind() -> None:
    clock = Clock()
    pace = Pace(0.02, clock)
    assert pace.factor is None
    steps_in(pace, clock, 5.0, cost=0.05)
    assert pace.factor == pytest.approx(0.4, abs=0.03)
    assert pace.is_late
    # Fast again: what was missed is not made up for.
    assert steps_in(pace, clock, 2.0) <= 100 + 8


def test_a_pause_is_not_made_up_for() -> None:
    clock = Clock()
    pace = Pace(0.02, clock)
    steps_in(pace, clock, 1.0)
    clock.now += 60.0
    pace.restart()
    assert steps_in(pace, clock, 1.0) == pytest.approx(50, abs=1)
    assert not pace.is_late


def test_a_history_holds_the_last_values_and_gaps() -> None:
    history = History(3, 0.5)
    for step in range(4):
        history.add({"a": step})
    history.add({"b": 7.0})
    times, a, b = history.of("a", "b")
    assert times.tolist() == [-1.0, -0.5, 0.0]
    assert a[:2].tolist() == [2.0, 3.0]
    assert math.isnan(a[2])
    assert np.isnan(b[:2]).all()
    assert b[2] == 7.0
    assert history.names == ["a", "b"]


# -- controls ----------------------------------------------------------------------------------------------------------

WALK = {"forward": (-0.5, 1.0, 1.0), "left": (-0.4, 0.4, 1.0), "turn": (-2.0, 2.0, 1.0)}


def test_a_key_pushes_like_a_joystick_and_lets_go_like_one() -> None:
    stick = Joystick(WALK)
    first = stick.advance({"forward": 1.0}, 0.02)[0]
    assert 0 < first < 0.1
    assert stick.advance({"forward": 1.0}, RAMP_SECONDS).tolist() == [1.0, 0.0, 0.0]
    assert 0.5 < stick.advance({}, 0.1 * RAMP_SECONDS)[0] < 1.0
    assert stick.advance({}, RAMP_SECONDS).tolist() == [0.0, 0.0, 0.0]
    assert not stick.is_driven.any()
    assert stick.advance({"forward": -1.0, "turn": 0.5}, 1.0).tolist() == [-0.5, 0.0, 1.0]


def test_a_slider_stays_where_it_is_until_a_key_takes_over_or_all_is_stopped() -> None:
    stick = Joystick(WALK)
    stick.set("forward", 0.7)
    stick.set("turn", 99.0)
    stick.advance({"left": 1.0}, 1.0)
    assert stick.advance({}, 1.0).tolist() == [0.7, 0.0, 2.0]
    assert stick.is_new.tolist() == [False, True, False]
    stick.stop()
    assert stick.command.tolist() == [0.0, 0.0, 0.0]
    assert stick.is_new.all()


def test_commands_of_other_names_and_numbers_are_steered_too() -> None:
    no_sideways = Joystick({"lin_vel_x": (0.3, 1.0, 1.0), "ang_vel_z": (-1.0, 1.0, 1.0)})
    assert no_sideways.command.tolist() == [0.3, 0.0]  # it cannot stand
    assert no_sideways.advance({"left": 1.0}, 1.0).tolist() == [0.3, 1.0]
    unknown = Joystick({"height": (0.0, 1.0, 1.0), "pitch": (-1.0, 1.0, 1.0)})
    assert unknown.advance({"forward": 1.0, "left": -1.0}, 1.0).tolist() == [1.0, -1.0]
    assert Joystick({}).advance({"forward": 1.0}, 1.0).tolist() == []


NUMBERS = itertools.count(1)


def said(page: str = "a", held: Any = (), sticks: Any = None, number: Any = None, **counts: int) -> str:
    axes = {"forward": 0, "left": 0, "turn": 0, **(sticks or {})}
    all_counts = {"stop": 0, "pause": 0, "reset": 0, "push": 0, **counts}
    number = next(NUMBERS) if number is None else number
    return json.dumps({"page": page, "number": number, "held": held, "sticks": axes, "counts": all_counts})


def test_several_pages_steer_and_what_happens_once_happens_once() -> None:
    pages = BrowserInput()
    assert pages.receive(said(held=["KeyW", "KeyQ", "F5"])) == []
    assert pages.axes() == {"forward": 1.0, "left": 0.0, "turn": 1.0}
    assert pages.receive(said("b", sticks={"forward": -0.25}, push=1)) == ["push"]
    assert pages.axes()["forward"] == 0.75
    # Two presses in one report are one; a report that was seen is nothing new.
    assert pages.receive(said("b", push=3, reset=1)) == ["reset", "push"]
    assert pages.receive(said("b", push=3, reset=1)) == []
    pages.release()
    assert pages.axes() == {"forward": 0.0, "left": 0.0, "turn": 0.0}


@pytest.mark.parametrize(
    "text",
    ["", "[", "[]", "null", "{}", "9" * 5000, said(sticks={"turn": "left"}), said(sticks={"turn": math.nan}),
     said(held=3), said(push=math.inf), '{"page": 1, "number": 1, "held": [], "sticks": {}, "counts": {}}'],
)  # fmt: skip
def test_what_a_page_must_not_say_changes_nothing(text: str) -> None:
    pages = BrowserInput()
    pages.receive(said(held=["KeyW"]))
    assert pages.receive(text) == []
    assert pages.axes()["forward"] == 1.0


def test_a_report_that_was_overtaken_is_old() -> None:
    pages = BrowserInput()
    assert pages.receive(said(held=["KeyW"], pause=1)) == ["pause"]
    early = said(held=["KeyW"], pause=1)
    assert pages.receive(said(pause=2)) == ["pause"]
    assert pages.receive(early) == []
    assert pages.receive(said(pause=2)) == []
    assert pages.axes()["forward"] == 0.0


def test_pages_that_come_and_go_are_forgotten() -> None:
    pages = BrowserInput()
    for number in range(1000):
        pages.receive(said(str(number)))
    assert len(pages._counts) <= 16


# -- the address -------------------------------------------------------------------------------------------------------


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_that_is_taken_is_refused_where_it_was_asked_for_and_else_passed_over(
    taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rsl_rl.cli.viewer import server

    with pytest.raises(ValueError, match=f"Port {taken} of 127.0.0.1 cannot be used .* Leave --port out"):
        server.free_port("127.0.0.1", taken)
    monkeypatch.setattr(server, "PORT", taken)
    assert taken < server.free_port("127.0.0.1", None) < taken + 100
    with pytest.raises(ValueError, match="There is no address 'no.such.host.invalid' for --host"):
        server.free_port("no.such.host.invalid", None)


def test_whoever_lets_others_in_is_warned() -> None:
    pytest.importorskip("viser")
    from rsl_rl.cli.viewer.server import address, close_server, open_server

    with pytest.warns(UserWarning, match="can watch and steer: there is no password") as warned:
        server = open_server("0.0.0.0", 0, "a run")
    assert len(warned) == 1
    assert address(server) == f"http://localhost:{server.get_port()}"
    close_server(server)


def test_only_this_machine_gets_in_and_nothing_is_shared_or_printed(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("viser")
    from rsl_rl.cli.viewer.server import address, close_server, open_server

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        server = open_server("127.0.0.1", 0, "a run")
    assert address(server) == f"http://127.0.0.1:{server.get_port()}"
    assert server.request_share_url() is None
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.2", server.get_port()))
    close_server(server)
    assert capfd.readouterr() == ("", "")


def test_the_browser_is_opened_where_there_is_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    from rsl_rl.cli.viewer.server import open_browser

    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    open_browser("http://a")
    monkeypatch.setenv("DISPLAY", ":0")
    open_browser("http://b")
    assert opened == ["http://b"]


def test_shapes_go_where_their_bodies_go_and_the_world_moves_under_the_camera() -> None:
    pytest.importorskip("viser")
    from rsl_rl.cli.viewer.scene import Scene
    from rsl_rl.cli.viewer.server import close_server, open_server

    body = '<body pos="7.3 0 1"><freejoint/><geom type="box" size="0.1 0.1 0.1"/></body>'
    model = model_of('type="plane" size="0 0 1"', body=body)
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    server = open_server("127.0.0.1", 0, "a run")
    scene = Scene(server, model, root=1)
    scene.draw(data, follows=True, shows_forces=False)
    assert tuple(scene._bodies[1].position) == (7.3, 0.0, 1.0)
    assert tuple(scene._world.position) == (-7.3, 0.0, 0.0)
    ((floor, _),) = scene._endless  # type: ignore[misc] (there is one)
    assert tuple(floor.position) == (7.0, 0.0, 0.0)  # whole sections: its lines lie still
    data.qpos[:2] = 9.0, 2.0
    mujoco.mj_kinematics(model, data)
    scene.draw(data, follows=False, shows_forces=False)
    assert tuple(scene._bodies[1].position) == (9.0, 2.0, 1.0)
    assert tuple(scene._world.position) == (-7.3, 0.0, 0.0)
    close_server(server)


# -- from the command line ---------------------------------------------------------------------------------------------

TINY = ["--num-envs", "4", "--threads", "1", "--runner.num-steps-per-env", "8", "--runner.actor.hidden-dims", "8"]
TINY += ["--runner.critic.hidden-dims", "8", "--env-options", "num_threads=1", "--export", "False"]


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a Go1 for three iterations; the folder is not to be changed."""
    folder = tmp_path_factory.mktemp("viewer") / "walk"
    main(["train", "go1-walk", *TINY, "--iterations", "3", "--runner.save-interval", "1", "--run-dir", str(folder)])
    return folder


def test_without_viser_the_line_that_installs_it_is_shown(
    walk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "viser", None)
    assert "error: The viewer needs viser: pip install viser" in fails(capsys, "play", str(walk), "--view")
    folder = tmp_path / "run"
    assert "needs viser: pip install viser" in fails(capsys, "train", "go1-walk", "--view", "--run-dir", str(folder))
    assert not folder.exists()


def test_what_cannot_be_shown_is_refused_with_what_shows_it(
    walk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = shutil.copytree(walk, tmp_path / "run")
    text = (other / "config.yaml").read_text().replace("env: mujoco:go1-walk", "env: envpool:CartPole-v1")
    (other / "config.yaml").write_text(text)
    assert "'envpool:CartPole-v1' is none. A video shows it" in fails(capsys, "play", str(other), "--view")
    assert "A video shows it" in fails(capsys, "train", "cartpole-balance", "--view", "--run-dir", str(tmp_path / "b"))
    assert "takes neither --video nor --json" in fails(capsys, "play", str(walk), "--view", "--json")


def test_a_gymnasium_environment_without_mujoco_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("gymnasium")
    from rsl_rl.cli.viewer.watched_robot import make_robot
    from rsl_rl.config.task import load_task

    with pytest.raises(ValueError, match="'gym:Pendulum-v1' is none. A video shows it"):
        make_robot(load_task("gym:Pendulum-v1"), 1)


# -- policies ----------------------------------------------------------------------------------------------------------


def weights(policy: Any) -> torch.Tensor:
    return torch.cat([value.flatten() for value in policy.state_dict().values()])


@pytest.mark.filterwarnings("ignore:.*is taken for the newest")
def test_the_menu_holds_what_the_run_has_and_follows_it(walk: Path, tmp_path: Path) -> None:
    from rsl_rl.cli.run_folder import Run
    from rsl_rl.cli.viewer.policies import Policies
    from rsl_rl.cli.viewer.watched_robot import make_robot

    folder = shutil.copytree(walk, tmp_path / "run")
    shutil.copyfile(folder / "model_1.pt", folder / "best.pt")
    task = Run(str(folder)).task()
    robot = make_robot(task, 1)
    policies = Policies(task, robot.env, folder)
    assert policies.names() == ["newest", "best", "model_2.pt", "model_1.pt", "model_0.pt"]
    assert policies.add("checkpoint", folder / "model_1.pt") == "model_1.pt"
    newest = weights(policies.choose("newest"))
    assert policies.refresh() is None
    assert not torch.equal(weights(policies.choose("model_0.pt")), newest)
    # Nobody asked to follow this one.
    shutil.copyfile(folder / "model_0.pt", folder / "model_3.pt")
    assert policies.refresh() is None
    policies.choose("newest")
    shutil.copyfile(folder / "model_1.pt", folder / "model_4.pt")
    followed = policies.refresh()
    assert followed is not None
    assert policies.file == folder / "model_4.pt"
    assert "model_4.pt" in policies.names()
    # What is damaged is refused, and what acted still does.
    (folder / "model_2.pt").write_bytes(b"nothing")
    before = weights(policies.policy)
    with pytest.raises(ValueError, match="model_2.pt"):
        policies.choose("model_2.pt")
    # So is one whose training had diverged, which is seen when its weights are in a model.
    document = read_checkpoint(folder / "model_0.pt")
    next(value for key, value in document["actor_state_dict"].items() if key.endswith("weight")).fill_(math.nan)
    write_checkpoint(document, folder / "model_0.pt")
    with pytest.warns(UserWarning, match="NaN"), pytest.raises(ValueError, match="its training had diverged"):
        policies.choose("model_0.pt")
    assert policies.name == "newest"
    assert torch.equal(weights(policies.policy), before)
    robot.close()


def test_what_somebody_chooses_is_not_overwritten_on_its_way_and_the_menu_goes_back_where_it_fails(
    walk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from rsl_rl.cli.run_folder import Run
    from rsl_rl.cli.viewer.viewer import Viewer

    folder = shutil.copytree(walk, tmp_path / "run")
    viewer = Viewer(Run(str(folder)).task(), folder, lambda _: "newest", 1, "127.0.0.1", 0)
    session, panel = viewer.session, viewer._panel
    panel.show()
    # The browser has set these; the session has not heard of them yet.
    panel._policy.value, panel._random.value = "model_1.pt", True
    panel.show()
    assert (panel._policy.value, panel._random.value) == ("model_1.pt", True)
    (folder / "model_1.pt").write_bytes(b"nothing")
    session.requests.put(("policy", "model_1.pt"))
    session.requests.put(("random", True))
    session.tick(viewer)
    assert "model_1.pt" in capsys.readouterr().out
    panel.show()
    assert (panel._policy.value, panel._random.value) == ("newest", True)
    session.requests.put(("policy", "model_0.pt"))
    session.requests.put(("action", "stop"))
    session.tick(viewer)
    panel.show()
    assert (panel._policy.value, panel._random.value) == ("model_0.pt", False)
    # Another choice takes its place in the menu once its file is gone.
    (folder / "model_0.pt").unlink()
    panel.show()
    assert panel._policy.value == "model_0.pt" in panel._policy.options
    viewer.end()
    viewer.run(False)


# -- beside a training -------------------------------------------------------------------------------------------------


def train(folder: Path, *more: str) -> dict[str, Any]:
    main(["train", "go1-walk", *TINY, "--iterations", "4", "--run-dir", str(folder), *more])
    return read_checkpoint(newest_checkpoint(folder))


def test_a_viewer_changes_no_number_of_the_training_and_ends_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("viser")
    from rsl_rl.cli.run_folder import Run
    from rsl_rl.cli.viewer import beside_training
    from rsl_rl.cli.viewer.policies import TRAINING, Policies
    from rsl_rl.cli.viewer.watched_robot import make_robot

    alone = train(tmp_path / "alone")
    processes, close = [], beside_training.ViewerBesideTraining.close

    def close_and_keep(viewer: Any) -> None:
        if viewer._process is not None:
            processes.append((viewer._process, viewer._place))
            shutil.copyfile(viewer._file, tmp_path / "training.pt")
        close(viewer)

    waits = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    monkeypatch.setattr(beside_training, "own_command", lambda *_: waits)
    monkeypatch.setattr(beside_training, "_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(beside_training.ViewerBesideTraining, "close", close_and_keep)
    watched = train(tmp_path / "watched", "--view", "--no-browser")
    for part in ("actor_state_dict", "critic_state_dict"):
        assert all(torch.equal(value, watched[part][key]) for key, value in alone[part].items())
    assert str(alone["process_state"]) == str(watched["process_state"])
    ((process, place),) = processes
    assert process.returncode == 0
    assert not place.exists()
    assert f"Steer it in the browser: rsl-rl play {tmp_path / 'watched'} --view" in capsys.readouterr().out
    # What it was shown last is what it learned last.
    task = Run(str(tmp_path / "watched")).task()
    robot = make_robot(task, 1)
    policies = Policies(task, robot.env, tmp_path / "watched", tmp_path / "training.pt")
    shown = policies.choose(TRAINING).state_dict()  # type: ignore[attr-defined] (a model)
    assert all(torch.equal(shown[key], value) for key, value in watched["actor_state_dict"].items())
    robot.close()


def test_a_viewer_that_fails_is_said_once_and_the_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("viser")
    from rsl_rl.cli.viewer import beside_training

    monkeypatch.setattr(beside_training, "_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(beside_training, "own_command", lambda *_: ["false"])
    poll = beside_training.subprocess.Popen.poll
    monkeypatch.setattr(beside_training.subprocess.Popen, "poll", lambda process: process.wait() or poll(process))
    assert train(tmp_path / "run", "--view")["iter"] == 3
    assert capsys.readouterr().err.count("the training goes on without it: its process has ended with exit code 1") == 1


def test_the_process_beside_a_training_shows_it_until_the_pipe_is_closed(walk: Path, tmp_path: Path) -> None:
    pytest.importorskip("viser")
    if not hasattr(os, "mkfifo"):
        pytest.skip("needs named pipes")
    pipes = [tmp_path / name for name in ("stdin", "stdout")]
    for pipe in pipes:
        os.mkfifo(pipe)
    copied = shutil.copyfile(walk / "model_2.pt", tmp_path / "training.pt")
    module = "rsl_rl.cli.viewer.beside_training"
    files = (*pipes, tmp_path / "stderr")
    process = start("-m", module, walk, copied, "127.0.0.1", "0", "False", files=files, cwd=tmp_path)
    held = pipes[0].open("wb")
    with pipes[1].open() as output:
        line = output.readline()
        assert line.startswith("See it learn at http://127.0.0.1:"), (tmp_path / "stderr").read_text()
        assert b"<title>" in urllib.request.urlopen(line.split()[-1]).read()
        held.close()
        process.join(20)
    assert process.exitcode == 0


def test_ctrl_c_ends_a_viewer_cleanly(walk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("viser")
    from rsl_rl.cli.viewer.viewer import Viewer

    draws, before = [], threading.active_count()

    def interrupt(*_: Any) -> None:
        draws.append(1)
        raise KeyboardInterrupt

    monkeypatch.setattr(Viewer, "draw", interrupt)
    with pytest.raises(SystemExit) as ended:
        main(["play", str(walk), "--view", "--no-browser", "--port", "0"])
    assert ended.value.code == 130
    assert draws == [1]
    assert threading.active_count() <= before + 1
