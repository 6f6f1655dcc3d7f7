# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Scores of a segmenter on real defects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from anomalib.metrics.aupro import _AUPRO
from torchmetrics.functional.classification import binary_auroc, binary_precision_recall_curve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["SCORES", "score_defects"]

SCORES = ("pixel_ap", "f1_max", "iou", "miou", "acc", "aupro", "image_auroc")
"""Names of the scores, all in [0, 1], 1 is best."""


def score_defects(
    maps: Mapping[str, NDArray[np.float32]],
    masks: Mapping[str, NDArray[np.bool_]],
    good: NDArray[np.float32],
    *,
    device: torch.device | None = None,
) -> dict[str, dict[str, float]]:
    """Score anomaly maps of each defect against the good test images.

    Args:
        maps (Mapping[str, NDArray[np.float32]]): Anomaly maps of each kind's images, ``(N, S, S)`` in [0, 1].
        masks (Mapping[str, NDArray[np.bool_]]): Their true masks, ``(N, S, S)``.
        good (NDArray[np.float32]): Maps of the good images, ``(M, S, S)``.
        device (torch.device | None): Where millions of values are sorted; None: on the CPU.

    Returns:
        dict[str, dict[str, float]]: :data:`SCORES` for each defect, on its images and all good ones; and under
        ``macro`` their means over defects.
    """
    nothing = np.zeros(good.shape, dtype=np.bool_)
    rows = {
        defect: _scores(np.concatenate([found, good]), np.concatenate([masks[defect], nothing]), device=device)
        for defect, found in maps.items()
    }
    return rows | {"macro": {name: float(np.mean([row[name] for row in rows.values()])) for name in SCORES}}


def _scores(maps: NDArray[np.float32], masks: NDArray[np.bool_], *, device: torch.device | None) -> dict[str, float]:
    """Score maps ``(N, S, S)``; ``iou``, ``miou`` and ``acc`` (share of the defects' pixels found) at the best F1."""
    predicted, truth = torch.from_numpy(maps), torch.from_numpy(masks).int()
    aupro = _AUPRO()  # on the CPU: its components on a GPU are another, iterative algorithm
    aupro.update(predicted, truth)
    predicted, truth = predicted.to(device), truth.to(device)
    precision, recall, thresholds = binary_precision_recall_curve(predicted.flatten(), truth.flatten())
    f1 = 2 * precision * recall / (precision + recall).clamp_min(1e-12)
    best = int(f1[:-1].argmax())
    found, defect = predicted >= thresholds[best], truth > 0
    iou, rest = (int((a & b).sum()) / max(int((a | b).sum()), 1) for a, b in ((found, defect), (~found, ~defect)))
    return {
        "pixel_ap": float(((recall[:-1] - recall[1:]) * precision[:-1]).sum()),
        "f1_max": float(f1[best]),
        "iou": iou,
        "miou": (iou + rest) / 2,
        "acc": float(recall[best]),
        "aupro": float(aupro.compute()),
        "image_auroc": float(binary_auroc(predicted.amax(dim=(1, 2)), truth.amax(dim=(1, 2)))),
    }
