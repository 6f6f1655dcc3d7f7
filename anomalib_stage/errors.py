# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Errors that anomalib-stage raises.

::

    StageError                     every error of this package; ``exit_code`` is what the command line returns
    ├── InputError (ValueError)    an argument, image, mask, defect name or setting cannot be used
    ├── DataError                  a folder or file of the user's data is missing, empty or unreadable
    ├── BundleError                a weights file is missing, damaged, or not what it says it is
    ├── DeviceError                the device asked for does not exist here
    ├── MissingPackageError        an optional package is not installed (also an ``ImportError``)
    └── UnsupportedModelError      this anomalib model must not see synthetic anomalies (also a ``ValueError``)

Every message says what was wrong, the value seen, what is allowed and what to do.
"""

from __future__ import annotations

__all__ = [
    "BundleError",
    "DataError",
    "DeviceError",
    "InputError",
    "MissingPackageError",
    "StageError",
    "Terminated",
    "UnsupportedModelError",
]


class StageError(Exception):
    """Any error that this package raises on purpose.

    Attributes:
        exit_code (int): Exit status of the command line for this error: 1 failed, 2 wrong usage.
    """

    exit_code = 1


class InputError(StageError, ValueError):
    """An argument, image, mask, defect name or setting cannot be used."""

    exit_code = 2


class DataError(StageError):
    """A folder or file of the user's data is missing, empty or unreadable."""


class BundleError(StageError):
    """A weights bundle is missing, damaged, or not what it says it is."""


class DeviceError(StageError, RuntimeError):
    """The device asked for does not exist on this machine."""


class MissingPackageError(StageError, ImportError):
    """A package that only some features need is not installed."""


class UnsupportedModelError(StageError, ValueError):
    """The anomalib model learns from normal images only, so synthetic anomalies would poison it."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, as a batch system sends it: an interruption with an exit status of its own."""
