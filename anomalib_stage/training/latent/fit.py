# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``anomalib-stage fit-latent``: teach a pretrained text-to-image model defects, and write its bundle.

U-Net and autoencoder stay as they are. Learnt are condition vectors for each defect and two mask guidance adapters.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader

from anomalib_stage.deprecated.arguments import accept_old_names
from anomalib_stage.devices import bf16_is_fast, resolve_device
from anomalib_stage.files.pixels import digest_pictures
from anomalib_stage.pipeline.jobs import GOOD
from anomalib_stage.rendering.defect_types.painters import DEFECT_SHAPES
from anomalib_stage.seeds import derive_seed
from anomalib_stage.synthesis.diffusion.latent_codec import LatentCodec
from anomalib_stage.synthesis.diffusion.latent_denoiser import LatentDenoiser
from anomalib_stage.synthesis.diffusion.schedule import Schedule
from anomalib_stage.synthesis.masks.bank import pack_bank
from anomalib_stage.training.checkpoint import claim_folder, find_checkpoint
from anomalib_stage.training.data.load import load_pictures
from anomalib_stage.training.data.picture_lists import read_include
from anomalib_stage.training.data.regions.good_surfaces import GoodSurfaces
from anomalib_stage.training.data.regions.real_defects import RealDefects
from anomalib_stage.training.data.regions.weighted_sources import Mixture
from anomalib_stage.training.interruption import explain_failure, explain_interruption
from anomalib_stage.training.latent.data import compute_fingerprint, load_cached_regions
from anomalib_stage.training.latent.encoded_regions import RegionPlan
from anomalib_stage.training.latent.lora import add_lora, take_lora
from anomalib_stage.training.latent.module import LatentFit
from anomalib_stage.training.latent.settings import LatentFitSettings
from anomalib_stage.training.latent.start import build_denoiser
from anomalib_stage.training.learnt_names import choose_names
from anomalib_stage.training.measure.mask_bank import build_mask_bank
from anomalib_stage.training.places import check_places, hold_folder, save_bundle
from anomalib_stage.training.trainer import build_trainer, run_trainer
from anomalib_stage.weights.latent.bundle import build_latent_bundle, check_latent_bundle
from anomalib_stage.weights.latent.frozen_base import PRECISIONS
from anomalib_stage.weights.latent.pretrained import load_pretrained
from anomalib_stage.weights.manifest import DefectSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from anomalib_stage.training.latent.encoded_regions import LatentRegions
    from anomalib_stage.training.learnt_names import LearntNames
    from anomalib_stage.weights.latent.pretrained_model import Pretrained

__all__ = ["fit_latent"]


EPOCH_STEPS = 100
"""Steps between checkpoints; an interrupted fit resumes at the last multiple."""

EACH, MOST = 32, 2048
"""Regions to encode for each defect, and most of them."""


