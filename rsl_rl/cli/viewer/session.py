# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What happens while a policy is watched: steps, controls, policies, numbers. It knows no browser."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any, Protocol

import torch

from rsl_rl.cli.viewer.history import History
from rsl_rl.cli.viewer.joystick import BrowserInput, Joystick
from rsl_rl.cli.viewer.pace import Pace
from rsl_rl.cli.viewer.policies import Policies
from rsl_rl.cli.viewer.watched_robot import WatchedRobot
from rsl_rl.env.contract import Contract

HISTORY_SECONDS = 8.0
_FRAME_SECONDS, _NUMBERS_SECONDS, _REFRESH_SECONDS = 1 / 30, 0.2, 1.0
_LONGEST_WAIT = 0.02


class Window(Protocol):
    """Where a session is seen."""

    def draw(self, session: Session) -> None:
        """Show the robot; up to thirty times a second."""

    def show_numbers(self, session: Session) -> None:
        """Show everything else; five times a second."""

    def notify(self, text: str) -> None:
        """Tell the user something once."""


class Session:
    """A policy that acts in an environment with one robot. Everything happens in the thread that calls :meth:`tick`.

    Others put ``(what, value)`` into ``requests``: ``action`` (one of :data:`rsl_rl.cli.viewer.joystick.ACTIONS`),
    ``speed``, ``policy``, ``random``, ``noise``, ``follow``, ``forces``, ``input`` (text of a browser), ``release``, or
    ``command`` (a name and a value).
    """

    def __init__(self, robot: WatchedRobot, policies: Policies, clock: Callable[[], float]) -> None:
        """Begin an episode with the policy that was chosen."""
        assert policies.policy is not None
        self.robot, self.policies, self._clock = robot, policies, clock
        self.requests: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self.joystick, self.input = Joystick(robot.commands), BrowserInput()
        self.pace = Pace(robot.step_dt, clock)
        steps = max(2, round(HISTORY_SECONDS / robot.step_dt))
        self.velocities, self.rewards = History(steps, robot.step_dt), History(steps, robot.step_dt)
        self.is_paused = self.is_random = False
        self.follows, self.shows_forces = True, False
        self.reward = self.total = 0.0
        """Of the last step, and of the episode up to now."""
        self.steps = self.episodes = 0
        """Of the episode, and how many have ended."""
        self.is_policy_new = True
        """Whether the menu may show another policy than the one that acts; whoever shows it clears this."""
        self._policy: Any = policies.policy
        self._contract = Contract(robot.env)
        self._obs = self._contract.check(robot.env.get_observations(), "get_observations").obs
        self._next_frame = self._next_numbers = self._next_refresh = clock()
        self._ask()
        self._forget()

    def tick(self, window: Window) -> float:
        """Do what is due, and return the seconds until there is more to do."""
        while not self.requests.empty():
            self._handle(*self.requests.get(), window)
        while not self.is_paused and self.pace.take():
            self.step()
            if self._clock() >= self._next_frame:  # on a slow machine something is to be seen, too
                break
        now = self._clock()
        if now >= self._next_frame:
            self._next_frame = max(self._next_frame + _FRAME_SECONDS, now)
            self.robot.read(self.shows_forces)
            window.draw(self)
        if now >= self._next_numbers:
            self._next_numbers = now + _NUMBERS_SECONDS
            window.show_numbers(self)
        if now >= self._next_refresh:
            self._next_refresh = now + _REFRESH_SECONDS
            self._attempt(self.policies.refresh, window)
        return _LONGEST_WAIT if self.is_paused else min(self.pace.seconds_left(), _LONGEST_WAIT)

    def step(self) -> None:
        """Let the policy act once."""
        if self.robot.commands:
            axes = self.input.axes()
            self.is_random &= not any(axes.values())  # whoever steers takes over
            self.joystick.advance(axes, self.robot.step_dt)
            self._ask()
        with torch.inference_mode():
            actions = self._policy(self._obs).to(self.robot.env.device, copy=True)
            self._obs, rewards, dones, extras = self._contract.check(self.robot.env.step(actions))
            getattr(self._policy, "reset", lambda dones: None)(dones)
        self.reward, self.steps = float(rewards[0]), self.steps + 1
        self.total += self.reward
        self.robot.read(with_forces=False)
        asked = {
            f"{name}, asked": float(value) for name, value in zip(self.joystick.names, self.robot.asked(), strict=True)
        }
        self.velocities.add(asked | self.robot.measured())
        self.rewards.add(self.robot.reward_terms(extras))
        if bool(dones[0]):
            self.total, self.steps, self.episodes = 0.0, 0, self.episodes + 1

    def reset(self) -> None:
        """Begin a new episode."""
        self._obs = self._contract.check(self.robot.reset(), "get_observations").obs
        self.total, self.steps = 0.0, 0
        self._forget()

    def _ask(self) -> None:
        if self.robot.commands:
            self.robot.ask(None if self.is_random else self.joystick.command)

    def _forget(self) -> None:
        """Let a recurrent policy begin anew."""
        with torch.inference_mode():
            getattr(self._policy, "reset", lambda: None)()

    def _handle(self, what: str, value: Any, window: Window) -> None:
        if what == "input":
            for action in self.input.receive(str(value)):
                self._act(action)
        elif what == "action":
            self._act(value)
        elif what == "release":
            self.input.release()
        elif what == "speed":
            self.pace.speed = float(value)
        elif what == "random":
            self.is_random, self.joystick.is_new[:] = bool(value), True
            self._ask()
        elif what == "noise":
            self.robot.noise = bool(value)
        elif what == "follow":
            self.follows = bool(value)
        elif what == "forces":
            self.shows_forces = bool(value)
        elif what == "command":
            self.joystick.set(*value)
            self._ask()
        elif what == "policy" and value != self.policies.name:
            self.is_policy_new = True  # even if it cannot be loaded: the menu goes back
            self._attempt(lambda: self.policies.choose(value), window)

    def _act(self, action: str) -> None:
        if action == "stop":
            self.joystick.stop()
            self.is_random = False
            self._ask()
        elif action == "pause":
            self.is_paused = not self.is_paused
            self.pace.restart()
        elif action == "reset":
            self.reset()
        elif action == "push":
            self.robot.push()

    def _attempt(self, load: Callable[[], Any], window: Window) -> None:
        """Let another policy act if it can be loaded; a recurrent one starts without a memory."""
        try:
            policy = load()
            self.is_policy_new |= policy is not None
        except Exception as error:  # a damaged file, or one of another robot: the policy before goes on
            window.notify(f"{type(error).__name__}: {error}")
            return
        if policy is not None:
            self._policy = policy
            self._forget()
            # Loading takes a while, which is not to be made up for.
            self.pace.restart()
