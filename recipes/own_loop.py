# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""A training loop of your own in plain PyTorch: good images, painted defects, a network, its loss.

    python recipes/own_loop.py
    python recipes/own_loop.py --images datasets/tiles/train/good --size 256 --epochs 50 --device cuda

Without images it renders tiles into datasets/stage_demo, and learns their defects on a CPU in under a minute. Nothing
is downloaded. What each part is there for: docs/how-to/your-own-loop.md
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from anomalib_stage import StageDemo, StageSynthesizer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class GoodImages(Dataset[Tensor]):
    """Good images of a folder, ``(3, size, size)`` float in [0, 1]: they are normalised after painting, not before."""

    def __init__(self, folder: Path, *, size: int) -> None:
        self.paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in {".png", ".jpg", ".jpeg"})
        if not self.paths:
            msg = f"{folder}: no .png or .jpg there; give a folder of good images"
            raise ValueError(msg)
        self.prepare = v2.Compose([v2.ToImage(), v2.Resize((size, size)), v2.ToDtype(torch.float32, scale=True)])

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        with Image.open(self.paths[index]) as file:
            if file.mode.startswith(("I", "F")):  # pillow would turn deep grey into white
                msg = f"{self.paths[index]}: pixels are of mode {file.mode}; give images of 8 bit"
                raise ValueError(msg)
            image: Tensor = self.prepare(file.convert("RGB"))
        return image.as_subclass(Tensor)


class SmallSegmenter(nn.Module):
    """A network of three levels; put yours in its place. ``(B, 3, H, W)`` in [0, 1] to logits ``(B, 1, H, W)``."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()

        def block(inputs: int, outputs: int) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU())

        self.down = nn.ModuleList([block(3, width), block(width, 2 * width), block(2 * width, 4 * width)])
        self.up = nn.ModuleList([block(6 * width, 2 * width), block(3 * width, width)])
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits; positive ones say defect."""
        levels = [self.down[0](2.0 * images - 1.0)]
        for block in list(self.down)[1:]:
            levels.append(block(functional.max_pool2d(levels[-1], 2)))
        found = levels.pop()
        for block in self.up:
            skip = levels.pop()
            found = block(torch.cat([functional.interpolate(found, size=skip.shape[-2:]), skip], dim=1))
        logits: Tensor = self.head(found)
        return logits


def paint(synthesizer: StageSynthesizer, images: Tensor) -> tuple[Tensor, Tensor]:
    """Paint defects into half of a batch, and good surface anew into an eighth, which stays good.

    The good surface keeps a network from learning to recognise the painter. No ``seeds``: each call draws fresh ones.

    Args:
        synthesizer (StageSynthesizer): Paints.
        images (Tensor): ``(B, 3, H, W)`` float in [0, 1].

    Returns:
        tuple[Tensor, Tensor]: Images, and masks ``(B, 1, H, W)`` bool.
    """
    defective, negative = len(images) // 2, len(images) // 8
    painted = defective + negative
    masks = torch.zeros_like(images[:, :1], dtype=torch.bool)
    if not painted:
        return images, masks
    pair = synthesizer(images[:painted], defects=[None] * defective + ["good"] * negative)
    masks[:painted] = pair.mask
    return torch.cat([pair.image, images[painted:]]), masks


def compute_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Return binary cross entropy plus Dice, so that thin defects weigh something too."""
    target, found = masks.to(logits.dtype), logits.sigmoid()
    overlap, size = (found * target).sum(), found.sum() + target.sum()
    return functional.binary_cross_entropy_with_logits(logits, target) + 1.0 - (2.0 * overlap + 1.0) / (size + 1.0)


def train(
    network: nn.Module, loader: DataLoader[Tensor], synthesizer: StageSynthesizer, *, epochs: int, lr: float = 3e-3
) -> Iterator[tuple[float, Tensor]]:
    """Train, and yield the loss and the masks ``(B, 1, H, W)`` of each step."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr)
    network.train()
    for _ in range(epochs):
        for good in loader:
            images, masks = paint(synthesizer, good.to(synthesizer.device))
            loss = compute_loss(network(images), masks)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield float(loss.detach()), masks


def render_tiles(size: int) -> Path:
    """Render good tiles of brushed metal, once, and return their folder."""
    demo = StageDemo(image_size=size, train_count=48, test_count=2)
    demo.prepare_data()
    return Path(str(demo.root)) / "train" / "good"


def main(arguments: Sequence[str] | None = None) -> Iterator[tuple[float, Tensor]]:
    """Read the command line, and train."""
    parser = argparse.ArgumentParser(description="Train a small network on painted defects, in a loop of one's own.")
    parser.add_argument("--images", type=Path, help="folder of good images; tiles are rendered if not given")
    parser.add_argument("--size", type=int, default=64, help="side of the images in pixels")
    parser.add_argument("--epochs", type=int, default=6, help="times through the good images")
    parser.add_argument("--batch-size", type=int, default=8, help="images in a step")
    parser.add_argument("--weights", default="default", help="bundle that paints")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--seed", type=int, default=0, help="of the network, the order of the images and the defects")
    given = parser.parse_args(arguments)

    torch.manual_seed(given.seed)
    synthesizer = StageSynthesizer.from_pretrained(
        given.weights, device=given.device, synthesis={"sampler": {"steps": 8}}, seed=given.seed
    )
    network = SmallSegmenter().to(synthesizer.device)
    images = GoodImages(given.images or render_tiles(given.size), size=given.size)
    loader = DataLoader(images, batch_size=given.batch_size, shuffle=True, drop_last=len(images) > given.batch_size)
    yield from train(network, loader, synthesizer, epochs=given.epochs)


if __name__ == "__main__":
    for step, (loss, masks) in enumerate(main()):
        if step % 6 == 0:
            defects = int(masks.flatten(1).any(dim=1).sum())
            print(f"step {step:3d}  loss {loss:.3f}  {defects} defects in the batch")
