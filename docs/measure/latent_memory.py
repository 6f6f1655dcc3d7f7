# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""How much memory a latent backbone needs, counted without one: its tensors on the meta device, which holds no data.

Counted are weights and, at every operation, all tensors that are alive. Attention counts as its fused kernels work,
without the matrix of all pairs. Not counted are the kernels' own workspaces and what CUDA keeps for itself.

    python docs/measure/latent_memory.py [--base sd1|text2img-large] [--regions 8] [--side 256]
"""

from __future__ import annotations

import argparse
import unittest.mock
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import (
    create_unet_diffusers_config_from_ldm,
    create_vae_diffusers_config_from_ldm,
)
from diffusers.utils import logging
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from anomalib_stage.synthesis.diffusion.adapter import ResidualAdapter
from anomalib_stage.weights.latent.ldm_config import UNET, build_ldm_config

if TYPE_CHECKING:
    from collections.abc import Callable

CONTEXT = {"sd1": 768, "text2img-large": 1280}
GIB = 2**30


class Alive(TorchDispatchMode):
    """Counts the bytes of tensors that are alive, and the most that there were."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self.known:
            self.known.add(key)
            size = storage.nbytes()
            self.now += size
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size


def fused(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, **_: Any) -> torch.Tensor:  # noqa: ANN401
    """Stand in for fused attention: reads all three, makes one of the first's size."""
    return q * (k + v).mean(dim=-2, keepdim=True)


def peak(call: Callable[[], object]) -> float:
    """Most memory of activations while a call runs, in GiB."""
    with Alive() as alive:
        call()
    return alive.most / GIB


def configurations(base: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arguments of U-Net and autoencoder of a known base."""
    named = {
        f"{UNET}input_blocks.0.0.weight": torch.empty(320, 4, 3, 3, device="meta"),
        f"{UNET}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": torch.empty(
            320, CONTEXT[base], device="meta"
        ),
    }
    original = build_ldm_config(named, path=Path(base))
    unet = create_unet_diffusers_config_from_ldm(original, named)
    return dict(unet), dict(create_vae_diffusers_config_from_ldm(original, named))


def networks(base: str) -> tuple[UNet2DConditionModel, AutoencoderKL]:
    """Build the networks of a known base on the meta device."""
    network, autoencoder = configurations(base)
    with torch.device("meta"):
        unet, vae = UNet2DConditionModel(**network), AutoencoderKL(**autoencoder)
    return unet.requires_grad_(requires_grad=False), vae.requires_grad_(requires_grad=False)


def gib(network: torch.nn.Module) -> float:
    """Size of a network's weights in GiB."""
    return sum(p.numel() * p.element_size() for p in network.parameters()) / GIB


def step(unet: UNet2DConditionModel, regions: int, cells: int) -> Callable[[], object]:
    """Evaluate the U-Net once; while gradients are on, for the gradient of the condition vectors."""

    def call() -> None:
        context = torch.empty(regions, 77, unet.config.cross_attention_dim, device="meta", dtype=unet.dtype)
        context.requires_grad_(torch.is_grad_enabled())
        x = torch.empty(regions, 4, cells, cells, device="meta", dtype=unet.dtype)
        out = unet(x, torch.zeros(regions, device="meta"), encoder_hidden_states=context).sample
        if torch.is_grad_enabled():
            out.sum().backward()

    return call


def rows(base: str, regions: int, side: int) -> list[tuple[str, float]]:
    """Count everything, in GiB."""
    with unittest.mock.patch.object(F, "scaled_dot_product_attention", fused):
        return _rows(*networks(base), regions=regions, side=side)


def _rows(unet: UNet2DConditionModel, vae: AutoencoderKL, *, regions: int, side: int) -> list[tuple[str, float]]:
    cells = side // 8
    found = [(f"U-Net, {sum(p.numel() for p in unet.parameters()) / 1e6:.1f} M weights, fp32", gib(unet))]
    found.append((f"autoencoder, {sum(p.numel() for p in vae.parameters()) / 1e6:.1f} M weights, fp32", gib(vae)))
    images = torch.empty(1, 3, side, side, device="meta")
    latents = torch.empty(regions, 4, cells, cells, device="meta")
    with torch.no_grad():
        found.append((f"painting {regions} regions, U-Net, fp32", peak(step(unet, regions, cells))))
        found.append(("painting, encoding a region", peak(lambda: vae.encode(images))))
        found.append((f"painting {regions} regions, decoding", peak(lambda: vae.decode(latents))))
        found.append(("decoding with slicing", peak(lambda: vae.decode(latents[:1]))))
    found.append((f"fitting {regions} regions, fp32", peak(step(unet, regions, cells))))
    unet.train().enable_gradient_checkpointing()
    found.append((f"fitting {regions} regions, checkpointing, fp32", peak(step(unet, regions, cells))))
    unet.eval().disable_gradient_checkpointing()
    unet.to(torch.bfloat16)
    found.append(("U-Net, bf16", gib(unet)))
    with torch.no_grad():
        found.append((f"painting {regions} regions, U-Net, bf16", peak(step(unet, regions, cells))))
    found.append(("bundle, fp16, with its adapters", gib(unet) + gib(vae) / 2 + 2 * gib(ResidualAdapter())))
    found.append(("slim bundle, its two adapters", 2 * gib(ResidualAdapter())))
    return found + _together(dict(found), regions)


def _together(parts: dict[str, float], regions: int) -> list[tuple[str, float]]:
    """Most memory of painting: both networks' weights, and the largest of what runs with them."""
    vae = next(value for name, value in parts.items() if name.startswith("autoencoder"))
    encoding, decoding = parts["painting, encoding a region"], parts[f"painting {regions} regions, decoding"]
    sums = []
    for precision, unet in (("fp32", next(iter(parts.values()))), ("bf16", parts["U-Net, bf16"])):
        step = parts[f"painting {regions} regions, U-Net, {precision}"]
        sums.append((f"painting {regions} regions in {precision}, all", unet + vae + max(step, encoding, decoding)))
    return sums


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", choices=sorted(CONTEXT), default="sd1")
    parser.add_argument("--regions", type=int, default=8)
    parser.add_argument("--side", type=int, default=256)
    given = parser.parse_args()
    logging.set_verbosity_error()
    print(f"{given.base}, regions of {given.side} px, GiB")
    for name, value in rows(given.base, given.regions, given.side):
        print(f"{value:8.2f}  {name}")


if __name__ == "__main__":
    main()
