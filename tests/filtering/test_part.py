"""A part of an image: what scipy or numpy make of all of it, chosen there; nothing elsewhere."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import ndimage

import convcli
from convcli import ConvcliError
from convcli.pixels.part import Rectangle

SIZE = 75, 91
FULL = {"uint8": 255, "uint16": 65535, "float32": 1, "float64": 1}


def noise(channels=3, dtype="uint8", size=SIZE, seed=0):
    shape = (*size, channels) if channels else size
    values = np.random.default_rng(seed).random(shape) * FULL[dtype]
    return values.astype(dtype)


def inside(regions, size=SIZE):
    """What a list of rectangles means, by a regular expression of this test's own."""
    found = np.zeros(size, bool)
    for each in regions:
        width, height, left, top = map(int, re.findall(r"\d+", each))
        found[top : top + height, left : left + width] = True
    return found


def spread(where, image):
    return where if image.ndim == 2 else where[..., np.newaxis]


STAGES = [convcli.stage("blur", 2), convcli.stage("sharpen", 1.5, 0.8, border="wrap")]
EVEN = np.arange(24.0).reshape(4, 6) / 276
VERBS = {
    "blur": lambda image, **options: convcli.blur(image, 2.3, **options),
    "wide blur": lambda image, **options: convcli.blur(image, 9, **options),
    "sharpen": lambda image, **options: convcli.sharpen(image, 1.5, **options),
    "even": lambda image, **options: convcli.convolve(image, EVEN, **options),
    "larger": lambda image, **options: convcli.blur(image, 30, truncate=6, **options),
    "stretch": lambda image, **options: convcli.chain(
        image, [convcli.stage("convolve", [[1, 0, -1]], stretch=True)], **options
    ),
    "chain": lambda image, **options: convcli.chain(image, STAGES, **options),
}
EDGES = {
    "edge": lambda image, **options: convcli.edge(image, **options),
    "angle": lambda image, **options: convcli.edge(image, show="angle", **options),
    "canny": lambda image, **options: convcli.edge(image, canny=(40, 90), **options),
    "chain to edge": lambda image, **options: convcli.chain(
        image, [convcli.stage("blur", 1), convcli.stage("edge")], **options
    ),
}
REGIONS = ["30x20+61+0"], ["10x10+0+0", "20x20+5+5", "1x1+89+74"], ["91x75+0+0"], []

# Channels, dtype, border, method, alpha.
IMAGES = [
    (0, "uint8", "wrap", "numpy", "straight"),
    (3, "uint8", "reflect", "numba", "straight"),
    (3, "uint16", "mirror", "numpy", "straight"),
    (4, "uint8", "constant", "numba", "weight"),
    (4, "uint16", "wrap", "numba", "weight"),
    (2, "uint8", "nearest", "numpy", "keep"),
    (3, "float64", "mirror", "numba", "straight"),
    (1, "float32", "reflect", "numpy", "straight"),
]


@pytest.mark.parametrize(("channels", "dtype", "border", "method", "alpha"), IMAGES)
@pytest.mark.parametrize("name", VERBS | EDGES)
def test_inside_it_is_the_whole_result_and_outside_the_image(
    name, channels, dtype, border, method, alpha
):
    image = noise(channels, dtype)
    options = {"border": border, "method": method, "alpha": alpha}
    if name in VERBS:
        whole = VERBS[name](image, **options)
    else:
        whole = np.array(image)
        edges = EDGES[name](image, **options).reshape(*SIZE, -1)
        colours = whole if whole.ndim == 2 else whole[..., :-1] if channels in (2, 4) else whole
        colours[:] = edges[..., 0] if image.ndim == 2 else edges[..., :1]
    for regions in REGIONS:
        where = spread(inside(regions), image)
        for part in ({"region": regions}, {"mask": inside(regions)}):
            result = (VERBS | EDGES)[name](image, **options, **part)
            assert result.dtype == image.dtype
            # numpy's products of vectors, as of the luminance, round by their length.
            most = 1e-6 if name in EDGES and "float" in dtype and channels == 3 else 0
            np.testing.assert_allclose(result, np.where(where, whole, image), rtol=0, atol=most)


