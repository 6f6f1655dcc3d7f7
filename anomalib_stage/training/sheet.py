# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Sample sheets: look while it learns."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from lightning.pytorch import Callback

from anomalib_stage.seeds import generators, standard_normal
from anomalib_stage.synthesis.sampling import sample_graded

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer
    from numpy.typing import NDArray
    from torch import Tensor

    from anomalib_stage.training.module import GradedDiffusion

__all__ = ["SampleSheet", "draw_sheet"]

COLUMNS = 16


def draw_sheet(module: GradedDiffusion, batch: dict[str, Tensor], *, steps: int = 20) -> NDArray[np.uint8]:
    """Paint a batch's kinds and looks into its masks and lay the results beside the true regions.

    Args:
        module (GradedDiffusion): Module whose denoiser paints.
        batch (dict[str, Tensor]): Batch of :class:`~anomalib_stage.training.data.RegionDataset`.
        steps (int): Sampling steps.

    Returns:
        NDArray[np.uint8]: RGB picture; each row of regions is followed by its synthetic twin and its masks.
    """
    guidance = module.guidance(batch)
    # the sampler must not see the true anomaly: under the mask the clean latent is mid-grey, as it is for the network
    hidden = replace(guidance, clean=guidance.clean * (1.0 - guidance.mask))
    streams = generators([int(s) for s in batch["seed"]], "sheet")
    noise = standard_normal(hidden.clean.shape[1:], streams)
    with torch.no_grad():
        latent = sample_graded(
            module.denoiser, hidden, schedule=module.schedule, noise=noise.to(hidden.clean.device), steps=steps
        )
    painted = torch.where(batch["mask"], module.codec.decode(latent), batch["image"] / 255.0)
    masks = batch["mask"].float().expand(-1, 3, -1, -1)
    rows = []
    for start in range(0, len(painted), COLUMNS):
        part = slice(start, start + COLUMNS)
        rows += [_row(batch["image"][part] / 255.0), _row(painted[part]), _row(masks[part])]
    width = max(row.shape[1] for row in rows)
    return np.concatenate([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows])


def _row(images: Tensor) -> NDArray[np.uint8]:
    pixels = (images.cpu().permute(0, 2, 3, 1) * 255.0 + 0.5).to(torch.uint8).numpy()
    return np.concatenate(list(pixels), axis=1)


class SampleSheet(Callback):
    """Writes a sheet at every validation, with the averaged weights that Lightning has put in.

    Args:
        folder (Path): Where ``step-NNNNNN.png`` go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,  # noqa: ANN401 - Lightning's hook
        batch: dict[str, Tensor],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Write the sheet of the first held-out batch."""
        del outputs, dataloader_idx
        if batch_idx or trainer.sanity_checking or not trainer.is_global_zero:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        target = self.folder / f"step-{trainer.global_step:06d}.png"
        picture = draw_sheet(pl_module, batch)  # type: ignore[arg-type]  # the module this callback is made for
        data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]
        partial = target.with_suffix(".part")
        partial.write_bytes(data.tobytes())
        os.replace(partial, target)  # noqa: PTH105 - atomic
