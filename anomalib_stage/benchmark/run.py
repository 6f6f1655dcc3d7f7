# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Run a benchmark: pools of anomalies, networks, scores, report; what is finished is kept and not done again."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anomalib_stage.benchmark.dataset import BenchmarkData, Pictures, load_data, stacked
from anomalib_stage.benchmark.learning import Lesson, map_anomalies, train
from anomalib_stage.benchmark.report import write_report
from anomalib_stage.benchmark.scores import score_defects
from anomalib_stage.benchmark.sources import BUILT_IN, paint_pool
from anomalib_stage.errors import InputError
from anomalib_stage.images import write_file
from anomalib_stage.plugin.networks import SegmentationLoss, build_network
from anomalib_stage.settings import SynthesisSettings, changed_synthesis
from anomalib_stage.synthesizer import StageSynthesizer, resolve_device
from anomalib_stage.weights.bundle import StageBundle

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import torch

__all__ = ["SOURCES", "benchmark", "whole_numbers"]

logger = logging.getLogger(__name__)

SOURCES = ("perlin", "cutpaste", "croppaste", "real", "default")
NONE = "none"
NETWORK = "small_unet"
SELF_SHARE = 8
"""Every eighth picture of a pool is kept from the training and scored as ``self``."""


def benchmark(
    *,
    data: Path,
    out: Path,
    sources: Sequence[str] = SOURCES,
    split: Path | None = None,
    textures: Path | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 400,
    pairs: int = 1000,
    size: int = 128,
    batch_size: int = 16,
    learning_rate: float = 2e-3,
    sampling_steps: int | None = None,
    negatives: float = 0.25,
    defects: Sequence[str] | None = None,
    synthesis: Mapping[str, Any] | None = None,
    device: str = "auto",
    progress: Callable[[str, int, int], None] | None = None,
) -> str:
    """Train the same network on anomalies from each source and score it on real defects.

    Args:
        data (Path): Data set in MVTec layout.
        out (Path): Folder for pools, finished runs and results; running again does only what is missing.
        sources (Sequence[str]): ``none``, ``perlin``, ``cutpaste``, ``croppaste``, ``real``, ``default``, bundle files,
            and sums such as ``default+real``: synthetic parts take turns, and real defects keep their half of every
            batch, see :class:`~anomalib_stage.benchmark.learning.Lesson`.
        split (Path | None): JSON file ``{kind: {"fit": [stems], "eval": [stems]}}``; None: ``few_shot.json`` in
            ``data``.
        textures (Path | None): Folder of texture images for ``perlin``; None: noise colours.
        seeds (Sequence[int]): Seeds of the networks and batches; the pools are the same for all.
        steps (int): Training steps of each network.
        pairs (int): Pictures in a pool.
        size (int): Side of the pictures in pixels.
        batch_size (int): Pictures in a step, half of them good.
        learning_rate (float): Peak learning rate.
        sampling_steps (int | None): Denoising steps of bundles; None: as many as their backbone needs.
        negatives (float): Share of the good pictures that are re-synthesized, for bundles.
        defects (Sequence[str] | None): Kinds that bundles paint, in turn; None: drawn from all of each bundle's.
        synthesis (Mapping[str, Any] | None): What differs from the default
            :class:`~anomalib_stage.settings.SynthesisSettings`, such as ``{"masks": {"extent": [0.03, 0.6]}}``.
        device (str): ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        progress (Callable[[str, int, int], None] | None): Called with what is done, how much of it, and of how much.

    Returns:
        str: Markdown tables, also written to ``out`` with ``results.json``, ``results.csv`` and ``results.png``.

    Raises:
        InputError: If an argument cannot be used, or ``out`` holds a benchmark with other settings.
        DataError: If the data set cannot be read.
        BundleError: If a bundle cannot be used.
    """
    _check(seeds=seeds, steps=steps, pairs=pairs, size=size, batch_size=batch_size)
    target = resolve_device(device)
    parts = list(dict.fromkeys(part for source in sources for part in source.split("+") if part != NONE))
    bundles = {part: StageBundle.load(part) for part in parts if part not in BUILT_IN}
    settings = {
        "data": data.name,
        "split": split.name if split else None,
        "steps": steps,
        "pairs": pairs,
        "size": size,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "sampling_steps": sampling_steps,
        "negatives": negatives,
        "textures": textures is not None,
        "defects": list(defects) if defects else None,
        "synthesis": dict(synthesis) if synthesis else None,
    }
    painting = changed_synthesis(synthesis or {}, steps=sampling_steps)
    _claim(out, settings)
    read = load_data(data, split=split or data / "few_shot.json", size=size)
    say = progress or (lambda *_: None)
    pools: dict[str, Pictures] = {}
    repainted: dict[str, np.ndarray[Any, np.dtype[np.uint8]]] = {}
    for part in parts:
        made = _Pools(out, read, count=pairs, size=size, device=target, settings=painting, kinds=defects, say=say)
        if part in bundles:
            pools[part], repainted[part] = made.painted(part, bundles[part], negatives=negatives)
        else:
            options = {"textures": textures} if part == "perlin" else {}
            pools[part] = BUILT_IN[part](read, count=pairs, size=size, seed=0, **options)
    good = stacked([(image, np.zeros(image.shape[:2], dtype=np.bool_)) for image in read.good], size=size).images
    runs: dict[str, dict[int, Any]] = {source: {} for source in sources}
    for position, seed in enumerate(seeds):
        for turn, source in enumerate(sources):
            say("training", position * len(sources) + turn, len(seeds) * len(sources))
            file = out / "runs" / f"{_file_name(source, bundles)}-{seed}.json"
            if not file.is_file():
                lesson, held_out = _lesson(source, pools, repainted, good=good, negatives=negatives)
                network = train(
                    lambda: build_network(NETWORK, encoder_name=None, encoder_weights=None),
                    SegmentationLoss(),
                    lesson,
                    steps=steps,
                    batch_size=batch_size,
                    learning_rate=learning_rate,
                    seed=seed,
                    device=target,
                )
                write_file(file, json.dumps(_scored(network, read, held_out, device=target)).encode())
            runs[source][seed] = json.loads(file.read_text())
    return write_report(out, runs, settings=settings)


