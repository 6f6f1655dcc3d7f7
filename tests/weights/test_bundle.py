# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Each way a bundle can be wrong is one clear error; a good one comes back bit for bit."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from anomalib_stage.errors import BundleError
from anomalib_stage.weights import bundle as bundle_module
from anomalib_stage.weights import source, stamp, tensor_file
from anomalib_stage.weights.bundle import StageBundle
from anomalib_stage.weights.manifest import BundleManifest, DefectSpec
from anomalib_stage.weights.manifest_file import dump_manifest
from anomalib_stage.weights.tensor_file import compute_digest

KEY = "anomalib_stage"
FIELDS: dict[str, Any] = {
    "backbone": "compact",
    "denoiser": {"channels": [4, 8]},
    "schedule": {"num_train_timesteps": 10, "beta_schedule": "linear"},
    "training": {"steps": 3, "licence": "Apache-2.0"},
}


def weights() -> dict[str, torch.Tensor]:
    return {
        "denoiser.conv.weight": torch.linspace(-1, 1, 6).reshape(2, 3),
        "denoiser.half": torch.tensor([0.5, -2.0], dtype=torch.float16),
        "denoiser.brain": torch.tensor([[0.25]], dtype=torch.bfloat16),
        "condition.scratch": torch.ones(3),
        "condition.good": torch.zeros(3),
        "mask_bank.bits": torch.tensor([7, 255], dtype=torch.uint8),
        "mask_bank.sides": torch.tensor([[3, 5]]),
        "prior.where": torch.tensor([True, False]),
        "prior.none": torch.zeros(0, 4),
        "prior.one": torch.tensor(1.5),
    }


def defects(*names: str) -> list[DefectSpec]:
    return [DefectSpec(name=name, shapes=("scratch", "blob")) for name in names or ("scratch", "good")]


def make() -> StageBundle:
    return StageBundle.build(weights(), defects=defects(), **FIELDS)


# files that are wrong, made from a good one: a case changes its header, manifest or data