@pytest.mark.parametrize("alpha", ["weight", "straight"])
def test_a_piece_with_full_alpha_of_an_image_without_is_no_exception(alpha):
    image = noise(4)
    image[:60, :, 3] = 255
    whole = convcli.blur(image, 9, alpha=alpha, method="numpy")
    part = convcli.blur(image, 9, alpha=alpha, method="numpy", region="20x10+0+0")
    np.testing.assert_array_equal(part[:10, :20], whole[:10, :20])


@pytest.mark.parametrize("axis", [0, 1])
def test_a_coarser_grid_is_that_of_the_whole_image(axis):
    """Its step is 8 pixels, and the pieces are far from the edges."""
    size = (400, 40) if axis == 0 else (40, 400)
    image = noise(size=size)
    region = "40x9+0+203" if axis == 0 else "9x40+203+0"
    whole = convcli.blur(image, 13, method="numpy")
    part = convcli.blur(image, 13, method="numpy", region=region)
    where = inside([region], size)[..., np.newaxis]
    np.testing.assert_array_equal(part, np.where(where, whole, image))


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    at=st.tuples(*[st.floats(0, 1)] * 4),
    sigma=st.floats(0.3, 12),
    border=st.sampled_from(["reflect", "mirror", "nearest", "wrap", "constant"]),
    is_chain=st.booleans(),
)
@example((5, 5), (0.9, 0.9, 1, 1), 12.0, "mirror", True)
def test_any_rectangle_of_any_size_is_that_of_scipy(size, at, sigma, border, is_chain):
    image = noise(0, "float64", size)
    top, left = int(at[0] * (size[0] - 1)), int(at[1] * (size[1] - 1))
    bottom = top + 1 + int(at[2] * (size[0] - top - 1))
    right = left + 1 + int(at[3] * (size[1] - left - 1))
    region = str(Rectangle((top, bottom), (left, right)))
    stages = [convcli.stage("blur", sigma)] * (1 + is_chain)
    expected, passes = image, 1 + is_chain
    for _ in range(passes):
        expected = ndimage.gaussian_filter(expected, sigma, mode=border)
    result = convcli.chain(image, stages, border=border, region=region)
    where = inside([region], size)
    np.testing.assert_allclose(result[where], expected[where], atol=1e-12)
    np.testing.assert_array_equal(result[~where], image[~where])


# --- masks

MASKS = {
    "uint8": np.linspace(0, 255, 91).astype(np.uint8),
    "uint16": np.linspace(0, 65535, 91).astype(np.uint16),
    "float64": np.linspace(0, 1, 91),
}


@pytest.mark.parametrize("dtype", FULL)
@pytest.mark.parametrize("kind", MASKS)
def test_grey_mixes_in_floats_and_white_is_the_result_to_the_bit(dtype, kind):
    image = noise(3, dtype)
    mask = np.tile(MASKS[kind], (75, 1))
    share = (mask / mask.max())[..., np.newaxis]
    blurred = ndimage.gaussian_filter(image.astype(float), (2.3, 2.3, 0))
    expected = image + share * (blurred - image)
    result = convcli.blur(image, 2.3, mask=mask, method="numpy")
    if "uint" in dtype:
        off = np.abs(result - np.rint(expected))
        assert off.max() <= 1
        assert (off == 0).mean() > 0.99
    else:
        np.testing.assert_allclose(result, expected, atol=1e-5)
    np.testing.assert_array_equal(result[:, 0], image[:, 0])
    np.testing.assert_array_equal(result[:, -1], convcli.blur(image, 2.3, method="numpy")[:, -1])


def test_it_is_rounded_once():
    image, mask = np.array([[10, 11]], np.uint8), np.full((1, 2), 0.5)
    # 10 and 10.6, and half of each way: rounded before, it would be 10 + (11 - 10) / 2 = 10.5.
    result = convcli.convolve(image, [[1]], bias=0.9, mask=mask)
    assert result.tolist() == [[10, 11]]
    result = convcli.convolve(image, [[1]], bias=500, mask=mask)  # nor clipped before
    assert result.tolist() == [[255, 255]]


