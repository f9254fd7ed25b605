# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Whole episodes of a policy. Legend: N environments."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tensordict import TensorDict

from rsl_rl.env import VecEnv
from rsl_rl.env.contract import Contract, check_attributes
from rsl_rl.env.infos import numbers_of_infos
from rsl_rl.env.tracking import velocity_tracking
from rsl_rl.models import MLPModel
from rsl_rl.telemetry.meters import logged_by, name_of, numbers_in

Policy = Callable[[TensorDict], torch.Tensor]
# Values [N] and where they are given [N], bool; or their mean [].
_Value = tuple[np.ndarray, np.ndarray]
# Not what counts or limits successes.
_ABOUT_SUCCESS = r"(^|[^a-z])(success|success_rate)$"


@dataclass
class Episodes:
    """Outcome of some episodes, in the order in which they ended."""

    returns: list[float]
    lengths: list[int]
    successes: list[bool] | None
    """What the environment said in each episode's last step (``is_success`` or ``success``); None if it never did.
    Where it does for some, an episode without a statement is not a success."""
    success: float | None
    """Share of successful episodes; where the environment only logs a mean over the episodes that ended in a step, the
    mean of that. Counts (Isaac Lab's ``Episode_Termination/...``) are divided by the episodes that ended."""
    terms: dict[str, float]
    """Mean per step of what the environment reports, reward terms for example: what it gives for each environment
    (infos of Gymnasium and EnvPool, log entries of shape [N]) over the steps of the episodes above, what it averages
    itself over all steps until the last of them ended, also those of environments that had made their share."""
    tracking: dict[str, float]
    """Mean absolute errors per step, averaged in the same way: what has "error" in its name, and for robots of
    :mod:`rsl_rl.env.tracking` ``lin_vel`` [m/s] and ``ang_vel`` [rad/s]."""
    unfinished: int
    """Episodes that were still running when time was up; they are counted as they stood."""

    def means(self) -> dict[str, float]:
        """Return mean return, its standard deviation, mean length, and the share of successes where it is known."""
        means = {
            "return": float(np.mean(self.returns)),
            "return_std": float(np.std(self.returns)),
            "length": float(np.mean(self.lengths)),
        }
        return means if self.success is None else means | {"success": self.success}


def play_episodes(env: VecEnv, policy: Policy, num_episodes: int, max_steps: int | None = None) -> Episodes:
    """Run episodes in all environments side by side, and count the first ones of each, as many as its share.

    Taking the first that end anywhere would favour short ones. An episode that is under way does not count.

    Args:
        env: N environments.
        policy: Groups [N, ...] -> actions [N, A]; its ``reset(dones)``, where it has one, is told of episode ends.
        num_episodes: How many.
        max_steps: After so many steps running episodes are counted as they stand; None to wait for the last one.

    Raises:
        ContractError: The environment is not as :class:`rsl_rl.env.VecEnv` says.
    """
    share, left_over = divmod(num_episodes, env.num_envs)
    quota_N = torch.tensor([share + (index < left_over) for index in range(env.num_envs)])
    returns, lengths, successes, is_success_known = list[float](), list[int](), list[bool](), False
    # Sum and number of the values that are reported, by kind and name.
    sums: dict[tuple[str, str], np.ndarray] = defaultdict(lambda: np.zeros(2))
    returns_N, lengths_N = torch.zeros(env.num_envs, dtype=torch.float64), torch.zeros(env.num_envs, dtype=torch.long)
    reset = getattr(policy, "reset", lambda dones=None: None)
    steps = 0

    contract = Contract(env, obs_groups={"policy": policy.obs_group_specs} if isinstance(policy, MLPModel) else None)
    check_attributes(env, ["episode_length_buf"])
    with torch.inference_mode():
        obs = contract.check(env.get_observations(), "get_observations").obs
        is_new_N = torch.as_tensor(env.episode_length_buf).cpu().flatten() == 0
        tracking = velocity_tracking(env, obs)
        reset()
        while (quota_N > 0).any() and steps != max_steps:
            commanded = None if tracking is None else tracking.commanded(obs)
            obs, rewards, dones, extras = contract.check(env.step(policy(obs).to(env.device, copy=True)))
            reset(dones)
            steps += 1
            counted_N, done_N = is_new_N & (quota_N > 0), dones.cpu().flatten() != 0
            returns_N += torch.where(counted_N, rewards.cpu().flatten(), 0.0)
            lengths_N += counted_N
            reported, (succeeded_N, is_said_N) = _by_kind(_reported(env, extras), done_N.numpy())
            if tracking is not None and commanded is not None:
                errors, known_N = tracking.errors_of_step(commanded, obs, dones, extras)
                for name, error_N in errors.items():
                    reported["tracking", name] = error_N.numpy(force=True), known_N.numpy(force=True)
            for key, (values, given_N) in reported.items():
                counted = values[counted_N.numpy() & given_N] if values.ndim else values
                sums[key] += counted.sum(), counted.size
            ended_N = counted_N & done_N
            returns += returns_N[ended_N].tolist()
            lengths += lengths_N[ended_N].tolist()
            successes += ((succeeded_N > 0) & is_said_N)[ended_N.numpy()].tolist()
            is_success_known |= bool(is_said_N[ended_N.numpy()].any())
            quota_N -= ended_N.long()
            is_new_N |= done_N
            returns_N[done_N], lengths_N[done_N] = 0.0, 0
    running_N = (quota_N > 0) & (lengths_N > 0)
    returns += returns_N[running_N].tolist()
    lengths += lengths_N[running_N].tolist()
    unfinished = int(running_N.sum())
    successes += [False] * unfinished
    terms, tracking, logged = (
        {name: float(total / count) for (of, name), (total, count) in sums.items() if of == kind and count}
        for kind in ("terms", "tracking", "success")
    )
    if is_success_known:
        return Episodes(returns, lengths, successes, float(np.mean(successes)), terms, tracking, unfinished)
    return Episodes(returns, lengths, None, logged.get(""), terms, tracking, unfinished)


