# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""PPO beyond the reference cases: time-outs, state, options."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from tensordict import TensorDict

from rsl_rl.algorithms import PPO
from rsl_rl.env.finite_guard import FiniteGuard, StepOutcome
from rsl_rl.models import MLPModel
from rsl_rl.runners import OnPolicyRunner
from rsl_rl.storage import RolloutStorage
from tests.envs import PointEnv, point_config


def build(num_envs: int = 4, **algorithm: object) -> tuple[PPO, PointEnv]:
    env = PointEnv(num_envs)
    alg = PPO.construct_algorithm(env.get_observations(), env, point_config(**algorithm), "cpu")
    alg.train_mode()
    return alg, env


def rollout(alg: PPO, env: PointEnv, num_steps: int | None = None) -> TensorDict:
    """Collect a rollout, or so many steps of one; return the last observations."""
    with torch.inference_mode():
        obs = env.get_observations()
        for _ in range(num_steps or alg.storage.num_transitions_per_env):
            obs, rewards, dones, extras = env.step(alg.act(obs))
            alg.process_env_step(obs, rewards, dones, extras)
        if num_steps is None:
            alg.compute_returns(obs)
    return obs


def step_with(alg: PPO, extras: dict) -> tuple[torch.Tensor, torch.Tensor]:
    """Take one step with reward 1 and the given extras; return the stored rewards [N] and V(s_t) [N]."""
    obs = PointEnv(4, seed=1).get_observations()
    with torch.inference_mode():
        alg.act(obs)
        values = alg.critic(obs).flatten()
        alg.process_env_step(obs, torch.ones(4), torch.ones(4), extras)
    return alg.storage.rewards[alg.storage.step - 1].flatten(), values


TIME_OUTS = torch.tensor([True, False, True, False])


def test_time_out_bootstraps_with_the_value_of_the_observation_before_it() -> None:
    alg, _ = build()
    stored, values = step_with(alg, {"time_outs": TIME_OUTS})
    torch.testing.assert_close(stored, 1.0 + 0.99 * values * TIME_OUTS)


@pytest.mark.parametrize("as_dict", [True, False])
def test_time_out_bootstraps_with_the_final_observation(as_dict: bool) -> None:
    alg, _ = build()
    final_obs = PointEnv(4, seed=2).get_observations()
    # Rows that are not done may hold anything.
    final_obs["policy"][1] = torch.nan
    groups = dict(final_obs.items()) if as_dict else final_obs
    stored, values = step_with(alg, {"time_outs": TIME_OUTS, "final_obs": groups})
    final_values = alg.critic(final_obs).flatten().detach()
    expected = torch.where(TIME_OUTS, 1.0 + 0.99 * final_values, 1.0)
    torch.testing.assert_close(stored, expected)
    assert not torch.allclose(stored, 1.0 + 0.99 * values * TIME_OUTS)


def test_time_out_bootstraps_with_the_terminal_observation_of_the_finished_environments() -> None:
    alg, _ = build()
    final_obs = PointEnv(4, seed=2).get_observations()
    terminal = {"env_ids": torch.tensor([2]), "observations": final_obs[2:3]}
    stored, values = step_with(alg, {"time_outs": TIME_OUTS, "terminal": terminal})
    final_values = alg.critic(final_obs).flatten().detach()
    # Environment 0 timed out too, but its last observation was not given.
    expected = torch.tensor([1.0 + 0.99 * values[0], 1.0, 1.0 + 0.99 * final_values[2], 1.0])
    torch.testing.assert_close(stored, expected)


def objects(rows: list[Any]) -> np.ndarray:
    array = np.empty(len(rows), dtype=object)
    array[:] = rows
    return array


def infos_of_gymnasium(form: str) -> dict[str, Any]:
    """Return the last observations of the environments 0 and 2, as Gymnasium's infos have them, in float64."""
    final_obs: Any = {
        str(name): value.double().numpy() for name, value in PointEnv(4, seed=2).get_observations().items()
    }
    privileged, ended = final_obs["privileged"], np.array([True, False, True, False])
    rows = [{name: value[index] for name, value in final_obs.items()} if ended[index] else None for index in range(4)]
    bare = [privileged[index] if ended[index] else None for index in range(4)]
    garbage = np.where(ended[:, None], privileged, np.nan)
    return {
        "rows": {"final_obs": objects(rows), "_final_obs": ended},
        "rows of release 0.29": {"final_observation": objects(rows), "_final_observation": ended},
        "rows without a mask": {"final_obs": objects(rows), "final_info": objects([{}, None, {}, None])},
        "a list": {"final_obs": rows},
        "bare rows": {"final_obs": objects(bare)},
        "an array": {"final_obs": garbage},
        "an array with a mask": {"final_obs": garbage, "_final_obs": torch.from_numpy(ended)},
        "a tensor": {"final_obs": torch.from_numpy(garbage).float()},
        "arrays": {"final_obs": final_obs, "_final_obs": ended},
        "columns of objects": {"final_obs": {"privileged": objects(bare)}},
        "one tensor": {"final_obs": {"privileged": torch.from_numpy(garbage), "policy": final_obs["policy"]}},
        "terminal": {
            "terminal": {"env_ids": np.array([0, 2]), "observations": {n: v[ended] for n, v in final_obs.items()}}
        },
    }[form]


