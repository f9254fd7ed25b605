# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Algorithms, models and distributions that users derive from ours, as they write them for release 5.5.1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tensordict import TensorDict
from torch import nn

from rsl_rl.algorithms import PPO
from rsl_rl.extensions import Symmetry, resolve_rnd_config, resolve_symmetry_config
from rsl_rl.models import CNNModel, MLPModel, RNNModel
from rsl_rl.modules import MLP, Distribution, GaussianDistribution
from rsl_rl.runners import OnPolicyRunner
from rsl_rl.storage import RolloutStorage
from rsl_rl.utils.logger import Logger
from tests.envs import PointEnv

GAUSSIAN = {"class_name": "GaussianDistribution", "init_std": 0.5}


class ClosedSignature(PPO):
    """Every argument of the release by position, and no others."""

    def __init__(
        self,
        actor: MLPModel,
        critic: MLPModel,
        storage: RolloutStorage,
        num_learning_epochs: int = 5,
        num_mini_batches: int = 4,
        clip_param: float = 0.2,
        gamma: float = 0.99,
        lam: float = 0.95,
        value_loss_coef: float = 1.0,
        entropy_coef: float = 0.01,
        learning_rate: float = 1e-3,
        max_grad_norm: float = 1.0,
        optimizer: str = "adam",
        use_clipped_value_loss: bool = True,
        schedule: str = "adaptive",
        desired_kl: float = 0.01,
        normalize_advantage_per_mini_batch: bool = False,
        use_mixed_precision: bool = False,
        device: str = "cpu",
        rnd_cfg: dict | None = None,
        symmetry_cfg: dict | None = None,
        multi_gpu_cfg: dict | None = None,
        grad_reduce_bucket_mb: float = 25,
    ) -> None:
        options = {key: value for key, value in locals().items() if key not in ("self", "__class__")}
        super().__init__(*options.values())


class WrittenOut(PPO):
    """The whole update by hand."""

    def update(self) -> dict[str, float]:
        recurrent = self.actor.is_recurrent or self.critic.is_recurrent
        generator = self.storage.recurrent_mini_batch_generator if recurrent else self.storage.mini_batch_generator
        values, surrogates, entropies = [], [], []
        for batch in generator(self.num_mini_batches, self.num_learning_epochs):
            self.actor(
                batch.observations, masks=batch.masks, hidden_state=batch.hidden_states[0], stochastic_output=True
            )
            log_prob = self.actor.get_output_log_prob(batch.actions)
            value = self.critic(batch.observations, masks=batch.masks, hidden_state=batch.hidden_states[1])
            with torch.inference_mode():
                kl = self.actor.get_kl_divergence(batch.old_distribution_params, self.actor.output_distribution_params)
                assert kl.mean() >= -1e-6
            # As a schedule would do it.
            self.learning_rate /= 1.01
            for group in self.optimizer.param_groups:
                group["lr"] = self.learning_rate
            ratio = torch.exp(log_prob - batch.old_actions_log_prob.squeeze(-1))
            advantages = batch.advantages.squeeze(-1)
            clipped = ratio.clamp(1 - self.clip_param, 1 + self.clip_param)
            surrogate = torch.max(-advantages * ratio, -advantages * clipped).mean()
            value_loss = (batch.returns - value).square().mean()
            entropy = self.actor.output_entropy.mean()
            self.optimizer.zero_grad()
            (surrogate + self.value_loss_coef * value_loss - self.entropy_coef * entropy).backward()
            if self.is_multi_gpu:
                self.reduce_parameters()
            nn.utils.clip_grad_norm_(self.actor.parameters(), self.max_grad_norm)
            nn.utils.clip_grad_norm_(self.critic.parameters(), self.max_grad_norm)
            self.optimizer.step()
            values.append(value_loss.item())
            surrogates.append(surrogate.item())
            entropies.append(entropy.item())
        self.storage.clear()
        return {
            name: sum(losses) / len(losses)
            for name, losses in (("value", values), ("surrogate", surrogates), ("entropy", entropies))
        }


