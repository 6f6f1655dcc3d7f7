# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Real classes of diffusers at toy size, with random weights: U-Net of two blocks, autoencoder of two blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel

from anomalib_stage.synthesis.diffusion.latent_denoiser import LatentDenoiser
from anomalib_stage.synthesis.diffusion.schedule import REFERENCE_SCHEDULE
from anomalib_stage.weights.bundle import StageBundle
from anomalib_stage.weights.latent.bundle import build_latent_bundle
from anomalib_stage.weights.latent.networks import build_adapter
from anomalib_stage.weights.latent_manifest import AdapterSpec
from anomalib_stage.weights.manifest import DefectSpec

CONTEXT = 32
SIDE = 32
RESIDUAL = AdapterSpec(name="residual", widths=(16, 16), groups=4)
DEFECT_NAMES = {"scratch": ("scratch",), "good": ("blob",)}


def tiny_unet(*, in_channels: int = 4, seed: int = 0) -> UNet2DConditionModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return UNet2DConditionModel(
            sample_size=SIDE // 2,
            in_channels=in_channels,
            out_channels=4,
            block_out_channels=(16, 32),
            layers_per_block=1,
            norm_num_groups=8,
            cross_attention_dim=CONTEXT,
            attention_head_dim=4,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        ).eval()


def tiny_vae(seed: int = 1, **config: Any) -> AutoencoderKL:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AutoencoderKL(
            **{
                "block_out_channels": (16, 32),
                "norm_num_groups": 8,
                "latent_channels": 4,
                "layers_per_block": 1,
                "down_block_types": ("DownEncoderBlock2D",) * 2,
                "up_block_types": ("UpDecoderBlock2D",) * 2,
                "sample_size": SIDE,
                **config,
            }
        ).eval()


def tiny_latent_bundle(
    *,
    adapter: AdapterSpec = RESIDUAL,
    inpainting: bool = False,
    sample: bool = False,
    dtype: torch.dtype = torch.float32,
    **options: Any,
) -> StageBundle:
    generator = torch.Generator().manual_seed(2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        adapters = {branch: build_adapter(adapter, channels=4) for branch in ("aware", "only")}
    denoiser = LatentDenoiser(
        tiny_unet(in_channels=9 if inpainting else 4),
        conditions={defect: torch.randn(5, CONTEXT, generator=generator) for defect in DEFECT_NAMES},
        inpainting=inpainting,
        **adapters,
    )
    return build_latent_bundle(
        denoiser,
        tiny_vae(),
        adapter=adapter,
        defects=[DefectSpec(name=defect, shapes=shapes) for defect, shapes in DEFECT_NAMES.items()],
        schedule=REFERENCE_SCHEDULE,
        region_size=SIDE,
        sample=sample,
        dtype=dtype,
        **options,
    )


def write_folder(folder: Path, *, inpainting: bool = False) -> Path:
    """Write the toy model as a folder of diffusers."""
    tiny_unet(in_channels=9 if inpainting else 4).save_pretrained(folder / "unet")
    tiny_vae().save_pretrained(folder / "vae")
    DDPMScheduler(**REFERENCE_SCHEDULE).save_pretrained(folder / "scheduler")
    return folder
