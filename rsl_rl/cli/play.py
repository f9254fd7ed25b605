# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""``rsl-rl play``."""

from __future__ import annotations

import dataclasses
import json
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

import rsl_rl
from rsl_rl.cli.command_line import parsed
from rsl_rl.cli.export_record import with_origin
from rsl_rl.cli.main import user_errors
from rsl_rl.cli.run_folder import EXPORTS, Run, check_finite
from rsl_rl.cli.train import make_runner, seed_everything
from rsl_rl.cli.viewer.viewable import ViewArguments, check_viewable
from rsl_rl.config.task import TaskConfig, judged_options, load_task
from rsl_rl.utils import did_you_mean, listed
from rsl_rl.utils.ranges import Count, Seed

if TYPE_CHECKING:  # What needs torch is imported where it is used: a mistake in the arguments is reported before.
    import torch
    from tensordict import TensorDict

    from rsl_rl.cli.viewer.viewer import Viewer
    from rsl_rl.env import VecEnv
    from rsl_rl.runners import OnPolicyRunner
    from rsl_rl.runners.episodes import Episodes

    Policy = Callable[[TensorDict], torch.Tensor]

PolicyKind = Literal["auto", "checkpoint", "best", "latest", "onnx", "torchscript", "pt2"]


@dataclass(frozen=True)
class PlayArguments(ViewArguments):
    """Run a trained policy without exploration noise and report how well it does."""

    run: Annotated[str, tyro.conf.Positional]
    """A run's folder, a checkpoint or exported policy in it, or a task's name for its newest run."""
    pretrained: bool = False
    """Before any training: the policy of a task that comes with the library, such as go1-walk."""
    episodes: Count = 16
    """Episodes to run, side by side."""
    policy: PolicyKind = "auto"
    """Which file acts; auto: the named one, otherwise the newest checkpoint. best, latest: best.pt, latest.pt."""
    seed: Seed = 1000
    """Seed of the environments."""
    video: Path | None = None
    """Record an episode, or the first 10 seconds of a longer one, into this file (.mp4 or .gif); of a robot that takes
    commands, three seconds of each."""
    json: bool = False
    """Print the result as JSON."""
    trust: bool = False
    """Import and execute code outside this library that a stranger's run names."""


def run(arguments: list[str]) -> None:
    """Play the policy of a run."""
    chosen = parsed(PlayArguments, arguments, prog="rsl-rl play")
    viewer: Viewer | None = None
    with user_errors():
        if chosen.view and (chosen.json or chosen.video is not None):
            raise ValueError("--view shows the policy until it is ended: it takes neither --video nor --json.")
        if chosen.pretrained:
            kind, source, follows = "onnx", pretrained_policy(chosen.run), False
            task, folder = load_task(chosen.run), source.parent
        else:
            found = Run(chosen.run)
            task, folder = found.task(chosen.trust), found.folder
            kind, source = policy_file(found, chosen.policy)
            follows = found.file is None and chosen.policy in ("auto", "checkpoint")
        seed_everything(chosen.seed, 1)
        if chosen.view:
            viewer = _viewer(chosen, task, folder, kind, source, follows)
    if viewer is not None:
        print(f"{task.name}: {with_origin(source)}\nSee it at {viewer.address}   (Ctrl-C ends it)", flush=True)
        viewer.run(chosen.browser)
        return
    with user_errors():
        from rsl_rl.cli.video import prepare_video, record_video
        from rsl_rl.env import make_env
        from rsl_rl.runners.episodes import play_episodes

        if chosen.video is not None:
            prepare_video(task, chosen.video)
        env = make_env(task.env, num_envs=min(chosen.episodes, 64), seed=chosen.seed, **judged_options(task))
        policy = load_policy(task, env, kind, source)
    # With --json the result is all that is printed.
    say: Callable[..., None] = (lambda *_, **__: None) if chosen.json else print
    say(f"{task.name}: {with_origin(source)}", flush=True)
    result = play_episodes(env, policy, chosen.episodes)
    document = {"policy": str(source), **dataclasses.asdict(result), "mean": result.means()}
    print(json.dumps(finite(document)) if chosen.json else _as_text(result, task.expected), flush=True)
    if chosen.video is not None:
        say(f"Recording {chosen.video}; without a graphics card a picture takes a fifth of a second ...", flush=True)
        with user_errors():
            say(*record_video(task, policy, chosen.video, chosen.seed), sep="\n")


def _viewer(chosen: PlayArguments, task: TaskConfig, folder: Path, kind: str, source: Path, follows: bool) -> Viewer:
    """Return the viewer of a run, in which the policy of a file acts first, or the newest if it ``follows`` that."""
    check_viewable(task.env)
    from rsl_rl.cli.viewer.policies import NEWEST
    from rsl_rl.cli.viewer.viewer import Viewer

    return Viewer(
        task,
        folder,
        lambda policies: NEWEST if follows else policies.add(kind, source),
        chosen.seed,
        chosen.host,
        chosen.port,
    )


