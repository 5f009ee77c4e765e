"""Bands of a result equal the result of the whole image to the bit, whatever the tiles."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convcli.batch.planes import band_by_band
from convcli.errors import ConvcliError
from convcli.filtering.chains import chain
from convcli.filtering.convolution import apply, convolve
from convcli.filtering.definitions import convolving
from convcli.filtering.depth import at_depth
from convcli.filtering.filters import blur, edge, sharpen
from convcli.filtering.stages import stage
from convcli.running import windowed
from convcli.running.banded import by_bands
from convcli.running.works import work_of
from convcli.sources.contract import Result, Stored
from convcli.sources.windows import Tiles
from convcli.words import BORDERS, METHODS

UNEVEN = np.random.default_rng(3).normal(size=(6, 9))

# `auto` may take another one once loops are compiled.
NAMED = [each for each in METHODS if each != "auto"]

FILTERS = {
    "blur": partial(blur, sigma=1.5),
    "wide blur": partial(blur, sigma=(7.0, 9.0)),
    "uneven kernel": partial(convolve, kernel=UNEVEN, correlate=True),
    "edge": edge,
    "angle": partial(edge, show="angle"),
    "laplacian": partial(edge, show="laplacian"),
    "sharpen": partial(sharpen, sigma=1.2, threshold=2),
    "linear": partial(blur, sigma=1.5, linear=True),
    "weighted": partial(blur, sigma=1.5, alpha="weight"),
    "without nan": partial(blur, sigma=1.5, nan="skip"),
    "without a value": partial(sharpen, sigma=1.5, nodata=7),
    "every third": partial(apply, filter_=convolving(UNEVEN, stride=3)),
    "depth": partial(at_depth, verb=partial(blur, sigma=1.5), depth="16"),
    "chain": partial(chain, stages=[stage("blur", 1.5), stage("sharpen", 2)]),
    "chain of borders": partial(
        chain,
        stages=[
            stage("blur", 1.0, border="wrap"),
            stage("edge", show="x", border="constant"),
            stage("blur", 7.0),
        ],
    ),
    "chain without a value": partial(
        chain, stages=[stage("blur", 1.5), stage("sharpen", 2), stage("blur", 1)], nodata=7
    ),
    "chain without nan": partial(chain, stages=[stage("blur", 1.5), stage("edge")], nan="skip"),
    "chain with a stride": partial(
        chain, stages=[stage("filter", UNEVEN, stride=2), stage("blur", 1), stage("blur", 2)]
    ),
    "linear chain": partial(chain, stages=[stage("blur", 1.5), stage("edge")], linear=True),
    "weighted chain": partial(
        chain, stages=[stage("blur", 1.5), stage("sharpen", 1)], alpha="weight"
    ),
}


def stored_of(image, tile):
    """An array as an image that is stored in tiles."""

    def decode(row, column):
        top, left = row * tile[0], column * tile[1]
        return image[top : top + tile[0], left : left + tile[1]].copy()

    return Stored(image.shape, image.dtype, tile, decode)


def in_bands(verb, image, tile, most, gathered=0, bands=1, is_strange=False, **options):
    """Filter an image in bands; return the result, the tiles and how it was divided.

    `most` bounds the memory; None is the least that does, and 0 takes the lowest bands there are,
    but keeps every tile that they need. Some samples of the image may be strange.
    """
    found = []
    stored = stored_of(image, tile)
    given = stored_of(image[..., :1], tile) if bands > 1 else stored

    def carry_out(plan, what, source):
        work = work_of(plan, what, source)
        work = by_bands(work, bands) if bands > 1 else work
        if is_strange:
            work = work._replace(divisions=work.divisions[: work.same])
        if most == 0:
            work = work._replace(divisions=work.divisions[-1:])
        least = least_for(work, stored) if most is None else most or 1e9
        cut = windowed.cut_for(work, stored, least, gathered)
        tiles = Tiles(stored, cut.kept)
        found.append((tiles, cut))
        made = partial(windowed.bands, work, tiles, cut, lambda done, total: None)
        return Result(work.shape, work.dtype, made)

    made = verb(Tiles(given, 0), carry_out=carry_out, **options)
    result = np.concatenate([*made.bands])
    assert (result.shape, result.dtype) == (made.shape, made.dtype)
    return result, *found[0]


def whole(verb, image, **options):
    result = verb(image, **options)
    return result if result.ndim == 3 else result[..., np.newaxis]


@st.composite
def cases(draw):
    name = draw(st.sampled_from([*FILTERS]))
    channels = draw(st.sampled_from([2, 4] if "weighted" in name else [1, 3, 4]))
    shape = draw(st.integers(1, 90)), draw(st.integers(1, 90)), channels
    dtype = draw(st.sampled_from(["uint8", "uint16", "float32", "float64"]))
    image = np.random.default_rng(draw(st.integers(0, 9))).integers(0, 256, shape).astype(dtype)
    if dtype == "float32":
        image /= 255
    is_strange = dtype.startswith("float") and draw(st.booleans())
    if is_strange:  # values that are hard to sum
        for value in (np.nan, np.inf, 1e30, -1e38, 1e-30):
            image[draw(st.integers(0, shape[0] - 1)), draw(st.integers(0, shape[1] - 1))] = value
    if draw(st.booleans()):  # an alpha that is full everywhere is not weighted by
        image[..., -1] = 65535 if dtype == "uint16" else 255 if dtype == "uint8" else 1
    tile = draw(st.integers(1, 100)), draw(st.integers(1, 100))
    options = {
        "border": draw(st.sampled_from(BORDERS)),
        "method": draw(st.sampled_from([each for each in NAMED if each != "tiled"])),
        "workers": draw(st.integers(1, 3)),
    }
    is_strange = is_strange or "without" in name
    return FILTERS[name], image, tile, options, is_strange


@settings(deadline=None, max_examples=25)
@given(cases())
def test_bands_equal_the_whole_to_the_bit(case):
    verb, image, tile, options, is_strange = case
    expected = whole(verb, image, **options)
    # As little memory as there may be, and enough for everything.
    for most in (None, 1e9):
        result, _, cut = in_bands(verb, image, tile, most, is_strange=is_strange, **options)
        assert most is None or cut.peak <= most
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("method", NAMED)
@pytest.mark.parametrize("border", BORDERS)
def test_pieces_of_every_method_equal_the_whole(method, border, photo):
    image = np.tile(photo, (2, 1, 1))[:700, :300, :1]
    kernel = np.random.default_rng(0).normal(size=(15, 9))  # of full rank
    options = {"method": method, "border": border, "workers": 2}
    verb = partial(convolve, kernel=kernel / np.abs(kernel).sum(), bias=50)
    result, _, cut = in_bands(verb, image, (128, 256), None, **options)
    assert cut.rows < 700
    np.testing.assert_array_equal(result, whole(verb, image, **options))


def least_for(work, stored):
    """The least memory that does, to a part in 50."""
    low, high = 0, 1 << 30
    while high - low > max(1, high // 50):
        middle = (low + high) // 2
        try:
            windowed.cut_for(work, stored, middle, 0)
            high = middle
        except ConvcliError:
            low = middle
    return high


@pytest.mark.parametrize("name", ["blur", "angle", "chain", "without a value"])
def test_bands_that_are_no_colours_are_filtered_each_by_itself(name):
    image = np.random.default_rng(0).integers(0, 256, (200, 90, 5), np.uint8)
    # auto could take another method the second time: it counts what the program has loaded.
    options = {"border": "wrap", "alpha": "straight", "method": "numba"}
    expected = band_by_band(FILTERS[name], image, **options, channels=True)
    result, tiles, _ = in_bands(FILTERS[name], image, (64, 32), 0, bands=5, **options)
    assert tiles.decoded < 2 * tiles.count
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("method", NAMED)
@pytest.mark.parametrize("border", BORDERS)
def test_chains_equal_the_whole_by_every_method(method, border, photo):
    image = np.tile(photo, (3, 1, 1))[:, :300, :1]
    stages = [stage("blur", 3), stage("filter", UNEVEN), stage("sharpen", 1.5)]
    options = {"method": method, "border": border, "workers": 2}
    verb = partial(chain, stages=stages)
    result, tiles, cut = in_bands(verb, image, (100, 128), 0, **options)
    assert cut.rows == 16 or method == "fft"  # transforms need large blocks
    assert tiles.decoded <= (1.4 if border == "wrap" else 1.1) * tiles.count
    np.testing.assert_array_equal(result, whole(verb, image, **options))


@pytest.mark.parametrize("tile", [(64, 64), (16, 700), (100, 33)])
@pytest.mark.parametrize("border", BORDERS)
def test_each_tile_is_decoded_close_to_once(border, tile):
    image = np.random.default_rng(0).integers(0, 256, (2000, 700, 1), np.uint8)
    verb = partial(blur, sigma=3)
    result, tiles, cut = in_bands(verb, image, tile, 2_000_000, border=border, workers=2)
    assert cut.rows < 300
    again = 1.35 if border == "wrap" else 1.1  # the first rows are needed again at the end
    assert tiles.decoded <= again * tiles.count
    np.testing.assert_array_equal(result, whole(verb, image, border=border))


def test_where_few_tiles_can_be_kept_those_are_not_forgotten_before_they_are_needed():
    """A row of tiles is 2 MB, of which half can be kept: a band of 16 rows would decode all."""
    image = np.random.default_rng(0).integers(0, 256, (1024, 8192, 1), np.uint8)
    stored = stored_of(image, (256, 256))
    found = []

    def carry_out(plan, what, source):
        work = work_of(plan, what, source)
        cut = windowed.cut_for(work._replace(divisions=work.divisions[-1:]), stored, 1e9, 0)
        tiles = Tiles(stored, 1 << 20)
        found.append(tiles)
        made = partial(windowed.bands, work, tiles, cut, lambda done, total: None)
        return Result(work.shape, work.dtype, made)

    options = {"sigma": 1, "method": "numpy", "workers": 1}
    made = blur(Tiles(stored, 0), carry_out=carry_out, **options)
    result = np.concatenate([*made.bands])
    np.testing.assert_array_equal(result, whole(blur, image, **options))
    assert found[0].decoded < 16 * found[0].count  # 34 times if the oldest went first


def test_what_cannot_fit_is_refused():
    image = np.zeros((1000, 500, 1), np.uint8)
    with pytest.raises(ConvcliError, match=r"needs at least .* may hold 50.0 kB; raise --memory"):
        in_bands(blur, image, (1000, 500), 50_000)


def test_an_unreadable_tile_ends_the_work():
    image = np.zeros((500, 500, 1), np.uint8)
    stored = stored_of(image, (50, 50))

    def decode(row, column):
        if (row, column) == (6, 2):
            raise ConvcliError("tile 63 is damaged")
        return stored.decode(row, column)

    def carry_out(plan, recipe, source):
        broken = Stored(stored.shape, stored.dtype, stored.tile, decode)
        work = work_of(plan, recipe, source)
        cut = windowed.cut_for(work, broken, 1e9, 0)._replace(rows=64, piece=(64, 500))
        return [*windowed.bands(work, Tiles(broken, 1e9), cut, lambda done, total: None)]

    with pytest.raises(ConvcliError, match="tile 63 is damaged"):
        blur(Tiles(stored, 0), carry_out=carry_out)
