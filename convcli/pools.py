"""Pools of threads; where the system allows none, the thread that brings the work does it.

`ThreadPoolExecutor` raises `RuntimeError` where it cannot start a thread (``ulimit -u``, a limit of
a container, no memory for a stack), and what it was given stays in its queue without a future.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Generic, Self, TypeVar

from convcli import memory

Result = TypeVar("Result")
Item = TypeVar("Item")

REFUSED = (RuntimeError, MemoryError)
"""What starting a thread raises where the system allows no more."""


# Addresses for a thread: its stack, 8 MB unless `ulimit -s` says otherwise, Python's objects, and
# its heap, for which glibc takes twice HEAP_MAX_SIZE, 64 MB, to find an aligned half
# (malloc/arena.c). Without a heap of its own it would live, but the heap can be what the image
# then lacks.
_THREAD = 24_000_000 + (1 << 27)


def start(thread: Thread) -> None:
    """Start a thread, or raise one of `REFUSED`.

    A thread that finds no memory for its first objects dies, and `Thread.start` waits for ever
    for its sign of life.
    """
    _check_fits()
    thread.start()


def _check_fits() -> None:
    space = memory.address_space()
    if space is not None and space < _THREAD:
        raise MemoryError


def has_room(beside: int) -> bool:
    """Return whether a thread has room beside bytes that will be allocated later."""
    space = memory.address_space()
    return space is None or space >= beside + _THREAD


def try_threads(count: int) -> None:
    """Start this many threads, and end them: raise one of `REFUSED` where that is not allowed."""
    enough, started = Event(), list[Thread]()
    try:
        for _ in range(count):
            thread = Thread(target=enough.wait)
            start(thread)
            started.append(thread)
    finally:
        enough.set()
        for thread in started:
            thread.join()


class Pool:
    """As many threads as the system allows, up to a number; their names begin with `name`."""

    def __init__(self, count: int, name: str = "") -> None:
        self.count = count
        self._name = name
        self._threads = ThreadPoolExecutor(count, name)
        self._has_thread = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown()

    def submit(self, work: Callable[[], Result]) -> Future[Result]:
        """Let a thread do some work; without any thread it is done before this returns."""
        call = _Call(work)
        future = call.future
        if not self._queue(call):
            call()
        return future

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield the results for all items in order; without any thread, each in its turn."""
        calls = [_Call(partial(work, item)) for item in items]
        futures = [call.future for call in reversed(calls)]
        ours = [None if self._queue(call) else call for call in calls]
        ours.reverse()
        del calls
        while ours:  # popped, so that no result is held here as well
            yield self._result(ours.pop(), futures.pop())

    def _result(self, ours: _Call[Result] | None, future: Future[Result]) -> Result:
        if ours:
            ours()
        return future.result()

    def shutdown(self, wait: bool = True, cancel: bool = False) -> None:
        """End the threads; with `cancel` they begin nothing more."""
        self._threads.shutdown(wait=wait, cancel_futures=cancel)

    def _queue(self, call: _Call[Result]) -> bool:
        """Queue a call, and return whether there is a thread that will come to it."""
        try:
            _check_fits()
        except MemoryError:
            return False
        try:
            self._threads.submit(call).add_done_callback(call.cancelled)
        except REFUSED:
            if not self._has_thread:  # its queue would hold the call, and so the result
                self._threads = ThreadPoolExecutor(self.count, self._name)
            return self._has_thread
        self._has_thread = True
        return True


_kept: Pool | None = None


def kept(count: int) -> Pool:
    """Return a pool of at least `count` threads that is used again and never shut down.

    Handing work to a thread of it takes 20 microseconds, and to one that has to be started 80 to
    100. Its threads end with the program, which does not wait for them while they are idle. What
    waits here must be able to do without: cancel what has not begun.
    """
    global _kept
    pool = _kept
    if pool is None or pool.count < count:
        # The threads of a pool that it replaces end with what they have begun.
        _kept = pool = Pool(count, "kept")
    return pool


def _forget() -> None:
    """Let a child start threads of its own: those of its parent are not there."""
    global _kept
    _kept = None


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_forget)


class _Call(Generic[Result]):
    """A call that the first thread to come carries out, and no other."""

    def __init__(self, work: Callable[[], Result]) -> None:
        self._work = work
        self._claim = Lock()
        self.future: Future[Result] = Future()

    def __call__(self) -> None:
        if not self._claim.acquire(blocking=False):
            return
        # The frames that an error holds know this call, which must not lead to the error.
        future = self.future
        del self.future
        try:
            if future.set_running_or_notify_cancel():
                future.set_result(self._work())
        except BaseException as error:
            future.set_exception(error)
            if not isinstance(error, Exception):  # a signal, which ends the program
                raise
        finally:
            del future

    def cancelled(self, queued: Future[None]) -> None:
        """Cancel the call if the pool has cancelled it."""
        if queued.cancelled():
            self.future.cancel()
