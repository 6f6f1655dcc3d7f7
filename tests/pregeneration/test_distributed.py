# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os

import pytest
import torch

from anomalib_stage.errors import DeviceError, InputError
from anomalib_stage.pregeneration.distributed import Rank, check_devices, meet, while_launched

CPU = torch.device("cpu")


def test_one_process_meets_nobody() -> None:
    assert meet(CPU, devices=1, num_nodes=1) == Rank(0, 1, CPU)


@pytest.mark.parametrize("world", [1, 2, 3, 8])
def test_shares_hold_everything_once(world: int) -> None:
    items = list(range(7))
    shares = [Rank(number, world, CPU).share(items) for number in range(world)]
    assert sorted(item for share in shares for item in share) == items
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize(
    ("device", "devices", "num_nodes", "error", "sentence"),
    [
        ("cpu", 0, 1, InputError, "--devices is 0 and --num-nodes 1; both must be at least 1"),
        ("cpu", 1, -1, InputError, "--num-nodes -1"),
        ("cuda:1", 2, 1, InputError, "--devices is 2, but --device names one, cuda:1; give --device cuda"),
        ("cuda", 10**6, 1, DeviceError, r"--devices is 1000000, but this machine has \d+ CUDA devices; ask for fewer"),
    ],
)
def test_what_cannot_be_started_is_refused(
    device: str, devices: int, num_nodes: int, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        check_devices(torch.device(device), devices=devices, num_nodes=num_nodes)


def test_a_started_process_stops_when_its_parent_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    items = while_launched(range(3), Rank(1, 2, CPU, local=1))
    assert next(items) == 0
    monkeypatch.setattr(os, "getppid", lambda: 1)
    with pytest.raises(KeyboardInterrupt):
        next(items)
    assert list(while_launched(range(3), Rank(0, 2, CPU))) == [0, 1, 2]
