"""RGB views of four bytes a pixel: which arrays are such views, and memory that is given back."""

from __future__ import annotations

import mmap

import numpy as np
import pytest

from convcli.pixels import padded
from convcli.pixels.padded import buffer_of, give_back

SHAPE = (5, 7, 4)
SIZE = 5 * 7 * 4


def in_mmap(height, width):
    memory = mmap.mmap(-1, height * width * 4, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return np.frombuffer(memory, np.uint8).reshape(height, width, 4)


VIEWS = {
    "of an array": lambda: np.zeros(SHAPE, np.uint8)[..., :3],
    "of a flat array": lambda: np.zeros(SIZE, np.uint8).reshape(SHAPE)[..., :3],
    "of bytes": lambda: np.frombuffer(bytes(SIZE), np.uint8).reshape(SHAPE)[..., :3],
    "of an mmap": lambda: in_mmap(5, 7)[..., :3],
    "of a view": lambda: np.zeros(SHAPE, np.uint8)[..., :3][::1, ::1],
    "of floats": lambda: np.zeros(SHAPE, np.float32)[..., :3],
}
OTHERS = {
    "contiguous": lambda: np.zeros((5, 7, 3), np.uint8),
    "four channels": lambda: np.zeros(SHAPE, np.uint8),
    "the other three channels": lambda: np.zeros(SHAPE, np.uint8)[..., 1:],
    "some rows": lambda: np.zeros(SHAPE, np.uint8)[:4, :, :3],
    "later rows": lambda: np.zeros(SHAPE, np.uint8)[1:, :, :3],
    "some columns": lambda: np.zeros(SHAPE, np.uint8)[:, :6, :3],
    "upside down": lambda: np.zeros(SHAPE, np.uint8)[::-1, :, :3],
    "every second row": lambda: np.zeros(SHAPE, np.uint8)[::2, :, :3],
    "two channels": lambda: np.zeros(SHAPE, np.uint8)[..., :2],
    "grey": lambda: np.zeros((5, 7), np.uint8)[:, :3],
    "columns first": lambda: np.zeros(SHAPE, np.uint8, order="F")[..., :3],
    "signed": lambda: np.zeros(SIZE, np.int8).view(np.uint8).reshape(SHAPE)[..., :3],
    "memory of no array": lambda: np.ndarray((5, 7, 3), np.uint8, bytes(SIZE), 0, (28, 4, 1)),
}


@pytest.mark.parametrize("make", VIEWS.values(), ids=VIEWS)
def test_a_view_of_four_samples_a_pixel_is_known(make):
    view = make()
    buffer = buffer_of(view)
    assert (buffer.shape, buffer.dtype) == (SHAPE, view.dtype)
    assert buffer.flags.c_contiguous
    assert np.shares_memory(buffer, view)
    assert buffer[..., :3].__array_interface__ == view.__array_interface__


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
def test_other_arrays_are_not_taken_for_one(make):
    assert buffer_of(make()) is None


def test_rows_of_an_mmap_are_given_back_in_whole_pieces(monkeypatch):
    monkeypatch.setattr(padded, "_PIECE", mmap.PAGESIZE)
    buffer = in_mmap(10 * mmap.PAGESIZE // 400, 100)
    buffer[...] = 7
    flat = buffer.reshape(-1)
    given = 0
    for row, pages in ((5, 0), (20, 1), (20, 1), (15, 1), (60, 5)):
        given = give_back(buffer, given, row)
        assert given == pages * mmap.PAGESIZE
        assert (flat[:given] == 0).all()
        assert (flat[given:] == 7).all()


def test_memory_of_an_array_is_kept(monkeypatch):
    monkeypatch.setattr(padded, "_PIECE", mmap.PAGESIZE)
    buffer = np.full((200, 100, 4), 7, np.uint8)
    assert give_back(buffer, 0, 200) == 0
    assert (buffer == 7).all()
