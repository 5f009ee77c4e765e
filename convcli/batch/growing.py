"""A result that is written while it is computed: its rows are final from the top down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from threading import Condition
from typing import Any

from convcli.pools import Pool
from convcli.types import Pixels


class _ClosedError(Exception):
    """Raised in the thread that computes, if the result is of no use any more."""


class Growing:
    """A result that a thread computes.

    Parameters
    ----------
    compute : callable
        ``compute(on_rows=...)`` returns the result; see `convcli.filtering.options.Options`.
    waiting : callable
        Returns a context for the time in which this thread waits.
    """

    def __init__(
        self, compute: Callable[..., Any], waiting: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._changed = Condition()
        self._out: Pixels | None = None
        self._final = 0
        self._is_closed = False
        self._waiting = waiting
        self._pool = Pool(1)
        self._future = self._pool.submit(partial(compute, on_rows=self._on_rows))
        self._future.add_done_callback(lambda _: self._on_rows(self._out, 0))

    def _on_rows(self, out: Pixels | None, count: int) -> None:
        with self._changed:
            if self._is_closed and not self._future.done():
                raise _ClosedError
            self._out, self._final = out, max(count, self._final)
            self._changed.notify_all()

    def _wait(self, count: int) -> int:
        """Wait until so many rows are final, or no more will be; return how many are."""
        with self._waiting(), self._changed:
            self._changed.wait_for(lambda: self._final >= count or self._future.done())
            return self._final

    def begun(self) -> tuple[Any, bool]:
        """Return the result, and whether all of it is final; if not, `bands` waits for the rest.

        Who asks for that later may be told that it is done, because an error has ended it.
        """
        self._wait(1)
        if self._future.done() or self._out is None:
            return self._future.result(), True
        return self._out, False

    def bands(self) -> Iterator[Pixels]:
        """Yield bands of rows as they become final."""
        assert self._out is not None, "it has begun"
        top = 0
        while top < len(self._out):
            end = self._wait(top + 1)
            if end <= top:
                break
            yield self._out[top:end]
            top = end
        with self._waiting():
            self._future.result()

    def error(self) -> BaseException | None:
        """Return what ended the computation."""
        return self._future.exception() if self._future.done() else None

    def close(self) -> None:
        """End the computation, if it is still at work, and wait for its end."""
        self._is_closed = True
        self._pool.shutdown()
