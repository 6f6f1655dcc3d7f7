# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Condition vectors by defect, whatever a defect is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from anomalib_stage.errors import InputError

if TYPE_CHECKING:
    from collections.abc import ItemsView, Iterator, Mapping, Sequence, ValuesView

__all__ = ["ConditionVectors"]


class ConditionVectors(nn.Module):
    """Trainable vectors by name, in the order of the names; in a state dictionary ``<name>`` follows the prefix.

    Names are keys of the table of parameters and never attributes, as they are of ``nn.ParameterDict``: a defect may be
    called ``double``, ``training`` or ``v1.2``.

    Args:
        vectors (Mapping[str, Tensor]): A tensor of any shape for each name; they are not copied.
    """

    def __init__(self, vectors: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name in sorted(vectors):
            self._parameters[name] = nn.Parameter(vectors[name])

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401 - as in torch
        table = vars(self).get("_parameters", {})
        if isinstance(value, nn.Parameter) and name in table:  # load_state_dict(assign=True)
            table[name] = value
        else:  # never a vector, as it would be in a module with one of that name
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as in torch
        msg = f"{type(self).__name__} has no attribute {name!r}"
        raise AttributeError(msg)

    def __getitem__(self, name: str) -> nn.Parameter:
        return self._table[name]

    def __contains__(self, name: object) -> bool:
        return name in self._parameters

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    def items(self) -> ItemsView[str, nn.Parameter]:
        """Names and vectors."""
        return self._table.items()

    def values(self) -> ValuesView[nn.Parameter]:
        """The vectors."""
        return self._table.values()

    def select(self, names: Sequence[str]) -> Tensor:
        """Vectors of the named defects, ``(len(names), ...)``.

        Raises:
            InputError: If a name is unknown.
        """
        unknown = sorted(set(names) - set(self))
        if unknown:
            msg = f"unknown defect {unknown[0]!r}; this bundle knows {', '.join(self)}"
            raise InputError(msg)
        return torch.stack([self[name] for name in names])

    @property
    def _table(self) -> dict[str, nn.Parameter]:
        return self._parameters  # type: ignore[return-value]  # none of them is None

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        metadata: Any,  # noqa: ANN401 - as in torch
        strict: bool,
        *found: list[str],
    ) -> None:
        """Load as every module does, but take names with a dot and ``_extra_state`` for what they are here."""
        super()._load_from_state_dict(state_dict, prefix, metadata, strict, *found)
        _, unexpected, _ = found
        unexpected[:] = [key for key in unexpected if key.removeprefix(prefix) not in self._parameters]
