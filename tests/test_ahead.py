"""Beside decoding: the first picture is read in a thread, and its loops are loaded meanwhile."""

from __future__ import annotations

import threading
from functools import partial

import numpy as np
import pytest

import convcli
from convcli import image
from convcli.ahead import begin, warm_up


def test_a_picture_comes_back_as_it_was_read(picture_file):
    path = picture_file("a.png")
    shape, picture = begin(partial(image.read, path, None, None, False))
    wanted = image.read(path).pixels
    assert shape == wanted.shape
    np.testing.assert_array_equal(picture().pixels, wanted)


def test_it_is_begun_before_it_is_whole():
    go_on = threading.Event()

    def read(on_shape):
        on_shape((2, 3))
        assert go_on.wait(10)
        return "picture"

    shape, picture = begin(read)  # comes back although nothing goes on
    go_on.set()
    assert (shape, picture()) == ((2, 3), "picture")


@pytest.mark.parametrize("header_is_whole", [True, False])
def test_what_reading_raises_is_raised_where_the_picture_is_wanted(header_is_whole):
    def read(on_shape):
        if header_is_whole:
            on_shape((2, 3))
        raise MemoryError("none left")

    shape, picture = begin(read)
    assert shape == ((2, 3) if header_is_whole else None)
    with pytest.raises(MemoryError, match="none left"):
        picture()


def test_the_picture_is_not_held_twice():
    class Large:
        pass

    _, picture = begin(lambda on_shape: Large())
    picture()
    with pytest.raises(IndexError):
        picture()


def calls_of(verb, shape, options):
    """Which pictures `warm_up` filters to the end, as (shape, method)."""
    calls = []

    def watched(pixels, **options):
        result = verb(pixels, **options)
        calls.append((pixels.shape, options["method"]))
        return result

    warm_up(watched, shape, options)
    return calls


@pytest.mark.parametrize("shape", [(4000, 6000), (4000, 6000, 3), (4000, 6000, 4)])
@pytest.mark.parametrize("verb", [convcli.blur, convcli.edge, partial(convcli.sharpen, sigma=2)])
@pytest.mark.parametrize(
    ("method", "loads"),
    [("numba", True), ("auto", True), ("numpy", False), ("fft", False), ("tiled", False)],
)
def test_a_small_picture_goes_through_the_compiled_loops(verb, shape, method, loads):
    small = ((64, 64, *shape[2:]), "numba")
    assert calls_of(verb, shape, {"method": method}) == ([small] if loads else [])


def test_a_small_picture_for_numpy_loads_nothing(monkeypatch):
    monkeypatch.setattr("convcli.machine_code.is_loaded", lambda: False)
    assert calls_of(convcli.blur, (8, 8, 3), {"method": "auto"}) == []


@pytest.mark.parametrize("error", [convcli.ConvcliError, MemoryError, TypeError])
def test_what_is_wrong_is_left_for_the_picture_to_say(error):
    def broken(pixels, **options):
        raise error

    warm_up(broken, (8, 8), {})
