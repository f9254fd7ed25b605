# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Walk with an exported policy, without torch and without the library that trained it.

    python examples/deploy_go1/deploy.py runs/go1-walk/<run>/exports/policy.onnx --command 1.0 0 0 --video walk.mp4

Needs numpy, onnxruntime and mujoco, and for --video "imageio[ffmpeg]". go1_walk.py, go1.xml, mujoco_task.py, robot.py
and offscreen.py are taken from this folder if they lie here, else from rsl_rl/robots.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

STEPS_PER_SECOND = 50


class Policy:
    """An ONNX policy: observation in, action out. A recurrent one remembers what it has seen."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        # A network this small is slower on several threads.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        about = self.session.get_modelmeta().custom_metadata_map.get("rsl_rl")
        if about is None:
            raise SystemExit(f"error: '{path}' does not say what it wants to see: it was not exported by rsl-rl.")
        self.metadata: dict[str, Any] = json.loads(about)
        self.reset()

    def check(self, robot: Any) -> None:
        """End unless the policy sees what this robot measures, and drives its motors."""
        seen, acts = self.metadata["obs_groups"], self.metadata["num_actions"]
        measured, motors = {robot.group: len(robot.observation())}, len(robot.task.joint_names)
        if seen != measured or acts != motors or self.metadata.get("images"):
            raise SystemExit(
                f"error: this policy sees {seen} and gives {acts} actions; the robot measures {measured} and has "
                f"{motors} motors."
            )

    def reset(self) -> None:
        """Forget everything: a new episode starts from a hidden state of zeros."""
        states = self.metadata.get("hidden_state", {})
        self._state = {name: np.zeros((layers, 1, size), np.float32) for name, (layers, size) in states.items()}

    def __call__(self, observation: np.ndarray) -> np.ndarray:
        inputs = {"obs": observation[None], **self._state}
        action, *state = self.session.run(None, inputs)
        self._state = dict(zip(self._state, state, strict=True))
        return action[0]


def robot_module(name: str) -> Any:
    """Import a file of rsl_rl/robots by its place: the package itself would bring torch."""
    here = Path(__file__).resolve().parent
    places = [here, here.parent.parent / "rsl_rl" / "robots"]
    folder = next((place for place in places if (place / f"{name}.py").is_file()), None)
    if folder is None:
        raise SystemExit(f"error: {name}.py is missing: copy the files of rsl_rl/robots to {here}.")
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    return importlib.import_module(name)


def percentiles(call: Any, calls: int = 5000) -> tuple[float, float]:
    """Return the time that half of the calls stay below, and 99 of 100, in microseconds."""
    times = np.empty(calls)
    for index in range(-200, calls):  # the first ones, which are slow, are not counted
        begin = time.perf_counter_ns()
        call()
        if index >= 0:
            times[index] = time.perf_counter_ns() - begin
    return float(np.percentile(times, 50) / 1000), float(np.percentile(times, 99) / 1000)


def walk(policy: Policy, robot: Any, command: list[float], seconds: float, video: Any) -> None:
    """Run the control loop and print what came of it."""
    velocities, distance, falls = [], 0.0, 0
    begin = robot.data.qpos[:2].copy()
    for _ in range(round(seconds * STEPS_PER_SECOND)):
        action = policy(robot.observation(command))
        robot.apply(action)
        robot.step()  # on a robot: wait until 0.02 s have passed since the last observation
        velocities.append(robot.measured)
        if video is not None:
            video.see(robot)
        if robot.has_fallen:
            falls += 1
            distance += float(np.linalg.norm(robot.data.qpos[:2] - begin))
            robot.reset()
            policy.reset()
            begin = robot.data.qpos[:2].copy()
    distance += float(np.linalg.norm(robot.data.qpos[:2] - begin))
    # What it does before it has reached its speed says nothing about that.
    settled = np.array(velocities)[min(2 * STEPS_PER_SECOND, len(velocities) // 2) :]
    print(f"{'':12}forward m/s  left m/s  turn rad/s")
    for name, (forward, left, turn) in {"command": command, "mean": settled.mean(axis=0)}.items():
        print(f"{name:12}{forward:11.2f}{left:10.2f}{turn:12.2f}")
    print(f"distance {distance:.2f} m in {seconds:g} s, {falls} falls")


class Video:
    """Records what the robot looks like, 25 pictures a second (.gif: 12.5)."""

    def __init__(self, path: Path, width: int, height: int) -> None:
        self._is_gif = path.suffix == ".gif"
        # Imported now: what is missing is better missed before the walk.
        self._library = importlib.import_module("PIL.Image" if self._is_gif else "imageio.v2")
        self._path, self._size = path, (width, height)
        self._every = 4 if self._is_gif else 2
        self._pictures: list[np.ndarray] = []
        self._steps = 0

    def see(self, robot: Any) -> None:
        """Take a picture if it is time."""
        if self._steps % self._every == 0:
            self._pictures.append(robot.render(*self._size))
        self._steps += 1

    def save(self) -> None:
        """Write the file."""
        rate = STEPS_PER_SECOND / self._every
        if not self._is_gif:
            self._library.mimwrite(self._path, self._pictures, fps=rate, macro_block_size=1)
            return
        # The same few colors in all pictures keep a GIF small and still.
        image = self._library
        images = [image.fromarray(picture) for picture in self._pictures]
        colors = images[0].quantize(128, method=image.Quantize.MAXCOVERAGE)
        images = [picture.quantize(palette=colors, dither=image.Dither.NONE) for picture in images]
        images[0].save(self._path, save_all=True, append_images=images[1:], duration=1000 / rate, loop=0)


def newest_policy() -> Path:
    """Return the policy of the newest run of the task go1-walk."""
    found = sorted(Path().glob("runs/go1-walk/*/exports/policy.onnx"), key=lambda file: file.stat().st_mtime)
    if not found:
        raise SystemExit(
            "error: there is no runs/go1-walk/*/exports/policy.onnx here. Train one with: rsl-rl train go1-walk, or "
            "name another policy."
        )
    return found[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("policy", nargs="?", type=Path, help="an ONNX file; default: of the newest run of go1-walk")
    parser.add_argument("--command", nargs=3, type=float, default=[1.0, 0.0, 0.0], metavar=("VX", "VY", "WZ"))
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--noise", type=float, default=1.0, help="errors of the sensors; 1: as in training, 0: none")
    parser.add_argument("--video", type=Path, help="record it: .mp4 or .gif")
    parser.add_argument("--size", nargs=2, type=int, default=[640, 480], metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--latency", action="store_true", help="measure how long the policy takes for one answer")
    chosen = parser.parse_args()
    path = chosen.policy or newest_policy()
    if not path.is_file():
        raise SystemExit(f"error: there is no file '{path}'.")
    policy = Policy(path)
    print(f"{path}: sees {policy.metadata['obs_groups']}, onnxruntime {onnxruntime.__version__}")
    video = None
    if chosen.video is not None:
        try:
            robot_module("offscreen").choose_backend()  # before mujoco is imported
            video = Video(chosen.video, *chosen.size)
        except ImportError as error:
            raise SystemExit(f"error: {error} (--video needs: pip install 'imageio[ffmpeg]')") from None
    # Fine steps and a solver that has converged: what coarse steps have taught has to hold here.
    task = robot_module("go1_walk").Go1Walk(sim_dt=0.004, iterations=20, noise_level=chosen.noise)
    robot = robot_module("robot").Robot(task)
    policy.check(robot)
    walk(policy, robot, chosen.command, chosen.seconds, video)
    robot.close()
    if video is not None:
        video.save()
        print(f"video    {chosen.video}")
    if chosen.latency:
        observation = robot.observation(chosen.command)
        half, most = percentiles(lambda: policy(observation))
        print(f"latency  p50 {half:.0f} us, p99 {most:.0f} us for one observation")


if __name__ == "__main__":
    main()
