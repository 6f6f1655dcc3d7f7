# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The text encoder of text2img-large, the paper's base: it turns learned vectors into what the U-Net attends to.

The published model learns vectors in the place of a word of the caption "Anomaly *". The encoder runs on that caption
once, and only its output is kept in a bundle: painting needs no text encoder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anomalib_stage.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["LdmTextEncoder", "load_text_encoder"]

PREFIX = "cond_stage_model.transformer."
HEADS = 8
START, ANOMALY, END, PADDING = 101, 28685, 102, 0
"""Numbers of [CLS], "anomaly", [SEP] and [PAD] in the vocabulary of bert-base-uncased."""


class _Attention(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.to_q, self.to_k, self.to_v = (nn.Linear(width, inner, bias=False) for _ in range(3))
        self.to_out = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (part(x).unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in (self.to_q, self.to_k, self.to_v))
        out: Tensor = self.to_out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return out


class _FeedForward(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Sequential(nn.Linear(width, inner), nn.GELU()), nn.Identity(), nn.Linear(inner, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x)
        return out


class LdmTextEncoder(nn.Module):
    """Transformer encoder with normalisation before each block; parameters have the names of the checkpoint.

    Args:
        width (int): Width of tokens and output, D.
        depth (int): Pairs of attention and feed-forward blocks.
        attention (int): Width inside attention, over all 8 heads.
        vocabulary (int): Number of tokens.
        length (int): Tokens in a caption, N.
    """

    def __init__(self, width: int, *, depth: int, attention: int, vocabulary: int, length: int) -> None:
        super().__init__()
        self.length = length
        self.token_emb = nn.Embedding(vocabulary, width)
        self.pos_emb = nn.ModuleDict({"emb": nn.Embedding(length, width)})
        blocks: list[nn.Module] = []
        for _ in range(depth):
            blocks += [_Attention(width, attention), _FeedForward(width, 4 * width)]
        layers = nn.ModuleList(nn.ModuleList([nn.LayerNorm(width), block]) for block in blocks)
        self.attn_layers = nn.ModuleDict({"layers": layers})
        self.norm = nn.LayerNorm(width)

    def forward(self, embedded: Tensor) -> Tensor:
        """Encode embedded captions ``(B, N, D)`` -> context ``(B, N, D)``."""
        positions: Tensor = self.pos_emb["emb"].weight  # type: ignore[assignment]
        x = embedded + positions[: embedded.shape[1]]
        for norm, block in self.attn_layers["layers"]:  # type: ignore[attr-defined]
            x = x + block(norm(x))
        normed: Tensor = self.norm(x)
        return normed

    @torch.no_grad()
    def encode_caption(self, vectors: Tensor | None = None) -> Tensor:
        """Encode the published caption, "Anomaly" and learned vectors in the place of a word.

        Args:
            vectors (Tensor | None): Learned vectors ``(n, D)``; None: the caption is "Anomaly" alone.

        Returns:
            Tensor: Context ``(N, D)``, float32.
        """
        word = self.token_emb.weight.new_zeros(0, self.token_emb.embedding_dim) if vectors is None else vectors
        start, end = self._embed(START, ANOMALY), self._embed(END)
        padding = self._embed(*[PADDING] * self.length)
        embedded = torch.cat([start, word.to(start), end, padding])[: self.length]
        context: Tensor = self(embedded[None])[0]
        return context

    @torch.no_grad()
    def encode_tokens(self, numbers: Sequence[int]) -> Tensor:
        """Encode a caption of token numbers, as many as ``length`` -> context ``(N, D)``, float32."""
        context: Tensor = self(self._embed(*numbers)[None])[0]
        return context

    def _embed(self, *numbers: int) -> Tensor:
        return self.token_emb.weight[list(numbers)]


def load_text_encoder(weights: Mapping[str, Tensor], *, path: Path) -> LdmTextEncoder:
    """Build the text encoder of a single-file checkpoint of text2img-large.

    Args:
        weights (Mapping[str, Tensor]): Weights by their original names.
        path (Path): What messages call the file.

    Returns:
        LdmTextEncoder: float32, frozen.

    Raises:
        BundleError: If there is none, or it is another one (Stable Diffusion has CLIP).
    """
    state = {k.removeprefix(PREFIX): t.float() for k, t in weights.items() if k.startswith(PREFIX)}
    state = {name: tensor for name, tensor in state.items() if not name.startswith("to_logits.")}
    try:
        vocabulary, width = state["token_emb.weight"].shape
        length, attention = len(state["pos_emb.emb.weight"]), len(state["attn_layers.layers.0.1.to_q.weight"])
        depth = sum(name.endswith(".1.to_q.weight") for name in state)
        with torch.device("meta"):
            encoder = LdmTextEncoder(width, depth=depth, attention=attention, vocabulary=vocabulary, length=length)
        encoder.load_state_dict(state, assign=True)
    except (KeyError, RuntimeError, ValueError, TypeError, IndexError) as error:
        msg = (
            f"{path}: {PREFIX}* is not the text encoder of text2img-large ({error}); the published vectors were "
            "learnt with that one: give its model.ckpt"
        )
        raise BundleError(msg) from error
    if attention % HEADS:
        msg = f"{path}: the text encoder has {attention} rows of attention; a multiple of its {HEADS} heads is needed"
        raise BundleError(msg)
    if min(vocabulary, vocabulary - ANOMALY) < 1:
        msg = f"{path}: the text encoder has {vocabulary} tokens; bert-base-uncased has 30522"
        raise BundleError(msg)
    return encoder.eval().requires_grad_(requires_grad=False)
