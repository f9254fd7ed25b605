# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Cutting rollouts at episode ends, so that a recurrent network can run over each piece.

Legend: T steps, N environments, n_traj trajectories (pieces of one episode within the rollout).
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import torch
from tensordict import TensorDict
from torch.utils.weak import WeakTensorKeyDictionary

TensorOrGroups = TypeVar("TensorOrGroups", torch.Tensor, TensorDict)


# Where the steps of a rollout, [T, N], are in flattened padded trajectories, by their masks.
_STEPS = WeakTensorKeyDictionary()


class Trajectories(NamedTuple):
    """Where every step of a rollout stands among its trajectories, ordered by environment, then by time."""

    trajectory_TN: torch.Tensor
    """[T, N], int64, index of the trajectory."""
    position_TN: torch.Tensor
    """[T, N], int64, steps since the trajectory's first."""
    is_first_TN: torch.Tensor
    """[T, N], bool, whether a trajectory starts here."""
    ends: list[int]
    """Number of trajectories up to and with each environment's, N; the last is that of all, n_traj."""

    @property
    def num_trajectories(self) -> int:
        """Number of trajectories, n_traj."""
        return self.ends[-1]

    @classmethod
    def of(cls, dones: torch.Tensor) -> Trajectories:
        """Find the trajectories of a rollout. Reads their numbers from the device, in one transfer.

        Args:
            dones: [T, N] or [T, N, 1], non-zero where an episode ended with the step.
        """
        dones_TN = dones.flatten(1) != 0
        is_first_TN = torch.ones_like(dones_TN)
        is_first_TN[1:] = dones_TN[:-1]
        time_T1 = torch.arange(len(dones_TN), device=dones.device).unsqueeze(1)
        first_time_TN = torch.where(is_first_TN, time_T1, 0).cummax(dim=0).values
        # Environment by environment: the running count of first steps numbers the trajectories.
        trajectory_TN = is_first_TN.T.flatten().cumsum(0).view(dones_TN.T.shape).T - 1
        return cls(trajectory_TN, time_T1 - first_time_TN, is_first_TN, (trajectory_TN[-1] + 1).tolist())

    def pad(self, rollout: torch.Tensor) -> torch.Tensor:
        """Return [T, N, ...] as one column per trajectory, [T, n_traj, ...], with zeros behind its end."""
        padded = rollout.new_zeros(len(rollout), self.num_trajectories, *rollout.shape[2:])
        padded[self.position_TN, self.trajectory_TN] = rollout
        return padded

    def masks(self) -> torch.Tensor:
        """Return [T, n_traj], bool, True where a trajectory has a step."""
        return self.pad(torch.ones_like(self.is_first_TN))

    def of_environments(self, masks: torch.Tensor, envs: range) -> torch.Tensor:
        """Return the part of :meth:`masks` for consecutive environments; :func:`unpad_trajectories` needs no wait."""
        begin, end = self.ends[envs.start - 1] if envs.start else 0, self.ends[envs.stop - 1]
        part, own = masks[:, begin:end], slice(envs.start, envs.stop)
        _STEPS[part] = self.position_TN[:, own] * (end - begin) + self.trajectory_TN[:, own] - begin
        return part

    def first(self, rollout: torch.Tensor) -> torch.Tensor:
        """Return what [T, N, ...] holds at the first step of every trajectory, [n_traj, ...]."""
        steps_TN = torch.arange(self.is_first_TN.numel(), device=rollout.device).view(self.is_first_TN.shape)
        # Whatever is not a first step goes behind the others.
        firsts = steps_TN.new_zeros(self.num_trajectories + 1)
        firsts[torch.where(self.is_first_TN, self.trajectory_TN, self.num_trajectories)] = steps_TN
        num_envs = self.is_first_TN.shape[1]
        return rollout[firsts[:-1] // num_envs, firsts[:-1] % num_envs]


def split_and_pad_trajectories(tensor: TensorOrGroups, dones: torch.Tensor) -> tuple[TensorOrGroups, torch.Tensor]:
    """Return a rollout as padded trajectories, one column each, ordered by environment, then by time.

    Args:
        tensor: [T, N, ...], or groups of such tensors.
        dones: [T, N] or [T, N, 1], non-zero where an episode ended with the step.

    Returns:
        [T, n_traj, ...] with zeros behind the end of each trajectory; [T, n_traj], bool, True where it has a step.
    """
    trajectories = Trajectories.of(dones)
    if isinstance(tensor, torch.Tensor):
        return trajectories.pad(tensor), trajectories.masks()
    padded = tensor.apply(trajectories.pad, batch_size=[len(tensor), trajectories.num_trajectories])
    return padded, trajectories.masks()  # type: ignore[return-value] (None only in place)


def unpad_trajectories(trajectories: TensorOrGroups, masks: torch.Tensor) -> TensorOrGroups:
    """Return padded trajectories [T, n_traj, ...] as the rollout [T, N, ...] that they were cut from.

    The inverse of :func:`split_and_pad_trajectories`; ``masks`` [T, n_traj], bool, are True where there is a step.
    """
    steps_TN: torch.Tensor = _steps_in(masks)  # type: ignore (of a decorator without types)
    if isinstance(trajectories, torch.Tensor):
        return trajectories.flatten(0, 1)[steps_TN]
    return trajectories.apply(lambda value: value.flatten(0, 1)[steps_TN], batch_size=steps_TN.shape)  # type: ignore


@torch.compiler.disable  # A compiler would take what it finds for a constant.
def _steps_in(masks: torch.Tensor) -> torch.Tensor:
    known = _STEPS.get(masks)
    if known is not None:
        return known
    # Column by column, the steps of one environment follow each other.
    columns, positions = masks.T.nonzero(as_tuple=True)
    return (positions * masks.shape[1] + columns).view(-1, len(masks)).T
