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

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Bools = NDArray[np.bool_]

__all__ = ["enlarge", "estimate_foreground", "find_object", "shrink"]

WORKING_SIDE = 160
"""Longest side in pixels of the copy that is looked at."""

RING = 0.03
"""Width of the border strip that shows the ground, as a fraction of the shorter side."""

NOTICEABLE = 7.0
"""Least distance from the ground, in CIE Lab units, of what may be object."""

MIN_GROUND_ON_BORDER = 0.85
"""Least share of the border strip that the ground explains."""

MAX_ROUGHNESS = 2.5
"""Largest deviation of the ground from its smooth model, in Lab units: rougher ones are textures."""

CONTRAST = (1.5, 3.0)
"""Least distance of the object's median from the ground, in units of the threshold between them; and the distance below
which its ground must be even and its outline sharp."""

MIN_SHARPNESS = 0.6
"""Least median step across the outline within 5 cells, as a share of that distance: shading and patina are softer."""

MAX_CUT = 0.04
"""Largest share of the border strip that the object covers: what the frame cuts is a piece of a pattern."""

MIN_SOLID = 0.6
"""Least share of the object that is left when everything thinner than 5 % of the picture is taken away."""

AREA = (0.002, 0.97)
"""Smallest and largest share of the picture that an object covers."""


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
    pixels = _checked(image)
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
    return _object(np.asarray(cv2.GaussianBlur(lab, (3, 3), 0.0), dtype=np.float32))


def enlarge(found: Bools | None, size: tuple[int, int]) -> Bools:
    """Bring what was found in a small copy to the size ``(H, W)`` of its image."""
    if found is not None:
        soft = cv2.resize(found.astype(np.float32), (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
        mask: Bools = soft > 0.5
        if mask.any():
            return mask
    return np.ones(size, dtype=np.bool_)


def _checked(image: NDArray[np.uint8] | Floats) -> NDArray[np.uint8]:
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


def _object(lab: Floats) -> Bools | None:
    """Find the object in a small Lab picture; None: a texture."""
    height, width = lab.shape[:2]
    strip = max(round(RING * min(height, width)), 2)
    ring = np.ones((height, width), dtype=np.bool_)
    ring[strip:-strip, strip:-strip] = False
    ground, roughness, on_ground = _fit_ground(lab, ring)
    if roughness > MAX_ROUGHNESS or on_ground < MIN_GROUND_ON_BORDER:
        return None
    distance = np.sqrt(np.square(lab - ground).sum(axis=2))
    threshold = max(NOTICEABLE, 4.0 * roughness)
    found = _cleaned(distance > threshold, distance=distance, threshold=threshold)
    share = float(found.mean())
    if not AREA[0] <= share <= AREA[1] or float(found[ring].mean()) > MAX_CUT:
        return None
    stands_out = _stands_out(found, distance=distance, threshold=threshold)
    return found if stands_out and _is_solid(found) and _one_ground(~found, ring) else None


def _fit_ground(lab: Floats, ring: Bools) -> tuple[Floats, float, float]:
    """Fit the ground to the strip along the border.

    Returns:
        tuple[Floats, float, float]: The ground's colour everywhere, the deviation of what belongs to it, and the share
        of the strip that belongs to it.
    """
    height, width = ring.shape
    y, x = np.mgrid[-1.0 : 1.0 : height * 1j, -1.0 : 1.0 : width * 1j]
    terms = np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=-1)
    basis, seen = terms[ring], lab[ring].astype(np.float64)
    # start from the commonest colour, then a plane, then the full surface, each time on what lies near the last
    near = np.square(seen - _commonest(seen)).sum(axis=1) < 15.0**2
    fit = np.zeros((6, 3))
    residual = np.zeros(len(seen))
    for count, reach in ((3, 12.0), (3, 9.0), (6, 8.0), (6, NOTICEABLE)):
        if near.sum() < 4 * count:
            return lab, float("inf"), 0.0
        fit[:] = 0.0
        fit[:count] = np.linalg.lstsq(basis[near, :count], seen[near], rcond=None)[0]
        residual = np.sqrt(np.square(seen - basis @ fit).sum(axis=1))
        near = residual < reach
    roughness = float(np.sqrt(np.square(residual[near]).mean())) if near.any() else float("inf")
    # a corner that the strip does not show may not be far from every colour that it does show
    ground = np.clip(terms @ fit, seen[near].min(axis=0) - 3.0, seen[near].max(axis=0) + 3.0)
    return ground.astype(np.float32), roughness, float(near.mean())


def _commonest(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean colour of the fullest cell of a coarse histogram."""
    cells = np.floor(colours / 12.0).astype(np.int64)
    _, where, counts = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    mean: NDArray[np.float64] = colours[where.reshape(-1) == int(counts.argmax())].mean(axis=0)
    return mean


def _cleaned(found: Bools, *, distance: Floats, threshold: float) -> Bools:
    """Drop specks and faint parts, close gaps, fill all holes but those that show the ground and are large."""
    square = np.ones((3, 3), dtype=np.uint8)
    opened = cv2.morphologyEx(found.astype(np.uint8), cv2.MORPH_CLOSE, square)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=8)
    keep = np.zeros(count, dtype=np.bool_)
    for i in range(1, count):
        part = labels == i
        keep[i] = stats[i, cv2.CC_STAT_AREA] >= 0.001 * found.size and distance[part].max() > 1.5 * threshold
    solid: Bools = keep[labels]
    return _without_blur(solid | _small_holes(solid, distance=distance, threshold=threshold), distance)


def _without_blur(solid: Bools, distance: Floats) -> Bools:
    """Take away border cells that are more ground than object: less than half as far from it as their neighbourhood."""
    inner = cv2.erode(solid.astype(np.uint8), np.ones((3, 3), dtype=np.uint8), borderValue=1) > 0
    around = cv2.dilate(distance, np.ones((5, 5), dtype=np.uint8))
    kept: Bools = solid & (inner | (distance > 0.5 * around))
    return kept


def _small_holes(solid: Bools, *, distance: Floats, threshold: float) -> Bools:
    """Return the holes that belong to the object: small ones, and those that are not quite the ground."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats((~solid).astype(np.uint8), connectivity=4)
    border = set(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]).tolist())
    filled = np.zeros(count, dtype=np.bool_)
    for i in range(1, count):
        if i in border or solid[labels == i].any():
            continue
        small = stats[i, cv2.CC_STAT_AREA] < 0.002 * solid.size
        filled[i] = small or float(np.median(distance[labels == i])) > 0.6 * threshold
    belongs: Bools = filled[labels]
    return belongs


