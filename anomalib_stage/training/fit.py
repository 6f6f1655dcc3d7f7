# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``anomalib-stage fit``: train a compact denoiser and write its bundle."""

from __future__ import annotations

import logging
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader

from anomalib_stage.errors import DataError, InputError
from anomalib_stage.seeds import derive_seed
from anomalib_stage.synthesis.denoiser import COMPACT_CONFIG, CompactDenoiser
from anomalib_stage.synthesis.schedule import COMPACT_SCHEDULE, Schedule
from anomalib_stage.synthesizer import GOOD, load_denoiser, resolve_device
from anomalib_stage.training.bank import bank_of
from anomalib_stage.training.data import (
    GoodSurfaces,
    Mixture,
    ProceduralDefects,
    RealDefects,
    RegionDataset,
    StepBatches,
)
from anomalib_stage.training.defects import KIND_SHAPES, KINDS
from anomalib_stage.training.examples import load_examples, load_images, read_include
from anomalib_stage.training.export import REGION_SIDE, export_bundle
from anomalib_stage.training.looks import measured_looks
from anomalib_stage.training.module import GradedDiffusion
from anomalib_stage.training.sheet import SampleSheet
from anomalib_stage.weights.bundle import StageBundle

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["fit"]

logger = logging.getLogger(__name__)

EPOCH_STEPS = 100
"""Steps between checkpoints; an interrupted fit resumes at the last multiple."""
HELD_OUT = 64
AVERAGE_DECAY = 0.999


