# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Every extension point of docs/extending.md in a task's file and as an option of ``rsl-rl train``."""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from rsl_rl.cli.main import main
from rsl_rl.config.task import read_task
from tests.envs import PointEnv

# The classes of the page itself.
PAGE = (Path(__file__).parents[2] / "docs" / "extending.md").read_text()
MODULES = dict(re.findall(r"```python\n# (my_\w+\.py)\n(.*?)```", PAGE, flags=re.DOTALL))
OWN = """
import torch
from rsl_rl.modules import GaussianDistribution
from rsl_rl.runners import OnPolicyRunner
from rsl_rl.utils import LogWriter

class Writer(LogWriter):
    def __init__(self, log_dir, only=None): pass
    def add_scalar(self, tag, value, step): pass

class Runner(OnPolicyRunner): pass

class Spread(GaussianDistribution):
    def __init__(self, output_dim, anything=None, **options):
        super().__init__(output_dim, **options)

def mirror(env, obs, actions):
    if obs is not None: obs = torch.cat([obs, obs.apply(torch.neg)])
    return obs, None if actions is None else torch.cat([actions, -actions])
"""
GAUSSIAN = {"class_name": "GaussianDistribution", "init_std": 0.5}
TASK: dict[str, Any] = {
    "env": f"{__name__}:TimedPoint",
    "num_envs": 4,
    "iterations": 1,
    "runner": {
        "num_steps_per_env": 4,
        "save_interval": 1,
        "obs_groups": {"actor": ["policy"], "critic": ["privileged"]},
        "algorithm": {"class_name": "PPO", "num_learning_epochs": 1, "num_mini_batches": 2, "entropy_coef": 0.0},
        "actor": {"class_name": "MLPModel", "hidden_dims": [4], "distribution_cfg": GAUSSIAN},
        "critic": {"class_name": "MLPModel", "hidden_dims": [4]},
    },
}
SYMMETRY = {"data_augmentation_func": "own_of_test:mirror", "use_mirror_loss": True}
RND = {"num_outputs": 2, "predictor_hidden_dims": [4], "target_hidden_dims": [4], "weight": 1}


class TimedPoint(PointEnv):
    step_dt = 0.1

    def __init__(self, num_envs: int, seed: int = 0, device: str = "cpu", **options: Any) -> None:
        super().__init__(num_envs, seed=seed)

    @property
    def unwrapped(self) -> TimedPoint:
        return self


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Train a task with changes of its file and with options; return the runner's section that was saved."""
    for name, code in {**MODULES, "own_of_test.py": OWN}.items():
        (tmp_path / name).write_text(code)
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name.removesuffix(".py"), raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    def run(changes: dict[str, Any], *options: str) -> dict[str, Any]:
        task = copy.deepcopy(TASK)
        for place, value in changes.items():
            *sections, key = place.split(".")
            section = task["runner"]
            for name in sections:
                section = section[name]
            section[key] = value
        (tmp_path / "task.yaml").write_text(yaml.safe_dump(task))
        main(["train", "task.yaml", "--export", "False", "--run-dir", "run", *options])
        return read_task("run/config.yaml").runner.to_dict()

    return run


LAPLACE = {"class_name": "my_distribution:Laplace"}
IN_FILES: list[tuple[str, Any]] = [
    ("actor.distribution_cfg", LAPLACE),
    ("actor.distribution_cfg", {**LAPLACE, "scale": 0.25}),
    (
        "actor.distribution_cfg",
        {"class_name": "own_of_test:Spread", "anything": [1, {"a": None}], "std_range": [0.1, 1.0]},
    ),
    ("actor", {"class_name": "my_model:Fourier", "frequencies": 2, "hidden_dims": [4], "distribution_cfg": LAPLACE}),
    ("algorithm", {"class_name": "my_ppo:CautiousPPO", "caution": 0.25}),
    ("algorithm", {"class_name": "my_extension:LazyPPO", "effort_coef": 0.25}),
    ("algorithm", {"class_name": "my_reinforce:Reinforce", "gamma": 0.5}),
    ("algorithm.optimizer", "my_optimizer:SignDescent"),
    ("algorithm.symmetry_cfg", SYMMETRY),
    ("logger", ["csv", {"class_name": "own_of_test:Writer", "only": "x"}][1:]),
    ("class_name", "own_of_test:Runner"),
]


@pytest.mark.parametrize(("place", "value"), IN_FILES)
def test_every_extension_point_is_taken_from_a_file(train: Callable[..., Any], place: str, value: Any) -> None:
    found = train({place: value}, "--runner.save-interval", "2")
    for key in place.split("."):
        found = found[key]
    assert found == value or {**found, **value} == found


