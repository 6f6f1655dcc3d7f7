# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Commands that paint pairs, and look at what was painted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from anomalib_stage.commands.progress import Progress, is_first
from anomalib_stage.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["pregenerate", "preview", "verify"]


def pregenerate(
    *,
    data: Path,
    out: Path,
    count: int,
    weights: str = "default",
    defects: list[str] | None = None,
    masks: Path | None = None,
    seed: int = 0,
    steps: int | None = None,
    strength: tuple[float, float] = (1.0, 1.0),
    foreground: Literal["auto", "none"] = "auto",
    min_visibility: float | None = None,
    trim: bool = False,
    batch_size: int = 64,
    device: str = "auto",
    layout: Literal["folder", "mvtec"] = "folder",
    on_unreadable: Literal["fail", "skip"] = "fail",
    devices: int = 1,
    num_nodes: int = 1,
    coco: bool = False,
    dry_run: bool = False,
) -> Iterator[str]:
    """Write synthetic image and mask pairs to a folder, or finish what an earlier run has begun.

    Args:
        data: Folder of good images (searched recursively), or a data set root with train/good.
        out: Folder to write: absent, empty, or begun by the same command; outside the good images.
        count: Number of pairs.
        weights: "default" or a bundle file.
        defects: Defects to paint, one or more; all defects of the bundle if not given.
        masks: Folder of masks to use in turn, each of its image's size; drawn if not given.
        seed: Base seed; the same arguments give the same files.
        steps: Sampling steps, 4 to 1000; as many as the bundle's backbone needs if not given.
        strength: Weakest and strongest anomaly, each in (0, 1]: how far a picture leaves the clean surface.
        foreground: "auto" keeps drawn masks on the object, "none" lets them lie anywhere.
        min_visibility: Least change inside a mask, 1 = that of repainted good surface; 0: any; 1.2 if not given.
        trim: Take pixels without visible change out of the masks.
        batch_size: Most pairs painted together, fewer of images above 360 px.
        device: auto, cpu, cuda or cuda:N.
        layout: "folder" (image/<defect>, mask/<defect>) or "mvtec" (a category that anomalib's MVTecAD reads).
        on_unreadable: What to do with an image that cannot be used.
        devices: Devices of this machine to use, one process for each.
        num_nodes: Machines; start the same command on each, with a folder that they share.
        coco: Write annotations.json in COCO's format too.
        dry_run: Print the plan, one JSON line for each pair, and write nothing.
    """
    from anomalib_stage.pregeneration.prepare import prepare
    from anomalib_stage.pregeneration.run import check, run

    job = prepare(
        data=data,
        out=out,
        count=count,
        weights=weights,
        defects=defects,
        masks=masks,
        seed=seed,
        steps=steps,
        strength=strength,
        foreground=foreground,
        min_visibility=min_visibility,
        trim=trim,
        batch_size=batch_size,
        device=device,
        layout=layout,
        on_unreadable=on_unreadable,
    )
    if dry_run:
        check(job, devices=devices, num_nodes=num_nodes, coco=coco)
        job.check()
        yield from map(json.dumps, job.rows())
        return
    with Progress("painting", count) as progress:
        result = run(job, devices=devices, num_nodes=num_nodes, coco=coco, progress=progress)
    if is_first():
        yield json.dumps(result)


def verify(*, folder: Path) -> Iterator[str]:
    """Check every file that pregenerate wrote against its SHA-256; exit status 1 if one is damaged or missing.

    Args:
        folder: Folder that pregenerate wrote, finished or not.
    """
    from anomalib_stage.pregeneration.verify import verify as run

    result, problems = run(folder)
    yield json.dumps(result)
    yield from problems
    if problems or result["remaining"]:
        msg = (
            f"{folder}: {len(problems)} files are damaged or missing, {result['remaining']} pairs are not finished; "
            "run the same pregenerate command again to mend it"
        )
        raise DataError(msg)


def preview(
    *,
    data: Path,
    out: Path,
    html: Path | None = None,
    weights: str = "default",
    defects: list[str] | None = None,
    count: int = 8,
    seed: int = 0,
    steps: int | None = None,
    strength: tuple[float, float] = (1.0, 1.0),
    foreground: Literal["auto", "none"] = "auto",
    device: str = "auto",
    size: int | None = None,
) -> Iterator[str]:
    """Show what a bundle paints, as a PNG grid and a page: clean, mask, synthetic, difference x4, zoom.

    Args:
        data: Folder of good images (searched recursively), or a data set root with train/good.
        out: PNG grid to write.
        html: Page to write too, one file: flip between clean and synthetic, filter by defect, histograms, settings.
        weights: "default" or a bundle file.
        defects: Defects to paint in turn, one or more ("good" too); all defects of the bundle if not given.
        count: Images to paint, spread over the folder.
        seed: Base seed.
        steps: Sampling steps, 4 to 1000; as many as the bundle's backbone needs if not given.
        strength: Weakest and strongest anomaly, each in (0, 1].
        foreground: "auto" keeps masks on the object, "none" lets them lie anywhere.
        device: auto, cpu, cuda or cuda:N.
        size: Resize images to this side in pixels first.
    """
    from anomalib_stage.preview.preview import preview as run

    yield str(
        run(
            data=data,
            out=out,
            html=html,
            weights=weights,
            defects=defects,
            count=count,
            seed=seed,
            steps=steps,
            strength=strength,
            foreground=foreground,
            device=device,
            size=size,
        )
    )
    if html is not None:
        yield str(html)
