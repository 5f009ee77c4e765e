"""Regions over threads, which the loops leave the interpreter's lock to."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from convcli.pixels import borders, padded
from convcli.planning.plan import Plan
from convcli.running.recipe import Recipe
from convcli.running.regions import Region, prepare
from convcli.types import OnProgress, Pixels

# Signals may wait so long.
_SHORT_SECONDS = 0.1


def run_in_threads(
    plan: Plan,
    recipe: Recipe,
    source: Pixels,
    shape: tuple[int, ...],
    regions: list[Region],
    on_progress: OnProgress | None,
    scratch: bool = False,
) -> Pixels:
    """Regions over threads: numba, numpy and its FFT release the interpreter's lock.

    What takes long leaves the main thread free to take signals.
    """
    filter_region = prepare(plan, recipe, source.shape[2])
    out = np.empty(shape, recipe.out_dtype)
    reach = recipe.decimations[0].radius if recipe.decimations else None
    halo = recipe.halo if reach is None else (reach, reach, 0, 0)
    given = 0

    def fill(region: Region) -> None:
        filter_region(source, out, region)

    is_short = plan.seconds < _SHORT_SECONDS
    if plan.workers > 1 and is_short and not scratch:
        _share(fill, regions, plan.workers, on_progress)
        return out
    on_main = threading.current_thread() is threading.main_thread()
    with ThreadPoolExecutor(plan.workers) as pool:
        try:
            here = plan.workers == 1 and (is_short or not on_main)
            results = map(fill, regions) if here else pool.map(fill, regions)
            for done, _ in enumerate(results, 1):
                if scratch and done < len(regions):
                    top = regions[done][0][0]
                    needed = borders.first_needed(top, source.shape[0], halo, recipe.border)
                    given = padded.give_back(source, given, needed)
                if on_progress:
                    on_progress(done, len(regions))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # an error leaves nothing queued
    return out


def _share(
    fill: Callable[[Region], None],
    regions: list[Region],
    workers: int,
    on_progress: OnProgress | None,
) -> None:
    """Let this thread work too: a megapixel is done before another one has well begun."""
    todo, done = iter(regions), list[Region]()

    def work(report: OnProgress | None = None) -> None:
        for region in todo:  # threads may share a list's iterator
            fill(region)
            done.append(region)
            if report:
                report(len(done), len(regions))

    with ThreadPoolExecutor(workers - 1) as pool:
        others = [pool.submit(work) for _ in range(workers - 1)]
        try:
            work(on_progress)
            for other in others:
                other.result()
        finally:
            list(todo)  # an error leaves nothing for the others to do
    if on_progress:
        on_progress(len(regions), len(regions))
