# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""How long one answer of a policy takes: ONNX, TorchScript and torch.export side by side, on one thread.

python examples/deploy_go1/latency.py runs/go1-walk/<run>/exports
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from deploy import Policy, newest_policy, percentiles


def torchscript(path: Path, obs: torch.Tensor) -> Callable[[], Any]:
    """Return a call of a TorchScript file, which keeps its hidden state inside."""
    script = torch.jit.load(str(path), map_location="cpu")
    return lambda: script(obs)


def pt2(path: Path, obs: torch.Tensor, states: dict[str, Any]) -> Callable[[], Any]:
    """Return a call of a torch.export file, to which the hidden state is given."""
    module = torch.export.load(str(path)).module()
    state = [torch.zeros(layers, 1, size) for layers, size in states.values()]
    return lambda: module(obs, *state)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("exports", nargs="?", type=Path, help="a run's folder exports; default: of the newest go1-walk")
    parser.add_argument("--calls", type=int, default=5000)
    chosen = parser.parse_args()
    folder = chosen.exports or newest_policy().parent
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # new versions of torch announce the end of TorchScript
    policy = Policy(folder / "policy.onnx")
    observation = np.zeros(policy.metadata["obs_dim"], np.float32)
    obs = torch.from_numpy(observation)[None]
    calls: dict[str, Callable[[], Any]] = {
        "ONNX": lambda: policy(observation),
        "TorchScript": torchscript(folder / "policy.pt", obs),
        "pt2": pt2(folder / "policy.pt2", obs, policy.metadata["hidden_state"]),
    }
    print(f"{'':12}p50 us   p99 us   ({chosen.calls} calls with one observation, one thread)")
    with torch.inference_mode():
        for name, call in calls.items():
            half, most = percentiles(call, chosen.calls)
            print(f"{name:12}{half:6.0f}{most:9.0f}")


if __name__ == "__main__":
    main()
