# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The lines that install optional packages."""

from __future__ import annotations

# The packages by name, as in pyproject.toml: on the index the name of this library is another project's.
INSTALL_LINES = {
    "envs": 'pip install "gymnasium[mujoco]" mujoco',
    "envpool": "pip install envpool",
    "plot": "pip install matplotlib",
    "video": 'pip install "imageio[ffmpeg]"',
    "viewer": "pip install viser",
    "sweep": "pip install optuna",
    "wandb": "pip install wandb",
    "neptune": "pip install neptune",
    "mlflow": "pip install mlflow",
}
"""By the name of an extra the line that installs its packages into any environment."""