@accept_old_names
def fit_latent(
    *,
    out: Path,
    pretrained: str,
    defect_dir: Path,
    defect_mask_dir: Path,
    data: Path | None = None,
    split: Path | None = None,
    rename: Mapping[str, str] | None = None,
    words: Mapping[str, str] | None = None,
    settings: LatentFitSettings | None = None,
    device: str = "auto",
    workdir: Path | None = None,
    ldm_config: Path | None = None,
    download: bool = False,
    slim: bool = False,
    resume: bool = False,
    white_level: int | None = None,
) -> Path:
    """Fit condition vectors and adapters on a frozen text-to-image model, and write a bundle.

    Args:
        out (Path): Bundle to write (``.safetensors``).
        pretrained (str): Folder of diffusers, single-file checkpoint, or ``owner/name@commit``
            (:func:`~anomalib_stage.weights.latent.pretrained.load_pretrained`).
        defect_dir (Path): Folder with one sub-folder of defect images for each defect.
        defect_mask_dir (Path): Folder with the same sub-folders of masks, ``<stem>_mask.png`` or ``<stem>.png``, in
            any image format.
        data (Path | None): Folder of good images, searched recursively; teaches the defect ``good``.
        split (Path | None): JSON file ``{defect: [stems]}`` of the defects to use.
        rename (Mapping[str, str] | None): Names to learn folders under, ``{folder: defect}``.
        words (Mapping[str, str] | None): Words whose meaning defects start from, ``{defect: word}``; needs a text
            encoder.
        settings (LatentFitSettings | None): What to train and for how long; None for the defaults.
        device (str): ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        workdir (Path | None): Encoded regions, checkpoints and logs; ``<out without suffix>-fit`` by default.
        ldm_config (Path | None): Original YAML of a single-file checkpoint that is not a known one.
        download (bool): Fetch a hub id that is not in the local cache.
        slim (bool): Leave U-Net and autoencoder out of the bundle; they go into a base beside it, once for all bundles.
        resume (bool): Go on from the last checkpoint in ``workdir``; steps and time may be others.
        white_level (int | None): Largest value of a pixel in images deeper than 8 bit; None: found over all images.

    Returns:
        Path: The bundle written.

    Raises:
        InputError: If an argument cannot be used, or the checkpoint is of another training.
        DataError: If a folder, image or mask is missing or unreadable.
        BundleError: If the pretrained model is missing, damaged, or of another defect.
        MissingPackageError: If ``words`` or ``lora_rank`` need a package that is not installed.
    """
    chosen = settings or LatentFitSettings()
    target = resolve_device(device)
    folder = workdir or out.with_suffix("").with_name(out.stem + "-fit")
    check_places(out, folder)
    checkpoint = find_checkpoint(folder) if resume else None

    # what to learn, and from what: everything that can be refused is refused here
    stems = read_include(split) if split else None
    names = choose_names(folder, defect_dir, rename, include=stems, checkpoint=checkpoint)
    names.check({GOOD})
    examples, good, _ = load_pictures(
        normal=data,
        defect_dir=defect_dir,
        defect_mask_dir=defect_mask_dir,
        include=stems,
        rename=names.trained,
        white_level=white_level,
    )
    real = RealDefects(examples)
    defects = [*real.defects, *([GOOD] if good and GOOD not in real.defects else [])]
    model = load_pretrained(pretrained, config=ldm_config, download=download)
    denoiser = build_denoiser(model, defects, words=_find_words(words or {}, names), settings=chosen)
    parts = _describe_parts(chosen, model, real, good, defects=names.apply(dict.fromkeys(defects)), names=names)
    check_latent_bundle(_rename(denoiser, names), model.vae, **parts)

    # train and write
    with hold_folder(folder):
        regions = _encode_regions(folder, model, real, good, defects=defects, settings=chosen, device=target)
        module = LatentFit(denoiser, regions, defects=defects, schedule=Schedule(model.schedule), settings=chosen)
        decides = _list_deciding(chosen, model, real, good, defects=defects)
        claim_folder(folder, decides, names=names.trained, resume=resume)
        with explain_interruption(folder, every=EPOCH_STEPS):
            path = checkpoint.path if checkpoint else None
            steps, additions = _train(module, model, folder, target, checkpoint=path)
            told: dict[str, Any] = {"steps": steps, "regions": len(regions), "good_images": len(good)}
            told["defects"] = {name: len(found) for name, found in names.apply(real.group_by_defect).items()}
            with explain_failure(folder):
                bundle = build_latent_bundle(
                    _rename(denoiser, names).eval().cpu(),
                    model.vae,
                    additions=additions,
                    base=out.parent if slim else None,
                    training=_describe_training(chosen, model) | told,
                    **parts,
                )
                return save_bundle(bundle, out)


def _describe_parts(
    chosen: LatentFitSettings,
    model: Pretrained,
    real: RealDefects,
    good: Sequence[NDArray[np.uint8]],
    *,
    defects: Iterable[str],
    names: LearntNames,
) -> dict[str, Any]:
    """Return what the bundle holds beside the networks; defects under the names of the bundle."""
    bank = pack_bank(build_mask_bank(names.apply(real.group_by_defect), good, exemplars=False))
    return {
        "adapter": chosen.adapter,
        "defects": [
            DefectSpec(name=defect, shapes=DEFECT_SHAPES.get(defect, DEFECT_SHAPES[GOOD])) for defect in defects
        ],
        "schedule": model.schedule,
        "region_size": chosen.region_size or model.region_size,
        "dtype": PRECISIONS[chosen.precision],
        "extra": {name: torch.from_numpy(array) for name, array in bank.items()},
    }


