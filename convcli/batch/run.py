"""Runs jobs over the cores and yields the outcome of each; knows no terminal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from functools import partial
from itertools import islice

from convcli import memory
from convcli.batch.ahead import Begun
from convcli.batch.attempt import outcome_of
from convcli.batch.outcome import NO_ROOM, Outcome, Status
from convcli.batch.pipeline import Pipeline
from convcli.errors import ConvcliError, reason_of
from convcli.files.formats import may_be_in_parts
from convcli.files.job import Job
from convcli.files.many import Jobs
from convcli.filtering.options import Options
from convcli.planning.methods import worker_count
from convcli.pools import Pool
from convcli.types import OnProgress
from convcli.words import size_of

# The longest time until an interruption is noticed, and the time that images at work then have
# to be finished. Together they leave half of the second in which the program should end.
_LOOK_SECONDS = 0.1
_PATIENCE_SECONDS = 0.3


def run(
    jobs: Jobs,
    pipeline: Pipeline,
    workers: int | None,
    on_progress: OnProgress | None = None,
    *,
    begun: Mapping[Job, Begun] | None = None,
    interrupted: threading.Event | None = None,
) -> Generator[Outcome]:
    """Run jobs, several at a time, and yield the outcome of each as soon as it is known.

    A single image uses all workers. Several images share them and are filtered at the same time,
    which is faster than all cores on one image after the other, for decoding and encoding too.
    Only ``tiled``, whose workers are processes, takes one image at a time. A failure does not
    stop the other jobs, unless there is no room for outputs: then the rest is not tried.

    All work is done in other threads, so that the main thread can handle signals while C code
    runs. Where the system allows no threads, this one does the work.

    Parameters
    ----------
    jobs : list of Job, or ManyJobs
        What to read and write.
    pipeline : Pipeline
        What is done to each image.
    workers : int, optional
        Cores to use; None for all.
    on_progress : callable, optional
        Called with the regions of a single image; not for several images.
    begun : mapping, optional
        Images whose reading has begun, by their jobs.
    interrupted : Event, optional
        Set it to interrupt the run. Jobs that wait are cancelled, and those at work stop after
        the region at hand. The outcomes of images that are finished all the same within 0.3 s
        are yielded, and the iteration ends. A thread that is deep in C code is not waited for.
    """
    begun = begun or {}
    interrupted = interrupted or threading.Event()
    todo: list[Job] = []
    for job in jobs if isinstance(jobs, list) else ():
        if interrupted.is_set():
            return
        if outcome := known(job):
            yield outcome
        else:
            todo.append(job)
    count = len(todo) if isinstance(jobs, list) else len(jobs)
    cores = worker_count(workers)
    tiled = pipeline.options.get("method") == "tiled"
    at_once = 1 if tiled else max(1, min(cores, count))
    stopping = threading.Event()
    no_room: list[str] = []

    def go_on(done: int, total: int) -> None:
        on_main = threading.current_thread() is threading.main_thread()
        if stopping.is_set() or (on_main and interrupted.is_set()):
            raise _StoppedError
        if on_progress and count == 1:
            on_progress(done, total)

    options = Options(**pipeline.options)
    options["workers"] = max(1, cores // at_once)
    options["pictures"] = max(1, count)
    options["scratch"] = True
    options["on_progress"] = go_on
    pipeline = pipeline._replace(options=options)
    room = Memory(pipeline.in_parts.memory if pipeline.in_parts else None)
    pipeline = with_held(pipeline, room)

    def attempt(job: Job) -> Outcome:
        if outcome := known(job):  # of many jobs
            return outcome
        if no_room:
            return Outcome(job, "not tried", no_room[0])
        with room.shared() as take:
            outcome = attempted(job, pipeline, take, begun.get(job))
        if isinstance(outcome.error, OSError) and outcome.error.errno in NO_ROOM:
            no_room.append(reason_of(outcome.error))
        return outcome

    waiting: set[Future[Outcome]] = set()
    queue = iter(todo if isinstance(jobs, list) else jobs)
    pool = Pool(at_once)
    try:
        while not interrupted.is_set():
            # A few jobs ahead keep every thread busy, however long the list is.
            for job in islice(queue, 2 * at_once - len(waiting)):
                waiting.add(pool.submit(partial(attempt, job)))
            if not waiting:
                return
            for future in wait(waiting, _LOOK_SECONDS, FIRST_COMPLETED).done:
                waiting.discard(future)
                yield future.result()
        stopping.set()
        pool.shutdown(wait=False, cancel=True)
        at_work = [future for future in waiting if not future.cancelled()]
        for future in wait(at_work, _PATIENCE_SECONDS).done:
            if not future.exception():
                outcome = future.result()
                if not isinstance(outcome.error, _StoppedError):
                    yield outcome
    finally:
        stopping.set()  # a caller that stops iterating does not wait for whole images
        pool.shutdown(wait=not interrupted.is_set(), cancel=True)


def known(job: Job) -> Outcome | None:
    """Return the outcome of a job that need not be tried."""
    if not (job.skip or job.problem):
        return None
    status: Status = "failed" if job.problem else "skipped"
    return Outcome(job, status, job.problem)


def attempted(
    job: Job, pipeline: Pipeline, take: Callable[[int], None], begun: Begun | None = None
) -> Outcome:
    """Do a job, in parts if its image may be too large for memory."""
    how, source = pipeline.in_parts, job.source_name
    # What was begun was looked at before; a preview shows the whole.
    if how is None or source is None or begun or pipeline.look:
        return outcome_of(job, pipeline, take, begun)
    if how.memory is None and not may_be_in_parts(source, job.target_name, job.format):
        return outcome_of(job, pipeline, take)
    from convcli.batch import windowed  # what most images need not

    return windowed.outcome_of(job, pipeline, take)


class _StoppedError(Exception):
    """Raised in threads that filter, to stop them between two regions."""


def with_held(pipeline: Pipeline, room: Memory) -> Pipeline:
    """Tell those who filter in parts what the program itself holds."""
    if how := pipeline.in_parts:
        return pipeline._replace(in_parts=how._replace(held=room.held))
    return pipeline


class Memory:
    """Delays the decoding of an image until it fits into memory beside those at work.

    One that takes more than was asked for is refused.
    """

    def __init__(self, asked: int | None) -> None:
        # Half of what is free, because the bytes that are counted are the least that images take.
        # What the program holds is measured before it holds any image.
        self.held = memory.held()
        self._asked, self._most = asked, memory.bound(asked)
        if asked is not None:
            self._most -= self.held
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def shared(self) -> Iterator[Callable[..., None]]:
        """Give a function that takes a number of bytes; they are given back at the end."""
        own = 0

        def take(size: int, what: str = "") -> None:
            nonlocal own
            if self._asked is not None and size > self._most:
                raise ConvcliError(
                    f"needs at least {size_of(size + self.held)}{what}, and may hold "
                    f"{size_of(self._asked)}; raise --memory"
                )
            with self._changed:
                # A single image need not wait; reading refuses it if it does not fit at all.
                self._changed.wait_for(lambda: not self._taken or self._taken + size <= self._most)
                self._taken += size
                own = size

        try:
            yield take
        finally:
            with self._changed:
                self._taken -= own
                self._changed.notify_all()
