# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What an environment returns is checked at the door: one message says what is wrong, where, and what is expected."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import SyncVectorEnv
from tensordict import TensorDict

from rsl_rl.env import GymnasiumVecEnv, LegacyVecEnv, ManagerBasedVecEnv
from rsl_rl.env.contract import Contract, check_attributes
from rsl_rl.runners import DistillationRunner, OnPolicyRunner
from rsl_rl.runners.episodes import play_episodes
from rsl_rl.utils.contract_error import ContractError
from tests.env.layouts import LabEnv, Point1x, Point2x
from tests.env.toys import Drift
from tests.envs import PointEnv, point_config

N = 4
OBS, REWARDS, DONES, EXTRAS = range(4)
Change = Callable[[Any], Any]


class Changed(PointEnv):
    """A point of which one part of what ``step`` returns is another."""

    def __init__(self, part: int = EXTRAS, change: Change = lambda value: value, num_envs: int = N) -> None:
        super().__init__(num_envs)
        self.part, self.change = part, change

    def step(self, actions: torch.Tensor) -> Any:
        values: list[Any] = list(super().step(actions))
        values[self.part] = self.change(values[self.part])
        return tuple(values)


class Returning(PointEnv):
    """A point whose ``step`` returns something else altogether."""

    def __init__(self, change: Change) -> None:
        super().__init__(N)
        self.change = change

    def step(self, actions: torch.Tensor) -> Any:
        return self.change(super().step(actions))


class Observing(PointEnv):
    """A point whose observation groups are others, in every step or in those after the first."""

    def __init__(self, change: Change, only_later: bool = False, num_envs: int = N) -> None:
        self.change, self.only_later, self.steps = change, only_later, 0
        super().__init__(num_envs)

    def get_observations(self) -> Any:
        obs = super().get_observations()
        return obs if self.only_later and self.steps == 0 else self.change(obs)

    def step(self, actions: torch.Tensor) -> Any:
        self.steps += 1
        return super().step(actions)


def config(**changes: Any) -> dict:
    return point_config(num_mini_batches=1, num_learning_epochs=1) | {"num_steps_per_env": 2, "logger": None} | changes


def learned(env: Any, iterations: int = 1, **changes: Any) -> OnPolicyRunner:
    torch.manual_seed(0)
    runner = OnPolicyRunner(env, config(**changes))
    runner.learn(iterations)
    return runner


def with_group(name: str, change: Change) -> Change:
    return lambda obs: TensorDict({**obs, name: change(obs[name])})


def without(name: str) -> Change:
    return lambda obs: obs.exclude(name)


def groups(of: Change) -> Change:
    return lambda obs: TensorDict(of(dict(obs.items())))


# -- what is refused ---------------------------------------------------------------------------------------------------

ONE_EACH = r"Expected {} of shape \[4\]: one number for each environment \(num_envs = 4\)"
NUMBERS: list[tuple[str, Change, str]] = [
    ("0-d", lambda x: x.float().mean(), r"a tensor of shape \[\] \(float32\)"),
    ("[1]", lambda x: x[:1].float(), r"a tensor of shape \[1\] \(float32\)"),
    ("[1, N]", lambda x: x.float()[None], r"a tensor of shape \[1, 4\] \(float32\)"),
    ("[N, 2]", lambda x: torch.stack([x, x], 1).long(), r"a tensor of shape \[4, 2\] \(int64\)"),
    ("another N", lambda x: torch.cat([x, x]).double(), r"a tensor of shape \[8\] \(float64\)"),
    ("complex", lambda x: x + 0j, r"a tensor of shape \[4\] \(complex64\)"),
    ("NumPy", lambda x: x.double().numpy(), r"a ndarray of NumPy of shape \[4\] \(float64\). Expected a tensor"),
    ("a list", lambda x: x.tolist(), "a list of 4 entries. Expected a tensor"),
    ("None", lambda x: None, "None. Expected a tensor"),
    ("a number", lambda x: 0.0, "a float. Expected a tensor"),
]


