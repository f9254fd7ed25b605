# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Stops non-finite numbers of an environment before they are learned from.

Legend: T steps, N environments, Q watched quantities.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch


class FiniteGuard:
    """Watches a rollout on the device and asks once, at its end, whether everything was finite."""

    def __init__(self, obs: Mapping[str, torch.Tensor], num_steps: int, num_envs: int, device: str) -> None:
        """Allocate one number per quantity, step and environment.

        Args:
            obs: Example observation groups; those of an integer type are not watched.
            num_steps: T.
            num_envs: N.
            device: Device of the observations.
        """
        self._groups = [str(group) for group, value in obs.items() if value.is_floating_point()]
        self._names = [f"observation group '{group}'" for group in self._groups]
        self._names += [f"final observation group '{group}'" for group in self._groups]
        self._names += ["rewards", "dones"]
        # A sum is finite when its terms are; float64 cannot overflow on float32 terms.
        self._sums_QTN = torch.zeros(len(self._names), num_steps, num_envs, dtype=torch.float64, device=device)
        self._slots = [list(step.unbind(0)) for step in self._sums_QTN.unbind(1)]
        self._step = 0

    def record(
        self, obs: Mapping[str, torch.Tensor], rewards: torch.Tensor, dones: torch.Tensor, extras: Mapping[str, Any]
    ) -> None:
        """Watch the outcome of one step. Does not wait for the device.

        Args:
            obs: Observation groups, each [N, ...].
            rewards: [N].
            dones: [N].
            extras: Their ``final_obs`` are watched too, where done.
        """
        slots = self._slots[self._step]
        for group, slot in zip(self._groups, slots, strict=False):
            torch.sum(obs[group].flatten(1), dim=1, dtype=torch.float64, out=slot)
        final_obs = extras.get("final_obs")
        if final_obs is not None:
            is_done = dones.view(-1) != 0
            for group, slot in zip(self._groups, slots[len(self._groups) :], strict=False):
                if group in final_obs.keys():  # noqa: SIM118 (a TensorDict iterates over its batch)
                    sums = final_obs[group].flatten(1).sum(dim=1, dtype=torch.float64)
                    # Elsewhere the rows may hold anything.
                    slot.copy_(torch.where(is_done, sums.to(slot.device), 0.0))
        slots[-2].copy_(rewards.view(-1))
        if dones.is_floating_point():
            slots[-1].copy_(dones.view(-1))
        self._step += 1

    def check(self, iteration: int) -> None:
        """Raise if anything since the last check was not finite. Waits for the device once.

        Args:
            iteration: Named in the message.

        Raises:
            ValueError: Names the quantities, their steps and how many environments.
        """
        steps, self._step = self._step, 0
        bad_QTN = ~torch.isfinite(self._sums_QTN[:, :steps])
        any_bad = bool(bad_QTN.any())
        self._sums_QTN.zero_()
        if not any_bad:
            return
        lines = []
        for name, bad_TN in zip(self._names, bad_QTN.cpu(), strict=True):
            if bad_TN.any():
                bad_steps = bad_TN.any(dim=1).nonzero().flatten().tolist()
                envs = bad_TN.any(dim=0).nonzero().flatten().tolist()
                lines.append(
                    f"  {name}: {_ranges('step', bad_steps)} of the rollout, {len(envs)} of {bad_TN.shape[1]} "
                    f"environments ({_ranges('environment', envs)})"
                )
        raise ValueError(
            f"The environment returned NaN or infinite numbers in iteration {iteration}; the update was not made:\n"
            + "\n".join(lines)
            + "\nSet check_for_nan to False to go on regardless."
        )


def _ranges(noun: str, numbers: list[int], limit: int = 8) -> str:
    """Return for example "steps 3-7, 12"."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    texts = [str(low) if low == high else f"{low}-{high}" for low, high in ranges[:limit]]
    more = ", ..." if len(ranges) > limit else ""
    return f"{noun}{'s' if len(numbers) > 1 else ''} {', '.join(texts)}{more}"
