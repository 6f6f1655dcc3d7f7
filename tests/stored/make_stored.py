# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: I001 - modules of version 0.1.0, which is what this is run with; they stay as they are when modules move
"""Write what ``tests/test_stored.py`` reads: files as version 0.1.0 of the package left them on a disk.

Run it with version 0.1.0 of the package, on the CPU, from outside any other checkout:

    git worktree add OLD <the commit of 0.1.0>
    PYTHONPATH=OLD OMP_NUM_THREADS=1 python tests/stored/make_stored.py

It refuses any other version: the files are there to show that what 0.1.0 wrote can still be read, so a later version
must not write them again. Everything is small: networks of some thousand weights, pictures of 64 to 96 px.

    good/, defects/, masks/     pictures that everything else is made from
    tiny.safetensors            the network that the fits start from
    fitted.safetensors          (a) bundle of ``fit``: mask bank, prior, surroundings, exemplars, looks, softness
    latent.safetensors          (b) bundle of the latent backbone
    half_job/                   (c) ``pregenerate``, killed before it was through
    bank/                       (d) the same job, finished
    half_fit/                   (e) working folder of ``fit``, stopped after its first checkpoint
    half_fit.safetensors        what that fit gives when nothing stops it
    expected.safetensors        (f) what (a) and (b) paint, in float32

Here ``last.ckpt`` of the stopped fit is called ``last.checkpoint``: ``.gitignore`` leaves checkpoints out.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import save_file

import anomalib_stage
from anomalib_stage.cli import main as command
from anomalib_stage.settings import GateSettings, MaskSettings, SynthesisSettings
from anomalib_stage.synthesis.denoiser import COMPACT_CONFIG, CompactDenoiser
from anomalib_stage.synthesis.latent_denoiser import LatentDenoiser
from anomalib_stage.synthesis.schedule import COMPACT_SCHEDULE, REFERENCE_SCHEDULE
from anomalib_stage.synthesizer import StageSynthesizer
from anomalib_stage.training.module import GradedDiffusion
from anomalib_stage.weights.bundle import StageBundle
from anomalib_stage.weights.latent import build_adapter, latent_bundle
from anomalib_stage.weights.latent_manifest import AdapterSpec
from anomalib_stage.weights.manifest import KindSpec

HERE = Path(__file__).parent
VERSION = "0.1.0"
KINDS = {"scratch": ("scratch",), "stain": ("perlin", "edge_chip"), "good": ("blob",)}
LOOKS = [[0.0, 0.0, 0.0, 6.0, -2.0, -0.8, -0.8, -0.8, 0.1], [0.0, 0.0, 0.0, 6.0, -2.0, 0.7, 0.6, 0.5, 0.2]]

JOB = ["--data=good", "--weights=fitted.safetensors", "--count=8", "--batch-size=1", "--steps=4", "--seed=5"]
JOB += ["--min-visibility=0", "--device=cpu", "--defects", "rust", "scratch", "stain"]
"""The job, half-done and finished; ``tests/test_stored.py`` gives the same arguments."""

FIT = ["--base=tiny.safetensors", "--defects=defects", "--masks=masks", "--normal=good", "--batch-size=2", "--seed=3"]
FIT += ["--check-steps=50", "--patience=0", "--procedural=0.25", "--device=cpu"]
LONG_FIT = [*FIT, "--max-steps=104"]
"""The fit that is stopped; checkpoints are written after every 100 steps. The same in ``tests/test_stored.py``."""


def main() -> None:
    """Write everything anew."""
    if anomalib_stage.__version__ != VERSION:
        sys.exit(f"this is version {anomalib_stage.__version__}; the stored files are of {VERSION}, see the docstring")
    torch.cpu._is_avx512_bf16_supported = lambda: False  # float32 on every processor
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        write_pictures()
        tiny_compact().save("tiny.safetensors")
        run("fit", *FIT, "--max-steps=12", "--out=fitted.safetensors")
        tiny_latent().save("latent.safetensors")
        run("pregenerate", *JOB, "--out=bank")
        kill_job(Path("half_job"))
        run("fit", *LONG_FIT, "--out=half_fit.safetensors")
        stop_fit(Path("half_fit"))
        expected()
        kept = ("good", "defects", "masks", "bank", "half_job", "half_fit")
        for name in kept:
            shutil.rmtree(HERE / name, ignore_errors=True)
            shutil.copytree(name, HERE / name)
        for path in Path().glob("*.safetensors"):
            shutil.copyfile(path, HERE / path.name)


def run(*arguments: str) -> None:
    """Run a command of the package."""
    if command(arguments):
        sys.exit(f"failed: {arguments}")


def write_pictures() -> None:
    """Write four good pictures of two sizes, one grey, and four defects of each of two kinds."""
    rng = np.random.default_rng(0)
    for folder in ("good", "defects/rust", "defects/scratch", "masks/rust", "masks/scratch"):
        Path(folder).mkdir(parents=True)
    for i, (height, width) in enumerate([(64, 80), (64, 80), (72, 64), (64, 80)]):
        picture = surface(rng, height, width)
        cv2.imwrite(f"good/{i}.png", picture[..., 0] if i == 3 else picture)
    for kind, level in (("rust", (30, 50, 110)), ("scratch", (220, 225, 230))):
        for i in range(4):
            picture, mask = surface(rng, 72, 96), np.zeros((72, 96), np.uint8)
            if kind == "rust":
                cv2.ellipse(mask, (30 + 9 * i, 26 + 5 * i), (7 + 2 * i, 5 + i), 25.0 * i, 0, 360, 255, -1)
            else:
                cv2.line(mask, (12 + 4 * i, 14 + 6 * i), (62 + 5 * i, 40 + 5 * i), 255, 2)
            noise = rng.normal(0, 12, picture.shape)
            picture[mask > 0] = np.clip(np.array(level) + noise, 0, 255).astype(np.uint8)[mask > 0]
            cv2.imwrite(f"defects/{kind}/{i}.png", picture)
            cv2.imwrite(f"masks/{kind}/{i}_mask.png", mask)


def surface(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Return a cloudy surface, BGR, in few levels, so that its PNG is small."""
    clouds = cv2.GaussianBlur(rng.normal(0, 1, (height, width, 3)).astype(np.float32), (0, 0), 4) * 90 + 130
    return (np.clip(clouds + rng.normal(0, 3, clouds.shape), 0, 255) // 4 * 4).astype(np.uint8)


def tiny_compact() -> StageBundle:
    """Build a compact bundle with random weights."""
    config = {**COMPACT_CONFIG, "block_out_channels": [4, 4], "norm_num_groups": 2}
    torch.manual_seed(0)
    network = CompactDenoiser(list(KINDS), config=config)
    state = network.state_dict()
    tensors = {f"denoiser.{name.removeprefix('unet.')}": v for name, v in state.items() if name.startswith("unet.")}
    tensors |= {f"condition.{kind}": vector for kind, vector in network.conditions.items()}
    tensors |= {f"look.{kind}": torch.tensor(LOOKS) for kind in KINDS}
    kinds = [KindSpec(name=kind, shapes=shapes) for kind, shapes in KINDS.items()]
    codec = {"name": "pixel", "factor": 2}
    return StageBundle.build(
        tensors, kinds=kinds, backbone="compact", denoiser=config, codec=codec, schedule=dict(COMPACT_SCHEDULE)
    )


def tiny_latent() -> StageBundle:
    """Build a latent bundle with random weights, in half precision."""
    from diffusers import AutoencoderKL, UNet2DConditionModel

    torch.manual_seed(1)
    unet = UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=16,
        attention_head_dim=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 16),
        norm_num_groups=4,
        latent_channels=4,
        layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        sample_size=32,
    )
    adapter = AdapterSpec(name="residual", widths=(8, 8), groups=4)
    adapters = {branch: build_adapter(adapter, channels=4) for branch in ("aware", "only")}
    conditions = {kind: torch.randn(3, 16) for kind in ("scratch", "good")}
    return latent_bundle(
        LatentDenoiser(unet.eval(), conditions=conditions, inpainting=False, **adapters),
        vae.eval(),
        adapter=adapter,
        kinds=[KindSpec(name=kind, shapes=KINDS[kind]) for kind in conditions],
        schedule=REFERENCE_SCHEDULE,
        region_size=32,
        dtype=torch.float16,
    )


