# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The training loop as its users drive it."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from tensordict import TensorDict

from rsl_rl.algorithms import PPO
from rsl_rl.runners import OnPolicyRunner
from tests.envs import PointEnv, point_config


def files(folder: Path, pattern: str = "model_*.pt") -> list[str]:
    return sorted(file.name for file in folder.glob(pattern))


def parameters(runner: OnPolicyRunner) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in [*runner.alg.actor.parameters(), *runner.alg.critic.parameters()]])


def test_learning_writes_the_documented_checkpoints(tmp_path: Path) -> None:
    runner = OnPolicyRunner(PointEnv(), point_config(), log_dir=str(tmp_path))
    runner.learn(6)
    assert runner.current_learning_iteration == 5
    assert files(tmp_path) == ["model_0.pt", "model_2.pt", "model_4.pt", "model_5.pt"]
    document = torch.load(tmp_path / "model_5.pt", weights_only=True)
    assert {"actor_state_dict", "critic_state_dict", "optimizer_state_dict", "iter", "infos"} <= set(document)
    assert document["iter"] == 5


def test_learning_again_goes_on_with_the_next_iteration(tmp_path: Path) -> None:
    runner = OnPolicyRunner(PointEnv(), point_config(), log_dir=str(tmp_path))
    runner.learn(2)
    runner.learn(2)
    assert runner.current_learning_iteration == 3
    assert files(tmp_path) == ["model_0.pt", "model_1.pt", "model_2.pt", "model_3.pt"]


def test_learning_improves_the_policy() -> None:
    torch.manual_seed(0)
    env = PointEnv(num_envs=64, max_episode_length=50)
    runner = OnPolicyRunner(env, point_config(num_learning_epochs=4) | {"num_steps_per_env": 25})
    runner.learn(4)
    before = sum(runner.logger.rewbuffer) / len(runner.logger.rewbuffer)
    runner.learn(60)
    after = sum(runner.logger.rewbuffer) / len(runner.logger.rewbuffer)
    assert after > before + 5.0


def test_caller_configuration_is_not_changed(tmp_path: Path) -> None:
    config = point_config()
    before = copy.deepcopy(config)
    runner = OnPolicyRunner(PointEnv(), config, log_dir=str(tmp_path))
    runner.learn(1)
    assert config == before
    assert runner.cfg["multi_gpu"] is None


def test_same_seed_gives_the_same_parameters_and_another_does_not() -> None:
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        runner = OnPolicyRunner(PointEnv(seed=seed), point_config())
        runner.learn(3)
        results.append(parameters(runner))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_checkpoint_round_trip(tmp_path: Path) -> None:
    runner = OnPolicyRunner(PointEnv(), point_config(), log_dir=str(tmp_path))
    runner.learn(3)
    runner.save(str(tmp_path / "own.pt"), infos={"curriculum": 0.5})
    other = OnPolicyRunner(PointEnv(), point_config(learning_rate=0.7))
    assert other.load(str(tmp_path / "own.pt")) == {"curriculum": 0.5}
    assert torch.equal(parameters(other), parameters(runner))
    assert (other.current_learning_iteration, other.alg.learning_rate) == (2, runner.alg.learning_rate)
    other.learn(1)
    assert other.current_learning_iteration == 3


def test_observations_of_an_environment_that_overwrites_its_buffers_survive() -> None:
    class Overwriting(PointEnv):
        """Returns the same tensors again and again."""

        def __init__(self) -> None:
            super().__init__()
            self._groups = TensorDict({"policy": torch.zeros(4, 2), "privileged": torch.zeros(4, 3)}, [4])
            self.returned: list[TensorDict] = []

        def get_observations(self) -> TensorDict:
            if not hasattr(self, "_groups"):
                return super().get_observations()
            self._groups.update_(super().get_observations())
            return self._groups

        def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
            self.returned.append(self._groups.clone())
            return super().step(actions)

    env = Overwriting()
    runner = OnPolicyRunner(env, point_config())
    recorded = {}
    update = runner.alg.update

    def spy() -> dict[str, float]:
        recorded.update({key: value.clone() for key, value in runner.alg.storage.observations.items()})
        return update()

    runner.alg.update = spy  # type: ignore[method-assign]
    runner.learn(1)
    for group in ("policy", "privileged"):
        assert torch.equal(recorded[group], torch.stack([obs[group] for obs in env.returned]))


