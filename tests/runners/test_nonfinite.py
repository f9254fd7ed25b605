# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""NaN and infinity from every side, at random times: training ends with finite numbers, or stops and shows why."""

from __future__ import annotations

import math
import random
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from tensordict import TensorDict

from rsl_rl.checkpoint import read_checkpoint
from rsl_rl.env import make_env
from rsl_rl.runners import OnPolicyRunner
from tests.algorithms.test_bad_updates import spoil_gradients
from tests.algorithms.test_combinations import RND, CameraEnv, config, distillation_config
from tests.distributed.equivalence import negate
from tests.envs import PointEnv, point_config
from tests.runners.test_on_policy_runner import parameters

CURIOSITY = {**RND, "reward_normalization": True, "state_normalization": True}
MIRROR = {"data_augmentation_func": negate, "use_data_augmentation": True, "use_mirror_loss": True}
CONFIGS = {
    "mlp": config(),
    "rnn": config("lstm", "gru"),
    "cnn": config("cnn", "cnn"),
    "rnd": config(rnd_cfg=CURIOSITY),
    "rnd, rnn": config("gru", "mlp", rnd_cfg=CURIOSITY),
    "symmetry": config(symmetry_cfg=MIRROR),
    "distillation": distillation_config("mlp"),
    "distillation, rnn": distillation_config("lstm"),
}
VALUES = [math.nan, math.inf, -math.inf]
PLACES = ["policy", "privileged", "camera", "rewards", "dones", "final_obs", "everything"]


class FaultyEnv(CameraEnv):
    """Gives bad numbers at random times, for one step or until the episode ends."""

    def __init__(self, places: list[str], share: float = 0.1, seed: int = 0) -> None:
        super().__init__(6, torch.float32, final="final_obs")
        self.max_episode_length = 12
        self._places, self._share, self._random = places, share, random.Random(seed)
        self._broken: dict[int, str] = {}

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        obs, rewards, dones, extras = super().step(actions)
        obs, dones = obs.clone(), dones.float()
        for index in dones.nonzero().flatten().tolist():
            self._broken.pop(index, None)
        if self._random.random() < self._share:
            self._broken[self._random.randrange(self.num_envs)] = self._random.choice(self._places)
        for index, place in list(self._broken.items()):
            value = self._random.choice(VALUES)
            if place == "everything":
                for target in (*obs.values(), rewards, dones):
                    target[index] = value
            elif place == "final_obs":
                extras["final_obs"]["policy"][index] = value
            else:
                {"rewards": rewards, "dones": dones, **dict(obs.items())}[place][index] = value
            if place in ("rewards", "dones") or self._random.random() < 0.5:
                del self._broken[index]
        return obs, rewards, dones, extras


def runner_of(kind: str, env: PointEnv, log_dir: Path | None = None, **options: Any) -> OnPolicyRunner:
    torch.manual_seed(0)
    cfg = CONFIGS[kind] | {"logger": None, "nonfinite": "recover"} | options
    runner = OnPolicyRunner(env, cfg, log_dir=str(log_dir) if log_dir else None)
    if hasattr(runner.alg, "teacher_loaded"):
        runner.alg.teacher_loaded = True
    return runner


def all_finite(runner: OnPolicyRunner) -> bool:
    tensors = [tensor for model in runner.alg.models().values() for tensor in model.state_dict().values()]
    tensors += [value for entry in runner.alg.optimizer.state.values() for value in entry.values()]
    hidden = runner.alg.get_policy().get_hidden_state()
    tensors += hidden if isinstance(hidden, tuple) else [] if hidden is None else [hidden]
    return all(bool(tensor.isfinite().all()) for tensor in tensors)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("place", PLACES)
def test_bad_numbers_of_an_environment_stay_out_of_what_is_learned(kind: str, place: str) -> None:
    runner = runner_of(kind, FaultyEnv([place], 0.3))
    runner.learn(6)
    assert all_finite(runner)
    assert runner.current_learning_iteration == 5
    # Not one mini-batch was bad: what must not be learned from never came there.
    assert runner.alg.metrics["Update/skipped"] == 0


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", CONFIGS)
def test_faults_everywhere_at_random_times_end_with_finite_numbers(kind: str) -> None:
    env = FaultyEnv(PLACES, 0.3, seed=1)
    runner, chance = runner_of(kind, env), random.Random(2)
    spoil_gradients(runner.alg, {chance.randrange(60) for _ in range(10)}, math.nan)
    update = runner.alg.update

    def faulty_update() -> dict[str, float]:
        if chance.random() < 0.3:
            entry = chance.choice([*runner.alg.optimizer.state.values(), {}])
            for value in entry.values():
                value.view(-1)[0] = chance.choice(VALUES)
        if chance.random() < 0.3:
            # Finite, but its square is not.
            runner.alg.storage.observations["policy"][0, 0] = 1e30
        if chance.random() < 0.2:
            runner.alg.storage.observations["privileged"][1, 1] = chance.choice(VALUES)
        return update()

    runner.alg.update = faulty_update  # type: ignore[method-assign]
    runner.learn(15)
    assert all_finite(runner)


