# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Configurations as public programs write them: whatever holds a value will do, and what cannot be right is refused."""

from __future__ import annotations

import collections
import copy
import dataclasses
import decimal
import enum
import json
import math
import types
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from rsl_rl.algorithms import PPO, Distillation
from rsl_rl.config.task import read_task
from rsl_rl.extensions import RandomNetworkDistillation, Symmetry
from rsl_rl.models import CNNModel, MLPModel, RNNModel
from rsl_rl.modules import CNN, MLP, BetaDistribution, EmpiricalNormalization, GaussianDistribution
from rsl_rl.runners import DistillationRunner, OnPolicyRunner
from rsl_rl.storage import RolloutStorage
from rsl_rl.utils import resolve_class, resolve_nn_activation, resolve_obs_groups, resolve_optimizer
from rsl_rl.utils.yaml_text import parse_yaml_text
from tests.envs import PointEnv, point_config
from tests.properties.test_configuration import SeeingEnv, mirror, with_value

# -- values in other forms ---------------------------------------------------------------------------------------------


class Word(str, enum.Enum):
    ELU, PPO, FIXED, CSV = "elu", "PPO", "fixed", "CsvLogWriter"


class Choice(enum.Enum):
    ELU, TWO = "elu", 2


class Number(enum.IntEnum):
    TWO = 2


class Node(MutableMapping):
    """Like a DictConfig of OmegaConf: no dict, its items nodes again, values that are missing or lead nowhere."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._content = dict(content)

    def __getitem__(self, key: str) -> Any:
        value = self._content[key]
        if isinstance(value, str) and value == "???":
            raise RuntimeError(f"Missing mandatory value: {key}\n    full_key: {key}")
        return node(value)

    def __setitem__(self, key: str, value: Any) -> None:
        self._content[key] = value

    def __delitem__(self, key: str) -> None:
        del self._content[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)

    def __deepcopy__(self, memo: Any) -> Any:
        raise RuntimeError("a node belongs to its tree")


class ListNode(Sequence):
    def __init__(self, items: Sequence[Any]) -> None:
        self._items = list(items)

    def __getitem__(self, index: Any) -> Any:
        return node(self._items[index])

    def __len__(self) -> int:
        return len(self._items)


class NoMapping:
    """Like a ConfigDict of ml_collections: no Mapping, but with what makes one."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._content = dict(content)
        self.keys, self.items, self.values = self._content.keys, self._content.items, self._content.values

    def __getitem__(self, key: str) -> Any:
        return self._content[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)


def node(value: Any) -> Any:
    return Node(value) if isinstance(value, dict) else ListNode(value) if isinstance(value, list) else value


def nested(value: Any, kind: Any) -> Any:
    """Return nested dicts as another kind of mapping."""
    return kind({key: nested(item, kind) for key, item in value.items()}) if isinstance(value, dict) else value


def is_plain(value: Any) -> bool:
    if type(value) is dict:
        return all(type(key) is str and is_plain(item) for key, item in value.items())
    return (
        all(map(is_plain, value))
        if type(value) in (list, tuple)
        else type(value) in (int, float, str, bool, type(None))
    )


