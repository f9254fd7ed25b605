# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What a file with a policy says about itself."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import asdict, dataclass
from typing import Any

import torch

from rsl_rl.export.check import random_observations
from rsl_rl.telemetry.provenance import versions

KEY = "rsl_rl"
"""Name of the metadata entry in exported files."""


@dataclass(frozen=True)
class PolicyMetadata:
    """What a robot controller has to know to feed an exported policy."""

    obs_groups: dict[str, int]
    """Size of every observation group, in the order in which they are concatenated."""
    obs_dim: int
    """Size of the concatenated observation."""
    num_actions: int
    distribution: str | None
    """Class of the distribution whose deterministic output the policy gives; None for a deterministic model."""
    versions: dict[str, str]
    """Versions of this library, torch and Python, and for ONNX the operator set."""

    def to_json(self) -> str:
        """Return the metadata as text; the same policy always gives the same text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> PolicyMetadata:
        """Read what :meth:`to_json` wrote, in this or a later version.

        Raises:
            ValueError: It is something else.
        """
        try:
            values = json.loads(text)
            # A later version may say more.
            return cls(**{field.name: values[field.name] for field in dataclasses.fields(cls)})
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"Its metadata entry '{KEY}' is not a policy's description: {error!r}") from error


def describe_policy(model: Any, **more_versions: str) -> PolicyMetadata:
    """Return the metadata of a model on the CPU in evaluation mode."""
    with torch.no_grad():
        actions = model(random_observations(model, 1, 1.0, torch.Generator().manual_seed(0)))
    distribution = getattr(model, "distribution", None)
    return PolicyMetadata(
        obs_groups={group: int(size) for group, size in model.obs_group_dims.items()},
        obs_dim=int(model.obs_dim),
        num_actions=actions.shape[-1],
        distribution=None if distribution is None else type(distribution).__name__,
        versions={**versions(), **more_versions},
    )
