# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What the pages say about this package is so: its paper, its files, its settings."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

PAPER = "STAGE: Segmentation-oriented Industrial Anomaly Synthesis via Graded Diffusion with Explicit Mask Alignment"
AUTHORS = ("Xu", "Wang", "Wang", "Zhang", "Lei", "Xie", "Jiang", "Lu")


def test_the_citation_names_the_paper() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (citation["cff-version"], citation["type"], citation["title"]) == ("1.2.0", "software", "anomalib-stage")
    paper = citation["preferred-citation"]
    assert paper["title"] == PAPER
    assert tuple(author["family-names"] for author in paper["authors"]) == AUTHORS
    assert paper in citation["references"]


def test_readme_and_the_method_page_name_the_paper() -> None:
    method = (ROOT / "docs" / "concepts" / "published-method.md").read_text(encoding="utf-8")
    for text in (README, method):
        plain = re.sub(r"[{}>*\s]+", " ", text)
        assert PAPER.removeprefix("STAGE: ") in plain
        assert "arxiv.org/abs/2509.06693" in text
        assert "Xichen Xu" in text
        assert "Zhichao Lu" in text
