"""Rectifier and pooling."""

from __future__ import annotations

import numpy as np
import pytest

import convcli
from convcli import ConvcliError


@pytest.mark.parametrize(("size", "stride"), [(2, None), (3, 2), ((1, 4), (2, 1)), (5, 5)])
def test_pools_are_those_of_every_window(size, stride):
    maps = np.random.default_rng(0).standard_normal((2, 3, 11, 13)).astype(np.float32)
    (height, width) = (size, size) if isinstance(size, int) else size
    step = stride or size
    (sy, sx) = (step, step) if isinstance(step, int) else step
    windows = np.lib.stride_tricks.sliding_window_view(maps, (height, width), axis=(2, 3))
    windows = windows[:, :, ::sy, ::sx]
    assert np.array_equal(convcli.max_pool2d(maps, size, stride), windows.max((-1, -2)))
    means = convcli.avg_pool2d(maps, size, stride)
    assert means.dtype == np.float32
    assert np.allclose(means, windows.mean((-1, -2)), atol=1e-6)


def test_windows_must_fit():
    with pytest.raises(ConvcliError, match="4 x 4 do not fit in maps of 3 x 9"):
        convcli.max_pool2d(np.zeros((3, 9)), 4)


def test_relu_keeps_nan():
    assert np.array_equal(convcli.relu([-1.0, 3.0, np.nan]), [0.0, 3.0, np.nan], equal_nan=True)