def test_without_the_check_bad_numbers_stop_at_the_update() -> None:
    runner = runner_of("rnd", FaultyEnv(["rewards"], 1.0), check_for_nan=False)
    with pytest.warns(UserWarning, match="had a loss or gradient that is not finite"):
        runner.learn(3)
    assert all_finite(runner)


@pytest.mark.envpool
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_policy_still_learns_to_balance_a_cart_pole() -> None:
    env = make_env("envpool:CartpoleBalance-v1", num_envs=32, seed=1)
    chance, spoiled = random.Random(0), []
    step = env.step

    def faulty_step(actions: torch.Tensor) -> Any:
        obs, rewards, dones, extras = step(actions)
        if chance.random() < 0.05:
            obs, index = obs.clone(), chance.randrange(32)
            chance.choice([rewards, obs["position"], obs["velocity"]])[index] = chance.choice(VALUES)
            spoiled.append(index)
        return obs, rewards, dones, extras

    env.step = faulty_step  # type: ignore[method-assign]
    cfg = point_config(entropy_coef=0.0, num_learning_epochs=5, num_mini_batches=4)
    cfg |= {"num_steps_per_env": 64, "logger": None, "nonfinite": "recover"}
    cfg["obs_groups"] = {name: ["position", "velocity"] for name in ("actor", "critic")}
    for model in (cfg["actor"], cfg["critic"]):
        model |= {"hidden_dims": [64, 64]}
    torch.manual_seed(1)
    runner = OnPolicyRunner(env, cfg)
    runner.learn(10, init_at_random_ep_len=True)
    before = sum(runner.logger.rewbuffer) / len(runner.logger.rewbuffer)
    runner.learn(50)
    assert len(spoiled) > 100
    assert all_finite(runner)
    # Without faults it comes from about 130 to 300 in this time.
    assert sum(runner.logger.rewbuffer) / len(runner.logger.rewbuffer) > 2 * before


def test_what_comes_before_a_bad_step_is_worth_what_it_was_worth() -> None:
    class Bad(PointEnv):
        steps = 0

        def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
            obs, rewards, dones, extras = super().step(actions)
            if self.steps == 4:
                obs["policy"][1, 0] = math.nan
            self.steps += 1
            return obs, rewards, dones, extras

    runner = OnPolicyRunner(Bad(), point_config() | {"nonfinite": "recover"})
    storage, kept = runner.alg.storage, {}

    def look() -> dict[str, float]:
        for name in ("rewards", "values", "returns", "dones", "actions"):
            kept[name] = getattr(storage, name)[..., 0].clone()
        kept["observations"] = storage.observations["policy"].clone()
        storage.clear()
        return {}

    runner.alg.update = look  # type: ignore[method-assign]
    runner.logger.log = lambda **_: None  # type: ignore[method-assign]
    with pytest.warns(UserWarning, match=r"2 transitions are left out.*\n.*'policy': step 4 .* \(environment 1\)"):
        runner.learn(1)
    # Step 4 of environment 1 ended badly, step 5 began so: both are copies now, and cut from their neighbours.
    assert kept["dones"][:, 1].tolist()[3:6] == [1, 1, 1]
    bad = [(4, 1), (5, 1)]
    good = [(t, n) for t in range(8) for n in range(4) if (t, n) not in bad]
    for t, n in bad:
        twins = [(s, m) for s, m in good if torch.equal(kept["observations"][s, m], kept["observations"][t, n])]
        assert len(twins) == 1
        assert all(kept[name][t, n] == kept[name][twins[0]] for name in ("rewards", "values", "returns", "actions"))
    # Step 3 is worth its reward and what step 4 was expected to be worth: r + gamma * V, nothing of what came after.
    own = OnPolicyRunner(PointEnv(), point_config())
    own.alg.actor.load_state_dict(runner.alg.actor.state_dict())
    own.alg.critic.load_state_dict(runner.alg.critic.state_dict())
    env, chosen = PointEnv(), kept["actions"].unsqueeze(-1)
    obs = env.get_observations()
    for t in range(4):
        obs, rewards, _, _ = env.step(chosen[t])
    expected = rewards[1] + 0.99 * own.alg.critic(obs)[1, 0]
    assert kept["returns"][3, 1].item() == pytest.approx(expected.item(), abs=1e-5)


