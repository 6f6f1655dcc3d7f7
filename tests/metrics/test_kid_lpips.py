# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
import torch

from anomalib_stage.metrics.kid_lpips import WEIGHTS, compute_kid_lpips
from tests.metrics.rendered import defect


def test_without_weights_each_measure_says_why_it_was_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cuts = [defect(0), defect(1)]
    found = compute_kid_lpips(cuts, cuts)
    assert set(found) == {"KID", "LPIPS"}
    assert all(str(reason).startswith("not measured: ") for reason in found.values())
    assert list(tmp_path.rglob("*.pth")) == []


def test_lpips_is_measured_where_the_weights_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.models import alexnet

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file = tmp_path / "hub" / "checkpoints" / WEIGHTS["LPIPS"]
    file.parent.mkdir(parents=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torch.save(alexnet(weights=None).state_dict(), file)
    cuts = [defect(seed) for seed in range(4)]
    found = compute_kid_lpips(cuts, cuts)["LPIPS"]
    assert isinstance(found, float)
    assert 0.0 < found < 2.0