def whole_numbers(texts: Sequence[str]) -> list[int]:
    """Read seeds from a command line.

    Raises:
        InputError: If one is not a whole number.
    """
    try:
        return [int(text) for text in texts]
    except ValueError as error:
        msg = f"--seeds {' '.join(texts)}: {error}; give whole numbers"
        raise InputError(msg) from error


def _check(*, seeds: Sequence[int], steps: int, pairs: int, size: int, batch_size: int) -> None:
    complaints = [
        (bool(seeds), "--seeds is empty; give at least one, and three to believe a difference"),
        (steps >= 1, f"--steps is {steps}; it must be at least 1"),
        (pairs >= SELF_SHARE, f"--pairs is {pairs}; it must be at least {SELF_SHARE}"),
        (size >= 64 and size % 32 == 0, f"--size is {size}; it must be a multiple of 32 from 64"),
        (batch_size >= 2, f"--batch-size is {batch_size}; it must be at least 2"),
    ]
    for fine, complaint in complaints:
        if not fine:
            raise InputError(complaint)


def _claim(out: Path, settings: dict[str, Any]) -> None:
    """Write the settings into a new folder, or compare them with those of the benchmark that it holds."""
    file = out / "benchmark.json"
    if not file.is_file():
        write_file(file, json.dumps(settings, indent=1).encode())
        return
    found = json.loads(file.read_text())
    other = [
        f"{name}: {found.get(name)!r} there, {value!r} here"
        for name, value in settings.items()
        if found.get(name) != value
    ]
    if other:
        msg = f"--out {out} holds a benchmark with other settings ({'; '.join(other)}); choose another folder"
        raise InputError(msg)