FORMS = [
    *("rows", "rows of release 0.29", "rows without a mask", "a list", "bare rows", "an array", "an array with a mask"),
    *("a tensor", "arrays", "columns of objects", "one tensor", "terminal"),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("is_watched", [False, True])
def test_time_out_bootstraps_with_the_final_observation_of_gymnasiums_infos(form: str, is_watched: bool) -> None:
    env = PointEnv(4)
    config = point_config()
    config["obs_groups"]["critic"] = ["privileged"]
    torch.manual_seed(0)
    alg: Any = OnPolicyRunner(env, config).alg
    obs, extras = env.get_observations(), {"time_outs": TIME_OUTS.numpy(), **infos_of_gymnasium(form)}
    outcome = StepOutcome(obs, torch.ones(4), TIME_OUTS.clone(), extras)
    alg.act(obs)
    if is_watched:
        guard = FiniteGuard(obs, 1, 4, "cpu")
        guard.record(*outcome)
        outcome = guard.cleaned(outcome)
        assert guard.check() is None
    alg.process_env_step(*outcome)
    final_values = alg.critic(PointEnv(4, seed=2).get_observations()).flatten().detach()
    torch.testing.assert_close(alg.storage.rewards[0, :, 0], torch.where(TIME_OUTS, 1.0 + 0.99 * final_values, 1.0))


@pytest.mark.parametrize(
    "final",
    [
        *(None, "x", 3, objects([None] * 4), [], {}, objects(["a"] * 4), objects([np.zeros(9)] * 4)),
        *(
            objects([np.zeros(2), None, np.zeros(3), None]),
            {"policy": np.array(["a"] * 4)},
            objects([{"policy": {}}] * 4),
        ),
    ],
    ids=str,
)
def test_what_is_no_final_observation_is_not_taken_for_one(final: Any) -> None:
    alg, _ = build()
    stored, values = step_with(alg, {"time_outs": TIME_OUTS, "final_obs": final})
    torch.testing.assert_close(stored, 1.0 + 0.99 * values * TIME_OUTS)


def test_final_observation_without_the_critics_groups_falls_back_and_says_so() -> None:
    alg, _ = build()
    final_obs = PointEnv(4, seed=2).get_observations().select("policy")
    with pytest.warns(UserWarning, match=r"lack the critic's groups \['privileged'\]"):
        stored, values = step_with(alg, {"time_outs": TIME_OUTS, "final_obs": final_obs})
    torch.testing.assert_close(stored, 1.0 + 0.99 * values * TIME_OUTS)


def test_rewards_and_extras_of_the_environment_are_not_edited() -> None:
    alg, env = build()
    obs, rewards = env.get_observations(), torch.ones(4)
    extras = {"time_outs": TIME_OUTS.clone(), "log": {"a": 1.0}}
    alg.act(obs)
    alg.process_env_step(obs, rewards, torch.zeros(4), extras)
    assert rewards.tolist() == [1.0] * 4
    assert sorted(extras) == ["log", "time_outs"]


def test_update_leaves_no_sample_out_of_the_random_stream() -> None:
    # The update draws the permutation and nothing else: samples it would throw away are not drawn.
    alg, env = build()
    rollout(alg, env)
    torch.manual_seed(0)
    alg.update()
    after = torch.get_rng_state()
    torch.manual_seed(0)
    torch.randperm(32)
    assert torch.equal(after, torch.get_rng_state())


def test_saved_state_goes_on_exactly() -> None:
    alg, env = build()
    rollout(alg, env)
    alg.update()
    saved = copy.deepcopy(alg.save())
    other, _ = build(learning_rate=0.5)
    assert other.load(saved, None, True)
    assert other.learning_rate == alg.learning_rate != 0.5
    for instance in (alg, other):
        torch.manual_seed(1)
        rollout(instance, PointEnv(4, seed=3))
        instance.update()
    for key, value in alg.actor.state_dict().items():
        assert torch.equal(value, other.actor.state_dict()[key]), key
    assert other.learning_rate == alg.learning_rate


def test_saved_optimizer_holds_plain_numbers_that_any_release_reads() -> None:
    alg, env = build()
    rollout(alg, env)
    alg.update()
    saved = alg.save()["optimizer_state_dict"]
    group = saved["param_groups"][0]
    assert type(group["lr"]) is float
    assert not group["fused"]
    parameters = [*alg.actor.parameters(), *alg.critic.parameters()]
    plain = torch.optim.Adam([torch.nn.Parameter(p.detach().clone()) for p in parameters])
    plain.load_state_dict(saved)
    plain.param_groups[0]["params"][0].grad = torch.ones_like(parameters[0])
    plain.step()


@pytest.mark.parametrize("optimizer", ["adam", "AdamW", "sgd", "rmsprop"])
def test_every_optimizer_follows_the_learning_rate(optimizer: str) -> None:
    alg, env = build(optimizer=optimizer, learning_rate=0.0, schedule="fixed")
    before = copy.deepcopy(alg.actor.state_dict())
    rollout(alg, env)
    alg.update()
    assert torch.equal(before["mlp.0.weight"], alg.actor.state_dict()["mlp.0.weight"])
    alg.learning_rate = 1e-2
    rollout(alg, env)
    alg.update()
    assert not torch.equal(before["mlp.0.weight"], alg.actor.state_dict()["mlp.0.weight"])
    assert alg.learning_rate == 1e-2


def test_a_learning_rate_written_into_the_optimizer_is_respected() -> None:
    alg, env = build(schedule="fixed")
    for group in alg.optimizer.param_groups:
        group["lr"] = 0.0
    before = copy.deepcopy(alg.actor.state_dict())
    rollout(alg, env)
    alg.update()
    assert torch.equal(before["mlp.0.weight"], alg.actor.state_dict()["mlp.0.weight"])
    assert alg.learning_rate == 0.0


def test_load_cfg_takes_only_the_parts_named() -> None:
    alg, _ = build()
    other, _ = build()
    critic = copy.deepcopy(other.critic.state_dict())
    assert not other.load(alg.save(), {"actor": True}, True)
    assert torch.equal(other.actor.state_dict()["mlp.0.weight"], alg.actor.state_dict()["mlp.0.weight"])
    assert torch.equal(other.critic.state_dict()["mlp.0.weight"], critic["mlp.0.weight"])
    with pytest.raises(ValueError, match="no part 'actr'. Did you mean 'actor'"):
        other.load(alg.save(), {"actr": True}, True)


def test_state_of_another_network_is_refused_and_nothing_changes() -> None:
    alg, env = build()
    config = point_config()
    config["critic"]["hidden_dims"] = [8, 16]
    other = PPO.construct_algorithm(env.get_observations(), env, config, "cpu")
    before = copy.deepcopy(other.actor.state_dict())
    with pytest.raises(ValueError, match=r"mlp.0.weight: the checkpoint has \[16, 5\], the critic needs \[8, 5\]"):
        other.load(alg.save(), None, True)
    assert all(torch.equal(value, other.actor.state_dict()[key]) for key, value in before.items())


def test_state_without_a_part_is_refused() -> None:
    alg, _ = build()
    saved = alg.save()
    del saved["optimizer_state_dict"]
    with pytest.raises(ValueError, match="no 'optimizer_state_dict'"):
        alg.load(saved, None, True)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"num_minibatches": 4}, ValueError, "PPO has no option 'num_minibatches'.*Did you mean 'num_mini_batches'"),
        ({"schedule": "adaptiv"}, TypeError, "'algorithm.schedule' must be 'adaptive' or 'fixed', got str: 'adaptiv'"),
        ({"learning_rate": "0.001"}, TypeError, "A number is expected, not text: write it without quotes"),
        ({"optimizer": "adamax"}, ValueError, "Unknown optimizer 'adamax'"),
        ({"desired_kl": -0.01}, ValueError, "'algorithm.desired_kl' must be finite and at least 0, got -0.01"),
        ({"num_learning_epochs": 0}, ValueError, "at least 1"),
        ({"share_cnn_encoders": True}, ValueError, "share_cnn_encoders needs CNN models, but the actor is a MLPModel"),
    ],
)
def test_wrong_options_are_named(options: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build(**options)


def test_samples_left_over_are_mentioned_at_the_start() -> None:
    with pytest.warns(UserWarning, match="2 of the 32 samples of every rollout are not learned from"):
        build(num_mini_batches=3)


def test_mixed_precision_computes_the_update_in_bfloat16() -> None:
    alg, _env = build(use_mixed_precision=True, schedule="fixed")
    reference, _ = build(schedule="fixed")
    reference.load(copy.deepcopy(alg.save()), None, True)
    results = []
    for instance in (alg, reference):
        torch.manual_seed(0)
        rollout(instance, PointEnv(4, seed=3))
        results.append(instance.update())
    assert results[0]["value"] != results[1]["value"]
    assert results[0]["value"] == pytest.approx(results[1]["value"], rel=0.05)
    assert all(math.isfinite(value) for value in results[0].values())


def test_models_with_a_forward_of_their_own_are_asked_through_it() -> None:
    class Shifted(MLPModel):
        def forward(self, obs, masks=None, hidden_state=None, stochastic_output=False):
            shifted = TensorDict({"policy": obs["policy"] + 1.0}, obs.batch_size)
            return super().forward(shifted, masks, hidden_state, stochastic_output)

    env = PointEnv(4)
    obs, groups = env.get_observations(), {"actor": ["policy"]}
    actor = Shifted(obs, groups, "actor", 1, distribution_cfg={"class_name": "GaussianDistribution"})
    expected = actor(obs)
    torch.testing.assert_close(actor.output_distribution(obs).mean, expected)


# -- what is computed for many steps at once ---------------------------------------------------------------------------


class AskedAtEachStep(PPO):
    """Looks at values and log-probabilities when the action is chosen."""

    def act(self, obs: TensorDict) -> torch.Tensor:
        actions = super().act(obs)
        assert self.transition.values.shape == (len(actions), 1)
        assert self.transition.actions_log_prob.shape == (len(actions),)
        return actions


class OwnValues(PPO):
    def act(self, obs: TensorDict) -> torch.Tensor:
        actions = super().act(obs)
        self.transition.values = torch.full((len(actions), 1), 7.0)
        return actions


class OwnTimeOuts(PPO):
    def value_at_time_outs(self, extras: Any) -> torch.Tensor:
        assert "log" in extras, "a rule may look at all that the environment says of a step"
        return extras["time_outs"] * 100.0


def rollout_of(algorithm: type[PPO], distribution: str, num_steps: int = 5, **models: Any) -> RolloutStorage:
    torch.manual_seed(0)
    cfg = point_config() | {"num_steps_per_env": num_steps}
    cfg |= {name: cfg[name] | models for name in ("actor", "critic")}
    cfg["actor"]["distribution_cfg"] = {"class_name": distribution}
    cfg["algorithm"] |= {"class_name": algorithm, "num_mini_batches": 2}
    # All time out in the third step.
    runner = OnPolicyRunner(PointEnv(4, max_episode_length=3), cfg)
    alg = runner.alg
    assert isinstance(alg, PPO)
    critic, calls = alg.critic, list[int]()
    critic.register_forward_hook(lambda module, args, output: calls.append(len(output)))
    rollout(alg, runner.env)
    alg.storage.calls = calls  # type: ignore[attr-defined]
    return alg.storage


@pytest.mark.parametrize(
    "distribution", ["GaussianDistribution", "HeteroscedasticGaussianDistribution", "BetaDistribution"]
)
def test_what_is_computed_for_many_steps_at_once_is_what_each_step_would_give(distribution: str) -> None:
    found, expected = rollout_of(PPO, distribution), rollout_of(AskedAtEachStep, distribution)
    # For what comes after the rollout, and of its 5 steps in 2 parts.
    assert found.calls == [4, 12, 8]  # type: ignore[attr-defined]
    assert expected.calls == [4] * 6  # type: ignore[attr-defined]
    for name in ("values", "actions_log_prob", "rewards", "returns", "advantages"):
        torch.testing.assert_close(
            getattr(found, name), getattr(expected, name), msg=lambda m, name=name: f"{name}: {m}"
        )
    assert (found.rewards != rollout_of(OwnTimeOuts, distribution).rewards).any()


@pytest.mark.parametrize("rnn_type", ["lstm", "gru"])
def test_of_recurrent_models_the_critic_is_asked_at_every_step_and_the_rest_is_computed_for_many(
    rnn_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, judge = list[int](), PPO.judge
    monkeypatch.setattr(PPO, "judge", lambda self, steps: sizes.append(len(steps.actions)) or judge(self, steps))
    models = {"class_name": "RNNModel", "rnn_type": rnn_type, "rnn_hidden_dim": 4}
    found = rollout_of(PPO, "GaussianDistribution", **models)
    assert sizes == [12, 8]
    expected = rollout_of(AskedAtEachStep, "GaussianDistribution", **models)
    assert found.calls == expected.calls == [4] * 6  # type: ignore[attr-defined]
    for name in ("values", "actions_log_prob", "rewards", "returns", "advantages"):
        torch.testing.assert_close(
            getattr(found, name), getattr(expected, name), msg=lambda m, name=name: f"{name}: {m}"
        )
    assert (found.rewards != rollout_of(OwnTimeOuts, "GaussianDistribution", **models).rewards).any()


def test_a_second_action_forgets_what_was_read_of_the_first() -> None:
    alg, env = build()
    obs, other = env.get_observations(), PointEnv(4, seed=3).get_observations()
    with torch.inference_mode():
        alg.act(obs)
        assert alg.transition.values.equal(alg.critic(obs))
        alg.act(other)
        alg.process_env_step(other, torch.zeros(4), torch.zeros(4), {})
    torch.testing.assert_close(alg.storage.values[0], alg.critic(other))


def test_a_failure_while_values_are_computed_leaves_them_lacking() -> None:
    alg, env = build()
    forward, calls, transition = alg.critic.forward, list[int](), alg.transition

    def failing(*args: Any, **kwargs: Any) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 3:
            raise torch.OutOfMemoryError("full")
        return forward(*args, **kwargs)

    alg.critic.forward = failing  # type: ignore[method-assign]
    with pytest.raises(torch.OutOfMemoryError):
        rollout(alg, env)
    assert alg.storage.values.abs().min() > 0
    assert alg.transition is transition


def test_a_copy_of_a_rollout_is_whole_and_holds_no_algorithm() -> None:
    alg, env = build()
    obs = rollout(alg, env, num_steps=2)
    alg.act(obs)
    document = pickle.dumps((alg.storage, alg.transition))
    assert b"PPO" not in document
    storage, transition = pickle.loads(document)
    assert storage.values.equal(alg.storage.values)
    assert transition.values.equal(alg.critic(obs))


def test_a_copy_of_an_algorithm_collects_as_the_original_does() -> None:
    (alg, env), (_, same) = build(), build()
    copied = copy.deepcopy(alg)
    for each, own_env in ((alg, env), (copied, same)):
        torch.manual_seed(0)
        rollout(each, own_env)
    assert copied.storage.values.equal(alg.storage.values)
    assert copied.storage.observations["policy"].equal(alg.storage.observations["policy"])


def test_two_algorithms_judge_their_own_steps_of_one_rollout() -> None:
    (alg, env), (other, _) = build(), build()
    other.storage = alg.storage
    obs = env.get_observations()
    with torch.inference_mode():
        for each in (alg, other):
            each.act(obs)
            each.process_env_step(obs, torch.zeros(4), torch.zeros(4), {})
    torch.testing.assert_close(alg.storage.values[0], alg.critic(obs))
    torch.testing.assert_close(alg.storage.values[1], other.critic(obs))


def test_values_that_a_subclass_sets_are_kept() -> None:
    storage = rollout_of(OwnValues, "GaussianDistribution")
    assert storage.values.unique().tolist() == [7.0]
    expected = rollout_of(PPO, "GaussianDistribution")
    torch.testing.assert_close(storage.actions_log_prob, expected.actions_log_prob)
    # With the value that was set: the time-outs of the third step are worth 0.99 * 7.
    torch.testing.assert_close(storage.rewards[:2], expected.rewards[:2])
    plain = expected.rewards[2] - 0.99 * expected.values[2]
    torch.testing.assert_close(storage.rewards[2], plain + 0.99 * 7.0)


def test_a_subclass_says_what_time_outs_are_worth() -> None:
    storage, plain = rollout_of(OwnTimeOuts, "GaussianDistribution"), rollout_of(PPO, "GaussianDistribution")
    expected = plain.rewards[2] - 0.99 * plain.values[2] + 0.99 * 100.0
    torch.testing.assert_close(storage.rewards[2], expected)


def test_a_schedule_may_return_a_number() -> None:
    class Constant(PPO):
        def adapt_learning_rate(self, rate: torch.Tensor, metrics: Any) -> Any:
            return 1e-4

    runner = OnPolicyRunner(PointEnv(), point_config(class_name=Constant, learning_rate=1e-3))
    runner.learn(1)
    assert runner.alg.learning_rate == pytest.approx(1e-4)