@pytest.mark.parametrize("part", [REWARDS, DONES, "time_outs"])
@pytest.mark.parametrize(("kind", "change", "found"), NUMBERS, ids=[kind for kind, *_ in NUMBERS])
def test_what_is_no_number_per_environment(kind: str, change: Change, found: str, part: Any) -> None:
    if part == "time_outs":
        env = Changed(EXTRAS, lambda extras: {"time_outs": change(extras["time_outs"])})
        name = r"extras\['time_outs'\]"
    else:
        env, name = Changed(part, change), "rewards" if part == REWARDS else "dones"
    with pytest.raises(ValueError, match=rf"^step\(\) of Changed returned {name} as .*{found}") as raised:
        learned(env)
    message = str(raised.value)
    assert inspect.getsourcefile(Changed) in message  # type: ignore[operator]
    assert f":{inspect.getsourcelines(Changed.step)[1]} (Changed.step)" in message
    assert kind == "complex" or re.search(ONE_EACH.format(name), message)


FOUR = r"Expected four values: a TensorDict of observation groups, rewards \[N\], dones \[N\] and a dict of extras"
ARITY: list[tuple[str, Change, str]] = [
    ("Gymnasium", lambda s: (*s[:3], s[2], s[3]), rf"returned 5 values. {FOUR}.*Five values are those of Gymnasium"),
    ("three", lambda s: s[:3], f"returned 3 values. {FOUR}"),
    ("observations alone", lambda s: s[0], f"returned a TensorDict of 'policy', 'privileged'. {FOUR}"),
    ("nothing", lambda s: None, f"returned None. {FOUR}"),
    ("a tensor of four rows", lambda s: torch.zeros(4, 4), f"returned a tensor of shape .*{FOUR}"),
    ("a dictionary of four", lambda s: dict.fromkeys("abcd"), f"returned a dict of 'a', 'b', 'c', 'd'. {FOUR}"),
    (
        "a plain tensor",
        lambda s: (s[0]["policy"], *s[1:]),
        r"a tensor of shape \[4, 2\] .* as observations. .*Expected",
    ),
    (
        "a plain dictionary",
        lambda s: (dict(s[0]), *s[1:]),
        "a dict of 'policy', 'privileged' as observations. Expected",
    ),
    ("an array", lambda s: (s[0]["policy"].numpy(), *s[1:]), "a ndarray of NumPy of .* as observations. Expected"),
    ("no extras", lambda s: (*s[:3], None), "returned None as extras. Expected a dict, {} where there is nothing"),
    ("a list of extras", lambda s: (*s[:3], []), "returned a list of 0 entries as extras. Expected a dict"),
]


@pytest.mark.parametrize(("kind", "change", "message"), ARITY, ids=[kind for kind, *_ in ARITY])
def test_what_is_not_four_values(kind: str, change: Change, message: str) -> None:
    with pytest.raises(ValueError, match=rf"step\(\) of Returning .*{message}") as raised:
        learned(Returning(change))
    assert f":{inspect.getsourcelines(Returning.step)[1]} (Returning.step)" in str(raised.value)


GROUPS: list[tuple[str, Change, str]] = [
    ("[N, 1]", with_group("policy", lambda x: x[:, :1]), r"'policy' as .*\[4, 1\] .*Expected \[4, 2\]: a group keeps"),
    ("[1, d]", with_group("policy", lambda x: x[:1]), r"'policy' as .*\[1, 2\] .*Expected one row for each of the 4"),
    ("[d]", with_group("policy", lambda x: x[0]), r"'policy' as .*\[2\] .*Expected one row for each of the 4"),
    ("wider", with_group("policy", lambda x: x.repeat(1, 2)), r"'policy' as .*\[4, 4\] .*Expected \[4, 2\]"),
    ("missing", without("privileged"), "no observation group 'privileged', which the first observations had"),
    ("renamed", lambda o: TensorDict({"obs": o["policy"], "privileged": o["privileged"]}), "no observation group 'pol"),
    ("nested", with_group("policy", lambda x: TensorDict({"a": x}, [N])), "'policy' as a TensorDict of 'a'. Expected"),
    ("complex", with_group("policy", lambda x: x + 0j), r"\(complex64\). Expected float32: a group keeps the kind"),
]


