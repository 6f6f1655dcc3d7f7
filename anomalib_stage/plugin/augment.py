# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""StageAugment: paints anomalies into the batches of an anomalib model while it trains.

Importing this module loads neither weights nor diffusers nor any anomalib model: anomalib's command line builds the
callback for every sub-command, also for those that never train.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lightning.pytorch import Callback
from torchvision import tv_tensors

from anomalib_stage.errors import InputError
from anomalib_stage.plugin.checks import check_arguments, check_known_anomalies, check_range
from anomalib_stage.plugin.foregrounds import built_in, check_foreground, given_foregrounds
from anomalib_stage.plugin.seams import known_reason, resolve_seam, seen_by_model, visibility
from anomalib_stage.plugin.step import COUNTERS, Step
from anomalib_stage.plugin.swapping import swap
from anomalib_stage.settings import GateSettings, MaskSettings, SamplerSettings, SynthesisSettings, checked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lightning.pytorch import LightningModule, Trainer
    from torch import Tensor

    from anomalib_stage.plugin.painter import Painter
    from anomalib_stage.plugin.seams import Seam
    from anomalib_stage.plugin.swapping import Painting

__all__ = ["StageAugment"]

logger = logging.getLogger(__name__)


class StageAugment(Callback):
    """Paint synthetic anomalies, aligned to the pixel, into the training batches of an anomalib model.

    Models that read masks and labels (Segmenter, Supersimplenet, UniNet) get edited batches; models with an image
    generator of their own (Draem, Dsr, Glass, FoundAD) train with this one in its place and get their own back at the
    end. All other models learn what is normal from every image they see, and are refused. Validation and test data are
    never touched, and nothing of the synthesizer enters checkpoints or exported models.

    Args:
        weights (str): Bundle to paint with: ``default`` or the path of a bundle file. Defaults to ``"default"``.
        probability (float | None): Share of training images that get an anomaly, in [0, 1]. ``None`` takes what suits
            the model: 1.0 for Glass and FoundAD, 0.5 for the others. Defaults to ``None``.
        negatives (float): Share of the remaining images in which good surface is painted over with good surface, label
            0, so that the model cannot learn to recognise the painter. Defaults to ``0.25``.
        defects (list[str] | None): Kinds of defects to paint, such as ``[scratch, stain]``. ``None`` for all kinds of
            the bundle. Defaults to ``None``.
        extent (tuple[float, float] | None): Smallest and largest length of a defect as fractions of the shorter image
            side. ``None`` for the synthesizer's own range. Defaults to ``None``.
        strength (tuple[float, float] | None): Weakest and strongest anomaly, in (0, 1]: how far a picture leaves the
            clean surface. ``None`` for full strength. Defaults to ``None``.
        foreground (str | Callable): Where defects may lie: ``auto`` finds the object in each image, ``none`` means
            everywhere, a folder holds masks named like the images (for data modules without geometric augmentations), a
            function gets an image ``(3, H, W)`` in [0, 1] and its path and returns a mask. Defaults to ``"auto"``.
        min_visibility (float | None): Least change inside a mask, in units of what good surface painted over good
            surface would change; pictures below are painted again, and an image for which none succeeds stays good. 0
            lets everything pass, ``None`` is the synthesizer's own. Defaults to ``None``.
        trim (bool): Take pixels without visible change out of the masks. Defaults to ``False``.
        seed (int): Seed of every choice and picture; independent of the training's own random numbers.
            Defaults to ``0``.
        steps (int): Denoising steps, 4 to 1000: fewer are faster, more are finer. Defaults to ``20``.
        device (str): Where to paint: ``auto`` (where the model is), ``cpu``, ``cuda`` or ``cuda:N``.
            Defaults to ``"auto"``.
        mode (str): ``auto`` looks the model up. For a custom model ``batch`` edits image, mask and label of its
            batches, ``swap`` replaces the generator named by ``target``. Defaults to ``"auto"``.
        target (str | None): Dotted path from a custom model to its image generator, which takes ``(B, 3, H, W)`` images
            in [0, 1] and returns ``(images, masks)``. Defaults to ``None``.
        preview (bool): Write the first painted batch to ``stage_preview.png`` in the run's result folder.
            Defaults to ``True``.

    Raises:
        InputError: If an argument cannot be used.

    Example:
        >>> from anomalib_stage import StageAugment
        >>> augment = StageAugment(probability=0.5, seed=1)
        >>> # Engine(callbacks=[augment]).fit(Draem(), datamodule=datamodule)
    """

    def __init__(
        self,
        weights: str = "default",
        *,
        probability: float | None = None,
        negatives: float = 0.25,
        defects: list[str] | None = None,
        extent: tuple[float, float] | None = None,
        strength: tuple[float, float] | None = None,
        foreground: str | Callable[..., Any] = "auto",
        min_visibility: float | None = None,
        trim: bool = False,
        seed: int = 0,
        steps: int = 20,
        device: str = "auto",
        mode: Literal["auto", "batch", "swap"] = "auto",
        target: str | None = None,
        preview: bool = True,
    ) -> None:
        check_arguments(
            probability=probability, negatives=negatives, defects=defects, seed=seed, mode=mode, target=target
        )
        check_foreground(foreground)
        self.settings = checked(
            SynthesisSettings,
            sampler=checked(SamplerSettings, steps=steps),
            masks=checked(MaskSettings, foreground=built_in(foreground), **_stated({"extent": extent})),
            gate=checked(GateSettings, trim=trim, **_stated({"min_visibility": min_visibility})),
            **_stated({"strength": strength}),
        )
        self.foreground = foreground
        self.weights, self.device, self.defects, self.seed = weights, device, defects, seed
        self.probability, self.negatives = probability, negatives
        self.mode, self.target, self.preview = mode, target, preview
        self.counts = dict.fromkeys(COUNTERS, 0)
        self._seam: Seam | None = None
        self._painter: Painter | None = None
        self._restores: list[Callable[[], None]] = []
        self._step: Step | None = None
        self._preview_path: Path | None = None
        self._seconds = [0.0, 0.0]  # painting, whole steps

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Find the model's seam, or refuse the model, before anything is loaded."""
        self._seam = None
        name, learning = type(pl_module).__name__, getattr(pl_module, "learning_type", None)
        learning = getattr(learning, "value", learning)
        if learning in {"zero_shot", "few_shot"}:
            if stage in {"fit", "validate"}:
                logger.warning("StageAugment has no effect: %s is a %s model and is never trained", name, learning)
            return
        if stage != "fit":
            return
        if sum(isinstance(callback, StageAugment) for callback in trainer.callbacks) > 1:  # type: ignore[attr-defined]
            msg = "there are two StageAugment callbacks in this trainer; give one (its defects argument takes a list)"
            raise InputError(msg)
        self._seam = resolve_seam(pl_module, mode=self.mode, target=self.target)
        if self.mode != "auto" and (reason := known_reason(pl_module)):
            logger.warning("StageAugment(mode=%r) forced on %s, although %s", self.mode, name, reason)
        if self._probability == 0.0 and self.negatives == 0.0:
            logger.warning("StageAugment paints nothing: probability and negatives are 0")

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Load the synthesizer where the model is, and replace the model's generators in ``swap`` mode."""
        self._release()
        if self._seam is None:
            return
        from anomalib_stage.plugin.painter import Painter  # loads diffusers
        from anomalib_stage.synthesizer import StageSynthesizer  # loads diffusers

        device = pl_module.device if self.device == "auto" else self.device
        synthesizer = StageSynthesizer.from_pretrained(self.weights, device=device, settings=self.settings)
        self._painter = Painter(
            synthesizer,
            probability=self._probability,
            negatives=self.negatives,
            defects=self.defects,
            visible=visibility(self._seam, pl_module) if self._seam.mode == "batch" else None,
        )
        self._seconds = [0.0, 0.0]
        if self.preview and trainer.is_global_zero:
            self._preview_path = Path(trainer.default_root_dir) / "stage_preview.png"
        for slot in self._seam.slots:
            self._restores.append(swap(pl_module, slot, paint=self._paint_step))
        where = ", ".join(slot.path for slot in self._seam.slots) or "its batches"
        logger.info("StageAugment: synthetic anomalies for %s, in %s", type(pl_module).__name__, where)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the model's own generators back and say in one line what was painted."""
        del trainer, pl_module  # Unused
        if self._painter is not None:
            logger.info("StageAugment: %s", self._summary())
        self._release()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Put the model's own generators back."""
        del trainer, pl_module, exception  # Unused
        self._release()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Put the model's own generators back."""
        del trainer, pl_module, stage  # Unused
        self._release()

    def state_dict(self) -> dict[str, Any]:
        """Return the counters alone; the synthesizer never enters a checkpoint."""
        return dict(self.counts)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting after a resume."""
        self.counts |= {name: int(state_dict.get(name, 0)) for name in self.counts}

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:  # noqa: ANN401
        """Paint into the batch in ``batch`` mode; in ``swap`` mode only remember which step this is."""
        if self._seam is None or self._painter is None:
            return
        check_range(batch.image)
        self._step = Step((trainer.global_rank, trainer.current_epoch, batch_idx))
        given = given_foregrounds(self.foreground, batch.image, paths=getattr(batch, "image_path", None))
        if given is not None and self._seam.mode == "swap":  # the generator sees what the pre-processor makes of it
            given = seen_by_model(pl_module, batch.image, masks=given)
        self._step.foregrounds = given
        if self._seam.mode == "batch":
            self._edit(batch)

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Log the shares of anomalies, negatives and synthesis time of this step."""
        del trainer, outputs, batch_idx  # Unused
        step, self._step = self._step, None
        if step is None:
            return
        elapsed = time.perf_counter() - step.start
        self._seconds = [self._seconds[0] + step.seconds, self._seconds[1] + elapsed]
        for name, count in step.counts.items():
            self.counts[name] += count
        images = max(step.counts["images"], 1)
        shares = {
            "stage/anomalous_fraction": step.counts["anomalies"] / images,
            "stage/negative_fraction": step.counts["negatives"] / images,
            "stage/time_share": step.seconds / elapsed,
        }
        for name, share in shares.items():
            pl_module.log(name, share, batch_size=len(batch.image))

    def _edit(self, batch: Any) -> None:  # noqa: ANN401
        """Paint into a batch; images that are anomalous already keep their pixels, masks and labels."""
        clean = batch.image
        taken, known = check_known_anomalies(batch)
        painting = self._paint(clean, skip=taken)
        batch.image = tv_tensors.Image(painting.image)
        mask = painting.mask[:, 0]
        batch.gt_mask = tv_tensors.Mask(mask if known is None else mask | known)
        batch.gt_label = painting.anomalous | taken

    def _paint_step(self, images: Tensor, *, pixels: bool = True) -> Painting | None:
        """Answer for the model's own generator; None outside a training step."""
        return None if self._step is None else self._paint(images, pixels=pixels)

    def _paint(self, images: Tensor, *, skip: Tensor | None = None, pixels: bool = True) -> Painting:
        """Paint for the current step, keep the books, and draw the preview the first time."""
        assert self._step is not None  # both callers checked
        assert self._painter is not None
        start = time.perf_counter()
        seeds, where = self._step.seeds(self.seed, len(images)), self._step.foregrounds
        painting = self._painter(images, seeds=seeds, skip=skip, pixels=pixels, foregrounds=where)
        self._step.record(painting, seconds=time.perf_counter() - start)
        if self._preview_path is not None and bool(painting.painted.any()):
            shown = painting if pixels else self._painter(images, seeds=seeds, skip=skip, foregrounds=where)
            self._write_preview(self._preview_path, images, shown)
        return painting

    @property
    def _probability(self) -> float:
        return self._seam.probability if self.probability is None and self._seam else float(self.probability or 0.0)

    def _summary(self) -> str:
        counts, (painting, steps) = self.counts, self._seconds
        return (
            f"{counts['anomalies']} anomalies and {counts['negatives']} negatives in {counts['images']} images, "
            f"{counts['rejected']} left good because no picture was visible enough, "
            f"{counts['put_back']} put back because the model would not have seen them, "
            f"{100 * painting / max(steps, 1e-9):.0f}% of the time of a training step"
        )

    def _write_preview(self, path: Path, images: Tensor, painting: Painting) -> None:
        from anomalib_stage.plugin.preview import write_preview  # loads OpenCV

        self._preview_path = None
        try:
            write_preview(path, images, painting=painting)
        except OSError as error:
            logger.warning("StageAugment: no preview, %s cannot be written: %s", path, error)
        else:
            logger.info("StageAugment: first painted batch is drawn in %s", path)

    def _release(self) -> None:
        while self._restores:
            self._restores.pop()()
        self._painter = self._step = self._preview_path = None


def _stated(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that were given; the settings have the defaults of the others."""
    return {name: value for name, value in values.items() if value is not None}
