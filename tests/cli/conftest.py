# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""A real run that the tests of pages about runs share."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rsl_rl.cli.main import main


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train the cart-pole for some iterations; the folder is not to be changed."""
    pytest.importorskip("envpool", reason="EnvPool is not installed: pip install envpool")
    folder = tmp_path_factory.mktemp("trained") / "run"
    threads = torch.get_num_threads()
    small = ["--num-envs", "16", "--iterations", "30", "--runner.num-steps-per-env", "16"]
    main(["train", "cartpole-balance", *small, "--runner.algorithm.learning-rate", "2e-3", "--run-dir", str(folder)])
    torch.set_num_threads(threads)
    return folder
