# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``anomalib-stage fit``: train a compact denoiser and write its bundle."""

from __future__ import annotations

import logging
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from anomalib_stage.deprecated.arguments import accept_old_names
from anomalib_stage.devices import resolve_device
from anomalib_stage.training.appearances import collect_appearances
from anomalib_stage.training.callbacks.watchers import build_callbacks
from anomalib_stage.training.checkpoint import choose_base_digest, claim_folder, find_checkpoint
from anomalib_stage.training.data.regions.dataset import REGION_SIDE, RegionDataset, StepBatches
from anomalib_stage.training.data.regions.mixture import build_mixture
from anomalib_stage.training.data.training_data import load_training_data
from anomalib_stage.training.export import export_bundle
from anomalib_stage.training.measure.compare import compare_with_real
from anomalib_stage.training.measure.mask_bank import build_mask_bank
from anomalib_stage.training.network.plan import build_module, build_plan
from anomalib_stage.training.network.warm_start import warm_start
from anomalib_stage.training.report import format_report, list_known_pictures, summarize_held_out, summarize_learnt
from anomalib_stage.training.settings import build_fit_settings
from anomalib_stage.training.trainer import build_loader, build_trainer, run_trainer
from anomalib_stage.weights.bundle import StageBundle

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from anomalib_stage.training.data.training_data import TrainingData
    from anomalib_stage.training.network.module import GradedDiffusion
    from anomalib_stage.training.network.plan import Plan
    from anomalib_stage.training.settings import FitSettings

__all__ = ["fit"]

logger = logging.getLogger(__name__)

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
        InputError: If an option cannot be used, or the checkpoint is of another training.
        DataError: If a folder, image or mask is missing or unreadable, or there is nothing to train on.
        BundleError: If the base is not a usable bundle.
        DeviceError: If there is no such device.
    """
    chosen = build_fit_settings(settings, **options)
    target, folder, seed, freeze = resolve_device(chosen.device), chosen.folder, chosen.seed, chosen.freeze
    checkpoint = find_checkpoint(folder) if chosen.resume else None

    # what to learn, and from what
    data = load_training_data(
        normal=chosen.data,
        defect_dir=chosen.defect_dir,
        defect_mask_dir=chosen.defect_mask_dir,
        include=chosen.split,
        rename=chosen.rename,
        groups=chosen.groups,
        share=chosen.held_out,
        rotate=chosen.rotate,
        seed=seed,
        white_level=chosen.white_level,
    )
    procedural = 0.0 if freeze else chosen.procedural
    source = build_mixture(data.real, data.good, procedural=procedural, freeze=freeze, quarter=not data.directed)
    parent = None if chosen.base == "none" else StageBundle.load(chosen.base)
    plan = build_plan(parent, data, procedural=procedural, freeze=freeze)
    module, starts = _build_start(parent, plan, data, chosen)
    summary = summarize_learnt(data, starts) | {
        "frozen": freeze,
        "pictures": list_known_pictures(data, parent),
    }
    _log_report(summary)
    numbers = chosen.model_dump(include={"batch_size", "learning_rate", "seed"}) | {"procedural": procedural}
    _claim_folder(folder, chosen, numbers, parent=parent, pictures=data.digest)

    # train
    dataset = RegionDataset(source, defects=module.defects, seed=seed)
    batches = StepBatches(chosen.batch_size, steps=EPOCH_STEPS, side=REGION_SIDE)
    watchers = build_callbacks(
        data,
        source,
        module,
        rendered=procedural > 0,
        seed=seed,
        check_steps=chosen.check_steps,
        patience=chosen.patience,
        sheets=folder / "sheets",
        sheet_minutes=chosen.sheet_minutes,
    )
    trainer = build_trainer(
        folder, target, watchers, epoch_steps=EPOCH_STEPS, max_steps=chosen.max_steps, limit=chosen.limit
    )
    run_trainer(trainer, module, build_loader(dataset, batches, target), checkpoint=checkpoint)
    watchers.judge.finish(trainer, module)

    # write
    _log_report(judged := {"held_out": summarize_held_out(watchers.judge)})
    facts = {"steps": trainer.global_step, **numbers, **summary, **judged, "command": _format_command()}
    appearances = collect_appearances(module, dataset, batches, defects=plan.measured, steps=trainer.global_step)
    real = {defect: [] if chosen.no_bank else examples for defect, examples in data.list_parts().items()}
    bank = build_mask_bank(real, data.good, exemplars=not chosen.no_exemplars)
    exported = partial(export_bundle, module, plan.shapes, appearances=appearances, bank=bank, parent=parent)
    found = compare_with_real(partial(exported, summary=facts), data, device=target, seed=seed, folder=folder)
    _log_report(compared := {"compared": found.summary, "measured": found.measured})
    return exported(summary=facts | compared, measured=found.measured).save(chosen.out)


def _build_start(
    parent: StageBundle | None, plan: Plan, data: TrainingData, settings: FitSettings
) -> tuple[GradedDiffusion, dict[str, str]]:
    """Build what is trained, and say which known defect each new one starts from."""
    numbers = settings.model_dump(include={"learning_rate", "max_steps", "seed"})
    module = build_module(parent, plan, **numbers)
    if parent is None or data.real is None:
        return module, {}
    return module, warm_start(module, data.real, known=parent.defects, seed=settings.seed)


def _claim_folder(
    folder: Path, settings: FitSettings, numbers: Mapping[str, float], *, parent: StageBundle | None, pictures: str
) -> None:
    """Note in the working folder what is trained, or compare it with what is resumed."""
    ends = settings.model_dump(include={"max_steps", "check_steps", "patience"}) | {"freeze": int(settings.freeze)}
    base = choose_base_digest(folder, parent, resume=settings.resume)
    facts = {**numbers, **ends, "rotate": settings.rotate, "base": base, "pictures": pictures}
    claim_folder(folder, facts, resume=settings.resume)


def _log_report(summary: Mapping[str, Any]) -> None:
    for line in format_report(summary):
        logger.log(logging.WARNING if line.startswith("warning: ") else logging.INFO, "%s", line)


def _format_command() -> str:
    return " ".join(["anomalib-stage", *sys.argv[1:]]) if sys.argv[1:2] == ["fit"] else "fit()"
