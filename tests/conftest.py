# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What all tests share: one thread and one seed, so that a test gives the same result anywhere and in any order."""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib.util
import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

# Also in the processes that tests start: several tests run at once, and threads that wait keep cores busy.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Runs that tests make are those of a user of their own.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="rsl_rl_state_")
# Where a shell ignores these (in the background, or by nohup), processes to which tests send them ignore them, too.
for _name, _handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
    if hasattr(signal, _name) and signal.getsignal(getattr(signal, _name)) is signal.SIG_IGN:
        signal.signal(getattr(signal, _name), _handler)
if shutil.which("g++"):
    # torch.compile spends most of its time in the compiler of its kernels, which need not be fast here.
    os.environ.setdefault("CXX", str(Path(__file__).parent / "cxx.sh"))
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
torch.set_num_threads(1)  # The tensors are small, and sums then have one order.
with contextlib.suppress(ImportError, AttributeError):
    from torch.onnx._internal._lazy_import import onnxscript_apis

    @functools.cache
    def _operators() -> Any:
        return importlib.import_module(onnxscript_apis._name).get_torchlib_ops()

    # A third of every export: the exporter reads the source of all operators anew, which are always the same.
    onnxscript_apis.get_torchlib_ops = _operators
settings.register_profile("repeatable", deadline=None, derandomize=True)  # No example fails for being slow.
settings.load_profile("repeatable")


def pytest_collection_finish() -> None:
    # The garbage collector would go through all that torch and its compiler consist of again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("envpool") and importlib.util.find_spec("envpool") is None:
        pytest.skip("EnvPool is not installed: pip install envpool")


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(params=[0.0, 1.0])
def derivative_of_clamp_at_its_bounds(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """Make it 0, as from torch 2.14 on, or 1, as before: what a test with this fixture says holds with either."""
    clamp = torch.Tensor.clamp

    class Clamp(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor, low: Any, high: Any) -> torch.Tensor:
            result = clamp(x, low, high)
            ctx.slope = (x == result) * (1.0 - (1.0 - request.param) * ((result == low) | (result == high)))
            return result

        @staticmethod
        def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
            return gradients[0] * ctx.slope, None, None

    monkeypatch.setattr(torch.Tensor, "clamp", lambda x, min=None, max=None: Clamp.apply(x, min, max))
    return request.param