class OwnRollout(PPO):
    """The transition filled by hand; half the reward."""

    def act(self, obs: TensorDict) -> torch.Tensor:
        self.transition.hidden_states = (self.actor.get_hidden_state(), self.critic.get_hidden_state())
        self.transition.actions = self.actor(obs, stochastic_output=True).detach()
        self.transition.values = self.critic(obs).detach()
        self.transition.actions_log_prob = self.actor.get_output_log_prob(self.transition.actions).detach()
        self.transition.distribution_params = tuple(p.detach() for p in self.actor.output_distribution_params)
        self.transition.observations = obs
        return self.transition.actions

    def process_env_step(self, obs: TensorDict, rewards: torch.Tensor, dones: torch.Tensor, extras: Any) -> None:
        super().process_env_step(obs, rewards * 0.5, dones, extras)


class Encoded(MLPModel):
    """Widens the latent with an encoder of its own."""

    def __init__(self, obs: TensorDict, obs_groups: Any, obs_set: str, output_dim: int, size: int = 3, **options: Any):
        self.size = size
        super().__init__(obs, obs_groups, obs_set, output_dim, **options)
        self.encoder = MLP(self.obs_dim, size, [6], "relu")

    def _get_latent_dim(self) -> int:
        return self.obs_dim + self.size

    def get_latent(self, obs: TensorDict, masks: Any = None, hidden_state: Any = None) -> torch.Tensor:
        latent = super().get_latent(obs, masks, hidden_state)
        return torch.cat([latent, self.encoder(latent)], dim=-1)


class Squashed(RNNModel):
    """Squashes the output of the recurrent layers."""

    def get_latent(self, obs: TensorDict, masks: Any = None, hidden_state: Any = None) -> torch.Tensor:
        return super().get_latent(obs, masks, hidden_state).tanh()


class Brightness(CNNModel):
    """Adds the mean of the latent to it."""

    def _get_latent_dim(self) -> int:
        return super()._get_latent_dim() + 1

    def get_latent(self, obs: TensorDict, masks: Any = None, hidden_state: Any = None) -> torch.Tensor:
        latent = super().get_latent(obs, masks, hidden_state)
        return torch.cat([latent, latent.mean(dim=-1, keepdim=True)], dim=-1)


class Laplace(Distribution):
    """A distribution that the library does not have."""

    def __init__(self, output_dim: int, scale: float = 1.0) -> None:
        super().__init__(output_dim)
        self.scale = nn.Parameter(torch.full((output_dim,), scale))

    def update(self, mlp_output: torch.Tensor) -> None:
        self.current = torch.distributions.Laplace(mlp_output, self.scale.abs().expand_as(mlp_output))

    def sample(self) -> torch.Tensor:
        return self.current.sample()

    def deterministic_output(self, mlp_output: torch.Tensor) -> torch.Tensor:
        return mlp_output

    def as_deterministic_output_module(self) -> nn.Module:
        return nn.Identity()

    @property
    def input_dim(self) -> int:
        return self.output_dim

    @property
    def mean(self) -> torch.Tensor:
        return self.current.mean

    @property
    def std(self) -> torch.Tensor:
        return self.current.stddev

    @property
    def entropy(self) -> torch.Tensor:
        return self.current.entropy().sum(-1)

    @property
    def params(self) -> tuple[torch.Tensor, ...]:
        return (self.current.loc, self.current.scale)

    def log_prob(self, outputs: torch.Tensor) -> torch.Tensor:
        return self.current.log_prob(outputs).sum(-1)

    def kl_divergence(self, old_params: Any, new_params: Any) -> torch.Tensor:
        old, new = torch.distributions.Laplace(*old_params), torch.distributions.Laplace(*new_params)
        return torch.distributions.kl_divergence(old, new).sum(-1)


