"""A tree of images: one process beside a cluster on the same cores, and what the cluster costs.

``python benchmarks/trees.py --photos 5000 --tiny 100000 --threads 8 64 512`` makes the trees in a
temporary folder and prints three tables in Markdown. The last one is a simulated load: jobs that
sleep, on as many threads of workers as given, so that the scheduler and the client alone work.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from large import processor
from PIL import Image
from race import photograph

from convcli.batch.pipeline import Pipeline
from convcli.cluster.run import Run
from convcli.files.job import Job
from convcli.filtering.options import Options
from convcli.image import Picture

SIDE = 1024
"""Pixels of a side of a photograph: a megapixel each."""

FOLDER_SIZE = 1000
"""Files of a folder."""

SLEEP = 2.0
"""Seconds of a job that sleeps: a batch takes as long on a real cluster."""


def write_tree(folder: Path, images: list[bytes], suffix: str, count: int) -> None:
    """Write so many files into folders of a thousand, some images over and over."""
    for number in range(count):
        where = folder / f"{number // FOLDER_SIZE:03}"
        if number % FOLDER_SIZE == 0:
            where.mkdir(parents=True)
        (where / f"{number:06}.{suffix}").write_bytes(images[number % len(images)])


def jpegs(scratch: Path) -> list[bytes]:
    """Return ten photographs, encoded."""
    photo, found = photograph(SIDE, SIDE), []
    for turn in range(10):
        Image.fromarray(np.roll(photo, 97 * turn, axis=1)).save(scratch / "photo.jpg", quality=90)
        found.append((scratch / "photo.jpg").read_bytes())
    return found


def seconds_of(options: list[str], source: Path, target: Path) -> float:
    """Blur a tree, check that every file is there, and return the time."""
    command = [sys.executable, "-m", "convcli", "blur", "-q", "-r", "-f", "-m", "numba", "-s", "2"]
    start = time.perf_counter()
    subprocess.run([*command, str(source), "-o", str(target), *options], check=True)
    seconds = time.perf_counter() - start
    made, given = (sum(len(names) for *_, names in os.walk(each)) for each in (target, source))
    if made != given:
        raise SystemExit(f"{made} of {given} files were written")
    return seconds


def compare(folder: Path, name: str, count: int, workers: int, rounds: int) -> None:
    """Print the times of one process and of a cluster, the least of some rounds in turns."""
    ways = {
        "one process": ["--workers", str(workers)],
        "cluster": ["--cluster", f"local:{workers}"],
    }
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for way, options in ways.items():
            best[way] = min(best[way], seconds_of(options, folder / "in", folder / "out"))
    one, cluster = best.values()
    print(
        f"| {count:,} {name} | {one:.1f} s | {cluster:.1f} s | {cluster / one:.2f} "
        f"| {1e3 * (cluster - one) / count:.2f} ms |",
        flush=True,
    )


def sleeping(read: Callable[..., Picture], seconds: float, _preview: None) -> Pipeline:
    """Return what is done to an image that is not there: nothing, slowly."""

    def verb(pixels: Any, **_options: Any) -> Any:
        time.sleep(seconds)
        return pixels

    return Pipeline(verb, Options(), read=read, write=lambda *_, **__: ())


def nothing(*_arguments: Any, **_options: Any) -> Picture:
    """Return an image of one pixel, whatever file is named."""
    return Picture(np.zeros((1, 1), np.uint8), "L", "PNG")


def simulate(folder: Path, threads: int, jobs_each: int) -> None:
    """Print how long jobs that sleep take on a cluster of so many threads, and should take."""
    import dask
    import distributed

    # Workers watch themselves, which on a real cluster each does on its own processor.
    dask.config.set({"distributed.worker.profile.enabled": False})
    source = folder / "one.png"
    Image.new("L", (1, 1)).save(source)
    jobs = [Job(str(source), str(folder / f"{n}.png"), "PNG") for n in range(threads * jobs_each)]
    each = math.gcd(threads, 8)
    cluster = distributed.LocalCluster(
        n_workers=threads // each, threads_per_worker=each, processes=False, dashboard_address=None,
        memory_limit=0,
    )  # fmt: skip
    with cluster, distributed.Client(cluster) as client:
        run = Run(jobs, client, partial(sleeping, nothing, SLEEP), None)
        start, used = time.perf_counter(), time.process_time()
        outcomes = [*run.outcomes(threading.Event())]
        seconds, used = time.perf_counter() - start, time.process_time() - used
    bad = next((each.reason for each in outcomes if each.status != "written"), "")
    if bad or len(outcomes) != len(jobs):
        raise SystemExit(f"{len(outcomes)} of {len(jobs)} jobs ended; {bad}")
    ideal = jobs_each * SLEEP
    print(
        f"| {threads} | {len(jobs):,} | {ideal:.0f} s | {seconds:.1f} s | {ideal / seconds:.2f} "
        f"| {1e3 * used / len(jobs):.2f} ms |",
        flush=True,
    )


def trees(folder: Path, given: argparse.Namespace) -> Iterable[tuple[str, int, list[bytes], str]]:
    """Yield the name, the number, the images and the suffix of each tree."""
    if given.photos:
        yield "photos of 1 MP", given.photos, jpegs(folder), "jpg"
    if given.tiny:
        pixels = np.random.default_rng(0).integers(0, 256, (16, 16), np.uint8).tobytes()
        yield "PGM files of 16 x 16", given.tiny, [b"P5 16 16 255\n" + pixels], "pgm"


def main() -> None:
    """Run what is asked for, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=5000)
    parser.add_argument("--tiny", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, nargs="*", default=[8, 64, 512])
    parser.add_argument("--jobs-each", type=int, default=10, help="sleeping jobs for each thread")
    parser.add_argument("--folder", type=Path, help="where the files are written")
    given = parser.parse_args()
    print(f"{processor()}, {len(os.sched_getaffinity(0))} cores\n")
    print(f"| tree | one process, {given.workers} threads | cluster, {given.workers} workers "
          "| ratio | more for each file |\n|---|--:|--:|--:|--:|")  # fmt: skip
    with tempfile.TemporaryDirectory(dir=given.folder) as scratch:
        for name, count, images, suffix in trees(Path(scratch), given):
            folder = Path(scratch) / suffix
            write_tree(folder / "in", images, suffix, count)
            compare(folder, name, count, given.workers, given.rounds)
    print("\n| threads of workers | jobs | ideal time | time | ratio | processor time of a job |\n"
          "|--:|--:|--:|--:|--:|--:|")  # fmt: skip
    with tempfile.TemporaryDirectory(dir=given.folder) as scratch:
        for threads in given.threads:
            simulate(Path(scratch), threads, given.jobs_each)


if __name__ == "__main__":
    main()
