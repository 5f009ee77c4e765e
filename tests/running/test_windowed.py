"""Bands of a result equal the result of the whole image to the bit, whatever the tiles."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convcli.errors import ConvcliError
from convcli.filtering.convolution import convolve
from convcli.filtering.filters import blur, edge, sharpen
from convcli.running import windowed
from convcli.sources.contract import Stored
from convcli.sources.windows import Tiles
from convcli.words import BORDERS, METHODS

FILTERS = {
    "blur": partial(blur, sigma=1.5),
    "wide blur": partial(blur, sigma=(7.0, 9.0)),
    "uneven kernel": partial(
        convolve, kernel=np.random.default_rng(3).normal(size=(6, 9)), correlate=True
    ),
    "edge": edge,
    "sharpen": partial(sharpen, sigma=1.2),
    "linear": partial(blur, sigma=1.5, linear=True),
    "weighted": partial(blur, sigma=1.5, alpha="weight"),
}


def stored_of(image, tile):
    """An array as an image that is stored in tiles."""

    def decode(row, column):
        top, left = row * tile[0], column * tile[1]
        return image[top : top + tile[0], left : left + tile[1]].copy()

    return Stored(image.shape, image.dtype, tile, decode)


def in_bands(verb, image, tile, most, gathered=0, **options):
    """Filter an image in bands; return the result, the tiles and how it was divided.

    `most` bounds the memory; None is the least that does.
    """
    found = []

    def carry_out(plan, recipe, source):
        stored = stored_of(image, tile)
        least = least_for(plan, recipe, stored) if most is None else most
        cut = windowed.cut_for(plan, recipe, stored, least, gathered)
        tiles = Tiles(stored, cut.kept)
        found.append((tiles, cut))
        return np.concatenate([*windowed.bands(plan, recipe, tiles, cut, lambda done, total: None)])

    result = verb(Tiles(stored_of(image, tile), 0), carry_out=carry_out, **options)
    return result, *found[0]


def whole(verb, image, **options):
    result = verb(image, **options)
    return result if result.ndim == 3 else result[..., np.newaxis]


@st.composite
def cases(draw):
    name = draw(st.sampled_from([*FILTERS]))
    channels = draw(st.sampled_from([2, 4] if name == "weighted" else [1, 3, 4]))
    shape = draw(st.integers(1, 90)), draw(st.integers(1, 90)), channels
    dtype = draw(st.sampled_from(["uint8", "uint16", "float32", "float64"]))
    image = np.random.default_rng(draw(st.integers(0, 9))).integers(0, 256, shape).astype(dtype)
    if dtype == "float32":
        image /= 255
    if draw(st.booleans()):  # an alpha that is full everywhere is not weighted by
        image[..., -1] = 65535 if dtype == "uint16" else 255 if dtype == "uint8" else 1
    tile = draw(st.integers(1, 100)), draw(st.integers(1, 100))
    options = {
        "border": draw(st.sampled_from(BORDERS)),
        "method": draw(st.sampled_from([each for each in METHODS if each != "tiled"])),
        "workers": draw(st.integers(1, 3)),
    }
    return FILTERS[name], image, tile, options


@settings(deadline=None, max_examples=25)
@given(cases())
def test_bands_equal_the_whole_to_the_bit(case):
    verb, image, tile, options = case
    expected = whole(verb, image, **options)
    # As little memory as there may be, and enough for everything.
    for most in (None, 1e9):
        result, _, cut = in_bands(verb, image, tile, most, **options)
        assert most is None or cut.peak <= most
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("border", BORDERS)
def test_pieces_of_every_method_equal_the_whole(method, border, photo):
    image = np.tile(photo, (2, 1, 1))[:700, :300, :1]
    kernel = np.random.default_rng(0).normal(size=(15, 9))  # of full rank
    options = {"method": method, "border": border, "workers": 2}
    verb = partial(convolve, kernel=kernel / np.abs(kernel).sum(), bias=50)
    result, _, cut = in_bands(verb, image, (128, 256), None, **options)
    assert cut.rows < 700
    np.testing.assert_array_equal(result, whole(verb, image, **options))


def least_for(plan, recipe, stored):
    """The least memory that does, to a part in 50."""
    low, high = 0, 1 << 30
    while high - low > max(1, high // 50):
        middle = (low + high) // 2
        try:
            windowed.cut_for(plan, recipe, stored, middle, 0)
            high = middle
        except ConvcliError:
            low = middle
    return high


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
        cut = windowed.cut_for(plan, recipe, broken, 1e9, 0)
        cut = cut._replace(rows=64, piece=(64, 500))
        return [*windowed.bands(plan, recipe, Tiles(broken, 1e9), cut, lambda done, total: None)]

    with pytest.raises(ConvcliError, match="tile 63 is damaged"):
        blur(Tiles(stored, 0), carry_out=carry_out)
