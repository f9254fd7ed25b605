# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""PPO and distillation with every kind of model, at unusual sizes, types and precisions."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tensordict import TensorDict

from rsl_rl.algorithms import PPO, Distillation
from rsl_rl.models import CNNModel, MLPModel, RNNModel
from rsl_rl.runners import OnPolicyRunner
from tests.envs import PointEnv, point_config

MODELS: dict[str, dict[str, Any]] = {
    "mlp": {},
    "lstm": {"class_name": "RNNModel", "rnn_type": "lstm", "rnn_hidden_dim": 6},
    "gru": {"class_name": "RNNModel", "rnn_type": "gru", "rnn_hidden_dim": 6, "rnn_num_layers": 2},
    "cnn": {"class_name": "CNNModel", "cnn_cfg": {"output_channels": [2], "kernel_size": 3, "stride": 2}},
}
RND = {"num_outputs": 2, "predictor_hidden_dims": [8], "target_hidden_dims": [8], "weight": 10.0}


class CameraEnv(PointEnv):
    """The point with a picture of where it is; every buffer is overwritten by the next step."""

    def __init__(
        self,
        num_envs: int = 4,
        image_type: torch.dtype = torch.uint8,
        final: str | None = None,
        device: str = "cpu",
    ) -> None:
        super().__init__(num_envs, max_episode_length=3, device=device)
        self.unwrapped = SimpleNamespace(step_dt=0.1)
        self.final = final
        groups = dict(super().get_observations().items())
        self.buffers = TensorDict(
            {**groups, "camera": torch.zeros(num_envs, 1, 6, 6, dtype=image_type, device=device)}, [num_envs]
        )

    def get_observations(self) -> TensorDict:
        for key, value in super().get_observations().items():
            self.buffers[key].copy_(value)
        picture = torch.linspace(-3, 3, 36, device=self.device).view(6, 6) > self._state[:, :1, None, None]
        scale = 255 if self.buffers["camera"].dtype == torch.uint8 else 1
        self.buffers["camera"].copy_(picture * scale)
        return self.buffers

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        self.episode_length_buf[0] += 1  # The first environment ends at other moments than the rest.
        obs, rewards, dones, extras = super().step(actions)
        last = obs.clone()
        if self.final == "final_obs":
            extras["final_obs"] = dict(last.items())
        elif self.final == "terminal":
            env_ids = dones.nonzero().flatten()
            extras["terminal"] = {"env_ids": env_ids, "observations": last[env_ids]}
        return obs, rewards, dones, extras


def config(
    actor: str = "mlp", critic: str = "mlp", distribution: str = "GaussianDistribution", **algorithm: Any
) -> dict:
    cfg = point_config(**algorithm)
    del cfg["actor"]["distribution_cfg"]
    cfg["actor"] |= {**MODELS[actor], "distribution_cfg": {"class_name": distribution}}
    cfg["critic"] = {**cfg["critic"], **MODELS[critic]}
    cfg["obs_groups"] = {
        "actor": ["policy", *(["camera"] if actor == "cnn" else [])],
        "critic": ["policy", *(["camera"] if critic == "cnn" else ["privileged"])],
        "rnd_state": ["privileged"],
    }
    return cfg


def distillation_config(student: str, **algorithm: Any) -> dict:
    cfg = config(student, "mlp")
    cfg["student"], cfg["teacher"] = cfg.pop("actor"), cfg.pop("critic")
    cfg["obs_groups"] = {"student": cfg["obs_groups"]["actor"], "teacher": ["policy", "privileged"]}
    return cfg | {"algorithm": {"class_name": "Distillation", "gradient_length": 3, **algorithm}}


def build(env: PointEnv, cfg: dict) -> Any:
    torch.manual_seed(0)
    algorithm = {"PPO": PPO, "Distillation": Distillation}[cfg["algorithm"]["class_name"]]
    alg = algorithm.construct_algorithm(env.get_observations(), env, cfg, "cpu")
    alg.train_mode()
    return alg