def _stands_out(found: Bools, *, distance: Floats, threshold: float) -> bool:
    """Say whether the object differs enough from the ground; from an even one by less, if its outline is sharp."""
    contrast = float(np.median(distance[found]))
    if contrast < CONTRAST[0] * threshold:
        return False
    square = np.ones((5, 5), dtype=np.uint8)
    step = cv2.dilate(distance, square) - cv2.erode(distance, square)
    outline = found & (cv2.erode(found.astype(np.uint8), np.ones((3, 3), dtype=np.uint8), borderValue=1) == 0)
    sharp = bool(outline.any()) and float(np.median(step[outline])) >= MIN_SHARPNESS * contrast
    return (sharp and threshold == NOTICEABLE) or contrast >= CONTRAST[1] * threshold


def _is_solid(found: Bools) -> bool:
    """Say whether the object has bodies: conductors and fibres vanish where they are eroded, objects do not."""
    radius = max(round(0.025 * min(found.shape)), 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    thick = cv2.morphologyEx(found.astype(np.uint8), cv2.MORPH_OPEN, disc)
    return float(thick.sum()) >= MIN_SOLID * float(found.sum())


def _one_ground(ground: Bools, ring: Bools) -> bool:
    """Say whether the ground along the border hangs together: a texture's does not, nor does that of conductors."""
    count, labels = cv2.connectedComponents(ground.astype(np.uint8), connectivity=8)
    sizes = np.bincount(labels[ring & ground], minlength=count)[1:]
    if not len(sizes) or not sizes.sum():
        return False
    at_border = np.bincount(labels[ground], minlength=count)[1:][sizes > 0]
    return bool(np.sort(at_border)[::-1][:3].sum() >= 0.9 * ground.sum())
