# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``anomalib-stage fit``: train a compact denoiser and write its bundle."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from anomalib_stage.deprecated.arguments import accept_old_names
from anomalib_stage.training.appearances import collect_appearances
from anomalib_stage.training.callbacks.watchers import build_callbacks
from anomalib_stage.training.checkpoint import choose_base_digest, claim_folder
from anomalib_stage.training.data.regions.dataset import REGION_SIDE, RegionDataset, StepBatches
from anomalib_stage.training.interruption import explain_failure, explain_interruption
from anomalib_stage.training.measure.compare import compare_with_real
from anomalib_stage.training.places import hold_folder, save_bundle
from anomalib_stage.training.preparation import prepare_fit
from anomalib_stage.training.report import log_report, summarize_held_out
from anomalib_stage.training.settings import build_fit_settings
from anomalib_stage.training.trainer import build_loader, build_trainer, run_trainer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from anomalib_stage.training.preparation import Preparation
    from anomalib_stage.training.settings import FitSettings

__all__ = ["fit"]

EPOCH_STEPS = 100
"""Steps between checkpoints; an interrupted fit resumes at the last multiple."""


@accept_old_names
def fit(settings: FitSettings | None = None, **options: Any) -> Path:  # noqa: ANN401
    """Train a compact denoiser on good images, real defects and rendered ones, and write a bundle.

    With real defects, defects of the base that have none among them keep their condition vectors, masks, contexts and
    appearances to the bit: defects can be added one after the other. The network learns, and rendered defects keep it
    from forgetting the rendered defects; with ``freeze`` it does not learn either. ``good`` keeps its vector, and takes
    its appearances from the good images.

    Args:
        settings (FitSettings | None): What to learn from, and how; None: what ``options`` say.
        **options (Any): Fields of :class:`~anomalib_stage.training.settings.FitSettings`, such as ``out`` and
            ``defect_dir``, in place of those of ``settings``.

    Returns:
        Path: The bundle written.

    Raises:
        InputError: If an option or a defect's name cannot be used, another process trains in the working folder, or the
            checkpoint is of another training.
        DataError: If a folder, image or mask is missing or unreadable, there is nothing to train on, or a file cannot
            be written; what can be known of that is known before the first step, and no step is lost after it.
        BundleError: If the base is not a usable bundle.
        DeviceError: If there is no such device.
    """
    prepared = prepare_fit(build_fit_settings(settings, **options))
    folder = prepared.chosen.folder
    with hold_folder(folder):
        _claim_folder(prepared)
        with explain_interruption(folder, every=EPOCH_STEPS):
            return _train(prepared)


def _train(prepared: Preparation) -> Path:
    chosen, data, module = prepared.chosen, prepared.data, prepared.module
    dataset = RegionDataset(prepared.source, defects=module.defects, seed=chosen.seed)
    batches = StepBatches(chosen.batch_size, steps=EPOCH_STEPS, side=REGION_SIDE)
    watchers = build_callbacks(
        data,
        prepared.source,
        module,
        rendered=chosen.rendered_share > 0,
        seed=chosen.seed,
        check_steps=chosen.check_steps,
        patience=chosen.patience,
        sheets=chosen.folder / "sheets",
        sheet_minutes=chosen.sheet_minutes,
    )
    trainer = build_trainer(
        chosen.folder,
        prepared.device,
        watchers,
        epoch_steps=EPOCH_STEPS,
        max_steps=chosen.max_steps,
        limit=chosen.limit,
    )
    run_trainer(trainer, module, build_loader(dataset, batches, prepared.device), checkpoint=prepared.checkpoint)
    watchers.judge.finish(trainer, module)
    with explain_failure(chosen.folder):
        judged = {"held_out": summarize_held_out(watchers.judge, prepared.names)}
        log_report(judged)
        steps = trainer.global_step
        looks = collect_appearances(module, dataset, batches, defects=prepared.plan.measured, steps=steps)
        return _write(prepared, appearances=looks, facts={"steps": steps, **judged})


def _write(prepared: Preparation, *, appearances: Mapping[str, NDArray[np.float32]], facts: dict[str, Any]) -> Path:
    """Compare what the network paints with the real defects, and write the bundle."""
    chosen = prepared.chosen
    exported = partial(prepared.export, appearances=appearances)
    found = compare_with_real(
        partial(exported, summary=facts),
        prepared.named,
        device=prepared.device,
        seed=chosen.seed,
        folder=chosen.folder,
    )
    compared = {"compared": found.summary, "measured": found.measured}
    log_report(compared)
    return save_bundle(exported(summary=facts | compared, measured=found.measured), chosen.out)


def _claim_folder(prepared: Preparation) -> None:
    """Note in the working folder what is trained, or compare it with what is resumed."""
    chosen = prepared.chosen
    decides = {"batch_size", "learning_rate", "seed", "max_steps", "check_steps", "patience", "rotate"}
    facts = chosen.model_dump(include=decides) | {"procedural": chosen.rendered_share, "freeze": int(chosen.freeze)}
    base = choose_base_digest(chosen.folder, prepared.parent, resume=chosen.resume)
    facts |= {"base": base, "pictures": prepared.data.digest}
    claim_folder(chosen.folder, facts, names=prepared.names.trained, resume=chosen.resume)
