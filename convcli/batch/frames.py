"""The frames of a stream, filtered several at a time and handed on in order."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from queue import Full, Queue
from threading import Event, Thread
from typing import TypeVar

from convcli.pools import REFUSED, Pool, start

Frame = TypeVar("Frame")
Result = TypeVar("Result")

# The longest time until a thread that waits for room notices that nothing more is wanted.
_LOOK_SECONDS = 0.1


def in_order(
    frames: Iterator[Frame], work: Callable[[Frame, int], Result], first: int, at_once: int
) -> Generator[Result, None, object]:
    """Yield ``work(frame, number)`` of each frame, in order, and return what `frames` returns.

    One thread reads: a result is handed on as soon as those before it are, though the next frame
    has not come. At most ``2 * at_once + 1`` frames are held, so that memory does not grow. Where
    the system allows no thread, one frame is read and filtered after the other.

    Parameters
    ----------
    frames : iterator
        Read in another thread, and closed there.
    work : callable
        Called in several threads at a time.
    first : int
        The number of the first frame.
    at_once : int
        Threads for the work.

    Raises
    ------
    Exception
        What reading or work raises, after the results before it.

    Examples
    --------
    >>> list(in_order(iter("abc"), lambda frame, number: frame * number, 1, 2))
    ['a', 'bb', 'ccc']
    """
    queue: Queue[Future[Result] | _End] = Queue(2 * at_once - 1)
    stopping = Event()
    pool = Pool(at_once)

    def put(item: Future[Result] | _End) -> None:
        while not stopping.is_set():
            with suppress(Full):
                queue.put(item, timeout=_LOOK_SECONDS)
                return

    def feed() -> None:
        number = first
        end = _End()
        try:
            while not stopping.is_set():
                put(pool.submit(partial(work, next(frames), number)))
                number += 1
        except StopIteration as over:
            end.value = over.value
        except BaseException as error:
            end.error = error
        put(end)
        if isinstance(frames, Generator):
            frames.close()

    try:
        start(Thread(target=feed, daemon=True))  # the exit does not wait for a camera
    except REFUSED:
        return (yield from _one_by_one(frames, work, first))
    try:
        while True:
            item = queue.get()
            if isinstance(item, _End):
                if item.error:
                    raise item.error
                return item.value
            yield item.result()
    finally:
        stopping.set()
        pool.shutdown(wait=False, cancel=True)


def _one_by_one(
    frames: Iterator[Frame], work: Callable[[Frame, int], Result], number: int
) -> Generator[Result, None, object]:
    while True:
        try:
            frame = next(frames)
        except StopIteration as end:
            return end.value
        yield work(frame, number)
        number += 1


class _End:
    """The end of the frames: an error, or what their iterator returned."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.value: object = None
