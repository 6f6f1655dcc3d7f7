# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What a bundle of the compact backbone holds: the denoiser, the appearances, and how soft edges are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from anomalib_stage.errors import BundleError, InputError
from anomalib_stage.synthesis.appearance.appearance_bank import unpack_appearances
from anomalib_stage.synthesis.diffusion.compact.compact_denoiser import CompactDenoiser
from anomalib_stage.weights.header import shorten

if TYPE_CHECKING:
    from anomalib_stage.synthesis.appearance.appearance_bank import AppearanceBank
    from anomalib_stage.weights.bundle import StageBundle

__all__ = ["load_appearances", "load_denoiser", "load_softness", "load_texture_continuity"]


def load_softness(bundle: StageBundle) -> dict[str, float]:
    """Softness of the defects that it was measured for."""
    return {spec.name: spec.softness for spec in bundle.manifest.defects if spec.softness is not None}


def load_texture_continuity(bundle: StageBundle) -> dict[str, float]:
    """How far the surface's texture goes on in defects, where that was measured."""
    return {
        spec.name: spec.texture_continuity for spec in bundle.manifest.defects if spec.texture_continuity is not None
    }


def load_appearances(bundle: StageBundle) -> AppearanceBank:
    """Read the appearances of a bundle.

    Raises:
        BundleError: If it has none, or they are malformed.
    """
    try:
        return unpack_appearances(
            {name: tensor.numpy() for name, tensor in bundle.floats().items() if name.startswith("look.")}
        )
    except InputError as error:
        msg = f"{bundle.path}: {error}; get the file again, or fit it again"
        raise BundleError(msg) from error


def load_denoiser(bundle: StageBundle) -> CompactDenoiser:
    """Build the compact denoiser of a bundle, float32, on the CPU.

    Raises:
        BundleError: If the bundle holds another backbone, or its tensors do not fit its configuration.
    """
    manifest = bundle.manifest
    if manifest.backbone != "compact":
        msg = f"{bundle.path}: backbone is {manifest.backbone!r}, a 'compact' one is needed here"
        raise BundleError(msg)
    parts = {"denoiser": "unet", "condition": "conditions"}
    state = {
        f"{parts[prefix]}.{rest}": tensor.clone()
        for prefix, _, rest, tensor in ((*name.partition("."), t) for name, t in bundle.floats().items())
        if prefix in parts
    }
    whole = sorted(name for name, tensor in state.items() if not tensor.is_floating_point())
    if whole:
        msg = f"{bundle.path}: weights {shorten(whole)} are whole numbers, not floats; get the file again"
        raise BundleError(msg)
    try:
        with torch.device("meta"):  # without weights, whatever size the manifest claims
            network = CompactDenoiser([spec.name for spec in manifest.defects], config=manifest.denoiser)
        network.load_state_dict(state, assign=True)
        return network.to(memory_format=torch.channels_last)
    except (InputError, RuntimeError, ArithmeticError) as error:
        msg = f"{bundle.path}: the weights do not fit the network that the manifest describes: {error}"
        raise BundleError(msg) from error