def _reported(env: VecEnv, extras: Mapping[str, Any]) -> dict[str, _Value]:
    """Return all that an environment says about a step, by name."""
    everywhere_N = np.ones(env.num_envs, dtype=bool)
    reported: dict[str, _Value] = {
        name: (values, everywhere_N if given_N is None else given_N)
        for name, values, given_N in numbers_of_infos(getattr(env, "last_info", None) or {}, env.num_envs)
    }
    logged = logged_by(extras)
    for key, value in logged.items() if isinstance(logged, Mapping) else ():
        try:
            parts = [torch.as_tensor(part).double().numpy(force=True) for part in numbers_in(value)]
        except Exception:  # text, for example; the training says so
            continue
        name, values = name_of(key), np.concatenate([np.empty(0), *map(np.ravel, parts)])
        if values.shape == everywhere_N.shape:
            reported[name] = values, everywhere_N
        elif name not in reported and values.size:
            reported[name] = np.asarray(values.mean()), everywhere_N
    success = extras.get("success")
    if torch.is_tensor(success) and success.numel() == env.num_envs:
        reported["success"] = success.flatten().numpy(force=True), everywhere_N
    return reported


def _by_kind(reported: dict[str, _Value], done_N: np.ndarray) -> tuple[dict[tuple[str, str], _Value], _Value]:
    """Return what was said by kind and name, and apart from it the successes of the episodes that ended."""
    about_success = [name for name in reported if re.search(_ABOUT_SUCCESS, name.lower())]
    of_each = [name for name in about_success if reported[name][0].ndim]
    logged = [name for name in about_success if name not in of_each]
    successes = np.zeros(len(done_N)), np.zeros(len(done_N), dtype=bool)
    if of_each:
        # The usual names before any other.
        successes = reported.pop(min(of_each, key=lambda name: name not in ("is_success", "success")))
    by_kind: dict[tuple[str, str], _Value] = {}
    for name, (values, given_N) in reported.items():
        is_error = "error" in name.lower() and "reward" not in name.lower()
        by_kind["tracking" if is_error else "terms", name] = np.abs(values) if is_error else values, given_N
    if logged and done_N.any():
        counts = logged[0].startswith("Episode_Termination/")
        share = float(reported[logged[0]][0]) / (done_N.sum() if counts else 1)
        if math.isfinite(share):
            by_kind["success", ""] = np.full(len(done_N), min(share, 1.0)), done_N
    return by_kind, successes