D, A = "--runner.actor.distribution-cfg", "--runner.algorithm"
BY_FLAGS: list[tuple[list[str], dict[str, Any], str, Any]] = [
    (
        [f"{D}.class-name", "my_distribution:Laplace", f"{D}.scale", "0.25"],
        {},
        "actor.distribution_cfg",
        {**LAPLACE, "scale": 0.25},
    ),
    ([D, "class_name=my_distribution:Laplace"], {}, "actor.distribution_cfg", LAPLACE),
    ([f"{D}.scale", "0.5"], {"actor.distribution_cfg": LAPLACE}, "actor.distribution_cfg", {**LAPLACE, "scale": 0.5}),
    ([f"{D}.scale=1"], {"actor.distribution_cfg": {**LAPLACE, "scale": 0.5}}, "actor.distribution_cfg.scale", 1),
    (["--runner.actor.class-name", "my_model:Fourier", "--runner.actor.frequencies", "2"], {}, "actor.frequencies", 2),
    (["--runner.actor.class-name", "RNNModel", "--runner.actor.rnn-hidden-dim", "4"], {}, "actor.rnn_hidden_dim", 4),
    ([f"{A}.class-name", "my_ppo:CautiousPPO", f"{A}.caution", "0.25"], {}, "algorithm.caution", 0.25),
    ([f"{A}.class-name", "my_ppo:CautiousPPO"], {}, "algorithm.entropy_coef", 0.0),
    ([f"{A}.optimizer", "my_optimizer:SignDescent"], {}, "algorithm.optimizer", "my_optimizer:SignDescent"),
    (
        [f"{A}.symmetry-cfg", "data_augmentation_func=own_of_test:mirror", "use_mirror_loss=true"],
        {},
        "algorithm.symmetry_cfg",
        SYMMETRY,
    ),
    (
        [f"{A}.symmetry-cfg.data-augmentation-func", "own_of_test:mirror", f"{A}.symmetry-cfg.use-mirror-loss", "True"],
        *({}, "algorithm.symmetry_cfg", SYMMETRY),
    ),
    (
        [f"{A}.symmetry-cfg.mirror-loss-coeff", "1e-1"],
        {"algorithm.symmetry_cfg": SYMMETRY},
        "algorithm.symmetry_cfg.mirror_loss_coeff",
        0.1,
    ),
    ([f"{A}.symmetry-cfg", "None"], {"algorithm.symmetry_cfg": SYMMETRY}, "algorithm.symmetry_cfg", None),
    (
        [f"{A}.rnd-cfg", "num_outputs=2", "predictor_hidden_dims=[4]", "target_hidden_dims=[4]", "weight=1"],
        *({"obs_groups.rnd_state": ["policy"]}, "algorithm.rnd_cfg", RND),
    ),
    (
        [
            f"{A}.rnd-cfg.weight",
            "0.5",
            f"{A}.rnd-cfg.target-hidden-dims",
            "8",
            "--runner.obs-groups.rnd-state",
            "policy",
        ],
        *({"algorithm.rnd_cfg": RND}, "algorithm.rnd_cfg", {**RND, "weight": 0.5, "target_hidden_dims": [8]}),
    ),
    (["--runner.logger", "{class_name: 'own_of_test:Writer'}"], {}, "logger", {"class_name": "own_of_test:Writer"}),
    (["--runner.class-name", "own_of_test:Runner"], {}, "class_name", "own_of_test:Runner"),
]


@pytest.mark.parametrize(
    ("options", "changes", "place", "expected"), BY_FLAGS, ids=[" ".join(row[0]) for row in BY_FLAGS]
)
def test_every_extension_point_is_an_option(
    train: Callable[..., Any], options: list[str], changes: dict[str, Any], place: str, expected: Any
) -> None:
    found = train(changes, *options)
    for key in place.split("."):
        found = found[key]
    assert found == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([f"{A}.symmetry-cfg.data-augmentation-fun", "own_of_test:mirror"], "Did you mean 'data_augmentation_func'"),
        ([f"{D}.class-name", "my_distribution:Laplac"], "Did you mean 'Laplace'"),
        ([f"{A}.gama", "0.5"], "--runner.algorithm.gamma"),
        ([f"{A}.gamma", "1.5"], "'algorithm.gamma' must be from 0 to 1, got 1.5"),
        (["--num-envs", "0"], "'num_envs' must be at least 1, got 0"),
    ],
)
def test_options_that_are_wrong_are_named(
    train: Callable[..., Any], capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    with pytest.raises(SystemExit):
        train({}, *options)
    output = capsys.readouterr()
    assert message in re.sub(r"\s+", " ", output.out + output.err)
    assert not Path("run").exists()
