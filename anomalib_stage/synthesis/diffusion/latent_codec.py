# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Codec of the latent backbone: a frozen KL autoencoder of diffusers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch.nn import functional as F

from anomalib_stage.errors import InputError

if TYPE_CHECKING:
    from diffusers import AutoencoderKL
    from torch import Tensor

__all__ = ["LatentCodec"]


class LatentCodec:
    """Images to latents and back through an autoencoder: ``latent = (z - shift) * scale``.

    Scale and shift come from the autoencoder's configuration (``scaling_factor``, ``shift_factor``). Half precision of
    the autoencoder would show as steps of brightness, so it should compute in float32.

    Args:
        vae (AutoencoderKL): Frozen autoencoder, in evaluation mode.
        sample (bool): Encode to a sample of the posterior, as the published code does, in place of its mode.

    Raises:
        InputError: If the autoencoder normalises its latents by tables, or is not one of RGB images.
    """

    def __init__(self, vae: AutoencoderKL, *, sample: bool = False) -> None:
        config = vae.config
        if config.get("latents_mean") is not None or config.get("latents_std") is not None:
            msg = "the autoencoder has latents_mean and latents_std; only scaling_factor and shift_factor are supported"
            raise InputError(msg)
        if (config.in_channels, config.out_channels) != (3, 3):
            channels = config.in_channels, config.out_channels
            msg = f"the autoencoder has {channels} image channels in and out; an RGB one has (3, 3)"
            raise InputError(msg)
        self.vae, self.sample = vae, sample
        self.factor = 2 ** (len(config.block_out_channels) - 1)
        self.channels = int(config.latent_channels)
        self.scale = float(config.scaling_factor)
        self.shift = float(config.get("shift_factor") or 0.0)

    def encode(self, images: Tensor, *, noise: Tensor | None = None) -> Tensor:
        """Encode images.

        Args:
            images (Tensor): ``(B, 3, H, W)``, float in [0, 1]; sides are multiples of ``factor``.
            noise (Tensor | None): Standard normal, shape of the result, for a sample of the posterior; None: its mode.

        Returns:
            Tensor: Latents ``(B, channels, H / factor, W / factor)``, float32.
        """
        posterior: Any = self.vae.encode(images.to(self.vae.dtype) * 2.0 - 1.0).latent_dist
        z = posterior.mean if noise is None else posterior.mean + posterior.std * noise.to(posterior.mean)
        latents: Tensor = (z.float() - self.shift) * self.scale
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        """Decode latents -> images ``(B, 3, H, W)``, float32, clamped to [0, 1]."""
        z = latents / self.scale + self.shift
        images: Tensor = self.vae.decode(z.to(self.vae.dtype)).sample
        return ((images.float() + 1.0) / 2.0).clamp(0.0, 1.0)

    def encode_mask(self, masks: Tensor) -> Tensor:
        """Masks ``(B, 1, H, W)`` bool -> ``(B, 1, h, w)`` float in {0, 1}.

        A cell is on if one of its pixels is, so that no mask vanishes (published-method.md, 6.3).
        """
        return F.max_pool2d(masks.float(), self.factor)
