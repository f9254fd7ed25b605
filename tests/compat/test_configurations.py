# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Configurations of earlier releases mean the same in the present layout."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import re
import warnings
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tensordict import TensorDict

from rsl_rl.compat.configurations import legacy_message, modernize_config
from rsl_rl.config import resolve_runner_config
from rsl_rl.models import MLPModel
from rsl_rl.runners import OnPolicyRunner
from rsl_rl.utils.yaml_text import as_yaml, parse_yaml_text
from tests.envs import PointEnv, point_config

GAUSSIAN = {"class_name": "GaussianDistribution", "init_std": 1.0, "std_type": "scalar"}


class CameraEnv(PointEnv):
    def get_observations(self) -> TensorDict:
        return TensorDict({"camera": super().get_observations()["policy"]}, [self.num_envs])


def with_policy(policy: dict[str, Any], **others: Any) -> dict[str, Any]:
    """A configuration of 2.x."""
    algorithm = {"class_name": "PPO", "num_learning_epochs": 1, "num_mini_batches": 1}
    return {"num_steps_per_env": 8, "save_interval": 50, "algorithm": algorithm, "policy": policy, **others}


def legged_gym() -> dict[str, Any]:
    """A configuration of 1.x, nested as legged_gym writes it."""
    return {
        "seed": 1,
        "runner_class_name": "OnPolicyRunner",
        "policy": {
            "init_noise_std": 0.8,
            "actor_hidden_dims": [16],
            "critic_hidden_dims": [12, 8],
            "activation": "elu",
        },
        "algorithm": {"value_loss_coef": 1.0, "num_learning_epochs": 1, "num_mini_batches": 2, "schedule": "fixed"},
        "runner": {
            "policy_class_name": "ActorCritic",
            "algorithm_class_name": "PPO",
            "num_steps_per_env": 8,
            "max_iterations": 1500,
            "save_interval": 50,
            "experiment_name": "flat",
            "resume": False,
        },
    }


def train(config: dict[str, Any]) -> OnPolicyRunner:
    """One iteration; the translation says so once, and leaves the caller's configuration alone."""
    before = copy.deepcopy(config)
    with pytest.warns(UserWarning, match="rsl-rl migrate") as caught:
        runner = OnPolicyRunner(PointEnv(), config)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert config == before
    runner.learn(1)
    return runner


def test_normalization_that_the_runner_no_longer_switches_on_is_mentioned() -> None:
    config = point_config() | {"empirical_normalization": True}
    assert modernize_config(config)[1] == []  # Both models normalize.
    config["critic"] = {**config["critic"], "obs_normalization": False}
    new, (change,) = modernize_config(config)
    assert change.endswith("no effect since release 4; set critic.obs_normalization to true")
    assert "empirical_normalization" not in new
    assert new["critic"] == config["critic"]


