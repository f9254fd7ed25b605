# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Averaging gradients, between two real processes."""

from __future__ import annotations

import os
from pathlib import Path

from tests.processes import start

WORKER = """
import sys, torch
from torch import distributed, nn
from rsl_rl.utils import reduce_gradients_in_buckets
rank, store = int(sys.argv[1]), sys.argv[2]
distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
for bucket_mb in (25, 0.5, 1e-6):
    params = [nn.Parameter(torch.zeros(shape)) for shape in [(300, 300), (3,), (500, 300), (2, 2)]]
    for index, param in enumerate(params):
        param.grad = torch.full_like(param, float(index + 10 * rank))
    params.append(nn.Parameter(torch.zeros(2)))
    addresses = [param.grad.data_ptr() for param in params[:4]]
    reduce_gradients_in_buckets(params, 2, bucket_mb)
    for index, param in enumerate(params[:4]):
        assert torch.equal(param.grad, torch.full_like(param, index + 5.0)), (bucket_mb, index, param.grad)
    assert addresses == [param.grad.data_ptr() for param in params[:4]]
    assert params[4].grad is None
distributed.destroy_process_group()
"""


def test_gradients_are_averaged_in_buckets_of_any_size(tmp_path: Path) -> None:
    files = [(os.devnull, os.devnull, tmp_path / f"errors_{rank}") for rank in range(2)]
    workers = [start("-c", WORKER, str(rank), tmp_path / "store", files=files[rank]) for rank in range(2)]
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0], [errors.read_text() for *_, errors in files]
