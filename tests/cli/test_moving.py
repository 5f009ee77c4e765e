"""What a terminal shows while a loop is compiled."""

from __future__ import annotations

import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="terminals there are others")


def test_a_loop_that_is_compiled_shows_a_moving_line(terminal, picture_file, tmp_path):
    image = picture_file("a.png")
    words = "edge", image, "-m", "numba", "-f", "-o", tmp_path / "b.png"
    first = terminal(*words, XDG_CACHE_HOME=str(tmp_path))
    second = terminal(*words, XDG_CACHE_HOME=str(tmp_path))
    assert (first.status, second.status) == (0, 0)
    line = b"compiling the loop magnitude for float32"
    assert first.out.count(line) > 2  # it is drawn again and again
    assert b"\x1b[2K" in first.out  # and erased
    assert line not in second.out
    quiet = terminal(*words, "-q", XDG_CACHE_HOME=str(tmp_path / "other"))
    assert quiet.out == b""