@pytest.mark.filterwarnings("ignore:The environment returned NaN")
def test_an_environment_that_stays_broken_is_asked_to_end_its_episode() -> None:
    class Broken(PointEnv):
        """Environment 2 gives nothing but NaN until its episode is over."""

        broken = True

        def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
            obs, rewards, dones, extras = super().step(actions)
            self.broken &= not bool(extras["time_outs"][2])
            if self.broken:
                obs["policy"][2] = math.nan
            return obs, rewards, dones, extras

    env = Broken(max_episode_length=1000)
    runner = OnPolicyRunner(env, point_config() | {"nonfinite": "recover"})
    with pytest.warns(UserWarning, match="NaN or infinite numbers in iteration 0; 8 transitions are left out"):
        runner.learn(2)
    assert not env.broken
    assert env.episode_length_buf.tolist()[0] == 16  # the others went on


@pytest.mark.filterwarnings("ignore:The environment returned NaN")
def test_rollouts_without_anything_to_learn_from_change_nothing_and_end_the_run_at_last() -> None:
    class Dead(PointEnv):
        def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
            obs, rewards, dones, extras = super().step(actions)
            return obs, rewards * math.nan, dones, extras

    runner = OnPolicyRunner(Dead(), point_config() | {"nonfinite": "recover"})
    before = parameters(runner)
    with (
        pytest.warns(UserWarning, match="NaN or infinite numbers in iteration 7"),
        pytest.raises(ValueError, match="For 10 rollouts no environment has returned finite"),
    ):
        runner.learn(20)
    assert torch.equal(parameters(runner), before)
    assert runner.current_learning_iteration == 9


@pytest.mark.parametrize("mode", ["raise", "recover"])
def test_bad_numbers_before_the_first_step(mode: str) -> None:
    class BadStart(PointEnv):
        def __init__(self) -> None:
            super().__init__()
            self._state[3, 0] = math.nan

    runner = OnPolicyRunner(BadStart(), point_config() | {"nonfinite": mode})
    if mode == "raise":
        with pytest.raises(ValueError, match=r"before the first step, in 1 of 4 environments \(\[3\]\)"):
            runner.learn(1)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            runner.learn(3)
        assert all_finite(runner)


@pytest.mark.parametrize("iteration", [0, 3])
def test_the_offending_step_and_the_policy_are_kept(iteration: int, tmp_path: Path) -> None:
    class Bad(PointEnv):
        steps = 0

        def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
            obs, rewards, dones, extras = super().step(actions)
            if self.steps == 8 * iteration + 5:
                self.before, self.actions = self.last.clone(), actions.clone()
                obs["privileged"][2, 1] = math.inf
            self.steps += 1
            self.last = obs["policy"]
            return obs, rewards, dones, extras

    env = Bad()
    runner = OnPolicyRunner(env, point_config() | {"save_interval": 100, "logger": None}, log_dir=str(tmp_path))
    with pytest.raises(ValueError, match=f"in iteration {iteration}; the update was not made") as error:
        runner.learn(10)
    message = str(error.value)
    assert "observation group 'privileged': step 5 of the rollout, 1 of 4 environments (environment 2)" in message
    dump = read_checkpoint(tmp_path / f"nonfinite_{iteration}.pt")
    assert str(tmp_path / f"nonfinite_{iteration}.pt") in message
    assert (dump["iteration"], dump["step"], dump["environments"]) == (iteration, 5, [2])
    assert torch.equal(dump["observations"]["policy"][0], env.before[2])
    assert torch.equal(dump["actions"][0], env.actions[2])
    assert dump["next_observations"]["privileged"][0, 1] == math.inf
    saved = dump["checkpoint"] if iteration == 0 else read_checkpoint(tmp_path / f"model_{iteration - 1}.pt")
    actor = runner.alg.actor.state_dict()
    assert all(torch.equal(saved["actor_state_dict"][key], value) for key, value in actor.items())
    if iteration:
        other = OnPolicyRunner(PointEnv(), point_config(), log_dir=str(tmp_path / "other"))
        other.load(str(tmp_path))
        other.learn(1)
        assert other.current_learning_iteration == iteration


def test_a_runaway_is_said_with_numbers_and_the_checkpoint_before_it_is_kept(tmp_path: Path) -> None:
    class Scale(PointEnv):
        steps = 0

        def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
            obs, rewards, dones, extras = super().step(actions)
            self.steps += 1
            return obs, rewards * (1e3 if self.steps > 8 * 20 else 1.0), dones, extras

    cfg = point_config() | {"logger": None, "save_interval": 5, "keep_checkpoints": 1}
    runner = OnPolicyRunner(Scale(), cfg, log_dir=str(tmp_path))
    with pytest.warns(
        UserWarning, match=r"Iteration 20: .*value loss .*\(median of the last 20 iterations: "
    ) as caught:
        runner.learn(50)
    told = [str(warning.message) for warning in caught if "value loss" in str(warning.message)]
    assert len(told) == 1
    assert "before_runaway_20.pt" in told[0]
    assert read_checkpoint(tmp_path / "before_runaway_20.pt")["iter"] == 15
