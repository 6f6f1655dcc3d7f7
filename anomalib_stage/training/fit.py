# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``anomalib-stage fit``: train a compact denoiser and write its bundle."""

from __future__ import annotations

import logging
import math
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anomalib_stage.errors import InputError
from anomalib_stage.pipeline.synthesizer import resolve_device
from anomalib_stage.training.appearances import collect_appearances
from anomalib_stage.training.checkpoint import claim_folder, find_checkpoint
from anomalib_stage.training.data.dataset import RegionDataset, StepBatches
from anomalib_stage.training.data.mixture import mixture
from anomalib_stage.training.data.training_data import Rotate, load_training_data
from anomalib_stage.training.export import REGION_SIDE, export_bundle
from anomalib_stage.training.measure.compare import compare_with_real
from anomalib_stage.training.measure.mask_bank import build_mask_bank
from anomalib_stage.training.plan import build_module, build_plan
from anomalib_stage.training.report import format_report, list_known_pictures, summarize_held_out, summarize_learnt
from anomalib_stage.training.trainer import build_callbacks, build_loader, build_trainer, run
from anomalib_stage.training.warm_start import warm_start
from anomalib_stage.weights.bundle import StageBundle

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anomalib_stage.training.data.training_data import TrainingData
    from anomalib_stage.training.module import GradedDiffusion
    from anomalib_stage.training.plan import Plan

__all__ = ["fit"]

logger = logging.getLogger(__name__)

EPOCH_STEPS = 100
"""Steps between checkpoints; an interrupted fit resumes at the last multiple."""


