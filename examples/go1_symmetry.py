# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""A symmetry function of your own, in plain PyTorch: the Unitree Go1 between left and right.

    python examples/go1_symmetry.py

The mirror image of a vector is its entries in another order and with other signs. What points along x or z, or turns
about y, looks the same in the mirror; what points along y, or turns about x or z, changes its sign; left and right legs
change places; and a trot in the mirror is the same trot half a cycle later. For tasks of MujocoVecEnv, as this robot's,
rsl_rl.extensions.mirrors:mujoco_task reads all of that from the task's table "mirrors"; for other environments
rsl_rl.extensions.mirrors has blocks (Part, Mirror).
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

import torch
from tensordict import TensorDict

from rsl_rl.env import make_env
from rsl_rl.runners import OnPolicyRunner

# Front right, front left, rear right, rear left; each abduction, hip, knee. Abduction turns about x.
LEG_ORDER, LEG_SIGNS = [3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8], [-1.0, 1.0, 1.0] * 4
# A command is forward, left, turn to the left; a clock is the sine and cosine of the gait cycle.
VECTOR, ROTATION, COMMAND, CLOCK = [1.0, -1.0, 1.0], [-1.0, 1.0, -1.0], [1.0, -1.0, -1.0], [-1.0, -1.0]

# The group "actor": angular velocity, gravity (6), joint angles, rates, last actions (36), command (3), clock (2).
ORDER = torch.tensor([*range(6), *(start + joint for start in (6, 18, 30) for joint in LEG_ORDER), *range(42, 47)])
SIGNS = torch.tensor([*ROTATION, *VECTOR, *LEG_SIGNS * 3, *COMMAND, *CLOCK])


def mirror_observations(seen: torch.Tensor) -> torch.Tensor:
    """Return the mirror image of the group "actor", [B, 47]."""
    return seen[:, ORDER.to(seen.device)] * SIGNS.to(seen)


def mirror_actions(actions: torch.Tensor) -> torch.Tensor:
    """Return the mirror image of actions, [B, 12]."""
    return actions[:, LEG_ORDER] * actions.new_tensor(LEG_SIGNS)


def left_right(obs: TensorDict | None, actions: torch.Tensor | None, env: Any) -> tuple[Any, Any]:
    """Append mirror images: [B, ...] becomes [2 * B, ...], the originals first. What is None stays None."""
    if obs is not None:
        # No model of this program sees the other group of this robot, "critic": it is appended as it is.
        images: dict[str, Any] = dict(obs.items()) | {"actor": mirror_observations(obs["actor"])}
        both = {name: torch.cat([obs[name], image]) for name, image in images.items()}
        obs = TensorDict(both, batch_size=[2 * len(obs)], device=obs.device)
    if actions is not None:
        actions = torch.cat([actions, mirror_actions(actions)])
    return obs, actions


def train(mirror_loss_coeff: float, iterations: int, device: str) -> tuple[float, float]:
    """Return mean episode length, and the mean |pi(M s) - M pi(s)| over the states of the last rollout."""
    torch.manual_seed(1)
    model = {"class_name": "MLPModel", "hidden_dims": [128, 128]}
    symmetry = {
        "data_augmentation_func": "go1_symmetry:left_right",
        "use_mirror_loss": mirror_loss_coeff > 0.0,
        "mirror_loss_coeff": mirror_loss_coeff,
    }
    cfg = {
        "num_steps_per_env": 24,
        "save_interval": 50,
        "obs_groups": {"actor": ["actor"], "critic": ["actor"]},
        "actor": {**model, "distribution_cfg": {"class_name": "GaussianDistribution", "init_std": 0.5}},
        "critic": model,
        "algorithm": {"class_name": "PPO", "gamma": 0.95, "entropy_coef": 0.005, "symmetry_cfg": symmetry},
    }
    env = make_env("mujoco:go1-walk", num_envs=32, seed=1, device=device)
    runner = OnPolicyRunner(env, cfg, log_dir=f"runs/go1_symmetry/{mirror_loss_coeff:g}", device=device)
    runner.learn(iterations)
    policy, states = runner.get_inference_policy(), runner.alg.storage.observations["actor"].flatten(0, 1)
    with torch.inference_mode():
        difference = policy({"actor": mirror_observations(states)}) - mirror_actions(policy({"actor": states}))
    return statistics.fmean(runner.logger.lenbuffer), difference.abs().mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    unlike = {}
    for coefficient in (0.0, 10.0):
        length, unlike[coefficient] = train(coefficient, arguments.iterations, arguments.device)
        print(f"mirror loss x {coefficient:2g}: {unlike[coefficient]:.4f} unlike its mirror image, length {length:.0f}")
    assert unlike[10.0] < unlike[0.0], "the mirror loss has not made the robot act alike on both sides"


if __name__ == "__main__":
    main()
