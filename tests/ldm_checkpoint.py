# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""A latent-diffusion checkpoint at toy size under its original names, made from networks of diffusers."""

from __future__ import annotations

import re
from pathlib import Path

import torch
import yaml
from diffusers import AutoencoderKL, UNet2DConditionModel

from anomalib_stage.weights.latent.ldm_text import LdmTextEncoder

CONFIG = {
    "model": {
        "params": {
            "linear_start": 0.00085,
            "linear_end": 0.012,
            "timesteps": 1000,
            "image_size": 16,
            "scale_factor": 0.3,
            "unet_config": {
                "params": {
                    "in_channels": 4,
                    "out_channels": 4,
                    "model_channels": 32,
                    "attention_resolutions": [1],
                    "num_res_blocks": 1,
                    "channel_mult": [1, 2],
                    "num_heads": 4,
                    "transformer_depth": 1,
                    "context_dim": 32,
                }
            },
            "first_stage_config": {
                "params": {
                    "ddconfig": {
                        "z_channels": 4,
                        "in_channels": 3,
                        "out_ch": 3,
                        "ch": 32,
                        "ch_mult": [1, 2],
                        "num_res_blocks": 1,
                    }
                }
            },
        }
    }
}

RESNET = (
    ("norm1", "in_layers.0"),
    ("conv1", "in_layers.2"),
    ("norm2", "out_layers.0"),
    ("conv2", "out_layers.3"),
    ("time_emb_proj", "emb_layers.1"),
    ("conv_shortcut", "skip_connection"),
)
PLAIN = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}


def networks() -> tuple[UNet2DConditionModel, AutoencoderKL, LdmTextEncoder]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        unet = UNet2DConditionModel(
            block_out_channels=(32, 64),
            layers_per_block=1,
            cross_attention_dim=32,
            attention_head_dim=4,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        )
        vae = AutoencoderKL(
            block_out_channels=(32, 64),
            layers_per_block=1,
            latent_channels=4,
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            scaling_factor=0.3,
        )
        text = LdmTextEncoder(32, depth=2, attention=64, vocabulary=30522, length=12)
        for parameter in text.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    return unet.eval(), vae.eval(), text.eval()


def _unet_name(name: str, layers: int = 1) -> str:
    for new, old in PLAIN.items():
        if name.startswith(f"{new}."):
            return name.replace(new, old, 1)
    if found := re.match(r"mid_block\.(resnets|attentions)\.(\d)\.", name):
        place = 1 if found[1] == "attentions" else 2 * int(found[2])
        prefix = f"middle_block.{place}."
    else:
        found = re.match(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.", name)
        assert found
        side, block, what, layer = found[1], int(found[2]), found[3], int(found[4])
        index = block * (layers + 1) + (layers if what.endswith("samplers") else layer) + (side == "down")
        slot = {"resnets": "0", "attentions": "1", "downsamplers": "0", "upsamplers": "1"}[what]
        prefix = f"{'input' if side == 'down' else 'output'}_blocks.{index}.{slot}."
        if what == "downsamplers":
            return prefix + name.removeprefix(found[0]).replace("conv", "op", 1)
    rest = name.removeprefix(found[0])
    if found[1 if found[0].startswith("mid") else 3] == "resnets":
        for new, old in RESNET:
            rest = re.sub(rf"^{new}\b", old, rest)
    return prefix + rest


def _vae_name(name: str, blocks: int = 2) -> str:
    name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
    name = name.replace("mid_block.attentions.0", "mid.attn_1").replace("group_norm", "norm")
    name = re.sub(r"\.to_([qkv])\.", r".\1.", name).replace("to_out.0", "proj_out")
    name = re.sub(r"down_blocks\.(\d)\.resnets", r"down.\1.block", name)
    name = re.sub(r"up_blocks\.(\d)\.resnets", lambda m: f"up.{blocks - 1 - int(m[1])}.block", name)
    name = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", name)
    return re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{blocks - 1 - int(m[1])}.upsample", name)


def ldm_weights() -> dict[str, torch.Tensor]:
    unet, vae, text = networks()
    weights = {f"model.diffusion_model.{_unet_name(k)}": v for k, v in unet.state_dict().items()}
    for key, value in vae.state_dict().items():
        name = _vae_name(key)
        conv = ".attn_1." in name and name.endswith("weight") and "norm" not in name
        weights[f"first_stage_model.{name}"] = value[..., None, None] if conv else value
    weights |= {f"cond_stage_model.transformer.{k}": v for k, v in text.state_dict().items()}
    weights["cond_stage_model.transformer.to_logits.weight"] = torch.zeros(3, 32)
    weights["first_stage_model.loss.logvar"] = torch.zeros(1)
    weights["betas"] = torch.zeros(1000)
    return weights


def write_ldm(folder: Path, *, timesteps: int = 1000) -> tuple[Path, Path]:
    """Write ``model.ckpt`` and ``config.yaml``."""
    checkpoint, config = folder / "model.ckpt", folder / "config.yaml"
    torch.save({"state_dict": ldm_weights(), "global_step": 3}, checkpoint)
    params = CONFIG["model"]["params"] | {"timesteps": timesteps}
    config.write_text(yaml.safe_dump({"model": {"params": params}}))
    return checkpoint, config
