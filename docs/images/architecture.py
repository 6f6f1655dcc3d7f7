# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Draw docs/images/architecture.svg: `python docs/images/architecture.py [OUT.svg]`.

Rooms and floors are those of `tests/test_architecture.py`, modules and imports those of the files. An arrow says that
something in the upper room imports from the lower one. Left out are those that a way over other rooms replaces, those
from `__init__`, which names what is public, and those to the white rooms, which all others use.
"""

from __future__ import annotations

import importlib.util
import sys
import textwrap
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

ROOT = Path(__file__).parents[2]
WIDTH, LINE, GAP, FLOOR_GAP = 1240.0, 13.0, 14.0, 26.0
CHARACTER = 5.6
"""Width of a letter of the modules' names, in points."""

EVERYWHERE = {"errors", "seeds", "_version", "deprecated", "settings", "devices", "files"}
"""Rooms to which no arrows are drawn."""

COLOURS = {
    "synthesis": "#dbe9f6",
    "rendering": "#e8f0d8",
    "weights": "#f6ecd2",
    "pipeline": "#cfe8d5",
    "pregeneration": "#f3ddd3",
    "preview": "#f3ddd3",
    "plugin": "#e6dcf2",
    "training": "#f8e3ea",
    "evaluation": "#e2e6ea",
    "metrics": "#e2e6ea",
    "commands": "#ece8e0",
}


def load_rules() -> tuple[tuple[str, ...], dict[str, Path], dict[str, set[str]]]:
    """Return the floors from below, the modules, and for each room those that it imports from."""
    spec = importlib.util.spec_from_file_location("architecture_rules", ROOT / "tests" / "test_architecture.py")
    assert spec is not None
    assert spec.loader is not None
    rules = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rules)
    uses: dict[str, set[str]] = {}
    for module, path in rules.MODULES.items():
        room = rules._room(module)
        uses.setdefault(room, set()).update(rules._room(name) for name in rules._own_imports(path))
    return rules.FLOORS, rules.MODULES, {room: used - {room} for room, used in uses.items()}


def list_modules(modules: dict[str, Path]) -> dict[str, list[str]]:
    """Return the modules of each room by name, without ``__init__``."""
    found: dict[str, list[str]] = {}
    for name, path in sorted(modules.items()):
        parts = name.split(".")[1:]
        if path.name != "__init__.py" and len(parts) > 1:
            found.setdefault(".".join(parts[:-1]), []).append(parts[-1])
    return found


def leave_out_detours(uses: dict[str, set[str]]) -> dict[str, set[str]]:
    """Leave out arrows that a way over other rooms replaces."""

    def reach(room: str) -> set[str]:
        return {*uses.get(room, ())}.union(*(reach(used) for used in uses.get(room, ())))

    return {
        room: {used for used in found if not any(used in reach(other) for other in found - {used})}
        for room, found in uses.items()
    }


def draw(out: Path) -> None:
    """Draw the picture."""
    floors, modules, uses = load_rules()
    inside = list_modules(modules)
    rows = [floor.split() for floor in reversed(floors)]
    boxes, height = _place(rows, inside)
    figure = Figure(figsize=(WIDTH / 72, height / 72))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(height, 0))
    axes.axis("off")
    for room, used in leave_out_detours(uses).items():
        for other in sorted(used - EVERYWHERE) if room != "__init__" else ():
            _draw_arrow(axes, boxes[room], boxes[other])
    for room, (left, top, wide, tall) in boxes.items():
        colour = COLOURS.get(room.split(".")[0], "#f4f4f4")
        axes.add_patch(
            FancyBboxPatch(
                (left, top), wide, tall, boxstyle="round,pad=0,rounding_size=5", fc=colour, ec="#667", lw=0.8, zorder=3
            )
        )
        axes.text(left + 8, top + 14, room.replace(".", "/"), fontsize=10, weight="bold", zorder=4)
        for i, line in enumerate(_lines(inside.get(room, []), wide)):
            axes.text(left + 8, top + 28 + i * LINE, line, fontsize=8.5, color="#333", zorder=4)
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "anomalib-stage"}):
        figure.savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None, facecolor="white")


Box = tuple[float, float, float, float]


def _place(rows: list[list[str]], inside: dict[str, list[str]]) -> tuple[dict[str, Box], float]:
    """Return left, top, width and height of each room, and the height of all."""
    boxes: dict[str, Box] = {}
    top = GAP
    for rooms in rows:
        shares = [max(2.0, len(inside.get(room, [])) ** 0.75) for room in rooms]
        free = WIDTH - GAP * (len(rooms) + 1)
        widths = [min(free * share / sum(shares), 110.0 + 100.0 * share) for share in shares]
        lines = [_lines(inside.get(room, []), wide) for room, wide in zip(rooms, widths, strict=True)]
        tall = 22 + LINE * max(map(len, lines))
        left = (WIDTH - sum(widths) - GAP * (len(rooms) - 1)) / 2
        for room, wide in zip(rooms, widths, strict=True):
            boxes[room] = (left, top, wide, tall)
            left += wide + GAP
        top += tall + FLOOR_GAP
    return boxes, top - FLOOR_GAP + GAP


def _lines(names: list[str], wide: float) -> list[str]:
    return textwrap.wrap("  ".join(names), max(int((wide - 16) / CHARACTER), 12), break_long_words=False)


def _draw_arrow(axes: object, upper: Box, lower: Box) -> None:
    start = (upper[0] + upper[2] / 2, upper[1] + upper[3])
    end = (lower[0] + lower[2] / 2, lower[1])
    axes.add_patch(  # type: ignore[attr-defined]
        FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=9, color="#8899aa", lw=0.9, zorder=1, alpha=0.8)
    )


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_suffix(".svg"))
