# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""A preview as one self-contained HTML page: pictures as data, no address of anything outside, nothing that changes.

The template escapes every value: file names and defects come from users and bundles.
"""

from __future__ import annotations

from collections import Counter
from importlib import resources
from typing import TYPE_CHECKING

from jinja2 import Environment, StrictUndefined

from anomalib_stage.preview.facts import OUTCOMES, draw_charts, list_facts, word_settings
from anomalib_stage.preview.row_view import describe_row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anomalib_stage.preview.rows import PreviewRow

__all__ = ["build_page"]

TEMPLATE = "page.html.jinja"


def build_page(
    rows: Sequence[PreviewRow],
    *,
    names: Sequence[str],
    settings: Mapping[str, object],
    card: Sequence[tuple[str, str]],
    min_visibility: float,
) -> str:
    """Lay out rows as a page.

    Args:
        rows (Sequence[PreviewRow]): At least one row.
        names (Sequence[str]): Name of the good image of each row.
        settings (Mapping[str, object]): What the rows were painted with; nested mappings become dotted names.
        card (Sequence[tuple[str, str]]): Name and value of what the bundle is.
        min_visibility (float): Visibility below which pairs are rejected; 0: none are.

    Returns:
        str: HTML; the same arguments give the same text.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(
        resources.files("anomalib_stage.preview").joinpath(TEMPLATE).read_text(encoding="utf-8")
    )
    defects = Counter(row.defect for row in rows)
    return template.render(
        rows=[describe_row(i, row, name) for i, (row, name) in enumerate(zip(rows, names, strict=True), start=1)],
        defects=sorted(defects.items()),
        facts=list_facts(rows),
        charts=draw_charts(rows, min_visibility=min_visibility),
        outcomes=[name for name in OUTCOMES if any(row.outcome == name for row in rows)],
        tables={"Settings": list(word_settings(settings)), "Weights": list(card)},
    )
