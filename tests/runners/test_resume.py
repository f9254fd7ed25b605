# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""A resumed run is the run that was interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from rsl_rl.cli.main import main
from rsl_rl.cli.train import seed_everything
from rsl_rl.runners import OnPolicyRunner
from tests.algorithms.test_combinations import RND, CameraEnv, config, distillation_config
from tests.distributed.equivalence import negate
from tests.envs import PointEnv, point_config
from tests.processes import python
from tests.telemetry.test_logger import rows

ROOT = Path(__file__).parents[2]
SCHEDULE = {"mode": "linear", "initial_step": 0, "final_step": 120, "final_value": 1.0}
CURIOSITY = {**RND, "reward_normalization": True, "state_normalization": True, "weight_schedule": SCHEDULE}
MIRROR = {"data_augmentation_func": negate, "use_data_augmentation": True, "use_mirror_loss": True}
CONFIGS = {
    "mlp": config(),
    "log std, sgd": config(optimizer="sgd", schedule="fixed")
    | {"actor": {**config()["actor"], "distribution_cfg": {"class_name": "GaussianDistribution", "std_type": "log"}}},
    "heteroscedastic, rmsprop": config(distribution="HeteroscedasticGaussianDistribution", optimizer="rmsprop"),
    "beta": config(distribution="BetaDistribution"),
    "lstm": config("lstm", "gru"),
    "cnn": config("cnn", "cnn"),
    "critic's warm-up": config(critic_warmup_iterations=6),
    "rnd": config(rnd_cfg=CURIOSITY),
    "symmetry": config(symmetry_cfg=MIRROR),
    "equivariant": config("lstm", "gru", symmetry_cfg={"data_augmentation_func": negate, "equivariant": True}),
    "distillation": distillation_config("gru"),
}


def runner_of(cfg: dict, log_dir: Path, seed: int) -> OnPolicyRunner:
    seed_everything(seed, threads=1)
    env = CameraEnv(4)
    runner = OnPolicyRunner(env, cfg | {"logger": None, "save_interval": 5}, log_dir=str(log_dir))
    if hasattr(runner.alg, "teacher_loaded"):
        runner.alg.teacher_loaded = True
    return runner


def differences(one: Any, other: Any, place: str = "") -> list[str]:
    """Return where two documents differ in any bit."""
    if isinstance(one, torch.Tensor):
        same = isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
        return [] if same else [place]
    if isinstance(one, dict):
        if one.keys() != other.keys():
            return [f"{place}: {set(one) ^ set(other)}"]
        return [line for key in one for line in differences(one[key], other[key], f"{place}.{key}")]
    if isinstance(one, (list, tuple)):
        if len(one) != len(other):
            return [f"{place}: {len(one)} and {len(other)}"]
        return [
            line for i, (a, b) in enumerate(zip(one, other, strict=True)) for line in differences(a, b, f"{place}[{i}]")
        ]
    # Seconds are those of the machine.
    return [] if one == other or place.endswith("total_time") else [f"{place}: {one} and {other}"]


@pytest.mark.parametrize("kind", CONFIGS)
def test_interrupted_and_resumed_is_bit_for_bit_uninterrupted(kind: str, tmp_path: Path) -> None:
    runner_of(CONFIGS[kind], tmp_path / "whole", seed=1).learn(20)
    runner_of(CONFIGS[kind], tmp_path / "parts", seed=1).learn(10)
    resumed = runner_of(CONFIGS[kind], tmp_path / "parts", seed=2)
    resumed.load(str(tmp_path / "parts"))
    resumed.learn(10, init_at_random_ep_len=True)
    whole, parts = (torch.load(tmp_path / run / "model_19.pt", weights_only=True) for run in ("whole", "parts"))
    assert differences(whole, parts) == []
    # And every number that was logged on the way.
    tables = [
        [{tag: value for tag, value in row.items() if not tag.startswith("Perf/")} for row in rows(tmp_path / run)]
        for run in ("whole", "parts")
    ]
    assert tables[0] == tables[1]
    assert [int(row["iteration"]) for row in tables[1]] == list(range(20))


PROGRAM = """
import sys, torch
from pathlib import Path
torch.set_num_threads(1)
from tests.runners.test_resume import CONFIGS, runner_of
runner = runner_of(CONFIGS["lstm"], Path(sys.argv[1]), seed=int(sys.argv[2]))
if len(sys.argv) > 3:
    runner.load(sys.argv[3])
runner.learn(10)
"""