def config(algorithm: type[PPO] | str = "PPO", actor: Any = MLPModel, **options: Any) -> dict[str, Any]:
    model = {"class_name": actor, "hidden_dims": [16]}
    critic: dict[str, Any] = {"class_name": "MLPModel", "hidden_dims": [16]}
    if isinstance(actor, type) and issubclass(actor, RNNModel):
        model |= {"rnn_type": "gru", "rnn_hidden_dim": 8}
    return {
        "num_steps_per_env": 12,
        "save_interval": 100,
        "obs_groups": {"actor": ["policy"], "critic": ["policy"]},
        "algorithm": {"class_name": algorithm, "num_learning_epochs": 2, **options},
        "actor": model | {"distribution_cfg": dict(GAUSSIAN)},
        "critic": critic,
    }


def trained(cfg: dict[str, Any], iterations: int = 3) -> OnPolicyRunner:
    torch.manual_seed(0)
    runner = OnPolicyRunner(PointEnv(num_envs=8), cfg)
    runner.learn(iterations)
    return runner


class Slower(PPO):
    """Our update with the learning rate of :class:`WrittenOut`."""

    def loss(self, batch: RolloutStorage.Batch) -> Any:
        self.learning_rate /= 1.01
        return super().loss(batch)


@pytest.mark.parametrize("actor", [MLPModel, RNNModel])
def test_an_update_written_out_by_hand_moves_the_policy_as_ours_does(actor: type) -> None:
    options = {"use_clipped_value_loss": False, "schedule": "fixed", "learning_rate": 1e-2}
    # One iteration: sampling in the update moves the random numbers of the next.
    ours, theirs = trained(config(Slower, actor, **options), 1), trained(config(WrittenOut, actor, **options), 1)
    assert theirs.alg.learning_rate == pytest.approx(1e-2 / 1.01**8)
    assert float(theirs.alg.optimizer.param_groups[0]["lr"]) == pytest.approx(theirs.alg.learning_rate)
    for model in ("actor", "critic"):
        expected, state = (getattr(runner.alg, model).state_dict() for runner in (theirs, ours))
        torch.testing.assert_close(dict(state), dict(expected), rtol=0, atol=1e-6)


def test_a_transition_filled_by_hand_is_learned_from() -> None:
    ours, theirs = trained(config("PPO"), 1), trained(config(OwnRollout), 1)
    assert torch.equal(ours.alg.storage.actions, theirs.alg.storage.actions)
    assert torch.equal(ours.alg.storage.observations["policy"], theirs.alg.storage.observations["policy"])
    assert not torch.equal(ours.alg.storage.rewards, theirs.alg.storage.rewards)


@pytest.mark.parametrize("options", [{}, {"share_cnn_encoders": False}, {"rnd_cfg": None, "symmetry_cfg": None}])
def test_a_constructor_with_the_arguments_of_the_release_is_enough(options: dict[str, Any]) -> None:
    ours, theirs = trained(config("PPO", **options)), trained(config(ClosedSignature, **options))
    torch.testing.assert_close(dict(ours.alg.actor.state_dict()), dict(theirs.alg.actor.state_dict()), rtol=0, atol=0)


@pytest.mark.parametrize("actor", [Encoded, Squashed])
def test_a_latent_of_the_users_own_is_trained(actor: type) -> None:
    untrained, runner = trained(config(actor=actor), 0), trained(config(actor=actor))
    for (name, before), after in zip(
        untrained.alg.actor.named_parameters(), runner.alg.actor.parameters(), strict=True
    ):
        assert not torch.equal(before, after), name


def test_an_image_latent_of_the_users_own_reaches_the_first_layer() -> None:
    obs = TensorDict({"image": torch.rand(4, 1, 8, 8)}, [4])
    encoder = {"output_channels": [2], "kernel_size": 3}
    model = Brightness(obs, {"actor": ["image"]}, "actor", 2, hidden_dims=[8], cnn_cfg=encoder)
    latent = model.get_latent(obs)
    assert latent.shape == (4, 2 * 6 * 6 + 1)
    torch.testing.assert_close(latent[:, -1], latent[:, :-1].mean(dim=-1))
    assert model(obs).shape == (4, 2)


def test_a_distribution_of_the_users_own_is_trained() -> None:
    cfg = config()
    cfg["actor"]["distribution_cfg"] = {"class_name": Laplace, "scale": 0.5}
    runner = trained(cfg)
    assert not torch.equal(runner.alg.actor.distribution.scale, torch.full((2,), 0.5))


