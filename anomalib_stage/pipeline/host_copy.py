# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Wait for the device once for many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.profiler import record_function

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["copy_to_host"]


def copy_to_host(tensors: Sequence[Tensor]) -> list[NDArray[np.float32]]:
    """Copy tensors to the host in one transfer.

    Args:
        tensors (Sequence[Tensor]): float32, all on one device, of any shapes.

    Returns:
        list[NDArray[np.float32]]: Arrays of the same shapes.
    """
    if not tensors:
        return []
    with record_function("stage::transfer"):
        flat = torch.cat([tensor.flatten() for tensor in tensors]).cpu().numpy()
    parts = np.split(flat, np.cumsum([tensor.numel() for tensor in tensors])[:-1])
    return [part.reshape(tuple(tensor.shape)) for part, tensor in zip(parts, tensors, strict=True)]
