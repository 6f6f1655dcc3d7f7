# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Decide what to paint and where: defects and masks, as functions of seeds."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import torch

from anomalib_stage.errors import InputError
from anomalib_stage.seeds import numpy_generator
from anomalib_stage.synthesis.appearance.displaced import BODIES, DISPLACED, cut_elsewhere
from anomalib_stage.synthesis.masks.bank import bounding_box
from anomalib_stage.synthesis.masks.draw import draw_extent, draw_mask
from anomalib_stage.synthesis.masks.foreground import enlarge, find_object, shrink
from anomalib_stage.synthesis.masks.placement import draw_with_exemplar
from anomalib_stage.synthesis.masks.template_match import to_grey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from anomalib_stage.settings import MaskSettings
    from anomalib_stage.synthesis.appearance.exemplar import Exemplar
    from anomalib_stage.synthesis.masks.bank import BankMask

__all__ = ["GOOD", "DrawnMask", "MaskDrawer", "View"]

GOOD = "good"
"""The defect that paints intact surface; its pairs are negatives with label False."""

VARIED = (0.7, 1.4)
"""Length of a drawn shape relative to a real mask of its defect."""

REMEMBERED = 4096
"""Images whose foreground is kept."""

PIECE = 128
"""Rows of a channel that are rounded at once."""


class View(NamedTuple):
    """What drawing knows of an image.

    ``allowed``: where masks may lie, ``(H, W)`` bool; None: everywhere. ``picture``: the image in grey, ``(H, W)``
    uint8 in 1 to 255; None: no mask asks for surroundings. ``pixels``: ``(H, W, 3)`` uint8; None: no mask shows another
    place.
    """

    allowed: NDArray[np.bool_] | None = None
    picture: NDArray[np.uint8] | None = None
    pixels: NDArray[np.uint8] | None = None


