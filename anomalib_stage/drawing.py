# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Decide what to paint and where: kinds and masks, as functions of seeds."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import torch

from anomalib_stage.errors import InputError
from anomalib_stage.seeds import numpy_generator
from anomalib_stage.synthesis.bank import bounding_box
from anomalib_stage.synthesis.displaced import BODIES, DISPLACED
from anomalib_stage.synthesis.foreground import enlarged, find_object, reduced
from anomalib_stage.synthesis.masks import draw_extent, draw_mask
from anomalib_stage.synthesis.placement import draw_with_exemplar
from anomalib_stage.synthesis.surroundings import grey_picture

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from anomalib_stage.settings import MaskSettings
    from anomalib_stage.synthesis.bank import BankMask
    from anomalib_stage.synthesis.exemplar import Exemplar

__all__ = ["GOOD", "DrawnMask", "MaskDrawer"]

GOOD = "good"
"""The kind that paints intact surface; its pairs are negatives with label False."""

VARIED = (0.7, 1.4)
"""Length of a drawn shape relative to a real mask of its kind."""

REMEMBERED = 4096
"""Images whose foreground is kept."""

PIECE = 128
"""Rows of a channel that are rounded at once."""


class DrawnMask(NamedTuple):
    """A mask, ``(1, H, W)`` bool on the CPU, not empty; and the real defect that it was, None for drawn shapes.

    ``displaced`` says that it is to show another place of the image.
    """

    mask: Tensor
    exemplar: Exemplar | None = None
    displaced: bool = False


