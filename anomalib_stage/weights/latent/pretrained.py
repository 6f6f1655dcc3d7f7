# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Loading pretrained text-to-image models: from a folder of diffusers, a single file, or a hub id.

Nothing is downloaded unless asked for.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel

from anomalib_stage.errors import BundleError
from anomalib_stage.weights.config_checks import check_config_numbers, check_schedule
from anomalib_stage.weights.latent.hub import fetch_snapshot
from anomalib_stage.weights.latent.ldm import load_ldm_parts
from anomalib_stage.weights.latent.ldm_text import PREFIX, load_text_encoder
from anomalib_stage.weights.latent.pickles import read_checkpoint
from anomalib_stage.weights.latent.pretrained_model import Pretrained
from anomalib_stage.weights.tensor_file import check_finite

__all__ = ["load_pretrained"]


HUB = re.compile(r"(?P<repository>[\w-][\w.-]*/[\w-][\w.-]*)(@(?P<revision>\S*))?")

MOST_BYTES = 1_000_000
"""Largest configuration of diffusers in bytes."""

MOST_CELLS = 1024
"""Most latents along a side of what a model was trained on."""

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
        _read_config(folder / "scheduler" / "scheduler_config.json")
        scheduler = dict(DDPMScheduler.load_config(folder, subfolder="scheduler", local_files_only=True))
        schedule = {name: scheduler[name] for name in SCHEDULE_KEYS if scheduler.get(name) is not None}
        check_schedule(schedule)
    except Exception as error:  # diffusers reports damage in many ways
        msg = f"{folder}: no usable scheduler/scheduler_config.json ({error}); give a whole folder of diffusers"
        raise BundleError(msg) from error
    cells = unet.config.sample_size
    if type(cells) is not int or not 1 <= cells <= MOST_CELLS:
        msg = f"{folder}: sample_size in unet/config.json is {cells!r}; a number from 1 to {MOST_CELLS} is allowed"
        raise BundleError(msg)
    side = cells * 2 ** (len(vae.config.block_out_channels) - 1)
    return Pretrained(unet, vae, schedule, side, origin, place=folder)


def _load_part(cls: type[Any], folder: Path, name: str) -> Any:  # noqa: ANN401 - diffusers' classes are untyped here
    try:
        _check_size(cls, folder / name)
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
    check_finite(model.state_dict(), where=f"{folder}: {name}: ")
    return model.float().eval().requires_grad_(requires_grad=False)


def _check_size(cls: type[Any], folder: Path) -> None:
    """Refuse a configuration of a network that its files cannot hold the weights of, before it is built.

    Raises:
        ValueError: Says what does not fit.
    """
    config = _read_config(folder / "config.json")
    with torch.device("meta"):
        needed = sum(tensor.numel() for tensor in cls.from_config(config).state_dict().values())
    there = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    if needed > there:
        msg = f"config.json describes {needed} weights, but the safetensors files have {there} bytes"
        raise ValueError(msg)


def _read_config(file: Path) -> dict[str, Any]:
    """Read a JSON file of diffusers.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is not JSON, or of no believable size.
        RecursionError: If it is nested too deep.
    """
    if file.stat().st_size > MOST_BYTES:
        msg = f"{file.name} has {file.stat().st_size} bytes; at most {MOST_BYTES} are allowed"
        raise ValueError(msg)
    config = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(config, dict):
        msg = f"{file.name} holds {type(config).__name__}; a mapping is needed"
        raise ValueError(msg)  # noqa: TRY004 - what a file holds
    check_config_numbers(config, field=file.name)
    return config


def _load_file(path: Path, *, config: Path | None) -> Pretrained:
    weights = read_checkpoint(path)
    unet, vae, schedule, side = load_ldm_parts(weights, path=path, config=config)
    context, place = None, None
    if f"{PREFIX}token_emb.weight" in weights:
        context, place = load_text_encoder(weights, path=path).encode_caption(), path
    return Pretrained(unet, vae, schedule, side, path.name, context=context, place=place)
