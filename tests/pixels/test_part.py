"""Rectangles as they are written, and those that cover a mask."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from convcli.pixels.mask import covering, is_filtered
from convcli.pixels.part import Rectangle, rectangle


@given(st.tuples(*[st.integers(1, 10**6)] * 2, *[st.integers(0, 10**6)] * 2))
def test_a_rectangle_is_read_as_it_is_written(numbers):
    text = "{}x{}+{}+{}".format(*numbers)
    assert str(rectangle(text)) == text


@settings(max_examples=50, deadline=None)
@given(
    dots=st.lists(st.tuples(st.integers(0, 599), st.integers(0, 499)), max_size=20),
    halo=st.sampled_from([(0, 0), (20, 6), (300, 300)]),
)
def test_rectangles_hold_every_white_pixel(dots, halo):
    mask = np.zeros((600, 500), bool)
    for dot in dots:
        mask[dot] = True
    covered = np.zeros(mask.shape, bool)
    for each in covering(mask, Rectangle((0, 600), (0, 500)), is_filtered, halo):
        covered[each.at] = True
        assert mask[each.at].any()
    assert not (mask & ~covered).any()
    assert len(dots) or not covered.any()