def parts(raw: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(raw[:8], "little")
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def joined(header: dict[str, Any] | bytes, data: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def with_header(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    def apply(raw: bytes) -> bytes:
        header, data = parts(raw)
        change(header)
        return joined(header, data)

    return apply


def with_manifest(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    def apply(header: dict[str, Any]) -> None:
        manifest = json.loads(header["__metadata__"][KEY])
        del manifest["content_digest"]  # as version 0.1.0 wrote it: the change itself must be found
        change(manifest)
        header["__metadata__"][KEY] = json.dumps(manifest)

    return with_header(apply)


def metadata(value: object) -> Callable[[bytes], bytes]:
    return with_header(lambda header: header.update(__metadata__=value))


def entry(name: str, **change: object) -> Callable[[bytes], bytes]:
    return with_header(lambda header: header[name].update(change))


def manifest(**change: object) -> Callable[[bytes], bytes]:
    return with_manifest(lambda content: content.update(change))


def other_tensors(**change: torch.Tensor | None) -> Callable[[bytes], bytes]:
    """Store other tensors under the unchanged manifest (``__`` stands for a dot; None leaves one out)."""

    def apply(raw: bytes) -> bytes:
        changed = weights() | {name.replace("__", "."): tensor for name, tensor in change.items()}
        return save({k: v for k, v in changed.items() if v is not None}, metadata=parts(raw)[0]["__metadata__"])

    return apply


def stamped_nan(raw: bytes) -> bytes:
    """Write NaN with a digest that fits, as a failed training would."""
    tensors = weights() | {"condition.good": torch.tensor([0.0, float("nan"), 0.0])}
    content = json.loads(parts(raw)[0]["__metadata__"][KEY]) | {"digest": compute_digest(tensors)}
    del content["content_digest"]
    return save(tensors, metadata={KEY: json.dumps(content)})


def flipped(raw: bytes) -> bytes:
    return raw[:-1] + bytes([raw[-1] ^ 1])


def swapped_offsets(header: dict[str, Any]) -> None:
    first, second = header["condition.good"], header["condition.scratch"]
    first["data_offsets"] = second["data_offsets"]


def twin_header(raw: bytes) -> bytes:
    header, data = parts(raw)
    return joined(json.dumps(header).encode()[:-1] + b', "condition.good": {}}', data)


WRONG: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    # the file
    "empty": (lambda raw: b"", r"empty; get the file again"),
    "four gigabytes of header": (lambda raw: (2**32).to_bytes(8, "little") + raw[8:], r"claims 4294967296 bytes"),
    "few bytes": (lambda raw: raw[:7], r"only 7 bytes long"),
    "truncated header": (lambda raw: raw[:100], r"truncated, a header of \d+ bytes in a file of 100"),
    "truncated data": (lambda raw: raw[:-3], r"truncated, \d+ bytes of tensors where the header lists \d+"),
    "more data": (lambda raw: raw + b"\0", r"longer than it should be"),
    "absurd header": (lambda raw: b"\xff" * 8 + raw[8:], r"header claims 18446744073709551615 bytes"),
    "header over limit": (lambda raw: (10**8 + 1).to_bytes(8, "little") + raw[8:], r"header claims 100000001 bytes"),
    "png": (lambda raw: b"\x89PNG\r\n\x1a\n" + b"\0" * 64, r"not a safetensors file \(it is a PNG image\)"),
    "pickle": (lambda raw: pickle.dumps({"a": [1.0] * 20}), r"not a safetensors file \(.*pickles are never opened"),
    "torch.save": (lambda raw: b"PK\x03\x04" + b"\0" * 64, r"torch.save writes; pickles are never opened"),
    "lfs pointer": (lambda raw: b"version https://git-lfs.github.com/spec/v1\n", r"Git LFS pointer"),
    # the header
    "header not json": (lambda raw: joined(b"{not json}", b""), r"header is not JSON"),
    "header not utf-8": (lambda raw: joined(b'{"\xff\xfe": 1}', b""), r"header is not JSON"),
    "header too deep": (lambda raw: joined(b'{"a":' * 99999, b""), r"header is not JSON"),
    "tensor twice": (twin_header, r"condition\.good listed more than once"),
    "offsets overlap": (with_header(swapped_offsets), r"tensor condition\.\w+ has offsets"),
    "offsets no numbers": (entry("prior.one", data_offsets=["a", 4]), r"prior\.one has offsets \['a', 4\]"),
    "offsets absent": (entry("prior.one", data_offsets=None), r"prior\.one has offsets None"),
    "offsets too short": (entry("prior.none", data_offsets=[0, 8]), r"tensor prior\.none has offsets"),
    # the manifest
    "no metadata": (with_header(lambda header: header.pop("__metadata__")), r"without the 'anomalib_stage' manifest"),
    "other metadata": (metadata({"format": "pt"}), r"without the 'anomalib_stage' manifest"),
    "metadata a list": (metadata([KEY]), r"without the 'anomalib_stage' manifest"),
    "manifest not json": (metadata({KEY: "{half"}), r"the manifest is not JSON"),
    "manifest a list": (metadata({KEY: "[1]"}), r"schema version None is not known"),
    "no schema version": (with_manifest(lambda m: m.pop("schema_version")), r"schema version None is not known"),
    "schema of tomorrow": (manifest(schema_version=2, news=1), r"schema version 2 is not known, only 1 is; update"),
    "schema a string": (manifest(schema_version="1"), r"schema version '1' is not known"),
    "extra field": (manifest(colour="red"), r"colour: Extra inputs are not permitted, got 'red'"),
    "field missing": (with_manifest(lambda m: m.pop("schedule")), r"schedule: Field required"),
    "unknown backbone": (manifest(backbone="huge"), r"backbone: Input should be 'compact' or 'latent', got 'huge'"),
    "region size": (manifest(region_size=2), r"region_size: .*greater than or equal to 16, got 2"),
    "bad digest": (manifest(digest="abc"), r"digest: String should match pattern"),
    "no defects": (manifest(kinds=[]), r"kinds: Tuple should have at least 1 item"),
    "defect as a path": (manifest(kinds=[{"name": "../a", "shapes": ["blob"]}]), r"kinds\.0\.name: .*got '\.\./a'"),
    "defect with a control character": (
        manifest(kinds=[{"name": "a\nb", "shapes": ["blob"]}]),
        r"kinds\.0\.name: .*has a control character; a defect's name has 1 to 64 characters, no dot.*got 'a\\nb'",
    ),
    "duplicate defects": (
        with_manifest(lambda m: m["kinds"].append(m["kinds"][0])),
        r"defects scratch are listed more than once",
    ),
    "defect without condition": (
        with_manifest(lambda m: m["kinds"].append({"name": "hole", "shapes": ["blob"]})),
        r"defects without a condition tensor: hole",
    ),
    "condition without defect": (
        with_manifest(lambda m: m["kinds"].pop()),
        r"condition tensors without a defect: good",
    ),
    "unknown prefix": (
        with_manifest(lambda m: m["tensors"].update({"extra.x": {"shape": [1], "dtype": "F32"}})),
        r"tensors extra\.x have none of the known prefixes denoiser\., ",
    ),
    "bare prefix": (
        with_manifest(lambda m: m["tensors"].update({"prior.": {"shape": [1], "dtype": "F32"}})),
        r"tensors prior\. have none of the known prefixes",
    ),
    "no denoiser": (
        with_manifest(lambda m: [m["tensors"].pop(n) for n in list(m["tensors"]) if n.startswith("denoiser.")]),
        r"no denoiser\.\* tensor, and no base",
    ),
    "unknown dtype": (
        with_manifest(lambda m: m["tensors"]["prior.one"].update(dtype="F64")),
        r"tensors\.prior\.one\.dtype: .*got 'F64'",
    ),
    # tensors against the manifest
    "missing tensor": (other_tensors(denoiser__half=None), r"1 tensors missing from the file: denoiser\.half"),
    "extra tensor": (other_tensors(codec__x=torch.ones(2)), r"1 tensors not in the manifest: codec\.x"),
    "many extra tensors": (
        other_tensors(**{f"codec__{i}": torch.ones(2) for i in range(7)}),
        r"7 tensors not in the manifest: codec\.0, codec\.1, codec\.2, codec\.3, codec\.4, \.\.\.",
    ),
    "wrong shape": (
        other_tensors(condition__good=torch.zeros(4)),
        r"condition\.good is F32 \[4\], the manifest says F32 \[3\]",
    ),
    "wrong dtype": (
        other_tensors(condition__good=torch.zeros(3).half()),
        r"condition\.good is F16 \[3\], the manifest says F32 \[3\]",
    ),
    "entry no table": (
        with_header(lambda header: header.update({"prior.one": 3})),
        r"prior\.one is None None, the manifest says F32 \[\]",
    ),
    # values
    "nan": (stamped_nan, r"NaN or infinite values in condition\.good"),
    "one bit flipped": (flipped, r"digest mismatch, the tensors have [0-9a-f]{12}\.\.\., the manifest says"),
    "other values": (other_tensors(condition__good=torch.ones(3)), r"digest mismatch"),
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make().save(tmp_path_factory.mktemp("good") / "good.safetensors").read_bytes()


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_one_bundle_error_naming_file_and_cause(case: str, good: bytes, tmp_path: Path) -> None:
    spoil, cause = WRONG[case]
    file = tmp_path / "spoilt.safetensors"
    file.write_bytes(spoil(good))
    with pytest.raises(BundleError, match=cause) as caught:
        StageBundle.load(file)
    message = str(caught.value)
    assert message.startswith(f"{file}: ")
    assert "\n" not in message
    assert len(message) < 800


def test_the_cases_start_from_a_file_that_loads(good: bytes, tmp_path: Path) -> None:
    file = tmp_path / "rejoined.safetensors"
    file.write_bytes(joined(*parts(good)))
    assert StageBundle.load(file).digest == make().digest


@settings(max_examples=60, deadline=None, derandomize=True)
@given(position=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255), cut=st.booleans())
def test_no_damage_surfaces_as_another_error(position: float, value: int, cut: bool, tmp_path_factory: Any) -> None:
    raw = bytearray(save(make().tensors, metadata={KEY: dump_manifest(make().manifest)}))
    at = int(position * len(raw))
    damaged = raw[:at] if cut else raw[:at] + bytes([value]) + raw[at + 1 :]
    file = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    file.write_bytes(damaged)
    complaint = loaded = None
    try:
        loaded = StageBundle.load(file)
    except BundleError as error:
        complaint = str(error)
    if loaded is None:
        assert complaint is not None
        assert complaint.startswith(f"{file}: ")
    else:  # damage to free text of the manifest cannot be seen; the weights are whole
        assert not cut
        assert compute_digest(loaded.tensors) == make().legacy_digest


# places that hold no file


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("absent.safetensors", r"^absent\.safetensors: no such file"),
        (Path("default"), r"^default: no such file"),
        ("somebody/stage-compact", r"hub id or an address: nothing is downloaded here, give a local file"),
        ("hf:somebody/stage", r"nothing is downloaded here"),
        ("https://example.org/x.bin", r"nothing is downloaded here"),
        ("a\0b.safetensors", r"cannot be read"),
        ("x" * 400, r"cannot be read"),
        (".", r"^\.: is a folder; give the \.safetensors file in it"),
    ],
)
def test_a_source_without_a_file_is_refused(
    source: str | Path, cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BundleError, match=cause):
        StageBundle.load(source)


def test_a_file_below_a_file_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    with pytest.raises(BundleError, match="no such file"):
        StageBundle.load(tmp_path / "a" / "b.safetensors")


def test_a_fifo_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BundleError, match="pipe: is not a regular file"):
        StageBundle.load(tmp_path / "pipe")