def test_augmenting_a_batch_follows_its_switch() -> None:
    """Updates written by users call it without asking."""

    def mirror(env: Any, obs: TensorDict | None, actions: torch.Tensor | None) -> tuple[Any, Any]:
        twice = None if obs is None else TensorDict({"policy": torch.cat([obs["policy"], -obs["policy"]])}, [8])
        return twice, None if actions is None else torch.cat([actions, -actions])

    for switch, size in ((True, 8), (False, 4)):
        ones = torch.ones(4, 1)
        batch = RolloutStorage.Batch(
            observations=TensorDict({"policy": torch.ones(4, 3)}, [4]),
            actions=torch.ones(4, 2),
            values=ones,
            advantages=ones,
            returns=ones,
            old_actions_log_prob=ones,
        )
        Symmetry(PointEnv(4), mirror, use_data_augmentation=switch).augment_batch(batch, 4)
        fields = (batch.observations, batch.actions, batch.values, batch.advantages, batch.returns)
        assert {len(field) for field in fields} == {size}


def test_sections_without_an_extension_come_back_with_none() -> None:
    obs = PointEnv(2).get_observations()
    assert resolve_rnd_config({"gamma": 0.9}, obs, {}, PointEnv(2)) == {"gamma": 0.9, "rnd_cfg": None}
    assert resolve_symmetry_config({}, PointEnv(2)) == {"symmetry_cfg": None}


@pytest.mark.parametrize("export", ["export_policy_to_jit", "export_policy_to_onnx", "export_policy_to_pt2"])
def test_a_latent_of_the_users_own_is_not_exported_without_it(export: str, tmp_path: Path) -> None:
    runner = trained(config(actor=Encoded), 0)
    with pytest.raises(RuntimeError, match=r"needs an as_jit\(\) and as_onnx\(\)"):
        getattr(runner, export)(str(tmp_path))
    assert not list(tmp_path.iterdir())


def popping(base: type, name: str) -> type:
    """A subclass that takes an option of its own out of its keyword arguments."""

    class Popping(base):  # type: ignore[misc, valid-type]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self_own = kwargs.pop("own_option")
            super().__init__(*args, **kwargs)
            self.own_option = self_own

    Popping.__name__ = name
    return Popping


def test_an_option_that_a_constructor_takes_out_of_its_keyword_arguments_reaches_it() -> None:
    cfg = config(popping(PPO, "P"), popping(MLPModel, "M"), own_option=1)
    cfg["actor"] |= {"own_option": 2, "distribution_cfg": {"class_name": popping(GaussianDistribution, "G")}}
    cfg["actor"]["distribution_cfg"]["own_option"] = 3
    alg: Any = trained(cfg, 1).alg
    assert (alg.own_option, alg.actor.own_option, alg.actor.distribution.own_option) == (1, 2, 3)
    with pytest.raises(ValueError, match="M has no option 'own_optoin'"):
        trained(config(actor=popping(MLPModel, "M")) | {"actor": cfg["actor"] | {"own_optoin": 1}})


class NoModelOfOurs(nn.Module):
    """What release 5.5.1 asks of a model, and nothing else."""

    is_recurrent = False

    def __init__(self, obs: TensorDict, obs_groups: Any, obs_set: str, output_dim: int, **_: Any) -> None:
        super().__init__()
        self.net = nn.Linear(obs["policy"].shape[-1], output_dim)
        self.distribution = GaussianDistribution(output_dim)

    def forward(
        self, obs: Any, masks: Any = None, hidden_state: Any = None, stochastic_output: bool = False
    ) -> torch.Tensor:
        self.distribution.update(self.net(obs["policy"]))
        return self.distribution.sample() if stochastic_output else self.distribution.mean

    def reset(self, dones: Any = None, hidden_state: Any = None) -> None: ...
    def get_hidden_state(self) -> None: ...
    def update_normalization(self, obs: Any) -> None: ...

    output_std = property(lambda self: self.distribution.std)
    output_entropy = property(lambda self: self.distribution.entropy)
    output_distribution_params = property(lambda self: self.distribution.params)

    def get_output_log_prob(self, outputs: torch.Tensor) -> torch.Tensor:
        return self.distribution.log_prob(outputs)

    def get_kl_divergence(self, old_params: Any, new_params: Any) -> torch.Tensor:
        return self.distribution.kl_divergence(old_params, new_params)


