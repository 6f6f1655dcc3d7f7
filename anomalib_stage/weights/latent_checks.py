# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the tensors of a latent bundle bear its manifest out. No torch here."""

from __future__ import annotations

import reprlib
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from anomalib_stage.settings import Settings
from anomalib_stage.weights.config_checks import check_config_numbers
from anomalib_stage.weights.header import shorten
from anomalib_stage.weights.latent_manifest import LORA, NETWORKS, LatentCodecSpec, LatentDenoiserSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anomalib_stage.weights.latent_manifest import AdapterSpec

__all__ = ["check_latent"]


MOST_CELLS = 256
"""Most latents along a region's side: twice as many as the largest networks were trained on."""

SCALES = (1e-4, 1e4)
"""Range of the latents' scale, and the largest shift."""

BRANCHES = ("adapter.aware.", "adapter.only.")

SpecT = TypeVar("SpecT", bound=Settings)


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
    network, autoencoder = (
        _parse_spec(LatentDenoiserSpec, denoiser, "denoiser"),
        _parse_spec(LatentCodecSpec, codec, "codec"),
    )
    check_config_numbers(network.unet, field="denoiser.unet")
    check_config_numbers(autoencoder.vae, field="codec.vae")
    _check_scale(autoencoder.vae)
    _check_networks(shapes, slim=slim)
    _check_adapters(network.adapter, shapes)
    _check_conditions(network.unet, shapes)
    cell, side = _count_halvings(autoencoder.vae, "codec.vae"), _count_halvings(network.unet, "denoiser.unet")
    if region_size > MOST_CELLS * cell:
        msg = f"region_size is {region_size}, {region_size // cell} latents a side; at most {MOST_CELLS} are allowed"
        raise ValueError(msg)
    side *= cell
    if region_size % side:
        msg = f"region_size is {region_size}; autoencoder and U-Net halve it to {side} px blocks: give a multiple"
        raise ValueError(msg)


def _parse_spec(spec: type[SpecT], content: Mapping[str, Any], field: str) -> SpecT:
    try:
        return spec.model_validate(dict(content))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, (field, *first["loc"])))
        msg = f"{where}: {first['msg']}"
        raise ValueError(msg) from error


def _check_scale(vae: Mapping[str, Any]) -> None:
    scale, shift = vae.get("scaling_factor", 1.0), vae.get("shift_factor") or 0.0
    low, high = SCALES
    if type(scale) not in {int, float} or not low <= scale <= high:
        msg = f"codec.vae.scaling_factor is {reprlib.repr(scale)}; a number from {low} to {high} is allowed"
        raise ValueError(msg)
    if type(shift) not in {int, float} or not abs(shift) <= high:
        msg = f"codec.vae.shift_factor is {reprlib.repr(shift)}; a number from {-high} to {high} is allowed"
        raise ValueError(msg)


def _count_halvings(config: Mapping[str, Any], field: str) -> int:
    """Return the pixels that the last of a network's blocks sees as one."""
    widths = config.get("block_out_channels", (0,))
    if not isinstance(widths, list | tuple):
        msg = f"{field}.block_out_channels is {reprlib.repr(widths)}; a list of numbers is allowed"
        raise ValueError(msg)  # noqa: TRY004 - pydantic makes a complaint of it
    return int(2 ** (len(widths) - 1))


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
