"""A worker holds no more than is counted: the arrays of numpy, as Python traces them."""

from __future__ import annotations

import tracemalloc
from functools import partial
from itertools import product

import numpy as np
import pytest

from convcli.filtering.chains import chain
from convcli.filtering.convolution import convolve
from convcli.filtering.filters import blur, edge
from convcli.filtering.stages import stage
from convcli.running.works import work_of
from convcli.sources.contract import Result
from convcli.sources.windows import Tiles
from tests.running.test_windowed import FILTERS, UNEVEN, stored_of

CASES = {
    "blur": partial(blur, sigma=3),
    "wide blur": partial(blur, sigma=12),
    "exact wide blur": partial(blur, sigma=12, exact=True),
    "wide blur, constant border": partial(blur, sigma=12, border="constant"),
    "dense kernel": partial(convolve, kernel=UNEVEN),
    "edge": edge,
    "linear": FILTERS["linear"],
    "depth": FILTERS["depth"],
    "chain": FILTERS["chain"],
}


@pytest.mark.parametrize(
    ("name", "dtype", "method"),
    [
        *product(CASES, ["uint8", "float32"], ["numpy", "fft"]),
        ("edge", "float32", "numba"),  # only one, which takes seconds to compile
    ],
)
def test_a_worker_holds_no_more_than_is_counted(name, dtype, method):
    image = np.random.default_rng(0).integers(0, 200, (500, 900, 1)).astype(dtype)
    if dtype == "float32":
        image[200:300:7, 300:600:5] = np.nan
    made = []

    def carry_out(plan, what, source):
        made.append(work_of(plan, what, source))
        return Result(made[0].shape, made[0].dtype, None)

    CASES[name](Tiles(stored_of(image, (128, 128)), 0), carry_out=carry_out, method=method)
    (work,) = made
    assert peak_of(work, image, 0) < work.holds(work.divisions[0][1]) + 100_000


def peak_of(work, image, number):
    """Return the bytes that a worker holds at most for the first piece of a division."""
    rows, piece = work.divisions[number]
    tiles, out = Tiles(stored_of(image, (128, 128)), 1e9), np.empty(work.shape, work.dtype)
    tiles.fetch((0, len(image)))
    region = (0, min(rows, work.shape[0])), (0, min(piece[1], work.shape[1]))
    work.prepare(piece)(tiles, out, region)  # what is made once is not counted
    fill = work.prepare(piece)
    tracemalloc.start()
    try:
        fill(tiles, out, region)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


STAGES = [
    stage("blur", 2),
    stage("sharpen", 1.5),
    stage("blur", 20),
    stage("edge"),
    stage("filter", np.ones((31, 31)) / 961),
]


@pytest.mark.parametrize("border", ["reflect", "wrap"])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_a_chain_is_counted_close_to_what_it_holds(count, dtype, border):
    """Its stages make their sums one after the other; all of their rows are kept."""
    image = np.random.default_rng(0).integers(0, 200, (500, 900, 1)).astype(dtype)
    if dtype == "float32":
        image[200:300:7, 300:600:5] = np.nan
    work = chain(
        Tiles(stored_of(image, (128, 128)), 0),
        stages=STAGES[:count],
        method="numpy",
        border=border,
        carry_out=lambda plan, what, source: work_of(plan, what, source),
    )
    for number in (0, -1):
        peak, counted = peak_of(work, image, number), work.holds(work.divisions[number][1])
        assert peak < counted + 100_000
        assert counted < 4 * peak or number or dtype == "float32"
