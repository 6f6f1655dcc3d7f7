# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Functions that also take the old names of their arguments, and constructors that were given one without its name.

Both keep the signature that readers and jsonargparse see.
"""

from __future__ import annotations

import functools
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from anomalib_stage.deprecated.names import MOVED, SYNTHESIS, find_renames
from anomalib_stage.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["OldNameWarning", "accept_old_names", "keyword_only", "rename", "rename_settings", "warn_moved", "warn_old"]

P = ParamSpec("P")
R = TypeVar("R")

PACKAGE = str(Path(__file__).parents[1])


class OldNameWarning(DeprecationWarning):
    """An old name was used; the next version will not know it."""


if not sys.warnoptions:  # Python hides such warnings where users do not see their own code run, as in a recipe
    warnings.filterwarnings("default", category=OldNameWarning)


def warn_old(old: str, new: str) -> None:
    """Say the new name of something, with the line outside this package that used the old one."""
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        level, frame = level + 1, frame.f_back
    msg = f"{old} is called {new} now; the next version will not know the old name"
    warnings.warn(msg, OldNameWarning, stacklevel=level)


def rename(values: Mapping[str, Any], names: Mapping[str, str], *, what: str = "{}") -> dict[str, Any]:
    """Replace old names by new ones, with a warning for each.

    Args:
        values (Mapping[str, Any]): What a user gave, by name.
        names (Mapping[str, str]): Old name to new name.
        what (str): How a message calls a name, such as ``"the key {}"``.

    Returns:
        dict[str, Any]: The same values, under new names.

    Raises:
        InputError: If a value is given under both names.
    """
    for old in values.keys() & names.keys():
        new = what.format(names[old])
        if names[old] in values:
            msg = f"{what.format(old)} is the old name of {new}; give one of them"
            raise InputError(msg)
    for old in [name for name in values if name in names]:
        warn_old(what.format(old), what.format(names[old]))
    return {names.get(name, name): value for name, value in values.items()}


def rename_settings(synthesis: Mapping[str, Any]) -> dict[str, Any]:
    """Replace the old keys of ``synthesis`` by the new ones, with a warning for each.

    Raises:
        InputError: If a setting is given under both names.
    """
    flat = {old: new for old, new in SYNTHESIS.items() if "." not in old}
    renamed = rename(synthesis, flat, what="the setting {}")
    for part in {name.partition(".")[0] for name in SYNTHESIS} & renamed.keys():
        if isinstance(renamed[part], dict):
            inner = {f"{part}.{name}": value for name, value in renamed[part].items()}
            inner = rename(inner, SYNTHESIS, what="the setting {}")
            renamed[part] = {name.partition(".")[2]: value for name, value in inner.items()}
    return renamed


def accept_old_names(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function, or a method of a class, take its arguments under their old names too, with a warning."""
    owner = function.__qualname__.split(".")[0]
    names = find_renames(owner)

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        renamed: Any = rename(kwargs, names, what=f"{owner}: the argument {{}}")
        return function(*args, **renamed)

    return wrapper


def keyword_only(first: str) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Let a constructor take one argument without its name, as it once did, with a warning.

    Args:
        first (str): What the argument is called now.
    """

    def decorate(init: Callable[P, None]) -> Callable[P, None]:
        owner = init.__qualname__.split(".")[0]

        @functools.wraps(init)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
            own, *given = args
            named: Any = dict(kwargs)
            if len(given) == 1 and first not in named:
                warn_old(f"{owner}(value)", f"{owner}({first}=value)")
                named[first], given = given[0], []
            init(own, *given, **named)  # type: ignore[arg-type] # more of them are Python's own complaint

        return wrapper

    return decorate


def warn_moved(owner: str, **values: Any) -> dict[str, Any]:  # noqa: ANN401 - arguments of any type
    """Say where arguments of a class went that a user still gives; None is one that was not given.

    Args:
        owner (str): The class.
        **values (Any): The old arguments.

    Returns:
        dict[str, Any]: Those that were given.
    """
    given = {name: value for name, value in values.items() if value is not None}
    new = {**MOVED[owner], **find_renames(owner)}
    for name in given:
        warn_old(f"{owner}: the argument {name}", new[name])
    return given
