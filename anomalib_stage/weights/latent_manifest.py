# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What the manifest of a latent bundle says about its parts, and whether the tensors can bear it out. No torch here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError

from anomalib_stage.settings import Settings
from anomalib_stage.weights.header import shorten

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LORA", "NETWORKS", "AdapterSpec", "LatentCodecSpec", "LatentDenoiserSpec", "check_latent"]

BRANCHES = ("adapter.aware.", "adapter.only.")
NETWORKS = ("denoiser.", "codec.")
LORA = "lora."
"""Low-rank additions of a slim bundle, ``lora.<layer>.down`` and ``lora.<layer>.up``."""

SpecT = TypeVar("SpecT", bound=Settings)


class AdapterSpec(Settings):
    """The mask guidance adapters.

    Attributes:
        name: ``none``; ``published`` (replaces eps, batch norm, fixed widths) or ``residual`` (adds to it, group norm).
        widths: Channels of the 3x3 layers of a residual adapter.
        groups: Groups of its norms.
    """

    name: Literal["none", "published", "residual"]
    widths: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = (64, 256, 512, 256, 64)
    groups: Annotated[int, Field(ge=1, le=256)] = 8


class LatentDenoiserSpec(Settings):
    """Configuration ``denoiser`` of a latent bundle.

    Attributes:
        unet: Arguments of diffusers' ``UNet2DConditionModel``.
        adapter: The adapters.
    """

    unet: dict[str, Any]
    adapter: AdapterSpec


class LatentCodecSpec(Settings):
    """Configuration ``codec`` of a latent bundle.

    Attributes:
        name: ``autoencoder_kl``.
        vae: Arguments of diffusers' ``AutoencoderKL``; ``scaling_factor`` and ``shift_factor`` are among them.
        sample: Encode to a sample of the posterior, as published, in place of its mode.
    """

    name: Literal["autoencoder_kl"]
    vae: dict[str, Any]
    sample: bool = False


def check_latent(
    denoiser: Mapping[str, Any],
    codec: Mapping[str, Any],
    shapes: Mapping[str, tuple[int, ...]],
    *,
    region_size: int,
    slim: bool = False,
) -> None:
    """Check what a manifest of backbone ``latent`` says, without building the networks.

    Args:
        denoiser (Mapping[str, Any]): Field ``denoiser`` of the manifest.
        codec (Mapping[str, Any]): Field ``codec``.
        shapes (Mapping[str, tuple[int, ...]]): Shape of every tensor.
        region_size (int): Side of a region in pixels.
        slim (bool): The networks may be in a base, which the manifest names.

    Raises:
        ValueError: Says what does not fit.
    """
    network, autoencoder = _parsed(LatentDenoiserSpec, denoiser, "denoiser"), _parsed(LatentCodecSpec, codec, "codec")
    _check_networks(shapes, slim=slim)
    _check_adapters(network.adapter, shapes)
    _check_conditions(network.unet, shapes)
    side = 2 ** (len(autoencoder.vae.get("block_out_channels", (0,))) - 1)
    side *= 2 ** (len(network.unet.get("block_out_channels", (0,))) - 1)
    if region_size % side:
        msg = f"region_size is {region_size}; autoencoder and U-Net halve it to {side} px blocks: give a multiple"
        raise ValueError(msg)


def _parsed(spec: type[SpecT], content: Mapping[str, Any], field: str) -> SpecT:
    try:
        return spec.model_validate(dict(content))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, (field, *first["loc"])))
        msg = f"{where}: {first['msg']}"
        raise ValueError(msg) from error


def _check_networks(shapes: Mapping[str, tuple[int, ...]], *, slim: bool) -> None:
    absent = [prefix for prefix in NETWORKS if not any(name.startswith(prefix) for name in shapes)]
    if absent and not (slim and len(absent) == len(NETWORKS)):
        msg = f"no {absent[0]}* tensor; a latent bundle holds its autoencoder and its U-Net, or has a base for both"
        raise ValueError(msg)
    additions = {name for name in shapes if name.startswith(LORA)}
    if additions and not absent:
        msg = f"{shorten(sorted(additions))}: low-rank additions beside the U-Net; merge them, or leave it to a base"
        raise ValueError(msg)
    for layer in sorted({name.rpartition(".")[0] for name in additions}):
        down, up = (shapes.get(f"{layer}.{part}", ()) for part in ("down", "up"))
        if not (len(down) == len(up) == 2 and down[0] == up[1]):
            msg = f"{layer}: down {list(down)} and up {list(up)}; (rank, inputs) and (outputs, rank) are needed"
            raise ValueError(msg)
    stray = sorted(name for name in additions if name.rpartition(".")[2] not in {"down", "up"})
    if stray:
        msg = f"{shorten(stray)}: low-rank additions are lora.<layer>.down and lora.<layer>.up"
        raise ValueError(msg)


def _check_adapters(adapter: AdapterSpec, shapes: Mapping[str, tuple[int, ...]]) -> None:
    present = [branch for branch in BRANCHES if any(name.startswith(branch) for name in shapes)]
    if adapter.name == "none" and present:
        msg = f"tensors {shorten(present)}*, but the adapter is 'none'"
        raise ValueError(msg)
    if adapter.name != "none" and len(present) < len(BRANCHES):
        absent = [branch for branch in BRANCHES if branch not in present]
        msg = f"the adapter is {adapter.name!r}, but there is no tensor {shorten(absent)}*"
        raise ValueError(msg)


def _check_conditions(unet: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
    width = unet.get("cross_attention_dim")
    vectors = {name: shape for name, shape in shapes.items() if name.startswith("condition.")}
    wrong = [
        f"{name} {list(shape)}"
        for name, shape in vectors.items()
        if len(shape) != 2 or not shape[0] or shape[1] != width
    ]
    if wrong or len(set(vectors.values())) > 1:
        seen = shorten(wrong or [f"{name} {list(shape)}" for name, shape in vectors.items()])
        msg = f"condition vectors must all be (N, {width}), the U-Net's cross_attention_dim; got {seen}"
        raise ValueError(msg)
