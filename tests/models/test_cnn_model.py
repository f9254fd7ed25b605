# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The vision model and its encoder."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tensordict import TensorDict

from rsl_rl.core.trajectories import split_and_pad_trajectories
from rsl_rl.models import CNNModel
from rsl_rl.modules import CNN

GROUPS = {
    "both": ["vector", "front", "extra", "back"],
    "images": ["front"],
    "bytes": ["bytes"],
    "vectors": ["vector"],
    "odd": ["front", "line"],
}
OPTIONS = {"output_channels": [3, 4], "kernel_size": 3, "stride": 2}


def observations(num_envs: int = 5, seed: int = 0) -> TensorDict:
    generator = torch.Generator().manual_seed(seed)
    return TensorDict(
        {
            "vector": torch.randn(num_envs, 2, generator=generator),
            "extra": torch.randn(num_envs, 1, generator=generator),
            "front": torch.rand(num_envs, 1, 12, 16, generator=generator),
            "back": torch.rand(num_envs, 3, 9, 9, generator=generator),
            "bytes": torch.randint(0, 256, (num_envs, 1, 12, 16), generator=generator, dtype=torch.uint8),
            "line": torch.randn(num_envs, 4, 4, generator=generator),
        },
        [num_envs],
    )


def build(obs_set: str = "both", cnn_cfg: dict[str, Any] | None = None, **options: Any) -> CNNModel:
    torch.manual_seed(1)
    return CNNModel(observations(), GROUPS, obs_set, 2, [8], cnn_cfg=cnn_cfg or OPTIONS, **options)


def test_vectors_come_first_then_the_codes_of_every_camera() -> None:
    obs, model = observations(), build(obs_normalization=True)
    model.update_normalization(obs)
    vectors = torch.cat([obs["vector"], obs["extra"]], dim=1)
    vectors = (vectors - vectors.mean(0)) / (vectors.std(0, correction=0) + 0.01)
    codes = [model.cnns[group](obs[group]) for group in ("front", "back")]
    torch.testing.assert_close(model.get_latent(obs), torch.cat([vectors, *codes], dim=1))
    assert (model.obs_groups, model.obs_groups_2d) == (["vector", "extra"], ["front", "back"])
    assert (model.obs_dims_2d, model.obs_channels_2d) == ([(12, 16), (9, 9)], [1, 3])


def test_images_alone_are_enough() -> None:
    model = build("images", obs_normalization=True)
    model.update_normalization(observations())
    assert model(observations()).shape == (5, 2)
    assert (model.obs_groups, model.obs_dim) == ([], 0)


def test_bytes_are_scaled_to_one() -> None:
    model, obs = build("bytes"), observations()
    torch.testing.assert_close(model.get_latent(obs), model.cnns["bytes"](obs["bytes"].double().div(255).float()))


def test_every_camera_can_have_options_of_its_own() -> None:
    options = {"front": OPTIONS, "back": {"output_channels": [2], "kernel_size": 5, "global_pool": "avg"}}
    model = build(cnn_cfg=options)
    assert model.cnns["back"].output_dim == 2
    assert model.cnn_latent_dim == 2 + model.cnns["front"].output_dim


def test_encoders_can_be_shared() -> None:
    first = build("images")
    second = build("images", cnns=first.cnns)
    assert second.cnns is first.cnns
    assert "cnns.front.0.weight" in second.state_dict()


def test_trajectories_of_a_recurrent_partner_are_unpadded() -> None:
    steps = [observations(3, seed) for seed in range(4)]
    rollout: Any = torch.stack(steps)  # type: ignore[arg-type]
    padded, masks = split_and_pad_trajectories(rollout, torch.tensor([[0, 1, 0], [0, 0, 0], [1, 0, 1], [0, 0, 0]]))
    model = build()
    torch.testing.assert_close(model(padded, masks), torch.stack([model(obs) for obs in steps]))


