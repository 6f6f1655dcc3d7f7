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
from anomalib_stage.pipeline.jobs import GOOD
from anomalib_stage.pipeline.pair import Pair
from anomalib_stage.plugin.batch_checks import check_good, check_known_anomalies, check_range
from anomalib_stage.plugin.callback.foregrounds import read_foregrounds
from anomalib_stage.plugin.callback.generator_swap import normalisation
from anomalib_stage.plugin.callback.step import Step
from anomalib_stage.plugin.model_input import to_model_input, to_model_masks
from anomalib_stage.plugin.pairs.choice import NOTHING, choose
from anomalib_stage.plugin.pairs.merge import merge_pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from lightning.pytorch import LightningModule

    from anomalib_stage.pipeline.jobs import Job
    from anomalib_stage.plugin.callback.bank_pairs import BankPairs
    from anomalib_stage.plugin.callback.file_guard import FileGuard
    from anomalib_stage.plugin.callback.foreground_files import ForegroundFolder
    from anomalib_stage.plugin.pairs.choice import Choice, Shares
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
        foreground (str | ForegroundFolder | Callable): As in ``StageAugment``, a folder opened.
        painter (Painter | None): Paints with the network; None: everything comes from the bank.
        shares (Shares): How many images get what.
        bank (BankPairs | None): Draws pairs of the bank; None: there is no bank.
        files (FileGuard | None): Keeps the training from files that anomalib misreads; None: they are trusted.
        preview (Path | None): Where the first painted batch is to be drawn.
        painting (float): Seconds spent on painting so far.
        steps (float): Seconds that the steps took so far, painting included.
    """

    model: LightningModule
    seam: Seam
    seed: int
    shares: Shares
    foreground: str | ForegroundFolder | Callable[..., Any] = "auto"
    painter: Painter | None = None
    bank: BankPairs | None = None
    files: FileGuard | None = None
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
            InputError: If the batch is normalised, has anomalous images that would be taken for good ones, or good ones
                that took steps which pairs of the bank do not take.
            DataError: If anomalib misreads a file.
        """
        check_range(batch.image)
        self._step = step = Step(key)
        swaps, paths = self.seam.mode == "swap", getattr(batch, "image_path", None)
        if self.files is not None:
            self.files.check(batch.image, paths)
        if self.bank is not None:
            self.bank.check_batch(batch.image, paths=paths)
        if self.painter is not None:
            step.foregrounds = read_foregrounds(self.foreground, batch.image, paths=paths)
            if step.foregrounds is not None and swaps:  # the generator sees what the pre-processor makes of it
                step.foregrounds = to_model_masks(self.model, batch.image, masks=step.foregrounds)
        if not swaps:
            self._edit(batch, step)
            return
        check_good(batch, model=self.model)
        if self.bank is not None:
            self._lay_out(batch, step, self.bank, paths)

    def answer(self, images: Tensor, *, pixels: bool = True) -> Pair | None:
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
        if self.bank is not None:
            start, plain = time.perf_counter(), clean.as_subclass(Tensor)
            seeds = step.coming_seeds(self.seed, len(clean))
            step.choices = self._choose(seeds, skip=taken)
            step.bank, step.put_back = self.bank.replace_images(plain, step.choices, seeds=seeds)
            step.seconds += time.perf_counter() - start
        pair = self._paint(clean, step, skip=taken)
        batch.image = tv_tensors.Image(pair.image)
        mask = pair.mask[:, 0]
        batch.gt_mask = tv_tensors.Mask(mask if known is None else mask | known)
        batch.gt_label = pair.label | taken

    def _lay_out(self, batch: Any, step: Step, bank: BankPairs, paths: list[str] | None) -> None:  # noqa: ANN401
        """Lay out pairs of the bank for the model's own generator, and their clean images in the batch."""
        if paths is None:
            msg = f"StageAugment: the bank {bank.bank.folder} needs batches that name their image files (image_path)"
            raise InputError(msg)
        start, plain = time.perf_counter(), batch.image.as_subclass(Tensor)
        seeds = step.coming_seeds(self.seed, len(plain))
        step.choices = self._choose(seeds)
        clean, pair = bank.pair_with_clean(plain, step.choices, seeds=seeds, paths=paths)
        step.put_back = sum(choice.source == "bank" for choice in step.choices) - int(pair.label.sum())
        batch.image = tv_tensors.Image(clean)
        if bool(pair.label.any()):  # the generator sees what the pre-processor makes of them
            image, mask = to_model_input(self.model, pair.image, masks=pair.mask)
            mean, std = (clean.new_tensor(values).view(1, 3, 1, 1) for values in normalisation(self.model))
            label = mask.flatten(1).any(dim=1)
            step.bank = replace(pair, image=image * std + mean, mask=mask, painted=mask, label=label)
        step.seconds += time.perf_counter() - start

    def _choose(self, seeds: Sequence[int], *, skip: Tensor | None = None) -> list[Choice]:
        """Choose what each image of a batch gets; those to ``skip``, ``(B,)`` bool, nothing."""
        left_alone = [False] * len(seeds) if skip is None else skip.tolist()
        return [NOTHING if alone else choose(seed, self.shares) for seed, alone in zip(seeds, left_alone, strict=True)]

    def _choose_for_network(self, step: Step, seeds: Sequence[int], skip: Tensor | None) -> list[Choice]:
        """Choose what the network paints: what the step's first choice left to the bank is no business of it."""
        theirs = [choice.source == "bank" for choice in step.choices or [NOTHING] * len(seeds)]
        left_alone = [False] * len(seeds) if skip is None else skip.tolist()
        painted = replace(self.shares, refresh=1.0)
        rows = zip(seeds, theirs, left_alone, strict=True)
        return [NOTHING if of_bank or alone else choose(seed, painted) for seed, of_bank, alone in rows]

    @torch.no_grad()
    def _paint(self, images: Tensor, step: Step, *, skip: Tensor | None = None, pixels: bool = True) -> Pair:
        """Paint for the current step, keep the books, and draw the preview the first time."""
        start, seeds = time.perf_counter(), step.seeds(self.seed, len(images))
        jobs: list[Job] = []
        if self.painter is not None:
            choices = self._choose_for_network(step, seeds, skip)
            if not pixels:  # masks of anomalies are all that is wanted
                choices = [choice if choice.anomalous else NOTHING for choice in choices]
            jobs = self.painter.plan(images, choices, seeds=seeds, foregrounds=step.foregrounds)
        pair, put_back = self._finish(images, step, jobs, pixels=pixels)
        step.record(pair, put_back=put_back, seconds=time.perf_counter() - start)
        if self.preview is not None and bool(pair.painted.any()):
            from anomalib_stage.plugin.callback.preview import draw_preview  # loads OpenCV

            path, self.preview = self.preview, None
            draw_preview(path, images, pair=pair if pixels else self._finish(images, step, jobs, pixels=True)[0])
        return pair

    def _finish(self, images: Tensor, step: Step, jobs: Sequence[Job], *, pixels: bool) -> tuple[Pair, int]:
        """Paint jobs, or draw their masks alone, and put the bank's pairs to them; count anomalies put back."""
        if not pixels or self.painter is None:
            pair, put_back = Pair.untouched(images), 0
            for job in jobs:
                pair.replace_image(job.index, pair.image[job.index], job.mask)
        else:
            pair = self.painter.paint(images, jobs)
            put_back = sum(job.defect != GOOD for job in jobs) - int(pair.label.sum()) - int(pair.rejected.sum())
        if step.bank is not None:
            pair = merge_pairs(pair, step.bank, whole=self.seam.mode != "swap")
        return pair, put_back + step.put_back
