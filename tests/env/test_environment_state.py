# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""An environment that loads the state of another goes on like the other, bit for bit."""

from __future__ import annotations

import enum
import functools
import itertools
from collections import deque
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import FrameStackObservation, NormalizeObservation, NormalizeReward, TimeLimit

from rsl_rl.env import GymnasiumVecEnv, VecEnv, make_env
from tests.env.toys import AllOrNothing, Drift, register
from tests.envs import PointEnv
from tests.processes import python

register()
ROOT = Path(__file__).parent.parent.parent
N, LIMIT = 3, 12
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:gymnasium"),
]
# Ant and Humanoid read contact forces and velocities of the body from what MuJoCo computed last, Pusher and Reacher
# have goals and write into their first positions, the classic ones are plain Python.
NAMES = [
    *("Ant-v5", "Humanoid-v5", "Pusher-v5", "Reacher-v5", "InvertedPendulum-v5", "InvertedDoublePendulum-v5"),
    *("HalfCheetah-v5", "Hopper-v5", "Pendulum-v1", "MountainCarContinuous-v0", "Drift-v0", "DriftDict-v0"),
]


def play(env: VecEnv, steps: int, seed: int) -> list[dict[str, Any]]:
    """Step with random actions and record everything that comes back, and the number of steps in the episode."""
    rng = torch.Generator().manual_seed(seed)
    records = []
    for _ in range(steps):
        actions = torch.rand(env.num_envs, env.num_actions, generator=rng) * 2 - 1
        obs, rewards, dones, extras = env.step(actions)
        record = {"rewards": rewards, "dones": dones, "lengths": env.episode_length_buf}
        record |= {f"obs.{name}": value for name, value in obs.items()}
        record["time_outs"] = extras["time_outs"]
        record |= {f"final.{name}": value for name, value in extras.get("final_obs", {}).items()}
        record |= {f"log.{name}": value for name, value in extras.get("log", {}).items()}
        records.append({name: torch.as_tensor(value).clone() for name, value in record.items()})
    return records


