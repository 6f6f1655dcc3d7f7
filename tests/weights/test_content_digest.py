# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The digest of a bundle covers all that pictures follow from, and nothing else; jobs of 0.1.0 go on under theirs."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from anomalib_stage.errors import BundleError, InputError
from anomalib_stage.pregeneration.planning.spec import JOB_NAME
from anomalib_stage.weights.bundle import StageBundle
from anomalib_stage.weights.manifest_file import METADATA_KEY
from tests.tiny_latent import tiny_latent_bundle

PICTURES: dict[str, Callable[[dict[str, Any]], object]] = {
    "noise schedule": lambda m: m["schedule"].update(beta_end=0.02),
    "what is predicted": lambda m: m["schedule"].update(prediction_type="epsilon", rescale_betas_zero_snr=False),
    "codec": lambda m: m["codec"].update(name="other"),
    "region size": lambda m: m.update(region_size=128),
    "shapes of a defect": lambda m: m["kinds"][0].update(shapes=["blob"]),
    "softness of a defect": lambda m: m["kinds"][0].update(softness=0.5),
    "texture of a defect": lambda m: m["kinds"][0].update(goes_on=0.5),
    "order of the defects": lambda m: m["kinds"].reverse(),
}
NO_PICTURES: dict[str, Callable[[dict[str, Any]], object]] = {
    "notes": lambda m: m.update(training={"licence": "mine", "steps": 7}),
    "versions": lambda m: m.update(versions={"torch": "9"}),
    "the bundle it was fitted from": lambda m: m.update(base_digest="0" * 64),
}


def change_manifest(source: Path, change: Callable[[dict[str, Any]], object], out: Path, *, old: bool = True) -> Path:
    """Copy a bundle with another manifest; ``old``: as version 0.1.0 wrote it, with a digest of the tensors alone."""
    with safe_open(source, framework="pt") as stream:
        content = json.loads(stream.metadata()[METADATA_KEY])
    if old:
        content.pop("content_digest", None)
    change(content)
    save_file(load_file(source), out, metadata={METADATA_KEY: json.dumps(content)})
    return out


@pytest.mark.parametrize("case", PICTURES)
def test_what_changes_pictures_changes_the_digest(case: str, tiny_bundle_path: Path, tmp_path: Path) -> None:
    known = StageBundle.load(tiny_bundle_path)
    other = StageBundle.load(change_manifest(tiny_bundle_path, PICTURES[case], tmp_path / "a.safetensors"))
    assert other.digest != known.digest
    assert other.legacy_digest == known.legacy_digest  # all that 0.1.0 knew


@pytest.mark.parametrize("case", NO_PICTURES)
def test_what_changes_no_picture_leaves_the_digest(case: str, tiny_bundle_path: Path, tmp_path: Path) -> None:
    other = change_manifest(tiny_bundle_path, NO_PICTURES[case], tmp_path / "a.safetensors", old=False)
    assert StageBundle.load(other).digest == StageBundle.load(tiny_bundle_path).digest


def test_the_base_of_a_slim_bundle_is_part_of_its_digest(tmp_path: Path) -> None:
    slim = tiny_latent_bundle(base=tmp_path).save(tmp_path / "slim.safetensors")
    other = change_manifest(slim, lambda m: m.update(base_digest="0" * 64), tmp_path / "other.safetensors")
    assert StageBundle.load(other).digest != StageBundle.load(slim).digest


def test_a_manifest_changed_after_it_was_written_is_refused(tiny_bundle_path: Path, tmp_path: Path) -> None:
    other = change_manifest(tiny_bundle_path, PICTURES["noise schedule"], tmp_path / "a.safetensors", old=False)
    with pytest.raises(BundleError, match=r"a\.safetensors: digest mismatch, the manifest has .*get it again"):
        StageBundle.load(other)


def test_an_old_file_has_the_digest_of_a_new_one_and_that_is_said_once(
    tiny_bundle_path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old = change_manifest(tiny_bundle_path, lambda _: None, tmp_path / "old.safetensors")
    with caplog.at_level(logging.WARNING, logger="anomalib_stage"):
        loaded = StageBundle.load(old)
        StageBundle.load(old)
        StageBundle.load()  # the packaged one is old too, and nobody can save it again
        again = StageBundle.load(loaded.save(tmp_path / "new.safetensors"))
    assert loaded.digest == again.digest == StageBundle.load(tiny_bundle_path).digest
    [said] = [record.message for record in caplog.records]
    assert "old.safetensors: written by version 0.1.0" in said


def test_a_half_done_job_does_not_go_on_with_another_noise_schedule(
    run: Callable[..., dict[str, Any]], tiny_bundle_path: Path, tmp_path: Path
) -> None:
    run(count=3)
    other = change_manifest(tiny_bundle_path, PICTURES["noise schedule"], tmp_path / "a.safetensors")
    with pytest.raises(InputError, match="another job .*bundle"):
        run(count=3, weights=str(other))


def test_a_job_that_noted_the_old_digest_goes_on_under_it_and_says_what_cannot_be_told(
    run: Callable[..., dict[str, Any]], tiny_bundle: StageBundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(count=3)
    job, manifest = tmp_path / "out" / JOB_NAME, tmp_path / "out" / "manifest.jsonl"
    for file in (job, manifest):
        file.write_text(file.read_text().replace(tiny_bundle.digest, tiny_bundle.legacy_digest))
    before = job.read_bytes()
    with caplog.at_level(logging.WARNING, logger="anomalib_stage"):
        assert run(count=3)["remaining"] == 0
    assert [record.message for record in caplog.records if "begun by version 0.1.0" in record.message]
    assert job.read_bytes() == before