def fit(
    *,
    out: Path,
    normal: Path | None = None,
    defects: Path | None = None,
    masks: Path | None = None,
    include: Path | None = None,
    rename: Mapping[str, str] | None = None,
    base: str = "default",
    procedural: float = 0.25,
    max_steps: int | None = None,
    max_time: str | None = None,
    batch_size: int = 16,
    learning_rate: float = 4e-4,
    seed: int = 0,
    device: str = "auto",
    workdir: Path | None = None,
    sheet_minutes: float = 5.0,
    no_bank: bool = False,
    resume: bool = False,
) -> Path:
    """Train a compact denoiser on good images, real defects and rendered ones, and write a bundle.

    Args:
        out (Path): Bundle to write (``.safetensors``).
        normal (Path | None): Folder of good images, searched recursively.
        defects (Path | None): Folder with one sub-folder of defect images for each kind.
        masks (Path | None): Folder with the same sub-folders of masks, ``<stem>_mask.png`` or ``<stem>.png``.
        include (Path | None): JSON file ``{kind: [stems]}`` (or ``{kind: {"fit": [stems]}}``) of the defects to use.
        rename (Mapping[str, str] | None): Names to learn folders under, ``{folder: kind}``; two folders may share one.
        base (str): Bundle to start from: ``default``, ``none`` (from scratch) or a file.
        procedural (float): Share of rendered surfaces with rendered defects in training, 0 to 1.
        max_steps (int | None): Steps in total; the learning rate then decays to 0 over them.
        max_time (str | None): Wall-clock limit ``HH:MM:SS``; 20 minutes if neither limit is given.
        batch_size (int): Regions in a step.
        learning_rate (float): Peak learning rate.
        seed (int): Base seed; with ``max_steps`` and one machine it decides the bundle.
        device (str): ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        workdir (Path | None): Checkpoints, logs and sample sheets; ``<out without suffix>-fit`` by default.
        sheet_minutes (float): Minutes between sample sheets and held-out losses.
        no_bank (bool): Do not keep the real masks and their places in the bundle; masks are then drawn from shapes.
        resume (bool): Go on from the last checkpoint in ``workdir``.

    Returns:
        Path: The bundle written.

    Raises:
        InputError: If an argument cannot be used.
        DataError: If a folder, image or mask is missing or unreadable, or there is nothing to train on.
        BundleError: If the base is not a usable bundle.
    """
    _check_arguments(procedural=procedural, batch_size=batch_size, max_steps=max_steps, sheet_minutes=sheet_minutes)
    target = resolve_device(device)
    limit = _duration(max_time or "00:20:00") if max_time or max_steps is None else None
    folder = workdir or out.with_suffix("").with_name(out.stem + "-fit")
    checkpoint = folder / "last.ckpt"
    if resume and not checkpoint.is_file():
        msg = f"--resume given, but there is no checkpoint {checkpoint}; leave the flag out to start anew"
        raise DataError(msg)

    # what to learn
    chosen = read_include(include) if include else None
    real = RealDefects(load_examples(defects, masks, include=chosen, rename=rename or {})) if defects else None
    good = GoodSurfaces(load_images(normal)) if normal else None
    source = _mixture(real, good, procedural=procedural)
    parent = None if base == "none" else StageBundle.load(base)
    shapes = _kinds(parent, real, procedural=procedural)
    kinds = list(shapes)
    denoiser, schedule_config = _network(parent, kinds, seed=seed)
    module = GradedDiffusion(
        denoiser,
        schedule=Schedule(schedule_config),
        kinds=kinds,
        learning_rate=learning_rate,
        max_steps=max_steps,
    )

    # train
    dataset = RegionDataset(source, kinds=kinds, seed=seed)
    held_out = RegionDataset(source, kinds=kinds, seed=derive_seed(seed, "held-out"))
    batches = StepBatches(batch_size, steps=EPOCH_STEPS, side=REGION_SIDE)
    trainer = _trainer(folder, target, max_steps=max_steps, limit=limit, sheet_minutes=sheet_minutes)
    loader = DataLoader(dataset, batch_sampler=batches, num_workers=1, persistent_workers=True, prefetch_factor=4)
    looked_at = DataLoader(held_out, batch_sampler=[[(i, REGION_SIDE) for i in range(HELD_OUT)]])
    _run(trainer, module, loader, looked_at, checkpoint=checkpoint if resume else None)

    # write
    summary = {
        "steps": trainer.global_step,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "seed": seed,
        "procedural": procedural,
        "defects": {kind: len(examples) for kind, examples in real.by_kind.items()} if real else {},
        "good_images": len(good.images) if good else 0,
        "held_out_loss": round(float(trainer.callback_metrics.get("held_out/loss", torch.tensor(float("nan")))), 5),
        "command": " ".join(["anomalib-stage", *sys.argv[1:]]) if sys.argv[1:2] == ["fit"] else "fit()",
    }
    bundle = export_bundle(
        denoiser,
        shapes,
        schedule=schedule_config,
        looks=measured_looks(module, dataset, batches, steps=trainer.global_step),
        bank=bank_of(real.by_kind, good.images if good else ()) if real and not no_bank else {},
        parent=parent,
        summary=summary,
    )
    bundle.save(out)
    return out


def _check_arguments(*, procedural: float, batch_size: int, max_steps: int | None, sheet_minutes: float) -> None:
    complaints = [
        (0.0 <= procedural <= 1.0, f"--procedural is {procedural}; it must be in [0, 1]"),
        (batch_size >= 1, f"--batch-size is {batch_size}; it must be at least 1"),
        (max_steps is None or max_steps >= 1, f"--max-steps is {max_steps}; it must be at least 1"),
        (sheet_minutes > 0, f"--sheet-minutes is {sheet_minutes}; it must be above 0"),
    ]
    for fine, complaint in complaints:
        if not fine:
            raise InputError(complaint)


