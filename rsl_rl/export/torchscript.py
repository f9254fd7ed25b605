# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""TorchScript files."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

import torch

from rsl_rl.export.check import ExportReport, check_export
from rsl_rl.export.metadata import KEY, PolicyMetadata, describe_policy
from rsl_rl.utils.files import replaced_when_complete


def export_torchscript(model: Any, path: str | os.PathLike[str]) -> ExportReport:
    """Write a policy as TorchScript, load it back and compare it with the model.

    Args:
        model: A model with ``as_jit()``; it is not changed.
        path: The file. One that was there before stays unless the new one is complete and correct.

    Raises:
        RuntimeError: The file does not act like the model.
    """
    module = model.as_jit().cpu().eval()
    with replaced_when_complete(path) as partial:
        with warnings.catch_warnings():
            # New torch deprecates TorchScript; controllers in the field still load nothing else.
            warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torch\.jit")
            warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch\.jit")
            script = torch.jit.script(module)
            torch.jit.save(script, partial, _extra_files={KEY: describe_policy(model).to_json()})
        act, _ = load_torchscript(partial)
        return check_export(model, act, str(path))


def load_torchscript(
    path: str | os.PathLike[str],
) -> tuple[Callable[[torch.Tensor], torch.Tensor], PolicyMetadata | None]:
    """Return a policy, concatenated observation [B, obs_dim] -> actions [B, A], and what its file says about it."""
    extra = {KEY: ""}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torch\.jit")
        script = torch.jit.load(str(path), map_location="cpu", _extra_files=extra)

    def act(obs: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return script(obs)

    text = extra[KEY]
    return act, PolicyMetadata.from_json(text if isinstance(text, str) else bytes(text).decode()) if text else None