class MaskDrawer:
    """Draws kinds and masks.

    Args:
        shapes (Mapping[str, Sequence[str]]): Mask shapes of each kind.
        settings (MaskSettings): How large masks are and where they may lie.
        bank (Mapping[str, Sequence[BankMask]] | None): Real masks, for the kinds that have some.
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
        self._displaced = self._shares() if displaces and not self.bank else {}
        self._looks_around = any(mask.around is not None for masks in self.bank.values() for mask in masks)
        self._found: OrderedDict[bytes, NDArray[np.bool_] | None] = OrderedDict()

    @property
    def kinds(self) -> tuple[str, ...]:
        """Defect kinds, without ``good``."""
        return tuple(kind for kind in self.shapes if kind != GOOD)

    def choose_kinds(self, defects: str | Sequence[str | None] | None, seeds: Sequence[int]) -> list[str]:
        """Return the kind of each sample; None is drawn from the sample's seed.

        Raises:
            InputError: If a kind is unknown or their number is not that of the seeds.
        """
        given = [defects] * len(seeds) if defects is None or isinstance(defects, str) else list(defects)
        if len(given) != len(seeds):
            msg = f"{len(given)} defects for {len(seeds)} images; give one for each image, or one for all"
            raise InputError(msg)
        for kind in given:
            if kind is not None and kind not in self.shapes:
                msg = f"unknown defect {kind!r}; this bundle paints {', '.join(self.shapes)}"
                raise InputError(msg)
        return [
            self._drawn_kind(numpy_generator(seed, "kind")) if kind is None else kind
            for kind, seed in zip(given, seeds, strict=True)
        ]

    def _drawn_kind(self, rng: np.random.Generator) -> str:
        own = [kind for kind in self.kinds if kind in self.bank]
        others = [kind for kind in self.kinds if kind not in self.bank]
        if not own or not others:
            return str(rng.choice(self.kinds))
        return str(rng.choice(own if rng.random() < self.settings.bank_kinds else others))

    def foregrounds(self, images: Tensor) -> list[NDArray[np.bool_] | None]:
        """Where defects may lie in each of the images ``(B, 3, H, W)``: ``(H, W)`` bool; None: everywhere."""
        if self.settings.foreground == "none":
            return [None] * len(images)
        return [self._foreground(cv2.merge(list(planes))) for planes in _eight_bit(images).cpu().numpy()]

    def pictures(self, images: Tensor) -> list[NDArray[np.uint8] | None]:
        """Images ``(B, 3, H, W)`` in grey, ``(H, W)`` uint8 in 1 to 255; None if no mask asks for surroundings."""
        if not self._looks_around:
            return [None] * len(images)
        return [grey_picture(cv2.merge(list(planes))) for planes in _eight_bit(images).cpu().numpy()]

    def draw(
        self,
        kind: str,
        seed: int,
        *,
        size: tuple[int, int],
        allowed: NDArray[np.bool_] | None,
        turn: int,
        picture: NDArray[np.uint8] | None = None,
    ) -> DrawnMask:
        """Draw a mask.

        Args:
            kind (str): Defect kind.
            seed (int): Seed of the sample.
            size (tuple[int, int]): Height and width of the image in pixels.
            allowed (NDArray[np.bool_] | None): ``(H, W)``, where it may lie; None: everywhere.
            turn (int): 0, or the number of the fresh mask after one that could not be used.
            picture (NDArray[np.uint8] | None): ``(H, W)``, the image in grey; None: real masks lie near where they were
                on their object, whatever the image shows there.

        Returns:
            DrawnMask: The mask, and its exemplar.
        """
        rng = numpy_generator(seed, "mask", *((turn,) if turn else ()))
        real = self._real(kind, rng=rng)
        if real:
            drawn = draw_with_exemplar(real, size, foreground=allowed, rng=rng, picture=picture)
            return DrawnMask(torch.from_numpy(drawn.mask)[None], None if kind == GOOD else drawn.exemplar)
        displaced = numpy_generator(seed, "displaced", turn).random() < self._displaced.get(kind, 0.0)
        extent = self._extent(kind, size, allowed, rng=rng, large=displaced)
        shape = str(rng.choice([one for one in self.shapes[kind] if not displaced or one in BODIES]))
        mask = draw_mask(shape, size, extent=extent, rng=rng, allowed=allowed)
        return DrawnMask(torch.from_numpy(mask)[None], displaced=displaced and kind != GOOD)

    def _shares(self) -> dict[str, float]:
        """Share of the masks of each kind that are large: of good surface as many as of all kinds."""
        share = {
            kind: self.settings.displaced for kind in self.kinds if kind in DISPLACED and BODIES & {*self.shapes[kind]}
        }
        good = sum(share.values()) / max(len(self.kinds), 1) if BODIES & {*self.shapes.get(GOOD, ())} else 0.0
        return {**share, GOOD: good}

    def _extent(
        self,
        kind: str,
        size: tuple[int, int],
        allowed: NDArray[np.bool_] | None,
        *,
        rng: np.random.Generator,
        large: bool,
    ) -> float:
        """Draw the longest side of a shape in pixels: like that of a real mask of the kind, where there are some."""
        low, high = self.settings.large if large else self.settings.extent
        known = self.bank.get(kind, ())
        if known:
            shorter = min(size if allowed is None else bounding_box(allowed)[2:])
            length = known[int(rng.integers(len(known)))].length * shorter / min(size)
            low, high = (min(max(length * factor, np.finfo(float).tiny), 1.0) for factor in VARIED)
        return draw_extent(size, low=low, high=high, minimum=self.settings.min_extent, rng=rng)

    def _real(self, kind: str, *, rng: np.random.Generator) -> Sequence[BankMask]:
        """Return the masks to draw from; none where the kind has none or a shape is to be drawn.

        Good surface gets masks of every kind: what covers a mask must not tell whether it is a defect.
        """
        if not self.bank or rng.random() >= self.settings.bank_share:
            return ()
        return self.bank[str(rng.choice(sorted(self.bank)))] if kind == GOOD else self.bank.get(kind, ())

    def _foreground(self, pixels: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
        """Estimate a foreground, or remember it: a training shows the same images again and again.

        The estimate is a function of the image's small copy, so that is what is remembered.
        """
        small = reduced(pixels)
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
        where = enlarged(found, (pixels.shape[0], pixels.shape[1]))
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
