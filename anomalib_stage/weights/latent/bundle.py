# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Latent bundles: from networks to a bundle and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from pydantic import ValidationError

from anomalib_stage.errors import BundleError, InputError
from anomalib_stage.synthesis.diffusion.latent_codec import LatentCodec
from anomalib_stage.synthesis.diffusion.latent_denoiser import LatentDenoiser
from anomalib_stage.weights.bundle import StageBundle
from anomalib_stage.weights.latent.additions import add_additions
from anomalib_stage.weights.latent.frozen_base import cast_stored, collect_frozen_tensors, join_tensors, write_base
from anomalib_stage.weights.latent.networks import detect_inpainting, extract_config, load_adapter, load_network
from anomalib_stage.weights.latent_manifest import NETWORKS, LatentCodecSpec, LatentDenoiserSpec
from anomalib_stage.weights.manifest import BundleManifest, TensorSpec
from anomalib_stage.weights.manifest_file import list_complaints
from anomalib_stage.weights.tensor_file import DTYPES, check_finite

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from torch import Tensor

    from anomalib_stage.weights.latent_manifest import AdapterSpec
    from anomalib_stage.weights.manifest import DefectSpec

__all__ = ["build_latent_bundle", "check_latent_bundle", "load_latent"]


def build_latent_bundle(
    denoiser: LatentDenoiser,
    vae: AutoencoderKL,
    *,
    adapter: AdapterSpec,
    defects: Iterable[DefectSpec],
    schedule: Mapping[str, Any],
    region_size: int,
    dtype: torch.dtype = torch.float16,
    sample: bool = False,
    extra: Mapping[str, Tensor] | None = None,
    additions: Mapping[str, Tensor] | None = None,
    base: Path | None = None,
    **fields: Any,  # noqa: ANN401
) -> StageBundle:
    """Make a bundle of a latent backbone.

    Args:
        denoiser (LatentDenoiser): U-Net, condition vectors and adapters.
        vae (AutoencoderKL): Autoencoder.
        adapter (AdapterSpec): What the adapters are.
        defects (Iterable[DefectSpec]): Defects, those of the condition vectors.
        schedule (Mapping[str, Any]): Configuration of the noise schedule.
        region_size (int): Native side of a region in pixels.
        dtype (torch.dtype): How U-Net and autoencoder are stored; vectors and adapters are float32.
        sample (bool): Encode to samples of the posterior.
        extra (Mapping[str, Tensor] | None): Further tensors, such as ``mask_bank.*``.
        additions (Mapping[str, Tensor] | None): Low-rank additions to the U-Net, see
            :func:`~anomalib_stage.weights.latent.additions.add_additions`; merged, unless the bundle is slim.
        base (Path | None): Folder that gets U-Net and autoencoder in a file of their own, and in which the bundle, then
            a slim one, must be saved; None: they are in the bundle.
        **fields (Any): Further fields of the manifest.

    Returns:
        StageBundle: The bundle, not saved yet.

    Raises:
        BundleError: If the parts do not go together.
    """
    frozen, added = collect_frozen_tensors(denoiser.unet, vae, dtype=dtype), dict(additions or {})
    if base is not None:
        fields["base_digest"] = write_base(frozen, base)
    tensors = add_additions(frozen, added) if base is None else added
    return StageBundle.build(
        tensors | _collect_learnt(denoiser) | dict(extra or {}),
        defects=defects,
        schedule=dict(schedule),
        region_size=region_size,
        **_describe_networks(denoiser, vae, adapter=adapter, sample=sample),
        **fields,
    )


