# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Checks of tensors and modules at the door."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rsl_rl.utils.suggest import did_you_mean, listed

if TYPE_CHECKING:  # The command line checks modes before it loads torch, which takes seconds.
    import torch
    from tensordict import TensorDict
    from torch import nn

_COMPILE_MODES = ("default", "max-autotune-no-cudagraphs")
# By these options saved optimizers are told apart: those of Adam and AdamW, SGD, RMSprop.
_DISTINCTIVE_OPTIONS = {"betas", "dampening", "alpha"}


def check_nan(obs: TensorDict, rewards: torch.Tensor, dones: torch.Tensor) -> None:
    """Raise if groups [N, ...], rewards [N] or dones [N] contain NaN or infinite numbers. Synchronizes with the device.

    The runner uses :class:`rsl_rl.env.finite_guard.FiniteGuard` instead, which waits for it once an iteration.

    Raises:
        ValueError: Names what is not finite and in how many environments.
    """
    named: dict[str, Any] = {f"observation group '{group}'": value for group, value in obs.items()}
    named |= {"rewards": rewards, "dones": dones}
    for name, value in named.items():
        if value.is_floating_point() and not value.isfinite().all():
            bad = (~value.isfinite()).flatten(1).any(1) if value.ndim > 1 else ~value.isfinite()
            raise ValueError(
                f"The environment returned non-finite {name} in {int(bad.sum())} of {len(bad)} environments."
            )


def check_compile_mode(mode: str | None) -> None:
    """Raise ValueError unless ``mode`` is a supported mode of ``torch.compile``, or None for no compilation."""
    if mode is not None and mode not in _COMPILE_MODES:
        reason = f"is unknown.{did_you_mean(mode, _COMPILE_MODES)}"
        if mode in ("reduce-overhead", "max-autotune"):
            reason = "captures CUDA graphs behind the library's back, overwriting tensors that are still in use."
        raise ValueError(f"torch_compile_mode {mode!r} {reason} Valid: None, {listed(_COMPILE_MODES)}.")


def compile_model(model: nn.Module, mode: str | None = None) -> nn.Module:
    """Compile the forward pass of a module in place; its state-dict keys stay as they are.

    Args:
        model: The module.
        mode: ``"default"``, ``"max-autotune-no-cudagraphs"``, or None to leave the module as it is.

    Raises:
        ValueError: The mode is not supported.
    """
    check_compile_mode(mode)
    if mode is not None:
        model.compile(mode=mode)
    return model


def check_state_dict(module: nn.Module, state: Mapping[str, torch.Tensor], name: str, strict: bool = True) -> None:
    """Raise if a state dict does not fit a module, before anything of the module is changed.

    Args:
        name: What the module is called in the message, e.g. ``"actor"``.
        strict: Also refuse missing and unexpected keys.

    Raises:
        ValueError: Lists every key that is missing, unexpected, or of another shape.
    """
    import torch

    rounded, expected = (torch.float16, torch.bfloat16), module.state_dict()
    problems = []
    for key, needed in expected.items():
        value = state.get(key, needed)
        if not isinstance(needed, torch.Tensor):
            continue
        if not isinstance(value, torch.Tensor):
            problems.append(f"{key}: the checkpoint has a {type(value).__name__}, the {name} needs a tensor")
        elif value.shape != needed.shape:
            problems.append(f"{key}: the checkpoint has {list(value.shape)}, the {name} needs {list(needed.shape)}")
        elif value.ndim and needed.is_floating_point() and not value.is_floating_point():
            problems.append(f"{key}: the checkpoint has {value.dtype}, the {name} needs {needed.dtype}")
        elif value.dtype in rounded and needed.dtype not in rounded:
            text = f"The checkpoint's {name} was saved as {value.dtype}, which rounds its numbers."
            warnings.warn(text, stacklevel=2)
    if strict:
        problems += [f"{key}: missing from the checkpoint" for key in expected if key not in state]
        problems += [f"{key}: not a part of this {name}" for key in state if key not in expected]
    if problems:
        raise ValueError(
            f"The checkpoint does not fit the {name}; nothing was loaded. Check the model's configuration "
            "(observation groups, hidden_dims, normalization, distribution):\n  " + "\n  ".join(problems)
        )


def check_optimizer_state(optimizer: torch.optim.Optimizer, state: dict[str, Any], name: str) -> None:
    """Raise ValueError, which calls the optimizer ``name``, if a saved state does not fit it; it is not changed."""
    import torch

    try:
        indices = [list(dict.fromkeys(group["params"])) for group in state["param_groups"]]
        _ = [float(group["lr"]) for group in state["param_groups"]]
        entries, options = dict(state["state"]), set(state["param_groups"][0])
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"The checkpoint's {name} state cannot be read: {error!r}.") from error
    hint = "nothing was loaded. To take over the networks only, load with load_cfg={'actor': True, 'critic': True}."
    saved = [len(group) for group in indices]
    own = [len(group["params"]) for group in optimizer.param_groups]
    if saved != own:
        raise ValueError(f"The checkpoint's {name} has {saved} parameters, this one {own}; {hint}")
    if foreign := _DISTINCTIVE_OPTIONS & (options ^ set(optimizer.param_groups[0])):
        raise ValueError(
            f"The checkpoint's {name} is of another kind than this {type(optimizer).__name__}: they differ in the "
            f"options {listed(sorted(foreign))}; {hint}"
        )
    # Release 5.5.1 counts a shared parameter every time it occurs, so its indices have gaps.
    for index, parameter in zip(indices[0], optimizer.param_groups[0]["params"], strict=True):
        for key, value in entries.get(index, {}).items():
            if isinstance(value, torch.Tensor) and value.ndim > 0 and value.shape != parameter.shape:
                raise ValueError(
                    f"The checkpoint's {name} keeps '{key}' of shape {list(value.shape)} for parameter {index}, "
                    f"which has {list(parameter.shape)}; {hint}"
                )
