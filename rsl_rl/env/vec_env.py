# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The contract between a vectorized environment and the runners."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from tensordict import TensorDict


class VecEnv(ABC):
    """A batch of N environments that step together and reset themselves.

    An environment that finishes in a step is reset within that step: the observation returned for it is the first one
    of its next episode. The environment may reuse and overwrite every buffer it has returned, and change the actions it
    is given. What it returns is checked in every step, see :mod:`rsl_rl.env.contract`.

    ``extras`` returned by :meth:`step` may contain

    * ``"time_outs"`` [N]: non-zero where the episode ended by its time limit and not by a failure;
    * ``"final_obs"``: groups [N, ...], meaningful where done: the true last observation of the ended episode. The
      value of a timed-out state is bootstrapped from it;
    * ``"terminal"``: the same for the finished environments only,
      ``{"env_ids": [k], "observations": groups [k, ...]}``;
    * ``"log"`` or ``"episode"``: numbers by name, also as tensors, arrays or lists; averaged over an iteration.

    An environment may have two more methods, so that a training that is resumed is exact:

    * ``state_dict() -> dict[str, Any]``: everything that decides what happens next, random generators included, as
      tensors and plain data that ``torch.load(..., weights_only=True)`` can load. Raises ``NotImplementedError`` with
      the reason where that is not possible;
    * ``load_state_dict(state)``: makes the environment, made alike, go on bit for bit as the saved one: the same
      observations (also from :meth:`get_observations`), rewards, dones and random resets. Raises ``ValueError``
      where the state is of another environment.

    An environment of a robot may have one more, for the controllers that its policies are exported to:

    * ``deployment_metadata() -> Mapping[str, Any]``: texts, numbers and sequences of them by name. They are written
      into every exported policy, and in ONNX files under these names, which controllers in the field look for:

      * ``joint_names``, in the order of the actions; ``joint_stiffness`` in N m/rad, ``joint_damping`` in N m s/rad and
        ``default_joint_pos`` in rad, one number for each of them;
      * ``action_scale``: one number, or one for each action. The target of a joint is
        ``default_joint_pos + action_scale * action``;
      * ``observation_names``: the terms of the observation in their order; with one number for each
        ``observation_terms_scale``, by which the term is multiplied, and ``observation_terms_size``, its entries. Each
        is a sequence, or a mapping of observation groups to sequences, of which those that a policy sees are taken;
      * ``command_names``, and whatever else a controller reads.

      Names hold no commas. A mistake is a warning when the policy is exported, which then has none of the entries.
    """

    num_envs: int
    """Number of environments N."""

    num_actions: int
    """Number of actions A of each environment."""

    max_episode_length: int | torch.Tensor
    """Steps after which an episode times out, one number or one per environment [N]."""

    episode_length_buf: torch.Tensor
    """Steps taken in the current episode of each environment, [N], int64. May be written by the runner."""

    device: torch.device | str
    """Device of observations, rewards and dones."""

    cfg: dict | object
    """The environment's configuration, logged with the run."""

    @abstractmethod
    def get_observations(self) -> TensorDict:
        """Return the current observation groups, each [N, ...], with batch size [N]."""

    @abstractmethod
    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        """Advance every environment by one step.

        Args:
            actions: [N, A], float32.

        Returns:
            Observation groups (batch size [N]), rewards [N], dones [N] and the extras described above.
        """
