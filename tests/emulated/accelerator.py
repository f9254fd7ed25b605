# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""An accelerator that is emulated on the CPU: tensors of a device of its own, with real numbers.

A tensor of the device holds one of the host, on which every operator runs. Operands of two devices are an error, as on
a GPU. Operators (launches), and all that the host waits for, are counted by name. Importing this registers the device,
once and for the whole process: tests that do so run in a process of their own.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils import backend_registration

NAME = "emulated"
aten = torch.ops.aten

launches: Counter[str] = Counter()
"""Operators that ran on the device, by name. Views launch nothing."""
waits: Counter[str] = Counter()
"""What the host waited for, by name."""
_forbidden: list[str] = []


class Waited(RuntimeError):
    """The host waited for the device where it must not."""


@contextlib.contextmanager
def counted() -> Iterator[tuple[Counter[str], Counter[str]]]:
    """Count launches and waits of a block from zero."""
    launches.clear()
    waits.clear()
    yield launches, waits


@contextlib.contextmanager
def without_waits(what: str) -> Iterator[None]:
    """Make every wait of a block an error, as ``torch.cuda.set_sync_debug_mode("error")`` does."""
    _forbidden.append(what)
    try:
        yield
    finally:
        _forbidden.pop()


def _wait(name: str) -> None:
    waits[name] += 1
    if _forbidden:
        raise Waited(f"{name}: the host waits for the device {_forbidden[-1]}")


class OnDevice(torch.Tensor):
    """A tensor of the device. ``numbers`` holds its values in the host's memory."""

    numbers: torch.Tensor

    @staticmethod
    def __new__(cls, numbers: torch.Tensor) -> OnDevice:
        """Return a tensor of the device with these values."""
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            numbers.size(),
            strides=numbers.stride(),
            storage_offset=numbers.storage_offset(),
            dtype=numbers.dtype,
            layout=numbers.layout,
            device=torch.device(NAME, 0),
        )
        made.numbers = numbers
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator on the values."""
        return _run(func, args, kwargs or {})

    def data_ptr(self) -> int:
        """Return where the values are."""
        return self.numbers.data_ptr()

    def __deepcopy__(self, memo: dict[int, Any]) -> torch.Tensor:
        """Return a copy on the device, a parameter of a parameter."""
        if id(self) not in memo:
            copied = OnDevice(self.numbers.clone()).requires_grad_(self.requires_grad)
            memo[id(self)] = torch.nn.Parameter(copied, self.requires_grad) if hasattr(self, "_is_param") else copied
        return memo[id(self)]

    def tolist(self) -> Any:
        """Return the values as lists, for which the host waits."""
        return self.cpu().tolist()

    def __repr__(self, **_: Any) -> str:
        """Name the values without a wait."""
        return f"OnDevice({self.numbers!r})"

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle the values with the name of the device, as those of a GPU are."""
        _wait("copy to the host")
        host = self.numbers.detach().clone()
        _saved[host.untyped_storage().data_ptr()] = host
        return host.requires_grad_(self.requires_grad).__reduce_ex__(protocol)


_saved: dict[int, torch.Tensor] = {}
"""What was pickled, by its address."""


# -- operators ---------------------------------------------------------------------------------------------------------

_WAITING = {
    aten._local_scalar_dense.default: "item()",
    aten.nonzero.default: "nonzero()",
    aten.masked_select.default: "masked_select()",
    aten.equal.default: "equal()",
    aten.repeat_interleave.Tensor: "repeat_interleave() without output_size",
    aten.bincount.default: "bincount()",
    aten._unique2.default: "unique()",
}
_BY_INDEX = (aten.index.Tensor, aten.index_put_.default, aten.index_put.default, aten._index_put_impl_.default)
_HOST = torch.device("cpu")


def _tensors(values: Any) -> Iterator[torch.Tensor]:
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)


