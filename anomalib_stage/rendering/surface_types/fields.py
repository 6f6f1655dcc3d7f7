# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Random fields that surfaces and objects are drawn from. Sizes are in pixels."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.floating]
    Field = NDArray[np.float32]
    Layers = tuple[Field, Field]
    """Reflectance in about [0, 1], and height in pixels; both ``(H, W)``."""

__all__ = ["build_grid", "draw_log_uniform", "draw_noise_field", "scatter_cells", "stack_layers", "turn_frame"]


def draw_log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number between two bounds, each doubling equally likely."""
    return float(math.exp(rng.uniform(math.log(low), math.log(high))))


def build_grid(size: tuple[int, int]) -> tuple[Field, Field]:
    """Return rows ``(H, 1)`` and columns ``(1, W)`` counted from the centre of the frame."""
    ys = np.arange(size[0], dtype=np.float32)[:, None] - np.float32(size[0] / 2)
    return ys, np.arange(size[1], dtype=np.float32)[None, :] - np.float32(size[1] / 2)


def draw_noise_field(
    size: tuple[int, int], *, period: float, rng: np.random.Generator, octaves: int = 1, stretch: float = 1.0
) -> Field:
    """Smooth random field with zero mean and unit deviation.

    Args:
        size (tuple[int, int]): Height and width.
        period (float): Pixels between the nodes of the first octave; each further octave halves it and its weight.
        rng (np.random.Generator): Source of randomness.
        octaves (int): Number of octaves.
        stretch (float): How much longer the features are along the columns' direction.

    Returns:
        NDArray[np.float32]: ``size``.
    """
    total = np.zeros(size, dtype=np.float32)
    for octave in range(octaves):
        step = max(period / 2**octave, 1.0)
        total += np.float32(0.55**octave) * _draw_octave(size, (step, step * stretch), rng=rng)
    total -= total.mean()
    return np.asarray(total / max(float(total.std()), 1e-6), dtype=np.float32)


def _draw_octave(size: tuple[int, int], steps: tuple[float, float], *, rng: np.random.Generator) -> Field:
    """One octave; nodes far apart are first enlarged on a coarse frame, so that the cost does not grow with them."""
    shrink = [max(step / 6.0, 1.0) for step in steps]
    coarse = [math.ceil(n / s) for n, s in zip(size, shrink, strict=True)]
    near = [step / s for step, s in zip(steps, shrink, strict=True)]
    nodes = [math.ceil(n / s) + 2 for n, s in zip(coarse, near, strict=True)]
    field: Array = rng.standard_normal(nodes, dtype=np.float32)
    big = [max(int(n * s), c) for n, s, c in zip(nodes, near, coarse, strict=True)]
    if big != nodes:
        field = np.asarray(cv2.resize(field, (big[1], big[0]), interpolation=cv2.INTER_CUBIC), dtype=np.float32)
    # a window of random phase, so that node positions do not line up with the frame
    top, left = (int(rng.integers(b - c + 1)) for b, c in zip(field.shape, coarse, strict=True))
    field = field[top : top + coarse[0], left : left + coarse[1]]
    if coarse != list(size):
        field = np.asarray(cv2.resize(field, (size[1], size[0]), interpolation=cv2.INTER_CUBIC), dtype=np.float32)
    return np.asarray(field, dtype=np.float32)


def stack_layers(reflectance: ArrayLike, height: ArrayLike) -> Layers:
    """Return both layers as float32."""
    return np.asarray(reflectance, dtype=np.float32), np.asarray(height, dtype=np.float32)


def turn_frame(draw: Callable[[tuple[int, int], np.random.Generator], Layers]) -> Callable[..., Layers]:
    """Have a function draw on a frame just large enough, and cut its picture out at a random angle, often upright."""

    @functools.wraps(draw)
    def cut(size: tuple[int, int], rng: np.random.Generator) -> Layers:
        quarter = rng.random() < 0.4
        angle = float(rng.integers(4) * 90 + rng.normal(0, 1.5) if quarter else rng.uniform(0, 360))
        cos, sin = abs(math.cos(math.radians(angle))), abs(math.sin(math.radians(angle)))
        frame = (math.ceil(size[0] * cos + size[1] * sin) + 2, math.ceil(size[0] * sin + size[1] * cos) + 2)
        matrix = cv2.getRotationMatrix2D((frame[1] / 2, frame[0] / 2), angle, 1.0)
        matrix[:, 2] += (np.array(size[::-1]) - np.array(frame[::-1])) / 2
        reflectance, height = (
            cv2.warpAffine(x, matrix, size[::-1], borderMode=cv2.BORDER_REFLECT) for x in draw(frame, rng)
        )
        return stack_layers(reflectance, height)

    return cut


def scatter_cells(size: tuple[int, int], cell: float, *, rng: np.random.Generator) -> tuple[Field, NDArray[np.int32]]:
    """Distance to the nearest of the points of a shaken grid, and that point's number."""
    pad = math.ceil(cell)
    frame = (size[0] + 2 * pad, size[1] + 2 * pad)
    counts = [max(int(n / cell), 1) for n in frame]
    places = np.stack(np.meshgrid(*(np.arange(n) for n in counts), indexing="ij"), axis=-1).reshape(-1, 2)
    places = ((places + rng.uniform(0.0, 1.0, places.shape)) * cell).astype(int)
    free = np.full(frame, 255, dtype=np.uint8)
    free[places[:, 0], places[:, 1]] = 0
    near, label = cv2.distanceTransformWithLabels(free, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    window = (slice(pad, pad + size[0]), slice(pad, pad + size[1]))
    return np.asarray(near[window], dtype=np.float32), np.asarray(label[window], dtype=np.int32)