SPREAD = {"class_name": "GaussianDistribution", "init_std": np.float32(0.5), "std_range": np.array([0.25, 2.0])}
RND: dict[str, Any] = {"num_outputs": 2, "predictor_hidden_dims": [4], "target_hidden_dims": [4], "weight": 0.5}
STEP = {"mode": np.str_("step"), "final_step": np.int64(3), "final_value": torch.tensor(0.25)}
SYMMETRY: dict[str, Any] = {"data_augmentation_func": mirror, "use_mirror_loss": True}
FORMS: list[tuple[str, Any, Any]] = [
    ("num_steps_per_env", np.uint8(4), 4),
    ("num_steps_per_env", torch.tensor(4), 4),
    ("save_interval", np.array([3]), 3),
    ("save_interval", np.float32(50.0), 50.0),
    ("check_for_nan", np.False_, False),
    ("check_for_nan", None, False),
    ("algorithm.normalize_advantage_per_mini_batch", None, False),
    ("run_name", Path("a") / "b", "a/b"),
    ("run_name", 20261130, 20261130),
    ("storage_dtype", torch.float16, "float16"),
    (
        "obs_groups",
        Node({"actor": ["policy"], "critic": np.array(["policy"])}),
        {"actor": ["policy"], "critic": ["policy"]},
    ),
    ("obs_groups.actor", {"policy": 0}.keys(), ["policy"]),
    ("logger", np.str_("none"), "none"),
    ("logger", ListNode([{"class_name": Word.CSV}]), [{"class_name": "CsvLogWriter"}]),
    ("algorithm.class_name", Word.PPO, "PPO"),
    ("algorithm.num_learning_epochs", Number.TWO, 2),
    ("algorithm.num_learning_epochs", Choice.TWO, 2),
    ("algorithm.num_mini_batches", np.array(2), 2),
    ("algorithm.gamma", torch.tensor([0.5], requires_grad=True), 0.5),
    ("algorithm.gamma", decimal.Decimal("0.5"), 0.5),
    ("algorithm.gamma", np.float16(0.5), 0.5),
    ("algorithm.learning_rate", "1e-3", 1e-3),
    ("algorithm.schedule", Word.FIXED, "fixed"),
    ("algorithm.schedule", collections.UserString("fixed"), "fixed"),
    ("algorithm.use_clipped_value_loss", torch.tensor(False), False),
    ("algorithm.use_clipped_value_loss", 1, True),
    ("algorithm.rnd_cfg", Node({**RND, "weight": np.float64(0.5), "weight_schedule": STEP}), None),
    ("algorithm.symmetry_cfg", NoMapping({**SYMMETRY, "mirror_loss_coeff": np.float64(0.5)}), None),
    ("actor.activation", Choice.ELU, "elu"),
    ("actor.obs_normalization", np.True_, True),
    ("actor.hidden_dims", np.array([8, 4]), [8, 4]),
    ("actor.hidden_dims", np.array([8]), [8]),
    ("actor.hidden_dims", torch.tensor([8, 4]), [8, 4]),
    ("actor.hidden_dims", (np.int64(8), 4), (8, 4)),
    ("actor.hidden_dims", range(4, 6), [4, 5]),
    ("actor.hidden_dims", ListNode([8]), [8]),
    ("actor.distribution_cfg", types.MappingProxyType(SPREAD), {**SPREAD, "init_std": 0.5, "std_range": [0.25, 2.0]}),
    (
        "actor.distribution_cfg",
        types.SimpleNamespace(class_name="BetaDistribution"),
        {"class_name": "BetaDistribution"},
    ),
    ("seed", np.int64(3), 3),
    ("launcher", Node({"gpus": [np.int64(1)], "name": np.str_("x")}), {"gpus": [1], "name": "x"}),
]


@pytest.mark.parametrize(
    ("place", "given", "held"), FORMS, ids=[f"{place} {type(value).__name__}" for place, value, _ in FORMS]
)
def test_a_value_is_taken_by_what_it_holds(place: str, given: Any, held: Any) -> None:
    config = point_config()
    config["obs_groups"]["rnd_state"] = ["policy"]
    (config if "." not in place else config[place.split(".")[0]]).update({place.split(".")[-1]: given})
    before = repr(config)
    runner = OnPolicyRunner(SeeingEnv(), config)
    runner.learn(1)
    assert repr(config) == before
    found: Any = runner.cfg
    for key in place.split("."):
        found = found[key]
    if held is not None:
        assert (found, type(found)) == (held, type(held))
    is_plain_section = {key: value for key, value in runner.cfg.items() if "symmetry_cfg" not in place}
    assert is_plain(is_plain_section), is_plain_section


