# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What a person sees."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

import pytest

from rsl_rl.telemetry.console import largest_terms
from rsl_rl.telemetry.meters import IterationReport
from tests.processes import on_terminal
from tests.telemetry.test_logger import make_logger, run_iteration

ROOT = Path(__file__).parents[2]
RUN = """
import sys
from tests.telemetry.test_logger import make_logger, run_iteration
logger = make_logger(None)
for iteration in range(2):
    run_iteration(logger, iteration)
logger.stop_logging_writer()
"""


def shown_on_a_terminal(code: str, columns: int = 100) -> str:
    """Run a program with a terminal of so many columns as its output; return all it wrote there."""
    done = on_terminal("-c", code, env={**os.environ, "COLUMNS": str(columns), "TERM": "xterm"})
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_a_terminal_gets_a_live_table() -> None:
    text = shown_on_a_terminal(RUN)
    for part in ("iteration 2/10", "━", "left 0:06", "steps/s", "episode length", "Loss/value", "0.500", "action std"):
        assert part in text
    # Redrawn in place, not printed line after line.
    assert "\x1b[" in text
    assert "iteration 2/10 |" not in text


def test_a_name_that_looks_like_markup_is_shown_as_it_is() -> None:
    text = shown_on_a_terminal(
        "from rsl_rl.telemetry.console import LiveConsole\n"
        "from rsl_rl.telemetry.meters import IterationReport\n"
        "console = LiveConsole()\n"
        "numbers = {'Perf/total_fps': 1.0, 'Loss/learning_rate': 1e-3}\n"
        "console.show(IterationReport(0, 0, 1, 1, 1, 1.0, {'[/x]': 0.5}, {}, numbers))\n"
        "console.close()\n"
    )
    assert "Loss/[/x]" in text


TERMS = {"Episode_Reward/track": 0.8, "Episode_Reward/energy": -2.5, "Episode_Reward/alive": 0.1}
TERMS |= {"Episode/rew_feet_air": 0.3, "Episode_Reward/slip": -0.05, "Episode_Reward/height": -0.01}
TERMS |= {"Curriculum/x": 7.0, "Eval/reward": 9.0}


def test_the_largest_reward_terms_are_those_of_the_environment_by_size() -> None:
    found = largest_terms(TERMS | {"Train/mean_reward": 50.0, "Rnd/mean_extrinsic_reward": 40.0})
    assert found == {"energy": -2.5, "track": 0.8, "rew_feet_air": 0.3, "alive": 0.1, "slip": -0.05}
    # Where no name says what is a reward, all that the environment reports is shown; equal names are told apart.
    assert largest_terms({"Episode/speed": 1.0, "a/x": -3.0, "b/x": 2.0}) == {"a/x": -3.0, "b/x": 2.0, "speed": 1.0}
    assert largest_terms({"Loss/value": 1.0}) == {}


def test_a_narrow_terminal_shows_terms_and_evaluation_and_cuts_no_path() -> None:
    path = "/home/" + "somebody/" * 12 + "model_3.pt"
    text = shown_on_a_terminal(
        "from rsl_rl.telemetry.console import LiveConsole\n"
        "from rsl_rl.telemetry.meters import IterationReport\n"
        f"numbers = {{'Perf/total_fps': 1.0, 'Loss/learning_rate': 1e-3}} | {TERMS}\n"
        "console = LiveConsole()\n"
        "console.show(IterationReport(0, 0, 2, 1, 1, 1.0, {}, {'Eval/mean_return': 12.5}, numbers))\n"
        f"print('Wrote {path}')\n"
        "console.show(IterationReport(1, 0, 2, 1, 1, 1.0, {}, {}, numbers))\n"
        "console.close()\n",
        columns=50,
    )
    assert f"Wrote {path}" in text
    last = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text[text.index(path) + len(path) :]).replace("\r", "")
    for part in ("largest reward terms", "energy", "-2.500", "rew_feet_air", "iteration 1 evaluated: return 12.50"):
        assert part in last
    assert "(0.0" in last  # the end of a line that is longer than the terminal
    assert "height" not in last
    # What is redrawn in place must not be broken by the terminal itself.
    assert max(map(len, last.splitlines())) <= 50


def test_without_rich_a_terminal_gets_plain_lines() -> None:
    text = shown_on_a_terminal("import sys; sys.modules['rich'] = None; sys.modules['rich.live'] = None\n" + RUN)
    assert "iteration 2/10 | steps 16" in text
    assert "\x1b[" not in text


def test_time_left_is_that_of_the_iterations_left_at_the_speed_so_far() -> None:
    # 3 iterations of 40 steps took 6 s in all: 2 s each, and 5 of 8 are left.
    report = IterationReport(2, 0, 8, 40, 120, 6.0, {}, {}, {})
    assert report.seconds_left == pytest.approx(10.0)


class Broken:
    """A console of the user's that fails."""

    def show(self, report: IterationReport) -> None:
        raise RuntimeError("no colors left")

    def close(self) -> None:
        raise RuntimeError("cannot close either")


def test_a_console_that_fails_is_reported_once_and_the_run_goes_on() -> None:
    logger = make_logger(None)
    logger.console = Broken()  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.warns(UserWarning, match="console failed .* training goes on: .*no colors left"):
        run_iteration(logger, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run_iteration(logger, 1)
    logger.stop_logging_writer()
    assert logger.tot_timesteps == 16


def test_a_console_that_cannot_close_leaves_the_writers_closed(tmp_path: Path) -> None:
    logger = make_logger(tmp_path)
    logger.init_logging_writer()
    logger.console = Broken()  # pyright: ignore[reportAttributeAccessIssue]
    logger.stop_logging_writer()
    assert not logger._is_open
