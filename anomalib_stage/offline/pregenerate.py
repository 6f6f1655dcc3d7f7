# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``anomalib-stage pregenerate``: write image and mask pairs to a folder.

First a plan, a pure function of the arguments: pair i is (image, kind, seed). Then work on it in fixed batches.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from anomalib_stage.errors import DataError, InputError
from anomalib_stage.images import encode_png, find_images, read_image, read_mask, write_file
from anomalib_stage.seeds import derive_seed, numpy_generator
from anomalib_stage.settings import SamplerSettings, SynthesisSettings, checked
from anomalib_stage.synthesis.regions import MIN_IMAGE_SIDE
from anomalib_stage.synthesizer import StageSynthesizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Item", "make_plan", "pregenerate"]

logger = logging.getLogger(__name__)

Layout = Literal["folder", "mvtec"]
TEST_SHARE = 5
"""In the ``mvtec`` layout every fifth good image goes to the test split."""


@dataclass(frozen=True)
class Item:
    """One pair of the plan.

    Args:
        index (int): Position in the plan.
        image (Path): Good image.
        mask (Path | None): Mask given by the user.
        kind (str): Defect kind.
        seed (int): Seed of the pair.
        name (str): File name without suffix.
    """

    index: int
    image: Path
    mask: Path | None
    kind: str
    seed: int
    name: str


