"""Runs jobs on a cluster and yields the outcome of each, in batches of about two seconds."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain
from pathlib import Path
from queue import Empty, SimpleQueue
from statistics import median
from typing import TYPE_CHECKING

import cloudpickle

import convcli
from convcli.batch.outcome import Outcome
from convcli.batch.pipeline import Pipeline
from convcli.batch.run import known, run
from convcli.cluster.connecting import LOOK_SECONDS, Threads, check_workers, lost, result_of
from convcli.cluster.regions import made_elsewhere
from convcli.cluster.work import Orders, done, problem_here
from convcli.errors import ConvcliError, reason_of, shown
from convcli.files.formats import may_be_in_parts
from convcli.files.job import Job
from convcli.files.many import Jobs, Rest
from convcli.files.urls import is_url
from convcli.files.writing import TEMPORARY_SUFFIX
from convcli.filtering.options import means_part
from convcli.sources.choice import kind_for
from convcli.types import OnProgress

if TYPE_CHECKING:
    from distributed import Client, Future

# A task costs the scheduler up to 1 ms, and what is lost with a worker is done again.
_BATCH_SECONDS = 2.0
_LARGEST_BATCH = 2000

# Batches by which the time of a job is estimated.
_REMEMBERED = 20

# Batches for each thread: one at work, and one that waits.
_AHEAD = 2

_PATIENCE_SECONDS = 0.3


class Run:
    """Jobs that are done on a cluster: those that wait here, and the batches that are there.

    Every thread of a worker does one image at a time; if there are fewer images than threads, each
    takes several. Paths go there, and outcomes come back. What a lost worker had is done again by
    others: that is Dask's. A batch whose workers are lost several times is divided into its jobs,
    so that one image does not take the others with it.

    Parameters
    ----------
    jobs : list of Job, or ManyJobs
        What to read and write: files alone.
    client : Client
        The cluster.
    pipeline_for : callable
        Is sent to the workers; ``pipeline_for(None)`` returns what is done to each image.
    max_pixels : int, optional
        The value of --max-pixels.

    Raises
    ------
    ConvcliError
        If a worker cannot do the jobs.
    """

    def __init__(
        self,
        jobs: Jobs,
        client: Client,
        pipeline_for: Callable[[None], Pipeline],
        max_pixels: int | None,
    ) -> None:
        self.client = client
        self.jobs = jobs
        self.pipeline = pipeline_for(None)
        self.known: list[Outcome] = []
        self.divided: list[Job] = []  # images of which each worker does a part
        if isinstance(jobs, list):
            self.todo: deque[Job] | Rest = deque(self.not_known(jobs))
        else:
            self.todo = Rest(jobs)
        self.threads = Threads(client)
        most = max(client.nthreads().values(), default=1)
        cores = min(most, max(1, self.threads.count() // max(1, len(self.todo))))
        orders = Orders(pipeline_for, len(self.todo), cores, max_pixels)
        self.orders = cloudpickle.dumps(orders), convcli.__version__
        self.at_work: dict[str, tuple[Future, list[Job]]] = {}
        self.finished: SimpleQueue[Future] = SimpleQueue()
        self.pace: deque[float] = deque(maxlen=_REMEMBERED)
        self.alone: deque[Job] = deque()  # jobs of batches that ended their workers
        self.is_last = False  # they are tried
        self.problem = ""
        with probe([*self.todo, *self.divided] if isinstance(jobs, list) else jobs) as seen:
            check_workers(client, problem_here, *self.orders, *seen)

    def outcomes(
        self, interrupted: threading.Event, on_progress: OnProgress | None = None
    ) -> Iterator[Outcome]:
        """Submit batches, a bounded number at a time, and yield outcomes as they come.

        Set the event to interrupt the run: batches that wait are cancelled, and those at work
        finish on their workers, but are not waited for. The progress of a single image that is
        divided among workers is reported.
        """
        while not interrupted.is_set() and not self.is_lost:
            yield from self.known
            self.known.clear()
            if not self.problem:
                self.submit()
            if self.at_work:
                yield from self.next_outcomes(LOOK_SECONDS)
            elif not self.known:
                break
        yield from self.known
        end = time.monotonic() + _PATIENCE_SECONDS
        while interrupted.is_set() and self.at_work and (rest := end - time.monotonic()) > 0:
            yield from self.next_outcomes(rest)
        with suppress(Exception):  # the scheduler may be gone
            self.client.cancel([future for future, _ in self.at_work.values()])
        if interrupted.is_set():
            return
        untried = [job for _, jobs in self.at_work.values() for job in jobs]
        yield from self.outcomes_of_divided(interrupted, on_progress)
        for job in chain(untried, self.alone, self.todo):
            yield Outcome(job, "not tried", self.problem)

    def outcomes_of_divided(
        self, interrupted: threading.Event, on_progress: OnProgress | None
    ) -> Iterator[Outcome]:
        """Let all workers do images part by part, which are opened and put together here."""
        if self.problem:
            yield from (Outcome(job, "not tried", self.problem) for job in self.divided)
            return
        how = self.pipeline.in_parts
        assert how or not self.divided
        pipeline = self.pipeline._replace(
            in_parts=how and how._replace(
                elsewhere=partial(made_elsewhere, self.client, self.threads, how.memory), say=None
            )
        )  # fmt: skip
        own = {elsewhere(job): job for job in self.divided}
        single = on_progress if len(self.jobs) == 1 else None
        # One after the other: each has the whole cluster, and a part that is tried alone is alone.
        for job, given in own.items():
            if self.is_lost:
                yield Outcome(given, "not tried", self.problem)
                continue
            for outcome in run([job], pipeline, None, single, interrupted=interrupted):
                yield here(given, outcome)

    @property
    def is_lost(self) -> bool:
        """Whether the scheduler or all workers are gone, and with them the batches at work."""
        if problem := lost(self.client, self.threads):
            self.problem = problem
        return bool(problem)

    def submit(self) -> None:
        """Send batches until each thread has one at work and one that waits.

        At the end come jobs that are tried alone, one at a time: with a worker its other tasks are
        lost as well, and Dask suspects them all.
        """
        most = _AHEAD * self.threads.count()
        while self.todo and len(self.at_work) < most and len(self.known) < _LARGEST_BATCH:
            size = self.batch_size()
            if batch := self.not_known(self.todo.popleft() for _ in range(size) if self.todo):
                self.send(batch)
        if self.alone and not self.at_work:
            self.is_last = True
            self.send([self.alone.popleft()])

    def send(self, jobs: list[Job]) -> None:
        """Send a batch."""
        there = [elsewhere(job) for job in jobs]
        future = self.client.submit(done, *self.orders, there, pure=False)
        self.at_work[future.key] = future, jobs
        future.add_done_callback(self.finished.put)

    def not_known(self, jobs: Iterable[Job]) -> list[Job]:
        """Return the jobs to be sent; what is known of others, and images to divide, are kept."""
        batch: list[Job] = []
        for job in jobs:
            if outcome := known(job):
                self.known.append(outcome)
            else:
                (self.divided if is_divided(job, self.pipeline) else batch).append(job)
        return batch

    def batch_size(self) -> int:
        """Return how many jobs take about two seconds; at the end fewer, so that all threads work.

        The first batches have one job each.
        """
        # The middle one: compiling a loop, in the first batch of a worker, may take seconds.
        size = int(_BATCH_SECONDS / median(self.pace)) if self.pace else 1
        share = -(-len(self.todo) // (_AHEAD * self.threads.count()))
        return max(1, min(size, share, _LARGEST_BATCH))

    def next_outcomes(self, seconds: float) -> Iterator[Outcome]:
        """Wait so long for a batch to end, and yield the outcomes of its jobs."""
        try:
            future = self.finished.get(timeout=seconds)
        except Empty:
            return
        if future.status == "cancelled":
            time.sleep(LOOK_SECONDS)
            if not self.is_lost:  # others can cancel it there
                _, jobs = self.at_work.pop(future.key)
                yield from self.failed(jobs, ConvcliError("was cancelled on the cluster"))
            return
        try:
            made = result_of(future)
        except Exception as error:
            _, jobs = self.at_work.pop(future.key)
            yield from self.failed(jobs, error)
            return
        if made is None:
            self.finished.put(future)
            return
        _, jobs = self.at_work.pop(future.key)
        self.pace.append(made.seconds / len(jobs))
        self.problem = self.problem or made.no_room
        for job, outcome in zip(jobs, made.outcomes, strict=True):
            yield here(job, outcome)

    def failed(self, jobs: list[Job], error: Exception) -> Iterator[Outcome]:
        """Yield outcomes of a batch that was not done, or divide it if its workers were lost."""
        from distributed import KilledWorker  # loaded by now

        was_killed = isinstance(error, KilledWorker)
        if was_killed and not self.is_last:
            self.alone.extend(jobs)
            return
        reason = "each worker that tried it died" if was_killed else reason_of(error)
        for job in jobs:
            yield Outcome(job, "failed", reason, error)


def is_divided(job: Job, pipeline: Pipeline) -> bool:
    """Return whether each worker can do a part of an image: zarr is written shard by shard."""
    source, how = job.source_name, pipeline.in_parts
    if how is None or source is None or means_part(pipeline.options):
        return False
    if job.format not in (None, "ZARR"):
        return False
    if not may_be_in_parts(source, job.target_name, job.format):
        return False
    try:
        kind = kind_for(job, how.memory, 1, how.depth is not None)
    except (ConvcliError, OSError):  # which a worker reports
        return False
    return kind is not None and (job.format or kind) == "ZARR"


@contextmanager
def probe(jobs: Iterable[Job]) -> Iterator[tuple[str, tuple[str, int]]]:
    """Make a file beside an output, and give its name, an input and its size.

    Workers that see both share the disk. Without jobs whose files are on a disk there are none.
    """
    names = ((job.source_name or "", job.target_name or "") for job in jobs)
    found = next((each for each in names if not any(map(is_url, each))), None)
    if found is None:
        yield "", ("", 0)
        return
    source, target = map(os.path.abspath, found)
    folder = next(each for each in Path(target).parents if each.is_dir())
    name = folder / f".convcli-{os.urandom(6).hex()}{TEMPORARY_SUFFIX}"
    try:
        size = os.stat(source).st_size
        name.touch(exist_ok=False)
    except OSError as error:
        raise ConvcliError(f"{shown(error.filename)}: {reason_of(error)}") from error
    try:
        yield str(name), (source, size)
    finally:
        with suppress(OSError):
            name.unlink()


def elsewhere(job: Job) -> Job:
    """Return a job for a process in another working folder."""
    return Job(
        _absolute(job.source_name), _absolute(job.target_name), job.format, parts=job.parts,
        found_in=job.found_in, within=job.within,
    )  # fmt: skip


def _absolute(name: str | None) -> str | None:
    return name if name is None or is_url(name) else os.path.abspath(name)


def here(job: Job, outcome: Outcome) -> Outcome:
    """Return the outcome of a job under the names that it has here."""
    reason = outcome.reason
    for name in (job.source_name, job.target_name):
        if name is not None:
            reason = reason.replace(shown(_absolute(name) or ""), shown(name))
    return outcome._replace(job=job, reason=reason)