def test_an_unreadable_file_is_a_bundle_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = make().save(tmp_path / "a.safetensors")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(BundleError, match=r"a\.safetensors: cannot be read .*Permission denied.*check the file"):
        StageBundle.load(file)


@pytest.mark.parametrize("error", [MemoryError("none left"), OSError(5, "Input/output error"), RuntimeError("alloc")])
def test_a_failure_while_reading_tensors_is_a_bundle_error(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make().save(tmp_path / "a.safetensors")

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(bundle_module, "safe_open", fail)
    with pytest.raises(BundleError, match=r"a\.safetensors: the tensors cannot be read"):
        StageBundle.load(file)


def test_default_is_the_packaged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source.resources, "files", lambda package: tmp_path / package)
    with pytest.raises(BundleError, match=r"stage-compact\.safetensors: .* lacks the default bundle; install it again"):
        StageBundle.load()
    saved = make().save(tmp_path / "anomalib_stage.weights" / "default" / "stage-compact.safetensors")
    assert StageBundle.load("default").path == StageBundle.load().path == saved


def test_a_local_file_may_look_like_a_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make().save("mine/stage")
    assert StageBundle.load("mine/stage").path == Path("mine/stage")


# good bundles


def test_a_bundle_comes_back_bit_for_bit(tmp_path: Path) -> None:
    bundle = make()
    loaded = StageBundle.load(str(bundle.save(tmp_path / "new" / "folders" / "a.safetensors")))
    assert loaded.path == bundle.path == tmp_path / "new" / "folders" / "a.safetensors"
    assert loaded.manifest == bundle.manifest
    assert loaded.defects == ("scratch", "good")
    assert loaded.digest == bundle.digest
    assert list(loaded.tensors) == sorted(weights())
    for name, tensor in weights().items():
        assert loaded.tensors[name].dtype == tensor.dtype
        assert torch.equal(loaded.tensors[name], tensor)


