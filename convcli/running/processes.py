"""Regions over pathos processes, pixels in shared memory: no fault of a worker can hang it."""

from __future__ import annotations

import ctypes
import itertools
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from multiprocess import active_children
from multiprocess.heap import BufferWrapper
from pathos.pools import ProcessPool

from convcli.errors import ConvcliError, reason_of
from convcli.pixels.source import ArraySource, Source
from convcli.planning.plan import Plan
from convcli.running.recipe import Recipe
from convcli.running.regions import Region, RegionFilter, prepare
from convcli.types import OnProgress, Pixels

# How often the parent looks whether its workers are alive, and how long stopping may take
# before what is left is abandoned to the end of the process.
_LOOK_SECONDS = 0.05
_STOP_SECONDS = 2.0
# A living thread holds a lock for microseconds, so that a closed one is a dead worker's by then.
# The lock of results is one that a thread of this process takes too, which on a busy machine may
# have to wait for its turn: to open that under its hands would be an error there.
_LOCK_SECONDS = 0.005
_BUSY_SECONDS = 0.2

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_counter = itertools.count()


def run_in_processes(
    plan: Plan,
    recipe: Recipe,
    source: Source,
    shape: tuple[int, int, int],
    regions: list[Region],
    on_progress: OnProgress | None,
) -> Pixels:
    """Filter an image with a pathos pool.

    Both images lie in shared memory, so that a task is four numbers; only the plan and
    the recipe travel, once to each worker.

    Raises
    ------
    ConvcliError
        If a worker dies or fails, or there is no room for the images.
    """
    filter_region = prepare(plan, recipe, source.shape[2])
    # Compile (or load) the loops here, so that forked workers have them already.
    filter_region(source, np.empty(shape, recipe.out_dtype), ((0, 1), (0, 1)))
    pixels = _shared(math.prod(source.shape) * source.dtype.itemsize)
    copy = _view(pixels, source.shape, source.dtype)
    for rows, columns in regions:
        copy[slice(*rows), slice(*columns)] = source.window(rows, columns)
    # Made when the first is full, so that it is put where there is room for both.
    target = _shared(int(np.prod(shape)) * recipe.out_dtype.itemsize)
    described = (plan, recipe, pixels, source.shape, source.dtype, target, shape)
    with _pool(min(plan.route.workers, len(regions)), described) as pool:
        _finish(pool, regions, on_progress)
    return _view(target, shape, recipe.out_dtype)


def _finish(pool: ProcessPool, regions: list[Region], on_progress: OnProgress | None) -> None:
    """Hand the regions out and wait, watching the workers.

    pathos' own waiting hangs for ever once a worker is killed (uqfoundation/pathos issues
    230 and 265): the pool starts a new worker, but the lost task stays lost.
    """
    workers = list(pool._serve()._pool)  # before the pool replaces one that died
    waiting = [pool.apipe(_fill_region, region) for region in regions]
    while waiting:
        waiting[0].wait(_LOOK_SECONDS)
        died = any(worker.exitcode is not None for worker in workers)
        for result in [result for result in waiting if result.ready()]:
            waiting.remove(result)
            if failure := result.get():
                raise ConvcliError(f"a worker process failed: {failure}")
        if on_progress:
            on_progress(len(regions) - len(waiting), len(regions))
        if died and waiting:
            raise ConvcliError(
                "a worker process died (killed, or out of memory); try fewer --workers, "
                "or --method numba, which uses threads"
            )


@contextmanager
def _pool(workers: int, described: tuple[Any, ...]) -> Iterator[ProcessPool]:
    """Start a pool under an id of its own, and stop it whatever happens."""
    # pathos keeps pools by id and would hand a closed one to the next caller.
    before = active_children()
    # A worker that is ended before it has put its signals right would run the parent's handlers.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    pool = None
    try:
        try:
            _check_threads()
            pool = ProcessPool(
                workers,
                id=f"convcli-{os.getpid()}-{next(_counter)}",
                initializer=_attach,
                initargs=described,
            )
        except BaseException as error:  # an interrupt too leaves none of half a pool
            for child in set(active_children()) - set(before):
                child.kill()
            if not isinstance(error, (OSError, RuntimeError)):
                raise
            raise ConvcliError(
                f"worker processes cannot be started ({reason_of(error)}); "
                "try --method numba, which uses threads"
            ) from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)  # an interrupt may come just here
        yield pool
    finally:
        if pool is not None:
            _stop(pool)


