# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Sphinx configuration: ``pip install -e ".[docs]"``, then ``sphinx-build -W docs docs/_build``."""

from anomalib_stage import __version__

project = "anomalib-stage"
author = "The anomalib-stage authors"
release = __version__
extensions = ["myst_parser"]
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
