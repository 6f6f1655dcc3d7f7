# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Changed checkpoints of others: what ``store-base`` and ``convert`` read."""

from __future__ import annotations

import copy
import json
import shutil
from typing import TYPE_CHECKING, Any

import torch
import yaml
from safetensors.torch import load_file, save_file

from anomalib_stage.commands.learn.convert import convert
from anomalib_stage.commands.learn.store_base import store_base
from tests.fuzz.bundles import mutate_tensors
from tests.fuzz.mutators import make_extreme, mutate_bytes, mutate_json
from tests.ldm_checkpoint import ldm_weights, write_ldm
from tests.tiny_latent import write_folder
from tests.weights.latent.test_convert import write_published

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from tests.fuzz.campaign import Attack


def checkpoint_attacks(folder: Path) -> dict[str, Attack]:
    """Return the kinds of attacks with changed copies of checkpoints, by name."""
    folder.mkdir(exist_ok=True)
    return {**_file_attacks(folder), **_folder_attacks(folder), **_published_attacks(folder)}


def _file_attacks(folder: Path) -> dict[str, Attack]:
    """Single-file checkpoints and their configurations."""
    checkpoint, config = write_ldm(folder)
    raw, text, weights = checkpoint.read_bytes(), config.read_text(), ldm_weights()
    content, changed, plain = yaml.safe_load(text), folder / "changed.ckpt", folder / "changed.yaml"
    tensors = {name: tensor.contiguous() for name, tensor in weights.items()}
    flat = folder / "flat.safetensors"
    save_file(tensors, flat)
    flat_raw, out = flat.read_bytes(), folder / "bases"

    def use(file: Path = checkpoint, settings: Path = config) -> None:
        shutil.rmtree(out, ignore_errors=True)
        list(store_base(pretrained=str(file), out=out, ldm_config=settings))

    def change_zip(rng: random.Random) -> None:
        changed.write_bytes(mutate_bytes(raw, rng))
        use(changed)

    def change_safetensors(rng: random.Random) -> None:
        flat.write_bytes(mutate_bytes(flat_raw, rng))
        use(flat)

    def change_content(rng: random.Random) -> None:
        torch.save(mutate_pickled({"state_dict": dict(weights), "global_step": 3}, rng), changed)
        use(changed)

    def change_config(rng: random.Random) -> None:
        plain.write_text(json.dumps(mutate_json(content, rng)))  # JSON is YAML
        use(settings=plain)

    def change_text(rng: random.Random) -> None:
        deep = rng.choice(("[" * 20_000, "{a: " * 5000, "a: &a [*a]", "- " * 3000, None, None, None))
        plain.write_bytes(mutate_bytes(text.encode(), rng) if deep is None else deep.encode())
        use(settings=plain)

    return {
        "zip bytes": change_zip,
        "safetensors bytes": change_safetensors,
        "pickled content": change_content,
        "YAML values": change_config,
        "YAML text": change_text,
    }


def _folder_attacks(folder: Path) -> dict[str, Attack]:
    """Folders of diffusers."""
    good, changed, out = write_folder(folder / "folder"), folder / "changed", folder / "more bases"

    def use(rng: random.Random, *, suffix: str) -> None:
        shutil.rmtree(changed, ignore_errors=True)
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(good, changed)
        file = rng.choice(sorted(changed.rglob(f"*{suffix}")))
        if suffix == ".safetensors" and rng.random() < 0.5:
            save_file({k: t.contiguous() for k, t in mutate_tensors(load_file(file), rng).items()}, file)
        elif suffix == ".json" and rng.random() < 0.8:
            file.write_text(json.dumps(mutate_json(json.loads(file.read_text()), rng)))
        else:
            file.write_bytes(mutate_bytes(file.read_bytes(), rng))
        list(store_base(pretrained=str(changed), out=out))

    return {
        "folder's configurations": lambda rng: use(rng, suffix=".json"),
        "folder's weights": lambda rng: use(rng, suffix=".safetensors"),
    }


def _published_attacks(folder: Path) -> dict[str, Attack]:
    """Files of the published code."""
    good, changed = write_published(folder / "published"), folder / "changed published"
    (folder / "ldm").mkdir(exist_ok=True)
    checkpoint, config = write_ldm(folder / "ldm")

    def use(rng: random.Random) -> None:
        shutil.rmtree(changed, ignore_errors=True)
        shutil.copytree(good, changed)
        file = rng.choice(sorted(changed.iterdir()))
        if rng.random() < 0.4:
            file.write_bytes(mutate_bytes(file.read_bytes(), rng))
        else:
            torch.save(mutate_pickled(torch.load(file, weights_only=False), rng), file)
        out = folder / "converted.safetensors"
        list(convert(published=changed, ldm=checkpoint, out=out, ldm_config=config, slim=rng.random() < 0.5))

    return {"published": use}


def mutate_pickled(content: Any, rng: random.Random) -> Any:
    """Return what torch.save can store, with some values of other types, shapes and sorts, or in one another."""
    content = dict(content) if not isinstance(content, dict) else copy.copy(content)
    for _ in range(rng.choice((1, 1, 2, 3))):
        owner = content
        while (inner := [value for value in owner.values() if isinstance(value, dict)]) and rng.random() < 0.8:
            owner = rng.choice(inner)
        if not owner:
            continue
        key = rng.choice(list(owner))
        try:
            _change_entry(owner, key, content, rng)
        except (TypeError, ValueError, KeyError, RuntimeError):  # a ParameterDict takes no other types
            continue
    return content


def _change_entry(owner: Any, key: Any, content: Any, rng: random.Random) -> None:
    value, what = owner[key], rng.randrange(10)
    tensor = value if isinstance(value, torch.Tensor) else torch.ones(3)
    sorts = (
        lambda: tensor.to(torch.complex64),
        lambda: tensor.to_sparse(),
        lambda: tensor.double(),
        lambda: tensor.to(torch.int8),
        lambda: tensor.half(),
        lambda: torch.zeros(1).expand(rng.choice((10, 10**6)), rng.choice((1, 10**6))),
        lambda: torch.zeros(0),
        lambda: tensor.to("meta"),
        lambda: torch.quantize_per_tensor(tensor.float().detach(), 0.1, 0, torch.qint8),
        lambda: torch.full_like(tensor.float(), float("nan")),
        lambda: tensor.flatten(),
        lambda: tensor.detach()[None],
    )
    if what <= 3:
        owner[key] = rng.choice(sorts)()
    elif what == 4:
        owner[key] = make_extreme(rng)
    elif what == 5:
        del owner[key]
    elif what == 6:
        owner[rng.choice((key, "state_dict", "string_to_param"))] = rng.choice((content, owner))
    elif what == 7:
        deep: Any = value
        for _ in range(rng.choice((3, 50, 400))):
            deep = rng.choice(({"state_dict": deep}, [deep], {"a": deep}))
        owner[key] = deep
    elif what == 8:
        owner[rng.choice((3, ("a",), "", "\x1b[31m", None, 2.5, "state_dict"))] = owner.pop(key)
    else:
        owner[key] = rng.choice(({"a": value}, [value], (value, value), str(key), None))
