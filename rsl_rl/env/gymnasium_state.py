# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Saving Gymnasium environments that live in this process, so that they continue bit for bit.

The vector environment is walked through the ``vars()`` of its layers: wrappers, environments and the plain objects
these hold. Numbers, text, arrays, containers of these, random generators and MuJoCo's data and model are saved.
Configuration and everything for rendering is left as it is: functions (also what they remember), spaces,
specifications, ``metadata``, ``render_mode``, paths. Anything else may be state that would be lost, so it is an error.
Loading replaces numbers that were given when the environment was made, too.

What is not seen: class attributes, random numbers from outside the environment (Python's and NumPy's global ones),
and MuJoCo's list of contacts between two steps, which every step computes anew.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import logging
import pathlib
import struct
import types
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from rsl_rl.env.partial_reset import is_envpool

_PLAIN = (type(None), bool, int, float, str)
_CONSTANT_NAMES = frozenset({"metadata", "_metadata", "render_mode", "spec", "_cached_spec", "_saved_kwargs"})
_CONSTANT_TYPES = (
    *(type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType, functools.partial),
    *(np.dtype, np.ufunc, torch.dtype, torch.device, pathlib.PurePath, logging.Logger),
)
_RENDERING_PACKAGES = frozenset({"pygame", "glfw", "OpenGL", "PIL", "imageio", "moviepy", "matplotlib", "cv2"})
_KEPT = {"kind": "kept"}


def saved_state(envs: Any) -> dict[str, Any]:
    """Return a vector environment's state as tensors (on the CPU) and plain data.

    Raises:
        NotImplementedError: The environments are elsewhere, or hold something that cannot be saved.
    """
    check_environments_are_here(envs)
    return _Saver().save(envs, type(envs).__name__)


def load_saved_state(envs: Any, state: dict[str, Any]) -> None:
    """Make a vector environment continue as the saved one; ValueError, and no change, where it is another."""
    loader = _Loader()
    loader.load(state, envs, type(envs).__name__)
    for write in loader.writes:
        write()


def check_environments_are_here(envs: Any) -> None:
    """Raise NotImplementedError if the environments live in other processes or in C++."""
    from gymnasium.vector import AsyncVectorEnv

    if is_envpool(envs.unwrapped):
        raise NotImplementedError("EnvPool cannot save its state.")
    if isinstance(envs.unwrapped, AsyncVectorEnv):
        raise NotImplementedError("AsyncVectorEnv cannot save its state: its environments are in other processes.")