class Faulty(PointEnv):
    """Gives one bad number in a chosen quantity in its fourth step, in environment 2."""

    def __init__(self, quantity: str, value: float) -> None:
        super().__init__()
        self._quantity, self._value, self._count = quantity, value, 0

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        obs, rewards, dones, extras = super().step(actions)
        dones = dones.float()
        if self._count == 3:
            {"rewards": rewards, "dones": dones, **dict(obs.items())}[self._quantity][2] = self._value
        self._count += 1
        return obs, rewards, dones, extras


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("quantity", ["policy", "privileged", "rewards", "dones"])
def test_non_finite_numbers_stop_the_run_before_the_update(quantity: str, value: float, tmp_path: Path) -> None:
    runner = OnPolicyRunner(Faulty(quantity, value), point_config(), log_dir=str(tmp_path))
    before = parameters(runner)
    name = quantity if quantity in ("rewards", "dones") else f"observation group '{quantity}'"
    with pytest.raises(
        ValueError, match=rf"{name}: steps? 3[-7]* of the rollout, 1 of 4 environments \(environment 2\)"
    ):
        runner.learn(1)
    assert torch.equal(parameters(runner), before)


def test_rewards_may_be_a_column(tmp_path: Path) -> None:
    class Column(PointEnv):
        def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
            obs, rewards, dones, extras = super().step(actions)
            return obs, rewards.unsqueeze(-1), dones, extras

    learned = []
    for env_class in (PointEnv, Column):
        torch.manual_seed(0)
        runner = OnPolicyRunner(env_class(), point_config(), log_dir=str(tmp_path / env_class.__name__))
        runner.learn(2)
        learned.append(parameters(runner))
    assert torch.equal(*learned)


def test_non_finite_final_observation_stops_the_run_only_where_an_episode_ended() -> None:
    class FaultyFinal(PointEnv):
        """Ends all episodes in step 2 of the second rollout; rows of ``final_obs`` are bad as chosen."""

        bad_step = 1

        def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
            obs, rewards, dones, extras = super().step(actions)
            extras["final_obs"] = self.get_observations()
            if dones.any() == (self.bad_step == 9):
                extras["final_obs"]["policy"][1] = torch.nan
            return obs, rewards, dones, extras

    OnPolicyRunner(FaultyFinal(), point_config()).learn(2)
    env = FaultyFinal()
    env.bad_step = 9  # the step in which all episodes time out
    with pytest.raises(ValueError, match=r"final observation group 'policy': step 1 of the rollout, 1 of 4"):
        OnPolicyRunner(env, point_config()).learn(2)


def test_check_for_nan_can_be_switched_off() -> None:
    runner = OnPolicyRunner(Faulty("rewards", torch.nan), point_config() | {"check_for_nan": False})
    with pytest.warns(UserWarning, match="mini-batches had a loss or gradient that is not finite"):
        runner.learn(1)


def test_stop_request_finishes_the_iteration_and_saves(tmp_path: Path) -> None:
    class Stopping(PointEnv):
        def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
            if runner.current_learning_iteration == 3:
                runner.request_stop()
            return super().step(actions)

    runner = OnPolicyRunner(Stopping(), point_config(), log_dir=str(tmp_path))
    runner.learn(100)
    assert runner.current_learning_iteration == 3
    assert files(tmp_path)[-1] == "model_3.pt"