def test_a_saved_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "any").touch()
    assert make().save(tmp_path / "a.safetensors").stat().st_mode == (tmp_path / "any").stat().st_mode


def test_loaded_tensors_do_not_depend_on_the_file(tmp_path: Path) -> None:
    loaded = StageBundle.load(make().save(tmp_path / "a.safetensors"))
    size = (tmp_path / "a.safetensors").stat().st_size
    with (tmp_path / "a.safetensors").open("r+b") as stream:  # in place: a mapped file would show through
        stream.write(bytes(size))
    assert compute_digest(loaded.tensors) == loaded.legacy_digest


def test_the_same_content_is_the_same_file(tmp_path: Path) -> None:
    turned = dict(reversed(weights().items()))
    turned["denoiser.conv.weight"] = turned["denoiser.conv.weight"].T.contiguous().T  # the same values, column-major
    first = make().save(tmp_path / "a.safetensors")
    fields = dict(reversed(FIELDS.items()))
    second = StageBundle.build(turned, defects=defects(), **fields).save(tmp_path / "b.safetensors")
    third = StageBundle.load(first).save(tmp_path / "c.safetensors")
    assert first.read_bytes() == second.read_bytes() == third.read_bytes()


def test_saving_stamps_what_was_changed(tmp_path: Path) -> None:
    bundle = make()
    bundle.tensors["prior.one"] = torch.tensor([2.5], dtype=torch.float16)
    loaded = StageBundle.load(bundle.save(tmp_path / "a.safetensors"))
    assert loaded.digest == bundle.digest != make().digest
    assert loaded.manifest.tensors["prior.one"].dtype == "F16"