@pytest.mark.parametrize(
    "kind", [Node, NoMapping, collections.UserDict, types.MappingProxyType, collections.OrderedDict]
)
def test_a_whole_configuration_of_another_kind_trains_like_a_dict(kind: Any, tmp_path: Path) -> None:
    trained = []
    for number, config in enumerate([point_config(rnd_cfg=None), nested(point_config(rnd_cfg=None), kind)]):
        torch.manual_seed(0)
        runner = OnPolicyRunner(PointEnv(), config, log_dir=str(tmp_path / str(number)))
        runner.learn(1)
        assert is_plain({key: value for key, value in runner.cfg.items() if key != "multi_gpu"})
        trained.append(nn.utils.parameters_to_vector(runner.alg.get_policy().parameters()))
    assert torch.equal(*trained)
    saved = [torch.load(tmp_path / str(number) / "model_0.pt", weights_only=True)["config"] for number in (0, 1)]
    assert saved[0] == saved[1]
    assert json.dumps(saved[0])


@dataclasses.dataclass
class Algorithm:
    class_name: str = "PPO"
    num_learning_epochs: int = 1
    num_mini_batches: int = 2


@dataclasses.dataclass
class Run:
    actor: dict[str, Any]
    critic: dict[str, Any]
    obs_groups: dict[str, Any]
    num_steps_per_env: int = 4
    save_interval: int = 2
    algorithm: Algorithm = dataclasses.field(default_factory=Algorithm)


@pytest.mark.parametrize("kind", [Run, types.SimpleNamespace])
def test_objects_are_taken_by_their_attributes(kind: Any) -> None:
    sections = {name: point_config()[name] for name in ("actor", "critic", "obs_groups")}
    more = {} if kind is Run else {"num_steps_per_env": 4, "save_interval": 2, "algorithm": Algorithm()}
    runner = OnPolicyRunner(PointEnv(), kind(**sections, **more))  # type: ignore[arg-type]
    assert runner.cfg["algorithm"] == dataclasses.asdict(Algorithm())


def test_algorithms_are_constructed_from_nodes_without_a_runner() -> None:
    config, env = point_config(num_learning_epochs=np.int64(3)), PointEnv()
    alg = PPO.construct_algorithm(env.get_observations(), env, Node(config), torch.device("cpu"))  # type: ignore[arg-type]
    assert (alg.num_learning_epochs, type(alg.num_learning_epochs)) == (3, int)
    config = {
        **config,
        "student": config["actor"],
        "teacher": config["critic"],
        "algorithm": {"class_name": "Distillation"},
    }
    config["obs_groups"] = {"student": ["policy"], "teacher": ["privileged"]}
    assert DistillationRunner(env, Node(config)).alg.gradient_length == 15  # type: ignore[arg-type]


def test_a_configuration_that_holds_itself_is_an_error_that_names_the_key() -> None:
    config = point_config()
    config["algorithm"]["rnd_cfg"] = config
    with pytest.raises(ValueError, match="'(algorithm|actor|critic)' of the runner's configuration holds itself"):
        OnPolicyRunner(PointEnv(), config)


def test_what_is_missing_in_a_tree_is_an_error_only_where_it_is_used() -> None:
    with pytest.raises(ValueError, match="The value of 'algorithm.gamma' cannot be read from Node: Missing mandatory"):
        OnPolicyRunner(PointEnv(), Node(point_config(gamma="???")))  # type: ignore[arg-type]
    with pytest.warns(UserWarning, match=r"'load_run' cannot be read.*The runner does not use it, and leaves it out"):
        runner = OnPolicyRunner(PointEnv(), Node({**point_config(), "load_run": "???"}))  # type: ignore[arg-type]
    assert "load_run" not in runner.cfg


