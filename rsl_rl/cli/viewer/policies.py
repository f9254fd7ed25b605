# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The policies of a run that can be chosen, and the one that acts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsl_rl.checkpoint import BEST, newest_checkpoint, numbered_checkpoints
from rsl_rl.cli.play import load_into, load_policy, load_runner
from rsl_rl.cli.run_folder import EXPORTS
from rsl_rl.config.task import TaskConfig
from rsl_rl.export import EXPORTERS

if TYPE_CHECKING:
    import torch
    from tensordict import TensorDict

    from rsl_rl.env import VecEnv
    from rsl_rl.runners import OnPolicyRunner

    Policy = Callable[[TensorDict], torch.Tensor]

NEWEST, TRAINING = "newest", "training, as it learns"


class Policies:
    """The policy files of a run, by the names of a menu. ``newest`` follows a training that goes on."""

    def __init__(self, task: TaskConfig, env: VecEnv, folder: Path, live: Path | None = None) -> None:
        """Look into the folder of a run; nothing is loaded yet.

        Args:
            task: The run's.
            env: What its policies act in.
            folder: The run's folder.
            live: A checkpoint that a training writes anew all the time.
        """
        self._task, self._env, self._folder, self._live = task, env, folder, live
        self._given: dict[str, tuple[str, Path]] = {}
        # One acts while the other takes what is loaded, which may prove unusable.
        self._acting: OnPolicyRunner | None = None
        self._spare: OnPolicyRunner | None = None
        self._followed: tuple[Path, float] | None = None
        """What was the newest when it was last looked for, and when that was written."""
        self.file: Path | None = None
        """The file that acts."""
        self.name = ""
        """The entry of the menu that acts."""
        self.policy: Policy | None = None

    def names(self) -> list[str]:
        """Return what can be chosen now."""
        return list(self._entries())

    def add(self, kind: str, file: Path) -> str:
        """Return the name of a file of a kind that ``play`` takes, which joins the menu if it is not there."""
        for name, entry in self._entries().items():
            if name not in (NEWEST, TRAINING) and (entry[0], entry[1].resolve()) == (kind, file.resolve()):
                return name
        self._given[str(file)] = kind, file
        return str(file)

    def choose(self, name: str) -> Policy:
        """Let another policy act, and return it; whatever it raises, the one before still acts."""
        entries = self._entries()
        if name not in entries:
            raise ValueError(f"'{name}' is not there any more.")
        kind, file = entries[name]
        # Before it is read: what is written meanwhile is seen the next time.
        self._followed = file, file.stat().st_mtime
        if name == NEWEST:
            file = newest_checkpoint(self._folder)
        if kind != "checkpoint":
            policy = load_policy(self._task, self._env, kind, file)
        else:
            runner = self._spare
            if runner is None:
                runner = load_runner(self._task, self._env, file)
            else:
                load_into(runner, self._task, file)
            self._acting, self._spare = runner, self._acting
            policy = runner.get_inference_policy()
        self.name, self.file, self.policy = name, file, policy
        return policy

    def refresh(self) -> Policy | None:
        """Return the policy anew if what was chosen goes on changing and has changed, else None."""
        if self.name == TRAINING and self._live is not None:
            file = self._live
        elif self.name == NEWEST:
            file = next(iter(numbered_checkpoints(self._folder).values()), None)
        else:
            return None
        if file is None or not file.is_file() or (file, file.stat().st_mtime) == self._followed:
            return None
        return self.choose(self.name)

    def _entries(self) -> dict[str, tuple[str, Path]]:
        """Return kind and file of what can be chosen, the usual first."""
        numbered = list(numbered_checkpoints(self._folder).values()) if self._folder.is_dir() else []
        files: dict[str, Any] = {}
        if self._live is not None:
            files[TRAINING] = "checkpoint", self._live
        if numbered:
            files[NEWEST] = "checkpoint", numbered[0]
        if (best := self._folder / BEST).is_file():
            files["best"] = "checkpoint", best
        files |= {file.name: ("checkpoint", file) for file in numbered}
        for kind, (_, name) in EXPORTERS.items():
            if (exported := self._folder / EXPORTS / name).is_file():
                files[f"{EXPORTS}/{name}"] = kind, exported
        return files | self._given
