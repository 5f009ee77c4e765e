"""RGB in buffers of four samples a pixel: an array to others, a source, memory to release."""

from __future__ import annotations

import mmap

import numpy as np
import pytest

from convcli.pixels import padded
from convcli.pixels.padded import Padded


def in_mmap(height, width):
    memory = mmap.mmap(-1, height * width * 4, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return np.frombuffer(memory, np.uint8).reshape(height, width, 4), memory


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_it_is_an_array_of_three_channels(dtype):
    buffer = np.arange(5 * 7 * 4).reshape(5, 7, 4).astype(dtype)
    image = Padded(buffer)
    seen = np.asarray(image)
    assert np.shares_memory(seen, buffer)
    np.testing.assert_array_equal(seen, buffer[..., :3])
    assert (image.shape, image.ndim, image.dtype) == (seen.shape, seen.ndim, seen.dtype)
    assert image.nbytes == seen.nbytes
    assert np.array(image, "float64").dtype == np.float64
    assert not np.shares_memory(np.array(image, copy=True), buffer)


def test_a_window_is_a_view_without_the_unused_sample():
    buffer = np.arange(5 * 7 * 4, dtype=np.uint8).reshape(5, 7, 4)
    window = Padded(buffer).window((1, 3), (2, 7))
    assert np.shares_memory(window, buffer)
    np.testing.assert_array_equal(window, buffer[1:3, 2:7, :3])


def test_rows_of_an_mmap_are_released_in_whole_pieces(monkeypatch):
    monkeypatch.setattr(padded, "_PIECE", mmap.PAGESIZE)
    buffer, memory = in_mmap(10 * mmap.PAGESIZE // 400, 100)
    buffer[...] = 7
    flat = buffer.reshape(-1)
    image = Padded(buffer, memory)
    for row, pages in ((5, 0), (20, 1), (20, 1), (15, 1), (60, 5)):
        image.release(row)
        assert (flat[: pages * mmap.PAGESIZE] == 0).all()
        assert (flat[pages * mmap.PAGESIZE :] == 7).all()


def test_other_memory_is_kept(monkeypatch):
    monkeypatch.setattr(padded, "_PIECE", mmap.PAGESIZE)
    buffer = np.full((200, 100, 4), 7, np.uint8)
    Padded(buffer).release(200)
    assert (buffer == 7).all()
