# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Options of a command that are the fields of a settings model, so that each is written once."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

__all__ = ["options_of"]

Command = TypeVar("Command", bound="Callable[..., object]")


def options_of(
    model: type[BaseModel],
    *,
    without: Sequence[str] = (),
    types: Mapping[str, Any] | None = None,
) -> Callable[[Command], Command]:
    """Give a command an option for each field of a model: name, type, default and description.

    The command takes them as ``**kwargs``; the parser sees a signature and a docstring that name each.

    Args:
        model (type[BaseModel]): The model; every field needs a description.
        without (Sequence[str]): Fields that are no options.
        types (Mapping[str, Any] | None): Types of options that differ from the field's; such a field's default is that
            of its own ``name``.

    Returns:
        Callable[[Command], Command]: Decorator.
    """
    fields = {name: field for name, field in model.model_fields.items() if name not in without}
    changed = types or {}

    def decorate(command: Command) -> Command:
        own = [p for p in inspect.signature(command).parameters.values() if p.kind is not p.VAR_KEYWORD]
        command.__annotations__.pop("return", None)  # imported for type checkers only
        hints = get_type_hints(command)
        own = [parameter.replace(annotation=hints[parameter.name]) for parameter in own]
        added = [_parameter(name, field, type_=changed.get(name)) for name, field in fields.items()]
        vars(command)["__signature__"] = inspect.Signature([*own, *added])
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *added)}
        lines = [f"    {name}: {field.description}" for name, field in fields.items()]
        doc = inspect.cleandoc(command.__doc__ or "")
        command.__doc__ = "\n".join([doc, *([] if "Args:" in doc else ["", "Args:"]), *lines, ""])
        return command

    return decorate


def _parameter(name: str, field: FieldInfo, *, type_: Any) -> inspect.Parameter:  # noqa: ANN401
    default: Any = inspect.Parameter.empty if field.is_required() else field.default
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default if type_ is None else default.name,
        annotation=field.annotation if type_ is None else type_,
    )
