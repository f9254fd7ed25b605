# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What a file with a policy says about itself."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import torch
from tensordict import TensorDict

from rsl_rl.export.deployment import check_deployment, check_entry
from rsl_rl.telemetry.provenance import versions
from rsl_rl.utils import listed
from rsl_rl.utils.limits import MOST_INPUTS, parse_json

KEY = "rsl_rl"
"""Name of the metadata entry in exported files."""
STATE_INPUTS: tuple[str, ...] = ("h_in", "c_in")
"""Names of the inputs that take the hidden state."""


@dataclass(frozen=True)
class PolicyMetadata:
    """What a robot controller has to know to feed an exported policy."""

    obs_groups: dict[str, int]
    """Size of every 1D observation group, in the order in which they are concatenated."""
    obs_dim: int
    """Size of the concatenated observation."""
    num_actions: int
    distribution: str | None
    """Class of the distribution whose deterministic output the policy gives; None for a deterministic model."""
    versions: dict[str, str]
    """Versions of this library, torch and Python, and for ONNX the operator set."""
    images: dict[str, list[int]] = field(default_factory=dict)
    """Channels, height and width of every image group, or the shape of another group, in the order of the inputs."""
    image_types: dict[str, str] = field(default_factory=dict)
    """Type of every image group: uint8, or float32 for images that are scaled already."""
    hidden_state: dict[str, list[int]] = field(default_factory=dict)
    """Layers and size of every part of the hidden state, by the name of its input; zeros start an episode."""
    deployment: dict[str, Any] = field(default_factory=dict)
    """Joints, gains, scales and terms of the observation, as far as the environment tells them, and the run's name.

    Texts, numbers and lists of one of these; in an ONNX file also as entries of their own.
    """

    def inputs(self, obs: TensorDict | Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
        """Return the inputs of a program for groups [B, ...]; one missing or of another shape raises ValueError."""
        vectors = [self._group(obs, name, [size]) for name, size in self.obs_groups.items()]
        images = [self._group(obs, name, shape) for name, shape in self.images.items()]
        return [*([torch.cat(vectors, dim=-1)] if vectors else []), *images]

    @staticmethod
    def _group(obs: TensorDict | Mapping[str, torch.Tensor], name: str, shape: list[int]) -> torch.Tensor:
        available = [str(group) for group in obs.keys()]  # noqa: SIM118 (a TensorDict iterates over its batch)
        if name not in available:
            raise ValueError(f"The policy needs the observation group '{name}', not one of {listed(available)}.")
        if list(obs[name].shape[1:]) != shape:
            raise ValueError(
                f"The policy needs the observation group '{name}' with the shape [B, {listed(shape)}], got "
                f"{list(obs[name].shape)}."
            )
        return obs[name]

    def to_json(self) -> str:
        """Return the metadata as text; the same policy always gives the same text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> PolicyMetadata:
        """Read what :meth:`to_json` wrote, in this or a later version; anything else raises ValueError."""
        try:
            known = {entry.name for entry in fields(cls)}  # A later version may say more.
            metadata = cls(**{name: value for name, value in dict(parse_json(text)).items() if name in known})
            shapes = [*metadata.images.values(), *metadata.hidden_state.values()]
            shapes += [[size] for size in (*metadata.obs_groups.values(), metadata.obs_dim, metadata.num_actions)]
            if not all(type(size) is int and size >= 0 for shape in shapes for size in shape):
                raise ValueError("a size is not a number")
            if any(math.prod(shape) > MOST_INPUTS for shape in shapes):
                raise ValueError(f"it has inputs of more than {MOST_INPUTS:,} numbers")
            for name, value in metadata.deployment.items():
                check_entry(name, value)
            return metadata
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"Its metadata entry '{KEY}' is not a policy's description: {error!r}") from error


def describe_policy(
    model: Any, module: Any, deployment: Mapping[str, Any] | None = None, **more_versions: str
) -> PolicyMetadata:
    """Return the metadata of a model on the CPU in evaluation mode, and of the module of it that is exported.

    Raises:
        ValueError: An entry of ``deployment`` cannot be one, or does not fit the policy.
    """
    model.reset()
    with torch.no_grad():
        actions = model(random_observations(model, 1, 1.0, torch.Generator().manual_seed(0)))
    state = model.get_hidden_state()
    model.reset()
    states = state if isinstance(state, tuple) else () if state is None else (state,)
    # Beside images those groups that a module of the user's takes by their names.
    further = [group for group in model.obs_group_specs if group not in model.obs_groups]
    if further:  # A script has no names: it takes them in the order of those of the same policy as ONNX.
        names = module.input_names if hasattr(module, "input_names") else model.as_onnx().input_names
        further = [name for name in names if name in further]
    images = {group: model.obs_group_specs[group] for group in getattr(model, "obs_groups_2d", further)}
    distribution = getattr(model, "distribution", None)
    obs_groups = {group: int(size) for group, size in model.obs_group_dims.items()}
    return PolicyMetadata(
        obs_groups=obs_groups,
        obs_dim=int(model.obs_dim),
        num_actions=actions.shape[-1],
        distribution=None if distribution is None else type(distribution).__name__,
        versions={**versions(), **more_versions},
        images={group: shape for group, (shape, _) in images.items()},
        image_types={group: str(dtype).removeprefix("torch.") for group, (_, dtype) in images.items()},
        hidden_state={name: [part.shape[0], part.shape[2]] for name, part in zip(STATE_INPUTS, states, strict=False)},
        deployment=check_deployment(deployment or {}, obs_groups, actions.shape[-1]),
    )


def random_observations(model: Any, batch_size: int, scale: float, generator: torch.Generator) -> TensorDict:
    """Return random observation groups of a model on the CPU, each [batch_size, ...].

    ``scale`` is their distance from the mean in standard deviations of what the model's normalizer has seen.
    """
    vectors = scale * torch.randn(batch_size, model.obs_dim, generator=generator)
    if hasattr(model.obs_normalizer, "inverse"):
        # A constant entry has no spread; the normalizer's eps, in units of the input, stands for its sensor noise.
        vectors = model.obs_normalizer.inverse(vectors)
    groups = dict(zip(model.obs_group_dims, vectors.split(list(model.obs_group_dims.values()), dim=-1), strict=True))
    for group, (shape, dtype) in model.obs_group_specs.items():
        if group in groups:
            continue
        if dtype.is_floating_point:
            groups[group] = torch.rand([batch_size, *shape], generator=generator).to(dtype)
        else:
            highest = 256 if dtype == torch.uint8 else 2
            groups[group] = torch.randint(0, highest, [batch_size, *shape], generator=generator).to(dtype)
    return TensorDict(groups, [batch_size])
