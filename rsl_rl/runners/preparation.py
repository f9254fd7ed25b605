# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What a runner has before its constructor runs, whoever wrote that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rsl_rl.algorithms.algorithm import Algorithm
from rsl_rl.checkpoint import CheckpointFolder
from rsl_rl.distributed import World, join_world
from rsl_rl.env.contract import Contract
from rsl_rl.runners.callbacks import Callback, Checkpointing, RunawayWatch
from rsl_rl.runners.run_state import ResumedRun
from rsl_rl.telemetry import Logger

if TYPE_CHECKING:
    from typing_extensions import Self


class PreparedRunner:
    """The state of a runner, and the processes that it is one of."""

    env: Any
    cfg: dict[str, Any]
    device: str
    logger: Logger
    world: World
    alg: Algorithm
    """The algorithm, e.g. :class:`rsl_rl.algorithms.PPO`."""
    _contract: Contract

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Prepare for any constructor: those of many programs of release 5.5.1 do not call ours."""
        runner = super().__new__(cls)
        runner._prepare()
        return runner

    def _prepare(self) -> None:
        """Set what all methods rely on."""
        self.current_learning_iteration = 0
        self.first_iteration = 0
        """Where the run begins; not at 0 where it starts from another run's checkpoint."""
        self.is_last_iteration = False
        self.losses: dict[str, float] = {}
        """Mean losses of the last update."""
        self.stop_requested = False
        self.folder: CheckpointFolder | None = None
        """Where checkpoints go; None without a log folder, and before :meth:`learn`."""
        self.process_states: list[dict[str, Any]] = []
        """What differs between processes, while a checkpoint of several is written."""
        self.not_saved: str | None = None
        """Why the last checkpoint holds no state of the environments, once that was said."""
        self.is_between_iterations = False
        """Whether the current iteration has been made."""
        self._is_updating, self._policy_is_lent = False, False
        self._start = 0
        self._resumed: ResumedRun | None = None
        self.callbacks: list[Callback] = [RunawayWatch(), Checkpointing()]
        """The parts that the loop calls, in their order; the program's own come before the checkpoints."""

    def _configure_multi_gpu(self) -> None:
        """Join the other processes, if any. Constructors of programs of release 5.5.1 call it, too."""
        self.world = world = join_world(self.device)
        self.is_distributed = world.size > 1
        self.gpu_world_size, self.gpu_global_rank, self.gpu_local_rank = world.size, world.rank, world.local_rank
        ranks = {"global_rank": world.rank, "local_rank": world.local_rank, "world_size": world.size}
        self.cfg["multi_gpu"] = ranks if self.is_distributed else None
