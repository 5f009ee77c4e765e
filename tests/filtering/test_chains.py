"""Chains of filters, against float64 stages of scipy.ndimage that are rounded once."""

from __future__ import annotations

import math
import mmap
import time
from contextlib import contextmanager

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from skimage import data

import convcli
from convcli import ConvcliError
from convcli.pixels import padded
from convcli.pixels.padded import Padded
from convcli.pixels.transfer import SRGB
from convcli.planning import chains
from convcli.planning.chains import ChainPlan
from convcli.running import chains as running
from convcli.running import threads
from convcli.words import BORDERS
from tests.oracles import assert_same_picture

stage = convcli.stage
PHOTO = data.astronaut()[60:157, 150:281]  # (97, 131, 3)


# --- the oracle


def blurred(image, border, value, sigma):
    return scipy.ndimage.gaussian_filter(image, sigma[::-1], mode=border, cval=value, axes=(0, 1))


def sharpened(image, border, value, sigma, amount):
    return image + amount * (image - blurred(image, border, value, sigma))


def convolved(image, border, value, kernel, correlate, bias):
    function = scipy.ndimage.correlate if correlate else scipy.ndimage.convolve
    return function(image, kernel[..., np.newaxis], mode=border, cval=value) + bias


def edged(image, border, value, show):
    grey = image[..., :3] @ [0.299, 0.587, 0.114] if image.shape[2] > 2 else image[..., 0]

    def derivative(axis):
        smooth = scipy.ndimage.correlate1d(
            grey, [0.25, 0.5, 0.25], 1 - axis, mode=border, cval=value
        )
        # Beyond the edge there is the constant, and not what smoothing makes of it, which is alike.
        return scipy.ndimage.correlate1d(smooth, [-1, 0, 1], axis, mode=border, cval=value)

    along_x, along_y = derivative(1), derivative(0)
    result = {"x": along_x, "y": along_y, "magnitude": np.hypot(along_x, along_y)}[show]
    return result[..., np.newaxis]


ORACLES = {"blur": blurred, "sharpen": sharpened, "convolve": convolved, "edge": edged}


def reference(image, specs):
    """Apply stages ``(name, border, value, own arguments)`` in float64."""
    result = image.astype(np.float64)
    result = result[..., np.newaxis] if image.ndim == 2 else result
    for name, border, value, own in specs:
        result = ORACLES[name](result, border, value, **own)
    grey = any(name == "edge" for name, *_ in specs)
    return result[..., 0] if image.ndim == 2 or grey else result


def stages_of(specs):
    return [
        stage(name, **own, border=border, border_value=value) for name, border, value, own in specs
    ]


# --- random chains

sigmas = st.tuples(st.floats(0.3, 5), st.floats(0.3, 5))
OWN = {
    "blur": st.fixed_dictionaries({"sigma": sigmas}),
    "sharpen": st.fixed_dictionaries({"sigma": sigmas, "amount": st.floats(0, 2)}),
    "edge": st.fixed_dictionaries({"show": st.sampled_from(["magnitude", "x", "y"])}),
    "convolve": st.builds(
        lambda shape, seed, correlate, bias: {
            "kernel": np.random.default_rng(seed).uniform(-0.4, 1, shape)
            / math.sqrt(math.prod(shape)),
            "correlate": correlate,
            "bias": bias,
        },
        st.tuples(st.integers(1, 5), st.integers(1, 5)),
        st.integers(0, 99),
        st.booleans(),
        st.sampled_from([0.0, 0.0, 0.2, -0.1]),
    ),
}
specs = st.sampled_from(list(OWN)).flatmap(
    lambda name: st.tuples(
        st.just(name), st.sampled_from(BORDERS), st.sampled_from([0.0, 1.0]), OWN[name]
    )
)
chains_of_stages = st.lists(specs, min_size=1, max_size=5)
images = st.builds(
    lambda size, channels, dtype, seed: _image((*size, *channels), dtype, seed),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from([(), (1,), (3,)]),
    st.sampled_from(["uint8", "uint8", "uint16", "float32", "float64"]),
    st.integers(0, 99),
)
cuts = st.tuples(
    st.sampled_from([1, 800, 1 << 20]),  # bytes of all strips
    st.sampled_from([24, 3840]),  # samples across a band
    st.sampled_from([12, 512]),  # rows of a band
)
LIMITS = {
    "max_examples": 40,
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow],
    "derandomize": True,
}


