# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Painted places end at the edge of their mask, or fade towards it, and never outside."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from anomalib_stage.pipeline.synthesizer import GOOD, StageSynthesizer
from anomalib_stage.settings import MaskSettings, SynthesisSettings
from anomalib_stage.synthesis.blend.feather import INTACT_FADE, feather_alpha, feather_width
from anomalib_stage.weights.bundle import StageBundle


def _box(top: int, bottom: int, left: int, right: int, *, side: int = 48) -> np.ndarray:
    mask = np.zeros((side, side), dtype=np.bool_)
    mask[top:bottom, left:right] = True
    return mask


def test_hard_edges_are_whole_in_the_mask_and_nothing_outside():
    mask = _box(3, 40, 5, 9) | _box(0, 2, 0, 48)
    assert np.array_equal(feather_alpha(mask, feather_width(mask, 0.0)), mask.astype(np.float32))


@pytest.mark.parametrize("softness", [0.1, 0.5, 1.0])
def test_the_share_rises_from_the_edge_to_one(softness: float):
    mask = _box(8, 41, 8, 41)  # 17 px deep
    width = feather_width(mask, softness)
    assert width == pytest.approx(16 * softness, rel=0.05)
    row = feather_alpha(mask, width)[24]
    assert row[7] == 0.0
    assert row[8] == pytest.approx(1 / (1 + width), rel=0.05)
    assert row[24] == pytest.approx(1.0, abs=0.01)
    assert (np.diff(row[7:25]) >= 0).all()
    assert np.array_equal(row[8:41], row[8:41][::-1])


@pytest.mark.parametrize("width", [1, 2])
def test_thin_masks_do_not_fade(width: int):
    mask = _box(10, 10 + width, 2, 46)
    assert feather_alpha(mask, feather_width(mask, 1.0))[mask].min() == 1.0


def test_the_border_of_the_picture_is_no_edge():
    mask = _box(0, 24, 0, 48)
    share = feather_alpha(mask, feather_width(mask, 0.5))
    assert (share[0] == 1.0).all()
    assert (share[23] < 0.2).all()
    everything = np.ones((48, 48), dtype=np.bool_)
    assert (feather_alpha(everything, feather_width(everything, 1.0)) == 1.0).all()


def test_intact_surface_goes_over_within_two_pixels():
    row = feather_alpha(_box(10, 30, 10, 30), INTACT_FADE)[20]
    assert row[9:14].tolist() == pytest.approx([0.0, 1 / 3, 2 / 3, 1.0, 1.0], abs=0.02)


def _change(bundle: StageBundle, softness: tuple[float, float], *, defect: str) -> tuple[float, float]:
    """Change at the edge and in the middle of large round masks."""
    rows, cols = np.mgrid[:96, :96]
    disc = (rows - 48) ** 2 + (cols - 48) ** 2 < 24**2
    rim = disc & ((rows - 48) ** 2 + (cols - 48) ** 2 > 22**2)
    core = (rows - 48) ** 2 + (cols - 48) ** 2 < 12**2
    images = 0.5 + 0.02 * torch.randn(4, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    settings = SynthesisSettings(softness=softness, masks=MaskSettings(foreground="none"))
    masks = torch.from_numpy(disc).expand(4, 1, -1, -1)
    pair = StageSynthesizer(bundle, device="cpu", synthesis=settings)(images, defects=defect, masks=masks)
    change = (pair.image - images).abs().mean(dim=(0, 1)).numpy()
    assert (change[~disc] == 0.0).all()
    return float(change[rim].mean()), float(change[core].mean())


def test_softness_of_the_settings_and_of_the_bundle():
    bundle = StageBundle.load("default")
    hard, soft = (_change(bundle, softness, defect="stain") for softness in ((0.0, 0.0), (1.0, 1.0)))
    assert soft[0] < 0.35 * hard[0]
    assert soft[1] > 0.5 * hard[1]
    defects = [spec.model_copy(update={"softness": 1.0}) for spec in bundle.manifest.defects]
    fields = bundle.manifest.model_dump(
        include={"backbone", "denoiser", "codec", "schedule", "region_size", "training", "base_digest"}
    )
    measured = StageBundle.build(bundle.tensors, defects=defects, **fields)
    fitted = _change(measured, (0.0, 0.4), defect="stain")
    assert fitted[0] < 0.6 * hard[0]
    assert _change(measured, (0.0, 0.0), defect="stain")[0] == pytest.approx(hard[0], rel=1e-5)


def test_good_surface_fades_whatever_the_settings():
    edge, _ = _change(StageBundle.load("default"), (0.0, 0.0), defect=GOOD)
    assert edge > 0.0


def test_shares_are_the_same_to_the_bit_wherever_the_mask_lies_in_memory():
    mask = _box(3, 44, 4, 46) & ~_box(30, 48, 36, 48)
    memory, first = np.zeros(64 * mask.size, dtype=np.bool_), feather_alpha(mask, 7.7)
    for offset in range(64):
        there = memory[offset : offset + mask.size].reshape(mask.shape)
        there[:] = mask
        kept = [np.empty(17 * offset + 1) for _ in range(3)]  # what is made next lies elsewhere
        assert np.array_equal(feather_alpha(there, 7.7), first)
        del kept
