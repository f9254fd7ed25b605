# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Where the time of an iteration goes: by phase, by operator, and how many operators are dispatched.

    python benchmarks/profile_iteration.py                            # an environment that costs nothing
    python benchmarks/profile_iteration.py --num-envs 64 --rnn lstm
    python benchmarks/profile_iteration.py --task go1-joystick-flat   # a real one, and its simulator's share

Every moment belongs to one phase; what is called within another is not counted twice. On a GPU the host waits for it at
the border of every phase, so the phases are right and their sum is longer than an iteration that is left alone.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

from rsl_rl.cli.bench.timed_training import FreeEnv, training_config
from rsl_rl.cli.table import as_table
from rsl_rl.cli.task_changes import with_observation_groups
from rsl_rl.cli.train import environment_seed, make_runner, seed_everything
from rsl_rl.config.task import load_task
from rsl_rl.env import VecEnv, make_env
from rsl_rl.runners import OnPolicyRunner
from rsl_rl.telemetry.console import SilentConsole

WARM_UP = 3
PER_STEP = ("acting", "checking", "storing", "logging steps")
PER_MINI_BATCH = ("gathering", "forward and loss", "backward", "gradients", "optimizer")
REST = "rest"


class Clock:
    """Gives every moment to the innermost phase that is running."""

    def __init__(self, device: str) -> None:
        self.seconds: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self._is_cuda = device.startswith("cuda")
        self._running = [REST]
        self._since = time.perf_counter()

    @property
    def phase(self) -> str:
        return self._running[-1]

    def reset(self) -> None:
        self._charge()
        self.seconds.clear()
        self.calls.clear()

    def within(self, phase: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return the call as one that belongs to a phase."""

        def timed(*arguments: Any, **options: Any) -> Any:
            self._charge()
            self._running.append(phase)
            self.calls[phase] += 1
            try:
                return call(*arguments, **options)
            finally:
                self._charge()
                self._running.pop()

        return timed

    def each_of(self, phase: str, generator: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        """Return the generator as one whose items are made in a phase."""

        def timed(*arguments: Any, **options: Any) -> Iterator[Any]:
            end = object()
            take = self.within(phase, lambda items: next(items, end))
            items = generator(*arguments, **options)
            while (item := take(items)) is not end:
                yield item

        return timed

    def _charge(self) -> None:
        if self._is_cuda:
            torch.cuda.synchronize()
        now = time.perf_counter()
        self.seconds[self.phase] += now - self._since
        self._since = now


class OperatorCount(TorchDispatchMode):
    """Counts what PyTorch dispatches, by phase."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self._clock = clock

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts[self._clock.phase] += 1
        return func(*args, **(kwargs or {}))


def watch(runner: OnPolicyRunner, clock: Clock) -> None:
    """Time the parts of a runner from outside."""
    alg: Any = runner.alg
    storage, step = alg.storage, alg.gradient_step
    parts = [
        (runner.env, "step", "environment"),
        (alg, "act", "acting"),
        (alg, "process_env_step", "storing"),
        (alg, "compute_returns", "returns"),
        (runner.logger, "process_env_step", "logging steps"),
        (runner.logger, "log", "logging"),
        (alg, "loss", "forward and loss"),
        (torch.Tensor, "backward", "backward"),
        (step, "end", "concluding"),
        *((optimizer, "step_unless", "optimizer") for optimizer in step.optimizers),
        *((model, "update_normalization", "normalization") for model in (alg.actor, alg.critic)),
        *((part, "on_step", "checking") for part in runner.callbacks),
        *((part, "on_rollout_end", "checking") for part in runner.callbacks),
    ]
    for owner, name, phase in parts:
        setattr(owner, name, clock.within(phase, getattr(owner, name)))
    # The rest of a step: norms, clipping, the learning rate; and losses and gradients in one where they are compiled.
    begin = step.begin
    step.begin = lambda *frozen, **options: clock.within("gradients", begin(*frozen, **options))
    for name in ("mini_batch_generator", "recurrent_mini_batch_generator"):
        setattr(storage, name, clock.each_of("gathering", getattr(storage, name)))


def synthetic_runner(chosen: argparse.Namespace) -> OnPolicyRunner:
    torch.manual_seed(0)
    torch.set_num_threads(chosen.threads)
    names = ("hidden", "rnn", "rnn_hidden", "num_steps", "mixed_precision")
    case = {"compile": None, **{name: getattr(chosen, name) for name in names}}
    env: Any = type("FreeVecEnv", (FreeEnv, VecEnv), {})(chosen.num_envs or 512, chosen.num_steps, chosen.device)
    return OnPolicyRunner(env, training_config(case), log_dir=None, device=chosen.device)


def task_runner(chosen: argparse.Namespace) -> OnPolicyRunner:
    task = load_task(chosen.task)
    seed_everything(task.seed, chosen.threads)
    env = make_env(
        task.env,
        num_envs=chosen.num_envs or task.num_envs,
        seed=environment_seed(task.seed),
        device=chosen.device,
        **task.env_options,
    )
    return make_runner(with_observation_groups(task, env), env, None)


def learn_quietly(runner: OnPolicyRunner, iterations: int) -> float:
    """Train without a display; return the seconds per iteration."""
    runner.logger.console = SilentConsole()
    started = time.perf_counter()
    runner.learn(iterations)
    return (time.perf_counter() - started) / iterations


def phase_table(seconds: Counter[str], calls: Counter[str], operators: Counter[str], iterations: int) -> str:
    total = sum(seconds.values())
    rows = [
        (
            phase,
            f"{1e3 * spent / iterations:.2f}",
            f"{spent / total:.1%}",
            calls[phase] // iterations or "",
            operators[phase],
        )
        for phase, spent in seconds.most_common()
    ]
    return as_table(("phase", "ms per iteration", "share", "calls", "operators"), rows)


def operator_table(runner: OnPolicyRunner, device: str, limit: int) -> str:
    """Return the operators in which most time is spent, of one iteration."""
    on_gpu = device.startswith("cuda")
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as profiler:
        learn_quietly(runner, 1)
    events = [event for event in profiler.key_averages() if not event.key.startswith("ProfilerStep")]

    def microseconds(event: Any) -> float:
        return event.self_device_time_total if on_gpu else event.self_cpu_time_total

    total = sum(map(microseconds, events))
    events = sorted(events, key=microseconds, reverse=True)[:limit]
    rows = [(e.key[:48], e.count, f"{microseconds(e) / 1e3:.2f}", f"{microseconds(e) / total:.1%}") for e in events]
    return as_table(("operator", "calls", "own ms", "share"), rows)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", help="a task of the library; networks and steps are then its own")
    parser.add_argument("--num-envs", type=int, help="512, or those of the task")
    parser.add_argument("--hidden", type=int, nargs="+", default=[256, 128, 64])
    parser.add_argument("--rnn", choices=("lstm", "gru"))
    parser.add_argument("--rnn-hidden", type=int, default=256)
    parser.add_argument("--num-steps", type=int, default=24)
    parser.add_argument("--mixed-precision", action="store_true")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--operators", type=int, default=12, help="how many of them are listed")
    chosen = parser.parse_args(arguments)

    runner = synthetic_runner(chosen) if chosen.task is None else task_runner(chosen)
    num_steps, num_envs = runner.cfg["num_steps_per_env"], runner.env.num_envs
    alone = learn_quietly(runner, WARM_UP) and learn_quietly(runner, chosen.iterations)
    print(
        f"{chosen.task or 'An environment that costs nothing'}: {num_envs} environments, {num_steps} steps on "
        f"{chosen.device}, {chosen.threads} thread(s)\n"
        f"{1e3 * alone:.1f} ms per iteration, {num_envs * num_steps / alone:,.0f} steps/s\n"
    )
    operators = operator_table(runner, chosen.device, chosen.operators)
    clock = Clock(chosen.device)
    backward = torch.Tensor.backward
    watch(runner, clock)
    try:
        clock.reset()
        learn_quietly(runner, chosen.iterations)
        seconds, calls = clock.seconds.copy(), clock.calls.copy()
        with OperatorCount(clock) as dispatched:
            learn_quietly(runner, 1)
    finally:
        torch.Tensor.backward = backward  # type: ignore[method-assign] (as it was)
    print(phase_table(seconds, calls, dispatched.counts, chosen.iterations))
    per_step = sum(dispatched.counts[phase] for phase in PER_STEP) / num_steps
    mini_batches = runner.alg.num_learning_epochs * runner.alg.num_mini_batches
    per_batch = sum(dispatched.counts[phase] for phase in PER_MINI_BATCH) / mini_batches
    print(f"\nDispatched operators: {per_step:.1f} per environment step, {per_batch:.1f} per mini-batch\n")
    if chosen.task is not None:
        share = seconds["environment"] / sum(seconds.values())
        print(
            f"Simulator: {share:.1%} of the iteration is spent in env.step. If everything else cost nothing, training "
            f"would be {1 / share:.2f} times as fast.\n"
        )
    print(operators)


if __name__ == "__main__":
    main()
