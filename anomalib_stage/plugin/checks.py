# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of constructor arguments of this package's parts of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anomalib_stage.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["OWNER", "check_alone", "check_defects", "check_fraction", "check_refresh", "check_seed"]

OWNER = "StageAugment"
"""Whose argument it is, unless said otherwise; every message begins with it."""


def check_fraction(name: str, value: object, *, owner: str = OWNER) -> None:
    """Refuse anything but a number in [0, 1].

    Raises:
        InputError: Says what was given.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value <= 1.0:
        msg = f"{owner}: {name} is {value!r}; give a number from 0 to 1"
        raise InputError(msg)


def check_seed(seed: object, *, owner: str = OWNER) -> None:
    """Refuse anything but an integer.

    Raises:
        InputError: Says what was given.
    """
    if isinstance(seed, bool) or not isinstance(seed, int):
        msg = f"{owner}: seed is {seed!r}; give an integer"
        raise InputError(msg)


def check_defects(defects: Sequence[str] | None, *, owner: str = OWNER) -> None:
    """Refuse anything but None or a list of names of defects that is not empty.

    Raises:
        InputError: Says what was given.
    """
    if defects is None:
        return
    if isinstance(defects, str) or not defects or not all(isinstance(defect, str) for defect in defects):
        msg = f"{owner}: defects is {defects!r}; give a list of names such as ['scratch', 'stain'], or None for all"
        raise InputError(msg)
    if "good" in defects:
        msg = f"{owner}: 'good' is not a defect; how much good surface is painted over is the argument negatives"
        raise InputError(msg)


def check_refresh(refresh: object, *, bank: object) -> None:
    """Refuse a share of live pairs outside [0, 1], or one without a bank that the others come from.

    Raises:
        InputError: Says what was given.
    """
    check_fraction("refresh", refresh)
    if refresh and bank is None:
        msg = f"{OWNER}: refresh is {refresh!r} without a bank, where every anomaly is live; give bank=FOLDER, or 0"
        raise InputError(msg)


def check_alone(trainer: Any, callback: type) -> None:  # noqa: ANN401 - Lightning's Trainer
    """Refuse two callbacks of a type in one trainer: each would paint into what the other has painted.

    Raises:
        InputError: Says how many there are.
    """
    count = sum(isinstance(one, callback) for one in trainer.callbacks)
    if count > 1:
        msg = (
            f"there are {'two' if count == 2 else count} {callback.__name__} callbacks in this trainer; give one (its "
            "defects argument takes a list)"
        )
        raise InputError(msg)
