"""Parts of images that are filtered in bands equal those of images in memory."""

from __future__ import annotations

import tracemalloc
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convcli.errors import NeedsWholeError
from convcli.filtering.chains import chain
from convcli.filtering.convolution import convolve
from convcli.filtering.depth import at_depth
from convcli.filtering.filters import blur, edge, sharpen
from convcli.filtering.stages import stage
from convcli.pixels.source import ArraySource
from convcli.running import windowed
from convcli.running.regions import Part
from convcli.sources.contract import Result
from convcli.sources.windows import Tiles
from convcli.words import BORDERS, METHODS
from tests.sources.arrays import image_in

FILTERS = {
    "blur": partial(blur, sigma=3),
    "wide blur": partial(blur, sigma=11),
    "edge": edge,
    "angle": partial(edge, show="angle"),
    "sharpen": partial(sharpen, sigma=2),
    "chain": partial(chain, stages=[stage("blur", 2), stage("edge")]),
    "linear": partial(blur, sigma=2, linear=True),
    "depth": partial(at_depth, verb=partial(blur, sigma=2), depth="16"),
}

KERNEL = np.random.default_rng(0).normal(size=(23, 31))  # of full rank
KERNEL /= np.abs(KERNEL).sum()

WITH_TRANSFORMS = {
    "kernel": partial(convolve, kernel=KERNEL),
    "chain of kernels": partial(chain, stages=[stage("filter", KERNEL), stage("blur", 1)]),
}

OF_LUMINANCE = ("edge", "angle", "chain")

# A soft disc, with black and white around it.
Y, X = np.mgrid[:400, :300]
DISC = np.clip((120 - np.hypot(Y - 180, X - 130)) * 6, 0, 255).astype(np.uint8)

PARTS = {
    "region": {"region": ["100x70+30+150", "9x200+291+200"]},
    "mask": {"mask": DISC},
    "mask in a region": {"region": "200x300+20+50", "mask": DISC / 255},
    "luma": {"channels": "luma"},
    "channels": {"channels": [0, 2]},
}


def in_bands(verb, image, tile=(50, 70), is_strange=True, **options):
    """Filter an image in the lowest bands that serve; return the result, the tiles and the work.

    If some samples may be strange, they are those that serve for any samples.
    """
    stored = image_in(image, tile)
    found = []

    def carry_out(plan, work, source):
        divisions = work.divisions[: work.same] if is_strange else work.divisions
        found.extend([work, Tiles(stored, 1e9)])
        lowest = work._replace(divisions=divisions[-1:])
        cut = windowed.cut_for(lowest, stored, 1e9, 0)
        bands = partial(windowed.bands, lowest, found[1], cut, lambda done, total: None)
        return Result(work.shape, work.dtype, bands)

    made = verb(Tiles(stored, 0), carry_out=carry_out, **options)
    work, tiles = found
    return np.concatenate([*made.bands]), tiles, work


# Edges make one channel of all.
CASES = [
    (name, part)
    for name in FILTERS
    for part, options in PARTS.items()
    if not ("channels" in options and name in OF_LUMINANCE)
]


