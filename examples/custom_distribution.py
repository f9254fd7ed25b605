# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""A distribution of your own: a Gaussian squashed by tanh, whose actions cannot leave [-1, 1].

    python examples/custom_distribution.py

Log density and KL divergence are exact. Mean, standard deviation and entropy have no closed form; they are expectations
over a Gaussian and computed by Gauss-Hermite quadrature, which draws nothing and has gradients.
"""

from __future__ import annotations

import argparse
import math
from typing import Any

import numpy as np
import torch
from custom_environment import TRAIN_CFG, PlanarQuadrotor, mean_return
from torch import nn
from torch.nn import functional

from rsl_rl.modules import Distribution
from rsl_rl.runners import OnPolicyRunner

Params = tuple[torch.Tensor, ...]
_LIMIT = 1.0 - 1e-6  # Nearer to the ends float32 does not know where a sample came from.


class TanhGaussian(Distribution):
    """``tanh(x)`` with ``x ~ N(mu, sigma)``: mu [B, A] is the network's output, sigma [A] is learned. A actions."""

    nodes: torch.Tensor
    weights: torch.Tensor

    def __init__(self, output_dim: int, init_std: float = 0.5, num_nodes: int = 32) -> None:
        super().__init__(output_dim)
        self.log_sigma = nn.Parameter(torch.full((output_dim,), math.log(init_std)))
        nodes, weights = np.polynomial.hermite_e.hermegauss(num_nodes)
        self.register_buffer("nodes", torch.tensor(nodes, dtype=torch.float32), persistent=False)
        self.register_buffer("weights", torch.tensor(weights / weights.sum(), dtype=torch.float32), persistent=False)

    @property
    def input_dim(self) -> int:
        return self.output_dim  # Of the network's output: one number for each action.

    def update(self, mlp_output: torch.Tensor) -> None:
        self.mu, self.sigma = mlp_output, self.log_sigma.exp().expand_as(mlp_output)

    def sample(self) -> torch.Tensor:
        return torch.tanh(self.mu + self.sigma * torch.randn_like(self.mu)).clamp(-_LIMIT, _LIMIT)

    def log_prob(self, outputs: torch.Tensor) -> torch.Tensor:
        x = torch.atanh(outputs.clamp(-_LIMIT, _LIMIT))
        gaussian = -0.5 * ((x - self.mu) / self.sigma).square() - self.sigma.log() - 0.5 * math.log(2 * math.pi)
        return (gaussian - _log_slope(x)).sum(dim=-1)

    @property
    def entropy(self) -> torch.Tensor:
        gaussian = 0.5 + 0.5 * math.log(2 * math.pi) + self.sigma.log()
        return (gaussian + self._expectation(_log_slope(self._points))).sum(dim=-1)

    def kl_divergence(self, old_params: Params, new_params: Params) -> torch.Tensor:
        (old_mu, old_sigma), (mu, sigma) = old_params, new_params
        ratio = (old_sigma / sigma).square()  # tanh loses nothing, so this is that of the Gaussians.
        return 0.5 * (ratio + ((old_mu - mu) / sigma).square() - 1.0 - ratio.log()).sum(dim=-1)

    @property
    def mean(self) -> torch.Tensor:
        return self._expectation(self._points.tanh())

    @property
    def std(self) -> torch.Tensor:
        return (self._expectation(self._points.tanh().square()) - self.mean.square()).clamp(min=1e-12).sqrt()

    @property
    def params(self) -> Params:
        return (self.mu, self.sigma)

    def deterministic_output(self, mlp_output: torch.Tensor) -> torch.Tensor:
        return mlp_output.tanh()  # The median.

    def as_deterministic_output_module(self) -> nn.Module:
        return nn.Tanh()  # The same, for exported policies.

    @property
    def _points(self) -> torch.Tensor:
        return self.mu.unsqueeze(-1) + self.sigma.unsqueeze(-1) * self.nodes

    def _expectation(self, values: torch.Tensor) -> torch.Tensor:
        return (values * self.weights).sum(dim=-1)


def _log_slope(x: torch.Tensor) -> torch.Tensor:
    """Return log(d tanh(x) / dx) = log(1 - tanh(x)^2), also where that is 0 in float32."""
    return 2.0 * (math.log(2.0) - x - functional.softplus(-2.0 * x))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.manual_seed(1)
    distribution = {"class_name": "custom_distribution:TanhGaussian", "init_std": 0.5}
    cfg: dict[str, Any] = {**TRAIN_CFG, "actor": {**TRAIN_CFG["actor"], "distribution_cfg": distribution}}
    env = PlanarQuadrotor(256, seed=1, device=arguments.device)
    runner = OnPolicyRunner(env, cfg, log_dir="runs/tanh_gaussian", device=arguments.device)
    before = mean_return(runner.get_inference_policy(), arguments.device)
    runner.learn(arguments.iterations, init_at_random_ep_len=True)
    after = mean_return(runner.get_inference_policy(), arguments.device)
    runner.export_policy_to_onnx("runs/tanh_gaussian")  # raises if the file does not act like the policy
    largest = runner.alg.storage.actions.abs().max().item()
    print(f"mean return {before:.2f} -> {after:.2f}; the largest action of the last rollout was {largest:.3f}")
    assert after > before
    assert largest <= 1.0


if __name__ == "__main__":
    main()
