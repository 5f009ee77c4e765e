"""What runs on a worker of a cluster: batches of jobs, each job in one thread of the worker.

A batch may run twice: Dask repeats it if its worker is lost, or taken to be lost. Outputs appear
whole or not at all, and an output of the same bytes that is already there counts as written.
"""

from __future__ import annotations

import io
import os
import pickle
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import convcli
from convcli import image, memory
from convcli.batch.outcome import NO_ROOM, Outcome
from convcli.batch.pipeline import Pipeline
from convcli.batch.run import Memory, attempted, with_held
from convcli.errors import ConvcliError, reason_of
from convcli.files.job import Job
from convcli.filtering.options import Options
from convcli.image import Picture


class Orders(NamedTuple):
    """What a worker needs to know, the same for all jobs.

    Attributes
    ----------
    pipeline_for : callable
        ``pipeline_for(None)`` returns what is done to each image.
    pictures : int
        How many images there are.
    cores : int
        Threads for each image.
    max_pixels : int, optional
        The value of --max-pixels.
    """

    pipeline_for: Callable[[None], Pipeline]
    pictures: int
    cores: int
    max_pixels: int | None


class Done(NamedTuple):
    """The outcomes of a batch, in the order of its jobs.

    Attributes
    ----------
    outcomes : list of Outcome
        Their errors are text, because tracebacks do not travel.
    seconds : float
        Time that the batch took.
    no_room : str
        Why no output can be written any more, if that is so.
    """

    outcomes: list[Outcome]
    seconds: float
    no_room: str = ""


def done(orders: bytes, version: str, jobs: list[Job]) -> Done:
    """Do a batch of jobs, one after the other.

    Parameters
    ----------
    orders : bytes
        Pickled `Orders`.
    version : str
        The version of convcli that made them.
    jobs : list of Job
        With absolute paths.
    """
    start = time.perf_counter()
    if version != convcli.__version__:
        raise ConvcliError(f"was sent to a worker with convcli {convcli.__version__}")
    pipeline = _pipeline(orders)
    asked = None
    if how := pipeline.in_parts:
        asked = allowed(how.memory)
        pipeline = pipeline._replace(in_parts=how._replace(memory=asked))
    room = room_of(asked)
    pipeline = with_held(pipeline, room)
    outcomes: list[Outcome] = []
    no_room = ""
    for job in jobs:
        if no_room:
            outcomes.append(Outcome(job, "not tried", no_room))
            continue
        with room.shared() as take:
            outcome = attempted(job, pipeline, take)
        if isinstance(outcome.error, OSError) and outcome.error.errno in NO_ROOM:
            no_room = reason_of(outcome.error)
        if outcome.error:
            outcome = outcome._replace(error=_as_text(outcome.error))
        outcomes.append(_sharing_plan(outcome, outcomes))
    return Done(outcomes, time.perf_counter() - start, no_room)


@lru_cache(maxsize=4)
def _pipeline(orders: bytes) -> Pipeline:
    """Make of orders what is done to each image."""
    given: Orders = pickle.loads(orders)  # noqa: S301 - clients of a worker can run any code there
    image.limit_pixels(given.max_pixels)
    pipeline = given.pipeline_for(None)
    options = Options(**pipeline.options)
    options["workers"], options["pictures"] = given.cores, given.pictures
    options["scratch"] = True
    write = pipeline.write and partial(_written, write=pipeline.write)
    return pipeline._replace(options=options, write=write)


# Dask sends a worker nothing more that holds so much of its --memory-limit, and ends it at 0.95.
_OF_LIMIT = 0.8


def allowed(asked: int | None) -> int | None:
    """Return the value of --memory, or less if this worker has a lower limit by Dask."""
    from distributed import get_worker  # a worker has loaded it

    limit = None
    with suppress(ValueError):  # this process is no worker
        limit = get_worker().memory_manager.memory_limit
    if not limit:
        return asked
    most = int(_OF_LIMIT * limit)
    memory.keep_below(most)
    return asked and min(asked, most)


@cache
def room_of(asked: int | None) -> Memory:
    """Return the memory that all threads of this worker share, of which so much is allowed."""
    return Memory(asked)


def _written(
    picture: Picture,
    target: Path | BinaryIO,
    format_name: str,
    *,
    write: Callable[..., tuple[str, ...]],
    **settings: Any,
) -> tuple[str, ...]:
    """Write an image; a file of the same bytes is the work of an earlier run of this batch."""
    try:
        return write(picture, target, format_name, **settings)
    except FileExistsError:
        if not (isinstance(target, Path) and target.is_file()):
            raise
        encoded = io.BytesIO()
        notes = write(picture, encoded, format_name, workers=settings.get("workers", 1))
        if encoded.getvalue() != target.read_bytes():
            raise
        return notes


def _as_text(error: BaseException) -> RuntimeError:
    return RuntimeError("".join(traceback.format_exception(error)))


def _sharing_plan(outcome: Outcome, others: list[Outcome]) -> Outcome:
    """Return an outcome with the plan of another, if it is the same: then it is sent once."""
    plan = outcome.plan
    same = (
        other.plan
        for other in others[-1:]
        if plan == other.plan and getattr(plan, "task", None) is not None and plan is not None
    )
    return outcome._replace(plan=next(same, plan))


def problem_here(orders: bytes, version: str, probe: str, source: tuple[str, int]) -> str:
    """Return why this worker cannot do the jobs, if it cannot.

    Parameters
    ----------
    orders, version
        As for `done`.
    probe : str
        A file that was made beside the outputs; empty if there is no disk to share.
    source : (str, int)
        An input and its size.
    """
    if version != convcli.__version__:
        return f"has convcli {convcli.__version__}, not {version}"
    try:
        _pipeline(orders)
        if not probe:
            return ""
        if not os.path.exists(probe):
            return f"does not see the folder {os.path.dirname(probe)!r}: it must share the disk"
        if os.stat(source[0]).st_size != source[1]:
            return f"sees a different file {source[0]!r}: it must share the disk"
    except Exception as error:  # orders name packages that may raise what they like
        return reason_of(error)
    return ""
