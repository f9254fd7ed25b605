# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The viewer in a real browser: what a person sees and steers there."""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from rsl_rl.cli.main import main
from rsl_rl.cli.run_folder import Run
from tests.cli.test_viewer_parts import TINY

sync_api: Any = pytest.importorskip("playwright.sync_api")
for _package in ("viser", "mujoco", "gymnasium", "imageio"):
    pytest.importorskip(_package)
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="No Chromium is installed")

QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
DRAWN_BY_THE_CPU = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
SECONDS = 100.0  # Drawn by software on a busy machine, everything takes long.
GAMEPAD = """
    const pad = {connected: true, axes: [0, 0, 0, 0], buttons: Array.from({length: 16}, () => ({pressed: false}))};
    window.pad = pad;
    navigator.getGamepads = () => [pad];
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=BROWSER, args=[*DRAWN_BY_THE_CPU, *QUIET])
        yield opened
        opened.close()


@pytest.fixture(scope="module", autouse=True)
def _few_pictures() -> Iterator[None]:
    """Draw five times a second: a page without a graphics card is busy for long with each."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("rsl_rl.cli.viewer.session._FRAME_SECONDS", 0.2)
        yield


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a Go1 for two iterations, with an exported policy; the folder is not to be changed."""
    folder = tmp_path_factory.mktemp("viewer") / "walk"
    main(["train", "go1-walk", *TINY, "--iterations", "2", "--runner.save-interval", "1", "--run-dir", str(folder)])
    return folder


class Watched:
    """A viewer that acts in a thread of its own, and tells after every picture."""

    def __init__(self, folder: Path, first: str = "newest") -> None:
        from rsl_rl.cli.viewer.viewer import Viewer

        drawn = self._drawn = threading.Condition()

        class Telling(Viewer):
            def draw(self, session: Any) -> None:
                super().draw(session)
                with drawn:
                    drawn.notify_all()

        self.viewer = Telling(Run(str(folder)).task(), folder, lambda _: first, 1, "127.0.0.1", 0)
        # Shadows take most of the time where there is no graphics card.
        self.viewer._server.scene.configure_default_lights(cast_shadow=False)
        self.session = self.viewer.session
        self._thread = threading.Thread(target=self.viewer.run, args=(False,))
        self._thread.start()

    def wait(self, condition: Callable[[], Any], what: str) -> None:
        with self._drawn:
            assert self._drawn.wait_for(condition, SECONDS), what

    def close(self) -> None:
        self.viewer.end()
        self._thread.join()


@contextlib.contextmanager
def opened(browser: Any, watched: Watched, program: str = "") -> Iterator[Any]:
    """Open the viewer's page, and see that it asks nobody else for anything and complains of nothing."""
    context = browser.new_context(viewport={"width": 700, "height": 900}, device_scale_factor=0.5)
    context.set_default_timeout(1000 * SECONDS)
    context.add_init_script(program)
    complaints, requests = [], []
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: requests.append(request.url))
    page.goto(watched.viewer.address)
    page.get_by_text("real time").wait_for()
    yield page
    assert complaints == []
    assert [url for url in requests if not url.startswith((watched.viewer.address, "data:", "blob:"))] == []
    context.close()


@pytest.fixture(scope="module")
def watched(walk: Path) -> Iterator[Watched]:
    # One browser at a time: two that draw by software on two cores keep each other waiting.
    with FileLock(Path(tempfile.gettempdir()) / "rsl_rl_test_viewer.lock"):
        watched = Watched(walk)
        yield watched
        watched.close()


@pytest.fixture(scope="module")
def page(browser: Any, watched: Watched) -> Iterator[Any]:
    with opened(browser, watched, GAMEPAD) as page:
        yield page


def click(element: Any) -> None:
    """Click without waiting until the page has drawn two pictures, which takes long on a busy machine."""
    element.evaluate("(element) => element.click()")


def field(page: Any, label: str) -> Any:
    """Return the field that belongs to a label; of a slider that with its number."""
    row = page.locator(f"xpath=//label[.='{label}']/ancestor::div[.//input][1]")
    return row.locator("input:visible").first