def check_latent_bundle(
    denoiser: LatentDenoiser,
    vae: AutoencoderKL,
    *,
    adapter: AdapterSpec,
    defects: Iterable[DefectSpec],
    schedule: Mapping[str, Any],
    region_size: int,
    dtype: torch.dtype = torch.float16,
    extra: Mapping[str, Tensor] | None = None,
    **fields: Any,  # noqa: ANN401
) -> None:
    """Refuse what :func:`build_latent_bundle` would refuse, without a copy of the networks; see there.

    Raises:
        BundleError: If the parts do not go together, or a weight of U-Net or autoencoder is not finite in ``dtype``.
    """
    table = {}
    parts = [*zip(NETWORKS, (denoiser.unet, vae), strict=True)]
    frozen = ((f"{prefix}{k}", v) for prefix, network in parts for k, v in network.state_dict().items())
    for name, tensor in (*frozen, *_collect_learnt(denoiser).items(), *(extra or {}).items()):
        stored = cast_stored(tensor, dtype) if name.startswith(NETWORKS) else tensor
        check_finite({name: stored}, where=f"the bundle would not be valid in {dtype}: ")
        table[name] = TensorSpec(shape=tuple(stored.shape), dtype=DTYPES[stored.dtype])
    try:
        BundleManifest(
            tensors=table,
            digest="0" * 64,
            defects=tuple(defects),
            schedule=dict(schedule),
            region_size=region_size,
            **_describe_networks(denoiser, vae, adapter=adapter),
            **fields,
        )
    except ValidationError as error:
        msg = f"the bundle would not be valid: {list_complaints(error)}"
        raise BundleError(msg) from error


def _collect_learnt(denoiser: LatentDenoiser) -> dict[str, Tensor]:
    tensors = {f"condition.{defect}": vectors.float() for defect, vectors in denoiser.conditions.items()}
    for branch, module in (("aware", denoiser.aware), ("only", denoiser.only)):
        state = {} if module is None else module.state_dict()
        tensors |= {f"adapter.{branch}.{name}": tensor for name, tensor in state.items()}
    return tensors


def _describe_networks(
    denoiser: LatentDenoiser, vae: AutoencoderKL, *, adapter: AdapterSpec, sample: bool = False
) -> dict[str, Any]:
    """Return the manifest's fields of the networks."""
    codec = LatentCodecSpec(name="autoencoder_kl", vae=extract_config(vae), sample=sample)
    network = LatentDenoiserSpec(unet=extract_config(denoiser.unet), adapter=adapter)
    return {
        "backbone": "latent",
        "denoiser": network.model_dump(mode="json"),
        "codec": codec.model_dump(mode="json"),
    }


def load_latent(bundle: StageBundle, *, dtype: torch.dtype = torch.float32) -> tuple[LatentDenoiser, LatentCodec]:
    """Build the networks of a latent bundle, on the CPU, frozen and in evaluation mode.

    Args:
        bundle (StageBundle): A bundle of backbone ``latent``.
        dtype (torch.dtype): Of the U-Net; the autoencoder, vectors and adapters are float32.

    Returns:
        tuple[LatentDenoiser, LatentCodec]: The networks.

    Raises:
        BundleError: If the bundle holds another backbone, its tensors do not fit its configuration, or it is a slim one
            and its base is not beside it.
    """
    manifest = bundle.manifest
    if manifest.backbone != "latent":
        msg = f"{bundle.path}: backbone is {manifest.backbone!r}, a 'latent' one is needed"
        raise BundleError(msg)
    network, codec = (
        LatentDenoiserSpec.model_validate(manifest.denoiser),
        LatentCodecSpec.model_validate(manifest.codec),
    )
    tensors = join_tensors(bundle)
    try:
        unet = load_network(UNet2DConditionModel, network.unet, _select_part(tensors, "denoiser."), dtype)
        vae = load_network(AutoencoderKL, codec.vae, _select_part(tensors, "codec."), torch.float32)
        channels = int(vae.config.latent_channels)
        adapters = {
            branch: load_adapter(network.adapter, channels, _select_part(tensors, f"adapter.{branch}."))
            for branch in ("aware", "only")
        }
        inpainting = detect_inpainting(int(unet.config.in_channels), int(unet.config.out_channels), channels)
        built = LatentCodec(vae, sample=codec.sample)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # diffusers meets configurations that do not fit in many ways
        said = str(error) if isinstance(error, InputError | RuntimeError) else repr(error)
        msg = f"{bundle.path}: the weights do not fit the networks that the manifest describes: {said}"
        raise BundleError(msg) from error
    conditions = {defect: vectors.float().clone() for defect, vectors in _select_part(tensors, "condition.").items()}
    denoiser = LatentDenoiser(unet, conditions=conditions, inpainting=inpainting, **adapters)
    return denoiser.eval().requires_grad_(requires_grad=False), built


def _select_part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
