# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What public programs do beside the documented interface, each of which works with release 5.5.1."""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tensordict import TensorDict
from torch import nn

from rsl_rl.algorithms import PPO, Distillation
from rsl_rl.extensions import RandomNetworkDistillation, Symmetry
from rsl_rl.models import MLPModel, RNNModel
from rsl_rl.modules import BetaDistribution, GaussianDistribution, HeteroscedasticGaussianDistribution
from rsl_rl.runners import OnPolicyRunner
from rsl_rl.storage import RolloutStorage
from rsl_rl.utils import resolve_callable
from tests.envs import PointEnv, point_config

# -- names -------------------------------------------------------------------------------------------------------------

OLD_NAMES = {
    "rsl_rl.utils.log_writer": "LogWriter",
    "rsl_rl.utils.wandb_log_writer": "WandbLogWriter LogWriter",
    "rsl_rl.utils.neptune_log_writer": "NeptuneLogWriter LogWriter",
    "rsl_rl.utils.utils": "check_nan compile_model get_param reduce_gradients_in_buckets resolve_callable "
    "resolve_class resolve_nn_activation resolve_obs_groups resolve_optimizer split_and_pad_trajectories "
    "unpad_trajectories",
    "rsl_rl.models.mlp_model": "_OnnxMLPModel _TorchMLPModel",
    "rsl_rl.models.rnn_model": "_OnnxRNNModel _TorchLSTMModel _TorchGRUModel",
    "rsl_rl.models.cnn_model": "_OnnxCNNModel _TorchCNNModel",
    "rsl_rl.algorithms.ppo": "resolve_rnd_config resolve_symmetry_config resolve_callable resolve_class "
    "resolve_obs_groups resolve_optimizer compile_model reduce_gradients_in_buckets VecEnv chain",
    "rsl_rl.algorithms.distillation": "resolve_callable resolve_class resolve_obs_groups "
    "resolve_optimizer compile_model VecEnv",
    "rsl_rl.runners.on_policy_runner": "PPO check_nan resolve_callable",
    "rsl_rl.modules.cnn": "_compute_output_dim _compute_padding",
    "rsl_rl.modules.mlp": "get_param",
    "rsl_rl.modules.distribution": "_FirstSliceDeterministicOutput _IdentityDeterministicOutput Beta Normal",
    "rsl_rl.utils.logger": "Logger LogWriter resolve_class",
    "rsl_rl.storage.rollout_storage": "split_and_pad_trajectories",
    "rsl_rl.extensions.symmetry": "MLPModel",
}


@pytest.mark.parametrize("module", OLD_NAMES)
def test_names_are_where_programs_import_them_from(module: str) -> None:
    for name in OLD_NAMES[module].split():
        assert callable(getattr(importlib.import_module(module), name)), name
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = importlib.import_module(module).no_such_name


def test_the_sizes_of_one_layer() -> None:
    cnn: Any = importlib.import_module("rsl_rl.modules.cnn")
    # (64 - 3) // 2 + 1 = 31 and, padded by 1, (64 + 2 - 3) // 2 + 1 = 32; the pooling halves that.
    assert cnn._compute_output_dim((64, 48), 3, 2, 1, (0, 0)) == (31, 23)
    assert cnn._compute_padding((64, 48), 3, 2, 1) == (1, 1)
    assert cnn._compute_output_dim((64, 48), 3, 2, 1, (1, 1), True) == (16, 12)