@pytest.mark.parametrize(("name", "part"), CASES)
def test_a_part_in_bands_equals_that_in_memory(name, part, photo):
    image = photo[:400, :300]
    options = {"method": "numpy", "border": "mirror", **PARTS[part]}
    expected = FILTERS[name](image, **options)
    result, tiles, _ = in_bands(FILTERS[name], image, **options)
    assert (result.dtype, result.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(result, expected)
    assert tiles.decoded == tiles.count


@pytest.mark.parametrize("alpha", ["weight", "keep"])
def test_an_alpha_counts_as_in_memory(alpha, photo):
    image = np.dstack([photo[:400, :300], DISC // 2 + 100])
    options = {"method": "numpy", "alpha": alpha, **PARTS["mask in a region"]}
    result, _, _ = in_bands(FILTERS["blur"], image, **options)
    np.testing.assert_array_equal(result, FILTERS["blur"](image, **options))


@st.composite
def cases(draw):
    name = draw(st.sampled_from([*FILTERS, "kernel", "chain of kernels"]))
    dtype = draw(st.sampled_from(["uint8", "uint16", "float32", "float64"]))
    channels = draw(st.sampled_from([1, 3, 4]))
    height, width = draw(st.integers(1, 400)), draw(st.integers(1, 300))
    numbers = np.random.default_rng(draw(st.integers(0, 9)))
    image = numbers.integers(0, 256, (height, width, channels)).astype(dtype)
    options = {
        "border": draw(st.sampled_from([each for each in BORDERS if each != "wrap"])),
        "method": draw(st.sampled_from([each for each in METHODS if each != "tiled"])),
        "workers": draw(st.integers(1, 3)),
        "alpha": draw(st.sampled_from(["straight", "weight", "keep"])),
    }
    if channels != 4:
        del options["alpha"]
    is_strange = dtype.startswith("float") and draw(st.booleans())
    if is_strange:
        image[draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))] = np.nan
        options["nan"] = draw(st.sampled_from(["keep", "skip"]))
    part = draw(st.sampled_from(["region", "mask", "luma", "channels"]))
    if name in OF_LUMINANCE and part in ("luma", "channels"):
        part = "region"
    top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
    rows, columns = draw(st.integers(1, height - top)), draw(st.integers(1, width - left))
    if part != "channels":
        options["region"] = f"{columns}x{rows}+{left}+{top}"
    if part == "mask":
        options["mask"] = DISC[:height, :width]
    if part in ("luma", "channels"):
        options["channels"] = "luma" if part == "luma" else [0]
    tile = draw(st.integers(1, 100)), draw(st.integers(1, 100))
    return {**FILTERS, **WITH_TRANSFORMS}[name], image, tile, is_strange, options


@settings(deadline=None, max_examples=50)
@given(cases())
def test_any_part_in_bands_has_the_bits_of_that_in_memory(case):
    verb, image, tile, is_strange, options = case
    result, _, _ = in_bands(verb, image, tile, is_strange, **options)
    expected = verb(image, **options).reshape(result.shape)
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("name", ["blur", "sharpen", "chain"])
@pytest.mark.parametrize("method", ["numpy", "numba"])
def test_beside_samples_that_are_hard_to_sum_bits_are_those_in_memory(method, name):
    image = np.random.default_rng(0).normal(size=(700, 400, 1)).astype(np.float32)
    image[[90, 300, 301, 600], [7, 200, 390, 30], 0] = np.nan, np.inf, 1e38, np.nan
    options = {"method": method, "workers": 1, "region": "300x600+50+37"}
    result, _, _ = in_bands(FILTERS[name], image, **options)
    np.testing.assert_array_equal(result, FILTERS[name](image, **options))


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("method", ["numpy", "fft"])
@pytest.mark.parametrize("name", ["blur", "wide blur", "edge", "chain"])
def test_a_band_takes_no_more_than_is_counted(name, method, dtype):
    image = np.random.default_rng(0).integers(0, 256, (1500, 900, 3), np.uint8).astype(dtype)
    options = {"method": method, "workers": 1, "region": "800x1300+50+100"}
    _, _, work = in_bands(FILTERS[name], image, **options)
    for rows, piece in work.divisions:
        filled = work.prepare(piece)
        region = (192, min(192 + rows, 1500)), (0, 900)
        out = np.empty((rows, 900, 3), work.dtype)
        filled(ArraySource(image), Part(out, 192), region)  # what is made once is not counted
        tracemalloc.start()
        try:
            filled(ArraySource(image), Part(out, 192), region)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < work.holds(piece) + 100_000


@pytest.mark.parametrize(
    ("verb", "options", "text"),
    [
        (FILTERS["blur"], {"border": "wrap"}, "need the whole image with --border wrap"),
        (partial(edge, stretch=True), {}, "--stretch needs the whole image"),
    ],
)
def test_what_needs_the_whole_image_is_refused(verb, options, text, photo):
    with pytest.raises(NeedsWholeError, match=text):
        in_bands(verb, photo[:400, :300], region="9x9+0+0", **options)
