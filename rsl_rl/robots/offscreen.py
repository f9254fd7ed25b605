# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Drawing without a screen: which of the system's libraries MuJoCo is to use. Needs nothing but Python."""

from __future__ import annotations

import ctypes
import os
import sys

LIBRARIES = {"egl": ("libEGL.so.1",), "osmesa": ("libOSMesa.so.8", "libOSMesa.so")}
"""File names of the libraries by the value of MUJOCO_GL that asks for them, the faster one first."""


def choose_backend() -> str:
    """Set MUJOCO_GL and PYOPENGL_PLATFORM to what works here; has to be called before mujoco is imported.

    A MUJOCO_GL that is set is kept. Other systems than Linux draw without a screen by themselves.

    Returns:
        ``"egl"``, ``"osmesa"``, or what the user or the system has chosen.

    Raises:
        ImportError: No library is installed; gives the install line.
    """
    wanted = os.environ.get("MUJOCO_GL", "").lower().strip()
    if not sys.platform.startswith("linux") or (wanted and wanted not in LIBRARIES):
        return wanted or "native"
    backends = [wanted] if wanted else list(LIBRARIES)
    for backend in backends:
        if is_available(backend):
            # PyOpenGL reads its own variable, and MuJoCo refuses to start where the two differ.
            os.environ["MUJOCO_GL"] = os.environ["PYOPENGL_PLATFORM"] = backend
            return backend
    missing = " nor ".join(LIBRARIES[backend][0] for backend in backends)
    packages = {"egl": "libegl1", "osmesa": "libosmesa6"}
    lines = "' or '".join(f"sudo apt-get install {packages[backend]}" for backend in backends)
    what = f"{missing}, which MUJOCO_GL={wanted} asks for, cannot" if wanted else f"neither {missing} can"
    raise ImportError(
        f"Pictures without a screen need a library of the system, and {what} be used here. "
        f"On Debian and Ubuntu: '{lines}'."
    )


def is_available(backend: str) -> bool:
    """Return whether the library of ``"egl"`` or ``"osmesa"`` can be loaded and has something to draw with."""
    for name in LIBRARIES[backend]:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        return backend != "egl" or _has_device(library)
    return False


def _has_device(egl: ctypes.CDLL) -> bool:
    """Return whether EGL knows a graphics card or a driver in software: the library alone draws nothing."""
    egl.eglGetProcAddress.restype = ctypes.c_void_p
    address = egl.eglGetProcAddress(b"eglQueryDevicesEXT")
    if not address:
        return False
    count = ctypes.c_int(0)
    query = ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int))(address)
    return bool(query(0, None, ctypes.byref(count))) and count.value > 0