def test_inference_policy_is_deterministic_and_training_goes_on(tmp_path: Path) -> None:
    runner = OnPolicyRunner(PointEnv(), point_config())
    runner.learn(1)
    policy = runner.get_inference_policy(device="cpu")
    obs = runner.env.get_observations()
    assert not policy.training
    assert torch.equal(policy(obs), policy(obs))
    runner.learn(1)
    assert runner.alg.actor.training


def test_inference_policy_for_another_device_is_a_copy() -> None:
    runner = OnPolicyRunner(PointEnv(), point_config())
    # Leaves tensors with a gradient history in the model, which a plain copy refuses.
    runner.alg.actor(runner.env.get_observations(), stochastic_output=True)
    policy = runner.get_inference_policy(device="meta")
    assert {parameter.device.type for parameter in policy.parameters()} == {"meta"}
    assert {parameter.device.type for parameter in runner.alg.actor.parameters()} == {"cpu"}


def test_exports_lie_where_asked(tmp_path: Path) -> None:
    runner = OnPolicyRunner(PointEnv(), point_config())
    runner.learn(1)
    runner.export_policy_to_jit(str(tmp_path / "a"))
    runner.export_policy_to_onnx(str(tmp_path / "b"), "mine.onnx")
    assert files(tmp_path, "*/*") == ["mine.onnx", "policy.pt"]
    obs = runner.env.get_observations()
    exported = torch.jit.load(tmp_path / "a" / "policy.pt")
    torch.testing.assert_close(exported(obs["policy"]), runner.get_inference_policy()(obs))


def test_client_subclasses_may_replace_save_and_load(tmp_path: Path) -> None:
    class Client(OnPolicyRunner):
        def save(self, path: str, infos: dict | None = None) -> None:
            document = self.alg.save() | {"iter": self.current_learning_iteration, "infos": {"mine": 1}}
            torch.save(document, path)
            self.logger.save_model(path, self.current_learning_iteration)

        def load(self, path: str, load_cfg=None, strict=True, map_location=None):
            document = torch.load(path, weights_only=False, map_location=map_location)
            if self.alg.load(document, load_cfg, strict):
                self.current_learning_iteration = document["iter"]
            return document["infos"]

    runner = Client(PointEnv(), point_config(), log_dir=str(tmp_path))
    runner.learn(1)
    assert Client(PointEnv(), point_config()).load(str(tmp_path / "model_0.pt")) == {"mine": 1}


def test_an_algorithm_subclass_with_options_of_its_own_is_found_by_name(tmp_path: Path) -> None:
    config = point_config() | {}
    config["algorithm"] = {"class_name": f"{__name__}:Bolder", "boldness": 3.0}
    runner = OnPolicyRunner(PointEnv(), config)
    assert isinstance(runner.alg, Bolder)
    assert runner.alg.boldness == 3.0
    runner.learn(1)


class Bolder(PPO):
    def __init__(self, *args, boldness: float = 1.0, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.boldness = boldness


def test_wrong_options_fail_at_the_door() -> None:
    config = point_config()
    config["actor"]["distribution_cfg"]["init_stdd"] = 1.0
    with pytest.raises(ValueError, match=r"no option 'init_stdd' \(in 'actor.distribution_cfg'\). Did you mean"):
        OnPolicyRunner(PointEnv(), config)
    with pytest.raises(ValueError, match="'actor' asks for the group 'polcy'"):
        OnPolicyRunner(PointEnv(), point_config() | {"obs_groups": {"actor": ["polcy"], "critic": ["policy"]}})


def test_the_precision_of_products_is_that_of_the_configuration() -> None:
    before = torch.get_float32_matmul_precision()
    try:
        OnPolicyRunner(PointEnv(), point_config())
        assert torch.get_float32_matmul_precision() == before
        OnPolicyRunner(PointEnv(), point_config() | {"matmul_precision": "high"})
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)
    with pytest.raises(TypeError, match="matmul_precision"):
        OnPolicyRunner(PointEnv(), point_config() | {"matmul_precision": "hihg"})
