# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What happens to the batches of one fit: pairs of a bank and pictures of the network go in, and the books are kept."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torchvision import tv_tensors

from anomalib_stage.errors import InputError
from anomalib_stage.plugin.callback.foregrounds import read_foregrounds
from anomalib_stage.plugin.callback.generator_swap import normalisation
from anomalib_stage.plugin.callback.step import Step
from anomalib_stage.plugin.checks import check_good, check_known_anomalies, check_range
from anomalib_stage.plugin.pairs.painting import Painting
from anomalib_stage.plugin.seams import to_model_input, to_model_masks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lightning.pytorch import LightningModule

    from anomalib_stage.plugin.callback.bank_pairs import BankPairs
    from anomalib_stage.plugin.pairs.painter import Painter
    from anomalib_stage.plugin.seams import Seam

__all__ = ["Session"]


@dataclass(eq=False)
class Session:
    """The synthesis of one fit, from its first batch to its last.

    Args:
        model (LightningModule): The model that trains.
        seam (Seam): Where it takes anomalies.
        seed (int): Base seed.
        foreground (str | Callable): As in ``StageAugment``.
        painter (Painter | None): Paints with the network; None: everything comes from the bank.
        placer (Placer | None): Draws pairs of the bank; None: there is no bank.
        preview (Path | None): Where the first painted batch is to be drawn.
        painting (float): Seconds spent on painting so far.
        steps (float): Seconds that the steps took so far, painting included.
    """

    model: LightningModule
    seam: Seam
    seed: int
    foreground: str | Callable[..., Any] = "auto"
    painter: Painter | None = None
    placer: BankPairs | None = None
    preview: Path | None = None
    painting: float = 0.0
    steps: float = 0.0
    _step: Step | None = field(default=None, init=False)

    def begin(self, batch: Any, *, key: tuple[int, int, int]) -> None:  # noqa: ANN401 - anomalib's ImageBatch
        """Begin a step: edit the batch in ``batch`` mode, get ready for the model's question in ``swap`` mode.

        Args:
            batch (Any): The batch as the data module gives it, images in [0, 1]; edited in place.
            key (tuple[int, int, int]): Rank, epoch and batch index.

        Raises:
            InputError: If the batch is normalised, or has anomalous images that would be taken for good ones.
        """
        check_range(batch.image)
        self._step = step = Step(key)
        swaps, paths = self.seam.mode == "swap", getattr(batch, "image_path", None)
        if self.painter is not None:
            step.foregrounds = read_foregrounds(self.foreground, batch.image, paths=paths)
            if step.foregrounds is not None and swaps:  # the generator sees what the pre-processor makes of it
                step.foregrounds = to_model_masks(self.model, batch.image, masks=step.foregrounds)
        if not swaps:
            self._edit(batch, step)
            return
        check_good(batch, model=self.model)
        if self.placer is not None:
            self._lay_out(batch, step, self.placer, paths)

    def answer(self, images: Tensor, *, pixels: bool = True) -> Painting | None:
        """Answer for the model's own generator; None outside a training step.

        Args:
            images (Tensor): ``(B, 3, H, W)`` in [0, 1].
            pixels (bool): False: the masks are all that is wanted.
        """
        return None if self._step is None else self._paint(images, self._step, pixels=pixels)

    def end(self) -> tuple[Step, float] | None:
        """End the step.

        Returns:
            tuple[Step, float] | None: Its books, and the seconds it took; None if it was not begun.
        """
        step, self._step = self._step, None
        if step is None:
            return None
        elapsed = time.perf_counter() - step.start
        self.painting, self.steps = self.painting + step.seconds, self.steps + elapsed
        return step, elapsed

    def _edit(self, batch: Any, step: Step) -> None:  # noqa: ANN401
        """Paint into a batch; images that are anomalous already keep their pixels, masks and labels."""
        clean = batch.image
        taken, known = check_known_anomalies(batch)
        if self.placer is not None:
            start, seeds = time.perf_counter(), step.coming_seeds(self.seed, len(clean))
            step.placed = self.placer.replace_images(clean.as_subclass(Tensor), seeds=seeds, skip=taken)
            step.seconds += time.perf_counter() - start
        painting = self._paint(clean, step, skip=taken)
        batch.image = tv_tensors.Image(painting.image)
        mask = painting.mask[:, 0]
        batch.gt_mask = tv_tensors.Mask(mask if known is None else mask | known)
        batch.gt_label = painting.anomalous | taken

    def _lay_out(self, batch: Any, step: Step, placer: BankPairs, paths: list[str] | None) -> None:  # noqa: ANN401
        """Lay out pairs of the bank for the model's own generator, and their clean images in the batch."""
        if paths is None:
            msg = f"StageAugment: the bank {placer.bank.folder} needs batches that name their image files (image_path)"
            raise InputError(msg)
        start, plain = time.perf_counter(), batch.image.as_subclass(Tensor)
        clean, placed = placer.pair_with_clean(plain, seeds=step.coming_seeds(self.seed, len(plain)), paths=paths)
        batch.image = tv_tensors.Image(clean)
        step.placed = placed
        if placed.index:  # the generator sees what the pre-processor makes of them
            image, mask = to_model_input(self.model, placed.image.to(clean), masks=placed.mask.to(clean.device))
            mean, std = (clean.new_tensor(values).view(1, 3, 1, 1) for values in normalisation(self.model))
            step.placed = replace(placed, image=image * std + mean, mask=mask)
        step.seconds += time.perf_counter() - start

    @torch.no_grad()
    def _paint(self, images: Tensor, step: Step, *, skip: Tensor | None = None, pixels: bool = True) -> Painting:
        """Paint for the current step, keep the books, and draw the preview the first time."""
        start, seeds = time.perf_counter(), step.seeds(self.seed, len(images))
        painting = self._painted(images, step, seeds, skip, pixels=pixels)
        step.record(painting, seconds=time.perf_counter() - start)
        if self.preview is not None and bool(painting.painted.any()):
            from anomalib_stage.plugin.callback.preview import draw_preview  # loads OpenCV

            path, self.preview = self.preview, None
            shown = painting if pixels else self._painted(images, step, seeds, skip, pixels=True)
            draw_preview(path, images, painting=shown)
        return painting

    def _painted(self, images: Tensor, step: Step, seeds: list[int], skip: Tensor | None, *, pixels: bool) -> Painting:
        """Have the network paint what is not the bank's business, and put the bank's pairs to it."""
        placed = step.placed
        if placed is not None:
            taken = placed.chosen.to(images.device)
            skip = taken if skip is None else skip | taken
        if self.painter is None:
            painting = Painting.untouched(images)
        else:
            where = step.foregrounds
            painting = self.painter(images, seeds=seeds, skip=skip, pixels=pixels, foregrounds=where)
        return painting if placed is None else placed.onto(painting)
