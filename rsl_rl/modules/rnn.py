# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Types of recurrent modules."""

from __future__ import annotations

from typing import TypeAlias

import torch

HiddenState: TypeAlias = "torch.Tensor | tuple[torch.Tensor, torch.Tensor] | None"
"""Hidden state of a recurrent model: a GRU's [layers, N, hidden], an LSTM's pair of them, None without recurrence."""