def rollout(alg: Any, env: PointEnv, inference: bool = True) -> None:
    with torch.inference_mode(inference):
        obs = env.get_observations()
        for _ in range(alg.storage.num_transitions_per_env):
            obs, rewards, dones, extras = env.step(alg.act(obs))
            alg.process_env_step(obs, rewards, dones, extras)
        alg.compute_returns(obs)


def train(alg: Any, env: PointEnv, iterations: int = 2, inference: bool = True) -> dict[str, float]:
    """Learn, and make sure that it changes something and nothing becomes infinite."""
    policy = alg.get_policy()
    before = copy.deepcopy(policy.state_dict())
    losses: dict[str, float] = {}
    for _ in range(iterations):
        rollout(alg, env, inference)
        losses = alg.update()
        assert all(math.isfinite(loss) for loss in losses.values())
    assert all(value.isfinite().all() for value in policy.state_dict().values())
    assert not torch.equal(before["mlp.0.weight"], policy.state_dict()["mlp.0.weight"])
    return losses


# -- models --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("critic", MODELS)
@pytest.mark.parametrize("actor", MODELS)
def test_every_actor_learns_with_every_critic(actor: str, critic: str) -> None:
    env = CameraEnv(final="terminal")
    train(build(env, config(actor, critic, rnd_cfg=RND)), env)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("inference", [True, False], ids=["inference mode", "with gradients"])
def test_a_rollout_may_be_collected_with_or_without_inference_mode(model: str, inference: bool) -> None:
    env = CameraEnv()
    train(build(env, config(model, model)), env, 3, inference)
    train(build(env, distillation_config(model)), env, 3, inference)


def test_acting_keeps_no_history_of_gradients() -> None:
    env = CameraEnv()
    alg = build(env, config("gru", "lstm"))
    rollout(alg, env, inference=False)
    assert alg.actor.get_hidden_state().grad_fn is None
    assert alg.critic.get_hidden_state()[0].grad_fn is None
    student = build(env, distillation_config("gru"))
    rollout(student, env, inference=False)
    assert student.student.get_hidden_state().grad_fn is None


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("num_envs", "num_steps", "mini_batches"), [(1, 6, 1), (4, 1, 2), (5, 3, 2)])
def test_small_and_indivisible_rollouts(model: str, num_envs: int, num_steps: int, mini_batches: int) -> None:
    env = CameraEnv(num_envs)
    cfg = config(model, model, num_mini_batches=mini_batches) | {"num_steps_per_env": num_steps}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* are not learned from")
        train(build(env, cfg), env)


def test_mini_batches_of_one_sample_destroy_nothing() -> None:
    env = CameraEnv(2)
    cfg = config(num_mini_batches=2, normalize_advantage_per_mini_batch=True) | {"num_steps_per_env": 1}
    alg = build(env, cfg)
    rollout(alg, env)
    alg.update()
    assert all(parameter.isfinite().all() for parameter in alg.actor.parameters())