class DrawnMask(NamedTuple):
    """A mask, ``(1, H, W)`` bool on the CPU, not empty; and what its anomaly takes detail from, None for nothing.

    That is the real defect that the mask was, or another place of the image.
    """

    mask: Tensor
    exemplar: Exemplar | None = None


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
        self._displaced = self._shares() if displaces else {}
        self._looks_around = any(mask.around is not None for masks in self.bank.values() for mask in masks)
        self._found: OrderedDict[bytes, NDArray[np.bool_] | None] = OrderedDict()

    @property
    def defects(self) -> tuple[str, ...]:
        """Defects, without ``good``."""
        return tuple(defect for defect in self.shapes if defect != GOOD)

    def choose_defects(self, defects: str | Sequence[str | None] | None, seeds: Sequence[int]) -> list[str]:
        """Return the kind of each sample; None is drawn from the sample's seed.

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

    def views(self, images: Tensor, foregrounds: Sequence[NDArray[np.bool_]] | None = None) -> list[View]:
        """Look at images ``(B, 3, H, W)`` in [0, 1] once for all that drawing needs of them.

        Args:
            images (Tensor): On any device.
            foregrounds (Sequence[NDArray[np.bool_]] | None): Where masks may lie, ``(H, W)`` each; None: as the
                settings say.

        Returns:
            list[View]: One for each image.
        """
        estimated = foregrounds is None and self.settings.foreground != "none"
        if not (estimated or self._looks_around or self._displaced):
            return [View()] * len(images) if foregrounds is None else [View(where) for where in foregrounds]
        views = []
        for i, planes in enumerate(_eight_bit(images).cpu().numpy()):
            pixels = np.asarray(cv2.merge(list(planes)), dtype=np.uint8)
            given = None if foregrounds is None else foregrounds[i]
            allowed = self._foreground(pixels) if estimated else given
            views.append(View(allowed, to_grey(pixels) if self._looks_around else None, pixels))
        return views

    def draw(
        self,
        defect: str,
        seed: int,
        *,
        size: tuple[int, int],
        view: View,
        turn: int,
    ) -> DrawnMask:
        """Draw a mask.

        Args:
            defect (str): Defect.
            seed (int): Seed of the sample.
            size (tuple[int, int]): Height and width of the image in pixels.
            view (View): What is known of the image. Without a picture real masks lie near where they were on their
                object, whatever the image shows there; without pixels no mask shows another place.
            turn (int): 0, or the number of the fresh mask after one that could not be used.

        Returns:
            DrawnMask: The mask, and its exemplar.
        """
        rng = numpy_generator(seed, "mask", *((turn,) if turn else ()))
        allowed, picture, pixels = view
        real = self._real(defect, rng=rng)
        if real:
            drawn = draw_with_exemplar(real, size, foreground=allowed, rng=rng, picture=picture)
            return DrawnMask(torch.from_numpy(drawn.mask)[None], None if defect == GOOD else drawn.exemplar)
        large = numpy_generator(seed, "displaced", turn).random() < self._displaced.get(defect, 0.0)
        extent = self._extent(defect, size, allowed, rng=rng, large=large)
        shape = str(rng.choice([one for one in self.shapes[defect] if not large or one in BODIES]))
        mask = draw_mask(shape, size, extent=extent, rng=rng, allowed=allowed)
        exemplar = None
        if large and defect != GOOD and pixels is not None:
            exemplar = cut_elsewhere(pixels, mask, allowed=allowed, rng=rng)
        return DrawnMask(torch.from_numpy(mask)[None], exemplar)

    def _shares(self) -> dict[str, float]:
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

    def _extent(
        self,
        defect: str,
        size: tuple[int, int],
        allowed: NDArray[np.bool_] | None,
        *,
        rng: np.random.Generator,
        large: bool,
    ) -> float:
        """Draw the longest side of a shape in pixels: like that of a real mask of the defect, where there are some."""
        low, high = self.settings.large if large else self.settings.extent
        known = self.bank.get(defect, ())
        if known:
            shorter = min(size if allowed is None else bounding_box(allowed)[2:])
            length = known[int(rng.integers(len(known)))].length * shorter / min(size)
            low, high = (min(max(length * factor, np.finfo(float).tiny), 1.0) for factor in VARIED)
        return draw_extent(size, low=low, high=high, minimum=self.settings.min_extent, rng=rng)

    def _real(self, defect: str, *, rng: np.random.Generator) -> Sequence[BankMask]:
        """Return the masks to draw from; none where the defect has none or a shape is to be drawn.

        Good surface gets masks of every kind: what covers a mask must not tell whether it is a defect.
        """
        if not self.bank or rng.random() >= self.settings.bank_share:
            return ()
        return self.bank[str(rng.choice(sorted(self.bank)))] if defect == GOOD else self.bank.get(defect, ())

    def _foreground(self, pixels: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
        """Estimate a foreground, or remember it: a training shows the same images again and again.

        The estimate is a function of the image's small copy, so that is what is remembered.
        """
        small = shrink(pixels)
        key = hashlib.blake2b(small.tobytes(), digest_size=16, key=repr(small.shape).encode()).digest()
        if key in self._found:
            self._found.move_to_end(key)
        else:
            self._found[key] = find_object(small)
            if len(self._found) > REMEMBERED:
                self._found.popitem(last=False)
        found = self._found[key]
        if found is None:
            return None
        where = enlarge(found, (pixels.shape[0], pixels.shape[1]))
        return None if where.all() else where


def _eight_bit(images: Tensor) -> Tensor:
    """Round images in [0, 1] to 8 bit; on the CPU in pieces that stay in its cache."""
    plain = images.detach().as_subclass(torch.Tensor)
    rounded = torch.empty(plain.shape, dtype=torch.uint8, device=plain.device)
    whole = plain.device.type != "cpu"
    for source, target in [(plain, rounded)] if whole else zip(plain.flatten(0, 1), rounded.flatten(0, 1), strict=True):
        rows = len(source) if whole else PIECE
        for part, place in zip(source.split(rows), target.split(rows), strict=True):
            place.copy_((part.float() * 255.0).add_(0.5))
    return rounded
