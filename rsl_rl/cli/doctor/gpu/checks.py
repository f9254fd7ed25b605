# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What is tried on a device: numbers and waits of every kind of training, graphs, checkpoints, processes, memory."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import torch
from tensordict.nn import CudaGraphModule

from rsl_rl.algorithms.acting import choose_acting
from rsl_rl.cli.bench.timed_training import Session
from rsl_rl.cli.doctor.gpu.kinds import KINDS, OPTIMIZERS, made
from rsl_rl.cli.doctor.system import Check
from rsl_rl.cli.own_process import own_environment
from rsl_rl.distributed.start import LAUNCHER
from rsl_rl.modules import changed_state
from rsl_rl.storage.memory import readable
from rsl_rl.telemetry.console import SilentConsole

# Kernels add up in another order than the CPU, and a GPU may round products to TF32 if a program has asked for it.
_TOLERANCE, _TOLERANCE_MIXED = 1e-3, 0.1


@contextlib.contextmanager
def _without_waits_of_cuda() -> Iterator[None]:
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@dataclass(frozen=True)
class Device:
    """A device, and what is done to it; tests put an emulated one in the place of a GPU."""

    name: str = "cuda"
    without_waits: Callable[[], AbstractContextManager[Any]] = _without_waits_of_cuda
    """Makes waits an error, in a block."""
    graph: Callable[..., Any] = CudaGraphModule
    """Makes a captured function."""
    num_devices: int = 1
    kinds: tuple[str, ...] = (*KINDS, *OPTIMIZERS)
    numbers_of_processes: tuple[int, ...] = (1, 2)
    num_envs: int = 4096
    """Environments with which memory is measured."""
    hidden: tuple[int, ...] = (512, 256, 128)


def checks(device: Device) -> Iterator[Check]:
    """Try everything; one that fails does not keep the others from being tried."""
    for kind in device.kinds:
        yield _tried(kind, lambda kind=kind: numbers(kind, device))
    for kind in device.kinds:
        if kind in KINDS and kind != "recover":  # It has to look for what is not finite.
            yield _tried(f"waits, {kind}", lambda kind=kind: waits(kind, device))
    yield _tried("waits, environment on the host", lambda: waits("gaussian", device, "cpu"))
    for name, check in (("CUDA graphs", graphs), ("checkpoints", checkpoints), ("memory", memory)):
        yield _tried(name, lambda check=check: check(device))
    for number in device.numbers_of_processes:
        yield _tried(f"{number} process{'es' if number > 1 else ''}", lambda number=number: processes(number, device))


