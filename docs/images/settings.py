# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Make docs/reference/settings.md and its pictures: `python docs/images/settings.py`, the page alone with `--text`.

Meaning, range and default are read off the models of `anomalib_stage.settings`. Each picture shows one setting at a low
value, at its default and at a high one, all else equal: rendered surfaces, the default bundle, fixed seeds. Surfaces,
defects and seeds were chosen so that the setting acts; how the anomalies look was not.
"""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anomalib_stage.settings import (
    GateSettings,
    LatentSettings,
    MaskSettings,
    SamplerSettings,
    Settings,
    SynthesisSettings,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

HERE = Path(__file__).parent
PAGE = HERE.parent / "reference" / "settings.md"
SIDE = 128

GROUPS: dict[str, type[Settings]] = {
    "": SynthesisSettings,
    "sampler": SamplerSettings,
    "masks": MaskSettings,
    "gate": GateSettings,
    "latent": LatentSettings,
}

UNITS = {
    "sampler.steps": "steps",
    "sampler.windows": "fractions of the diffusion time",
    "sampler.clip": "latent units; clean latents lie within 1",
    "masks.extent": "fractions of the shorter image side",
    "masks.min_extent": "px",
    "masks.bank_share": "share of masks",
    "masks.bank_defects": "share of anomalies",
    "masks.displaced": "share of anomalies of four defects",
    "masks.displaced_extent": "fractions of the shorter image side",
    "gate.min_visibility": "change of repainted good surface = 1",
    "gate.min_agreement": "share of the mask's pixels",
    "gate.max_tries": "pictures",
    "strength": "share of the way from the clean surface",
    "texture_transfer": "share of the clean estimate",
    "softness": "share of the mask's depth",
    "any_colour": "share of anomalies of five defects",
    "exemplars": "share of anomalies of fitted defects",
    "margin": "px",
    "region_batch": "regions",
    "latent.batch": "regions",
}

INTRODUCTION = """# Settings

What is painted is decided by one mapping. Every class and command takes it under the name `synthesis`, with only those
settings that differ from the default:

```python
from anomalib_stage import StageAugment, StageSynthesizer

StageAugment(synthesis={"masks": {"extent": [0.02, 0.1]}, "softness": [0, 1]})
StageSynthesizer.from_pretrained("default", synthesis={"masks": {"extent": [0.02, 0.1]}, "softness": [0, 1]})
```

    anomalib-stage quality --data SET --out OUT --synthesis '{"masks": {"extent": [0.02, 0.1]}, "softness": [0, 1]}'

`SynthesisSettings(...)` checks the same in Python, and may be given in place of the mapping. Unknown names and values
out of range are refused, all of them in one message.

