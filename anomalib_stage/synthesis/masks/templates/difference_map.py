# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""How much each place of an image differs from a template (template matching, OpenCV's)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from anomalib_stage.synthesis.masks.templates.template import SIDE, SPAN, resample
from anomalib_stage.synthesis.regions import bounding_box

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anomalib_stage.synthesis.masks.templates.template import Pose

    Bools = NDArray[np.bool_]
    Grey = NDArray[np.uint8]

__all__ = ["compute_differences"]


def compute_differences(picture: Grey, template: Grey, pose: Pose) -> NDArray[np.float32] | None:
    """Return the root mean square difference for each place of the centre; None if nothing of the template is known."""
    grey, known = _warp_template(template, pose)
    if not known.any():
        return None
    top, left, height, width = bounding_box(known)
    half = (len(grey) - 1) // 2
    reach = max(half - top, top + height - 1 - half, half - left, left + width - 1 - half, 0)
    cut = slice(half - reach, half + reach + 1)
    grey, looked_at = grey[cut, cut], known[cut, cut].astype(np.float32)
    wide = cv2.copyMakeBorder(picture, reach, reach, reach, reach, cv2.BORDER_REPLICATE).astype(np.float32)
    squares = cv2.matchTemplate(wide, grey * looked_at, cv2.TM_SQDIFF, mask=looked_at)
    return np.asarray(np.sqrt(np.maximum(squares / float(looked_at.sum()), 0.0)), np.float32)


def _warp_template(template: Grey, pose: Pose) -> tuple[NDArray[np.float32], Bools]:
    """Scale, turn and mirror a template: an odd square of grey levels, and where they are known."""
    cell = SPAN * pose.length / SIDE
    side = 2 * math.ceil(SPAN * pose.length / 2) + 1
    source = template[:, ::-1] if pose.flip else template
    cosine, sine = math.cos(pose.turn) / cell, math.sin(pose.turn) / cell
    half, middle = (side - 1) / 2, (SIDE - 1) / 2
    matrix = np.array(
        [
            [cosine, sine, middle - half * (cosine + sine)],
            [-sine, cosine, middle - half * (cosine - sine)],
        ]
    )
    return resample(source, source > 0, matrix, side, cell=1.0 / cell)