def _file_name(source: str, bundles: dict[str, StageBundle]) -> str:
    """Name of a source's files: bundles by name and digest, so that another file of that name is another source."""
    return "+".join(
        f"{Path(part).stem}-{bundles[part].digest[:12]}" if part in bundles else part for part in source.split("+")
    )


class _Pools:
    """Makes pools of painted pictures, or reads those made before."""

    def __init__(
        self,
        out: Path,
        data: BenchmarkData,
        *,
        count: int,
        size: int,
        device: torch.device,
        settings: SynthesisSettings,
        kinds: Sequence[str] | None,
        say: Callable[[str, int, int], None],
    ) -> None:
        self.out, self.data, self.count, self.size, self.say = out, data, count, size, say
        self.device, self.settings, self.kinds = device, settings, kinds

    def painted(
        self, name: str, bundle: StageBundle, *, negatives: float
    ) -> tuple[Pictures, np.ndarray[Any, np.dtype[np.uint8]]]:
        """Return a bundle's anomalies and its re-synthesized good pictures."""
        file = self.out / "pools" / f"{_file_name(name, {name: bundle})}.npz"
        if not file.is_file():
            painter = StageSynthesizer(bundle, device=self.device, settings=self.settings)
            counts = {False: self.count, True: round(self.count * max(negatives, 1 / self.count))}
            bad, good = (
                paint_pool(
                    painter,
                    self.data,
                    count=counts[intact],
                    size=self.size,
                    seed=0,
                    good=intact,
                    kinds=self.kinds,
                    progress=lambda done, total: self.say(f"painting {name}", done, total),
                )
                for intact in (False, True)
            )
            stream = io.BytesIO()
            np.savez_compressed(stream, images=bad.images, masks=bad.masks, good=good.images)
            write_file(file, stream.getvalue())
        with np.load(file, allow_pickle=False) as stored:
            return Pictures(stored["images"], stored["masks"]), stored["good"]


def _lesson(
    source: str,
    pools: dict[str, Pictures],
    repainted: dict[str, np.ndarray[Any, np.dtype[np.uint8]]],
    *,
    good: np.ndarray[Any, np.dtype[np.uint8]],
    negatives: float,
) -> tuple[Lesson, Pictures | None]:
    """Return what to learn from, and the synthetic pictures kept from it."""
    parts = [part for part in source.split("+") if part != NONE]
    kept: list[Pictures] = []
    taken: list[Pictures] = []
    for part in parts:
        pool = pools[part]
        if part == "real":  # all of the few are learnt from
            continue
        held = np.arange(len(pool.images)) % SELF_SHARE == 0
        kept.append(Pictures(pool.images[held], pool.masks[held]))
        taken.append(Pictures(pool.images[~held], pool.masks[~held]))
    own = [repainted[part] for part in parts if part in repainted]
    lesson = Lesson(
        taken,
        good,
        real=pools["real"] if "real" in parts else None,
        negatives=np.concatenate(own) if own else None,
        negative_share=negatives,
    )
    if not kept:
        return lesson, None
    return lesson, Pictures(*(np.concatenate(arrays) for arrays in zip(*kept, strict=True)))


def _scored(
    network: torch.nn.Module, data: BenchmarkData, held_out: Pictures | None, *, device: torch.device
) -> dict[str, dict[str, float]]:
    good = map_anomalies(network, data.test_good.images, device=device)
    tests = dict(data.test)
    maps = {kind: map_anomalies(network, pictures.images, device=device) for kind, pictures in tests.items()}
    scores = score_defects(maps, {kind: pictures.masks for kind, pictures in tests.items()}, good)
    if held_out is not None:
        own = {"self": map_anomalies(network, held_out.images, device=device)}
        scores["self"] = score_defects(own, {"self": held_out.masks}, good)["self"]
    return scores