def test_exported_modules_are_made_by_their_old_names() -> None:
    mlp: Any = importlib.import_module("rsl_rl.models.mlp_model")
    model = actor()
    obs = observations()
    assert torch.equal(mlp._TorchMLPModel(model)(obs["policy"]), model(obs))
    assert mlp._OnnxMLPModel(model, False).input_names == ["obs"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rsl_rl.storage.RolloutStorage.Batch", RolloutStorage.Batch),
        ("rsl_rl.storage:RolloutStorage.Batch", RolloutStorage.Batch),
        ("rsl_rl.storage.rollout_storage.RolloutStorage.Transition.clear", RolloutStorage.Transition.clear),
        ("torch.nn.functional.relu", nn.functional.relu),
        ("collections.OrderedDict.fromkeys", dict.fromkeys),
    ],
)
def test_nested_names_are_resolved(name: str, expected: Any) -> None:
    found = resolve_callable(name)
    assert found == expected or found.__name__ == expected.__name__


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        ("no_such_package.module.Class", ModuleNotFoundError, "no_such_package"),
        ("rsl_rl.storage.RolloutStorage.Bach", AttributeError, "Did you mean 'Batch'"),
        ("rsl_rl.no_such_module.Class", AttributeError, "no_such_module"),
    ],
)
def test_names_that_lead_nowhere_say_where_they_end(name: str, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        resolve_callable(name)


def test_what_a_module_itself_does_not_find_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "outer_of_test").mkdir()
    (tmp_path / "outer_of_test" / "__init__.py").touch()
    (tmp_path / "outer_of_test" / "inner.py").write_text("import package_that_is_missing\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="package_that_is_missing"):
        resolve_callable("outer_of_test.inner.Class.method")


# -- distributions -----------------------------------------------------------------------------------------------------

GAUSSIANS = [GaussianDistribution, HeteroscedasticGaussianDistribution]
GROUPS = {"actor": ["policy"], "critic": ["policy"], "student": ["policy"], "teacher": ["policy"]}


def observations(num_envs: int = 4) -> TensorDict:
    return TensorDict({"policy": torch.linspace(-1, 1, 3 * num_envs).view(num_envs, 3)}, [num_envs])


def actor(distribution: Any = "GaussianDistribution", model: type = MLPModel, **options: Any) -> Any:
    spread = {"class_name": distribution, **options}
    return model(observations(), GROUPS, "actor", 2, hidden_dims=[8], distribution_cfg=spread)


@pytest.mark.parametrize("kind", GAUSSIANS)
@pytest.mark.parametrize("std_type", ["scalar", "log"])
def test_a_teacher_without_noise_is_built_and_samples(kind: type, std_type: str) -> None:
    distribution = kind(2, init_std=0.0, std_type=std_type)
    mlp_output = torch.zeros(3, *distribution.input_dim) if kind is GAUSSIANS[1] else torch.zeros(3, 2)
    distribution.update(mlp_output)
    assert distribution.std.min() >= 1e-6
    assert distribution.sample().isfinite().all()
    assert distribution.log_prob(torch.zeros(3, 2)).isfinite().all()
    assert all(parameter.isfinite().all() for parameter in distribution.parameters())


@pytest.mark.parametrize("kind", GAUSSIANS)
@pytest.mark.parametrize(("given", "low"), [((0.0, 10.0), 1e-6), ((-1.0, 10.0), 1e-6), ([0.5, 10], 0.5)])
def test_the_low_end_of_a_range_is_at_least_a_millionth(kind: type, given: Any, low: float) -> None:
    distribution = kind(2, std_range=given)
    assert distribution.std_range == [low, 10.0]
    assert distribution.log_std_range == pytest.approx([math.log(low), math.log(10.0)])


@pytest.mark.usefixtures("derivative_of_clamp_at_its_bounds")
@pytest.mark.parametrize("std_type", ["scalar", "log"])
@pytest.mark.parametrize("end", [0, 1], ids=["low", "high"])
def test_a_standard_deviation_leaves_its_end_whatever_the_derivative_of_clamp_is_there(end: int, std_type: str) -> None:
    distribution = GaussianDistribution(1, std_type=std_type, std_range=(0.1, 2.0))
    (parameter,) = distribution.parameters()
    with torch.no_grad():
        parameter.fill_(-100.0 if end == 0 else 100.0)
    distribution.project()
    std = (parameter.exp() if std_type == "log" else parameter).detach()
    assert torch.tensor(0.1) <= std <= 2.0
    assert std.item() == pytest.approx(distribution.std_range[end], rel=1e-5)
    distribution.given(torch.zeros(1, 1)).std.sum().backward()
    assert parameter.grad is not None
    assert parameter.grad.item() > 0.05


@pytest.mark.usefixtures("derivative_of_clamp_at_its_bounds")
def test_a_standard_deviation_with_a_single_value_has_a_gradient_with_any_torch() -> None:
    distribution = GaussianDistribution(2, init_std=3.0, std_range=(0.5, 0.5))
    distribution.given(torch.zeros(1, 2)).std.sum().backward()
    assert distribution.std_param.tolist() == [0.5, 0.5]
    assert distribution.std_param.grad is not None
    assert distribution.std_param.grad.tolist() == [1.0, 1.0]


@pytest.mark.usefixtures("derivative_of_clamp_at_its_bounds")
@pytest.mark.parametrize("std_type", ["scalar", "log"])
@pytest.mark.parametrize("init_std", [0.01, 0.1, 1.0, 3.0])
@pytest.mark.parametrize("is_loaded", [False, True])
def test_a_deviation_that_begins_at_or_beyond_an_end_is_learned_from_the_first_mini_batch_on(
    init_std: float, std_type: str, is_loaded: bool
) -> None:
    cfg = point_config(num_learning_epochs=1, num_mini_batches=1)
    begins = 0.5 if is_loaded else init_std
    cfg["actor"]["distribution_cfg"] |= {"init_std": begins, "std_range": (0.1, 1.0), "std_type": std_type}
    runner = OnPolicyRunner(PointEnv(), cfg)
    (parameter,) = runner.alg.actor.distribution.parameters()
    if is_loaded:
        (name,) = runner.alg.actor.distribution.state_dict()
        value = torch.tensor([math.log(init_std) if std_type == "log" else init_std])
        runner.alg.actor.load_state_dict({**runner.alg.actor.state_dict(), f"distribution.{name}": value})
    runner.learn(1)
    assert runner.alg.optimizer.state[parameter]["exp_avg"].abs().min() > 0


class OwnNormal(GaussianDistribution):
    """Sets what release 5.5.1 keeps, with half the deviation."""

    def update(self, mlp_output: torch.Tensor) -> None:
        self._distribution = torch.distributions.Normal(mlp_output + 1.0, 0.5 * self.std_param.expand_as(mlp_output))


class OwnLaplace(GaussianDistribution):
    def update(self, mlp_output: torch.Tensor) -> None:
        self._distribution = torch.distributions.Laplace(mlp_output, self.std_param.expand_as(mlp_output))


class SmoothBounds(GaussianDistribution):
    """Learns a logit under the name of the standard deviation, as a task of Isaac Lab does."""

    def update(self, mlp_output: torch.Tensor) -> None:
        std = 0.15 + 0.5 * torch.sigmoid(self.std_param)
        self._distribution = torch.distributions.Normal(mlp_output, std.expand_as(mlp_output))


def test_what_a_subclass_reads_in_its_own_way_is_not_moved_into_a_range() -> None:
    cfg = point_config()
    cfg["actor"]["distribution_cfg"] = {"class_name": SmoothBounds}
    runner = OnPolicyRunner(PointEnv(), cfg)
    parameter = runner.alg.actor.distribution.std_param
    with torch.no_grad():
        parameter.fill_(-2.0)
    runner.learn(1)
    assert parameter.tolist() == pytest.approx([-2.0], abs=0.1)
    assert parameter.tolist() != [-2.0]


def test_before_the_first_update_there_is_no_distribution() -> None:
    distribution = GaussianDistribution(2)
    assert distribution._distribution is None
    distribution._distribution = None  # As constructors of programs do.
    with pytest.raises(RuntimeError, match="no parameters yet"):
        _ = distribution.mean


@pytest.mark.parametrize("kind", [OwnNormal, OwnLaplace])
def test_everything_follows_the_distribution_that_a_subclass_sets(kind: type) -> None:
    distribution = kind(2, init_std=0.6)
    mlp_output, outputs = torch.tensor([[0.0, 1.0], [2.0, -1.0]]), torch.tensor([[0.3, 0.1], [-0.2, 0.0]])
    distribution.update(mlp_output)
    own = distribution._distribution
    assert torch.equal(distribution.mean, own.mean)
    assert torch.equal(distribution.std, own.stddev)
    torch.testing.assert_close(distribution.entropy, own.entropy().sum(-1))
    torch.testing.assert_close(distribution.log_prob(outputs), own.log_prob(outputs).sum(-1))
    assert distribution.sample().shape == (2, 2)
    params = distribution.params
    zero = distribution.kl_divergence(params, params)
    torch.testing.assert_close(zero, torch.zeros(2), atol=1e-6, rtol=0)


class Sharper(GaussianDistribution):
    """Answers one question otherwise."""

    def log_prob(self, outputs: torch.Tensor) -> torch.Tensor:
        return 2.0 * super().log_prob(outputs)


class OtherEntropy(MLPModel):
    @property
    def output_entropy(self) -> torch.Tensor:
        return super().output_entropy + 7.0


def test_a_loss_asks_the_subclass_that_answers_otherwise() -> None:
    obs, outputs = observations(), torch.zeros(4, 2)
    plain, sharper = actor(), actor(Sharper)
    sharper.load_state_dict(plain.state_dict())
    expected = 2.0 * plain.output_distribution(obs).log_prob(outputs)
    torch.testing.assert_close(sharper.output_distribution(obs).log_prob(outputs), expected)
    own = actor(OwnNormal)
    own.load_state_dict(plain.state_dict())
    torch.testing.assert_close(own.output_distribution(obs).mean, plain(obs) + 1.0)
    other = actor(model=OtherEntropy)
    other.load_state_dict(plain.state_dict())
    difference = other.output_distribution(obs).entropy - plain.output_distribution(obs).entropy
    torch.testing.assert_close(difference, torch.full((4,), 7.0))


@pytest.mark.parametrize("kind", [OwnNormal, OwnLaplace, Sharper])
def test_a_distribution_of_that_kind_trains(kind: type) -> None:
    config = point_config()
    config["actor"]["distribution_cfg"] = {"class_name": kind, "init_std": 0.5}
    runner = OnPolicyRunner(PointEnv(), config)
    before = [parameter.clone() for parameter in runner.alg.get_policy().parameters()]
    runner.learn(2)
    after = list(runner.alg.get_policy().parameters())
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_the_parameters_of_a_beta_distribution() -> None:
    distribution = BetaDistribution(2)
    distribution.update(torch.zeros(3, 2, 2))
    expected = torch.full((3, 2), 1.0 + math.log(2.0))  # 1 + softplus(0)
    torch.testing.assert_close(distribution._alpha, expected)
    torch.testing.assert_close(distribution._beta, expected)
    torch.testing.assert_close(distribution._distribution.concentration1, expected)  # type: ignore[union-attr]


def test_everything_follows_the_beta_distribution_that_a_subclass_sets() -> None:
    class Sharp(BetaDistribution):
        def update(self, mlp_output: torch.Tensor) -> None:
            self._alpha, self._beta = mlp_output.exp().unbind(-2)
            self._distribution = torch.distributions.Beta(self._alpha, self._beta)

    sharp = Sharp(1, action_range=(0.0, 4.0))
    # alpha 1 and beta 3: mean 1/4 of the range, variance 3 / (16 * 5), and the density 3 * (1 - x)^2 on [0, 1]
    sharp.update(torch.tensor([[[0.0], [math.log(3.0)]]]))
    torch.testing.assert_close(sharp.mean, torch.tensor([[1.0]]))
    torch.testing.assert_close(sharp.std, torch.tensor([[4.0 * math.sqrt(3 / 80)]]))
    torch.testing.assert_close(sharp.log_prob(torch.tensor([[2.0]])), torch.tensor([math.log(0.75 / 4.0)]))
    torch.testing.assert_close(torch.cat(sharp.params, dim=-1), torch.tensor([[1.0, 3.0]]))


# -- algorithms --------------------------------------------------------------------------------------------------------


def test_models_by_the_names_beside_compiled_ones() -> None:
    critic = MLPModel(observations(), GROUPS, "critic", 1, hidden_dims=[8])
    alg = PPO(actor(), critic, RolloutStorage("rl", 4, 3, observations(), [2]))
    assert (alg._raw_actor, alg._raw_critic) == (alg.actor, alg.critic)  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        _ = alg._raw_student  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="'PPO' object has no attribute 'no_such'"):
        _ = alg.no_such  # type: ignore[attr-defined]


