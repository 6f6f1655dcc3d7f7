# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Pretrained text-to-image models as a latent backbone: a folder of diffusers, a single file, or a hub id.

Nothing is downloaded unless asked for, only from a pinned revision, and of weights only safetensors.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel

from anomalib_stage.errors import BundleError
from anomalib_stage.weights.latent.ldm import ldm_parts
from anomalib_stage.weights.latent.ldm_text import PREFIX, load_text_encoder
from anomalib_stage.weights.latent.pickles import read_checkpoint
from anomalib_stage.weights.latent.text_encoder import encode_word, has_text_encoder

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Pretrained", "load_pretrained"]

HUB = re.compile(r"(?P<repository>[\w-][\w.-]*/[\w-][\w.-]*)(@(?P<revision>\S*))?")
COMMIT = re.compile(r"[0-9a-f]{40}")
WANTED = ("model_index.json", "unet/*", "vae/*", "scheduler/*", "text_encoder/*", "tokenizer/*", "vqvae/*", "bert/*")
UNWANTED = ("*.bin", "*.pt", "*.ckpt", "*.msgpack", "*.onnx", "*.h5", "*.xml", "*.pb")
SCHEDULE_KEYS = (
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "prediction_type",
    "rescale_betas_zero_snr",
)


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A model to fit on.

    Args:
        unet (UNet2DConditionModel): float32, frozen.
        vae (AutoencoderKL): float32, frozen.
        schedule (dict[str, Any]): Noise schedule.
        region_size (int): Side of a region that it was trained on, in pixels.
        origin (str): Where it comes from.
        context (Tensor | None): What the U-Net attends to at the caption "Anomaly", ``(N, D)``, where that is known
            without a tokenizer.
        place (Path | None): Folder of diffusers or single file, which may hold a text encoder.
    """

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    schedule: dict[str, Any]
    region_size: int
    origin: str
    context: Tensor | None = None
    place: Path | None = None

    @property
    def inpainting(self) -> bool:
        """Whether the U-Net takes a mask and the surface around it."""
        return int(self.unet.config.in_channels) != int(self.vae.config.latent_channels)

    @property
    def has_text_encoder(self) -> bool:
        """Whether words can be encoded."""
        return self.place is not None and has_text_encoder(self.place)

    def encoded(self, word: str) -> Tensor:
        """Encode a word with the model's own text encoder -> ``(N, D)`` float32.

        Raises:
            BundleError: If it has none, or it cannot be read.
            MissingPackageError: If transformers is not installed.
        """
        if not self.has_text_encoder or self.place is None:
            what = "text encoder here" if self.context is None else "folder tokenizer of bert-base-uncased beside it"
            msg = f"{self.origin}: no {what}, so it cannot start from the word {word!r}; leave words out"
            raise BundleError(msg)
        return encode_word(self.place, word)


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
        return _from_folder(path, origin=path.name)
    if path.is_file():
        return _from_file(path, config=config)
    hub = HUB.fullmatch(str(source))
    if hub is None or path.suffix in {".ckpt", ".safetensors"}:
        msg = f"{source}: no such file or folder; give a folder of diffusers, a checkpoint, or owner/name@commit"
        raise BundleError(msg)
    folder = _snapshot(hub["repository"], hub["revision"] or "", download=download)
    return _from_folder(folder, origin=str(source))


def _from_folder(folder: Path, *, origin: str) -> Pretrained:
    name = "vqvae" if (folder / "vqvae").is_dir() else "vae"  # what text2img-large calls it
    unet, vae = _part(UNet2DConditionModel, folder, "unet"), _part(AutoencoderKL, folder, name)
    try:
        scheduler = dict(DDPMScheduler.load_config(folder, subfolder="scheduler", local_files_only=True))
    except (OSError, ValueError) as error:
        msg = f"{folder}: no scheduler/scheduler_config.json ({error}); give a whole folder of diffusers"
        raise BundleError(msg) from error
    schedule = {name: scheduler[name] for name in SCHEDULE_KEYS if scheduler.get(name) is not None}
    side = int(unet.config.sample_size) * 2 ** (len(vae.config.block_out_channels) - 1)
    return Pretrained(unet, vae, schedule, side, origin, place=folder)


def _part(cls: type[Any], folder: Path, name: str) -> Any:  # noqa: ANN401 - diffusers' classes are untyped here
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


def _from_file(path: Path, *, config: Path | None) -> Pretrained:
    weights = read_checkpoint(path)
    unet, vae, schedule, side = ldm_parts(weights, path=path, config=config)
    context, place = None, None
    if f"{PREFIX}token_emb.weight" in weights:
        context, place = load_text_encoder(weights, path=path).caption(), path
    return Pretrained(unet, vae, schedule, side, path.name, context=context, place=place)


def _snapshot(repository: str, revision: str, *, download: bool) -> Path:
    from huggingface_hub import snapshot_download

    if not COMMIT.fullmatch(revision):
        msg = f"{repository}: revision is {revision!r}; pin it, {repository}@<commit of 40 hexadecimal digits>"
        raise BundleError(msg)
    try:
        folder = snapshot_download(
            repository,
            revision=revision,
            allow_patterns=list(WANTED),
            ignore_patterns=list(UNWANTED),
            local_files_only=not download,
        )
    except Exception as error:  # of the hub, of its HTTP library, of the file system
        what = "cannot be fetched" if download else "is not in the local cache; give --download to fetch it"
        msg = f"{repository}@{revision} {what} ({type(error).__name__}: {str(error).splitlines()[0]})"
        raise BundleError(msg) from error
    return Path(folder)
