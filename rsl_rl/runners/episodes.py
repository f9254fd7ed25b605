# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Whole episodes of a policy.

Legend: N environments.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from tensordict import TensorDict

from rsl_rl.env import VecEnv
from rsl_rl.env.infos import numbers_of_infos
from rsl_rl.env.tracking import velocity_tracking

Policy = Callable[[TensorDict], torch.Tensor]


@dataclass
class Episodes:
    """Outcome of some episodes, in the order in which they ended."""

    returns: list[float] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    successes: list[bool] | None = None
    """What the environment said in each episode's last step (``is_success`` or ``success``); None if it never did.
    Where it does for some, an episode without a statement is no success."""
    success: float | None = None
    """Share of successful episodes; where the environment only logs a mean over the episodes that ended in a step, the
    mean of that. Counts (Isaac Lab's ``Episode_Termination/...``) are divided by the episodes that ended."""
    terms: dict[str, float] = field(default_factory=dict)
    """Mean per step of what the environment reports, reward terms for example.

    What it gives for each environment (the infos of Gymnasium and EnvPool, log entries of shape [N]) is averaged over
    the steps of the episodes above. What it averages itself is averaged over all steps until the last episode ended:
    those of environments that had made their share by then are in it, too.
    """
    tracking: dict[str, float] = field(default_factory=dict)
    """Mean absolute errors per step, averaged in the same way: what has "error" in its name, and for robots of
    :mod:`rsl_rl.env.tracking` ``lin_vel`` [m/s] and ``ang_vel`` [rad/s]."""
    unfinished: int = 0
    """Episodes that were still running when time was up; they are counted as they stood."""

    def add(self, episode_return: float, length: int, success: bool | None) -> None:
        """Add an episode; ``success`` is None where the environment says nothing."""
        self.returns.append(episode_return)
        self.lengths.append(length)
        if success is not None and self.successes is None:
            self.successes = [False] * (len(self.returns) - 1)
        if self.successes is not None:
            self.successes.append(bool(success))

    def means(self) -> dict[str, float]:
        """Return mean return, its standard deviation, mean length, and the share of successes where it is known."""
        means = {
            "return": float(np.mean(self.returns)),
            "return_std": float(np.std(self.returns)),
            "length": float(np.mean(self.lengths)),
        }
        return means if self.success is None else means | {"success": self.success}


def play_episodes(env: VecEnv, policy: Policy, num_episodes: int, max_steps: int | None = None) -> Episodes:
    """Run episodes in all environments side by side.

    Every environment contributes its first episodes, as many as its share: taking the first that end anywhere would
    favour short ones. One that is in the middle of an episode finishes that first; it does not count.

    Args:
        env: N environments.
        policy: Groups [N, ...] -> actions [N, A]; its ``reset(dones)``, where it has one, is told of episode ends.
        num_episodes: How many.
        max_steps: After so many steps the episodes that are running are counted as they stand, and no more are made;
            None to wait for the last one.
    """
    share, left_over = divmod(num_episodes, env.num_envs)
    quota_N = torch.tensor([share + (index < left_over) for index in range(env.num_envs)])
    result, sums = Episodes(), _Sums()
    returns_N, lengths_N = torch.zeros(env.num_envs, dtype=torch.float64), torch.zeros(env.num_envs, dtype=torch.long)
    reset = getattr(policy, "reset", lambda dones=None: None)
    commanded, steps = None, 0

    with torch.inference_mode():
        obs = env.get_observations()
        is_new_N = torch.as_tensor(env.episode_length_buf).cpu().flatten() == 0
        tracking = velocity_tracking(env, obs)
        reset()
        while (quota_N > 0).any() and steps != max_steps:
            if tracking is not None:
                commanded = tracking.commanded(obs)
            obs, rewards, dones, extras = env.step(policy(obs).to(env.device))
            reset(dones)
            steps += 1
            counted_N, done_N = is_new_N & (quota_N > 0), dones.cpu().flatten() != 0
            returns_N += torch.where(counted_N, rewards.cpu().flatten(), 0.0)
            lengths_N += counted_N
            report = _Report(env, extras)
            if tracking is not None and commanded is not None:
                report.errors = tracking.errors_of_step(commanded, obs, dones, extras)
            sums.add(report, counted_N.numpy(), done_N.numpy())
            ended_N = counted_N & done_N
            for index in ended_N.nonzero().flatten().tolist():
                result.add(returns_N[index].item(), int(lengths_N[index]), report.succeeded(index))
            quota_N -= ended_N.long()
            is_new_N |= done_N
            returns_N[done_N], lengths_N[done_N] = 0.0, 0
    for index in ((quota_N > 0) & (lengths_N > 0)).nonzero().flatten().tolist():
        result.add(returns_N[index].item(), int(lengths_N[index]), None)
        result.unfinished += 1
    result.terms, result.tracking, result.success = sums.terms.means(), sums.errors.means(), sums.success.mean()
    if result.successes is not None:
        result.success = float(np.mean(result.successes))
    return result