def test_colours_are_mixed_by_their_alpha():
    """The colour of a transparent pixel does not come through."""
    image = np.zeros((9, 9, 4), np.uint8)
    image[..., 0] = 255  # transparent red beside opaque blue
    image[:, :4] = 0, 0, 255, 255
    result = convcli.blur(image, 2, alpha="weight", mask=np.full((9, 9), 0.5))
    assert result[0, 4, 3] > 20
    assert result[0, 4, :3].tolist() == [0, 0, 255]


def test_a_region_bounds_a_mask():
    image, mask = noise(), np.full(SIZE, 255, np.uint8)
    mask[:, :30] = 0
    result = convcli.blur(image, 2, mask=mask, region="40x20+10+10", method="numpy")
    where = spread(inside(["40x20+10+10"]) & (mask > 0), image)
    whole = convcli.blur(image, 2, method="numpy")
    np.testing.assert_array_equal(result, np.where(where, whole, image))


def test_only_what_is_needed_is_computed():
    sizes = []
    options = {"on_plan": lambda plan: sizes.append(plan.task.size)}
    image, mask = noise(size=(1000, 1200)), np.zeros((1000, 1200), bool)
    convcli.blur(image, 3, region="100x50+500+600", **options)
    mask[100:150, 100:150] = mask[900:910, 1190:] = True
    convcli.blur(image, 3, mask=mask, **options)
    convcli.blur(image, 3, mask=np.zeros_like(mask), **options)
    assert sizes[0] == (76, 124, 3)
    assert len(sizes) == 3
    assert max(height * width for height, width, _ in sizes[1:]) < 300**2


def test_the_progress_is_that_of_all_pieces():
    done = []
    image = noise(size=(300, 300))
    regions = ["9x9+0+0", "9x9+200+200"]
    convcli.blur(image, 1, region=regions, on_progress=lambda *each: done.append(each))
    assert [one / of for one, of in done] == sorted(one / of for one, of in done)
    assert done[-1][0] == done[-1][1]


def test_scratch_is_changed_in_place():
    image = noise()
    expected = convcli.blur(image, 2, region="9x9+1+1")
    result = convcli.blur(image, 2, region="9x9+1+1", scratch=True)
    assert np.shares_memory(result, image)
    np.testing.assert_array_equal(result, expected)


# --- channels


def luma(image):
    return image[..., :3] @ np.array([0.299, 0.587, 0.114])


@pytest.mark.parametrize("dtype", FULL)
@pytest.mark.parametrize("name", ["blur", "sharpen", "even", "chain"])
def test_luma_is_filtered_and_the_differences_stay(name, dtype):
    image = noise(3, dtype) / np.array(4, dtype) + np.array(FULL[dtype] / 3, dtype)
    image = image.astype(dtype)
    before = luma(image.astype(float))
    after = VERBS[name](before, exact=True)
    expected = image + (after - before)[..., np.newaxis]
    result = VERBS[name](image, channels="luma")
    if "uint" in dtype:
        off = np.abs(result - np.rint(expected))
        assert off.max() <= 1
        assert (off == 0).mean() > 0.99
    else:
        np.testing.assert_allclose(result, expected, atol=1e-5 * FULL[dtype])
        colours = np.diff(result, axis=2)
        np.testing.assert_allclose(colours, np.diff(image, axis=2), atol=1e-6)


def test_luma_of_light_is_that_of_decoded_samples():
    image = noise(3, "float64", (20, 30)) / 4 + 0.5
    decoded = np.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)
    gain = ndimage.gaussian_filter(luma(decoded), 2) - luma(decoded)
    light = decoded + gain[..., np.newaxis]
    expected = 1.055 * light ** (1 / 2.4) - 0.055
    result = convcli.blur(image, 2, linear=True, channels="luma")
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_luma_is_weighted_by_alpha_which_stays():
    image = noise(4, "float64", (20, 30))
    image[:8, :9, 3] = 0
    y, alpha = luma(image), image[..., 3]
    weighted = ndimage.gaussian_filter(y * alpha, 2) / ndimage.gaussian_filter(alpha, 2)
    expected = image.copy()
    expected[..., :3] += np.where(alpha > 0, weighted - y, 0)[..., np.newaxis]
    result = convcli.blur(image, 2, alpha="weight", channels="luma")
    np.testing.assert_allclose(result, expected, atol=1e-12)