def test_a_model_that_is_none_of_ours_is_trained_as_ours_is() -> None:
    cfg = config("PPO", NoModelOfOurs)
    parameters = {p.shape: p for p in trained(cfg, 1).alg.get_policy().parameters()}
    ours = config("PPO")
    ours["actor"] |= {"hidden_dims": [], "distribution_cfg": {"class_name": "GaussianDistribution"}}
    # Of one iteration: this one draws in the update, too.
    for expected in trained(ours, 1).alg.get_policy().parameters():
        if len(expected.shape) == 2:
            torch.testing.assert_close(parameters[expected.shape], expected)


class OwnConstructor(OnPolicyRunner):
    """A runner whose constructor is written out, as in many forks, and does not call ours."""

    def __init__(self, env: Any, train_cfg: dict, log_dir: str | None = None, device: str = "cpu") -> None:
        self.env, self.cfg, self.device = env, train_cfg, device
        self._configure_multi_gpu()
        obs = env.get_observations()
        self.alg = PPO.construct_algorithm(obs, env, self.cfg, device)
        parallel = self.is_distributed, self.gpu_world_size, self.gpu_global_rank
        self.logger = Logger(log_dir, self.cfg, env.cfg, env.num_envs, *parallel, device)
        self.current_learning_iteration = 0


def test_a_runner_with_a_constructor_of_its_own_trains_saves_and_loads_as_ours(tmp_path: Path) -> None:
    states = []
    for kind in (OnPolicyRunner, OwnConstructor):
        torch.manual_seed(0)
        folder = tmp_path / kind.__name__
        runner = kind(PointEnv(num_envs=8), config(), str(folder))
        runner.learn(2)
        runner.load(str(folder / "model_1.pt"))
        runner.learn(1)
        assert (folder / "model_2.pt").is_file()
        states.append(runner.alg.get_policy().state_dict())
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value)


class CriticAtRest(PPO):
    """Actor and critic with learning rates of their own, as many programs set them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        parts = [(self.actor, 1e-2), (self.critic, 0.0)]
        self.optimizer = torch.optim.Adam([{"params": part.parameters(), "lr": rate} for part, rate in parts])


def test_groups_of_a_programs_own_optimizer_keep_their_rates_where_no_schedule_sets_one() -> None:
    runner = OnPolicyRunner(PointEnv(num_envs=8), config(CriticAtRest, schedule="fixed"))
    before = {name: value.clone() for name, value in runner.alg.get_policy().named_parameters()}
    critic = [value.clone() for value in runner.alg.critic.parameters()]
    runner.learn(2)
    assert all(map(torch.equal, runner.alg.critic.parameters(), critic))
    assert any(not torch.equal(value, before[name]) for name, value in runner.alg.get_policy().named_parameters())
    assert [float(group["lr"]) for group in runner.alg.optimizer.param_groups] == [1e-2, 0.0]


def test_an_optimizer_of_the_programs_own_with_several_groups_is_saved_and_loaded(tmp_path: Path) -> None:
    class WithDiscriminator(PPO):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.discriminator = nn.Linear(2, 1)
            parts = (self.actor, self.critic, self.discriminator)
            self.optimizer = torch.optim.Adam([{"params": part.parameters()} for part in parts])

    runner = trained(config(WithDiscriminator), 1)
    runner.save(str(tmp_path / "model.pt"))
    moments = [value["exp_avg"].clone() for value in runner.alg.optimizer.state.values()]
    runner.learn(1)
    runner.load(str(tmp_path / "model.pt"))
    loaded = [value["exp_avg"] for value in runner.alg.optimizer.state.values()]
    assert len(loaded) == len(moments) > 0
    assert all(torch.equal(one, other) for one, other in zip(loaded, moments, strict=True))
