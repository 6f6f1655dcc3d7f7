# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Artefacts of the published code become a bundle: golden numbers, a round trip, and each way they can be wrong."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from anomalib_stage.cli import main
from anomalib_stage.errors import BundleError
from anomalib_stage.pipeline.synthesizer import StageSynthesizer
from anomalib_stage.settings import GateSettings, SamplerSettings, SynthesisSettings
from anomalib_stage.synthesis.diffusion.adapter import MaskGuidanceAdapter
from anomalib_stage.weights.bundle import StageBundle
from anomalib_stage.weights.latent.bundle import load_latent
from anomalib_stage.weights.latent.convert import convert
from anomalib_stage.weights.latent.published import read_adapter_state, read_learned_vectors
from tests.golden.stream import Stream
from tests.ldm_checkpoint import networks, write_ldm
from tests.synthesis.diffusion.test_reference import GOLDEN, TOLERANCE

TRAINED = "capsule+crack"


def golden_state() -> tuple[dict[str, torch.Tensor], Stream]:
    """Weights of the golden adapter under their published names, drawn as its manifest says."""
    stream, state = Stream(51), {}
    for name, shape, scaling in json.loads((GOLDEN / "mga_manifest.json").read_text()):
        n = stream(tuple(shape))
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 1
        state[name] = {
            "n*sqrt(2/fan_in)": n * (2.0 / fan_in) ** 0.5,
            "0.05n": 0.05 * n,
            "1+0.1n": 1 + 0.1 * n,
            "0.1n": 0.1 * n,
            "1+0.2|n|": 1 + 0.2 * n.abs(),
        }[scaling]
    return state, stream


def write_published(folder: Path, *, step: int = 43999, seed: int = 0) -> Path:
    """Write a folder as the published code does, its modules saved again as plain weights."""
    folder.mkdir(exist_ok=True)
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(4, 32, generator=generator)
    rows = torch.nn.ParameterDict(
        {name: torch.nn.Parameter(start.clone()) for name in ("damaged", "screw+thread_side")}
    )
    rows[TRAINED] = torch.nn.Parameter(torch.randn(4, 32, generator=generator))
    tokens = {"*": torch.tensor(1008)}
    torch.save({"string_to_token": tokens, "string_to_param": rows}, folder / f"embeddings_gs-{step}.pt")
    for i, name in enumerate(("fine_mask", "fine_image")):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + i)
            torch.save(MaskGuidanceAdapter().state_dict(), folder / f"{name}-{step}.pt")
    return folder


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_published(tmp_path_factory.mktemp("published") / "checkpoints")


@pytest.fixture(scope="module")
def ldm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_ldm(tmp_path_factory.mktemp("ldm"))


@torch.no_grad()
def test_the_golden_adapter_through_the_key_table() -> None:
    units = load_file(GOLDEN / "units.safetensors")
    state, stream = golden_state()
    adapter = MaskGuidanceAdapter().eval()
    adapter.load_state_dict(read_adapter_state(state, path=Path("fine_mask-1.pt")))
    eps = stream(tuple(units["mga.eps"].shape))
    torch.testing.assert_close(adapter(eps, units["mga.mask"].float()), units["mga.out"], rtol=0, atol=TOLERANCE)


def test_a_published_folder_comes_through_whole(published: Path, ldm: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "converted.safetensors"
    checkpoint, config = ldm
    flags = [
        "--published",
        str(published),
        "--ldm",
        str(checkpoint),
        "--ldm-config",
        str(config),
        "--precision",
        "fp32",
    ]
    assert main(["convert", *flags, "--out", str(out)]) == 0
    bundle = StageBundle.load(out)
    assert bundle.defects == (TRAINED,)
    assert bundle.manifest.region_size == 32
    assert bundle.manifest.codec["sample"] is True
    denoiser, codec = load_latent(bundle)
    unet, vae, text = networks()
    for network, expected in ((denoiser.unet, unet), (codec.vae, vae)):
        wanted = expected.state_dict()
        assert all(torch.equal(tensor, wanted[name]) for name, tensor in network.state_dict().items())
    for branch, name in (("aware", "fine_image"), ("only", "fine_mask")):
        wanted = torch.load(published / f"{name}-43999.pt", weights_only=True)
        found = getattr(denoiser, branch).state_dict()
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[key], wanted[key]) for key in wanted)
    vectors = read_learned_vectors(published / "embeddings_gs-43999.pt")[TRAINED]
    torch.testing.assert_close(denoiser.conditions[TRAINED], text.encode_caption(vectors))


def test_what_was_converted_paints(published: Path, ldm: tuple[Path, Path]) -> None:
    bundle = convert(published, ldm[0], config=ldm[1])
    settings = SynthesisSettings(sampler=SamplerSettings(steps=4), gate=GateSettings(min_visibility=0.0))
    clean = torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    pair = StageSynthesizer(bundle, device="cpu", synthesis=settings)(clean, seeds=0)
    assert pair.defect == [TRAINED]
    assert torch.equal(pair.image[~pair.mask.expand_as(clean)], clean[~pair.mask.expand_as(clean)])
    assert (pair.image != clean).any()