@pytest.mark.filterwarnings("ignore:.*the observation group 'obs', which the first observations lacked")
@pytest.mark.parametrize(("kind", "change", "message"), GROUPS, ids=[kind for kind, *_ in GROUPS])
def test_groups_that_change(kind: str, change: Change, message: str) -> None:
    with pytest.raises(ValueError, match=rf"^step\(\) of Observing returned .*{message}"):
        learned(Observing(change, only_later=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_group("policy", lambda x: x[:2]), r"'policy' as a tensor of shape \[2, 2\] .*one row for each of the 4"),
        (
            with_group("policy", lambda x: TensorDict({"a": x}, [N])),
            "'policy' as a TensorDict of 'a'. Expected a tensor",
        ),
        (with_group("policy", lambda x: x + 0j), "complex64"),
        (lambda obs: obs["policy"].numpy(), "a ndarray. Expected a TensorDict of observation groups with batch size"),
        (lambda obs: (obs["policy"].numpy(), {}), r"a tuple \(ndarray, dict\). Expected a TensorDict"),
        (lambda obs: [obs["policy"]], "a list. Expected a TensorDict"),
    ],
)
def test_first_observations(change: Change, message: str) -> None:
    with pytest.raises(ValueError, match=rf"^get_observations\(\) of Observing returned .*{message}") as raised:
        OnPolicyRunner(Observing(change), config())
    assert f":{inspect.getsourcelines(Observing.get_observations)[1]} (" in str(raised.value)


def test_what_was_refused_once_is_refused_again() -> None:
    runner = OnPolicyRunner(Changed(REWARDS, lambda rewards: rewards[:1]), config())
    for _ in range(2):
        with pytest.raises(ContractError, match="returned rewards"):
            runner.learn(1)


def test_what_is_right_at_first_and_wrong_later() -> None:
    for wrong in ({"time_outs": None}, {"time_outs": np.zeros(N, bool)}, None):
        steps = iter(range(100))
        env = Changed(EXTRAS, lambda extras, wrong=wrong, steps=steps: extras if next(steps) < 3 else wrong)
        with pytest.raises(ContractError, match="extras"):
            learned(env, 3)


def test_whole_numbers_do_not_become_fractions_later() -> None:
    class Rounded(Observing):
        def get_observations(self) -> Any:
            obs = PointEnv.get_observations(self)
            return obs if self.steps else TensorDict({name: value.long() for name, value in dict(obs).items()}, [N])

    with pytest.raises(ContractError, match=r"'policy' as .*\(float32\). Expected int64: a group keeps the kind"):
        learned(Rounded(lambda obs: obs))


FINALS: list[tuple[Change, str]] = [
    (lambda obs: {"final_obs": {"policy": obs["policy"][:, :1]}}, r"\['final_obs'\]\['policy'\] .*Expected \[4, 2\]"),
    (lambda obs: {"final_obs": TensorDict({"policy": obs["policy"][:1]}, [1])}, r"\[1, 2\] .*Expected \[4, 2\]"),
    (
        lambda obs: {"terminal": {"env_ids": torch.arange(2), "observations": {"policy": obs["policy"][:3]}}},
        r"extras\['terminal'\]\['observations'\]\['policy'\] as .*\[3, 2\] .*Expected \[2, 2\]",
    ),
]


@pytest.mark.parametrize(("extras", "message"), FINALS)
def test_last_observations_have_the_shape_of_the_group(extras: Change, message: str) -> None:
    class Ending(PointEnv):
        def step(self, actions: torch.Tensor) -> Any:
            obs, rewards, dones, given = super().step(actions)
            return obs, rewards, dones, given | extras(obs)

    with pytest.raises(ValueError, match=message):
        learned(Ending())


ENDS: list[Change] = [
    lambda obs: {"terminal": {"env_ids": obs["policy"][:, 0] > 9, "observations": {"policy": obs["policy"][:0]}}},
    lambda obs: {"terminal": {"env_ids": None, "observations": {"policy": obs["policy"][:0]}}},
    lambda obs: {"terminal": {"env_ids": [1]}},
    lambda obs: {"final_obs": {"policy": obs["policy"], "reason": "time"}},
    lambda obs: TensorDict({"final_obs": {"policy": obs["policy"]}}, [N]),
]


@pytest.mark.parametrize("extras", ENDS)
@pytest.mark.filterwarnings("ignore:.*The environment.s final observations lack")
def test_other_forms_of_last_observations_end_no_training(extras: Change) -> None:
    class Ending(PointEnv):
        def step(self, actions: torch.Tensor) -> Any:
            obs, rewards, dones, given = super().step(actions)
            ends = extras(obs)
            ends["time_outs"] = given["time_outs"]
            return obs, rewards, dones, ends

    assert learned(Ending(N)).completed_iterations == 1


