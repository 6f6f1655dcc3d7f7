# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of others that hang, swell or end raw: each is one error that names the file."""

from __future__ import annotations

import json
import shutil
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from anomalib_stage.commands.learn.store_base import store_base
from anomalib_stage.errors import BundleError
from anomalib_stage.weights.latent.ldm_config import read_config
from anomalib_stage.weights.latent.pickles import read_checkpoint
from anomalib_stage.weights.latent.pretrained import load_pretrained
from anomalib_stage.weights.latent.published import find_published_step, read_learned_vectors
from tests.ldm_checkpoint import CONFIG, write_ldm
from tests.tiny_latent import write_folder


def in_itself() -> dict[str, Any]:
    content: dict[str, Any] = {"weight": torch.ones(2)}
    content["state_dict"] = content
    return content


def nested(depth: int) -> dict[str, Any]:
    content: dict[str, Any] = {"weight": torch.ones(2)}
    for _ in range(depth):
        content = {"state_dict": content}
    return content


CONTENTS: dict[str, tuple[Callable[[], object], str]] = {
    "in itself": (in_itself, "more than 8 state_dict entries"),
    "deep": (lambda: nested(50), "more than 8 state_dict entries"),
    "no tensors": (lambda: {"state_dict": {"weight": [1.0]}}, "holds dict, not weights by name"),
    "a list": (lambda: [torch.ones(2)], "holds list, not weights by name"),
    "a view of one number": (lambda: {"weight": torch.zeros(1).expand(10**6, 10**6)}, "repeat themselves"),
    "complex": (lambda: {"weight": torch.ones(2, dtype=torch.complex64)}, "weight is torch.complex64"),
    "sparse": (lambda: {"weight": torch.eye(9).to_sparse()}, "[Ss]parse"),
    "without data": (lambda: {"weight": torch.ones(2, device="meta")}, "weight is .*meta"),
}


@pytest.mark.parametrize("case", CONTENTS)
def test_a_strange_content_is_refused_at_once(case: str, tmp_path: Path) -> None:
    make, cause = CONTENTS[case]
    torch.save(make(), tmp_path / "model.ckpt")
    begun = time.monotonic()
    with pytest.raises(BundleError, match=f"model.ckpt: .*{cause}"):
        list(store_base(pretrained=str(tmp_path / "model.ckpt"), out=tmp_path))
    assert time.monotonic() - begun < 10


def test_a_few_wrappers_are_taken_off(tmp_path: Path) -> None:
    torch.save(nested(3), tmp_path / "model.ckpt")
    assert read_checkpoint(tmp_path / "model.ckpt")["weight"].tolist() == [1.0, 1.0]


def test_a_zip_that_swells_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(50_000_000)}, tmp_path / "plain.ckpt")
    source, packed = zipfile.ZipFile(tmp_path / "plain.ckpt"), tmp_path / "packed.ckpt"
    with source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    assert packed.stat().st_size < 10**6
    with pytest.raises(BundleError, match=r"packed.ckpt: a zip of .* that unpack to 200\d+ bytes"):
        read_checkpoint(packed)


def changed(**entries: object) -> str:
    content = json.loads(json.dumps(CONFIG))
    content["model"]["params"].update(entries)
    return str(yaml.safe_dump(content))


YAML = {
    "brackets": ("[" * 50_000, "more than 64 brackets"),
    "dashes": ("- " * 5000, "not a configuration"),
    "in itself": ("model: &a {params: *a}", "not a configuration"),
    "long": ("a: b\n" * 50_000, "at most 100000 are allowed"),
    "a list": ("- 1", "not a configuration"),
    "side a list": (changed(image_size=[64, 64]), r"image_size is \[64, 64\]"),
    "no side": (changed(image_size=0), "image_size is 0; a whole number from 1 to 1024"),
    "endless": (changed(scale_factor=float("inf")), "scale_factor is inf"),
    "deep layers": (changed(unet_config={"params": {"model_channels": 32, "num_res_blocks": 10**6}}), "num_res_blocks"),
}