def _mapped(value: Any, change: Any) -> Any:
    """Return arguments or results of an operator with every tensor changed."""
    if isinstance(value, torch.Tensor):
        return change(value)
    return type(value)(_mapped(each, change) for each in value) if isinstance(value, (list, tuple)) else value


def _numbers(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.numbers if isinstance(tensor, OnDevice) else tensor


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    if _is_composite(func):  # which a tensor of the device meets where nothing is to be differentiated
        return func.decompose(*args, **kwargs)
    if func is aten._to_copy.default:
        return _copied(*args, **kwargs)
    if func is aten.copy_.default and {type(args[0]), type(args[1])} != {OnDevice}:
        return _copied_into(*args, **kwargs)
    given = [*_tensors(args), *_tensors(kwargs.values())]
    on_host = [each for each in given if not isinstance(each, OnDevice)]
    if func in _BY_INDEX:
        indices = [each for each in args[1] if each is not None]
        if any(each.dtype in (torch.bool, torch.uint8) for each in indices):
            _wait("indexing with a mask")
        if any(not isinstance(each, OnDevice) for each in indices):
            _wait("indexing with an index of the host")
        on_host = [each for each in on_host if all(each is not index for index in indices)]
    name = func._schema.name.removeprefix("aten::")
    # A number of the host is an argument of a launch, as on a GPU.
    if any(each.dim() for each in on_host) and not name.startswith("_foreach_"):
        raise RuntimeError(f"Expected all tensors to be on the same device, but {func} got some of the host")
    if func in _WAITING:
        _wait(_WAITING[func])
    if not _is_view(func):
        several = next((each for each in args if isinstance(each, (list, tuple))), []) if "_foreach_" in name else []
        launches[name] += 1 if _fit_one_launch(several) else len(several)
    kwargs = {key: _HOST if key == "device" else value for key, value in kwargs.items()}
    named = {key: _mapped(value, _numbers) for key, value in kwargs.items()}
    results = _OWN.get(func, func)(*_mapped(args, _numbers), **named)
    return _wrapped(func, args, kwargs, results)


def _fit_one_launch(tensors: list[torch.Tensor]) -> bool:
    """Return whether a GPU takes a list of tensors with one kernel: those of one type, each in one piece."""
    return len({each.dtype for each in tensors}) <= 1 and all(each.is_contiguous() for each in tensors)


def _wrapped(func: Any, args: Any, kwargs: dict[str, Any], results: Any) -> Any:
    """Return what was changed in place itself, and everything new as tensors of the device."""
    names, returns_written = _written(func)
    if names:
        values = dict(zip((each.name for each in func._schema.arguments), args, strict=False)) | kwargs
        changed = [values[name] for name in names]
        for tensor in _tensors(changed):
            is_whole = not isinstance(tensor, OnDevice) or tensor.shape == tensor.numbers.shape
            assert is_whole, f"{func} has changed a shape, which cannot be shown"
        if not func._schema.returns:
            return None
        if returns_written:
            return changed[0] if len(func._schema.returns) == 1 else tuple(changed)
    if _is_view(func) and not args[0].is_inference():
        with torch.inference_mode(False):
            return _mapped(results, OnDevice)
    return _mapped(results, OnDevice)


@functools.cache
def _written(func: Any) -> tuple[list[str], bool]:
    """Return the names of the arguments that an operator writes, and whether it returns nothing else."""
    written = [each.name for each in func._schema.arguments if each.alias_info and each.alias_info.is_write]
    return written, all(each.alias_info is not None for each in func._schema.returns)


@functools.cache
def _is_composite(func: Any) -> bool:
    return torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")


@functools.cache
def _is_view(func: Any) -> bool:
    returns = func._schema.returns
    return bool(returns) and all(each.alias_info and not each.alias_info.is_write for each in returns)


def _copied(tensor: torch.Tensor, *, device: Any = None, non_blocking: bool = False, **options: Any) -> Any:
    target = tensor.device if device is None else torch.device(device)
    numbers = tensor.numbers if isinstance(tensor, OnDevice) else tensor
    if isinstance(tensor, OnDevice) and target.type != NAME:
        _wait("copy to the host")
    elif isinstance(tensor, OnDevice):
        launches["_to_copy"] += 1
    elif not non_blocking:
        _wait("copy to the device")
    options.pop("layout", None)
    options.pop("pin_memory", None)
    copied = aten._to_copy.default(numbers, device=torch.device("cpu"), **options)
    return OnDevice(copied) if target.type == NAME else copied


def _copied_into(target: torch.Tensor, source: torch.Tensor, non_blocking: bool = False) -> torch.Tensor:
    if isinstance(target, OnDevice) and not source.dim() and not isinstance(source, OnDevice):
        launches["fill_"] += 1
    elif isinstance(source, OnDevice):
        _wait("copy to the host")
    elif not non_blocking:
        _wait("copy to the device")
    into, of = (each.numbers if isinstance(each, OnDevice) else each for each in (target, source))
    into.copy_(of)
    return target


# -- operators that the host has in another form -----------------------------------------------------------------------


def _lstm_cell(of_input: Any, of_hidden: Any, cell: Any, input_bias: Any = None, hidden_bias: Any = None) -> Any:
    gates = of_input + of_hidden
    gates = gates if input_bias is None else gates + (input_bias + hidden_bias)
    into, forget, new, out = gates.chunk(4, 1)
    into, forget, new, out = into.sigmoid(), forget.sigmoid(), new.tanh(), out.sigmoid()
    after = forget * cell + into * new
    return out * after.tanh(), after, torch.cat([into, forget, new, out], 1)


def _lstm_cell_backward(by_hidden: Any, by_cell: Any, before: Any, after: Any, saved: Any, has_bias: bool) -> Any:
    into, forget, new, out = saved.chunk(4, 1)
    by_hidden = torch.zeros_like(after) if by_hidden is None else by_hidden
    by_cell = torch.zeros_like(after) if by_cell is None else by_cell
    shown = after.tanh()
    inner = by_cell + by_hidden * out * (1 - shown * shown)
    parts = [
        inner * new * into * (1 - into),
        inner * before * forget * (1 - forget),
        inner * into * (1 - new * new),
        by_hidden * shown * out * (1 - out),
    ]
    gates = torch.cat(parts, 1)
    return gates, inner * forget, gates.sum(0) if has_bias else torch.empty(0)


def _gru_cell(of_input: Any, of_hidden: Any, hidden: Any, input_bias: Any = None, hidden_bias: Any = None) -> Any:
    if input_bias is not None:
        of_input, of_hidden = of_input + input_bias, of_hidden + hidden_bias
    (reset_i, update_i, new_i), (reset_h, update_h, new_h) = of_input.chunk(3, 1), of_hidden.chunk(3, 1)
    reset, update = (reset_i + reset_h).sigmoid(), (update_i + update_h).sigmoid()
    new = (new_i + reset * new_h).tanh()
    return (hidden - new) * update + new, torch.cat([reset, update, new, hidden, new_h], 1)


def _gru_cell_backward(by_hidden: Any, saved: Any, has_bias: bool) -> Any:
    reset, update, new, hidden, new_h = saved.chunk(5, 1)
    by_new = by_hidden * (1 - update) * (1 - new * new)
    by_update = by_hidden * (hidden - new) * update * (1 - update)
    by_reset = by_new * new_h * reset * (1 - reset)
    of_input = torch.cat([by_reset, by_update, by_new], 1)
    of_hidden = torch.cat([by_reset, by_update, by_new * reset], 1)
    biases = (of_input.sum(0), of_hidden.sum(0)) if has_bias else (torch.empty(0), torch.empty(0))
    return of_input, of_hidden, by_hidden * update, *biases


def _convolution(*args: Any) -> Any:
    return aten.convolution.default(*args)


def _convolution_backward(by_output: Any, given: Any, weight: Any, *args: Any) -> Any:
    *geometry, mask = args
    return aten.convolution_backward.default(by_output, given, weight, [weight.shape[0]], *geometry, mask)


_OWN = {
    aten._thnn_fused_lstm_cell.default: _lstm_cell,
    aten._thnn_fused_lstm_cell_backward_impl.default: _lstm_cell_backward,
    aten._thnn_fused_gru_cell.default: _gru_cell,
    aten._thnn_fused_gru_cell_backward.default: _gru_cell_backward,
    aten.convolution_overrideable.default: _convolution,
    aten.convolution_backward_overrideable.default: _convolution_backward,
}


# -- registration ------------------------------------------------------------------------------------------------------


class _Module(backend_registration._DummyBackendModule):
    """What ``torch.emulated`` offers, as ``torch.cuda`` does."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]

    def synchronize(self, device: Any = None) -> None:
        _wait("synchronize()")


def _factory(name: str) -> Any:
    packet, _, overload = name.partition(".")
    func = getattr(getattr(aten, packet), overload or "default")

    def make(*args: Any, **kwargs: Any) -> torch.Tensor:
        launches[packet] += 1
        return OnDevice(func(*args, **kwargs | {"device": torch.device("cpu"), "pin_memory": None}))

    return make


_library = torch.library.Library("aten", "IMPL")
_others = torch.library.Library("_", "IMPL")

_IN_LOWER_PRECISION = ("linear", "mm", "addmm", "matmul", "bmm", "conv2d")
"""What autocast computes in bfloat16 on the host, too, of what the models here use."""


def _cast(func: Any, dtype: torch.dtype | None) -> Any:
    def cast(*args: Any, **kwargs: Any) -> Any:
        wanted = torch.get_autocast_dtype(NAME) if dtype is None else dtype

        def change(tensor: torch.Tensor) -> torch.Tensor:
            return tensor.to(wanted) if tensor.is_floating_point() else tensor

        with torch._C._ExcludeDispatchKeyGuard(torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastPrivateUse1)):
            return func(*_mapped(args, change), **kwargs)

    return cast


def _register() -> None:
    backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=_Module())

    def empty(size: Any, *, dtype: Any = None, memory_format: Any = None, **_: Any) -> torch.Tensor:
        memory_format = memory_format or torch.contiguous_format
        return OnDevice(torch.empty(size, dtype=dtype, device=_HOST, memory_format=memory_format))

    def empty_strided(size: Any, stride: Any, *, dtype: Any = None, **_: Any) -> torch.Tensor:
        return OnDevice(torch.empty_strided(size, stride, dtype=dtype, device=_HOST))

    def copy_from(source: torch.Tensor, target: torch.Tensor, non_blocking: bool = False) -> torch.Tensor:
        return _copied_into(target, source, non_blocking)

    def name_in_file(storage: torch.UntypedStorage) -> str | None:
        return f"{NAME}:0" if storage.data_ptr() in _saved else None

    _library.impl("empty.memory_format", empty, "PrivateUse1")
    _library.impl("empty_strided", empty_strided, "PrivateUse1")
    _library.impl("_copy_from", copy_from, "PrivateUse1")
    for name in ("arange", "arange.start", "arange.start_step", "randperm", "eye", "eye.m", "linspace"):
        _library.impl(name, _factory(name), "PrivateUse1")
    _others.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
    for name in _IN_LOWER_PRECISION:
        _library.impl(name, _cast(getattr(aten, name).default, None), "AutocastPrivateUse1")
    _library.impl("mse_loss", _cast(aten.mse_loss.default, torch.float32), "AutocastPrivateUse1")
    # Read back into the host's memory: whoever loads it places it.
    torch.serialization.register_package(
        1, name_in_file, lambda storage, name: storage if name.startswith(NAME) else None
    )
    # Several tensors in one launch, for which torch looks at their type.
    for module in ("torch.optim.optimizer", "torch.utils._foreach_utils"):
        importlib.import_module(module)._foreach_supported_types.append(OnDevice)


_register()