def test_luma_leaves_out_what_is_missing():
    image = noise(3, "uint8", (20, 30)) // 2 + 40
    image[5:8, 5:9] = 7
    gone = (image == 7).all(axis=2)
    y = luma(image.astype(float))
    there = ndimage.gaussian_filter((~gone).astype(float), 1)
    filled = ndimage.gaussian_filter(np.where(gone, 0, y), 1) / there
    result = convcli.blur(image, 1, nodata=7, channels="luma")
    np.testing.assert_array_equal(result[gone], 7)
    expected = np.rint(image + (filled - y)[..., np.newaxis])[~gone].clip(0, 255)
    assert np.abs(result[~gone] - expected).max() <= 1


@pytest.mark.parametrize(
    ("channels", "alpha", "wanted", "numbers"),
    [
        (3, "straight", "r", [0]),
        (3, "straight", "b, R", [0, 2]),
        (3, "straight", [2, 1, 2], [1, 2]),
        (3, "straight", np.array([1]), [1]),
        (4, "weight", "g", [1]),
        (4, "weight", "r,a", [0, 3]),
        (4, "keep", "b", [2]),
        (4, "straight", "a", [3]),
        (2, "weight", "l", [0]),
        (2, "straight", "luma", [0]),
        (1, "straight", "luma", [0]),
        (0, "straight", "l", [0]),
        (6, "straight", "2,5", [1, 4]),
        (6, "straight", range(3, 6), [3, 4, 5]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("part", [{}, {"region": "50x40+9+8"}, {"mask": np.full(SIZE, 0.5)}])
def test_named_channels_are_those_of_the_whole_result(channels, alpha, wanted, numbers, part):
    image = noise(channels)
    for name in ("sharpen", "even", "chain"):
        options = {"alpha": alpha, "method": "numpy"}
        if "mask" in part:
            options["out_dtype"] = "float32"
        whole = VERBS[name](image, channels=True, **options)
        result = VERBS[name](image, channels=wanted, **options, **part)
        where = inside([part.get("region", "91x75+0+0")])
        expected = image.astype(whole.dtype)
        for each in numbers:
            of = ... if image.ndim == 2 else (..., each)
            expected[of] = np.where(where, whole[of], image[of])
            if part.get("mask") is not None:
                expected[of] = image[of] / 2 + whole[of] / 2
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-4 if "mask" in part else 0)


# --- another dtype, and what cannot be


@pytest.mark.parametrize("wanted", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("given", FULL)
def test_samples_outside_become_those_of_the_dtype(given, wanted):
    image = noise(3, given)
    if "float" in given:
        image *= np.array(300, given)
    options = {"out_dtype": wanted, "method": "numpy"}
    result = convcli.blur(image, 2, region="9x9+0+0", **options)
    expected = image.astype(float)
    if "uint" in wanted:
        expected = np.rint(expected).clip(0, FULL[wanted])
    assert result.dtype == wanted
    assert (result != expected.astype(wanted))[20:].mean() < 0.001  # halves, which are rounded once
    assert np.abs(result - expected)[20:].max() <= 1
    np.testing.assert_array_equal(result[:9, :9], convcli.blur(image, 2, **options)[:9, :9])


def test_what_is_beside_a_spread_result_is_spread_as_well():
    image, mask = noise(), np.zeros(SIZE)
    mask[:, 30:] = 0.5
    result = convcli.edge(image, show="angle", out_dtype="uint16", mask=mask)
    angle = convcli.edge(image, show="angle", out_dtype="uint16")[..., np.newaxis]
    wide = image * np.uint16(257)
    np.testing.assert_array_equal(result[:, :30], wide[:, :30])
    assert np.abs(result[:, 30:] - (wide / 2 + angle / 2)[:, 30:]).max() <= 1


REFUSED = [
    ({"region": "9x9"}, r"region must be WxH\+X\+Y.*'9x9'"),
    ({"region": "0x9+1+1"}, "'0x9"),
    ({"region": 7}, "region must be text"),
    ({"region": [(1, 2, 3, 4)]}, r"\(1, 2, 3, 4\)"),
    ({"region": "9x9+83+0"}, r"region 9x9\+83\+0 reaches beyond the image, which is 91 x 75"),
    ({"region": "9x9+0+67"}, "reaches beyond"),
    ({"mask": np.zeros((91, 75))}, "mask is 75 x 91 pixels, and the image is 91 x 75"),
    ({"mask": np.zeros((75, 91), int)}, "mask has dtype int64"),
    ({"mask": np.full((75, 91), 2.0)}, "mask has floats"),
    ({"mask": np.full((75, 91), np.nan)}, "mask has floats"),
    ({"mask": np.zeros((75, 91, 3), bool)}, "mask is an array of shape"),
    ({"channels": "q"}, "channels must be luma.*'q'"),
    ({"channels": "a"}, "no channel a: it has r,g,b"),
    ({"channels": "luma,r"}, "channels must be luma"),
    ({"channels": [3]}, r"channels is \(3,\), and the image has the channels 0 to 2"),
    ({"channels": []}, "channels must be True"),
    ({"channels": [0.5]}, "channels must be True"),
    ({"channels": range(10**12)}, "channels must be True"),
    ({"channels": itertools.count()}, "channels must be True or False"),
    ({"channels": np.zeros((2, 2), int)}, "channels must be True or False"),
    ({"channels": [-1]}, r"channels is \(-1,\)"),
]


@pytest.mark.parametrize(("part", "message"), REFUSED)
def test_what_does_not_fit_is_refused(part, message):
    with pytest.raises(ConvcliError, match=message):
        convcli.blur(noise(), 2, **part)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: convcli.edge(noise(), channels="r"), "cannot be used with edge"),
        (lambda: convcli.chain(noise(), [convcli.stage("blur"), convcli.stage("edge")],
                               channels="luma"), "cannot be used with edge"),
        (lambda: convcli.chain(noise(), [convcli.stage("filter", [[1]], stride=2)],
                               region="1x1+0+0"), "a stride makes the image smaller"),
        (lambda: convcli.blur(noise(6), 2, channels="luma"), "6 channels has none"),
        (lambda: convcli.blur(noise(4), 2, alpha="keep", channels="a"), "alpha alone"),
        (lambda: convcli.blur(noise(4), 2, alpha="weight", channels="luma", border="constant",
                              border_value=9), "allows only the border value 0"),
    ],
)  # fmt: skip
def test_what_has_no_meaning_is_refused(call, message):
    with pytest.raises(ConvcliError, match=message):
        call()


def test_a_filter_of_a_whole_image_loads_nothing_of_it():
    code = (
        "import sys; sys.argv = ['convcli', 'blur', '-n', 'no.png']\n"
        "import convcli.cli.run, convcli.batch.attempt, convcli.filtering.chains\n"
        "import numpy, convcli; convcli.blur(numpy.zeros((4, 4)), 1)\n"
        "print(*[name for name in sys.modules if name.startswith('convcli.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "convcli.filtering.convolution" in loaded
    assert not [each for each in loaded if ".part" in each or each.endswith((".mask", ".luma"))]


def test_an_alpha_below_0_mixes_as_none():
    image = np.array([[[90, 0, 0, 255], [0, 90, 0, 10]]], np.uint8)
    sharp = [[0, 0, 0], [-4, 5, 0], [0, 0, 0]]  # the alpha of the second becomes negative
    mask = np.full((1, 2), 0.5)
    result = convcli.convolve(image, sharp, correlate=True, alpha="weight", mask=mask)
    assert result[0, 1].tolist() == [0, 90, 0, 5]
