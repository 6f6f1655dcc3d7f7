# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``anomalib-stage pregenerate``: write image and mask pairs to a folder.

Everything that can be refused is refused before the first file is written: first a plan is made and every image and
mask in it is read, then the plan is painted in batches that the plan alone decides.
"""

from __future__ import annotations

import hashlib
from collections import Counter
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
from anomalib_stage.settings import SamplerSettings, SynthesisSettings, checked
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
        batch_size (int): Images painted together; it may decide the last bit of a pixel.
        device (str): ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        layout (Layout): ``folder``: ``image/<kind>``, ``mask/<kind>``; ``mvtec``: a category that ``MVTecAD`` reads.
        on_unreadable (Literal["fail", "skip"]): What to do with an image that cannot be used.
        progress (Callable[[int, int], None] | None): Called with pairs finished and planned.

    Returns:
        dict[str, object]: ``out``, ``pairs`` written, images ``skipped`` and ``kinds`` (count by kind).

    Raises:
        StageError: If an argument, image, mask or bundle cannot be used; the message says which.
    """
    settings = _settings(count=count, batch_size=batch_size, steps=steps)
    root = images_root(data)
    _check_out(out, root=root)
    find_images(root)  # a wrong folder is said before weights are loaded
    synthesizer = StageSynthesizer.from_pretrained(weights, device=device, settings=settings)
    kinds = _kinds(synthesizer, defects)
    given = _given_masks(masks, root=root)
    sources, skipped = usable_sources(root, limit=count, skip=on_unreadable == "skip")
    plan = make_plan(sources, count=count, kinds=kinds, masks=given, seed=seed)
    check_masks(plan)

    records: list[PairRecord] = []
    for batch in make_batches(plan, batch_size):
        for item, before, after, mask in _painted(synthesizer, batch):
            written = _write_pair(item, after, mask, out=out, layout=layout)
            records.append(
                PairRecord(
                    index=item.index,
                    source=item.source.name,
                    given_mask=item.mask.relative_to(masks).as_posix() if item.mask and masks else None,
                    kind=item.kind,
                    seed=item.seed,
                    base_seed=seed,
                    steps=steps,
                    bundle=synthesizer.bundle.digest,
                    mask_area=int(mask.sum()),
                    mean_change=_mean_change(before, after, mask),
                    **written,
                )
            )
        if progress is not None:
            progress(len(records), count)
    if layout == "mvtec":
        _write_good(sources, out)
    write_manifest(out, records)
    found = Counter(record.kind for record in records)
    return {"out": str(out), "pairs": len(records), "skipped": skipped, "kinds": {kind: found[kind] for kind in kinds}}


def _settings(*, count: int, batch_size: int, steps: int) -> SynthesisSettings:
    if count < 1 or batch_size < 1:
        msg = f"--count is {count} and --batch-size {batch_size}; both must be at least 1"
        raise InputError(msg)
    return SynthesisSettings(sampler=checked(SamplerSettings, steps=steps))


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


def _painted(
    synthesizer: StageSynthesizer, batch: Sequence[Item]
) -> Iterator[tuple[Item, NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_]]]:
    """Paint a batch of images of one size; yields item, image before, image after, mask."""
    images = np.stack([read_image(item.source.path) for item in batch])
    masks = [
        read_mask(item.mask, size=item.source.size, image=item.source.path) for item in batch if item.mask is not None
    ]
    pair = synthesizer(
        torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255.0,
        defects=[item.kind for item in batch],
        masks=torch.from_numpy(np.stack(masks))[:, None] if masks else None,
        seeds=[item.seed for item in batch],
    )
    # x / 255 * 255 rounds back to x for every 8-bit x: outside the mask the written bytes are the source's
    after = (pair.image * 255.0).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
    yield from zip(batch, images, after, pair.mask[:, 0].numpy(), strict=True)


def _write_pair(
    item: Item, image: NDArray[np.uint8], mask: NDArray[np.bool_], *, out: Path, layout: Layout
) -> dict[str, str]:
    """Write a pair; returns the names and SHA-256 of both files, as the manifest calls them."""
    written: dict[str, str] = {}
    pictures = {"image": image, "mask": mask.astype(np.uint8) * np.uint8(255)}
    for what, pattern in PAIR_FILES[layout].items():
        name, content = pattern.format(kind=item.kind, name=item.name), encode_png(pictures[what])
        write_file(out / name, content)
        written |= {what: name, f"{what}_sha256": hashlib.sha256(content).hexdigest()}
    return written


def _mean_change(before: NDArray[np.uint8], after: NDArray[np.uint8], mask: NDArray[np.bool_]) -> float:
    change = np.abs(after.astype(np.int16) - before).max(axis=2)[mask]
    return round(float(change.mean()), 2)


def _write_good(sources: Sequence[Source], out: Path) -> None:
    """Copy the good images as PNG: anomalib's ``MVTecAD`` needs a training and a test split of them."""
    for position, source in enumerate(sources):
        content = encode_png(read_image(source.path))
        splits = {"test" if position % TEST_SHARE == 0 else "train"} if len(sources) > 1 else {"train", "test"}
        for split in sorted(splits):
            write_file(out / split / "good" / f"{position:06d}_{source.path.stem}.png", content)
