# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Synthetic sets of a benchmark's sources, kept on disk where they take long."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from anomalib_stage.evaluation.detection.source_names import name_files
from anomalib_stage.evaluation.detection.sources.built_in import BUILT_IN
from anomalib_stage.evaluation.detection.sources.painted import paint_set
from anomalib_stage.evaluation.picture_set import PictureSet
from anomalib_stage.files.atomic import write_file
from anomalib_stage.pipeline.synthesizer import StageSynthesizer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import torch

    from anomalib_stage.evaluation.dataset import BenchmarkData
    from anomalib_stage.settings import SynthesisSettings
    from anomalib_stage.weights.bundle import StageBundle

__all__ = ["SyntheticSets"]


class SyntheticSets:
    """Makes sets of pictures, or reads those made before."""

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
    ) -> tuple[dict[str, PictureSet], dict[str, np.ndarray[Any, np.dtype[np.uint8]]]]:
        """Return the pictures of each part, and of bundles the re-synthesized good pictures.

        Returns:
            tuple[dict[str, PictureSet], dict[str, np.ndarray]]: By part, ``(N, S, S, 3)`` uint8 RGB with masks
            ``(N, S, S)`` bool; and by bundle, good pictures ``(M, S, S, 3)`` uint8 RGB.
        """
        sets, repainted = {}, {}
        for part in parts:
            if part in bundles:
                sets[part], repainted[part] = self.paint(part, bundles[part], negatives=negatives)
            else:
                options = {"textures": textures} if part == "perlin" else {}
                sets[part] = BUILT_IN[part](self.data, count=self.count, size=self.size, seed=0, **options)
        return sets, repainted

    def paint(
        self, name: str, bundle: StageBundle, *, negatives: float
    ) -> tuple[PictureSet, np.ndarray[Any, np.dtype[np.uint8]]]:
        """Return a bundle's anomalies and its re-synthesized good pictures, ``(M, S, S, 3)`` uint8 RGB; kept."""
        file = self.out / "pools" / f"{name_files(name, {name: bundle})}.npz"
        if not file.is_file():
            painter = StageSynthesizer(bundle, device=self.device, synthesis=self.settings)
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
            return PictureSet(stored["images"], stored["masks"]), stored["good"]
