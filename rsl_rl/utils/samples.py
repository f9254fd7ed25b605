# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Whether samples may be taken together, or apart."""

from collections.abc import Iterable

from torch import nn

_MIXING = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)


def mixes_samples(modules: Iterable[nn.Module]) -> bool:
    """Return whether the output of a module for a sample depends on the rest of its batch, or on chance."""
    return any(isinstance(module, _MIXING) for module in modules)