def _image(shape, dtype, seed):
    values = np.random.default_rng(seed).random(shape)
    full = np.iinfo(dtype).max if dtype.startswith("u") else 1
    return (values * full).astype(dtype)


@contextmanager
def cut(strip, across, rows):
    """Cut chains into strips and bands of other sizes."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (
            ("_STRIPS_BYTES", strip),
            ("_LEAST_ROWS", 1),
            ("_BAND_SAMPLES", across),
            ("_NARROW_SAMPLES", across),
            ("_HALOS", 0),
            ("_BAND_ROWS", rows),
            ("_SHORT_BAND", 1),
        ):
            patch.setattr(chains, name, value)
        yield


def scaled(specs, dtype):
    """Bias and border values are in the image's units."""
    full = np.iinfo(dtype).max if dtype.kind == "u" else 1
    return [
        (name, border, value * full, own | ({"bias": own["bias"] * full} if "bias" in own else {}))
        for name, border, value, own in specs
    ]


@settings(**LIMITS)
@given(
    images, chains_of_stages, cuts, st.integers(1, 8), st.sampled_from(["numba", "numpy", "fft"])
)
def test_a_chain_is_scipys_stages_rounded_once(image, specs, sizes, workers, method):
    specs = scaled(specs, image.dtype)
    if image.dtype != np.uint8 and method == "numba":
        method = "numpy"  # compiling for all dtypes would take half a minute
    with cut(*sizes):
        got = convcli.chain(image, stages_of(specs), workers=workers, method=method)
    assert got.dtype == image.dtype
    wanted = reference(image, specs)
    if image.dtype.kind == "f" and len(specs) == 1:
        assert_same_picture(got, wanted)
    elif image.dtype.kind == "f":
        largest = max(1.0, float(np.abs(image).max()))
        assert np.abs(got - wanted).max() <= 1e-5 * max(largest, np.abs(wanted).max())
    else:
        full = np.iinfo(image.dtype).max
        off = np.abs(got.astype(float) - np.clip(np.rint(wanted), 0, full))
        assert off.max() <= 1
        # Of few pixels a hundredth is less than one, and any may lie half-way between two levels.
        near_half = np.abs(wanted - np.floor(wanted) - 0.5) < 0.003
        assert (off[~near_half] == 0).mean() >= 0.99 if (~near_half).any() else True


@settings(**LIMITS | {"max_examples": 10})
@given(images, st.lists(specs, min_size=2, max_size=4), cuts, st.integers(1, 8))
def test_the_cut_and_the_workers_change_no_bit(image, specs, sizes, workers):
    image = image if image.dtype == np.uint8 else (image > image.mean()).astype(np.uint8) * 255
    several = stages_of(scaled(specs, image.dtype))
    wanted = convcli.chain(image, several, workers=1, method="numba", out_dtype="float32")
    with cut(*sizes):
        got = convcli.chain(image, several, workers=workers, method="numba", out_dtype="float32")
    np.testing.assert_array_equal(got, wanted)


# --- colour: as if each filter were called alone, on floats

DERIVATIVE = [[1, 0, -1.0]]
COMPOSED = {
    "blurs": [("blur", {"sigma": 1.5}), ("blur", {"sigma": (0.7, 2)})],
    "sharpen": [("blur", {"sigma": 1}), ("sharpen", {"sigma": 2, "amount": 0.7})],
    "threshold": [("sharpen", {"sigma": 2, "threshold": 0.02}), ("blur", {"sigma": 1})],
    "a sum of 2": [("convolve", {"kernel": np.full((2, 3), 1 / 3)}), ("blur", {"sigma": 1})],
    "a bias": [("convolve", {"kernel": [[0.5]], "bias": 0.2}), ("blur", {"sigma": 1})],
    "a derivative": [("convolve", {"kernel": DERIVATIVE, "bias": 0.5}), ("blur", {"sigma": 1})],
    "edge first": [("edge", {}), ("blur", {"sigma": 1}), ("sharpen", {})],
    "edge last": [("blur", {"sigma": 1}), ("edge", {"show": "x"})],
    "two edges": [("edge", {}), ("blur", {"sigma": 2}), ("edge", {})],
}
HOW = {
    "weight": {"alpha": "weight"},
    "keep": {"alpha": "keep"},
    "straight": {"alpha": "straight"},
    "light": {"alpha": "weight", "linear": True},
    "light, keep": {"alpha": "keep", "linear": True},
    "constant": {"alpha": "weight", "linear": True, "border": "constant", "border_value": 0.4},
}


