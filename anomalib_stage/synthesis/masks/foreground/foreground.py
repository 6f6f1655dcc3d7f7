# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Where the object is in a good image.

An object is what stands out from a *ground*: an even or smoothly shaded surface that runs along the image's border.
Where there is no such ground, the picture is a texture, and all of it is object. To take too much for the object is a
small mistake, to cut holes into a texture a large one, so every doubt is decided for the object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from anomalib_stage.errors import InputError
from anomalib_stage.synthesis.masks.foreground.criteria import CRITERIA
from anomalib_stage.synthesis.masks.foreground.ground import fit_ground, is_one_ground
from anomalib_stage.synthesis.masks.foreground.object_outline import clean_outline, is_solid, stands_out

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Bools = NDArray[np.bool_]

__all__ = ["enlarge", "estimate_foreground", "find_object", "shrink"]

WORKING_SIDE = 160
"""Longest side in pixels of the copy that is looked at."""


def estimate_foreground(image: NDArray[np.uint8] | Floats) -> Bools:
    """Estimate where the object is.

    The ground is a quadratic surface in CIE Lab, fitted robustly to a strip along the border; the object is what lies
    away from it. The picture counts as a texture, all object, if the strip is rough or is not one ground, or if what
    stands out is faint, is thin everywhere (fibres), is cut by the frame (conductors), or leaves no ground that reaches
    the border.

    Args:
        image (NDArray): ``(H, W, 3)`` RGB, uint8 or float32 in [0, 1].

    Returns:
        NDArray[np.bool_]: ``(H, W)``, never empty; True everywhere for a texture.

    Raises:
        InputError: If the image has another shape or dtype, or holds NaN.
    """
    pixels = _to_bytes(image)
    return enlarge(find_object(shrink(pixels)), (pixels.shape[0], pixels.shape[1]))


def shrink(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the small copy ``(h, w, 3)`` that an estimate looks at, of an image ``(H, W, 3)``, both RGB."""
    height, width = pixels.shape[:2]
    scale = min(WORKING_SIDE / max(height, width), 1.0)
    size = (max(round(width * scale), 8), max(round(height * scale), 8))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def find_object(small: NDArray[np.uint8]) -> Bools | None:
    """Find the object in a small copy, ``(h, w)`` bool; None: a texture."""
    lab = cv2.cvtColor(small.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    return _find_in_lab(np.asarray(cv2.GaussianBlur(lab, (3, 3), 0.0), dtype=np.float32))


def enlarge(found: Bools | None, size: tuple[int, int]) -> Bools:
    """Bring what was found in a small copy to the size ``(H, W)`` of its image."""
    if found is not None:
        soft = cv2.resize(found.astype(np.float32), (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
        mask: Bools = soft > 0.5
        if mask.any():
            return mask
    return np.ones(size, dtype=np.bool_)


def _to_bytes(image: NDArray[np.uint8] | Floats) -> NDArray[np.uint8]:
    if image.ndim != 3 or image.shape[2] != 3 or min(image.shape[:2]) < 1:
        msg = f"the image has shape {image.shape}; give (H, W, 3), RGB"
        raise InputError(msg)
    if image.dtype == np.uint8:
        return np.ascontiguousarray(image)
    if not np.issubdtype(image.dtype, np.floating) or not np.isfinite(image).all():
        msg = f"the image is {image.dtype} or holds NaN; give uint8, or float in [0, 1]"
        raise InputError(msg)
    if image.min() < -1e-3 or image.max() > 1.0 + 1e-3:
        msg = f"the image lies in [{image.min():.3g}, {image.max():.3g}]; float images must be in [0, 1]"
        raise InputError(msg)
    return np.ascontiguousarray((image.clip(0.0, 1.0) * 255.0 + 0.5).astype(np.uint8))


def _find_in_lab(lab: Floats) -> Bools | None:
    """Find the object in a small Lab picture; None: a texture."""
    height, width = lab.shape[:2]
    strip = max(round(CRITERIA.ring * min(height, width)), 2)
    ring = np.ones((height, width), dtype=np.bool_)
    ring[strip:-strip, strip:-strip] = False
    ground, roughness, on_ground = fit_ground(lab, ring)
    if roughness > CRITERIA.roughness or on_ground < CRITERIA.ground_on_border:
        return None
    distance = np.sqrt(np.square(lab - ground).sum(axis=2))
    threshold = max(CRITERIA.noticeable, 4.0 * roughness)
    found = clean_outline(distance > threshold, distance=distance, threshold=threshold)
    share = float(found.mean())
    if not CRITERIA.area[0] <= share <= CRITERIA.area[1] or float(found[ring].mean()) > CRITERIA.cut:
        return None
    visible = stands_out(found, distance=distance, threshold=threshold)
    return found if visible and is_solid(found) and is_one_ground(~found, ring) else None
