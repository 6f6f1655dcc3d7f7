# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Changed bundles: bytes, header, manifest and tensors, each as a hostile writer would leave them, digests and all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save

from anomalib_stage.commands.help.inspect import inspect
from anomalib_stage.pipeline.synthesizer import StageSynthesizer
from anomalib_stage.weights.bundle import StageBundle
from anomalib_stage.weights.manifest_file import METADATA_KEY
from anomalib_stage.weights.tensor_file import DTYPES, compute_digest
from tests.fuzz.campaign import NotFiniteError
from tests.fuzz.mutators import make_extreme, mutate_bytes, mutate_json

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from tests.fuzz.campaign import Attack

    Content = dict[str, Any]
    Tensors = dict[str, torch.Tensor]

SMALL = {"sampler": {"name": "graded", "steps": 4}, "gate": {"min_visibility": 0.0}}


def bundle_attacks(good: StageBundle, folder: Path) -> dict[str, Attack]:  # noqa: C901 - a closure for each kind
    """Return the kinds of attacks with changed copies of a bundle, by name."""
    source, target = good.save(folder / "good.safetensors"), folder / "changed.safetensors"
    raw, tensors = source.read_bytes(), load_file(source)
    header, data = split_file(raw)
    manifest = json.loads(header["__metadata__"][METADATA_KEY])
    manifest.pop("content_digest")  # a hostile writer leaves it out, or computes it anew

    def use(content: bytes) -> None:
        target.write_bytes(content)
        use_bundle(target)

    def change_manifest(rng: random.Random) -> None:
        # the table of tensors, which is long, has a category of its own
        use(write_header(header, mutate_json(manifest, rng, keep=lambda key: key != "tensors"), data))

    def change_config(rng: random.Random) -> None:
        changed = json.loads(json.dumps(manifest))
        part = changed[rng.choice(("denoiser", "codec", "schedule", "schedule"))]
        while part and isinstance(part[key := rng.choice(list(part))], dict) and part[key]:
            part = part[key]
        if part:
            part[key] = make_extreme(rng)
        use(write_header(header, changed, data))

    def change_header(rng: random.Random) -> None:
        table = {name: entry for name, entry in header.items() if name != "__metadata__"}
        changed = mutate_json(table, rng) | {"__metadata__": header["__metadata__"]}
        text = json.dumps(changed).encode()
        use(len(text).to_bytes(8, "little") + text + data)

    def change_tensors(rng: random.Random) -> None:
        use(write_consistent(json.loads(json.dumps(manifest)), mutate_tensors(tensors, rng)))

    def change_both(rng: random.Random) -> None:
        content = mutate_json(manifest, rng, keep=lambda key: key in {"denoiser", "codec", "schedule", "kinds"})
        use(write_consistent(content, mutate_tensors(tensors, rng)))

    return {
        "bytes": lambda rng: use(mutate_bytes(raw, rng)),
        "header": change_header,
        "manifest": change_manifest,
        "configurations": change_config,
        "tensors": change_tensors,
        "manifest and tensors": change_both,
    }


def split_file(raw: bytes) -> tuple[Content, bytes]:
    """Return header and data of a safetensors file."""
    length = int.from_bytes(raw[:8], "little")
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def write_header(header: Content, manifest: object, data: bytes) -> bytes:
    """Return a file with another manifest."""
    changed = {**header, "__metadata__": {METADATA_KEY: json.dumps(manifest)}}
    text = json.dumps(changed).encode()
    return len(text).to_bytes(8, "little") + text + data


def write_consistent(manifest: Content, tensors: Tensors) -> bytes:
    """Return a file whose table and digest are those of its tensors."""
    table = {name: {"shape": list(t.shape), "dtype": DTYPES.get(t.dtype, "F64")} for name, t in tensors.items()}
    manifest |= {"tensors": table, "digest": compute_digest(tensors)}
    stored = {name: tensor.contiguous() for name, tensor in tensors.items()}
    text = json.dumps(manifest).encode("ascii").decode("ascii")
    return save(stored, metadata={METADATA_KEY: text})


def mutate_tensors(tensors: Tensors, rng: random.Random) -> Tensors:
    """Return tensors of which some have other values, shapes, dtypes or names, or are gone."""
    changed = dict(tensors)
    for _ in range(rng.choice((1, 1, 2, 5))):
        name = rng.choice(sorted(changed))
        changed[name] = _mutate_tensor(changed[name], rng)
        if rng.random() < 0.1:
            changed[rng.choice((f"{name}x", "look.new", "prior.good", "lora.a.up", "codec.b"))] = changed.pop(name)
        if rng.random() < 0.1 and len(changed) > 1:
            del changed[rng.choice(sorted(changed))]
    return changed


def _mutate_tensor(tensor: torch.Tensor, rng: random.Random) -> torch.Tensor:
    flat, what = tensor.clone().flatten(), rng.randrange(8)
    if what <= 2 and len(flat):
        values = (float("nan"), float("inf"), 3e38, -3e38, 1e30, 1e10, 0.0, -1.0, 255.0, 1e-40)
        value = rng.choice(values if flat.is_floating_point() else (0, 1, 255))
        flat[rng.choice((slice(None), slice(0, 1), slice(-1, None), slice(None, None, 2)))] = value
        return flat.reshape(tensor.shape)
    if what == 3:
        return flat.reshape(rng.choice(((-1,), (1, -1), (-1, 1), (1,) * 7 + (-1,))))
    if what == 4:
        return tensor[: rng.randrange(len(tensor) + 1)].clone() if tensor.dim() else tensor
    if what == 5:
        return tensor.nan_to_num(0, 0, 0).to(rng.choice((*DTYPES, torch.float64)))
    if what == 6:
        return tensor.T.contiguous() if tensor.dim() == 2 else torch.cat([flat, flat])
    return torch.zeros(rng.choice(((), (0,), (0, 9), (1, 9), (16, 0, 3, 3))), dtype=tensor.dtype)


def use_bundle(path: Path) -> None:
    """Do everything with a bundle: read it, print what it is, paint with it.

    Raises:
        BundleError: If it is refused.
        NotFiniteError: If a picture is not finite.
    """
    for line in inspect(str(path)):
        assert line.isprintable(), line
        line.encode()
    synthesizer = StageSynthesizer(StageBundle.load(path), device="cpu", synthesis=SMALL)
    rows = torch.linspace(0.1, 0.9, 64)
    images = (rows[:, None] * rows).expand(3, 3, 64, 64).contiguous()
    chosen = [synthesizer.bundle.defects[0], synthesizer.bundle.defects[-1], "good"]
    if "good" not in synthesizer.bundle.defects:
        chosen[2] = chosen[0]
    pair = synthesizer(images, defects=chosen, seeds=[1, 2, 3])
    if not pair.image.isfinite().all():
        msg = f"pixels of {chosen} are not finite"
        raise NotFiniteError(msg)
