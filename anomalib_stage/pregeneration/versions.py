# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Versions of everything that has a say in the bytes of a pair."""

from __future__ import annotations

import cv2
import diffusers
import numpy as np
import torch

from anomalib_stage._version import __version__

__all__ = ["list_versions"]


def list_versions() -> dict[str, str]:
    """Return the versions of everything that has a say in the bytes."""
    return {
        "anomalib-stage": __version__,
        "torch": str(torch.__version__),
        "diffusers": diffusers.__version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
    }