def test_what_programs_read_of_a_distillation() -> None:
    student = actor(model=RNNModel)
    teacher = MLPModel(observations(), GROUPS, "teacher", 2, hidden_dims=[8])
    alg = Distillation(student, teacher, RolloutStorage("distillation", 4, 4, observations(), [2]), gradient_length=2)
    assert (alg._raw_student, alg._raw_teacher) == (student, teacher)  # type: ignore[attr-defined]
    assert alg.loss_fn(torch.ones(2), torch.zeros(2)) == 1.0
    assert (alg.num_updates, alg.last_hidden_states) == (0, (None, None))
    for count in (1, 2):
        with torch.inference_mode():
            for _ in range(4):
                alg.act(observations())
                alg.process_env_step(observations(), torch.zeros(4), torch.zeros(4), {})
        alg.update()
        assert alg.num_updates == count
    remembered, nothing = alg.last_hidden_states
    assert nothing is None
    assert remembered is not None
    assert remembered[0].shape[1] == 4


@pytest.mark.parametrize(
    ("schedule", "weights"),
    [
        ({"mode": "constant"}, [1.5, 1.5, 1.5]),
        ({"mode": "step", "final_step": 5, "final_value": 0.5}, [1.5, 0.5, 0.5]),
        ({"mode": "linear", "initial_step": 0, "final_step": 10, "final_value": 0.5}, [1.5, 1.0, 0.5]),
    ],
)
def test_the_schedule_of_a_curiosity_is_a_function(schedule: dict[str, Any], weights: list[float]) -> None:
    rnd = RandomNetworkDistillation(3, {"rnd_state": ["policy"]}, 2, [4], [4], weight=1.5, weight_schedule=schedule)
    assert rnd.weight_scheduler is not None
    assert [rnd.weight_scheduler(step=step, **schedule) for step in (0, 5, 10)] == weights
    rnd.weight_scheduler = lambda step, **options: 10.0 + step
    rnd.get_intrinsic_reward(observations())
    assert rnd.weight == 11.0


