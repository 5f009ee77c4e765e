"""Reading ahead: the first image is decoded in a thread."""

from __future__ import annotations

import threading
from functools import partial

import numpy as np
import pytest

from convcli import image, memory
from convcli.batch.ahead import begin


def test_an_image_comes_back_as_it_was_read(picture_file):
    path = picture_file("a.png")
    picture = begin(partial(image.read, path))
    got, seconds = picture()
    np.testing.assert_array_equal(got.pixels, image.read(path).pixels)
    assert 0 < seconds < 60


def test_begin_returns_while_the_image_is_being_decoded():
    go_on = threading.Event()

    def read(on_decode):
        on_decode(1, None)
        assert go_on.wait(10)
        return "picture"

    picture = begin(read)  # returns although decoding has not ended
    go_on.set()
    assert picture()[0] == "picture"


@pytest.mark.parametrize("header_is_whole", [True, False])
def test_errors_of_reading_are_raised_where_the_image_is_awaited(header_is_whole):
    def read(on_decode):
        if header_is_whole:
            on_decode(1, None)
        raise MemoryError("none left")

    picture = begin(read)
    with pytest.raises(MemoryError, match="none left"):
        picture()


@pytest.mark.parametrize("space", [None, 1 << 40, 900_000_000])
def test_no_thread_takes_what_the_image_needs(monkeypatch, space):
    """Addresses are few under `ulimit -v`, and a thread takes some for its heap."""
    monkeypatch.setattr(memory, "address_space", lambda: space)
    threads = []

    def read(on_decode):
        threads.append(threading.current_thread())
        on_decode(1, None)

    begin(read)()
    assert (threads == [threading.main_thread()]) == (space == 900_000_000)


def test_the_image_is_not_held_twice():
    class Large:
        pass

    picture = begin(lambda on_decode: Large())
    picture()
    with pytest.raises(IndexError):
        picture()
