# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m anomalib_stage``."""

import sys

from anomalib_stage.cli import main

sys.exit(main())
