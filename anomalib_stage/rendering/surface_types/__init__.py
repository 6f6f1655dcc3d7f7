# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Surface families: what the camera photographs, as layers of reflectance and height."""