def one_by_one(image, several, **options):
    """Call the filters one after the other."""
    for name, own in several:
        image = getattr(convcli, name)(image, **own, **options)
    return image


@pytest.mark.parametrize("channels", [2, 3, 4])
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("name", COMPOSED)
def test_colour_is_that_of_filters_called_alone(name, how, channels):
    image = np.random.default_rng(3).uniform(0.1, 1, (30, 41, channels))
    if channels != 3:
        image[8:20, 9:22, -1] = 0.3  # visible everywhere, or there is no colour to compare
    several = COMPOSED[name]
    wanted = one_by_one(image, several, **HOW[how])
    got = convcli.chain(image, [stage(each, **own) for each, own in several], **HOW[how])
    np.testing.assert_allclose(got, wanted, atol=1e-9)


def test_colours_that_are_transparent_do_not_bleed():
    image = np.zeros((20, 20, 4), np.uint8)
    image[:, :10] = [200, 100, 50, 255]
    image[:, 10:] = [0, 255, 0, 0]
    result = convcli.chain(
        image, [stage("blur", sigma=1), stage("sharpen"), stage("blur", sigma=1)], alpha="weight"
    )
    visible = result[..., 3] > 4
    assert np.abs(result[visible][:, :3].astype(int) - [200, 100, 50]).max() <= 1


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_light_is_rounded_once(dtype):
    full = np.iinfo(dtype).max
    image = (PHOTO.astype(dtype) * (full // 255)).astype(dtype)
    light = SRGB.light(image / full)
    for sigma in (2, 1):
        light = scipy.ndimage.gaussian_filter(light, sigma, axes=(0, 1))
    got = convcli.chain(image, [stage("blur", sigma=2), stage("blur", sigma=1)], linear=True)
    assert_same_picture(got, SRGB.code(light) * full)


# --- what single stages do


def test_an_angle_is_spread_over_the_range_of_the_result_and_is_not_light():
    image = PHOTO[..., 0]
    blurry = scipy.ndimage.gaussian_filter(image.astype(float), 2)
    x, y = (edged(blurry[..., None], "reflect", 0, each)[..., 0] for each in "xy")
    turn = (np.arctan2(y, x) + np.pi) * (255 / (2 * np.pi))
    got = convcli.chain(image, [stage("blur", sigma=2), stage("edge", show="angle")])
    assert_same_picture(got, turn)
    radians = convcli.chain(
        image, [stage("blur", sigma=2), stage("edge", show="angle")], out_dtype="float64"
    )
    np.testing.assert_allclose(radians, np.arctan2(y, x), atol=1e-6)


def test_an_angle_is_not_light():
    y, x = np.mgrid[:40, :50]
    image = (3 * x + 2 * y + np.random.default_rng(0).integers(0, 2, x.shape)).astype(np.uint8)
    alone = convcli.edge(image, show="angle", linear=True, out_dtype="float64")
    wanted = scipy.ndimage.gaussian_filter((alone + np.pi) * (255 / (2 * np.pi)), 1)
    got = convcli.chain(image, [stage("edge", show="angle"), stage("blur", 1)], linear=True)
    assert_same_picture(got, wanted)


def test_the_angle_of_an_even_image_is_that_of_no_edge():
    even = np.full((40, 50), 77, np.uint8)
    for method in ("numba", "numpy", "fft"):
        got = convcli.chain(
            even,
            [stage("blur", sigma=3), stage("edge", show="angle")],
            out_dtype="float64",
            method=method,
        )
        assert (got == 0).all()


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_stretch_comes_last(dtype):
    image = PHOTO.astype(dtype)
    several = [stage("blur", sigma=2), stage("edge", stretch=True)]
    got = convcli.chain(image, several)
    full = 255 if dtype == "uint8" else 1
    blurry = blurred(image.astype(float), "reflect", 0, (2, 2))
    edges = edged(blurry, "reflect", 0, "magnitude")[..., 0]
    assert_same_picture(got, edges * (full / edges.max()))
    with pytest.raises(ConvcliError, match=r"stage 2 \(edge stretch=True\) stretches"):
        convcli.chain(image, [*several, stage("blur")])


LAST = {
    "a stretched derivative": ("convolve", {"kernel": [[1, 0, -1.0]]}, {"stretch": True}),
    "a stretched mean": ("convolve", {"kernel": np.ones((3, 5)) / 15}, {"stretch": True}),
    "wide edges": ("edge", {"sigma": 4}, {"stretch": True}),
    "a laplacian": ("edge", {"show": "laplacian", "sigma": 2}, {"stretch": True}),
    "thin edges": ("edge", {"operator": "scharr"}, {"canny": (0.03, 0.08)}),
}


@pytest.mark.parametrize("method", ["numpy", "numba", "fft"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float64"])
@pytest.mark.parametrize("name", LAST)
def test_what_needs_the_whole_image_comes_last(name, dtype, method):
    verb, own, last = LAST[name]
    full = {"uint8": 255, "uint16": 65535}.get(dtype, 1)
    image = (PHOTO / 255 * full).astype(dtype)
    if "canny" in last:
        last = {"canny": tuple(full * each for each in last["canny"])}
    final = stage(verb, **own, **last)
    got = convcli.chain(image, [stage("blur", 1), final], method=method)
    before = scipy.ndimage.gaussian_filter(image.astype(float), 1, axes=(0, 1))
    wanted = convcli.chain(before, [final])
    assert got.dtype == dtype
    if "canny" in last:
        np.testing.assert_array_equal(got > 0, wanted > 0)
        assert 0 < (got > 0).mean() < 0.3
    else:
        assert_same_picture(got, wanted * full)
        assert got.min() == 0 or got.max() == full
    with pytest.raises(ConvcliError, match=r"stage 2 .*(stretches|thin edges).*only the last"):
        convcli.chain(image, [stage("blur"), final, stage("blur")])


@pytest.mark.parametrize("words", [{"stretch": True}, {"canny": (5, 20)}])
def test_an_alpha_beside_what_needs_the_whole_image_is_kept(words):
    image = np.dstack([PHOTO, PHOTO[..., 0]])
    several = [stage("blur", 1), stage("edge", **words)]
    result = convcli.chain(image, several, alpha="keep")
    np.testing.assert_array_equal(result[..., 1], image[..., 3])
    np.testing.assert_array_equal(result[..., 0], convcli.chain(PHOTO, several))


@pytest.mark.parametrize("method", ["numpy", "numba", "fft"])
@pytest.mark.parametrize("level", [np.uint8(77), np.uint16(30000), np.float64(0.3)])
def test_an_even_image_stays_even_when_it_is_stretched(level, method):
    image = np.full((30, 40), level)
    for kernel, share in (("gaussian:2", 0), ("gaussian-xx:2", 0.5)):
        several = [stage("blur", 2), stage("convolve", convcli.kernel(kernel), stretch=True)]
        got = convcli.chain(image, several, method=method)
        full = 1 if image.dtype.kind == "f" else np.iinfo(image.dtype).max
        assert (got == (share if full == 1 else math.ceil(share * full))).all()


def test_edges_of_the_largest_floats_are_stretched_like_smaller_ones():
    image = np.where(np.indices((40, 50)).sum(axis=0) % 17 < 8, -1.0, 1.0)
    several = [stage("blur", 1), stage("edge", stretch=True)]
    largest, smaller = (convcli.chain(image * size, several) for size in (1.7e308, 2.0**900))
    np.testing.assert_allclose(largest, smaller, atol=1e-12)


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("border", BORDERS)
def test_strides_between_stages(border, place):
    specs = [
        ("blur", border, 0.0, {"sigma": (1, 2)}),
        ("convolve", border, 0.0, {"kernel": np.ones((3, 2)) / 6, "correlate": False, "bias": 0}),
        ("sharpen", border, 0.0, {"sigma": (1, 1), "amount": 1}),
    ]
    wanted, several = PHOTO.astype(float), []
    for number, spec in enumerate(specs):
        wanted = reference(wanted, [spec])
        several += stages_of([spec])
        if number == place:
            several.append(stage("convolve", [[1.0]], stride=3))
            wanted = wanted[::3, ::3]
    for sizes in ((1 << 20, 3840, 512), (800, 20, 8)):
        with cut(*sizes):
            assert_same_picture(convcli.chain(PHOTO, several, workers=2), wanted)


@pytest.mark.parametrize("name", BORDERS)
def test_kernels_larger_than_the_image(name):
    specs = [
        ("blur", name, 9.0, {"sigma": (30, 8)}),
        ("sharpen", name, 9.0, {"sigma": (9, 9), "amount": 1}),
        ("blur", name, 9.0, {"sigma": (1, 40)}),
    ]
    image = PHOTO[:13, :17]
    assert_same_picture(convcli.chain(image, stages_of(specs)), reference(image, specs))


@pytest.mark.parametrize("border", [each for each in BORDERS if each != "constant"])
def test_other_borders_do_not_look_at_the_value_of_a_constant(border):
    several = [stage("blur", sigma=1, border=border), stage("sharpen", border=border)]
    np.testing.assert_array_equal(
        convcli.chain(PHOTO, several, border_value=1e8), convcli.chain(PHOTO, several)
    )


def test_wide_blurs_take_the_stated_kernel():
    """The coarser grid is meant for bytes that become bytes."""
    specs = [("blur", "reflect", 0, {"sigma": (9, 9)}), ("blur", "reflect", 0, {"sigma": (7, 7)})]
    assert_same_picture(convcli.chain(PHOTO, stages_of(specs)), reference(PHOTO, specs))


def test_worker_processes_give_the_same():
    several = [stage("blur", sigma=2), stage("sharpen"), stage("edge", border="wrap")]
    wanted = convcli.chain(PHOTO, several, method="numba")
    plans = []
    got = convcli.chain(PHOTO, several, method="tiled", workers=2, on_plan=plans.append)
    np.testing.assert_array_equal(got, wanted)
    assert plans[0].method == "tiled"


def test_an_unused_channel_stays_unused():
    """RGB as Pillow keeps it goes in and comes out without a copy of the whole image."""
    buffer = np.random.default_rng(0).integers(0, 256, (70, 90, 4), np.uint8)
    several = [stage("blur", sigma=2), stage("sharpen")]
    wanted = convcli.chain(np.ascontiguousarray(buffer[..., :3]), several)
    got = convcli.chain(Padded(buffer), several, scratch=True)
    assert isinstance(got, Padded)
    np.testing.assert_array_equal(got.pixels, wanted)


@pytest.mark.parametrize("border", ["reflect", "wrap"])
def test_rows_are_given_back_once_no_stage_needs_them(monkeypatch, border):
    monkeypatch.setattr(threads, "_SHORT_SECONDS", 0)
    monkeypatch.setattr(padded, "_PIECE", mmap.PAGESIZE)
    memory = mmap.mmap(-1, 3000 * 50 * 4, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    buffer = np.frombuffer(memory, np.uint8).reshape(3000, 50, 4)
    buffer[...] = np.random.default_rng(2).integers(1, 256, buffer.shape)
    several = [stage("blur", sigma=5), stage("sharpen", border=border), stage("blur", sigma=4)]
    wanted = convcli.chain(np.ascontiguousarray(buffer[..., :3]), several, method="numba")
    real = running.prepare_chain

    def late(*arguments):
        fill = real(*arguments)

        def filter_band(*region):
            time.sleep(0.05)  # time to release all rows that are done
            fill(*region)

        return filter_band

    monkeypatch.setattr(running, "prepare_chain", late)
    got = convcli.chain(Padded(buffer, memory), several, method="numba", workers=2, scratch=True)
    np.testing.assert_array_equal(got.pixels, wanted)
    assert buffer[:1900].any() == (border == "wrap")  # which needs the first rows at the end


def test_exact_stages_are_summed_in_float64():
    image = np.random.default_rng(0).random((40, 50)).astype(np.float32)
    specs = [("blur", "reflect", 0, {"sigma": (2, 2)}), ("blur", "mirror", 0, {"sigma": (1, 3)})]
    got = convcli.chain(
        image,
        [stage("blur", sigma=(2, 2), exact=True), stage("blur", sigma=(1, 3), border="mirror")],
        out_dtype="float64",
    )
    np.testing.assert_allclose(got, reference(image, specs), atol=1e-12)


def test_large_weights_in_one_stage_and_small_ones_in_the_next():
    """Sums beyond the range of bytes, and of float32's digits, come back."""
    image = PHOTO[..., 0]
    for scale in (1e3, 1e20):
        several = [stage("convolve", [[scale, -scale, scale]]), stage("convolve", [[1 / scale]])]
        wanted = convolved(
            image[..., None].astype(float), "reflect", 0, np.array([[1.0, -1, 1]]), False, 0
        )
        assert_same_picture(convcli.chain(image, several), wanted[..., 0])


def test_one_stage_is_the_filter():
    assert_same_picture(
        convcli.chain(PHOTO, [stage("edge", show="x")], out_dtype="float32"),
        convcli.edge(PHOTO, show="x", out_dtype="float64"),
    )
    np.testing.assert_array_equal(
        convcli.chain(PHOTO, [stage("blur", 7, border="wrap")]),
        convcli.blur(PHOTO, 7, border="wrap"),
    )


def test_the_plan_has_a_plan_for_each_stage():
    plans = []
    several = [stage("blur", sigma=2), stage("convolve", np.ones((30, 30)) / 900, border="wrap")]
    convcli.chain(PHOTO, several, method="fft", workers=1, on_plan=plans.append)
    (plan,) = plans
    assert isinstance(plan, ChainPlan)
    assert [each.words for each in plan.stages] == [each.words for each in several]
    assert [each.border for each in plan.stages] == ["reflect", "wrap"]
    assert plan.method == "fft"
    assert plan.seconds >= sum(plan.predicted) > 0
    assert all(seconds > 0 for seconds in plan.measured)
    assert "stage 2    convolve an array of shape (30, 30)" in str(plan)
    assert "between    float32" in str(plan)


# --- bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stage("blurr"), "unknown stage 'blurr'; it must be blur, edge"),
        (lambda: stage(3), "unknown stage 3"),
        (lambda: stage("blur", sgima=2), "stage 'blur': .*'sgima'; it takes sigma, truncate"),
        (lambda: stage("blur", 1, 2), "stage 'blur': too many positional arguments"),
        (lambda: stage("convolve"), "stage 'convolve': missing a required argument: 'kernel'"),
        (lambda: stage("blur", sigma=-1), "sigma must be .*-1"),
        (lambda: stage("blur", border="round"), "unknown border 'round'"),
        (lambda: stage("blur", border_value="a"), "border_value must be a number, not 'a'"),
        (lambda: stage("blur", exact=2), "exact must be True or False, not 2"),
        (lambda: stage("convolve", [[1]], stride=0), "stride must be .* at least 1, not 0"),
        (lambda: convcli.chain(PHOTO, []), r"stages is \[\]; it must be a list of one or more"),
        (lambda: convcli.chain(PHOTO, "blur"), "stages is 'blur'; it must be a list"),
        (lambda: convcli.chain(PHOTO, 3), "stages is 3; it must be a list"),
        (lambda: convcli.chain(PHOTO, [stage("blur"), None]), "must be a list of one or more"),
        (lambda: convcli.chain(PHOTO[0, 0], [stage("blur")] * 2), "image has shape"),
        (lambda: convcli.chain(PHOTO, [stage("blur")] * 2, method="gpu"), "unknown method 'gpu'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(call, message):
    with pytest.raises(ConvcliError, match=message):
        call()


def test_an_unknown_option_is_a_type_error():
    with pytest.raises(TypeError, match="unknown option 'sigma'"):
        convcli.chain(PHOTO, [stage("blur")] * 2, sigma=2)


def test_progress_is_told_and_an_error_in_it_ends_the_work():
    told = []
    several = [stage("blur"), stage("edge")]
    with cut(40, 3840, 8):
        convcli.chain(PHOTO, several, workers=2, on_progress=lambda *done: told.append(done))
    assert told[-1][0] == told[-1][1] > 1

    def stop(_done, _total):
        raise KeyboardInterrupt

    with cut(40, 3840, 8), pytest.raises(KeyboardInterrupt):
        convcli.chain(PHOTO, several, workers=1, on_progress=stop)


BETWEEN = {
    "bytes": ("uint8", [stage("blur", 2), stage("sharpen"), stage("edge")], {}, "float32"),
    "deep": ("uint16", [stage("blur", 2)] * 2, {}, "float64"),
    "floats": ("float32", [stage("blur", 2)] * 2, {}, "float64"),
    "sharpened thrice": ("uint8", [stage("sharpen", 1.5)] * 3, {}, "float32"),
    "sharpened often": ("uint8", [stage("sharpen", 1.5)] * 4, {}, "float64"),
    "large weights": ("uint8", [stage("sharpen", amount=50)] * 2, {}, "float64"),
    "floats out": ("uint8", [stage("sharpen", 1.5, 0.8)] * 3, {"out_dtype": "float32"}, "float64"),
    "an exact stage": ("uint8", [stage("blur"), stage("blur", exact=True)], {}, "float64"),
    "an angle": ("uint8", [stage("blur"), stage("edge", show="angle")], {}, "float64"),
    "a border": ("uint8", [stage("blur", border="constant", border_value=0.5)] * 2, {}, "float64"),
}


@pytest.mark.parametrize("name", BETWEEN)
def test_samples_between_stages_are_as_exact_as_they_must_be(name):
    dtype, several, options, between = BETWEEN[name]
    plans = []
    convcli.chain(PHOTO.astype(dtype), several, method="numpy", on_plan=plans.append, **options)
    assert plans[0].between == between
