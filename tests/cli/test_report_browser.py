# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The page about a run in a real browser without a network: what is seen, and what a person can do with it."""

from __future__ import annotations

import contextlib
import csv
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rsl_rl.cli.main import main
from tests.cli.test_plot import make_run

sync_api: Any = pytest.importorskip("playwright.sync_api")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="No Chromium is installed")

QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
LARGE = ".chart.large svg"
SECTIONS = (
    "curves reward-terms update throughput evaluation exports checkpoints configuration code machine warnings repeat"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu", *QUIET])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def page_file(trained_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("report") / "page.html"
    main(["report", str(trained_run), "--output", str(file)])
    return file


@contextlib.contextmanager
def opened(browser: Any, file: Path, **options: Any) -> Iterator[Any]:
    """Open a page that can reach nothing but itself, and see that it asks for nothing else and reports no error."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "offline": True, **options})
    requests, complaints = [], []
    context.route("**/*", lambda route: route.continue_() if route.request.url == file.as_uri() else route.abort())
    page = context.new_page()
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(file.as_uri())
    yield page
    assert requests == [file.as_uri()]
    assert complaints == []
    context.close()


@pytest.fixture
def page(browser: Any, page_file: Path) -> Iterator[Any]:
    with opened(browser, page_file) as found:
        yield found


def logged(run: Path, tag: str) -> list[tuple[int, float]]:
    """Return environment steps and values of a tag as the run's table has them; 16 * 16 steps an iteration."""
    with (run / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row[tag]]
    return [((int(row["iteration"]) + 1) * 256, float(row[tag])) for row in rows]


def shown_range(page: Any, chart: str = LARGE) -> tuple[float, float]:
    low, high = page.locator(chart).first.get_attribute("data-range").split()
    return float(low), float(high)


def ticks(page: Any, kind: str, chart: str = LARGE) -> list[str]:
    return page.locator(f"{chart} .{kind}-tick").all_text_contents()


def points(page: Any, chart: str = LARGE, kind: str = "curve") -> list[tuple[float, float]]:
    path = page.locator(f"{chart} path.{kind}").first.get_attribute("d")
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([-\d.]+),([-\d.]+)", path)]


def drag(page: Any, begin: float, end: float) -> None:
    """Drag across these shares of the large chart."""
    page.locator(LARGE).scroll_into_view_if_needed()
    box = page.locator(LARGE).bounding_box()
    page.mouse.move(box["x"] + begin * box["width"], box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + end * box["width"], box["y"] + 140)
    page.mouse.up()


def contrast(one: str, other: str) -> float:
    """Return the ratio that WCAG 2 defines, for two colours as a browser gives them."""

    def luminance(color: str) -> float:
        shares = [int(value) / 255 for value in re.findall(r"\d+", color)[:3]]
        linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_all_sections_are_seen_and_every_curve_is_drawn(page: Any, trained_run: Path) -> None:
    for name in SECTIONS.split():
        assert page.locator(f"#{name} h2").is_visible(), name
    assert page.title() == "cartpole-balance: training report"
    charts = page.locator(".chart").count()
    assert charts > 10
    assert page.locator(".chart path.curve").count() == charts
    assert len(points(page)) == len(logged(trained_run, "Train/mean_reward")) > 20
    assert len(ticks(page, "x")) >= 4
    assert len(ticks(page, "y")) >= 3


def test_a_curve_goes_where_its_numbers_say(page: Any, trained_run: Path) -> None:
    for tag in ("Train/mean_reward", "Loss/learning_rate"):
        page.select_option(".chooser", tag)
        numbers, drawn = logged(trained_run, tag), points(page)
        # Places on the screen are linear functions of steps and values; y falls.
        for axis, rises in ((0, True), (1, False)):
            values, places = [point[axis] for point in numbers], [point[axis] for point in drawn]
            first, last = (min(places), max(places)) if rises else (max(places), min(places))
            low, high = min(values), max(values)
            expected = [first + (value - low) / (high - low) * (last - first) for value in values]
            assert places == pytest.approx(expected, abs=0.11), tag


def test_dragging_zooms_all_charts_and_a_double_click_returns(page: Any) -> None:
    whole, before, everything = shown_range(page), ticks(page, "x"), len(points(page))
    drag(page, 0.3, 0.6)
    low, high = shown_range(page)
    width = whole[1] - whole[0]
    assert (low - whole[0]) / width == pytest.approx(0.28, abs=0.03)  # The axis begins right of its labels.
    assert (high - low) / width == pytest.approx(0.3, abs=0.04)
    assert ticks(page, "x") != before
    assert shown_range(page, "#throughput svg[data-range]") == (low, high)
    assert 2 < len(points(page)) < everything
    page.locator(LARGE).dblclick()
    assert shown_range(page) == whole
    assert ticks(page, "x") == before


def test_the_button_returns_to_the_whole_range_and_a_click_zooms_nothing(page: Any) -> None:
    whole = shown_range(page)
    assert page.locator("#reset").is_disabled()
    drag(page, 0.5, 0.504)  # The hand shakes while it clicks.
    assert shown_range(page) == whole
    drag(page, 0.5, 0.2)  # leftwards
    assert shown_range(page) != whole
    page.locator("#reset").click()
    assert shown_range(page) == whole
    assert page.locator("#reset").is_disabled()


def test_the_pointer_and_the_keyboard_read_values(page: Any, trained_run: Path) -> None:
    output = page.locator(".large output")
    rewards = logged(trained_run, "Train/mean_reward")

    def told(index: int) -> str:
        return f"{rewards[index][0]:,}: {rewards[index][1]:.4g}"

    assert output.text_content() == f"last {rewards[-1][1]:.4g}"
    page.locator(LARGE).focus()
    page.keyboard.press("Home")
    assert output.text_content() == told(0)
    page.keyboard.press("ArrowRight")
    assert output.text_content() == told(1)
    whole = shown_range(page)
    page.keyboard.press("End")
    page.keyboard.press("+")
    low, high = shown_range(page)
    assert (low, high) == (pytest.approx(whole[1] - (whole[1] - whole[0]) / 4), whole[1])
    page.keyboard.press("Escape")
    assert shown_range(page) == whole
    box = page.locator(LARGE).bounding_box()
    page.mouse.move(box["x"] + box["width"] - 11, box["y"] + 60)
    assert output.text_content() == told(-1)


def test_every_control_is_reached_by_the_keyboard(page: Any) -> None:
    seen = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("(e => e.id || e.getAttribute('class') || e.tagName)(document.activeElement)"))
        if page.evaluate("document.activeElement.matches('.chart:not(.large) svg')"):
            break
    else:
        pytest.fail(f"no small chart was reached, only {seen}")
    assert {"axis", "smooth", "chooser", "log", "svg"} <= seen
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"


