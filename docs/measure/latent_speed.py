# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""How fast a latent backbone paints, and how much memory it takes at most: measured, with random weights of real size.

No download is needed: time and memory do not depend on what the weights are. Whole painting is measured, from images
to images: encoding, sampling, decoding, matching of colours. Every surface is a new one, so no encoding is reused. For
each side, precision and mode: pairs painted in a second (median of the rounds), the most memory that torch had
allocated, and the seconds of the first call, in which a compiled network is compiled.

    python docs/measure/latent_speed.py [--base sd1|text2img-large|tiny] [--sides 256 512] [--precisions fp16 bf16]
        [--modes eager compiled] [--regions 8] [--sampling-steps 20] [--rounds 5] [--device auto]

``tiny`` is for a try on a CPU; there the memory is not measured.
"""

from __future__ import annotations

import argparse
import gc
import time
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.utils import logging
from latent_memory import CONTEXT, GIB, configurations

from anomalib_stage import StageSynthesizer
from anomalib_stage.devices import resolve_device
from anomalib_stage.settings import GateSettings, LatentSettings, SamplerSettings, SynthesisSettings
from anomalib_stage.synthesis.diffusion.latent_denoiser import LatentDenoiser
from anomalib_stage.synthesis.diffusion.schedule import REFERENCE_SCHEDULE
from anomalib_stage.weights.bundle import StageBundle
from anomalib_stage.weights.latent.bundle import build_latent_bundle
from anomalib_stage.weights.latent.networks import build_adapter
from anomalib_stage.weights.latent_manifest import AdapterSpec
from anomalib_stage.weights.manifest import DefectSpec

TINY: tuple[dict[str, Any], dict[str, Any]] = (
    {
        "block_out_channels": (16, 32),
        "layers_per_block": 1,
        "norm_num_groups": 8,
        "cross_attention_dim": 32,
        "attention_head_dim": 4,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    },
    {
        "block_out_channels": (16, 32),
        "norm_num_groups": 8,
        "latent_channels": 4,
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2,
    },
)


def bundle_of(base: str, side: int) -> StageBundle:
    """Make a bundle of random weights for regions of a side."""
    network, autoencoder = TINY if base == "tiny" else configurations(base)
    adapter = AdapterSpec(name="residual")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        unet, vae = UNet2DConditionModel(**network), AutoencoderKL(**autoencoder)
        aware, only = (build_adapter(adapter, channels=4) for _ in range(2))
    conditions = {"scratch": torch.zeros(77, unet.config.cross_attention_dim)}
    return build_latent_bundle(
        LatentDenoiser(unet, conditions=conditions, aware=aware, only=only),
        vae,
        adapter=adapter,
        defects=[DefectSpec(name="scratch", shapes=("scratch",))],
        schedule=REFERENCE_SCHEDULE,
        region_size=side,
    )


def measure(bundle: StageBundle, latent: LatentSettings, given: argparse.Namespace) -> tuple[float, float, float]:
    """Paint some batches -> regions a second, most memory in GiB (NaN on a CPU), seconds of the first batch."""
    device, side = resolve_device(given.device), bundle.manifest.region_size
    cuda = device.type == "cuda"
    settings = SynthesisSettings(
        sampler=SamplerSettings(steps=given.sampling_steps), gate=GateSettings(min_visibility=0.0), latent=latent
    )
    synthesizer = StageSynthesizer(bundle, device=device, synthesis=settings)
    masks = torch.zeros(given.regions, 1, side, side, dtype=torch.bool)
    masks[..., side // 4 : side // 2, side // 4 : side // 2] = True
    seconds = []
    for turn in range(1 + given.rounds):
        stream = torch.Generator().manual_seed(turn)
        images = torch.rand(given.regions, 3, side, side, generator=stream).to(device)
        if cuda:
            torch.cuda.synchronize()
            if turn == 1:
                torch.cuda.reset_peak_memory_stats()
        start = time.perf_counter()
        synthesizer(images, masks=masks, seeds=turn)
        if cuda:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    peak = torch.cuda.max_memory_allocated() / GIB if cuda else float("nan")
    return given.regions / float(np.median(seconds[1:])), peak, seconds[0]


def main() -> None:
    """Measure everything that was asked for, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", choices=[*sorted(CONTEXT), "tiny"], default="sd1")
    parser.add_argument("--sides", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--precisions", choices=["fp32", "fp16", "bf16"], nargs="+", default=["fp16", "bf16"])
    parser.add_argument("--modes", choices=["eager", "compiled"], nargs="+", default=["eager", "compiled"])
    parser.add_argument("--regions", type=int, default=8)
    parser.add_argument("--sampling-steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    logging.set_verbosity_error()
    device = resolve_device(given.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    steps = f"{given.sampling_steps} steps"
    print(f"{given.base}, {given.regions} regions at once, {steps}, {name}, torch {torch.__version__}\n")
    print("| side | precision | mode | regions/s | peak GiB | first call, s |\n|---|---|---|---|---|---|")
    for side in given.sides:
        bundle = bundle_of(given.base, side)
        for precision in given.precisions:
            for mode in given.modes:
                latent = LatentSettings(precision=precision, batch=given.regions, compile=mode == "compiled")
                speed, peak, first = measure(bundle, latent, given)
                print(f"| {side} | {precision} | {mode} | {speed:.3g} | {peak:.2f} | {first:.1f} |", flush=True)
                gc.collect()
                torch.compiler.reset()
                if device.type == "cuda":
                    torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