def check_equal(records: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert len(records) == len(expected)
    for step, (ours, theirs) in enumerate(zip(records, expected, strict=True)):
        assert ours.keys() == theirs.keys(), step
        for name, value in ours.items():
            assert value.dtype == theirs[name].dtype
            assert value.numpy().tobytes() == theirs[name].numpy().tobytes(), f"{name} differs after {step} steps"


def through_a_file(state: Any, folder: Path) -> Any:
    torch.save(state, folder / "state.pt")
    return torch.load(folder / "state.pt", weights_only=True)


def check_continues(make: Any, folder: Path, prepare: Any = None) -> None:
    """Save one environment; load it where nothing has happened yet, and where something else has."""
    env = make(seed=1)
    play(env, 30, seed=0)
    if prepare is not None:
        prepare(env)
    state = through_a_file(env.state_dict(), folder)
    current = env.get_observations()
    expected = play(env, 40, seed=2)
    assert sum(int(record["dones"].sum()) for record in expected) >= N  # random resets are met
    fresh, used = make(seed=7), make(seed=8)
    play(used, 17, seed=3)
    for other in (fresh, used):
        other.load_state_dict(state)
        for name, value in other.get_observations().items():
            assert torch.equal(value, current[name])
        check_equal(play(other, 40, seed=2), expected)


def named(name: str, seed: int) -> VecEnv:
    return make_env(f"gym:{name}", num_envs=N, seed=seed, max_episode_steps=LIMIT)


@pytest.mark.parametrize("name", NAMES)
def test_named_environments(name: str, tmp_path: Path) -> None:
    check_continues(functools.partial(named, name), tmp_path)


@pytest.mark.parametrize("name", ["Ant-v5", "Pendulum-v1"])
def test_lengths_that_were_assigned_still_end_episodes(name: str, tmp_path: Path) -> None:
    def assign_lengths(env: Any) -> None:
        assert env.episode_length_buf.tolist() == [30 % LIMIT] * N
        env.episode_length_buf = torch.tensor([8, 9, 10])
        play(env, 1, seed=1)
        assert env.state_dict()["steps_to_cut"].tolist() == [3, 2, 1]  # the environments themselves would end in 5

    check_continues(functools.partial(named, name), tmp_path, assign_lengths)


def point(seed: int) -> PointEnv:
    return PointEnv(N, seed=seed)


def test_point_env(tmp_path: Path) -> None:
    check_continues(point, tmp_path)
    with pytest.raises(ValueError, match="The state is of 3 environments, here are 2"):
        PointEnv(2).load_state_dict(point(0).state_dict())


def sync(
    maker: Any, seed: int, mode: AutoresetMode = AutoresetMode.DISABLED, n: int = N, **options: Any
) -> GymnasiumVecEnv:
    return GymnasiumVecEnv(SyncVectorEnv([maker] * n, autoreset_mode=mode, **options), seed=seed)


@pytest.mark.parametrize("copy", [True, False])
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_every_autoreset_mode(mode: AutoresetMode, copy: bool, tmp_path: Path) -> None:
    check_continues(lambda seed: sync(lambda: gymnasium.make("DriftDict-v0"), seed, mode, copy=copy), tmp_path)


def wrapped() -> gymnasium.Env:
    env = NormalizeObservation(TimeLimit(gymnasium.make("Hopper-v5").unwrapped, LIMIT))
    return FrameStackObservation(NormalizeReward(env), 3)


def test_wrappers_with_running_statistics_and_queues(tmp_path: Path) -> None:
    check_continues(lambda seed: sync(wrapped, seed), tmp_path)


def test_vector_environment_of_another_kind(tmp_path: Path) -> None:
    class Batch(AllOrNothing):
        def step(self, actions: np.ndarray) -> Any:
            return super().step(actions)

    env, other = (GymnasiumVecEnv(Batch(AutoresetMode.SAME_STEP)) for _ in range(2))
    play(env, 4, seed=0)
    other.load_state_dict(through_a_file(env.state_dict(), tmp_path))
    check_equal(play(other, 9, seed=1), play(env, 9, seed=1))


class Phase(enum.Enum):
    REST = 1
    MOVE = 2


class Memory:
    """A plain object with a way back to its owner."""

    def __init__(self, owner: Any, rng: np.random.Generator) -> None:
        self.owner, self.rng, self.sum = owner, rng, 0.0


class Everything(Drift):
    """Holds its state in every form that can be saved. Some of it is only made by a reset."""

    START = np.zeros(3)

    def __init__(self) -> None:
        super().__init__()
        self.memory: Memory | None = None
        self._state = self.START  # shared by all environments until their first reset
        self.phase, self.word, self.window = Phase.REST, "rest", None
        self.recent: deque[float] = deque(maxlen=3)
        self.children: list[np.random.Generator] = []

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> Any:
        super().reset(seed=seed)
        self._position = self._state[1:]  # a view: moving it moves the state
        self.other_rng = self.np_random  # the same generator
        if self.memory is None:
            self.memory = Memory(self, np.random.Generator(np.random.MT19937(self.np_random.integers(100))))
        self.children = [*self.children[-1:], *self.np_random.spawn(1)]
        self.scale = np.float64(self.np_random.uniform(0.5, 1))  # a Python float would give sums in float32
        self.table = np.asfortranarray(self.np_random.normal(size=(40, 30)))
        self.visits = {(0, 1): [0], "far": {0}}
        self.alias = self.visits[0, 1]
        return self._observation(), {}

    def step(self, action: np.ndarray) -> Any:
        assert self.memory is not None
        assert self.memory.owner is self
        self._position += 0.1 * self.other_rng.normal(size=2)
        self.alias[0] += 1
        self.visits["far"].add(self.visits[0, 1][0] % 4)
        self.memory.sum += float(self.memory.rng.normal()) + float(self.children[-1].normal())
        self.recent.append(self.memory.sum)
        self.phase = Phase.MOVE if self.phase is Phase.REST else Phase.REST
        self.word = {Phase.MOVE: "move", Phase.REST: "rest"}[self.phase]
        _, _, terminated, truncated, info = super().step(action)
        reward = (self._state.astype(np.float32) * self.scale).sum() + len(self.visits["far"]) + sum(self.recent)
        # The last bits of a sum depend on how the terms lie in memory.
        reward += self.table.sum() * 2.0**50 % 1024 + self.phase.value * len(self.word)
        return self._observation(), float(reward), terminated, truncated, info


def everything(seed: int) -> GymnasiumVecEnv:
    return sync(lambda: TimeLimit(Everything(), LIMIT), seed)


def test_every_form_of_state(tmp_path: Path) -> None:
    before = Everything.START.copy()
    check_continues(everything, tmp_path)
    assert np.array_equal(Everything.START, before)


def test_loading_and_saving_again_loses_nothing(tmp_path: Path) -> None:
    env, second, third = everything(1), everything(2), everything(3)
    play(env, 5, seed=0)
    second.load_state_dict(through_a_file(env.state_dict(), tmp_path))
    third.load_state_dict(through_a_file(second.state_dict(), tmp_path))
    check_equal(play(third, 30, seed=1), play(env, 30, seed=1))


def test_before_the_first_reset_the_seed_is_the_state(tmp_path: Path) -> None:
    for used in (False, True):
        env, other = named("Reacher-v5", 1), named("Reacher-v5", 2)
        state = through_a_file(env.state_dict(), tmp_path)  # type: ignore[attr-defined]
        if used:
            play(other, 5, seed=0)
        other.load_state_dict(state)  # type: ignore[attr-defined]
        check_equal(play(other, 20, seed=1), play(env, 20, seed=1))


def test_time_limit_is_that_of_the_saved_environment() -> None:
    env, other = named("Pendulum-v1", 1), make_env("gym:Pendulum-v1", num_envs=N, seed=1, max_episode_steps=20)
    play(env, 5, seed=0)
    other.load_state_dict(env.state_dict())  # type: ignore[attr-defined]
    assert other.max_episode_length == LIMIT
    check_equal(play(other, 30, seed=1), play(env, 30, seed=1))


@pytest.mark.parametrize("make", [functools.partial(named, "Ant-v5"), everything])
def test_state_is_a_snapshot(make: Any) -> None:
    env, other = make(seed=1), make(seed=2)
    play(env, 5, seed=0)
    state = env.state_dict()
    expected = play(env, 15, seed=1)
    for target in (other, other, env):  # neither what was saved nor what has loaded it writes into it
        target.load_state_dict(state)
        check_equal(play(target, 15, seed=1), expected)


XML = """<mujoco><option timestep="0.01"><flag sleep="enable"/></option><worldbody><geom type="plane" size="5 5 .1"/>
<body pos="0 0 .3"><freejoint/><geom type="box" size=".1 .1 .1"/></body>
<body pos="0 0 .6"><freejoint/><geom type="box" size=".1 .1 .1"/></body></worldbody></mujoco>"""


class Boxes(gymnasium.Env):
    """Boxes that fall on each other and go to sleep, of another mass and gravity in every episode."""

    def __init__(self, xml: str = XML) -> None:
        import mujoco

        self.mj: Any = mujoco
        self.model = self.mj.MjModel.from_xml_string(xml)
        self.data = self.mj.MjData(self.model)
        self.heights = self.data.qpos[2::7]  # in MuJoCo's memory
        self.action_space = spaces.Box(-1, 1, (1,), np.float32)
        self.observation_space = spaces.Box(-np.inf, np.inf, (self.model.nq + self.model.nv,), np.float64)

    def _observation(self) -> np.ndarray:
        assert self.heights[0] == self.data.qpos[2]
        return np.concatenate([self.data.qpos, self.data.qvel])

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> Any:
        super().reset(seed=seed)
        self.model.body_mass[1:] = self.np_random.uniform(0.5, 2, self.model.nbody - 1)
        self.model.opt.gravity[2] = self.np_random.uniform(-12, -8)
        self.mj.mj_resetData(self.model, self.data)
        return self._observation(), {}

    def step(self, action: np.ndarray) -> Any:
        force = float(action[0])
        self.data.xfrc_applied[1, 2] = 30 * force if force > 0.9 else 0.0
        before = float(self.data.xpos[1, 2]) + self.data.time  # the position as computed in the step before
        self.mj.mj_step(self.model, self.data, nstep=20)
        return self._observation(), float(self.data.xpos[1, 2]) - before, False, False, {}


def boxes(seed: int, xml: str = XML) -> GymnasiumVecEnv:
    return sync(lambda: TimeLimit(Boxes(xml), 25), seed)


def test_randomized_model_and_sleeping_bodies(tmp_path: Path) -> None:
    env = boxes(1)
    env.step(torch.zeros(N, 1))
    for _ in range(20):
        env.step(torch.zeros(N, 1))
    assert not any(inner.unwrapped.data.body_awake[1] == 1 for inner in env.envs.envs)
    other = boxes(2)
    other.load_state_dict(through_a_file(env.state_dict(), tmp_path))
    check_equal(play(other, 40, seed=1), play(env, 40, seed=1))
    check_continues(boxes, tmp_path)


def test_a_new_process_goes_on(tmp_path: Path) -> None:
    code = (
        "import sys, torch\n"
        "from tests.env.test_environment_state import named, play\n"
        "env = named('Ant-v5', 9)\n"
        "env.load_state_dict(torch.load(sys.argv[1], weights_only=True))\n"
        "torch.save(play(env, 40, seed=2), sys.argv[2])\n"
    )
    env = named("Ant-v5", 1)
    play(env, 30, seed=0)
    torch.save(env.state_dict(), tmp_path / "state.pt")  # type: ignore[attr-defined]
    done = python("-W", "ignore", "-c", code, tmp_path / "state.pt", tmp_path / "played.pt")
    assert done.returncode == 0, done.stderr
    check_equal(torch.load(tmp_path / "played.pt", weights_only=True), play(env, 40, seed=2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: make_env("gym:Ant-v5", 2), "The state is of 3 environments, here are 2"),
        (
            lambda: named("HalfCheetah-v5", 3),
            "observations were {'policy': .3, 105.}, here are {'policy': .3, 17.}",
        ),
        (lambda: sync(lambda: Drift("box"), 0), "observations were"),
        (
            lambda: sync(lambda: gymnasium.make("Ant-v5").unwrapped, 0),
            r"envs\[0\] was a .*TimeLimit, here it is a .*Ant",
        ),
        (
            lambda: sync(lambda: gymnasium.make("Ant-v5"), 0, AutoresetMode.SAME_STEP),
            "The state is of an environment in autoreset mode DISABLED, not SAME_STEP",
        ),
    ],
)
def test_state_of_another_environment_changes_nothing(make: Any, message: str) -> None:
    saved, env, same = named("Ant-v5", 1), make(), make()
    play(saved, 3, seed=0)
    for either in (env, same):
        either._seed = 4
        either.reset()
    with pytest.raises(ValueError, match=message):
        env.load_state_dict(saved.state_dict())  # type: ignore[attr-defined]
    check_equal(play(env, 5, seed=1), play(same, 5, seed=1))


