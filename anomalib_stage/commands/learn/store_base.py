# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``anomalib-stage store-base``: the base that slim bundles need beside them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["store_base"]


def store_base(
    *,
    pretrained: str,
    out: Path,
    ldm_config: Path | None = None,
    precision: Literal["fp32", "fp16", "bf16"] = "fp16",
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
    from anomalib_stage.weights.latent.frozen_base import (
        PRECISIONS,
        collect_frozen_tensors,
        format_base_name,
        write_base,
    )
    from anomalib_stage.weights.latent.pretrained import load_pretrained

    model = load_pretrained(pretrained, config=ldm_config, download=download)
    digest = write_base(collect_frozen_tensors(model.unet, model.vae, dtype=PRECISIONS[precision]), out)
    yield str(out / format_base_name(digest))
