# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Draw which defect is painted and where: functions of seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anomalib_stage.errors import InputError
from anomalib_stage.pipeline.jobs import GOOD
from anomalib_stage.seeds import numpy_generator
from anomalib_stage.synthesis.appearance.displaced import BODIES, DISPLACED, cut_elsewhere
from anomalib_stage.synthesis.masks.draw import draw_mask
from anomalib_stage.synthesis.masks.extent import draw_extent
from anomalib_stage.synthesis.masks.placement import draw_with_exemplar
from anomalib_stage.synthesis.masks.templates.template import to_grey
from anomalib_stage.synthesis.regions import bounding_box

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from anomalib_stage.settings import MaskSettings
    from anomalib_stage.synthesis.appearance.exemplar import Exemplar
    from anomalib_stage.synthesis.masks.bank_mask import BankMask

__all__ = ["MaskDrawer"]

LENGTH_RANGE = (0.7, 1.4)
"""Length of a drawn shape relative to a real mask of its defect."""


class MaskDrawer:
    """Draws defects and masks.

    Args:
        shapes (Mapping[str, Sequence[str]]): Mask shapes of each defect.
        settings (MaskSettings): How large masks are and where they may lie.
        bank (Mapping[str, Sequence[BankMask]] | None): Real masks, for the defects that have some.
        displaces (bool): Whether what is painted can show another place of the image.
    """

    def __init__(
        self,
        shapes: Mapping[str, Sequence[str]],
        *,
        settings: MaskSettings,
        bank: Mapping[str, Sequence[BankMask]] | None = None,
        displaces: bool = False,
    ) -> None:
        self.shapes, self.settings, self.bank = dict(shapes), settings, dict(bank or {})
        self._displaced = self._compute_shares() if displaces else {}
        self.looks_around = any(mask.template is not None for masks in self.bank.values() for mask in masks)

    @property
    def looks_at_images(self) -> bool:
        """Whether what is drawn depends on the image's pixels."""
        return self.looks_around or bool(self._displaced)

    @property
    def defects(self) -> tuple[str, ...]:
        """Defects, without ``good``."""
        return tuple(defect for defect in self.shapes if defect != GOOD)

    def choose_defects(self, defects: str | Sequence[str | None] | None, seeds: Sequence[int]) -> list[str]:
        """Return the defect of each sample; None is drawn from the sample's seed.

        Raises:
            InputError: If a defect is unknown or their number is not that of the seeds.
        """
        given = [defects] * len(seeds) if defects is None or isinstance(defects, str) else list(defects)
        if len(given) != len(seeds):
            msg = f"{len(given)} defects for {len(seeds)} images; give one for each image, or one for all"
            raise InputError(msg)
        for defect in given:
            if defect is not None and defect not in self.shapes:
                msg = f"unknown defect {defect!r}; this bundle paints {', '.join(self.shapes)}"
                raise InputError(msg)
        return [
            self._draw_defect(numpy_generator(seed, "kind")) if defect is None else defect
            for defect, seed in zip(given, seeds, strict=True)
        ]

    def _draw_defect(self, rng: np.random.Generator) -> str:
        own = [defect for defect in self.defects if defect in self.bank]
        others = [defect for defect in self.defects if defect not in self.bank]
        if not own or not others:
            return str(rng.choice(self.defects))
        return str(rng.choice(own if rng.random() < self.settings.bank_defects else others))

    def draw(
        self,
        defect: str,
        seed: int,
        *,
        size: tuple[int, int],
        foreground: NDArray[np.bool_] | None = None,
        pixels: NDArray[np.uint8] | None = None,
        turn: int = 0,
    ) -> tuple[NDArray[np.bool_], Exemplar | None]:
        """Draw a mask.

        Args:
            defect (str): What is to be painted into it.
            seed (int): Seed of the sample.
            size (tuple[int, int]): Height and width of the image in pixels.
            foreground (NDArray[np.bool_] | None): Where it may lie, ``(H, W)``; None: everywhere.
            pixels (NDArray[np.uint8] | None): The image, ``(H, W, 3)``. Without it real masks lie near where they were
                on their object, whatever the image shows there, and no mask shows another place.
            turn (int): 0, or the number of the fresh mask after one that could not be used.

        Returns:
            tuple[NDArray[np.bool_], Exemplar | None]: The mask, ``(H, W)``, not empty; and the real defect that it was,
            or another place of the image that the anomaly shows, or None.
        """
        rng = numpy_generator(seed, "mask", *((turn,) if turn else ()))
        real = self._find_real(defect, rng=rng)
        if real:
            grey = to_grey(pixels) if self.looks_around and pixels is not None else None
            drawn = draw_with_exemplar(real, size, foreground=foreground, rng=rng, picture=grey)
            return drawn.mask, None if defect == GOOD else drawn.exemplar
        large = numpy_generator(seed, "displaced", turn).random() < self._displaced.get(defect, 0.0)
        extent = self._draw_extent(defect, size, foreground, rng=rng, large=large)
        shape = str(rng.choice([one for one in self.shapes[defect] if not large or one in BODIES]))
        mask = draw_mask(shape, size, extent=extent, rng=rng, allowed=foreground)
        exemplar = None
        if large and defect != GOOD and pixels is not None:
            exemplar = cut_elsewhere(pixels, mask, allowed=foreground, rng=rng)
        return mask, exemplar

    def _compute_shares(self) -> dict[str, float]:
        """Share of the drawn shapes of each defect that are large: of good surface so that as many of its masks are."""
        unseen = [defect for defect in self.defects if defect not in self.bank]
        large = [defect for defect in unseen if defect in DISPLACED and BODIES & {*self.shapes[defect]}]
        of_all = self.settings.displaced * len(large) / max(len(unseen), 1)
        drawn = 1.0
        if self.bank:  # defects with real masks have their share, and good surface has as many real masks as they
            of_all *= 1.0 - self.settings.bank_defects
            drawn = 1.0 - self.settings.bank_share
        good = min(of_all / drawn, 1.0) if drawn and BODIES & {*self.shapes.get(GOOD, ())} else 0.0
        shares = {**dict.fromkeys(large, self.settings.displaced), GOOD: good}
        return {defect: share for defect, share in shares.items() if share > 0.0}

    def _draw_extent(
        self,
        defect: str,
        size: tuple[int, int],
        foreground: NDArray[np.bool_] | None,
        *,
        rng: np.random.Generator,
        large: bool,
    ) -> float:
        """Draw the longest side of a shape in pixels: like that of a real mask of the defect, where there are some."""
        low, high = self.settings.large if large else self.settings.extent
        known = self.bank.get(defect, ())
        if known:
            shorter = min(size if foreground is None else bounding_box(foreground)[2:])
            length = known[int(rng.integers(len(known)))].length * shorter / min(size)
            low, high = (min(max(length * factor, np.finfo(float).tiny), 1.0) for factor in LENGTH_RANGE)
        return draw_extent(size, low=low, high=high, minimum=self.settings.min_extent, rng=rng)

    def _find_real(self, defect: str, *, rng: np.random.Generator) -> Sequence[BankMask]:
        """Return the masks to draw from; none where the defect has none or a shape is to be drawn.

        Good surface gets masks of every kind: what covers a mask must not tell whether it is a defect.
        """
        if not self.bank or rng.random() >= self.settings.bank_share:
            return ()
        return self.bank[str(rng.choice(sorted(self.bank)))] if defect == GOOD else self.bank.get(defect, ())
