"""Regions over worker processes: a worker that dies gives an error, never a hang."""

from __future__ import annotations

import math
import mmap
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from copy import copy
from functools import partial
from typing import Any

import numpy as np
from pathos.helpers import mp

from convcli import memory, pools
from convcli.errors import ConvcliError, reason_of
from convcli.pixels.source import Source
from convcli.planning.methods import IN_THREADS
from convcli.planning.plan import Plan
from convcli.running.recipe import Recipe
from convcli.running.regions import Region, RegionFilter, prepare
from convcli.types import OnProgress, Pixels

Work = Callable[[Any], None]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))

# The executor reports a dead worker at once, with rare exceptions (see `_do_each`).
_GRACE_SECONDS = 1.0
# How often a worker looks whether its parent is alive.
_LOOK_SECONDS = 0.2
# A pipe takes 4096 bytes whole or not at all: a worker that is killed leaves no half message.
_REASON_LENGTH = 500

# Workers that two threads fork at once would hold the pipes by which the other pool's parent
# notices a death.
_starting = threading.Lock()


def run_in_processes(
    plan: Plan,
    recipe: Recipe,
    source: Source,
    shape: tuple[int, int, int],
    regions: list[Region],
    on_progress: OnProgress | None,
) -> Pixels:
    """Filter an image with worker processes; see `fill_in_processes`."""
    filter_region = prepare(plan, recipe, source.shape[2])
    out = (shape, recipe.out_dtype)
    return fill_in_processes(filter_region, source, out, regions, plan.workers, on_progress)


def fill_in_processes(
    filter_region: RegionFilter,
    source: Source,
    result: tuple[tuple[int, int, int], np.dtype[Any]],
    regions: list[Region],
    workers: int,
    on_progress: OnProgress | None,
) -> Pixels:
    """Let worker processes fill an array of this shape and dtype.

    The workers are forked, so that they have the source and the loops that are loaded here. They
    write into shared memory. A task is four numbers.

    Raises
    ------
    ConvcliError
        If a worker dies or fails, or the system has no processes or memory for the work.
    """
    out = _shared(*result)
    filter_region(source, out, ((0, 1), (0, 1)))  # compiles the loops, or loads them
    for_each(partial(filter_region, source, out), regions, workers, on_progress)
    return out


def for_each(
    work: Work,
    items: Sequence[Any],
    workers: int,
    on_progress: OnProgress | None,
) -> None:
    """Let forked worker processes do some work for each of several items.

    Raises
    ------
    ConvcliError
        If a worker dies or fails, or the system has no processes for the work.
    """
    with _pool(min(workers, len(items)), work) as started:
        _do_each(*started, items, on_progress)


def _shared(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Pixels:
    """Return an array that forked workers share.

    Its memory belongs to no file: nothing is left of it when all processes are killed, and a
    full /dev/shm does not matter.
    """
    size = math.prod(shape) * dtype.itemsize
    memory.check(size)
    try:
        return np.ndarray(shape, dtype, mmap.mmap(-1, max(size, 1)))
    except OSError as error:
        raise ConvcliError(
            f"no room for {size} bytes of shared memory ({reason_of(error)}); try {IN_THREADS}"
        ) from error


def _do_each(
    pool: ProcessPoolExecutor,
    workers: list[Any],
    items: Sequence[Any],
    on_progress: OnProgress | None,
) -> None:
    """Let the workers do what they do for each item, and report each."""
    done = 0
    try:
        waiting = {pool.submit(_do, item) for item in items}
        while waiting:
            # Python 3.11 may lose a task that is submitted just as a worker dies.
            died = any(worker.exitcode is not None for worker in workers)
            finished, waiting = wait(waiting, _GRACE_SECONDS, FIRST_COMPLETED)
            if died and not finished:
                raise BrokenProcessPool
            for task in finished:
                if failure := task.result():
                    raise ConvcliError(f"a worker process failed: {failure}")
                done += 1
                if on_progress:
                    on_progress(done, len(items))
    except BrokenProcessPool as error:
        raise ConvcliError(
            "a worker process died (killed, or out of memory); try fewer --workers, or "
            f"{IN_THREADS}"
        ) from error


@contextmanager
def _pool(count: int, work: Work) -> Iterator[tuple[ProcessPoolExecutor, list[Any]]]:
    """Start a pool and give it with its workers; kill them whatever happens."""
    workers: list[Any] = []
    pool = None
    try:
        try:
            with _forking():
                # For the pool and its workers. Without the second of its two threads an executor
                # of Python 3.11 waits for ever.
                pools.try_threads(2 * count + 2)
                pool = ProcessPoolExecutor(count, _context(workers), _attach, (os.getpid(), work))
                pool.submit(int)  # the first task forks the workers
        except (OSError, RuntimeError, AssertionError) as error:
            pool = None
            raise ConvcliError(
                f"worker processes cannot be started ({reason_of(error)}); try {IN_THREADS}"
            ) from error
        yield pool, workers
    finally:
        # Their results are in, or not wanted. A worker that is asked to end may wait for ever for
        # a lock that a dead one holds.
        for worker in workers:
            if worker.pid:
                worker.kill()
        if pool:
            pool.shutdown()
        for worker in workers:
            if worker.pid:
                worker.join()


@contextmanager
def _forking() -> Iterator[None]:
    """Let one pool at a time fork, without signals or warnings.

    A worker that gets a signal before `_attach` would run its parent's handler. Python 3.12
    warns of a fork beside other threads, which may hold locks; a worker runs loops that are
    loaded and takes no lock of theirs. Other start methods would pickle the pixels and load
    numba again in each worker (1 s).
    """
    with _starting, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This process .* multi-threaded", DeprecationWarning)
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _context(workers: list[Any]) -> Any:
    """Return multiprocess' way to fork, which adds each process to a list: executors hide them."""
    context = copy(mp.get_context("fork"))

    def process(*args: Any, fork: Any = context.Process, **settings: Any) -> Any:
        workers.append(fork(*args, **settings))
        return workers[-1]

    context.Process = process
    return context


# What a worker does with an item, or why it cannot.
_work: Work | str


def _attach(parent: int, work: Work) -> None:  # pragma: no cover - runs in the workers
    """Prepare a worker: its signals, and its end when its parent is killed."""
    global _work
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - open to the end
    try:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()
        _work = work
    except BaseException as error:
        _work = reason_of(error)
    # A signal to the whole group, such as Ctrl-C, is the parent's to handle: it ends its workers.
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def _follow(parent: int) -> None:  # pragma: no cover - runs in the workers
    """End this worker soon after its parent."""
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os._exit(1)


def _do(item: Any) -> str:  # pragma: no cover - runs in the workers
    """Do the work, and return nothing, or why not: not every exception can be pickled."""
    if isinstance(_work, str):
        return _work
    try:
        _work(item)
    except BaseException as error:
        return reason_of(error)[:_REASON_LENGTH]
    return ""