def kill_job(out: Path) -> None:
    """Start the job in a process and kill it when three pairs are finished."""
    arguments = [sys.executable, "-m", "anomalib_stage", "pregenerate", *JOB, f"--out={out}"]
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL) as job:
        while lines(out) < 3 and job.poll() is None:
            time.sleep(0.001)
        job.send_signal(signal.SIGKILL)
    if not 3 <= lines(out) < 8 or (out / "manifest.jsonl").exists():
        sys.exit("the job was through before it was killed; run this again")


def lines(out: Path) -> int:
    """Count the pairs that a job has finished so far."""
    return sum(path.read_bytes().count(b"\n") for path in out.glob("manifest.*.jsonl"))


def stop_fit(folder: Path) -> None:
    """Run the fit until after its checkpoint, and interrupt it there as Ctrl-C does."""
    original = GradedDiffusion.training_step

    def interrupted(self: GradedDiffusion, batch: dict, batch_idx: int) -> torch.Tensor:
        if self.global_step == 102:
            raise KeyboardInterrupt
        return original(self, batch, batch_idx)

    GradedDiffusion.training_step = interrupted
    if command(["fit", *LONG_FIT, "--out=stopped.safetensors", f"--workdir={folder}"]) != 130:
        sys.exit("the fit was not stopped")
    GradedDiffusion.training_step = original
    (folder / "last.ckpt").rename(folder / "last.checkpoint")
    shutil.rmtree(folder / "sheets", ignore_errors=True)


