# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

from rsl_rl.algorithms import PPO


class FadingEntropy(PPO):
    """Explores less and less."""

    def update(self) -> dict[str, float]:
        self.entropy_coef = max(1e-3, 0.8 * self.entropy_coef)
        return super().update()