# -- types and precision -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("image_type", [torch.uint8, torch.float16, torch.bfloat16, torch.float64, torch.bool])
def test_images_of_any_type_are_stored_as_they_are_and_learned_from(image_type: torch.dtype, mixed: bool) -> None:
    env = CameraEnv(image_type=image_type)
    alg = build(env, config("cnn", "cnn", use_mixed_precision=mixed))
    train(alg, env)
    assert alg.storage.observations["camera"].dtype == image_type
    reference = CameraEnv()
    actions = alg.actor(CameraEnv(image_type=image_type).get_observations())
    torch.testing.assert_close(actions, alg.actor(reference.get_observations()), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("model", MODELS)
def test_distillation_in_mixed_precision_goes_on_over_rollouts(model: str) -> None:
    env = CameraEnv()
    alg, reference = (build(env, distillation_config(model, use_mixed_precision=mixed)) for mixed in (True, False))
    losses = [train(instance, CameraEnv(), 3)["behavior"] for instance in (alg, reference)]
    assert losses[0] == pytest.approx(losses[1], rel=0.2)
    state = alg.student.get_hidden_state()
    for part in state if isinstance(state, tuple) else (state,):
        assert part is None or part.dtype == torch.float32


@pytest.mark.parametrize(
    "distribution", ["GaussianDistribution", "HeteroscedasticGaussianDistribution", "BetaDistribution"]
)
@pytest.mark.parametrize("model", ["mlp", "lstm", "cnn"])
def test_mixed_precision_learns_much_the_same(model: str, distribution: str) -> None:
    results = []
    for mixed in (True, False):
        options: dict[str, Any] = {"use_mixed_precision": mixed, "rnd_cfg": RND, "schedule": "fixed"}
        env = CameraEnv()
        alg = build(env, config(model, model, distribution, **options))
        assert alg.use_mixed_precision == mixed
        results.append(train(alg, env, 1))
    for name in ("value", "entropy", "rnd"):
        assert results[0][name] == pytest.approx(results[1][name], rel=0.05), name


@pytest.mark.parametrize("distribution", ["HeteroscedasticGaussianDistribution", "BetaDistribution"])
def test_densities_of_autocast_outputs_are_computed_in_float32(distribution: str) -> None:
    model = build(CameraEnv(), config("mlp", "mlp", distribution)).actor
    raw = torch.randn(5, 2, 1)
    low = model.distribution.given(raw.bfloat16())
    full = model.distribution.given(raw.bfloat16().float())
    assert all(param.dtype == torch.float32 for param in low.params)
    torch.testing.assert_close(low.entropy, full.entropy)


# -- time-outs -----------------------------------------------------------------------------------------------------


def test_final_observations_without_the_critics_images_fall_back_and_say_so() -> None:
    env = CameraEnv()
    alg = build(env, config("mlp", "cnn"))
    alg.act(env.get_observations())
    values = alg.transition.values.flatten()
    final = env.get_observations().select("policy", "privileged")
    time_outs = torch.tensor([True, False, True, False])
    for extras in ({"final_obs": final}, {"terminal": {"env_ids": torch.tensor([0]), "observations": final[:1]}}):
        with pytest.warns(UserWarning, match=r"lack the critic's groups \['camera'\]"):
            bootstrapped = alg.value_at_time_outs({"time_outs": time_outs, **extras})
        torch.testing.assert_close(bootstrapped, torch.where(time_outs, values, 0.0))


@pytest.mark.parametrize("rnn_type", ["lstm", "gru"])
def test_some_environments_are_valued_with_their_own_memory(rnn_type: str) -> None:
    alg = build(CameraEnv(), config("mlp", rnn_type))
    critic = alg.critic
    observations = [PointEnv(4, seed=seed).get_observations() for seed in range(3)]
    with torch.no_grad():
        for obs in observations[:2]:
            critic(obs)
        memory = critic.get_hidden_state()
        chosen = torch.tensor([3, 1])
        values = alg._value_without_memory(observations[2][chosen], chosen)
        assert critic.get_hidden_state() is memory
        torch.testing.assert_close(values, critic(observations[2])[chosen])


def test_a_critic_may_ask_for_the_batch_size() -> None:
    class Counting(MLPModel):
        def get_latent(self, obs: Any, masks: Any = None, hidden_state: Any = None) -> torch.Tensor:
            assert obs.batch_size[0] > 0
            return super().get_latent(obs.select(*self.obs_groups), masks, hidden_state)

    env = CameraEnv(final="final_obs")
    cfg = config()
    cfg["critic"]["class_name"] = Counting
    train(build(env, cfg), env)


# -- state ---------------------------------------------------------------------------------------------------------


def shared_encoders() -> tuple[PPO, CameraEnv]:
    env = CameraEnv()
    return build(env, config("cnn", "cnn", share_cnn_encoders=True)), env


def test_shared_encoders_are_one_after_saving_and_loading() -> None:
    alg, env = shared_encoders()
    train(alg, env)
    saved = copy.deepcopy(alg.save())
    other, _ = shared_encoders()
    other.load(saved)
    for key, value in saved["critic_state_dict"].items():
        assert torch.equal(value, other.critic.state_dict()[key])
    weight = next(iter(other.actor.cnns.parameters()))  # type: ignore[union-attr]
    assert weight is next(iter(other.critic.cnns.parameters()))  # type: ignore[union-attr]
    assert sum(parameter is weight for parameter in other.optimizer.param_groups[0]["params"]) == 1
    for instance in (alg, other):
        torch.manual_seed(1)
        train(instance, CameraEnv(), 1)
    assert torch.equal(alg.actor.state_dict()["mlp.0.weight"], other.actor.state_dict()["mlp.0.weight"])


def test_encoders_are_not_shared_with_a_critic_without_images() -> None:
    with pytest.raises(ValueError, match="share_cnn_encoders needs CNN models, but the critic is a MLPModel"):
        build(CameraEnv(), config("cnn", "mlp", share_cnn_encoders=True))


def test_an_optimizer_that_holds_shared_encoders_twice_is_loaded() -> None:
    alg, env = shared_encoders()
    # As release 5.5.1 does: torch counts the second occurrence, so that the indices behind it have gaps.
    parameters = [*alg.actor.parameters(), *alg.critic.parameters()]
    with pytest.warns(UserWarning, match="duplicate parameters"):
        twice = torch.optim.Adam(parameters)
    for index, parameter in enumerate(parameters):
        parameter.grad = torch.full_like(parameter, float(index + 1))
    twice.step()
    other, _ = shared_encoders()
    other.load({**alg.save(), "optimizer_state_dict": twice.state_dict()})
    for parameter, loaded in zip(parameters, [*other.actor.parameters(), *other.critic.parameters()], strict=True):
        expected = twice.state[parameter]["exp_avg"]
        assert torch.equal(other.optimizer.state[loaded]["exp_avg"], expected)
    train(other, env, 1)


@pytest.mark.parametrize(
    ("saved", "own"), [("adam", "sgd"), ("sgd", "adam"), ("adam", "rmsprop"), ("rmsprop", "sgd"), ("sgd", "rmsprop")]
)
def test_the_state_of_another_kind_of_optimizer_is_refused_or_left(saved: str, own: str) -> None:
    env = CameraEnv()
    alg, other = build(env, config(optimizer=saved)), build(env, config(optimizer=own, learning_rate=2e-3))
    train(alg, env)
    state = copy.deepcopy(alg.save())
    before = copy.deepcopy(other.actor.state_dict())
    with pytest.raises(ValueError, match="another kind than this"):
        other.load(state)
    assert all(torch.equal(value, other.actor.state_dict()[key]) for key, value in before.items())
    other.load(state, strict=False)
    assert "optimizer: starts anew, it does not fit" in other.load_report
    assert other.learning_rate == 2e-3
    train(other, env)


def test_curiosity_goes_on_with_another_number_of_environments() -> None:
    cfg = config(rnd_cfg={**RND, "reward_normalization": True})
    few, many = CameraEnv(4), CameraEnv(6)
    alg, other = build(few, cfg), build(many, cfg)
    train(alg, few)
    other.load(copy.deepcopy(alg.save()))
    train(other, many)


def test_a_predictor_of_other_sizes_changes_nothing_when_it_is_refused() -> None:
    env = CameraEnv()
    alg, other = build(env, config(rnd_cfg=RND)), build(env, config(rnd_cfg={**RND, "predictor_hidden_dims": [9]}))
    train(alg, env)
    state, before = copy.deepcopy(alg.save()), copy.deepcopy(other.actor.state_dict())
    with pytest.raises(ValueError, match=r"predictor.0.weight: the checkpoint has \[8, 3\], the rnd needs \[9, 3\]"):
        other.load(state)
    # The networks fit and the optimizer does not.
    fitting = {**state, "rnd_optimizer_state_dict": other.rnd.optimizer.state_dict()}
    fitting["rnd_optimizer_state_dict"]["param_groups"] = []
    with pytest.raises(ValueError, match="RND optimizer"):
        build(env, config(rnd_cfg=RND)).load(fitting)
    with pytest.raises(ValueError, match="RND optimizer"):
        alg.load(fitting)
    assert all(torch.equal(value, other.actor.state_dict()[key]) for key, value in before.items())
    other.load(state, strict=False)
    assert "rnd: the optimizer starts anew" in other.load_report
    train(other, env)


def test_a_checkpoint_without_curiosity_says_that_it_starts_anew() -> None:
    env = CameraEnv()
    alg = build(env, config(rnd_cfg=RND))
    alg.load(build(env, config()).save())
    assert "rnd: not in the checkpoint, it starts anew" in alg.load_report
    without = build(env, config())
    without.load(alg.save())
    assert without.load_report[-1] == "rnd: not taken, this run has none"


# -- the rest ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("distribution", ["GaussianDistribution", "BetaDistribution"])
@pytest.mark.parametrize("actor", ["mlp", "lstm"])
def test_the_warm_up_does_not_drive_the_learning_rate(actor: str, distribution: str) -> None:
    env = CameraEnv()
    alg = build(env, config(actor, "mlp", distribution, critic_warmup_iterations=2, use_mixed_precision=True))
    for _ in range(2):
        rollout(alg, env)
        alg.update()
        assert alg.learning_rate == 1e-3
    train(alg, env)
    assert alg.learning_rate != 1e-3


@pytest.mark.parametrize("edge", [-1.0, 1.0])
def test_actions_at_the_ends_of_a_beta_distribution_are_learned_from(edge: float) -> None:
    env = CameraEnv()
    alg = build(env, config("mlp", "mlp", "BetaDistribution"))
    rollout(alg, env)
    alg.storage.actions.fill_(edge)
    assert all(math.isfinite(loss) for loss in alg.update().values())
    assert all(parameter.isfinite().all() for parameter in alg.actor.parameters())


@pytest.mark.parametrize("model", ["lstm", "gru"])
def test_the_policy_to_deploy_has_forgotten_the_training(model: str) -> None:
    runner = OnPolicyRunner(CameraEnv(4), config(model, model))
    runner.learn(1)
    policy = runner.get_inference_policy()
    actions = policy(CameraEnv(2).get_observations())  # Of another number, and with gradients.
    fresh = copy.deepcopy(runner.alg.actor.state_dict())
    other = OnPolicyRunner(CameraEnv(2), config(model, model))
    other.alg.actor.load_state_dict(fresh)
    torch.testing.assert_close(actions, other.get_inference_policy()(CameraEnv(2).get_observations()))


@pytest.mark.parametrize("num_envs", [2, 4])
def test_training_goes_on_after_the_policy_was_evaluated_elsewhere(num_envs: int) -> None:
    runner = OnPolicyRunner(CameraEnv(4), config("lstm", "lstm"))
    runner.learn(1)
    policy = runner.get_inference_policy()
    for _ in range(2):  # The caller may keep the policy.
        policy.reset()
        with torch.inference_mode():
            policy(CameraEnv(num_envs).get_observations())
        first: list[Any] = []
        act = runner.alg.act
        runner.alg.act = lambda obs, act=act, first=first: first.append(policy.get_hidden_state()) or act(obs)
        runner.learn(1)
        assert first[0] is None
        runner.alg.act = act


def test_a_client_puts_an_encoder_before_the_recurrent_network() -> None:
    class Embedding(RNNModel):
        def __init__(self, obs: TensorDict, obs_groups: dict, obs_set: str, output_dim: int, **options: Any) -> None:
            super().__init__(obs, obs_groups, obs_set, output_dim, **options)
            self.encoder = torch.nn.Linear(self.obs_dim, self.obs_dim)

        def get_latent(
            self, obs: Mapping[str, torch.Tensor], masks: Any = None, hidden_state: Any = None
        ) -> torch.Tensor:
            groups = torch.cat([obs[group] for group in self.obs_groups], dim=-1)
            return self.rnn(self.encoder(self.obs_normalizer(groups)), masks, hidden_state).squeeze(0)

    env = CameraEnv()
    for mixed in (False, True):
        cfg = distillation_config("lstm", use_mixed_precision=mixed)
        cfg["student"]["class_name"] = Embedding
        train(build(env, cfg), env)


def test_encoders_see_only_their_own_group() -> None:
    env = CameraEnv()
    model = build(env, config("cnn", "cnn")).actor
    assert isinstance(model, CNNModel)
    obs = env.get_observations().clone()
    expected = model(obs)
    obs["privileged"].fill_(torch.nan)
    torch.testing.assert_close(model(obs), expected)
