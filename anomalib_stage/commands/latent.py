# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Commands for the latent backbone: convert what the published code trained, and fit on a pretrained model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["convert"]

Precision = Literal["fp32", "fp16", "bf16"]


def convert(
    *,
    published: Path,
    ldm: Path,
    out: Path,
    step: int | None = None,
    defects: list[str] | None = None,
    ldm_config: Path | None = None,
    precision: Precision = "fp16",
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
    """
    import torch

    from anomalib_stage.weights.convert import convert as run

    dtype = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[precision]
    bundle = run(published, ldm, step=step, defects=defects, config=ldm_config, dtype=dtype)
    yield str(bundle.save(out))