def test_state_of_another_model_or_kind() -> None:
    env = boxes(0)
    env.get_observations()
    for part, other in ((".1 .1 .1", ".1 .1 .2"), ('timestep="0.01"', 'timestep="0.02"')):
        # Sizes and options are parameters of the model: they are loaded.
        changed = boxes(1, XML.replace(part, other))
        changed.load_state_dict(env.state_dict())
        check_equal(play(changed, 5, seed=1), play(env, 5, seed=1))
    with pytest.raises(ValueError, match="Boxes.model is of another model, or another MuJoCo"):
        boxes(1, XML.replace('type="box"', 'type="ellipsoid"')).load_state_dict(env.state_dict())
    with pytest.raises(ValueError, match="The state is of another kind of environment: not of one from Gymnasium"):
        env.load_state_dict({**point(0).state_dict(), "num_envs": N})


class Holding(Drift):
    def __init__(self, thing: Any) -> None:
        super().__init__()
        self.thing = thing


class Slots:
    __slots__ = ("__dict__", "x")


@pytest.mark.parametrize(
    ("thing", "kind"),
    [
        (itertools.count(), "is a itertools.count"),  # as C objects are, for example Box2D's world
        (Slots(), "is a .*Slots"),
        (np.array([None, "x"]), "is an array of object"),
        (np.random.RandomState(0), "is a numpy.random.*RandomState"),
        ({"a": [itertools.count()]}, "is a itertools.count"),
    ],
)
def test_what_cannot_be_saved_is_named(thing: Any, kind: str) -> None:
    env = sync(lambda: Holding(thing), 0, n=1)
    with pytest.raises(NotImplementedError, match=f"This environment cannot save its state: Holding.thing.*{kind}"):
        env.state_dict()


