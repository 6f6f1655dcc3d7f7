# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``anomalib-stage preview``: what a bundle paints into given images, as a picture and a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["preview"]


def preview(
    *,
    data: Path,
    out: Path,
    html: Path | None = None,
    weights: str = "default",
    defects: list[str] | None = None,
    count: int = 8,
    seed: int = 0,
    sampling_steps: int | None = None,
    strength: tuple[float, float] | None = None,
    foreground: Literal["auto", "none"] | None = None,
    synthesis: dict[str, Any] | None = None,
    device: str = "auto",
    size: int | None = None,
    white_level: int | None = None,
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
        sampling_steps: Sampling steps, 4 to 1000; as many as the bundle's backbone needs if not given.
        strength: Weakest and strongest anomaly, each in (0, 1]; full strength if not given.
        foreground: "auto", the default, keeps masks on the object, "none" lets them lie anywhere.
        synthesis: Settings of painting that differ from the defaults, as JSON: '{"gate": {"trim": true}}'.
        device: auto, cpu, cuda or cuda:N.
        size: Resize images to this side in pixels first.
        white_level: Largest value of a pixel in images deeper than 8 bit, such as 4095; found over all if not given.
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
            sampling_steps=sampling_steps,
            strength=strength,
            foreground=foreground,
            synthesis=synthesis,
            device=device,
            size=size,
            white_level=white_level,
        )
    )
    if html is not None:
        yield str(html)
