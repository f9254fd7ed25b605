# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What a file with a policy says about itself."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import torch

from rsl_rl.telemetry.provenance import versions

KEY = "rsl_rl"
"""Name of the metadata entry in exported files."""


@dataclass(frozen=True)
class PolicyMetadata:
    """What a robot controller has to know to feed an exported policy."""

    obs_groups: dict[str, int]
    """Size of every observation group, in the order in which they are concatenated."""
    num_actions: int
    distribution: str | None
    """Class of the distribution whose deterministic output the policy gives; None for a deterministic model."""
    versions: dict[str, str]

    def to_json(self) -> str:
        """Return the metadata as text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> PolicyMetadata:
        """Read what :meth:`to_json` wrote."""
        return cls(**json.loads(text))


def describe_policy(model: Any) -> PolicyMetadata:
    """Return the metadata of a model."""
    distribution = getattr(model, "distribution", None)
    if distribution is not None:
        num_actions = distribution.output_dim
    else:
        linears = [module for module in model.mlp.modules() if isinstance(module, torch.nn.Linear)]
        num_actions = linears[-1].out_features
    return PolicyMetadata(
        obs_groups={group: int(size) for group, size in model.obs_group_dims.items()},
        num_actions=int(num_actions),
        distribution=None if distribution is None else type(distribution).__name__,
        versions=versions(),
    )
