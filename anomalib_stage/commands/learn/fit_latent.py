# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``anomalib-stage fit-latent``: the paper's backbone, taught defects."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from anomalib_stage.commands.options import options_of
from anomalib_stage.settings import validated
from anomalib_stage.training.latent.settings import LatentFitSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

OWN = ("tokens", "regions", "region_size", "gradient_checkpointing", "precision")
"""Settings without an option."""

__all__ = ["fit_latent"]


@options_of(LatentFitSettings, without=OWN, types={"adapter": Literal["residual", "published", "none"]})
def fit_latent(  # noqa: D417 - the settings say what they are
    *,
    out: Path,
    pretrained: str,
    defect_dir: Path,
    defect_mask_dir: Path,
    data: Path | None = None,
    split: Path | None = None,
    rename: dict[str, str] | None = None,
    words: dict[str, str] | None = None,
    device: str = "auto",
    workdir: Path | None = None,
    ldm_config: Path | None = None,
    download: bool = False,
    slim: bool = False,
    resume: bool = False,
    white_level: int | None = None,
    **settings: Any,  # noqa: ANN401 - those of LatentFitSettings
) -> Iterator[str]:
    """Teach a pretrained text-to-image model defects (the paper's backbone), and write its bundle.

    Args:
        out: Bundle to write (.safetensors).
        pretrained: Folder of diffusers, single-file checkpoint, or owner/name@commit on the hub.
        defect_dir: Folder with one sub-folder of defect images for each defect.
        defect_mask_dir: Folder with the same sub-folders of masks, <stem>_mask.png or <stem>.png (any image format).
        data: Folder of good images, searched recursively; teaches "good".
        split: JSON file {defect: [stems]} of the defects to use.
        rename: Names to learn folders under, {folder: defect}; two folders may share one.
        words: Words whose meaning defects start from, {defect: word}; needs a text encoder.
        device: auto, cpu, cuda or cuda:N.
        workdir: Encoded regions, checkpoints and logs; <out without suffix>-fit by default.
        ldm_config: Original YAML configuration of a single-file checkpoint that is not a known one.
        download: Fetch a hub id that is not in the local cache.
        slim: Leave the model out of the bundle; it goes into a base file beside it, once for all bundles.
        resume: Go on from the last checkpoint in workdir.
        white_level: Largest value of a pixel in images deeper than 8 bit, such as 4095; found over all if not given.
    """
    from anomalib_stage.training.latent.fit import fit_latent as run

    yield str(
        run(
            out=out,
            pretrained=pretrained,
            defect_dir=defect_dir,
            defect_mask_dir=defect_mask_dir,
            data=data,
            split=split,
            rename=rename,
            words=words,
            settings=validated(LatentFitSettings, **settings),
            device=device,
            workdir=workdir,
            ldm_config=ldm_config,
            download=download,
            slim=slim,
            resume=resume,
            white_level=white_level,
        )
    )