@pytest.mark.parametrize("name", ["final_obs", "terminal"])
def test_all_that_a_step_gives_is_where_it_is_learned_from(name: str) -> None:
    env = PointEnv(N)
    contract = Contract(env, "meta")  # a device without numbers
    assert contract.check(env.get_observations(), "get_observations").obs["policy"].device.type == "meta"
    obs, rewards, dones, extras = env.step(torch.zeros(N, 1))
    ends = {
        "final_obs": dict(obs),
        "terminal": {"env_ids": torch.arange(2), "observations": {"policy": obs["policy"][:2]}},
    }
    given = extras | {name: ends[name]}
    found = contract.check((obs, rewards.double(), dones, given))
    last = found.extras[name] if name == "final_obs" else found.extras[name]["observations"]
    placed = [found.obs["policy"], found.rewards, found.dones, found.extras["time_outs"], last["policy"]]
    assert {each.device.type for each in placed} == {"meta"}
    assert found.rewards.dtype == torch.float32
    assert given["time_outs"].device.type == "cpu", "the environment's own dictionary is not changed"


# -- attributes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("num_envs", None, "lacks num_envs"),
        ("num_actions", None, "lacks num_actions"),
        ("device", None, "lacks device"),
        ("step", None, "lacks step"),
        ("num_envs", 4.0, "'num_envs' of .* must be the number of environments N, an integer of at least 1, got 4.0"),
        ("num_envs", 0, "'num_envs' of .* got 0"),
        (
            "num_envs",
            3,
            r"'policy' as a tensor of shape \[4, 2\] .*one row for each of the 3 environments \(num_envs\)",
        ),
        ("num_actions", "two", "'num_actions' of .* must be the number of actions .*, got 'two'"),
        ("num_actions", True, "'num_actions' of .* got True"),
        ("device", "gpu", "'device' of .* must be the device of observations, .*, got 'gpu'"),
        ("step", 1, "'step' of .* must be a method .*, got 1"),
        ("episode_length_buf", None, "lacks episode_length_buf"),
        ("episode_length_buf", torch.zeros(3), r"'episode_length_buf' of .*, got a tensor of shape \[3\]"),
        ("max_episode_length", None, "lacks max_episode_length"),
        ("max_episode_length", "long", "'max_episode_length' of .* got 'long'"),
        ("max_episode_length", 0, "'max_episode_length' of .* got 0"),
        ("max_episode_length", torch.ones(2), r"'max_episode_length' of .*, got a tensor of shape \[2\]"),
    ],
)
def test_attributes_that_are_missing_or_wrong(name: str, value: Any, message: str) -> None:
    env: Any = SimpleNamespace()
    inner = PointEnv(N)
    for each in ("num_envs", "num_actions", "device", "episode_length_buf", "max_episode_length"):
        setattr(env, each, getattr(inner, each))
    env.get_observations, env.step = inner.get_observations, inner.step
    delattr(env, name) if value is None else setattr(env, name, value)
    with pytest.raises(ValueError, match=message):
        OnPolicyRunner(env, config()).learn(1, init_at_random_ep_len=True)


def test_episode_lengths_are_asked_for_only_where_they_matter() -> None:
    inner = PointEnv(N)
    env: Any = SimpleNamespace(num_envs=np.int64(N), num_actions=np.int64(1), device="cpu")
    env.get_observations, env.step = inner.get_observations, inner.step
    runner = learned(env)
    assert runner.completed_iterations == 1
    with pytest.raises(ContractError, match="lacks episode_length_buf"):
        play_episodes(env, runner.get_inference_policy(), 2)


def test_what_is_no_environment_at_all() -> None:
    with pytest.raises(ValueError, match=r"PointEnv is a class: expected an environment, PointEnv\(...\)"):
        OnPolicyRunner(PointEnv, config())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="is not a VecEnv: it lacks .*wrapped by rsl_rl.env.GymnasiumVecEnv"):
        OnPolicyRunner(SyncVectorEnv([Drift]), config())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="str is not a VecEnv: it lacks device, get_observations"):
        OnPolicyRunner("gym:Ant-v5", config())  # type: ignore[arg-type]


# -- who is named ------------------------------------------------------------------------------------------------------


