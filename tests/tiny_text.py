# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Real text encoders and tokenizers of transformers and diffusers at toy size; only where transformers is installed."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from anomalib_stage.weights.latent.ldm_text import ANOMALY, END, PADDING, START, LdmTextEncoder

LETTERS = "acrkhole"
BLOCK = {
    "0.self_attn_layer_norm": "0.0",
    "0.self_attn.q_proj": "0.1.to_q",
    "0.self_attn.k_proj": "0.1.to_k",
    "0.self_attn.v_proj": "0.1.to_v",
    "0.self_attn.out_proj": "0.1.to_out",
    "1.final_layer_norm": "1.0",
    "1.fc1": "1.1.net.0.0",
    "1.fc2": "1.1.net.2",
}
"""What diffusers calls the parts of a pair of blocks, and what the original checkpoint calls them."""


def write_clip(folder: Path, *, length: int = 9, width: int = 32) -> Path:
    """Write ``tokenizer`` and ``text_encoder`` of Stable Diffusion: letters are tokens."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    (folder / "tokenizer").mkdir(parents=True)
    letters = sorted(set(LETTERS), key=LETTERS.index)
    vocabulary = ["<|startoftext|>", "<|endoftext|>", *letters[:4], *(f"{c}</w>" for c in letters[:4])]
    vocabulary += [*letters[4:], *(f"{c}</w>" for c in letters[4:])]
    (folder / "tokenizer" / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(vocabulary)}))
    (folder / "tokenizer" / "merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizer.from_pretrained(folder / "tokenizer", model_max_length=length).save_pretrained(folder / "tokenizer")
    config = CLIPTextConfig(
        vocab_size=len(vocabulary),
        hidden_size=width,
        intermediate_size=width,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=length,
        bos_token_id=0,
        eos_token_id=1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        CLIPTextModel(config).save_pretrained(folder / "text_encoder")
    return folder


def write_bert(folder: Path) -> Path:
    """Write the vocabulary of a ``tokenizer`` like that of bert-base-uncased; three words have its numbers."""
    words = {PADDING: "[PAD]", 4: "[UNK]", START: "[CLS]", END: "[SEP]", 103: "[MASK]", 8: "crack", 9: "scratch"}
    words[ANOMALY] = "anomaly"
    (folder / "tokenizer").mkdir(parents=True)
    lines = [words.get(i, f"[unused{i}]") for i in range(ANOMALY + 1)]
    (folder / "tokenizer" / "vocab.txt").write_text("\n".join(lines) + "\n")
    return folder


def write_ldm_bert(folder: Path, encoder: LdmTextEncoder) -> Path:
    """Write a text encoder as diffusers keeps that of text2img-large, in ``bert``."""
    from diffusers.pipelines.latent_diffusion.pipeline_latent_diffusion import LDMBertConfig, LDMBertModel

    state = encoder.state_dict()
    depth = sum(name.endswith(".1.to_q.weight") for name in state)
    vocabulary, width = state["token_emb.weight"].shape
    config = LDMBertConfig(
        vocab_size=vocabulary,
        max_position_embeddings=encoder.length,
        encoder_layers=depth,
        encoder_ffn_dim=4 * width,
        encoder_attention_heads=8,
        head_dim=len(state["attn_layers.layers.0.1.to_q.weight"]) // 8,
        d_model=width,
    )
    names = {"model.embed_tokens": "token_emb", "model.embed_positions": "pos_emb.emb", "model.layer_norm": "norm"}
    for i in range(depth):
        for new, old in BLOCK.items():
            half, _, part = new.partition(".")
            place, _, rest = old.partition(".")
            assert half == place
            names[f"model.layers.{i}.{part}"] = f"attn_layers.layers.{2 * i + int(half)}.{rest}"
    model = LDMBertModel(config)
    translated = {
        f"{new}.{leaf}": state[f"{old}.{leaf}"]
        for new, old in names.items()
        for leaf in ("weight", "bias")
        if f"{old}.{leaf}" in state
    }
    found = model.load_state_dict(translated, strict=False)
    assert {name.partition(".")[0] for name in found.missing_keys} == {"to_logits"}  # its head, which nothing needs
    assert not found.unexpected_keys
    model.save_pretrained(folder / "bert")
    return folder