class Window:
    """For rendering, by the package it comes from."""

    __slots__ = ("handle",)


Window.__module__ = "pygame.surface"


def test_configuration_and_windows_stay_what_they_are() -> None:
    saved, target = (sync(lambda: Holding(None), seed, n=1) for seed in (0, 1))
    inner, here = saved.envs.envs[0], target.envs.envs[0]  # type: ignore[attr-defined]
    saved.get_observations()
    inner.thing, here.thing = None, Window()
    here.render_mode = "rgb_array"
    here.folder, inner.folder = "/here", "/there"
    window = here.thing
    target.load_state_dict(saved.state_dict())
    assert (here.thing, here.render_mode, here.folder) == (window, "rgb_array", "/here")
    saved.load_state_dict(target.state_dict())
    assert (inner.thing, inner.render_mode, inner.folder) == (None, None, "/there")


def test_a_mismatch_in_the_last_environment_leaves_the_first_alone() -> None:
    saved, target, same = (sync(lambda: Holding(None), seed, n=2) for seed in (0, 1, 1))
    for env in (saved, target, same):
        play(env, 3, seed=0)
    saved.envs.envs[1].thing = Memory(None, np.random.default_rng(0))  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="Holding.thing was a .*Memory, here it is None"):
        target.load_state_dict(saved.state_dict())
    check_equal(play(target, 5, seed=1), play(same, 5, seed=1))


def test_environments_in_other_processes_or_in_cpp() -> None:
    async_env = GymnasiumVecEnv(AsyncVectorEnv([lambda: gymnasium.make("Drift-v0")], context="fork"))
    try:
        for call in (async_env.state_dict, lambda: async_env.load_state_dict({})):
            with pytest.raises(
                NotImplementedError, match="AsyncVectorEnv cannot save its state: .* in other processes"
            ):
                call()
    finally:
        async_env.close()


@pytest.mark.envpool
def test_envpool_cannot() -> None:
    env: Any = make_env("envpool:Pendulum-v1", num_envs=2)
    for call in (env.state_dict, lambda: env.load_state_dict({})):
        with pytest.raises(NotImplementedError, match="EnvPool cannot save its state"):
            call()
