# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Mirrors of robots, checked against the physics of the robot and not against their own table."""

from __future__ import annotations

import pytest
import torch
from tensordict import TensorDict

from rsl_rl.env import make_env
from rsl_rl.extensions import Symmetry
from rsl_rl.extensions.mirrors import Mirror, Part, go1_joystick

SIZES = {"state": 48, "privileged_state": 123}


def test_parts_of_a_mirror() -> None:
    mirror = Mirror([Part.vector(), Part.rotation(), Part.limbs([1, 0], [-1, 1])])
    values = torch.tensor([[1.0, 2, 3, 4, 5, 6, 7, 8, 9, 10]])
    assert mirror(values).tolist() == [[1, -2, 3, -4, 5, -6, -9, 10, -7, 8]]
    with pytest.raises(ValueError, match="This mirror is for 10 entries, got 9"):
        mirror(values[:, :9])


@pytest.fixture(scope="module")
def steps() -> tuple[TensorDict, torch.Tensor, TensorDict]:
    """Return observations, random actions, and the observations after them."""
    env = make_env("envpool:Go1JoystickFlatTerrain-v1", num_envs=32, seed=3, noise_level=0.0)
    generator = torch.Generator().manual_seed(0)
    obs, actions = env.get_observations(), torch.zeros(32, 12)
    rows = []
    for _ in range(120):
        actions = (0.8 * actions + 0.2 * torch.randn(32, 12, generator=generator)).clamp(-1, 1)
        new, _, dones, _ = env.step(actions)
        rows.append((obs[~dones], actions[~dones], new[~dones]))
        obs = new
    before, taken, after = zip(*rows, strict=True)
    return torch.cat(before), torch.cat(taken), torch.cat(after)  # type: ignore[return-value,arg-type]


@pytest.mark.envpool
class TestGo1:
    """A step, as a linear function of state and action fitted to random movements, has a mirror image."""

    @staticmethod
    def mirrored(name: str, values: torch.Tensor) -> torch.Tensor:
        groups = {group: torch.zeros(len(values), size) for group, size in SIZES.items()} | {name: values.float()}
        obs, _ = go1_joystick(TensorDict(groups, batch_size=[len(values)]))
        assert obs is not None
        return obs[name][len(values) :].double()

    def difference(self, steps: tuple[TensorDict, torch.Tensor, TensorDict], name: str, entries: list[int]) -> float:
        """Return the largest difference between predicting in the mirror and the mirrored prediction.

        In units of the predictions' standard deviation, where predictions are better than none.
        """
        before, actions, after = steps
        _, both = go1_joystick(None, actions)
        assert both is not None
        mirrored_before, mirrored_actions = self.mirrored(name, before[name]), both[len(actions) :].double()
        inputs = torch.cat([before[name], actions], 1).double()
        targets = after[name].double()
        mean, scale = inputs.mean(0), inputs.std(0) + 1e-9
        normal = (inputs - mean) / scale
        gram = normal.T @ normal + 1e-4 * len(inputs) * torch.eye(inputs.shape[1])
        weights = torch.linalg.solve(gram, normal.T @ (targets - targets.mean(0)))

        def predict(values: torch.Tensor) -> torch.Tensor:
            return ((values - mean) / scale) @ weights + targets.mean(0)

        predicted = predict(inputs)
        error = predict(torch.cat([mirrored_before, mirrored_actions], 1)) - self.mirrored(name, predicted)
        relative = (error.var(0) / (predicted.var(0) + 1e-12)).sqrt()
        explained = 1 - (predicted - targets).var(0) / (targets.var(0) + 1e-12)
        kept = [entry for entry in entries if explained[entry] > 0.3]
        assert len(kept) > 0.8 * len(entries)
        return relative[kept].max().item()

    def test_the_robot_moves_in_the_mirror_as_it_does(self, steps: tuple) -> None:
        assert self.difference(steps, "state", list(range(48))) < 0.3

    def test_what_only_the_critic_sees_is_mirrored_too(self, steps: tuple) -> None:
        # Without the accelerometer, whose mirror image is not exact, and pushes, which do not happen.
        assert self.difference(steps, "privileged_state", [*range(48, 51), *range(54, 119)]) < 0.8

    @pytest.mark.parametrize(
        "wrong",
        [
            pytest.param({"_GO1_SENSOR_Y": 0.0}, id="sensor in the middle"),
            pytest.param({"_mirror_go1_action": Mirror([Part.limbs([1, 0, 3, 2], [1, 1, 1])])}, id="abduction"),
            pytest.param({"_mirror_go1_action": Mirror([Part.limbs([0, 1, 2, 3], [-1, 1, 1])])}, id="legs in place"),
        ],
    )
    def test_a_wrong_mirror_is_found_by_this_test(
        self, steps: tuple, wrong: dict, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in wrong.items():
            monkeypatch.setattr(f"rsl_rl.extensions.mirrors.{name}", value)
        assert self.difference(steps, "state", list(range(48))) > 0.5

    def test_it_fulfils_the_contract_of_symmetry_functions(self, recwarn: pytest.WarningsRecorder) -> None:
        env = make_env("envpool:Go1JoystickFlatTerrain-v1", num_envs=4, seed=1)
        symmetry = Symmetry(env, "rsl_rl.extensions.mirrors:go1_joystick")
        recwarn.clear()
        symmetry.check(env.get_observations(), 12)
        assert not [warning for warning in recwarn if "mirror image" in str(warning.message)]