def test_without_a_schedule_there_is_no_function() -> None:
    assert RandomNetworkDistillation(3, {"rnd_state": ["policy"]}, 2, [4], [4]).weight_scheduler is None


def mirrored(env: Any = None, obs: Any = None, actions: Any = None) -> tuple[Any, Any]:
    obs = None if obs is None else TensorDict({"policy": torch.cat([obs["policy"], -obs["policy"]])}, [2 * len(obs)])
    return obs, None if actions is None else torch.cat([actions, -actions])


@pytest.mark.parametrize("is_learned", [False, True])
def test_a_mirror_loss_by_hand(is_learned: bool) -> None:
    batch = RolloutStorage.Batch(observations=observations(), actions=torch.zeros(4, 2))
    loss = Symmetry(None, mirrored, use_mirror_loss=is_learned).compute_loss(actor(), batch, 4)  # type: ignore[arg-type]
    assert loss.requires_grad == is_learned
    assert len(batch.observations) == 8
    assert batch.actions.shape == (4, 2)


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_a_recurrent_policy_with_fewer_environments_than_mini_batches_trains(kind: str) -> None:
    config = point_config(num_mini_batches=16)
    for section in ("actor", "critic"):
        config[section] |= {"class_name": "RNNModel", "rnn_type": kind, "rnn_hidden_dim": 4}
    with pytest.warns(UserWarning, match="only 4 environments: it is learned from in 4 mini-batches") as said:
        runner = OnPolicyRunner(PointEnv(4), config)
    runner.learn(2)
    assert sum("mini-batches instead of" in str(warning.message) for warning in said) == 1
    assert runner.losses["value"] > 0


