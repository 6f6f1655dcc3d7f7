# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``anomalib-stage pregenerate``: write image and mask pairs to a folder.

Everything that can be refused is refused before the first file is written: first a plan is made and every image and
mask in it is read, then the plan is painted in batches that the plan alone decides.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from anomalib_stage.errors import InputError
from anomalib_stage.images import encode_png, find_images, read_image, read_mask, write_file
from anomalib_stage.offline.manifest import PairRecord, write_manifest
from anomalib_stage.offline.plan import (
    Item,
    Source,
    check_masks,
    check_outside,
    images_root,
    make_batches,
    make_plan,
    usable_sources,
)
from anomalib_stage.settings import GateSettings, MaskSettings, SamplerSettings, SynthesisSettings, checked
from anomalib_stage.synthesizer import StageSynthesizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["pregenerate"]

Layout = Literal["folder", "mvtec"]
PAIR_FILES = {
    "folder": {"image": "image/{kind}/{name}.png", "mask": "mask/{kind}/{name}.png"},
    "mvtec": {
        "image": "test/stage_{kind}/{name}.png",
        "mask": "ground_truth/stage_{kind}/{name}_mask.png",
    },
}
WRITERS = 2
"""Threads that encode and write beside the painting; one more reads ahead."""

TEST_SHARE = 5
"""In the ``mvtec`` layout every fifth good image, the first one included, goes to the test split."""


def pregenerate(
    *,
    data: Path,
    out: Path,
    count: int,
    weights: str = "default",
    defects: Sequence[str] | None = None,
    masks: Path | None = None,
    seed: int = 0,
    steps: int = 20,
    strength: tuple[float, float] = (1.0, 1.0),
    foreground: Literal["auto", "none"] = "auto",
    min_visibility: float | None = None,
    trim: bool = False,
    batch_size: int = 8,
    device: str = "auto",
    layout: Layout = "folder",
    on_unreadable: Literal["fail", "skip"] = "fail",
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, object]:
    """Write synthetic pairs; the same arguments, weights and versions give the same bytes.

    Args:
        data (Path): Folder of good images (searched recursively), or a data set root with ``train/good``.
        out (Path): Folder to write; must be absent or empty, and outside the good images.
        count (int): Number of pairs.
        weights (str): ``default`` or a bundle file.
        defects (Sequence[str] | None): Kinds to paint, in any order; None: every kind of the bundle.
        masks (Path | None): Folder of masks to use in turn, each of its image's size; None: masks are drawn.
        seed (int): Base seed.
        steps (int): Sampling steps, 4 to 1000.
        strength (tuple[float, float]): Weakest and strongest anomaly, in (0, 1].
        foreground (Literal["auto", "none"]): ``auto`` keeps drawn masks on the object, ``none`` lets them lie anywhere.
        min_visibility (float | None): Least change inside a mask
            (:class:`~anomalib_stage.settings.GateSettings`); None: the default, 0: everything passes.
        trim (bool): Take pixels without visible change out of the masks.
        batch_size (int): Images painted together; it may decide the last bit of a pixel.
        device (str): ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        layout (Layout): ``folder``: ``image/<kind>``, ``mask/<kind>``; ``mvtec``: a category that ``MVTecAD`` reads.
        on_unreadable (Literal["fail", "skip"]): What to do with an image that cannot be used.
        progress (Callable[[int, int], None] | None): Called with pairs finished and planned.

    Returns:
        dict[str, object]: ``out``, ``pairs`` written, pairs ``rejected`` because nothing visible came out, images
        ``skipped`` and ``kinds`` (written pairs by kind).

    Raises:
        StageError: If an argument, image, mask or bundle cannot be used; the message says which.
    """
    gate = {"trim": trim} | ({} if min_visibility is None else {"min_visibility": min_visibility})
    settings = _settings(
        count=count,
        batch_size=batch_size,
        sampler=checked(SamplerSettings, steps=steps),
        gate=checked(GateSettings, **gate),
        masks=checked(MaskSettings, foreground=foreground),
        strength=strength,
    )
    root = images_root(data)
    _check_out(out, root=root)
    find_images(root)  # a wrong folder is said before weights are loaded
    synthesizer = StageSynthesizer.from_pretrained(weights, device=device, settings=settings)
    kinds = _kinds(synthesizer, defects)
    given = _given_masks(masks, root=root)
    sources, skipped = usable_sources(root, limit=count, skip=on_unreadable == "skip")
    plan = make_plan(sources, count=count, kinds=kinds, masks=given, seed=seed)
    check_masks(plan)

    def finish(item: Item, picture: _Picture) -> PairRecord:
        """Write a pair and describe it; runs beside the painting of the next ones."""
        return PairRecord(
            index=item.index,
            source=item.source.name,
            given_mask=item.mask.relative_to(masks).as_posix() if item.mask and masks else None,
            kind=item.kind,
            seed=item.seed,
            base_seed=seed,
            steps=steps,
            bundle=synthesizer.bundle.digest,
            mask_area=int(picture.mask.sum()),
            visibility=round(picture.visibility, 3),
            mean_change=_mean_change(picture),
            **_write_pair(item, picture, out=out, layout=layout),
        )

    records: list[PairRecord] = []
    batches = make_batches(plan, batch_size)
    with ThreadPoolExecutor(max_workers=WRITERS + 1) as pool:
        reading = (pool.submit(_read, batch) for batch in batches)
        ahead, writing = next(reading), deque[Future[PairRecord]]()
        for batch in batches:
            read, ahead = ahead.result(), next(reading, ahead)
            writing.extend(pool.submit(finish, *row) for row in _painted(synthesizer, batch, read))
            while len(writing) > (0 if batch is batches[-1] else batch_size):
                records.append(writing.popleft().result())
            if progress is not None:
                progress(len(records), count)
    if layout == "mvtec":
        _write_good(sources, out)
    write_manifest(out, records)
    found = Counter(record.kind for record in records if record.image)
    return {
        "out": str(out),
        "pairs": found.total(),
        "rejected": len(records) - found.total(),
        "skipped": skipped,
        "kinds": {kind: found[kind] for kind in kinds},
    }


