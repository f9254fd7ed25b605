# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What stands beside the robot in the browser: controls, numbers, plots, help."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rsl_rl.cli.viewer.history import History
from rsl_rl.cli.viewer.session import Session

_COLORS = ("#3b82f6", "#f97316", "#10b981", "#a855f7", "#ef4444", "#14b8a6", "#eab308", "#64748b", "#ec4899", "#84cc16")
_SPEEDS = (0.1, 2.0)
_PLOTTED_EVERY = 2  # numbers sent to the browser: every second step
_BUTTONS = {"Pause": "pause", "Reset": "reset", "Push": "push", "Stop": "stop"}
_KEYS = {
    "W S, up, down": "forward, backward",
    "A D": "to the left, to the right",
    "Q E, left, right": "turn",
    "space": "stop",
    "P": "pause and go on",
    "R": "reset: a new episode",
    "X": "push, 0.5 m/s in any direction",
}
_GAMEPAD = "sticks: drive and turn; A: stop, start: pause, Y: reset, B: push"
# A picture of one point: that it has loaded starts the program.
_POINT = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


class Panel:
    """The controls of a session; what the user does with them becomes the session's requests."""

    def __init__(self, server: Any, session: Session, title: str) -> None:
        """Add everything to a server's panel."""
        self._gui, self._session, self._title = server.gui, session, title
        gui, robot = server.gui, session.robot
        server.on_client_disconnect(lambda _: session.requests.put(("release", None)))
        self._status = gui.add_markdown("...")
        self._policy = gui.add_dropdown("policy", session.policies.names(), initial_value=session.policies.name)
        self._on(self._policy.on_update, "policy")
        names = [name for name in _BUTTONS if (name != "Push" or robot.root is not None)]
        names = [name for name in names if name != "Stop" or robot.commands]
        buttons = gui.add_button_group("", names)
        self._on(buttons.on_click, "action", _BUTTONS.get)
        self._on(gui.add_slider("speed", *_SPEEDS, step=0.1, initial_value=1.0).on_update, "speed")
        self._random: Any = None
        self._sliders = self._add_commands() if robot.commands else {}
        with gui.add_folder("Show"):
            if robot.root is not None:
                self._on(gui.add_checkbox("camera follows", session.follows).on_update, "follow")
            self._on(gui.add_checkbox("contact forces", session.shows_forces).on_update, "forces")
            if robot.has_noise:
                self._on(gui.add_checkbox("sensor noise", robot.noise).on_update, "noise")
        self._plots = gui.add_folder("Plots")
        self._velocity_plots: dict[str, Any] = {}
        self._reward_plot: tuple[list[str], Any] = [], None
        self._add_help()

    def show(self) -> None:
        """Show the numbers of now."""
        session = self._session
        names = session.policies.names()
        if session.policies.name not in names:
            names.append(session.policies.name)
        if tuple(names) != tuple(self._policy.options):
            self._policy.options, session.is_policy_new = names, True
        # What somebody chooses is only overwritten once the session has dealt with it: it would be lost on its way.
        if session.is_policy_new:
            self._policy.value, session.is_policy_new = session.policies.name, False
        self._status.content = status(session, self._title)
        for index, slider in enumerate(self._sliders.values()):
            slider.disabled = session.is_random
            if session.is_random or session.joystick.is_new[index]:
                # Not otherwise: it would slip from under the hand that moves it.
                slider.value = round(float(np.clip(session.robot.asked()[index], slider.min, slider.max)), 2)
        if self._random is not None and session.joystick.is_new.any():
            self._random.value = session.is_random
        session.joystick.is_new[:] = False
        self._plot()

    def _on(self, register: Callable[[Any], Any], what: str, meant: Callable[[Any], Any] = lambda value: value) -> None:
        """Turn what the user does with a control, and nobody else, into a request with what its value means."""

        # viser calls a coroutine at once, while the value is still the user's, and a function some time later.
        async def request(event: Any) -> None:
            if event.client_id is not None:
                self._session.requests.put((what, meant(event.target.value)))

        register(request)

    def _add_commands(self) -> dict[str, Any]:
        gui, joystick, sliders = self._gui, self._session.joystick, {}
        with gui.add_folder("Command"):
            for index, name in enumerate(joystick.names):
                low, high = float(joystick.low[index]), float(joystick.high[index])
                value = float(joystick.command[index])
                sliders[name] = gui.add_slider(name, low, high, step=max((high - low) / 200, 1e-3), initial_value=value)
                self._on(sliders[name].on_update, "command", lambda value, name=name: (name, float(value)))
            self._random = gui.add_checkbox("random", self._session.is_random, hint="Commands as in training.")
            self._on(self._random.on_update, "random")
        return sliders

    def _plot(self) -> None:
        velocities, rewards = self._session.velocities, self._session.rewards
        commands = self._session.joystick.names
        for name in commands or velocities.names:
            pair = [each for each in (f"{name}, asked", name) if each in velocities]
            if not pair:
                continue
            if name in self._velocity_plots:
                self._velocity_plots[name].data = plotted(velocities, pair)
            else:
                with self._plots:
                    self._velocity_plots[name] = self._add_plot(velocities, pair, name, 110)
        shown, plot = self._reward_plot
        if rewards.names and shown != rewards.names:
            if plot is not None:
                plot.remove()
            with self._plots:
                plot = self._add_plot(rewards, rewards.names, "reward terms, weighted", 190)
            self._reward_plot = rewards.names, plot
        elif plot is not None:
            plot.data = plotted(rewards, shown)

    def _add_plot(self, history: History, names: Sequence[str], title: str, height: int) -> Any:
        lines: list[Any] = [{"label": "s"}]
        for index, name in enumerate(names):
            dash = {"dash": [6, 4]} if name.endswith(", asked") else {}
            lines.append({"label": name, "stroke": _COLORS[index % len(_COLORS)], "width": 1.5, **dash})
        return self._gui.add_uplot(
            plotted(history, names),
            tuple(lines),
            title=title,
            scales={"x": {"time": False}},
            axes=({"size": 24}, {"size": 44}),
            legend={"show": len(names) > 2},
            height=height,
        )

    def _add_help(self) -> None:
        gui, robot = self._gui, self._session.robot
        moves = [keys for keys in _KEYS if robot.commands or keys in ("P", "R", "X")]
        lines = [f"- **{keys}**: {_KEYS[keys]}" for keys in moves if keys != "X" or robot.root is not None]
        with gui.add_folder("Keys and gamepad", expand_by_default=False):
            gui.add_markdown("\n".join([*lines, f"- gamepad, {_GAMEPAD}" if robot.commands else ""]))
        program = (Path(__file__).parent / "input.js").read_text(encoding="utf-8")
        self._on(gui.add_text("input", "").on_update, "input")  # hidden by the program
        gui.add_html(f'<img alt="" src="{_POINT}" style="display: none" onload="{html.escape(program)}">')


def status(session: Session, title: str) -> str:
    """Return a few lines about what acts and how it goes."""
    file, factor, pace = session.policies.file, session.pace.factor, session.pace
    speed = "paused" if session.is_paused else "..." if factor is None else f"{factor:.2f} x real time"
    if pace.is_late and not session.is_paused:
        speed = f"**{speed}: this machine is too slow for {pace.speed:g} x**"
    seconds = session.steps * session.robot.step_dt
    return (
        f"**{title}**, {file.name if file else ''}  \n{speed}  \nreward {session.reward:.3f}, "
        f"episode {session.total:.1f} in {seconds:.1f} s  \nepisodes ended: {session.episodes}"
    )


def plotted(history: History, names: Sequence[str]) -> tuple[np.ndarray, ...]:
    """Return times and values for a plot, thinned out; NaN, which leaves a gap, where there is no value."""
    return tuple(column[::-1][::_PLOTTED_EVERY][::-1].copy() for column in history.of(*names))