# -- export ------------------------------------------------------------------------------------------------------------


class CameraActor(MLPModel):
    """Sees a camera with an encoder of its own, beside the vectors."""

    def __init__(self, obs: TensorDict, obs_groups: dict, obs_set: str, output_dim: int, **options: Any) -> None:
        super().__init__(obs, obs_groups, obs_set, output_dim, **options)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))

    def _get_obs_dim(self, obs: TensorDict, obs_groups: dict, obs_set: str) -> tuple[list[str], int]:
        vectors = [group for group in obs_groups[obs_set] if obs[group].ndim == 2]
        return vectors, sum(obs[group].shape[-1] for group in vectors)

    def _get_latent_dim(self) -> int:
        return self.obs_dim + 3

    def get_latent(self, obs: Any, masks: Any = None, hidden_state: Any = None) -> torch.Tensor:
        return torch.cat([super().get_latent(obs, masks, hidden_state), self.encoder(obs["camera"].float())], dim=-1)

    def as_onnx(self, verbose: bool = False) -> nn.Module:
        return CameraPolicy(self)

    def as_jit(self) -> nn.Module:
        return CameraPolicy(self)


class CameraActorWithList(CameraActor):
    """Its script takes the further groups as a list, as the models with images of the release do."""

    def as_jit(self) -> nn.Module:
        return CameraPolicyWithList(self)