class Passing:
    """A wrapper as programs write them."""

    def __init__(self, env: Any) -> None:
        self.env = env

    def step(self, actions: torch.Tensor) -> Any:
        return self.env.step(actions)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.env, name)


def test_wrappers_and_what_they_wrap_are_named() -> None:
    with pytest.raises(ContractError) as raised:
        learned(Passing(Changed(REWARDS, lambda rewards: rewards[:1])))
    message = str(raised.value)
    assert message.startswith("step() of Passing returned rewards")
    assert message.index("(Passing.step)") < message.index("(Changed.step)")


def decorated(function: Any) -> Any:
    return torch.no_grad()(function)


def test_the_function_within_a_decorator_is_named() -> None:
    class Decorated(Changed):
        @decorated
        def step(self, actions: torch.Tensor) -> Any:
            return super().step(actions)

    with pytest.raises(ContractError, match=r"test_contract.py:\d+ \(test_the_function.*Decorated.step\)"):
        learned(Decorated(REWARDS, lambda rewards: rewards[:1]))


@pytest.mark.parametrize("layout", [Point1x, Point2x])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: (*values[:-3], values[-3][:1], *values[-2:]), r"rewards as a tensor of shape \[1\]"),
        (lambda values: (values[0][:1], *values[1:]), r"'policy' as a tensor of shape \[1, 2\]"),
        (lambda values: (values[0][:, :1], *values[1:]), r"'policy' as a tensor of shape \[4, 1\]"),
        (lambda values: (*values[:-1], None), "None as extras"),
        (lambda values: (*values[:-1], {**values[-1], "time_outs": torch.ones(1)}), r"\['time_outs'\] as .*\[1\]"),
        (lambda values: (*values[:-2], values[-2].numpy(), values[-1]), "dones as a ndarray"),
        (lambda values: values[1:3], "returns 2 values that are not those of rsl_rl 1.x"),
        (lambda values: None, "returns None that are not those of rsl_rl 1.x"),
    ],
)
def test_earlier_layouts(layout: Any, change: Change, message: str) -> None:
    class Old(layout):
        def step(self, actions: torch.Tensor) -> Any:
            return change(super().step(actions))

    with pytest.raises(ValueError, match=rf"^step\(\) of Old .*{message}.*\(.*Old.step\)"):
        learned(Old())


def test_five_values_of_a_plain_environment_are_not_those_of_1x() -> None:
    class Plain(PointEnv):
        def get_observations(self) -> Any:
            return super().get_observations()["policy"]

        def step(self, actions: torch.Tensor) -> Any:
            obs, rewards, dones, extras = super().step(actions)
            return obs, rewards, dones.long(), dones.long(), extras

    with pytest.raises(ValueError, match="step.. of Plain returns 5 values .*there is rsl_rl.env.GymnasiumVecEnv"):
        learned(Plain(), obs_groups={"actor": ["policy"], "critic": ["policy"]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: values[:4], "returned 4 values. Expected five values, as Isaac Lab's environments"),
        (lambda values: (*values[:2], None, *values[3:]), "returned terminated as None. Expected five values"),
        (lambda values: (*values[:3], values[3][:1], values[4]), r"truncated as a tensor of shape \[1\]"),
        (lambda values: (*values[:4], None), "None as extras"),
        (lambda values: (values[0], values[1][:1], *values[2:]), r"rewards as a tensor of shape \[1\]"),
        (lambda values: ({"policy": torch.zeros(1, 2)}, *values[1:]), r"'policy' as a tensor of shape \[1, 2\]"),
    ],
)
def test_manager_based_environments(change: Change, message: str) -> None:
    class Lab(LabEnv):
        def step(self, actions: torch.Tensor) -> Any:
            return change(super().step(actions))

    with pytest.raises(ValueError, match=rf"^step\(\) of Lab .*{message}.*\(.*Lab.step\)"):
        learned(ManagerBasedVecEnv(Lab()))


def test_a_vector_environment_of_gymnasium() -> None:
    class OneReward(SyncVectorEnv):
        def step(self, actions: Any) -> Any:
            obs, rewards, *rest = super().step(actions)
            return obs, rewards[:1], *rest

    env = GymnasiumVecEnv(OneReward([Drift] * 3))
    with pytest.raises(ContractError, match=r"^step\(\) of OneReward returned rewards as .*\[1\].*OneReward.step\)"):
        learned(env, obs_groups={"actor": ["policy"], "critic": ["policy"]})


