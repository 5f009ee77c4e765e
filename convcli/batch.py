"""Runs jobs over the cores and reports what becomes of each; knows no terminal."""

from __future__ import annotations

import errno
import math
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Literal, NamedTuple

from convcli import image, memory
from convcli.costs import reading_cost, writing_cost
from convcli.errors import reason_of, shown
from convcli.image import Grey, Picture
from convcli.jobs import Job
from convcli.methods import worker_count
from convcli.planning import Plan
from convcli.types import OnProgress, Options, Pixels

Status = Literal["written", "shown", "failed", "skipped", "not tried"]

# What will not be otherwise for the next picture: the disk or the share of it is full, or it
# cannot be written to.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)

# A signal that comes just as Python begins to wait is noticed only when the wait is over.
_LOOK_SECONDS = 0.2
# What is being written when a signal comes has this long to be finished. All is to be over
# within a second of the signal.
_PATIENCE_SECONDS = 0.3


# Of a picture whose reading was begun while the program started.
_AHEAD = "while the program was loaded"


class Stage(NamedTuple):
    """Reading, filtering or writing a picture with all its frames: seconds, and a remark."""

    name: str
    predicted: float
    measured: float
    remark: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    `megapixels` and `plan` are those of a picture that was filtered; `error` is the
    exception of one that failed, and `reason` its one line, or why it was not tried.
    """

    job: Job
    status: Status
    reason: str = ""
    error: BaseException | None = None
    seconds: float = 0.0
    size: tuple[int, int] = (0, 0)
    pixels: int = 0
    mode: str = ""
    frames: int = 1
    plan: Plan | None = None
    notes: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()

    @property
    def megapixels(self) -> float:
        """Size of the picture that was filtered, all frames together."""
        return self.pixels / 1e6


@dataclass(frozen=True)
class Filter:
    """What is done to each picture.

    Attributes
    ----------
    apply : callable
        ``apply(picture, options)``: a verb of `convcli.filters` with its own arguments bound.
    options : Options
        What every picture's options begin with.
    grey, luma
        What colour becomes, as for `convcli.image.read`.
    begun : dict
        Pictures whose reading has begun, by their jobs: what waits for each and returns it.
    quality, png_level, strip, overwrite
        As for `convcli.image.write`.
    look : callable, optional
        Shown the first frame of a picture as it was read, then as it was filtered.
    write : bool
        Whether the results are written at all; without, no more than the first frame is
        filtered.
    """

    apply: Callable[[Picture, Options], Pixels]
    options: Options
    grey: Grey | None = None
    luma: bool = False
    begun: dict[Job, Callable[[], tuple[Picture, float]]] = field(default_factory=dict)
    quality: int | None = None
    png_level: int | None = None
    strip: bool = False
    overwrite: bool = False
    look: Callable[[Picture], None] | None = None
    write: bool = True


def run(
    jobs: list[Job], what: Filter, workers: int | None, on_progress: OnProgress | None = None
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
    tiled = what.options.get("method") == "tiled"
    at_once = 1 if tiled else max(1, min(cores, len(todo)))
    stopping = threading.Event()
    no_room: list[str] = []

    def go_on(done: int, total: int) -> None:
        if stopping.is_set():
            raise _StoppedError
        if on_progress and len(todo) == 1:
            on_progress(done, total)

    options = Options(**what.options)
    options["workers"] = max(1, cores // at_once)
    options["pictures"] = max(1, len(todo))
    options["scratch"] = True
    options["on_progress"] = go_on
    room = _Memory()

    def attempt(job: Job) -> Outcome:
        if no_room:
            return Outcome(job, "not tried", no_room[0])
        with room.shared() as take:
            outcome = _outcome(job, what, options, take)
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


def _outcome(job: Job, what: Filter, options: Options, take: Callable[[int], None]) -> Outcome:
    """Read, filter and write one picture; whatever goes wrong is that picture's outcome.

    `take` is called with the bytes that the picture will take, and may wait for them.
    """
    start = time.perf_counter()
    clock = _Clock()
    doing = ""
    plans: list[Plan] = []
    pixels = 0

    def filtered(frame: Picture, number: int, frames: int) -> Picture:
        own = Options(**options)
        own["on_plan"] = plans.append
        own["pictures"] = options["pictures"] * frames
        if on_progress := options.get("on_progress"):
            own["on_progress"] = partial(_part_done, on_progress, number, frames)
        nonlocal pixels
        pixels += frame.pixels.shape[0] * frame.pixels.shape[1]
        with clock.at("filter"):
            return frame.with_pixels(what.apply(frame, own))

    def read(frames: Iterator[Picture]) -> Picture:
        with clock.at("read"):
            return next(frames)

    def later(frames: Iterable[Picture], count: int) -> Iterator[Picture]:
        """Filter the frames after the first, while what was written of them is encoded."""
        nonlocal doing
        encoding = doing
        following = iter(frames)
        for number in range(1, count):
            doing = f"in frame {number + 1} of {count}: "
            yield filtered(read(following), number, count)
            doing = encoding

    try:
        ahead = job in what.begun
        if ahead:
            picture, took = what.begun.pop(job)()
            clock.seconds["read"] = took
            take(2 * picture.pixels.nbytes)
        else:
            source = sys.stdin.buffer.read() if job.source is None else job.source
            with clock.at("read"):
                picture = image.read(source, job.format, what.grey, what.luma, take)
        height, width = picture.pixels.shape[:2]
        format_name = job.format or picture.format
        count = picture.frames if what.write else 1
        reading = reading_cost(picture.format, count * picture.pixels.nbytes)
        if what.look:
            what.look(picture)
        result = replace(filtered(picture, 0, count), later=later(picture.later, count))
        del picture  # encoding needs its memory
        if what.look:
            what.look(result)
        output = "to standard output" if job.target is None else shown(job.target)
        doing = f"cannot write {output}: "
        notes = result.notes
        if what.write:
            if job.target is not None:
                job.target.parent.mkdir(parents=True, exist_ok=True)
            with clock.at("write"):
                notes = image.write(
                    result,
                    job.target or sys.stdout.buffer,
                    format_name,
                    quality=what.quality,
                    png_level=what.png_level,
                    workers=options["workers"] or 1,
                    strip=what.strip,
                    overwrite=what.overwrite,
                )
    except BrokenPipeError:
        raise  # nobody reads standard output any more, and nothing else is of use
    except Exception as error:  # decoders raise what they like; one bad file is one outcome
        return Outcome(job, "failed", doing + reason_of(error), error)
    stages = [
        Stage("read", reading, clock.seconds["read"], _AHEAD if ahead else ""),
        Stage("filter", sum(plan.seconds for plan in plans), clock.seconds["filter"]),
    ]
    if what.write:
        writing = writing_cost(format_name, count * result.pixels.nbytes, options["workers"] or 1)
        stages.append(Stage("write", writing, clock.seconds["write"]))
    return Outcome(
        job,
        "written" if what.write else "shown",
        seconds=time.perf_counter() - start,
        size=(width, height),
        pixels=pixels,
        mode=result.mode,
        frames=count,
        plan=plans[0] if plans else None,
        notes=notes,
        stages=tuple(stages),
    )


class _Clock:
    """Counts the seconds of each stage; one inside of another, as frames have it, stops that."""

    def __init__(self) -> None:
        self.seconds = {"read": 0.0, "filter": 0.0, "write": 0.0}
        self._inner = 0.0

    @contextmanager
    def at(self, stage: str) -> Iterator[None]:
        """Count what is done inside as this stage's."""
        before, self._inner = self._inner, 0.0
        start = time.perf_counter()
        try:
            yield
        finally:
            whole = time.perf_counter() - start
            self.seconds[stage] += whole - self._inner
            self._inner = before + whole


def _part_done(on_progress: OnProgress, number: int, frames: int, done: int, total: int) -> None:
    """Pass on how far one of several frames is, as if they were one picture."""
    on_progress(number * total + done, frames * total)
