# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Displaced surface: a piece of the image itself, from where the object is, in masks that are large."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_stage.errors import InputError
from anomalib_stage.pipeline.mask_drawer import MaskDrawer
from anomalib_stage.pipeline.synthesizer import StageSynthesizer
from anomalib_stage.settings import GateSettings, MaskSettings, SamplerSettings, SynthesisSettings, validated
from anomalib_stage.synthesis.appearance.displaced import cut_elsewhere
from anomalib_stage.synthesis.masks.bank_mask import BankMask

SHAPES = {"stain": ("perlin", "blob"), "contamination": ("scratch", "blob"), "crack": ("crack",), "good": ("blob",)}


def numbered(height: int, width: int) -> np.ndarray:
    """An image whose pixels say where they are: rows in red, columns in green."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, np.zeros_like(rows)], axis=2).astype(np.uint8)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    height=st.integers(8, 60),
    width=st.integers(8, 60),
    tall=st.floats(0.05, 1.0),
    broad=st.floats(0.05, 1.0),
)
def test_it_is_a_piece_of_the_image_turned_by_quarters(
    seed: int, height: int, width: int, tall: float, broad: float
) -> None:
    rng = np.random.default_rng(seed)
    sides = max(int(tall * height), 1), max(int(broad * width), 1)
    top, left = (int(rng.integers(size - side + 1)) for size, side in zip((height, width), sides, strict=True))
    mask = np.zeros((height, width), np.bool_)
    mask[top : top + sides[0], left : left + sides[1]] = True
    found = cut_elsewhere(numbered(height, width), mask, allowed=None, rng=rng)
    if found is None:  # only turned by a quarter could it not fit
        assert sides[0] > width or sides[1] > height
        return
    assert (found.top, found.left) == (top, left)
    assert found.pixels.shape == (*sides, 3)
    seen = {tuple(pixel) for pixel in found.pixels[..., :2].reshape(-1, 2).tolist()}
    rows, columns = ({pixel[i] for pixel in seen} for i in (0, 1))
    assert seen == {(r, c) for r in range(min(rows), max(rows) + 1) for c in range(min(columns), max(columns) + 1)}
    steps = np.abs(np.diff(found.pixels[..., :2].astype(int), axis=0)).sum(axis=2)
    assert (steps == 1).all()  # neighbours stay neighbours


def test_it_comes_from_the_object() -> None:
    allowed = np.zeros((100, 100), np.bool_)
    allowed[:, 60:] = True
    mask = np.zeros((100, 100), np.bool_)
    mask[40:50, 10:20] = True
    found = [
        cut_elsewhere(numbered(100, 100), mask, allowed=allowed, rng=np.random.default_rng(seed)) for seed in range(40)
    ]
    on_object = np.mean([one is not None and bool((one.pixels[..., 1] >= 60).all()) for one in found])
    assert on_object > 0.9  # eight places are looked at, of which a third lie there


def _drawn(drawer: MaskDrawer, defect: str, count: int = 200) -> tuple[float, np.ndarray]:
    drawn = [drawer.draw(defect, seed, size=(200, 260), pixels=numbered(200, 260)) for seed in range(count)]
    sides = [max(np.ptp(at) + 1 for at in np.nonzero(mask)) for mask, _ in drawn]
    return float(np.mean([exemplar is not None for _, exemplar in drawn])), np.array(sides)


@pytest.mark.parametrize(("defect", "share", "large"), [("stain", 0.5, 0.5), ("crack", 0.0, 0.0), ("good", 0.0, 1 / 3)])
def test_masks_of_displaced_surface_are_large_and_those_of_good_surface_as_often(
    defect: str, share: float, large: float
) -> None:
    drawer = MaskDrawer(SHAPES, settings=MaskSettings(extent=(0.05, 0.1), displaced=0.5, displaced_extent=(0.4, 0.5)),
                        displaces=True)  # fmt: skip
    displaced, sides = _drawn(drawer, defect)
    assert displaced == pytest.approx(share, abs=0.1)
    assert (sides > 40).mean() == pytest.approx(large, abs=0.1)


def test_thin_shapes_are_never_displaced() -> None:
    drawer = MaskDrawer(SHAPES, settings=MaskSettings(displaced=1.0, foreground="none"), displaces=True)
    areas = [int(drawer.draw("contamination", s, size=(200, 200), turn=0)[0].sum()) for s in range(60)]
    assert min(areas) > 0.25 * (0.12 * 200) ** 2 / 2  # a scratch as long has fewer pixels


def _real_mask() -> BankMask:
    cells = np.ones((8, 8), np.bool_)
    return BankMask(cells, row=0.5, column=0.5, length=0.1, depth=0.5, on_edge=False, outward=0.0, direction=0.0,
                    elongation=0.0)  # fmt: skip


def test_kinds_with_real_masks_and_painters_that_cannot_leave_it_out() -> None:
    wanted = MaskSettings(displaced=1.0, bank_share=0.5)
    for drawer in (
        MaskDrawer(SHAPES, settings=wanted, bank={"stain": [_real_mask()]}, displaces=True),
        MaskDrawer(SHAPES, settings=wanted),
    ):
        displaced, sides = _drawn(drawer, "stain", 60)
        assert displaced == 0.0
        assert sides.max() <= 0.3 * 200 * 1.6


@pytest.mark.parametrize("bank_share", [0.5, 0.8])
def test_with_real_masks_good_surface_has_large_masks_as_often_as_all_kinds(bank_share: float) -> None:
    wanted = MaskSettings(extent=(0.05, 0.1), displaced_extent=(0.4, 0.5), bank_share=bank_share, bank_defects=0.8)
    shapes = {**SHAPES, "mine": ("blob",)}
    drawer = MaskDrawer(shapes, settings=wanted, bank={"mine": [_real_mask()]}, displaces=True)
    displaced, _ = _drawn(drawer, "stain")
    assert displaced == pytest.approx(0.35, abs=0.1)
    _, sides = _drawn(drawer, "good", 600)
    assert (sides > 40).mean() == pytest.approx(0.2 * 0.35 * 2 / 3, abs=0.025)


def test_an_extent_that_is_given_holds_for_all() -> None:
    assert MaskSettings().large == (0.12, 0.6)
    assert MaskSettings(extent=(0.02, 0.1)).large == (0.02, 0.1)
    assert MaskSettings(extent=(0.02, 0.1), displaced_extent=(0.5, 0.7)).large == (0.5, 0.7)
    with pytest.raises(InputError, match=r"displaced_extent \(0.7, 0.5\) is empty"):
        validated(MaskSettings, displaced_extent=(0.7, 0.5))


def test_displaced_surface_has_the_texture_of_another_place_and_stays_inside_its_mask() -> None:
    rows = torch.arange(96)[:, None].expand(96, 96)
    stripes = (0.5 + 0.2 * torch.sin(rows * 1.3))[None, None].repeat(6, 3, 1, 1).float()
    masks = MaskSettings(displaced=1.0, displaced_extent=(0.5, 0.6), foreground="none")
    options = {"defects": "stain", "seeds": list(range(6))}

    def across(displaced: float) -> float:
        chosen = SynthesisSettings(
            masks=masks.model_copy(update={"displaced": displaced}), sampler=SamplerSettings(steps=4)
        )
        synthesizer = StageSynthesizer.from_pretrained("default", device="cpu", synthesis=chosen)
        pair = synthesizer(stripes, **options)
        again = synthesizer(stripes[2:4], defects="stain", seeds=[2, 3])
        assert torch.equal(again.mask, pair.mask[2:4])
        torch.testing.assert_close(again.image, pair.image[2:4], rtol=0.0, atol=1e-5)  # kernels depend on the batch
        outside = ~pair.mask.expand_as(pair.image)
        assert torch.equal(pair.image[outside], stripes[outside])
        change = (pair.image[..., 1:] - pair.image[..., :-1]).abs().mean(dim=1, keepdim=True)
        inside = pair.mask[..., 1:] & pair.mask[..., :-1]
        return float(change[inside].mean())

    # stripes that run along the rows do not change along them, but where they were turned by a quarter
    assert across(1.0) > 1.5 * across(0.0)


def test_no_network_is_asked_for_displaced_surface(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object, **__: object) -> torch.Tensor:
        raise AssertionError

    masks = MaskSettings(displaced=1.0, foreground="none")
    synthesizer = StageSynthesizer.from_pretrained(
        "default", device="cpu", synthesis=SynthesisSettings(masks=masks, gate=GateSettings(min_visibility=0.0))
    )
    monkeypatch.setattr(synthesizer._painter.backbone, "denoiser", asked)
    images = torch.rand(4, 3, 64, 80, generator=torch.Generator().manual_seed(0))
    pair = synthesizer(images, defects="stain", seeds=list(range(4)))
    assert pair.mask.flatten(1).any(dim=1).all()
    with pytest.raises(AssertionError):
        synthesizer(images, defects=["stain", "crack", "stain", "stain"], seeds=list(range(4)))
