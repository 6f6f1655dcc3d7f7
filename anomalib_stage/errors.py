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
    "escape_controls",
]


MOST_BYTES = 2000
"""Longest message."""

BEGINNING, END = 1400, 500
"""Bytes that are left of a longer one: what is wrong, and what to do."""


def escape_controls(text: str, *, keep: str = "") -> str:
    r"""Write what a terminal would obey or not show as escapes: control characters, marks of direction, surrogates.

    Args:
        text (str): Text that may come from a file.
        keep (str): Characters to leave as they are.

    Returns:
        str: Text that can be encoded as UTF-8, such as ``a\x1bb`` for an escape character between two letters.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in keep else char.encode("unicode_escape").decode("ascii") for char in text
    )


def _shorten_message(text: str) -> str:
    """Escape what is not to be shown, but line ends, and leave out the middle of what is longer than 2 kB."""
    shown = escape_controls(text, keep="\n")
    if len(shown) <= MOST_BYTES // 4 or len(raw := shown.encode()) <= MOST_BYTES:
        return shown
    begin, end = (part.decode(errors="ignore") for part in (raw[:BEGINNING], raw[-END:]))
    return f"{begin} ... {end}"


class StageError(Exception):
    """Any error that this package raises on purpose.

    Messages are at most 2 kB long, and control characters in them are escaped: they may quote what a file says.

    Attributes:
        exit_code (int): Exit status of the command line for this error: 1 failed, 2 wrong usage.
    """

    exit_code = 1

    def __init__(self, *args: object) -> None:
        super().__init__(*(_shorten_message(arg) if isinstance(arg, str) else arg for arg in args))


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
