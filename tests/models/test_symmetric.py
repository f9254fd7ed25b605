# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Models that are exactly symmetric, by the mean over mirror images or by the clock of a gait."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tensordict import TensorDict

from rsl_rl.algorithms import PPO
from rsl_rl.models import MLPModel, RNNModel
from rsl_rl.models.symmetric import SymmetricModel
from rsl_rl.modules import Distribution, GaussianDistribution
from rsl_rl.modules.reflection import Reflection
from rsl_rl.runners import OnPolicyRunner
from tests.envs import PointEnv, point_config


def _permutation(order: list[int], signs: list[float]) -> torch.Tensor:
    return torch.diag(torch.tensor(signs, dtype=torch.float32)) @ torch.eye(len(order))[order]


COS, SIN = 0.6, 0.8
# policy: position and velocity to the side, two legs, sine and cosine of the phase. privileged: a height, and two
# numbers that are mirrored at a slanted line, so that each becomes a mixture of both. actions: two legs and a turn.
LEFT_RIGHT = {
    "policy": _permutation([0, 1, 3, 2, 4, 5], [-1, -1, 1, 1, -1, -1]),
    "privileged": torch.tensor([[1.0, 0, 0], [0, COS, SIN], [0, SIN, -COS]]),
    "actions": _permutation([1, 0, 2], [1, 1, -1]),
}
FRONT_BACK = {
    "policy": _permutation([0, 1, 2, 3, 4, 5], [1, 1, -1, -1, 1, 1]),
    "privileged": torch.eye(3),
    "actions": _permutation([0, 1, 2], [-1, -1, 1]),
}
BOTH = {name: LEFT_RIGHT[name] @ FRONT_BACK[name] for name in LEFT_RIGHT}
CLOCK = 4


def mirrored(name: str, values: torch.Tensor, mirror: dict[str, torch.Tensor] = LEFT_RIGHT) -> torch.Tensor:
    return values @ mirror[name].T


def images(*mirrors: dict[str, torch.Tensor]) -> Callable[..., Any]:
    """Return a symmetry function."""

    def with_images(env: Any, obs: TensorDict | None, actions: torch.Tensor | None) -> tuple[Any, Any]:
        assert isinstance(env, PointEnv)
        if obs is not None:
            groups = {
                name: torch.cat([values, *(mirrored(name, values, each) for each in mirrors)])
                for name, values in obs.items()
            }
            obs = TensorDict(groups, [(1 + len(mirrors)) * len(obs)])
        if actions is not None:
            actions = torch.cat([actions, *(mirrored("actions", actions, each) for each in mirrors)])
        return obs, actions

    return with_images


two, four = images(LEFT_RIGHT), images(LEFT_RIGHT, FRONT_BACK, BOTH)
MODES: dict[str, tuple[dict[str, Any], list[dict[str, torch.Tensor]]]] = {
    "equivariant": ({"data_augmentation_func": two, "equivariant": True}, [LEFT_RIGHT]),
    "four images": ({"data_augmentation_func": four, "equivariant": True}, [LEFT_RIGHT, FRONT_BACK, BOTH]),
    "half cycle": ({"data_augmentation_func": two, "half_cycle": {"policy": CLOCK}}, [LEFT_RIGHT]),
}
KINDS: dict[str, dict[str, Any]] = {
    "mlp": {"class_name": "MLPModel"},
    "gru": {"class_name": "RNNModel", "rnn_type": "gru", "rnn_hidden_dim": 5, "rnn_num_layers": 2},
    "lstm": {"class_name": "RNNModel", "rnn_type": "lstm", "rnn_hidden_dim": 5},
}
DISTRIBUTIONS: dict[str, dict[str, Any]] = {
    "gaussian": {"class_name": "GaussianDistribution", "init_std": 0.5},
    "log": {"class_name": "GaussianDistribution", "std_type": "log", "std_range": (0.01, 2.0)},
    "heteroscedastic": {"class_name": "HeteroscedasticGaussianDistribution", "std_range": (0.1, 9.0)},
    "beta": {"class_name": "BetaDistribution", "action_range": (-2.0, 2.0)},
}
every_mode = pytest.mark.parametrize("mode", MODES)
every_kind = pytest.mark.parametrize("kind", KINDS)