# -- everywhere --------------------------------------------------------------------------------------------------------


def test_episodes_and_evaluations_meet_the_same_door(recwarn: pytest.WarningsRecorder) -> None:
    runner = learned(PointEnv(N))
    with pytest.raises(ContractError, match=r"step\(\) of Changed returned rewards as .*\[1\]"):
        play_episodes(Changed(REWARDS, lambda rewards: rewards[:1]), runner.get_inference_policy(), 4)
    runner.evaluate_with(lambda: Changed(REWARDS, lambda rewards: rewards[:1]), interval=1, episodes=2)
    runner.learn(1)
    assert any("step() of Changed returned rewards" in str(each.message) for each in recwarn)


def test_distillation_meets_the_same_door() -> None:
    model = {"class_name": "MLPModel", "hidden_dims": [8]}
    student = {**model, "distribution_cfg": {"class_name": "GaussianDistribution"}}
    cfg = config(
        student=student,
        teacher=model,
        algorithm={"class_name": "Distillation"},
        obs_groups={"student": ["policy"], "teacher": ["policy", "privileged"]},
    )
    runner = DistillationRunner(Changed(DONES, lambda dones: dones[:1]), cfg)
    runner.alg.teacher_loaded = True
    with pytest.raises(ContractError, match=r"step\(\) of Changed returned dones as .*\[1\]"):
        runner.learn(1)


# -- what goes on being taken ------------------------------------------------------------------------------------------


def parameters(runner: OnPolicyRunner) -> torch.Tensor:
    models = runner.alg.actor, runner.alg.critic  # type: ignore[attr-defined]
    return torch.cat([p.detach().flatten() for model in models for p in model.parameters()])


class Whole(PointEnv):
    """A point with rewards and places that are whole numbers: the same in every type."""

    def get_observations(self) -> TensorDict:
        return TensorDict({name: value.round() for name, value in super().get_observations().items()}, [self.num_envs])

    def step(self, actions: torch.Tensor) -> Any:
        obs, rewards, dones, extras = super().step(actions)
        return obs, (rewards > 0).float(), dones, extras


TAKEN: dict[str, Change] = {
    "a list": lambda step: list(step),
    "columns": lambda step: (step[0], step[1][:, None], step[2][:, None], {"time_outs": step[3]["time_outs"][:, None]}),
    "half": lambda step: (step[0], step[1].half(), step[2].half(), {"time_outs": step[3]["time_outs"].half()}),
    "float64": lambda step: (step[0], step[1].double(), step[2].double(), {"time_outs": step[3]["time_outs"].double()}),
    "int64": lambda step: (step[0], step[1].long(), step[2].long(), {"time_outs": step[3]["time_outs"].long()}),
    "bool rewards": lambda step: (step[0], step[1].bool(), *step[2:]),
    "dones of 256": lambda step: (step[0], step[1], 256 * step[2].long(), step[3]),
    "dones of 0.5": lambda step: (step[0], step[1], 0.5 * step[2].float(), step[3]),
    "dones of -1": lambda step: (step[0], step[1], -step[2].long(), step[3]),
    "no batch size": lambda step: (TensorDict(dict(step[0])), *step[1:]),
    "another batch size": lambda step: (TensorDict({"policy": step[0]["policy"]}, [N, 2]), *step[1:]),
    "groups of float64": lambda step: (step[0].double(), *step[1:]),
    "groups of half": lambda step: (step[0].half(), *step[1:]),
    "groups of whole numbers": lambda step: (step[0].apply(torch.Tensor.long), *step[1:]),
    "one more group": lambda step: (TensorDict({**step[0], "more": torch.zeros(N, 7)}, [N]), *step[1:]),
}


@pytest.mark.parametrize("kind", TAKEN)
@pytest.mark.filterwarnings("ignore:.*the observation group")
def test_the_same_numbers_in_another_form_teach_the_same(kind: str) -> None:
    class Other(Whole):
        def step(self, actions: torch.Tensor) -> Any:
            return TAKEN[kind](super().step(actions))

    cfg = {"num_steps_per_env": 12, "obs_groups": {"actor": ["policy"], "critic": ["policy"]}}
    torch.testing.assert_close(parameters(learned(Other(N), 2, **cfg)), parameters(learned(Whole(N), 2, **cfg)))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.int64, torch.uint8, torch.bool])
