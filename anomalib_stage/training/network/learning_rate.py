# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Learning rates relative to their peak: a linear rise, then half a cosine down to 0. No torch here.

Steps count from 0. The networks are trained alike, but not to the digit; each formula below is that of one training, so
that a seed goes on giving the same weights.
"""

from __future__ import annotations

import math

__all__ = ["compute_capped_rate", "compute_decay", "compute_fit_rate", "compute_latent_rate", "compute_segmenter_rate"]

RISE_STEPS, RISE_SHARE = 100, 0.1
"""A fit's rate rises over so many steps, or over this share of a shorter training."""


def compute_decay(done: float, whole: float = 1.0) -> float:
    """Return half a cosine: 1 at the start, 0 at the end.

    Args:
        done (float): What is over, [0, whole].
        whole (float): What there is in all.
    """
    return 0.5 * (1.0 + math.cos(math.pi * done / whole))


def compute_fit_rate(step: int, done: float) -> float:
    """Return the rate of a fit of the compact denoiser, whose end may be a time: rise times decay.

    Args:
        step (int): Steps taken.
        done (float): Share of the training that is over, [0, 1]; 0 throughout if it has no end.
    """
    return min(max((step + 1) / RISE_STEPS, done / RISE_SHARE), 1.0) * compute_decay(done)


def compute_latent_rate(step: int, *, rise: int, last: int | None) -> float:
    """Return the rate of a fit of a latent backbone: a rise from 0, then decay; without an end it stays.

    Args:
        step (int): Steps taken.
        rise (int): Steps of the rise.
        last (int | None): Steps in total.
    """
    if step < rise:
        return step / rise
    return 1.0 if last is None else max(0.0, compute_decay((step - rise) / max(1, last - rise)))


def compute_segmenter_rate(step: int, *, rise: int, last: int | None) -> float:
    """Return the rate of a segmenter: a rise that does not begin at 0, then decay; without an end it stays.

    Args:
        step (int): Steps taken.
        rise (int): Steps of the rise.
        last (int | None): Steps in total.
    """
    if step < rise:
        return (step + 1) / (rise + 1)
    return 1.0 if last is None else compute_decay(min(1.0, (step - rise) / max(1, last - rise)))


def compute_capped_rate(step: int, *, rise: int, last: int) -> float:
    """Return the rate of the benchmark's segmentation networks: the smaller one of rise and decay.

    Args:
        step (int): Steps taken.
        rise (int): Steps of the rise.
        last (int): Steps in total.
    """
    return min((step + 1) / rise, compute_decay(max(step - rise, 0), max(last - rise, 1)))
