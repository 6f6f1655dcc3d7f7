# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Check everything that a job needs, and make its plan: nothing is written, and what can be refused is refused here."""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Any, Literal

from anomalib_stage.devices import resolve_device
from anomalib_stage.errors import InputError
from anomalib_stage.files.good_folder import find_good, find_good_folder
from anomalib_stage.files.images import find_images, read_bytes
from anomalib_stage.files.white_level import check_white_level, find_white_level
from anomalib_stage.pipeline.synthesizer import GOOD
from anomalib_stage.pregeneration.job import Pregeneration
from anomalib_stage.pregeneration.planning.claim import check_free, choose_digest
from anomalib_stage.pregeneration.planning.given_masks import plan_given_masks
from anomalib_stage.pregeneration.planning.good_images import check_outside, find_sources
from anomalib_stage.pregeneration.planning.plan import Plan, check_masks
from anomalib_stage.pregeneration.planning.spec import FileList, Job
from anomalib_stage.pregeneration.versions import list_versions
from anomalib_stage.settings import build_settings
from anomalib_stage.weights.bundle import StageBundle

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from anomalib_stage.pregeneration.planning.good_images import Source
    from anomalib_stage.pregeneration.planning.spec import Layout
    from anomalib_stage.settings import SynthesisSettings

__all__ = ["prepare"]

logger = logging.getLogger(__name__)

MOST_PAIRS = 10**8
"""Most pairs in a folder; some bytes of memory are kept for each."""


def prepare(
    *,
    data: Path,
    out: Path,
    count: int,
    weights: str = "default",
    defects: Sequence[str] | None = None,
    masks: Path | None = None,
    seed: int = 0,
    sampling_steps: int | None = None,
    strength: tuple[float, float] | None = None,
    foreground: Literal["auto", "none"] | None = None,
    min_visibility: float | None = None,
    trim: bool = False,
    synthesis: SynthesisSettings | Mapping[str, Any] | None = None,
    batch_size: int = 64,
    device: str = "auto",
    layout: Layout = "folder",
    on_unreadable: Literal["fail", "skip"] = "fail",
    white_level: int | None = None,
) -> Pregeneration:
    """Check everything and make the plan; writes nothing.

    Args:
        data (Path): Folder of good images (searched recursively), or a data set root with ``train/good``.
        out (Path): Folder to write: absent, empty, or begun by the same job; outside the good images.
        count (int): Number of pairs.
        weights (str): ``default`` or a bundle file.
        defects (Sequence[str] | None): Defects to paint, in any order; None: every defect of the bundle.
        masks (Path | None): Folder of masks, each of its image's size: where their names are those of the images each
            image gets its own, else they are used in turn (1, 2, 10); None: masks are drawn.
        seed (int): Base seed.
        sampling_steps (int | None): Sampling steps, 4 to 1000; None: as many as the bundle's backbone needs.
        strength (tuple[float, float] | None): Weakest and strongest anomaly, in (0, 1]; None: full strength.
        foreground (Literal["auto", "none"] | None): ``auto``, the default, keeps drawn masks on the object, ``none``
            lets them lie anywhere.
        min_visibility (float | None): Least change inside a mask
            (:class:`~anomalib_stage.settings.GateSettings`); None: the default, 0: everything passes.
        trim (bool): Take pixels without visible change out of the masks.
        synthesis (SynthesisSettings | Mapping[str, Any] | None): What else differs from the default settings, such as
            ``{"masks": {"extent": [0.03, 0.6]}}``; the five before have arguments of their own.
        batch_size (int): Most images painted together, fewer of large ones; it may decide the last bit of a pixel.
        device (str): ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        layout (Layout): ``folder``: ``image/<defect>``, ``mask/<defect>``; ``mvtec``: a category that ``MVTecAD``
            reads.
        on_unreadable (Literal["fail", "skip"]): What to do with an image that cannot be used.
        white_level (int | None): Largest value that a pixel can have in images with more than 8 bit, such as 4095;
            None: the range of a sensor of 8, 10, 12, 14 or 16 bit that holds all images.

    Returns:
        Pregeneration: The job.

    Raises:
        StageError: If an argument, image, mask or bundle cannot be used; the message says which.
    """
    _check_counts(count=count, batch_size=batch_size)
    settings = build_settings(
        synthesis,
        sampling_steps=sampling_steps,
        strength=strength,
        foreground=foreground,
        min_visibility=min_visibility,
        trim=trim or None,
    )
    root = find_good_folder(data)
    check_free(out)
    check_outside(out, root=root, flag="--out")
    check_white_level(white_level)
    # a wrong folder is said before weights are loaded
    root, paths = find_good(data, flag="--data")
    where, bundle = resolve_device(device), StageBundle.load(weights)
    defects = _defects(bundle, defects)
    there = _find_given_masks(masks, root=root)
    sources, skipped = find_sources(paths, root=root, limit=count, skip=on_unreadable == "skip")
    white = find_white_level(paths, given=white_level)
    if layout == "mvtec" and any(source.deep for source in sources):
        deep = sum(source.deep for source in sources)
        logger.info("16 bit reduced to 8 in %d of %d images: anomalib reads 16-bit grey as white", deep, len(sources))
    in_turn, listed = _order_masks(masks, there, sources=sources, images=paths, root=root, count=count)
    plan = Plan(sources, count=count, defects=defects, masks=in_turn, seed=seed, batch_size=batch_size)
    check_masks(plan)
    job = Job(
        count=count,
        seed=seed,
        defects=tuple(defects),
        batch_size=batch_size,
        layout=layout,
        bundle=choose_digest(out, digest=bundle.digest, legacy=bundle.legacy_digest),
        settings=settings,
        sources=FileList.of((source.name, source.digest) for source in sources),
        masks=_digested(listed, masks) if masks else None,
        versions=list_versions(),
        device=where.type,
        white_level=white,
    )
    return Pregeneration(job, plan, out=out, bundle=bundle, device=where, masks=masks, skipped=skipped)


