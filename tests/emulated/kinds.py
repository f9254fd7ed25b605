# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Trains kinds of policies on the emulated accelerator: ``python -m tests.emulated.kinds FOLDER KIND...``.

Prints a line of JSON for each: what was wrong, by check, and what an iteration cost. A program of its own, since the
device is registered for the whole process.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from rsl_rl.cli.doctor.gpu.kinds import KINDS, OPTIMIZERS
from rsl_rl.runners import Callback, DistillationRunner, OnPolicyRunner
from rsl_rl.runners.episodes import play_episodes
from tests.algorithms.test_combinations import CameraEnv
from tests.emulated import accelerator
from tests.emulated.accelerator import NAME as DEVICE

ITERATIONS, SAVED, STEPS = 4, 2, 5


class FaultyEnv(CameraEnv):
    """Gives something that is no number in some steps."""

    num_steps = 0

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"num_steps": self.num_steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.num_steps = state["num_steps"]

    def step(self, actions: torch.Tensor) -> Any:
        obs, rewards, dones, extras = super().step(actions)
        self.num_steps += 1
        if self.num_steps % 5 == 2:
            rewards = torch.where(torch.arange(self.num_envs, device=self.device) == 1, torch.nan, rewards)
        if self.num_steps % 7 == 3:
            is_bad = torch.arange(self.num_envs, device=self.device).unsqueeze(1) == 2
            obs = obs.clone().set("policy", torch.where(is_bad, torch.inf, obs["policy"]))
        return obs, rewards, dones, extras


def made(kind: str, device: str, env_device: str | None = None, log_dir: Path | None = None) -> Any:
    torch.manual_seed(0)
    env_class = FaultyEnv if kind == "recover" else CameraEnv
    final = {"cnn": "final_obs", "recover": "terminal"}.get(kind)
    env = env_class(8, torch.float32, final=final, device=env_device or device)
    cfg = (KINDS | OPTIMIZERS)[kind]() | {"num_steps_per_env": STEPS, "save_interval": 2, "logger": "tensorboard"}
    runner_class = DistillationRunner if "student" in cfg else OnPolicyRunner
    runner = runner_class(env, cfg, log_dir=None if log_dir is None else str(log_dir), device=device)
    if "student" in cfg:
        runner.alg.teacher_loaded = True
    return runner


def learned(runner: Any) -> dict[str, torch.Tensor]:
    """Return everything that training changes, on the host."""
    found = of_models(runner)
    for index, values in runner.alg.optimizer.state_dict()["state"].items():
        found |= {f"optimizer.{index}.{key}": torch.as_tensor(value).cpu() for key, value in values.items()}
    found |= {f"loss.{key}": torch.tensor(value) for key, value in runner.losses.items()}
    return found | {"learning rate": torch.tensor(runner.alg.learning_rate)}


def of_models(runner: Any) -> dict[str, torch.Tensor]:
    models = runner.alg.models().items()
    return {f"{name}.{key}": value.cpu() for name, model in models for key, value in model.state_dict().items()}


def check_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], tolerance: float) -> None:
    assert found.keys() == expected.keys(), sorted(found.keys() ^ expected.keys())
    for name, value in expected.items():
        try:
            torch.testing.assert_close(found[name], value, rtol=tolerance, atol=tolerance, equal_nan=True)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from None


class Costs(Callback):
    """Counts what each iteration, step and mini-batch costs."""

    def __init__(self, runner: Any) -> None:
        self.waits: list[Counter[str]] = []
        self.launches: list[Counter[str]] = []
        self.of_steps, self.of_mini_batches = Counter[str](), Counter[str]()
        self.num_steps = self.num_mini_batches = 0
        alg, step = runner.alg, runner.alg.gradient_step
        for name in ("act", "process_env_step"):
            setattr(alg, name, self._counting(getattr(alg, name), "in a step of the environment", self.of_steps))
        log = runner.logger
        log.process_env_step = self._counting(log.process_env_step, "in a step of the environment", self.of_steps)
        begin = step.begin

        def counting_begin(*args: Any, **kwargs: Any) -> Any:
            return self._counting(begin(*args, **kwargs), "in a mini-batch", self.of_mini_batches)

        step.begin = counting_begin

    def _counting(self, function: Any, what: str, into: Counter[str]) -> Any:
        def counted(*args: Any, **kwargs: Any) -> Any:
            before = accelerator.launches.copy()
            # The first mini-batches allocate an optimizer's state.
            with accelerator.without_waits(what) if self.waits else contextlib.nullcontext():
                result = function(*args, **kwargs)
            if len(self.waits) == 2:
                into.update(accelerator.launches - before)
            return result

        return counted

    def on_iteration_end(self, runner: Any, *_: Any) -> None:
        self.waits.append(accelerator.waits.copy())
        self.launches.append(accelerator.launches.copy())


