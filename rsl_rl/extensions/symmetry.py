# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Symmetry of a robot: learning from mirrored experience, a loss for acting unlike one's mirror image, exact mirrors.

Mittal et al., "Symmetry Considerations for Learning Task Symmetric Robot Policies", 2024. Legend: B samples of a
mini-batch, k copies of it (the original first, then its mirror images).
"""

from __future__ import annotations

import dataclasses
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import torch
from tensordict import TensorDict
from torch.nn import functional

from rsl_rl.compat.names import names_of
from rsl_rl.env import VecEnv
from rsl_rl.extensions.extension import Extension, ExtensionLoss, checked_options
from rsl_rl.modules.reflection import MirrorImages
from rsl_rl.storage import RolloutStorage
from rsl_rl.utils import listed, resolve_callable, takes_plain_options
from rsl_rl.utils.ranges import NonNegative


class Symmetry(Extension):
    """Appends mirrored samples to mini-batches, adds a mirror loss, or only measures it for the log.

    With ``equivariant`` or ``half_cycle`` the algorithm makes its models symmetric with :meth:`images`.
    """

    loss_name = "symmetry"

    @takes_plain_options
    def __init__(
        self,
        env: VecEnv,
        data_augmentation_func: str | Callable,
        use_data_augmentation: bool = False,
        use_mirror_loss: bool = False,
        mirror_loss_coeff: NonNegative = 0.0,
        equivariant: bool = False,
        half_cycle: dict[str, int] | None = None,
    ) -> None:
        """Take over the user's mirror.

        Args:
            env: Passed on to the function.
            data_augmentation_func: Function, or its name ``"package.module:function"``, called with the keywords
                ``env``, ``obs`` (groups [B, ...] or None) and ``actions`` ([B, A] or None). It returns both as
                [k * B, ...], the original first, then its mirror images.
            use_data_augmentation: Append the mirrored samples to every mini-batch.
            use_mirror_loss: Add the mirror loss; without it the loss is only logged.
            mirror_loss_coeff: Weight of the mirror loss.
            equivariant: Make actor and critic exactly symmetric: each evaluates all images, and their mean, mirrored
                back, is the output.
            half_cycle: Make them exactly symmetric without a second pass, by a gait clock: for each observation group
                that has one, the entry with the sine of the phase. Where it is negative, they see and act in the
                mirror.

        Raises:
            ValueError, TypeError, ImportError, AttributeError: There is no such function, or both are chosen.
        """
        if equivariant and half_cycle is not None:
            raise ValueError("symmetry_cfg takes either equivariant or half_cycle: each makes the models symmetric.")
        self.env = env
        self.data_augmentation_func = function = resolve_callable(data_augmentation_func)
        self._name = f"The symmetry function '{getattr(function, '__name__', function)}'"
        self.use_data_augmentation = use_data_augmentation
        self.use_mirror_loss = use_mirror_loss
        self.mirror_loss_coeff = mirror_loss_coeff
        self.half_cycle = half_cycle
        self.is_exact = equivariant or half_cycle is not None
        """Whether the models are to be exactly symmetric."""
        self.joins_update = use_data_augmentation or use_mirror_loss or not self.is_exact
        """Whether it asks the models about mirrored mini-batches; what is exact need not be measured."""

    def augment_batch(self, batch: RolloutStorage.Batch, original_batch_size: int) -> None:
        """Append the mirrored samples to a feed-forward mini-batch of B, with the old values of the originals.

        Its fields are replaced. Without ``use_data_augmentation`` it stays as it is.
        """
        if not self.use_data_augmentation:
            return
        batch.observations, batch.actions = self._mirrored(obs=batch.observations, actions=batch.actions)
        copies = len(batch.actions) // original_batch_size
        for name in ("old_actions_log_prob", "values", "advantages", "returns"):
            value = getattr(batch, name)
            setattr(batch, name, value.repeat(copies, *[1] * (value.ndim - 1)))

    def compute_loss(self, actor: Any, batch: RolloutStorage.Batch, original_batch_size: int) -> torch.Tensor:
        """Return the mean squared difference between acting in the mirror and mirrored acting, a scalar.

        With data augmentation the observations of the batch are already [k * B, ...], otherwise the mirrored ones are
        appended to them. Where the loss is only logged it has no gradient.
        """
        if not self.use_data_augmentation:
            batch.observations, _ = self._mirrored(obs=batch.observations, actions=None)
        loss = self._mirror_loss(actor(batch.observations), original_batch_size)
        return loss if self.use_mirror_loss else loss.detach()

    def prepare_batch(self, batch: RolloutStorage.Batch) -> None:  # noqa: D102
        self.augment_batch(batch, len(batch.observations))

    def batch_loss(self, actor: Any, batch: RolloutStorage.Batch, num_samples: int, policy: Any) -> ExtensionLoss:  # noqa: D102
        if not self.joins_update:
            return ExtensionLoss(None, {})
        if self.use_data_augmentation:
            # The update has already asked the actor about these observations.
            loss = self._mirror_loss(policy.mean, num_samples)
        else:
            loss = self.compute_loss(actor, dataclasses.replace(batch), num_samples)
        return ExtensionLoss(self.mirror_loss_coeff * loss if self.use_mirror_loss else None, loss.detach())

    def _mirror_loss(self, means: torch.Tensor, original_batch_size: int) -> torch.Tensor:
        _, mirrored = self._mirrored(obs=None, actions=means[:original_batch_size].detach())
        return functional.mse_loss(means[original_batch_size:], mirrored[original_batch_size:])

    def _mirrored(self, obs: TensorDict | None, actions: torch.Tensor | None) -> tuple[Any, Any]:
        return self.data_augmentation_func(env=self.env, obs=obs, actions=actions)

    def check(self, obs: TensorDict, num_actions: int) -> None:
        """Check the user's mirror on real observations [N, ...], slightly disturbed so that no entry is zero.

        Raises:
            ValueError: Groups or shapes are not those that it was given, or the original does not come first, or it is
                a function for 2.x, which took one tensor.

        Warns:
            UserWarning: Mirroring twice does not give back the original; names the first entries.
        """
        generator = torch.Generator().manual_seed(0)

        def disturbed(value: Any) -> torch.Tensor:
            if not value.is_floating_point():
                return value.clone()
            return value + 0.1 * torch.randn(value.shape, generator=generator).to(value)

        problems = []
        with torch.no_grad():
            obs = TensorDict({key: disturbed(value) for key, value in obs.items()}, obs.batch_size, device=obs.device)
            actions = disturbed(torch.zeros(len(obs), num_actions, device=obs.device))
            originals, (copies, copied_actions) = _named(obs, actions), self._returned_pair(obs, actions)
            self._check_shapes(originals, _named(copies, copied_actions), len(obs))
            for begin in range(len(obs), len(copied_actions), len(obs)):
                block = slice(begin, begin + len(obs))
                twice = _named(*self._mirrored(obs=copies[block].clone(), actions=copied_actions[block].clone()))
                for name, original in originals.items():
                    right = torch.isclose(twice[name][block], original, rtol=1e-4, atol=1e-5)
                    if entries := (~right.flatten(1).all(dim=0)).nonzero().flatten().tolist():
                        more = f" and {len(entries) - 5} more" if len(entries) > 5 else ""
                        problems.append(f"{name}: entries {listed(entries[:5])}{more}")
        if problems:
            warnings.warn(
                f"{self._name} applied twice does not give back the original, so it is not a mirror image; training "
                "with it teaches wrong movements. These entries are wrong:\n  " + "\n  ".join(problems),
                stacklevel=2,
            )

    def images(self, obs: TensorDict, num_actions: int) -> MirrorImages:
        """Find the matrices of the user's mirror by asking it for the images of unit vectors.

        Args:
            obs: Example observation groups, [N, ...].
            num_actions: A.

        Raises:
            ValueError: It is not linear, or returns other groups or shapes than it was given.
        """
        sizes = {str(key): value.shape[-1] for key, value in obs.items() if value.ndim == 2}
        size = sum(sizes.values())
        total, generator = size + num_actions, torch.Generator().manual_seed(0)
        vectors = torch.cat([torch.zeros(1, total), torch.eye(total), 3.0 * torch.randn(8, total, generator=generator)])
        *parts, actions = vectors.to(obs.device or "cpu").split([*sizes.values(), num_actions], dim=-1)
        groups: dict[str, Any] = dict(zip(sizes, parts, strict=True))
        for key, value in obs.items():  # Images, which a function may want to flip.
            if key not in groups:
                groups[str(key)] = torch.zeros(len(vectors), *value.shape[1:], dtype=value.dtype, device=value.device)
        probes = TensorDict(groups, [len(vectors)], device=obs.device)
        with torch.no_grad():
            copies, copied_actions = self._returned_pair(probes, actions)
        self._check_shapes(_named(probes, actions), _named(copies, copied_actions), len(vectors))
        images = torch.cat([*(copies[key] for key in sizes), copied_actions], dim=-1).detach().float().cpu()
        images = images.view(-1, len(vectors), total)
        matrices = images[:, 1 : 1 + total].mT
        if not torch.allclose(images, vectors @ matrices.mT, rtol=1e-4, atol=1e-4):
            raise ValueError(
                f"{self._name} is not linear, as it has to be for equivariant and half_cycle: it may exchange, negate "
                "and mix entries, but not shift, wrap or clip them. Give a phase as its sine and cosine, for example; "
                "or use data augmentation or the mirror loss."
            )
        if matrices[:, :size, size:].any() or matrices[:, size:, :size].any():
            raise ValueError(f"{self._name} mixes observations and actions, which have to be mirrored apart.")
        return MirrorImages(self._name, sizes, matrices[:, :size, :size], matrices[:, size:, size:])

    def _returned_pair(self, obs: TensorDict, actions: torch.Tensor) -> tuple[Any, Any]:
        try:
            returned: Any = self._mirrored(obs=obs.clone(), actions=actions.clone())
        except Exception as error:
            if "obs_type" not in inspect.signature(self.data_augmentation_func).parameters:
                raise
            raise ValueError(
                f"{self._name} takes 'obs_type', as functions for rsl_rl 2.x do, and failed: {error}. Since 3.0 it "
                "is called once for all observation groups: 'obs' is a TensorDict of them. See docs/migration.md."
            ) from error
        parts = returned if isinstance(returned, (tuple, list)) else [returned]
        if len(parts) != 2 or any(part is None for part in parts):
            kinds = listed(type(part).__name__ for part in parts)
            raise ValueError(f"{self._name} must return the pair (observations, actions), not ({kinds}).")
        return parts[0], parts[1]

    def _check_shapes(self, originals: dict[str, Any], returned: dict[str, Any], num_envs: int) -> None:
        for name, original in originals.items():
            if name not in returned:
                raise ValueError(f"{self._name} returned no {name}; it returned {listed(returned)}.")
            copies = returned[name]
            fits = len(copies) % num_envs == 0 and len(copies) > num_envs and copies.shape[1:] == original.shape[1:]
            if not fits or len(copies) != len(returned["actions"]):
                raise ValueError(
                    f"{self._name} returned {name} of shape {list(copies.shape)} for {list(original.shape)}; expected "
                    f"are the original and its mirror images, [{2 * num_envs}, ...] for one, for all groups and the "
                    "actions alike."
                )
            if not torch.equal(copies[:num_envs], original):
                raise ValueError(f"{self._name} must return the original {name} first, then the mirror images.")


def _named(obs: Any, actions: Any) -> dict[str, Any]:
    return {f"observation group '{key}'": value for key, value in obs.items()} | {"actions": actions}


def resolve_symmetry_config(alg_cfg: dict[str, Any], env: VecEnv) -> dict[str, Any]:
    """Return a copy of the section ``algorithm`` with the environment in ``symmetry_cfg``.

    Raises:
        ValueError: An option is unknown or missing.
    """
    options = checked_options(alg_cfg, "symmetry_cfg", Symmetry, given=("env",))
    return alg_cfg | {"symmetry_cfg": None if options is None else options | {"env": env}}


__getattr__ = names_of(__name__)