def test_a_bundle_keeps_its_own_copy_of_the_weights() -> None:
    source = weights()
    bundle = StageBundle.build(source, defects=defects(), **FIELDS)
    source["condition.scratch"].fill_(9)
    assert compute_digest(bundle.tensors) == bundle.legacy_digest


def test_tied_weights_can_be_stored(tmp_path: Path) -> None:
    shared = torch.ones(4)
    tied = weights() | {"denoiser.a": shared, "denoiser.b": shared, "denoiser.c": shared[:2]}
    loaded = StageBundle.load(StageBundle.build(tied, defects=defects(), **FIELDS).save(tmp_path / "a.safetensors"))
    assert torch.equal(loaded.tensors["denoiser.a"], loaded.tensors["denoiser.b"])


def test_a_bundle_with_a_base_needs_no_denoiser(tmp_path: Path) -> None:
    tensors = {"condition.scratch": torch.ones(3), "adapter.aware.w": torch.ones(1), "adapter.only.w": torch.ones(1)}
    bundle = StageBundle.build(tensors, defects=defects("scratch"), **FIELDS, base_digest=make().digest)
    assert StageBundle.load(bundle.save(tmp_path / "a.safetensors")).manifest.base_digest == make().digest


def test_half_precision_is_float32_on_use() -> None:
    floats = make().floats()
    assert {name: tensor.dtype for name, tensor in floats.items() if name.startswith("denoiser.")} == {
        "denoiser.conv.weight": torch.float32,
        "denoiser.half": torch.float32,
        "denoiser.brain": torch.float32,
    }
    assert floats["denoiser.half"].tolist() == [0.5, -2.0]
    assert floats["mask_bank.bits"].dtype == torch.uint8
    assert make().tensors["denoiser.half"].dtype == torch.float16


def test_the_digest_is_the_one_documented() -> None:
    tensors = {"b": torch.tensor([1.0, -2.0], dtype=torch.float16), "a": torch.tensor(3)}
    by_hand = b"a\0I64\0()\0" + (3).to_bytes(8, "little") + b"b\0F16\0(2,)\0" + b"\x00\x3c\x00\xc0"
    assert compute_digest(tensors) == hashlib.sha256(by_hand).hexdigest()


@pytest.mark.parametrize(
    "other",
    [
        {"a": torch.zeros(2, 3)},
        {"a": torch.zeros(6)},
        {"a": torch.zeros(3, 2, dtype=torch.int64)},
        {"b": torch.zeros(3, 2)},
        {"a": torch.zeros(3, 2), "b": torch.zeros(0)},
    ],
)
def test_the_digest_sees_names_shapes_and_dtypes(other: dict[str, torch.Tensor]) -> None:
    assert compute_digest(other) != compute_digest({"a": torch.zeros(3, 2)})


def test_the_description_says_what_matters(tmp_path: Path) -> None:
    bundle = make()
    assert dict(bundle.describe())["file"] == "not saved"
    bundle.save(tmp_path / "a.safetensors")
    rows = dict(bundle.describe())
    assert rows["file"] == str(tmp_path / "a.safetensors")
    assert rows["defects"] == "scratch, good"
    assert rows["parameters"] == "22 in 10 tensors (BF16, BOOL, F16, F32, I64, U8)"
    assert rows["digest"] == bundle.digest
    assert rows["training: licence"] == "Apache-2.0"
    assert rows["version: torch"] == torch.__version__.split("+")[0] or rows["version: torch"] == torch.__version__