class OwnModel(MLPModel):
    """Takes anything as an option of its own."""

    def __init__(self, *args: Any, scale: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scale = scale


@pytest.mark.parametrize(
    "own", [torch.ones(3), np.ones(3), Choice.TWO, nn.Tanh, nn.Tanh(), Algorithm(), Path("x"), b"x"]
)
def test_options_of_a_programs_own_class_stay_what_they_are(own: Any) -> None:
    config = with_value(point_config(), "actor.class_name", OwnModel)
    config["actor"] |= {"scale": own, "hidden_dims": np.array([4])}
    model: Any = OnPolicyRunner(PointEnv(), config).alg.get_policy()
    assert type(model.scale) is type(own)
    assert [module.out_features for module in model.mlp if isinstance(module, nn.Linear)] == [4, 1]


GROUPS = {"actor": np.array(["policy"]), "critic": ("policy",), "student": ["policy"], "rnd_state": ["policy"]}


def model_of(kind: Any = MLPModel, name: str = "actor", **options: Any) -> Any:
    spread = {} if name == "critic" else {"distribution_cfg": Node(SPREAD)}
    options = {"hidden_dims": np.array([8, -1])} | spread | options
    return kind(PointEnv().get_observations(), Node(GROUPS), name, np.int64(1), **options)


def test_constructors_take_the_same_forms() -> None:
    obs = PointEnv().get_observations()
    actor = model_of(RNNModel, rnn_hidden_dim=np.int64(4), rnn_type=np.str_("gru"), activation=Choice.ELU)
    assert actor.distribution.std_range == [0.25, 2.0]
    storage = RolloutStorage("rl", np.int64(4), torch.tensor(3), obs, np.array([1]))  # type: ignore[arg-type]
    epochs = {"num_learning_epochs": np.int64(5), "num_mini_batches": Number.TWO, "gamma": np.array(0.5)}
    alg = PPO(actor, model_of(name="critic"), storage, **epochs)
    assert [(value, type(value)) for value in (alg.num_learning_epochs, alg.gamma)] == [(5, int), (0.5, float)]
    camera = {
        "output_channels": np.array([2]),
        "kernel_size": np.array([3]),
        "stride": Number.TWO,
        "padding": Word("elu"),
    }
    with pytest.raises(ValueError, match="Unknown padding 'elu'"):
        CNN((8, 8), 1, **camera)
    assert CNN(np.array([8, 8]), 1, **{**camera, "padding": np.str_("zeros")}).output_dim == 32  # type: ignore[arg-type]
    images = {"cnn_cfg": Node({"camera": {"output_channels": [np.int64(2)], "kernel_size": 3}}), "hidden_dims": (4,)}
    assert CNNModel(SeeingEnv().get_observations(), {"actor": ["camera"]}, "actor", 1, **images).cnn_latent_dim == 32
    rnd = RandomNetworkDistillation(2, GROUPS, **{**RND, "target_hidden_dims": np.array([4]), "weight_schedule": STEP})  # type: ignore[arg-type]
    assert rnd.weight_scheduler_params == {"mode": "step", "final_step": 3, "final_value": 0.25}
    assert Symmetry(None, mirror, use_mirror_loss=np.True_).use_mirror_loss is True  # type: ignore[arg-type]
    assert len(MLP(np.int64(2), (2, np.int64(1)), np.array([4]), Word.ELU)) == 4  # type: ignore[arg-type]
    assert GaussianDistribution(np.int64(2), np.float32(0.5)).std_param.tolist() == [0.5, 0.5]  # type: ignore[arg-type]
    assert EmpiricalNormalization(np.array([2]), torch.tensor(0.5)).eps == 0.5  # type: ignore[arg-type]


def test_helpers_take_the_same_forms() -> None:
    assert resolve_obs_groups(PointEnv().get_observations(), Node(GROUPS), [])["actor"] == ["policy"]  # type: ignore[arg-type]
    assert resolve_class(Node({"class_name": np.str_("MLP"), "hidden_dims": [4]})) == (MLP, {"hidden_dims": [4]})
    assert isinstance(resolve_nn_activation(Choice.ELU), nn.ELU)  # type: ignore[arg-type]
    assert resolve_optimizer(np.str_("sgd")) is torch.optim.SGD


@pytest.mark.parametrize(
    "value", [{8, 4}, np.array([8.0]), np.array([[8]]), torch.ones(2, 2), "8", Choice.ELU, object()]
)
def test_what_holds_something_else_is_still_refused_by_name(value: Any) -> None:
    with pytest.raises(TypeError, match="'actor.hidden_dims' must be a list of int, got "):
        OnPolicyRunner(PointEnv(), with_value(point_config(), "actor.hidden_dims", value))


# -- ranges ------------------------------------------------------------------------------------------------------------

INF, NAN = math.inf, math.nan
OUT_OF_RANGE: list[tuple[str, list[Any], str]] = [
    ("num_steps_per_env", [0, -1], "at least 1"),
    ("save_interval", [0, np.int64(0)], "at least 1"),
    ("keep_checkpoints", [-1], "at least 0"),
    ("algorithm.gamma", [1.5, -0.1, NAN, INF, np.float32(1.5), torch.tensor(2.0)], "from 0 to 1"),
    ("algorithm.lam", [2, -1.0, NAN], "from 0 to 1"),
    ("algorithm.clip_param", [-0.2, NAN], "at least 0"),
    ("algorithm.max_grad_norm", [-1.0, NAN], "at least 0"),
    ("algorithm.value_loss_coef", [-1.0, INF, NAN, 1e39], "finite and at least 0"),
    ("algorithm.entropy_coef", [INF, -INF, NAN], "finite"),
    ("algorithm.learning_rate", [-1e-3, INF, NAN, 10**400], "finite and at least 0"),
    ("algorithm.desired_kl", [-0.01, INF], "finite and at least 0"),
    ("algorithm.num_learning_epochs", [0, -1], "at least 1"),
    ("algorithm.num_mini_batches", [0, -1], "at least 1"),
    ("algorithm.max_bad_updates", [0], "at least 1"),
    ("algorithm.critic_warmup_iterations", [-1], "at least 0"),
    ("algorithm.rnd_cfg.weight", [INF, NAN], "finite"),
    ("algorithm.rnd_cfg.num_outputs", [0], "at least 1"),
    ("algorithm.rnd_cfg.learning_rate", [-1.0, INF], "finite and at least 0"),
    ("algorithm.rnd_cfg.weight_schedule", [{"mode": "step", "final_step": 1, "final_value": INF}], "finite"),
    ("algorithm.symmetry_cfg.mirror_loss_coeff", [-1.0, INF], "finite and at least 0"),
    ("actor.rnn_hidden_dim", [0, -1], "at least 1"),
    ("actor.rnn_num_layers", [0], "at least 1"),
    ("actor.distribution_cfg.init_std", [-1.0, INF, NAN], "finite and at least 0"),
]


@pytest.mark.parametrize(("place", "values", "valid"), OUT_OF_RANGE, ids=[place for place, *_ in OUT_OF_RANGE])
def test_a_number_out_of_its_range_is_refused_by_name_value_and_range(
    place: str, values: list[Any], valid: str
) -> None:
    config = point_config(rnd_cfg=dict(RND) if "rnd_cfg" in place else None)
    config["obs_groups"]["rnd_state"] = ["policy"]
    if "symmetry_cfg" in place:
        config["algorithm"]["symmetry_cfg"] = dict(SYMMETRY)
    if "rnn" in place:
        config["actor"]["class_name"] = "RNNModel"
    for value in values:
        with pytest.raises(ValueError, match=rf"'{place}.*' must be {valid}, got "):
            OnPolicyRunner(SeeingEnv(), with_value(config, place, value))


def test_constructors_check_the_same_ranges() -> None:
    obs = PointEnv().get_observations()
    models = model_of(), model_of(name="critic")
    storage = RolloutStorage("rl", 4, 3, obs, [1])
    with pytest.raises(ValueError, match=r"'PPO.gamma' must be from 0 to 1, got 1.5\."):
        PPO(*models, storage, gamma=1.5)
    with pytest.raises(TypeError, match=r"'PPO.gamma' must be float, got str: 'high'"):
        PPO(*models, storage, gamma="high")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'Distillation.gradient_length' must be at least 1, got 0"):
        Distillation(*models, storage, gradient_length=0)
    with pytest.raises(ValueError, match="'BetaDistribution.action_range' must be finite, got inf"):
        BetaDistribution(1, (0.0, INF))
    with pytest.raises(ValueError, match="'EmpiricalNormalization.eps' must be finite and at least 0"):
        EmpiricalNormalization(2, eps=-1.0)
    with pytest.raises(ValueError, match="positive widths"):
        model_of(hidden_dims=[0])


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("gamma", 0.0), ("gamma", 1), ("lam", 1.0), ("lam", 0), ("clip_param", 0.0), ("clip_param", INF)),
        *(("max_grad_norm", INF), ("entropy_coef", -0.01), ("value_loss_coef", 0.0), ("learning_rate", 0.0)),
        *(("desired_kl", None), ("desired_kl", 0.0)),
    ],
)
def test_what_release_5_5_1_trains_with_is_taken(option: str, value: Any) -> None:
    runner = OnPolicyRunner(PointEnv(), point_config(**{option: value}))
    runner.learn(2)
    assert all(math.isfinite(loss) for loss in runner.losses.values())
    assert runner.alg.metrics["Update/skipped"] == 0
    if option == "desired_kl":
        # Without a goal the rate stays; with 0 every divergence is too large: 4 mini-batches an iteration, from 1e-3.
        assert runner.alg.learning_rate == pytest.approx(1e-3 if value is None else max(1e-5, 1e-3 / 1.5**7), rel=0.6)


