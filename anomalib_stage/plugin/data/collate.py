# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Makes batches whose labels agree with their masks: a transform can change an item's mask, never its label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from anomalib.data import ImageBatch

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["stage_collate", "train_collate"]


def stage_collate(items: Sequence[Any]) -> ImageBatch:
    """Make a batch in which every image whose mask has a pixel is labelled anomalous.

    For data modules with :class:`~anomalib_stage.StageTransform` among their training augmentations:
    ``datamodule.external_collate_fn = stage_collate``. Labels that are anomalous already stay so, therefore it suits
    validation and test data too.

    Args:
        items (Sequence[Any]): anomalib's ``ImageItem`` objects; their labels are changed in place.

    Returns:
        ImageBatch: What ``ImageBatch.collate`` makes of them.
    """
    for item in items:
        if item.gt_mask is not None and item.gt_label is not None:
            item.gt_label = item.gt_label | item.gt_mask.any()
    return _collate(items)


def train_collate(items: Sequence[Any]) -> ImageBatch:
    """Make a batch in which an image is labelled anomalous if, and only if, its mask has a pixel.

    For training data all of whose anomalous images have masks: where an augmentation has cut the defect away, the image
    is good.

    Args:
        items (Sequence[Any]): anomalib's ``ImageItem`` objects with masks; their labels are changed in place.

    Returns:
        ImageBatch: What ``ImageBatch.collate`` makes of them.
    """
    for item in items:
        item.gt_label = item.gt_mask.any().to(item.gt_label.dtype)
    return _collate(items)


def _collate(items: Sequence[Any]) -> ImageBatch:
    batch: Any = ImageBatch.collate(list(items))
    return cast("ImageBatch", batch)
