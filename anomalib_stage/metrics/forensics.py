# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Detectors that are trained to tell repainted good surface from untouched surface.

What they can learn, a segmenter can learn: if they are better than chance, the painted pixels carry a trace. Both are
trained on the regions of half of the images and asked about those of the other half, and then the other way round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anomalib_stage.errors import InputError
from anomalib_stage.metrics.statistics import FLOOR
from anomalib_stage.metrics.univariate_detectors import auroc, build_rows, regress
from anomalib_stage.seeds import derive_seed, numpy_generator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from anomalib_stage.metrics.crops import Crop

    Numbers = NDArray[np.float64]

__all__ = ["FEWEST_IMAGES", "Verdict", "detect"]

WINDOW = 48
"""Side in pixels of the windows that the network sees."""

CHANNELS = 6
LARGEST = 5.0
FOLDS = 2
FEWEST_IMAGES = 8
STEPS_EACH, STEPS = 1.25, (30, 400)
"""Training steps for each region, and the least and the most; a step takes some 0.1 s of one core."""

AVERAGED = 8
"""A window is judged in all of its flips and quarter turns."""


class Verdict(NamedTuple):
    """How well repainted good surface can be told from untouched surface.

    Args:
        network (float): AUROC of a small convolutional network on images that it has not seen; 0.5 is chance.
        large (float): The same, on the half with the larger masks.
        regression (float): AUROC of a logistic regression on the statistics of each region.
        regions (int): Regions of each sort.
    """

    network: float
    large: float
    regression: float
    regions: int


def detect(
    repainted: Sequence[Crop],
    untouched: Sequence[Crop],
    *,
    seed: int = 0,
    steps: int | None = None,
    device: str | None = None,
) -> Verdict:
    """Train the detectors and score them on images that they have not seen.

    Args:
        repainted (Sequence[Cut]): Regions whose masked area was painted again as good surface.
        untouched (Sequence[Cut]): The same regions as they were, in the same order.
        seed (int): Seed of folds, weights and batches.
        steps (int | None): Training steps of the network, of 32 windows each; None: as many as the regions need.
        device (str | None): Where to train the network; None: the CPU.

    Returns:
        Verdict: Means over the folds.

    Raises:
        InputError: If the regions come from fewer than eight images, or the two lists are not of one length.
    """
    images = _checked(repainted, untouched)
    order = numpy_generator(seed, "folds").permutation(len(images))
    fold_of = {image: int(position) % FOLDS for image, position in zip(images, order, strict=True)}
    fold = np.array([fold_of[cut.source] for cut in repainted])
    windows = [torch.stack([_window(cut) for cut in cuts]) for cuts in (repainted, untouched)]
    rows = [build_rows(cuts) for cuts in (repainted, untouched)]
    area = np.array([cut.mask.sum() for cut in repainted])
    large = area >= np.median(area)
    length = int(np.clip(STEPS_EACH * len(repainted), *STEPS)) if steps is None else steps
    found: dict[str, list[float]] = {"network": [], "large": [], "regression": []}
    for held_out in range(FOLDS):
        seen, asked = np.flatnonzero(fold != held_out), np.flatnonzero(fold == held_out)
        network = _trained(windows, seen, seed=derive_seed(seed, held_out), steps=length, device=device or "cpu")
        one, other = (_judged(network, part[asked], device=device or "cpu") for part in windows)
        found["network"].append(auroc(one, other))
        found["large"].append(auroc(one[large[asked]], other[large[asked]]))
        found["regression"].append(regress(rows, seen, asked))
    known = {name: [value for value in values if np.isfinite(value)] for name, values in found.items()}
    rates = {name: float(np.mean(values)) if values else float("nan") for name, values in known.items()}
    return Verdict(**rates, regions=len(repainted))


def _checked(repainted: Sequence[Crop], untouched: Sequence[Crop]) -> list[int]:
    """Return the numbers of the images."""
    images = sorted({cut.source for cut in repainted})
    if len(images) < FEWEST_IMAGES or [cut.source for cut in repainted] != [cut.source for cut in untouched]:
        msg = (
            f"{len(repainted)} repainted and {len(untouched)} untouched regions of {len(images)} images; give pairs "
            f"in one order, of at least {FEWEST_IMAGES} images, so that some can be kept from the training"
        )
        raise InputError(msg)
    return images


