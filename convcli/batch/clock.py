"""A clock for the steps of the work on an image: reading, filtering, writing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Counts the seconds of each step. A step within another, as of frames, pauses that."""

    def __init__(self) -> None:
        self.seconds = {"read": 0.0, "filter": 0.0, "write": 0.0}
        self._inner = 0.0

    @contextmanager
    def at(self, step: str) -> Iterator[None]:
        """Count the time of a block as this step's."""
        before, self._inner = self._inner, 0.0
        start = time.perf_counter()
        try:
            yield
        finally:
            whole = time.perf_counter() - start
            self.seconds[step] += whole - self._inner
            self._inner = before + whole
