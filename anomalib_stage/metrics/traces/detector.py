# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The network that learns to tell repainted good surface from untouched surface."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anomalib_stage.metrics.traces.windows import turn_windows
from anomalib_stage.seeds import numpy_generator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

__all__ = ["Detector", "score_windows", "train_detector"]


CHANNELS = 6

AVERAGED = 8
"""A window is judged in all of its flips and quarter turns."""


class Detector(nn.Module):
    """Four convolutions; their features are averaged over the mask, its rim, and the surface around."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.fine = nn.Sequential(*_build_layer(CHANNELS, width), *_build_layer(width, width))
        self.coarse = nn.Sequential(*_build_layer(width, 24), *_build_layer(24, 24))
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(3 * (width + 24), 1))

    def forward(self, windows: Tensor) -> Tensor:
        """Windows ``(B, 6, S, S)`` to logits ``(B,)``."""
        mask, around = windows[:, 4:5], windows[:, 5:6]
        grown, shrunk = (F.max_pool2d(sign * mask, 5, stride=1, padding=2) * sign for sign in (1.0, -1.0))
        places = torch.cat([mask, grown - shrunk, around], dim=1)
        fine = self.fine(windows)
        coarse = self.coarse(F.avg_pool2d(fine, 2))
        pooled = [_pool_features(features, places) for features in (fine, coarse)]
        return self.head(torch.cat(pooled, dim=1))[:, 0]  # type: ignore[no-any-return]


def _build_layer(fan_in: int, width: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(fan_in, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()


def _pool_features(features: Tensor, places: Tensor) -> Tensor:
    """Mean of features ``(B, C, h, w)`` over each of the places ``(B, P, S, S)``: ``(B, P * C)``."""
    weights = F.adaptive_avg_pool2d(places, (features.shape[2], features.shape[3]))
    weights = weights / weights.sum(dim=(2, 3), keepdim=True).clamp_min(1e-3)
    return torch.einsum("bchw,bphw->bpc", features, weights).flatten(1)


def train_detector(
    windows: Sequence[Tensor], seen: NDArray[np.intp], *, seed: int, steps: int, device: str, pairs: int = 16
) -> Detector:
    """Train on pairs of a repainted window and the same one untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Detector().to(device).to(memory_format=torch.channels_last).train()
        optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.02)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps)
        for step in range(steps):
            rng = numpy_generator(seed, "batch", step)
            chosen = torch.from_numpy(rng.choice(seen, pairs))
            batch = turn_windows(torch.cat([part[chosen] for part in windows]), int(rng.integers(AVERAGED))).to(device)
            wanted = torch.repeat_interleave(torch.tensor([1.0, 0.0]), pairs).to(device)
            loss = F.binary_cross_entropy_with_logits(network(batch), wanted)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return network.eval()


@torch.no_grad()
def score_windows(network: Detector, windows: Tensor, *, device: str) -> Numbers:
    """Return the mean logit of each window over its flips and turns, 64 windows at a time."""
    found = [
        torch.stack([network(turn_windows(part, turn).to(device)) for turn in range(AVERAGED)]).mean(dim=0).cpu()
        for part in torch.split(windows, 64)
    ]
    return np.asarray(torch.cat(found).double().numpy())
