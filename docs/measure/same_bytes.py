# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Do two commits give the same bytes from the same seeds? Compares every file and tensor that they write.

    python docs/measure/same_bytes.py OLD NEW
    python docs/measure/same_bytes.py HEAD .            # the last commit and the working tree
    python docs/measure/same_bytes.py OLD NEW --keep DIR --only default_ fit

Both commits are checked out into a temporary folder, and each does the same work in a process of its own, on the CPU
with one thread: ``pregenerate`` in both layouts with the default bundle, a fitted one, and small compact and latent
ones, with drawn and given masks, on pictures of several sizes, grey ones and ones of two levels; ``preview``; a short
``fit``; the synthesizer with every kind and ``good``, ``masks``, ``foregrounds`` and both samplers (the published one
on a short schedule, since it takes every step); and batches of ``StageAugment`` and ``StageTransform``, painted and
from a bank. The fitted bundle is fitted once, by OLD, on defects that the script draws. A line for each case says
``same``, or how many files differ and by how much at most; exit status 1 if any does. Not counted is the version of the
package where a file names it, nor the digest of a bundle, nor the check sum of such a file.

Needs git, this repository with both commits, and the installed dependencies of the package; small bundles and a bank
come from ``tests/stored``. Takes about four minutes on two cores. Used of the package are its public names and its
command line alone, so that modules may move between the commits.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import json
import os
import re
import runpy
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from safetensors.torch import load_file, save_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
STORED = ROOT / "tests" / "stored"
SHORT = 8
"""Steps of the schedule that the published sampler walks through here."""

SIZES = {"a": (64, 64), "b": (96, 128), "c": (150, 100), "d": (96, 128), "e": (384, 420)}
LAST_FEW = 20
"""Lines of a failed process that are shown."""

VERSION = re.compile(rb'"anomalib-stage": ?"[^"]*"')
BUNDLE = re.compile(rb'"bundle": ?"[0-9a-f]{64}"')
"""What a job and a pair call the weights: after version 0.1.0 the digest also covers the manifest."""

SUM_OF_TEXT = re.compile(rb"^[0-9a-f]{64}  (job\.json|manifest\.jsonl|annotations\.json)$", re.MULTILINE)


# -- in both commits ---------------------------------------------------------------------------------------------------