def enter(element: Any, text: str) -> None:
    """Click into a field, type, and press Enter."""
    element.dispatch_event("pointerdown")
    element.fill(text)
    element.press("Enter")


def picture(page: Any) -> np.ndarray:
    """Return the picture of the scene, left of the panel, as [height, width, 3] of bytes."""
    import imageio.v3

    shot = page.screenshot(clip={"x": 0, "y": 150, "width": 370, "height": 600})
    return imageio.v3.imread(io.BytesIO(shot))[..., :3].astype(int)


def test_a_key_drives_the_robot_and_its_release_lets_it_stand(page: Any, watched: Watched) -> None:
    command = watched.session.joystick.command
    assert command.tolist() == [0.0, 0.0, 0.0]
    page.keyboard.down("w")
    page.keyboard.down("ArrowLeft")
    watched.wait(
        lambda: watched.session.robot.asked().tolist() == [np.float32(1.2), 0.0, np.float32(1.2)], "W and left"
    )
    page.wait_for_function("[...document.querySelectorAll('input')].some((each) => each.value === '1.2')")
    page.keyboard.up("w")
    page.keyboard.up("ArrowLeft")
    watched.wait(lambda: watched.session.robot.asked().tolist() == [0.0, 0.0, 0.0], "released")


def test_the_robot_is_seen_and_moves(page: Any, watched: Watched) -> None:
    page.keyboard.press("p")
    watched.wait(lambda: watched.session.is_paused, "P")
    page.get_by_text("paused").wait_for()
    steps, before = watched.session.steps, picture(page)
    # Its orange joints on the blue floor.
    assert ((before[..., 0] > 150) & (before[..., 2] < 90)).sum() > 30
    page.keyboard.press("p")
    watched.wait(lambda: not watched.session.is_paused and watched.session.steps > steps + 10, "steps")
    page.keyboard.press("x")
    watched.wait(lambda: watched.session.steps > steps + 30, "steps after a push")
    assert (np.abs(picture(page) - before).max(axis=2) > 40).sum() > 100


def test_buttons_sliders_and_switches_do_what_they_say(page: Any, watched: Watched) -> None:
    session = watched.session
    click(page.get_by_role("button", name="Pause"))
    watched.wait(lambda: session.is_paused, "Pause")
    before = session.robot.qvel.copy()
    click(page.get_by_role("button", name="Push"))
    watched.wait(lambda: (session.robot.qvel != before).any(), "Push")
    assert np.linalg.norm(session.robot.qvel - before) == pytest.approx(0.5)
    click(page.get_by_role("button", name="Reset"))
    watched.wait(lambda: session.steps == 0 and np.abs(session.robot.qvel[:2]).max() <= 0.5, "Reset")
    click(page.get_by_role("button", name="Pause"))
    for label, attribute in (
        ("contact forces", "shows_forces"),
        ("random", "is_random"),
        ("camera follows", "follows"),
    ):
        was, begun = getattr(session, attribute), session.steps
        # viser drops a value that changes within 50 ms of another one, which nobody's hand does.
        watched.wait(lambda begun=begun: session.steps >= begun + 5, "0.1 s")
        click(page.get_by_label(label))
        watched.wait(lambda attribute=attribute, was=was: getattr(session, attribute) is not was, label)
    watched.wait(lambda: watched.viewer._scene._arrows.visible, "arrows of forces")
    assert not watched.viewer._robot._env.command_is_held  # type: ignore[attr-defined]
    page.keyboard.press("Space")
    watched.wait(lambda: not session.is_random and not session.robot.asked().any(), "stop ends the random commands")
    assert not session.robot.noise
    click(page.get_by_label("sensor noise"))
    watched.wait(lambda: watched.viewer._robot._task.noise_level == 1.0, "noise")  # type: ignore[attr-defined]
    speed = field(page, "speed")
    enter(speed, "0.5")
    watched.wait(lambda: session.pace.speed == 0.5, "slow motion")
    enter(speed, "2")
    watched.wait(lambda: session.pace.speed == 2.0, "fast motion")