def test_a_modern_configuration_passes_unchanged_and_in_silence() -> None:
    config = point_config() | {"empirical_normalization": False, "policy": dataclasses.MISSING, "seed": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resolved = resolve_runner_config(config, ["policy", "privileged"])
    assert resolved | {"policy": None} == config | {"policy": None}
    assert modernize_config(config)[1] == []


def test_sections_that_a_client_declares_and_leaves_open_make_way_for_the_policy() -> None:
    empty = dict.fromkeys(("actor", "critic", "clip_actions"), dataclasses.MISSING)
    config = with_policy({"class_name": "ActorCritic", "actor_hidden_dims": [16]})
    with pytest.warns(UserWarning, match="rsl-rl migrate"):
        runner = OnPolicyRunner(PointEnv(), {**config, **empty})
    assert runner.alg.actor.state_dict()["mlp.0.weight"].shape == (16, 2)
    copied = copy.deepcopy({**config, **empty})
    assert "MISSING" not in legacy_message({**config, **empty}, *modernize_config(copied))


def test_the_new_sections_stand_where_the_old_one_was() -> None:
    config = {"seed": 1, "policy": {"class_name": "ActorCritic"}, "critic": None, "algorithm": {}}
    assert list(modernize_config(config)[0]) == ["seed", "actor", "critic", "algorithm"]


def test_translating_twice_changes_nothing_more() -> None:
    for config in (legged_gym(), with_policy({"class_name": "StudentTeacherRecurrent"})):
        once, changes = modernize_config(config, ["policy", "critic"])
        assert changes
        assert modernize_config(once, ["policy", "critic"]) == (once, [])


def test_2x_trains_with_the_networks_it_described() -> None:
    policy = {"class_name": "ActorCritic", "init_noise_std": 0.4, "noise_std_type": "log", "activation": "tanh"}
    policy |= {"actor_hidden_dims": [16], "critic_hidden_dims": [12, 8]}
    runner = train(with_policy(policy, empirical_normalization=True))
    actor, critic = runner.alg.actor.state_dict(), runner.alg.critic.state_dict()
    assert actor["mlp.0.weight"].shape == (16, 2)
    assert critic["mlp.0.weight"].shape == (12, 3)  # The privileged group alone.
    assert critic["mlp.2.weight"].shape == (8, 12)
    assert "distribution.log_std_param" in actor
    assert actor["obs_normalizer.count"] == critic["obs_normalizer.count"] == 32
    assert runner.cfg["algorithm"]["class_name"] == "PPO"
    assert runner.cfg["obs_groups"] == {"actor": ["policy"], "critic": ["privileged"]}
    assert not {"policy", "empirical_normalization"} & set(runner.cfg)


def test_1x_trains_with_the_networks_it_described() -> None:
    runner = train(legged_gym())
    assert runner.alg.critic.state_dict()["mlp.0.weight"].shape == (12, 3)
    assert runner.alg.schedule == "fixed"
    assert runner.cfg["class_name"] == "OnPolicyRunner"
    assert (runner.cfg["max_iterations"], runner.cfg["experiment_name"]) == (1500, "flat")


def test_3x_keeps_its_observation_groups_under_their_new_names() -> None:
    policy = {"class_name": "ActorCritic", "actor_obs_normalization": True, "critic_obs_normalization": False}
    groups = {"policy": ["policy"], "critic": ["policy", "privileged"]}
    runner = train(with_policy(policy, obs_groups=groups))
    assert runner.cfg["obs_groups"] == {"actor": ["policy"], "critic": ["policy", "privileged"]}
    assert (runner.alg.actor.obs_normalization, runner.alg.critic.obs_normalization) == (True, False)
    assert runner.alg.critic.obs_dim == 5


@pytest.mark.parametrize(
    ("available", "algorithm", "expected"),
    [
        (["policy"], {}, {"actor": ["policy"], "critic": ["policy"]}),
        (["policy", "privileged"], {}, {"actor": ["policy"], "critic": ["privileged"]}),
        (["policy", "privileged", "critic"], {}, {"actor": ["policy"], "critic": ["critic"]}),
        (["policy", "rnd_state"], {}, {"actor": ["policy"], "critic": ["policy"]}),
        (
            ["policy", "rnd_state"],
            {"rnd_cfg": {"weight": 1.0}},
            {"actor": ["policy"], "critic": ["policy"], "rnd_state": ["rnd_state"]},
        ),
    ],
)
def test_missing_observation_groups_are_those_that_2x_took(
    available: list[str], algorithm: dict[str, Any], expected: dict[str, list[str]]
) -> None:
    config = with_policy({"class_name": "ActorCritic"})
    config["algorithm"] |= algorithm
    assert modernize_config(config, available)[0]["obs_groups"] == expected


def test_missing_critic_groups_of_3x_follow_the_environment_or_the_policy() -> None:
    config = with_policy({"class_name": "ActorCritic"}, obs_groups={"policy": ["policy", "more"]})
    sets = modernize_config(config, ["policy", "more"])[0]["obs_groups"]
    assert sets == {"actor": ["policy", "more"], "critic": ["policy", "more"]}
    assert modernize_config(config, ["policy", "more", "critic"])[0]["obs_groups"]["critic"] == ["critic"]


def test_a_recurrent_policy_becomes_two_recurrent_models() -> None:
    policy = {"class_name": "ActorCriticRecurrent", "rnn_type": "gru", "rnn_hidden_size": 64, "rnn_num_layers": 2}
    new, _ = modernize_config(with_policy(policy))
    for role in ("actor", "critic"):
        section = new[role]
        assert section["class_name"] == "RNNModel"
        assert (section["rnn_type"], section["rnn_hidden_dim"], section["rnn_num_layers"]) == ("gru", 64, 2)
    assert "distribution_cfg" not in new["critic"]


@pytest.mark.parametrize("teacher_recurrent", [False, True])
def test_student_and_teacher(teacher_recurrent: bool) -> None:
    policy = {"class_name": "StudentTeacherRecurrent", "student_hidden_dims": [8], "teacher_hidden_dims": [16, 4]}
    policy |= {"teacher_recurrent": teacher_recurrent, "student_obs_normalization": True}
    config = with_policy(policy, obs_groups={"policy": ["a"], "teacher": ["a", "b"]})
    del config["algorithm"]["class_name"]
    new, _ = modernize_config(config)
    assert new["algorithm"]["class_name"] == "Distillation"
    assert new["obs_groups"] == {"student": ["a"], "teacher": ["a", "b"]}
    student, teacher = new["student"], new["teacher"]
    assert (student["class_name"], student["hidden_dims"], student["obs_normalization"]) == ("RNNModel", [8], True)
    assert student["distribution_cfg"] == GAUSSIAN | {"init_std": 0.1}
    assert teacher["class_name"] == ("RNNModel" if teacher_recurrent else "MLPModel")
    assert (teacher["hidden_dims"], teacher["obs_normalization"]) == ([16, 4], False)


def test_state_dependent_noise_becomes_a_heteroscedastic_distribution() -> None:
    noise = {"init_noise_std": 0.5, "noise_std_type": "log", "state_dependent_std": True}
    expected = {"class_name": "HeteroscedasticGaussianDistribution", "init_std": 0.5, "std_type": "log"}
    of_3x, _ = modernize_config(with_policy({"class_name": "ActorCritic", **noise}))
    config = point_config()
    del config["actor"]["distribution_cfg"]
    config["actor"] |= {"stochastic": True, **noise}
    of_4x, _ = modernize_config(config)
    assert of_3x["actor"]["distribution_cfg"] == of_4x["actor"]["distribution_cfg"] == expected


def test_the_layout_of_genesis_is_half_nested() -> None:
    config = with_policy({"class_name": "ActorCritic", "activation": "elu"}, empirical_normalization=None)
    config |= {"runner": {"max_iterations": 101, "resume": False}, "runner_class_name": "OnPolicyRunner", "seed": 1}
    new, _ = modernize_config(config, ["policy"])
    assert not {"runner", "policy", "empirical_normalization", "runner_class_name"} & set(new)
    assert (new["max_iterations"], new["class_name"], new["actor"]["obs_normalization"]) == (
        101,
        "OnPolicyRunner",
        False,
    )


def test_a_vision_policy_becomes_two_vision_models() -> None:
    encoder = {"camera": {"output_channels": [4], "kernel_size": 3}}
    policy = {"class_name": "ActorCriticCNN", "actor_cnn_cfg": encoder, "critic_hidden_dims": [8]}
    new, changes = modernize_config(with_policy(policy, obs_groups={"policy": ["camera"], "critic": ["state"]}))
    assert (new["actor"]["class_name"], new["actor"]["cnn_cfg"]) == ("CNNModel", encoder)
    assert new["critic"]["class_name"] == "MLPModel"  # Without an encoder of its own.
    assert "left out" not in str(changes)


def test_the_model_keys_of_4x_become_a_distribution() -> None:
    config = point_config()
    del config["actor"]["distribution_cfg"]
    config["actor"] |= {"stochastic": True, "init_noise_std": 0.3, "noise_std_type": "log"}
    config["critic"] = config["critic"] | {"init_noise_std": 1.0}
    assert train(config).alg.critic.distribution is None
    config["critic"] |= {"stochastic": False}
    runner = train(config)
    assert runner.alg.actor.state_dict().keys() >= {"distribution.log_std_param"}
    assert runner.alg.critic.distribution is None


def test_a_distribution_that_is_configured_counts_more_than_old_keys_beside_it() -> None:
    config = point_config()
    config["actor"] |= {"stochastic": True, "init_noise_std": 9.0}
    new, changes = modernize_config(config)
    assert new == point_config()
    assert changes == ["actor.stochastic, actor.init_noise_std: left out, actor.distribution_cfg says it"]


class Warm(MLPModel):
    """A client's model with an option that has an old name."""

    def __init__(self, *args: Any, init_noise_std: float = 1.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.init_noise_std = init_noise_std


def test_an_option_of_a_model_of_the_users_own_is_left_alone() -> None:
    config = point_config()
    config["actor"] |= {"class_name": Warm, "init_noise_std": 0.7}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runner: Any = OnPolicyRunner(PointEnv(), config)
    assert runner.alg.actor.init_noise_std == 0.7


def test_missing_names_of_classes_and_groups_are_filled() -> None:
    config = point_config()
    for section in (config["algorithm"], config["actor"], config["actor"]["distribution_cfg"]):
        del section["class_name"]
    config["critic"] = {key: value for key, value in config["critic"].items() if key != "class_name"}
    del config["obs_groups"]
    runner = train(config)
    assert runner.cfg["obs_groups"] == {"actor": ["policy"], "critic": ["privileged"]}
    assert runner.cfg["algorithm"]["class_name"] == "PPO"


def test_groups_that_cannot_be_guessed_are_asked_for() -> None:
    config = point_config()
    del config["obs_groups"]
    message = "'actor' is not configured, and .* neither a group 'actor' nor 'policy' .* gives: camera"
    with pytest.raises(ValueError, match=message):
        OnPolicyRunner(CameraEnv(), config)


def test_a_policy_class_of_the_users_own_is_explained() -> None:
    for name in ("my_robot.nets:ActorCriticRecurrent", "ActorCritique"):
        with pytest.raises(ValueError, match=r"cannot be translated.*subclasses of MLPModel"):
            resolve_runner_config(with_policy({"class_name": name}), ["policy"])
    with pytest.raises(ValueError, match="Did you mean 'ActorCritic'"):
        modernize_config(with_policy({"class_name": "ActorCritique"}))


@pytest.mark.parametrize("name", ["rsl_rl.modules.ActorCritic", "rsl_rl.modules:ActorCritic"])
def test_a_policy_class_may_be_named_with_its_package(name: str) -> None:
    assert modernize_config(with_policy({"class_name": name}))[0]["actor"]["class_name"] == "MLPModel"


POLICY_KEYS = """class_name init_noise_std noise_std_type state_dependent_std actor_hidden_dims teacher_hidden_dims
activation actor_obs_normalization rnn_type rnn_hidden_size teacher_recurrent stochastic"""
SECTIONS = "policy runner algorithm obs_groups actor critic student policy_class_name empirical_normalization"
texts = st.text(max_size=3)
plain = st.none() | st.booleans() | st.integers(-2, 300) | texts | st.lists(texts, max_size=2)
names = st.sampled_from(["ActorCritic", "ActorCriticRecurrent", "StudentTeacher", dataclasses.MISSING])
options = st.dictionaries(st.sampled_from(re.findall(r"\w+", POLICY_KEYS)) | st.integers(), plain | names, max_size=4)
sections = st.sampled_from(re.findall(r"\w+", SECTIONS))


@pytest.mark.filterwarnings("ignore")
@given(config=st.dictionaries(sections, options | plain, max_size=5), groups=st.none() | st.lists(texts))
def test_any_old_configuration_is_translated_or_refused_with_a_message(config: dict, groups: list[str] | None) -> None:
    before = repr(config)
    with contextlib.suppress(ValueError, TypeError):
        new, _ = modernize_config(config, groups)
        assert modernize_config(new, groups)[1] == []
    with contextlib.suppress(ValueError, TypeError):
        resolve_runner_config({"num_steps_per_env": 1, "save_interval": 1, **config}, groups)
    assert repr(config) == before


def test_the_message_shows_the_new_form_as_yaml_that_works() -> None:
    old = with_policy({"class_name": "ActorCritic", "init_noise_std": 0.4, "clip_action": 3})
    new, changes = modernize_config(old, ["policy", "privileged"])
    message = legacy_message(old, new, changes)
    assert "policy.clip_action" in message
    shown = message.partition("present layout:\n\n")[2].partition("\nThe command")[0]
    changed = yaml.safe_load(shown)
    assert set(changed) == {"actor", "critic", "obs_groups"}
    kept = {key: value for key, value in old.items() if key != "policy"}
    OnPolicyRunner(PointEnv(), kept | changed).learn(1)


def test_text_in_yaml_reads_back() -> None:
    section = {
        "words": ["yes", "null", "3", "a b", "x: y", "", "module:Class", "#no", "1e-3", "ä"],
        "numbers": {"small": 1e-05, "large": 1e22, "plain": 0.25, "integer": 3, "flag": True, "nothing": None},
        "empty": {},
        "list": [],
        "mixed": ["tensorboard", {"class_name": "mlflow", "options": {"a": 1.5}}],
        "on": (1, 2.0),
    }
    expected = section | {"on": [1, 2.0]}
    assert yaml.safe_load(as_yaml(section)) == parse_yaml_text(as_yaml(section)) == expected
    assert as_yaml({"function": train}) == 'function: "tests.compat.test_configurations:train"\n'.replace('"', "")
