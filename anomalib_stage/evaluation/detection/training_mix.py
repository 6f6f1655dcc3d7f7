# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What a network of a benchmark learns from, batch by batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from anomalib_stage.evaluation.detection.source_names import NONE, split_source
from anomalib_stage.evaluation.picture_set import PictureSet
from anomalib_stage.seeds import numpy_generator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["SELF_SHARE", "TrainingMix", "build_training_mix"]

SELF_SHARE = 8
"""Every eighth picture of a synthetic set is kept from the training and scored as ``self``."""


@dataclass(frozen=True)
class TrainingMix:
    """What a network learns from; half of every batch is anomalous, the other half good.

    Real defects keep their half where there are synthetic ones too, and these take three quarters of the good pictures'
    places, so that an eighth of the batch is good: synthetic pictures are good surface for the most part. So a network
    sees the few real defects as often as without them.

    Args:
        anomalies (Sequence[PictureSet]): Sets to take synthetic anomalies from in turn.
        good (NDArray[np.uint8]): Good pictures ``(N, S, S, 3)`` RGB.
        real (PictureSet | None): PictureSet with real defects. Without any anomalies every picture is good.
        negatives (NDArray[np.uint8] | None): Good pictures with re-synthesized surface, ``(N, S, S, 3)``.
        negative_share (float): Share of the good half that they take.
    """

    anomalies: Sequence[PictureSet]
    good: NDArray[np.uint8]
    real: PictureSet | None = None
    negatives: NDArray[np.uint8] | None = None
    negative_share: float = 0.25

    def draw_batch(
        self, step: int, *, count: int, seed: int, device: torch.device | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw the batch of a step: ``(count, 3, S, S)`` float in [0, 1] and ``(count, S, S)`` bool, on a device."""
        rng = numpy_generator(seed, "batch", step)
        images, masks, levels = [], [], []
        for i in range(count):
            chosen_set = self._choose_set(step, i, count=count)
            image, mask = self._draw_good(rng=rng) if chosen_set is None else _draw_picture(chosen_set, rng=rng)
            turns, mirrored = int(rng.integers(4)), bool(rng.random() < 0.5)
            levels.append((rng.uniform(0.9, 1.1), rng.uniform(-0.05, 0.05)))
            image, mask = np.rot90(image, turns), np.rot90(mask, turns)
            image, mask = (image[:, ::-1], mask[:, ::-1]) if mirrored else (image, mask)
            images.append(image)
            masks.append(mask)
        gain, offset = torch.tensor(levels, dtype=torch.float32, device=device).T[:, :, None, None, None]
        pictures = torch.from_numpy(np.stack(images)).to(device).permute(0, 3, 1, 2).float() / 255.0
        return (pictures * gain + offset).clamp_(0.0, 1.0), torch.from_numpy(np.stack(masks)).to(device)

    def _choose_set(self, step: int, i: int, *, count: int) -> PictureSet | None:
        """Return the set that a batch's picture comes from; None: it is good."""
        if self.real is not None and i < count // 2:
            return self.real
        last = count // 2 if self.real is None else count // 2 + 3 * count // 8
        return self.anomalies[(step + i) % len(self.anomalies)] if self.anomalies and i < last else None

    def _draw_good(self, *, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        negative = rng.random() < self.negative_share and self.negatives is not None
        chosen_set = self.negatives if negative and self.negatives is not None else self.good
        image = chosen_set[int(rng.integers(len(chosen_set)))]
        return image, np.zeros(image.shape[:2], dtype=np.bool_)


def _draw_picture(chosen_set: PictureSet, *, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    chosen = int(rng.integers(len(chosen_set.images)))
    return chosen_set.images[chosen], chosen_set.masks[chosen]


def build_training_mix(
    source: str,
    sets: dict[str, PictureSet],
    repainted: dict[str, np.ndarray[Any, np.dtype[np.uint8]]],
    *,
    good: np.ndarray[Any, np.dtype[np.uint8]],
    negatives: float,
) -> tuple[TrainingMix, PictureSet | None]:
    """Return what to learn from, and the synthetic pictures kept from it."""
    parts = [part for part in split_source(source) if part != NONE]
    kept: list[PictureSet] = []
    taken: list[PictureSet] = []
    for part in parts:
        made = sets[part]
        if part == "real":  # all of the few are learnt from
            continue
        held = np.arange(len(made.images)) % SELF_SHARE == 0
        kept.append(PictureSet(made.images[held], made.masks[held]))
        taken.append(PictureSet(made.images[~held], made.masks[~held]))
    own = [repainted[part] for part in parts if part in repainted]
    mix = TrainingMix(
        taken,
        good,
        real=sets["real"] if "real" in parts else None,
        negatives=np.concatenate(own) if own else None,
        negative_share=negatives,
    )
    if not kept:
        return mix, None
    return mix, PictureSet(*(np.concatenate(arrays) for arrays in zip(*kept, strict=True)))
