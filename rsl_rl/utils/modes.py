# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Modes of torch around methods that are called for every step."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import torch

Method = TypeVar("Method", bound=Callable[..., Any])


def without_gradient(method: Method) -> Method:
    """Return a method that records no gradients; costs nothing where that is so already, unlike ``torch.no_grad``."""

    @functools.wraps(method)
    def wrapped(*arguments: Any, **options: Any) -> Any:
        if not torch.is_grad_enabled():
            return method(*arguments, **options)
        with torch.no_grad():
            return method(*arguments, **options)

    return wrapped  # type: ignore[return-value]