@dataclass(frozen=True, eq=False)
class _Picture:
    """One pair as arrays; a mask without a pixel says that nothing visible could be painted."""

    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    visibility: float


def _settings(*, count: int, batch_size: int, **values: object) -> SynthesisSettings:
    if count < 1 or batch_size < 1:
        msg = f"--count is {count} and --batch-size {batch_size}; both must be at least 1"
        raise InputError(msg)
    return checked(SynthesisSettings, **values)


def _check_out(out: Path, *, root: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        msg = f"--out {out} is not an empty folder; choose another, or remove it"
        raise InputError(msg)
    check_outside(out, root=root, flag="--out")


def _given_masks(masks: Path | None, *, root: Path) -> list[Path]:
    if masks is None:
        return []
    check_outside(masks, root=root, flag="--masks")
    return find_images(masks)


def _kinds(synthesizer: StageSynthesizer, defects: Sequence[str] | None) -> list[str]:
    """Return the kinds to paint in the bundle's order, so that the order they were given in changes nothing."""
    if defects is None:
        return list(synthesizer.kinds)
    unknown = [kind for kind in defects if kind not in synthesizer.kinds]
    if unknown or not defects:
        seen = f"{unknown[0]!r} is not a defect of this bundle" if unknown else "--defects is empty"
        msg = f"{seen}; it paints {', '.join(synthesizer.kinds)}"
        raise InputError(msg)
    return [kind for kind in synthesizer.kinds if kind in defects]


def _read(batch: Sequence[Item]) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
    """Read a batch of images of one size, and the masks given for them."""
    images = np.stack([read_image(item.source.path) for item in batch])
    masks = [
        read_mask(item.mask, size=item.source.size, image=item.source.path) for item in batch if item.mask is not None
    ]
    return images, np.stack(masks) if masks else None


def _painted(
    synthesizer: StageSynthesizer, batch: Sequence[Item], read: tuple[NDArray[np.uint8], NDArray[np.bool_] | None]
) -> Iterator[tuple[Item, _Picture]]:
    """Paint a batch of images of one size."""
    images, masks = read
    pair = synthesizer(
        torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255.0,
        defects=[item.kind for item in batch],
        masks=None if masks is None else torch.from_numpy(masks)[:, None],
        seeds=[item.seed for item in batch],
    )
    # x / 255 * 255 rounds back to x for every 8-bit x: outside the mask the written bytes are the source's
    after = (pair.image * 255.0).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
    rows = zip(images, after, pair.mask[:, 0].numpy(), pair.visibility.tolist(), strict=True)
    yield from ((item, _Picture(*row)) for item, row in zip(batch, rows, strict=True))


def _write_pair(item: Item, picture: _Picture, *, out: Path, layout: Layout) -> dict[str, str | None]:
    """Write a pair; returns the names and SHA-256 of both files, as the manifest calls them."""
    written: dict[str, str | None] = {}
    pictures = {"image": picture.after, "mask": picture.mask.astype(np.uint8) * np.uint8(255)}
    for what, pattern in PAIR_FILES[layout].items():
        if not picture.mask.any():
            written |= {what: None, f"{what}_sha256": None}
            continue
        name, content = pattern.format(kind=item.kind, name=item.name), encode_png(pictures[what])
        write_file(out / name, content)
        written |= {what: name, f"{what}_sha256": hashlib.sha256(content).hexdigest()}
    return written


def _mean_change(picture: _Picture) -> float:
    change = np.abs(picture.after.astype(np.int16) - picture.before).max(axis=2)[picture.mask]
    return round(float(change.mean()), 2) if change.size else 0.0


def _write_good(sources: Sequence[Source], out: Path) -> None:
    """Copy the good images as PNG: anomalib's ``MVTecAD`` needs a training and a test split of them."""
    for position, source in enumerate(sources):
        content = encode_png(read_image(source.path))
        splits = {"test" if position % TEST_SHARE == 0 else "train"} if len(sources) > 1 else {"train", "test"}
        for split in sorted(splits):
            write_file(out / split / "good" / f"{position:06d}_{source.path.stem}.png", content)
