# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Which image files a data module trains on, and which it keeps for validation and test. No anomalib here."""

from __future__ import annotations

from typing import Any

__all__ = ["list_held_back_images", "list_training_images"]

NORMAL = 0
"""Label of good images in anomalib's tables of samples."""


def list_training_images(datamodule: Any) -> list[str]:  # noqa: ANN401 - any data module, or None
    """Return the files of the good images that train; none if there is no data module that lists them.

    Args:
        datamodule (AnomalibDataModule | None): A data module after its ``setup``.
    """
    samples = _get_samples(datamodule, "train")
    if samples is None:
        return []
    if "label_index" in samples:
        samples = samples[samples["label_index"] == NORMAL]
    return [str(path) for path in samples["image_path"]]


def list_held_back_images(datamodule: Any) -> list[str]:  # noqa: ANN401
    """Return the files that are kept for validation and test, good and anomalous; see :func:`list_training_images`."""
    found = [_get_samples(datamodule, split) for split in ("val", "test")]
    return [str(path) for samples in found if samples is not None for path in samples["image_path"]]


def _get_samples(datamodule: Any, split: str) -> Any:  # noqa: ANN401 - a data frame, or None
    samples = getattr(getattr(datamodule, f"{split}_data", None), "samples", None)
    return samples if samples is not None and "image_path" in samples else None
