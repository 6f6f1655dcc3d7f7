# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Run a benchmark: sets of anomalies, networks, scores, report; what is finished is kept and not done again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from anomalib_stage.deprecated.arguments import accept_old_names
from anomalib_stage.devices import resolve_device
from anomalib_stage.errors import InputError
from anomalib_stage.evaluation.dataset import load_data
from anomalib_stage.evaluation.detection.checks import (
    SOURCES,
    check_defects,
    check_numbers,
    check_rates,
    check_sources,
    check_unseen,
    claim_run,
    digest_folder,
)
from anomalib_stage.evaluation.detection.report import write_report
from anomalib_stage.evaluation.detection.scores import score_defects
from anomalib_stage.evaluation.detection.source_names import NONE, name_files, split_source
from anomalib_stage.evaluation.detection.sources.built_in import BUILT_IN
from anomalib_stage.evaluation.detection.synthetic_sets import SyntheticSets
from anomalib_stage.evaluation.detection.train import map_anomalies, train
from anomalib_stage.evaluation.detection.training_mix import build_training_mix
from anomalib_stage.evaluation.picture_set import stack
from anomalib_stage.files.atomic import write_file
from anomalib_stage.plugin.model.networks import build_network, load_smp
from anomalib_stage.plugin.model.segmentation_loss import SegmentationLoss
from anomalib_stage.settings import build_settings
from anomalib_stage.weights.bundle import StageBundle

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import torch

    from anomalib_stage.evaluation.dataset import BenchmarkData
    from anomalib_stage.evaluation.picture_set import PictureSet
    from anomalib_stage.settings import SynthesisSettings

__all__ = ["benchmark", "read_whole_numbers"]

NETWORK = "small_unet"