def pretrained_policy(task: str) -> Path:
    """Return the policy of a task that comes with the library; ValueError names those that have one."""
    policies = {path.stem: path for path in sorted((Path(rsl_rl.__file__).parent / "pretrained").glob("*.onnx"))}
    if task not in policies:
        raise ValueError(
            f"No policy of '{task}' comes with the library.{did_you_mean(task, policies)} Policies: {listed(policies)}."
        )
    return policies[task]


def policy_file(run: Run, kind: str) -> tuple[str, Path]:
    """Return the kind of file that is to act, checkpoint or a format of exported policies, and the file of a run."""
    from rsl_rl.checkpoint import BEST, LATEST
    from rsl_rl.export import EXPORTERS

    exported = run.exported()
    if kind == "auto":
        # TorchScript, the most common, for a suffix that nobody writes.
        kinds = {Path(name).suffix: kind for kind, (_, name) in EXPORTERS.items()}
        kind = "checkpoint" if exported is None else kinds.get(exported.suffix, "torchscript")
    if kind == "checkpoint":
        return kind, run.checkpoint()
    if kind in ("best", "latest"):
        path = run.folder / (BEST if kind == "best" else LATEST)
        if not path.is_file():
            raise FileNotFoundError(
                f"The run '{run.folder}' has no {path.name}. Its newest checkpoint: --policy checkpoint."
            )
        return "checkpoint", path
    _, name = EXPORTERS[kind]
    path = run.folder / EXPORTS / name
    if exported is not None and exported.suffix == path.suffix:
        path = exported
    if not path.is_file():
        raise FileNotFoundError(
            f"The run '{run.folder}' has no {EXPORTS}/{name}. Write it with: rsl-rl export {run.folder}"
        )
    return kind, path


def load_policy(task: TaskConfig, env: VecEnv, kind: str, file: Path) -> Policy:
    """Return a policy, groups [B, ...] -> actions [B, A], from what :func:`policy_file` returned."""
    from rsl_rl.export import load_policy as load_exported_policy

    return load_runner(task, env, file).get_inference_policy() if kind == "checkpoint" else load_exported_policy(file)


def load_runner(task: TaskConfig, env: VecEnv, checkpoint: Path) -> OnPolicyRunner:
    """Return a runner of a task, on the CPU, with the models of a checkpoint."""
    runner = make_runner(dataclasses.replace(task, device="cpu"), env, None, checkpoint_follows=True)
    load_into(runner, task, checkpoint)
    return runner


def load_into(runner: OnPolicyRunner, task: TaskConfig, checkpoint: Path) -> None:
    """Give the policy of a runner of a task the weights of a checkpoint."""
    from rsl_rl.algorithms import Distillation
    from rsl_rl.checkpoint import read_checkpoint, read_from
    from rsl_rl.runners.run_state import config_differences

    model = "student" if isinstance(runner.alg, Distillation) else "actor"
    document = read_checkpoint(str(checkpoint), map_location="cpu")
    with read_from(checkpoint):
        runner.alg.load(document, {model: True}, True)
    used = (model, "obs_groups")
    if others := [line for line in config_differences(document.get("config"), runner.cfg) if line.startswith(used)]:
        text = f"'{checkpoint}' is of a run with other settings than '{task.name}': {listed(others[:3])}."
        warnings.warn(text, stacklevel=3)
    state = runner.alg.models()[model].state_dict()
    # The noise of the exploration is not needed to act.
    check_finite({key: value for key, value in state.items() if not key.startswith("distribution.")}, checkpoint)


def finite(value: Any) -> Any:
    """Return a document in which null stands for NaN and infinities, which JSON does not have."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _as_text(result: Episodes, expected: str) -> str:
    from rsl_rl.env.tracking import with_unit

    means = result.means()
    lines = [
        f"{len(result.returns)} episodes",
        f"  return  {means['return']:.2f} +- {means['return_std']:.2f}  (min {min(result.returns):.2f}, "
        f"max {max(result.returns):.2f})",
        f"  length  {means['length']:.0f} steps",
    ]
    if result.success is not None:
        lines.append(f"  success {100 * result.success:.0f} %")
    tracking = {with_unit(name): value for name, value in result.tracking.items()}
    for title, values in (("tracking error", tracking), ("reported", result.terms)):
        if values:
            lines.append(f"{title}, mean per step")
            lines += [f"  {name:28} {value: .4f}" for name, value in values.items()]
    if expected:
        lines.append(f"Expected of this task: {expected}")
    return "\n".join(lines)