@pytest.mark.parametrize("normalized", [True, False])
def test_vectors_of_any_real_type_are_learned_from(dtype: torch.dtype, normalized: bool) -> None:
    env = Observing(lambda obs: TensorDict({name: value.abs().to(dtype) for name, value in obs.items()}, [N]))
    cfg = config()
    for name in ("actor", "critic"):
        cfg[name] = {**cfg[name], "obs_normalization": normalized}
    runner = OnPolicyRunner(env, cfg)
    runner.learn(2)
    stored = runner.alg.storage.observations["policy"].dtype  # type: ignore[union-attr]
    assert stored == (torch.float32 if dtype.is_floating_point else dtype)
    assert parameters(runner).isfinite().all()
    assert len(play_episodes(env, runner.get_inference_policy(), 2).returns) == 2


@pytest.mark.parametrize(
    ("dtype", "stored"),
    [(torch.uint8, torch.uint8), (torch.float16, torch.float16), (torch.float64, torch.float32)],
)
def test_images_stay_small(dtype: torch.dtype, stored: torch.dtype) -> None:
    image = TensorDict({"camera": torch.ones(N, 1, 4, 4, dtype=dtype)}, [N])
    assert Contract(PointEnv(N)).check(image, "get_observations").obs["camera"].dtype == stored


def test_a_single_environment_may_give_single_numbers() -> None:
    class Single(Whole):
        def step(self, actions: torch.Tensor) -> Any:
            obs, rewards, dones, extras = super().step(actions)
            return obs, rewards[0], dones[0], {"time_outs": extras["time_outs"][0]}

    cfg = {"num_steps_per_env": 12}
    torch.testing.assert_close(parameters(learned(Single(1), **cfg)), parameters(learned(Whole(1), **cfg)))


UNUSED: list[tuple[str, Change, bool, str]] = [
    ("missing later", without("privileged"), True, "'privileged', which nothing reads, is missing"),
    (
        "new later",
        lambda o: TensorDict({**o, "more": o["policy"]}, [N]),
        True,
        "'more', which the first observations lack",
    ),
    (
        "nested",
        lambda o: TensorDict({**o, "n": {"a": o["policy"]}}, [N]),
        False,
        "group 'n' is not a tensor and nothing reads it",
    ),
    ("text", lambda o: TensorDict({**o, "n": "name"}, [N]), False, "group 'n' is not a tensor and nothing reads it"),
]


@pytest.mark.parametrize(("kind", "change", "later", "message"), UNUSED, ids=[kind for kind, *_ in UNUSED])
def test_groups_that_no_model_reads_are_left_alone_and_it_is_said_once(
    kind: str, change: Change, later: bool, message: str
) -> None:
    groups = {"actor": ["policy"], "critic": ["policy"]}
    with pytest.warns(UserWarning, match=message) as told:
        runner = learned(Observing(change, later), 2, obs_groups=groups)
    assert len([each for each in told if message in str(each.message)]) == len(told) == 1
    torch.testing.assert_close(parameters(runner), parameters(learned(PointEnv(N), 2, obs_groups=groups)))


def test_groups_of_one_number_that_no_model_reads() -> None:
    env = Observing(lambda obs: TensorDict({**obs, "time": torch.zeros(N)}, [N]))
    assert learned(env).completed_iterations == 1


# -- what passes the door is the environment's own, or what is stored --------------------------------------------------


def test_an_environment_may_change_the_actions_that_it_is_given() -> None:
    class Clipping(PointEnv):
        def step(self, actions: torch.Tensor) -> Any:
            given = actions.clone()
            actions.zero_()
            return super().step(given)

    runner, same = learned(Clipping(N)), learned(PointEnv(N))
    assert runner.alg.storage.actions.abs().sum() > 0  # type: ignore[union-attr]
    assert torch.equal(parameters(runner), parameters(same))


def test_an_environment_may_return_the_same_buffers_in_every_step() -> None:
    class Buffers(PointEnv):
        buffers: Any = None

        def get_observations(self) -> Any:
            obs = super().get_observations()
            if self.buffers is None:
                self.buffers = obs, torch.zeros(N), torch.zeros(N, dtype=torch.bool), {"time_outs": torch.zeros(N)}
            return self.buffers[0].update_(obs)

        def step(self, actions: torch.Tensor) -> Any:
            _, rewards, dones, extras = super().step(actions)
            self.buffers[1].copy_(rewards)
            self.buffers[2].copy_(dones)
            self.buffers[3]["time_outs"].copy_(extras["time_outs"])
            return self.buffers

    cfg = {"num_steps_per_env": 12}
    assert torch.equal(parameters(learned(Buffers(N), 2, **cfg)), parameters(learned(PointEnv(N), 2, **cfg)))


