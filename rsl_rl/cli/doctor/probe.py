# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What ``rsl-rl doctor`` tries out, each part in a process of its own: ``python -m rsl_rl.cli.doctor.probe PART``.

Prints one line ``{"answer": TEXT}``, or fails. Each part imports what it needs: the pictures need no torch.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
import warnings
from typing import Any

_SCENE = """
<mujoco>
  <worldbody>
    <light pos="0 0 3"/>
    <camera name="side" pos="0 -2 0.5" xyaxes="1 0 0 0 0.2 1"/>
    <geom type="sphere" size="0.5" rgba="1 0 0 1"/>
  </worldbody>
</mujoco>
"""


def render() -> str:
    """Draw a red ball with the way that MUJOCO_GL names."""
    mujoco: Any = importlib.import_module("mujoco")
    model = mujoco.MjModel.from_xml_string(_SCENE)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    renderer = mujoco.Renderer(model, 48, 64)
    renderer.update_scene(data, "side")
    picture = renderer.render()
    red = picture[24, 32].astype(int)
    if red[0] < 2 * max(red[1], red[2]) or red[0] == 0:
        raise SystemExit(f"the picture is wrong: a red ball has the color {red.tolist()}")
    renderer.close()
    return "a picture was drawn"


def compiled() -> str:
    """Compile a small function and its gradient, without what was compiled before."""
    import torch

    def function(x: torch.Tensor) -> torch.Tensor:
        return (torch.tanh(x) * 2 + x).square().sum()

    x = torch.linspace(-1, 1, 64, requires_grad=True)
    expected = torch.autograd.grad(function(x), x)[0]
    actual = torch.autograd.grad(torch.compile(function)(x), x)[0]
    torch.testing.assert_close(actual, expected)
    return "a function was compiled and gives the same numbers"


def gpu(device: str) -> str:
    """Multiply on a GPU, and record the same as a CUDA graph."""
    import torch

    x = torch.linspace(-1, 1, 64 * 64).reshape(64, 64)
    on_device = x.to(device)
    torch.testing.assert_close((on_device @ on_device).cpu(), x @ x, rtol=1e-2, atol=1e-2)
    torch.cuda.set_device(device)
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        torch.mm(on_device, on_device)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = on_device @ on_device
    on_device.mul_(2)
    graph.replay()
    torch.testing.assert_close(result.cpu(), 4 * x @ x, rtol=1e-2, atol=1e-2)
    return "it computes, and records and replays CUDA graphs"


def learn(device: str) -> str:
    """Train, save, resume and export a small policy; raises where one of these does not work."""
    from rsl_rl.cli.doctor.training import train_and_check

    with tempfile.TemporaryDirectory() as folder:
        return train_and_check(folder, device)


def simulate(env: str) -> str:
    """Let a simulator make two iterations."""
    from rsl_rl.cli.doctor.training import try_environment

    return try_environment(env)


def rank(kind: str) -> str:
    """Learn as one of several processes, and compare what they have learned."""
    from rsl_rl.cli.doctor.training import Reach, make_runner
    from rsl_rl.distributed import current

    local_rank = int(os.environ["LOCAL_RANK"])
    device = "cpu" if kind == "cpu" else f"{kind}:{local_rank}"
    runner = make_runner(Reach(device, seed=local_rank), None, device)
    runner.learn(2)
    if len(set(current().gather(runner.alg.fingerprint()))) > 1:
        raise SystemExit("the processes have learned different parameters")
    return f"rank {local_rank} has learned"


PARTS = {"render": render, "compile": compiled, "gpu": gpu, "learn": learn, "simulate": simulate, "rank": rank}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    part, *arguments = sys.argv[1:]
    answer = PARTS[part](*arguments)
    # Some libraries crash as they are unloaded, when everything has been said.
    print(json.dumps({"answer": answer}), flush=True)
    os._exit(0)