def test_axis_tag_scale_and_smoothing_are_chosen(page: Any) -> None:
    page.select_option("#axis", "iteration")
    assert shown_range(page) == (0, 29)
    page.select_option(".chooser", "Loss/value")
    assert "Loss/value over iteration" in page.locator(LARGE).get_attribute("aria-label")
    linear = points(page)
    page.locator(".log").check()
    assert points(page) != linear
    page.locator(".log").uncheck()
    page.select_option("#smooth", "5")
    assert points(page, kind="raw") != points(page)
    page.select_option("#axis", "seconds")
    assert all(tick.endswith(" s") for tick in ticks(page, "x"))


def test_smoothing_a_long_curve_shows_the_mean_of_all_of_its_points(browser: Any, tmp_path: Path) -> None:
    rows = (f"{index},{9 * (index % 8 == 0)}" for index in range(4000))
    (tmp_path / "metrics.csv").write_text("\n".join(["iteration,Train/mean_reward", *rows, ""]))
    main(["report", str(tmp_path)])
    with opened(browser, tmp_path / "report.html") as page:
        assert 990 <= len(points(page)) <= 1000
        assert page.locator("#smooth option").all_text_contents()[1] == "mean of 5 points, or 1 % of a long curve"
        page.select_option("#smooth", "5")
        page.locator(LARGE).focus()
        page.keyboard.press("Home")
        page.keyboard.press("PageDown")
        # 9 once in 8 points; the eleventh stretch of 8 is around iteration 83.5.
        assert page.locator(".large output").text_content() == "84: 1.125, mean of up to 40"
        assert len(points(page)) == 500
        assert len(points(page, kind="raw")) >= 990


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_light_and_dark(scheme: str, browser: Any, page_file: Path) -> None:
    with opened(browser, page_file, color_scheme=scheme) as page:
        style = "(e => { const s = getComputedStyle(e); return [s.color, s.fill, s.stroke, s.backgroundColor]; })"
        body = page.eval_on_selector("body", style)
        card = page.eval_on_selector(".chart", style)[3]
        assert (contrast(body[3], "rgb(255, 255, 255)") < 1.2) == (scheme == "light")
        for selector in ("body", ".note", "nav a", ".kind", "summary", "th", ".good", ".controls .hint", ".about dt"):
            assert contrast(page.eval_on_selector(selector, style)[0], body[3]) >= 4.5, selector
        for selector in (".cards dt", ".cards dd", ".cards small", "figcaption", "output", "select"):
            assert contrast(page.eval_on_selector(selector, style)[0], card) >= 4.5, selector
        assert contrast(page.eval_on_selector(".chart .x-tick", style)[1], card) >= 4.5
        assert contrast(page.eval_on_selector(".chart .curve", style)[2], card) >= 3
        mark = page.eval_on_selector("mark", style)
        assert contrast(mark[0], mark[3]) >= 4.5


@pytest.mark.parametrize("width", [320, 390, 768])
def test_a_narrow_screen_needs_no_scrolling_to_the_side(width: int, browser: Any, page_file: Path) -> None:
    with opened(browser, page_file, viewport={"width": width, "height": 700}, has_touch=True) as page:
        for summary in page.locator("summary").all():
            summary.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator(".chart path.curve").first.is_visible()


def test_without_its_program_the_page_still_holds_the_numbers(browser: Any, page_file: Path) -> None:
    with opened(browser, page_file, java_script_enabled=False) as page:
        assert page.get_by_text("need JavaScript").is_visible()
        page.get_by_text("As a table").click()
        assert page.locator("#curves table").is_visible()


def test_what_a_run_is_called_is_not_executed(browser: Any, tmp_path: Path) -> None:
    evil = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
    folder = make_run(tmp_path / "run", [1.0, 2.0, 3.0], name=evil, description=evil)
    table = folder / "metrics.csv"
    table.write_text(table.read_text().replace("Perf/total_fps", f"Perf/{evil}"))
    main(["report", str(folder)])
    # That nothing is asked for and nothing complains is seen by `opened`: the image would be a request.
    with opened(browser, folder / "report.html") as page:
        assert page.locator("h1").text_content() == evil
        assert page.locator("img").count() == 0
        page.select_option(".chooser", f"Perf/{evil}")
        assert len(points(page)) == 3


def test_a_page_without_numbers_opens(browser: Any, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", [1.0])
    (folder / "metrics.csv").unlink()
    main(["report", str(folder)])
    with opened(browser, folder / "report.html") as page:
        assert page.locator("#curves").get_by_text("neither metrics.csv nor TensorBoard").is_visible()
