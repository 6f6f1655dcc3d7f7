# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Loading pretrained text-to-image models: from a folder of diffusers, a single file, or a hub id.

Nothing is downloaded unless asked for.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel

from anomalib_stage.errors import BundleError
from anomalib_stage.weights.latent.hub import fetch_snapshot
from anomalib_stage.weights.latent.ldm import load_ldm_parts
from anomalib_stage.weights.latent.ldm_text import PREFIX, load_text_encoder
from anomalib_stage.weights.latent.pickles import read_checkpoint
from anomalib_stage.weights.latent.pretrained_model import Pretrained

__all__ = ["load_pretrained"]


HUB = re.compile(r"(?P<repository>[\w-][\w.-]*/[\w-][\w.-]*)(@(?P<revision>\S*))?")

SCHEDULE_KEYS = (
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "prediction_type",
    "rescale_betas_zero_snr",
)


def load_pretrained(source: str | Path, *, config: Path | None = None, download: bool = False) -> Pretrained:
    """Load a pretrained text-to-image model.

    Args:
        source (str | Path): A folder that diffusers wrote (``unet``, ``vae``, ``scheduler``; safetensors); a
            single-file checkpoint of latent diffusion or Stable Diffusion (``.ckpt``, ``.safetensors``); or a hub id
            with its commit, ``owner/name@<40 hexadecimal digits>``.
        config (Path | None): Original YAML configuration of a single-file checkpoint; None for those that are known.
        download (bool): Fetch a hub id that is not in the local cache. ``HF_HUB_OFFLINE=1`` still forbids it.

    Returns:
        Pretrained: The model, on the CPU.

    Raises:
        BundleError: If it is missing, damaged, or not a model of this defect.
    """
    path = Path(source)
    if path.is_dir():
        return _load_folder(path, origin=path.name)
    if path.is_file():
        return _load_file(path, config=config)
    hub = HUB.fullmatch(str(source))
    if hub is None or path.suffix in {".ckpt", ".safetensors"}:
        msg = f"{source}: no such file or folder; give a folder of diffusers, a checkpoint, or owner/name@commit"
        raise BundleError(msg)
    folder = fetch_snapshot(hub["repository"], hub["revision"] or "", download=download)
    return _load_folder(folder, origin=str(source))


def _load_folder(folder: Path, *, origin: str) -> Pretrained:
    """Load a model from a folder that diffusers wrote."""
    name = "vqvae" if (folder / "vqvae").is_dir() else "vae"  # what text2img-large calls it
    unet, vae = _load_part(UNet2DConditionModel, folder, "unet"), _load_part(AutoencoderKL, folder, name)
    try:
        scheduler = dict(DDPMScheduler.load_config(folder, subfolder="scheduler", local_files_only=True))
    except (OSError, ValueError) as error:
        msg = f"{folder}: no scheduler/scheduler_config.json ({error}); give a whole folder of diffusers"
        raise BundleError(msg) from error
    schedule = {name: scheduler[name] for name in SCHEDULE_KEYS if scheduler.get(name) is not None}
    side = int(unet.config.sample_size) * 2 ** (len(vae.config.block_out_channels) - 1)
    return Pretrained(unet, vae, schedule, side, origin, place=folder)


def _load_part(cls: type[Any], folder: Path, name: str) -> Any:  # noqa: ANN401 - diffusers' classes are untyped here
    try:
        with torch.random.fork_rng(devices=[]):  # initial weights are drawn and overwritten at once
            model, found = cls.from_pretrained(
                folder,
                subfolder=name,
                use_safetensors=True,
                local_files_only=True,
                low_cpu_mem_usage=False,
                output_loading_info=True,
            )
    except Exception as error:  # diffusers reports damage in many ways
        msg = f"{folder}: {name} cannot be read ({error}); a folder of diffusers with safetensors is needed"
        raise BundleError(msg) from error
    wrong = [key for what in ("missing_keys", "unexpected_keys", "mismatched_keys") for key in found[what]]
    if wrong:
        msg = f"{folder}: {name} has {len(wrong)} missing, unknown or misshapen weights, such as {wrong[0]}"
        raise BundleError(msg)
    return model.float().eval().requires_grad_(requires_grad=False)


def _load_file(path: Path, *, config: Path | None) -> Pretrained:
    weights = read_checkpoint(path)
    unet, vae, schedule, side = load_ldm_parts(weights, path=path, config=config)
    context, place = None, None
    if f"{PREFIX}token_emb.weight" in weights:
        context, place = load_text_encoder(weights, path=path).encode_caption(), path
    return Pretrained(unet, vae, schedule, side, path.name, context=context, place=place)
