"""Every kind of the table: what is written is read again, whatever the bands and windows."""

from __future__ import annotations

import os
import weakref

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convcli.batch import dark
from convcli.errors import ConvcliError
from convcli.sources.bands import regrouped
from convcli.sources.choice import kind_of
from convcli.sources.contract import DTYPES, KINDS, Given, Result, Settings, load
from convcli.sources.windows import Tiles

SUFFIX = {"NPY": ".npy", "TIFF": ".tif", "ZARR": ".zarr"}


def written(kind, path, image, heights=(7,), given=None, **settings):
    """Write an image in bands of these heights, over and over."""

    def bands():
        top = 0
        while top < len(image):
            for height in heights:
                yield image[top : top + height]
                top += height

    given = given or Given((), 1, "L", "none")
    result = Result(image.shape, image.dtype, lambda _: (band for band in bands() if len(band)))
    return load(kind).save(path, given, [result], Settings(**settings))


def image_of(shape, dtype, seed=0):
    return np.random.default_rng(seed).integers(0, 255, shape).astype(dtype)


def test_every_kind_has_a_suffix():
    assert SUFFIX.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", KINDS)
@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_what_is_written_is_read_again(kind, data, tmp_path):
    sizes = st.integers(1, 70)
    shape = data.draw(st.tuples(sizes, sizes, st.sampled_from([1, 2, 3, 4])))
    image = image_of(shape, data.draw(st.sampled_from(DTYPES)))
    path = tmp_path / f"image{SUFFIX[kind]}"
    heights = data.draw(st.lists(st.integers(1, 40), min_size=1, max_size=3))
    written(kind, path, image, heights, overwrite=True)
    assert kind_of(path) == kind
    with load(kind).opened(path) as given:
        (stored,) = given.images
        assert stored.shape == shape
        assert stored.dtype == image.dtype
        tiles = Tiles(stored, room=data.draw(st.sampled_from([0, 1000, 1e9])))
        for _ in range(3):
            rows = sorted(data.draw(st.tuples(*[st.integers(0, shape[0])] * 2)))
            columns = sorted(data.draw(st.tuples(*[st.integers(0, shape[1])] * 2)))
            rows[1] += rows[0] == rows[1] < shape[0]
            columns[1] += columns[0] == columns[1] < shape[1]
            if rows[0] < rows[1] and columns[0] < columns[1]:
                np.testing.assert_array_equal(
                    tiles.window(tuple(rows), tuple(columns)),
                    image[slice(*rows), slice(*columns)],
                )


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_half_written_has_the_targets_name(kind, tmp_path):
    path = tmp_path / f"image{SUFFIX[kind]}"

    def bands():
        yield np.zeros((300, 40, 1), np.uint8)
        assert not path.exists()
        raise ConvcliError("strip 4 cannot be read")

    result = Result((600, 40, 1), np.dtype(np.uint8), lambda _: bands())
    with pytest.raises(ConvcliError, match="strip 4"):
        load(kind).save(path, Given((), 1, "L", "none"), [result], Settings())
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_exists_is_replaced_when_that_is_asked_for_and_all_is_written(kind, tmp_path):
    path = tmp_path / f"image{SUFFIX[kind]}"
    old, new = image_of((20, 30, 1), np.uint8), image_of((20, 30, 1), np.uint8, 1)
    written(kind, path, old)
    with pytest.raises(FileExistsError):
        written(kind, path, new)
    for image, overwrite in ((old, False), (new, True)):
        if overwrite:
            written(kind, path, new, overwrite=True)
        with load(kind).opened(path) as given:
            (stored,) = given.images
            np.testing.assert_array_equal(Tiles(stored, 0).window((0, 20), (0, 30)), image)
    assert os.listdir(tmp_path) == [path.name]


@given(heights=st.lists(st.integers(1, 9), min_size=1), rows=st.integers(1, 12))
def test_bands_of_any_height_are_joined_and_cut(heights, rows):
    image = np.arange(sum(heights)).reshape(-1, 1, 1)
    ends = np.cumsum(heights)
    bands = [image[end - height : end] for height, end in zip(heights, ends, strict=True)]
    found = [*regrouped(bands, rows)]
    assert all(len(band) == rows for band in found[:-1])
    np.testing.assert_array_equal(np.concatenate(found), image)


@pytest.mark.parametrize("kind", KINDS)
def test_a_band_is_let_go_before_the_next_is_made(kind, tmp_path, monkeypatch):
    made, held = list[weakref.ref](), list[int]()

    def room_for(rows, band):
        held.append(sum(each() is not None for each in made))
        new = np.empty((rows, *band.shape[1:]), band.dtype)
        made.append(weakref.ref(new))
        return new

    def bands(_row):
        for _ in range(16):
            part = np.ones((128, 600, 1), np.uint8)
            yield room_for(128, part) if kind == "NPY" else part
            del part

    monkeypatch.setattr("convcli.sources.bands._room_for", room_for)
    result = dark.Sample().of(Result((2048, 600, 1), np.dtype("uint8"), bands))
    path = tmp_path / f"a{SUFFIX[kind]}"
    load(kind).save(path, Given((), 1, "L", "none"), [result], Settings())
    assert len(held) >= 4
    assert max(held) == 0


def test_tiles_take_the_memory_of_those_before_them():
    """New memory for each would leave holes in the heap."""
    from tests.running.test_windowed import stored_of

    image = image_of((1000, 20, 1), np.float32)
    tiles = Tiles(stored_of(image, (10, 20)), room=1600)
    places, held = set(), []
    for top in range(0, 1000, 10):
        window = tiles.window((top, top + 9), (0, 19))  # a view of one tile
        places.add(window.__array_interface__["data"][0])
        if top % 100 == 0:
            held.append((top, window))
    assert len(places) < 20
    for top, window in held:  # whose memory was not taken
        np.testing.assert_array_equal(window, image[top : top + 9, :19])


def test_tiles_that_are_not_kept_are_decoded_again():
    from tests.running.test_windowed import stored_of

    image = image_of((40, 40, 1), np.uint8)
    tiles = Tiles(stored_of(image, (10, 10)), room=1600)
    for _ in range(2):
        tiles.window((0, 40), (0, 40))
    assert tiles.decoded == 16
    tight = Tiles(stored_of(image, (10, 10)), room=400)
    for _ in range(2):
        tight.window((0, 40), (0, 40))
    assert tight.decoded > 16