SIZE = (48, 64)
CASES = {
    "fitted_drawn": {"bundle": "fitted", "defects": [None] * 6, "seeds": [11, 12, 13, 14, 15, 16]},
    "fitted_kinds": {"bundle": "fitted", "defects": ["rust", "scratch", "stain", "good"], "seeds": 7},
    "fitted_large": {"bundle": "fitted", "defects": ["stain", "rust"], "seeds": 3, "extent": (0.4, 0.7)},
    "fitted_given": {"bundle": "fitted", "defects": ["rust", "scratch", "good"], "seeds": 1, "masks": True},
    "latent_drawn": {"bundle": "latent", "defects": ["scratch", "good", None], "seeds": 2},
    "latent_given": {"bundle": "latent", "defects": ["scratch"], "seeds": 4, "masks": True},
}
"""Calls of the synthesizer whose results are kept, on the first pictures of ``clean``, perhaps with masks ``given``."""


def expected() -> None:
    """Paint with both bundles, and keep pictures (8 bit), masks, labels, painted places, and the arguments."""
    rng, told = np.random.default_rng(1), {}
    clean = torch.from_numpy(np.stack([surface(rng, *SIZE) for _ in range(6)])).permute(0, 3, 1, 2).contiguous()
    given = torch.zeros(6, 1, *SIZE, dtype=torch.bool)
    given[:, :, 12:26, 20:42] = True
    tensors = {"clean": clean, "given": given}
    for name, case in CASES.items():
        count = len(case["defects"])
        steps = {"steps": 4, "name": "graded"}
        settings = SynthesisSettings(
            sampler=steps,
            gate=GateSettings(min_visibility=0.0),
            masks=MaskSettings(**({"extent": case["extent"]} if "extent" in case else {})),
        )
        bundle = StageBundle.load(f"{case['bundle']}.safetensors")
        pair = StageSynthesizer(bundle, device="cpu", settings=settings)(
            clean[:count].float() / 255.0,
            defects=case["defects"],
            seeds=case["seeds"],
            masks=given[:count] if case.get("masks") else None,
        )
        found = {"image": (pair.image * 255.0).round().byte(), "mask": pair.mask, "label": pair.label}
        found |= {"painted": pair.painted, "rejected": pair.rejected}
        tensors |= {f"{name}.{key}": value.contiguous() for key, value in found.items()}
        told[name] = case | {"defect": pair.defect, "seed": pair.seed}
    save_file(tensors, "expected.safetensors", metadata={"cases": json.dumps(told)})


if __name__ == "__main__":
    main()
