# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What torch was built with to let processes talk."""

from __future__ import annotations

from torch import distributed


def available_backends() -> list[str]:
    """Return those of gloo (CPUs) and nccl (GPUs) that this build of torch has."""
    if not distributed.is_available():
        return []
    built = {"gloo": distributed.is_gloo_available, "nccl": distributed.is_nccl_available}
    return [name for name, is_there in built.items() if is_there()]
