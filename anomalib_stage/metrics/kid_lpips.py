# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""KID and LPIPS of torchmetrics, where the weights of their networks are on this machine; nothing is downloaded."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from anomalib_stage.seeds import derive_seed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from anomalib_stage.metrics.crops import Crop

__all__ = ["compute_kid_lpips"]

SIDE = 96
"""Crops are scaled to this side for the networks."""

WEIGHTS = {
    "KID": "weights-inception-2015-12-05-6726825d.pth",
    "LPIPS": "alexnet-owt-7be5be79.pth",
}
"""File in torch's hub folder that each measure needs."""

MOST_PAIRS = 200


def compute_kid_lpips(synthetic: Sequence[Crop], real: Sequence[Crop], *, seed: int = 0) -> dict[str, float | str]:
    """Measure with networks that others have trained, if they are there.

    Args:
        synthetic (Sequence[Crop]): Synthetic anomalies.
        real (Sequence[Crop]): Real ones.
        seed (int): Seed of the draws.

    Returns:
        dict[str, float | str]: ``KID`` (between synthetic and real, 0 is equal) and ``LPIPS`` (mean between synthetic
        anomalies, more is more diverse): the number, or the reason why there is none.
    """
    found: dict[str, float | str] = {}
    for name, measure in (("KID", _compute_kid), ("LPIPS", _compute_lpips)):
        reason = _explain_absence(name)
        found[name] = reason or measure(_stack_crops(synthetic), _stack_crops(real), seed=seed)
    return found


def _explain_absence(name: str) -> str:
    """Say why a measure cannot be taken; empty if it can."""
    if name == "KID" and importlib.util.find_spec("torch_fidelity") is None:
        return "not measured: the package torch-fidelity is not installed"
    file = Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS[name]
    return "" if file.is_file() else f"not measured: no file {file.name} in torch's hub folder"


def _stack_crops(crops: Sequence[Crop]) -> Tensor:
    """Scale crops to one size: ``(N, 3, 96, 96)`` uint8."""
    small = [cv2.resize(crop.pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for crop in crops]
    return torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2)


def _compute_kid(synthetic: Tensor, real: Tensor, *, seed: int) -> float:
    from torchmetrics.image.kid import KernelInceptionDistance

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "kid"))
        metric = KernelInceptionDistance(subset_size=min(len(synthetic), len(real), 50))
        for pictures, is_real in ((real, True), (synthetic, False)):
            for part in torch.split(pictures, 32):
                metric.update(part, real=is_real)
        return float(metric.compute()[0])


def _compute_lpips(synthetic: Tensor, real: Tensor, *, seed: int) -> float:
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    del real
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "lpips"))
        metric = LearnedPerceptualImagePatchSimilarity(net_type="alex", normalize=True)
        one, other = (torch.randint(len(synthetic), (MOST_PAIRS,)) for _ in range(2))
        apart = one != other
        pairs = zip(torch.split(one[apart], 32), torch.split(other[apart], 32), strict=True)
        for left, right in pairs:
            metric.update(synthetic[left].float() / 255.0, synthetic[right].float() / 255.0)
        return float(metric.compute())