Each picture has a low value on the left, the default and a high value on the right, or two of them where the default is
the lowest or the highest; all else is equal, down to the seed. Surfaces are rendered, the bundle is the default one.
This page and its pictures are made by `python docs/images/settings.py` from the models in `anomalib_stage/settings.py`.
"""

TITLES = {
    "": "What is painted",
    "sampler": "sampler: how a region is sampled",
    "masks": "masks: where and how large",
    "gate": "gate: what counts as an anomaly",
    "latent": "latent: how a latent backbone computes",
}

INVISIBLE = {
    "exemplars": "Acts on bundles that were fitted to real defects; the default bundle has none.",
    "margin": "The noise is another one in a region of another size, so no two pictures can be compared.",
    "region_batch": "Decides speed and memory.",
    "masks.bank_share": "Acts on bundles that were fitted to real defects; the default bundle has none.",
    "masks.bank_defects": "Acts on bundles that were fitted to real defects; the default bundle has none.",
    "gate.max_tries": "Decides how many images stay good.",
}


@dataclass(frozen=True)
class Case:
    """One row of a picture.

    Attributes:
        family: Rendered surface.
        defect: Painted defect.
        seed: Of surface and anomaly.
        surface: Seed of the surface, if another.
    """

    family: str
    defect: str
    seed: int = 0
    surface: int | None = None


@dataclass(frozen=True)
class Shown:
    """The picture of a setting.

    Attributes:
        low: Value on the left; None: the default is the lowest, and two cells are shown.
        high: Value on the right; None: the default is the highest.
        cases: Rows.
        also: Settings that make the effect plain, dotted names; they hold for the whole row.
        zoom: Enlarges the mask's surroundings.
        outlined: Draw the mask's outline.
        about: One sentence below the picture.
    """

    low: Any
    high: Any
    cases: tuple[Case, ...]
    also: dict[str, Any] = field(default_factory=dict)
    zoom: int = 1
    outlined: bool = False
    about: str = ""


LOUD = {"gate.min_visibility": 0.0}
"""Nothing is painted again, so that all cells have the same noise."""

SHOWN = {
    "strength": Shown(
        (0.25, 0.25),
        None,
        (Case("brushed_metal", "hole"), Case("wood", "stain", 1)),
        {**LOUD, "masks.extent": (0.3, 0.3), "masks.displaced": 0.0},
    ),
    "texture_transfer": Shown(
        0.0,
        1.0,
        (Case("wood", "stain", 1), Case("woven", "discoloration", 2)),
        {**LOUD, "masks.extent": (0.55, 0.55), "masks.displaced": 0.0},
    ),
    "match_grain": Shown(
        False,
        None,
        (Case("cast", "stain", 10), Case("leather", "discoloration", 3)),
        {**LOUD, "masks.extent": (0.35, 0.35), "masks.displaced": 0.0, "texture_transfer": 0.0},
        zoom=2,
    ),
    "softness": Shown(
        (0.0, 0.0),
        (1.0, 1.0),
        (Case("plain", "stain"), Case("leather", "discoloration", 2)),
        {**LOUD, "masks.extent": (0.4, 0.4), "masks.displaced": 0.0},
        zoom=2,
    ),
    "any_colour": Shown(
        0.0,
        1.0,
        (Case("cast", "stain", 9), Case("woven", "discoloration", 11), Case("brushed_metal", "contamination", 8)),
        {**LOUD, "masks.extent": (0.3, 0.3), "masks.displaced": 0.0},
    ),
    "sampler.name": Shown(
        None,
        "reference",
        (Case("brushed_metal", "scratch"), Case("leather", "hole", 1)),
        {**LOUD, "masks.extent": (0.3, 0.3)},
        zoom=2,
    ),
    "sampler.steps": Shown(
        4,
        100,
        (Case("brushed_metal", "dent"), Case("leather", "crack", 1)),
        {**LOUD, "masks.extent": (0.3, 0.3)},
        zoom=2,
    ),
    "sampler.windows": Shown(
        (),
        ((0.1, 0.9),),
        (Case("plain", "dent"), Case("leather", "crack", 1)),
        {**LOUD, "masks.extent": (0.3, 0.3)},
        zoom=2,
    ),
    "sampler.clip": Shown(
        0.5, 0.0, (Case("plain", "hole"), Case("wood", "scratch", 4)), {**LOUD, "masks.extent": (0.3, 0.3)}, zoom=2
    ),
    "masks.extent": Shown(
        (0.03, 0.06), (0.5, 0.8), (Case("plain", "hole", 3), Case("brushed_metal", "scratch", 7)), outlined=True
    ),
    "masks.min_extent": Shown(
        1, 24, (Case("plain", "hole"), Case("cast", "scratch", 1)), {"masks.extent": (0.01, 0.03)}, outlined=True
    ),
    "masks.foreground": Shown(
        None,
        "none",
        (Case("object", "scratch", 11, surface=16), Case("object", "hole", 5, surface=27)),
        {**LOUD, "masks.extent": (0.3, 0.3)},
        outlined=True,
    ),
    "masks.displaced": Shown(
        0.0, 1.0, (Case("wood", "chip", 1), Case("printed", "stain", 2), Case("woven", "contamination", 3))
    ),
    "masks.displaced_extent": Shown(
        (0.1, 0.2), (0.8, 1.0), (Case("wood", "chip", 1), Case("printed", "stain", 2)), {"masks.displaced": 1.0}
    ),
    "gate.min_visibility": Shown(
        0.0,
        3.0,
        (Case("woven", "scratch", 1), Case("wood", "crack", 4)),
        {"strength": (0.5, 0.5), "masks.extent": (0.3, 0.3)},
        about="What is not visible enough is painted again; after the last try the image stays good.",
    ),
    "gate.min_agreement": Shown(
        0.0,
        0.9,
        (Case("plain", "stain"), Case("leather", "discoloration", 2)),
        {"softness": (1.0, 1.0), "masks.extent": (0.3, 0.3), "masks.displaced": 0.0},
        outlined=True,
    ),
    "gate.trim": Shown(
        None,
        True,
        (Case("plain", "stain"), Case("leather", "discoloration", 2)),
        {"softness": (1.0, 1.0), "masks.extent": (0.4, 0.4), "masks.displaced": 0.0},
        outlined=True,
    ),
}


def main() -> None:
    """Write the page, and the pictures unless `--text` is given."""
    if "--text" not in sys.argv[1:]:
        from anomalib_stage.files.atomic import write_file

        names = [name for name in sys.argv[1:] if name in SHOWN] or list(SHOWN)
        for name in names:
            write_file(_picture_path(name), draw_picture(name, SHOWN[name]))
    PAGE.write_text(write_page(), encoding="utf-8")


def write_page() -> str:
    """Return the whole page."""
    parts = [INTRODUCTION]
    for prefix, model in GROUPS.items():
        parts.append(f"## {TITLES[prefix]}\n")
        if prefix:
            parts.append(f"Settings of `{model.__name__}`. {_clean((model.__doc__ or '').splitlines()[0])}\n")
        parts += [_entry(name) for name in list_names() if _split(name)[0] == prefix]
    return "\n".join(parts)


def list_names() -> Iterator[str]:
    """Yield the dotted name of every setting, group by group."""
    for prefix, model in GROUPS.items():
        yield from (".".join(filter(None, (prefix, name))) for name in model.model_fields if name not in GROUPS)


def write_value(value: object) -> str:
    """Return a value as the command line and YAML take it."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(write_value, value))}]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def find_default(name: str) -> object:
    """Return the default of a setting."""
    prefix, own = _split(name)
    return GROUPS[prefix].model_fields[own].get_default()


