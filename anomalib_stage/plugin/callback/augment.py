# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""StageAugment: paints anomalies into the batches of an anomalib model while it trains.

Importing this module loads neither weights nor diffusers nor any anomalib model: anomalib's command line builds the
callback for every sub-command, also for those that never train.
"""

from __future__ import annotations

import itertools
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch import Callback

from anomalib_stage.deprecated.arguments import keyword_only
from anomalib_stage.plugin.callback.foregrounds import built_in_foreground, check_foreground, open_foregrounds
from anomalib_stage.plugin.callback.generator_swap import swap
from anomalib_stage.plugin.callback.painter_loading import load_painter
from anomalib_stage.plugin.callback.session import Session
from anomalib_stage.plugin.callback.step import COUNTERS, summary
from anomalib_stage.plugin.checks import check_alone, check_defects, check_fraction, check_refresh, check_seed
from anomalib_stage.plugin.refusals import find_refusal
from anomalib_stage.plugin.seams import build_visibility_check, resolve_seam
from anomalib_stage.plugin.settings import build_plugin_settings, read_seam

if TYPE_CHECKING:
    from collections.abc import Callable

    from lightning.pytorch import LightningModule, Trainer
    from torch import Tensor

    from anomalib_stage.plugin.callback.bank_pairs import BankPairs
    from anomalib_stage.plugin.pairs.choice import Shares
    from anomalib_stage.plugin.pairs.painter import Painter
    from anomalib_stage.plugin.seams import Seam
    from anomalib_stage.settings import SynthesisSettings

    Visible = Callable[[Tensor, Tensor], Tensor]

__all__ = ["StageAugment"]

logger = logging.getLogger(__name__)

_UNUSED = itertools.count()


class StageAugment(Callback):
    """Paint synthetic anomalies, aligned to the pixel, into the training batches of an anomalib model.

    Models that read masks and labels (Segmenter, Supersimplenet, UniNet) get edited batches; models with an image
    generator of their own (Draem, Dsr, Glass, FoundAD) train with this one in its place and get their own back at the
    end. All other models learn what is normal from every image they see, and are refused. Validation and test data are
    never touched, and nothing of the synthesizer enters checkpoints or exported models. Draem needs no textures then,
    but downloads some (600 MB) unless its ``dtd_dir`` exists: any small folder will do.

    Args:
        weights (str): Bundle to paint with: ``default`` or the path of a bundle file. Defaults to ``"default"``.
        bank (str | Path | None): Folder of ``anomalib-stage pregenerate``: take pairs from it in place of painting, and
            load no network. Draem and its like also need the good images of these pairs, among those they train on.
            Pairs take the data module's ``train_augmentations`` as good images do, here, in the training's own process;
            loaders that augment out of sight are refused. Defaults to ``None``.
        refresh (float): With a bank, share of the anomalies that the network paints all the same, in [0, 1]. A bank has
            no negatives; they are painted as soon as this is not 0. Defaults to ``0.0``.
        probability (float | None): Share of training images that get an anomaly, in [0, 1]. ``None`` takes what suits
            the model: 1.0 for Glass and FoundAD, 0.5 for the others. Defaults to ``None``.
        negatives (float): Share of the remaining images in which good surface is painted over with good surface, label
            0, so that the model cannot learn to recognise the painter. Defaults to ``0.25``.
        defects (list[str] | None): Defects to paint, such as ``[scratch, stain]``. ``None`` for all defects of
            the bundle. Defaults to ``None``.
        strength (tuple[float, float] | None): Weakest and strongest anomaly, in (0, 1]: how far a picture leaves the
            clean surface. ``None`` for full strength. Defaults to ``None``.
        foreground (str | Callable | None): Where defects may lie: ``auto`` finds the object in each image, ``none``
            means everywhere, a folder holds masks named like the images (``017.png`` or ``017_mask.png``, perhaps in
            sub-folders like theirs; for data modules without geometric augmentations), a function gets an image
            ``(3, H, W)`` in [0, 1] and its path and returns a mask. Defaults to ``None``: ``auto``, unless
            ``synthesis`` says otherwise.
        sampling_steps (int | None): Denoising steps, 4 to 1000. Defaults to ``None``: as many as the bundle's backbone
            needs, 8 if it is compact.
        synthesis (dict | SynthesisSettings | None): Any other setting of the painting, such as
            ``{"masks": {"extent": [0.03, 0.6]}}`` (:class:`~anomalib_stage.SynthesisSettings`). Defaults to ``None``.
        seed (int): Seed of every choice and picture; independent of the training's own random numbers.
            Defaults to ``0``.
        device (str): Where to paint: ``auto`` (where the model is, or the CPU if that is neither CPU nor CUDA),
            ``cpu``, ``cuda`` or ``cuda:N``. Defaults to ``"auto"``.
        seam (str): How the model takes anomalies: ``auto`` looks it up. For a custom model ``batch`` edits image, mask
            and label of its batches, ``swap:path.to.generator`` replaces its image generator, which takes
            ``(B, 3, H, W)`` images in [0, 1] and returns ``(images, masks)``. Defaults to ``"auto"``.
        preview (bool): Write the first painted batch to ``stage_preview.png`` in the run's result folder.
            Defaults to ``True``.
        extent (tuple[float, float] | None): Old; ``synthesis={"masks": {"extent": ...}}``.
        min_visibility (float | None): Old; ``synthesis={"gate": {"min_visibility": ...}}``.
        trim (bool | None): Old; ``synthesis={"gate": {"trim": ...}}``.
        steps (int | None): Old; ``sampling_steps``.
        mode (str | None): Old; ``seam``.
        target (str | None): Old; ``seam="swap:..."``.

    Raises:
        InputError: If an argument cannot be used.

    Example:
        >>> from anomalib_stage import StageAugment
        >>> augment = StageAugment(probability=0.5, seed=1)
        >>> # Engine(callbacks=[augment]).fit(Draem(dtd_dir="/dev/fd"), datamodule=datamodule)
    """

    @keyword_only("weights")
    def __init__(
        self,
        *,
        weights: str = "default",
        bank: str | Path | None = None,
        refresh: float = 0.0,
        probability: float | None = None,
        negatives: float = 0.25,
        defects: list[str] | None = None,
        strength: tuple[float, float] | None = None,
        foreground: str | Callable[..., Any] | None = None,
        sampling_steps: int | None = None,
        synthesis: dict[str, Any] | SynthesisSettings | None = None,
        seed: int = 0,
        device: str = "auto",
        seam: str = "auto",
        preview: bool = True,
        extent: tuple[float, float] | None = None,
        min_visibility: float | None = None,
        trim: bool | None = None,
        steps: int | None = None,
        mode: str | None = None,
        target: str | None = None,
    ) -> None:
        check_fraction("probability", 0.0 if probability is None else probability)
        check_fraction("negatives", negatives)
        check_refresh(refresh, bank=bank)
        check_defects(defects)
        check_seed(seed)
        self.foreground = "auto" if foreground is None else foreground
        check_foreground(self.foreground)
        self.mode, self.target = read_seam(seam, mode=mode, target=target)
        self.settings = build_plugin_settings(
            "StageAugment",
            synthesis,
            sampling_steps=sampling_steps,
            strength=strength,
            foreground=None if foreground is None else built_in_foreground(foreground),
            steps=steps,
            extent=extent,
            min_visibility=min_visibility,
            trim=trim,
        )
        self.weights, self.device, self.defects, self.seed = weights, device, defects, seed
        self.probability, self.negatives, self.bank, self.refresh = probability, negatives, bank, refresh
        self.preview = preview
        self.counts = dict.fromkeys(COUNTERS, 0)
        self._seam: Seam | None = None
        self._session: Session | None = None
        self._restores: list[Callable[[], None]] = []
        self._is_set_up = False

    @property
    def state_key(self) -> str:
        """Name of the counters in a checkpoint.

        Until a trainer has set the callback up nothing is saved under it, and it is another one each time: Lightning
        refuses two callbacks of one key before any of them can say why.
        """
        return super().state_key if self._is_set_up else f"{super().state_key} {next(_UNUSED)}"

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Find the model's seam, or refuse the model, before anything is loaded."""
        self._seam, self._is_set_up = None, True
        check_alone(trainer, StageAugment)
        name, learning = type(pl_module).__name__, getattr(pl_module, "learning_type", None)
        learning = getattr(learning, "value", learning)
        if learning in {"zero_shot", "few_shot"}:
            if stage in {"fit", "validate"}:
                logger.warning("StageAugment has no effect: %s is a %s model and is never trained", name, learning)
            return
        if stage != "fit":
            return
        self._seam = resolve_seam(pl_module, mode=self.mode, target=self.target)
        if self.mode != "auto" and (reason := find_refusal(pl_module)):
            logger.warning("StageAugment(seam=%r) forced on %s, although %s", self.mode, name, reason)
        if self._probability == 0.0 and self.negatives == 0.0:
            logger.warning("StageAugment paints nothing: probability and negatives are 0")

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Load the synthesizer or open the bank, and replace the model's generators in ``swap`` mode."""
        self._release()
        if self._seam is None:
            return
        from anomalib_stage.plugin.callback.file_guard import FileGuard  # loads anomalib

        files = FileGuard(trainer)
        visible = build_visibility_check(self._seam, pl_module) if self._seam.mode == "batch" else None
        draws = self.preview and trainer.is_global_zero
        painter = self._load_painter(pl_module, visible) if self.bank is None or self.refresh else None
        self._session = Session(
            pl_module,
            self._seam,
            seed=self.seed,
            shares=self._shares if painter is None else painter.shares,
            foreground=open_foregrounds(self.foreground, trainer) if painter is not None else "auto",
            bank=self._open_bank(trainer, pl_module, visible) if self.bank is not None else None,
            painter=painter,
            files=files,
            preview=Path(trainer.default_root_dir) / "stage_preview.png" if draws else None,
        )
        for slot in self._seam.slots:
            self._restores.append(swap(pl_module, slot, paint=self._session.answer))
        where = ", ".join(slot.path for slot in self._seam.slots) or "its batches"
        logger.info("StageAugment: synthetic anomalies for %s, in %s", type(pl_module).__name__, where)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the model's own generators back and say in one line what was painted."""
        del trainer, pl_module  # Unused
        if self._session is not None:
            painting, steps = self._session.painting, self._session.steps
            logger.info("StageAugment: %s", summary(self.counts, painting=painting, steps=steps))
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
        del pl_module  # Unused
        if self._session is not None:
            self._session.begin(batch, key=(trainer.global_rank, trainer.current_epoch, batch_idx))

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
        ended = None if self._session is None else self._session.end()
        if ended is None:
            return
        step, elapsed = ended
        for name, count in step.counts.items():
            self.counts[name] += count
        for name, share in step.shares(elapsed).items():
            pl_module.log(name, share, batch_size=len(batch.image))

    def _load_painter(self, model: LightningModule, visible: Visible | None) -> Painter:
        return load_painter(
            self.weights, device=self.device, model=model, settings=self.settings, shares=self._shares, visible=visible
        )

    def _open_bank(self, trainer: Trainer, model: LightningModule, visible: Visible | None) -> BankPairs:
        from anomalib_stage.plugin.callback.bank_pairs import open_bank_pairs  # loads anomalib

        assert self.bank is not None  # the caller checked
        if self.negatives and not self.refresh:
            logger.warning(
                "StageAugment: a bank has no negatives, which keep the model from learning to recognise the painter; "
                "set refresh above 0 to have the network paint them, or negatives to 0"
            )
        return open_bank_pairs(self.bank, trainer=trainer, model=model, defects=self.defects, visible=visible)

    @property
    def _shares(self) -> Shares:
        from anomalib_stage.plugin.pairs.choice import Shares

        refresh = 1.0 if self.bank is None else self.refresh
        return Shares(self._probability, negatives=self.negatives, refresh=refresh, defects=self.defects)

    @property
    def _probability(self) -> float:
        return self._seam.probability if self.probability is None and self._seam else float(self.probability or 0.0)

    def _release(self) -> None:
        while self._restores:
            self._restores.pop()()
        self._session = None
