# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What existing programs rely on: import paths, signatures, defaults. A change here breaks users."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect

import pytest

IMPORTS = {
    "rsl_rl.runners": ["OnPolicyRunner", "DistillationRunner"],
    "rsl_rl.runners.on_policy_runner": ["OnPolicyRunner"],
    "rsl_rl.runners.distillation_runner": ["DistillationRunner"],
    "rsl_rl.algorithms": ["PPO", "Distillation"],
    "rsl_rl.algorithms.ppo": ["PPO"],
    "rsl_rl.algorithms.distillation": ["Distillation"],
    "rsl_rl.models": ["MLPModel", "RNNModel", "CNNModel"],
    "rsl_rl.models.mlp_model": ["MLPModel"],
    "rsl_rl.models.rnn_model": ["RNNModel"],
    "rsl_rl.models.cnn_model": ["CNNModel"],
    "rsl_rl.modules": [
        "MLP",
        "CNN",
        "RNN",
        "HiddenState",
        "EmpiricalNormalization",
        "EmpiricalDiscountedVariationNormalization",
        "Distribution",
        "GaussianDistribution",
        "HeteroscedasticGaussianDistribution",
        "BetaDistribution",
    ],
    "rsl_rl.modules.mlp": ["MLP"],
    "rsl_rl.modules.cnn": ["CNN"],
    "rsl_rl.modules.rnn": ["RNN", "HiddenState"],
    "rsl_rl.modules.normalization": ["EmpiricalNormalization", "EmpiricalDiscountedVariationNormalization"],
    "rsl_rl.modules.distribution": [
        "Distribution",
        "GaussianDistribution",
        "HeteroscedasticGaussianDistribution",
        "BetaDistribution",
    ],
    "rsl_rl.env": ["VecEnv"],
    "rsl_rl.env.vec_env": ["VecEnv"],
    "rsl_rl.storage": ["RolloutStorage"],
    "rsl_rl.storage.rollout_storage": ["RolloutStorage"],
    "rsl_rl.extensions": [
        "RandomNetworkDistillation",
        "Symmetry",
        "resolve_rnd_config",
        "resolve_symmetry_config",
    ],
    "rsl_rl.extensions.rnd": ["RandomNetworkDistillation", "resolve_rnd_config"],
    "rsl_rl.extensions.symmetry": ["Symmetry", "resolve_symmetry_config"],
    "rsl_rl.utils": [
        "LogWriter",
        "check_nan",
        "compile_model",
        "get_param",
        "reduce_gradients_in_buckets",
        "resolve_callable",
        "resolve_class",
        "resolve_nn_activation",
        "resolve_obs_groups",
        "resolve_optimizer",
        "split_and_pad_trajectories",
        "unpad_trajectories",
    ],
    "rsl_rl.utils.logger": ["Logger"],
}