def _list_deciding(
    chosen: LatentFitSettings,
    model: Pretrained,
    real: RealDefects,
    good: Sequence[NDArray[np.uint8]],
    *,
    defects: Sequence[str],
) -> dict[str, Any]:
    """Return what decides the weights, as JSON values by name."""
    decides = chosen.model_dump(mode="json", exclude={"max_steps", "max_time", "gradient_checkpointing", "precision"})
    parts = [array for found in real.group_by_defect.values() for part in found for array in (part.image, part.mask)]
    decides |= {"pretrained": model.origin, "kinds": list(defects), "pictures": digest_pictures(*parts, *good)}
    # before version 0.2 the vectors of such defects were mixed up
    return decides if sorted(defects) == list(defects) else decides | {"vectors": "by name"}


def _describe_training(chosen: LatentFitSettings, model: Pretrained) -> dict[str, Any]:
    words = ["anomalib-stage", *sys.argv[1:]] if sys.argv[1:2] == ["fit-latent"] else ["fit_latent"]
    command = " ".join(words).encode(errors="backslashreplace").decode()  # paths may hold bytes that are not UTF-8
    numbers = chosen.model_dump(mode="json") | {"learning_rate": chosen.rate}
    return {**numbers, "pretrained": model.origin, "command": command}


def _find_words(words: Mapping[str, str], names: LearntNames) -> dict[str, str]:
    """Return words by the names that the training has, which were given by those of the bundle."""
    own = {new: old for old, new in names.changes.items()}
    return {own.get(name, name): word for name, word in words.items()}


def _rename(denoiser: LatentDenoiser, names: LearntNames) -> LatentDenoiser:
    """Return a denoiser of the same networks with its vectors under the names of the bundle."""
    return LatentDenoiser(
        denoiser.unet,
        conditions=names.apply(dict(denoiser.conditions.items())),
        aware=denoiser.aware,
        only=denoiser.only,
        inpainting=denoiser.inpainting,
    )


def _train(
    module: LatentFit, model: Pretrained, folder: Path, device: torch.device, *, checkpoint: Path | None
) -> tuple[int, dict[str, Tensor]]:
    """Train and return the number of steps and the low-rank additions; the U-Net is then as it was."""
    settings = module.settings
    if settings.gradient_checkpointing:
        model.unet.enable_gradient_checkpointing()
    if settings.lora_rank:
        add_lora(model.unet, settings.lora_rank, seed=derive_seed(settings.seed, "lora"))
    trainer = build_trainer(
        folder,
        device,
        (),
        epoch_steps=EPOCH_STEPS,
        max_steps=settings.steps,
        limit=settings.limit,
        precision="bf16-mixed" if device.type == "cuda" and bf16_is_fast(device) else "32-true",
    )
    counter: DataLoader[Any] = DataLoader(range(EPOCH_STEPS), batch_size=None)  # type: ignore[arg-type]
    run_trainer(trainer, module, counter, checkpoint=checkpoint)
    model.unet.disable_gradient_checkpointing()
    return int(trainer.global_step), take_lora(model.unet) if settings.lora_rank else {}


def _encode_regions(
    folder: Path,
    model: Pretrained,
    real: RealDefects,
    good: Sequence[NDArray[np.uint8]],
    *,
    defects: Sequence[str],
    settings: LatentFitSettings,
    device: torch.device,
) -> LatentRegions:
    """Encode regions: real defects four parts, good surface one."""
    source = Mixture([(real, 0.8), *([(GoodSurfaces(good), 0.2)] if good else [])])
    examples = [example for defect in real.defects for example in real.group_by_defect[defect]]
    plan = RegionPlan(
        defects=tuple(defects),
        count=settings.regions or min(EACH * len(examples), MOST),
        side=settings.region_size or model.region_size,
        seed=settings.seed,
        inpainting=model.inpainting,
    )
    key = compute_fingerprint(model.vae.state_dict(), examples, good, plan=plan)
    codec = LatentCodec(model.vae.to(device))
    data = load_cached_regions(folder / "latents.safetensors", source, codec, plan=plan, key=key)
    model.vae.cpu()  # not needed while training
    return data