def _check_counts(*, count: int, batch_size: int) -> None:
    if count < 1 or batch_size < 1:
        msg = f"--count is {count} and --batch-size {batch_size}; both must be at least 1"
        raise InputError(msg)
    if count > MOST_PAIRS:
        msg = f"--count is {count}; at most {MOST_PAIRS} go into one folder, write more into another"
        raise InputError(msg)


def _find_given_masks(masks: Path | None, *, root: Path) -> list[Path]:
    if masks is None:
        return []
    check_outside(masks, root=root, flag="--masks")
    return find_images(masks)


def _order_masks(
    folder: Path | None,
    masks: Sequence[Path],
    *,
    sources: Sequence[Source],
    images: Sequence[Path],
    root: Path,
    count: int,
) -> tuple[list[Path], list[Path]]:
    """Return the masks to use in turn, and those that describe the job."""
    if folder is None:
        return [], []
    given = plan_given_masks(
        folder,
        [mask.relative_to(folder).as_posix() for mask in masks],
        images=[image.relative_to(root).as_posix() for image in images],
        painted=[source.name for source in sources],
        count=count,
    )
    return [folder / name for name in given.in_turn], [folder / name for name in given.listed]


def _digested(files: Sequence[Path], folder: Path) -> FileList:
    return FileList.of(
        (path.relative_to(folder).as_posix(), hashlib.sha256(read_bytes(path)).hexdigest()) for path in files
    )


def _defects(bundle: StageBundle, defects: Sequence[str] | None) -> list[str]:
    """Return the defects to paint in the bundle's order, so that the order they were given in changes nothing."""
    known = [defect for defect in bundle.defects if defect != GOOD]
    if defects is None:
        return known
    unknown = [defect for defect in defects if defect not in known]
    if unknown or not defects:
        seen = f"{unknown[0]!r} is not a defect of this bundle" if unknown else "--defects is empty"
        msg = f"{seen}; it paints {', '.join(known)}"
        raise InputError(msg)
    return [defect for defect in known if defect in defects]
