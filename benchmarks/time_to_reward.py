# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Seconds until a task of this library reaches a reward, with this library or with a release in its place.

    python benchmarks/time_to_reward.py go1-joystick-flat --reward 20
    python benchmarks/time_to_reward.py go1-joystick-flat --reward 20 --release reference/lib/python3.11/site-packages

Both train in the same environments with the same configuration, of which the release is given what it knows. Training
includes everything but the making of the environment.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
import time
from typing import Any

NEW_IN_THE_SECTIONS = {"critic_warmup_iterations", "shared_encoders_twice", "max_bad_updates"}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("task")
    parser.add_argument("--reward", type=float, required=True)
    parser.add_argument("--release", help="folder that holds the rsl_rl of a release; this library if left out")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="top-level keys of the configuration")
    chosen = parser.parse_args()

    from rsl_rl.cli.task_changes import with_observation_groups
    from rsl_rl.cli.train import environment_seed, seed_everything
    from rsl_rl.config.task import load_task
    from rsl_rl.env import make_env

    task = load_task(chosen.task)
    seed_everything(chosen.seed, task.threads)
    env = make_env(task.env, num_envs=task.num_envs, seed=environment_seed(chosen.seed), **task.env_options)
    task = with_observation_groups(task, env)
    # No release anneals: both train with the numbers that they begin with.
    config = {**task.runner.to_dict(), "anneal": {}} | dict(pair.split("=", 1) for pair in chosen.set)
    if chosen.release:
        config["algorithm"] = {k: v for k, v in config["algorithm"].items() if k not in NEW_IN_THE_SECTIONS}
        # The environment stays that of this library.
        for name in [name for name in sys.modules if name.partition(".")[0] == "rsl_rl"]:
            del sys.modules[name]
        sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
        sys.path.insert(0, chosen.release)
    runner_module: Any = __import__("rsl_rl.runners", fromlist=["OnPolicyRunner"])
    # Release 5.5.1 counts no rewards without a folder.
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        runner = runner_module.OnPolicyRunner(env, config, log_dir=folder, device="cpu")
        result = measured(runner, task, chosen.reward, runner_module.__file__)
    print(json.dumps(result))


def measured(runner: Any, task: Any, reward: float, library: str) -> dict[str, Any]:
    """Train until the mean reward is reached."""
    log, seconds, started = runner.logger.log, [0.0, 0.0], time.perf_counter()
    reached: dict[str, Any] = {}

    class Reached(Exception):
        pass

    def watched(*arguments: Any, **options: Any) -> None:
        log(*arguments, **options)
        seconds[0] += options["collect_time"]
        seconds[1] += options["learn_time"]
        rewards = runner.logger.rewbuffer
        if len(rewards) and sum(rewards) / len(rewards) >= reward:
            reached.update(seconds=time.perf_counter() - started, iterations=options["it"] + 1)
            raise Reached

    runner.logger.log = watched
    with contextlib.suppress(Reached):
        runner.learn(task.iterations, init_at_random_ep_len=task.init_at_random_ep_len)
    total = time.perf_counter() - started
    steps = runner.logger.tot_timesteps
    return {
        "library": library.split("/rsl_rl/")[0].rsplit("/", 1)[-1],
        "reached": bool(reached),
        "seconds": round(reached.get("seconds", total), 1),
        "iterations": reached.get("iterations", task.iterations),
        "steps": steps,
        "collect": round(seconds[0], 1),
        "learn": round(seconds[1], 1),
    }


if __name__ == "__main__":
    main()