class CameraPolicy(nn.Module):
    input_names = ["obs", "camera"]  # noqa: RUF012
    output_names = ["actions"]  # noqa: RUF012

    def __init__(self, model: CameraActor) -> None:
        super().__init__()
        self.normalizer, self.encoder, self.mlp = model.obs_normalizer, model.encoder, model.mlp

    def forward(self, obs: torch.Tensor, camera: torch.Tensor) -> torch.Tensor:
        return self.mlp(torch.cat([self.normalizer(obs), self.encoder(camera.float())], dim=-1))

    def get_dummy_inputs(self) -> tuple[torch.Tensor, ...]:
        return torch.zeros(1, 3), torch.zeros(1, 1, 4, 4)

    @torch.jit.export
    def reset(self) -> None:
        pass


class CameraPolicyWithList(nn.Module):
    def __init__(self, model: CameraActor) -> None:
        super().__init__()
        self.normalizer, self.encoder, self.mlp = model.obs_normalizer, model.encoder, model.mlp

    def forward(self, obs_raw: torch.Tensor, obs_encoded: list[torch.Tensor]) -> torch.Tensor:
        return self.mlp(torch.cat([self.normalizer(obs_raw), self.encoder(obs_encoded[0].float())], dim=-1))

    @torch.jit.export
    def reset(self) -> None:
        pass


@pytest.mark.parametrize(
    ("export", "model"),
    [
        ("export_policy_to_onnx", CameraActor),
        ("export_policy_to_pt2", CameraActor),
        ("export_policy_to_jit", CameraActor),
        ("export_policy_to_jit", CameraActorWithList),
    ],
)
def test_a_model_that_reads_further_groups_is_exported(export: str, model: type, tmp_path: Path) -> None:
    class CameraEnv(PointEnv):
        def get_observations(self) -> TensorDict:
            obs = super().get_observations()
            obs["policy"] = torch.cat([obs["policy"]] * 3, dim=-1)[:, :3]
            obs["camera"] = torch.rand(self.num_envs, 1, 4, 4)
            return obs

    config = point_config()
    config["obs_groups"] = {"actor": ["policy", "camera"], "critic": ["policy"]}
    config["actor"]["class_name"] = model
    runner = OnPolicyRunner(CameraEnv(), config)
    runner.learn(1)
    getattr(runner, export)(str(tmp_path))
    assert len(list(tmp_path.iterdir())) == 1
