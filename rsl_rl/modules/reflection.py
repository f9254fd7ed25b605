# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What makes a network exactly symmetric: mirror images of what goes in, and of what comes out.

Legend: B samples, d entries of an observation, k images (the original first, then its mirror images), D numbers that a
network gives for a sample, A actions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import nn

from rsl_rl.utils import listed


class Reflection(nn.Module):
    """A matrix applied to vectors [..., d] as a sum of terms, in each of which entries change places and signs.

    A mirror needs one term, or two where it also adds something, as for a sensor beside the plane of symmetry. Autocast
    leaves the terms in full precision, which a matrix product would lose. Nothing of it is in a state dict.
    """

    index: torch.Tensor
    factor: torch.Tensor

    def __init__(self, matrix: torch.Tensor) -> None:
        """Take a matrix [d, d]."""
        super().__init__()
        num_terms = max(1, int((matrix != 0).sum(dim=1).max()))
        index = matrix.abs().topk(num_terms, dim=1).indices
        self.register_buffer("index", index.T.contiguous(), persistent=False)
        self.register_buffer("factor", matrix.gather(1, index).T.contiguous(), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``matrix @ x`` for x of shape [..., d]."""
        image = x.index_select(-1, self.index[0]) * self.factor[0]
        for term in range(1, self.index.shape[0]):
            image = image + x.index_select(-1, self.index[term]) * self.factor[term]
        return image


class NoSymmetry(nn.Module):
    """Says what a network sees of observations, and what becomes of its output: here both stay as they are."""

    def __init__(self, copies: int = 1) -> None:
        """Remember how many copies of every sample the network sees."""
        super().__init__()
        self.copies = copies

    def seen(self, obs: torch.Tensor) -> torch.Tensor:
        """Return what the network sees of observations [..., B, d]: [..., copies * B, d]."""
        return obs

    def combined(self, output: torch.Tensor, obs: torch.Tensor) -> torch.Tensor:
        """Return the output [..., B, *shape] for observations [..., B, d] of which the network saw :meth:`seen`."""
        return output

    def per_copy(self, state: torch.Tensor) -> torch.Tensor:
        """Return a hidden state [layers, N, copies * hidden] as the network has it, [layers, copies * N, hidden]."""
        return state

    def joined(self, state: torch.Tensor) -> torch.Tensor:
        """Return the network's hidden state [layers, copies * N, hidden] as [layers, N, copies * hidden]."""
        return state


class Equivariance(NoSymmetry):
    """The network sees every image, and the mean of its mirrored answers counts: mean over i of ``M_i f(M_i s)``.

    After Puny et al., "Frame Averaging for Invariant and Equivariant Network Design", 2022. The images form a group.
    """

    output_shape: Final[list[int]]

    def __init__(
        self, observations: Sequence[nn.Module], outputs: Sequence[nn.Module], output_shape: Sequence[int]
    ) -> None:
        """Take the mirrors of observations [..., d], those of outputs [..., D], and the shape of an output."""
        super().__init__(1 + len(observations))
        self.observations, self.outputs = nn.ModuleList(observations), nn.ModuleList(outputs)
        self.output_shape = list(output_shape)

    def seen(self, obs: torch.Tensor) -> torch.Tensor:  # noqa: D102
        images = [obs]
        for mirror in self.observations:
            images.append(mirror(obs))
        return torch.cat(images, dim=-2)

    def combined(self, output: torch.Tensor, obs: torch.Tensor) -> torch.Tensor:  # noqa: D102
        images = output.flatten(-len(self.output_shape)).unflatten(-2, [self.copies, -1])
        total = images.select(-3, 0)
        for index, mirror in enumerate(self.outputs):
            total = total + mirror(images.select(-3, index + 1))
        return (total / self.copies).unflatten(-1, self.output_shape)

    def per_copy(self, state: torch.Tensor) -> torch.Tensor:  # noqa: D102
        return state.unflatten(2, [self.copies, -1]).transpose(1, 2).flatten(1, 2).contiguous()

    def joined(self, state: torch.Tensor) -> torch.Tensor:  # noqa: D102
        return state.unflatten(1, [self.copies, -1]).transpose(1, 2).flatten(2)


class HalfCycle(NoSymmetry):
    """The network sees the first half of a gait only: where the clock is negative, it sees and acts in the mirror.

    The phase-based way of Abdolhosseini et al., "On Learning Symmetric Locomotion", 2019.
    """

    output_shape: Final[list[int]]
    is_invariant: Final[bool]

    def __init__(self, observation: nn.Module, output: nn.Module, output_shape: Sequence[int], clock: int) -> None:
        """Take the mirror of observations [..., d], that of outputs [..., D], their shape, and the clock's entry."""
        super().__init__()
        self.observation, self.output = observation, output
        self.output_shape, self.clock = list(output_shape), clock
        self.is_invariant = isinstance(output, nn.Identity)

    def seen(self, obs: torch.Tensor) -> torch.Tensor:  # noqa: D102
        return torch.where(self._is_second(obs), self.observation(obs), obs)

    def combined(self, output: torch.Tensor, obs: torch.Tensor) -> torch.Tensor:  # noqa: D102
        if self.is_invariant:
            return output
        flat = output.flatten(-len(self.output_shape))
        return torch.where(self._is_second(obs), self.output(flat), flat).unflatten(-1, self.output_shape)

    def _is_second(self, obs: torch.Tensor) -> torch.Tensor:
        """Return whether the clock is in its second half, [..., B, 1]."""
        return obs[..., self.clock : self.clock + 1] < 0


@dataclass(frozen=True)
class MirrorImages:
    """The images that a symmetry function makes, as matrices, of which the first is the identity."""

    name: str
    """The function, as a subject of messages."""
    groups: Mapping[str, int]
    """Sizes of the observation groups."""
    observations: torch.Tensor
    """[k, d, d] for all groups one after the other."""
    actions: torch.Tensor
    """[k, A, A]."""

    def of(self, groups: Sequence[str]) -> torch.Tensor:
        """Return the matrices [k, d, d] of some groups one after the other; ValueError if they need another group."""
        sizes = [*self.groups.values()]
        places = dict(zip(self.groups, torch.arange(sum(sizes)).split(sizes), strict=True))
        chosen = torch.cat([places[group] for group in groups])
        for group in self.groups:
            if group not in groups and self.observations[:, chosen][:, :, places[group]].any():
                raise ValueError(
                    f"{self.name} needs the observation group '{group}' for the mirror images of {listed(groups)}: a "
                    "model that is to be symmetric must see all of them."
                )
        return self.observations[:, chosen][:, :, chosen]

    def check_group(self, matrices: Sequence[torch.Tensor]) -> None:
        """Raise ValueError unless matrices [d, d], of which the first is the identity, are a group of involutions."""
        for first in matrices:
            for second in matrices:
                product = first @ second
                wanted = matrices[:1] if first is second else matrices
                if not any(torch.allclose(product, each, rtol=1e-4, atol=1e-4) for each in wanted):
                    problem = "twice does not give back the original"
                    if first is not second:
                        problem = "by one image and then by another gives none of the images"
                    raise ValueError(
                        f"{self.name} is refused: mirroring {problem}. For an exactly symmetric model the images must "
                        "form a group in which each is its own inverse, such as left-right, front-back and both."
                    )