class _Detector(nn.Module):
    """Four convolutions; their features are averaged over the mask, its rim, and the surface around."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.fine = nn.Sequential(*_layer(CHANNELS, width), *_layer(width, width))
        self.coarse = nn.Sequential(*_layer(width, 24), *_layer(24, 24))
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(3 * (width + 24), 1))

    def forward(self, windows: Tensor) -> Tensor:
        """Windows ``(B, 6, S, S)`` to logits ``(B,)``."""
        mask, around = windows[:, 4:5], windows[:, 5:6]
        grown, shrunk = (F.max_pool2d(sign * mask, 5, stride=1, padding=2) * sign for sign in (1.0, -1.0))
        places = torch.cat([mask, grown - shrunk, around], dim=1)
        fine = self.fine(windows)
        coarse = self.coarse(F.avg_pool2d(fine, 2))
        pooled = [_averaged(features, places) for features in (fine, coarse)]
        return self.head(torch.cat(pooled, dim=1))[:, 0]  # type: ignore[no-any-return]


def _layer(fan_in: int, width: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(fan_in, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()


def _averaged(features: Tensor, places: Tensor) -> Tensor:
    """Mean of features ``(B, C, h, w)`` over each of the places ``(B, P, S, S)``: ``(B, P * C)``."""
    weights = F.adaptive_avg_pool2d(places, (features.shape[2], features.shape[3]))
    weights = weights / weights.sum(dim=(2, 3), keepdim=True).clamp_min(1e-3)
    return torch.einsum("bchw,bphw->bpc", features, weights).flatten(1)


def _window(cut: Crop) -> Tensor:
    """Return what the network sees: grey levels and grain in units of the surface around, and where the mask is."""
    pixels = cut.pixels.astype(np.float32)
    grey = pixels.mean(axis=2)
    grain = pixels - cv2.blur(pixels, (3, 3), borderType=cv2.BORDER_REFLECT)
    surface, noise = grey[cut.around], grain[cut.around]
    planes = np.concatenate(
        [
            ((grey - surface.mean()) / (surface.std() + FLOOR))[..., None],
            grain / (np.sqrt(np.square(noise).mean()) + FLOOR),
            np.stack([cut.mask, cut.around], axis=2),
        ],
        axis=2,
    )
    row, col = _centre(cut.mask)
    half = WINDOW // 2
    padded = np.pad(np.clip(planes, -LARGEST, LARGEST), ((half, half), (half, half), (0, 0)))
    window = padded[row : row + WINDOW, col : col + WINDOW]
    return torch.from_numpy(np.ascontiguousarray(window.transpose(2, 0, 1), dtype=np.float32))


def _centre(mask: NDArray[np.bool_]) -> tuple[int, int]:
    """Centre of a mask that fits into a window; of another one, the place on its edge that is nearest to the centre."""
    rows, cols = np.nonzero(mask)
    middle = np.array([(at.min() + at.max() + 1) // 2 for at in (rows, cols)])
    if max(np.ptp(rows), np.ptp(cols)) >= WINDOW - 8:
        edge = mask & (cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0)
        at = np.argwhere(edge)
        middle = at[np.square(at - middle).sum(axis=1).argmin()]
    return int(middle[0]), int(middle[1])


def _trained(
    windows: Sequence[Tensor], seen: NDArray[np.intp], *, seed: int, steps: int, device: str, pairs: int = 16
) -> _Detector:
    """Train on pairs of a repainted window and the same one untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _Detector().to(device).to(memory_format=torch.channels_last).train()
        optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.02)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps)
        for step in range(steps):
            rng = numpy_generator(seed, "batch", step)
            chosen = torch.from_numpy(rng.choice(seen, pairs))
            batch = _turned(torch.cat([part[chosen] for part in windows]), int(rng.integers(AVERAGED))).to(device)
            wanted = torch.repeat_interleave(torch.tensor([1.0, 0.0]), pairs).to(device)
            loss = F.binary_cross_entropy_with_logits(network(batch), wanted)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return network.eval()


@torch.no_grad()
def _judged(network: _Detector, windows: Tensor, *, device: str) -> Numbers:
    """Return the mean logit of each window over its flips and turns, 64 windows at a time."""
    found = [
        torch.stack([network(_turned(part, turn).to(device)) for turn in range(AVERAGED)]).mean(dim=0).cpu()
        for part in torch.split(windows, 64)
    ]
    return np.asarray(torch.cat(found).double().numpy())


def _turned(windows: Tensor, turn: int) -> Tensor:
    turned = torch.rot90(windows, turn % 4, dims=(2, 3))
    turned = turned.flip(3) if turn >= 4 else turned
    return turned.contiguous(memory_format=torch.channels_last)
