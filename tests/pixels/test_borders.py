"""What lies beyond the edge is what numpy.pad says, for any piece and any halo."""

from __future__ import annotations

import numpy as np
import pytest

import convcli
from convcli import ConvcliError
from convcli.filtering import convolution
from convcli.pixels import borders
from convcli.pixels.borders import INDEX_OF, check, first_needed, window_dtype
from convcli.pixels.source import ArraySource
from convcli.words import BORDERS
from tests.oracles import NUMPY_PAD

SHAPES = [(5, 7), (6, 1), (1, 6), (1, 1), (2, 3)]
# Above, below, left, right: none, smaller than the image, as long as it, several times longer.
HALOS = [
    (0, 0, 0, 0),
    (0, 1, 1, 0),
    (1, 2, 3, 0),
    (0, 3, 1, 2),
    (5, 5, 7, 7),
    (17, 4, 0, 23),
    (40, 33, 38, 29),
]
FAR = 40


def picture(shape, dtype="uint8", channels=3):
    samples = np.random.default_rng(5).integers(0, 250, (*shape, channels))
    return samples.astype(dtype)


def padded(pixels, border, value):
    """Extend a whole image by FAR pixels on every side, by numpy.pad."""
    more = {"constant_values": value} if border == "constant" else {}
    return np.pad(pixels, ((FAR, FAR), (FAR, FAR), (0, 0)), NUMPY_PAD[border], **more)


def window(pixels, *piece):
    return borders.window(ArraySource(pixels), *piece)