def test_a_largest_gradient_norm_of_0_leaves_no_gradient_of_ppo_and_does_not_limit_a_student() -> None:
    """As release 5.5.1 does: torch's factor is 0 / (norm + 1e-6) = 0; its distillation takes 0 for no limit."""
    config = point_config(max_grad_norm=0.0)
    runner = OnPolicyRunner(PointEnv(), config)
    before = [parameter.clone() for parameter in runner.alg.get_policy().parameters()]
    runner.learn(2)
    assert all(map(torch.equal, before, runner.alg.get_policy().parameters()))
    trained = []
    for norm in (None, 0.0, 1e-9):
        torch.manual_seed(0)
        config = point_config()
        sections = {"student": config["actor"], "teacher": config["critic"]}
        config["obs_groups"] = {"student": ["policy"], "teacher": ["policy"]}
        student = DistillationRunner(
            PointEnv(), {**config, **sections, "algorithm": {"class_name": "Distillation", "max_grad_norm": norm}}
        )
        student.alg.teacher_loaded = True
        student.learn(1)
        trained.append(nn.utils.parameters_to_vector(student.alg.student.parameters()))
    assert torch.equal(trained[0], trained[1])
    assert not torch.equal(trained[0], trained[2])


# -- files -------------------------------------------------------------------------------------------------------------


