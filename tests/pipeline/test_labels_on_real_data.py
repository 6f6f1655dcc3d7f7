# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Are the labels true? Pregenerate pairs on real sets, then judge the files alone, with measures written here.

``ANOMALIB_STAGE_PAIRS`` sets the pairs for each set (24 if not given), ``ANOMALIB_STAGE_STEPS`` the denoising steps
(20), ``ANOMALIB_STAGE_DATA`` the folder of sets::

    ANOMALIB_STAGE_PAIRS=2000 python -m pytest -n 0 -s tests/pipeline/test_labels_on_real_data.py
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from anomalib_stage.pregeneration.output.manifest import read_manifest
from anomalib_stage.pregeneration.run import pregenerate
from anomalib_stage.synthesis.masks.foreground.foreground import estimate_foreground

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from anomalib_stage.pregeneration.output.manifest import PairRecord

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]

PAIRS = int(os.environ.get("ANOMALIB_STAGE_PAIRS", "24"))
STEPS = int(os.environ.get("ANOMALIB_STAGE_STEPS", "20"))
SETS = {"magnetic_tile": "magnetic_tile", "mpdd_jpg": "metal_plate", "deeppcb": "pcb"}
TEXTURES = {"magnetic_tile", "deeppcb"}
"""Sets whose pictures are surface from border to border."""

JUST_VISIBLE = 4.0
"""Grey levels of 255 that a person sees on an even surface."""


@dataclass(frozen=True, eq=False)
class Set:
    """Good images and the pairs painted from them."""

    name: str
    good: Path
    out: Path
    records: list[PairRecord]

    def pairs(self) -> Iterator[tuple[PairRecord, np.ndarray, np.ndarray, np.ndarray]]:
        """Yield record, source, synthetic image ``(H, W, 3)`` and mask ``(H, W)`` of every pair, as filed."""
        for record in self.records:
            if record.image is not None:
                before, after = _pixels(self.good / record.source), _pixels(self.out / record.image)
                stored = cv2.imread(str(self.out / str(record.mask)), cv2.IMREAD_UNCHANGED)
                assert set(np.unique(stored)) == {0, 255}, record.mask
                yield record, before, after, stored > 0


def _pixels(path: Path) -> np.ndarray:
    return np.ascontiguousarray(cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)[..., ::-1])


@pytest.fixture(scope="module", params=SETS)
def painted(request: pytest.FixtureRequest, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Set:
    name: str = request.param
    good = shared_data / name / SETS[name] / "train" / "good"
    if not good.is_dir():
        pytest.skip(f"{good} is not at hand")
    out = tmp_path_factory.mktemp("labels") / name
    result = pregenerate(data=good, out=out, count=PAIRS, seed=4, sampling_steps=STEPS)
    print(f"\n{name}: {result['pairs']} pairs, {result['rejected']} rejected")
    return Set(name, good, out, read_manifest(out))


def test_every_pair_is_a_picture_with_a_mask_or_is_counted_as_rejected(painted: Set) -> None:
    assert len(painted.records) == PAIRS
    found = [mask.any() for _, _, _, mask in painted.pairs()]
    assert all(found)
    assert len(found) >= 0.5 * PAIRS
    assert len(list(painted.out.rglob("*.png"))) == 2 * len(found)


def test_no_pixel_outside_a_mask_has_changed(painted: Set) -> None:
    changed = {
        record.image: count
        for record, before, after, mask in painted.pairs()
        if (count := int((before != after)[~mask].sum()))
    }
    assert changed == {}


def test_no_mask_lies_beside_the_object(painted: Set) -> None:
    worst = 0.0
    for record, before, _, mask in painted.pairs():
        object_ = estimate_foreground(before)
        worst = max(worst, float((mask & ~object_).sum()) / float(mask.sum()))
        assert worst <= 0.01, record.image
        if painted.name in TEXTURES:
            assert object_.mean() >= 0.99, record.source
    print(f"\n{painted.name}: at most {worst:.2%} of a mask beside the object")


def test_no_pair_is_labelled_anomalous_without_a_visible_change(painted: Set) -> None:
    margins = {str(record.image): _margin(before, after, mask) for record, before, after, mask in painted.pairs()}
    ordered = sorted(margins.values())
    print(f"\n{painted.name}: change over what hides it: least {ordered[0]:.2f}, median {np.median(ordered):.1f}")
    assert {name: margin for name, margin in margins.items() if margin <= 1.0} == {}


def _margin(before: np.ndarray, after: np.ndarray, mask: np.ndarray, *, around: int = 16) -> float:
    """Change that a tenth of the mask exceeds, over the change that the clean surface around would hide.

    The change is averaged over the mask's pixels in 3 x 3 windows. Hidden is what is below the just visible contrast
    and one deviation of the clean surface's own texture, between 3 and 9 px, within 16 px of the mask.
    """
    rows, columns = np.nonzero(mask)
    window = (
        slice(max(int(rows.min()) - around, 0), int(rows.max()) + around + 1),
        slice(max(int(columns.min()) - around, 0), int(columns.max()) + around + 1),
    )
    clean, inside = before[window].astype(np.float64), mask[window].astype(np.float64)
    change = cv2.blur((after[window] - clean) * inside[..., None], (3, 3)) / cv2.blur(inside, (3, 3))[..., None].clip(
        0.1
    )
    strong = float(np.quantile(np.abs(change).max(axis=2)[inside > 0], 0.9))
    texture = float((cv2.blur(clean, (3, 3)) - cv2.blur(clean, (9, 9))).std(axis=(0, 1)).max())
    return strong / (JUST_VISIBLE + texture)


def test_the_measure_tells_what_is_seen_from_what_is_not() -> None:
    rng = np.random.default_rng(0)
    clean, other = (np.clip(rng.normal(120, 12, (64, 64, 3)), 0, 255).astype(np.uint8) for _ in range(2))
    mask = np.zeros((64, 64), np.bool_)
    mask[30:34, 30:36] = True
    assert _margin(clean, clean, mask) == 0.0
    assert _margin(clean, np.where(mask[..., None], clean - 3, clean), mask) < 1.0
    assert _margin(clean, np.where(mask[..., None], other // 3, clean), mask) > 3.0
    mask[:] = False
    mask[10, 10] = True
    assert _margin(clean, np.where(mask[..., None], 255 - clean // 4, clean), mask) > 3.0


def test_real_textures_are_whole(shared_data: Path) -> None:
    files = sorted((shared_data / "textures" / "dtd10_256").rglob("*.jpg"))
    if not files:
        pytest.skip("textures/dtd10_256 is not at hand")
    step = max(len(files) // max(PAIRS, 1), 1)
    shares = {file.name: float(estimate_foreground(_pixels(file)).mean()) for file in files[::step]}
    assert {name: share for name, share in shares.items() if share < 0.99} == {}