class Walker(PointEnv):
    """A point whose observations are those of a robot with two legs and a clock; nothing about it is symmetric."""

    def __init__(self, num_envs: int = 6) -> None:
        super().__init__(num_envs, max_episode_length=5)
        self.num_actions = 3
        self.episode_length_buf = torch.arange(num_envs) % 5
        self._noise = torch.Generator().manual_seed(1)

    def get_observations(self) -> TensorDict:
        phase = (0.7 + self.episode_length_buf).unsqueeze(1)
        legs = 1.0 + torch.randn(self.num_envs, 2, generator=self._noise)
        policy = torch.cat([self._state + 0.5, legs, phase.sin(), phase.cos()], dim=1)
        privileged = torch.randn(self.num_envs, 3, generator=self._noise) + 0.3
        return TensorDict({"policy": policy, "privileged": privileged}, [self.num_envs])


def config(kind: str = "mlp", distribution: str = "gaussian", **symmetry: Any) -> dict:
    built = point_config(symmetry_cfg=symmetry or None)
    built["actor"] = built["actor"] | KINDS[kind] | {"distribution_cfg": DISTRIBUTIONS[distribution]}
    built["critic"] = built["critic"] | KINDS[kind]
    return built


def build(kind: str = "mlp", distribution: str = "gaussian", **symmetry: Any) -> PPO:
    torch.manual_seed(0)
    env = Walker()
    alg = PPO.construct_algorithm(env.get_observations(), env, config(kind, distribution, **symmetry), "cpu")
    alg.train_mode()
    with torch.no_grad():  # Networks of a new model are nearly linear, and biases zero.
        for parameter in [*alg.actor.mlp.parameters(), *alg.critic.mlp.parameters()]:
            parameter.add_(0.3 * torch.randn_like(parameter))
        for model in (alg.actor, alg.critic):
            model.update_normalization(observations(50, seed=9))
    return alg


def observations(num_steps: int, seed: int = 0) -> TensorDict:
    """Return groups [T, N, ...] that are not symmetric."""
    generator = torch.Generator().manual_seed(seed)
    sizes = {"policy": 6, "privileged": 3}
    groups = {name: 0.5 + torch.randn(num_steps, 6, size, generator=generator) for name, size in sizes.items()}
    return TensorDict(groups, [num_steps, 6])


def mirror_image(obs: TensorDict, mirror: dict[str, torch.Tensor]) -> TensorDict:
    return TensorDict({name: mirrored(name, values, mirror) for name, values in obs.items()}, obs.batch_size)


def outputs(model: MLPModel, obs: TensorDict) -> torch.Tensor:
    """Return what a model says in the steps of observations [T, N, ...], with ends of episodes between them."""
    model.reset()
    said = []
    for step, each in enumerate(obs):
        said.append(model(each))
        model.reset(torch.arange(6) % 4 == step)
    return torch.stack(said).detach()


def rollout(alg: PPO, env: Walker) -> None:
    with torch.inference_mode():
        obs = env.get_observations()
        for _ in range(8):
            obs, rewards, dones, extras = env.step(alg.act(obs))
            alg.process_env_step(obs, rewards, dones, extras)
        alg.compute_returns(obs)