def fit(
    *,
    out: Path,
    normal: Path | None = None,
    defect_dir: Path | None = None,
    defect_mask_dir: Path | None = None,
    include: Path | None = None,
    rename: Mapping[str, str] | None = None,
    groups: Path | None = None,
    held_out: float = 0.15,
    rotate: Rotate = "auto",
    base: str = "default",
    procedural: float = 0.25,
    max_steps: int | None = None,
    max_time: str | None = None,
    batch_size: int = 16,
    learning_rate: float = 4e-4,
    seed: int = 0,
    device: str = "auto",
    workdir: Path | None = None,
    check_steps: int = 100,
    patience: int = 10,
    sheet_minutes: float = 5.0,
    no_bank: bool = False,
    no_exemplars: bool = False,
    freeze: bool = False,
    resume: bool = False,
) -> Path:
    """Train a compact denoiser on good images, real defects and rendered ones, and write a bundle.

    With real defects, defects of the base that have none among them keep their condition vectors, masks, places and
    looks to the bit: defects can be added one after the other. The network learns, and rendered defects keep it from
    forgetting the rendered defects; with ``freeze`` it does not learn either. ``good`` keeps its vector, and takes its
    looks from the good images.

    Args:
        out (Path): Bundle to write (``.safetensors``).
        normal (Path | None): Folder of good images, searched recursively.
        defect_dir (Path | None): Folder with one sub-folder of defect images for each defect.
        defect_mask_dir (Path | None): Folder with the same sub-folders of masks, ``<stem>_mask.png`` or ``<stem>.png``.
        include (Path | None): JSON file ``{folder: [stems]}`` (or ``{folder: {"fit": [stems]}}``) of those to use.
        rename (Mapping[str, str] | None): Names to learn folders under, ``{folder: defect}``; two folders may share
            one.
        groups (Path | None): JSON file ``{stem: group}`` or ``{"group_of": {stem: group}}`` of captures that show the
            same piece (``folder/stem`` where folders use the same stems); ``groups.json`` beside the defects if there
            is one.
        held_out (float): Share of the real defects of each defect, by groups, that only judge, 0 to 0.5; at least one
            where there are three, at most a third.
        rotate (Rotate): ``always`` or ``never`` turn real regions by quarters; ``auto``: not where the good images are
            grained in one direction, nor for defects whose long masks lie in one direction. Flips are always made.
        base (str): Bundle to start from: ``default``, ``none`` (from scratch) or a file.
        procedural (float): Share of rendered surfaces with rendered defects in training, 0 to 1.
        max_steps (int | None): Steps in total.
        max_time (str | None): Wall-clock limit ``HH:MM:SS``; 20 minutes if neither limit is given. The learning rate
            decays to 0 over the steps or the time, whichever ends first; by time, runs do not repeat each other.
        batch_size (int): Regions in a step.
        learning_rate (float): Peak learning rate.
        seed (int): Base seed; with ``max_steps``, without ``max_time``, on one machine it decides the bundle.
        device (str): ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        workdir (Path | None): Checkpoints, logs and sample sheets; ``<out without suffix>-fit`` by default.
        check_steps (int): Steps between looks at the defects held out.
        patience (int): Looks without a better loss after which training stops; 0: never. The best weights are kept.
        sheet_minutes (float): Minutes between sample sheets.
        no_bank (bool): Do not keep the real masks, their places and the pictures of the defects; masks are then
            drawn from shapes. Defects of the base that are not fitted again keep theirs.
        no_exemplars (bool): Keep masks and places, but no pictures of the real defects; all detail of anomalies is then
            the network's. Defects of the base that are not fitted again keep theirs.
        freeze (bool): Learn nothing but the condition vectors of the defects in ``defect_dir``.
        resume (bool): Go on from the last checkpoint in ``workdir``, with the arguments it was started with;
            ``max_time`` may be another.

    Returns:
        Path: The bundle written.

    Raises:
        InputError: If an argument cannot be used, or the checkpoint is of another training.
        DataError: If a folder, image or mask is missing or unreadable, or there is nothing to train on.
        BundleError: If the base is not a usable bundle.
        DeviceError: If there is no such device.
    """
    _check_arguments(procedural=procedural, batch_size=batch_size, max_steps=max_steps, held_out=held_out)
    _check_arguments(sheet_minutes=sheet_minutes, check_steps=check_steps, patience=patience)
    _check_arguments(learning_rate=learning_rate)
    if out.is_dir():
        msg = f"--out {out} is a folder; give the file to write, such as {out / 'mine.safetensors'}"
        raise InputError(msg)
    _check_freeze(freeze=freeze, defect_dir=defect_dir, base=base)
    target = resolve_device(device)
    limit = _duration(max_time or "00:20:00") if max_time or max_steps is None else None
    folder = workdir or out.with_suffix("").with_name(out.stem + "-fit")
    checkpoint = find_checkpoint(folder) if resume else None

    material = load_training_data(
        normal=normal,
        defect_dir=defect_dir,
        defect_mask_dir=defect_mask_dir,
        include=include,
        rename=rename,
        groups=groups,
        share=held_out,
        rotate=rotate,
        seed=seed,
    )
    procedural = 0.0 if freeze else procedural
    source = mixture(material.real, material.good, procedural=procedural, freeze=freeze, quarter=not material.directed)
    parent = None if base == "none" else StageBundle.load(base)
    plan = build_plan(parent, material, procedural=procedural, freeze=freeze)
    module, starts = _started(parent, plan, material, learning_rate=learning_rate, max_steps=max_steps, seed=seed)
    summary = summarize_learnt(material, starts) | {"frozen": freeze, "pictures": list_known_pictures(material, parent)}
    _say(summary)
    settings = {"batch_size": batch_size, "learning_rate": learning_rate, "seed": seed, "procedural": procedural}
    ends = {"max_steps": max_steps, "check_steps": check_steps, "patience": patience}
    _claim(folder, material, parent, settings | ends | {"freeze": int(freeze)}, rotate=rotate, resume=resume)

    dataset = RegionDataset(source, defects=module.defects, seed=seed)
    batches = StepBatches(batch_size, steps=EPOCH_STEPS, side=REGION_SIDE)
    watchers = build_callbacks(
        material,
        source,
        module,
        rendered=procedural > 0,
        seed=seed,
        check_steps=check_steps,
        patience=patience,
        sheets=folder / "sheets",
        sheet_minutes=sheet_minutes,
    )
    trainer = build_trainer(folder, target, watchers, epoch_steps=EPOCH_STEPS, max_steps=max_steps, limit=limit)
    run(trainer, module, build_loader(dataset, batches, target), checkpoint=checkpoint)
    watchers.judge.finish(trainer, module)

    _say(judged := {"held_out": summarize_held_out(watchers.judge)})
    told = {"steps": trainer.global_step, **settings, **summary, **judged, "command": _command()}
    looks = collect_appearances(module, dataset, batches, defects=plan.measured, steps=trainer.global_step)
    real = {defect: [] if no_bank else examples for defect, examples in material.parts().items()}
    bank = build_mask_bank(real, material.good, exemplars=not no_exemplars)
    exported = partial(export_bundle, module, plan.shapes, looks=looks, bank=bank, parent=parent)
    found = compare_with_real(partial(exported, summary=told), material, device=target, seed=seed, folder=folder)
    _say(compared := {"compared": found.summary, "measured": found.measured})
    return exported(summary=told | compared, measured=found.measured).save(out)


