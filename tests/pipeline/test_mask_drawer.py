# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Defects and masks of bundles that know real masks: their defects more often, and shapes as large as theirs."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from anomalib_stage.pipeline.mask_drawer import MaskDrawer
from anomalib_stage.settings import MaskSettings
from anomalib_stage.synthesis.masks.bank_mask import BankMask

SHAPES = dict.fromkeys(("hole", "scratch", "stain", "mine", "good"), ("blob",))


def _bank_mask(length: float) -> BankMask:
    cells = np.ones((8, 8), dtype=np.bool_)
    return BankMask(
        cells,
        row=0.5,
        column=0.5,
        length=length,
        depth=0.5,
        on_edge=False,
        outward=0.0,
        direction=0.0,
        elongation=0.0,
    )


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0.0), (0.6, 0.6), (1.0, 1.0)])
def test_defects_with_real_masks_have_their_share(share: float, expected: float):
    drawer = MaskDrawer(SHAPES, settings=MaskSettings(bank_defects=share), bank={"mine": [_bank_mask(0.1)]})
    drawn = Counter(drawer.choose_defects(None, list(range(1000))))
    assert drawn["mine"] / 1000 == pytest.approx(expected, abs=0.05)
    assert "good" not in drawn
    assert drawer.choose_defects([None, "hole"], [1, 2])[1] == "hole"


@pytest.mark.parametrize("bank", [{}, {defect: [_bank_mask(0.1)] for defect in SHAPES if defect != "good"}])
def test_without_a_difference_all_defects_are_drawn_alike(bank: dict[str, list[BankMask]]):
    drawer = MaskDrawer(SHAPES, settings=MaskSettings(), bank=bank)
    drawn = Counter(drawer.choose_defects(None, list(range(1000))))
    assert all(count == pytest.approx(250, abs=60) for count in drawn.values())
    assert len(drawn) == 4


def test_shapes_are_as_large_as_the_real_masks():
    bank = {"mine": [_bank_mask(0.05), _bank_mask(0.06)], "stain": [_bank_mask(0.7)]}
    drawer = MaskDrawer(SHAPES, settings=MaskSettings(bank_share=0.0, foreground="none"), bank=bank)

    def sides(defect: str) -> np.ndarray:
        masks = [drawer.draw(defect, seed, size=(200, 300))[0] for seed in range(60)]
        return np.array([max(np.ptp(at) + 1 for at in np.nonzero(mask)) for mask in masks])

    assert 4 <= np.median(sides("mine")) <= 18
    assert sides("mine").max() <= 24
    assert np.median(sides("stain")) > 70


def test_shapes_follow_the_object():
    allowed = np.zeros((200, 300), dtype=np.bool_)
    allowed[80:120, 100:200] = True  # the object is 40 px high
    drawer = MaskDrawer(SHAPES, settings=MaskSettings(bank_share=0.0), bank={"mine": [_bank_mask(0.5)]})
    masks = [drawer.draw("mine", seed, size=(200, 300), foreground=allowed)[0] for seed in range(40)]
    assert max(np.ptp(np.nonzero(mask)[1]) + 1 for mask in masks) <= 0.5 * 40 * 1.4 * 1.6
