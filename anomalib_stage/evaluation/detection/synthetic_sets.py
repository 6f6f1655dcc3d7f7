# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Pools of a benchmark's sources, kept on disk where they take long, and what a network learns from them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anomalib_stage.evaluation.dataset import BenchmarkData, Pictures
from anomalib_stage.evaluation.detection.sources import BUILT_IN, paint_set
from anomalib_stage.evaluation.detection.train import TrainingMix
from anomalib_stage.files.atomic import write_file
from anomalib_stage.pipeline.synthesizer import StageSynthesizer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import torch

    from anomalib_stage.settings import SynthesisSettings
    from anomalib_stage.weights.bundle import StageBundle

__all__ = ["NONE", "SELF_SHARE", "SyntheticSets", "build_training_mix", "file_name", "split_source"]

NONE = "none"
SELF_SHARE = 8
"""Every eighth picture of a pool is kept from the training and scored as ``self``."""


def split_source(source: str) -> list[str]:
    """Divide a sum at its plus signs, but not where they belong to the name of a file that is there.

    Args:
        source (str): Such as ``default+real``.

    Returns:
        list[str]: Its parts in order.
    """
    pieces = source.split("+")
    parts = []
    while pieces:
        files = (count for count in range(len(pieces), 1, -1) if Path("+".join(pieces[:count])).is_file())
        count = next(files, 1)
        parts.append("+".join(pieces[:count]))
        pieces = pieces[count:]
    return parts


def file_name(source: str, bundles: dict[str, StageBundle]) -> str:
    """Name of a source's files: bundles by name and digest, so that another file of that name is another source."""
    return "+".join(
        f"{Path(part).stem}-{bundles[part].digest[:12]}" if part in bundles else part for part in split_source(source)
    )


class SyntheticSets:
    """Makes pools of painted pictures, or reads those made before."""

    def __init__(
        self,
        out: Path,
        data: BenchmarkData,
        *,
        count: int,
        size: int,
        device: torch.device,
        settings: SynthesisSettings,
        defects: Sequence[str] | None,
        say: Callable[[str, int, int], None],
    ) -> None:
        self.out, self.data, self.count, self.size, self.say = out, data, count, size, say
        self.device, self.settings, self.defects = device, settings, defects

    def gather(
        self, parts: Sequence[str], bundles: Mapping[str, StageBundle], *, negatives: float, textures: Path | None
    ) -> tuple[dict[str, Pictures], dict[str, np.ndarray[Any, np.dtype[np.uint8]]]]:
        """Return the pictures of each part, and of bundles the re-synthesized good pictures.

        Returns:
            tuple[dict[str, Pictures], dict[str, np.ndarray]]: By part, ``(N, S, S, 3)`` uint8 RGB with masks
            ``(N, S, S)`` bool; and by bundle, good pictures ``(M, S, S, 3)`` uint8 RGB.
        """
        pools, repainted = {}, {}
        for part in parts:
            if part in bundles:
                pools[part], repainted[part] = self.painted(part, bundles[part], negatives=negatives)
            else:
                options = {"textures": textures} if part == "perlin" else {}
                pools[part] = BUILT_IN[part](self.data, count=self.count, size=self.size, seed=0, **options)
        return pools, repainted

    def painted(
        self, name: str, bundle: StageBundle, *, negatives: float
    ) -> tuple[Pictures, np.ndarray[Any, np.dtype[np.uint8]]]:
        """Return a bundle's anomalies and its re-synthesized good pictures, ``(M, S, S, 3)`` uint8 RGB; kept."""
        file = self.out / "pools" / f"{file_name(name, {name: bundle})}.npz"
        if not file.is_file():
            painter = StageSynthesizer(bundle, device=self.device, settings=self.settings)
            counts = {False: self.count, True: round(self.count * max(negatives, 1 / self.count))}
            bad, good = (
                paint_set(
                    painter,
                    self.data,
                    count=counts[intact],
                    size=self.size,
                    seed=0,
                    good=intact,
                    defects=self.defects,
                    progress=lambda done, total: self.say(f"painting {name}", done, total),
                )
                for intact in (False, True)
            )
            stream = io.BytesIO()
            np.savez_compressed(stream, images=bad.images, masks=bad.masks, good=good.images)
            write_file(file, stream.getvalue())
        with np.load(file, allow_pickle=False) as stored:
            return Pictures(stored["images"], stored["masks"]), stored["good"]


def build_training_mix(
    source: str,
    pools: dict[str, Pictures],
    repainted: dict[str, np.ndarray[Any, np.dtype[np.uint8]]],
    *,
    good: np.ndarray[Any, np.dtype[np.uint8]],
    negatives: float,
) -> tuple[TrainingMix, Pictures | None]:
    """Return what to learn from, and the synthetic pictures kept from it."""
    parts = [part for part in split_source(source) if part != NONE]
    kept: list[Pictures] = []
    taken: list[Pictures] = []
    for part in parts:
        pool = pools[part]
        if part == "real":  # all of the few are learnt from
            continue
        held = np.arange(len(pool.images)) % SELF_SHARE == 0
        kept.append(Pictures(pool.images[held], pool.masks[held]))
        taken.append(Pictures(pool.images[~held], pool.masks[~held]))
    own = [repainted[part] for part in parts if part in repainted]
    lesson = TrainingMix(
        taken,
        good,
        real=pools["real"] if "real" in parts else None,
        negatives=np.concatenate(own) if own else None,
        negative_share=negatives,
    )
    if not kept:
        return lesson, None
    return lesson, Pictures(*(np.concatenate(arrays) for arrays in zip(*kept, strict=True)))