@pytest.mark.parametrize(
    ("obs_set", "cnn_cfg", "message"),
    [
        ("vectors", OPTIONS, "needs images .* use an MLPModel"),
        ("odd", OPTIONS, "'line' .* has the shape"),
        ("images", {"front": OPTIONS, "side": OPTIONS}, "cnn_cfg has options for front, side"),
        ("images", {**OPTIONS, "flatten": False}, "remove flatten=False"),
        ("images", {**OPTIONS, "kernel_size": [3]}, "kernel_size has 1 entries for 2 convolutions"),
        ("images", {**OPTIONS, "kernel": 3}, "CNN has no option 'kernel' .in 'cnn_cfg'.*kernel_size.*output_channels"),
        ("images", {**OPTIONS, "input_channels": 3}, "CNN has no option 'input_channels'"),
        ("both", {"front": OPTIONS, "back": {"kernel_size": 3}}, "'cnn_cfg.back' lacks output_channels"),
        ("images", {**OPTIONS, "norm": "bach"}, "Unknown norm 'bach'.*batch"),
        ("images", {**OPTIONS, "padding": "same"}, "Unknown padding 'same'"),
        ("images", {**OPTIONS, "kernel_size": 13}, "leaves no pixel"),
    ],
)
def test_what_does_not_fit_is_named(obs_set: str, cnn_cfg: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(obs_set, cnn_cfg)


def test_encoders_of_other_images_are_refused() -> None:
    with pytest.raises(ValueError, match="must see the same images"):
        build("bytes", cnns=build("images").cnns)
    with pytest.raises(ValueError, match="needs a cnn_cfg"):
        CNNModel(observations(), GROUPS, "images", 2)
    for cnns in (OPTIONS, {"front": OPTIONS}):
        with pytest.raises(TypeError, match="'cnns' must be ready encoders by image group"):
            build("images", cnns=cnns)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding": "zeros", "stride": 2},
        {"padding": "reflect", "dilation": [1, 2], "kernel_size": [5, 3]},
        {"padding": "circular", "norm": ["batch", "layer"], "max_pool": True},
        {"norm": "layer", "max_pool": [False, True], "activation": "relu"},
        {"global_pool": "max"},
        {"global_pool": "avg", "padding": "replicate"},
    ],
    ids=str,
)
@pytest.mark.parametrize("flatten", [True, False])
def test_sizes_are_those_of_the_output(options: dict[str, Any], flatten: bool) -> None:
    cnn = CNN((17, 12), 2, **{"output_channels": [3, 4], "kernel_size": 3, "flatten": flatten, **options})
    output = cnn(torch.randn(2, 2, 17, 12))
    if flatten:
        assert (output.shape, cnn.output_channels) == ((2, cnn.output_dim), None)
    else:
        assert output.shape == (2, cnn.output_channels, *cnn.output_dim)  # type: ignore[misc]


# Measured with release 5.5.1: (size, kernel, stride, dilation) -> padding.
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation", "amount"),
    [(9, 2, 2, 1, 0), (12, 2, 2, 2, 1), (12, 5, 2, 1, 2), (12, 3, 1, 2, 2), (9, 3, 2, 2, 1), (31, 7, 4, 3, 6)],
)
def test_padding_divides_the_size_by_the_stride(
    size: int, kernel: int, stride: int, dilation: int, amount: int
) -> None:
    options = {"kernel_size": kernel, "stride": stride, "dilation": dilation, "padding": "zeros", "flatten": False}
    cnn = CNN((size, size), 1, [1], **options)
    assert cnn[0].padding == (amount, amount)
    assert cnn.output_dim == (size // stride, size // stride)


def test_weights_are_drawn_as_he_et_al_propose() -> None:
    cnn = CNN((8, 8), 4, [64], 3)
    cnn.init_weights()
    assert cnn[0].weight.std().item() == pytest.approx((2 / (4 * 9)) ** 0.5, rel=0.05)
    assert not cnn[0].bias.any()