def task_file(folder: Path, **changes: Any) -> Path:
    task = {"env": "gym:X-v1", "runner": copy.deepcopy(point_config())} | changes
    (folder / "task.yaml").write_text(json.dumps(task))
    return folder / "task.yaml"


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("num_envs", 0, "'num_envs' must be at least 1, got 0"),
        ("iterations", 0, "'iterations' must be at least 1"),
        ("seed", -1, "'seed' must be from 0"),
        ("eval_interval", 0, "'eval_interval' must be at least 1"),
        ("eval_episodes", 0, "'eval_episodes' must be at least 1"),
    ],
)
def test_a_task_is_checked_in_its_file(tmp_path: Path, option: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_task(task_file(tmp_path, **{option: value}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("env: a:b\nrunner: {}\nenv: c:d\n", "task.yaml.*line 3 holds the key 'env' again, which is in line 1 already"),
        ("runner:\n  algorithm: {gamma: 0.9, lam: 0.9, gamma: 0.5}\n", "line 2 holds the key 'gamma' again"),
        ('runner:\n  actor: &a\n    "x": 1\n    x: 2\n', "line 4 holds the key 'x' again, which is in line 3"),
    ],
)
def test_a_key_that_a_file_holds_twice_is_refused_with_its_lines(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "task.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_task(tmp_path / "task.yaml")


def test_keys_that_are_taken_over_from_another_mapping_are_not_held_twice() -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b {<<: *a, x: 3}\nc: {<<: *b, y: 4}\nd: {<<: *b}\n"
    assert parse_yaml_text(text)["d"] == {"x": 3, "y": 2}


def test_numbers_written_as_text_are_numbers_in_a_file_too(tmp_path: Path) -> None:
    task = read_task(task_file(tmp_path, runner=point_config(learning_rate="1e-4", gamma="9.5E-1")))
    assert (task.runner.to_dict()["algorithm"]["learning_rate"], task.runner.to_dict()["algorithm"]["gamma"]) == (
        1e-4,
        0.95,
    )
