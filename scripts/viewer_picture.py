# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Draw docs/viewer.png: ``python scripts/viewer_picture.py RUN``, a run of go1-walk. Needs playwright and Chromium."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from rsl_rl.cli.run_folder import Run
from rsl_rl.cli.viewer.policies import NEWEST
from rsl_rl.cli.viewer.viewer import Viewer

PICTURE = Path(__file__).parents[1] / "docs" / "viewer.png"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WITHOUT_A_SCREEN = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
WATCHED_SECONDS = 12.0


def main(name: str) -> None:
    """Let the robot walk a curve for some seconds, with its contact forces, and take the picture."""
    run = Run(name)
    viewer = Viewer(run.task(), run.folder, lambda _: NEWEST, 1, "127.0.0.1", 0)
    acting = threading.Thread(target=viewer.run, args=(False,))
    acting.start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=WITHOUT_A_SCREEN)
        page = browser.new_page(viewport={"width": 1180, "height": 860})
        page.goto(viewer.address)
        page.get_by_text("real time").wait_for()
        page.add_style_tag(content=".mantine-Notification-root { display: none; }")
        page.get_by_label("contact forces").evaluate("(element) => element.click()")
        for label, value in {"speed": "0.5", "forward": "0.8", "turn": "0.4"}.items():
            row = page.locator(f"xpath=//label[.='{label}']/ancestor::div[.//input][1]")
            field = row.locator("input:visible").first
            field.dispatch_event("pointerdown")
            field.fill(value)
            field.press("Enter")
        time.sleep(WATCHED_SECONDS)
        page.screenshot(path=PICTURE)
        browser.close()
    viewer.end()
    acting.join()
    print(f"{PICTURE}: {PICTURE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1])