def test_a_new_process_goes_on_bit_for_bit(tmp_path: Path) -> None:
    runner_of(CONFIGS["lstm"], tmp_path / "whole", seed=1).learn(20)
    parts = tmp_path / "parts"
    for arguments in ([parts, 1], [parts, 2, parts]):
        done = python("-c", PROGRAM, *map(str, arguments))
        assert done.returncode == 0, done.stderr
    whole, resumed = (torch.load(folder / "model_19.pt", weights_only=True) for folder in (tmp_path / "whole", parts))
    assert differences(whole, resumed) == []


def test_the_command_line_goes_on_with_mujoco_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    train = ["train", "gym:Hopper-v5", "--num-envs", "3", "--runner.save-interval", "2", "--runner.logger", "none"]
    train += ["--export", "False"]
    main([*train, "--iterations", "6", "--run-dir", "whole"])
    main([*train, "--iterations", "3", "--run-dir", "parts"])
    # A kill after the checkpoint has left more rows than that knows of.
    Path("parts/model_2.pt").unlink()
    capsys.readouterr()
    main(["train", "--resume", "parts", "--iterations", "6", "--export", "False"])
    printed = capsys.readouterr().out
    assert "from iteration 1 to 6, into parts" in printed
    whole, parts = (torch.load(f"{run}/model_5.pt", weights_only=True) for run in ("whole", "parts"))
    assert differences(whole, parts) == []
    assert [int(row["iteration"]) for row in rows(tmp_path / "parts")] == list(range(6))
    main([*train, "--iterations", "6", "--run-dir", "parts", "--resume", "auto"])
    assert "parts is complete: 6 of 6 iterations" in capsys.readouterr().out


def test_looking_at_a_checkpoint_changes_neither_random_state_nor_environment(tmp_path: Path) -> None:
    runner_of(CONFIGS["mlp"], tmp_path, seed=1).learn(3)
    other = runner_of(CONFIGS["mlp"], tmp_path / "other", seed=2)
    state, obs = torch.get_rng_state(), other.env.get_observations().clone()
    other.load(str(tmp_path))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(other.env.get_observations()["policy"], obs["policy"])


def test_what_changed_since_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    OnPolicyRunner(PointEnv(), point_config(), log_dir=str(tmp_path)).learn(2)
    capsys.readouterr()
    other = OnPolicyRunner(PointEnv(6), point_config(entropy_coef=0.5, clip_param=0.1))
    other.load(str(tmp_path))
    printed = capsys.readouterr().out
    assert "algorithm.entropy_coef: (not set) -> 0.5" in printed
    assert "algorithm.clip_param: (not set) -> 0.1" in printed
    assert len(printed.splitlines()) == 3
    other.learn(1)
    printed = capsys.readouterr().out
    assert "episode statistics start anew: Episode statistics of 4 environments do not fit 6" in printed
    assert "the environments start new episodes: " in printed


@pytest.mark.filterwarnings("ignore:.*Checkpoints hold no state of the environments")
def test_without_a_state_of_the_environment_new_episodes_start(tmp_path: Path) -> None:
    class Forgetful(PointEnv):
        def state_dict(self) -> dict:
            raise NotImplementedError("it cannot")

    runner = OnPolicyRunner(Forgetful(), point_config(), log_dir=str(tmp_path))
    runner.learn(3)
    other = OnPolicyRunner(Forgetful(), point_config(), log_dir=str(tmp_path))
    other.load(str(tmp_path))
    other.learn(2)
    assert other.current_learning_iteration == 4
    # An episode that was interrupted is one with what came after, and none is longer than the time limit.
    assert max(other.logger.lenbuffer) == 10.0
    assert other.logger.tot_timesteps == 5 * 4 * 8
    assert other.logger.tot_time > runner.logger.tot_time


@pytest.mark.filterwarnings("ignore:.*is taken for the newest by its name")
def test_infos_and_curriculum_of_a_client_survive(tmp_path: Path) -> None:
    runner = OnPolicyRunner(PointEnv(), point_config(), log_dir=str(tmp_path))
    runner.learn(1)
    runner.save(str(tmp_path / "model_1.pt"), infos={"env_state": {"common_step_counter": 8}, "levels": [1, 2]})
    infos = OnPolicyRunner(PointEnv(), point_config()).load(str(tmp_path))
    assert infos == {"env_state": {"common_step_counter": 8}, "levels": [1, 2]}
