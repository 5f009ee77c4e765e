"""Runs jobs over the cores and reports what becomes of each; knows no terminal."""

from __future__ import annotations

import errno
import math
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice

from convcli import memory
from convcli.batch.attempt import Filter, Outcome, Status, outcome_of
from convcli.errors import reason_of
from convcli.files.job import Job
from convcli.filtering.options import Options
from convcli.planning.methods import worker_count
from convcli.types import OnProgress

# What will not be otherwise for the next picture: the disk or the share of it is full, or it
# cannot be written to.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)

# A signal that comes just as Python begins to wait is noticed only when the wait is over.
_LOOK_SECONDS = 0.2
# What is being written when a signal comes has this long to be finished. All is to be over
# within a second of the signal.
_PATIENCE_SECONDS = 0.3


def run(
    jobs: list[Job], filter_: Filter, workers: int | None, on_progress: OnProgress | None = None
) -> Generator[Outcome]:
    """Do the jobs, several at a time, and yield each one's outcome as it is known.

    One picture uses all workers. Several share them: each is filtered by its part, which for
    decoding and encoding too is better than all cores on one picture after the other. Only
    ``tiled``, whose processes are the workers, takes one picture at a time. One that fails
    does not stop the others, unless there is no room for more: then the rest is not tried.

    All is done in other threads, so that this one can take signals whatever C code is at work.
    A KeyboardInterrupt or SystemExit that comes here, or is thrown in, stops the work; what is
    finished all the same is yielded before it goes on its way. A thread that is deep in C code
    is not waited for.

    `on_progress` hears of the regions of a picture that is alone.
    """
    cores = worker_count(workers)
    todo = []
    for job in jobs:
        if job.skip or job.problem:
            status: Status = "failed" if job.problem else "skipped"
            yield Outcome(job, status, job.problem)
        else:
            todo.append(job)
    tiled = filter_.options.get("method") == "tiled"
    at_once = 1 if tiled else max(1, min(cores, len(todo)))
    stopping = threading.Event()
    no_room: list[str] = []

    def go_on(done: int, total: int) -> None:
        if stopping.is_set():
            raise _StoppedError
        if on_progress and len(todo) == 1:
            on_progress(done, total)

    options = Options(**filter_.options)
    options["workers"] = max(1, cores // at_once)
    options["pictures"] = max(1, len(todo))
    options["scratch"] = True
    options["on_progress"] = go_on
    room = _Memory()

    def attempt(job: Job) -> Outcome:
        if no_room:
            return Outcome(job, "not tried", no_room[0])
        with room.shared() as take:
            outcome = outcome_of(job, filter_, options, take)
        if isinstance(outcome.error, OSError) and outcome.error.errno in _NO_ROOM:
            no_room.append(reason_of(outcome.error))
        return outcome

    waiting: set[Future[Outcome]] = set()
    queue = iter(todo)
    pool = ThreadPoolExecutor(at_once)
    patient = True
    try:
        while True:
            # A few jobs ahead keep every thread busy, and a long list costs no memory.
            for job in islice(queue, 2 * at_once - len(waiting)):
                waiting.add(pool.submit(attempt, job))
            if not waiting:
                break
            for future in wait(waiting, _LOOK_SECONDS, FIRST_COMPLETED).done:
                waiting.discard(future)
                yield future.result()
    except (KeyboardInterrupt, SystemExit):
        patient = False
        stopping.set()
        pool.shutdown(wait=False, cancel_futures=True)
        begun = [future for future in waiting if not future.cancelled()]
        for future in wait(begun, _PATIENCE_SECONDS).done:
            if not future.exception():
                outcome = future.result()
                if not isinstance(outcome.error, _StoppedError):
                    yield outcome
        raise
    finally:
        stopping.set()  # who listens no more must not wait for large pictures to be filtered
        pool.shutdown(wait=patient, cancel_futures=True)


class _StoppedError(Exception):
    """What is raised in threads that filter when everything shall end."""


class _Memory:
    """Lets a picture be decoded when it fits into memory beside those at work."""

    def __init__(self) -> None:
        free = memory.available()
        # Half of it: what is counted is the least that a picture takes.
        self._most = math.inf if free is None else free / 2
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def shared(self) -> Iterator[Callable[[int], None]]:
        """Hand out a function that takes so many bytes, to be given back in the end."""
        own = 0

        def take(size: int) -> None:
            nonlocal own
            with self._changed:
                # One that is alone need not wait; whether it fits at all is said when it is read.
                self._changed.wait_for(lambda: not self._taken or self._taken + size <= self._most)
                self._taken += size
                own = size

        try:
            yield take
        finally:
            with self._changed:
                self._taken -= own
                self._changed.notify_all()