def test_names_can_be_chosen(published: Path) -> None:
    path = published / "embeddings_gs-43999.pt"
    assert list(read_learned_vectors(path)) == [TRAINED]
    assert list(read_learned_vectors(path, defects=["damaged", TRAINED])) == ["damaged", TRAINED]
    with pytest.raises(BundleError, match="no vectors of dent; its names are capsule"):
        read_learned_vectors(path, defects=["dent"])


class MGA(torch.nn.Module):
    """A module as the published code pickles it whole."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = MaskGuidanceAdapter().conv


def test_whole_modules_are_refused_with_the_lines_that_help(
    published: Path,
    ldm: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = write_published(tmp_path / "checkpoints")
    path = folder / "fine_mask-43999.pt"
    home = types.ModuleType("published_code")
    home.MGA = MGA  # type: ignore[attr-defined]
    monkeypatch.setattr(MGA, "__module__", "published_code")
    monkeypatch.setitem(sys.modules, "published_code", home)
    torch.save(MGA(), path)
    flags = [
        "--published",
        str(folder),
        "--ldm",
        str(ldm[0]),
        "--ldm-config",
        str(ldm[1]),
        "--out",
        str(tmp_path / "o.safetensors"),
    ]
    assert main(["convert", *flags]) == 1
    message = capsys.readouterr().err
    assert "holds an object of published_code.MGA" in message
    # the two lines, run where the class is known, make a file that is taken
    lines = message.strip().splitlines()[-2:]
    assert lines[0] == "import torch"
    monkeypatch.chdir(folder)
    exec("\n".join(lines), {})
    assert main(["convert", *flags]) == 0


Weights = dict[str, torch.Tensor]
WRONG: dict[str, tuple[Callable[[Weights], object], str]] = {
    "unknown": (lambda w: w.update({"conv.16.weight": torch.zeros(1)}), "1 unknown weights: conv.16.weight"),
    "missing": (lambda w: w.pop("conv.4.running_mean"), "1 missing weights: conv.4.running_mean"),
    "misshapen": (lambda w: w.update({"conv.15.bias": torch.zeros(5)}), r"conv.15.bias \[5\], \[4\] is right"),
}


@pytest.mark.parametrize("case", WRONG)
def test_adapters_have_exactly_the_published_names(case: str) -> None:
    state = golden_state()[0]
    change, message = WRONG[case]
    change(state)
    with pytest.raises(BundleError, match=f"fine_mask-1.pt: .*{message}"):
        read_adapter_state(state, path=Path("fine_mask-1.pt"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1], "holds list"),
        ({"string_to_param": {}}, "holds string_to_param"),
        ({"string_to_param": {}, "string_to_token": {}, "other": 1}, "holds other"),
        ({"string_to_param": {}, "string_to_token": {}}, "vectors none"),
        ({"string_to_param": {"a": torch.zeros(3)}, "string_to_token": {}}, r"a \[3\]"),
        (
            {"string_to_param": {"a": torch.zeros(2, 3), "b": torch.zeros(2, 3)}, "string_to_token": {}},
            "none was trained",
        ),
    ],
)
def test_embeddings_have_exactly_the_published_form(content: object, message: str, tmp_path: Path) -> None:
    path = tmp_path / "embeddings_gs-1.pt"
    torch.save(content, path)
    with pytest.raises(BundleError, match=message):
        read_learned_vectors(path)


def test_the_step_is_found_or_asked_for(published: Path, ldm: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such folder"):
        convert(tmp_path / "none", ldm[0])
    with pytest.raises(BundleError, match="no step with all of them"):
        convert(tmp_path, ldm[0])
    folder = write_published(tmp_path / "checkpoints", step=1500)
    write_published(folder, step=3000, seed=5)
    with pytest.raises(BundleError, match="steps 1500, 3000: choose one with --step"):
        convert(folder, ldm[0], config=ldm[1])
    with pytest.raises(BundleError, match="step 7 is not there"):
        convert(folder, ldm[0], config=ldm[1], step=7)
    bundle = convert(folder, ldm[0], config=ldm[1], step=3000)
    assert bundle.manifest.training["steps"] == 3000
    (folder / "fine_image-3000.pt").unlink()
    assert convert(folder, ldm[0], config=ldm[1]).manifest.training["steps"] == 1500


def test_vectors_of_another_width_are_refused(published: Path, ldm: tuple[Path, Path], tmp_path: Path) -> None:
    folder = write_published(tmp_path / "checkpoints")
    rows = {"a": torch.zeros(4, 31)}
    torch.save({"string_to_token": {}, "string_to_param": rows}, folder / "embeddings_gs-43999.pt")
    with pytest.raises(BundleError, match="has width 32"):
        convert(folder, ldm[0], config=ldm[1])