MODEL = (
    "obs obs_groups obs_set output_dim hidden_dims=(256, 256, 256) activation='elu' obs_normalization=False "
    "distribution_cfg=None"
)
SIGNATURES = {
    "rsl_rl.runners:OnPolicyRunner": "env train_cfg log_dir=None device='cpu'",
    "rsl_rl.runners:OnPolicyRunner.learn": "self num_learning_iterations init_at_random_ep_len=False",
    "rsl_rl.runners:OnPolicyRunner.save": "self path infos=None",
    "rsl_rl.runners:OnPolicyRunner.load": "self path load_cfg=None strict=True map_location=None",
    "rsl_rl.runners:OnPolicyRunner.get_inference_policy": "self device=None",
    "rsl_rl.runners:OnPolicyRunner.export_policy_to_jit": "self path filename='policy.pt'",
    "rsl_rl.runners:OnPolicyRunner.export_policy_to_onnx": "self path filename='policy.onnx' verbose=False",
    "rsl_rl.runners:OnPolicyRunner.add_git_repo_to_log": "self repo_file_path",
    "rsl_rl.algorithms:PPO": (
        "actor critic storage num_learning_epochs=5 num_mini_batches=4 clip_param=0.2 gamma=0.99 lam=0.95 "
        "value_loss_coef=1.0 entropy_coef=0.01 learning_rate=0.001 max_grad_norm=1.0 optimizer='adam' "
        "use_clipped_value_loss=True schedule='adaptive' desired_kl=0.01 normalize_advantage_per_mini_batch=False "
        "use_mixed_precision=False device='cpu' rnd_cfg=None symmetry_cfg=None multi_gpu_cfg=None "
        "grad_reduce_bucket_mb=25 share_cnn_encoders=False critic_warmup_iterations=0 shared_encoders_twice=False "
        "max_bad_updates=10"
    ),
    "rsl_rl.algorithms:PPO.act": "self obs",
    "rsl_rl.algorithms:PPO.process_env_step": "self obs rewards dones extras",
    "rsl_rl.algorithms:PPO.compute_returns": "self obs",
    "rsl_rl.algorithms:PPO.update": "self",
    "rsl_rl.algorithms:PPO.save": "self",
    "rsl_rl.algorithms:PPO.compile": "self mode=None",
    "rsl_rl.algorithms:PPO.construct_algorithm": "obs env cfg device",
    "rsl_rl.algorithms:PPO.broadcast_parameters": "self",
    "rsl_rl.algorithms:PPO.reduce_parameters": "self",
    "rsl_rl.algorithms:Distillation": (
        "student teacher storage num_learning_epochs=1 gradient_length=15 learning_rate=0.001 max_grad_norm=None "
        "loss_type='mse' optimizer='adam' use_mixed_precision=False device='cpu' multi_gpu_cfg=None "
        "grad_reduce_bucket_mb=25 max_bad_updates=10 symmetry_cfg=None kwargs"
    ),
    "rsl_rl.extensions:RandomNetworkDistillation": (
        "num_states obs_groups num_outputs predictor_hidden_dims target_hidden_dims activation='elu' "
        "state_normalization=False reward_normalization=False weight=0.0 weight_schedule=None learning_rate=0.001 "
        "device='cpu'"
    ),
    "rsl_rl.extensions:RandomNetworkDistillation.get_intrinsic_reward": "self obs",
    "rsl_rl.extensions:RandomNetworkDistillation.get_rnd_state": "self obs",
    "rsl_rl.extensions:Symmetry": (
        "env data_augmentation_func use_data_augmentation=False use_mirror_loss=False mirror_loss_coeff=0.0 "
        "equivariant=False half_cycle=None"
    ),
    "rsl_rl.extensions:Symmetry.augment_batch": "self batch original_batch_size",
    "rsl_rl.extensions:Symmetry.compute_loss": "self actor batch original_batch_size",
    "rsl_rl.extensions:resolve_rnd_config": "alg_cfg obs obs_groups env",
    "rsl_rl.extensions:resolve_symmetry_config": "alg_cfg env",
    "rsl_rl.models:MLPModel": MODEL,
    "rsl_rl.models:RNNModel": f"{MODEL} rnn_type='lstm' rnn_hidden_dim=256 rnn_num_layers=1",
    "rsl_rl.models:RNNModel.reset": "self dones=None hidden_state=None",
    "rsl_rl.models:CNNModel": f"{MODEL} cnn_cfg=None cnns=None",
    "rsl_rl.models:MLPModel.forward": "self obs masks=None hidden_state=None stochastic_output=False",
    "rsl_rl.models:MLPModel.get_latent": "self obs masks=None hidden_state=None",
    "rsl_rl.models:MLPModel.reset": "self dones=None hidden_state=None",
    "rsl_rl.models:MLPModel.detach_hidden_state": "self dones=None",
    "rsl_rl.models:MLPModel.get_output_log_prob": "self outputs",
    "rsl_rl.models:MLPModel.get_kl_divergence": "self old_params new_params",
    "rsl_rl.models:MLPModel.update_normalization": "self obs",
    "rsl_rl.models:MLPModel._get_obs_dim": "self obs obs_groups obs_set",
    "rsl_rl.models:MLPModel._get_latent_dim": "self",
    "rsl_rl.modules:MLP": "input_dim output_dim hidden_dims activation='elu' last_activation=None",
    "rsl_rl.modules:MLP.init_weights": "self scales",
    "rsl_rl.modules:EmpiricalNormalization": "shape eps=0.01 until=None",
    "rsl_rl.modules:Distribution": "output_dim",
    "rsl_rl.modules:GaussianDistribution": (
        "output_dim init_std=1.0 std_range=(1e-06, 1000000.0) std_type='scalar' learn_std=True"
    ),
    "rsl_rl.modules:HeteroscedasticGaussianDistribution": (
        "output_dim init_std=1.0 std_range=(1e-06, 1000000.0) std_type='scalar'"
    ),
    "rsl_rl.modules:BetaDistribution": "output_dim action_range=(-1.0, 1.0)",
    "rsl_rl.modules:EmpiricalDiscountedVariationNormalization": "shape eps=0.01 gamma=0.99 until=None",
    "rsl_rl.modules:RNN": "input_size hidden_dim=256 num_layers=1 type='lstm'",
    "rsl_rl.modules:RNN.forward": "self input masks=None hidden_state=None",
    "rsl_rl.modules:CNN": (
        "input_dim input_channels output_channels kernel_size stride=1 dilation=1 padding='none' norm='none' "
        "activation='elu' max_pool=False global_pool='none' flatten=True"
    ),
    "rsl_rl.storage:RolloutStorage": (
        "training_type num_envs num_transitions_per_env obs actions_shape device='cpu' image_dtype=None"
    ),
    "rsl_rl.storage:RolloutStorage.add_transition": "self transition",
    "rsl_rl.storage:RolloutStorage.mini_batch_generator": "self num_mini_batches num_epochs=8",
    "rsl_rl.storage:RolloutStorage.recurrent_mini_batch_generator": "self num_mini_batches num_epochs=8",
    "rsl_rl.storage:RolloutStorage.generator": "self",
    "rsl_rl.storage:RolloutStorage.Batch": (
        "observations=None actions=None values=None advantages=None returns=None old_actions_log_prob=None "
        "old_distribution_params=None hidden_states=(None, None) masks=None privileged_actions=None dones=None"
    ),
    "rsl_rl.utils:check_nan": "obs rewards dones",
    "rsl_rl.utils:compile_model": "model mode=None",
    "rsl_rl.utils:get_param": "param idx",
    "rsl_rl.utils:resolve_callable": "callable_or_name",
    "rsl_rl.utils:resolve_class": "cfg",
    "rsl_rl.utils:resolve_nn_activation": "act_name",
    "rsl_rl.utils:resolve_obs_groups": "obs obs_groups default_sets",
    "rsl_rl.utils:resolve_optimizer": "optimizer_name",
    "rsl_rl.utils:reduce_gradients_in_buckets": "params world_size bucket_mb",
    "rsl_rl.utils:split_and_pad_trajectories": "tensor dones",
    "rsl_rl.utils:unpad_trajectories": "trajectories masks",
    "rsl_rl.utils.logger:Logger": ("log_dir cfg env_cfg num_envs is_distributed gpu_world_size gpu_global_rank device"),
    "rsl_rl.utils.logger:Logger.init_logging_writer": "self",
    "rsl_rl.utils.logger:Logger.process_env_step": "self rewards dones extras intrinsic_rewards=None",
    "rsl_rl.utils.logger:Logger.log": (
        "self it start_it total_it collect_time learn_time loss_dict learning_rate action_std rnd_weight "
        "print_minimal=False width=80 pad=40"
    ),
    "rsl_rl.utils.logger:Logger.save_model": "self path it",
    "rsl_rl.utils.logger:Logger.stop_logging_writer": "self",
}


@pytest.mark.parametrize("module", sorted(IMPORTS))
def test_import_paths(module: str) -> None:
    found = importlib.import_module(module)
    assert [name for name in IMPORTS[module] if not hasattr(found, name)] == []


@pytest.mark.parametrize("path", sorted(SIGNATURES))
def test_signatures(path: str) -> None:
    module, _, attribute = path.partition(":")
    found = importlib.import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part)
    parameters = inspect.signature(found).parameters.values()
    written = " ".join(
        parameter.name if parameter.default is parameter.empty else f"{parameter.name}={parameter.default!r}"
        for parameter in parameters
    )
    assert written == SIGNATURES[path]


def test_distribution_is_found_under_its_historical_name() -> None:
    version = importlib.metadata.version("rsl-rl-lib")
    assert version.startswith("5.5.1+indie.")
    assert int(version.split(".")[0]) >= 5
