# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Work in threads that does not run ahead of who needs it."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["map_in_order"]

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


def map_in_order(
    function: Callable[[ItemT], ResultT], items: Iterable[ItemT], *, threads: int, ahead: int
) -> Iterator[ResultT]:
    """Map a function over items in threads; the results come in the items' order.

    Args:
        function (Callable[[ItemT], ResultT]): What to do; an exception is raised where its result would come.
        items (Iterable[ItemT]): Taken in this thread, and only as they are needed.
        threads (int): Number of threads.
        ahead (int): Most items in work or waiting to be taken.

    Yields:
        ResultT: One for each item.
    """
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[ResultT]] = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