def test_an_uninstalled_package_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(package: str) -> str:
        raise stamp.PackageNotFoundError(package)

    monkeypatch.setattr(stamp, "version", absent)
    assert make().manifest.versions == {}


# bundles that must not come to be


@pytest.mark.parametrize(
    ("tensors", "fields", "cause"),
    [
        (
            {"denoiser.x": torch.zeros(1, dtype=torch.float64)},
            {},
            r"denoiser\.x has dtype torch\.float64; a bundle holds",
        ),
        ({"denoiser.x": torch.tensor([float("inf")])}, {}, r"NaN or infinite values in denoiser\.x"),
        ({"other.x": torch.zeros(1)}, {}, r"tensors other\.x have none of the known prefixes"),
        ({"condition.hole": torch.zeros(1)}, {}, r"condition tensors without a defect: hole"),
        ({}, {"backbone": "huge"}, r"backbone: .*got 'huge'"),
        ({}, {"colour": 1}, r"colour: Extra inputs"),
        ({}, {"training": {"weights": object()}}, r"holds what JSON cannot"),
    ],
)
def test_an_invalid_bundle_is_not_built(tensors: dict[str, torch.Tensor], fields: dict[str, Any], cause: str) -> None:
    with pytest.raises(BundleError, match=cause):
        StageBundle.build(weights() | tensors, defects=defects(), **{**FIELDS, **fields})


def test_a_bundle_that_went_bad_is_not_saved(tmp_path: Path) -> None:
    bundle = make()
    file = bundle.save(tmp_path / "a.safetensors")
    before = file.read_bytes()
    bundle.tensors["condition.good"] = torch.full((3,), float("nan"))
    with pytest.raises(BundleError, match=r"NaN or infinite values in condition\.good"):
        bundle.save(file)
    assert file.read_bytes() == before


# interrupted writes


@pytest.mark.parametrize("step", ["save_file", "fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_interrupted_save_leaves_the_old_file_and_nothing_else(
    step: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make().save(tmp_path / "a.safetensors")
    before = file.read_bytes()
    bundle = make()
    bundle.tensors["prior.one"] += 1
    digest = bundle.digest

    def fail(*args: Any, **_: object) -> None:
        if step == "save_file":
            Path(args[1]).write_bytes(b"half")
        raise error

    owner = {"save_file": tensor_file, "fsync": os, "replace": Path}[step]
    monkeypatch.setattr(owner, step, fail)
    with pytest.raises(BundleError if isinstance(error, OSError) else KeyboardInterrupt) as caught:
        bundle.save(file)
    if isinstance(error, OSError):
        assert re.search(r"a\.safetensors: cannot be written .*No space left", str(caught.value))
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]
    assert (bundle.digest, bundle.path) == (digest, None)


@pytest.mark.parametrize("target", ["file/below.safetensors", "folder", "nul\0.safetensors", "x" * 300])
def test_a_target_that_cannot_be_written_is_a_bundle_error(target: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder").mkdir()
    with pytest.raises(BundleError, match=r"cannot be written .*choose a folder"):
        make().save(tmp_path / target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


# the manifest alone


def test_manifests_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        make().manifest.region_size = 32  # type: ignore[misc]


def test_a_manifest_survives_json() -> None:
    content = make().manifest
    assert BundleManifest.model_validate_json(dump_manifest(content)) == content


def test_a_manifest_of_another_version_is_not_built() -> None:
    with pytest.raises(BundleError, match=r"schema version 2 is not known; this release reads version 1"):
        StageBundle.build(weights(), defects=defects(), **FIELDS, schema_version=2)


def test_reading_manifests_needs_no_torch() -> None:
    code = "import sys, anomalib_stage.weights.manifest; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_old_name_of_defects_works_and_says_the_new_one(tiny_bundle: StageBundle) -> None:
    with pytest.warns(DeprecationWarning, match="StageBundle.defects now"):
        assert tiny_bundle.kinds == tiny_bundle.defects