def _check_threads() -> None:
    """Find out whether a pool's three threads, and the one that stops it, can be started.

    A pool of which only some could is half there: its workers come back when they are killed.
    """
    enough = threading.Event()
    threads = [threading.Thread(target=enough.wait, daemon=True) for _ in range(4)]
    try:
        for thread in threads:
            thread.start()
    finally:
        enough.set()
    for thread in threads:
        thread.join()


def _stop(pool: ProcessPool) -> None:
    """Close, end, join and clear the pool, even if a worker died with a lock in its hands.

    An idle worker waits for tasks while it holds the task queue's lock. Killed then, it
    never gives the lock back, and terminating or joining the pool would wait for ever. So
    every worker is killed first (their results are in, or nobody wants them any more), and
    then the locks, which no living process can hold, are opened.
    """
    inner = pool._serve()
    pool.close()
    ending = threading.Thread(target=pool.terminate, daemon=True)
    ending.start()
    deadline = time.monotonic() + _STOP_SECONDS
    while ending.is_alive() and time.monotonic() < deadline:
        for worker in list(inner._pool):
            worker.kill()
        ending.join(_LOCK_SECONDS)
        if ending.is_alive():
            locks = (inner._inqueue._rlock, _LOCK_SECONDS), (inner._outqueue._wlock, _BUSY_SECONDS)
            for lock, seconds in locks:
                # Releasing it also wakes a thread whose turn went to the dead.
                lock.acquire(timeout=seconds)
                lock.release()
    if not ending.is_alive():
        pool.join()
        pool.clear()


def _shared(size: int) -> BufferWrapper:
    """Take a block of shared memory, which is given back when its last view is gone.

    It is a file that has no name any more, in /dev/shm or, where that is too small, in the
    folder for temporary files: not even a SIGKILL of everything leaves it behind.
    """
    try:
        memory = BufferWrapper(max(size, 1))
        arena, start, stop = memory._state[0]
        # What fills up in the meantime would be found out by a SIGBUS. It costs nothing that
        # the first write to each page would not.
        if hasattr(os, "posix_fallocate"):  # not on macOS
            os.posix_fallocate(arena.fd, start, stop - start)
    except OSError as error:
        raise ConvcliError(
            f"no room for {size} bytes of shared memory ({error.strerror}); "
            "try --method numba, which uses threads"
        ) from error
    return memory


def _view(memory: BufferWrapper, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Pixels:
    """See a shared block as an image, without a copy."""
    size = int(np.prod(shape)) * dtype.itemsize
    samples = (ctypes.c_ubyte * size).from_buffer(memory.create_memoryview())
    samples._owner = memory  # type: ignore[attr-defined]  # a view keeps `samples`, and so the block, alive
    return np.frombuffer(memoryview(samples), dtype).reshape(shape)


# What a worker keeps between its tasks: the filter and both images, or why it has none.
_prepared: tuple[RegionFilter, Source, Pixels] | str


def _attach(
    plan: Plan,
    recipe: Recipe,
    source: BufferWrapper,
    source_shape: tuple[int, ...],
    source_dtype: np.dtype[Any],
    out: BufferWrapper,
    out_shape: tuple[int, ...],
) -> None:  # pragma: no cover - runs in the workers
    """Prepare a worker: the loops, and both images in shared memory."""
    global _prepared
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    for number in (signal.SIGTERM, signal.SIGHUP):  # and these would clean up its files
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    # What fails is returned; what a pool says when its parent was killed is of no use.
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - open to the end
    try:
        filter_region = prepare(plan, recipe, source_shape[2])
        pixels = ArraySource(_view(source, source_shape, source_dtype))
        _prepared = filter_region, pixels, _view(out, out_shape, recipe.out_dtype)
    except BaseException as error:
        _prepared = reason_of(error)


def _fill_region(region: Region) -> str:  # pragma: no cover - runs in the workers
    """Fill a region, and return nothing, or why not.

    What is raised would not always arrive: SystemExit ends the worker, and what cannot be
    pickled, or un-pickled, never comes.
    """
    if isinstance(_prepared, str):
        return _prepared
    filter_region, source, out = _prepared
    try:
        filter_region(source, out, region)
    except BaseException as error:
        return reason_of(error)
    return ""