def check_symmetry(alg: PPO, mode: str) -> None:
    obs = observations(7)
    actions, values = outputs(alg.actor, obs), outputs(alg.critic, obs)
    for mirror in MODES[mode][1]:
        image = mirror_image(obs, mirror)
        expected = mirrored("actions", actions, mirror)
        torch.testing.assert_close(outputs(alg.actor, image), expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(outputs(alg.critic, image), values, atol=1e-5, rtol=1e-5)
        assert not torch.allclose(actions, expected, atol=0.01)
    assert values.std() > 0.01


@every_kind
@every_mode
def test_actors_turn_with_the_mirror_and_values_stay(mode: str, kind: str) -> None:
    check_symmetry(build(kind, **MODES[mode][0]), mode)


@every_mode
def test_what_equivariant_and_half_cycle_mean(mode: str) -> None:
    alg, plain = build(**MODES[mode][0]), build()
    plain.actor.load_state_dict(alg.actor.state_dict())
    [obs] = observations(1)
    every = [plain.actor(obs)]
    for mirror in MODES[mode][1]:
        every.append(mirrored("actions", plain.actor(mirror_image(obs, mirror)), mirror))
    if mode == "half cycle":
        is_second = obs["policy"][:, CLOCK : CLOCK + 1] < 0
        assert is_second.any()
        assert not is_second.all()
        expected = torch.where(is_second, every[1], every[0])
    else:
        expected = torch.stack(every).mean(0)
    torch.testing.assert_close(alg.actor(obs), expected)


@every_kind
@every_mode
def test_an_update_finds_what_was_said_while_acting(mode: str, kind: str) -> None:
    alg, env = build(kind, **MODES[mode][0]), Walker()
    rollout(alg, env)  # Memories begin in the middle of an episode.
    alg.storage.clear()
    rollout(alg, env)
    assert alg.storage.dones[:-1].any()
    storage = alg.storage
    generator = storage.recurrent_mini_batch_generator if alg.is_recurrent else storage.mini_batch_generator
    for batch in generator(2, 1):
        policy = alg.actor.output_distribution(batch.observations, batch.masks, batch.hidden_states[0])
        log_prob = policy.log_prob(batch.actions)
        torch.testing.assert_close(log_prob, batch.old_actions_log_prob.squeeze(-1), atol=1e-5, rtol=1e-5)
        value = alg.critic(batch.observations, batch.masks, batch.hidden_states[1])
        torch.testing.assert_close(value, batch.values, atol=1e-5, rtol=1e-5)


@every_kind
@every_mode
def test_what_is_learned_is_symmetric(mode: str, kind: str) -> None:
    alg, env = build(kind, **MODES[mode][0]), Walker()
    before = copy.deepcopy(alg.actor.state_dict())
    for _ in range(2):
        rollout(alg, env)
        losses = alg.update()
    check_symmetry(alg, mode)
    assert "symmetry" not in losses
    std = alg.actor.state_dict()["distribution.std_param"]
    assert std[0] == std[1]
    assert std[0] != std[2]
    assert not torch.equal(std, before["distribution.std_param"])


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@every_mode
def test_mirrored_actions_are_as_likely_in_the_mirror(mode: str, distribution: str) -> None:
    alg = build(distribution=distribution, **MODES[mode][0])
    state = alg.actor.state_dict()
    for name in state:  # A checkpoint of a run without symmetry.
        if name.endswith("std_param"):
            state[name] = torch.tensor([0.2, 0.4, 0.9])
    alg.actor.load_state_dict(state)
    [obs] = observations(1)
    policy = alg.actor.output_distribution(obs)
    actions = policy.sample().clamp(-1.9, 1.9)
    for mirror in MODES[mode][1]:
        image = alg.actor.output_distribution(mirror_image(obs, mirror))
        expected = mirrored("actions", actions, mirror)
        torch.testing.assert_close(image.log_prob(expected), policy.log_prob(actions), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(image.std, mirrored("actions", policy.std, mirror).abs(), atol=1e-5, rtol=1e-5)
    assert policy.std.std() > 0


def test_statistics_are_those_of_what_the_network_sees() -> None:
    obs = observations(50, seed=9)
    averaged, halved = build(**MODES["equivariant"][0]), build(**MODES["half cycle"][0])
    both = torch.cat([obs["policy"], mirrored("policy", obs["policy"])]).flatten(0, 1)
    torch.testing.assert_close(averaged.actor.obs_normalizer.mean, both.mean(0))
    is_second = obs["policy"][..., CLOCK : CLOCK + 1] < 0
    seen = torch.where(is_second, mirrored("policy", obs["policy"]), obs["policy"]).flatten(0, 1)
    torch.testing.assert_close(halved.actor.obs_normalizer.mean, seen.mean(0))
    assert seen[:, CLOCK].min() >= 0


@every_kind
def test_checkpoints_are_those_without_symmetry(kind: str) -> None:
    symmetric, plain = build(kind, **MODES["equivariant"][0]), build(kind)
    assert list(symmetric.actor.state_dict()) == list(plain.actor.state_dict())
    assert isinstance(symmetric.actor, RNNModel if kind != "mlp" else MLPModel)
    assert type(symmetric.actor).__name__ == type(plain.actor).__name__
    env = Walker()
    rollout(symmetric, env)
    symmetric.update()
    saved = symmetric.save()
    plain.load(saved)
    plain.resume()
    other = build(kind, **MODES["half cycle"][0])
    other.load(saved)
    other.resume()
    for alg in (plain, other):
        rollout(alg, env)
        alg.update()
    again = build(kind, **MODES["equivariant"][0])
    again.load(plain.save())
    again.resume()
    rollout(again, env)
    again.update()
    check_symmetry(again, "equivariant")


def test_a_model_of_a_users_that_replaces_the_latent() -> None:
    class Squared(MLPModel):
        def get_latent(self, obs: Any, masks: Any = None, hidden_state: Any = None) -> torch.Tensor:
            return super().get_latent(obs, masks, hidden_state).square() + obs["policy"][..., :1]

    symmetric = config(**MODES["equivariant"][0])
    symmetric["actor"] |= {"class_name": Squared}
    env = Walker()
    alg = PPO.construct_algorithm(env.get_observations(), env, symmetric, "cpu")
    assert isinstance(alg.actor, Squared)
    check_symmetry(alg, "equivariant")


def test_without_a_loss_the_actor_is_asked_once_per_mini_batch() -> None:
    alg = build(**MODES["equivariant"][0])
    rollout(alg, Walker())
    [batch] = alg.storage.mini_batch_generator(1, 1)
    calls = []
    alg.actor.mlp.register_forward_hook(lambda module, inputs, output: calls.append(len(output)))
    _, metrics = alg.loss(batch)
    assert calls == [2 * 48]
    assert "symmetry" not in metrics


def test_the_loss_of_a_symmetric_actor_is_nothing() -> None:
    alg = build(use_mirror_loss=True, mirror_loss_coeff=1.0, **MODES["equivariant"][0])
    rollout(alg, Walker())
    assert alg.update()["symmetry"] < 1e-9


def test_a_reflection_is_its_matrix() -> None:
    generator = torch.Generator().manual_seed(0)
    for matrix in (LEFT_RIGHT["policy"], LEFT_RIGHT["privileged"], torch.randn(4, 4, generator=generator)):
        x = torch.randn(3, 2, len(matrix), generator=generator)
        torch.testing.assert_close(Reflection(matrix)(x), x @ matrix.T)
    assert len(Reflection(LEFT_RIGHT["policy"]).index) == 1
    assert not Reflection(LEFT_RIGHT["policy"]).state_dict()


def test_a_run_is_resumed_and_played_symmetrically(tmp_path: Any) -> None:
    options = config("gru", **MODES["equivariant"][0])
    runner = OnPolicyRunner(Walker(), options, str(tmp_path))
    runner.learn(2)
    again = OnPolicyRunner(Walker(), options)
    again.load(str(tmp_path / "latest.pt"))
    obs = observations(3)
    policy, image_policy = runner.get_inference_policy(), again.get_inference_policy()
    for each in obs:
        expected = mirrored("actions", policy(each))
        torch.testing.assert_close(image_policy(mirror_image(each, LEFT_RIGHT)), expected, atol=1e-5, rtol=1e-5)


# -- errors ------------------------------------------------------------------------------------------------------------


class Own(MLPModel):
    def forward(self, obs: Any, *arguments: Any, **options: Any) -> torch.Tensor:
        return super().forward(obs, *arguments, **options)


class Unknown(GaussianDistribution):
    mirrored = Distribution.mirrored


class Shifted(GaussianDistribution):
    def deterministic_output(self, mlp_output: torch.Tensor) -> torch.Tensor:
        return mlp_output + 1.0


def shifting(env: Any, obs: Any, actions: Any) -> tuple[Any, Any]:
    copies, copied = two(env, obs, actions)
    copies["policy"][len(obs) :, 4] = (obs["policy"][:, 4] + 0.5) % 1.0
    return copies, copied


def clipping(env: Any, obs: Any, actions: Any) -> tuple[Any, Any]:
    copies, copied = two(env, obs, actions)
    copies["policy"][len(obs) :].clamp_(-2.0, 2.0)
    return copies, copied


def borrowing(env: Any, obs: Any, actions: Any) -> tuple[Any, Any]:
    copies, copied = two(env, obs, actions)
    copies["policy"][len(obs) :, 0] = obs["privileged"][:, 0]
    return copies, copied


def turning(env: Any, obs: Any, actions: Any) -> tuple[Any, Any]:
    turned = {name: matrix.clone() for name, matrix in LEFT_RIGHT.items()}
    turned["policy"] = _permutation([1, 0, 3, 2, 4, 5], [-1, 1, 1, 1, -1, -1])
    return images(turned)(env, obs, actions)


def mixing(env: Any, obs: Any, actions: Any) -> tuple[Any, Any]:
    return images(LEFT_RIGHT | {"actions": LEFT_RIGHT["privileged"]})(env, obs, actions)


EXACT = {"data_augmentation_func": two, "equivariant": True}


@pytest.mark.parametrize(
    ("symmetry", "actor", "message"),
    [
        (EXACT | {"half_cycle": {"policy": CLOCK}}, {}, "takes either equivariant or half_cycle"),
        (EXACT | {"data_augmentation_func": shifting}, {}, "'shifting' is not linear.*sine and cosine"),
        (EXACT | {"data_augmentation_func": clipping}, {}, "'clipping' is not linear"),
        (EXACT | {"data_augmentation_func": borrowing}, {}, "needs the observation group 'privileged' for.*policy"),
        (EXACT | {"data_augmentation_func": turning}, {}, "mirroring twice does not give back the original"),
        (
            EXACT | {"data_augmentation_func": images(LEFT_RIGHT, FRONT_BACK)},
            {},
            "by one image and then by another",
        ),
        (EXACT | {"data_augmentation_func": mixing}, {}, "may only exchange and negate actions"),
        (EXACT | {"data_augmentation_func": lambda env, obs, actions: None}, {}, "must return the pair"),
        (EXACT, {"class_name": Own}, "actor cannot be made symmetric: Own has a forward"),
        (EXACT, {"distribution_cfg": {"class_name": Unknown}}, "Unknown has no mirror image.*mirrored"),
        (EXACT, {"distribution_cfg": {"class_name": Shifted}}, "Shifted does not give the mirrored action"),
        (EXACT, {"distribution_cfg": {"class_name": "BetaDistribution", "action_range": (0, 1)}}, r"\[-x, x\], got"),
        ({"half_cycle": {"policy": 5}, "data_augmentation_func": images(BOTH, BOTH)}, {}, "needs one mirror image.*2"),
        ({"half_cycle": {"policy": 2}, "data_augmentation_func": two}, {}, "does not negate entry 2 of.*'policy'"),
        ({"half_cycle": {"policy": 6}, "data_augmentation_func": two}, {}, "half_cycle.policy must be.*0 to 5, got 6"),
        ({"half_cycle": {"privileged": 0}, "data_augmentation_func": two}, {}, "none of the actor's.* policy where"),
        (EXACT | {"use_mirror_loss": True}, KINDS["gru"], "symmetry_cfg needs feed-forward models"),
    ],
)
def test_what_cannot_be_symmetric_is_refused(symmetry: dict, actor: dict, message: str) -> None:
    env, options = Walker(), config(**symmetry)
    options["actor"] = options["actor"] | actor
    with pytest.raises(ValueError, match=message):
        PPO.construct_algorithm(env.get_observations(), env, options, "cpu")


def test_images_are_refused() -> None:
    class Camera(Walker):
        def get_observations(self) -> TensorDict:
            obs = super().get_observations()
            obs["camera"] = torch.rand(6, 1, 8, 8)
            return obs

    def flipping(env: Any, obs: Any, actions: Any) -> tuple[Any, Any]:
        cameras = obs["camera"]
        vectors, actions = two(env, obs.exclude("camera"), actions)
        return TensorDict({**vectors, "camera": torch.cat([cameras, cameras.flip(-1)])}, vectors.batch_size), actions

    env, options = Camera(), config(data_augmentation_func=flipping, equivariant=True)
    alg = PPO.construct_algorithm(env.get_observations(), env, options, "cpu")
    assert isinstance(alg.actor, SymmetricModel)
    options["obs_groups"]["actor"] = ["policy", "camera"]
    cnn = {"output_channels": [2], "kernel_size": 3}
    options["actor"] |= {"class_name": "CNNModel", "cnn_cfg": cnn}
    with pytest.raises(ValueError, match="groups that it sees, camera are no vectors"):
        PPO.construct_algorithm(env.get_observations(), env, options, "cpu")