def _tried(name: str, check: Callable[[], str]) -> Check:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Check(name, "ok", check())
    except _NotPossible as error:
        return Check(name, "missing", str(error))
    except Exception as error:  # whatever it is, the next check is made
        return Check(name, "failed", f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


class _NotPossible(Exception):
    """There is nothing to try this with."""


def numbers(kind: str, device: Device) -> str:
    """Act, and compute the gradients of a mini-batch, on the CPU and on the device."""
    on_host, on_device = made(kind, "cpu"), made(kind, device.name)
    on_host.learn(1)
    on_device.alg.load(on_host.alg.save())
    obs = on_host.env.get_observations()
    with torch.inference_mode():
        expected = on_host.get_inference_policy()(obs)
        found = on_device.get_inference_policy()(obs.to(device.name)).cpu()
    tolerance = _TOLERANCE_MIXED if "mixed" in kind else _TOLERANCE
    errors = [_error([found], [expected])]
    batch = next(_batches(on_host))
    gradients = []
    for runner, own in ((on_host, batch), (on_device, _moved(batch, device.name))):
        step = runner.alg.gradient_step
        parameters = [p for o in step.optimizers for group in o.torch_optimizer.param_groups for p in group["params"]]
        step.gradients.begin(parameters)
        step.gradients(own)
        gradients.append([torch.zeros(1) if p.grad is None else p.grad.cpu() for p in parameters])
    errors.append(_error(gradients[1], gradients[0]))
    for error, what in zip(errors, ("actions", "gradients"), strict=True):
        if not error <= tolerance:
            raise ValueError(f"{what} differ from those of the CPU by {error:.1e} of the largest")
    return f"actions and gradients are those of the CPU, but for {max(errors):.0e} of the largest"


def _error(found: list[torch.Tensor], expected: list[torch.Tensor]) -> float:
    # Not Python's max(), which loses NaN.
    largest = torch.stack([each.abs().max() for each in expected]).max()
    worst = torch.stack([(one - other).abs().max() for one, other in zip(found, expected, strict=True)]).max()
    return float(worst / largest.clamp(min=1e-30))


def _batches(runner: Any) -> Iterator[Any]:
    """Collect a rollout and yield its mini-batches."""
    alg, env = runner.alg, runner.env
    with torch.inference_mode():
        obs = env.get_observations().to(runner.device)
        for _ in range(alg.storage.num_transitions_per_env):
            obs, rewards, dones, extras = env.step(alg.act(obs))
            alg.process_env_step(obs, rewards, dones, extras)
        alg.compute_returns(obs)
    if "student" in alg.models():
        return alg.storage.chunk_generator(alg.gradient_length)
    is_recurrent = alg.is_recurrent
    generator = alg.storage.recurrent_mini_batch_generator if is_recurrent else alg.storage.mini_batch_generator
    return generator(alg.num_mini_batches, 1)


def _moved(batch: Any, device: str) -> Any:
    states = tuple(changed_state(state, lambda tensor: tensor.to(device)) for state in batch.hidden_states)
    return replace(batch.map(lambda tensor: tensor.to(device)), hidden_states=states)


def waits(kind: str, device: Device, env_device: str | None = None) -> str:
    """Let steps and mini-batches fail where the host waits for the device; it may wait for actions that it needs."""
    runner = made(kind, device.name, env_device=env_device)
    runner.learn(2)  # The first mini-batches allocate.
    alg, log, step = runner.alg, runner.logger, runner.alg.gradient_step

    def watched(function: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            with device.without_waits():
                return function(*args, **kwargs)

        return call

    alg.act, alg.process_env_step = watched(alg.act), watched(alg.process_env_step)
    log.process_env_step = watched(log.process_env_step)
    runner._contract.check = watched(runner._contract.check)
    begin = step.begin
    step.begin = lambda *args, **kwargs: watched(begin(*args, **kwargs))
    runner.learn(1)
    return "no step and no mini-batch waits for the device"


def graphs(device: Device) -> str:
    """Act and learn with steps that are replayed as CUDA graphs, and without."""
    errors = []
    for kind in ("gaussian", "gru"):
        runners = [made(kind, device.name), made(kind, device.name, fast_path="off")]
        alg = runners[0].alg
        alg.gradient_step.capture(device.graph)
        choose_acting(alg, "graph", graph=device.graph)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            for runner in runners:
                torch.manual_seed(0)
                runner.learn(5)
        refused = [str(warning.message) for warning in said if "captured" in str(warning.message)]
        if refused:
            raise ValueError(refused[0])
        replayed, eager = ([value.cpu() for value in runner.alg.actor.state_dict().values()] for runner in runners)
        errors.append(_error([each.float() for each in replayed], [each.float() for each in eager]))
        if not errors[-1] <= 1e-2:
            raise ValueError(f"parameters differ by {errors[-1]:.1e} of the largest from those of eager steps ({kind})")
    return f"replayed steps act and learn as eager ones do, but for {max(errors):.0e} of the largest"


def checkpoints(device: Device) -> str:
    """Save on one device, load on the other."""
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("gaussian", "lstm"):
            for saved, loaded in ((device.name, "cpu"), ("cpu", device.name)):
                runner, other = made(kind, saved), made(kind, loaded)
                runner.learn(2)
                file = os.path.join(folder, "model.pt")
                runner.save(file)
                other.load(file)
                for key, value in runner.alg.actor.state_dict().items():
                    if not torch.equal(value.cpu(), other.alg.actor.state_dict()[key].cpu()):
                        raise ValueError(f"{key} of a checkpoint of {saved} is another on {loaded}")
                other.learn(1)
    return "what is saved on the GPU goes on on the CPU, and the reverse"


def memory(device: Device) -> str:
    """Measure the memory of a training of usual size, beside what the rollout was expected to take."""
    case = {"num_envs": device.num_envs, "hidden": list(device.hidden), "rnn": None, "num_steps": 24, "compile": None}
    session = Session({**case, "mixed_precision": False, "device": device.name, "threads": 0})
    storage = session.runner.alg.storage
    assert storage is not None
    session.runner.logger.console = SilentConsole()
    buffers = [*storage._buffers.values(), *storage.observations.values()]
    rollout = sum(buffer.numel() * buffer.element_size() for buffer in buffers)
    session.run(2)
    measured = f", {readable(int(torch.cuda.max_memory_allocated()))} at the most" if device.name == "cuda" else ""
    return f"{device.num_envs} environments: {readable(rollout)} for the rollout{measured}"


def processes(number: int, device: Device) -> str:
    """Learn in processes that average their gradients."""
    if number > device.num_devices:
        raise _NotPossible(f"{number} GPUs are needed, there are {device.num_devices}")
    launcher = [sys.executable, "-m", *LAUNCHER, f"--nproc-per-node={number}"]
    kind = device.name if device.name == "cuda" else "cpu"
    done = subprocess.run(
        [*launcher, "-m", "rsl_rl.cli.doctor.probe", "rank", kind],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=180,
        env=own_environment(),
        check=False,
    )
    if done.returncode != 0 or done.stdout.count('{"answer": ') != number:
        said = [line.strip() for line in done.stderr.splitlines() if "Error" in line]
        raise RuntimeError(said[0] if said else f"they ended with the exit code {done.returncode}")
    return "all processes have the same parameters"