def _duration(text: str) -> timedelta:
    parts = text.split(":")
    if len(parts) != 3 or not all(part.isdigit() for part in parts):
        msg = f"--max-time is {text!r}; give hours, minutes and seconds as HH:MM:SS"
        raise InputError(msg)
    hours, minutes, seconds = map(int, parts)
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def _mixture(real: RealDefects | None, good: GoodSurfaces | None, *, procedural: float) -> Mixture:
    """Rendered ones have their share; of the rest, real defects four parts and good surface one."""
    weights: list[tuple[Any, float]] = [(ProceduralDefects(), procedural)]
    rest = 1.0 - procedural
    if real is not None:
        weights.append((real, rest * (0.8 if good else 1.0)))
    if good is not None:
        weights.append((good, rest * (0.2 if real else 1.0)))
    return Mixture(weights)


def _kinds(parent: StageBundle | None, real: RealDefects | None, *, procedural: float) -> dict[str, tuple[str, ...]]:
    """Kinds of the new bundle and the shapes to draw for each: the base's, the rendered ones', the user's, ``good``."""
    shapes = {spec.name: spec.shapes for spec in parent.manifest.kinds} if parent else {}
    if procedural > 0:
        shapes = {kind: KIND_SHAPES[kind] for kind in KINDS} | shapes
    for kind in real.kinds if real else ():
        shapes.setdefault(kind, KIND_SHAPES.get(kind, KIND_SHAPES[GOOD]))
    shapes.setdefault(GOOD, KIND_SHAPES[GOOD])
    return shapes


def _network(parent: StageBundle | None, kinds: Sequence[str], *, seed: int) -> tuple[CompactDenoiser, dict[str, Any]]:
    """Build the network from scratch, or from the base with condition vectors for kinds that it does not know."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        if parent is None:
            return CompactDenoiser(kinds, config=COMPACT_CONFIG), dict(COMPACT_SCHEDULE)
        known = load_denoiser(parent)
        network = CompactDenoiser(kinds, config=parent.manifest.denoiser)
    network.unet.load_state_dict(known.unet.state_dict())
    average = torch.stack([vector.detach() for vector in known.conditions.values()]).mean(dim=0)
    for kind, vector in network.conditions.items():
        vector.data.copy_(known.conditions[kind].detach() if kind in known.conditions else average)
    return network, dict(parent.manifest.schedule)


def _trainer(
    folder: Path, device: torch.device, *, max_steps: int | None, limit: timedelta | None, sheet_minutes: float
) -> Trainer:
    on_terminal = sys.stderr.isatty()
    return Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=[device.index or 0] if device.type == "cuda" else 1,
        max_steps=-1 if max_steps is None else max_steps,
        max_epochs=-1,
        max_time=limit,
        default_root_dir=folder,
        logger=CSVLogger(folder, name="logs"),  # a resumed run gets a file of its own
        gradient_clip_val=1.0,
        log_every_n_steps=min(20, EPOCH_STEPS),
        num_sanity_val_steps=0,
        check_val_every_n_epoch=None,
        val_check_interval=timedelta(minutes=sheet_minutes),
        enable_model_summary=False,
        enable_progress_bar=on_terminal,
        callbacks=[
            SampleSheet(folder / "sheets"),
            EMAWeightAveraging(decay=AVERAGE_DECAY),
            ModelCheckpoint(
                folder, filename="last", every_n_train_steps=EPOCH_STEPS, enable_version_counter=False, save_top_k=1
            ),
            *([RichProgressBar()] if on_terminal else []),
        ],
    )


def _run(
    trainer: Trainer,
    module: GradedDiffusion,
    loader: DataLoader[dict[str, torch.Tensor]],
    held_out: DataLoader[dict[str, torch.Tensor]],
    *,
    checkpoint: Path | None,
) -> None:
    """Train; an interruption leaves as KeyboardInterrupt (Lightning turns it into an exit of the process)."""
    try:
        trainer.fit(module, loader, held_out, ckpt_path=checkpoint)
        if not trainer.interrupted:
            trainer.validate(module, held_out, verbose=False)  # the weights that are kept
    except SystemExit as stop:
        if not trainer.interrupted:
            raise
        raise KeyboardInterrupt from stop
    if trainer.interrupted:
        raise KeyboardInterrupt