@pytest.mark.parametrize(
    ("env", "what"),
    [
        (Changed(REWARDS, lambda rewards: rewards.double() + 1e300), "rewards: steps 0-1"),
        (Changed(REWARDS, lambda rewards: (rewards * 1e5).half()), "rewards: steps 0-1"),
        (Observing(lambda o: TensorDict({n: v.double() + 1e300 for n, v in o.items()}, [N]), True), "group 'policy'"),
        (Observing(lambda o: TensorDict({n: (v + 1e6).half() for n, v in o.items()}, [N]), True), "group 'policy'"),
    ],
)
def test_what_is_infinite_once_it_is_stored_is_said_to_be_infinite(env: Any, what: str) -> None:
    with pytest.raises(ValueError, match=f"(?s)returned NaN or infinite numbers in iteration 0.*{what}"):
        learned(env)


# -- state that cannot be saved ----------------------------------------------------------------------------------------


class Own:
    """A class of the program's."""


def raising() -> Any:
    raise RuntimeError("the simulator keeps its state to itself.")


def not_there() -> Any:
    raise NotImplementedError("the simulator keeps its state to itself")


def circular() -> Any:
    state: dict[str, Any] = {}
    state["itself"] = state
    return state


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (raising, r"state_dict\(\) of Saved raised RuntimeError: the simulator keeps its state to itself\.$"),
        (not_there, r"state_dict\(\) of Saved raised NotImplementedError: the simulator keeps its state to itself\.$"),
        (lambda: {"a": {"hook": lambda: 0}}, "cannot be saved: a function at 'a.hook' is neither a tensor nor plain"),
        (lambda: {"log": open(__file__)}, "a TextIOWrapper at 'log' is neither"),  # noqa: SIM115
        (lambda: {"next": (number for number in range(3))}, "a generator at 'next' is neither"),
        (lambda: {"levels": [Own()]}, r"an? Own at 'levels\[0\]' is neither"),
        (circular, "cannot be saved: it refers to itself"),
    ],
)
def test_a_state_that_cannot_be_saved_is_said_once_and_the_checkpoint_is_written(
    state: Any, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Saved(PointEnv):
        def state_dict(self) -> Any:
            return state()

    runner = OnPolicyRunner(Saved(N), config(save_interval=1), log_dir=str(tmp_path))
    with pytest.warns(UserWarning, match=f"a run that is resumed starts new episodes: .*{reason}") as told:
        runner.learn(3)
    assert len([each for each in told if "starts new episodes" in str(each.message)]) == 1
    resumed = OnPolicyRunner(Saved(N), config())
    resumed.load(str(tmp_path))
    assert torch.equal(parameters(resumed), parameters(runner))
    resumed.learn(1)
    assert "Resumed, but the environments could not save their state (state_dict() of Saved" in capsys.readouterr().out


# -- discrete actions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "space", [gymnasium.spaces.Discrete(3), gymnasium.spaces.MultiDiscrete([3, 2]), gymnasium.spaces.MultiBinary(2)]
)
def test_discrete_actions_are_refused_with_the_way_out(space: Any) -> None:
    class Buttons(Drift):
        def __init__(self) -> None:
            super().__init__()
            self.action_space = space

    class LabButtons(LabEnv):
        single_action_space = space

    way_out = "one-hot vectors with a categorical distribution as the policy's head: examples/discrete_actions.py"
    with pytest.raises(TypeError, match=way_out):
        GymnasiumVecEnv(SyncVectorEnv([Buttons]))
    lab = LabButtons()
    del lab.action_manager
    with pytest.raises(TypeError, match=way_out):
        ManagerBasedVecEnv(lab)


def test_the_check_alone() -> None:
    check_attributes(PointEnv(N))
    assert isinstance(LegacyVecEnv(Point2x()), LegacyVecEnv)
    with pytest.raises(ContractError):
        check_attributes(SimpleNamespace())
