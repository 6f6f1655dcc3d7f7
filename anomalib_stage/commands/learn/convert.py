# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``anomalib-stage convert``: a bundle of what the published code trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["convert"]


def convert(
    *,
    published: Path,
    ldm: Path,
    out: Path,
    step: int | None = None,
    defects: list[str] | None = None,
    ldm_config: Path | None = None,
    precision: Literal["fp32", "fp16", "bf16"] = "fp16",
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
