# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The checkpoints of one run: which are kept, which is the best, and which is the newest that can be read."""

from __future__ import annotations

import contextlib
import math
import os
import re
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

from rsl_rl.checkpoint.checkpoint_file import is_ours, read_checkpoint
from rsl_rl.utils.atomic_files import remove_partial_files, replaced_when_complete, rescue_folder

# Not "model_...": launchers look for the newest file of that pattern.
BEST, LATEST = "best.pt", "latest.pt"
TRAINING_REWARD, EVALUATED_RETURN = "Train/mean_reward", "Eval/mean_return"


def numbered_checkpoints(folder: str | os.PathLike[str]) -> dict[int, Path]:
    """Return the files ``model_<iteration>.pt`` of a folder by their iteration, the newest first."""
    found = {int(m[1]): file for file in Path(folder).iterdir() if (m := re.fullmatch(r"model_(\d+)\.pt", file.name))}
    return dict(sorted(found.items(), reverse=True))


def newest_checkpoint(folder: str | os.PathLike[str]) -> Path:
    """Return the newest checkpoint of a folder that can be read; others are skipped, with a warning that says why.

    Raises:
        FileNotFoundError: There is none.
        ValueError: There are some, and all of them are damaged.
    """
    files = numbered_checkpoints(folder) if Path(folder).is_dir() else {}
    for file in files.values():
        try:
            read_checkpoint(file, map_location="cpu")
        except (ValueError, OSError) as error:
            warnings.warn(f"Skipped a checkpoint: {error}", stacklevel=2)
            continue
        return file
    if files:
        raise ValueError(f"None of the {len(files)} checkpoints in '{folder}' can be read.")
    raise FileNotFoundError(f"There is no checkpoint in '{folder}': no file model_<iteration>.pt.")


class CheckpointFolder:
    """Where a run saves: retries when that fails, and keeps ``latest.pt``, ``best.pt`` and the last few.

    These two are copies of files ``model_<iteration>.pt``, and always whole. What other programs write under these
    names is left alone. One run at a time may save into a folder.
    """

    def __init__(self, folder: str | os.PathLike[str], keep: int | None = None) -> None:
        """Remove what a killed process left half written; the folder is made when something is saved.

        Of the newest checkpoints, beside the best, ``keep`` stay; None for all.
        """
        self._folder, self._keep = Path(folder), keep
        self.is_behind = False
        """Whether the last attempt failed, so that another should be made soon."""
        self.last_saved: tuple[int, str] | None = None
        """Iteration and path of the newest checkpoint of this run."""
        self.best_reward: float | None = None
        """What the checkpoint ``best.pt`` was chosen by."""
        self.best_by = TRAINING_REWARD
        """The tag of that number: the mean reward of the training, or the mean return of an evaluation."""
        remove_partial_files(self._folder)
        with contextlib.suppress(ValueError, OSError):
            best = read_checkpoint(self._folder / BEST, map_location="cpu")
            self.best_reward, self.best_by = best.get("best_reward"), best.get("best_by", TRAINING_REWARD)

    def begin_after(self, iteration: int) -> None:
        """Rename checkpoints later than the one that the run goes on from to ``abandoned_<iteration>.pt``.

        They are of a branch that was given up, and must not be taken for the newest of this one.
        """
        with contextlib.suppress(OSError):
            for number, file in numbered_checkpoints(self._folder).items():
                if number > iteration:
                    file.replace(file.with_name(f"abandoned_{number}.pt"))
                elif number == iteration:
                    self.last_saved = (number, str(file))

    def is_best(self, score: float | None, by: str = TRAINING_REWARD) -> bool:
        """Return whether a checkpoint with this score, of this tag, would be the best so far.

        An evaluation outweighs the rewards of the training. A score that is None or not finite says nothing.
        """
        if score is None or not math.isfinite(score):
            return False
        if self.best_reward is None or by != self.best_by:
            return self.best_reward is None or self.best_by == TRAINING_REWARD
        return score > self.best_reward

    def save(
        self,
        write: Callable[[str], None],
        iteration: int,
        score: float | None,
        is_last: bool,
        by: str = TRAINING_REWARD,
    ) -> str | None:
        """Save one checkpoint, and return its file; a disk that is full or read-only never ends a training.

        Whatever could not be written is reported.

        Args:
            write: Writes a checkpoint to the path that it is given.
            iteration: Of the checkpoint.
            score: What ``best.pt`` is chosen by; see :meth:`is_best`.
            is_last: Whether no later attempt will be made: the checkpoint then goes to a temporary folder instead, and
                OSError is raised where that cannot be written either.
            by: Tag of the score.
        """
        path = self._folder / f"model_{iteration}.pt"
        is_best, before = self.is_best(score, by), (self.best_reward, self.best_by)
        if is_best:  # it is part of what is written
            self.best_reward, self.best_by = score, by
        try:
            write(str(path))
        except (OSError, RuntimeError) as error:
            self.best_reward, self.best_by = before
            # torch reports a full disk as a RuntimeError of its own.
            if isinstance(error, RuntimeError) and not re.search("PytorchStreamWriter|iostream", str(error)):
                raise
            self.is_behind = True
            if not is_last:
                warnings.warn(
                    f"The checkpoint '{path}' could not be written, training goes on and tries again after the next "
                    f"iteration: {error}",
                    stacklevel=3,
                )
                return None
            rescue = os.path.join(rescue_folder(self._folder), path.name)
            write(rescue)
            self.last_saved = (iteration, rescue)
            warnings.warn(
                f"The last checkpoint could not be written to '{path}' ({error}). It lies in '{rescue}': keep it.",
                stacklevel=3,
            )
            return rescue
        self.is_behind, self.last_saved = False, (iteration, str(path))
        for name in (LATEST, BEST) if is_best else (LATEST,):
            place = self._folder / name
            with contextlib.suppress(OSError):
                if is_ours(path) and (not place.exists() or is_ours(place)):
                    self._copy(path, name)
        if self._keep is not None:
            for file in list(numbered_checkpoints(self._folder).values())[self._keep :]:
                # Of a run that went back to an earlier checkpoint there may be newer ones.
                with contextlib.suppress(OSError):
                    if file != path:
                        file.unlink()
        return str(path)

    def protect_latest(self, name: str) -> Path | None:
        """Give the newest checkpoint a second name, under which it is never deleted; None if there is none."""
        with contextlib.suppress(FileNotFoundError, StopIteration):
            self._copy(next(iter(numbered_checkpoints(self._folder).values())), name)
            return self._folder / name
        return None

    def _copy(self, path: Path, name: str) -> None:
        # A missing name is not worth a warning where the disk is full: the checkpoint itself is there.
        # Not a link: a program that writes to one name would change what the other means.
        with contextlib.suppress(OSError), replaced_when_complete(self._folder / name) as partial:
            shutil.copyfile(path, partial)
