# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``anomalib-stage pregenerate``: image and mask pairs in a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from anomalib_stage.commands.progress import Progress, is_first

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["pregenerate"]


def pregenerate(
    *,
    data: Path,
    out: Path,
    count: int,
    weights: str = "default",
    defects: list[str] | None = None,
    masks: Path | None = None,
    seed: int = 0,
    sampling_steps: int | None = None,
    strength: tuple[float, float] | None = None,
    foreground: Literal["auto", "none"] | None = None,
    min_visibility: float | None = None,
    trim: bool = False,
    synthesis: dict[str, Any] | None = None,
    batch_size: int = 64,
    device: str = "auto",
    layout: Literal["folder", "mvtec"] = "folder",
    on_unreadable: Literal["fail", "skip"] = "fail",
    white_level: int | None = None,
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
        masks: Folder of masks named like the images (017_mask.png), else used in turn (1, 2, 10); drawn if not given.
        seed: Base seed; the same arguments give the same files.
        sampling_steps: Sampling steps, 4 to 1000; as many as the bundle's backbone needs if not given.
        strength: Weakest and strongest anomaly, each in (0, 1]: its share of the way from clean; 1 if not given.
        foreground: "auto", the default, keeps drawn masks on the object, "none" lets them lie anywhere.
        min_visibility: Least change inside a mask, 1 = that of repainted good surface; 0: any; 1.2 if not given.
        trim: Take pixels without visible change out of the masks.
        synthesis: Settings of painting that differ from the defaults, as JSON: '{"gate": {"trim": true}}'.
        batch_size: Most pairs painted together, fewer of images above 360 px.
        device: auto, cpu, cuda or cuda:N.
        layout: "folder" (image/<defect>, mask/<defect>) or "mvtec" (a category that anomalib's MVTecAD reads).
        on_unreadable: What to do with an image that cannot be used.
        white_level: Largest value of a pixel in images deeper than 8 bit, such as 4095; found over all if not given.
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
        sampling_steps=sampling_steps,
        strength=strength,
        foreground=foreground,
        min_visibility=min_visibility,
        trim=trim,
        synthesis=synthesis,
        batch_size=batch_size,
        device=device,
        layout=layout,
        on_unreadable=on_unreadable,
        white_level=white_level,
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