def main() -> int:
    """Compare two commits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", metavar="OLD", help="commit, or . for the working tree")
    parser.add_argument("new", metavar="NEW", help="commit, or . for the working tree")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="absent or empty folder to keep everything in")
    parser.add_argument("--only", nargs="+", metavar="CASE", help="cases whose names begin with one of these")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        work(given.worker, only=given.only)
        return 0
    with contextlib.ExitStack() as stack:
        folder = given.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder = folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            parser.error(f"{folder} is not empty")
        return compare(given.old, given.new, folder=folder, only=given.only)


def compare(old: str, new: str, *, folder: Path, only: Sequence[str] | None) -> int:
    """Let both commits work, and print how what they wrote differs; returns the exit status."""
    start, inputs = time.monotonic(), folder / "inputs"
    trees = {name: checked_out(commit, folder / f"{name}-tree") for name, commit in (("old", old), ("new", new))}
    write_inputs(inputs)
    fit = ["-m", "anomalib_stage", "fit", "--base=default", *fit_options(8, batch=4), "--out=fitted.safetensors"]
    finish({"old": started(fit, tree=trees["old"], cwd=inputs, log=folder / "fit.log")}, folder)
    chosen = ["--only", *only] if only else []
    workers = {}
    for name, tree in trees.items():
        arguments = [str(Path(__file__).resolve()), old, new, "--worker", str(folder / name), *chosen]
        workers[name] = started(arguments, tree=tree, cwd=inputs, log=folder / f"{name}.log")
    finish(workers, folder)
    different = 0
    for case in sorted({path.name for name in trees for path in (folder / name).iterdir()}):
        found = difference(folder / "old" / case, folder / "new" / case)
        different += found is not None
        files = sum(path.is_file() for path in (folder / "old" / case).rglob("*"))
        print(f"{case:<24} {found or f'same ({files} files)'}", flush=True)
    print(f"{different} cases differ, {time.monotonic() - start:.0f} s")
    return int(different > 0)


def checked_out(commit: str, folder: Path) -> Path:
    """Return the folder of the working tree, or write that of a commit."""
    if commit == ".":
        return ROOT
    packed = subprocess.run(["git", "-C", ROOT, "archive", "--format=tar", commit], capture_output=True, check=False)
    if packed.returncode:
        sys.exit(packed.stderr.decode().strip())
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def started(arguments: Sequence[str], *, tree: Path, cwd: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start Python with the package of a tree."""
    alone = {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    alone |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    with log.open("wb") as stream:
        return subprocess.Popen(
            [sys.executable, *arguments], cwd=cwd, env=os.environ | alone, stdout=stream, stderr=subprocess.STDOUT
        )


def finish(processes: dict[str, subprocess.Popen[bytes]], folder: Path) -> None:
    """Wait for processes; if one has failed, show its last words and leave."""
    codes = {name: process.wait() for name, process in processes.items()}
    for name in [name for name, code in codes.items() if code]:
        log = folder / (f"{name}.log" if (folder / f"{name}.log").exists() else "fit.log")
        print(*log.read_text(errors="replace").splitlines()[-LAST_FEW:], sep="\n", file=sys.stderr)
    if any(codes.values()):
        sys.exit(f"failed: {', '.join(name for name, code in codes.items() if code)}")


# -- differences -------------------------------------------------------------------------------------------------------


def difference(old: Path, new: Path) -> str | None:
    """Say how two folders differ; None if every byte is the same."""
    names = [{path.relative_to(folder) for path in folder.rglob("*") if path.is_file()} for folder in (old, new)]
    found = dict.fromkeys(names[0] ^ names[1], "in one only")
    for name in names[0] & names[1]:
        one, other = (plain((folder / name).read_bytes(), name) for folder in (old, new))
        if one != other:
            found[name] = amount(old / name, new / name)
    if not found:
        return None
    some = ", ".join(f"{name.as_posix()}: {what}" for name, what in sorted(found.items())[:3])
    return f"{len(found)} of {len(names[0] | names[1])} files DIFFER ({some}{', ...' if len(found) > 3 else ''})"


def plain(content: bytes, name: Path) -> bytes:
    """Leave out the version of the package, and check sums of files that name it."""
    if name.suffix in {".json", ".jsonl"}:
        return BUNDLE.sub(b'"bundle":""', VERSION.sub(b'"anomalib-stage":""', content))
    return SUM_OF_TEXT.sub(rb"\1", content) if name.name == "SHA256SUMS" else content


def amount(old: Path, new: Path) -> str:
    """Say by how much two files differ at most."""
    if old.suffix == ".png":
        return _most(*(cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in (old, new)), unit="levels")
    if old.suffix != ".safetensors":
        return "text"
    one, other = load_file(old), load_file(new)
    if one.keys() != other.keys():
        return f"tensors in one only: {', '.join(sorted(one.keys() ^ other.keys())[:3])}"
    parts = {name: _most(one[name].double().numpy(), other[name].double().numpy()) for name in one}
    different = {name: what for name, what in parts.items() if what != "0"}
    return ", ".join(f"{name} {what}" for name, what in sorted(different.items())[:3]) or "metadata"


def _most(one: NDArray[Any], other: NDArray[Any], *, unit: str = "") -> str:
    if one.shape != other.shape:
        return f"shape {one.shape} and {other.shape}"
    most = np.abs(one.astype(np.float64) - other.astype(np.float64)).max(initial=0.0)
    return f"{most:.3g} {unit}".strip()


# -- what both are given -----------------------------------------------------------------------------------------------


def write_inputs(folder: Path) -> None:
    """Write good pictures of several kinds, defects with masks, given masks, and small bundles."""
    rng = np.random.default_rng(0)
    for name, size in SIZES.items():
        write(folder / "good" / f"{name}.png", object_on(surface(rng, *size)) if name == "b" else surface(rng, *size))
    write(folder / "good" / "grey.png", surface(rng, 80, 96)[..., 0])
    write(folder / "good" / "levels.png", np.where(surface(rng, 96, 96)[..., :1] > 128, 200, 60).repeat(3, 2))
    write(folder / "good" / "deep.png", surface(rng, 72, 72)[..., 0].astype(np.uint16) * 257)
    for i in range(3):
        write(folder / "same" / f"{i}.png", surface(rng, 96, 112))
        write(folder / "given" / f"{i}.png", blob(rng, 96, 112, part=0.1 + 0.15 * i))
    for kind, tone in (("rust", (30, 60, 120)), ("scratch", (225, 225, 230))):
        for i in range(4):
            picture, mask = surface(rng, 96, 112), blob(rng, 96, 112, part=0.08 + 0.04 * i)
            noise = rng.normal(0, 12, picture.shape)
            picture[mask > 0] = np.clip(np.array(tone) + noise, 0, 255).astype(np.uint8)[mask > 0]
            write(folder / "defects" / kind / f"{i}.png", picture)
            write(folder / "masks" / kind / f"{i}_mask.png", mask)
    for name in ("tiny", "fitted", "latent"):
        shutil.copy(STORED / f"{name}.safetensors", folder / f"tiny_{name}.safetensors")
        shorten(folder / f"tiny_{name}.safetensors", folder / f"short_{name}.safetensors")
    for name in ("bank", "good"):
        shutil.copytree(STORED / name, folder / "stored" / name)


def write(path: Path, pixels: NDArray[Any]) -> None:
    """Write a PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels if pixels.dtype == np.uint16 else pixels.astype(np.uint8))


def surface(rng: np.random.Generator, height: int, width: int) -> NDArray[Any]:
    """Draw a cloudy, noisy surface, ``(H, W, 3)``."""
    clouds = cv2.GaussianBlur(rng.normal(0, 1, (height, width, 3)).astype(np.float32), (0, 0), 5) * 110 + 130
    return np.asarray(np.clip(clouds + rng.normal(0, 4, clouds.shape), 0, 255).astype(np.uint8))


def object_on(picture: NDArray[Any]) -> NDArray[Any]:
    """Leave a disc of a surface on a dark ground."""
    disc = np.zeros(picture.shape[:2], np.uint8)
    cv2.circle(disc, (picture.shape[1] // 2, picture.shape[0] // 2), min(disc.shape) // 3, 1, -1)
    return np.where(disc[..., None] > 0, picture, 8)


def blob(rng: np.random.Generator, height: int, width: int, *, part: float) -> NDArray[Any]:
    """Draw an ellipse as a mask, ``part`` of the shorter side."""
    mask, radius = np.zeros((height, width), np.uint8), part * min(height, width)
    centre = (int(rng.integers(width // 3, 2 * width // 3)), int(rng.integers(height // 3, 2 * height // 3)))
    axes = (max(int(radius), 2), max(int(radius * rng.uniform(0.3, 1)), 1))
    cv2.ellipse(mask, centre, axes, float(rng.uniform(0, 180)), 0, 360, 255, -1)
    return mask


def shorten(bundle: Path, out: Path) -> None:
    """Copy a bundle with a schedule of few steps; done on the file, so that no commit has a say in it."""
    content = bundle.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    manifest = json.loads(header["__metadata__"]["anomalib_stage"])
    manifest["schedule"]["num_train_timesteps"] = SHORT
    header["__metadata__"]["anomalib_stage"] = json.dumps(manifest, sort_keys=True)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    out.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])


def fit_options(steps: int, *, batch: int) -> list[str]:
    """Return the options of a short fit."""
    chosen = ["--normal=same", "--defects=defects", "--masks=masks", "--device=cpu", f"--batch-size={batch}"]
    return [*chosen, f"--max-steps={steps}", "--seed=2", "--check-steps=100"]


# -- what each does ----------------------------------------------------------------------------------------------------


def work(out: Path, *, only: Sequence[str] | None) -> None:
    """Run every case with the package that is found first, in the folder of the inputs."""
    warnings.simplefilter("ignore", DeprecationWarning)  # old names of options
    import anomalib_stage

    tree = Path(os.environ["PYTHONPATH"])
    if not Path(anomalib_stage.__file__).is_relative_to(tree):
        sys.exit(f"{anomalib_stage.__file__} is not of {tree}")
    for name, run in {**command_cases(), **python_cases(), **plugin_cases()}.items():
        if only is None or name.startswith(tuple(only)):
            (out / name).mkdir(parents=True)
            begun = time.monotonic()
            run(out / name)
            print(f"{name} {time.monotonic() - begun:.1f} s", flush=True)


def command_cases() -> dict[str, Callable[[Path], None]]:
    """Return what is run by command."""
    coco = ["--coco"] if importlib.util.find_spec("pycocotools") else []
    few = ["--steps=4", "--min-visibility=0"]
    pairs = {
        "default_folder": ["--data=good", "--count=16", "--seed=1", "--batch-size=4"],
        "default_mvtec": ["--data=good", "--count=9", "--layout=mvtec", *coco],
        "default_weak": ["--data=good", "--count=8", "--strength=[0.3,0.8]", "--trim", "--foreground=none", "--seed=4"],
        "default_given": ["--data=same", "--masks=given", "--count=6", "--seed=2"],
        "fitted_folder": ["--data=good", "--weights=fitted.safetensors", "--count=16", "--seed=3"],
        "fitted_real": ["--data=same", "--weights=fitted.safetensors", "--count=8", "--defects", "rust", "scratch"],
        "fitted_given": ["--data=same", "--weights=fitted.safetensors", "--count=3", "--masks=given"],
        "tiny_folder": ["--data=good", "--weights=tiny_fitted.safetensors", "--count=24", *few],
        "latent_folder": ["--data=good", "--weights=tiny_latent.safetensors", "--count=8", *few],
        "latent_given": ["--data=same", "--weights=tiny_latent.safetensors", "--masks=given", "--count=3", *few],
    }
    cases: dict[str, Callable[[Path], None]] = {
        name: lambda out, options=options: command("pregenerate", *options, f"--out={out}", "--device=cpu")
        for name, options in pairs.items()
    }
    for name, weights in (("default", "default"), ("fitted", "fitted.safetensors")):
        cases[f"preview_{name}"] = lambda out, weights=weights: command(
            "preview", "--data=good", f"--out={out}/grid.png", f"--weights={weights}", "--count=4", "--device=cpu"
        )
    return cases | {"fit": fit_case}


def command(*arguments: str) -> None:
    """Run ``python -m anomalib_stage`` in this process."""
    before, sys.argv = sys.argv, ["anomalib-stage", *arguments]
    try:
        runpy.run_module("anomalib_stage", run_name="__main__", alter_sys=True)
    except SystemExit as stop:
        if stop.code:
            raise
    finally:
        sys.argv = before


def fit_case(out: Path) -> None:
    """Fit for some steps; kept are the tensors of the bundle."""
    with tempfile.TemporaryDirectory() as scratch:
        command("fit", "--base=tiny_tiny.safetensors", *fit_options(12, batch=4), f"--out={scratch}/fit.safetensors")
        save_file(load_file(Path(scratch) / "fit.safetensors"), out / "bundle.safetensors")


def python_cases() -> dict[str, Callable[[Path], None]]:
    """Return what is run with the synthesizer."""
    graded: dict[str, Any] = {"gate": {"min_visibility": 0.0}}
    few = graded | {"sampler": {"name": "graded", "steps": 4}}
    reference = {"sampler": {"name": "reference"}, "gate": {"min_visibility": 0.0}}
    return {
        "python_default": lambda out: paint(out, "default", {}),
        "python_default_large": lambda out: paint_large(out, "default", graded),
        "python_fitted": lambda out: paint(out, "fitted.safetensors", graded),
        "python_fitted_large": lambda out: paint_large(out, "fitted.safetensors", graded),
        "python_tiny": lambda out: paint(out, "tiny_fitted.safetensors", few),
        "python_tiny_large": lambda out: paint_large(out, "tiny_fitted.safetensors", few),
        "python_latent": lambda out: paint(out, "tiny_latent.safetensors", few),
        "python_latent_large": lambda out: paint_large(out, "tiny_latent.safetensors", few),
        "reference_tiny": lambda out: paint(out, "short_tiny.safetensors", reference),
        "reference_fitted": lambda out: paint(out, "short_fitted.safetensors", reference),
        "reference_latent": lambda out: paint(out, "short_latent.safetensors", reference),
    }


def synthesizer_of(weights: str, options: dict[str, Any]) -> Any:  # noqa: ANN401 - of either commit
    """Build a synthesizer with some settings; their class is asked for, as its module may move."""
    from anomalib_stage import StageBundle, StageSynthesizer

    bundle = StageBundle.load(weights)
    settings = type(StageSynthesizer(bundle, device="cpu").settings)
    return StageSynthesizer(bundle, device="cpu", settings=settings(**options))


def tensors_of(*names: str, size: tuple[int, int] | None = None) -> torch.Tensor:
    """Read good pictures as a batch; smaller ones of a larger picture if ``size`` is given."""
    pictures = [cv2.imread(f"{name}.png")[..., ::-1] for name in names]
    pictures = [picture[: size[0], : size[1]] if size else picture for picture in pictures]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous().float() / 255.0


def paint(out: Path, weights: str, options: dict[str, Any]) -> None:
    """Call a synthesizer in every way: each kind and ``good``, drawn kinds, given masks, foregrounds, seeds."""
    synthesizer = synthesizer_of(weights, options)
    kinds = [*synthesizer.kinds, "good"]
    images = tensors_of("good/e", size=(72, 88)).repeat(len(kinds), 1, 1, 1)
    keep(out, "kinds", synthesizer(images, defects=kinds, seeds=list(range(40, 40 + len(kinds)))))
    three, given = tensors_of("same/0", "same/1", "same/2"), [cv2.imread(f"given/{i}.png", 0) for i in range(3)]
    masks = torch.from_numpy(np.stack(given) > 0)[:, None]
    keep(out, "drawn", synthesizer(three, seeds=5))
    keep(out, "masks", synthesizer(three, masks=masks, defects=[kinds[0], None, "good"], seeds=[1, 2, 3]))
    keep(out, "foregrounds", synthesizer(three, foregrounds=~masks, seeds=8))
    for name in ("grey", "levels", "b"):
        keep(out, name, synthesizer(tensors_of(f"good/{name}"), defects=kinds[-2], seeds=9))
    drawn = synthesizer.draw_masks(images, defects=kinds, seeds=6)
    save_file({"masks": drawn}, out / "draw_masks.safetensors")


def paint_large(out: Path, weights: str, options: dict[str, Any]) -> None:
    """Paint large anomalies into a large picture; a smaller one, where the network is a slow one."""
    synthesizer = synthesizer_of(weights, {**options, "masks": {"extent": (0.25, 0.7)}})
    kinds = [synthesizer.kinds[0], synthesizer.kinds[-1], "good"]
    size = (128, 128) if "latent" in weights else SIZES["e"]
    keep(out, "large", synthesizer(tensors_of(*["good/e"] * 3, size=size), defects=kinds, seeds=3))
    every = synthesizer_of(weights, {**options, "masks": {"displaced": 1.0}})
    keep(out, "displaced", every(tensors_of("good/e", "good/e", size=(128, 160)), seeds=4))


def keep(out: Path, name: str, pair: Any) -> None:  # noqa: ANN401 - of either commit
    """Write a pair."""
    fields = ("image", "mask", "label", "painted", "visibility", "rejected")
    save_file({field: getattr(pair, field).contiguous() for field in fields}, out / f"{name}.safetensors")
    (out / f"{name}.json").write_text(json.dumps({"defect": pair.defect, "seed": pair.seed}))


# -- the plug-in -------------------------------------------------------------------------------------------------------


def plugin_cases() -> dict[str, Callable[[Path], None]]:
    """Return what is run with the callback and the transform."""
    live = {"weights": "tiny_fitted.safetensors", "steps": 4, "min_visibility": 0.0, "probability": 0.7}
    bank = {"bank": "stored/bank", "probability": 0.7, "negatives": 0.0}
    both = {**live, "bank": "stored/bank", "refresh": 0.5}
    cases: dict[str, Callable[[Path], None]] = {}
    for name, options in (("live", live), ("bank", bank), ("both", both), ("default", {"min_visibility": 0.0})):
        for model in ("UniNet", "Draem"):
            cases[f"augment_{name}_{model}"] = lambda out, options=options, model=model: augment(out, model, options)
    for name, options in (("live", live), ("bank", {**bank, "negatives": 0.25})):
        cases[f"transform_{name}"] = lambda out, options=options: transform(out, options)
    return cases


def model_of(name: str) -> Any:  # noqa: ANN401 - a class made here
    """Make a model that looks like one of anomalib's to the callback: its name, and its image generator."""
    from lightning.pytorch import LightningModule
    from torch import nn

    class Generator(nn.Module):
        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return images, torch.zeros_like(images[:, :1])

    model = type(name, (LightningModule,), {"log": lambda *_, **__: None})()
    if name == "Draem":
        model.augmenter = Generator()
    return model


def augment(out: Path, name: str, options: dict[str, Any]) -> None:
    """Run the hooks around some training steps, and keep what the model would see."""
    import pandas as pd

    from anomalib_stage import StageAugment

    callback, model = StageAugment(**{"seed": 3, "device": "cpu", **options}), model_of(name)
    paths = [f"stored/good/{i}.png" for i in (0, 1, 3)]
    data = SimpleNamespace(train_data=SimpleNamespace(samples=pd.DataFrame({"image_path": paths})))
    trainer: Any = SimpleNamespace(global_rank=0, is_global_zero=True, current_epoch=1, default_root_dir=str(out))
    trainer.callbacks, trainer.datamodule = [callback], data
    callback.setup(trainer, model, "fit")
    callback.on_fit_start(trainer, model)
    for index, batch in enumerate(batches(paths)):
        callback.on_train_batch_start(trainer, model, batch, index)
        seen = {"image": batch.image, "mask": batch.gt_mask, "label": batch.gt_label}
        if name == "Draem":
            seen["painted"], seen["painted_mask"] = model.augmenter(batch.image.as_subclass(torch.Tensor))
        callback.on_train_batch_end(trainer, model, None, batch, index)
        save_file(plain_tensors(**seen), out / f"{index}.safetensors")
    callback.on_fit_end(trainer, model)
    (out / "counts.json").write_text(json.dumps(callback.state_dict()))


def batches(paths: list[str]) -> Iterator[Any]:
    """Yield batches of good images as anomalib's data sets give them."""
    from torchvision import tv_tensors

    for _ in range(3):
        images = tensors_of(*(path.removesuffix(".png") for path in paths))
        mask = tv_tensors.Mask(torch.zeros(len(images), *images.shape[2:], dtype=torch.bool))
        label = torch.zeros(len(images), dtype=torch.bool)
        yield SimpleNamespace(image=tv_tensors.Image(images), gt_mask=mask, gt_label=label, image_path=paths)


def plain_tensors(**parts: torch.Tensor) -> dict[str, torch.Tensor]:
    """Copy tensors of whatever class and layout."""
    layout = torch.contiguous_format
    return {name: part.as_subclass(torch.Tensor).clone(memory_format=layout) for name, part in parts.items()}


def transform(out: Path, options: dict[str, Any]) -> None:
    """Run the transform on some images in two epochs."""
    from torchvision import tv_tensors

    from anomalib_stage import StageTransform

    paint_in = StageTransform(**{"seed": 5, **options})
    for epoch in range(2):
        paint_in.set_epoch(epoch)
        for i in range(4):
            image = tv_tensors.Image(tensors_of(f"stored/good/{i}")[0])
            found = paint_in(image, tv_tensors.Mask(torch.zeros(image.shape[1:], dtype=torch.uint8)))
            image, mask = (
                part.as_subclass(torch.Tensor).clone(memory_format=torch.contiguous_format) for part in found
            )
            save_file({"image": image, "mask": mask}, out / f"{epoch}-{i}.safetensors")


if __name__ == "__main__":
    sys.exit(main())
