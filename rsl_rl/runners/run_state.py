# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What a checkpoint holds beside the algorithm, so that a resumed run is the run that was interrupted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from rsl_rl.checkpoint import is_plain
from rsl_rl.distributed import World
from rsl_rl.telemetry import Logger
from rsl_rl.telemetry.plain_values import flat, plain

if TYPE_CHECKING:
    from rsl_rl.runners.on_policy_runner import OnPolicyRunner

# Where a run lies and how it is launched does not change what is learned.
_NOT_COMPARED = ("multi_gpu", "run_name", "resume", "load_run", "load_checkpoint", "max_iterations", "logger")


def process_state(runner: OnPolicyRunner) -> dict[str, Any]:
    """Return what differs between the processes of a training, as tensors and plain data.

    In the middle of a rollout, from where a run cannot go on, the environments' state is left out.
    """
    env = runner.env
    state: dict[str, Any] = {"algorithm": runner.alg.process_state(), "log": runner.logger.state_dict()}
    if runner.is_between_iterations:
        state |= {"environment": environment_state(env), "environment_cfg": _environment_cfg(env)}
        if (lengths := getattr(env, "episode_length_buf", None)) is not None:
            state["episode_lengths"] = torch.as_tensor(lengths).clone()
    else:
        state["algorithm"]["hidden_states"] = []
    return state


class ResumedRun:
    """The part of a checkpoint that takes effect when learning goes on, not when a policy is only looked at."""

    def __init__(self, document: Mapping[str, Any], world: World) -> None:
        """Pick this process's share of a checkpoint; the number of processes may have changed."""
        processes = document.get("processes") or []
        self._rank = world.rank
        self._notes: list[str] = []
        self.state: dict[str, Any] = {}
        """What :func:`process_state` returned in this process."""
        if processes and len(processes) != world.size:
            self._notes.append(f"saved by {len(processes)} processes, resumed by {world.size}")
        if world.rank < len(processes):
            self.state = processes[world.rank]
        elif processes:
            log = processes[0]["log"]
            # Of this process alone, and the same in every resumption.
            self.state = {"log": log, "seed": hash((log["total_time"], world.rank))}
            self._notes.append(f"rank {world.rank}: new random state")

    def continue_log(self, logger: Logger) -> None:
        """Let steps, seconds and episode statistics go on."""
        if "log" in self.state:
            try:
                logger.load_state_dict(self.state["log"])
            except ValueError as error:
                self._notes.append(f"episode statistics start anew: {error}")

    def continue_environment(self, env: Any, logger: Logger) -> bool:
        """Put the environments where they were, say what could not be taken over; return whether their episodes go on.

        Environments that cannot save their state start new episodes, which time out when the interrupted ones would
        have: they count as one, and not all environments end at once.
        """
        if "seed" in self.state:
            torch.manual_seed(self.state["seed"])
        state, continues = self.state.get("environment"), False
        if state is None:
            self._notes.append("the environments could not save their state, and start new episodes")
        elif self.state.get("environment_cfg") != _environment_cfg(env):
            # Their state holds settings, too: those of before would take the place of these.
            self._notes.append("the environments are configured differently, and start new episodes")
        else:
            try:
                env.load_state_dict(state)
                continues = True
            except Exception as error:  # whatever it is, new episodes are no reason to lose a run
                self._notes.append(f"the environments start new episodes: {error}")
        lengths, own = self.state.get("episode_lengths"), getattr(env, "episode_length_buf", None)
        if not continues and lengths is not None and own is not None and len(lengths) == len(own):
            env.episode_length_buf, continues = lengths.to(own.device), True
        elif not continues:
            logger.episodes.begin_episodes()
        for note in self._notes:
            if self._rank == 0 or note.startswith("rank"):
                print(f"Resumed, but {note}.")
        return continues


def config_differences(saved: Any, cfg: Mapping[str, Any]) -> list[str]:
    """Return how a configuration differs from the saved one, one line per key."""
    if not isinstance(saved, Mapping):
        return []
    old, new = flat(saved), flat(cfg)
    return [
        f"{key.replace('/', '.')}: {old.get(key, '(not set)')} -> {new.get(key, '(not set)')}"
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key) and key.split("/")[0] not in _NOT_COMPARED
    ]


def environment_state(env: Any) -> Any:
    """Return the state of an environment as tensors and plain data; None if it cannot save it."""
    try:
        state = env.state_dict()
    except Exception:  # it has no such method, one of another kind, or cannot
        return None
    # Anything else would make the checkpoint unreadable.
    return state if is_plain(state) else None


def _environment_cfg(env: Any) -> Any:
    cfg = plain(getattr(env, "cfg", None))
    return {key: value for key, value in cfg.items() if key != "seed"} if isinstance(cfg, dict) else cfg
