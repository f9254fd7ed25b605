# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What a checkpoint holds beside the algorithm, so that a resumed run is the run that was interrupted."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from typing import Any

import torch

from rsl_rl.checkpoint import CheckpointFolder, is_plain
from rsl_rl.distributed import World, on_host
from rsl_rl.telemetry import Logger
from rsl_rl.telemetry.plain import flat, plain

# Where a run lies and how it is launched does not change what is learned.
_NOT_COMPARED = ("multi_gpu", "run_name", "resume", "load_run", "load_checkpoint", "max_iterations", "logger")


def process_state(alg: Any, env: Any, logger: Logger, is_between_iterations: bool = True) -> dict[str, Any]:
    """Return what differs between the processes of a training, as tensors and plain data.

    Args:
        alg: The algorithm.
        env: The environment.
        logger: The logger.
        is_between_iterations: Whether a run can go on from here; in the middle of a rollout the environments' state is
            left out.
    """
    state = {"algorithm": alg.process_state() if hasattr(alg, "process_state") else None, "log": logger.state_dict()}
    lengths = getattr(env, "episode_length_buf", None)
    if is_between_iterations and lengths is not None:
        state["episode_lengths"] = torch.as_tensor(lengths).clone()
    if is_between_iterations:
        state |= {"environment": environment_state(env), "environment_cfg": _environment_cfg(env)}
    return state


def gathered_states(alg: Any, env: Any, logger: Logger, world: World) -> list[dict[str, Any]]:
    """Return the states of all processes, in process 0, after making sure that they have the same parameters.

    Warns:
        UserWarning: They had not.
    """
    if different := world.unlike_the_first(alg.fingerprint() if hasattr(alg, "fingerprint") else 0):
        warnings.warn(
            f"The parameters of the processes {different} are not those of process 0 any more; they are copied anew. "
            "An update that depends on the process, or failing hardware, does this.",
            stacklevel=4,
        )
        alg.broadcast_parameters()
    return world.gather(on_host(process_state(alg, env, logger)))


def run_state(
    processes: list[dict[str, Any]], cfg: Mapping[str, Any], folder: CheckpointFolder | None
) -> dict[str, Any]:
    """Return the keys that are added to a checkpoint."""
    state = {"processes": processes, "config": plain(cfg), "best_reward": None}
    return state if folder is None else state | {"best_reward": folder.best_reward, "best_by": folder.best_by}


class ResumedRun:
    """The part of a checkpoint that takes effect when learning goes on, not when a policy is only looked at."""

    def __init__(self, document: Mapping[str, Any], world: World) -> None:
        """Pick this process's share.

        Args:
            document: The checkpoint.
            world: The processes that train together; their number may have changed.
        """
        processes = document.get("processes") or []
        self.notes: list[str] = []
        """What could not be taken over, one line each."""
        self._state: dict[str, Any] = {}
        if processes and len(processes) != world.size:
            self.notes.append(f"saved by {len(processes)} processes, resumed by {world.size}")
        if world.rank < len(processes):
            self._state = processes[world.rank]
        elif processes:
            self._state = {"log": processes[0]["log"], "seed": _other_seed(processes[0], world.rank)}
            self.notes.append(f"rank {world.rank}: new random state")

    @property
    def algorithm_state(self) -> dict[str, Any] | None:
        """This process's random state and hidden states."""
        return self._state.get("algorithm")

    def continue_log(self, logger: Logger) -> None:
        """Let steps, seconds and episode statistics go on."""
        if "log" in self._state:
            try:
                logger.load_state_dict(self._state["log"])
            except ValueError as error:
                self.notes.append(f"episode statistics start anew: {error}")

    def continue_environment(self, env: Any, logger: Logger) -> bool:
        """Put the environments where they were; return whether their episodes go on.

        Environments that cannot save their state start new episodes, which time out when the interrupted ones would
        have: they count as one, and not all environments end at once.
        """
        if "seed" in self._state:
            torch.manual_seed(self._state["seed"])
        state = self._state.get("environment")
        if state is not None and callable(getattr(env, "load_state_dict", None)):
            if self._state.get("environment_cfg") != _environment_cfg(env):
                # Their state holds settings, too: those of before would take the place of these.
                self.notes.append("the environments are configured differently, and start new episodes")
            else:
                try:
                    env.load_state_dict(state)
                    return True
                except Exception as error:  # whatever it is, new episodes are no reason to lose a run
                    self.notes.append(f"the environments start new episodes: {error}")
        elif state is None:
            self.notes.append("the environments could not save their state, and start new episodes")
        lengths, own = self._state.get("episode_lengths"), getattr(env, "episode_length_buf", None)
        if lengths is None or own is None or len(lengths) != len(own):
            logger.begin_episodes()
            return False
        env.episode_length_buf = lengths.to(own.device)
        return True


def config_differences(saved: Any, cfg: Mapping[str, Any]) -> list[str]:
    """Return how a configuration differs from the saved one, one line per key."""
    if not isinstance(saved, Mapping):
        return []
    old, new = (
        {key: value for key, value in flat(config).items() if key.split("/")[0] not in _NOT_COMPARED}
        for config in (saved, cfg)
    )
    return [
        f"{key.replace('/', '.')}: {old.get(key, '(not set)')} -> {new.get(key, '(not set)')}"
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
    ]


def environment_state(env: Any) -> Any:
    """Return the state of an environment as tensors and plain data; None if it cannot save it."""
    save = getattr(env, "state_dict", None)
    if not callable(save):
        return None
    try:
        state = save()
    except Exception:  # it cannot, or the method is of another kind
        return None
    # Anything else would make the checkpoint unreadable.
    return state if is_plain(state) else None


def _environment_cfg(env: Any) -> Any:
    cfg = plain(getattr(env, "cfg", None))
    return {key: value for key, value in cfg.items() if key != "seed"} if isinstance(cfg, dict) else cfg


def _other_seed(first: Mapping[str, Any], rank: int) -> int:
    """Return a seed for a process that the saved run did not have: the same in every resumption."""
    state = (first.get("algorithm") or {}).get("random_state") or {}
    known = state["torch"].cpu().numpy().tobytes() if "torch" in state else b""
    return int.from_bytes(hashlib.blake2b(known + rank.to_bytes(4, "little"), digest_size=7).digest(), "little")