def test_what_is_typed_into_a_field_is_no_key_of_the_robot(page: Any, watched: Watched) -> None:
    number = field(page, "left")
    number.dispatch_event("pointerdown")
    number.fill("0.25")
    watched.wait(lambda: watched.session.robot.asked()[1] == np.float32(0.25), "a number for a slider")
    episodes = watched.session.episodes
    page.keyboard.press("ArrowUp")
    page.keyboard.press("p")
    page.keyboard.press("Enter")
    page.wait_for_function("document.activeElement === document.body")
    page.keyboard.press("Space")
    watched.wait(lambda: not watched.session.robot.asked().any(), "space")
    assert not watched.session.is_paused
    assert watched.session.episodes >= episodes


def test_a_gamepad_drives(page: Any, watched: Watched) -> None:
    page.evaluate("pad.axes = [0, -1, 0.5, 0]")
    watched.wait(lambda: watched.session.robot.asked() == pytest.approx([1.2, 0.0, -0.6]), "the sticks")
    page.evaluate("pad.axes = [0, 0.05, 0, 0]")
    watched.wait(lambda: not watched.session.robot.asked().any(), "the middle, nearly")
    page.evaluate("pad.buttons[9].pressed = true")
    watched.wait(lambda: watched.session.is_paused, "start")
    page.evaluate("pad.buttons[9].pressed = false")
    page.keyboard.press("p")
    watched.wait(lambda: not watched.session.is_paused, "P")


def test_another_checkpoint_replaces_the_policy_and_a_damaged_one_does_not(
    page: Any, watched: Watched, walk: Path
) -> None:
    session, menu = watched.session, field(page, "policy")
    before = session._policy
    click(menu)
    click(page.get_by_role("option", name="model_0.pt"))
    watched.wait(lambda: session._policy is not before and session.policies.file == walk / "model_0.pt", "model_0.pt")
    page.get_by_text("go1-walk, model_0.pt").wait_for()
    content = (walk / "model_1.pt").read_bytes()
    (walk / "model_1.pt").write_bytes(b"nothing")
    acting = session._policy
    click(menu)
    click(page.get_by_role("option", name="model_1.pt"))
    page.get_by_text("This policy cannot act").wait_for()
    assert session._policy is acting
    (walk / "model_1.pt").write_bytes(content)
    # The keys are the robot's again.
    page.keyboard.down("s")
    watched.wait(lambda: session.robot.asked()[0] == np.float32(-1.2), "S")
    page.keyboard.up("s")


def test_a_page_that_is_left_lets_go(page: Any, watched: Watched) -> None:
    page.keyboard.down("d")
    watched.wait(lambda: watched.session.robot.asked()[1] == np.float32(-0.6), "D")
    page.goto("about:blank")  # nobody hears that the key is released
    watched.wait(lambda: not watched.session.robot.asked().any(), "left")
    page.keyboard.up("d")


def test_an_environment_of_gymnasium_is_shown_without_commands(browser: Any, tmp_path: Path) -> None:
    folder = tmp_path / "ant"
    small = [word for word in TINY if word not in ("--env-options", "num_threads=1")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main(["train", "gym:Ant-v5", *small, "--iterations", "1", "--run-dir", str(folder)])
    with contextlib.closing(Watched(folder)) as watched, opened(browser, watched) as page:
        assert page.get_by_text("Command", exact=True).count() == 0
        page.get_by_text("reward terms").wait_for()
        assert watched.session.rewards.names[:2] == ["reward_forward", "reward_ctrl"]
        page.keyboard.press("p")
        watched.wait(lambda: watched.session.is_paused, "P")
        page.keyboard.press("r")
        watched.wait(lambda: watched.session.steps == 0, "R")
        before = watched.session.robot.qvel.copy()
        page.keyboard.press("x")
        watched.wait(lambda: (watched.session.robot.qvel != before).any(), "X")
        click(page.get_by_label("contact forces"))
        page.keyboard.press("p")
        watched.wait(lambda: watched.viewer._scene._arrows.visible, "arrows of forces")
