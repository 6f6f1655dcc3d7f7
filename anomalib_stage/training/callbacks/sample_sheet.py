# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Sample sheets: see it paint while it learns."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lightning.pytorch import Callback
from torch.utils.data import default_collate

from anomalib_stage.files.atomic import write_file
from anomalib_stage.files.figures import stack_rows
from anomalib_stage.files.pixels import encode_png
from anomalib_stage.seeds import derive_seed, generators, standard_normal
from anomalib_stage.synthesis.diffusion.constraint import build_constraint
from anomalib_stage.synthesis.diffusion.sampling import sample_graded
from anomalib_stage.synthesis.regions import bounding_box
from anomalib_stage.training.data.regions.dataset import RegionDataset
from anomalib_stage.training.data.regions.real_defects import RealDefects

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lightning.pytorch import LightningModule, Trainer
    from numpy.typing import NDArray
    from torch import Tensor

    from anomalib_stage.training.callbacks.ema import EMAWeights
    from anomalib_stage.training.data.regions.example import Example, Source
    from anomalib_stage.training.network.module import GradedDiffusion

__all__ = ["SampleSheet", "build_sheet_batches", "draw_sheet"]

CLIP = 1.05
"""Clean estimates are clamped to plus or minus this value, as by default where anomalies are painted."""

COLUMNS = 16
"""Regions of the base side in a row; fewer of larger ones."""

BASE_SIDE = 64


def draw_sheet(module: GradedDiffusion, batch: dict[str, Tensor], *, steps: int = 20) -> NDArray[np.uint8]:
    """Paint a batch's defects and appearances into its masks and lay the results beside the true regions.

    Args:
        module (GradedDiffusion): Module whose denoiser paints.
        batch (dict[str, Tensor]): Batch of :class:`~anomalib_stage.training.data.regions.dataset.RegionDataset`.
        steps (int): Sampling steps.

    Returns:
        NDArray[np.uint8]: RGB picture; each row of regions is followed by its synthetic twin and its masks.
    """
    conditioning = module.build_conditioning(batch)
    # the sampler must not see the true anomaly: under the mask the clean latent is mid-grey, as it is for the network
    hidden = replace(conditioning, clean=conditioning.clean * (1.0 - conditioning.mask))
    streams = generators([int(s) for s in batch["seed"]], "sheet")
    noise = standard_normal(hidden.clean.shape[1:], streams)
    with torch.no_grad():
        latent = sample_graded(
            module.denoiser,
            hidden,
            schedule=module.schedule,
            noise=noise.to(hidden.clean.device),
            steps=steps,
            constrain=build_constraint(hidden, clip=CLIP),
        )
    painted = torch.where(batch["mask"], module.codec.decode(latent), batch["image"] / 255.0)
    masks = batch["mask"].float().expand(-1, 3, -1, -1)
    rows = []
    columns = max(COLUMNS * BASE_SIDE // painted.shape[-1], 1)
    for start in range(0, len(painted), columns):
        part = slice(start, start + columns)
        rows += [_join_row(batch["image"][part] / 255.0), _join_row(painted[part]), _join_row(masks[part])]
    return stack_rows(rows)


def _join_row(images: Tensor) -> NDArray[np.uint8]:
    pixels = (images.cpu().permute(0, 2, 3, 1) * 255.0 + 0.5).to(torch.uint8).numpy()
    return np.concatenate(list(pixels), axis=1)


def build_sheet_batches(
    examples: Sequence[Example], source: Source, *, defects: Sequence[str], side: int, seed: int
) -> list[dict[str, Tensor]]:
    """Draw what sheets show: a row of each defect, those of large defects in regions of twice the side.

    Args:
        examples (Sequence[Example]): Real defects; where there are none, regions of ``source`` are shown.
        source (Source): Source of training regions.
        defects (Sequence[str]): Defects in the order of the denoiser's conditions.
        side (int): Base side of a region in pixels.
        seed (int): Base seed.
    """
    seed = derive_seed(seed, "held-out")
    rows: dict[int, list[dict[str, Tensor]]] = {side: [], 2 * side: []}
    for defect in sorted({example.defect for example in examples}):
        real = RealDefects([example for example in examples if example.defect == defect], plain=True)
        extents = [max(bounding_box(part.mask)[2:]) for part in real.group_by_defect[defect]]
        size = side if np.median(extents) <= 0.7 * side else 2 * side
        dataset = RegionDataset(real, defects=defects, seed=seed)
        rows[size] += [dataset[i, size] for i in range(COLUMNS * side // size)]
    if not examples:
        rows[side] = [RegionDataset(source, defects=defects, seed=seed)[i, side] for i in range(4 * COLUMNS)]
    return [default_collate(items) for items in rows.values() if items]


class SampleSheet(Callback):
    """Writes a sheet of averaged weights every some minutes, and one of the weights that are kept.

    Args:
        folder (Path): Where ``step-NNNNNN.png`` go.
        batches (Sequence[dict[str, Tensor]]): See :func:`build_sheet_batches`.
        averaged (EMAWeights): The averaged weights.
        minutes (float): Time between sheets.
    """

    def __init__(
        self, folder: Path, batches: Sequence[dict[str, Tensor]], averaged: EMAWeights, *, minutes: float
    ) -> None:
        self.folder, self.batches, self.averaged, self.minutes = folder, batches, averaged, minutes
        self.last = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:  # noqa: ANN401
        """Write one if it is time."""
        del args
        if time.monotonic() - self.last >= 60.0 * self.minutes:
            with self.averaged.apply():
                self._write(trainer, pl_module)
            self.last = time.monotonic()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the sheet of the weights that are kept."""
        if not trainer.interrupted:
            self._write(trainer, pl_module)

    def _write(self, trainer: Trainer, module: LightningModule) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        target = self.folder / f"step-{trainer.global_step:06d}.png"
        was_training = module.training
        module.eval()
        rows = [
            draw_sheet(module, {name: v.to(module.device) for name, v in batch.items()})  # type: ignore[arg-type]
            for batch in self.batches
        ]
        module.train(was_training)
        picture = stack_rows(rows)
        write_file(target, encode_png(picture))
