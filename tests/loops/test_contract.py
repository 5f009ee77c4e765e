"""Every loop of the table keeps the contract: it equals the definition on any window."""

from __future__ import annotations

import itertools
import tracemalloc
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import convcli
from convcli import ConvcliError
from convcli.loops import direct_numba, winograd
from convcli.loops import overlap_add as fft
from convcli.loops.contract import LOOPS, load
from convcli.loops.decimation import decimations
from convcli.loops.definition import correlator as definition
from convcli.loops.layout import ROWS
from convcli.pixels import borders
from tests.oracles import assert_same_picture, sparse_sums

KERNEL_SHAPES = [(1, 1), (1, 6), (5, 1), (2, 2), (3, 3), (4, 7), (9, 3), (17, 23)]
DTYPES = ["uint8", "uint16", "float32", "float64"]


# Some loops take kernels of one shape alone, and integers are never NaN.
LOOPS_AND_KERNELS = [
    (loop, kernel)
    for loop in LOOPS
    for kernel in KERNEL_SHAPES
    if load(loop).kernel_shape in (None, kernel)
]
DTYPES_AND_BAD = [
    *((dtype, None) for dtype in DTYPES),
    *((dtype, bad) for dtype in DTYPES if dtype.startswith("f") for bad in (np.nan, np.inf)),
]


def window_for(shape, kernel_shape, dtype, channels=1, seed=0):
    rng = np.random.default_rng(seed)
    size = (shape[0] + kernel_shape[0] - 1, shape[1] + kernel_shape[1] - 1, channels)
    if dtype.startswith("u"):
        return rng.integers(0, np.iinfo(dtype).max, size, dtype=dtype, endpoint=True)
    return rng.random(size).astype(dtype)