class Other:
    """A process that goes on with a run; forked before anything is differentiated, which torch asks for."""

    def __init__(self, name: str, folder: Path) -> None:
        self.file = folder / "resumed.pt"
        waiting, self.starting = os.pipe()
        self.process = os.fork()
        if self.process == 0:
            os.close(self.starting)
            os._exit(0 if os.read(waiting, 1) and self._goes_on(name, folder) else 1)

    def _goes_on(self, name: str, folder: Path) -> bool:
        try:
            runner = made(name, DEVICE)
            runner.load(str(folder / f"model_{SAVED}.pt"), map_location=DEVICE)
            runner.learn(ITERATIONS - SAVED - 1)
            torch.save(learned(runner), self.file)
        except Exception:
            traceback.print_exc(limit=-6)
            return False
        return True

    def release(self) -> None:
        os.write(self.starting, b".")

    def result(self) -> dict[str, torch.Tensor]:
        assert os.waitpid(self.process, 0)[1] == 0, "it failed, see above"
        return torch.load(self.file)


class Kind:
    """The checks of a kind, in their order; what one leaves, the next takes."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.runner: Any = None
        self.other = Other(name, folder)
        self.cost: dict[str, Any] = {}

    def learns_on_the_device_and_waits_for_nothing(self) -> None:
        self.runner = runner = made(self.name, DEVICE, log_dir=self.folder)
        costs = Costs(runner)
        runner.add_callback(costs)
        runner.learn(ITERATIONS)
        # From the second iteration on to the third nothing is evaluated or saved.
        waits, launches = costs.waits[2] - costs.waits[1], costs.launches[2] - costs.launches[1]
        alg = runner.alg
        in_epoch = alg.num_mini_batches if "critic" in alg.models() else -(-STEPS // alg.gradient_length)
        self.cost = {
            "waits": dict(waits),
            "step": sum(costs.of_steps.values()) / STEPS,
            "mini-batch": sum(costs.of_mini_batches.values()) / (alg.num_learning_epochs * in_epoch),
            "iteration": sum(launches.values()),
        }

    def learns_what_the_host_learns(self) -> None:
        runner = made(self.name, "cpu")
        runner.learn(ITERATIONS)
        self.on_host = learned(runner)
        # The host counts the steps of RAdam in numbers of Python.
        check_same(learned(self.runner), self.on_host, 1e-4 if self.name == "radam" else 1e-6)

    def learns_with_the_environment_on_the_host(self) -> None:
        runner = made(self.name, DEVICE, "cpu")
        runner.learn(ITERATIONS)
        check_same(learned(runner), self.on_host, 1e-6)

    def goes_on_in_another_process(self) -> None:
        self.other.release()
        check_same(self.other.result(), learned(self.runner), 0.0)

    def is_loaded_anywhere(self) -> None:
        file = str(self.folder / f"model_{ITERATIONS - 1}.pt")
        for device, map_location in ((DEVICE, None), ("cpu", DEVICE), ("cpu", "cpu")):
            runner = made(self.name, device)
            runner.load(file, map_location=map_location)
            check_same(of_models(runner), of_models(self.runner), 0.0)

    def lends_its_policy(self) -> None:
        obs = self.runner.env.get_observations()
        with torch.inference_mode():
            of_policies = [self.runner.get_inference_policy(device)(obs) for device in (None, DEVICE)]
            assert all(actions.device.type == DEVICE for actions in of_policies)
            on_host = self.runner.get_inference_policy(device="cpu")(obs.to("cpu"))
        assert on_host.device.type == "cpu"
        for actions in of_policies:
            torch.testing.assert_close(actions.cpu(), on_host, rtol=1e-6, atol=1e-6)

    def plays_and_is_evaluated(self) -> None:
        returns = []
        for device in (DEVICE, "cpu"):
            env = made(self.name, device).env
            returns.append(play_episodes(env, self.runner.get_inference_policy(device), 8).returns)
        assert returns[0] == pytest.approx(returns[1], rel=1e-5, nan_ok=True)
        runner = made(self.name, DEVICE)
        runner.evaluate_with(made(self.name, DEVICE).env, interval=1, episodes=8)
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*valuation")
            runner.learn(1)
        assert "Eval/mean_return" in runner.logger.evaluation, runner.logger.evaluation

    def is_exported(self) -> None:
        self.runner.export_policy_to_jit(str(self.folder), "policy.jit")
        exported = torch.jit.load(self.folder / "policy.jit")
        assert all(value.device.type == "cpu" for value in exported.state_dict().values())
        self.runner.export_policy_to_onnx(str(self.folder), "policy.onnx")
        assert (self.folder / "policy.onnx").stat().st_size > 1000
        policy = self.runner.alg.get_policy()
        assert all(parameter.device.type == DEVICE for parameter in policy.parameters())


CHECKS = [name for name, value in vars(Kind).items() if callable(value) and not name.startswith("_")]
OF_OPTIMIZERS = [*CHECKS[:2], "goes_on_in_another_process"]


def main(folder: Path, names: list[str]) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    kinds = []
    for name in names:
        (folder / name).mkdir()
        kinds.append(Kind(name, folder / name))
    for kind in kinds:
        problems = {}
        for check in CHECKS if kind.name in KINDS else OF_OPTIMIZERS:
            try:
                getattr(kind, check)()
            except Exception:
                problems[check] = traceback.format_exc(limit=-4)
        print(json.dumps({"kind": kind.name, "problems": problems, "cost": kind.cost}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
