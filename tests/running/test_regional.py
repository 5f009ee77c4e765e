"""Regions that are computed each by itself equal the result of the whole image to the bit."""

from __future__ import annotations

import pickle
import tracemalloc
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convcli.filtering.convolution import convolve
from convcli.filtering.filters import blur
from convcli.running.regional import Regional
from convcli.running.works import work_of
from convcli.sources.contract import Result
from convcli.sources.windows import Tiles
from tests.running.test_windowed import FILTERS, cases, whole
from tests.sources.arrays import image_in

SHARDS = st.tuples(st.integers(1, 64), st.integers(1, 64))


def regional_of(verb, image, tile, bands=1, **options):
    """Return the result of an image, which is computed in regions."""
    stored = image_in(image, tile)
    source = Tiles(image_in(image[..., :1], tile) if bands > 1 else stored, 0)

    def carry_out(plan, what, source):
        work = work_of(plan, what, source)
        regional = Regional(plan, what, work.cells, stored.again, bands)
        shape = (*work.shape[:2], work.shape[2] * bands)
        return Result(shape, work.dtype, None, regional)

    return verb(source, carry_out=carry_out, **options)


def in_regions(verb, image, tile, shard, bands=1, **options):
    """Filter an image in regions as another process does, in the order from the last to the first.

    Return the result and the size of the regions.
    """
    made = regional_of(verb, image, tile, bands, **options)
    size = made.regional.size_for(shard)
    assert all(big % small == 0 for big, small in zip(size, shard, strict=True))
    regional = made.regional
    if find_spec("cloudpickle"):  # which Dask brings along
        regional = pickle.loads(import_module("cloudpickle").dumps(regional))
    there, work = regional.opened()
    out = np.zeros(made.shape, made.dtype)
    height, width, _ = made.shape
    for top in reversed(range(0, height, size[0])):
        for left in range(0, width, size[1]):
            region = (top, min(top + size[0], height)), (left, min(left + size[1], width))
            place = tuple(slice(*span) for span in region)
            out[place] = regional.of(work, Tiles(there, 1e9), region)
    return out, size


@settings(deadline=None, max_examples=10)
@given(cases(), SHARDS)
def test_regions_equal_the_whole_to_the_bit(case, shard):
    verb, image, tile, options, _ = case
    expected = whole(verb, image, **options)
    result, _ = in_regions(verb, image, tile, shard, **options)
    np.testing.assert_array_equal(result, expected)


LARGE = {
    "blur": (partial(blur, sigma=6), "uint8"),
    "edge": (FILTERS["edge"], "uint16"),
    "blur of floats": (partial(blur, sigma=6), "float32"),
    "angle of floats": (FILTERS["angle"], "float64"),
    "chain": (FILTERS["chain of borders"], "uint8"),
    "chain of floats": (FILTERS["chain with a stride"], "float32"),
    "without nan": (FILTERS["without nan"], "float32"),
}


@pytest.mark.parametrize(
    ("name", "method"),
    [*product(LARGE, ["numpy", "fft"]), ("blur of floats", "numba")],
)
def test_regions_of_images_of_several_tiles_equal_the_whole(name, method, photo):
    verb, dtype = LARGE[name]
    image = np.tile(photo, (2, 3, 1))[:700, :1100, :1].astype(dtype)
    if image.dtype.kind == "f":
        image[[3, 350, 699, 400], [7, 550, 1000, 180], 0] = np.nan, np.inf, 1e30, np.nan
    options = {"method": method, "workers": 2}
    result, _ = in_regions(verb, image, (128, 256), (100, 130), **options)
    np.testing.assert_array_equal(result, whole(verb, image, **options))


def test_bands_that_are_no_colours_are_filtered_each_by_itself():
    image = np.random.default_rng(0).integers(0, 256, (90, 70, 5), np.uint8)
    result, size = in_regions(FILTERS["blur"], image, (64, 32), (20, 30), 5, method="numpy")
    assert size == (20, 30)
    each = [blur(image[..., n], sigma=1.5, method="numpy") for n in range(5)]
    np.testing.assert_array_equal(result, np.stack(each, axis=2))


WIDE = {
    "Gaussian on a grid": partial(blur, sigma=40),
    "box": partial(convolve, kernel=np.full((151, 151), 1 / 151**2)),
}


@pytest.mark.parametrize("bands", [1, 9])
@pytest.mark.parametrize("border", ["reflect", "wrap", "constant"])
@pytest.mark.parametrize("name", WIDE)
def test_a_region_under_a_kernel_of_several_tiles_takes_no_more_than_is_counted(
    name, border, bands
):
    image = np.random.default_rng(0).integers(0, 256, (600, 500, bands), np.uint8)
    options = {"border": border, "method": "numpy", "workers": 1}
    regional = regional_of(WIDE[name], image, (32, 32), bands, **options).regional
    stored, work = regional.opened()
    for region in (((0, 90), (0, 90)), ((270, 360), (180, 270))):
        regional.of(work, Tiles(stored, 0), region)  # what is made once is not counted
        tracemalloc.start()
        try:
            regional.of(work, Tiles(stored, 0), region)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < regional.bytes_for(work, stored, region) + 100_000