class _Report:
    """What an environment says about one step: numbers of each environment, and means that it has taken itself."""

    def __init__(self, env: VecEnv, extras: Mapping[str, Any]) -> None:
        self.each: dict[str, tuple[np.ndarray, np.ndarray | None]] = {}
        """Values [N], and where they count [N] or None for everywhere."""
        self.means: dict[str, float] = {}
        self.errors: tuple[dict[str, torch.Tensor], torch.Tensor] | None = None
        """Tracking errors [N], and where they are known [N]."""
        for name, values, mask in numbers_of_infos(getattr(env, "last_info", None) or {}, env.num_envs):
            self.each[name] = values, mask
        for name, value in (extras.get("log") or extras.get("episode") or {}).items():
            try:
                tensor = torch.as_tensor(value).detach()
            except (TypeError, ValueError, RuntimeError):  # text, for example; the training says so
                continue
            if tensor.shape == (env.num_envs,):
                self.each[name] = tensor.double().numpy(force=True), None
            elif name not in self.each and tensor.numel() > 0:
                self.means[name] = tensor.double().mean().item()
        success = extras.get("success")
        if torch.is_tensor(success) and success.numel() == env.num_envs:
            self.each["success"] = success.flatten().numpy(force=True), None
        # The usual names before any other.
        names = sorted(filter(_is_about_success, self.each), key=lambda name: name not in ("is_success", "success"))
        self._success = self.each.pop(names[0]) if names else None

    def succeeded(self, index: int) -> bool | None:
        """Return whether the episode that ended in an environment was a success; None where nothing is said."""
        if self._success is None:
            return None
        values, mask = self._success
        return bool(values[index] > 0) if mask is None or mask[index] else None

    def logged_success(self, num_ended: int) -> float | None:
        """Return the share of the episodes ended in this step that the environment calls successful, if it logs one."""
        for name, value in self.means.items():
            if _is_about_success(name):
                return min(value / num_ended if name.startswith("Episode_Termination/") else value, 1.0)
        return None


class _Mean:
    """Mean of each named value."""

    def __init__(self) -> None:
        self._totals: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def add(self, name: str, total: float, count: int) -> None:
        if count:
            self._totals[name] = self._totals.get(name, 0.0) + total
            self._counts[name] = self._counts.get(name, 0) + count

    def means(self) -> dict[str, float]:
        return {name: total / self._counts[name] for name, total in self._totals.items()}

    def mean(self) -> float | None:
        return next(iter(self.means().values()), None)


class _Sums:
    """Adds up reports over the steps that count."""

    def __init__(self) -> None:
        self.terms, self.errors, self.success = _Mean(), _Mean(), _Mean()

    def add(self, report: _Report, counted_N: np.ndarray, done_N: np.ndarray) -> None:
        """Take in a step: ``counted_N`` where its episode counts, ``done_N`` where it ended."""
        for name, (values_N, given_N) in report.each.items():
            values = values_N[counted_N if given_N is None else counted_N & given_N]
            if _is_error(name):
                self.errors.add(name, float(np.abs(values).sum()), len(values))
            else:
                self.terms.add(name, float(values.sum()), len(values))
        for name, mean in report.means.items():
            into = self.errors if _is_error(name) else self.terms
            into.add(name, abs(mean) if into is self.errors else mean, 1)
        if report.errors is not None:
            errors, known_N = report.errors
            counts_N = counted_N & known_N.numpy(force=True)
            for name, error_N in errors.items():
                self.errors.add(name, float(error_N.numpy(force=True)[counts_N].sum()), int(counts_N.sum()))
        num_ended = int((counted_N & done_N).sum())
        share = report.logged_success(int(done_N.sum())) if num_ended else None
        if share is not None and math.isfinite(share):
            self.success.add("success", share * num_ended, num_ended)


def _is_error(name: str) -> bool:
    return "error" in name.lower() and "reward" not in name.lower()


def _is_about_success(name: str) -> bool:
    # Not what counts or limits successes.
    return re.search(r"(^|[^a-z])(success|success_rate)$", name.lower()) is not None
