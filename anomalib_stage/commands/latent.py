# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Commands for the latent backbone: convert what the published code trained, and fit on a pretrained model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["convert", "fit_latent", "store_base"]

Precision = Literal["fp32", "fp16", "bf16"]


def store_base(
    *,
    pretrained: str,
    out: Path,
    ldm_config: Path | None = None,
    precision: Precision = "fp16",
    download: bool = False,
) -> Iterator[str]:
    """Write the base that slim bundles (fit-latent --slim, convert --slim) need beside them.

    Args:
        pretrained: Folder of diffusers, single-file checkpoint, or owner/name@commit on the hub.
        out: Folder of the bundles.
        ldm_config: Original YAML configuration of a single-file checkpoint that is not a known one.
        precision: As the bundles were made: fp32, fp16 or bf16.
        download: Fetch a hub id that is not in the local cache.
    """
    from anomalib_stage.weights.latent.frozen_base import PRECISIONS, base_name, frozen_tensors, write_base
    from anomalib_stage.weights.latent.pretrained import load_pretrained

    model = load_pretrained(pretrained, config=ldm_config, download=download)
    digest = write_base(frozen_tensors(model.unet, model.vae, dtype=PRECISIONS[precision]), out)
    yield str(out / base_name(digest))


def convert(
    *,
    published: Path,
    ldm: Path,
    out: Path,
    step: int | None = None,
    defects: list[str] | None = None,
    ldm_config: Path | None = None,
    precision: Precision = "fp16",
    slim: bool = False,
) -> Iterator[str]:
    """Make a bundle of the embeddings and adapters that the published code trained. Pickles are never executed.

    Args:
        published: Folder with embeddings_gs-N.pt, fine_mask-N.pt and fine_image-N.pt.
        ldm: Checkpoint of their base, text2img-large (model.ckpt).
        out: Bundle to write (.safetensors).
        step: N, where the folder has several.
        defects: Names in the embeddings to keep; the trained ones if not given.
        ldm_config: Original YAML configuration of the base, if it is not text2img-large.
        precision: How the base is stored: fp32, fp16 or bf16.
        slim: Leave the base out of the bundle; it goes into a file beside it, once for all bundles.
    """
    from anomalib_stage.weights.latent.convert import convert as run
    from anomalib_stage.weights.latent.frozen_base import PRECISIONS

    dtype, base = PRECISIONS[precision], out.parent if slim else None
    bundle = run(published, ldm, step=step, defects=defects, config=ldm_config, dtype=dtype, base=base)
    yield str(bundle.save(out))


def fit_latent(
    *,
    out: Path,
    pretrained: str,
    defects: Path,
    masks: Path,
    normal: Path | None = None,
    include: Path | None = None,
    words: dict[str, str] | None = None,
    loss: Literal["graded", "reference"] = "graded",
    adapter: Literal["residual", "published", "none"] = "residual",
    lora_rank: int = 0,
    max_steps: int | None = None,
    max_time: str | None = None,
    batch_size: int = 4,
    learning_rate: float | None = None,
    seed: int = 0,
    device: str = "auto",
    workdir: Path | None = None,
    ldm_config: Path | None = None,
    download: bool = False,
    slim: bool = False,
    resume: bool = False,
) -> Iterator[str]:
    """Teach a pretrained text-to-image model defects (the paper's backbone), and write its bundle.

    Args:
        out: Bundle to write (.safetensors).
        pretrained: Folder of diffusers, single-file checkpoint, or owner/name@commit on the hub.
        defects: Folder with one sub-folder of defect images for each defect.
        masks: Folder with the same sub-folders of masks, <stem>_mask.png or <stem>.png.
        normal: Folder of good images, searched recursively; teaches "good".
        include: JSON file {defect: [stems]} of the defects to use.
        words: Words whose meaning defects start from, {defect: word}; needs a text encoder.
        loss: "graded", or "reference", the published one.
        adapter: Adapters to train: "residual", "published" or "none".
        lora_rank: Rank of additions to the U-Net's attention; 0: none.
        max_steps: Steps in total; 2000 if neither limit is given.
        max_time: Wall-clock limit HH:MM:SS.
        batch_size: Regions in a step.
        learning_rate: Peak learning rate; 1e-3, with the published loss 1.6e-2, if not given.
        seed: Base seed.
        device: auto, cpu, cuda or cuda:N.
        workdir: Encoded regions, checkpoints and logs; <out without suffix>-fit by default.
        ldm_config: Original YAML configuration of a single-file checkpoint that is not a known one.
        download: Fetch a hub id that is not in the local cache.
        slim: Leave the model out of the bundle; it goes into a base file beside it, once for all bundles.
        resume: Go on from the last checkpoint in workdir.
    """
    from anomalib_stage.settings import validated
    from anomalib_stage.training.latent.fit import fit_latent as run
    from anomalib_stage.training.latent.settings import LatentFitSettings

    settings = validated(
        LatentFitSettings,
        loss=loss,
        adapter={"name": adapter},
        lora_rank=lora_rank,
        max_steps=max_steps,
        max_time=max_time,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
    )
    yield str(
        run(
            out=out,
            pretrained=pretrained,
            defect_dir=defects,
            defect_mask_dir=masks,
            normal=normal,
            include=include,
            words=words,
            settings=settings,
            device=device,
            workdir=workdir,
            ldm_config=ldm_config,
            download=download,
            slim=slim,
            resume=resume,
        )
    )