def _entry(name: str) -> str:
    facts = [f"Default: `{write_value(find_default(name))}`. Range: {_range(name)}."]
    facts += [f"Unit: {UNITS[name]}."] if name in UNITS else []
    parts = [f"### {name}", textwrap.fill(_meaning(name), 120), textwrap.fill(" ".join(facts), 120), _show(name)]
    return "\n\n".join(parts) + "\n"


def _show(name: str) -> str:
    prefix, _ = _split(name)
    if name not in SHOWN:
        why = INVISIBLE.get(name, "Without effect on the compact backbone." if prefix == "latent" else "")
        return f"No picture: {why[0].lower()}{why[1:]}"
    shown = SHOWN[name]
    values = [write_value(value) for value in _values(name, shown)]
    rows = "; ".join(f"{case.defect} on {case.family.replace('_', ' ')}" for case in shown.cases)
    also = ", ".join(f"`{key}` {write_value(value)}" for key, value in shown.also.items())
    path = Path("..", "images", _picture_path(name).name).as_posix()
    alternatives = ", ".join(f"`{value}`" for value in values)
    parts = (f"{alternatives}. {rows[0].upper()}{rows[1:]}.", f"Also set: {also}." if also else "", shown.about)
    caption = textwrap.fill(" ".join(filter(None, parts)), 120)
    return f"![{name}: {', '.join(values)}]({path})\n\n{caption}"


def _values(name: str, shown: Shown) -> list[Any]:
    return [
        *([] if shown.low is None else [shown.low]),
        find_default(name),
        *([] if shown.high is None else [shown.high]),
    ]


def _split(name: str) -> tuple[str, str]:
    prefix, _, own = name.rpartition(".")
    return prefix, own


def _meaning(name: str) -> str:
    """Return what the model's docstring says of a setting."""
    prefix, own = _split(name)
    text = re.sub(r"\n {8}", " ", inspect.cleandoc(GROUPS[prefix].__doc__ or ""))
    found = re.search(rf"^ *{own}: (.+)$", text, flags=re.MULTILINE)
    return _clean(found[1]) if found else ""


def _clean(text: str) -> str:
    """Turn the marks of docstrings into those of the pages."""
    text = re.sub(r" \(:\w+:`[^`]*`\)", "", text)
    text = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"`\1`", text)
    return text.replace("``", "`")


def _range(name: str) -> str:
    """Return the allowed values in words, from the model's JSON schema."""
    prefix, own = _split(name)
    schema = GROUPS[prefix].model_json_schema(by_alias=False)["properties"][own]
    return _range_of(schema)


