# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Symmetric policies as files, which hold the mirror: a controller need not know of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rsl_rl.export import EXPORTERS, load_policy
from tests.models.test_symmetric import LEFT_RIGHT, MODES, build, mirror_image, mirrored, observations

CASES = {
    "onnx": [("lstm", "equivariant", "gaussian"), ("gru", "half cycle", "gaussian"), ("mlp", "four images", "beta")],
    "torchscript": [
        *[("lstm", "equivariant", "gaussian"), ("gru", "equivariant", "gaussian"), ("gru", "half cycle", "gaussian")],
        *[("mlp", "four images", "beta"), ("mlp", "half cycle", "heteroscedastic")],
    ],
    "pt2": [("gru", "equivariant", "gaussian"), ("mlp", "half cycle", "beta")],
}


@pytest.mark.parametrize(
    ("file_format", "kind", "mode", "distribution"), [(name, *case) for name, cases in CASES.items() for case in cases]
)
def test_the_file_acts_like_the_model(
    file_format: str, kind: str, mode: str, distribution: str, tmp_path: Path
) -> None:
    alg = build(kind, distribution, **MODES[mode][0])
    write, file = EXPORTERS[file_format]
    report = write(alg.actor, tmp_path / file)
    assert report.max_difference is not None
    policy, image_policy = load_policy(tmp_path / file), load_policy(tmp_path / file)
    alg.actor.eval()
    alg.actor.reset()
    for step, obs in enumerate(observations(6)):
        actions, dones = policy(obs), torch.arange(6) % 4 == step
        with torch.no_grad():
            torch.testing.assert_close(actions, alg.actor(obs), atol=1e-5, rtol=1e-5)
        expected = mirrored("actions", actions)
        torch.testing.assert_close(image_policy(mirror_image(obs, LEFT_RIGHT)), expected, atol=1e-5, rtol=1e-5)
        for each in (policy, image_policy, alg.actor):
            each.reset(dones)
    # A hidden state for each image.
    width = {"mlp": None, "gru": 5, "lstm": 5}[kind]
    sizes = {tuple(size) for size in policy.metadata.hidden_state.values()}
    layers, copies = 2 if kind == "gru" else 1, 1 if mode == "half cycle" else 2
    assert sizes == (set() if width is None else {(layers, copies * width)})