@accept_old_names
def benchmark(
    *,
    data: Path,
    out: Path,
    sources: Sequence[str] = SOURCES,
    split: Path | None = None,
    textures: Path | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    max_steps: int = 400,
    pairs: int = 1000,
    size: int = 128,
    batch_size: int = 16,
    learning_rate: float = 2e-3,
    sampling_steps: int | None = None,
    negatives: float = 0.25,
    defects: Sequence[str] | None = None,
    synthesis: SynthesisSettings | Mapping[str, Any] | None = None,
    device: str = "auto",
    white_level: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> str:
    """Train the same network on anomalies from each source and score it on real defects.

    Args:
        data (Path): Data set in MVTec layout.
        out (Path): Folder for sets, finished runs and results; running again does only what is missing.
        sources (Sequence[str]): ``none``, ``perlin``, ``cutpaste``, ``croppaste``, ``real``, ``default``, bundle files,
            and sums such as ``default+real``: synthetic parts take turns, and real defects keep their half of every
            batch, see :class:`~anomalib_stage.evaluation.detection.training_mix.TrainingMix`.
        split (Path | None): JSON file ``{defect: {"fit": [stems], "eval": [stems]}}``; None: ``few_shot.json`` in
            ``data``. Bundles must be fitted with the same: ``fit --split``.
        textures (Path | None): Folder of texture images for ``perlin``; None: noise colours.
        seeds (Sequence[int]): Seeds of the networks and batches; the sets are the same for all.
        max_steps (int): Training steps of each network.
        pairs (int): PictureSet in a set.
        size (int): Side of the pictures in pixels.
        batch_size (int): PictureSet in a step; half of them good, in sums with real defects an eighth.
        learning_rate (float): Peak learning rate.
        sampling_steps (int | None): Denoising steps of bundles; None: as many as their backbone needs.
        negatives (float): Share of the good pictures that are re-synthesized, for bundles.
        defects (Sequence[str] | None): Defects that bundles paint, in turn; None: drawn from all of each bundle's.
        synthesis (SynthesisSettings | Mapping[str, Any] | None): What differs from the default
            :class:`~anomalib_stage.settings.SynthesisSettings`, such as ``{"masks": {"extent": [0.03, 0.6]}}``.
        device (str): ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        white_level (int | None): Largest value of a pixel in images deeper than 8 bit, such as 4095; None: found over
            all images.
        progress (Callable[[str, int, int], None] | None): Called with what is done, how much of it, and of how much.

    Returns:
        str: Markdown tables, also written to ``out`` with ``results.json``, ``results.csv`` and ``results.png``.

    Raises:
        InputError: If an argument cannot be used, a bundle has learnt from what is scored, or ``out`` holds a benchmark
            with other settings.
        MissingPackageError: If segmentation_models_pytorch is not installed.
        DeviceError: If there is no such device.
        DataError: If the data set cannot be read.
        BundleError: If a bundle cannot be used.
    """
    parts = list(dict.fromkeys(part for source in sources for part in split_source(source) if part != NONE))
    check_numbers(sources, seeds=seeds, max_steps=max_steps, pairs=pairs, size=size, batch_size=batch_size)
    check_rates(learning_rate=learning_rate, negatives=negatives)
    check_sources(parts)
    load_smp()  # before anything is painted
    target = resolve_device(device)
    stated = build_settings(synthesis)
    painting = build_settings(stated, sampling_steps=sampling_steps)
    bundles = {part: StageBundle.load(part) for part in parts if part not in BUILT_IN}
    check_defects(bundles, defects)
    read = load_data(data, split=split or data / "few_shot.json", size=size, white_level=white_level)
    check_unseen(bundles, read)
    settings = {
        "data": data.name,
        "split": split.name if split else None,
        "pictures": read.digest,
        "steps": max_steps,
        "pairs": pairs,
        "size": size,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "sampling_steps": sampling_steps,
        "negatives": negatives,
        "textures": digest_folder(textures),
        "defects": list(defects) if defects else None,
        "synthesis": stated.model_dump(mode="json", by_alias=True, exclude_unset=True) or None,
    }
    claim_run(out, settings)
    say = progress or (lambda *_: None)
    files = {
        (source, seed): out / "runs" / f"{name_files(source, bundles)}-{seed}.json"
        for source in sources
        for seed in seeds
    }
    wanted = {part for (source, _), file in files.items() if not file.is_file() for part in split_source(source)}
    made = SyntheticSets(out, read, count=pairs, size=size, device=target, settings=painting, defects=defects, say=say)
    sets, repainted = made.gather(
        [part for part in parts if part in wanted], bundles, negatives=negatives, textures=textures
    )
    good = stack([(image, np.zeros(image.shape[:2], dtype=np.bool_)) for image in read.good], size=size).images
    runs: dict[str, dict[int, Any]] = {source: {} for source in sources}
    for position, seed in enumerate(seeds):
        for turn, source in enumerate(sources):
            say("training", position * len(sources) + turn, len(seeds) * len(sources))
            file = files[source, seed]
            if not file.is_file():
                mix, held_out = build_training_mix(source, sets, repainted, good=good, negatives=negatives)
                network = train(
                    lambda: build_network(NETWORK, encoder_name=None, encoder_weights=None),
                    SegmentationLoss(),
                    mix,
                    steps=max_steps,
                    batch_size=batch_size,
                    learning_rate=learning_rate,
                    seed=seed,
                    device=target,
                )
                write_file(file, json.dumps(_score_network(network, read, held_out, device=target)).encode())
            runs[source][seed] = json.loads(file.read_text())
    return write_report(out, runs, settings=settings, warnings=read.warnings)


def read_whole_numbers(texts: Sequence[str]) -> list[int]:
    """Read seeds from a command line, with spaces or commas between them.

    Raises:
        InputError: If one is not a whole number.
    """
    try:
        return [int(number) for text in texts for number in text.split(",") if number]
    except ValueError as error:
        msg = f"--seeds {' '.join(texts)}: {error}; give whole numbers"
        raise InputError(msg) from error


def _score_network(
    network: torch.nn.Module, data: BenchmarkData, held_out: PictureSet | None, *, device: torch.device
) -> dict[str, dict[str, float]]:
    good = map_anomalies(network, data.test_good.images, device=device)
    tests = dict(data.test)
    maps = {defect: map_anomalies(network, pictures.images, device=device) for defect, pictures in tests.items()}
    masks = {defect: pictures.masks for defect, pictures in tests.items()}
    scores = score_defects(maps, masks, good, device=device)
    if held_out is not None:
        own = {"self": map_anomalies(network, held_out.images, device=device)}
        scores["self"] = score_defects(own, {"self": held_out.masks}, good, device=device)["self"]
    return scores