def _range_of(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_range_of(part) for part in schema["anyOf"])
    if schema["type"] == "array":
        items = schema.get("items", {}).get("prefixItems")
        pair = f"[low, high], each {_range_of((items or schema['prefixItems'])[0])}"
        return f"any number of pairs {pair}" if items else pair
    fixed = schema.get("enum") or {"boolean": ["true", "false"], "null": ["null"]}.get(schema["type"])
    if fixed:
        return ", ".join(f"`{value}`" for value in fixed)
    whole = "whole numbers " if schema["type"] == "integer" else ""
    least = schema.get("minimum", schema.get("exclusiveMinimum"))
    above = "above " if "exclusiveMinimum" in schema else ""
    return f"{whole}{above}{least:g} to {schema['maximum']:g}" if "maximum" in schema else f"{whole}from {least:g}"


def _picture_path(name: str) -> Path:
    return HERE / f"setting_{name.replace('.', '_')}.png"


def draw_picture(name: str, shown: Shown) -> bytes:
    """Paint the rows of a setting, and return them as PNG."""
    import cv2
    import numpy as np

    from anomalib_stage.files.figures import ANOMALY_COLOUR, GAP, lay_out_rows

    values = _values(name, shown)
    rows = [_paint_row(name, shown, case, values) for case in shown.cases]
    picture = lay_out_rows(rows, titles=[_title(value) for value in values])[:-GAP, :-GAP]
    coarse = (picture // 4 * 4 + 2).astype(np.uint8)  # 64 levels: pictures for a page
    coarse[(picture == ANOMALY_COLOUR).all(axis=2)] = ANOMALY_COLOUR
    return bytes(cv2.imencode(".png", coarse[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes())


def _title(value: object) -> str:
    text = write_value(value)
    return text if len(text) < 17 else f"{text[:14]}..."


def _paint_row(name: str, shown: Shown, case: Case, values: list[Any]) -> list[np.ndarray]:
    import numpy as np
    import torch

    from anomalib_stage import StageSynthesizer
    from anomalib_stage.files.figures import draw_outline
    from anomalib_stage.seeds import derive_seed

    clean = _surface(case)
    images = torch.from_numpy(clean).permute(2, 0, 1)[None].float() / 255.0
    cells, masks = [], []
    for value in values:
        settings = _nest({**shown.also, name: value})
        synthesizer = StageSynthesizer.from_pretrained("default", device="cpu", synthesis=settings)
        pair = synthesizer(images, defects=case.defect, seeds=[derive_seed(case.seed, "settings", case.defect)])
        cells.append((pair.image[0] * 255.0).round().byte().permute(1, 2, 0).numpy())
        masks.append(pair.mask[0, 0].numpy())
    if shown.outlined:
        cells = [draw_outline(cell, mask) for cell, mask in zip(cells, masks, strict=True)]
    if shown.zoom > 1:
        half = SIDE // shown.zoom // 2
        places = np.argwhere(np.any(masks, axis=0))
        top, left = (int(np.clip(at - half, 0, SIDE - 2 * half)) for at in places.mean(axis=0))
        cells = [cell[top : top + 2 * half, left : left + 2 * half] for cell in cells]
        cells = [cell.repeat(shown.zoom, axis=0).repeat(shown.zoom, axis=1) for cell in cells]
    return cells


def _nest(values: dict[str, Any]) -> SynthesisSettings:
    """Build settings from dotted names."""
    nested: dict[str, Any] = {}
    for name, value in values.items():
        prefix, own = _split(name)
        (nested.setdefault(prefix, {}) if prefix else nested)[own] = value
    return SynthesisSettings(**nested)


def _surface(case: Case) -> np.ndarray:
    """Render a surface of 256 px and halve it."""
    import cv2
    import numpy as np

    from anomalib_stage.rendering.surfaces import render_surface
    from anomalib_stage.seeds import numpy_generator

    of = "choose masks" if case.family == "object" else "settings"  # the objects of that page
    rng = numpy_generator(case.seed if case.surface is None else case.surface, of)
    picture = render_surface((256, 256), rng=rng, family=case.family) * 255 + 0.5
    return np.asarray(cv2.resize(picture.astype(np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


if __name__ == "__main__":
    main()