def make_plan(
    images: Sequence[Path], *, root: Path, count: int, kinds: Sequence[str], masks: Sequence[Path], seed: int
) -> list[Item]:
    """Make the plan: images in turn, the kind and everything else drawn from (seed, image name, draw number).

    Args:
        images (Sequence[Path]): Good images, sorted.
        root (Path): Folder that image names are relative to.
        count (int): Number of pairs.
        kinds (Sequence[str]): Kinds to draw from.
        masks (Sequence[Path]): Masks given by the user, used in turn; empty: masks are drawn.
        seed (int): Base seed.

    Returns:
        list[Item]: ``count`` items.
    """
    plan = []
    for index in range(count):
        image, draw = images[index % len(images)], index // len(images)
        own = derive_seed(seed, image.relative_to(root).as_posix(), draw)
        kind = str(numpy_generator(own, "kind").choice(list(kinds)))
        mask = masks[index % len(masks)] if masks else None
        plan.append(Item(index, image, mask, kind, own, f"{index:06d}_{image.stem}"))
    return plan


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
        out (Path): Folder to write; must be absent or empty.
        count (int): Number of pairs.
        weights (str): ``default`` or a bundle file.
        defects (Sequence[str] | None): Kinds to paint; None: every kind of the bundle.
        masks (Path | None): Folder of masks to use in turn, each of its image's size; None: masks are drawn.
        seed (int): Base seed.
        steps (int): Sampling steps, 4 to 1000.
        batch_size (int): Pairs painted together; part of what decides the last bits of a pixel.
        device (str): ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        layout (Layout): ``folder``: ``image/<kind>``, ``mask/<kind>``; ``mvtec``: a category that ``MVTecAD`` reads.
        on_unreadable (Literal["fail", "skip"]): What to do with an image that cannot be used.
        progress (Callable[[int, int], None] | None): Called with pairs finished and planned.

    Returns:
        dict[str, object]: ``out``, ``pairs`` written, ``skipped`` and ``kinds`` (count by kind).

    Raises:
        StageError: If an argument, image, mask or bundle cannot be used; the message says which.
    """
    if count < 1 or batch_size < 1:
        msg = f"--count is {count} and --batch-size {batch_size}; both must be at least 1"
        raise InputError(msg)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        msg = f"--out {out} is not an empty folder; choose another, or remove it"
        raise InputError(msg)
    settings = SynthesisSettings(sampler=checked(SamplerSettings, steps=steps))
    synthesizer = StageSynthesizer.from_pretrained(weights, device=device, settings=settings)
    kinds = _kinds(synthesizer, defects)
    root = data / "train" / "good" if (data / "train" / "good").is_dir() else data
    images = find_images(root)
    plan = make_plan(
        images, root=root, count=count, kinds=kinds, masks=find_images(masks) if masks else [], seed=seed
    )
    lines, skipped = [], 0
    for start in range(0, count, batch_size):
        batch = plan[start : start + batch_size]
        loaded = _load(batch, skip=on_unreadable == "skip")
        skipped += len(batch) - len(loaded)
        for item, before, after, mask in _painted(synthesizer, loaded):
            lines.append(_write(item, before, after, mask, out=out, root=root, layout=layout))
        if progress is not None:
            progress(min(start + batch_size, count), count)
    if not lines:
        msg = f"{root}: none of the {count} planned pairs could be made; see the messages above"
        raise DataError(msg)
    lines.sort(key=lambda line: int(str(line["index"])))
    written = {str(line["source"]) for line in lines}
    if layout == "mvtec":
        _write_good([path for path in images if path.relative_to(root).as_posix() in written], out)
    header = {"bundle": synthesizer.bundle.digest, "seed": seed, "steps": steps, "layout": layout}
    text = "".join(json.dumps(line | header, sort_keys=True) + "\n" for line in lines)
    write_file(out / "manifest.jsonl", text.encode())
    counts = {kind: sum(line["kind"] == kind for line in lines) for kind in kinds}
    return {"out": str(out), "pairs": len(lines), "skipped": skipped, "kinds": counts}


def _kinds(synthesizer: StageSynthesizer, defects: Sequence[str] | None) -> list[str]:
    unknown = sorted(set(defects or ()) - set(synthesizer.kinds))
    if unknown:
        msg = f"unknown defect {unknown[0]!r}; this bundle paints {', '.join(synthesizer.kinds)}"
        raise InputError(msg)
    return list(defects) if defects else list(synthesizer.kinds)


Loaded = tuple[Item, "NDArray[np.uint8]", "NDArray[np.bool_] | None"]


def _load(batch: Sequence[Item], *, skip: bool) -> list[Loaded]:
    loaded: list[Loaded] = []
    for item in batch:
        try:
            image = read_image(item.image)
            if min(image.shape[:2]) < MIN_IMAGE_SIDE:
                msg = f"{item.image}: {image.shape[1]}x{image.shape[0]} px; at least {MIN_IMAGE_SIDE} px a side are needed"
                raise DataError(msg)
        except DataError as error:
            if not skip:
                raise
            logger.warning("skipped: %s", error)
            continue
        size = (image.shape[0], image.shape[1])
        loaded.append((item, image, read_mask(item.mask, size=size, image=item.image) if item.mask else None))
    return loaded


def _painted(
    synthesizer: StageSynthesizer, loaded: Sequence[Loaded]
) -> Iterator[tuple[Item, NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_]]]:
    """Paint images of one size together; yields item, image before, image after, mask."""
    sizes = dict.fromkeys(image.shape for _, image, _ in loaded)
    for size in sizes:
        group = [entry for entry in loaded if entry[1].shape == size]
        pixels = torch.from_numpy(np.stack([image for _, image, _ in group])).permute(0, 3, 1, 2)
        masks = [mask for _, _, mask in group if mask is not None]
        pair = synthesizer(
            pixels.float() / 255.0,
            defects=[item.kind for item, _, _ in group],
            masks=torch.from_numpy(np.stack(masks))[:, None] if masks else None,
            seeds=[item.seed for item, _, _ in group],
        )
        after = (pair.image * 255.0).round().byte().permute(0, 2, 3, 1).numpy()
        for (item, image, _), painted, mask in zip(group, after, pair.mask[:, 0].numpy(), strict=True):
            yield item, image, painted, mask


def _write(
    item: Item,
    before: NDArray[np.uint8],
    after: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    *,
    out: Path,
    root: Path,
    layout: Layout,
) -> dict[str, object]:
    """Write one pair and return its line of the manifest."""
    if layout == "folder":
        image_name, mask_name = f"image/{item.kind}/{item.name}.png", f"mask/{item.kind}/{item.name}.png"
    else:
        image_name = f"test/stage_{item.kind}/{item.name}.png"
        mask_name = f"ground_truth/stage_{item.kind}/{item.name}_mask.png"
    files = {image_name: encode_png(after), mask_name: encode_png(mask.astype(np.uint8) * np.uint8(255))}
    for name, content in files.items():
        write_file(out / name, content)
    change = np.abs(after.astype(np.int16) - before).max(axis=2)[mask]
    return {
        "index": item.index,
        "image": image_name,
        "mask": mask_name,
        "image_sha256": hashlib.sha256(files[image_name]).hexdigest(),
        "mask_sha256": hashlib.sha256(files[mask_name]).hexdigest(),
        "source": item.image.relative_to(root).as_posix(),
        "kind": item.kind,
        "pair_seed": item.seed,
        "mask_area": int(mask.sum()),
        "mean_change": round(float(change.mean()), 2),
    }


def _write_good(images: Sequence[Path], out: Path) -> None:
    """Copy the good images as PNG: anomalib's ``MVTecAD`` needs a training and a test split of them."""
    for position, path in enumerate(images):
        split = "test" if position % TEST_SHARE == TEST_SHARE - 1 or position == 0 < len(images) - 1 else "train"
        write_file(out / split / "good" / f"{position:06d}_{path.stem}.png", encode_png(read_image(path)))