@pytest.mark.parametrize("case", YAML)
def test_a_strange_configuration_is_refused_at_once(case: str, tmp_path: Path) -> None:
    text, cause = YAML[case]
    (tmp_path / "a.yaml").write_text(text)
    begun = time.monotonic()
    with pytest.raises(BundleError, match=f"a.yaml: .*{cause}"):
        read_config(tmp_path / "a.yaml")
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize(
    "entries", [{"timesteps": []}, {"timesteps": 10**9}, {"linear_end": "much"}, {"linear_start": float("nan")}]
)
def test_a_strange_schedule_of_a_checkpoint_is_refused(entries: dict[str, object], tmp_path: Path) -> None:
    checkpoint, config = write_ldm(tmp_path)
    content = yaml.safe_load(config.read_text())
    content["model"]["params"].update(entries)
    config.write_text(yaml.safe_dump(content))
    with pytest.raises(BundleError, match=r"config\.yaml: (timesteps, linear_start or|not a configuration .*linear)"):
        load_pretrained(checkpoint, config=config)


def test_a_configuration_of_a_larger_network_is_refused_before_that_is_built(tmp_path: Path) -> None:
    checkpoint, config = write_ldm(tmp_path)
    content = yaml.safe_load(config.read_text())
    content["model"]["params"]["unet_config"]["params"]["model_channels"] = 8192
    config.write_text(yaml.safe_dump(content))
    with pytest.raises(BundleError, match="does not fit the configuration"):
        load_pretrained(checkpoint, config=config)


FOLDER: dict[str, tuple[str, Callable[[dict[str, Any]], object], str]] = {
    "huge": ("unet", lambda c: c.update(block_out_channels=[8192, 8192]), "unet cannot be read .*describes .* weights"),
    "layers": ("vae", lambda c: c.update(layers_per_block=10**6), "vae cannot be read .*layers_per_block is 1000000"),
    "no side": ("unet", lambda c: c.update(sample_size=None), "sample_size in unet/config.json is None"),
    "steps": ("scheduler", lambda c: c.update(num_train_timesteps=10**8), "num_train_timesteps is 100000000"),
}


@pytest.mark.parametrize("case", FOLDER)
def test_a_strange_folder_is_refused_before_anything_is_built(case: str, tmp_path: Path) -> None:
    part, change, cause = FOLDER[case]
    folder = write_folder(tmp_path / "folder")
    [file] = (folder / part).glob("*config.json")
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    with pytest.raises(BundleError, match=cause):
        load_pretrained(folder)


@pytest.mark.parametrize("text", ["[" * 10_000, "[1]", "nothing"])
def test_a_folder_whose_scheduler_is_no_mapping_is_refused(text: str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "folder")
    (folder / "scheduler" / "scheduler_config.json").write_text(text)
    with pytest.raises(BundleError, match=r"no usable scheduler/scheduler_config\.json"):
        load_pretrained(folder)
    shutil.rmtree(folder)


VECTORS: dict[str, object] = {
    "a list": [1],
    "names of two sorts": {1: 2, "string_to_param": 3},
    "a number": {"string_to_param": 3, "string_to_token": {}},
    "a text": {"string_to_param": {"a": "b"}, "string_to_token": {}},
    "not numbers": {"string_to_param": {"a": torch.full((2, 3), float("nan"))}, "string_to_token": {}},
    "no rows": {"string_to_param": {"a": torch.zeros(0, 3)}, "string_to_token": {}},
}


@pytest.mark.parametrize("case", VECTORS)
def test_strange_vectors_are_refused(case: str, tmp_path: Path) -> None:
    torch.save(VECTORS[case], tmp_path / "embeddings_gs-1.pt")
    with pytest.raises(BundleError, match=r"embeddings_gs-1\.pt: "):
        read_learned_vectors(tmp_path / "embeddings_gs-1.pt")


def test_a_step_of_many_digits_is_no_step(tmp_path: Path) -> None:
    for name in ("embeddings_gs", "fine_mask", "fine_image"):
        (tmp_path / f"{name}-{'9' * 200}.pt").touch()
    with pytest.raises(BundleError, match="no step with all of them"):
        find_published_step(tmp_path, None)
