"""Parts of images that are filtered in bands equal those of images in memory."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from convcli.errors import NeedsWholeError
from convcli.filtering.chains import chain
from convcli.filtering.depth import at_depth
from convcli.filtering.filters import blur, edge, sharpen
from convcli.filtering.stages import stage
from convcli.running import windowed
from convcli.sources.contract import Result
from convcli.sources.windows import Tiles
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


def in_bands(verb, image, rows=64, **options):
    """Filter an image in bands of so many rows; return the result and the tiles."""
    stored = image_in(image, (50, 70))
    found = []

    def carry_out(plan, work, source):
        cut = windowed.cut_for(work, stored, 1e9, 0)._replace(rows=rows, piece=(rows, 300))
        found.append(Tiles(stored, 1e9))
        bands = partial(windowed.bands, work, found[0], cut, lambda done, total: None)
        return Result(work.shape, work.dtype, bands)

    made = verb(Tiles(stored, 0), carry_out=carry_out, **options)
    return np.concatenate([*made.bands]), found[0]


# Edges make one channel of all.
CASES = [
    (name, part)
    for name in FILTERS
    for part, options in PARTS.items()
    if not ("channels" in options and name in ("edge", "angle", "chain"))
]


@pytest.mark.parametrize(("name", "part"), CASES)
def test_a_part_in_bands_equals_that_in_memory(name, part, photo):
    image = photo[:400, :300]
    options = {"method": "numpy", "border": "mirror", **PARTS[part]}
    expected = FILTERS[name](image, **options)
    result, tiles = in_bands(FILTERS[name], image, **options)
    assert (result.dtype, result.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(result, expected)
    assert tiles.decoded == tiles.count


@pytest.mark.parametrize("alpha", ["weight", "keep"])
def test_an_alpha_counts_as_in_memory(alpha, photo):
    image = np.dstack([photo[:400, :300], DISC // 2 + 100])
    options = {"method": "numpy", "alpha": alpha, **PARTS["mask in a region"]}
    result, _ = in_bands(FILTERS["blur"], image, **options)
    np.testing.assert_array_equal(result, FILTERS["blur"](image, **options))


def test_floats_equal_those_in_memory_but_for_rounding(photo):
    image = photo[:400, :300, :1].astype(np.float32) / 255
    result, _ = in_bands(FILTERS["blur"], image, method="numpy", **PARTS["mask"])
    expected = FILTERS["blur"](image, method="numpy", **PARTS["mask"])
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-6)


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
