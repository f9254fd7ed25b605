# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Any configuration is taken or refused as the user's error, and never changed."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import json
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tensordict import TensorDict

from rsl_rl.config import resolve_runner_config
from rsl_rl.config.schema import schema_of
from rsl_rl.config.task import read_task
from rsl_rl.runners import OnPolicyRunner
from tests.envs import PointEnv, point_config


class SeeingEnv(PointEnv):
    """A point with a camera and a known step, so that every kind of model and extension can be configured."""

    unwrapped = SimpleNamespace(step_dt=0.1)

    def get_observations(self) -> TensorDict:
        observations = super().get_observations()
        observations["camera"] = torch.zeros(self.num_envs, 1, 6, 6)
        return observations


def mirror(env: Any, obs: Any, actions: Any) -> tuple[Any, Any]:
    """Return a batch followed by its mirror image."""
    copies = None if obs is None else torch.cat([obs, obs.apply(torch.neg)])
    return copies, None if actions is None else torch.cat([actions, -actions])


# -- configurations with every option ----------------------------------------------------------------------------------


def section(class_name: str, **changes: Any) -> dict[str, Any]:
    """Return the section of a class with all of its options, as plain data."""
    return json.loads(json.dumps(dataclasses.asdict(schema_of(class_name)()))) | changes


def runner_section(**changes: Any) -> dict[str, Any]:
    return {
        "num_steps_per_env": 4,
        "save_interval": 2,
        "check_for_nan": True,
        "logger": "none",
        "obs_groups": {"actor": ["policy"], "critic": ["policy", "privileged"]},
        "algorithm": section("PPO"),
        "actor": section("MLPModel", hidden_dims=[8, -1], distribution_cfg=section("GaussianDistribution")),
        "critic": section("MLPModel", hidden_dims=[8]),
        **changes,
    }


ENCODER = {
    "output_channels": [2, 3],
    "kernel_size": [3, 2],
    "stride": 1,
    "dilation": 1,
    "padding": "zeros",
    "norm": ["none", "batch"],
    "activation": "elu",
    "max_pool": [True, False],
    "global_pool": "avg",
    "flatten": True,
}
RND = {
    "num_outputs": 2,
    "predictor_hidden_dims": [4],
    "target_hidden_dims": [4],
    "activation": "elu",
    "state_normalization": True,
    "reward_normalization": True,
    "weight": 0.1,
    "weight_schedule": {"mode": "linear", "initial_step": 1, "final_step": 2, "final_value": 0.0},
    "learning_rate": 0.001,
}
SYMMETRY = {"data_augmentation_func": f"{__name__}:mirror", "use_data_augmentation": True, "use_mirror_loss": True}
RNN = section("RNNModel", hidden_dims=[8], rnn_hidden_dim=8)
CNN = section("CNNModel", hidden_dims=[8], cnn_cfg=ENCODER)
VALID = {
    "small": point_config(),
    "full": runner_section(),
    "curious": runner_section(algorithm=section("PPO", rnd_cfg=RND)),
    "mirrored": runner_section(
        algorithm=section("PPO", symmetry_cfg=SYMMETRY), logger=[{"class_name": "CsvLogWriter"}]
    ),
    "recurrent": runner_section(actor={**RNN, "distribution_cfg": section("BetaDistribution")}, critic=RNN),
    "seeing": runner_section(
        obs_groups={"actor": ["policy", "camera"], "critic": ["camera"]},
        actor={**CNN, "distribution_cfg": section("HeteroscedasticGaussianDistribution", std_type="log")},
        critic=CNN,
    ),
    "distilled": {
        "num_steps_per_env": 4,
        "save_interval": 2,
        "obs_groups": {"student": ["policy"], "teacher": ["privileged"]},
        "algorithm": section("Distillation"),
        "student": {**RNN, "distribution_cfg": section("GaussianDistribution")},
        "teacher": section("MLPModel", hidden_dims=[8]),
    },
    "of release 1": {
        "runner": {"num_steps_per_env": 4, "save_interval": 2, "policy_class_name": "ActorCriticRecurrent"},
        "policy": {"init_noise_std": 0.5, "actor_hidden_dims": [8], "critic_hidden_dims": [8], "rnn_hidden_dim": 8},
        "algorithm": {"gamma": 0.9, "num_mini_batches": 2},
    },
    "of release 4": {
        "num_steps_per_env": 4,
        "save_interval": 2,
        "empirical_normalization": True,
        "obs_groups": {"policy": ["policy"], "critic": ["policy"]},
        "algorithm": {"gamma": 0.9},
        "actor": {"stochastic": True, "init_noise_std": 0.5, "noise_std_type": "log", "hidden_dims": [8]},
        "critic": {"stochastic": False, "hidden_dims": [8]},
    },
}


