# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Good images of a data module, by the rule that all commands have for folders of good images."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from anomalib_stage.files.good_folder import check_good
from anomalib_stage.files.images import is_passed_over

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

__all__ = ["select_good"]

logger = logging.getLogger(__name__)


def select_good(samples: pd.DataFrame, folders: Sequence[Path], *, owner: str) -> pd.DataFrame:
    """Leave out what systems left behind, and refuse defects and masks among the good images.

    Args:
        samples (pd.DataFrame): anomalib's table of images to train on.
        folders (Sequence[Path]): Folders of good images; images elsewhere stay.
        owner (str): Whose folders, for messages.

    Returns:
        pd.DataFrame: Rows of images that are to be trained on.

    Raises:
        DataError: If defects or masks lie in a folder; says how many.
    """
    paths = [Path(path) for path in samples["image_path"]]
    passed = {path for path in paths for folder in folders if is_passed_over(path, folder)}
    if passed:
        first = min(passed)
        logger.warning("%s: left out %d images in hidden or system folders, such as %s", owner, len(passed), first)
    for folder in folders:
        inside = [path for path in paths if path not in passed and path.is_relative_to(folder)]
        if inside:
            check_good(inside, root=folder, flag=f"{owner}: normal_dir")
    return samples[[path not in passed for path in paths]] if passed else samples
