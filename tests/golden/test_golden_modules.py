# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The reference numbers of distributions and normalizers replay."""

from __future__ import annotations

import pytest
import torch

from rsl_rl.core.trajectories import split_and_pad_trajectories, unpad_trajectories
from rsl_rl.modules import EmpiricalDiscountedVariationNormalization, EmpiricalNormalization
from rsl_rl.utils import resolve_class
from tests.golden.replay import assert_agrees, load_case, part

DISTRIBUTIONS = load_case("distributions")[0]["entries"]


@pytest.mark.parametrize("entry", DISTRIBUTIONS, ids=lambda entry: f"{entry['index']}-{entry['class_name']}")
def test_distribution_replays(entry: dict) -> None:
    tensors = part(load_case("distributions")[1], f"{entry['index']}/")
    distribution_class, options = resolve_class({key: value for key, value in entry.items() if key != "index"})
    distribution = distribution_class(**options)
    distribution.update(tensors["mlp_output_2"])
    params_2 = distribution.params
    distribution.update(tensors["mlp_output"])
    measured = {
        "mean": distribution.mean,
        "std": distribution.std,
        "entropy": distribution.entropy,
        "log_prob": distribution.log_prob(tensors["actions"]),
        "params_0": distribution.params[0],
        "params_1": distribution.params[1],
        "deterministic_output": distribution.deterministic_output(tensors["mlp_output"]),
        "kl_1_to_2": distribution.kl_divergence(distribution.params, params_2),
    }
    for key, value in measured.items():
        assert_agrees(value, tensors[key], key)
    value = distribution.given(tensors["mlp_output"])
    assert_agrees(value.log_prob(tensors["actions"]), tensors["log_prob"], "log_prob of the value")
    assert_agrees(value.entropy, tensors["entropy"], "entropy of the value")
    exported = distribution.as_deterministic_output_module()
    assert_agrees(exported(tensors["mlp_output"]), tensors["deterministic_output"], "exported output")


def test_empirical_normalization_replays() -> None:
    tensors = part(load_case("modules")[1], "empirical_normalization/")
    normalizer = EmpiricalNormalization(5)
    normalizer.train()
    seen = torch.empty(0, 5)
    for index in range(4):
        expected = part(tensors, f"{index}/")
        normalizer.update(expected["input"])
        seen = torch.cat([seen, expected["input"]])
        assert_agrees(normalizer(expected["input"]), expected["output"], f"output {index}")
        assert_agrees(normalizer.inverse(expected["output"]), expected["inverse"], f"inverse {index}")
        assert_agrees(normalizer.mean, seen.mean(0), f"mean {index}")
        assert_agrees(normalizer.std, seen.std(0, correction=0), f"std {index}")
    # The recording kept references to the statistics, so every entry of it holds the last ones.
    for key in ("_mean", "_var", "_std", "count"):
        assert_agrees(getattr(normalizer, key), tensors[f"3/{key}"], key)


def test_discounted_variation_normalization_replays() -> None:
    tensors = part(load_case("modules")[1], "discounted_variation/")
    normalizer = EmpiricalDiscountedVariationNormalization([], gamma=0.9)
    normalizer.train()
    for index in range(5):
        expected = part(tensors, f"{index}/")
        assert_agrees(normalizer(expected["input"]), expected["output"], f"output {index}")


def test_trajectories_replay() -> None:
    tensors = part(load_case("modules")[1], "trajectories/")
    padded, masks = split_and_pad_trajectories(tensors["input"], tensors["dones"])
    assert torch.equal(padded, tensors["padded"])
    assert torch.equal(masks, tensors["masks"])
    assert torch.equal(unpad_trajectories(padded, masks), tensors["input"])