# -- changes -----------------------------------------------------------------------------------------------------------


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key or index) of nested plain data."""
    entries = list(node.items()) if isinstance(node, dict) else list(enumerate(node)) if isinstance(node, list) else []
    for key, value in entries:
        yield node, key
        yield from places(value)


_USED = {word for container, key in places(VALID) for word in (key, container[key]) if isinstance(word, str)}
_OTHERS = ["MLP", "OnPolicyRunner", "check_nan", "torch.nn:Linear", "math:pi", "math.no", "a:b", "teacher_checkpoint"]
WORDS = st.sampled_from(sorted(_USED) + _OTHERS)
INTEGERS = st.integers(-3, 64)  # Small, as they become sizes.
SCALARS = st.none() | st.booleans() | INTEGERS | st.floats() | st.text(max_size=5) | WORDS
DATA = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | SCALARS, inner, max_size=3),
    max_leaves=4,
)
ALIKE = {bool: st.booleans(), int: INTEGERS, float: INTEGERS | st.floats(), str: WORDS, list: st.lists(INTEGERS)}
CHANGES = st.sampled_from(["any", "alike", "another part", "deleted", "renamed", "misspelled", "added"])


@st.composite
def changed(draw: st.DrawFn, *valid: dict[str, Any]) -> dict[str, Any]:
    """One of some configurations with one to three changes."""
    cfg = copy.deepcopy(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(1, 3))):
        there = list(places(cfg))
        if not there:
            break
        (container, key), change = draw(st.sampled_from(there)), draw(CHANGES)
        value = container[key]
        if change == "any":
            value = draw(DATA)
        elif change == "alike":
            value = draw(ALIKE.get(type(value), SCALARS))
        elif change == "another part":
            other, where = draw(st.sampled_from(there))
            value = copy.deepcopy(other[where])
        if isinstance(container, list):
            container[key : key + 1] = [] if change == "deleted" else [value]
            continue
        if change in ("deleted", "renamed", "misspelled"):
            del container[key]
        if change == "renamed":
            container[draw(WORDS | SCALARS)] = value
        elif change == "misspelled":
            container[str(key)[:-2] + str(key)[-1:]] = value
        elif change == "added":
            container[draw(WORDS)] = draw(DATA)
        elif change != "deleted":
            container[key] = value
    return cfg


def with_value(cfg: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    """Return a configuration with one value replaced."""
    cfg = copy.deepcopy(cfg)
    *sections, key = place.split(".")
    container = cfg
    for name in sections:
        container = container[name]
    container[key] = value
    return cfg


# -- properties --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Let pass what the documentation announces: a wrong value or type, a class or file that does not exist."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except (ValueError, TypeError, ImportError, AttributeError, FileNotFoundError) as error:
            if not str(error).strip():
                raise
            frames = [frame.name for frame in traceback.extract_tb(error.__traceback__) if "/rsl_rl/" in frame.filename]
            looked_up = frames[-1] in ("resolve_callable", "_get_attribute", "read_checkpoint")
            if not isinstance(error, (ValueError, TypeError)) and not looked_up:
                raise


@settings(max_examples=500)
@given(changed(*VALID.values()))
def test_a_runner_takes_any_configuration_or_refuses_it_as_the_users_error(cfg: dict[str, Any]) -> None:
    before = repr(cfg)
    with refusals():
        OnPolicyRunner(SeeingEnv(), cfg)
    assert repr(cfg) == before


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("full", "algorithm", {"class_name": "MLPModel"}),
        ("full", "actor", {"class_name": "PPO"}),
        ("full", "critic", {"class_name": "Distillation"}),
        ("full", "actor", {"class_name": "RNN"}),
        ("full", "actor.distribution_cfg", {"class_name": "EmpiricalNormalization"}),
        ("full", "actor.distribution_cfg.init_std", 1e308),
        ("curious", "algorithm.rnd_cfg.weight_schedule.final_step", "a"),
        ("curious", "algorithm.rnd_cfg.weight_schedule.final_value", "a"),
        ("seeing", "actor.cnn_cfg.output_channels", [0, 3]),
        ("seeing", "actor.cnn_cfg.output_channels", [-1, 3]),
        ("seeing", "actor.cnn_cfg.kernel_size", 0),
        ("seeing", "actor.cnn_cfg.kernel_size", float("inf")),
        ("seeing", "actor.cnn_cfg.stride", 0),
        ("seeing", "actor.cnn_cfg.dilation", 0),
        ("seeing", "actor.cnns", 1),
        ("seeing", "actor.cnns", {"camera": {}}),
    ],
)
def test_what_cannot_be_built_or_trained_is_refused_as_the_users_error(name: str, place: str, value: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        OnPolicyRunner(SeeingEnv(), with_value(VALID[name], place, value))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", VALID)
def test_what_is_changed_here_can_be_trained(name: str) -> None:
    runner = OnPolicyRunner(SeeingEnv(), VALID[name])
    if name == "distilled":
        runner.alg.teacher_loaded = True
    runner.learn(1)
    assert runner.current_learning_iteration == 0


@settings(max_examples=300)
@given(changed(*VALID.values()) | DATA, st.none() | st.lists(WORDS | st.just("policy"), max_size=3))
def test_any_data_resolves_or_is_refused_as_the_users_error(cfg: Any, groups: list[str] | None) -> None:
    before = repr(cfg)
    with refusals():
        assert isinstance(resolve_runner_config(cfg, groups), dict)
    assert repr(cfg) == before


# -- files -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def task_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tasks") / "task.yaml"


TASK = {"env": "gym:X-v1", "num_envs": 2, "iterations": 3, "seed": 1, "env_options": {"a": {"b": 1}}, "name": "x"}


@settings(max_examples=100)
@given(cfg=changed(*({**TASK, "runner": cfg} for cfg in VALID.values())))
def test_a_task_file_with_any_data_is_read_or_refused_as_the_users_error(task_file: Path, cfg: dict[str, Any]) -> None:
    task_file.write_text(yaml.safe_dump(cfg), encoding="utf-8")
    with refusals():
        read_task(task_file)


@settings(max_examples=40)
@given(cfg=changed(*VALID.values()))
@example(cfg=with_value(VALID["distilled"], "algorithm.rnd_cfg", None))
def test_what_a_runner_takes_can_be_read_from_a_file(task_file: Path, cfg: dict[str, Any]) -> None:
    task_file.write_text(yaml.safe_dump({"runner": cfg}), encoding="utf-8")
    with refusals():
        OnPolicyRunner(SeeingEnv(), cfg)
        try:
            read_task(task_file)
        except Exception as error:
            pytest.fail(f"{cfg} is taken as a dict, but not from a file: {error!r}")


TOKENS = st.sampled_from(
    [
        *(
            "runner:",
            "algorithm:",
            "a: ",
            "- ",
            "? ",
            ": ",
            "\n",
            "  ",
            "[",
            "]",
            "{",
            "}",
            ", ",
            "|",
            ">",
            "'",
            '"',
            "#",
        ),
        *("&x ", "*x", "<<: ", "=", "---", "%YAML 1.1", "!x ", "!!str ", "!!int ", "!!float ", "!!bool ", "!!null "),
        *("!!timestamp ", "!!binary ", "!!set ", "!!omap ", "!!pairs ", "!!map ", "!!seq ", "!!python/tuple "),
        *(
            "!!python/name:",
            "!!python/object:",
            "os.system",
            "2001-99-99",
            "2001-01-01",
            "1:30",
            "0x",
            "1e3",
            "~",
            "yes",
        ),
    ]
)


@settings(max_examples=200)
@given(content=st.lists(TOKENS, max_size=12).map(lambda tokens: "".join(tokens).encode()) | st.binary(max_size=20))
@example(content=b"!!bool maybe")
@example(content=b"!!int ''")
@example(content=b"!!timestamp soon")
@example(content=b"[" * 2000)
@example(content=b"{num_steps_per_env: 1, save_interval: 1, policy: {}, algorithm: &x {rnd_cfg: *x}}")
def test_a_task_file_of_any_content_is_read_or_refused_as_the_users_error(task_file: Path, content: bytes) -> None:
    task_file.write_bytes(content)
    with refusals():
        read_task(task_file)
