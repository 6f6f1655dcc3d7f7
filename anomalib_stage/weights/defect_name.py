# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What a defect may be called: the one rule, for folders, options and bundles. No torch here."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["RULE", "explain_name", "explain_names"]

LONGEST = 64

RULE = (
    f"a defect's name has 1 to {LONGEST} characters, no dot, slash or backslash, none that controls or breaks a line, "
    "and no blank in front"
)

UNUSABLE = {"Cc": "a control character", "Cs": "a byte that is not UTF-8", "Zl": "a line break", "Zp": "a line break"}
"""Categories of characters that no name has, and what messages call them."""

SEPARATORS = {".": "a dot", "/": "a slash", "\\": "a backslash"}


def explain_name(name: str) -> str:
    """Say why a defect cannot have a name.

    Args:
        name (str): Any text.

    Returns:
        str: What is wrong with it, such as ``has a dot``; empty if it can be used.
    """
    if not name:
        return "is empty"
    if len(name) > LONGEST:
        return f"has {len(name)} characters"
    if name[0].isspace():
        return "begins with a blank"
    wrong = (SEPARATORS.get(letter) or UNUSABLE.get(unicodedata.category(letter)) for letter in name)
    found = next((what for what in wrong if what), "")
    return found and f"has {found}"


def explain_names(names: Iterable[str]) -> str:
    """Say why the first of some names that cannot be used cannot, and the rule; empty if all can."""
    found = ((name, explain_name(name)) for name in names)
    return next((f"the defect name {name!r} {why}; {RULE}" for name, why in found if why), "")
