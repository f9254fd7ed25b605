# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What an environment returned, and a guard that keeps numbers that are not finite from being learned from.

Legend: T steps, N environments, Q watched quantities, of which the first G are observation groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from tensordict import TensorDict

from rsl_rl.env.infos import ends_of_infos

FINAL = frozenset({"final_obs", "final_observation", "terminal"})
"""Extras that may hold the true last observations of episodes."""


class Offence(NamedTuple):
    """What was not finite in a rollout."""

    text: str
    """Names quantities, steps and environments, one line each."""
    step: int
    """The first bad step of the rollout."""
    environments: list[int]
    """The environments that were bad in that step."""
    invalid_TN: torch.Tensor
    """[T, N], bool: the transitions that cannot be learned from."""


class StepOutcome(NamedTuple):
    """What an environment returned."""

    obs: TensorDict
    rewards: torch.Tensor
    dones: torch.Tensor
    extras: Mapping[str, Any]


def environments_of(terminal: Any, device: Any = None) -> torch.Tensor | None:
    """Return the environments [k] of ``extras["terminal"]``, None where it has another form; a mask [N] is taken."""
    if not isinstance(terminal, Mapping) or terminal.get("env_ids") is None or "observations" not in terminal:
        return None
    env_ids = torch.as_tensor(terminal["env_ids"], device=device)
    return env_ids.nonzero().flatten() if env_ids.dtype == torch.bool else env_ids.long()


def final_observations(
    extras: Mapping[str, Any], device: Any, obs: Mapping[str, torch.Tensor]
) -> tuple[torch.Tensor | None, TensorDict | None]:
    """Return the true last observations of the episodes that ended in a step, where the environment gives them.

    These are the environments [k] they come from, None for all N; and the groups, each [k, ...] or [N, ...] like the
    example groups ``obs``, or None. Programs use the names in ``extras`` in other ways, too: what has neither the
    documented form nor that of Gymnasium's infos (:func:`rsl_rl.env.infos.ends_of_infos`) does not count.
    """
    terminal: Any = extras.get("terminal")
    final_obs, env_ids = extras.get("final_obs"), None
    if not hasattr(final_obs, "keys") and (ended := environments_of(terminal, device)) is not None:
        final_obs, env_ids = terminal["observations"], ended
    if final_obs is None and "final_observation" not in extras:
        return None, None
    if isinstance(final_obs, torch.Tensor):
        fitting = [str(group) for group, value in obs.items() if value.shape[1:] == final_obs.shape[1:]]
        groups = {fitting[0]: final_obs.to(device)} if len(fitting) == 1 else {}
    elif isinstance(final_obs, Mapping) and all(hasattr(value, "to") for value in final_obs.values()):
        groups = {str(group): value.to(device) for group, value in final_obs.items()}
    elif (found := ends_of_infos(extras if env_ids is None else {"final_obs": final_obs}, obs)) is not None:
        ended, rows = found
        if env_ids is None and ended is not None:
            env_ids = torch.as_tensor(ended, device=device)
        dtypes = {group: obs[group].dtype if group in obs.keys() else torch.float32 for group in rows}  # noqa: SIM118
        groups = {group: torch.as_tensor(value, device=device, dtype=dtypes[group]) for group, value in rows.items()}
    else:
        groups = {}
    if not groups:
        return None, None
    return env_ids, TensorDict(groups, batch_size=[len(next(iter(groups.values())))], device=device)


