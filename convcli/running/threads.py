"""Regions over threads: the loops release the interpreter's lock while they sum."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

from convcli.planning.plan import Plan
from convcli.pools import Pool, kept
from convcli.running.regions import Region
from convcli.types import OnProgress

if TYPE_CHECKING:  # one filter needs no plan of a chain
    from convcli.planning.chains import ChainPlan

# Work that takes longer leaves the main thread free, so that signals need not wait for it.
_SHORT_SECONDS = 0.1

Fill = Callable[[Region], None]
"""Compute one region of the result."""

Piece = TypeVar("Piece")


def run_in_threads(
    fill: Fill,
    regions: list[Region],
    plan: Plan | ChainPlan,
    on_done: OnProgress,
    in_order: bool = False,
) -> None:
    """Compute every region, in the threads that suit the plan.

    `on_done` is called from this thread with (regions done, regions in all). With `in_order` the
    regions that are done are always the first ones of the list.
    """
    workers = plan.workers
    is_short = plan.seconds < _SHORT_SECONDS
    on_main = threading.current_thread() is threading.main_thread()
    if workers > 1 and is_short and not in_order:
        share(fill, regions, workers, on_done)
    elif workers > 1 or (on_main and not is_short):
        run_in_pool(fill, regions, workers, on_done)
    else:
        _count(map(fill, regions), len(regions), on_done)


def run_in_pool(fill: Fill, regions: list[Region], workers: int, on_done: OnProgress) -> None:
    """Compute every region in so many threads beside this one, which only waits."""
    with Pool(workers) as pool:
        try:
            _count(pool.map(fill, regions), len(regions), on_done)
        finally:
            pool.shutdown(wait=False, cancel=True)  # an error leaves nothing queued


def _count(results: Iterable[None], total: int, on_done: OnProgress) -> None:
    for done, _ in enumerate(results, 1):
        on_done(done, total)


def share(
    fill: Callable[[Piece], None], pieces: Sequence[Piece], workers: int, on_done: OnProgress
) -> None:
    """Let this thread work too: one megapixel is done before a second thread has well begun."""
    todo, done = iter(pieces), list[Piece]()
    here = threading.get_ident()

    def help_here() -> None:
        if threading.get_ident() != here:  # it is, where the system allows no other thread
            work(False)

    def work(is_here: bool) -> None:
        for piece in todo:  # threads may share a list's iterator
            fill(piece)
            done.append(piece)
            if is_here:
                on_done(len(done), len(pieces))

    if workers == 1:
        work(True)
        return
    pool, others = kept(workers - 1), list[Future[None]]()
    try:
        for _ in range(workers - 1):
            others.append(pool.submit(help_here))
        work(True)
    finally:
        list(todo)  # an error leaves nothing for the others to do
        begun = [other for other in others if not other.cancel()]
        for other in begun:
            other.exception()  # waits, in half the time of `concurrent.futures.wait`
    for other in begun:
        other.result()
    on_done(len(pieces), len(pieces))
