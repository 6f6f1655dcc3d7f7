# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Seeds and per-sample noise.

Every pair is a function of (bundle, image, base seed, key). No function here reads or moves the global streams of
torch, numpy or Python, so the training run around them draws the same numbers with and without synthesis.
"""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

__all__ = ["CallSeeds", "chance", "derive_seed", "generators", "numpy_generator", "standard_normal"]


def derive_seed(base: int, *key: int | str) -> int:
    """Derive an independent seed from a base seed and a key.

    The result is the same in every process and on every machine (no Python ``hash``).

    Args:
        base (int): Base seed, any integer.
        *key (int | str): What the seed is for, such as ``("image.png", 3)`` or ``(rank, epoch, batch, sample)``.

    Returns:
        int: Seed in ``[0, 2**63)``.

    Example:
        >>> derive_seed(0, "a", 1) == derive_seed(0, "a", 1) != derive_seed(0, "a", 2)
        True
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in (int(base), *key))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def numpy_generator(seed: int, *key: int | str) -> np.random.Generator:
    """Return a numpy generator of its own for a seed and key (see :func:`derive_seed`)."""
    return np.random.Generator(np.random.PCG64(derive_seed(seed, *key)))


def generators(seeds: Sequence[int], *key: int | str) -> list[torch.Generator]:
    """Return one CPU torch generator for each seed, all for the same purpose ``key``."""
    import torch

    return [torch.Generator().manual_seed(derive_seed(seed, *key)) for seed in seeds]


def standard_normal(shape: Sequence[int], streams: Sequence[torch.Generator]) -> torch.Tensor:
    """Draw standard normal noise, one generator for each sample.

    Drawn on the CPU whatever the target device, so that a pair has the same noise on every device and in every batch.

    Args:
        shape (Sequence[int]): Shape of one sample, such as ``(C, h, w)``.
        streams (Sequence[torch.Generator]): One generator for each sample; each moves by one draw.

    Returns:
        torch.Tensor: ``(B, *shape)``, float32, on the CPU.
    """
    import torch

    return torch.stack([torch.randn(tuple(shape), generator=stream) for stream in streams])


def chance(seed: int, purpose: str) -> float:
    """Draw the number in [0, 1) that decides one thing about the image with this seed, such as ``choice``."""
    return float(numpy_generator(seed, purpose).random())


class CallSeeds:
    """Fresh seeds for each call of something that was given none, reproducible from a base seed.

    Those of call ``n`` are a function of the base seed, ``n``, and the process: ranks of ``torch.distributed`` differ,
    and so do the worker processes of a ``DataLoader``, each epoch anew, by the seed that the loader gives them; a copy
    in a worker process that counts from 0 again would repeat itself. Several threads may ask; no number comes twice.

    Args:
        seed (int): Base seed.

    Attributes:
        calls (int): Number of the next call, from 0; set it to go on where another run stopped.
    """

    def __init__(self, seed: int) -> None:
        self.seed, self.calls = seed, 0
        self._lock = threading.Lock()

    def draw(self, count: int) -> list[int]:
        """Return one seed for each of ``count`` samples of the next call."""
        with self._lock:
            call, self.calls = self.calls, self.calls + 1
        base = derive_seed(self.seed, "call", call, *_find_process())
        return [derive_seed(base, i) for i in range(count)]

    def __getstate__(self) -> dict[str, Any]:
        return {"seed": self.seed, "calls": self.calls}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["seed"])  # type: ignore[misc] # a lock of its own
        self.calls = state["calls"]


def _find_process() -> tuple[int | str, ...]:
    """Return the key of this process among those that share a base seed; the first of them has none."""
    import torch.distributed
    from torch.utils.data import get_worker_info

    worker, key = get_worker_info(), tuple[int | str, ...]()
    if torch.distributed.is_available() and torch.distributed.is_initialized() and torch.distributed.get_rank():
        key += ("rank", torch.distributed.get_rank())
    return key if worker is None else (*key, "worker", worker.seed)