class _Saver:
    """Turns a value into plain data and tensors. What is met more than once stays one."""

    def __init__(self) -> None:
        # By id; with the value, as the id of one that is gone could be given to another.
        self._seen: dict[int, tuple[int, Any]] = {}
        self._memory: dict[int, tuple[np.ndarray, torch.Tensor]] = {}
        self._packed: dict[bytes, torch.Tensor] = {}

    def save(self, value: Any, where: str) -> Any:
        """Return a plain value as it is, anything else as a dict with its ``kind``."""
        if _is_constant(value):
            return _KEPT
        if type(value) in _PLAIN:
            return value
        if isinstance(value, np.generic):
            return {"kind": "scalar", "value": self._tensor(np.asarray(value), where)}
        if type(value) is np.ndarray:
            return {"kind": "view" if _is_view_into_c(value) else "array", "value": self._tensor(value, where)}
        if isinstance(value, enum.Enum):
            key = value.value if isinstance(value, enum.Flag) else value.name
            return {"kind": "enum", "class": _class_name(value), "key": key}
        if id(value) in self._seen:
            return {"kind": "same", "id": self._seen[id(value)][0]}
        self._seen[id(value)] = (len(self._seen), value)
        node = self._container(value, where) or self._known_object(value, where)
        if node is None:
            if not hasattr(value, "__dict__") or _has_hidden_fields(type(value)):
                raise NotImplementedError(f"This environment cannot save its state: {where} is a {_class_name(value)}.")
            kind, attributes = type(value).__name__, {}
            for name, child in vars(value).items():
                is_constant = name in _CONSTANT_NAMES or name.startswith("_ezpickle_")
                if not is_constant and (saved := self.save(child, f"{kind}.{name}")) is not _KEPT:
                    attributes[name] = saved
            node = {"kind": "object", "class": _class_name(value), "attributes": attributes}
        return {**node, "id": self._seen[id(value)][0]}

    def _container(self, value: Any, where: str) -> dict[str, Any] | None:
        kind = type(value)
        if kind is dict:
            items = [[self.save(k, where), self.save(v, f"{where}[{k!r}]")] for k, v in value.items()]
            return {"kind": "dict", "items": items}
        if kind not in (list, tuple, set, deque):
            return None
        items = [self.save(child, f"{where}[{index}]") for index, child in enumerate(value)]
        return {"kind": kind.__name__, "items": items, **({"maxlen": value.maxlen} if kind is deque else {})}

    def _known_object(self, value: Any, where: str) -> dict[str, Any] | None:
        if type(value) is np.random.Generator:
            bits = value.bit_generator
            if type(bits) is not getattr(np.random, type(bits).__name__, None):
                return None
            seeds = getattr(bits, "seed_seq", None)  # what decides about generators that are spawned
            seeds = seeds.state if type(seeds) is np.random.SeedSequence else None
            return {"kind": "generator", "state": self.save(dict(bits.state), where), "seeds": self.save(seeds, where)}
        if _is_mujoco(value):
            arrays, layout = _arrays(value)
            # One tensor, the same for all models of the same numbers.
            everything = bytearray(b"".join(array.tobytes() for array in arrays.values()))
            packed = self._packed.setdefault(
                hashlib.sha256(everything).digest(), torch.frombuffer(everything, dtype=torch.uint8)
            )
            node = {"kind": "mujoco", "class": _class_name(value), "layout": layout, "arrays": packed}
            return {**node, "numbers": _numbers(value), "state": _physics_state(value)}
        return None

    def _tensor(self, array: np.ndarray, where: str) -> torch.Tensor:
        """Return an array as a tensor: strided as it is, and where arrays share memory, so do their tensors."""
        root = array
        while isinstance(root.base, np.ndarray):
            root = root.base
        offset = array.__array_interface__["data"][0] - root.__array_interface__["data"][0]
        is_contiguous = root.flags.c_contiguous or root.flags.f_contiguous
        if not is_contiguous or root.dtype != array.dtype or array.size == 0 or min(array.strides, default=0) < 0:
            root, offset = array.copy(), 0  # No tensor views the like; observations that were flipped are met here.
            array = root
        if id(root) not in self._memory:
            try:
                self._memory[id(root)] = (root, torch.from_numpy(root.ravel(order="K").copy()))
            except (TypeError, ValueError) as error:
                text = f"This environment cannot save its state: {where} is an array of {array.dtype}."
                raise NotImplementedError(text) from error
        strides = [stride // array.itemsize for stride in array.strides]
        return self._memory[id(root)][1].as_strided(array.shape, strides, offset // array.itemsize)


class _Loader:
    """Compares what was saved with what is here and collects what is to be written; changes nothing itself."""

    def __init__(self) -> None:
        self.writes: list[Callable[[], Any]] = []
        self._by_id: dict[int, Any] = {}
        self._memory: dict[tuple[int, torch.dtype], np.ndarray] = {}

    def load(self, node: Any, here: Any, where: str) -> Any:
        """Return the value that was saved; ``here`` is the present one at the same place."""
        kind = node["kind"] if isinstance(node, dict) else None
        if kind is None:
            return node
        if kind == "same":
            here = self._by_id.get(node["id"])
        if kind in ("kept", "same"):
            if here is None:
                raise ValueError(f"The state is of another environment: {where} had something that is missing here.")
            return here
        if kind in ("array", "scalar", "view"):
            array = self._array(node["value"])
            if kind != "view":
                return array[()] if kind == "scalar" else array
            if not _is_view_into_c(here) or (here.shape, here.dtype) != (array.shape, array.dtype):
                raise ValueError(f"The state is of another environment: {where} was a view of {array.shape}.")
            self.writes.append(functools.partial(here.__setitem__, ..., array))
            return here
        if "class" in node and node["class"] != _class_name(here):
            present = "it is None" if here is None else f"it is a {_class_name(here)}"
            raise ValueError(f"The state is of another environment: {where} was a {node['class']}, here {present}.")
        if kind == "enum":
            members: Any = type(here)
            return members(node["key"]) if isinstance(here, enum.Flag) else members[node["key"]]
        if kind == "generator":
            value = self._by_id[node["id"]] = self._generator(node, where)
            return value
        if kind in ("list", "tuple", "set", "deque", "dict"):
            return self._container(kind, node, here, where)
        self._by_id[node["id"]] = here
        if kind == "object":
            new = {}
            for name, child in node["attributes"].items():
                present = vars(here).get(name)
                if not _is_constant(present):  # for example a window that was opened here
                    new[name] = self.load(child, present, f"{type(here).__name__}.{name}")
            self.writes.append(functools.partial(vars(here).update, new))
        else:
            self._mujoco(node, here, where)
        return here

    def _container(self, kind: str, node: dict[str, Any], here: Any, where: str) -> Any:
        if kind == "dict":
            value: Any = {}
            self._by_id[node["id"]] = value
            present = here if isinstance(here, dict) else {}
            for saved_key, child in node["items"]:
                key = self.load(saved_key, None, where)
                value[key] = self.load(child, present.get(key), f"{where}[{key!r}]")
            return value
        items: list[Any] = []
        if kind == "list":  # may contain itself
            self._by_id[node["id"]] = items
        present = list(here) if isinstance(here, (list, tuple, deque)) else []
        for index, child in enumerate(node["items"]):
            at = present[index] if index < len(present) else None
            items.append(self.load(child, at, f"{where}[{index}]"))
        kinds = {"tuple": tuple, "set": set, "deque": functools.partial(deque, maxlen=node.get("maxlen"))}
        value = items if kind == "list" else kinds[kind](items)
        self._by_id[node["id"]] = value
        return value

    def _array(self, tensor: torch.Tensor) -> np.ndarray:
        storage = tensor.untyped_storage()
        key = (storage.data_ptr(), tensor.dtype)
        if key not in self._memory:
            everything = torch.empty(0, dtype=tensor.dtype, device=tensor.device).set_(storage)
            self._memory[key] = everything.cpu().numpy().copy()
        flat = self._memory[key]
        strides = [stride * flat.itemsize for stride in tensor.stride()]
        return np.ndarray(tuple(tensor.shape), flat.dtype, flat, tensor.storage_offset() * flat.itemsize, strides)

    def _generator(self, node: dict[str, Any], where: str) -> np.random.Generator:
        state, seeds = self.load(node["state"], None, where), self.load(node["seeds"], None, where)
        kind = getattr(np.random, state["bit_generator"], None)
        if not (isinstance(kind, type) and issubclass(kind, np.random.BitGenerator)):
            raise ValueError(f"{where}: NumPy has no random bit generator '{state['bit_generator']}'.")
        bits = kind() if seeds is None else kind(np.random.SeedSequence(**seeds))
        bits.state = state
        return np.random.Generator(bits)

    def _mujoco(self, node: dict[str, Any], here: Any, where: str) -> None:
        arrays, layout = _arrays(here)
        if node["layout"] != layout or node["arrays"].numel() != sum(array.nbytes for array in arrays.values()):
            raise ValueError(f"The state is of another environment: {where} is of another model, or another MuJoCo.")
        if node["state"] is not None:
            self.writes.append(functools.partial(_physics_state, here, node["state"].cpu().numpy()))
        for part, name, number in node["numbers"]:
            self.writes.append(functools.partial(setattr, getattr(here, part) if part else here, name, number))
        packed, start = node["arrays"].cpu().numpy().tobytes(), 0
        for array in arrays.values():
            values = np.frombuffer(packed, array.dtype, array.size, start).reshape(array.shape)
            self.writes.append(functools.partial(array.__setitem__, ..., values))
            start += array.nbytes


def _is_constant(value: Any) -> bool:
    """Whether a value is configuration or for rendering, and thus stays what it is in the process that loads."""
    from gymnasium import Space
    from gymnasium.envs.registration import EnvSpec

    if isinstance(value, str):
        return "/" in value or "\\" in value
    if isinstance(value, (*_CONSTANT_TYPES, Space, EnvSpec)) or type(value) is object:
        return True
    module = type(value).__module__
    package = module.partition(".")[0]
    if package == "mujoco":
        return not _is_mujoco(value)
    return package in _RENDERING_PACKAGES or module == "gymnasium.envs.mujoco.mujoco_rendering"


def _is_view_into_c(value: Any) -> bool:
    """Whether an array shows memory that C code owns, for example that of MuJoCo's data."""
    while isinstance(value, np.ndarray):
        value = value.base
    return type(value).__name__ == "PyCapsule"


def _is_mujoco(value: Any) -> bool:
    return type(value).__name__ in ("MjData", "MjModel") and type(value).__module__.partition(".")[0] == "mujoco"


def _has_hidden_fields(kind: type) -> bool:
    """Whether instances have fields in C or slots, so that ``vars()`` does not show all of their state."""
    pointers = (kind.__dictoffset__ > 0) + (kind.__weakrefoffset__ > 0)
    return kind.__itemsize__ != 0 or kind.__basicsize__ > object.__basicsize__ + pointers * struct.calcsize("P")


def _class_name(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _arrays(value: Any) -> tuple[dict[str, np.ndarray], str]:
    """Return arrays in MuJoCo's memory that make the state, and a hash that is the same where they have their like.

    Of data: what it has computed, as environments read it; computed anew it would differ, for it lags behind the
    positions by an integration step. Of a model: its parameters (masses ...), as environments randomize them.
    """
    is_data = type(value).__name__ == "MjData"
    # In fresh data there are no contacts and constraints yet, and MuJoCo has no memory for what depends on them.
    fresh = type(value)(value.model) if is_data else value
    arrays: dict[str, np.ndarray] = {}
    digest = hashlib.sha256()
    for name in dir(fresh):
        array = None if name.startswith("_") else getattr(fresh, name)
        if isinstance(array, np.ndarray) and array.size and array.base is not None:
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            if is_data or array.dtype.kind == "f":
                arrays[name] = getattr(value, name)
            elif array.dtype.kind == "i":
                digest.update(array.tobytes())  # indices, never written
    return arrays, digest.hexdigest()


def _physics_state(data: Any, new: np.ndarray | None = None) -> torch.Tensor | None:
    """Return what MuJoCo integrates, or set it; a model has no such thing."""
    import mujoco

    if type(data).__name__ != "MjData":
        return None
    mj: Any = mujoco
    which = int(mj.mjtState.mjSTATE_INTEGRATION)
    state = np.empty(mj.mj_stateSize(data.model, which)) if new is None else new
    (mj.mj_getState if new is None else mj.mj_setState)(data.model, data, state, which)
    return torch.from_numpy(state)


def _numbers(value: Any) -> list[tuple[str, str, Any]]:
    """Return what is not in arrays, as part, name, number.

    Of a model: its options (timestep, gravity ...) and statistics. Of data: what sleeps and what was computed.
    """
    if type(value).__name__ == "MjData":
        names = [name for name in dir(value) if name.endswith("_awake") or name.startswith("flg_")]
        return [("", name, getattr(value, name)) for name in names if isinstance(getattr(value, name), int)]
    numbers: list[tuple[str, str, Any]] = []
    for part in ("opt", "stat"):
        for name in dir(getattr(value, part)):
            number = getattr(getattr(value, part), name)
            if not name.startswith("_") and isinstance(number, (int, float, np.ndarray)):
                numbers.append((part, name, number.tolist() if isinstance(number, np.ndarray) else number))
    return numbers
