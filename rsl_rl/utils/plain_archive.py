# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What ``torch.save`` wrote, read with weights only, and refused where it would take far more memory than the file."""

from __future__ import annotations

import io
import math
import pickle
from typing import Any, ClassVar

import torch

from rsl_rl.utils.limits import MOST_EXPANDED, check_nesting, opened_archive

# What torch's own reader would call with whatever size the file gives, and what has no numbers at all.
_MAKES_ANY_SIZE = ("torch.Tensor", "torch.storage.UntypedStorage", "torch.storage.TypedStorage")
_WITHOUT_NUMBERS = ("_rebuild_meta_tensor_no_storage", "_rebuild_wrapper_subclass")


def load_plain(content: bytes, map_location: Any = None) -> Any:
    """Return the tensors and plain data of an archive.

    Raises:
        ValueError: It would take far more memory than the file, or has no end.
        Exception: It is damaged, or holds something else; torch documents none.
    """
    with opened_archive(content) as archive:
        for name in archive.namelist():
            if name.endswith("data.pkl"):
                check_nesting(_Outline(io.BytesIO(archive.read(name)), encoding="bytes").load(), len(content))
    return torch.load(io.BytesIO(content), map_location=map_location, weights_only=True)


class _Outline(pickle._Unpickler):  # type: ignore[name-defined] (the one in C cannot be limited)
    """Reads a pickle with stand-ins for everything that it would call: nothing is executed, nothing large is made."""

    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)  # type: ignore[attr-defined]
    del dispatch[pickle.BYTEARRAY8[0]]  # It takes the memory before the bytes are read; torch refuses it, too.

    def find_class(self, module: str, name: str) -> Any:
        return type("_Named", (_StandIn,), {"named": f"{module}.{name}"})

    def persistent_load(self, pid: Any) -> Any:
        storage = _StandIn()
        storage.numel = pid[-1] if isinstance(pid, tuple) and isinstance(pid[-1:] and pid[-1], int) else 0
        return storage


class _StandIn:
    named, numel = "", 0

    def __new__(cls, *arguments: Any, **_: Any) -> Any:
        first, function = arguments[0] if arguments else b"", cls.named.rpartition(".")[2]
        # Bytes are written as text that is encoded.
        is_held = isinstance(first, (str, bytes, list)) or getattr(first, "named", "") == "_codecs.encode"
        if cls.named in _MAKES_ANY_SIZE or (function == "bytearray" and not is_held):
            raise ValueError(f"it makes a {function} of any size")
        if function in _WITHOUT_NUMBERS:
            raise ValueError("it holds a tensor without numbers")
        if function.startswith("_rebuild_tensor") and len(arguments) > 2 and isinstance(arguments[2], (tuple, list)):
            held, numbers = getattr(first, "numel", 0), math.prod(n for n in arguments[2] if isinstance(n, int))
            if numbers > held + MOST_EXPANDED:
                raise ValueError(f"a tensor would have {numbers:,} numbers, and the file holds {held:,}")
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def _ignore(self, *_: Any, **__: Any) -> Any:
        return self

    __call__ = __setstate__ = __setitem__ = append = extend = add = _ignore