def spans(length):
    """All of an axis, its first and last pixel, and what lies between."""
    return sorted({(0, length), (0, 1), (length - 1, length), (length // 3, length // 3 + 1)})


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("halo", HALOS, ids=str)
def test_every_piece_of_a_picture_is_a_piece_of_the_padded_picture(border, shape, halo):
    pixels = picture(shape)
    whole = padded(pixels, border, 251)
    above, below, left, right = halo
    for top, bottom in spans(shape[0]):
        for first, last in spans(shape[1]):
            piece = window(pixels, (top, bottom), (first, last), halo, border, 251)
            wanted = whole[
                FAR + top - above : FAR + bottom + below, FAR + first - left : FAR + last + right
            ]
            np.testing.assert_array_equal(piece, wanted)
            assert piece.dtype == pixels.dtype
            assert piece.flags.c_contiguous


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
@pytest.mark.parametrize("channels", [1, 2, 4])
def test_dtype_and_channels_are_kept(border, dtype, channels):
    pixels = picture((4, 5), dtype, channels)
    piece = window(pixels, (0, 4), (2, 5), (6, 1, 0, 9), border, 7)
    assert piece.dtype == dtype
    np.testing.assert_array_equal(
        piece, padded(pixels, border, 7)[FAR - 6 : FAR + 5, FAR + 2 : FAR + 14]
    )


@pytest.mark.parametrize("border", BORDERS)
def test_a_window_is_a_copy(border):
    pixels = picture((4, 5))
    before = pixels.copy()
    window(pixels, (0, 4), (0, 5), (0, 0, 0, 0), border)[...] = 9
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize(
    ("dtype", "value", "becomes"),
    [
        ("uint8", 0, "uint8"),
        ("uint8", 255.0, "uint8"),
        ("uint8", 256, "float64"),
        ("uint8", -1, "float64"),
        ("uint8", 127.5, "float64"),
        ("uint16", 256, "uint16"),
        ("uint16", 65536, "float64"),
        ("float32", 0.5, "float32"),
        ("float64", -3.25, "float64"),
    ],
)
def test_a_constant_is_never_clipped_or_rounded(dtype, value, becomes):
    pixels = picture((3, 4), dtype)
    piece = window(pixels, (1, 2), (0, 4), (2, 3, 1, 2), "constant", value)
    assert piece.dtype == becomes == window_dtype(pixels.dtype, "constant", value)
    np.testing.assert_array_equal(
        piece, padded(pixels.astype(float), "constant", value)[FAR - 1 : FAR + 5, FAR - 1 : FAR + 6]
    )


@pytest.mark.parametrize("border", [border for border in BORDERS if border != "constant"])
def test_a_constant_matters_to_its_own_border_alone(border):
    assert window_dtype(np.dtype("uint8"), border, 0.5) == np.uint8


def test_every_word_has_a_row_in_the_table():
    assert set(INDEX_OF) == set(BORDERS) == set(NUMPY_PAD)


def test_an_unknown_border_is_named():
    with pytest.raises(
        ConvcliError, match="'zero'; it must be reflect, mirror, nearest, wrap or constant"
    ):
        check("zero")


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("halo", HALOS, ids=str)
def test_rows_before_the_first_that_is_needed_may_change(border, shape, halo):
    for top in range(shape[0]):
        needed = first_needed(top, shape[0], halo, border)
        rest = ((top, shape[0]), (0, shape[1]), halo, border, 251)
        pixels = picture(shape)
        wanted = window(pixels, *rest)
        pixels[:needed] = 255  # a value that `picture` never makes
        np.testing.assert_array_equal(window(pixels, *rest), wanted)
        pixels[needed] = 255
        assert (window(pixels, *rest) != wanted).any()


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("halo", HALOS, ids=str)
def test_a_window_leaves_the_unused_channel_out(border, halo):
    four = picture((5, 7), channels=4)
    piece = ((1, 5), (2, 7), halo, border, 251)
    wanted = window(np.ascontiguousarray(four[..., :3]), *piece)
    got = window(four[..., :3], *piece)
    assert got.flags.c_contiguous
    np.testing.assert_array_equal(got, wanted)


class Recording(ArraySource):
    """A source that records which samples are read, and refuses those outside."""

    def __init__(self, array):
        super().__init__(array)
        self.asked = np.zeros(array.shape[:2], int)

    def window(self, rows, columns):
        assert 0 <= rows[0] < rows[1] <= self.shape[0]
        assert 0 <= columns[0] < columns[1] <= self.shape[1]
        self.asked[slice(*rows), slice(*columns)] += 1
        return super().window(rows, columns)


@pytest.mark.parametrize("border", BORDERS)
def test_a_source_is_asked_for_what_the_window_needs_alone(border):
    for rows in ((0, 8), (20, 28), (32, 40)):
        for columns in ((0, 8), (20, 28), (42, 50)):
            source = Recording(picture((40, 50)))
            borders.window(source, rows, columns, (3, 2, 4, 1), border, 251)
            y = borders.lines(rows, 3, 2, border, 40)
            x = borders.lines(columns, 4, 1, border, 50)
            needed = np.zeros((40, 50), bool)
            needed[np.ix_(y[y >= 0], x[x >= 0])] = True
            np.testing.assert_array_equal(source.asked > 0, needed)
            assert source.asked.max() == 1  # no sample is read twice


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("method", ["numpy", "numba", "fft", "tiled"])
@pytest.mark.parametrize("sigma", [2, 7])  # direct, and by way of a coarser grid
def test_no_method_reads_a_whole_image_at_once(border, method, sigma, monkeypatch):
    """Only the rows near a region, and those at the far side that wrap."""
    image = np.random.default_rng(0).integers(0, 256, (3000, 40, 1), dtype=np.uint8)
    source = Recording(image)
    longest = []

    def window(rows, columns):
        longest.append(rows[1] - rows[0])
        return ArraySource.window(source, rows, columns)

    source.window = window
    monkeypatch.setattr(convolution, "_source", lambda _image, _channels: source)
    result = convcli.blur(image, sigma, border=border, method=method, workers=3)
    assert max(longest) < 2100
    monkeypatch.undo()
    np.testing.assert_array_equal(
        result, convcli.blur(image, sigma, border=border, method=method, workers=3)
    )