def weights_for(shape, accumulator, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype(accumulator)


@pytest.mark.parametrize(("loop", "kernel"), LOOPS_AND_KERNELS, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_equals_the_definition(loop, kernel, dtype):
    accumulator = "float32" if dtype in ("uint8", "float32") else "float64"
    window, weights = window_for((6, 11), kernel, dtype), weights_for(kernel, accumulator)
    wanted = np.empty((6, 11, 1))
    definition(weights)(window, wanted)
    for out_dtype in ("float64", accumulator):
        result = np.empty((6, 11, 1), out_dtype)
        load(loop).correlator(weights, 1.0)(window, result)
        scale = np.abs(wanted).max()
        assert (
            np.abs(result - wanted).max() <= (5e-6 if accumulator == "float32" else 1e-12) * scale
        )


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_integers_are_rounded_half_to_even_and_clipped(loop, dtype):
    top = np.iinfo(dtype).max
    window = np.zeros((3, 7, 1), dtype)
    window[1, 1:, 0] = [1, 2, 3, 4, top, 0]
    accumulator = "float32" if dtype == "uint8" else "float64"
    out = np.empty((1, 5, 1), dtype)
    weights = np.zeros((3, 3), accumulator)
    weights[1, 1:] = 0.5
    load(loop).correlator(weights, 1.0)(window, out)
    assert out[0, :3, 0].tolist() == [2, 2, 4]  # 1.5, 2.5, 3.5
    weights[1, 1:] = 3, -1
    load(loop).correlator(weights, 1.0)(window, out)
    assert out[0, :, 0].tolist() == [1, 3, 5, 0, top]  # 1, 3, 5, 12 - top, 3 top


@pytest.mark.parametrize("loop", LOOPS)
def test_the_divisor_keeps_ties_exact(loop):
    """Sixths are not exact in binary; whole weights and a divisor make 15 / 6 a tie."""
    window = np.array([[1, 2, 3], [4, 2, 3], [9, 9, 9]], np.uint8).reshape(3, 3, 1)
    out = np.empty((1, 1, 1), np.uint8)
    weights = np.array([[1, 1, 1], [1, 1, 1], [0, 0, 0]], np.float32)
    load(loop).correlator(weights, 6.0)(window, out)
    assert out.item() == 2


@pytest.mark.parametrize("loop", LOOPS)
def test_channels_do_not_mix(loop):
    kernel = load(loop).kernel_shape or (3, 4)
    weights = weights_for(kernel, "float64")
    window = window_for((5, 7), kernel, "uint8", channels=3)
    together = np.empty((5, 7, 3))
    load(loop).correlator(weights, 1.0)(window, together)
    for channel in range(3):
        alone = np.empty((5, 7, 1))
        load(loop).correlator(weights, 1.0)(window[:, :, channel : channel + 1].copy(), alone)
        np.testing.assert_allclose(together[:, :, channel : channel + 1], alone, atol=1e-10)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_kernel_of_zeros_gives_zeros(loop):
    out = np.full((2, 3, 1), 7, np.uint8)
    load(loop).correlator(np.zeros((3, 3), np.float32), 1.0)(
        window_for((2, 3), (3, 3), "uint8"), out
    )
    assert not out.any()


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_nan_reaches_no_further_than_the_kernel(loop, bad):
    kernel = load(loop).kernel_shape or (3, 5)
    window = window_for((40, 40), kernel, "float32")
    window[20, 20] = bad
    out = np.empty((40, 40, 1), np.float32)
    load(loop).correlator(np.abs(weights_for(kernel, "float32")), 1.0)(window, out)
    touched = ~np.isfinite(out[..., 0])
    assert touched.sum() == kernel[0] * kernel[1]
    assert touched[18:21, 21 - kernel[1] : 21].all()


@pytest.mark.parametrize("blocks", [(8, 8), (9, 16), (64, 12), (1000, 1000)], ids=str)
def test_overlap_add_gives_the_same_for_any_block_length(blocks, monkeypatch):
    """Small blocks force many overlaps on both axes, also blocks shorter than the overlap."""
    monkeypatch.setattr(fft, "block_lengths", lambda kernel, window: blocks)
    kernel = (6, 7)
    window, weights = window_for((33, 41), kernel, "uint8", 2), weights_for(kernel, "float64")
    wanted, result = np.empty((33, 41, 2)), np.empty((33, 41, 2))
    definition(weights)(window, wanted)
    fft.correlator(weights)(window, result)
    np.testing.assert_allclose(result, wanted, atol=1e-9)


@pytest.mark.parametrize("blocks", [(8, 8), (9, 16), (64, 12), (1000, 1000)], ids=str)
@pytest.mark.parametrize("out_dtype", ["uint8", "float32"])
def test_float32_blocks_give_the_same_for_any_length(blocks, out_dtype, transforms, monkeypatch):
    monkeypatch.setattr(fft, "block_lengths", lambda kernel, window: blocks)
    window = window_for((33, 41), (6, 7), "uint8", 2)
    weights = weights_for((6, 7), "float32") / 40
    wanted, result = np.empty((33, 41, 2), out_dtype), np.empty((33, 41, 2), out_dtype)
    definition(weights)(window, wanted)
    fft.correlator(weights)(window, result)
    np.testing.assert_allclose(result, wanted, atol=1e-4)


@pytest.mark.parametrize("scale", [1.0, 0.5, 4.0, 2.0**-30])
def test_sums_in_float32_are_snapped_to_multiples_of_their_step(scale, transforms):
    """Otherwise a result half way between two levels would be rounded at random."""
    whole = np.random.default_rng(2).integers(-2, 4, (19, 23)).astype(np.float32)
    whole[9, 9] -= whole.sum()  # a large sum would hide small errors
    window = window_for((120, 130), whole.shape, "uint8")
    assert fft.float32_serves(whole * np.float32(scale), 64 * scale)
    wanted, result = np.empty((120, 130, 1), np.uint8), np.empty((120, 130, 1), np.uint8)
    load("direct_numpy").correlator(whole.astype(float), 64.0)(window, wanted)
    fft.correlator(whole * np.float32(scale), 64 * scale)(window, result)
    np.testing.assert_array_equal(result, wanted)


@pytest.mark.parametrize(
    ("weights", "divisor", "serves"),
    [
        (np.zeros((3, 3)), 1.0, True),
        (np.ones((31, 31)), 961.0, True),
        (np.ones((63, 63)), 3969.0, False),  # sums are exact, but half a step is too near
        (np.full((31, 31), 1 / 3), 961 / 3, True),
        (np.random.default_rng(0).random((63, 63)) / 2000, 1.0, True),
        (np.random.default_rng(0).random((63, 63)), 1.0, False),  # 2000 times the error
        (np.random.default_rng(0).random((63, 63)), 2000.0, True),
    ],
)
def test_float32_serves_where_its_error_cannot_be_seen(weights, divisor, serves):
    assert fft.float32_serves(weights.astype(np.float32), divisor) == serves


@pytest.mark.parametrize(
    ("weights", "step"), [([3, 5], 1), ([6, 4], 2), ([0.75, 8], 0.25), ([], 1)]
)
def test_the_step_of_a_kernel(weights, step):
    assert fft._step(np.array([weights], np.float32)) == step


@pytest.mark.parametrize("length", [128, 256, 600])
@pytest.mark.parametrize("side", [3, 15, 63])
def test_the_error_of_float32_transforms_is_within_its_bound(length, side, monkeypatch):
    monkeypatch.setattr(fft, "block_lengths", lambda kernel, window: (length, length))
    monkeypatch.setattr(fft, "float32_serves", lambda *kernel: True)
    y, x = np.mgrid[: length + side, : length + side]
    spike = np.random.default_rng(3).random((side, side)) / 1000
    spike[0, side // 2] = 1
    box = np.full((side, side), 0.7001)
    random = np.random.default_rng(3).normal(size=(side, side))
    for kernel in (spike, box, random):
        weights = kernel.astype(np.float32)
        for picture in (
            np.full(x.shape, 255),
            (x + y) % 2 * 255,
            np.where(x < 40, 0, 255),
            window_for(x.shape, (1, 1), "uint8")[..., 0] // 128 * 255,
        ):
            window = np.ascontiguousarray(picture[..., np.newaxis], np.uint8)
            shape = (x.shape[0] - side + 1, x.shape[1] - side + 1, 1)
            result, wanted = np.empty(shape, np.float32), np.empty(shape)
            fft.correlator(weights)(window, result)
            fft.correlator(weights.astype(float))(window, wanted)
            l1_norm = np.abs(weights).sum(dtype=float)
            # Storing a sum as float32 adds its own rounding.
            bound = (fft._ERROR * fft._MIDDLE + 255 * 2**-24) * l1_norm
            assert np.abs(result - wanted).max() <= bound


def test_overlap_add_transforms_the_kernel_once(monkeypatch):
    seen = []
    transform = np.fft.rfftn

    def counting(a, *rest, **options):
        seen.append(a.shape)
        return transform(a, *rest, **options)

    monkeypatch.setattr(np.fft, "rfftn", counting)
    monkeypatch.setattr(fft, "block_lengths", lambda kernel, window: (16, 16))
    correlate = fft.correlator(weights_for((5, 5), "float64"))
    for _ in range(2):
        correlate(window_for((40, 40), (5, 5), "uint8"), np.empty((40, 40, 1)))
    assert seen.count((5, 5)) == 1
    assert len(seen) == 1 + 2 * 16  # a window of 44 takes 4 x 4 blocks of 12


@pytest.mark.parametrize("kernel", [1, 2, 3, 25, 127, 801])
@pytest.mark.parametrize("window", [1, 7, 100, 512, 3000])
def test_block_lengths_are_fast_and_long_enough(kernel, window):
    window = max(window, kernel)
    for shape, extent in (((kernel, 3), (window, 9)), ((4, kernel), (7, window))):
        for length, k in zip(fft.block_lengths(shape, extent), shape, strict=True):
            assert length > k or k == 1
            assert k == 1 or fft.fast_length(length) == length


@pytest.mark.parametrize(
    ("least", "length"), [(1, 1), (2, 2), (7, 8), (11, 12), (97, 100), (129, 135)]
)
def test_fast_lengths_are_the_next_product_of_2_3_and_5(least, length):
    assert fft.fast_length(least) == length


@pytest.mark.parametrize("loop", [name for name in LOOPS if not load(name).kernel_shape])
@pytest.mark.parametrize(("dtype", "bad"), DTYPES_AND_BAD)
@pytest.mark.parametrize("kernel", [(1, 1), (3, 4), (4, 9), (9, 2), (13, 30)], ids=str)
def test_a_column_and_a_row_are_their_product(loop, dtype, kernel, bad):
    column, row = weights_for((kernel[0], 1), "float64"), weights_for((1, kernel[1]), "float64", 2)
    row[0, kernel[1] // 3] = 0
    window = window_for((11, 14), kernel, dtype, 3)
    if bad is not None:
        window[3, 4, 1] = bad
    wanted, out = np.empty((11, 14, 3)), np.empty((11, 14, 3))
    with np.errstate(invalid="ignore"):
        definition(column)(window, between := np.empty((11, window.shape[1], 3)))
        kept = np.flatnonzero(row)
        wanted[...] = sum(row[0, j] * between[:, j : j + 14] for j in kept) + np.zeros_like(wanted)
        separable = "separable_correlator" if bad is None else "by_passes"
        getattr(load(loop), separable)(column, row, 1.0)(window, out)
    np.testing.assert_allclose(
        out, wanted, rtol=1e-9, atol=1e-9 * np.abs(wanted[np.isfinite(wanted)]).max()
    )


@pytest.mark.parametrize("loop", [name for name in LOOPS if load(name).gaussian_blurrer])
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 41, 2), (37, 5, 3), (30, 70, 1)], ids=str)
@pytest.mark.parametrize("sigma", [(6.4, 6.4), (9.0, 13.5)], ids=str)
def test_loops_blur_by_the_same_coarser_grid(loop, shape, sigma):
    grids = decimations(sigma)
    image = window_for(shape[:2], (1, 1), "uint8", shape[2])
    y, x = (axis.radius for axis in grids)
    lines = borders.lines((0, shape[0]), y, y, "reflect", shape[0])
    across = borders.lines((0, shape[1]), x, x, "reflect", shape[1])
    points = grids[0].points(0, shape[0])
    rows = np.full((-(-points // ROWS) * ROWS, across.size, shape[2]), np.nan, np.float32)
    out = np.empty(shape, np.uint8)
    blur = load(loop).gaussian_blurrer(grids, np.dtype(np.float32))
    blur.thin(image, lines, rows, x)
    rows[...] = rows[:, across + x]
    blur.across(rows, grids[1].step, shape[1])
    blur.back(rows[:points], 0, out)
    assert_same_picture(out, sparse_sums(grids, image, "reflect"))


@pytest.mark.parametrize("loop", [name for name in LOOPS if load(name).gaussian_blurrer])
def test_rows_that_go_onto_a_grid_may_lie_apart(loop):
    blur = load(loop).gaussian_blurrer(decimations((6.4, 6.4)), np.dtype(np.float32))
    wide = window_for((60, 20), (1, 1), "float32", 2)
    apart = wide[5:28, 3:17]
    weights, step = np.arange(1.0, 12.0), 3
    made = np.zeros((2, ROWS, 16, 2), np.float32)
    for image, rows in zip((apart, apart.copy()), made, strict=True):
        blur.thinner(weights, step)(image, np.arange(23), rows, 2)
    np.testing.assert_array_equal(*made)
    wanted = [
        np.tensordot(weights, apart[step * (k + 1) :][: weights.size], 1) for k in range(ROWS)
    ]
    np.testing.assert_allclose(made[0, :, 2:], wanted, rtol=1e-5)


# Each dtype, size and loop for any size is compiled: a second each.
KINDS = [(dtype, any_size, (3, 3)) for dtype in DTYPES for any_size in (False, True)]
KINDS += [(dtype, False, (5, 8)) for dtype in ("uint8", "float64")]
KINDS += [(dtype, True, (5, 8)) for dtype in DTYPES]


@pytest.mark.parametrize(("dtype", "any_size", "lengths"), KINDS)
@pytest.mark.parametrize("divisor", [1.0, 3.0, 4.0])
@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 5, 3), (3, 3000, 1)], ids=str)
def test_a_magnitude_in_one_pass_is_that_of_two_kernels(dtype, divisor, shape, any_size, lengths):
    window = window_for(shape[:2], lengths, dtype, shape[2])
    accumulator = "float32" if dtype in ("uint8", "float32") else "float64"
    if lengths == (3, 3):
        across, along = np.array([1, 0, -1], accumulator), np.array([1, 2, 1], accumulator)
        kernels = (along[:, None], across[None, :]), (across[:, None], along[None, :])
    else:  # kernels of which nothing is symmetric
        columns, rows = (
            weights_for((2, lengths[0]), accumulator),
            weights_for((2, lengths[1]), accumulator),
        )
        kernels = tuple((c[:, None], r[None, :]) for c, r in zip(columns, rows, strict=True))
    correlate = load("direct_numba").magnitude_correlator(*kernels, divisor, any_size)
    derivatives = []
    for column, row in kernels:
        # Four nested loops over 3,000 pixels would take half a second.
        weights = (column * row).astype(float)
        load("direct_numpy").correlator(weights, divisor)(window, one := np.empty(shape))
        derivatives.append(one)
    wanted = np.hypot(*derivatives)
    out = np.empty(shape, accumulator)
    correlate(window, out)
    np.testing.assert_allclose(out, wanted, rtol=1e-5, atol=1e-5)
    if dtype.startswith("u"):
        levels = np.empty(shape, dtype)
        correlate(window, levels)
        near = np.clip(wanted, 0, np.iinfo(dtype).max)
        assert np.abs(levels - near).max() <= 0.5001


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize(
    ("is_separable", "side", "channels"),
    [*((kind, side, 1) for kind in (False, True) for side in (3, 5, 9)),
     *((True, side, channels) for side in (48, 70) for channels in (1, 3))],
)  # fmt: skip
def test_a_piece_of_any_size_has_the_bits_of_the_whole(is_separable, side, channels, dtype):
    """Rows by 8, 4, 3 and 1, tiles, lines that share, single vectors: all sum in one order."""
    window = window_for((21, 150), (side, side), dtype, channels)
    loop = load("direct_numba")
    if is_separable:
        column, row = weights_for((side, 1), "float32"), weights_for((1, side), "float32")
        correlate = loop.separable_correlator(column, row, 1.0)
    else:
        correlate = loop.correlator(weights_for((side, side), "float32"), 1.0)

    def filtered(rows, columns):
        (top, bottom), (left, right) = rows, columns
        out = np.empty((bottom - top, right - left, channels), np.float32)
        reach = side - 1
        part = window[top : bottom + reach, left : right + reach]
        correlate(np.ascontiguousarray(part), out)
        return out

    whole = filtered((0, 21), (0, 150))
    for rows, columns in itertools.product(
        [(0, 1), (2, 4), (5, 8), (1, 5), (4, 14)], [(0, 5), (3, 19), (7, 57), (20, 150)]
    ):
        piece = np.s_[slice(*rows), slice(*columns)]
        np.testing.assert_array_equal(filtered(rows, columns), whole[piece])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("accumulator", ["float32", "float64"])
def test_a_long_row_takes_in_no_sample_beside_the_kernel(accumulator, channels):
    """Vectors that share samples multiply those alone that their taps meet."""
    taps, width = 61, 300
    window = np.zeros((8, width + taps - 1, channels), accumulator)
    window[:, 150, 0] = np.nan
    ones = np.ones(taps, accumulator)
    out = np.empty((8, width, channels), accumulator)
    load("direct_numba").separable_correlator(ones[:1, None], ones[None, :])(window, out)
    wanted = np.zeros(out.shape, bool)
    wanted[:, 150 - taps + 1 : 151, 0] = True
    np.testing.assert_array_equal(np.isnan(out), wanted)


@pytest.mark.parametrize("gap", [1, 30])
def test_a_long_row_with_zeros_in_it(gap):
    """Taps that do not follow one another share no samples."""
    row = weights_for((1, 90), "float32")
    row[0, gap::7] = 0
    column = weights_for((5, 1), "float32")
    window = window_for((9, 200), (5, 90), "float32", 1)
    wanted, out = np.empty((9, 200, 1)), np.empty((9, 200, 1), np.float32)
    load("direct_numba").separable_correlator(column, row)(window, out)
    load("direct_numpy").correlator((column * row).astype(float))(window, wanted)
    np.testing.assert_allclose(out, wanted, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_zeros_at_the_ends_of_a_long_row_move_nothing(channels):
    column, row = weights_for((9, 1), "float64"), weights_for((1, 90), "float64", 2)
    row[0, :7] = row[0, -2:] = 0
    window = window_for((9, 300), (9, 90), "float64", channels)
    out, wanted = np.empty((9, 300, channels)), np.empty((9, 300, channels))
    load("direct_numba").separable_correlator(column, row, 1.0)(window, out)
    load("direct_numba").correlator(column * row, 1.0)(window, wanted)
    np.testing.assert_allclose(out, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("loop", ["direct_numpy", "direct_numba"])
@pytest.mark.parametrize("length", [39, 161, 700, 2001])
def test_equal_terms_err_by_no_more_than_is_planned(loop, length):
    """One after the other they would all round to one side: 2001 of them to an error of 3e-5."""
    # Results of 8 rows and more, and of 72 columns: all ways in which loops go along a row.
    column, row = np.full((length, 1), np.float32(1 / length)), np.full((1, 9), np.float32(1 / 9))
    separable = load(loop).separable_correlator
    for value in np.random.default_rng(0).random(20):
        window = np.full((length + 71, 80, 1), value, np.float32)
        turned = np.ascontiguousarray(window.transpose(1, 0, 2))
        for column_and_row, seen in (((column, row), window), ((row.T, column.T), turned)):
            out = np.empty((72, 72, 1))
            separable(*column_and_row, 1.0)(seen, out)
            assert np.abs(out / value - 1).max() < 2.5e-6


@pytest.mark.parametrize("accumulator", ["float32", "float64"])
@pytest.mark.parametrize(
    "entry", ["correlate", "dense", "separable", "magnitude", "magnitude_wide"]
)
def test_compiled_loops_get_no_read_only_array(entry, accumulator, monkeypatch):
    """For numba that is another type, and it would compile the loop again."""
    given = []
    monkeypatch.setattr(direct_numba, f"_{entry}", lambda *arguments: given.extend(arguments))
    image, options = np.zeros((300, 400), np.uint8), {"exact": accumulator == "float64"}
    if entry.startswith("magnitude"):
        sigma = 1.0 if entry == "magnitude_wide" else None
        convcli.edge(image, sigma=sigma, method="numba", **options)
    elif entry in ("correlate", "dense"):
        weights = weights_for((3, 3), "float64")
        weights[0, 0] *= entry == "dense"
        convcli.convolve(image, weights, method="numba", **options)
    else:
        convcli.convolve(image, convcli.gaussian_kernel(3), method="numba", **options)
    arrays = [argument for argument in given if isinstance(argument, np.ndarray)]
    assert accumulator in {array.dtype.name for array in arrays}
    assert all(array.flags.writeable for array in arrays)


@dataclass
class Counted:
    """A number that counts how often two of its kind are multiplied."""

    value: float
    products: ClassVar[int] = 0
    scalings: ClassVar[int] = 0

    def __add__(self, other):
        return Counted(self.value + other.value)

    def __sub__(self, other):
        return Counted(self.value - other.value)

    def __neg__(self):
        return Counted(-self.value)

    def __mul__(self, other):
        if isinstance(other, Counted):
            Counted.products += 1
            return Counted(self.value * other.value)
        Counted.scalings += 1
        return Counted(self.value * other)


def transformed_kernel(weights, tile):
    by_rows = np.array(tile.kernel)
    return by_rows @ weights @ by_rows.T


@pytest.mark.parametrize(
    ("tile", "products", "scalings"), [(winograd.F2, 16, 0), (winograd.F4, 36, 204)]
)
def test_winograd_multiplies_4_times_a_pixel_or_2_and_a_quarter(tile, products, scalings):
    """The direct sum takes 9; scalings by 2, 4, 5 and 8 are part of the transforms."""
    weights = weights_for((3, 3), "float64")
    size = tile.results + 2
    window = window_for((tile.results, tile.results), (3, 3), "float64")[..., 0]
    Counted.products = Counted.scalings = 0
    planes = [[Counted(value) for value in row] for row in window.tolist()]
    kernel = [[Counted(value) for value in row] for row in transformed_kernel(weights, tile)]
    results = winograd.outputs(planes, kernel, tile)
    wanted = np.empty((tile.results, tile.results, 1))
    definition(weights)(window[..., np.newaxis], wanted)
    found = [[result.value for result in row] for row in results]
    np.testing.assert_allclose(found, wanted[..., 0], atol=1e-12)
    assert products == size**2
    assert (Counted.products, Counted.scalings) == (products, scalings)
    assert products / tile.results**2 in (4, 2.25)


@pytest.mark.parametrize("loop", ["winograd", "winograd_4x4"])
@pytest.mark.parametrize("shape", [(1, 3), (3, 4), (5, 5)], ids=str)
def test_winograd_refuses_other_kernels(loop, shape):
    with pytest.raises(ConvcliError, match=f"not {shape[0]} x {shape[1]}"):
        load(loop).correlator(np.ones(shape), 1.0)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (4, 8), (7, 9)], ids=str)
@pytest.mark.parametrize("loop", ["winograd", "winograd_4x4"])
def test_winograd_fills_pictures_that_are_no_whole_tiles(loop, shape):
    window, weights = window_for(shape, (3, 3), "uint8", 2), weights_for((3, 3), "float64")
    wanted, result = np.empty((*shape, 2)), np.empty((*shape, 2))
    definition(weights)(window, wanted)
    load(loop).correlator(weights, 1.0)(window, result)
    np.testing.assert_allclose(result, wanted, atol=1e-10)


@pytest.mark.parametrize("side", [3, 5, 9])
def test_im2col_takes_the_kernels_area_of_memory(side):
    weights = weights_for((side, side), "float32")
    window = window_for((200, 200), weights.shape, "float32")
    out = np.empty((200, 200, 1), np.float32)
    correlate = load("im2col").correlator(weights, 1.0)
    correlate(window, out)
    tracemalloc.start()
    correlate(window, out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 1 <= peak / (side**2 * out.nbytes) < 1.2