class FiniteGuard:
    """Watches a rollout on the device and asks once, at its end, whether everything was finite."""

    def __init__(self, obs: Mapping[str, torch.Tensor], num_steps: int, num_envs: int, device: str) -> None:
        """Allocate one number per quantity, step and environment. Groups of an integer type are not watched."""
        self._groups = [str(group) for group, value in obs.items() if value.is_floating_point()]
        kinds = ("observation group", "final observation group")
        self._names = [*(f"{kind} '{group}'" for kind in kinds for group in self._groups), "rewards", "dones"]
        # A sum is finite when its terms are; float64 cannot overflow on float32 terms.
        self._sums_QTN = torch.zeros(len(self._names), num_steps, num_envs, dtype=torch.float64, device=device)
        self._slots = [list(step.unbind(0)) for step in self._sums_QTN.unbind(1)]
        self._invalid_TN = torch.zeros(num_steps, num_envs, dtype=torch.bool, device=device)
        self.is_lost_N = torch.zeros(num_envs, dtype=torch.bool, device=device)
        """Environments that do not give finite observations at present."""
        self._step = 0

    def record(
        self, obs: Mapping[str, torch.Tensor], rewards: torch.Tensor, dones: torch.Tensor, extras: Mapping[str, Any]
    ) -> None:
        """Watch the outcome of one step. Does not wait for the device.

        The groups are [N, ...], rewards and dones [N]; ``final_obs`` and ``terminal`` are watched too, where done.
        """
        slots, num_envs = self._slots[self._step], len(self.is_lost_N)
        env_ids = final_obs = None
        if not FINAL.isdisjoint(extras.keys()):
            env_ids, final_obs = final_observations(extras, self._sums_QTN.device, obs)
        for index, group in enumerate(self._groups):
            torch.sum(obs[group].reshape(num_envs, -1), dim=1, dtype=torch.float64, out=slots[index])
            slot = slots[len(self._groups) + index]
            if final_obs is not None and group in final_obs.keys():  # noqa: SIM118 (a TensorDict)
                sums = final_obs[group].unsqueeze(-1).flatten(1).sum(dim=1, dtype=torch.float64)
                if env_ids is None:
                    # Rows of environments that are not done may hold anything.
                    slot.copy_(torch.where(dones.view(-1) != 0, sums, 0.0))
                else:
                    slot.index_copy_(0, env_ids, sums)
        slots[-2].copy_(rewards.view(-1))
        if dones.is_floating_point():
            slots[-1].copy_(dones.view(-1))
        self._step += 1

    def cleaned(self, outcome: StepOutcome) -> StepOutcome:
        """Return the step recorded last with its bad environments cut: nothing in it is NaN or infinite any more.

        A bad step ends its episode, and so does the step that starts from its observation, which is replaced by zeros.
        What the environment returned is not changed. Does not wait for the device.
        """
        step, num_groups = self._step - 1, len(self._groups)
        is_finite_QN = torch.isfinite(self._sums_QTN[:, step])
        is_blind_N = ~is_finite_QN[:num_groups].all(dim=0)
        invalid_N = torch.logical_or(~is_finite_QN.all(dim=0), self.is_lost_N, out=self._invalid_TN[step])
        self.is_lost_N.copy_(is_blind_N)
        obs, rewards, dones, extras = outcome
        extras = dict(extras)
        if "time_outs" in extras:
            time_outs = torch.as_tensor(extras["time_outs"], device=invalid_N.device)
            extras["time_outs"] = time_outs.view(-1).bool() & ~invalid_N
        env_ids, final_obs = final_observations(extras, invalid_N.device, obs)
        if final_obs is not None and env_ids is None:
            extras["final_obs"] = self.blanked(final_obs, invalid_N)
        elif final_obs is not None:
            extras.pop("final_obs", None)  # What it held is here now.
            extras["terminal"] = {"env_ids": env_ids, "observations": self.blanked(final_obs, invalid_N[env_ids])}
        rewards = torch.where(invalid_N, 0.0, rewards.view(-1))
        return StepOutcome(self.blanked(obs, is_blind_N), rewards, (dones.view(-1) != 0) | invalid_N, extras)

    def begin(self, obs: TensorDict) -> torch.Tensor:
        """Look at the observations that a training starts from; return which environments are bad, [N], bool."""
        self._step = 0
        self._sums_QTN.zero_()
        self.is_lost_N.zero_()
        num_envs = len(self.is_lost_N)
        for group in self._groups:
            self.is_lost_N |= ~torch.isfinite(obs[group].reshape(num_envs, -1).sum(dim=1, dtype=torch.float64))
        return self.is_lost_N

    def check(self) -> Offence | None:
        """Return what was not finite since the last check, None if nothing. Waits for the device once."""
        steps, self._step = self._step, 0
        bad_QTN = ~torch.isfinite(self._sums_QTN[:, :steps])
        # After a bad observation also the next transition, which starts from it, cannot be learned from.
        invalid_TN = bad_QTN.any(dim=0) | self._invalid_TN[:steps]
        any_bad = bool(invalid_TN.any())
        self._sums_QTN.zero_()
        if not any_bad:
            return None
        lines = []
        for name, bad_TN in zip(self._names, bad_QTN.cpu(), strict=True):
            if bad_TN.any():
                bad_steps = bad_TN.any(dim=1).nonzero().flatten().tolist()
                envs = bad_TN.any(dim=0).nonzero().flatten().tolist()
                lines.append(
                    f"  {name}: {_ranges('step', bad_steps)} of the rollout, {len(envs)} of {bad_TN.shape[1]} "
                    f"environments ({_ranges('environment', envs)})"
                )
        first = int(invalid_TN.any(dim=1).nonzero()[0])
        environments = invalid_TN[first].nonzero().flatten().tolist()
        self._invalid_TN.zero_()
        return Offence("\n".join(lines), first, environments, invalid_TN)

    def blanked(self, obs: TensorDict, bad_N: torch.Tensor) -> TensorDict:
        """Return observations with zeros where an environment is bad."""
        blanked = obs.clone(recurse=False)
        for group in self._groups:
            if (value := obs.get(group, None)) is not None:
                is_bad = bad_N.to(value.device).view(-1, *[1] * (value.ndim - 1))
                blanked[group] = torch.where(is_bad, 0.0, value)
        return blanked


def _ranges(noun: str, numbers: list[int]) -> str:
    """Return for example "steps 3-7, 12"."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    texts = [str(low) if low == high else f"{low}-{high}" for low, high in ranges[:8]]
    more = ", ..." if len(ranges) > 8 else ""
    return f"{noun}{'s' if len(numbers) > 1 else ''} {', '.join(texts)}{more}"
