# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The global random streams that a user's transforms draw from, kept as the training has them."""

from __future__ import annotations

import random
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["keep_streams"]


@contextmanager
def keep_streams(devices: Sequence[torch.device] = (), *, seed: int | None = None) -> Iterator[None]:
    """Run a block after which the global streams of torch, Python and numpy are as they were found.

    Args:
        devices (Sequence[torch.device]): CUDA devices whose streams are kept too; that of the CPU always is.
        seed (int | None): All draws of the block on the CPU come from it, in ``[0, 2**63)``; None: they are the next
            ones of the streams.
    """
    with torch.random.fork_rng(devices=list(devices)):
        python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - as below
        try:
            if seed is not None:
                torch.default_generator.manual_seed(seed)  # torch.manual_seed would move the streams of all devices
                random.seed(seed)
                np.random.seed(seed % 2**32)  # noqa: NPY002 - a user's transforms draw from it
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