def _started(
    parent: StageBundle | None,
    plan: Plan,
    material: TrainingData,
    *,
    learning_rate: float,
    max_steps: int | None,
    seed: int,
) -> tuple[GradedDiffusion, dict[str, str]]:
    """Build what is trained, and say which known defect each new one starts from."""
    module = build_module(parent, plan, learning_rate=learning_rate, max_steps=max_steps, seed=seed)
    if parent is None or material.real is None:
        return module, {}
    return module, warm_start(module, material.real, known=parent.defects, seed=seed)


def _claim(
    folder: Path,
    material: TrainingData,
    parent: StageBundle | None,
    numbers: Mapping[str, float | None],
    *,
    rotate: Rotate,
    resume: bool,
) -> None:
    """Note in the working folder what is trained, or compare it with what is resumed."""
    base = parent.digest if parent else None
    claim_folder(folder, {**numbers, "rotate": rotate, "base": base, "pictures": material.digest}, resume=resume)


def _say(summary: Mapping[str, Any]) -> None:
    for line in format_report(summary):
        logger.log(logging.WARNING if line.startswith("warning: ") else logging.INFO, "%s", line)


def _command() -> str:
    return " ".join(["anomalib-stage", *sys.argv[1:]]) if sys.argv[1:2] == ["fit"] else "fit()"


def _check_arguments(**values: Any) -> None:  # noqa: ANN401
    """Refuse numbers out of range; the names are those of :func:`fit`."""
    ranges = {
        "procedural": (0.0, 1.0, "in [0, 1]"),
        "held_out": (0.0, 0.5, "in [0, 0.5]"),
        "batch_size": (1, math.inf, "at least 1"),
        "max_steps": (1, math.inf, "at least 1"),
        "check_steps": (1, math.inf, "at least 1"),
        "patience": (0, math.inf, "at least 0"),
        "sheet_minutes": (math.ulp(0.0), math.inf, "above 0"),
        "learning_rate": (math.ulp(0.0), sys.float_info.max, "above 0"),
    }
    for name, value in values.items():
        low, high, allowed = ranges[name]
        if value is not None and not low <= value <= high:
            msg = f"--{name.replace('_', '-')} is {value}; it must be {allowed}"
            raise InputError(msg)


def _check_freeze(*, freeze: bool, defect_dir: Path | None, base: str) -> None:
    if freeze and (defect_dir is None or base == "none"):
        msg = "--freeze learns new defects on top of a base; give --defects and --masks, and a --base other than none"
        raise InputError(msg)


def _duration(text: str) -> timedelta:
    parts = text.split(":")
    if len(parts) != 3 or not all(part.isdigit() for part in parts):
        msg = f"--max-time is {text!r}; give hours, minutes and seconds as HH:MM:SS"
        raise InputError(msg)
    hours, minutes, seconds = map(int, parts)
    if not hours + minutes + seconds:
        msg = f"--max-time is {text!r}; it must be above 0"
        raise InputError(msg)
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)
