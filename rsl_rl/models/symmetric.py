# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Models that are exactly symmetric, whatever their network has learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from rsl_rl.core.trajectories import unpad_trajectories
from rsl_rl.models.mlp_model import MLPModel, Observations
from rsl_rl.modules import Distribution, HiddenState, changed_state
from rsl_rl.modules.reflection import Equivariance, HalfCycle, MirrorImages, NoSymmetry, Reflection
from rsl_rl.utils import listed


class SymmetricModel(MLPModel):
    """A model whose network sees mirror images, and whose output is mirrored back; see :func:`make_symmetric`.

    Between two steps the hidden states of all images are kept as one, [layers, N, copies * hidden].
    """

    symmetry_maps: NoSymmetry

    def head_output(  # noqa: D102
        self, obs: Observations, masks: torch.Tensor | None = None, hidden_state: HiddenState = None
    ) -> torch.Tensor:
        maps = self.symmetry_maps
        vectors = self._all_vectors(obs)
        seen = self._groups(maps.seen(vectors))
        if masks is not None:
            states = changed_state(hidden_state, maps.per_copy)
            output = super().head_output(seen, masks.repeat(1, self.copies), states)
            return maps.combined(output, unpad_trajectories(vectors, masks))
        self.reset(None, changed_state(self.get_hidden_state(), maps.per_copy))
        output = super().head_output(seen)
        self.reset(None, changed_state(self.get_hidden_state(), maps.joined))
        return maps.combined(output, vectors)

    def update_normalization(self, obs: Observations) -> None:
        """Merge what the network sees of observations, groups [..., d], into the running statistics."""
        super().update_normalization(self._groups(self.symmetry_maps.seen(self._all_vectors(obs))))

    def _all_vectors(self, obs: Observations) -> torch.Tensor:
        groups = [
            obs[group] if obs[group].is_floating_point() else obs[group].float() for group in self.obs_group_specs
        ]
        return groups[0] if len(groups) == 1 else torch.cat(groups, dim=-1)

    def _groups(self, vectors: torch.Tensor) -> dict[str, torch.Tensor]:
        sizes = [shape[0] for shape, _ in self.obs_group_specs.values()]
        return dict(zip(self.obs_group_specs, vectors.split(sizes, dim=-1), strict=True))


def make_symmetric(
    model: Any, name: str, images: MirrorImages, half_cycle: Mapping[str, int] | None, gives_actions: bool
) -> None:
    """Make a model equivariant under all images, or under one in the second half of a gait; parameters stay.

    Args:
        model: The model, whose class becomes a subclass of its own.
        name: Its section in the configuration, for messages.
        images: The mirror images of observations and actions.
        half_cycle: The clock's entry by observation group; None for the mean over all images.
        gives_actions: Whether the output is mirrored like the actions; otherwise it is the same in the mirror.

    Raises:
        ValueError: The model, its distribution or the images do not permit it; says why.
    """
    kind = type(model).__name__
    if (
        not isinstance(model, MLPModel)
        or model._answers_itself
        or type(model).output_distribution is not MLPModel.output_distribution
    ):
        raise ValueError(
            f"The {name} cannot be made symmetric: {kind} has a forward() or answers of its own. A model of your own "
            "may replace get_latent() instead."
        )
    if others := [group for group in model.obs_group_specs if group not in images.groups]:
        raise ValueError(
            f"The {name} cannot be made symmetric: of the groups that it sees, {listed(others)} are no vectors "
            "[num_envs, size]. Only vectors are mirrored exactly."
        )
    device = next(model.parameters()).device
    observations = images.of([*model.obs_group_specs])
    joint = [torch.block_diag(obs, action) for obs, action in zip(observations, images.actions, strict=True)]
    images.check_group(joint if gives_actions else [*observations])
    outputs: list[nn.Module] = [nn.Identity() for _ in observations[1:]]
    shape = [-1]
    if gives_actions:
        matrices, shape = _output_mirrors(model.distribution, name, images, device)
        outputs = [Reflection(matrix) for matrix in matrices[1:]]
    mirrors = [Reflection(matrix) for matrix in observations[1:]]
    if half_cycle is None:
        maps: NoSymmetry = Equivariance(mirrors, outputs, shape)
    else:
        clock = _clock(model, name, images, observations, half_cycle)
        maps = HalfCycle(mirrors[0], outputs[0], shape, clock)
    if not isinstance(model, SymmetricModel):
        model.__class__ = type(kind, (SymmetricModel, type(model)), {"__module__": type(model).__module__})
    model.copies = maps.copies
    model.symmetry_maps = maps.to(device)  # type: ignore[assignment] (a SymmetricModel now)


def _output_mirrors(
    distribution: Distribution | None, name: str, images: MirrorImages, device: torch.device
) -> tuple[torch.Tensor, list[int]]:
    """Return the mirrors [k, D, D] of what the head gives, flattened, and its shape for one sample."""
    actions = images.actions.to(device)
    if distribution is None:
        return actions, [-1]
    if ((actions != 0).sum(dim=-1) != 1).any() or (actions.abs().amax(dim=-1) != 1).any():
        raise ValueError(
            f"{images.name} may only exchange and negate actions: if it mixes them, the independent noise of the "
            f"{name} has no mirror image."
        )
    size = distribution.input_dim
    shape = [size] if isinstance(size, int) else list(size)
    outputs = distribution.mirrored(actions)
    samples = torch.randn(8, outputs.shape[-1], generator=torch.Generator().manual_seed(0)).to(device)
    with torch.no_grad():
        plain = distribution.deterministic_output(samples.unflatten(-1, shape))
        for output, action in zip(outputs, actions, strict=True):
            mirrored = distribution.deterministic_output((samples @ output.T).unflatten(-1, shape))
            if not torch.allclose(mirrored, plain @ action.T, rtol=1e-3, atol=1e-4):  # A subclass may squash or shift.
                raise ValueError(
                    f"{type(distribution).__name__} does not give the mirrored action for the mirrored output of a "
                    "network: it needs a method mirrored() of its own, or bounds that are symmetric about 0."
                )
    return outputs, shape


def _clock(
    model: MLPModel, name: str, images: MirrorImages, observations: torch.Tensor, half_cycle: Mapping[str, int]
) -> int:
    """Return where the clock is in the observation of a model, [..., d]."""
    if len(observations) != 2:
        raise ValueError(f"half_cycle needs one mirror image, but {images.name} makes {len(observations) - 1}.")
    start = 0
    for group in model.obs_group_specs:
        entry, size = half_cycle.get(group), images.groups[group]
        if entry is not None:
            if not 0 <= entry < size:
                raise ValueError(
                    f"half_cycle.{group} must be an entry of that group, from 0 to {size - 1}, got {entry}."
                )
            wanted = torch.zeros(observations.shape[-1])
            wanted[start + entry] = -1.0
            if not torch.equal(observations[1, start + entry], wanted):
                raise ValueError(
                    f"{images.name} does not negate entry {entry} of the observation group '{group}'. half_cycle needs "
                    "the sine of the gait's phase there, whose mirror image is half a cycle later."
                )
            return start + entry
        start += size
    groups = [*model.obs_group_specs]
    raise ValueError(
        f"half_cycle says for none of the {name}'s observation groups {listed(groups)} where the clock is, only for "
        f"{listed(half_cycle)}."
    )
